//! When a reply leaves, and what is wrong with it: pure arithmetic on the moments of arrival.
//!
//! Tests of a load generator compare what it measured with what this file says, so each model is
//! one that has a closed form. Several may be combined; a request passes them in this order:
//!
//! 1. a *queue* with one server, first come first served (Lindley's recursion): the service of a
//!    request begins when it arrives, or when the one before it is done, and takes a constant time
//!    or one that is drawn from a law;
//! 2. a fixed *delay*, and for every K-th request a longer one;
//! 3. a *freeze*: what would leave during the first part of a period leaves at that part's end, at
//!    once. The server of a queue does not work either while it is frozen, so that what has piled
//!    up behind it afterwards leaves as fast as it is served.
//!
//! Every shard is a server of its own: it has its own queue and its own count of requests, while
//! freezes begin at the same moments on all of them.

use core::num::NonZeroU64;

use pummel_engine::units::{Instant, Nanos};

use super::law::{Service, Times};

/// The moment for what leaves without being timed.
pub(super) const AT_ONCE: Instant = Instant::from_origin(0);

/// What delays replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) service: Service,
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
    pub(super) turn: Turn,
    pub(super) by: Nanos,
}

/// No replies during the first part of each period. The part is shorter than the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freeze {
    span: Nanos,
    period: Nanos,
    /// From the origin to the first period.
    offset: Nanos,
}

impl Freeze {
    /// `None` unless the freeze is shorter than its period.
    pub(super) fn new(span: Nanos, period: Nanos, offset: Nanos) -> Option<Self> {
        (span < period).then_some(Self { span, period, offset })
    }

    /// Since when the freeze is counted that `at` belongs to, and how long ago that is; `None`
    /// before the first one.
    fn phase(self, at: Instant, origin: Instant) -> Option<Nanos> {
        let first = origin + self.offset;
        // The period is longer than the span, hence not zero.
        (at >= first).then(|| Nanos::new(at.since(first).get() % self.period.get()))
    }

    /// When what is due at `due` leaves, with the periods counted from `origin`.
    fn thaw(self, due: Instant, origin: Instant) -> Instant {
        match self.phase(due, origin) {
            Some(phase) if phase < self.span => due + self.span.saturating_sub(phase),
            _ => due,
        }
    }

    /// When `work` is done that begins at `start`, with rests while it is frozen. O(1).
    fn worked(self, start: Instant, work: Nanos, origin: Instant) -> Instant {
        let start = self.thaw(start, origin);
        let awake = match self.phase(start, origin) {
            Some(phase) => self.period.saturating_sub(phase),
            None => (origin + self.offset).since(start),
        };
        if work < awake {
            return start + work;
        }
        // The rest, from the end of the next freeze on, in periods with less and less to do.
        let rest = work.saturating_sub(awake).get();
        let per_period = self.period.saturating_sub(self.span).get();
        let periods = self.period.saturating_mul(rest / per_period);
        start + awake + periods + self.span + Nanos::new(rest % per_period)
    }
}

/// Which requests something happens to: of the k-th of a shard, counted from 1, those with
/// k ≡ `offset` modulo `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    every: NonZeroU64,
    offset: u64,
}

impl Turn {
    /// `None` unless the offset is less than the distance, as no request would have its turn.
    pub(super) fn new(every: NonZeroU64, offset: u64) -> Option<Self> {
        (offset < every.get()).then_some(Self { every, offset })
    }

    /// Each `every`-th request.
    pub(super) const fn every(every: NonZeroU64) -> Self {
        Self { every, offset: 0 }
    }

    /// Whether it is the turn of the `k`-th request.
    fn has(self, k: u64) -> bool {
        k % self.every == self.offset
    }
}

/// What goes wrong on purpose, each with its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) reset: Option<Turn>,
    pub(super) silent: Option<Turn>,
    pub(super) broken: Option<Turn>,
    /// On HTTP/2 alone.
    pub(super) stream_refused: Option<Turn>,
    pub(super) stream_reset: Option<Turn>,
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
    /// In its place comes that the request was not processed.
    StreamRefused,
    /// In its place comes the end of its stream.
    StreamReset,
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
    /// How long the queue's server works on each request.
    times: Times,
    faults: Faults,
    /// Freezes are counted from here.
    origin: Instant,
    asked: u64,
    /// When the queue has served all that has arrived.
    idle_at: Instant,
}

impl Model {
    pub(super) fn new(timing: Timing, faults: Faults, origin: Instant, shard: u32) -> Self {
        let times = Times::of(timing.service.of_shard(shard.into()));
        Self { timing, times, faults, origin, asked: 0, idle_at: AT_ONCE }
    }

    /// Decides about the next request, which is complete at `arrived`. O(1).
    pub(super) fn answer(&mut self, arrived: Instant) -> Answer {
        let number = self.asked;
        self.asked += 1;
        let due = if self.timing.is_timed() { self.due(arrived) } else { AT_ONCE };
        Answer { due, number, fault: self.fault() }
    }

    fn due(&mut self, arrived: Instant) -> Instant {
        let Timing { delay, slow, freeze, .. } = self.timing;
        let served = self.times.draw().map_or(arrived, |work| {
            let begin = arrived.max(self.idle_at);
            self.idle_at =
                freeze.map_or(begin + work, |freeze| freeze.worked(begin, work, self.origin));
            self.idle_at
        });
        let slow = slow.filter(|slow| slow.turn.has(self.asked));
        let due = served + delay + slow.map_or(Nanos::ZERO, |slow| slow.by);
        freeze.map_or(due, |freeze| freeze.thaw(due, self.origin))
    }

    fn fault(&self) -> Option<Fault> {
        let Faults { reset, silent, broken, stream_refused, stream_reset } = self.faults;
        let turn = |turn: Option<Turn>| turn.is_some_and(|turn| turn.has(self.asked));
        match () {
            () if turn(silent) => Some(Fault::Silent),
            () if turn(reset) => Some(Fault::Reset),
            () if turn(broken) => Some(Fault::Broken),
            () if turn(stream_refused) => Some(Fault::StreamRefused),
            () if turn(stream_reset) => Some(Fault::StreamReset),
            () => None,
        }
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

    fn freeze(span: u64, period: u64, offset: u64) -> Option<Freeze> {
        Freeze::new(Nanos::new(span), Nanos::new(period), Nanos::new(offset))
    }

    /// A queue with a constant service time.
    fn queue(time: u64) -> Timing {
        Timing { service: Service::Constant(Nanos::new(time)), ..Timing::default() }
    }

    /// When replies to requests at `arrivals` leave, all in nanoseconds after the origin.
    fn dues(timing: Timing, arrivals: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut model = Model::new(timing, Faults::default(), at(0), 0);
        let due = |arrival| model.answer(at(arrival)).due.since(at(0)).get();
        arrivals.into_iter().map(due).collect()
    }

    #[test]
    fn without_timing_replies_leave_at_once() {
        let mut model = Model::new(Timing::default(), Faults::default(), at(0), 0);
        assert_eq!(model.answer(at(5)).due, AT_ONCE);
    }

    #[test]
    fn a_delay_is_added_to_each_arrival() {
        let timing = Timing { delay: Nanos::new(7), ..Timing::default() };
        assert_eq!(dues(timing, [0, 1, 100]), [7, 8, 107]);
    }

    #[test]
    fn every_kth_reply_is_slower_and_lets_others_overtake_it() {
        let turn = Turn::every(NonZeroU64::new(3).unwrap());
        let slow = Slow { turn, by: Nanos::new(50) };
        let timing = Timing { delay: Nanos::new(1), slow: Some(slow), ..Timing::default() };
        assert_eq!(dues(timing, [0, 10, 20, 30, 40, 50]), [1, 11, 71, 31, 41, 101]);
    }

    #[test]
    fn what_is_due_in_a_freeze_leaves_at_its_end() {
        let timing = Timing { freeze: freeze(100, 1_000, 0), ..Timing::default() };
        let arrivals = [0, 99, 100, 999, 1_000, 1_050, 1_100];
        assert_eq!(dues(timing, arrivals), [100, 100, 100, 999, 1_100, 1_100, 1_100]);
    }

    #[test]
    fn a_freeze_catches_what_the_delay_carries_into_it() {
        let freeze = freeze(100, 1_000, 0);
        let timing = Timing { freeze, delay: Nanos::new(30), ..Timing::default() };
        assert_eq!(dues(timing, [980, 969, 70]), [1_100, 999, 100]);
    }

    #[test]
    fn a_freeze_must_end_before_the_next_begins() {
        assert_eq!(freeze(5, 5, 0), None);
        assert_eq!(freeze(0, 0, 0), None);
    }

    #[test]
    fn there_is_no_freeze_before_the_first() {
        let timing = Timing { freeze: freeze(100, 1_000, 250), ..Timing::default() };
        let arrivals = [0, 249, 250, 349, 350, 1_200, 1_250];
        assert_eq!(dues(timing, arrivals), [0, 249, 350, 350, 350, 1_200, 1_350]);
    }

    #[test]
    fn a_frozen_queue_does_not_work_and_drains_as_fast_as_it_serves() {
        let timing = Timing { freeze: freeze(100, 1_000, 0), ..queue(30) };
        // Cut short by the freeze, the second is finished behind it, and so are those that wait.
        let arrivals = [900, 980, 990, 1_050, 1_300];
        assert_eq!(dues(timing, arrivals), [930, 1_110, 1_140, 1_170, 1_330]);
        // More work than fits between two freezes.
        let timing = Timing { freeze: freeze(100, 1_000, 0), ..queue(2_000) };
        assert_eq!(dues(timing, [500]), [2_700]);
    }

    #[test]
    fn a_frozen_queue_delays_the_share_of_requests_that_its_closed_form_says() {
        // Frozen 100 ms of each second, one request per ms, half a ms of service: the share
        // F/(P(1 − ρ)) = 20 % waits, at most F.
        let freeze = freeze(100 * MS, 1_000 * MS, 0);
        let timing = Timing { freeze, ..queue(MS / 2) };
        let arrivals: Vec<u64> = (0..10_000).map(|k| k * MS).collect();
        let dues = dues(timing, arrivals.clone());
        let waits: Vec<u64> =
            dues.iter().zip(&arrivals).map(|(due, arrival)| due - arrival - MS / 2).collect();
        let waiting = waits.iter().filter(|&&wait| wait > 0).count();
        assert!(waiting.abs_diff(2_000) <= 10, "{waiting}");
        assert_eq!(waits.iter().max(), Some(&(100 * MS)));
    }

    #[test]
    fn a_burst_waits_in_line_and_a_lone_request_does_not() {
        assert_eq!(dues(queue(10), [0, 0, 0, 5, 100]), [10, 20, 30, 40, 110]);
    }

    #[test]
    fn an_overloaded_queue_grows_by_the_excess_of_each_request() {
        // Service 1.5 times the gap: the k-th of them waits k half gaps.
        let dues = dues(queue(150), (0..1_000).map(|k| k * 100));
        for (k, due) in (0..).zip(dues) {
            assert_eq!(due, 150 * (k + 1));
        }
    }

    #[test]
    fn each_fault_has_its_turn() {
        let every = |every| NonZeroU64::new(every).map(Turn::every);
        let faults =
            Faults { reset: every(2), silent: every(4), broken: every(3), ..Faults::default() };
        let mut model = Model::new(Timing::default(), faults, at(0), 0);
        let seen: Vec<_> = (0..6).map(|_| model.answer(at(0)).fault).collect();
        let (reset, silent, broken) = (Fault::Reset, Fault::Silent, Fault::Broken);
        let expected = [None, Some(reset), Some(broken), Some(silent), None, Some(reset)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_exponential_queue_is_the_one_of_the_books() {
        // M/M/1 with half the load: response times are exponential with mean 2 ms. Arrivals are
        // drawn from the same law, with another seed.
        const COUNT: u32 = 200_000;
        let exponential = |mean_ms, seed| {
            let mean = Nanos::from_millis(mean_ms);
            Service::Exponential { mean, seed }
        };
        let mut gaps = Times::of(exponential(2, 7));
        let timing = Timing { service: exponential(1, 1), ..Timing::default() };
        let mut model = Model::new(timing, Faults::default(), at(0), 0);
        let (mut now, mut total, mut long) = (at(0), 0.0, 0_u32);
        for _ in 0..COUNT {
            now = now + gaps.draw().unwrap();
            let response = model.answer(now).due.since(now);
            total += response.as_secs_f64() * 1e3;
            // ln 10 means: one in ten takes longer.
            long += u32::from(response > Nanos::new(4_605_170));
        }
        let (mean, share) = (total / f64::from(COUNT), f64::from(long) / f64::from(COUNT));
        assert!((mean - 2.0).abs() < 0.06, "{mean}");
        assert!((share - 0.1).abs() < 0.006, "{share}");
    }

    proptest! {
        #[test]
        fn of_all_requests_in_a_row_one_in_n_has_its_turn(
            every in 1..50_u64, offset in 0..50_u64, from in 0..1_000_u64,
        ) {
            let distance = NonZeroU64::new(every).unwrap();
            let Some(turn) = Turn::new(distance, offset) else {
                prop_assert!(offset >= every);
                return Ok(());
            };
            let had: Vec<u64> = (from..from + every).filter(|&k| turn.has(k)).collect();
            prop_assert_eq!(had.len(), 1);
            prop_assert_eq!(had[0] % every, offset);
        }

        #[test]
        fn work_that_rests_in_freezes_is_done_when_the_time_between_them_adds_up_to_it(
            start in 0..2_000_u64, work in 0..500_u64, span in 0..20_u64, offset in 0..300_u64,
        ) {
            let freeze = freeze(span, 20 + span, offset).unwrap();
            // Nanosecond by nanosecond.
            let frozen = |n: u64| n >= offset && (n - offset) % (20 + span) < span;
            let (mut now, mut left) = (start, work);
            while left > 0 || frozen(now) {
                left -= u64::from(!frozen(now));
                now += 1;
            }
            let done = freeze.worked(at(start), Nanos::new(work), at(0));
            prop_assert_eq!(done.since(at(0)).get(), now);
        }

        #[test]
        fn a_queue_is_the_greatest_of_all_starts_of_busy_periods(
            gaps in prop::collection::vec(0..30u64, 1..60),
            service in 1..20u64,
        ) {
            let arrivals: Vec<u64> = gaps.iter().scan(0, |sum, gap| {
                *sum += gap;
                Some(*sum)
            }).collect();
            for (n, due) in dues(queue(service), arrivals.clone()).into_iter().enumerate() {
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
            let freeze = freeze(span, 100, 0);
            for (arrival, due) in arrivals.iter().zip(dues(
                Timing { freeze, ..Timing::default() },
                arrivals.clone(),
            )) {
                prop_assert!(due >= *arrival && due - arrival <= span && due % 100 >= span);
            }
        }
    }
}
