//! THE CONDUCTOR: a low-priority thread that starts the shards, gathers what they counted, and ends
//! the run.
//!
//! Shards never wait for it: it offers an empty envelope and takes the full one whenever the shard
//! gets to it. It needs little, but it needs it in time; so it measures how late its own ticks are,
//! and reports it.

mod advice;
mod control;
mod lateness;
mod observe;
mod pulse;
#[cfg(any(test, feature = "sim"))]
mod simulate;
mod stage;
mod steering;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

pub use control::{Control, Readdress};
pub use lateness::Lateness;
pub use observe::{Event, Observers, Tick};
#[cfg(any(test, feature = "sim"))]
pub use simulate::simulate;

use self::advice::no_connection;
use self::lateness::Watch;
use self::pulse::Pulse;
use self::stage::{Ended, Stage, Threads};
use self::steering::Steering;
use crate::cookies::Cookie;
use crate::error::RunError;
use crate::feed::{self, Tap};
use crate::plan::{Plan, ShardPlan, split};
use crate::reactor::thread as os_thread;
use crate::record::{Chronicle, Exchange, Quantile, Snapshot};
use crate::report::{Ending, Report, ShardReport};
use crate::shard::mailbox::{Desk, Finished, Opened, Order, Reply, mailbox};
use crate::units::{Instant, Nanos};

/// The coordinator looks around this often.
const TICK: Nanos = Nanos::from_millis(100);

/// Envelopes are exchanged, and observers told, every so many ticks. Merging an envelope costs
/// about 0.2 ms.
const TICKS_PER_EXCHANGE: u64 = 5;

/// From the start order to the start barrier, so that every shard has heard it and waits for the
/// same moment.
const LEAD: Nanos = Nanos::from_millis(100);

/// What answers that are outstanding get after an early stop.
const PATIENCE: Nanos = Nanos::from_secs(1);

/// Beside shards that never sleep, the coordinator still gets its share of a CPU, a small one.
/// Measured in benches/RESULTS.md, "Coordinator".
const NICENESS: i32 = 10;

/// Runs `plan` to its end, and reports. Blocks the caller; the conducting is done on a thread of
/// its own, whose priority is lowered.
///
/// # Errors
/// [`RunError`] if the run could not be done. What the target does wrong is counted instead.
pub fn run(plan: Plan, observers: Observers, control: &Control) -> Result<Report, RunError> {
    let control = control.clone();
    let conducted = thread::Builder::new().name("pummel-coord".into()).spawn(move || {
        let stage = Threads::new(plan.reactor);
        let cpus = plan.cores.cpus().to_vec();
        let coordinator = Coordinator::start(stage, plan, observers, control)?;
        // After the shards were started: threads inherit it.
        os_thread::set_low_priority(NICENESS);
        os_thread::keep_off(&cpus);
        coordinator.conduct()
    });
    match conducted.map(JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(RunError::CoordinatorLost),
        Err(source) => Err(RunError::Thread { source }),
    }
}

/// The coordinator's side of one shard.
struct Member<H> {
    plan: ShardPlan,
    desk: Desk,
    /// Gone when the shard's end was looked at.
    handle: Option<H>,
    /// How opening connections to each server went.
    opened: Option<Vec<Opened>>,
    /// The envelope that is not with the shard; gone while it is under way.
    spare: Option<Box<Snapshot>>,
    /// Where its connections to each server are to go, until it is told.
    readdress: Vec<Readdress>,
    requests: u64,
    pulse: Pulse,
    finished: Option<Finished>,
}

/// What ends a run, besides its plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopping {
    No,
    ByRequest,
}

struct Coordinator<S: Stage> {
    stage: S,
    plan: Arc<Plan>,
    observers: Observers,
    control: Control,
    members: Vec<Member<S::Handle>>,
    totals: Snapshot,
    interval: Snapshot,
    chronicle: Chronicle,
    exchanges: Vec<Exchange>,
    cookies: Vec<Cookie>,
    steering: Steering,
    interval_began: Instant,
    barrier: Option<Instant>,
    stopping: Stopping,
    draining: bool,
    watch: Watch,
}

impl<S: Stage> Coordinator<S> {
    fn start(
        stage: S,
        plan: Plan,
        observers: Observers,
        control: Control,
    ) -> Result<Self, RunError> {
        let now = stage.now();
        let plan = Arc::new(plan);
        let mut coordinator = Self {
            stage,
            steering: Steering::new(&plan),
            plan,
            observers,
            control,
            members: Vec::new(),
            totals: Snapshot::default(),
            interval: Snapshot::default(),
            chronicle: Chronicle::default(),
            exchanges: Vec::new(),
            cookies: Vec::new(),
            interval_began: now,
            barrier: None,
            stopping: Stopping::No,
            draining: false,
            watch: Watch::new(now, TICK),
        };
        let parts = split(&coordinator.plan);
        let taps = feeds(&coordinator.plan, parts.len())?;
        for (part, taps) in parts.into_iter().zip(taps) {
            let member = Member::start(part, taps, &mut coordinator.stage)?;
            coordinator.members.push(member);
        }
        Ok(coordinator)
    }

    fn conduct(mut self) -> Result<Report, RunError> {
        let mut tick = 0;
        while !self.members.iter().all(|member| member.finished.is_some()) {
            self.pause();
            self.hear()?;
            self.heed_control();
            self.raise_barrier()?;
            self.steer();
            if tick < self.watch.ticks() {
                tick = self.watch.ticks();
                if tick % TICKS_PER_EXCHANGE == 0 {
                    self.tell_tick();
                    self.ask_for_envelopes();
                }
            }
        }
        self.join()?;
        self.report()
    }

    /// Waits for the next tick, or until a shard ends.
    fn pause(&mut self) {
        self.stage.pause(self.watch.next());
        self.watch.note(self.stage.now());
    }

    /// Takes in what the shards have said.
    fn hear(&mut self) -> Result<(), RunError> {
        for member in &mut self.members {
            while let Some(reply) = member.desk.reply() {
                match reply {
                    Reply::Opened(opened) => member.opened = Some(opened),
                    Reply::Envelope(mut envelope, effort) => {
                        member.pulse.note(effort, self.barrier);
                        member.requests += envelope.ledger.accounted();
                        // Kept in a smaller form, which grows with the run.
                        self.chronicle.add(&envelope.timeline);
                        envelope.timeline.clear();
                        self.interval.merge(&envelope);
                        member.spare = Some(envelope);
                    }
                    Reply::Draining => {
                        if !self.draining {
                            self.draining = true;
                            self.observers.tell(&Event::Draining);
                        }
                    }
                    Reply::Cookies(cookies) => self.cookies.extend(cookies),
                    Reply::Exchanged(exchanges) => self.exchanges.extend(exchanges),
                    Reply::Finished(mut envelope, finished) => {
                        member.requests += envelope.ledger.accounted();
                        self.chronicle.add(&envelope.timeline);
                        envelope.timeline.clear();
                        self.interval.merge(&envelope);
                        member.pulse.note(finished.effort, self.barrier);
                        member.finished = Some(finished);
                    }
                }
            }
            if member.finished.is_none() && member.desk.abandoned() {
                return Err(member.obituary(&mut self.stage));
            }
        }
        Ok(())
    }

    fn heed_control(&mut self) {
        let addresses = self.control.take_addresses();
        for member in &mut self.members {
            member.readdress(&addresses);
        }
        if self.stopping == Stopping::No && self.control.stopped() {
            self.stopping = Stopping::ByRequest;
            for member in &mut self.members {
                member.desk.order(Order::Stop(PATIENCE));
            }
        }
    }

    /// Changes the load, if that is asked for and the run is not at its end.
    fn steer(&mut self) {
        let now = self.stage.now();
        let ends = self.draining || self.stopping == Stopping::ByRequest;
        let room = self.members.iter().all(|member| member.desk.has_room());
        let Some(barrier) = self.barrier.filter(|_| room && !ends) else { return };
        if !self.steering.is_ready(now) {
            return;
        }
        // After the next look it would be too late for what comes before that.
        let soonest = now + self.steering.lead();
        let until = soonest + TICK;
        let Some((after, change)) = self.control.take_change(until.since(barrier)) else { return };
        let at = (barrier + after).max(soonest);
        let before = self.steering.changes().list.len();
        if let Some(turnover) = self.steering.turn(change, at, barrier) {
            for member in &mut self.members {
                member.desk.order(Order::Switch(Box::new(turnover.of(&member.plan))));
            }
            let list = self.steering.changes().list.get(before..).unwrap_or_default();
            self.observers.tell(&Event::Changed(list.into()));
        }
    }

    /// Once every connection has been tried: sets the start, or gives up.
    fn raise_barrier(&mut self) -> Result<(), RunError> {
        if self.barrier.is_some() || self.stopping == Stopping::ByRequest {
            return Ok(());
        }
        let opened: Option<Vec<_>> = self.members.iter().map(|m| m.opened.as_ref()).collect();
        let Some(opened) = opened else { return Ok(()) };
        let (mut open, mut failed) = (0, 0);
        for server in 0..self.plan.servers() {
            let of_shards = opened.iter().filter_map(|all| all.get(server));
            let here: u32 = of_shards.clone().map(|opened| opened.open).sum();
            if here == 0 {
                let failure = of_shards.clone().map(|opened| opened.failure.clone()).next();
                let name = self.plan.targets().nth(server).filter(|_| self.plan.servers() > 1);
                let name = name.map(|target| target.url.clone());
                return Err(failure.map_or(RunError::CoordinatorLost, |it| no_connection(it, name)));
            }
            open += here;
            failed += of_shards.map(|opened| opened.failed).sum::<u32>();
        }
        let barrier = self.stage.now() + LEAD;
        self.barrier = Some(barrier);
        self.interval_began = barrier;
        for member in &mut self.members {
            member.desk.order(Order::Start(barrier));
        }
        self.observers.tell(&Event::Started { connections: open, refused: failed });
        Ok(())
    }

    /// Offers every shard an empty envelope.
    fn ask_for_envelopes(&mut self) {
        for member in &mut self.members {
            if let Some(mut envelope) = member.spare.take() {
                envelope.clear();
                member.desk.order(Order::Exchange(envelope));
            }
        }
    }

    /// Adds the numbers since the last tick to the totals, and tells the observers.
    fn tell_tick(&mut self) {
        let now = self.stage.now();
        let Some(barrier) = self.barrier.filter(|&barrier| barrier <= now) else { return };
        self.totals.merge(&self.interval);
        let interval = &self.interval;
        let latency = interval.latency.all();
        let span = now.since(self.interval_began).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
        let finished = interval.finished_in_window as f64;
        self.observers.tell(&Event::Tick(Tick {
            elapsed: now.since(barrier),
            warming_up: now < barrier + self.plan.stop.warmup,
            ledger: self.totals.ledger,
            troubles: self.totals.errors.total(),
            starved: self.totals.starved(),
            rate_per_second: if span > 0.0 { finished / span } else { 0.0 },
            p50: latency.quantile(Quantile::P50).lo,
            p99: latency.quantile(Quantile::P99).lo,
        }));
        self.interval.clear();
        self.interval_began = now;
    }

    fn join(&mut self) -> Result<(), RunError> {
        for member in &mut self.members {
            match member.handle.take().map(|handle| self.stage.join(handle)) {
                None | Some(Ended::Well) => {}
                Some(Ended::Refused(source)) => return Err(member.refused(source)),
                Some(Ended::Lost) => return Err(member.lost()),
            }
        }
        Ok(())
    }

    fn report(mut self) -> Result<Report, RunError> {
        if self.barrier.is_none() {
            return Err(RunError::StoppedBeforeStart);
        }
        self.totals.merge(&self.interval);
        let finished = self.members.iter().filter_map(|m| m.finished);
        let window = finished.clone().map(|f| f.window).max().unwrap_or_default();
        let target_lost = finished.clone().any(|f| f.target_lost);
        let ending = match self.stopping {
            Stopping::ByRequest => Ending::Interrupted,
            Stopping::No if target_lost => Ending::TargetLost,
            Stopping::No => Ending::Completed,
        };
        let report = Report {
            reactor: self.stage.reactor(),
            window,
            totals: std::mem::take(&mut self.totals),
            chronicle: std::mem::take(&mut self.chronicle),
            exchanges: std::mem::take(&mut self.exchanges),
            cookies: Cookie::last_of_each(std::mem::take(&mut self.cookies)),
            changes: self.steering.changes().clone(),
            shards: self.members.iter().filter_map(Member::report).collect(),
            coordinator: self.watch.lateness(),
            ticks_lost: self.observers.lost(),
            ending,
            plan: Arc::clone(&self.plan),
        };
        self.observers.tell(&Event::Finished(Arc::new(report.clone())));
        Ok(report)
    }
}

/// Lets whoever makes the rows of `plan` begin; returns the ends of all feeds, by shard.
fn feeds(plan: &Plan, shards: usize) -> Result<Vec<Vec<Tap>>, RunError> {
    let mut all: Vec<Vec<Tap>> = (0..shards).map(|_| Vec::new()).collect();
    for feed in plan.work.feeds() {
        let (dealer, taps) = feed::rings(feed.columns, shards, plan.connections);
        feed.rows
            .begin(dealer, plan.cores.cpus())
            .map_err(|source| RunError::Feed { name: feed.name.clone(), source })?;
        all.iter_mut().zip(taps).for_each(|(of_shard, tap)| of_shard.push(tap));
    }
    Ok(all)
}

impl<S: Stage> Drop for Coordinator<S> {
    /// However a run ends, no shard outlives it.
    fn drop(&mut self) {
        for member in &mut self.members {
            member.desk.order(Order::Stop(Nanos::ZERO));
        }
        for handle in self.members.iter_mut().filter_map(|member| member.handle.take()) {
            // What it has to say is of no interest any more.
            let _ended = self.stage.join(handle);
        }
    }
}

impl<H> Member<H> {
    /// Starts the shard `part` on `stage`, with its ends of the feeds.
    fn start(
        part: ShardPlan,
        taps: Vec<Tap>,
        stage: &mut impl Stage<Handle = H>,
    ) -> Result<Self, RunError> {
        let (desk, mailbox) = mailbox();
        let work = &part.plan.work;
        let empty = Snapshot::new(work.rows().len(), work.looked_for().len());
        let empty = empty.with(work.feeds().len(), work.flows().len());
        let mut member = Self {
            plan: part.clone(),
            desk,
            handle: None,
            opened: None,
            spare: Some(Box::new(empty)),
            readdress: Vec::new(),
            requests: 0,
            pulse: Pulse::default(),
            finished: None,
        };
        match stage.start(part, mailbox, taps) {
            Ok(handle) => member.handle = Some(handle),
            Err(source) => return Err(member.refused(source)),
        }
        Ok(member)
    }

    /// Passes on where connections are to go, once the shard has read what it was told before.
    fn readdress(&mut self, addresses: &[Readdress]) {
        for (origin, to) in addresses {
            self.readdress.retain(|(known, _)| known != origin);
            self.readdress.push((*origin, Arc::clone(to)));
        }
        if self.desk.has_room()
            && let Some((origin, addresses)) = self.readdress.pop()
        {
            self.desk.order(Order::Readdress(origin, addresses));
        }
    }

    fn report(&self) -> Option<ShardReport> {
        let finished = self.finished?;
        Some(ShardReport {
            cpu: self.plan.cpu,
            pinned: finished.pinned,
            requests: self.requests,
            busy: finished.busy(),
            busiest: self.pulse.busiest(),
            spun: finished.spun_share(),
            completions_lost: finished.completions_lost,
        })
    }

    fn refused(&self, source: std::io::Error) -> RunError {
        RunError::Shard { shard: self.plan.share.index(), cpu: self.plan.cpu, source }
    }

    fn lost(&self) -> RunError {
        RunError::ShardLost { shard: self.plan.share.index() }
    }

    /// Why the shard ended before its time.
    fn obituary(&mut self, stage: &mut impl Stage<Handle = H>) -> RunError {
        match self.handle.take().map(|handle| stage.join(handle)) {
            Some(Ended::Refused(source)) => self.refused(source),
            _ => self.lost(),
        }
    }
}
