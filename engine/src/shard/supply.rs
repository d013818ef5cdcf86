//! Which requests may start now: as many as the quota leaves (closed loop), or as many as are due
//! (open).

use crate::pace::Constant;
use crate::plan::{Load, ShardPlan};
use crate::record::Window;
use crate::units::{Instant, Nanos, Rate};

/// Slots that are farther apart are never told as one when they are given up.
const CLOSE_MAX: Nanos = Nanos::from_millis(10);

/// Hands out intended starts, in order.
pub(super) enum Supply {
    /// A free connection starts a request at once.
    Closed {
        /// Requests of the window that may still start.
        quota: Option<u64>,
    },
    /// A slot starts when it is due and a connection is free, the oldest first.
    Open {
        schedule: Constant,
        barrier: Instant,
        /// The next slot, and the end of them.
        next: u64,
        end: u64,
        /// Slots that lie in the warm-up.
        warmup: u64,
        /// Slots of the window that have been reported as scheduled.
        reported: u64,
    },
}

impl Supply {
    /// The supply of a shard whose start barrier is `barrier`, and its measured window.
    pub(super) fn new(plan: &ShardPlan, barrier: Instant) -> (Self, Window) {
        let stop = plan.plan.stop;
        let from = barrier + stop.warmup;
        match plan.plan.load {
            Load::Closed { .. } => {
                let length = stop.limit.duration().unwrap_or(Nanos::MAX);
                (Self::Closed { quota: plan.quota }, Window { from, to: from + length })
            }
            Load::Open { ref timetable, .. } => {
                let rate = timetable.only_rate();
                debug_assert!(rate.is_some(), "one constant rate is all that is scheduled so far");
                let rate = rate.unwrap_or(Rate::ONE_PER_SECOND);
                let schedule = Constant::new(rate, plan.share);
                let (end, length) = schedule.end(stop.warmup, stop.limit);
                let warmup = schedule.before(stop.warmup);
                let supply = Self::Open { schedule, barrier, next: 0, end, warmup, reported: 0 };
                (supply, Window { from, to: barrier + length })
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
            Self::Open { schedule, barrier, next, end, .. } => {
                let intended = *barrier + schedule.start_of(*next);
                (*next < *end && intended <= now).then(|| {
                    *next += 1;
                    intended
                })
            }
        }
    }

    /// When a request may start next, if that is a matter of time alone.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { schedule, barrier, next, end, .. } => {
                (*next < *end).then(|| *barrier + schedule.start_of(*next))
            }
        }
    }

    /// Whether nothing will start any more.
    pub(super) fn exhausted(&self, now: Instant, window: Window) -> bool {
        match self {
            Self::Closed { quota } => *quota == Some(0) || now >= window.to,
            Self::Open { next, end, .. } => next >= end,
        }
    }

    /// Open loop: the slots of the window due before `now` that were not reported yet; they count
    /// as scheduled whether or not they have been sent. Closed loop: none, for there a start is the
    /// schedule.
    pub(super) fn newly_scheduled(&mut self, now: Instant) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Open { schedule, barrier, next, end, warmup, reported } => {
                // A slot may have been sent at the very moment of its intended start.
                let due = schedule.before(now.since(*barrier)).max(*next).min(*end);
                let fresh = due.saturating_sub(*warmup).saturating_sub(*reported);
                *reported += fresh;
                fresh
            }
        }
    }

    /// Ends the supply before its time: nothing starts any more. The slots that were due before
    /// `now` are given up.
    pub(super) fn cut(&mut self, now: Instant, each: impl FnMut(Instant, u64)) {
        match self {
            Self::Closed { quota } => *quota = Some(0),
            Self::Open { schedule, barrier, end, .. } => {
                *end = schedule.before(now.since(*barrier)).min(*end);
                self.give_up(now, each);
            }
        }
    }

    /// Gives up at `now` all slots that are left, warm-up or not: `each` is told a moment and how
    /// many slots lie close behind it. What is close depends on how long they have waited, so that
    /// a million slots take some thousand calls, and no wait is told more than 0.05 % too long.
    pub(super) fn give_up(&mut self, now: Instant, mut each: impl FnMut(Instant, u64)) {
        let Self::Open { schedule, barrier, next, end, warmup, .. } = self else { return };
        while *next < *end {
            let intended = *barrier + schedule.start_of(*next);
            let close = Nanos::new(now.since(intended).get() / 2_000).min(CLOSE_MAX);
            let behind = schedule.before((intended + close).since(*barrier) + Nanos::new(1));
            // What is told together is of the warm-up, or of the window.
            let to = if *next < *warmup { *end.min(warmup) } else { *end };
            let behind = behind.clamp(*next + 1, to);
            each(intended, behind - *next);
            *next = behind;
        }
    }
}
