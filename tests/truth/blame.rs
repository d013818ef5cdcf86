//! Whether the verdict blames whom it should, where it is known who did it.

use pummel_engine::plan::Plan;
use pummel_engine::reactor::sim::{Client, Freeze, Law, Model, Service, Stall};
use pummel_engine::statistics::trend::Stability;
use pummel_engine::units::Nanos;
use pummel_engine::verdict::{Axis, Limitation, Machine, Status, Trust, Verdict};

use crate::plan::{micros, millis, open, poisson, run, secs};

/// A server that takes `takes`, however much is asked of it.
fn fixed(takes: Nanos) -> Model {
    Model { service: Service::Parallel(Law::Constant(takes)), ..Model::default() }
}

/// A server that serves one at a time.
fn queue(law: Law) -> Model {
    Model { service: Service::Queue(law), ..Model::default() }
}

#[track_caller]
fn verdict(plan: Plan, model: &Model) -> Verdict {
    Verdict::of(&run(plan, model), &Machine::default())
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.reasons.iter().map(|reason| reason.code).collect()
}

/// T1.
#[test]
fn a_server_that_keeps_up_and_a_client_that_is_in_time_pass() {
    let verdict = verdict(open(1_000, secs(60), 50), &fixed(millis(1)));
    assert_eq!((verdict.status, codes(&verdict)), (Status::Pass, vec![]));
    assert_eq!(verdict.course.stability, Stability::Steady);
}

/// T2: it is the server that froze.
#[test]
fn a_frozen_server_is_no_fault_of_the_client() {
    let freeze = Freeze { first: secs(4), length: secs(1), every: Some(secs(10)) };
    let model = Model { freeze: Some(freeze), ..fixed(micros(500)) };
    // With few connections slots are not sent in time either, because of the freeze.
    for connections in [1_500, 10] {
        let verdict = verdict(open(1_000, secs(100), connections), &model);
        assert_eq!((verdict.status, codes(&verdict)), (Status::Pass, vec![]));
        assert!(verdict.blames_target());
        assert_eq!(verdict.course.stability, Stability::Steady);
    }
}

/// T7: with all the connections it could use, with too few of them, and without a drain.
#[test]
fn a_server_that_falls_behind_is_unstable_and_the_run_is_good() {
    let mut undrained = open(1_200, secs(30), 10_000);
    undrained.stop.drain = Nanos::ZERO;
    for plan in [open(1_200, secs(30), 10_000), open(1_200, secs(30), 40), undrained] {
        let verdict = verdict(plan, &queue(Law::Constant(millis(1))));
        let Stability::Unstable { growth_per_s, backlog } = verdict.course.stability else {
            panic!("a server that falls behind is called steady")
        };
        assert!((growth_per_s - 200.0).abs() < 5.0, "{growth_per_s}");
        assert!((backlog - 6_000.0).abs() < 10.0, "{backlog}");
        assert_eq!((verdict.status, codes(&verdict)), (Status::Pass, vec![]));
        assert!(verdict.blames_target());
    }
}

/// T8: the server is as quick as ever.
#[test]
fn too_few_connections_are_called_that_and_not_a_slow_server() {
    let verdict = verdict(open(1_200, secs(30), 10), &fixed(millis(10)));
    assert_eq!(codes(&verdict), ["connection_limited"]);
    assert_eq!(verdict.of_axis(Axis::Delivery), Status::Suspect);
    assert!(!verdict.blames_target());
    let Some(Limitation::Connections { wait, longest, .. }) = verdict.delivery.limitation else {
        panic!("{:?}", verdict.delivery)
    };
    assert!(wait > millis(2_980) && longest > millis(5_980), "{wait} {longest}");
}

/// T10: the quantiles that the stall reaches carry a star, and no others.
#[test]
fn a_client_that_stands_still_is_suspect() {
    let stall = Stall { at: micros(20_000_500), length: millis(500) };
    let client = Client { stalls: vec![stall], ..Client::default() };
    let verdict = verdict(open(1_000, secs(60), 600), &Model { client, ..fixed(millis(1)) });
    assert_eq!((verdict.status, codes(&verdict)), (Status::Suspect, vec!["client_stall"]));
    assert!(!verdict.blames_target());
    let starred = |trust: &&Trust| trust.starred;
    let starred: Vec<_> = verdict.trust.iter().filter(starred).map(|trust| trust.name).collect();
    assert_eq!(starred, ["p99_9", "p99_99"]);
}

#[test]
fn a_client_that_is_always_late_is_suspect() {
    let client = Client { late: Law::Constant(millis(2)), ..Client::default() };
    let verdict = verdict(open(1_000, secs(60), 600), &Model { client, ..fixed(millis(1)) });
    assert_eq!((verdict.status, codes(&verdict)), (Status::Suspect, vec!["loop_lag"]));
    assert!(verdict.trust.iter().all(|trust| trust.starred));
}

/// T9: how often the truth lies in the interval that is printed for it, where requests resemble
/// their neighbours.
#[test]
fn intervals_hold_the_truth_about_a_queue() {
    const SEEDS: u64 = 20;
    let truth = [("p50", 2.310), ("p90", 7.675), ("p99", 15.351)];
    let mut held = [0; 3];
    for seed in 0..SEEDS {
        let model = Model { seed, ..queue(Law::Exponential(millis(1))) };
        let verdict = verdict(poisson(700, secs(60), 200, seed), &model);
        assert_eq!(codes(&verdict), [""; 0], "seed {seed}");
        for ((name, millis), held) in truth.iter().zip(&mut held) {
            let trust = verdict.trust.iter().find(|trust| trust.name == *name).unwrap();
            let (low, high) = trust.interval.unwrap();
            let within = low.as_secs_f64() * 1e3 <= *millis && *millis <= high.as_secs_f64() * 1e3;
            *held += u64::from(within);
        }
    }
    assert!(held.iter().all(|&held| held >= SEEDS * 9 / 10), "{held:?} of {SEEDS}");
}
