//! Between a shard and the coordinator: envelopes change owner, nothing is shared.
//!
//! Two single-producer queues. When nobody asks, looking costs the shard one load. There are two
//! envelopes per shard, one being written and one on its way, so neither queue can overflow.

use core::num::NonZeroU32;
use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use super::{choice, supply};
use crate::cookies::Cookie;
use crate::pace::{End, Schedule};
use crate::plan::{Addresses, ShardPlan, Timetable};
use crate::reactor::Address;
use crate::record::{Exchange, Snapshot, Trouble};
use crate::units::{Instant, Nanos};

/// Messages that a queue holds: an envelope, a start, a stop, and room to spare.
const QUEUE: usize = 8;

/// What the coordinator tells a shard.
pub(crate) enum Order {
    /// Start at this moment, which lies ahead.
    Start(Instant),
    /// Write into this empty envelope from now on, and send the full one.
    Exchange(Box<Snapshot>),
    /// Establish connections to the server with this number at these addresses from now on.
    Readdress(u16, Arc<Addresses>),
    /// Change the load at a moment that lies ahead.
    Switch(Box<Switch>),
    /// Start nothing more, and wait at most so long for what is outstanding.
    Stop(Nanos),
}

/// A shard's part of another load, ready made. What is `None` stays as it is.
#[derive(Debug)]
pub(crate) struct Switch {
    /// The moment, common to all shards.
    pub(crate) at: Instant,
    /// The whole schedule, from the barrier on, and its end.
    pub(crate) schedule: Option<(Schedule, End)>,
    /// Connections of this shard.
    pub(crate) connections: Option<NonZeroU32>,
    /// Where each scenario's share of all weights ends.
    pub(crate) shares: Option<Box<[u64]>>,
}

impl Switch {
    /// What the shard of `part` does at `at`, if the load becomes so.
    pub(crate) fn new(
        part: &ShardPlan,
        at: Instant,
        timetable: Option<&Timetable>,
        connections: Option<NonZeroU32>,
        weights: Option<&[NonZeroU32]>,
    ) -> Self {
        Self {
            at,
            schedule: timetable.map(|timetable| supply::schedule(part, timetable)),
            connections: connections.and_then(|all| part.share.connections_of(all)),
            shares: weights.map(|weights| choice::shares(weights.iter().copied())),
        }
    }

    /// Takes `later` in, and has all of it done at the moment of the earlier one.
    fn absorb(&mut self, later: Self) {
        let Self { schedule, connections, shares, .. } = later;
        self.schedule = schedule.or(self.schedule.take());
        self.connections = connections.or(self.connections);
        self.shares = shares.or(self.shares.take());
    }
}

/// What a shard tells the coordinator.
pub(crate) enum Reply {
    /// Every connection was tried once; how that went, by server.
    Opened(Vec<Opened>),
    /// A full envelope, and what the shard has used of its CPU so far.
    Envelope(Box<Snapshot>, Effort),
    /// No request starts any more.
    Draining,
    /// What users have in the end.
    Cookies(Vec<Cookie>),
    /// All exchanges of a try.
    Exchanged(Vec<Exchange>),
    /// The shard is done; its last envelope.
    Finished(Box<Snapshot>, Finished),
}

/// What a shard's thread has used of its CPU since the start barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Until then.
    pub(crate) at: Instant,
    /// CPU time, spinning included.
    pub(crate) cpu: Nanos,
    /// Time in which it spun and found nothing to do.
    pub(crate) spun: Nanos,
}

/// How opening the connections to a server went.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) open: u32,
    pub(crate) failed: u32,
    /// The last failure and the address that it happened with; of interest if nothing is open.
    pub(crate) failure: (Address, Trouble),
}

/// What a shard knows about itself at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) pinned: bool,
    /// Length of the window that the shard measured.
    pub(crate) window: Nanos,
    /// CPU time and wall time from the start barrier on.
    pub(crate) effort: Effort,
    pub(crate) wall_time: Nanos,
    /// The shard gave up because no connection could be had any more.
    pub(crate) target_lost: bool,
    /// Completions that the kernel had no room for and dropped.
    pub(crate) completions_lost: u64,
}

impl Finished {
    /// The share of the wall time that its work took of the CPU; what was spun away is no work.
    pub(crate) fn busy(&self) -> f64 {
        self.share(self.effort.cpu.saturating_sub(self.effort.spun))
    }

    /// The share of the wall time that was spun away.
    pub(crate) fn spun_share(&self) -> f64 {
        self.share(self.effort.spun)
    }

    fn share(&self, time: Nanos) -> f64 {
        let wall = self.wall_time.as_secs_f64();
        if wall > 0.0 { time.as_secs_f64() / wall } else { 0.0 }
    }
}

/// The shard's end.
pub(crate) struct Mailbox {
    orders: Consumer<Order>,
    replies: Producer<Reply>,
    /// A change whose moment had not come when it was last looked for.
    ahead: Option<Box<Switch>>,
}

/// The coordinator's end.
pub(crate) struct Desk {
    orders: Producer<Order>,
    replies: Consumer<Reply>,
}

/// A pair of connected ends.
pub(crate) fn mailbox() -> (Desk, Mailbox) {
    let (orders_in, orders) = RingBuffer::new(QUEUE);
    let (replies, replies_out) = RingBuffer::new(QUEUE);
    (Desk { orders: orders_in, replies: replies_out }, Mailbox { orders, replies, ahead: None })
}

impl Mailbox {
    /// The next order, if there is one.
    pub(super) fn order(&mut self) -> Option<Order> {
        self.orders.pop().ok()
    }

    /// Keeps a change until its moment. A shard that stood still hears of two at once: the later
    /// schedule is that of both.
    pub(super) fn keep(&mut self, switch: Box<Switch>) {
        match &mut self.ahead {
            Some(ahead) => ahead.absorb(*switch),
            None => self.ahead = Some(switch),
        }
    }

    /// The change whose moment has come at `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<Box<Switch>> {
        self.ahead.take_if(|switch| switch.at <= now)
    }

    /// When the next change is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.ahead.as_ref().map(|switch| switch.at)
    }

    /// Forgets the change that lies ahead.
    pub(super) fn forget(&mut self) {
        self.ahead = None;
    }

    /// Whether nobody will order anything any more.
    pub(super) fn abandoned(&self) -> bool {
        self.orders.is_abandoned() && self.orders.is_empty()
    }

    /// Sends `reply`.
    pub(super) fn reply(&mut self, reply: Reply) {
        let sent = self.replies.push(reply);
        debug_assert!(sent.is_ok() || self.abandoned(), "more replies than orders");
    }
}

impl Desk {
    /// Sends `order`; a shard that is gone takes none.
    pub(crate) fn order(&mut self, order: Order) {
        let _full = self.orders.push(order);
    }

    /// Whether there is room for an order that can wait, with some left for those that cannot.
    pub(crate) fn has_room(&self) -> bool {
        self.orders.slots() > QUEUE / 2
    }

    /// The next reply, if there is one.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        self.replies.pop().ok()
    }

    /// Whether the shard's thread has ended, and all that it said has been read.
    pub(crate) fn abandoned(&self) -> bool {
        self.replies.is_abandoned() && self.replies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spun_away_is_no_work() {
        let finished = |wall| Finished {
            pinned: true,
            window: Nanos::ZERO,
            effort: Effort {
                at: Instant::from_origin(0),
                cpu: Nanos::from_secs(8),
                spun: Nanos::from_secs(6),
            },
            wall_time: Nanos::from_secs(wall),
            target_lost: false,
            completions_lost: 0,
        };
        let of_eight = finished(8);
        assert!((of_eight.busy() - 0.25).abs() < 1e-12);
        assert!((of_eight.spun_share() - 0.75).abs() < 1e-12);
        // A run that never started.
        assert!(finished(0).busy().abs() < 1e-12);
    }
}
