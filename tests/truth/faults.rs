//! What goes wrong with requests and connections: counted exactly, and no slot is lost.

use core::num::{NonZeroU8, NonZeroU32};
use proptest::prelude::*;

use pummel_engine::plan::{Arrivals, Limit, Load, OnFull, Plan, Timetable};
use pummel_engine::reactor::sim::{
    Client, Entrance, Fault, Freeze, Knock, Law, Model, Service, Stall, Way, When, World, Wrong,
};
use pummel_engine::units::Nanos;
use pummel_engine::{Control, Observers, RunError, simulate};

use crate::plan::{at, bounds, check, closed, micros, millis, on, open, response, run, secs};

fn prompt() -> Model {
    Model { service: Service::Parallel(Law::Constant(millis(1))), ..Model::default() }
}

fn every(of: u64, offset: u64, what: Wrong) -> Fault {
    Fault { when: When::Every { of, offset }, what }
}

/// How often the trouble of this name occurred.
fn count(report: &pummel_engine::Report, name: &str) -> u64 {
    let rows = report.totals.errors.rows();
    rows.iter().filter(|(trouble, _)| trouble.to_string() == name).map(|&(_, count)| count).sum()
}

/// T6.
#[test]
fn one_slow_answer_in_fifty_is_one_in_fifty() {
    let model = Model { faults: vec![every(50, 49, Wrong::Slow(millis(50)))], ..prompt() };
    let report = run(open(1_000, secs(60), 200), &model);
    let times = response(&report);
    check("p97", at(&times, 0.97), 0.001, 0.0);
    check("p98", at(&times, 0.98), 0.001, 0.0);
    check("the first slow one", at(&times, 0.980_01), 0.051, 0.0);
    check("p99", at(&times, 0.99), 0.051, 0.0);
    assert_eq!(times.count(), 60_000);
}

/// T11: losses, resets and closed connections, none of which is a slot lost.
#[test]
fn every_loss_is_counted_once() {
    let faults = vec![
        every(100, 0, Wrong::Lose),
        every(1_000, 50, Wrong::Reset),
        every(10_000, 70, Wrong::Close),
    ];
    let mut plan = open(1_000, secs(60), 100);
    plan.timeouts.request = secs(1);
    let report = run(plan, &Model { faults, ..prompt() });
    let ledger = report.totals.ledger;
    assert_eq!((ledger.scheduled, ledger.timeouts, ledger.errors), (60_000, 600, 60));
    assert_eq!((ledger.ok, ledger.failed), (60_000 - 660, 0));
    assert_eq!((ledger.dropped, ledger.unfinished), (0, 0));
    assert_eq!(count(&report, "body_reset"), 60);
    // The last ten time out after the last slot was sent, so that nobody needs their connections.
    assert_eq!(report.totals.connections.reconnects, 590 + 60 + 6);
    assert_eq!(report.totals.connections.closed_by_peer, 6);
    // One in a hundred took at least a second, and nobody knows how long.
    let p98_9 = bounds(&report, 0.989).exact().unwrap();
    check("p98.9", p98_9.as_secs_f64(), 0.001, 0.0);
    let p99_5 = bounds(&report, 0.995);
    assert_eq!(p99_5.hi, None);
    check("the lower bound of p99.5", p99_5.lo.as_secs_f64(), 1.0, 0.0);
}

/// A body in ten pieces, 2 ms apart: the first byte is early, and the last one is what counts.
#[test]
fn a_slow_drip_is_finished_with_its_last_byte() {
    let faults = vec![every(10, 3, Wrong::Drip(millis(2)))];
    let report = run(open(1_000, secs(10), 50), &Model { faults, ..prompt() });
    let times = response(&report);
    check("p89", at(&times, 0.89), 0.001, 0.0);
    check("p91", at(&times, 0.91), 0.019, 0.0);
    check("the last first byte", report.totals.parts.ttfb.max().as_secs_f64(), 0.001, 0.0);
}

#[test]
fn a_server_that_takes_fewer_connections_is_loaded_over_those() {
    let entrance = Entrance { most: Some(4), ..Entrance::default() };
    let report = run(open(1_000, secs(5), 10), &Model { entrance, ..prompt() });
    assert_eq!(report.totals.connections.opened, 4);
    assert_eq!(report.totals.ledger.ok, 5_000);
    assert!(count(&report, "connect_refused") > 6, "they are tried again");
}

fn laws() -> impl Strategy<Value = Law> {
    prop_oneof![
        (0_u64..3_000).prop_map(|n| Law::Constant(micros(n))),
        (1_u64..3_000).prop_map(|n| Law::Exponential(micros(n))),
        (1_u64..1_000, 1_u64..30_000, 0_u32..100_000).prop_map(|(short, long, longs)| {
            Law::Bimodal { short: micros(short), long: micros(long), longs }
        }),
    ]
}

fn whens() -> impl Strategy<Value = When> {
    prop_oneof![
        (1_u64..60, 0_u64..60).prop_map(|(of, offset)| When::Every { of: of + 3, offset }),
        (0_u64..50).prop_map(When::Nth),
        (0_u32..100_000).prop_map(When::Share),
    ]
}

fn wrongs() -> impl Strategy<Value = Wrong> {
    prop_oneof![
        (0_u64..80_000).prop_map(|n| Wrong::Slow(micros(n))),
        (0_u64..8_000).prop_map(|n| Wrong::Drip(micros(n))),
        prop::sample::select(vec![
            Wrong::Lose,
            Wrong::Reset,
            Wrong::Cut,
            Wrong::End,
            Wrong::Close,
            Wrong::Leave,
            Wrong::Unavailable,
            Wrong::Garbage,
            Wrong::FailSend,
        ]),
    ]
}

fn knocks() -> impl Strategy<Value = Knock> {
    prop::sample::select(vec![Knock::Refuse, Knock::Ignore, Knock::Slam])
}

prop_compose! {
    fn models()(
        seed: u64,
        way in (0_u64..500, 0_u64..500, 0_u64..900),
        (takes, most) in (0_u64..2_000, prop::option::weighted(0.3, 1_u32..30)),
        knocks in prop::collection::vec((whens(), knocks()), 0..2),
        (queue, law) in (any::<bool>(), laws()),
        freeze in prop::option::of((0_u64..800, 1_u64..200, 1_u64..500)),
        faults in prop::collection::vec((whens(), wrongs()), 0..5),
        late in laws(),
        stalls in prop::collection::vec((0_u64..1_000, 0_u64..200), 0..2),
    ) -> Model {
        Model {
            seed,
            way: Way { there: micros(way.0), back: micros(way.1), jitter: micros(way.2) },
            entrance: Entrance { takes: micros(takes), most, faults: knocks },
            service: if queue { Service::Queue(law) } else { Service::Parallel(law) },
            freeze: freeze.map(|(first, length, rest)| Freeze {
                first: millis(first),
                length: millis(length),
                every: Some(millis(length + rest)),
            }),
            faults: faults.into_iter().map(|(when, what)| Fault { when, what }).collect(),
            client: Client {
                late,
                stalls: stalls
                    .into_iter()
                    .map(|(at, length)| Stall { at: millis(at), length: millis(length) })
                    .collect(),
            },
        }
    }
}

fn arrivals() -> impl Strategy<Value = Arrivals> {
    prop::sample::select(vec![Arrivals::Constant, Arrivals::Poisson, Arrivals::UniformJitter])
}

fn on_fulls() -> impl Strategy<Value = OnFull> {
    prop_oneof![
        Just(OnFull::Queue),
        Just(OnFull::Drop),
        (24_u32..60).prop_map(|most| OnFull::Grow { most: NonZeroU32::new(most).unwrap() }),
    ]
}

prop_compose! {
    fn plans()(
        rate in prop::option::of(100_u64..4_000),
        (connections, shards) in (1_u32..24, 1_usize..4),
        (arrivals, on_full) in (arrivals(), on_fulls()),
        deadline in prop::option::weighted(0.3, 1_u64..300),
        length in 1_u64..1_200,
        pipeline in 1_u8..5,
        (warmup, drain, timeout) in (0_u64..100, 0_u64..400, 1_u64..300),
    ) -> Plan {
        let length = millis(length);
        let mut plan = match rate {
            Some(rate) => open(rate, length, connections),
            None => closed(length, connections),
        };
        let depth = NonZeroU8::new(pipeline).unwrap();
        plan.load = match plan.load {
            Load::Open { timetable: Timetable { shape, .. }, .. } => {
                plan.timeouts.deadline = deadline.map(millis);
                Load::Open { timetable: Timetable { shape, arrivals }, pipeline: depth, on_full }
            }
            Load::Closed { spawn, .. } => Load::Closed { pipeline: depth, spawn },
        };
        (plan.stop.warmup, plan.stop.drain) = (millis(warmup), millis(drain));
        plan.timeouts.request = millis(timeout);
        plan.timeouts.connect = millis(timeout);
        on(shards, plan)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..Default::default() })]

    /// Whatever happens, each slot has one outcome, and the open loop as many as its schedule says.
    #[test]
    fn no_mixture_of_faults_loses_a_slot(plan in plans(), model in models()) {
        let exact = plan.load.timetable().filter(|t| t.arrivals == Arrivals::Constant);
        let (offered, limit) = (exact.and_then(Timetable::only_rate), plan.stop.limit);
        let world = World::new(&model);
        match simulate(plan, &world, Observers::none(), &Control::default()) {
            Ok(report) => {
                let ledger = report.totals.ledger;
                prop_assert!(ledger.balances(), "{:?}", ledger);
                prop_assert_eq!(report.totals.latency.count(), ledger.scheduled);
                prop_assert_eq!(report.totals.oddities.disordered, 0);
                if let (Some(rate), Limit::Duration(length)) = (offered, limit) {
                    let slots = length.as_secs_f64() * rate.per_second();
                    #[expect(clippy::cast_precision_loss, reason = "small test numbers")]
                    let off = (ledger.scheduled as f64 - slots).abs();
                    prop_assert!(off <= 1.0, "{} of {}", ledger.scheduled, slots);
                }
            }
            Err(RunError::NoConnection { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn a_model_without_faults_and_delays_answers_at_once() {
    let report = run(open(1_000, secs(1), 1), &Model::default());
    assert_eq!(response(&report).max(), Nanos::ZERO);
    assert_eq!(report.reactor.name, "simulated");
}
