//! When a reply leaves, and what is wrong with it: pure arithmetic on the moments of arrival.
//!
//! Tests of a load generator compare what it measured with what this file says, so each model is
//! one that has a closed form. Several may be combined; a request passes them in this order:
//!
//! 1. a *queue* with one server and a fixed service time, first come first served (Lindley's
//!    recursion): the service of a request begins when it arrives, or when the one before it is
//!    done;
//! 2. a fixed *delay*, and for every K-th request a longer one;
//! 3. a *freeze*: what would leave during the first part of a period leaves at that part's end, at
//!    once.
//!
//! Every shard is a server of its own: it has its own queue and its own count of requests, while
//! freezes begin at the same moments on all of them.

use core::num::NonZeroU64;

use pummel_engine::units::{Instant, Nanos};

/// The moment for what leaves without being timed.
pub(super) const AT_ONCE: Instant = Instant::from_origin(0);

/// What delays replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timing {
    /// Service time of the queue; zero: there is no queue.
    pub(super) service_time: Nanos,
    /// Added to every reply.
    pub(super) delay: Nanos,
    pub(super) slow: Option<Slow>,
    pub(super) freeze: Option<Freeze>,
    /// Span over which a body is sent in pieces.
    pub(super) drip: Nanos,
}

impl Timing {
    /// Whether anything is delayed at all.
    pub(super) fn is_timed(&self) -> bool {
        *self != Self::default()
    }
}

/// Every K-th reply takes longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slow {
    pub(super) every: NonZeroU64,
    pub(super) by: Nanos,
}

/// No replies during the first part of each period. The part is shorter than the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freeze {
    span: Nanos,
    period: Nanos,
}

impl Freeze {
    /// `None` unless the freeze is shorter than its period.
    pub(super) fn new(span: Nanos, period: Nanos) -> Option<Self> {
        (span < period).then_some(Self { span, period })
    }

    /// When what is due at `due` leaves, with the first period beginning at `origin`.
    fn thaw(self, due: Instant, origin: Instant) -> Instant {
        // The period is longer than the span, hence not zero.
        let phase = Nanos::new(due.since(origin).get() % self.period.get());
        if phase < self.span { due + self.span.saturating_sub(phase) } else { due }
    }
}

/// What goes wrong on purpose: the N of each kind that goes wrong with every N-th reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) reset: Option<NonZeroU64>,
    pub(super) silent: Option<NonZeroU64>,
    pub(super) broken: Option<NonZeroU64>,
}

/// What goes wrong with one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is never sent.
    Silent,
    /// It is cut by a reset.
    Reset,
    /// It breaks the protocol.
    Broken,
}

/// How one request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// When it leaves; [`AT_ONCE`] if nothing is timed.
    pub(super) due: Instant,
    /// Number of the request on this shard, from 0.
    pub(super) number: u64,
    pub(super) fault: Option<Fault>,
}

/// The models of one shard, and where they stand.
#[derive(Debug)]
pub(super) struct Model {
    timing: Timing,
    faults: Faults,
    /// The first freeze begins here.
    origin: Instant,
    asked: u64,
    /// When the queue has served all that has arrived.
    idle_at: Instant,
}

impl Model {
    pub(super) fn new(timing: Timing, faults: Faults, origin: Instant) -> Self {
        Self { timing, faults, origin, asked: 0, idle_at: AT_ONCE }
    }

    /// Decides about the next request, which is complete at `arrived`. O(1).
    pub(super) fn answer(&mut self, arrived: Instant) -> Answer {
        let number = self.asked;
        self.asked += 1;
        let due = if self.timing.is_timed() { self.due(arrived) } else { AT_ONCE };
        Answer { due, number, fault: self.fault() }
    }

    fn due(&mut self, arrived: Instant) -> Instant {
        let Timing { service_time, delay, slow, freeze, .. } = self.timing;
        self.idle_at = arrived.max(self.idle_at) + service_time;
        let served = if service_time > Nanos::ZERO { self.idle_at } else { arrived };
        let slow = slow.filter(|slow| self.is_turn(slow.every)).map_or(Nanos::ZERO, |slow| slow.by);
        let due = served + delay + slow;
        freeze.map_or(due, |freeze| freeze.thaw(due, self.origin))
    }

    fn fault(&self) -> Option<Fault> {
        let Faults { reset, silent, broken } = self.faults;
        let turn = |every: Option<NonZeroU64>| every.is_some_and(|every| self.is_turn(every));
        match () {
            () if turn(silent) => Some(Fault::Silent),
            () if turn(reset) => Some(Fault::Reset),
            () if turn(broken) => Some(Fault::Broken),
            () => None,
        }
    }

    /// Whether the request that was counted last is one of every `every`.
    fn is_turn(&self, every: NonZeroU64) -> bool {
        self.asked.is_multiple_of(every.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn at(n: u64) -> Instant {
        Instant::from_origin(1_000 * MS + n)
    }

    /// When replies to requests at `arrivals` leave, all in nanoseconds after the origin.
    fn dues(timing: Timing, arrivals: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut model = Model::new(timing, Faults::default(), at(0));
        let due = |arrival| model.answer(at(arrival)).due.since(at(0)).get();
        arrivals.into_iter().map(due).collect()
    }

    #[test]
    fn without_timing_replies_leave_at_once() {
        let mut model = Model::new(Timing::default(), Faults::default(), at(0));
        assert_eq!(model.answer(at(5)).due, AT_ONCE);
    }

    #[test]
    fn a_delay_is_added_to_each_arrival() {
        let timing = Timing { delay: Nanos::new(7), ..Timing::default() };
        assert_eq!(dues(timing, [0, 1, 100]), [7, 8, 107]);
    }

    #[test]
    fn every_kth_reply_is_slower_and_lets_others_overtake_it() {
        let slow = Slow { every: NonZeroU64::new(3).unwrap(), by: Nanos::new(50) };
        let timing = Timing { delay: Nanos::new(1), slow: Some(slow), ..Timing::default() };
        assert_eq!(dues(timing, [0, 10, 20, 30, 40, 50]), [1, 11, 71, 31, 41, 101]);
    }

    #[test]
    fn what_is_due_in_a_freeze_leaves_at_its_end() {
        let freeze = Freeze::new(Nanos::new(100), Nanos::new(1_000));
        let timing = Timing { freeze, ..Timing::default() };
        let arrivals = [0, 99, 100, 999, 1_000, 1_050, 1_100];
        assert_eq!(dues(timing, arrivals), [100, 100, 100, 999, 1_100, 1_100, 1_100]);
    }

    #[test]
    fn a_freeze_catches_what_the_delay_carries_into_it() {
        let freeze = Freeze::new(Nanos::new(100), Nanos::new(1_000));
        let timing = Timing { freeze, delay: Nanos::new(30), ..Timing::default() };
        assert_eq!(dues(timing, [980, 969, 70]), [1_100, 999, 100]);
    }

    #[test]
    fn a_freeze_must_end_before_the_next_begins() {
        assert_eq!(Freeze::new(Nanos::new(5), Nanos::new(5)), None);
        assert_eq!(Freeze::new(Nanos::ZERO, Nanos::ZERO), None);
    }

    #[test]
    fn a_burst_waits_in_line_and_a_lone_request_does_not() {
        let timing = Timing { service_time: Nanos::new(10), ..Timing::default() };
        assert_eq!(dues(timing, [0, 0, 0, 5, 100]), [10, 20, 30, 40, 110]);
    }

    #[test]
    fn an_overloaded_queue_grows_by_the_excess_of_each_request() {
        // Service 1.5 times the gap: the k-th of them waits k half gaps.
        let timing = Timing { service_time: Nanos::new(150), ..Timing::default() };
        let dues = dues(timing, (0..1_000).map(|k| k * 100));
        for (k, due) in (0..).zip(dues) {
            assert_eq!(due, 150 * (k + 1));
        }
    }

    #[test]
    fn each_fault_has_its_turn() {
        let every = NonZeroU64::new;
        let faults = Faults { reset: every(2), silent: every(4), broken: every(3) };
        let mut model = Model::new(Timing::default(), faults, at(0));
        let seen: Vec<_> = (0..6).map(|_| model.answer(at(0)).fault).collect();
        let (reset, silent, broken) = (Fault::Reset, Fault::Silent, Fault::Broken);
        let expected = [None, Some(reset), Some(broken), Some(silent), None, Some(reset)];
        assert_eq!(seen, expected);
    }

    proptest! {
        #[test]
        fn a_queue_is_the_greatest_of_all_starts_of_busy_periods(
            gaps in prop::collection::vec(0..30u64, 1..60),
            service in 1..20u64,
        ) {
            let arrivals: Vec<u64> = gaps.iter().scan(0, |sum, gap| {
                *sum += gap;
                Some(*sum)
            }).collect();
            let timing = Timing { service_time: Nanos::new(service), ..Timing::default() };
            for (n, due) in dues(timing, arrivals.clone()).into_iter().enumerate() {
                // Lindley unrolled: D(n) = max over k ≤ n of A(k) + (n − k + 1) S.
                let starts = (0..=n).map(|k| arrivals[k] + (n - k + 1) as u64 * service);
                prop_assert_eq!(Some(due), starts.max());
            }
        }

        #[test]
        fn nothing_leaves_in_a_freeze_nor_before_it_arrived(
            arrivals in prop::collection::vec(0..5_000u64, 1..60),
            span in 1..99u64,
        ) {
            let freeze = Freeze::new(Nanos::new(span), Nanos::new(100));
            for (arrival, due) in arrivals.iter().zip(dues(
                Timing { freeze, ..Timing::default() },
                arrivals.clone(),
            )) {
                prop_assert!(due >= *arrival && due - arrival <= span && due % 100 >= span);
            }
        }
    }
}
