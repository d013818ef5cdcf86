//! WHAT to do: a [`Plan`] is pure data, complete and immutable.
//!
//! The invariant is "a `Plan` which exists can be run": nothing in it is optional that a later
//! stage would have to fill in, and no flag, file name or host name survives into it. Addresses are
//! resolved, the request is rendered, the cores are chosen. [`split()`] cuts it into one
//! [`ShardPlan`] per shard.

mod captured;
mod change;
mod date;
mod detours;
mod load;
mod pacing;
mod scenario;
mod signing;
mod split;
mod stop;
mod target;
mod tls;
mod wire;
mod work;

use core::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64};

use pummel_proto_http::{Expect, Request};

pub use crate::judge::ExpectedStatus;
pub(crate) use captured::needed_for;
pub use captured::{Uncaptured, Unsure, Use};
pub use change::{CHANGES_MAX, Change, ChangeError};
pub use date::DatePart;
pub use detours::{Detour, Detours, Place};
pub use load::{Arrivals, Load, OnFull, Shape, Spawn, Stage, Stages, Timetable};
pub use pacing::Pacing;
pub use scenario::{Logic, MARKS_MAX, NESTED_MAX, Scenario, Step};
pub use signing::{Signing, SigningKey};
pub use split::{ShardPlan, Share, split};
pub use stop::{Limit, Stop, Timeouts};
pub use target::{Addresses, ORIGINS_MAX, Origin, Target};
pub use tls::{Group, Identity, Resumption, Tls, TlsVersion, Trust};
pub use wire::{Keep, Lookup, Means, Protocol, Proxy, Wire};
pub use work::{
    Asking, Cookies, Flow, Order, ROWS_MAX, STEPS_MAX, Source, Until, Url, Variable, Work,
    WorkError,
};

use crate::units::Nanos;

/// A whole run, as it will be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the requests go.
    pub target: Target,
    /// What they ask for.
    pub work: Work,
    /// How they get there.
    pub wire: Wire,
    /// Further servers, by the numbers from 1 on that requests name them with; number 0 is
    /// `target`. Most runs have none.
    pub others: Vec<Origin>,
    /// When requests start: bound to responses, or to the clock.
    pub load: Load,
    /// Connections to each server, shared out over the shards with remainders kept.
    pub connections: NonZeroU32,
    /// Connections for which there is room if a [`Change`] asks for them; fewer than there are mean
    /// that none will.
    pub room: NonZeroU32,
    /// When the run ends, and what is left out of its numbers.
    pub stop: Stop,
    /// How long to wait for whom.
    pub timeouts: Timeouts,
    /// How a shard waits for a moment of its schedule.
    pub pacing: Pacing,
    /// The CPUs that carry a pinned shard each.
    pub cores: Cores,
    /// Which reactor drives the shards.
    pub reactor: crate::reactor::Kind,
    /// Seed of everything random; two runs with one seed send the same requests in the same order.
    pub seed: u64,
}

impl Plan {
    /// How many servers there are; at least one.
    #[must_use]
    pub const fn servers(&self) -> usize {
        1 + self.others.len()
    }

    /// Whether a request is known to be for one server before a connection is chosen: there are
    /// several, or values may lead to none.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.servers() > 1 || self.work.roams()
    }

    /// The servers by number.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        core::iter::once(&self.target).chain(self.others.iter().map(|origin| &origin.target))
    }

    /// What secures the connections to each server, by number, and who stands in between.
    pub fn ways(&self) -> impl Iterator<Item = (Option<&Tls>, Option<&Proxy>)> {
        let first = (self.wire.tls.as_ref(), self.wire.proxy.as_ref());
        let others = self.others.iter().map(|it| (it.tls.as_ref(), it.proxy.as_ref()));
        core::iter::once(first).chain(others)
    }

    /// Whether any connection carries something other than what is spoken with its server: TLS, or
    /// the frames of a tunnel.
    #[must_use]
    pub fn is_wrapped(&self) -> bool {
        self.ways().any(|(tls, proxy)| tls.is_some() || proxy.is_some_and(Proxy::frames))
    }

    /// Most requests outstanding on one connection of HTTP/1.x: as the load says, but only one
    /// where that announces the end of its connection (RFC 9112 section 9.6), or has a body that is
    /// read as it is sent.
    #[must_use]
    pub fn depth(&self) -> NonZeroU8 {
        let mut requests = self.work.requests().iter().map(|asking| &asking.request);
        let alone = requests.any(|one| self.expects(one).close || one.stored().is_some());
        if alone { NonZeroU8::MIN } else { self.load.pipeline() }
    }

    /// The same plan for a try: each scenario once, one request after the other on one connection,
    /// without pauses, and with each exchange kept [whole](crate::record::Exchange).
    #[must_use]
    pub fn tried(self) -> Self {
        self.tried_in_part(usize::MAX)
    }

    /// The same, of the first scenarios that have so many steps with requests together, and of the
    /// first one in any case.
    #[must_use]
    pub fn tried_in_part(mut self, most: usize) -> Self {
        self.work = self.work.up_to(most);

        self.work = self.work.tried();
        if self.load.is_open() {
            self.work = self.work.by_strangers();
        }
        self.load = Load::Closed { pipeline: NonZeroU8::MIN, spawn: None };
        self.connections = NonZeroU32::MIN;
        self.cores.0.truncate(1);
        self.wire.streams = NonZeroU16::MIN;
        if let Keep::Renewed(_) = self.wire.keep {
            self.wire.keep = Keep::Open;
        }
        // The work itself has an end.
        self.stop.limit = Limit::Requests(NonZeroU64::MAX);
        self.stop.warmup = Nanos::ZERO;
        self.pacing = Pacing::Sleep;
        self.timeouts.deadline = None;
        self
    }

    /// What a request in HTTP/1.x makes of its response.
    #[must_use]
    pub fn expects(&self, request: &Request) -> Expect {
        let expect = request.expects();
        Expect { close: expect.close || self.wire.keep == Keep::One, ..expect }
    }
}

/// The CPUs on which shards run, one shard each. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// One shard on each of `cpus`, in this order; `None` if there is none.
    #[must_use]
    pub fn new(cpus: Vec<usize>) -> Option<Self> {
        (!cpus.is_empty()).then_some(Self(cpus))
    }

    /// The CPU numbers, one per shard.
    #[must_use]
    pub fn cpus(&self) -> &[usize] {
        &self.0
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> NonZeroU32 {
        let shards = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        NonZeroU32::new(shards).unwrap_or(NonZeroU32::MIN)
    }
}
