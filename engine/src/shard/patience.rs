//! How a shard waits: asleep, awake, or asleep until shortly before the moment of a slot.
//!
//! A sleeper is woken late, by some ten microseconds on most machines. In an open loop that delay
//! would be charged to the target with every request, so a shard may be told to be awake in time.
//!
//! ```text
//!          now               slot − margin            slot
//! sleep     ├────────────── asleep ──────────────────────┤╌╌ late ╌╌► sends
//! hybrid    ├───── asleep ────────┤╌╌ late ╌╌►├─ spins ──┤ sends
//! spin      ├────────────────── spins ───────────────────┤ sends
//! ```
//!
//! Only slots are worth it: a heartbeat or a timeout may well be late.

use std::io;

use super::mailbox::Effort;
use crate::plan::{Pacing, Plan};
use crate::reactor::Reactor;
use crate::units::{Instant, Nanos};

/// A shorter sleep than this is not worth its system call and its timer.
const SLEEP_MIN: Nanos = Nanos::from_micros(10);

/// What a shard waits for, if nothing completes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wake {
    /// The moment of a slot that can be sent when it comes.
    pub(super) slot: Option<Instant>,
    /// The first of all other moments at which there is something to do.
    pub(super) other: Instant,
}

impl Wake {
    /// The first of them.
    pub(super) fn first(self) -> Instant {
        self.slot.map_or(self.other, |slot| slot.min(self.other))
    }

    /// Nothing but `other`.
    pub(super) const fn at(other: Instant) -> Self {
        Self { slot: None, other }
    }
}

/// How to wait, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Sleep(Instant),
    Spin(Instant),
}

/// Decides how to wait, and knows what waiting has cost.
pub(super) struct Patience {
    pacing: Pacing,
    margin: Margin,
    /// The end of the sleep from which the margin learns next.
    asleep_until: Option<Instant>,
    /// CPU time and time spun when the effort began to count.
    before: (Nanos, Nanos),
}

impl Patience {
    /// As the plan says; in a closed loop there is no moment to be in time for.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            pacing: if plan.load.is_open() { plan.pacing } else { Pacing::Sleep },
            margin: Margin::default(),
            asleep_until: None,
            before: (Nanos::ZERO, Nanos::ZERO),
        }
    }

    /// Waits, in a turn that began at `now`, until something completes or the shard is to do
    /// something. A hybrid wait may end before that, to be gone on with in the next turn.
    pub(super) fn wait(
        &mut self,
        reactor: &mut impl Reactor,
        wake: Wake,
        now: Instant,
    ) -> io::Result<()> {
        match self.way(wake, now) {
            Way::Sleep(until) => {
                self.fall_asleep(until, now);
                reactor.wait(until)
            }
            Way::Spin(until) => reactor.spin(until),
        }
    }

    fn way(&self, wake: Wake, now: Instant) -> Way {
        let (Wake { slot, other }, first) = (wake, wake.first());
        match (self.pacing, slot) {
            (Pacing::Sleep, _) | (Pacing::Hybrid, None) => Way::Sleep(first),
            (Pacing::Spin, _) => Way::Spin(first),
            (Pacing::Hybrid, Some(slot)) => {
                let alarm = slot - self.margin.span();
                if other <= alarm {
                    Way::Sleep(other)
                } else if alarm > now + SLEEP_MIN {
                    Way::Sleep(alarm)
                } else {
                    Way::Spin(first)
                }
            }
        }
    }

    /// A sleep begins. What is over when it begins is a poll, and says nothing about sleeps.
    fn fall_asleep(&mut self, until: Instant, now: Instant) {
        let learns = self.pacing == Pacing::Hybrid && until > now;
        self.asleep_until = learns.then_some(until);
    }

    /// The wait has ended at `at`, and something completed or nothing did: in that case it was the
    /// timer which ended it.
    pub(super) fn woken(&mut self, at: Instant, completed: bool) {
        if let Some(asked) = self.asleep_until.take()
            && !completed
            && at >= asked
        {
            self.margin.learn(at.since(asked));
        }
    }

    /// From now on the effort counts.
    pub(super) fn begin(&mut self, reactor: &impl Reactor) {
        self.before = (reactor.cpu_time(), reactor.spun());
    }

    /// The effort since [`Patience::begin`].
    pub(super) fn effort(&self, reactor: &impl Reactor) -> Effort {
        let (cpu, spun) = self.before;
        Effort {
            at: reactor.now(),
            cpu: reactor.cpu_time().saturating_sub(cpu),
            spun: reactor.spun().saturating_sub(spun),
        }
    }
}

/// How much earlier than a slot a sleep has to end: the 99th percentile of how late sleeps end.
///
/// A running estimate without memory: a sleep that ends later than the margin raises it by 99
/// steps, any other lowers it by one. It stands still where one of a hundred is later, wherever
/// that is, and one sleep of a second means no more to it than one of a millisecond.
struct Margin(Nanos);

impl Margin {
    /// Beyond it, spinning costs more than what a machine this unsteady can gain by it.
    const MAX: Nanos = Nanos::from_micros(100);
    /// Until something has been learnt.
    const FIRST: Nanos = Nanos::from_micros(50);
    /// So small that the margin stays within a few microseconds, and so large that a change of the
    /// machine is followed within some hundred sleeps.
    const STEP: Nanos = Nanos::new(50);

    const fn span(&self) -> Nanos {
        self.0
    }

    fn learn(&mut self, late: Nanos) {
        self.0 = if late > self.0 {
            (self.0 + Self::STEP.saturating_mul(99)).min(Self::MAX)
        } else {
            self.0.saturating_sub(Self::STEP)
        };
    }
}

impl Default for Margin {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Instant = Instant::from_origin(1_000_000_000);
    const HEARTBEAT: Instant = Instant::from_origin(1_010_000_000);

    fn patience(pacing: Pacing) -> Patience {
        Patience {
            pacing,
            margin: Margin::default(),
            asleep_until: None,
            before: (Nanos::ZERO, Nanos::ZERO),
        }
    }

    fn micros(n: u64) -> Nanos {
        Nanos::from_micros(n)
    }

    fn way(pacing: Pacing, slot: Option<Nanos>, other: Instant) -> Way {
        patience(pacing).way(Wake { slot: slot.map(|after| NOW + after), other }, NOW)
    }

    #[test]
    fn a_hybrid_wait_sleeps_to_the_margin_and_spins_from_there() {
        let hybrid = |slot| way(Pacing::Hybrid, slot, HEARTBEAT);
        assert_eq!(hybrid(Some(micros(200))), Way::Sleep(NOW + micros(150)));
        assert_eq!(hybrid(Some(micros(61))), Way::Sleep(NOW + micros(11)));
        assert_eq!(hybrid(Some(micros(60))), Way::Spin(NOW + micros(60)), "too short a sleep");
        assert_eq!(hybrid(Some(micros(1))), Way::Spin(NOW + micros(1)));
        assert_eq!(hybrid(Some(micros(20_000))), Way::Sleep(HEARTBEAT));
        assert_eq!(hybrid(None), Way::Sleep(HEARTBEAT));
    }

    #[test]
    fn what_needs_no_precision_is_slept_for_unless_a_slot_is_near() {
        let other = |after| NOW + micros(after);
        let hybrid = |slot, after| way(Pacing::Hybrid, Some(micros(slot)), other(after));
        assert_eq!(hybrid(200, 100), Way::Sleep(other(100)));
        assert_eq!(hybrid(200, 170), Way::Sleep(other(150)), "the alarm for the slot");
        assert_eq!(hybrid(40, 30), Way::Spin(other(30)));
        assert_eq!(hybrid(40, 90), Way::Spin(other(40)));
    }

    #[test]
    fn one_who_sleeps_never_spins_and_the_other_way_round() {
        for (slot, other, first) in [(None, 500, 500), (Some(70), 500, 70), (Some(70), 60, 60)] {
            let slot = slot.map(micros);
            let (other, first) = (NOW + micros(other), NOW + micros(first));
            assert_eq!(way(Pacing::Sleep, slot, other), Way::Sleep(first));
            assert_eq!(way(Pacing::Spin, slot, other), Way::Spin(first));
        }
    }

    /// Lets the margin learn `count` times from what is late by `low`, plus up to `spread`.
    fn teach(margin: &mut Margin, count: u64, low: Nanos, spread: Nanos) {
        for n in 0..count {
            // Steps of a number without a common factor: every share of the spread comes equally
            // often.
            let share = n * 7_919 % 10_007;
            margin.learn(low + Nanos::new(spread.get() * share / 10_007));
        }
    }

    #[track_caller]
    fn check_near(margin: &Margin, expected: Nanos) {
        let (got, room) = (margin.span(), micros(6));
        assert!(got <= expected + room && expected <= got + room, "{got}, not {expected}");
    }

    #[test]
    fn the_margin_follows_a_shift_up_and_down() {
        let mut margin = Margin::default();
        teach(&mut margin, 5_000, micros(10), micros(20));
        check_near(&margin, micros(30));
        teach(&mut margin, 500, micros(60), micros(20));
        check_near(&margin, micros(80));
        teach(&mut margin, 5_000, micros(5), micros(10));
        check_near(&margin, micros(15));
    }

    #[test]
    fn one_sleep_in_a_thousand_that_is_far_too_long_changes_little() {
        let mut margin = Margin::default();
        for n in 1..50_000 {
            margin.learn(if n % 1_000 == 0 { Nanos::from_secs(1) } else { micros(20) });
        }
        check_near(&margin, micros(20));
    }

    #[test]
    fn only_a_sleep_that_the_timer_ended_teaches() {
        let mut patience = patience(Pacing::Hybrid);
        let asked = NOW + micros(100);
        for (asleep, at, completed) in [
            (None, asked + micros(99), false),
            (Some(asked), asked + micros(99), true),
            // Something happened of which nothing was told.
            (Some(asked), NOW + micros(99), false),
        ] {
            patience.asleep_until = asleep;
            patience.woken(at, completed);
            assert_eq!(patience.margin.span(), Margin::FIRST);
        }
        patience.asleep_until = Some(asked);
        patience.woken(asked + micros(99), false);
        assert!(patience.margin.span() > Margin::FIRST);
        assert_eq!(patience.asleep_until, None, "a sleep teaches once");
    }

    #[test]
    fn nothing_is_learnt_from_a_poll_nor_where_no_margin_is_kept() {
        let taught = |pacing, until| {
            let mut patience = patience(pacing);
            patience.fall_asleep(until, NOW);
            patience.woken(until + micros(99), false);
            patience.margin.span() > Margin::FIRST
        };
        assert!(taught(Pacing::Hybrid, NOW + micros(1)));
        assert!(!taught(Pacing::Hybrid, NOW));
        assert!(!taught(Pacing::Sleep, NOW + micros(1)));
    }

    proptest! {
        #[test]
        fn the_margin_keeps_its_bounds(late in prop::collection::vec(any::<u64>(), 1..4_000)) {
            let mut margin = Margin::default();
            for late in late {
                // As many short ones as long ones.
                margin.learn(Nanos::new(if late % 2 == 0 { late % 100_000 } else { late }));
                prop_assert!(margin.span() <= Margin::MAX);
            }
        }

        #[test]
        fn no_wait_is_meant_to_end_after_the_slot_or_the_heartbeat(
            slot in 0_u64..20_000,
            other in 0_u64..10_000,
        ) {
            for pacing in [Pacing::Sleep, Pacing::Hybrid, Pacing::Spin] {
                let other = NOW + micros(other);
                let (Way::Sleep(until) | Way::Spin(until)) =
                    way(pacing, Some(micros(slot)), other);
                prop_assert!(until <= other && until <= NOW + micros(slot));
            }
        }
    }
}
