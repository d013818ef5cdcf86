//! WHEN: the intended start of every slot, as pure arithmetic on the plan.
//!
//! It depends on the slot's number and the plan alone, never on responses, so that a stalled target
//! cannot slow the schedule and hide its stall (coordinated omission). Source: docs/MEASUREMENT.md,
//! "Open loop".
//!
//! ```text
//!   number of the slot ──► slots that have passed before it ──► intended start
//!                arrivals: whole, with a             course: the moment at which
//!                random part, or a sum of            the rate has let so many pass
//!                random gaps
//! ```
//!
//! Each slot belongs to one shard ([`Share`] says which), so that the gaps of all shards together
//! are as the timetable says, with no word between them. Only Poisson arrivals have a stream for
//! each shard instead.

mod amount;
mod constant;
mod course;
mod linear;
mod poisson;
mod random;
#[cfg(test)]
mod tests;

use core::num::NonZeroU64;

use self::amount::Amount;
use self::course::Course;
use self::poisson::Poisson;
pub(crate) use self::random::Random;
use crate::plan::{Arrivals, Limit, Share, Timetable};
use crate::units::{Nanos, Rate};

/// Most Poisson arrivals of a shard that [`Schedule::end`] counts, to find where so many requests
/// end; it takes about a second. A window of more ends there.
pub const COUNTED_MAX: u64 = 1 << 26;

/// One shard's part of a timetable. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schedule {
    course: Course,
    scatter: Scatter,
    share: Share,
}

/// How many slots have passed when one starts.
#[derive(Clone, Copy, Debug)]
enum Scatter {
    /// As many as there are before it.
    None,
    /// The same, and a random part of one.
    Jitter(Random),
    /// As many as at the one before it, and a random number.
    Poisson(Poisson),
}

/// The end of a window: the shard's slots are those with number < `slots` and start < `time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The number of the first slot left out, for a reason other than its time; `u64::MAX` for
    /// Poisson arrivals that only time bounds.
    pub slots: u64,
    /// The end of the window, as time after the start barrier.
    pub time: Nanos,
}

/// A place in a schedule: a slot, and when it starts.
#[derive(Clone, Debug)]
pub struct Cursor {
    schedule: Schedule,
    number: u64,
    passed: Amount,
    start: Nanos,
}

/// The slots that `timetable` holds from `from` to `to`, per second; with Poisson arrivals, the
/// number to be expected. For a rate that never changes it is that rate, even of an empty span.
#[must_use]
pub fn offered(timetable: &Timetable, from: Nanos, to: Nanos) -> f64 {
    if let Some(rate) = timetable.only_rate().map(Rate::per_second) {
        return rate;
    }
    let course = Course::new(&timetable.shape);
    let (slots, span) = (course.passed(to) - course.passed(from), to.saturating_sub(from));
    if span == Nanos::ZERO { 0.0 } else { slots.to_f64() / span.as_secs_f64() }
}

impl Schedule {
    /// The part `share` of `timetable`; all that is random about it comes from `seed`.
    #[must_use]
    pub fn new(timetable: &Timetable, share: Share, seed: u64) -> Self {
        let scatter = match timetable.arrivals {
            Arrivals::Constant => Scatter::None,
            Arrivals::UniformJitter => Scatter::Jitter(Random::new(seed, 0)),
            Arrivals::Poisson => Scatter::Poisson(Poisson::new(share, seed)),
        };
        Self { course: Course::new(&timetable.shape), scatter, share }
    }

    /// A cursor at the first slot.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let passed = self.passed(0, Amount::ZERO);
        let start = self.course.time_at(passed);
        Cursor { schedule: self.clone(), number: 0, passed, start }
    }

    /// The end of the window that begins after `warmup`; where both time and a number of requests
    /// bound it, whichever comes first.
    ///
    /// A number is met exactly over all shards. The time is then the start of the first slot left
    /// out, of whatever shard; with Poisson arrivals, of this one. O(log), but for a number of
    /// Poisson arrivals: those are counted one by one, up to [`COUNTED_MAX`].
    #[must_use]
    pub fn end(&self, warmup: Nanos, limit: Limit) -> End {
        let by_time = limit.duration().map(|length| self.end_by_time(warmup + length));
        let by_count = limit.requests().map(|count| match self.scatter {
            Scatter::Poisson(_) => self.end_by_own_count(warmup, count),
            Scatter::None | Scatter::Jitter(_) => self.end_by_count(warmup, count),
        });
        let none = End { slots: u64::MAX, time: Nanos::MAX };
        let ends = [by_time, by_count].into_iter().flatten();
        ends.fold(none, |one, other| End {
            slots: one.slots.min(other.slots),
            time: one.time.min(other.time),
        })
    }

    fn end_by_time(&self, time: Nanos) -> End {
        let slots = match self.scatter {
            Scatter::Poisson(_) => u64::MAX,
            Scatter::None | Scatter::Jitter(_) => self.cursor().skip(time, u64::MAX),
        };
        End { slots, time }
    }

    /// The end after `count` slots of all shards.
    fn end_by_count(&self, warmup: Nanos, count: NonZeroU64) -> End {
        let mut all = Self { share: Share::WHOLE, ..self.clone() }.cursor();
        let slots = all.skip(warmup, u64::MAX).saturating_add(count.get());
        let time = all.end_at(slots);
        End { slots: self.share.slots_below(slots), time }
    }

    /// The end after this shard's part of `count` slots.
    fn end_by_own_count(&self, warmup: Nanos, count: NonZeroU64) -> End {
        let mut own = self.cursor();
        own.skip(warmup, COUNTED_MAX);
        let share = self.share.slots_below(count.get());
        let slots = own.number.saturating_add(share).min(COUNTED_MAX);
        End { slots, time: own.end_at(slots) }
    }

    /// What has passed when slot `n` starts, if `before` has when the one before it does.
    fn passed(&self, n: u64, before: Amount) -> Amount {
        match &self.scatter {
            Scatter::None => Amount::new(self.share.slot(n), 0),
            Scatter::Jitter(random) => {
                let slot = self.share.slot(n);
                Amount::new(slot, random.at(slot))
            }
            Scatter::Poisson(poisson) => before + poisson.gap(n),
        }
    }

    /// Whether a slot can be looked up without those before it.
    const fn is_by_number(&self) -> bool {
        matches!(self.scatter, Scatter::None | Scatter::Jitter(_))
    }

    /// The intended start of slot `n`; not for Poisson arrivals.
    fn start_of(&self, n: u64) -> Nanos {
        debug_assert!(self.is_by_number(), "a sum has no single term");
        self.course.time_at(self.passed(n, Amount::ZERO))
    }

    /// The first slot after `from` and up to `slots` that does not start before `time`; `from`
    /// does. O(log) of what lies between.
    fn first_at(&self, time: Nanos, from: u64, slots: u64) -> u64 {
        let (mut low, mut step) = (from, 1_u64);
        let high = loop {
            let probe = low.saturating_add(step);
            if probe >= slots {
                break slots;
            }
            if self.start_of(probe) >= time {
                break probe;
            }
            low = probe;
            step = step.saturating_mul(2);
        };
        least(low.saturating_add(1), high, |n| self.start_of(n) >= time)
    }
}

impl Cursor {
    /// The number of the slot within the shard, from 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The slot's intended start, as time after the start barrier; never before that of an earlier
    /// slot.
    #[must_use]
    pub const fn start(&self) -> Nanos {
        self.start
    }

    /// The end, as time after the start barrier, of a window whose last slot is the one before
    /// this: the start of the next slot of whatever shard; with Poisson arrivals, of this one.
    #[must_use]
    pub fn end_behind(&self) -> Nanos {
        let Some(last) = self.number.checked_sub(1).filter(|_| self.schedule.is_by_number()) else {
            return self.start;
        };
        let behind = self.schedule.share.slot(last).saturating_add(1);
        let all = Schedule { share: Share::WHOLE, ..self.schedule.clone() };
        all.start_of(behind).max(self.schedule.start_of(last) + Nanos::new(1))
    }

    /// Goes on to the next slot.
    pub fn advance(&mut self) {
        self.number = self.number.saturating_add(1);
        self.passed = self.schedule.passed(self.number, self.passed);
        self.start = self.schedule.course.time_at(self.passed);
    }

    /// Goes on by `schedule`, another one of the same share: slots keep their numbers, and those
    /// that are left start when it says.
    pub fn follow(&mut self, schedule: &Schedule) {
        self.schedule = schedule.clone();
        self.start = schedule.course.time_at(self.passed);
    }

    /// Passes all slots that start before `time` and whose number is below `slots`; returns how
    /// many they are. O(log) of them, but O(slots) for Poisson arrivals.
    pub fn skip(&mut self, time: Nanos, slots: u64) -> u64 {
        let from = self.number;
        if self.start >= time || from >= slots {
            return 0;
        }
        if self.schedule.is_by_number() {
            self.go_to(self.schedule.first_at(time, from, slots));
        } else {
            while self.start < time && self.number < slots {
                self.advance();
            }
        }
        self.number - from
    }

    /// Goes on to slot `number`, and computes what lies between only where it must.
    fn go_to(&mut self, number: u64) {
        if self.schedule.is_by_number() {
            self.passed = self.schedule.passed(number, Amount::ZERO);
        } else {
            for n in self.number..number {
                self.passed = self.schedule.passed(n + 1, self.passed);
            }
        }
        self.number = number;
        self.start = self.schedule.course.time_at(self.passed);
    }

    /// The end of a window that leaves out slot `slots` and all after it: its start, but after the
    /// one before it, which may start at the same moment. No slot that was passed comes back.
    fn end_at(&mut self, slots: u64) -> Nanos {
        if slots <= self.number {
            return self.start;
        }
        self.go_to(slots - 1);
        let last = self.start;
        self.advance();
        self.start.max(last + Nanos::new(1))
    }
}

/// The least number from `low` on and below `high` for which `holds`, or else `high`; `holds` goes
/// on to hold once it does. At most 64 steps.
fn least(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
