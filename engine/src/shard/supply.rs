//! Which requests may start now: as many as the quota leaves (closed loop), or as many as are due
//! (open).

use crate::pace::{Cursor, End, Schedule};
use crate::plan::{Load, ShardPlan, Stop, Timetable};
use crate::record::{ROW, Window};
use crate::units::{Instant, Nanos};

/// The start barrier of a run that has not begun.
const NOT_YET: Instant = Instant::from_origin(u64::MAX);

/// Slots that are farther apart are never told as one when they are given up.
const CLOSE_MAX: Nanos = Nanos::from_millis(10);

/// Hands out intended starts, in order.
#[expect(clippy::large_enum_variant, reason = "a shard has one, and it never moves")]
pub(super) enum Supply {
    /// A free connection starts a request at once.
    Closed {
        /// Requests of the window that may still start.
        quota: Option<u64>,
    },
    /// A slot starts when it is due and a connection is free, the oldest first.
    Open {
        /// The slot that starts next.
        next: Cursor,
        /// The first slot that was not yet due when the schedule was last accounted for.
        account: Cursor,
        /// The end of the slots.
        end: End,
        warmup: Nanos,
        barrier: Instant,
    },
}

impl Supply {
    /// The supply of a shard; nothing starts before it has [begun](Self::begin).
    pub(super) fn new(plan: &ShardPlan) -> Self {
        let warmup = plan.plan.stop.warmup;
        match &plan.plan.load {
            Load::Closed { .. } => Self::Closed { quota: plan.quota },
            Load::Open { timetable, .. } => {
                let (schedule, end) = schedule(plan, timetable);
                let next = schedule.cursor();
                Self::Open { account: next.clone(), next, end, warmup, barrier: NOT_YET }
            }
        }
    }

    /// Begins at the start barrier; returns the measured window.
    pub(super) fn begin(&mut self, start: Instant, stop: Stop) -> Window {
        let from = start + stop.warmup;
        match self {
            Self::Closed { .. } => {
                let length = stop.limit.duration().unwrap_or(Nanos::MAX);
                Window { from, to: from + length }
            }
            Self::Open { barrier, end, .. } => {
                *barrier = start;
                Window { from, to: start + end.time }
            }
        }
    }

    /// Takes the next request that may start at `now`: its intended start, or `None`.
    pub(super) fn take(&mut self, now: Instant, window: Window) -> Option<Instant> {
        match self {
            Self::Closed { quota } => {
                if now >= window.to || *quota == Some(0) {
                    return None;
                }
                if let Some(left) = quota
                    && now >= window.from
                {
                    *left = left.checked_sub(1)?;
                }
                Some(now)
            }
            Self::Open { next, end, barrier, .. } => {
                let intended = *barrier + next.start();
                (intended <= now && !is_over(next, *end)).then(|| {
                    next.advance();
                    intended
                })
            }
        }
    }

    /// Open loop: the number within the shard of the slot that starts next.
    pub(super) const fn slot(&self) -> Option<u64> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { next, .. } => Some(next.number()),
        }
    }

    /// Takes up to `most` requests that may start at `now`, in a closed loop; says how many.
    pub(super) fn take_many(&mut self, most: u32, now: Instant, window: Window) -> u32 {
        match self {
            Self::Closed { quota } if now >= window.to || *quota == Some(0) => 0,
            Self::Closed { quota: Some(left) } if now >= window.from => {
                let taken = u32::try_from(*left).map_or(most, |left| left.min(most));
                *left -= u64::from(taken);
                taken
            }
            Self::Closed { .. } => most,
            Self::Open { .. } => 0,
        }
    }

    /// How many slots are due at `now`, up to `most`. O(most).
    pub(super) fn due(&self, most: usize, now: Instant) -> usize {
        let Self::Open { next, end, barrier, .. } = self else { return 0 };
        let mut slot = next.clone();
        let due = (0..most).take_while(|_| {
            let due = !is_over(&slot, *end) && *barrier + slot.start() <= now;
            slot.advance();
            due
        });
        due.count()
    }

    /// Whether a request may start at `now`.
    pub(super) fn has_due(&self, now: Instant, window: Window) -> bool {
        match self {
            Self::Closed { .. } => !self.exhausted(now, window),
            Self::Open { .. } => self.due(1, now) > 0,
        }
    }

    /// When a request may start next, if that is a matter of time alone.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { next, end, barrier, .. } => {
                (!is_over(next, *end)).then(|| *barrier + next.start())
            }
        }
    }

    /// Whether nothing will start any more.
    pub(super) fn exhausted(&self, now: Instant, window: Window) -> bool {
        match self {
            Self::Closed { quota } => *quota == Some(0) || now >= window.to,
            Self::Open { next, end, .. } => is_over(next, *end),
        }
    }

    /// Open loop: the slots of the window that are due at `now` and were not reported yet; they
    /// count as scheduled whether or not they have been sent. Closed loop: none, for there a start
    /// is the schedule.
    pub(super) fn newly_scheduled(&mut self, now: Instant) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Open { account, end, warmup, barrier, .. } => {
                let due = due_before(now, *barrier).min(end.time);
                pass(account, *warmup, End { time: due, ..*end })
            }
        }
    }

    /// Open loop: goes on by `schedule` from `at` on; returns the window's end, after the barrier,
    /// and how many slots were newly scheduled: all those of before, and those that were taken.
    ///
    /// A slot keeps its number, so that none is lost and none comes twice, on whichever side of the
    /// moment it starts.
    pub(super) fn follow(
        &mut self,
        at: Instant,
        schedule: &Schedule,
        new_end: End,
    ) -> Option<(Instant, u64)> {
        let Self::Open { next, account, end, warmup, barrier } = self else { return None };
        let before = at.since(*barrier).min(end.time);
        let fresh = pass(account, *warmup, End { time: before, ..*end });
        let taken = End { slots: next.number().min(end.slots), ..*end };
        let fresh = fresh + pass(account, *warmup, taken);
        next.follow(schedule);
        account.follow(schedule);
        *end = new_end;
        Some((*barrier + end.time, fresh))
    }

    /// Ends the supply before its time: nothing starts any more. The slots that are due at `now`
    /// are given up.
    pub(super) fn cut(&mut self, now: Instant, each: impl FnMut(Instant, u64)) {
        self.give_up(now + Nanos::new(1), now, each);
        match self {
            Self::Closed { quota } => *quota = Some(0),
            Self::Open { next, end, .. } => end.slots = next.number().min(end.slots),
        }
    }

    /// Open loop: ends the supply with the last slot that has started, or that has been reported as
    /// due at `now`; those of them that have not started are given up. Returns the end of the
    /// window. A closed loop goes on for those who are under way.
    pub(super) fn end_here(&mut self, now: Instant, each: impl FnMut(Instant, u64)) -> Instant {
        let Self::Open { next, account, end, .. } = self else {
            return Instant::from_origin(u64::MAX);
        };
        end.slots = end.slots.min(next.number().max(account.number()));
        self.give_up(now + Nanos::new(1), now, each);
        let Self::Open { next, barrier, .. } = self else { return now };
        // What started at this very moment counts, and what has been answered so far.
        (*barrier + next.end_behind()).max(now + Nanos::new(1))
    }

    /// Gives up at `now` all slots that are left and intended before `before`, warm-up or not:
    /// `each` is told a moment and how many slots lie close behind it. What is close depends on how
    /// long they have waited, so that a million slots take some thousand calls, and no wait is told
    /// more than 0.05 % too long.
    pub(super) fn give_up(
        &mut self,
        before: Instant,
        now: Instant,
        mut each: impl FnMut(Instant, u64),
    ) {
        let Self::Open { next, end, warmup, barrier, .. } = self else { return };
        if *barrier == NOT_YET {
            return;
        }
        let to = before.since(*barrier).min(end.time);
        while next.start() < to && next.number() < end.slots {
            let start = next.start();
            let intended = *barrier + start;
            let close = Nanos::new(now.since(intended).get() / 2_000).min(CLOSE_MAX);
            // What is told together is of the warm-up, or of the window.
            let edge = if start < *warmup { *warmup } else { end_of_row(start, *warmup) }.min(to);
            let passed = next.skip((start + close + Nanos::new(1)).min(edge), end.slots);
            each(intended, passed);
        }
    }
}

/// The part of `timetable` that is the shard's of `plan`, and its end.
pub(super) fn schedule(plan: &ShardPlan, timetable: &Timetable) -> (Schedule, End) {
    let Stop { warmup, limit, .. } = plan.plan.stop;
    let schedule = Schedule::new(timetable, plan.share, plan.plan.seed);
    let end = schedule.end(warmup, limit);
    (schedule, end)
}

/// The end of the row of the timeline to which `start` belongs.
fn end_of_row(start: Nanos, warmup: Nanos) -> Nanos {
    let number = start.saturating_sub(warmup).get() / ROW.get();
    warmup + ROW.saturating_mul(number + 1)
}

/// Whether the slot at `cursor` lies beyond the end.
fn is_over(cursor: &Cursor, end: End) -> bool {
    cursor.number() >= end.slots || cursor.start() >= end.time
}

/// The end, exclusive, of the times after the barrier that are due at `now`: those at that very
/// moment are.
fn due_before(now: Instant, barrier: Instant) -> Nanos {
    if now < barrier { Nanos::ZERO } else { now.since(barrier) + Nanos::new(1) }
}

/// Passes the slots up to `end`, and counts those that do not belong to the warm-up.
fn pass(cursor: &mut Cursor, warmup: Nanos, end: End) -> u64 {
    cursor.skip(warmup.min(end.time), end.slots);
    cursor.skip(end.time, end.slots)
}
