//! CPUs: how many there are, and which and how much of them this process may use.

use core::cmp::Ordering;
use core::fmt;
use core::num::NonZeroU64;
use core::str::FromStr;
use std::collections::BTreeSet;
use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity};

use super::cgroup;
use super::idle::Rest;
use super::topology::Topology;
use crate::tree::{Tree, named};

/// Highest CPU number that is taken for one; the kernel's own bound is 8,192.
const CPU_MAX: usize = 8_191;

/// Facts about the CPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cpus {
    /// CPUs that the machine has online; `None` if it does not say.
    pub online: Option<usize>,
    /// CPUs that this process may run on: affinity mask and CPU set together. Never empty.
    pub allowed: CpuList,
    /// How much CPU time the process's control groups grant, if they bound it.
    pub quota: Option<Quota>,
    /// The processor's name.
    pub model: Option<String>,
    /// Who chooses their clock rates, and how deeply they sleep.
    pub rest: Rest,
    /// Which of the allowed CPUs are hyperthreads of one core, and which memory is near them.
    pub topology: Topology,
    /// Tasks that ran or waited for a CPU, on average over the last minute; of the whole machine.
    pub load: Option<f64>,
    /// Share of all CPUs' time since the start that the hypervisor gave to somebody else.
    pub steal: Option<f64>,
}

/// CPU time per period which a control group grants; ordered by their ratio.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    micros: NonZeroU64,
    period: NonZeroU64,
}

impl Quota {
    /// `micros` of CPU time in every `period` µs; `None` if either is zero.
    #[must_use]
    pub fn new(micros: u64, period: u64) -> Option<Self> {
        Some(Self { micros: NonZeroU64::new(micros)?, period: NonZeroU64::new(period)? })
    }

    /// The least number of CPUs on which the quota can be spent.
    #[must_use]
    pub fn cpus_ceil(self) -> usize {
        usize::try_from(self.micros.get().div_ceil(self.period.get())).unwrap_or(usize::MAX)
    }

    /// The number of CPUs that can be used without a pause.
    #[must_use]
    pub fn cpus_floor(self) -> usize {
        usize::try_from(self.micros.get() / self.period.get()).unwrap_or(usize::MAX)
    }

    /// The quota in CPUs, for display.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "display only")]
    pub fn cpus(self) -> f64 {
        self.micros.get() as f64 / self.period.get() as f64
    }
}

impl Ord for Quota {
    fn cmp(&self, other: &Self) -> Ordering {
        let cross = |a: NonZeroU64, b: NonZeroU64| u128::from(a.get()) * u128::from(b.get());
        cross(self.micros, other.period).cmp(&cross(other.micros, self.period))
    }
}

impl PartialOrd for Quota {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quota {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quota {}

/// CPU numbers in ascending order, without repetition; never empty. Written as the kernel writes
/// them: `0-3,5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(BTreeSet<usize>);

impl CpuList {
    /// The list of `cpus`; `None` if there is none.
    #[must_use]
    pub fn new(cpus: impl IntoIterator<Item = usize>) -> Option<Self> {
        let cpus: BTreeSet<usize> = cpus.into_iter().collect();
        (!cpus.is_empty()).then_some(Self(cpus))
    }

    /// The CPU numbers, ascending.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// How many there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a list is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `cpu` is one of them.
    #[must_use]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.contains(&cpu)
    }

    /// The CPUs that both lists have; `None` if there is none.
    #[must_use]
    pub fn common(&self, other: &Self) -> Option<Self> {
        Self::new(self.0.intersection(&other.0).copied())
    }
}

/// A text which is no CPU list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuListError {
    /// A part is no number or range.
    #[error(
        "{part:?} is neither a CPU number up to {CPU_MAX} nor a range of them; \
         write for example 1,3-5"
    )]
    Malformed {
        /// That part, or the beginning of a long one.
        part: String,
    },
    /// A CPU stands in it more than once.
    #[error("CPU {cpu} is named twice; name each CPU once")]
    Repeated {
        /// That CPU.
        cpu: usize,
    },
}

/// Longest part that an error shows whole, in characters.
const PART_SHOWN_MAX: usize = 40;

impl CpuListError {
    fn malformed(part: &str) -> Self {
        let mut shown: String = part.chars().take(PART_SHOWN_MAX).collect();
        if shown.len() < part.len() {
            shown.push('…');
        }
        Self::Malformed { part: shown }
    }
}

impl FromStr for CpuList {
    type Err = CpuListError;

    fn from_str(text: &str) -> Result<Self, CpuListError> {
        let mut cpus = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => first..=last,
                _ => return Err(CpuListError::malformed(part)),
            };
            for cpu in range {
                if !cpus.insert(cpu) {
                    return Err(CpuListError::Repeated { cpu });
                }
            }
        }
        Ok(Self(cpus))
    }
}

/// A CPU number: digits alone (Rust's own parser would take `+3`), within bounds.
fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|&cpu| cpu <= CPU_MAX)
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

pub(super) fn inspect(tree: &Tree) -> Cpus {
    let read = &|path: &Path| tree.text(path);
    let online = read(Path::new("/sys/devices/system/cpu/online"));
    let online = online.and_then(|text| text.trim().parse::<CpuList>().ok());
    let affinity = affinity(tree).or_else(|| online.clone());
    let allowed = match (affinity, cgroup::cpuset(read)) {
        // The kernel keeps the mask within the set; were they ever apart, the mask is what pinning
        // obeys.
        (Some(mask), Some(set)) => mask.common(&set).unwrap_or(mask),
        (Some(list), None) | (None, Some(list)) => list,
        (None, None) => CpuList(BTreeSet::from([0])),
    };
    let load = tree.text("/proc/loadavg");
    Cpus {
        online: online.map(|list| list.len()),
        rest: Rest::inspect(tree, &allowed),
        topology: Topology::inspect(tree, &allowed),
        load: load.and_then(|text| text.split(' ').next()?.parse().ok()),
        steal: tree.text("/proc/stat").and_then(|text| parse_steal(&text)),
        allowed,
        quota: cgroup::quota(read),
        model: read(Path::new("/proc/cpuinfo")).and_then(|text| parse_model(&text)),
    }
}

/// The share of stolen ticks in the first line of `/proc/stat`: user, nice, system, idle, waiting,
/// interrupts, softirqs, stolen. Those of guests are in the first two.
fn parse_steal(stat: &str) -> Option<f64> {
    let words = stat.lines().find_map(|line| line.strip_prefix("cpu "))?.split_whitespace();
    let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).take(8).collect();
    let stolen = *ticks.get(7)?;
    let all = ticks.iter().fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
    #[expect(clippy::cast_precision_loss, reason = "a share for comparison")]
    (all > 0).then(|| stolen as f64 / all as f64)
}

/// The CPUs of the calling thread's affinity mask; of another machine's process, what it says.
fn affinity(tree: &Tree) -> Option<CpuList> {
    if tree.is_here() {
        let mask = sched_getaffinity(None).ok()?;
        return CpuList::new((0..CpuSet::MAX_CPU).filter(|&cpu| mask.is_set(cpu)));
    }
    let status = tree.text("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().parse().ok()
}

/// The processor's name in the text of `/proc/cpuinfo`; not every architecture has one there.
fn parse_model(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    named(line.split_once(':')?.1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_list_reads_what_it_writes() {
        for (text, written) in
            [("0", "0"), ("1,3-5", "1,3-5"), ("5,3,4", "3-5"), ("0-1, 3", "0-1,3")]
        {
            let list: CpuList = text.parse().unwrap();
            assert_eq!(list.to_string(), written);
            assert_eq!(written.parse(), Ok(list));
        }
    }

    #[test]
    fn what_is_no_cpu_list_is_refused() {
        for text in ["", ",", "1,", "-1", "1-", "3-1", "+1", "a", "1-2-3", "0-99999999999", "8192"]
        {
            assert!(text.parse::<CpuList>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_cpu_that_is_named_twice_is_refused() {
        for text in ["0,0", "1-3,0,2", "0-2,2-4"] {
            let error = text.parse::<CpuList>().unwrap_err();
            assert!(matches!(error, CpuListError::Repeated { .. }), "{text}: {error}");
        }
        let error = "1,0-1".parse::<CpuList>().unwrap_err();
        assert_eq!(error.to_string(), "CPU 1 is named twice; name each CPU once");
    }

    #[test]
    fn an_error_shows_the_beginning_of_a_long_part() {
        let error = "x".repeat(10_000).parse::<CpuList>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("\"{}…\" is neither", "x".repeat(40))), "{error}");
    }

    #[test]
    fn quotas_compare_by_their_ratio() {
        let quota = |micros, period| Quota::new(micros, period).unwrap();
        assert!(quota(150_000, 100_000) < quota(40_000, 20_000));
        assert_eq!(quota(1, 2), quota(2, 4));
        assert_eq!(quota(150_000, 100_000).cpus_ceil(), 2);
        assert_eq!(quota(1, 100_000).cpus_ceil(), 1);
    }

    #[test]
    fn the_model_is_a_line_of_cpuinfo() {
        let text = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: Some CPU @ 2.0 GHz\n";
        assert_eq!(parse_model(text).as_deref(), Some("Some CPU @ 2.0 GHz"));
        assert_eq!(parse_model("processor : 0\n"), None);
    }

    #[test]
    fn stolen_time_is_a_share_of_all() {
        assert_eq!(parse_steal("cpu  10 0 10 60 0 0 0 20 5 5\ncpu0 1\n"), Some(0.2));
        for odd in ["", "cpu  1 2 3\n", "cpu  0 0 0 0 0 0 0 0\n", "cpu  a b c\n"] {
            assert_eq!(parse_steal(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn this_machine_allows_at_least_the_cpu_that_runs_this_test() {
        let cpus = inspect(&Tree::below(Path::new("/")));
        assert!(cpus.allowed.contains(rustix::thread::sched_getcpu()));
    }
}
