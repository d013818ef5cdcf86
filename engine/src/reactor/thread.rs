//! What a thread asks of the scheduler: its CPU, its priority, how precisely its timers fire.

use std::num::NonZeroU64;

/// Pins the calling thread to `cpu`. Returns whether the kernel agreed.
#[must_use]
pub fn pin(cpu: usize) -> bool {
    // Beyond what a CPU set holds, the library aborts the process.
    cpu < rustix::thread::CpuSet::MAX_CPU
        && core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

/// Lets timers of the calling thread fire as precisely as the hardware can, instead of up to 50 µs
/// late.
pub fn set_precise_timers() {
    // Best effort: an old kernel or a sandbox keeps its 50 µs, and the measured lag shows it.
    let _kept = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

/// Keeps the kernel from backing this process's memory with huge pages.
///
/// Histograms and tables are small and many; with huge pages each of them costs two megabytes, and
/// the time to clear them. Measured in benches/RESULTS.md, "Memory".
pub fn refuse_huge_pages() {
    // Best effort: where it is not to be had, memory is larger and nothing else changes.
    let _kept = rustix::thread::disable_transparent_huge_pages(true);
}

/// Makes the calling thread yield to the shards: it gets a share of a saturated CPU, but a small
/// one.
pub fn set_low_priority(niceness: i32) {
    // On Linux this changes the calling thread alone. It cannot fail for a positive niceness.
    let _kept = rustix::process::setpriority_process(None, niceness);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_cannot_exist_is_refused() {
        assert!(!pin(1_000_000));
    }
}
