//! Another load, at one moment on all shards.
//!
//! The coordinator has computed all of it; the shard takes what it is given in the place of what it
//! had. A shard that hears of it late loses no slot and sends none twice, for slots keep their
//! numbers.

use super::conn::State;
use super::mailbox::Switch;
use super::{Phase, Shard};
use crate::reactor::{Reactor, Slot};
use crate::record::Window;
use crate::units::Instant;

impl<R: Reactor> Shard<R> {
    /// Does as `switch` says, whose moment has come.
    pub(super) fn switch(&mut self, switch: Switch, now: Instant) {
        if !matches!(self.phase, Phase::Running | Phase::Draining(_)) {
            return;
        }
        if let Some((schedule, end)) = &switch.schedule
            && let Some((to, fresh)) = self.supply.follow(switch.at, schedule, *end)
        {
            let recorder = &mut self.traffic.recorder;
            recorder.scheduled(fresh);
            // A number of requests takes another time at another rate.
            recorder.set_window(Window { to, ..recorder.window() });
        }
        if let Some(shares) = switch.shares {
            self.traffic.users.weigh(shares);
        }
        if let Some(count) = switch.connections
            && self.phase == Phase::Running
        {
            self.plan.connections = count;
            self.dialler.resize(count.get(), &mut self.traffic, now);
            self.traffic.users.resize(count.get());
            let room = self.plan.room.get();
            for slot in (0..self.plan.places()).filter(|place| place % room >= count.get()) {
                self.retire(Slot(slot), now);
            }
        }
    }

    /// Has a connection go for good: at once if nothing is outstanding on it, else when it is
    /// answered. One that is yet being established goes when it is.
    fn retire(&mut self, slot: Slot, now: Instant) {
        let Some(connection) = self.traffic.get(slot) else { return };
        if connection.state == State::Open {
            connection.spent = true;
            if connection.is_over() {
                self.close(slot, now);
            }
        }
    }
}
