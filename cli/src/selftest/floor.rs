//! T1 and T12: how close to nothing a quiet run comes, and when requests are sent.

use pummel_engine::statistics::arrivals::anderson_darling;
use pummel_engine::units::{Instant, Nanos};

use super::Mode;
use super::machine::at;
use super::row::{Exposure, Row};
use super::trial::{Client, Load, Seen, Trial};

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
        target: "--spin".to_owned(),
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
    let bins = seen.target["arrivals"]["bins_10ms"].as_f64().unwrap_or(f64::NAN);
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
    let found = seen.target["arrivals"]["dispersion_10ms"].as_f64().unwrap_or(f64::NAN);
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
