//! Who had the CPUs: this machine, its hypervisor, or nobody because of a quota.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::growth::{Peak, Window, grown, share};
use crate::host::cgroup;
use crate::tree::{Tree, keyed};

/// Counters about the CPUs, since the machine (or the control group) was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters {
    /// Of all CPUs together.
    pub all: Option<Ticks>,
    /// Of each CPU that is online, by its number.
    pub each: BTreeMap<usize, Ticks>,
    /// Time in which some task was ready and had no CPU, in µs; of the whole machine.
    pub pressure_micros: Option<u64>,
    /// How often a quota was used up, by this process's control groups and those above.
    pub throttled: Option<u64>,
    /// For how long that stopped them, summed over CPUs, in µs.
    pub throttled_micros: Option<u64>,
}

/// Time of a CPU in ticks, mostly of 10 ms each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// All time.
    pub total: u64,
    /// Time that was neither idle nor waiting for a disk.
    pub busy: u64,
    /// Time in which the hypervisor ran somebody else; a part of `busy`.
    pub steal: u64,
}

/// What happened to the CPUs while somebody watched. What is unknown is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuDisturbance {
    /// Share of all CPUs' time that was not idle, steal included.
    pub busy: Option<f64>,
    /// Share of all CPUs' time that the hypervisor gave to somebody else.
    pub steal: Option<f64>,
    /// The worst second of that. One CPU's share of a second comes in steps of mostly 1 %.
    pub steal_worst: Option<Peak>,
    /// Share of the time in which some task on this machine was ready and had no CPU.
    pub pressure: Option<f64>,
    /// The worst second of that.
    pub pressure_worst: Option<Peak>,
    /// How often a quota of this process's control groups was used up.
    pub throttled: Option<u64>,
    /// For how long that stopped them, summed over CPUs.
    pub throttled_time: Option<Duration>,
    /// Each CPU that was online at both ends, ascending.
    pub each: Vec<CpuShares>,
}

/// What one CPU did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuShares {
    /// Its number.
    pub cpu: usize,
    /// Share of its time that was not idle, steal included.
    pub busy: Option<f64>,
    /// Share of its time that the hypervisor gave to somebody else.
    pub steal: Option<f64>,
}

/// The files that tell of quotas which were used up: one per level from the process's group up, of
/// the one hierarchy that has the controller. A group that is throttled stops all below it.
pub(super) fn quota_files(tree: &Tree) -> Vec<PathBuf> {
    let read = |path: &Path| tree.text(path);
    let hierarchies = cgroup::levels("cpu", &read).into_iter().map(|levels| {
        let files = levels.into_iter().map(|level| level.join("cpu.stat"));
        let tells = |file: &PathBuf| {
            tree.text(file).is_some_and(|text| keyed(&text, "nr_throttled").is_some())
        };
        files.filter(tells).collect::<Vec<_>>()
    });
    // A controller belongs to one hierarchy; a second place is the same one, mounted again.
    hierarchies.into_iter().find(|files| !files.is_empty()).unwrap_or_default()
}

impl CpuCounters {
    /// Reads them; `quota_files` are those of [`quota_files`].
    pub(super) fn read(tree: &Tree, quota_files: &[PathBuf]) -> Self {
        let stat = tree.text("/proc/stat").unwrap_or_default();
        let pressure = tree.text("/proc/pressure/cpu");
        let quotas: Vec<String> =
            quota_files.iter().map(|file| tree.text(file).unwrap_or_default()).collect();
        // A level that is gone would make the sum run backwards: all must speak, or none does.
        let sum = |value: fn(&str) -> Option<u64>| {
            let known = (!quotas.is_empty()).then_some(0);
            quotas.iter().try_fold(known?, |sum: u64, text| sum.checked_add(value(text)?))
        };
        Self {
            all: stat.lines().find_map(|line| Ticks::parse(line.strip_prefix("cpu ")?)),
            each: stat.lines().filter_map(parse_cpu).collect(),
            pressure_micros: pressure.and_then(|text| parse_pressure(&text)),
            throttled: sum(|text| keyed(text, "nr_throttled")),
            throttled_micros: sum(parse_throttled),
        }
    }

    /// The share of all CPUs' time that was stolen since `before`.
    pub(super) fn steal_since(&self, before: &Self) -> Option<f64> {
        self.all?.since(before.all?)?.steal()
    }

    /// The share of `window` that was under pressure since `before`.
    pub(super) fn pressure_since(&self, before: &Self, window: Window) -> Option<f64> {
        let micros = grown(before.pressure_micros, self.pressure_micros)?;
        share(micros, u64::try_from(window.length().as_micros()).ok()?)
    }

    /// What happened in `window`, which began with `before`; without the worst seconds.
    pub(super) fn since(&self, before: &Self, window: Window) -> CpuDisturbance {
        let all = before.all.and_then(|before| self.all?.since(before));
        let of_cpu = |(&cpu, before): (&usize, &Ticks)| {
            let ticks = self.each.get(&cpu)?.since(*before)?;
            Some(CpuShares { cpu, busy: ticks.busy(), steal: ticks.steal() })
        };
        CpuDisturbance {
            busy: all.and_then(Ticks::busy),
            steal: all.and_then(Ticks::steal),
            steal_worst: None,
            pressure: self.pressure_since(before, window),
            pressure_worst: None,
            throttled: grown(before.throttled, self.throttled),
            throttled_time: grown(before.throttled_micros, self.throttled_micros)
                .map(Duration::from_micros),
            each: before.each.iter().filter_map(of_cpu).collect(),
        }
    }
}

impl Ticks {
    /// Parses `user nice system idle iowait irq softirq steal`. What follows (guests) is a part of
    /// the first two. Kernels before 2.6.11 have no steal; none of them runs this program.
    fn parse(text: &str) -> Option<Self> {
        let mut ticks = [0_u64; 8];
        let mut words = text.split_whitespace();
        for tick in &mut ticks {
            *tick = words.next()?.parse().ok()?;
        }
        let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks;
        let sum = |parts: &[u64]| parts.iter().try_fold(0_u64, |sum, &part| sum.checked_add(part));
        let busy = sum(&[user, nice, system, irq, softirq, steal])?;
        Some(Self { total: sum(&[busy, idle, iowait])?, busy, steal })
    }

    fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            total: self.total.checked_sub(before.total)?,
            busy: self.busy.checked_sub(before.busy)?,
            steal: self.steal.checked_sub(before.steal)?,
        })
    }

    fn busy(self) -> Option<f64> {
        share(self.busy, self.total)
    }

    fn steal(self) -> Option<f64> {
        share(self.steal, self.total)
    }
}

/// Parses the line of one CPU: `cpu3 …`.
fn parse_cpu(line: &str) -> Option<(usize, Ticks)> {
    let (number, ticks) = line.strip_prefix("cpu")?.split_once(' ')?;
    Some((number.parse().ok()?, Ticks::parse(ticks)?))
}

/// The time of `some avg10=0.00 avg60=0.00 avg300=0.00 total=1`, in µs.
fn parse_pressure(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// The time that a group was throttled, in µs; version 1 tells nanoseconds.
fn parse_throttled(text: &str) -> Option<u64> {
    keyed(text, "throttled_usec").or_else(|| Some(keyed(text, "throttled_time")? / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    const STAT: &str = "\
        cpu  100 5 50 800 20 1 4 20 7 0\n\
        cpu0 40 5 30 400 10 1 4 10 7 0\n\
        cpu1 60 0 20 400 10 0 0 10 0 0\n\
        intr 4857 0 0\nctxt 99\nbtime 1790000000\n";

    const V2: &[(&str, &str)] = &[
        ("/proc/self/cgroup", "0::/pod/app\n"),
        ("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        ("/sys/fs/cgroup/cpu.stat", "usage_usec 999\n"),
        ("/sys/fs/cgroup/pod/cpu.stat", "usage_usec 9\nnr_throttled 2\nthrottled_usec 500\n"),
        ("/sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 5\nnr_throttled 1\nthrottled_usec 70\n"),
    ];

    fn read(machine: &Machine) -> CpuCounters {
        let tree = machine.tree();
        CpuCounters::read(&tree, &quota_files(&tree))
    }

    #[test]
    fn guests_are_counted_once_and_waiting_for_a_disk_is_not_busy() {
        let counters = read(&Machine::of(&[("/proc/stat", STAT)]));
        assert_eq!(counters.all, Some(Ticks { total: 1_000, busy: 180, steal: 20 }));
        let expected = [
            (0, Ticks { total: 500, busy: 90, steal: 10 }),
            (1, Ticks { total: 500, busy: 90, steal: 10 }),
        ];
        assert_eq!(counters.each, BTreeMap::from(expected));
    }

    #[test]
    fn the_pressure_that_counts_is_that_of_some_tasks() {
        let text = "some avg10=2.36 avg60=39.69 avg300=36.04 total=177980758\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let machine = Machine::of(&[("/proc/pressure/cpu", text)]);
        assert_eq!(read(&machine).pressure_micros, Some(177_980_758));
        for odd in ["", "full avg10=0 total=7\n", "some\n", "some total=\n", "some total=-1\n"] {
            machine.set("/proc/pressure/cpu", odd);
            assert_eq!(read(&machine).pressure_micros, None, "{odd:?}");
        }
    }

    #[test]
    fn a_quota_is_used_up_at_any_level_of_version_2() {
        let counters = read(&Machine::of(V2));
        assert_eq!((counters.throttled, counters.throttled_micros), (Some(3), Some(570)));
    }

    #[test]
    fn a_quota_of_version_1_tells_nanoseconds() {
        let mount = "/sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        let counters = read(&Machine::of(&[
            ("/proc/self/cgroup", "1:cpu:/job\n0::/\n"),
            ("/proc/self/mountinfo", &format!("32 31 0:29 / {mount}\n")),
            ("/sys/fs/cgroup/cpu/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
            (
                "/sys/fs/cgroup/cpu/job/cpu.stat",
                "nr_periods 9\nnr_throttled 4\nthrottled_time 1234567\n",
            ),
        ]));
        assert_eq!((counters.throttled, counters.throttled_micros), (Some(4), Some(1_234)));
    }

    #[test]
    fn a_hierarchy_that_is_mounted_twice_is_counted_once() {
        let machine = Machine::of(V2);
        let line = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        machine.set("/proc/self/mountinfo", format!("{line}{line}"));
        assert_eq!(read(&machine).throttled, Some(3));
    }

    #[test]
    fn a_level_that_is_gone_makes_the_sum_unknown() {
        let machine = Machine::of(V2);
        let files = quota_files(&machine.tree());
        machine.remove("/sys/fs/cgroup/pod/cpu.stat");
        let counters = CpuCounters::read(&machine.tree(), &files);
        assert_eq!((counters.throttled, counters.throttled_micros), (None, None));
    }

    #[test]
    fn without_a_quota_there_is_nothing_to_be_known() {
        let counters = read(&Machine::of(&V2[..3]));
        assert_eq!((counters.throttled, counters.throttled_micros), (None, None));
    }

    #[test]
    fn odd_lines_are_unknown() {
        let huge = format!("cpu  {0} {0} 0 0 0 0 0 0\n", u64::MAX);
        for odd in ["", "cpu\n", "cpu  1 2 3\n", "cpu  1 2 3 4 5 6 7 x\n", "cpuset 1\n", &huge] {
            let counters = read(&Machine::of(&[("/proc/stat", odd)]));
            assert_eq!(counters, CpuCounters::default(), "{odd:?}");
        }
    }
}
