//! HOW IT WENT: counters and histograms of one shard, with all their memory fixed at the start.
//!
//! A [`Recorder`] is one envelope: the shard writes into it, and hands it over as a whole when the
//! coordinator offers an empty one in exchange. Nothing is shared, so nothing is locked. What
//! leaves the shard is merged by addition ([`Snapshot::merge`]), which is exact.

pub mod buckets;
mod exchange;
mod fed;
mod flow;
mod histogram;
mod latencies;
mod ledger;
mod looked;
mod moments;
mod multiplexed;
mod outcome;
mod reached;
mod redirects;
mod row;
mod secured;
mod snapshot;
mod timeline;
mod unset;

pub use exchange::{Answer, Coded, End, Exchange, Found, Kept};
pub use fed::Fed;
pub use flow::{Flow, FlowEnd};
pub use histogram::{Histogram, Quantile};
pub use latencies::{Bounds, Latencies, Spans};
pub use ledger::Ledger;
pub use looked::Looked;
pub use moments::{Exemplar, Fate, Moments, Slowest};
pub use multiplexed::{CODES, Multiplexed, code_name};
pub use outcome::{Cause, ErrorTable, Kind, Party, Phase, Trouble};
pub use reached::Reached;
pub use redirects::{Redirects, Unfollowed};
pub use row::Row;
pub use secured::{Agreed, Alpn, Secured, TlsTrouble};
pub use snapshot::{Connections, Oddities, Parts, Snapshot, Statuses};
pub use timeline::{Chronicle, ROW, Step, Tally, Timeline};
pub use unset::Unset;

use crate::units::{Instant, Nanos};

/// Writes what happened on a shard into the envelope of the moment.
///
/// Every method is O(1) and allocates nothing, but for the first occurrence of a kind of trouble.
#[derive(Debug)]
pub struct Recorder {
    envelope: Box<Snapshot>,
    window: Window,
    open_loop: bool,
}

/// The measured window: what starts within it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// End of the warm-up.
    pub from: Instant,
    /// End of the schedule; in the far future while nothing but a number of requests bounds it.
    pub to: Instant,
}

impl Window {
    /// A window in which nothing ever lies; for the time before the start barrier.
    pub const NEVER: Self =
        Self { from: Instant::from_origin(u64::MAX), to: Instant::from_origin(u64::MAX) };

    /// Whether `moment` lies in the window.
    #[must_use]
    pub fn contains(&self, moment: Instant) -> bool {
        self.from <= moment && moment < self.to
    }
}

/// Slots that were never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// No connection was free, and the plan says not to wait for one.
    Dropped,
    /// Their deadline passed before a connection was free.
    TimedOut,
    /// The run ended.
    Unfinished,
}

impl Recorder {
    /// A recorder which writes into `envelope`; `open_loop` says whether there are intended starts.
    #[must_use]
    pub fn new(envelope: Box<Snapshot>, open_loop: bool) -> Self {
        Self { envelope, window: Window::NEVER, open_loop }
    }

    /// Sets the measured window.
    pub fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// Sets the measured window for the first time, when nothing has been counted in it yet.
    pub fn open_window(&mut self, window: Window) {
        self.envelope.timeline.set_origin(window.from);
        self.window = window;
    }

    /// The measured window.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// Puts `empty` in place of the envelope of the moment, and returns that.
    pub fn exchange(&mut self, mut empty: Box<Snapshot>) -> Box<Snapshot> {
        empty.timeline.set_origin(self.envelope.timeline.origin());
        // Whoever made it has seen to that, or pays for it once.
        empty.rows.resize_with(self.envelope.rows.len(), Row::default);
        empty.looked.resize_with(self.envelope.looked.len(), Looked::default);
        empty.fed.resize_with(self.envelope.fed.len(), Fed::default);
        empty.flows.resize_with(self.envelope.flows.len(), Flow::default);
        core::mem::replace(&mut self.envelope, empty)
    }

    /// Takes the last envelope out.
    #[must_use]
    pub fn into_envelope(self) -> Box<Snapshot> {
        self.envelope
    }

    /// `count` slots are due or started, of which this shard owes an outcome each.
    pub fn scheduled(&mut self, count: u64) {
        self.envelope.ledger.scheduled += count;
    }

    /// A request of the row `index` has an outcome; `note` is told its row and its latency, if it
    /// has one and belongs to the window.
    #[inline]
    pub fn row(&mut self, index: u16, moments: &Moments, note: impl FnOnce(&mut Row, Nanos)) {
        if let Some(row) = self.envelope.rows.get_mut(usize::from(index))
            && self.window.contains(moments.intended)
        {
            note(row, moments.response());
        }
    }

    /// The flow `index` began at `begun`, when its first request was intended to start.
    pub fn flow_begun(&mut self, index: u16, begun: Instant) {
        if let Some(flow) = self.envelope.flows.get_mut(usize::from(index))
            && self.window.contains(begun)
        {
            flow.begun += 1;
        }
    }

    /// The flow `index` that began at `begun` has ended after `took`, pauses left out.
    pub fn flow_ended(&mut self, index: u16, begun: Instant, took: Nanos, how: FlowEnd) {
        if let Some(flow) = self.envelope.flows.get_mut(usize::from(index))
            && self.window.contains(begun)
        {
            flow.ended(took, how);
        }
    }

    /// What has this `number` was looked for in a response.
    pub fn looked(&mut self, number: usize, moments: &Moments, answer: Result<bool, &'static str>) {
        if let Some(looked) = self.envelope.looked.get_mut(number)
            && self.window.contains(moments.intended)
        {
            looked.count(answer);
        }
    }

    /// Something was taken from the feed with this `number`, or waited for.
    pub fn fed(&mut self, number: usize, note: impl FnOnce(&mut Fed)) {
        if let Some(fed) = self.envelope.fed.get_mut(number) {
            note(fed);
        }
    }

    /// `count` requests with the same moments were sent; those after `written` are not known yet.
    pub fn started(&mut self, moments: &Moments, count: u64) {
        let envelope = &mut *self.envelope;
        let Moments { intended, written, .. } = *moments;
        if self.window.contains(intended) && self.window.contains(written) {
            envelope.sent_in_window += count;
        }
        if moments.written >= self.window.from
            && let Some(row) = envelope.timeline.at(moments.written)
        {
            row.tally.sent += count;
        }
        if self.open_loop && self.window.contains(moments.intended) {
            let parts = &mut envelope.parts;
            parts.lag.record_many(moments.lag(), count);
            parts.loop_lag.record_many(moments.loop_lag(), count);
            parts.connection_wait.record_many(moments.connection_wait(), count);
            if let Some(row) = envelope.timeline.at(moments.intended) {
                row.tally.loop_lag_max = row.tally.loop_lag_max.max(moments.loop_lag());
            }
        }
    }

    /// The shard was to go on at `from`, and did so at `to`.
    pub fn held_up(&mut self, from: Instant, to: Instant) {
        if self.window.contains(from) {
            let longest = &mut self.envelope.oddities.longest_hold_up;
            *longest = to.since(from).max(*longest);
        }
    }

    /// So many requests were sent together.
    pub fn burst(&mut self, slots: u64) {
        let longest = &mut self.envelope.oddities.longest_burst;
        *longest = slots.max(*longest);
    }

    /// `count` complete responses with the same moments and the same `status` arrived on
    /// `connection`; `good` says whether every check held.
    pub fn responses(
        &mut self,
        moments: &Moments,
        (status, good): (u16, bool),
        connection: u32,
        count: u64,
    ) {
        let finished = moments.finished;
        let good_ones = if good { count } else { 0 };
        let envelope = &mut *self.envelope;
        if self.window.contains(finished) {
            envelope.finished_in_window += count;
            envelope.good_in_window += good_ones;
        }
        if finished >= self.window.from
            && let Some(row) = envelope.timeline.at(finished)
        {
            row.tally.finished += count;
            row.tally.good += good_ones;
        }
        // How quick the server is under light use may be known from the warm-up only.
        if self.open_loop && moments.light && moments.intended < self.window.to {
            envelope.parts.service_light.record_many(moments.service(), count);
        }
        if !self.window.contains(moments.intended) {
            return;
        }
        envelope.ledger.ok += good_ones;
        envelope.ledger.failed += count - good_ones;
        envelope.statuses.count(status, count);
        envelope.parts.ttfb.record_many(moments.first_byte.since(moments.written), count);
        envelope.latency.responses(moments.response(), status, good, count);
        self.ended(moments, Some(good), count);
        if self.envelope.slowest.takes(moments.response()) {
            let fate = Fate::Response(status);
            let exemplar = Exemplar { moments: *moments, fate, connection };
            self.envelope.slowest.offer_many(&exemplar, count);
        }
    }

    /// A request ended without a valid response. It enters the latencies with the time to its
    /// failure.
    pub fn error(&mut self, moments: &Moments, trouble: Trouble, connection: u32) {
        if self.window.contains(moments.intended) {
            self.envelope.ledger.errors += 1;
            self.envelope.latency.error(moments.response());
            self.ended(moments, Some(false), 1);
            let exemplar = Exemplar { moments: *moments, fate: Fate::Trouble(trouble), connection };
            self.envelope.errors.count_request(trouble, exemplar);
            self.envelope.slowest.offer(&exemplar);
        }
    }

    /// A request that was sent was given up. Its latency is known to be longer than it was waited
    /// for.
    pub fn timeout(&mut self, moments: &Moments, phase: Phase, connection: u32) {
        if self.window.contains(moments.intended) {
            let trouble = Trouble { phase, cause: Cause::TimedOut };
            self.envelope.ledger.timeouts += 1;
            self.envelope.latency.censored(moments.response(), 1);
            self.ended(moments, None, 1);
            let exemplar = Exemplar { moments: *moments, fate: Fate::Trouble(trouble), connection };
            self.envelope.errors.count_request(trouble, exemplar);
            self.envelope.slowest.offer(&exemplar);
        }
    }

    /// A request that was sent was without an outcome when the run ended.
    pub fn unfinished(&mut self, moments: &Moments) {
        if self.window.contains(moments.intended) {
            self.envelope.ledger.unfinished += 1;
            self.envelope.latency.censored(moments.response(), 1);
            self.ended(moments, None, 1);
        }
    }

    /// `count` slots around `intended` were given up at `now` without having been sent.
    pub fn unsent(&mut self, intended: Instant, now: Instant, why: Unsent, count: u64) {
        if !self.window.contains(intended) {
            return;
        }
        let envelope = &mut *self.envelope;
        match why {
            Unsent::Dropped => {
                envelope.ledger.dropped += count;
                // It leaves the schedule when it is dropped.
                envelope.parts.loop_lag.record_many(now.since(intended), count);
            }
            Unsent::Unfinished => envelope.ledger.unfinished += count,
            Unsent::TimedOut => {
                envelope.ledger.timeouts += count;
                let trouble = Trouble { phase: Phase::Queue, cause: Cause::TimedOut };
                envelope.errors.count_many(trouble, count);
            }
        }
        let waited = now.since(intended);
        envelope.latency.censored(waited, count);
        if let Some(row) = envelope.timeline.at(intended) {
            row.tally.arrived += count;
            row.tally.censored += count;
            row.latency.record_many(waited, count);
        }
        if let Some(row) = envelope.timeline.at(now) {
            row.tally.ended += count;
        }
    }

    /// A connection failed while no request was outstanding on it.
    pub fn connection_trouble(&mut self, trouble: Trouble) {
        self.envelope.errors.count(trouble);
    }

    /// A connection was established `took` after it was asked for.
    pub fn connected(&mut self, took: Nanos, again: bool) {
        self.envelope.connections.opened += 1;
        self.envelope.connections.reconnects += u64::from(again);
        self.envelope.parts.connect.record(took);
    }

    /// A handshake took `took` and ended with what was `agreed` on.
    pub fn secured(&mut self, took: Nanos, agreed: Agreed) {
        self.envelope.parts.tls.get_or_insert_default().record(took);
        self.envelope.secured.count(agreed);
    }

    /// What happened to HTTP/2 connections is counted here.
    pub fn multiplexed(&mut self) -> &mut Multiplexed {
        &mut self.envelope.multiplexed
    }

    /// `note` is told what was counted of the server with this number, of several. The first time
    /// that it is named may allocate.
    pub fn origin(&mut self, number: u16, note: impl FnOnce(&mut Reached)) {
        let (place, origins) = (usize::from(number), &mut self.envelope.origins);
        if place >= origins.len() {
            origins.resize(place + 1, Reached::default());
        }
        if let Some(reached) = origins.get_mut(place) {
            note(reached);
        }
    }

    /// The captured value with this number was used at `moment` before there was one; `note` is
    /// told what was counted of it. The first time of a value may allocate.
    pub fn unset(&mut self, number: u16, moment: Instant, note: impl FnOnce(&mut Unset)) {
        if !self.window.contains(moment) {
            return;
        }
        let (place, unset) = (usize::from(number), &mut self.envelope.unset);
        if place >= unset.len() {
            unset.resize(place + 1, Unset::default());
        }
        if let Some(unset) = unset.get_mut(place) {
            note(unset);
        }
    }

    /// A redirect of the request that was `intended` then is followed, or is its response.
    pub fn redirected(&mut self, intended: Instant, what: Result<(), Unfollowed>) {
        if self.window.contains(intended) {
            match what {
                Ok(()) => self.envelope.redirects.followed += 1,
                Err(why) => self.envelope.redirects.stand(why),
            }
        }
    }

    /// A redirect of the request that was `intended` then led to the host of this name, which is
    /// not one of the run. The first time may allocate.
    pub fn led_elsewhere(&mut self, intended: Instant, name: &[u8]) {
        if self.window.contains(intended) {
            self.envelope.redirects.led_elsewhere(name);
        }
    }

    /// What became of connections is counted here.
    pub fn connections(&mut self) -> &mut Connections {
        &mut self.envelope.connections
    }

    /// `bytes` were handed to the kernel to the last.
    pub fn sent(&mut self, bytes: u64) {
        self.envelope.bytes_sent += bytes;
    }

    /// `bytes` were received.
    pub fn received(&mut self, bytes: u64) {
        self.envelope.bytes_received += bytes;
    }

    /// The last completion of a batch was taken in `age` after the batch was reaped.
    pub fn reaped(&mut self, age: Nanos) {
        self.envelope.parts.reap_age.record(age);
    }

    /// `count` requests of the window that were sent have their outcome: `good` says whether their
    /// checks held, `None` that they did not end by themselves.
    fn ended(&mut self, moments: &Moments, good: Option<bool>, count: u64) {
        debug_assert!(moments.in_order(), "{moments:?}");
        let envelope = &mut *self.envelope;
        if !moments.in_order() {
            envelope.oddities.disordered += count;
        }
        let response = moments.response();
        if self.open_loop {
            let parts = &mut envelope.parts;
            let service = match good {
                Some(_) => &mut parts.service,
                None => parts.service_censored.get_or_insert_default(),
            };
            service.record_many(moments.service(), count);
            if good.is_some() {
                let unhindered = response.saturating_sub(moments.loop_lag());
                parts.unhindered.record_many(unhindered, count);
            }
        }
        if let Some(row) = envelope.timeline.at(moments.intended) {
            row.tally.arrived += count;
            row.tally.ok += if good == Some(true) { count } else { 0 };
            row.tally.censored += if good.is_none() { count } else { 0 };
            row.latency.record_many(response, count);
        }
        if let Some(row) = envelope.timeline.at(moments.finished) {
            row.tally.ended += count;
        }
    }
}
