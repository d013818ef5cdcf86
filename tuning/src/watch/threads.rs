//! Who kept this process's threads from their CPUs: how long each ran, how long it was ready and
//! waited, how often it was put off.
//!
//! A thread is known by its number. One that was there at the first sample counts from then on; one
//! that came later began at zero, so all that it has is its own. One that has ended keeps what the
//! last sample saw of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::growth::{Peak, Window, grown, share_of_span};
use crate::tree::{Head, Tree, keyed};

/// Threads that are read in one sample. A process has one per CPU, and a few more.
const THREADS_MAX: usize = 1_024;

/// Threads that are remembered, dead ones included.
const SEEN_MAX: usize = 4 * THREADS_MAX;

/// What the engine calls its threads; a shard's number follows.
const PREFIX: &str = "pummel-";

/// Counters about this process's threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadsCounters {
    /// By the kernel's number.
    pub each: BTreeMap<u32, ThreadCounters>,
    /// Whether these are all.
    pub complete: bool,
}

/// Counters of one thread, since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadCounters {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Time on a CPU, in ns.
    pub ran_nanos: Option<u64>,
    /// Time ready, and without a CPU, in ns. It grows when the wait is over.
    pub waited_nanos: Option<u64>,
    /// Times it gave its CPU up, to wait for something.
    pub switches_voluntary: Option<u64>,
    /// Times it was put off its CPU.
    pub switches_involuntary: Option<u64>,
    /// Times it was moved to another CPU; few kernels tell.
    pub migrations: Option<u64>,
}

/// What happened to the threads while somebody watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreadsDisturbance {
    /// Those of the shards, by the shard's number.
    pub shards: Vec<ThreadDisturbance>,
    /// All others of this process, by name.
    pub others: Vec<ThreadDisturbance>,
    /// Whether these are all: none was beyond the bound, and every sample could list them.
    pub complete: bool,
}

/// What happened to one thread. What is unknown is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreadDisturbance {
    /// Its name, `pummel-0` for the first shard.
    pub name: String,
    /// The time for which the numbers stand: from the first sample, or the last one before it
    /// began, to the last one that saw it.
    pub seen: Duration,
    /// Time on a CPU.
    pub ran: Option<Duration>,
    /// Time ready, and without a CPU.
    pub waited: Option<Duration>,
    /// That as a share of the time for which it was seen.
    pub wait: Option<f64>,
    /// The worst second of that.
    pub wait_worst: Option<Peak>,
    /// Times it gave its CPU up, to wait for something.
    pub switches_voluntary: Option<u64>,
    /// Times it was put off its CPU.
    pub switches_involuntary: Option<u64>,
    /// Times it was moved to another CPU.
    pub migrations: Option<u64>,
}

impl ThreadsCounters {
    /// Reads those of this process.
    pub(super) fn read(tree: &Tree) -> Self {
        let Some(Head { of: numbers, whole }) = tree.numbers("/proc/self/task", THREADS_MAX) else {
            return Self::default();
        };
        let mut threads = Self { each: BTreeMap::new(), complete: whole };
        for number in numbers {
            let folder = format!("/proc/self/task/{number}");
            if let Some(thread) = ThreadCounters::read(tree, &folder) {
                threads.each.insert(number, thread);
            } else if tree.exists(&folder) {
                // It has not ended meanwhile: it cannot be read. Out of open files, for instance.
                threads.complete = false;
            }
        }
        threads
    }
}

impl ThreadCounters {
    fn read(tree: &Tree, folder: &str) -> Option<Self> {
        let status = tree.text(format!("{folder}/status"))?;
        let times = tree.text(format!("{folder}/schedstat"));
        let (ran, waited) = times.and_then(|text| parse_times(&text)).unzip();
        let schedule = tree.text(format!("{folder}/sched"));
        Some(Self {
            name: status.lines().find_map(|line| line.strip_prefix("Name:"))?.trim().to_owned(),
            ran_nanos: ran,
            waited_nanos: waited,
            switches_voluntary: keyed(&status, "voluntary_ctxt_switches"),
            switches_involuntary: keyed(&status, "nonvoluntary_ctxt_switches"),
            migrations: schedule.and_then(|text| keyed(&text, "se.nr_migrations")),
        })
    }

    /// A thread of that name which has not run yet.
    fn newborn(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ran_nanos: Some(0),
            waited_nanos: Some(0),
            switches_voluntary: Some(0),
            switches_involuntary: Some(0),
            migrations: Some(0),
        }
    }

    /// Whether its times are counted. A kernel that does not count writes zeros, and they look like
    /// those of a thread that has not run yet.
    fn is_timed(&self) -> bool {
        self.ran_nanos.is_some_and(|nanos| nanos > 0)
    }

    /// Whether `later` may be the same thread: a number may be given again.
    fn may_become(&self, later: &Self) -> bool {
        let grew = |value: fn(&Self) -> Option<u64>| {
            value(self).zip(value(later)).is_none_or(|(before, after)| before <= after)
        };
        grew(|thread| thread.ran_nanos)
            && grew(|thread| thread.switches_voluntary)
            && grew(|thread| thread.switches_involuntary)
    }
}

/// Parses time on a CPU, and time waiting for one. The third number, of turns, belongs to them.
fn parse_times(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next()?.ok().map(|_turns| (ran, waited))
}

/// A thread, from when it was first seen.
#[derive(Clone, Debug)]
struct Seen {
    /// The beginning of the time for which its numbers stand.
    since: Duration,
    /// Whether it began after that.
    newborn: bool,
    until: Duration,
    first: ThreadCounters,
    last: ThreadCounters,
    wait_worst: Option<Peak>,
}

/// All threads that were seen.
#[derive(Clone, Debug)]
pub(super) struct Census {
    living: BTreeMap<u32, Seen>,
    /// Those whose numbers were given again.
    replaced: Vec<Seen>,
    complete: bool,
}

impl Census {
    /// Begins with the threads of the first sample, at no time.
    pub(super) fn begin(threads: &ThreadsCounters) -> Self {
        let seen = |(&number, thread): (&u32, &ThreadCounters)| {
            (number, Seen::begin(Duration::ZERO, thread))
        };
        let living = threads.each.iter().map(seen).collect();
        Self { living, replaced: Vec::new(), complete: threads.complete }
    }

    /// Takes in the threads of a sample at `step.to`; `before` are those of the one at `step.from`.
    pub(super) fn note(&mut self, step: Window, before: &ThreadsCounters, now: &ThreadsCounters) {
        self.complete &= now.complete;
        for (&number, thread) in &now.each {
            let known = self.living.get_mut(&number);
            if let Some(seen) = known.filter(|seen| seen.last.may_become(thread)) {
                seen.until = step.to;
                seen.last.clone_from(thread);
                continue;
            }
            if self.living.len() + self.replaced.len() >= SEEN_MAX {
                self.complete = false;
                continue;
            }
            // Only a sample that listed all can tell that a thread was not there yet.
            let seen = if before.complete {
                Seen::newborn(step, thread)
            } else {
                Seen::begin(step.to, thread)
            };
            self.replaced.extend(self.living.insert(number, seen));
        }
    }

    /// Looks for the worst waits: in `window`, which began with `before` and has just ended.
    pub(super) fn weigh(&mut self, window: Window, before: &ThreadsCounters) {
        let present = |seen: &Seen| seen.until == window.to && seen.last.is_timed();
        for (number, seen) in self.living.iter_mut().filter(|(_, seen)| present(seen)) {
            let earlier = match before.each.get(number) {
                Some(thread) if thread.may_become(&seen.last) => thread.waited_nanos,
                // It began within the window.
                _ if seen.newborn && seen.since >= window.from => Some(0),
                _ => None,
            };
            let waited = grown(earlier, seen.last.waited_nanos);
            let share = waited.and_then(|nanos| share_of_span(nanos, window.length()));
            Peak::raise(&mut seen.wait_worst, share, window);
        }
    }

    /// What happened to them.
    pub(super) fn end(self) -> ThreadsDisturbance {
        let all = self.living.into_values().chain(self.replaced).map(Seen::end);
        let (mut shards, mut others): (Vec<_>, Vec<_>) =
            all.partition(|thread| shard(&thread.name).is_some());
        shards.sort_by_key(|thread| shard(&thread.name));
        others.sort_by(|a, b| a.name.cmp(&b.name));
        ThreadsDisturbance { shards, others, complete: self.complete }
    }
}

impl Seen {
    /// A thread that was there already.
    fn begin(at: Duration, thread: &ThreadCounters) -> Self {
        let (first, last) = (thread.clone(), thread.clone());
        Self { since: at, newborn: false, until: at, first, last, wait_worst: None }
    }

    /// A thread that began in `step`.
    fn newborn(step: Window, thread: &ThreadCounters) -> Self {
        let (first, last) = (ThreadCounters::newborn(&thread.name), thread.clone());
        let (since, until) = (step.from, step.to);
        Self { since, newborn: true, until, first, last, wait_worst: None }
    }

    fn end(self) -> ThreadDisturbance {
        let (first, last) = (self.first, self.last);
        let seen = self.until.saturating_sub(self.since);
        let timed = |nanos: Option<u64>| nanos.filter(|_| last.is_timed());
        let ran = timed(grown(first.ran_nanos, last.ran_nanos));
        let waited = timed(grown(first.waited_nanos, last.waited_nanos));
        ThreadDisturbance {
            // The name comes after the thread.
            name: last.name,
            seen,
            ran: ran.map(Duration::from_nanos),
            waited: waited.map(Duration::from_nanos),
            wait: waited.and_then(|nanos| share_of_span(nanos, seen)),
            wait_worst: self.wait_worst,
            switches_voluntary: grown(first.switches_voluntary, last.switches_voluntary),
            switches_involuntary: grown(first.switches_involuntary, last.switches_involuntary),
            migrations: grown(first.migrations, last.migrations),
        }
    }
}

/// The number of the shard whose thread bears `name`.
fn shard(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(PREFIX)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn window(from: f64, to: f64) -> Window {
        Window { from: seconds(from), to: seconds(to) }
    }

    /// A thread that has waited so many milliseconds, and run as many.
    fn thread(name: &str, millis: u64) -> ThreadCounters {
        let nanos = Some(millis * 1_000_000);
        ThreadCounters {
            name: name.to_owned(),
            ran_nanos: nanos,
            waited_nanos: nanos,
            ..ThreadCounters::newborn(name)
        }
    }

    fn threads(each: &[(u32, &str, u64)]) -> ThreadsCounters {
        let each =
            each.iter().map(|&(number, name, millis)| (number, thread(name, millis))).collect();
        ThreadsCounters { each, complete: true }
    }

    #[test]
    fn a_thread_is_read_from_three_files() {
        let machine = Machine::of(&[
            (
                "/proc/self/task/7/status",
                "Name:\tpummel-0\nState:\tR\nThreads:\t3\n\
                 voluntary_ctxt_switches:\t41\nnonvoluntary_ctxt_switches:\t5\n",
            ),
            ("/proc/self/task/7/schedstat", "238290 77 12\n"),
            ("/proc/self/task/7/sched", "cat (7, #threads: 1)\nse.nr_migrations       :      3\n"),
            ("/proc/self/task/8/status", "Name:\tmy thread\n"),
            ("/proc/self/task/8/schedstat", "0 0 0\n"),
        ]);
        let read = ThreadsCounters::read(&machine.tree());
        let seven = ThreadCounters {
            name: "pummel-0".to_owned(),
            ran_nanos: Some(238_290),
            waited_nanos: Some(77),
            switches_voluntary: Some(41),
            switches_involuntary: Some(5),
            migrations: Some(3),
        };
        let eight = ThreadCounters {
            name: "my thread".to_owned(),
            ran_nanos: Some(0),
            waited_nanos: Some(0),
            ..ThreadCounters::default()
        };
        let each = BTreeMap::from([(7, seven), (8, eight)]);
        assert_eq!(read, ThreadsCounters { each, complete: true });
    }

    #[test]
    fn a_thread_that_cannot_be_read_makes_the_list_incomplete() {
        let machine = Machine::of(&[("/proc/self/task/9/schedstat", "1 1 1\n")]);
        assert_eq!(ThreadsCounters::read(&machine.tree()), ThreadsCounters::default());
        assert_eq!(ThreadsCounters::read(&Machine::of(&[]).tree()), ThreadsCounters::default());
    }

    #[test]
    fn a_thread_that_ends_while_it_is_read_is_not_there() {
        // A link that leads nowhere is listed, and does not exist.
        let machine = Machine::of(&[("/proc/self/task/8/status", "Name:\ta\n")]);
        machine.link("/proc/self/task/9", "gone");
        let read = ThreadsCounters::read(&machine.tree());
        assert_eq!((read.each.len(), read.complete), (1, true));
    }

    #[test]
    fn odd_times_are_unknown() {
        assert_eq!(parse_times("5 0 1\n"), Some((5, 0)));
        for odd in ["", "1", "1 2", "1 2 x", "1 x 2", "-1 0 1"] {
            assert_eq!(parse_times(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_thread_whose_times_stay_zero_is_not_timed() {
        let idle = threads(&[(1, "pummel-0", 0)]);
        let mut census = Census::begin(&idle);
        census.note(window(0.0, 1.0), &idle, &idle);
        census.weigh(window(0.0, 1.0), &idle);
        let thread = census.end().shards.remove(0);
        let times = (thread.ran, thread.waited, thread.wait, thread.wait_worst);
        assert_eq!(times, (None, None, None, None));
        assert_eq!(thread.switches_voluntary, Some(0));
    }

    #[test]
    fn a_thread_that_had_not_run_at_the_first_sample_is_timed_from_zero() {
        let (first, second) = (threads(&[(1, "a", 0)]), threads(&[(1, "a", 20)]));
        let mut census = Census::begin(&first);
        census.note(window(0.0, 1.0), &first, &second);
        census.weigh(window(0.0, 1.0), &first);
        let thread = census.end().others.remove(0);
        assert_eq!((thread.ran, thread.wait), (Some(seconds(0.02)), Some(0.02)));
        assert_eq!(thread.wait_worst.map(|peak| peak.from), Some(Duration::ZERO));
    }

    #[test]
    fn a_second_before_which_a_thread_was_not_read_is_unknown() {
        let (none, early, late) =
            (threads(&[]), threads(&[(1, "a", 500)]), threads(&[(1, "a", 510)]));
        let blind = ThreadsCounters::default();
        let mut census = Census::begin(&none);
        census.note(window(0.0, 1.0), &none, &early);
        census.note(window(1.0, 2.0), &early, &blind);
        census.note(window(2.0, 3.0), &blind, &late);
        census.weigh(window(2.0, 3.0), &blind);
        let thread = census.end().others.remove(0);
        assert_eq!((thread.waited, thread.wait_worst), (Some(seconds(0.51)), None));
    }

    #[test]
    fn one_sample_without_a_list_makes_the_census_incomplete() {
        let (all, blind) = (threads(&[(1, "a", 1)]), ThreadsCounters::default());
        for (second, third, expected) in [(&all, &all, true), (&blind, &all, false)] {
            let mut census = Census::begin(&all);
            census.note(window(0.0, 1.0), &all, second);
            census.note(window(1.0, 2.0), second, third);
            assert_eq!(census.end().complete, expected);
        }
    }

    #[test]
    fn a_thread_that_was_there_counts_from_the_first_sample() {
        let first = threads(&[(1, "pummel", 500)]);
        let mut census = Census::begin(&first);
        census.note(window(0.0, 2.0), &first, &threads(&[(1, "pummel", 520)]));
        let others = census.end().others;
        assert_eq!(others[0].waited, Some(seconds(0.02)));
        assert_eq!((others[0].seen, others[0].wait), (seconds(2.0), Some(0.01)));
    }

    #[test]
    fn a_new_thread_has_all_that_it_has_and_keeps_it_when_it_ends() {
        let first = threads(&[(1, "pummel", 500)]);
        let second = threads(&[(1, "pummel", 500), (2, "pummel-0", 30)]);
        let mut census = Census::begin(&first);
        census.note(window(0.0, 1.0), &first, &second);
        census.note(window(1.0, 2.0), &second, &threads(&[(1, "pummel", 500)]));
        let threads = census.end();
        assert_eq!(threads.shards[0].name, "pummel-0");
        assert_eq!(threads.shards[0].waited, Some(seconds(0.03)));
        assert_eq!(threads.shards[0].seen, seconds(1.0));
        assert_eq!(threads.shards[0].switches_involuntary, Some(0));
    }

    #[test]
    fn a_thread_that_turns_up_after_a_sample_without_a_list_counts_from_then_on() {
        let blind = ThreadsCounters::default();
        let (second, third) = (threads(&[(1, "a", 500)]), threads(&[(1, "a", 510)]));
        let mut census = Census::begin(&blind);
        census.note(window(0.0, 1.0), &blind, &second);
        census.weigh(window(0.0, 1.0), &blind);
        census.note(window(1.0, 2.0), &second, &third);
        let threads = census.end();
        assert_eq!(threads.others[0].waited, Some(seconds(0.01)));
        assert_eq!(threads.others[0].wait_worst, None, "the second before is unknown");
        assert!(!threads.complete);
    }

    #[test]
    fn a_number_that_is_given_again_is_another_thread() {
        let (first, second) = (threads(&[(1, "old", 500)]), threads(&[(1, "new", 3)]));
        let mut census = Census::begin(&first);
        census.note(window(0.0, 1.0), &first, &second);
        let others = census.end().others;
        let waits: Vec<_> = others.iter().map(|thread| (&*thread.name, thread.waited)).collect();
        assert_eq!(waits, [("new", Some(seconds(0.003))), ("old", Some(seconds(0.0)))]);
    }

    #[test]
    fn the_worst_second_is_found_in_whatever_window_it_lies() {
        let samples = [10, 15, 45, 50].map(|millis| threads(&[(1, "pummel-0", millis)]));
        let mut census = Census::begin(&samples[0]);
        for (at, pair) in (0_u32..).zip(samples.windows(2)) {
            let step = window(f64::from(at), f64::from(at + 1));
            census.note(step, &pair[0], &pair[1]);
            census.weigh(step, &pair[0]);
        }
        let worst = census.end().shards[0].wait_worst.unwrap();
        assert_eq!(worst, Peak { share: 0.03, from: seconds(1.0), to: seconds(2.0) });
    }

    #[test]
    fn the_first_second_of_a_new_thread_counts_too() {
        let (first, second) = (threads(&[]), threads(&[(1, "pummel-0", 40)]));
        let mut census = Census::begin(&first);
        census.note(window(0.0, 1.0), &first, &second);
        census.weigh(window(0.0, 1.0), &first);
        let peak = Peak { share: 0.04, from: seconds(0.0), to: seconds(1.0) };
        assert_eq!(census.end().shards[0].wait_worst, Some(peak));
    }

    #[test]
    fn a_thread_that_has_ended_is_not_weighed_again() {
        let (first, second) = (threads(&[(1, "a", 0)]), threads(&[(1, "a", 40)]));
        let mut census = Census::begin(&first);
        census.note(window(0.0, 1.0), &first, &second);
        census.note(window(1.0, 2.0), &second, &threads(&[]));
        census.weigh(window(0.0, 2.0), &first);
        assert_eq!(census.end().others[0].wait_worst, None);
    }

    #[test]
    fn a_shard_is_named_by_its_number_and_nothing_else() {
        let names = ["pummel-10", "pummel-2", "pummel-coord", "pummel", "pummel-", "pummel-+1"];
        let each: Vec<_> = (1..).zip(names).map(|(number, name)| (number, name, 1)).collect();
        let threads = Census::begin(&threads(&each)).end();
        let of = |threads: &[ThreadDisturbance]| {
            threads.iter().map(|thread| thread.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of(&threads.shards), ["pummel-2", "pummel-10"]);
        assert_eq!(of(&threads.others), ["pummel", "pummel-", "pummel-+1", "pummel-coord"]);
    }

    #[test]
    fn no_more_threads_are_remembered_than_the_bound() {
        let many = |range: std::ops::Range<u32>| ThreadsCounters {
            each: range.map(|number| (number, thread("a", 1))).collect(),
            complete: true,
        };
        let most = u32::try_from(SEEN_MAX).unwrap();
        let first = many(0..most);
        let mut census = Census::begin(&first);
        census.note(window(0.0, 1.0), &first, &many(most..most + 5));
        let threads = census.end();
        assert_eq!((threads.others.len(), threads.complete), (SEEN_MAX, false));
    }
}
