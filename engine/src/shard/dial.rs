//! Opening connections: the first time together, or in groups, or when one is wanted; later one by
//! one, with a bounded backoff.
//!
//! The opening doubles as the probe of the target: each connection is tried once at every address,
//! and the run goes ahead if at least one of them opened, to each server if there are several.

use core::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::conn::{Past, State};
use super::deadline::Deadlines;
use super::mailbox::Opened;
use super::traffic::Traffic;
use crate::plan::{Addresses, Load, ShardPlan};
use crate::reactor::{Address, Slot};
use crate::record::{Cause, Phase, Trouble};
use crate::units::{Instant, Nanos};

/// Most connections of a shard that are being established to a server at once: more would overrun
/// the queue in which a server keeps them until it accepts, and a SYN lost there is repeated only
/// after a second.
const CONNECTING_MAX: u32 = 128;

/// The first pause before a connection is tried again; it doubles up to the longest.
const BACKOFF_FIRST: Nanos = Nanos::from_millis(10);
const BACKOFF_LONGEST: Nanos = Nanos::from_millis(250);

/// A connection to be established.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) slot: Slot,
    pub(super) to: Address,
}

/// Decides when which connection of a shard to one server is established, and where to; the shard
/// does it.
pub(super) struct Dialler {
    /// The place of the first of them.
    first: u32,
    /// When to try again, soonest first.
    waiting: BinaryHeap<Reverse<(Instant, Slot)>>,
    timeouts: Deadlines,
    connecting: u32,
    /// Connections which have been tried to the end for the first time, of `total`.
    tried: u32,
    /// Connections which have been ready once.
    joined: u32,
    failed: u32,
    total: u32,
    /// Those that are ready.
    open: u32,
    /// Connections, from the first on, that have been handed to be opened, of `room`.
    begun: u32,
    room: u32,
    failure: (Address, Trouble),
    /// The server's addresses, as far as is known.
    addresses: Arc<Addresses>,
    /// Index of the address that worked last.
    address: usize,
}

impl Dialler {
    /// The connections to the server with this `number` that `plan` begins with are to be opened at
    /// once; they go to `addresses`.
    pub(super) fn new(plan: &ShardPlan, number: u32, addresses: &Addresses) -> Self {
        let all = plan.connections.get();
        let total = match plan.plan.load {
            Load::Closed { spawn: Some(spawn), .. } => {
                let first = |n: &u32| plan.share.connection(*n) < u64::from(spawn.count.get());
                u32::try_from((0..all).take_while(first).count()).unwrap_or(all)
            }
            Load::Closed { .. } | Load::Open { .. } => all,
        };
        let closed = Trouble { phase: Phase::Connect, cause: Cause::Closed };
        let now = Instant::from_origin(0);
        let first = number.saturating_mul(plan.room.get());
        Self {
            first,
            waiting: (first..).take(total as usize).map(|n| Reverse((now, Slot(n)))).collect(),
            timeouts: Deadlines::new(plan.room.get() as usize, plan.plan.timeouts.connect),
            connecting: 0,
            tried: 0,
            joined: 0,
            failed: 0,
            total,
            open: 0,
            begun: total,
            room: plan.room.get(),
            // True of those that were established and are open no more.
            failure: (addresses.first(), closed),
            addresses: Arc::new(addresses.clone()),
            address: 0,
        }
    }

    /// How the opening went, once it is over.
    pub(super) fn opened(&self) -> Option<Opened> {
        // A server that took none of so many takes none: it is not asked ten thousand times.
        let hopeless = self.open == 0 && self.failed >= CONNECTING_MAX;
        let over = self.tried == self.total || hopeless;
        over.then(|| Opened { open: self.open, failed: self.failed, failure: self.failure.clone() })
    }

    /// The connections that join in later are opened from `barrier` on, group after group; returns
    /// when the first of them is.
    pub(super) fn begin(&mut self, plan: &ShardPlan, barrier: Instant) -> Option<Instant> {
        let Load::Closed { spawn: Some(spawn), .. } = plan.plan.load else { return None };
        let mut first = None;
        let all = plan.connections.get();
        for number in self.begun..all {
            let group = plan.share.connection(number) / u64::from(spawn.count.get());
            let at = barrier + spawn.every.saturating_mul(group);
            first.get_or_insert(at);
            self.waiting.push(Reverse((at, Slot(self.first + number))));
        }
        self.begun = all;
        first
    }

    /// From now on there are to be `count` connections, as far as there is room for them. Those
    /// that are missing are opened; what is beyond is opened no more, and the shard closes it.
    pub(super) fn resize(&mut self, count: u32, traffic: &mut Traffic, now: Instant) {
        let count = count.min(self.room);
        let first = self.first;
        self.waiting.retain(|Reverse((_, slot))| slot.0 < first + count);
        for slot in (self.begun..count).map(|number| Slot(first + number)) {
            // One that is on its way out yet is opened again when it is closed.
            if traffic.get(slot).is_some_and(|connection| connection.state == State::Closed) {
                self.waiting.push(Reverse((now, slot)));
            }
        }
        self.begun = count;
    }

    /// Whether `slot` is beyond the connections that there are to be.
    pub(super) const fn is_surplus(&self, slot: Slot) -> bool {
        slot.0 >= self.first + self.begun
    }

    /// Opens one connection more than there were so far, if there is room for it.
    pub(super) fn grow(&mut self, now: Instant) {
        if self.begun < self.room {
            self.waiting.push(Reverse((now, Slot(self.first + self.begun))));
            self.begun += 1;
        }
    }

    /// Connections that are being established, or are to be.
    pub(super) fn under_way(&self) -> usize {
        self.connecting as usize + self.waiting.len()
    }

    /// Connections that could yet be [grown](Self::grow).
    pub(super) const fn room(&self) -> usize {
        (self.room - self.begun) as usize
    }

    /// Connections that have joined in: each of them has been ready once.
    pub(super) const fn joined(&self) -> u32 {
        self.joined
    }

    /// Whether no connection is ready.
    pub(super) const fn is_cut_off(&self) -> bool {
        self.open == 0
    }

    /// Somebody waits for a connection: if none is ready, the next one is tried soon, or those who
    /// ask this server would be kept from asking the others.
    pub(super) fn hasten(&mut self, now: Instant) {
        let soon = now + BACKOFF_FIRST;
        if self.is_cut_off()
            && self.connecting == 0
            && let Some(mut next) = self.waiting.peek_mut()
            && next.0.0 > soon
        {
            next.0.0 = soon;
        }
    }

    /// A connection that was ready is closed.
    pub(super) const fn gone(&mut self) {
        self.open -= 1;
    }

    /// Attempts that begin from now on go to `addresses`, from the first on.
    pub(super) fn readdress(&mut self, addresses: Arc<Addresses>, traffic: &mut Traffic) {
        let own = traffic.connections.iter_mut().skip(self.first as usize);
        own.take(self.room as usize).for_each(|connection| connection.address = 0);
        self.address = 0;
        self.addresses = addresses;
    }

    /// When something is to be done.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let retry = self.waiting.peek().map(|Reverse((at, _))| *at);
        let retry = retry.filter(|_| self.connecting < CONNECTING_MAX);
        [retry, self.timeouts.next()].into_iter().flatten().min()
    }

    /// Gives up what waits to be established: there is nothing left to be sent.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// The next connection to be established now, and to where; the shard asks until there is none.
    pub(super) fn next(&mut self, traffic: &mut Traffic, now: Instant) -> Option<Attempt> {
        let &Reverse((at, slot)) = self.waiting.peek()?;
        if at > now || self.connecting >= CONNECTING_MAX {
            return None;
        }
        self.waiting.pop();
        let connection = traffic.get(slot)?;
        // A first attempt goes through the addresses from the one that worked for others.
        connection.address = match connection.past {
            Past::Untried => connection.address.max(self.address),
            Past::Failed | Past::Opened => self.address,
        };
        let to = self.addresses.all().get(connection.address)?.clone();
        connection.state = State::Connecting(now);
        self.connecting += 1;
        self.timeouts.arm(self.place(slot), now);
        Some(Attempt { slot, to })
    }

    /// `slot` is established.
    pub(super) fn established(&mut self, slot: Slot, traffic: &mut Traffic, now: Instant) {
        self.leave(slot);
        if let Some(connection) = traffic.get(slot) {
            self.address = connection.address;
            self.tried += u32::from(connection.past == Past::Untried);
            self.joined += u32::from(connection.past != Past::Opened);
        }
        self.open += 1;
        traffic.established(slot, now);
    }

    /// The connection whose attempt has taken too long at `now`. The shard closes it, and then says
    /// that it [failed](Self::failed).
    pub(super) fn expired(&self, now: Instant) -> Option<Slot> {
        let place = u32::try_from(self.timeouts.expired(now)?).ok()?;
        Some(Slot(self.first + place))
    }

    /// The attempt at `slot`, which the shard has closed, failed.
    pub(super) fn failed(
        &mut self,
        slot: Slot,
        trouble: Trouble,
        traffic: &mut Traffic,
        now: Instant,
    ) {
        self.leave(slot);
        traffic.closed(slot);
        let addresses = self.addresses.all();
        let Some(connection) = traffic.get(slot) else { return };
        let address = addresses.get(connection.address).cloned();
        if connection.past == Past::Untried {
            // Every address has its chance before the attempt counts as failed.
            if connection.address + 1 < addresses.len() && !self.is_surplus(slot) {
                connection.address += 1;
                self.waiting.push(Reverse((now, slot)));
                return;
            }
            connection.past = Past::Failed;
            self.tried += 1;
            self.failed += 1;
        }
        if let Some(address) = address {
            self.failure = (address, trouble);
        }
        // The next attempt goes to the next address: the server may be gone from this one only.
        self.address = (connection.address + 1) % addresses.len();
        connection.attempts = connection.attempts.max(1);
        let origin = connection.origin;
        traffic.recorder.connection_trouble(trouble);
        if traffic.way.has_several() {
            traffic.recorder.origin(origin, |reached| reached.failed += 1);
        }
        self.redial(slot, traffic, now);
    }

    /// `slot` was closed, and is to be opened again: at once if the peer had sent anything on it or
    /// was too slow, or if it is the first time; else after a pause. Not if it is surplus.
    pub(super) fn redial(&mut self, slot: Slot, traffic: &mut Traffic, now: Instant) {
        if self.is_surplus(slot) {
            return;
        }
        let Some(connection) = traffic.get(slot) else { return };
        let pause = match connection.attempts {
            0 => Nanos::ZERO,
            n => BACKOFF_FIRST.saturating_mul(1 << (n - 1).min(20)).min(BACKOFF_LONGEST),
        };
        connection.attempts = connection.attempts.saturating_add(1);
        self.waiting.push(Reverse((now + pause, slot)));
    }

    /// The place of `slot` among those of its server.
    fn place(&self, slot: Slot) -> usize {
        slot.index().saturating_sub(self.first as usize)
    }

    fn leave(&mut self, slot: Slot) {
        self.timeouts.disarm(self.place(slot));
        self.connecting -= 1;
    }
}
