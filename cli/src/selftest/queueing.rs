//! T9: Poisson arrivals at a server that serves one at a time, against the theory of queues and,
//! request by request, against what Lindley's recursion says of the arrivals that it had.

use pummel_engine::units::{Instant, Nanos};

use super::Mode;
use super::row::Row;
use super::trial::{Client, Load, Seen, Trial};
use super::truth;
use crate::serve::{ServiceLaw, service_times};

/// Mean service time of the server, and arrivals per second.
const MEAN: Nanos = Nanos::from_millis(1);
const RATE: u64 = 700;

/// Seed of an exponential law.
const SEED: u64 = 1;

/// Quantiles with the relative standard deviation that they have in a run of a minute, found by
/// simulation: waits that follow each other are alike, so there are fewer samples than requests.
type Deviations = [(f64, f64); 4];
const OF_EXPONENTIAL: Deviations = [(0.5, 0.027), (0.9, 0.032), (0.99, 0.077), (0.999, 0.159)];
const OF_CONSTANT: Deviations = [(0.5, 0.008), (0.9, 0.022), (0.99, 0.048), (0.999, 0.079)];
const MINUTE_S: f64 = 60.0;

/// M/M/1, and M/D/1.
pub(super) fn queues(mode: Mode) -> Vec<Trial> {
    let length = Nanos::from_secs(mode.choose(5, 60));
    let trial = |name: &str, law: &str, judge: fn(&Load, &Seen) -> Vec<Row>| Trial {
        name: name.to_owned(),
        load: Load::poisson(RATE, length, 100),
        target: format!("--service-time 1ms --service-law {law}"),
        client: Client::Own,
        recorded: true,
        judge: Box::new(judge),
    };
    let exponential = format!("exponential --seed {SEED}");
    vec![
        trial("M/M/1", &exponential, |load, seen| {
            let truth = truth::mm1(load.per_second(), MEAN.as_secs_f64());
            let law = ServiceLaw::Exponential { mean: MEAN, seed: SEED };
            queue(load, seen, law, truth, OF_EXPONENTIAL)
        }),
        trial("M/D/1", "constant", |load, seen| {
            let truth = truth::md1(load.per_second(), MEAN.as_secs_f64());
            queue(load, seen, ServiceLaw::Constant(MEAN), truth, OF_CONSTANT)
        }),
    ]
}

fn queue(
    load: &Load,
    seen: &Seen,
    law: ServiceLaw,
    truth: impl Fn(f64) -> f64,
    deviations: Deviations,
) -> Vec<Row> {
    let slots = seen.facts.intended.len() as u64;
    let mut rows = vec![
        Row::count("scheduled", seen.facts.ledger.scheduled, slots),
        Row::count("ok", seen.facts.ledger.ok, slots),
        Row::count("arrivals", seen.arrivals.len() as u64, slots),
    ];
    rows.extend(one_by_one(seen, law));
    // A short run has too few in the tail for its deviation to be known.
    let shorter = (MINUTE_S / load.seconds()).sqrt();
    let known = deviations.into_iter().filter(|(_, deviation)| deviation * shorter < 0.2);
    rows.extend(known.map(|(q, deviation)| {
        let truth = truth(q);
        Row::quantile(q, seen.response(q), truth, 3.0 * deviation * shorter * truth)
    }));
    rows
}

/// The response times that the arrivals must have led to beside those that were reported, rank by
/// rank: a request is off by what was lost on the way, and by nothing else.
fn one_by_one(seen: &Seen, law: ServiceLaw) -> Vec<Row> {
    let truth = responses(seen, law);
    let known = &seen.facts.response.known;
    let mut off: Vec<f64> = Vec::with_capacity(truth.len());
    let mut ranks = truth.iter();
    for (edge, count) in known.buckets() {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // The edge of a bucket is up to a thousandth above what is in it.
        let edge = edge.as_secs_f64();
        off.extend(ranks.by_ref().take(count).map(|truth| (edge - truth.as_secs_f64()).abs()));
    }
    off.sort_unstable_by(f64::total_cmp);
    let complete = off.len() == truth.len() && known.count() == truth.len() as u64;
    let at = |q: f64| {
        let rank = pummel_engine::statistics::order::nearest_rank(off.len() as u64, q);
        let place = rank.and_then(|rank| usize::try_from(rank - 1).ok());
        place.and_then(|place| off.get(place)).copied().filter(|_| complete).unwrap_or(f64::NAN)
    };
    let row = |q: f64, base: f64| {
        let what = format!("error of each, {}", super::row::name(q));
        Row::span(what, at(q), 0.0, base).at_most().exposed(q)
    };
    vec![row(0.5, 60e-6), row(0.999, 1e-3)]
}

/// What each request should have taken, in order of length: from its intended start to when a
/// server that began with it as soon as it had come, and was done with all before it, was done.
fn responses(seen: &Seen, law: ServiceLaw) -> Vec<Nanos> {
    let mut idle = Instant::from_origin(0);
    let requests = seen.arrivals.iter().zip(&seen.facts.intended).zip(service_times(law));
    let mut spans: Vec<Nanos> = requests
        .map(|((arrival, intended), service)| {
            idle = arrival.arrived.max(idle) + service;
            idle.since(*intended)
        })
        .collect();
    spans.sort_unstable();
    spans
}

#[cfg(test)]
mod tests {
    use super::super::trial::tests::{seen, wrong};
    use super::*;
    use crate::serve::Arrival;

    /// A run of the trial as it would be without a machine; each response is `lost` seconds too
    /// long.
    fn run(trial: &Trial, law: ServiceLaw, lost: f64) -> Seen {
        let gaps = ServiceLaw::Exponential { mean: Nanos::new(1_000_000_000 / RATE), seed: 77 };
        let (mut now, mut idle) = (Instant::from_origin(0), Instant::from_origin(0));
        let end = now + trial.load.length;
        let (mut spans, mut arrivals) = (Vec::new(), Vec::new());
        for (gap, service) in service_times(gaps).zip(service_times(law)) {
            now = now + gap;
            if now >= end {
                break;
            }
            idle = idle.max(now) + service;
            spans.push(idle.since(now).as_secs_f64() + lost);
            let (planned, replied) = (Some(idle), Some(idle));
            let (shard, sequence, connection) = (0, 1, 0);
            arrivals.push(Arrival { shard, sequence, connection, arrived: now, planned, replied });
        }
        let mut seen = seen(&spans);
        seen.facts.intended = arrivals.iter().map(|row| row.arrived).collect();
        seen.arrivals = arrivals;
        seen
    }

    #[test]
    fn a_queue_is_what_theory_and_recursion_say_and_nothing_else() {
        let exponential = ServiceLaw::Exponential { mean: MEAN, seed: SEED };
        let laws = [exponential, ServiceLaw::Constant(MEAN)];
        for (trial, law) in queues(Mode::Full).iter().zip(laws) {
            assert_eq!(wrong(trial, &run(trial, law, 20e-6)), [""; 0], "{}", trial.name);
            let late = wrong(trial, &run(trial, law, 500e-6));
            assert!(late.contains(&"error of each, p50".to_owned()), "{late:?}");
        }
    }

    #[test]
    fn another_law_is_told_from_the_one_that_was_asked_for() {
        let trial = &queues(Mode::Full)[1];
        let other = run(trial, ServiceLaw::Exponential { mean: MEAN, seed: SEED }, 0.0);
        let wrong = wrong(trial, &other);
        for what in ["error of each, p50", "p99"] {
            assert!(wrong.iter().any(|row| row == what), "{what}: {wrong:?}");
        }
    }

    #[test]
    fn a_request_that_is_missing_on_one_side_is_wrong() {
        let trial = &queues(Mode::Quick)[1];
        let mut missing = run(trial, ServiceLaw::Constant(MEAN), 0.0);
        missing.arrivals.pop();
        let wrong = wrong(trial, &missing);
        assert!(wrong.contains(&"arrivals".to_owned()), "{wrong:?}");
        assert!(wrong.contains(&"error of each, p50".to_owned()), "{wrong:?}");
    }
}
