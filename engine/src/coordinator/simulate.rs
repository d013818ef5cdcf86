//! A whole run in virtual time, on the calling thread: shards take turns, the earliest first.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::stage::{Ended, Stage};
use super::{Control, Coordinator, Observers};
use crate::error::RunError;
use crate::feed::Tap;
use crate::plan::{Plan, ShardPlan};
use crate::reactor::Description;
use crate::reactor::sim::{ORIGIN, Sim, World};
use crate::report::Report;
use crate::shard::Shard;
use crate::shard::mailbox::Mailbox;
use crate::units::Instant;

/// Runs `plan` to its end in `world`, which is made for this one run, and reports. Coordinator,
/// shards and recorders are those of [`run`](super::run); nothing but the reactor, the clock and
/// the threads is replaced. The plan's kind of reactor and its CPUs have no meaning.
///
/// # Errors
/// [`RunError`] as of [`run`](super::run).
pub fn simulate(
    plan: Plan,
    world: &World,
    observers: Observers,
    control: &Control,
) -> Result<Report, RunError> {
    let stage = Virtual { world: world.clone(), now: ORIGIN, shards: Vec::new() };
    Coordinator::start(stage, plan, observers, control.clone())?.conduct()
}

/// The shards of a run in virtual time.
struct Virtual {
    world: World,
    now: Instant,
    shards: Vec<Player>,
}

/// A shard, or what became of it.
enum Player {
    Running(Box<Shard<Sim>>, Rc<Cell<Instant>>),
    Ended(Ended),
}

impl Virtual {
    /// The running shard whose clock is earliest, if that is before `until`.
    fn earliest(&self, until: Instant) -> Option<usize> {
        let clocks = self.shards.iter().enumerate().filter_map(|(index, player)| match player {
            Player::Running(_, clock) => Some((clock.get(), index)),
            Player::Ended(_) => None,
        });
        clocks.min().filter(|(clock, _)| *clock < until).map(|(_, index)| index)
    }

    /// Gives the shard `index` a turn; returns when it ended, if it did.
    fn turn(&mut self, index: usize) -> Option<Instant> {
        let player = self.shards.get_mut(index)?;
        let Player::Running(shard, clock) = player else { return None };
        let now = clock.get();
        let ended = if shard.is_done() {
            Ended::Well
        } else {
            match shard.turn() {
                Ok(()) => return None,
                Err(source) => Ended::Refused(source),
            }
        };
        if let Player::Running(shard, _) = core::mem::replace(player, Player::Ended(ended))
            && shard.is_done()
        {
            shard.finish(true);
        }
        Some(now)
    }
}

impl Stage for Virtual {
    /// The index of the shard.
    type Handle = usize;

    fn now(&self) -> Instant {
        self.now
    }

    fn pause(&mut self, until: Instant) {
        while let Some(index) = self.earliest(until) {
            if let Some(ended) = self.turn(index) {
                self.now = ended.max(self.now);
                return;
            }
        }
        self.now = until;
    }

    fn start(&mut self, part: ShardPlan, mailbox: Mailbox, taps: Vec<Tap>) -> io::Result<usize> {
        let request_len =
            part.plan.work.first().map_or(0, |asking| asking.request.render_h1().len());
        let reactor = self.world.reactor(part.places(), request_len);
        let clock = reactor.watch();
        let shard = Shard::new(part, reactor, mailbox, taps)?;
        self.shards.push(Player::Running(Box::new(shard), clock));
        Ok(self.shards.len() - 1)
    }

    fn join(&mut self, handle: usize) -> Ended {
        while matches!(self.shards.get(handle), Some(Player::Running(..))) {
            let Some(index) = self.earliest(Instant::from_origin(u64::MAX)) else { break };
            self.turn(index);
        }
        let Some(player) = self.shards.get_mut(handle) else { return Ended::Lost };
        match core::mem::replace(player, Player::Ended(Ended::Lost)) {
            Player::Ended(ended) => ended,
            Player::Running(..) => Ended::Lost,
        }
    }

    fn reactor(&self) -> Description {
        World::describe()
    }
}
