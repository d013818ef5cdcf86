//! What a thread asks of the scheduler: its CPU, its priority, how precisely its timers fire.

use std::num::NonZeroU64;

/// Pins the calling thread to `cpu`. Returns whether the kernel agreed.
#[must_use]
pub fn pin(cpu: usize) -> bool {
    // Beyond what a CPU set holds, the library aborts the process.
    cpu < rustix::thread::CpuSet::MAX_CPU
        && core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

/// Keeps the calling thread off `cpus`, if that leaves it another one; whom it starts inherits
/// that. Whoever only looks on has no business where a shard works: the scheduler would put it
/// there as soon as the other CPUs have more to do.
pub fn keep_off(cpus: &[usize]) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    // Best effort: where affinities are not to be had, the scheduler decides.
    let Ok(mut allowed) = sched_getaffinity(None) else { return };
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| allowed.unset(*cpu));
    if allowed.count() > 0 {
        let _kept = sched_setaffinity(None, &allowed);
    }
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
    fn a_thread_stays_off_the_cpus_of_others_if_there_is_one_left() {
        use rustix::thread::{CpuSet, sched_getaffinity};
        let on_its_own = std::thread::spawn(|| {
            let before = sched_getaffinity(None).unwrap();
            let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|c| before.is_set(*c)).collect();
            keep_off(&all);
            assert_eq!(sched_getaffinity(None).unwrap(), before, "none would be left");
            let (first, others) = all.split_first().unwrap();
            keep_off(&[*first, 1_000_000]);
            let kept = sched_getaffinity(None).unwrap();
            assert_eq!(kept.is_set(*first), others.is_empty());
            assert!(others.iter().all(|cpu| kept.is_set(*cpu)));
        });
        on_its_own.join().unwrap();
    }

    #[test]
    fn a_cpu_that_cannot_exist_is_refused() {
        assert!(!pin(1_000_000));
    }
}
