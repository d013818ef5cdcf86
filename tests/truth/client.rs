//! A client that is late: what it does to the numbers, and that they say so.

use pummel_engine::plan::{Pacing, Plan};
use pummel_engine::reactor::sim::{Client, Law, Model, Service, Stall, World};

use crate::plan::{at, check, mean, micros, millis, open, response, run_in, secs, service};

/// T10: a stop of half a second, in which the schedule goes on.
#[test]
fn a_client_that_stands_still_is_charged_to_the_slots_that_it_held_up() {
    let stall = Stall { at: micros(20_000_500), length: millis(500) };
    let model = Model {
        service: Service::Parallel(Law::Constant(micros(300))),
        client: Client { stalls: vec![stall], ..Client::default() },
        ..Model::default()
    };
    let world = World::listed(&model);
    let report = run_in(&world, open(1_000, secs(60), 600));
    let lag = &report.totals.parts.lag;
    check("p99 of the lag", at(lag, 0.99), 0.0, 0.0);
    check("p99.5 of the lag", at(lag, 0.995), 0.200, 0.001);
    check("p99.9 of the lag", at(lag, 0.999), 0.440, 0.001);
    check("the longest lag", lag.max().as_secs_f64(), 0.4995, 0.0);
    let wait = &report.totals.parts.connection_wait;
    check("the longest wait for a connection", wait.max().as_secs_f64(), 0.0, 0.0);
    let hindered = &report.totals.parts.unhindered;
    check("the longest with an unhindered client", hindered.max().as_secs_f64(), 0.0003, 0.0);
    // All of the lag is the shard's; what tells it has two digits.
    let loop_lag = &report.totals.parts.loop_lag;
    check("p99.5 of the lag of the shard", at(loop_lag, 0.995), 0.200, 0.003);
    check("the longest lag of the shard", loop_lag.max().as_secs_f64(), 0.4995, 0.0);
    check("p99.9 of the response", at(&response(&report), 0.999), 0.4403, 0.001);
    check("service", service(&report).max().as_secs_f64(), 0.0003, 0.0);
    // On the wire all was well: the sends came late, and the answers took their time.
    let exchanges = world.exchanges();
    assert!(exchanges.iter().all(|e| e.answered.unwrap().since(e.sent) == micros(300)));
    let held_up = exchanges.iter().zip(0..).filter(|(exchange, k)| {
        let intended = exchanges[0].sent + micros(k * 1_000);
        exchange.sent.since(intended) > millis(1)
    });
    assert_eq!(held_up.count(), 499);
}

/// Whoever wakes up late sends late, and the lateness is lag and not service.
#[test]
fn late_wake_ups_are_lag() {
    let model = Model {
        seed: 7,
        service: Service::Parallel(Law::Constant(micros(200))),
        client: Client { late: Law::Constant(micros(50)), ..Client::default() },
        ..Model::default()
    };
    let report = run_in(&World::new(&model), open(1_000, secs(10), 20));
    let lag = &report.totals.parts.lag;
    check("the shortest lag", lag.min().as_secs_f64(), 50e-6, 0.0);
    check("the longest lag", lag.max().as_secs_f64(), 50e-6, 0.0);
    check("the longest service", service(&report).max().as_secs_f64(), 250e-6, 0.0);
}

/// A client that is awake when a slot is due sends it in time, however late it would have woken.
#[test]
fn who_is_awake_in_time_is_not_late() {
    let late = Law::Exponential(micros(15));
    let lag = |pacing| {
        let model = Model {
            seed: 3,
            service: Service::Parallel(Law::Constant(micros(200))),
            client: Client { late, ..Client::default() },
            ..Model::default()
        };
        let plan = Plan { pacing, ..open(1_000, secs(20), 20) };
        let report = run_in(&World::new(&model), plan);
        let shard = report.shards[0];
        (report.totals.parts.lag, shard.spun, shard.busy)
    };
    let (asleep, spun, _) = lag(Pacing::Sleep);
    check("the mean lag of a sleeper", mean(&asleep), 15e-6, 0.5e-6);
    assert!(spun.abs() < 1e-9, "{spun}");
    let (awake, spun, busy) = lag(Pacing::Spin);
    check("the longest lag of who never sleeps", awake.max().as_secs_f64(), 0.0, 0.0);
    assert!(spun > 0.99 && busy < 0.01, "{spun} {busy}");
    let (hybrid, spun, busy) = lag(Pacing::Hybrid);
    check("p98 of the lag of who wakes up before it is due", at(&hybrid, 0.98), 0.0, 0.0);
    assert!((0.005..0.2).contains(&spun) && busy < 0.01, "{spun} {busy}");
}
