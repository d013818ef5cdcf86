//! What the machine did during a run: counters of the kernel, read about each second, and what of
//! them grew.
//!
//! | file | what it knows |
//! |---|---|
//! | `cpu` | who had the CPUs: steal, pressure, quotas |
//! | `threads` | who kept this process's threads from them |
//! | `net` | what the kernel's network lost or did twice |
//! | `growth` | what a counter grew by, and where fastest |
//!
//! Reading and judging are apart. [`Sources`] read, and cannot fail: a counter that a machine does
//! not tell, or tells oddly, is `None`. [`Watch`] is pure: it takes samples with their moments. It
//! sets no limits; whoever judges does.

mod cpu;
mod growth;
mod net;
mod threads;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::tree::Tree;

pub use cpu::{CpuCounters, CpuDisturbance, CpuShares, Ticks};
pub use growth::Peak;
pub use net::{
    Drops, NetCounters, NetDisturbance, SoftnetCounters, TcpCounters, TcpDisturbance, TimeWait,
};
pub use threads::{ThreadCounters, ThreadDisturbance, ThreadsCounters, ThreadsDisturbance};

use growth::{Window, grown};
use threads::Census;

/// Shortest time in which a worst second is looked for. In a tenth of a second, one wait of a
/// millisecond would look like a hundredth.
const WINDOW_MIN: Duration = Duration::from_millis(900);

/// Samples that are kept to look back at. Where they come so densely that this many lie within a
/// second, windows become longer, never shorter.
const RECENT_MAX: usize = 64;

/// Counters of the machine and of this process at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of the CPUs.
    pub cpu: CpuCounters,
    /// Of the network.
    pub net: NetCounters,
    /// Of this process's threads.
    pub threads: ThreadsCounters,
    /// Times that this process waited for a page to come from a disk.
    pub faults_major: Option<u64>,
}

/// Where the counters stand. Control groups are looked up once: a process that is moved to another
/// group keeps reading those of the first.
#[derive(Clone, Debug)]
pub struct Sources {
    tree: Tree,
    quota_files: Vec<PathBuf>,
    card_files: Vec<PathBuf>,
}

/// What happened to the machine and to this process while somebody watched. Shares go from 0 to 1;
/// what is unknown is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disturbance {
    /// The time from the first sample to the last.
    pub span: Duration,
    /// Samples that were taken in.
    pub samples: u64,
    /// To the CPUs.
    pub cpu: CpuDisturbance,
    /// On the network.
    pub net: NetDisturbance,
    /// To this process's threads.
    pub threads: ThreadsDisturbance,
    /// Times that this process waited for a page to come from a disk.
    pub faults_major: Option<u64>,
}

/// Takes samples in, and tells in the end what happened between them.
#[derive(Clone, Debug)]
pub struct Watch {
    started: Duration,
    first: Counters,
    last: Sample,
    /// Older ones, oldest first: the youngest that was a second old, and those after it.
    recent: VecDeque<Sample>,
    samples: u64,
    steal_worst: Option<Peak>,
    pressure_worst: Option<Peak>,
    time_wait: Option<TimeWait>,
    tracked_max: Option<u64>,
    census: Census,
}

#[derive(Clone, Debug)]
struct Sample {
    /// Since the first one.
    at: Duration,
    counters: Counters,
}

impl Sources {
    /// Looks up where the counters stand, below `root`; that is `/` but for tests.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        let tree = Tree::below(root);
        let (quota_files, card_files) = (cpu::quota_files(&tree), net::card_files(&tree));
        Self { tree, quota_files, card_files }
    }

    /// Reads them all: some ten files, and three per thread.
    #[must_use]
    pub fn read(&self) -> Counters {
        Counters {
            cpu: CpuCounters::read(&self.tree, &self.quota_files),
            net: NetCounters::read(&self.tree, &self.card_files),
            threads: ThreadsCounters::read(&self.tree),
            faults_major: self
                .tree
                .text("/proc/self/stat")
                .and_then(|text| parse_major_faults(&text)),
        }
    }
}

impl Counters {
    /// Looks up where the counters stand below `root`, and reads them once.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        Sources::below(root).read()
    }
}

impl Watch {
    /// Begins with the first sample. Moments are time since anything that stays.
    #[must_use]
    pub fn start(moment: Duration, counters: Counters) -> Self {
        Self {
            started: moment,
            first: counters.clone(),
            census: Census::begin(&counters.threads),
            time_wait: counters.net.time_wait.map(TimeWait::of),
            tracked_max: counters.net.tracked,
            last: Sample { at: Duration::ZERO, counters },
            recent: VecDeque::with_capacity(RECENT_MAX),
            samples: 1,
            steal_worst: None,
            pressure_worst: None,
        }
    }

    /// Takes a later sample in; one that is not later is left out.
    pub fn sample(&mut self, moment: Duration, counters: Counters) {
        let at = moment.saturating_sub(self.started);
        if at <= self.last.at {
            return;
        }
        let step = Window { from: self.last.at, to: at };
        self.samples += 1;
        self.census.note(step, &self.last.counters.threads, &counters.threads);
        if let Some(count) = counters.net.time_wait {
            self.time_wait.get_or_insert(TimeWait::of(count)).note(count);
        }
        self.tracked_max = self.tracked_max.max(counters.net.tracked);
        let before = std::mem::replace(&mut self.last, Sample { at, counters });
        if self.recent.len() < RECENT_MAX {
            self.recent.push_back(before);
        }
        self.weigh();
    }

    /// Tells what happened from the first sample to the last.
    #[must_use]
    pub fn finish(self) -> Disturbance {
        let Sample { at: span, counters: last } = self.last;
        let whole = Window { from: Duration::ZERO, to: span };
        Disturbance {
            span,
            samples: self.samples,
            cpu: CpuDisturbance {
                steal_worst: self.steal_worst,
                pressure_worst: self.pressure_worst,
                ..last.cpu.since(&self.first.cpu, whole)
            },
            net: NetDisturbance {
                time_wait: self.time_wait,
                tracked_max: self.tracked_max,
                ..last.net.since(&self.first.net)
            },
            threads: self.census.end(),
            faults_major: grown(self.first.faults_major, last.faults_major),
        }
    }

    /// Compares the last second with the worst: from each sample that has become old enough, so
    /// that no step between two samples lies in no window.
    fn weigh(&mut self) {
        let old = |sample: &Sample, at: Duration| at.saturating_sub(sample.at) >= WINDOW_MIN;
        let at = self.last.at;
        while let Some(before) = self.recent.front().filter(|sample| old(sample, at)) {
            let window = Window { from: before.at, to: at };
            let (cpu, earlier) = (&self.last.counters.cpu, &before.counters.cpu);
            Peak::raise(&mut self.steal_worst, cpu.steal_since(earlier), window);
            Peak::raise(&mut self.pressure_worst, cpu.pressure_since(earlier, window), window);
            self.census.weigh(window, &before.counters.threads);
            if !self.recent.get(1).is_some_and(|next| old(next, at)) {
                return;
            }
            self.recent.pop_front();
        }
    }
}

/// The twelfth field of `/proc/self/stat`. The second is a name in parentheses, which may hold
/// spaces and parentheses itself.
fn parse_major_faults(text: &str) -> Option<u64> {
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(9)?.parse().ok()
}

#[cfg(test)]
mod tests;
