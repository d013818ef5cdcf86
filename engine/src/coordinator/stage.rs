//! Where a run takes place: what gives the coordinator the time, and lets shards run beside it.
//!
//! Behind a trait, so that the same coordinator conducts a run on threads and one in virtual time.

use std::io;
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crate::feed::Tap;
use crate::plan::ShardPlan;
use crate::reactor::{Description, Epoll, Kind, Uring, clock, thread as os_thread};
use crate::shard::Shard;
use crate::shard::mailbox::Mailbox;
use crate::units::Instant;

/// A place for shards to run, with a clock.
pub(super) trait Stage {
    /// Names a shard that was started.
    type Handle;

    /// The present moment of the coordinator.
    fn now(&self) -> Instant;

    /// Lets the shards run until `until`, or until one of them has ended.
    fn pause(&mut self, until: Instant);

    /// Starts the shard `part`, with its ends of the feeds.
    ///
    /// # Errors
    /// If there is no room for it.
    fn start(
        &mut self,
        part: ShardPlan,
        mailbox: Mailbox,
        taps: Vec<Tap>,
    ) -> io::Result<Self::Handle>;

    /// Waits for the end of a shard.
    fn join(&mut self, handle: Self::Handle) -> Ended;

    /// What the shards meet the world with.
    fn reactor(&self) -> Description;
}

/// How a shard ended.
pub(super) enum Ended {
    /// At the end of its plan.
    Well,
    /// Its reactor was refused something.
    Refused(io::Error),
    /// With a panic.
    Lost,
}

/// A thread of its own for each shard, in real time. Made on the coordinator's thread.
pub(super) struct Threads {
    kind: Kind,
    reactor: Description,
    conductor: Thread,
}

impl Threads {
    /// Shards run on reactors of `kind`, and wake the calling thread when they end.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, reactor: kind.describe(), conductor: thread::current() }
    }
}

impl Stage for Threads {
    type Handle = JoinHandle<io::Result<()>>;

    fn now(&self) -> Instant {
        clock::now()
    }

    fn pause(&mut self, until: Instant) {
        thread::park_timeout(Duration::from_nanos(until.since(clock::now()).get()));
    }

    fn start(
        &mut self,
        part: ShardPlan,
        mailbox: Mailbox,
        taps: Vec<Tap>,
    ) -> io::Result<Self::Handle> {
        let (kind, conductor) = (self.kind, self.conductor.clone());
        let name = format!("pummel-{}", part.share.index());
        thread::Builder::new().name(name).spawn(move || {
            let ended = run_shard(part, kind, mailbox, taps);
            // Whatever happened, it is to be looked at now.
            conductor.unpark();
            ended
        })
    }

    fn join(&mut self, handle: Self::Handle) -> Ended {
        match handle.join() {
            Ok(Ok(())) => Ended::Well,
            Ok(Err(source)) => Ended::Refused(source),
            Err(_) => Ended::Lost,
        }
    }

    fn reactor(&self) -> Description {
        self.reactor.clone()
    }
}

/// The body of a shard's thread.
fn run_shard(plan: ShardPlan, kind: Kind, mailbox: Mailbox, taps: Vec<Tap>) -> io::Result<()> {
    let pinned = os_thread::pin(plan.cpu);
    os_thread::set_precise_timers();
    let slots = plan.places();
    // Made on the thread which uses it: memory near its CPU, and a ring with a single issuer.
    match kind {
        Kind::Uring => Shard::new(plan, Uring::new(slots)?, mailbox, taps)?.run(pinned),
        Kind::Epoll => Shard::new(plan, Epoll::new(slots)?, mailbox, taps)?.run(pinned),
    }
}
