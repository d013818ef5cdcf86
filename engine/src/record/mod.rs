//! HOW IT WENT: counters and histograms of one shard, with all their memory fixed at the start.
//!
//! A [`Recorder`] is one envelope: the shard writes into it, and hands it over as a whole when the
//! coordinator offers an empty one in exchange. Nothing is shared, so nothing is locked. What
//! leaves the shard is merged by addition ([`Snapshot::merge`]), which is exact.

mod histogram;
mod ledger;
mod outcome;
mod snapshot;

pub use histogram::{Histogram, Quantile};
pub use ledger::Ledger;
pub use outcome::{Cause, ErrorTable, Phase, Trouble};
pub use snapshot::{Connections, Snapshot, Statuses};

use crate::units::{Instant, Nanos};

/// The moments of one finished request. `intended ≤ written ≤ first_byte ≤ finished`.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// When the schedule wanted it to start; equal to `written` in a closed loop.
    pub intended: Instant,
    /// When its first byte was handed to the kernel.
    pub written: Instant,
    /// When the first byte of the final response was reaped.
    pub first_byte: Instant,
    /// When the last byte was reaped, or the request was given up.
    pub finished: Instant,
}

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

    /// The measured window.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// Puts `empty` in place of the envelope of the moment, and returns that.
    pub fn exchange(&mut self, empty: Box<Snapshot>) -> Box<Snapshot> {
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

    /// A complete response arrived with `status`; `good` says whether every check held.
    pub fn response(&mut self, moments: &Moments, status: u16, good: bool) {
        let envelope = &mut *self.envelope;
        if self.window.contains(moments.finished) {
            envelope.finished_in_window += 1;
            envelope.good_in_window += u64::from(good);
        }
        if !self.window.contains(moments.intended) {
            return;
        }
        if good {
            envelope.ledger.ok += 1;
        } else {
            envelope.ledger.failed += 1;
        }
        envelope.statuses.count(status);
        envelope.ttfb.record(moments.first_byte.since(moments.written));
        self.latency(moments);
    }

    /// A request ended without a valid response.
    pub fn error(&mut self, intended: Instant, trouble: Trouble) {
        if self.window.contains(intended) {
            self.envelope.ledger.errors += 1;
            self.envelope.errors.count(trouble);
        }
    }

    /// A request, `written` then, was given up at `now`. It enters the latencies with the time that
    /// it was waited for, which is a lower bound: left out, it would flatter the server.
    pub fn timeout(&mut self, intended: Instant, written: Instant, now: Instant, phase: Phase) {
        if self.window.contains(intended) {
            self.envelope.ledger.timeouts += 1;
            self.envelope.errors.count(Trouble { phase, cause: Cause::TimedOut });
            self.latency(&Moments { intended, written, first_byte: now, finished: now });
        }
    }

    /// `count` slots of the window were still without an outcome when the run ended.
    pub fn unfinished(&mut self, count: u64) {
        self.envelope.ledger.unfinished += count;
    }

    /// A connection failed while no request was outstanding on it.
    pub fn connection_trouble(&mut self, trouble: Trouble) {
        self.envelope.errors.count(trouble);
    }

    /// A connection was established `took` after it was asked for.
    pub fn connected(&mut self, took: Nanos, again: bool) {
        self.envelope.connections.opened += 1;
        self.envelope.connections.reconnects += u64::from(again);
        self.envelope.connect.record(took);
    }

    /// The peer closed a connection.
    pub fn closed_by_peer(&mut self) {
        self.envelope.connections.closed_by_peer += 1;
    }

    /// `bytes` were handed to the kernel to the last.
    pub fn sent(&mut self, bytes: u64) {
        self.envelope.bytes_sent += bytes;
    }

    /// `bytes` were received.
    pub fn received(&mut self, bytes: u64) {
        self.envelope.bytes_received += bytes;
    }

    fn latency(&mut self, moments: &Moments) {
        debug_assert!(moments.intended <= moments.written);
        debug_assert!(moments.written <= moments.finished);
        let envelope = &mut *self.envelope;
        envelope.service.record(moments.finished.since(moments.written));
        if self.open_loop {
            envelope.response.record(moments.finished.since(moments.intended));
            envelope.lag.record(moments.written.since(moments.intended));
        }
    }
}
