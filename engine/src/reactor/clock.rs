//! Monotonic time: the only place of the engine that reads a clock.
//!
//! `CLOCK_MONOTONIC` costs about 20 ns through the vDSO and cannot step. It is read twice per turn
//! of a shard, not per request: completions of one batch share a moment.

use rustix::time::{ClockId, clock_gettime};

use crate::units::{Instant, Nanos};

/// The present moment.
#[must_use]
pub fn now() -> Instant {
    Instant::from_origin(read(ClockId::Monotonic))
}

/// The CPU time, user and system, that the calling thread has used so far.
#[must_use]
pub fn thread_cpu() -> Nanos {
    Nanos::new(read(ClockId::ThreadCPUTime))
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Neither clock is ever negative.
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
