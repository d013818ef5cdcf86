//! How much the machine itself gets in the way: its jitter, measured before and after the tests,
//! and whether somebody disturbed a test while it ran.
//!
//! A thread that does nothing but read the clock sees each piece of time that was taken from its
//! CPU, by other threads, by interrupts or by the hypervisor, as a gap between two readings. A
//! request that needs the CPU somewhere in a gap is held up to the gap's end: of `x` and longer,
//! the share of all moments is `Σ max(0, gap − x) / time`. From this follows what the machine adds
//! to a quantile, whatever program runs on it.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pummel_engine::reactor::{clock, thread as os_thread};
use pummel_engine::record::{Histogram, Quantile};
use pummel_engine::units::Nanos;
use pummel_tuning::watch::Disturbance;

use super::row::real;

/// How long CPUs are watched for gaps.
const WATCHED: Nanos = Nanos::from_millis(1_400);

/// Between two readings of the clock lies about a twentieth of a microsecond. What is longer than
/// this was taken from the thread.
const GAP_MIN: Nanos = Nanos::from_micros(5);

/// Most gaps that are kept: more do not fit into the time.
const GAPS_MAX: usize = 1 << 19;

/// How often a sleeper is woken up, and how long it sleeps each time.
const WAKES: u32 = 1_000;
const NAP: Nanos = Nanos::from_micros(600);

/// Of the share of requests above a quantile, the part that is left to the machine: half. What it
/// does in a run is not exactly what it did while it was measured, and a queue makes more of it.
const SHARE: f64 = 0.5;

/// The CPUs of a test.
#[derive(Clone, Debug)]
pub(super) struct Cpus {
    pub(super) shards: Vec<usize>,
    pub(super) target: usize,
}

impl Cpus {
    /// Whether the target has a CPU without a shard.
    pub(super) fn apart(&self) -> bool {
        !self.shards.contains(&self.target)
    }
}

/// Pieces of time that were taken from a CPU.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    watched: Nanos,
    /// The longest first, in seconds.
    spans: Vec<f64>,
    /// Sums of the first none, one, two … of them.
    sums: Vec<f64>,
}

/// What the machine did to threads that wanted nothing but their CPU.
#[derive(Clone, Debug)]
pub(super) struct Jitter {
    pub(super) shards: Gaps,
    pub(super) target: Gaps,
    /// How late sleepers were woken up.
    pub(super) wakes: Histogram,
}

/// The jitter before the tests and after them; the worse counts.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    pub(super) samples: Vec<Jitter>,
    /// Whether the client sleeps until a slot is due.
    pub(super) sleeps: bool,
}

impl Gaps {
    fn new(watched: Nanos, mut spans: Vec<f64>) -> Self {
        spans.sort_unstable_by(|a, b| b.total_cmp(a));
        let sums = spans.iter().scan(0.0, |sum, gap| {
            *sum += gap;
            Some(*sum)
        });
        let sums = std::iter::once(0.0).chain(sums).collect();
        Self { watched, spans, sums }
    }

    /// The share of the time that was taken.
    pub(super) fn share(&self) -> f64 {
        self.beyond(0.0)
    }

    /// The longest piece, in seconds.
    pub(super) fn longest(&self) -> f64 {
        self.spans.first().copied().unwrap_or_default()
    }

    /// The share of all moments from which it lasted longer than `span_s` until the CPU was back.
    fn beyond(&self, span_s: f64) -> f64 {
        let count = self.spans.partition_point(|&gap| gap > span_s);
        let sum = self.sums.get(count).copied().unwrap_or_default();
        let over = sum - real(count as u64) * span_s;
        over / self.watched.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The sum of the squares of the gaps over the time, in seconds.
    fn squares(&self) -> f64 {
        let squares: f64 = self.spans.iter().map(|gap| gap.powi(2)).sum();
        squares / self.watched.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// What several CPUs had taken from them, as if it were one for so much longer.
    fn together(all: Vec<Self>) -> Self {
        let watched = all.iter().fold(Nanos::ZERO, |sum, one| sum + one.watched);
        Self::new(watched, all.into_iter().flat_map(|one| one.spans).collect())
    }
}

impl Jitter {
    /// Watches the CPUs for about two seconds, in which nothing else is to be done on them.
    ///
    /// # Errors
    /// If no thread can be had for it.
    pub(super) fn measure(cpus: &Cpus) -> io::Result<Self> {
        let shards = cpus.shards.iter().map(|&cpu| on(cpu, || gaps(WATCHED)));
        let shards = shards.collect::<io::Result<Vec<_>>>()?;
        // Two who watch one CPU would find each other.
        let target = cpus.apart().then(|| on(cpus.target, || gaps(WATCHED))).transpose()?;
        let shards = shards.into_iter().map(join).collect::<io::Result<Vec<_>>>()?;
        let shards = Gaps::together(shards);
        let target = target.map(join).transpose()?.unwrap_or_else(|| shards.clone());
        let sleeper = cpus.shards.first().copied().unwrap_or(cpus.target);
        Ok(Self { shards, target, wakes: join(on(sleeper, wakes)?)? })
    }

    /// What may be added to a request, in seconds, at all but the share `tail` of them: from that
    /// on, it is added to fewer. Two delays of one request are not looked for, being rarer than
    /// either.
    fn delay(&self, tail: f64, sleeps: bool) -> f64 {
        let woken = if sleeps { self.wakes.max().as_secs_f64() } else { 0.0 };
        let (mut low, mut high) =
            (0.0, woken.max(self.shards.longest()).max(self.target.longest()));
        if self.beyond(low, sleeps) <= tail {
            return low;
        }
        // To a thousandth of a microsecond, of an hour.
        for _ in 0..42 {
            let middle = f64::midpoint(low, high);
            if self.beyond(middle, sleeps) <= tail { high = middle } else { low = middle }
        }
        high
    }

    /// The share of requests to which more than `span_s` may be added: on the client's CPU on the
    /// way out, on that of the target, on the client's again; and a sleeping client is woken up.
    fn beyond(&self, span_s: f64, sleeps: bool) -> f64 {
        let late = if sleeps { share_above(&self.wakes, span_s) } else { 0.0 };
        2.0 * self.shards.beyond(span_s) + self.target.beyond(span_s) + late
    }
}

impl Noise {
    /// What the machine may have added to the quantile `q` of response times, in seconds.
    pub(super) fn delay(&self, q: f64) -> f64 {
        let delays = self.samples.iter().map(|jitter| jitter.delay(SHARE * (1.0 - q), self.sleeps));
        delays.fold(0.0, f64::max)
    }

    /// The share of requests to which it may have added more than `span_s`.
    pub(super) fn beyond(&self, span_s: f64) -> f64 {
        let shares = self.samples.iter().map(|jitter| jitter.beyond(span_s, self.sleeps));
        shares.fold(0.0, f64::max)
    }
}

impl Noise {
    /// By how much gaps may have raised the dispersion of `per_second` arrivals: of a gap, as many
    /// as it holds are counted in one bin less and in another more.
    ///
    /// In bins of length `b` of the time `T`, with a mean of `R b` arrivals, gaps `g` add
    /// `2 Σ (R g)² / (T / b)` to the variance, and that over the mean is `2 R Σ g² / T`.
    pub(super) fn bunching(&self, per_second: f64) -> f64 {
        let squares = self.samples.iter().map(|one| one.shards.squares() + one.target.squares());
        2.0 * per_second * squares.fold(0.0, f64::max)
    }
}

/// The quantile of spans in seconds.
pub(super) fn at(of: &Histogram, q: f64) -> f64 {
    Quantile::new(q).map_or(f64::NAN, |quantile| of.quantile(quantile).as_secs_f64())
}

/// The share of spans that are longer than `span_s` seconds.
fn share_above(of: &Histogram, span_s: f64) -> f64 {
    let above = of.buckets().filter(|(edge, _)| edge.as_secs_f64() > span_s);
    real(above.map(|(_, count)| count).sum()) / real(of.count().max(1))
}

/// Starts `body` on a thread that is pinned to `cpu`, if the kernel agrees.
fn on<T: Send + 'static>(
    cpu: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name("jitter".to_owned()).spawn(move || {
        // Where it refuses it refuses the shards too, and they run like this thread.
        let _pinned = os_thread::pin(cpu);
        os_thread::set_precise_timers();
        body()
    })
}

fn join<T>(thread: thread::JoinHandle<T>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("the thread that watched a CPU panicked"))
}

/// Reads the clock for `length`, and keeps the gaps.
fn gaps(length: Nanos) -> Gaps {
    let start = clock::now();
    let (mut last, mut spans) = (start, Vec::with_capacity(GAPS_MAX));
    while last.since(start) < length {
        let now = clock::now();
        let gap = now.since(last);
        if gap >= GAP_MIN && spans.len() < GAPS_MAX {
            spans.push(gap.as_secs_f64());
        }
        last = now;
    }
    Gaps::new(last.since(start), spans)
}

/// Sleeps again and again, and records how late it was woken up.
fn wakes() -> Histogram {
    // Nobody ever sends: each wait lasts for its time.
    let (_held, nothing) = mpsc::channel::<Infallible>();
    let mut late = Histogram::new();
    for _ in 0..WAKES {
        let due = clock::now() + NAP;
        let _timed_out = nothing.recv_timeout(Duration::from_nanos(NAP.get()));
        late.record(clock::now().since(due));
    }
    late
}

/// Above these shares, a measurement was disturbed: more than a hundredth of the time taken from
/// whoever measures or answers, or more than a twentieth of some second.
const TAKEN_MAX: f64 = 0.01;
const TAKEN_WORST_MAX: f64 = 0.05;

/// Who got in the way of a measurement, if anybody did: what the watcher saw, and for which share
/// of the time other processes, by their names, were kept from their CPUs.
pub(super) fn disturbance(
    seen: Option<&Disturbance>,
    others: &[(&str, Option<f64>)],
) -> Option<String> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    for &(name, share) in others {
        if let Some(share) = share.filter(|&share| share > TAKEN_MAX) {
            return Some(format!("{name} waited for its CPU for {} of the time", percent(share)));
        }
    }
    let seen = seen?;
    for shard in &seen.threads.shards {
        if let Some(share) = shard.wait.filter(|&share| share > TAKEN_MAX) {
            return Some(format!("a shard waited for its CPU for {} of the time", percent(share)));
        }
        if let Some(peak) = shard.wait_worst.filter(|peak| peak.share > TAKEN_WORST_MAX) {
            return Some(format!(
                "a shard waited for its CPU for {} of a second",
                percent(peak.share)
            ));
        }
    }
    if let Some(share) = seen.cpu.steal.filter(|&share| share > TAKEN_MAX) {
        return Some(format!("the hypervisor took {} of the CPUs", percent(share)));
    }
    let throttled = seen.cpu.throttled.filter(|&count| count > 0);
    throttled.map(|count| format!("the CPU quota was used up {count} times"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use pummel_tuning::watch::{CpuDisturbance, Peak, ThreadDisturbance, ThreadsDisturbance};

    fn jitter(gaps: &Gaps) -> Jitter {
        Jitter { shards: gaps.clone(), target: gaps.clone(), wakes: Histogram::new() }
    }

    /// A machine that takes nothing from anybody.
    pub(in crate::selftest) fn quiet() -> Noise {
        let gaps = Gaps::new(Nanos::from_secs(1), Vec::new());
        Noise { samples: vec![jitter(&gaps)], sleeps: true }
    }

    /// A machine that takes a share of the time from each CPU, in pieces of `each` seconds.
    pub(in crate::selftest) fn stolen(share: f64, each: f64) -> Noise {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let count = (share * 1_000.0 / each) as usize;
        let gaps = Gaps::new(Nanos::from_secs(1_000), vec![each; count]);
        Noise { samples: vec![jitter(&gaps)], sleeps: true }
    }

    fn millis(spans: &[u64]) -> Gaps {
        Gaps::new(Nanos::from_secs(1), spans.iter().map(|&n| real(n) / 1e3).collect())
    }

    #[track_caller]
    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn a_moment_within_a_gap_waits_for_its_end() {
        // 30 ms of a second are gone: 20 in one piece and ten in another.
        let gaps = millis(&[10, 20]);
        check(gaps.share(), 0.030);
        check(gaps.longest(), 0.020);
        check(gaps.beyond(0.015), 0.005);
        check(gaps.beyond(0.020), 0.0);
        // Above 5 ms: 15 of the one and 5 of the other.
        check(gaps.beyond(0.005), 0.020);
        check(millis(&[]).beyond(0.0), 0.0);
    }

    #[test]
    fn what_is_added_to_a_quantile_is_what_is_added_to_more_requests_than_lie_above_it() {
        let jitter = jitter(&millis(&[1, 1, 2, 3, 5, 8, 13, 13]));
        for tail in [0.0, 0.0005, 0.001, 0.005, 0.010, 0.020, 0.040] {
            let delay = jitter.delay(tail, false);
            let found = jitter.beyond(delay, false);
            assert!((found - tail).abs() < 1e-6, "{found}, not {tail}");
        }
        // Each of three stations has 46 ms of a second taken from it.
        check(jitter.delay(0.138, false), 0.0);
        assert!(jitter.delay(0.137, false) > 0.0);
        let longest = jitter.delay(0.0, false);
        assert!((longest - 0.013).abs() < 1e-6, "{longest}");
    }

    #[test]
    fn gaps_move_arrivals_from_bin_to_bin() {
        // Of 10,000 arrivals per second, 100 are moved by 10 ms: two bins of the 100 of a second
        // are off by 100, which is a variance of 200 over a mean of 100.
        let noise = |gaps: &Gaps| Noise { samples: vec![jitter(gaps)], sleeps: true };
        check(noise(&millis(&[10])).bunching(10_000.0), 2.0 * 2.0);
        check(quiet().bunching(10_000.0), 0.0);
    }

    #[test]
    fn the_worse_of_two_measurements_counts() {
        let (quiet, noisy) = (quiet(), stolen(0.01, 0.02));
        let both = Noise {
            samples: [quiet.samples.clone(), noisy.samples.clone()].concat(),
            sleeps: true,
        };
        assert!(noisy.delay(0.99) > 0.0);
        check(both.delay(0.99), noisy.delay(0.99));
        check(both.beyond(0.001), noisy.beyond(0.001));
        check(quiet.delay(0.999), 0.0);
    }

    #[test]
    fn a_late_waking_up_concerns_only_those_who_sleep() {
        let mut noise = quiet();
        noise.samples[0].wakes.record(Nanos::from_micros(70));
        let delay = noise.delay(0.5);
        assert!((delay - 70e-6).abs() < 1e-9, "{delay}");
        check(noise.beyond(60e-6), 1.0);
        noise.sleeps = false;
        check(noise.delay(0.5), 0.0);
        check(noise.beyond(60e-6), 0.0);
    }

    #[test]
    fn gaps_that_are_found_lie_within_the_time_watched() {
        let found = gaps(Nanos::from_millis(20));
        assert!(found.watched >= Nanos::from_millis(20));
        assert!((0.0..=1.0).contains(&found.share()), "{}", found.share());
        assert!(found.spans.is_sorted_by(|a, b| a >= b));
    }

    fn shard(wait: f64, worst: f64) -> Disturbance {
        let peak = Peak { share: worst, from: Duration::ZERO, to: Duration::from_secs(1) };
        let shard = ThreadDisturbance {
            name: "pummel-0".to_owned(),
            wait: Some(wait),
            wait_worst: Some(peak),
            ..ThreadDisturbance::default()
        };
        let threads = ThreadsDisturbance { shards: vec![shard], ..ThreadsDisturbance::default() };
        Disturbance { threads, ..Disturbance::default() }
    }

    #[test]
    fn whoever_gets_in_the_way_is_named() {
        let stolen = CpuDisturbance { steal: Some(0.02), ..CpuDisturbance::default() };
        let throttled = CpuDisturbance { throttled: Some(3), ..CpuDisturbance::default() };
        let of = |cpu| Disturbance { cpu, ..Disturbance::default() };
        for (seen, target, word) in [
            (shard(0.02, 0.02), None, "shard"),
            (shard(0.001, 0.06), None, "of a second"),
            (of(stolen), Some(0.0), "hypervisor"),
            (of(throttled), None, "quota"),
            (Disturbance::default(), Some(0.02), "target"),
        ] {
            let others = [("the target", target), ("the client", None)];
            let said = disturbance(Some(&seen), &others).unwrap();
            assert!(said.contains(word), "{said}");
        }
        let others = [("the target", Some(0.005)), ("the client", Some(0.02))];
        assert_eq!(disturbance(Some(&shard(0.005, 0.03)), &others[..1]), None);
        assert!(disturbance(None, &others).unwrap().contains("client"));
        assert_eq!(disturbance(None, &[]), None);
    }
}
