//! T1 and T12: how close to nothing a quiet run comes, and when requests are sent.

use pummel_engine::statistics::arrivals::anderson_darling;
use pummel_engine::units::{Instant, Nanos};

use super::Mode;
use super::machine::at;
use super::row::{Exposure, Row};
use super::trial::{Client, Load, Seen, Trial, number};

/// T1: a server that answers after a millisecond, and one that answers at once.
pub(super) fn floor(mode: Mode) -> Vec<Trial> {
    let trial = |name: &str, target: &str, length: u64, delay_s: f64| Trial {
        name: name.to_owned(),
        load: Load::constant(1_000, Nanos::from_secs(length), 10),
        target: target.to_owned(),
        client: Client::Own,
        recorded: false,
        judge: Box::new(move |load, seen| undelayed(load, seen, delay_s)),
    };
    vec![
        trial("answers after 1 ms", "--delay 1ms", mode.choose(3, 60), 0.001),
        trial("answers at once", "", mode.choose(2, 60), 0.0),
    ]
}

fn undelayed(load: &Load, seen: &Seen, delay_s: f64) -> Vec<Row> {
    let facts = &seen.facts;
    let quantile = |q, base| Row::quantile(q, seen.response(q), delay_s, base).at_most();
    let mean = |of: &pummel_engine::record::Histogram| of.mean() / 1e9;
    let parts = mean(&facts.lag) + mean(&facts.service);
    let least = facts.response.known.min().as_secs_f64();
    let mut rows = vec![
        Row::span("min", least, delay_s, 0.0).at_least().with(Exposure::None),
        quantile(0.5, 100e-6),
        quantile(0.99, 300e-6),
        quantile(0.999, 1e-3),
        Row::span("mean, less lag and service", mean(&facts.response.known) - parts, 0.0, 1e-6)
            .with(Exposure::None),
    ];
    rows.extend(seen.books(load, load.slots()));
    rows
}

/// Requests per second of T12.
const RATE: u64 = 10_000;

/// T12: an even schedule and a Poisson one, as the target saw them.
pub(super) fn schedule(mode: Mode) -> Vec<Trial> {
    let length = Nanos::from_secs(mode.choose(3, 10));
    let trial = |name: &str, load, judge: fn(&Load, &Seen) -> Vec<Row>| Trial {
        name: name.to_owned(),
        load,
        target: String::new(),
        client: Client::Own,
        recorded: true,
        judge: Box::new(judge),
    };
    vec![
        trial("an even schedule", Load::constant(RATE, length, 64), even),
        trial("a Poisson schedule", Load::poisson(RATE, length, 64), poisson),
    ]
}

fn even(load: &Load, seen: &Seen) -> Vec<Row> {
    let mut gaps = gaps(seen);
    gaps.sort_unstable();
    let median = gaps.get(gaps.len() / 2).map_or(f64::NAN, |gap| gap.as_secs_f64());
    let mut rows = vec![
        Row::count("arrivals", seen.arrivals.len() as u64, load.slots()),
        Row::span("median gap", median, 1.0 / load.per_second(), 10e-6),
        dispersion(load, seen, 0.0, 0.02),
    ];
    rows.extend(lateness(seen));
    rows.extend(seen.books(load, load.slots()));
    rows
}

fn poisson(load: &Load, seen: &Seen) -> Vec<Row> {
    let slots = seen.facts.intended.len() as u64;
    let bins = number(&seen.target, "/arrivals/bins_10ms");
    let test = anderson_darling(&thinned(seen)).map_or(f64::NAN, |test| test.a_squared);
    let mut rows = vec![
        Row::count("arrivals", seen.arrivals.len() as u64, slots),
        // 99.9 % of all Poisson processes.
        dispersion(load, seen, 1.0, 3.29 * (2.0 / bins).sqrt()),
        Row::ratio("Anderson-Darling", test, 0.0, A_SQUARED_MAX)
            .at_most()
            .with(Exposure::Delay { q: 0.9, scale: A_SQUARED_MAX / EVERY_S }),
    ];
    rows.extend(lateness(seen));
    rows.push(Row::count("scheduled", seen.facts.ledger.scheduled, slots));
    rows.push(Row::count("ok", seen.facts.ledger.ok, slots));
    rows
}

/// How late requests were sent.
fn lateness(seen: &Seen) -> Vec<Row> {
    let row = |q: f64, base: f64| {
        let what = format!("lateness {}", super::row::name(q));
        Row::span(what, at(&seen.facts.lag, q), 0.0, base).at_most().exposed(q)
    };
    vec![row(0.5, 10e-6), row(0.99, 100e-6), row(0.999, 1e-3)]
}

/// Variance over mean of the arrivals in bins of 10 ms.
fn dispersion(load: &Load, seen: &Seen, truth: f64, base: f64) -> Row {
    let found = number(&seen.target, "/arrivals/dispersion_10ms");
    let row = Row::ratio("dispersion of arrivals", found, truth, base);
    row.with(Exposure::Bunched { per_second: load.per_second() })
}

/// Spans between one arrival and the next.
fn gaps(seen: &Seen) -> Vec<Nanos> {
    between(seen.arrivals.iter().map(|row| row.arrived))
}

fn between(moments: impl Iterator<Item = Instant> + Clone) -> Vec<Nanos> {
    let next = moments.clone().skip(1);
    moments.zip(next).map(|(one, other)| other.since(one)).collect()
}

/// One arrival in so many is kept for the test of Anderson and Darling, and the mean gap of those
/// in seconds: so long that a delay of some microseconds is nothing beside it.
const EVERY: u64 = 50;
const EVERY_S: f64 = 0.005;

/// Above, a Poisson process is rejected in one of a thousand cases.
const A_SQUARED_MAX: f64 = 2.95;

/// Gaps of arrivals of which one in [`EVERY`] is kept, by lot: what is left of a Poisson process is
/// one again.
fn thinned(seen: &Seen) -> Vec<Nanos> {
    let kept = (0_u64..).zip(&seen.arrivals).filter(|(k, _)| {
        // By its number alone, scattered: the golden ratio's fraction, twice.
        let lot = k.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let lot = (lot ^ (lot >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (lot >> 32) % EVERY == 0
    });
    between(kept.map(|(_, row)| row.arrived))
}

#[cfg(test)]
mod tests {
    use super::super::trial::tests::{histogram, seen, wrong};
    use super::*;
    use crate::serve::Arrival;
    use serde_json::json;

    #[test]
    fn a_floor_that_is_too_high_or_too_low_is_wrong() {
        let trial = &floor(Mode::Quick)[0];
        let run = |extra: f64| {
            let responses = vec![0.001 + extra; 3_000];
            let mut seen = seen(&responses);
            seen.facts.lag = histogram(&vec![extra / 2.0; 3_000]);
            seen.facts.service = histogram(&vec![0.001 + extra / 2.0; 3_000]);
            seen
        };
        assert_eq!(wrong(trial, &run(60e-6)), [""; 0]);
        assert_eq!(wrong(trial, &run(200e-6)), ["p50"]);
        assert_eq!(wrong(trial, &run(-20e-6))[0], "min");
        let mut unequal = run(60e-6);
        unequal.facts.lag = histogram(&vec![50e-6; 3_000]);
        assert_eq!(wrong(trial, &unequal), ["mean, less lag and service"]);
    }

    fn arrival(moment: Nanos) -> Arrival {
        let arrived = Instant::from_origin(1_000_000_000) + moment;
        let (planned, replied) = (Some(arrived), Some(arrived));
        Arrival { shard: 0, sequence: 1, connection: 0, arrived, planned, replied }
    }

    /// A run whose requests arrived at these moments, with the bins that a target counts.
    fn arriving(moments: &[u64], length_ms: u64) -> Seen {
        let mut seen = seen(&vec![0.0001; moments.len()]);
        seen.facts.lag = histogram(&vec![5e-6; moments.len()]);
        seen.arrivals = moments.iter().map(|&nanos| arrival(Nanos::new(nanos))).collect();
        seen.facts.intended = seen.arrivals.iter().map(|row| row.arrived).collect();
        let mut bins = vec![0_u64; usize::try_from(length_ms / 10).unwrap()];
        for nanos in moments {
            let bin = usize::try_from(nanos / 10_000_000).unwrap();
            if let Some(count) = bins.get_mut(bin) {
                *count += 1;
            }
        }
        let mut dispersion = pummel_engine::statistics::arrivals::Dispersion::new();
        dispersion.extend(bins.iter().copied());
        let arrivals = json!({ "dispersion_10ms": dispersion.index(), "bins_10ms": bins.len() });
        seen.target = json!({ "arrivals": arrivals });
        seen
    }

    #[test]
    fn an_even_schedule_is_told_from_bursts_and_from_one_that_is_late() {
        let trial = &schedule(Mode::Quick)[0];
        let even: Vec<u64> = (0..30_000).map(|k| k * 100_000).collect();
        assert_eq!(wrong(trial, &arriving(&even, 3_000)), [""; 0]);
        // Two shards at the same moments, and not in turns.
        let pairs: Vec<u64> = (0..30_000).map(|k| k / 2 * 200_000).collect();
        assert!(wrong(trial, &arriving(&pairs, 3_000)).contains(&"median gap".to_owned()));
        let bursts: Vec<u64> = (0..30_000).map(|k| k / 1_000 * 100_000_000).collect();
        let wrong_of_bursts = wrong(trial, &arriving(&bursts, 3_000));
        assert!(wrong_of_bursts.contains(&"dispersion of arrivals".to_owned()));
        let mut late = arriving(&even, 3_000);
        late.facts.lag = histogram(&vec![2e-3; 30_000]);
        assert_eq!(wrong(trial, &late), ["lateness p50", "lateness p99", "lateness p99.9"]);
        let mut lost = arriving(&even, 3_000);
        lost.arrivals.pop();
        assert_eq!(wrong(trial, &lost), ["arrivals"]);
    }

    #[test]
    fn a_poisson_schedule_is_told_from_an_even_one() {
        let trial = &schedule(Mode::Quick)[1];
        let mut times = crate::serve::service_times(crate::serve::ServiceLaw::Exponential {
            mean: Nanos::from_micros(100),
            seed: 3,
        });
        let mut moment = 0;
        let poisson: Vec<u64> = (0..30_000)
            .map(|_| {
                moment += times.next().unwrap().get();
                moment
            })
            .collect();
        assert_eq!(wrong(trial, &arriving(&poisson, 3_000)), [""; 0]);
        let even: Vec<u64> = (0..30_000).map(|k| k * 100_000).collect();
        let of_even = wrong(trial, &arriving(&even, 3_000));
        assert!(of_even.contains(&"dispersion of arrivals".to_owned()), "{of_even:?}");
        // Bursts of a length that one in fifty does not thin out.
        let bursts: Vec<u64> = (0..30_000).map(|k| k / 1_000 * 100_000_000 + k).collect();
        let of_bursts = wrong(trial, &arriving(&bursts, 3_000));
        assert!(of_bursts.contains(&"Anderson-Darling".to_owned()), "{of_bursts:?}");
    }
}
