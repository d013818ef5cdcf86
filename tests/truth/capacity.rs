//! A server, or a client, that can do only so much: what it cannot do waits, and the wait is
//! measured.

use pummel_engine::Report;
use pummel_engine::plan::Timetable;
use pummel_engine::reactor::sim::{Entrance, Freeze, Law, Model, Service, World};
use pummel_engine::record::Quantile;
use pummel_engine::statistics::trend::{self, Stability};
use pummel_engine::units::Nanos;

use crate::plan::{
    at, bounds, check, check_quantiles, mean, micros, millis, open, response, run, run_in, secs,
    service,
};

/// One request at a time, each for `takes`.
fn queue(takes: Nanos) -> Model {
    Model { service: Service::Queue(Law::Constant(takes)), ..Model::default() }
}

/// T5: after a freeze F the queue is worked off with what capacity is left, so that the freeze
/// reaches F / (1 − ρ): `L(q) = F − P (1 − ρ) (1 − q)`.
#[test]
fn a_freeze_is_worked_off_with_the_capacity_that_is_left() {
    let freeze = Freeze { first: millis(300), length: millis(100), every: Some(secs(1)) };
    let model = Model { freeze: Some(freeze), ..queue(micros(500)) };
    let report = run(open(1_000, secs(60), 300), &model);
    let truth = |q: f64| (0.1 - 0.5 * (1.0 - q)).max(0.0) + 0.0005;
    let quantiles = [0.5, 0.79, 0.85, 0.9, 0.95, 0.99];
    check_quantiles(&response(&report), &quantiles, 0.001, truth);
    check("the longest", response(&report).max().as_secs_f64(), 0.1005, 0.0005);
}

/// Whether the server kept up, by the requests that were due and not answered at the end of each
/// step of the window.
#[expect(clippy::cast_precision_loss, reason = "small test numbers")]
fn stability(report: &Report) -> Stability {
    let chronicle = &report.chronicle;
    let steps = report.window.get() / chronicle.step().get();
    let mut backlog = 0_i64;
    let outstanding: Vec<f64> = chronicle
        .steps()
        .iter()
        .take(usize::try_from(steps).unwrap())
        .map(|step| {
            backlog += step.tally.arrived.cast_signed() - step.tally.ended.cast_signed();
            backlog as f64
        })
        .collect();
    let offered = report.plan.load.timetable().and_then(Timetable::only_rate).unwrap();
    let median = response(report).quantile(Quantile::P50);
    trend::stability(&outstanding, chronicle.step(), offered, median)
}

#[test]
fn a_server_that_catches_up_is_steady() {
    let freeze = Freeze { first: millis(300), length: millis(100), every: Some(secs(1)) };
    let model = Model { freeze: Some(freeze), ..queue(micros(500)) };
    let report = run(open(1_000, secs(60), 300), &model);
    assert_eq!(stability(&report), Stability::Steady);
}

/// T7: of λ > μ the slot of time t waits `t (λ/μ − 1)`, whoever holds the queue.
#[test]
fn overload_makes_every_slot_wait_longer_than_the_one_before() {
    for connections in [1, 40, 10_000] {
        let plan = open(1_200, secs(30), connections);
        let world = World::listed(&queue(millis(1)));
        let report = run_in(&world, plan);
        let times = response(&report);
        assert_eq!((times.count(), report.totals.ledger.ok), (36_000, 36_000));
        let truth = |q| 30.0 * q * 0.2 + 0.001;
        check_quantiles(&times, &[0.1, 0.5, 0.9, 0.99], 0.001, truth);
        check("the longest", times.max().as_secs_f64(), 6.001, 0.001);
        check("the mean", mean(&times), 3.001, 0.001);
        // The backlog grows by a fifth of a thousand per second, up to 6,000.
        let Stability::Unstable { growth_per_s, backlog } = stability(&report) else {
            panic!("a server that falls behind is called steady")
        };
        check("the growth", growth_per_s, 200.0, 5.0);
        check("the backlog", backlog, 6_000.0, 10.0);
        let exchanges = world.exchanges();
        let (first, last) = (exchanges.first().unwrap().sent, exchanges.last().unwrap());
        check("the end of the drain", last.answered.unwrap().since(first).as_secs_f64(), 36.0, 0.0);
    }
}

/// T7 without a drain: what is owed at the end has no response time but a bound, and a quantile
/// that it reaches is printed as one.
#[test]
fn overload_without_a_drain_leaves_the_quantiles_open() {
    let mut plan = open(1_200, secs(30), 10_000);
    plan.stop.drain = Nanos::ZERO;
    let report = run(plan, &queue(millis(1)));
    let ledger = report.totals.ledger;
    assert_eq!(ledger.scheduled, 36_000);
    assert!((5_995..=6_006).contains(&ledger.unfinished), "{ledger:?}");
    assert_eq!(ledger.ok + ledger.unfinished, 36_000);
    // Known ones and bounds both go up to 5 s evenly: those who came at 25 s were answered last.
    let p99 = bounds(&report, 0.99);
    assert_eq!((p99.hi, p99.exact()), (None, None));
    check("the lower bound of p99", p99.lo.as_secs_f64(), 4.95, 0.002);
    let p50 = bounds(&report, 0.5);
    check("the lower bound of p50", p50.lo.as_secs_f64(), 2.5, 0.002);
    check("the upper bound of p50", p50.hi.unwrap().as_secs_f64(), 3.001, 0.002);
}

/// T8: ten connections of 10 ms are a thousand requests per second, and the wait is ours.
#[test]
fn too_few_connections_make_slots_wait_for_one() {
    let model = Model {
        service: Service::Parallel(Law::Constant(millis(10))),
        entrance: Entrance { takes: micros(100), ..Entrance::default() },
        ..Model::default()
    };
    let report = run(open(1_200, secs(30), 10), &model);
    let total = |q| 30.0 * q * 0.2 + 0.010;
    // Ten slots come together, whenever the ten connections are free.
    check_quantiles(&response(&report), &[0.5, 0.9, 0.99], 0.010, total);
    let service = service(&report);
    check("the shortest service", service.min().as_secs_f64(), 0.010, 0.0);
    check("the longest service", service.max().as_secs_f64(), 0.010, 0.0);
    let parts = &report.totals.parts;
    check("p99 of the wait for a connection", at(&parts.connection_wait, 0.99), 5.94, 0.010);
    check("the longest lag of the shard", parts.loop_lag.max().as_secs_f64(), 0.0, 0.0);
}
