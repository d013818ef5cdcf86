//! The verdict on runs of which the truth is known: each disturbance gives its own reason and no
//! other, and what the target does is never a fault of the run.

use core::num::{NonZeroU32, NonZeroU64};

use pummel_engine::plan::{Arrivals, Limit, Load, OnFull, Plan, Shape, Stage, Stages};
use pummel_engine::reactor::sim::{
    Client, Entrance, Fault, Freeze, Knock, Law, Model, Service, Stall, When, World, Wrong,
};
use pummel_engine::report::Ending;
use pummel_engine::statistics::trend::Stability;
use pummel_engine::units::{Nanos, Rate};
use pummel_engine::verdict::{Axis, Basis, Limitation, Machine, Status, Verdict};
use pummel_engine::{Control, Observers, Report, simulate};

use crate::plan::{check, closed, micros, millis, on, open, poisson, run, secs};

/// The verdict, of a machine of which nothing is known.
fn judge(report: &Report) -> Verdict {
    Verdict::of(report, &Machine::default())
}

fn verdict(plan: Plan, model: &Model) -> Verdict {
    judge(&run(plan, model))
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.reasons.iter().map(|reason| reason.code).collect()
}

/// The verdict has these reasons and no other.
#[track_caller]
fn expect(what: &str, verdict: &Verdict, expected: &[&str]) {
    assert_eq!(codes(verdict), expected, "{what}: {:#?}", verdict.reasons);
    let status = if expected.is_empty() { Status::Pass } else { Status::Suspect };
    assert_eq!(verdict.status, status, "{what}");
}

fn unstable(verdict: &Verdict) -> bool {
    matches!(verdict.course.stability, Stability::Unstable { .. })
}

/// Nothing is wrong, neither with the run nor with the target.
#[track_caller]
fn expect_nothing(what: &str, verdict: &Verdict) {
    expect(what, verdict, &[]);
    assert!(!unstable(verdict), "{what}: {:?}", verdict.course.stability);
}

/// The target fell behind, and nobody else is to blame.
#[track_caller]
fn expect_overload(what: &str, verdict: &Verdict) {
    expect(what, verdict, &[]);
    assert!(unstable(verdict) && verdict.blames_target(), "{what}: {:?}", verdict.delivery);
}

fn parallel(law: Law) -> Model {
    Model { service: Service::Parallel(law), ..Model::default() }
}

fn queue(law: Law) -> Model {
    Model { service: Service::Queue(law), ..Model::default() }
}

fn prompt() -> Model {
    parallel(Law::Constant(micros(500)))
}

fn shaped(plan: Plan, with: Shape) -> Plan {
    let mut plan = plan;
    if let Load::Open { timetable, .. } = &mut plan.load {
        timetable.shape = with;
    }
    plan
}

fn scattered(plan: Plan, with: Arrivals) -> Plan {
    let mut plan = plan;
    if let Load::Open { timetable, .. } = &mut plan.load {
        timetable.arrivals = with;
    }
    plan
}

fn on_full(plan: Plan, policy: OnFull) -> Plan {
    let mut plan = plan;
    if let Load::Open { on_full, .. } = &mut plan.load {
        *on_full = policy;
    }
    plan
}

/// Stages of a length in seconds each, from one rate to another; 0 is nothing.
fn stages(list: &[(u64, u64, u64)]) -> Shape {
    let rate = |rate| Rate::new(rate, secs(1));
    let stage =
        |&(length, from, to)| Stage { length: secs(length), from: rate(from), to: rate(to) };
    Shape::Stages(Stages::new(list.iter().map(stage).collect()).unwrap())
}

#[test]
fn a_quiet_run_passes() {
    for (rate, connections, shards) in
        [(10, 1, 1), (1_000, 20, 1), (1_000, 64, 3), (20_000, 200, 2), (3, 7, 2)]
    {
        let verdict = verdict(on(shards, open(rate, secs(30), connections)), &prompt());
        let what = format!("{rate}/s over {connections}");
        expect_nothing(&what, &verdict);
        assert_eq!(verdict.delivery.limitation, None, "{what}");
        assert!((verdict.delivery.in_time - 1.0).abs() < 1e-9, "{what}: {:?}", verdict.delivery);
        assert_eq!(verdict.delivery.sent, rate * 30, "{what}");
    }
}

/// T7: the target takes a sixth less than is offered, and the run is as good as any.
#[test]
fn overload_is_the_targets() {
    for connections in [10, 64, 1_000] {
        let plan = open(1_200, secs(30), connections);
        let verdict = verdict(plan, &queue(Law::Constant(millis(1))));
        let what = format!("{connections} connections");
        expect_overload(&what, &verdict);
        if connections < 1_000 {
            let limit = verdict.delivery.limitation;
            assert!(matches!(limit, Some(Limitation::Server { .. })), "{what}: {limit:?}");
        }
    }
}

/// The same with requests that take unequally long, over few connections.
#[test]
fn a_full_server_and_too_few_connections_are_told_apart() {
    for seed in 0..5 {
        for connections in [4, 10, 40] {
            let what = format!("seed {seed}, {connections} connections");
            let full = Model { seed, ..queue(Law::Exponential(millis(1))) };
            let full = verdict(open(1_200, secs(20), connections), &full);
            expect_overload(&format!("server, {what}"), &full);
            // So that all connections together carry a thousand in a second.
            let takes = millis(u64::from(connections));
            let small = Model { seed, ..parallel(Law::Exponential(takes)) };
            let small = verdict(open(1_200, secs(20), connections), &small);
            expect(&format!("pool, {what}"), &small, &["connection_limited"]);
            assert!(!small.blames_target(), "{what}");
        }
    }
}

/// T8.
#[test]
fn too_few_connections_are_no_fault_of_the_target() {
    let report = run(open(1_200, secs(30), 10), &parallel(Law::Constant(millis(10))));
    let verdict = judge(&report);
    expect("10 connections of 10 ms", &verdict, &["connection_limited"]);
    assert_eq!(verdict.of_axis(Axis::Delivery), Status::Suspect);
    assert_eq!(verdict.of_axis(Axis::Client), Status::Pass);
    assert!(!verdict.blames_target());
    // One connection more than is needed, and nothing is wrong.
    let enough = self::verdict(open(1_200, secs(30), 13), &parallel(Law::Constant(millis(10))));
    expect_nothing("13 connections of 10 ms", &enough);
}

/// When the window begins the pool has long been in use, and what the server did before counts.
#[test]
fn a_warm_up_does_not_hide_who_is_in_the_way() {
    for connections in [10, 64] {
        let warm = |model: &Model| {
            let mut plan = open(1_200, secs(20), connections);
            plan.stop.warmup = secs(2);
            verdict(plan, model)
        };
        expect_overload("server", &warm(&queue(Law::Constant(millis(1)))));
        let takes = Law::Constant(millis(u64::from(connections)));
        expect("pool", &warm(&parallel(takes)), &["connection_limited"]);
    }
}

/// Only the end of a rising rate is too much, so half of the slots wait for nothing.
#[test]
fn a_limit_that_is_met_late_in_the_run_is_named_too() {
    let rising = |connections| shaped(open(1, secs(30), connections), stages(&[(30, 100, 1_200)]));
    let small = verdict(rising(10), &parallel(Law::Constant(millis(10))));
    expect("pool", &small, &["connection_limited"]);
    let full = verdict(rising(10), &queue(Law::Constant(millis(1))));
    expect_overload("server", &full);
    let last = shaped(open(1, secs(30), 10), stages(&[(24, 500, 500), (6, 3_000, 3_000)]));
    expect_overload("a spike at the end", &verdict(last, &queue(Law::Constant(millis(1)))));
}

/// T10.
#[test]
fn a_stall_of_the_client_is_the_only_reason() {
    for (length, rate, stall) in [
        (60, 1_000, 500),
        (10, 1_000, 500),
        (5, 1_000, 500),
        (2, 1_000, 500),
        (1, 1_000, 500),
        (60, 20_000, 500),
        (60, 1_000, 20),
        (60, 50, 500),
        (10, 1_000, 3_000),
    ] {
        let at = Nanos::new(secs(length).get() * 2 / 5 + 500);
        let stalls = vec![Stall { at, length: millis(stall) }];
        let model = Model { client: Client { stalls, ..Client::default() }, ..prompt() };
        for connections in [16, 600] {
            let plan = open(rate, secs(length), connections);
            let what = format!("{stall} ms of {length} s at {rate}/s over {connections}");
            let verdict = verdict(plan, &model);
            expect(&what, &verdict, &["client_stall"]);
            assert_eq!(verdict.of_axis(Axis::Client), Status::Suspect, "{what}");
            assert!(!verdict.blames_target(), "{what}");
        }
    }
}

/// One that goes on standing still is not called a single stall.
#[test]
fn a_client_that_is_late_all_the_time_is_late() {
    let late = Client { late: Law::Constant(millis(12)), ..Client::default() };
    let model = Model { client: late, ..prompt() };
    expect("12 ms late", &verdict(open(100, secs(20), 20), &model), &["loop_lag"]);
}

/// T2 to T5: while a server is frozen the pool runs empty, and is not too small for that.
#[test]
fn a_freeze_is_no_fault_of_the_run() {
    let ten = Freeze { first: secs(4), length: secs(1), every: Some(secs(10)) };
    let each = Freeze { first: millis(500), length: millis(100), every: Some(secs(1)) };
    let once = Freeze { first: secs(50), length: secs(1), every: None };
    let half = Freeze { first: millis(500), length: millis(500), every: Some(secs(1)) };
    for (name, freeze) in [("T2", ten), ("T3", each), ("T4", once), ("half", half)] {
        for takes in [Nanos::ZERO, micros(500)] {
            for connections in [1, 2, 3, 7, 20, 50, 120, 300] {
                if name == "half" && takes > Nanos::ZERO && connections == 1 {
                    continue; // One connection of 0.5 ms carries a thousand in the other half.
                }
                let service = Service::Parallel(Law::Constant(takes));
                let model = Model { service, freeze: Some(freeze), ..Model::default() };
                let verdict = verdict(open(1_000, secs(100), connections), &model);
                let what = format!("{name}, {takes}, {connections} connections");
                expect_nothing(&what, &verdict);
            }
        }
    }
}

/// A freeze at the very end leaves slots unsent, and the backlog is a moment's.
#[test]
fn a_freeze_at_the_end_is_no_overload() {
    for (first, length) in [(9_900, 200), (9_000, 1_000), (9_500, 10_000)] {
        let freeze = Some(Freeze { first: millis(first), length: millis(length), every: None });
        for connections in [1, 20, 2_000] {
            let what = format!("{length} ms from {first} ms on, {connections} connections");
            let verdict =
                verdict(open(1_000, secs(10), connections), &Model { freeze, ..prompt() });
            expect_nothing(&what, &verdict);
        }
    }
}

/// T4: the worst second is the one that the freeze fills.
#[test]
fn the_worst_windows_find_the_freeze() {
    let freeze = Freeze { first: secs(50), length: secs(1), every: None };
    let model = Model { freeze: Some(freeze), ..Model::default() };
    let verdict = verdict(open(1_000, secs(100), 50), &model);
    let worst = &verdict.course.worst;
    let lengths: Vec<_> = worst.iter().map(|window| window.length).collect();
    assert_eq!(lengths, [secs(1), secs(10), secs(60)]);
    check("p50 of the worst second", worst[0].p50.1.as_secs_f64(), 0.5, 0.009);
    check("p99 of the worst second", worst[0].p99.1.as_secs_f64(), 0.99, 0.009);
    let from = worst[0].p50.0;
    assert!(millis(49_500) <= from && from <= secs(50), "it begins at {from}");
    // A tenth of ten seconds: the p99 is at nine tenths of the freeze, and the median at nothing.
    check("p99 of the worst 10 s", worst[1].p99.1.as_secs_f64(), 0.9, 0.009);
    check("p50 of the worst 10 s", worst[1].p50.1.as_secs_f64(), 0.0, 1e-7);
    assert!(worst[1].p99.0 <= secs(50) && worst[1].p99.0 >= secs(40), "{worst:?}");
    check("p99 of the worst minute", worst[2].p99.1.as_secs_f64(), 0.4, 0.009);
}

#[test]
fn poisson_arrivals_are_poisson_and_nothing_else() {
    for seed in 0..20 {
        let shards = usize::try_from(1 + seed % 3).unwrap();
        let model = Model { seed, ..queue(Law::Exponential(millis(1))) };
        let verdict = verdict(on(shards, poisson(700, secs(20), 200, seed)), &model);
        let what = format!("seed {seed}");
        expect(&what, &verdict, &[]);
        assert!(verdict.delivery.limitation.is_none(), "{what}");
        let fidelity = verdict.course.fidelity.unwrap();
        assert!((fidelity.dispersion - 1.0).abs() < 0.4, "{what}: {fidelity:?}");
        let (least, most) = fidelity.expected;
        assert!(least > 0.5 && least < 0.8 && most > 1.2 && most < 1.7, "{fidelity:?}");
    }
}

/// At low rates a step holds few arrivals, and the scatter of one run says less.
#[test]
fn slow_poisson_arrivals_are_no_fault() {
    for seed in 0..40 {
        for (rate, length) in [(2, 60), (10, 20), (50, 10), (400, 2)] {
            let plan = poisson(rate, secs(length), 20, seed);
            let what = format!("{rate}/s for {length} s, seed {seed}");
            expect(&what, &verdict(plan, &prompt()), &[]);
        }
    }
}

/// Of a number of requests each shard has its part, and ends where that does.
#[test]
fn poisson_arrivals_that_a_number_ends_are_no_fault() {
    for seed in 0..20 {
        let mut plan = on(3, poisson(1_000, secs(1), 60, seed));
        plan.stop.limit = Limit::Requests(NonZeroU64::new(10_000).unwrap());
        expect(&format!("seed {seed}"), &verdict(plan, &prompt()), &[]);
    }
}

#[test]
fn even_arrivals_do_not_scatter() {
    for shards in [1, 2, 3, 7] {
        let verdict = verdict(on(shards, open(10_000, secs(5), 84)), &prompt());
        expect_nothing("constant", &verdict);
        let fidelity = verdict.course.fidelity.unwrap();
        assert!(fidelity.dispersion < 1e-9, "{shards} shards: {fidelity:?}");
        assert!(fidelity.expected.0.abs() < f64::EPSILON);
    }
}

/// Whatever the shape of the rate, who follows it is not blamed.
#[test]
fn schedules_of_any_shape_are_no_fault() {
    let shapes = [
        ("ramp", stages(&[(30, 100, 2_000)])),
        ("slow ramp", stages(&[(60, 0, 10)])),
        ("from nothing", stages(&[(30, 0, 500)])),
        ("down", stages(&[(20, 2_000, 10)])),
        ("stages", stages(&[(10, 100, 100), (10, 0, 0), (10, 1_000, 1_000), (5, 1_000, 50)])),
        ("spike", stages(&[(10, 100, 100), (2, 5_000, 5_000), (10, 100, 100)])),
        ("up at the end", stages(&[(25, 100, 100), (5, 4_000, 4_000)])),
    ];
    for (name, shape) in shapes {
        for arrivals in [Arrivals::Constant, Arrivals::UniformJitter, Arrivals::Poisson] {
            for shards in [1, 3] {
                let plan = shaped(open(1, secs(30), 300), shape.clone());
                let verdict = verdict(on(shards, scattered(plan, arrivals)), &prompt());
                let what = format!("{name}, {arrivals:?}, {shards} shards");
                expect_nothing(&what, &verdict);
            }
        }
    }
}

#[test]
fn bursts_are_no_fault() {
    for (count, every) in [(100, millis(1_000)), (1_000, millis(700)), (5, millis(30))] {
        for arrivals in [Arrivals::Constant, Arrivals::UniformJitter] {
            let count = NonZeroU64::new(count).unwrap();
            let plan = shaped(open(1, secs(30), 1_000), Shape::Bursts { count, every });
            let verdict = verdict(scattered(plan, arrivals), &prompt());
            expect_nothing(&format!("{count} each {every}, {arrivals:?}"), &verdict);
        }
    }
}

#[test]
fn slots_that_are_dropped_for_want_of_a_connection_tell_whose_fault_that_is() {
    let plan = || on_full(open(1_200, secs(20), 10), OnFull::Drop);
    let small = verdict(plan(), &parallel(Law::Constant(millis(10))));
    expect("pool", &small, &["connection_limited"]);
    let full = verdict(plan(), &queue(Law::Constant(millis(1))));
    expect("server", &full, &[]);
    assert!(matches!(full.delivery.limitation, Some(Limitation::Server { .. })));
    let freeze = Some(Freeze { first: millis(500), length: millis(100), every: Some(secs(1)) });
    let frozen = verdict(plan(), &Model { freeze, ..prompt() });
    expect("freeze", &frozen, &[]);
}

#[test]
fn a_pool_that_may_grow_is_limited_by_what_it_may_grow_to() {
    let most = |most| OnFull::Grow { most: NonZeroU32::new(most).unwrap() };
    let entrance = Entrance { takes: micros(300), ..Entrance::default() };
    let model = Model { entrance, ..parallel(Law::Constant(millis(10))) };
    let enough = verdict(on_full(open(1_200, secs(20), 2), most(40)), &model);
    expect_nothing("up to 40", &enough);
    let small = verdict(on_full(open(1_200, secs(20), 2), most(10)), &model);
    expect("up to 10", &small, &["connection_limited"]);
    let full = Model { entrance: model.entrance.clone(), ..queue(Law::Constant(millis(1))) };
    let full = verdict(on_full(open(1_200, secs(20), 4), most(40)), &full);
    expect_overload("server", &full);
}

#[test]
fn deadlines_do_not_hide_who_is_in_the_way() {
    let late = |model: &Model| {
        let mut plan = open(1_200, secs(20), 10);
        plan.timeouts.deadline = Some(millis(200));
        verdict(plan, model)
    };
    expect("pool", &late(&parallel(Law::Constant(millis(10)))), &["connection_limited"]);
    let full = late(&queue(Law::Constant(millis(1))));
    expect("server", &full, &[]);
    assert!(matches!(full.delivery.limitation, Some(Limitation::Server { .. })));
    expect_nothing("neither", &late(&prompt()));
}

/// A server that is gone: half of the load was never delivered.
#[test]
fn a_server_that_dies_makes_the_run_worthless() {
    let faults = vec![Fault { when: When::Nth(500), what: Wrong::Reset }];
    let knocks = vec![(When::Every { of: 1, offset: 0 }, Knock::Refuse)];
    // The first ten attempts are let in, and everyone after them is turned away.
    let mut model = Model { faults, ..prompt() };
    model.entrance = Entrance { most: None, ..Entrance::default() };
    let before = verdict(open(1_000, secs(10), 10), &model);
    expect("resets only", &before, &[]);
    let world = World::new(&Model {
        entrance: Entrance { faults: knocks, ..model.entrance.clone() },
        ..model
    });
    assert!(
        simulate(open(1_000, secs(10), 10), &world, Observers::none(), &Control::default())
            .is_err()
    );
}

/// A server that says nothing any more, and does not hang up.
#[test]
fn a_server_that_hangs_is_the_targets_doing() {
    let freeze = Some(Freeze { first: secs(5), length: secs(3_000), every: None });
    for connections in [1, 10, 300] {
        let mut plan = open(1_000, secs(10), connections);
        plan.stop.drain = secs(1);
        let verdict = verdict(plan, &Model { freeze, ..prompt() });
        expect_overload(&format!("{connections} connections"), &verdict);
    }
}

#[test]
fn errors_above_a_hundredth_make_a_run_suspect() {
    for (of, expected) in [(200, [].as_slice()), (50, ["unanswered"].as_slice())] {
        let faults = vec![Fault { when: When::Every { of, offset: 3 }, what: Wrong::Reset }];
        let verdict = verdict(open(1_000, secs(20), 50), &Model { faults, ..prompt() });
        expect(&format!("one in {of}"), &verdict, expected);
        assert_eq!(verdict.of_axis(Axis::Client), Status::Pass);
    }
}

/// Whenever somebody calls it off.
#[test]
fn a_run_that_is_called_off_is_judged_by_what_there_is() {
    for warmup in [Nanos::ZERO, secs(2)] {
        for ticks in [1, 15, 40, 200] {
            let (control, mut observers) = (Control::default(), Observers::none());
            let events = observers.add();
            let remote = control.clone();
            let caller = std::thread::spawn(move || {
                let ticks = events.iter().take(ticks).count();
                remote.stop();
                ticks
            });
            let mut plan = open(1_000, secs(5_000), 20);
            plan.stop.warmup = warmup;
            let report = simulate(plan, &World::new(&prompt()), observers, &control).unwrap();
            assert_eq!(report.ending, Ending::Interrupted, "after {:?}", caller.join());
            let verdict = judge(&report);
            let empty = report.totals.ledger.scheduled == 0;
            let expected = if empty { ["empty"].as_slice() } else { [].as_slice() };
            assert_eq!(codes(&verdict), expected, "after {}: {:?}", report.window, verdict.reasons);
        }
    }
}

#[test]
fn short_runs_are_no_fault() {
    for arrivals in [Arrivals::Constant, Arrivals::Poisson, Arrivals::UniformJitter] {
        for seed in 0..20 {
            for (rate, length) in
                [(1_000, 1_000), (1_000, 100), (100, 1_000), (1_000, 50), (1_000, 150), (3, 1_000)]
            {
                let plan = Plan { seed, ..open(rate, millis(length), 20) };
                let what = format!("{rate}/s for {length} ms, {arrivals:?}, seed {seed}");
                let plan = scattered(plan, arrivals);
                let world = World::new(&prompt());
                let none = Observers::none();
                let report = simulate(plan, &world, none, &Control::default()).unwrap();
                if report.totals.ledger.scheduled > 0 {
                    expect_nothing(&what, &judge(&report));
                } else {
                    assert_eq!(codes(&judge(&report)), ["empty"], "{what}");
                }
            }
            let mut few = Plan { seed, ..scattered(open(1_000, secs(1), 20), arrivals) };
            few.stop.limit = Limit::Requests(NonZeroU64::new(10).unwrap());
            expect_nothing("10 requests", &verdict(few, &prompt()));
        }
    }
}

#[test]
fn a_closed_loop_is_never_limited() {
    for model in [prompt(), queue(Law::Exponential(millis(1)))] {
        for length in [10, 1_000, 20_000] {
            let verdict = verdict(closed(millis(length), 10), &model);
            expect_nothing("closed loop", &verdict);
            assert_eq!((verdict.delivery.limitation, verdict.course.fidelity), (None, None));
            assert!(verdict.trust.iter().all(|trust| trust.client_share.is_none()));
        }
    }
}

#[test]
fn a_warm_up_is_left_out_of_the_verdict() {
    for length in [1, 3] {
        let mut plan = open(1_000, secs(20), 20);
        plan.stop.warmup = secs(length);
        // What is too much for the first second is none of the window's business.
        let stalls = vec![Stall { at: millis(100), length: millis(500) }];
        let model = Model { client: Client { stalls, ..Client::default() }, ..prompt() };
        expect_nothing("a stall in the warm-up", &verdict(plan, &model));
    }
}

/// M/M/1 at 70 %: what the intervals say of the truth, which is known.
#[test]
fn intervals_hold_the_truth_of_a_known_queue() {
    let (mut held, mut of) = ([0; 3], 0);
    for seed in 0..20 {
        let model = Model { seed, ..queue(Law::Exponential(millis(1))) };
        let verdict = verdict(poisson(700, secs(60), 400, seed), &model);
        of += 1;
        for (held, (name, share)) in
            held.iter_mut().zip([("p50", 0.5_f64), ("p90", 0.9), ("p99", 0.99)])
        {
            let truth = -(1.0 - share).ln() / 300.0;
            let trust = verdict.trust.iter().find(|trust| trust.name == name).unwrap();
            let (low, high) = trust.interval.unwrap();
            assert_eq!(trust.basis, Basis::Sections, "seed {seed}, {name}: neighbours are alike");
            *held += u32::from(low.as_secs_f64() <= truth && truth <= high.as_secs_f64());
        }
    }
    assert!(held.iter().all(|&held| held >= 17), "{held:?} of {of}");
}

/// Wake-ups that are late by a tenth of the response make a tenth of it, in every quantile.
#[test]
fn quantiles_that_the_client_makes_carry_a_star() {
    for (late, starred) in [(0, false), (20, false), (110, true)] {
        let client = Client { late: Law::Constant(micros(late)), ..Client::default() };
        let model = Model { client, ..parallel(Law::Constant(millis(1))) };
        let verdict = verdict(open(500, secs(20), 20), &model);
        let stars = verdict.trust.iter().filter(|trust| trust.starred).count();
        let all = verdict.trust.len();
        assert_eq!(stars, if starred { all } else { 0 }, "{late} µs: {:?}", verdict.trust);
    }
    // A stall stars the quantiles that it reaches.
    let stalls = vec![Stall { at: secs(10), length: millis(500) }];
    let model = Model { client: Client { stalls, ..Client::default() }, ..prompt() };
    let verdict = verdict(open(1_000, secs(60), 600), &model);
    let starred: Vec<_> =
        verdict.trust.iter().filter(|trust| trust.starred).map(|trust| trust.name).collect();
    assert_eq!(starred, ["p99_9", "p99_99"]);
}
