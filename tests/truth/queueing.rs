//! T9: Poisson arrivals at a server that serves one at a time, against the theory of queues.
//!
//! The tolerances are three standard deviations of a quantile of a run as long, which were found by
//! simulation: waits that follow each other are alike, so there are fewer samples than requests.

use pummel_engine::reactor::sim::{Law, Model, Service, World};
use pummel_engine::record::Histogram;
use pummel_engine::units::Nanos;

use crate::plan::{at, mean, millis, poisson, response, run_in, secs};

/// A quantile, its true value in milliseconds, and the relative standard deviation of it in a run
/// of 60 s.
type Truth = (f64, f64, f64);

/// Runs of so many minutes, one for each of a few seeds, have the quantiles of `truth` and the mean
/// `expected`, in milliseconds.
#[track_caller]
fn check_runs(law: Law, minutes: u64, expected: f64, truth: &[Truth]) {
    for seed in 1..5 {
        let model = Model { seed, service: Service::Queue(law), ..Model::default() };
        let world = World::listed(&model);
        let report = run_in(&world, poisson(700, secs(60 * minutes), 200, seed));
        let times = response(&report);
        check_log(&times, &world);
        #[expect(clippy::cast_precision_loss, reason = "small test numbers")]
        let longer = (minutes as f64).sqrt();
        for (q, millis, deviation) in truth {
            let (measured, room) = (at(&times, *q) * 1e3, 3.0 * millis * deviation / longer);
            let off = (measured - millis).abs();
            assert!(off <= room, "seed {seed}: quantile {q} is {measured} ms, not {millis} ms");
        }
        let measured = mean(&times) * 1e3;
        let off = (measured - expected).abs() / expected;
        assert!(off <= 0.1 / longer, "seed {seed}: the mean is {measured} ms, not {expected} ms");
    }
}

/// The report is what the list of exchanges says, request by request: nobody was sent late, so the
/// moment of sending is the intended start.
#[track_caller]
fn check_log(times: &Histogram, world: &World) {
    let exchanges = world.exchanges();
    let span = |e: &pummel_engine::reactor::sim::Exchange| e.answered.unwrap().since(e.sent);
    let mut truth = Histogram::new();
    for exchange in &exchanges {
        truth.record(span(exchange));
    }
    assert_eq!(
        (times.count(), times.min(), times.max()),
        (truth.count(), truth.min(), truth.max())
    );
    assert!((times.mean() - truth.mean()).abs() < 1e-6, "{} {}", times.mean(), truth.mean());
    for rank in (1..=times.count()).step_by(997) {
        assert_eq!(times.at_rank(rank), truth.at_rank(rank), "rank {rank}");
    }
}

/// M/M/1: the time in the system is exponential with the rate μ − λ = 300/s.
#[test]
fn exponential_service_gives_exponential_response_times() {
    let truth =
        [(0.5, 2.310, 0.027), (0.9, 7.675, 0.032), (0.99, 15.351, 0.077), (0.999, 23.026, 0.159)];
    check_runs(Law::Exponential(millis(1)), 1, 3.333, &truth);
}

/// M/D/1: the waits are those of Erlang (1909).
#[test]
fn constant_service_gives_the_response_times_of_erlang() {
    let truth =
        [(0.5, 1.730, 0.008), (0.9, 4.077, 0.022), (0.99, 7.486, 0.048), (0.999, 10.894, 0.079)];
    check_runs(Law::Constant(millis(1)), 1, 2.167, &truth);
}

/// Ten times as long, three times as close.
#[test]
fn longer_runs_come_closer() {
    let truth = [(0.5, 2.310, 0.027), (0.9, 7.675, 0.032), (0.99, 15.351, 0.077)];
    check_runs(Law::Exponential(millis(1)), 10, 3.333, &truth);
}

/// Lindley: the next one waits for what is left of the wait and the service of the one before it.
#[test]
fn each_wait_follows_from_the_one_before_it() {
    let law = Law::Constant(millis(1));
    let world = World::listed(&Model { service: Service::Queue(law), ..Model::default() });
    run_in(&world, poisson(900, secs(20), 300, 3));
    let exchanges = world.exchanges();
    assert!(exchanges.len() > 17_000, "{}", exchanges.len());
    let mut wait = Nanos::ZERO;
    for (number, pair) in exchanges.windows(2).enumerate() {
        let took = pair[0].answered.unwrap().since(pair[0].sent);
        assert_eq!(took, wait + millis(1), "request {number}");
        wait = took.saturating_sub(pair[1].sent.since(pair[0].sent));
    }
}
