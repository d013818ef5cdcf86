//! A load that changes while the run goes on: the schedule is that of a closed form on both sides
//! of the moment, whatever the shards.

use core::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use proptest::prelude::*;
use pummel_engine::pace::Schedule;
use pummel_engine::plan::{Arrivals, Change, Limit, Load, Plan, Share, Stage, Stages, Timetable};
use pummel_engine::reactor::sim::{Client, Law, Model, Service, Stall, World};
use pummel_engine::report::Turned;
use pummel_engine::units::Nanos;
use pummel_engine::{Control, Observers, Report, simulate};

use crate::plan::{closed, micros, millis, on, open, per_second, poisson, secs};

/// A server that answers each request after `service`.
fn model(service: Nanos) -> Model {
    Model { seed: 3, service: Service::Parallel(Law::Constant(service)), ..Model::default() }
}

fn rate(per_second: u64) -> Change {
    let stages = Stages::constant(self::per_second(per_second));
    Change { stages: Some(stages), ..Change::default() }
}

fn connections(count: u32) -> Change {
    Change { connections: NonZeroU32::new(count), ..Change::default() }
}

/// Room for `most` connections.
fn roomy(most: u32, plan: Plan) -> Plan {
    Plan { room: NonZeroU32::new(most).unwrap(), ..plan }
}

/// Runs `plan` in `world` with the changes at their moments, and checks what holds of every report.
#[track_caller]
fn run(world: &World, plan: Plan, changes: &[(Nanos, Change)]) -> Report {
    let control = Control::default();
    for (after, change) in changes {
        control.change_at(*after, change.clone());
    }
    let report = simulate(plan, world, Observers::none(), &control).unwrap();
    let defects = report.defects();
    assert!(defects.is_empty(), "{defects:?}");
    report
}

/// When requests were sent, after the start barrier, the first of which is sent at it.
fn sent(world: &World) -> Vec<Nanos> {
    let exchanges = world.exchanges();
    let barrier = exchanges[0].sent;
    exchanges.iter().map(|exchange| exchange.sent.since(barrier)).collect()
}

#[test]
fn each_side_of_the_moment_has_exactly_its_slots_whatever_the_shards() {
    for shards in 1..=4 {
        let world = World::listed(&model(micros(700)));
        let plan = on(shards, open(500, secs(10), 64));
        let report = run(&world, plan, &[(secs(3), rate(800))]);
        let sent = sent(&world);
        assert_eq!(sent.len(), 1_500 + 5_600);
        for (k, &at) in (0_u64..).zip(&sent) {
            let late = k.saturating_sub(1_500);
            assert_eq!(at, micros(k.min(1_500) * 2_000 + late * 1_250), "slot {k}");
        }
        assert_eq!(report.totals.ledger.ok, 7_100);
        assert_eq!(report.window, secs(10));
        assert!((report.offered_per_second().unwrap() - 710.0).abs() < 1e-9);
        let [changed] = &report.changes.list[..] else { panic!("{:?}", report.changes) };
        assert_eq!(changed.at, secs(3));
        assert!(matches!(changed.what, Turned::Rate { over: Nanos::ZERO, .. }));
    }
}

#[test]
fn a_transition_is_a_ramp_from_the_old_rate_to_the_new_one() {
    let world = World::listed(&model(micros(700)));
    let change = Change { transition: secs(2), ..rate(900) };
    run(&world, on(2, open(100, secs(10), 64)), &[(secs(4), change)]);
    let sent = sent(&world);
    let within = |from, to| sent.iter().filter(|&&at| secs(from) <= at && at < secs(to)).count();
    assert_eq!([within(0, 4), within(4, 6), within(6, 10)], [400, 1_000, 3_600]);
    // From 100 to 500 per second in the first half of it.
    assert_eq!(within(4, 5), 300);
}

#[test]
fn a_number_of_requests_is_met_at_whichever_rate_and_ends_the_window() {
    for shards in 1..=3 {
        let mut plan = on(shards, open(100, secs(1), 30));
        plan.stop.warmup = millis(500);
        plan.stop.limit = Limit::Requests(NonZeroU64::new(1_000).unwrap());
        let world = World::listed(&model(millis(1)));
        // 50 in the warm-up, 150 in the next second and a half, and 850 in 1.7 s.
        let report = run(&world, plan, &[(secs(2), rate(500))]);
        assert_eq!(report.totals.ledger.ok, 1_000);
        assert_eq!(world.exchanges().len(), 1_050);
        assert_eq!(report.window, millis(1_500 + 1_700));
    }
}

#[test]
fn poisson_arrivals_go_on_at_the_new_rate_and_their_count_is_met() {
    for limit in [None, NonZeroU64::new(20_000).map(Limit::Requests)] {
        let mut plan = on(3, poisson(1_000, secs(20), 60, 7));
        plan.stop.limit = limit.unwrap_or(plan.stop.limit);
        let world = World::listed(&model(micros(200)));
        let report = run(&world, plan, &[(secs(10), rate(4_000))]);
        let sent = sent(&world);
        let before = sent.iter().filter(|&&at| at < secs(10)).count();
        // Five standard deviations.
        assert!(before.abs_diff(10_000) < 500, "{before}");
        match limit {
            None => assert!((sent.len() - before).abs_diff(40_000) < 1_000, "{}", sent.len()),
            Some(_) => assert_eq!(report.totals.ledger.ok, 20_000),
        }
    }
}

/// A queue that has grown before the change is sent after it, and is accounted for.
#[test]
fn slots_that_wait_for_a_connection_over_the_moment_are_sent_once() {
    let world = World::listed(&model(millis(10)));
    // Two connections take 200 per second: 600 of 1,200 wait at the moment.
    let plan = on(2, open(400, secs(10), 2));
    let report = run(&world, plan, &[(secs(3), rate(50))]);
    assert_eq!(report.totals.ledger.ok, 1_200 + 350);
    assert_eq!(world.exchanges().len(), 1_550);
    let longest = report.totals.latency.all().known.max();
    assert!(secs(3) <= longest && longest <= secs(4), "{longest}");
}

#[test]
fn connections_that_are_missing_are_opened_and_surplus_ones_are_used_no_more() {
    for shards in [1, 2] {
        let world = World::listed(&model(millis(1)));
        let plan = roomy(12, on(shards, closed(secs(6), 4)));
        let changes = [(secs(2), connections(12)), (secs(4), connections(2))];
        let report = run(&world, plan, &changes);
        let (sent, exchanges) = (sent(&world), world.exchanges());
        let in_use = |from, to| {
            let times = sent.iter().zip(&exchanges);
            let lines = times.filter(|(at, _)| millis(from) <= **at && **at < millis(to));
            let mut lines: Vec<usize> = lines.map(|(_, exchange)| exchange.line).collect();
            let count = lines.len();
            lines.sort_unstable();
            lines.dedup();
            (lines.len(), count)
        };
        assert_eq!(in_use(0, 2_000), (4, 8_000));
        assert_eq!(in_use(3_000, 4_000), (12, 12_000));
        assert_eq!(in_use(4_001, 6_000).0, 2);
        assert_eq!(in_use(5_000, 6_000), (2, 2_000));
        assert_eq!(report.totals.ledger.unfinished, 0);
        assert_eq!(report.totals.connections.opened, 12);
        assert_eq!(report.totals.connections.reconnects, 0);
    }
}

#[test]
fn more_connections_than_there_is_room_for_and_fewer_than_shards_are_left_out() {
    let world = World::new(&model(millis(1)));
    let plan = roomy(6, on(2, closed(secs(2), 4)));
    let changes = [(millis(300), connections(7)), (millis(600), connections(1))];
    let report = run(&world, plan, &changes);
    assert!(report.changes.list.is_empty(), "{:?}", report.changes);
    assert_eq!(report.totals.connections.opened, 4);
}

#[test]
fn what_is_no_change_is_none_and_a_rate_is_nothing_to_a_closed_loop() {
    let world = World::new(&model(millis(1)));
    let same = [(millis(300), rate(100)), (millis(600), connections(4))];
    let report = run(&world, roomy(9, open(100, secs(2), 4)), &same);
    assert!(report.changes.list.is_empty(), "{:?}", report.changes);
    let report = run(&World::new(&model(millis(1))), closed(secs(2), 4), &same[..1]);
    assert!(report.changes.list.is_empty() && report.timetable().is_none());
}

fn stages() -> impl Strategy<Value = Stages> {
    let rate = || (0_u64..2_000).prop_map(|count| pummel_engine::units::Rate::new(count, secs(1)));
    let stage = (1_u64..2_000, rate(), rate()).prop_map(|(length, from, to)| Stage {
        length: millis(length),
        from,
        to,
    });
    prop::collection::vec(stage, 1..4).prop_filter_map("it ends at nothing", Stages::new)
}

fn changes() -> impl Strategy<Value = Vec<(Nanos, Change)>> {
    let change = (1_u64..4_000, stages(), 0_u64..1_500, prop::option::of(4_u32..30)).prop_map(
        |(at, stages, over, connections)| {
            let connections = connections.and_then(NonZeroU32::new);
            let stages = Some(stages);
            (millis(at), Change { stages, transition: millis(over), connections, weights: None })
        },
    );
    prop::collection::vec(change, 1..4).prop_map(|mut all| {
        all.sort_by_key(|(at, _)| *at);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever changes when: the ledger balances, and the schedule is what the timetable of the
    /// report says, slot by slot.
    #[test]
    fn the_ledger_is_exact_whatever_changes(
        begun in stages(),
        changes in changes(),
        shards in 1_usize..5,
        counted in prop::option::of(1_u64..3_000),
        arrivals in prop_oneof![
            Just(Arrivals::Constant), Just(Arrivals::UniformJitter), Just(Arrivals::Poisson),
        ],
        (warmup, service) in (0_u64..500, 1_u64..60),
        stalls in prop::collection::vec((0_u64..4_000, 1_u64..900), 0..3),
    ) {
        let mut plan = roomy(40, on(shards, open(1, secs(4), 20)));
        if let Load::Open { timetable, .. } = &mut plan.load {
            *timetable = Timetable {
                shape: pummel_engine::plan::Shape::Stages(begun),
                arrivals,
            };
        }
        plan.stop.warmup = millis(warmup);
        if let Some(count) = counted.and_then(NonZeroU64::new) {
            plan.stop.limit = Limit::Either(secs(4), count);
        }
        let (stop, seed) = (plan.stop, plan.seed);
        let stall = |(at, length)| Stall { at: millis(at), length: millis(length) };
        let stalls = stalls.into_iter().map(stall).collect();
        let client = Client { stalls, ..Client::default() };
        let world = World::new(&Model { client, ..model(millis(service)) });
        let control = Control::default();
        for (at, change) in &changes {
            control.change_at(*at, change.clone());
        }
        let report = simulate(plan, &world, Observers::none(), &control).unwrap();
        let defects = report.defects();
        let empty = defects == [pummel_engine::report::Defect::Empty];
        prop_assert!(defects.is_empty() || empty, "{defects:?}");
        if arrivals != Arrivals::Poisson {
            let schedule = Schedule::new(report.timetable().unwrap(), Share::WHOLE, seed);
            let end = schedule.end(stop.warmup, stop.limit);
            let mut cursor = schedule.cursor();
            cursor.skip(stop.warmup, end.slots);
            let expected = cursor.skip(end.time, end.slots);
            prop_assert_eq!(report.totals.ledger.scheduled, expected);
        }
    }
}

#[test]
fn a_run_that_changes_is_the_same_again() {
    let changes = [
        (millis(700), Change { transition: millis(300), ..rate(2_000) }),
        (millis(1_500), Change { weights: Some(Arc::from([NonZeroU32::MIN])), ..connections(9) }),
    ];
    let once =
        || run(&World::new(&model(millis(2))), roomy(9, on(3, open(500, secs(3), 6))), &changes);
    assert_eq!(format!("{:?}", once()), format!("{:?}", once()));
}
