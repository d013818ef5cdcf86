//! A server that freezes: every slot that was due meanwhile has waited, whoever was there to send
//! it.
//!
//! Of arrivals at an even rate, a freeze of length F in each period P catches the share F / P, and
//! the one that comes `x` after its beginning waits for F − x. So `L(q) = F − P (1 − q)` where that
//! is positive, and else nothing, each beside the time of service.

use pummel_engine::reactor::sim::{Freeze, Law, Model, Service};
use pummel_engine::record::buckets::edge;
use pummel_engine::record::{Histogram, Step};
use pummel_engine::statistics::windows::worst;
use pummel_engine::units::Nanos;

use crate::plan::{
    at, check, check_quantiles, mean, micros, millis, on, open, response, run, secs, service,
};

/// A server that answers after `takes`, and freezes.
fn freezing(takes: Nanos, freeze: Freeze) -> Model {
    let service = Service::Parallel(Law::Constant(takes));
    Model { service, freeze: Some(freeze), ..Model::default() }
}

/// Waits of slots of a rate, caught by a freeze of `length` in each `period`.
fn caught(length: f64, period: f64) -> impl Fn(f64) -> f64 {
    move |q| (length - period * (1.0 - q)).max(0.0)
}

/// Slots that waited for longer than `span`.
fn waited(times: &Histogram, span: Nanos) -> u64 {
    let (mut least, mut most) = (0, times.count());
    while least < most {
        let rank = least.midpoint(most);
        if times.at_rank(rank + 1) > span { most = rank } else { least = rank + 1 }
    }
    times.count() - least
}

/// T2.
#[test]
fn a_long_freeze_is_charged_to_every_slot_that_it_catches() {
    for (connections, shards) in [(1, 1), (50, 1), (1_500, 2)] {
        let freeze = Freeze { first: secs(4), length: secs(1), every: Some(secs(10)) };
        let plan = on(shards, open(1_000, secs(100), connections));
        let report = run(plan, &freezing(Nanos::ZERO, freeze));
        let times = response(&report);
        assert_eq!(times.count(), 100_000);
        let quantiles = [0.5, 0.89, 0.91, 0.95, 0.99, 0.995, 0.999];
        check_quantiles(&times, &quantiles, 0.001, caught(1.0, 10.0));
        check("the longest", times.max().as_secs_f64(), 1.0, 0.0);
        check("the mean", mean(&times), 0.05005, 0.0);
        assert_eq!(waited(&times, Nanos::ZERO), 10_000);
    }
}

/// T2: what is not sent in a freeze has no service time, and one connection sends nothing.
#[test]
fn service_times_show_a_freeze_only_as_far_as_there_are_connections() {
    // A hundred of 100,000 are sent into each of ten freezes, in its first 100 ms.
    for (connections, p95, p99_5) in [(1, 0.0, 0.0), (100, 0.0, 0.95), (1_500, 0.5, 0.95)] {
        let freeze = Freeze { first: secs(4), length: secs(1), every: Some(secs(10)) };
        let report = run(open(1_000, secs(100), connections), &freezing(Nanos::ZERO, freeze));
        let times = service(&report);
        check("p95 of the service times", at(&times, 0.95), p95, 0.001);
        check("p99.5 of the service times", at(&times, 0.995), p99_5, 0.001);
    }
}

/// T3.
#[test]
fn a_short_freeze_is_charged_to_every_slot_that_it_catches() {
    let freeze = Freeze { first: millis(500), length: millis(100), every: Some(secs(1)) };
    let report = run(open(1_000, secs(60), 20), &freezing(Nanos::ZERO, freeze));
    let times = response(&report);
    assert_eq!(times.count(), 60_000);
    check_quantiles(&times, &[0.89, 0.91, 0.95, 0.99, 0.999], 0.001, caught(0.1, 1.0));
    check("the longest", times.max().as_secs_f64(), 0.1, 0.0);
    check("the mean", mean(&times), 0.00505, 0.0);
    assert_eq!(waited(&times, Nanos::ZERO), 6_000);
}

/// T3 with a time of service: a reply that would fall into the freeze comes at its end.
#[test]
fn a_time_of_service_comes_on_top() {
    let freeze = Freeze { first: millis(500), length: millis(100), every: Some(secs(1)) };
    let report = run(open(1_000, secs(60), 200), &freezing(micros(700), freeze));
    let times = response(&report);
    // Caught is who would be answered in the freeze, so who comes up to 0.7 ms before it.
    let truth = |q| 0.0007 + caught(0.1, 1.0)(q);
    check_quantiles(&times, &[0.5, 0.89, 0.91, 0.95, 0.99, 0.999], 0.001, truth);
    check("the shortest", times.min().as_secs_f64(), 0.0007, 0.0);
}

/// T4.
#[test]
fn a_rare_freeze_shows_only_in_the_quantiles_that_it_reaches() {
    let freeze = Freeze { first: secs(50), length: secs(1), every: None };
    let report = run(open(1_000, secs(100), 50), &freezing(Nanos::ZERO, freeze));
    let times = response(&report);
    let quantiles = [0.5, 0.9, 0.989, 0.995, 0.999, 0.9999];
    check_quantiles(&times, &quantiles, 0.001, caught(1.0, 100.0));
    check("the longest", times.max().as_secs_f64(), 1.0, 0.0);
    assert_eq!(waited(&times, Nanos::ZERO), 1_000);
    check_ramp(&report.chronicle.steps());
}

/// The freeze of T4 in the course of the run: one ramp that falls from 1 s to nothing, by a tenth
/// of a second in each step of as much, and nothing beside it.
#[track_caller]
fn check_ramp(steps: &[Step]) {
    assert_eq!(steps.len(), 1_000);
    // 0.8 % of a second, and a slot.
    let room = 0.009;
    for (number, step) in (0..).zip(steps) {
        let longest = step.latency.at_rank(step.latency.total()).unwrap().as_secs_f64();
        let frozen = (500..510).contains(&number);
        let truth = if frozen { 1.0 - 0.1 * f64::from(number - 500) } else { 0.0 };
        check(&format!("the longest of step {number}"), longest, truth, room);
    }
    let rows = steps.iter().map(|step| step.latency.rows());
    let worst = worst(rows, 10, 0.5).unwrap();
    // Whichever part of the ramp a window cuts off, it is the shorter waits that are missing, and
    // as many slots that did not wait are there instead.
    assert!((495..=500).contains(&worst.first) && worst.n == 1_000, "{worst:?}");
    let median = edge(usize::from(worst.bucket)).as_secs_f64();
    check("the median of the worst second", median, 0.5, room);
}

/// A server that answers in 1 ms for 100 s and then not at all for 100 s.
fn half_frozen() -> Model {
    freezing(millis(1), Freeze { first: secs(100), length: secs(100), every: None })
}

#[test]
fn half_of_the_time_frozen_is_half_of_the_users_kept_waiting() {
    let report = run(open(1_000, secs(200), 100_100), &half_frozen());
    let times = response(&report);
    assert_eq!(times.count(), 200_000);
    check_quantiles(&times, &[0.25, 0.499], 0.0, |_| 0.001);
    // The slot that comes x into the freeze waits for 100 s − x.
    let truth = caught(100.0, 200.0);
    check_quantiles(&times, &[0.501, 0.75, 0.9, 0.99, 0.999, 0.9999], 0.001, truth);
    check("p75", at(&times, 0.75), 50.0, 0.001);
    check("p99", at(&times, 0.99), 98.0, 0.001);
    check("the longest", times.max().as_secs_f64(), 100.001, 0.0);
    check("the mean", mean(&times), 25.0005 + 0.0005, 0.001);
}

/// Who only times what was sent sees one long answer per connection, and calls everything else a
/// millisecond. And ten connections take their time to send what has piled up: of the 10,000
/// requests per second that they carry, a tenth.
#[test]
fn what_was_not_sent_into_a_freeze_is_not_forgotten() {
    let report = run(open(1_000, secs(200), 10), &half_frozen());
    check("p99.99 of the service times", at(&service(&report), 0.9999), 0.001, 0.0);
    let times = response(&report);
    assert_eq!(times.count(), 200_000);
    // The slot that comes x into the freeze waits for 100 s − x, and then for those before it.
    let truth = |q: f64| 0.001 + 10.0 + 90.0 * (2.0 * q - 1.0);
    check_quantiles(&times, &[0.501, 0.75, 0.9, 0.99, 0.999, 0.9999], 0.001, truth);
    check("the mean", mean(&times), 0.5 * 55.0 + 0.0015, 0.001);
}
