//! Plans, worlds and the reading of reports, in few words.

use core::num::{NonZeroU8, NonZeroU32};
use std::net::SocketAddr;

use pummel_engine::plan::{
    Addresses, Arrivals, Cores, ExpectedStatus, Limit, Load, OnFull, Pacing, Plan, Stop, Target,
    Timeouts, Timetable, Wire, Work,
};
use pummel_engine::reactor::Kind;
use pummel_engine::reactor::sim::{Model, World};
use pummel_engine::record::{Bounds, Histogram, Quantile};
use pummel_engine::units::{Nanos, Rate};
use pummel_engine::{Control, Observers, Report, simulate};
use pummel_proto_http::Request;

/// The histogram reports a value at most this much too high.
const HISTOGRAM_ERROR: f64 = 0.001;

pub(crate) fn secs(n: u64) -> Nanos {
    Nanos::from_secs(n)
}

pub(crate) fn millis(n: u64) -> Nanos {
    Nanos::from_millis(n)
}

pub(crate) fn micros(n: u64) -> Nanos {
    Nanos::from_micros(n)
}

pub(crate) fn per_second(rate: u64) -> Rate {
    Rate::new(rate, secs(1)).unwrap()
}

/// `rate` for `length` over `connections` on one shard; what goes wrong is given an hour.
pub(crate) fn open(rate: u64, length: Nanos, connections: u32) -> Plan {
    let load = Load::Open {
        timetable: Timetable::constant(per_second(rate)),
        pipeline: NonZeroU8::MIN,
        on_full: OnFull::Queue,
    };
    Plan { load, ..closed(length, connections) }
}

/// The same with Poisson arrivals, from `seed`.
pub(crate) fn poisson(rate: u64, length: Nanos, connections: u32, seed: u64) -> Plan {
    let mut plan = Plan { seed, ..open(rate, length, connections) };
    if let Load::Open { timetable, .. } = &mut plan.load {
        timetable.arrivals = Arrivals::Poisson;
    }
    plan
}

/// As many requests as `connections` let through, for `length`.
pub(crate) fn closed(length: Nanos, connections: u32) -> Plan {
    let hour = secs(3_600);
    Plan {
        target: Target {
            url: "http://example.org/".to_owned(),
            addresses: Addresses::new(vec![SocketAddr::from(([127, 0, 0, 1], 80))]).unwrap(),
        },
        work: Work::only(
            Request::builder("GET", "example.org", "/").unwrap().build(),
            ExpectedStatus::default(),
        ),
        wire: Wire::default(),
        others: Vec::new(),
        load: Load::Closed { pipeline: NonZeroU8::MIN, spawn: None },
        connections: NonZeroU32::new(connections).unwrap(),
        room: NonZeroU32::MIN,
        stop: Stop { warmup: Nanos::ZERO, limit: Limit::Duration(length), drain: hour },
        timeouts: Timeouts { connect: secs(1), request: hour, deadline: None },
        pacing: Pacing::Sleep,
        cores: Cores::new(vec![0]).unwrap(),
        reactor: Kind::Epoll,
        seed: 1,
    }
}

/// `plan` on `shards` shards.
pub(crate) fn on(shards: usize, plan: Plan) -> Plan {
    Plan { cores: Cores::new((0..shards).collect()).unwrap(), ..plan }
}

/// Runs `plan` in the world of `model`.
#[track_caller]
pub(crate) fn run(plan: Plan, model: &Model) -> Report {
    run_in(&World::new(model), plan)
}

/// Runs `plan` in `world`, and checks what holds of every report.
#[track_caller]
pub(crate) fn run_in(world: &World, plan: Plan) -> Report {
    let report = simulate(plan, world, Observers::none(), &Control::default()).unwrap();
    let defects = report.defects();
    assert!(defects.is_empty(), "{defects:?}");
    report
}

/// Response times, of which all must be known.
#[track_caller]
pub(crate) fn response(report: &Report) -> Histogram {
    let all = report.totals.latency.all();
    assert!(all.censored.is_empty(), "{} ended without a response", all.censored.count());
    all.known
}

/// Service times, of which all must be known.
#[track_caller]
pub(crate) fn service(report: &Report) -> Histogram {
    let services = report.services();
    assert!(services.censored.is_empty(), "{} did not end", services.censored.count());
    services.known
}

/// The bounds of the quantile `q` of all response times.
pub(crate) fn bounds(report: &Report, q: f64) -> Bounds {
    report.totals.latency.all().quantile(Quantile::new(q).unwrap())
}

/// The quantile `q` in seconds.
pub(crate) fn at(times: &Histogram, q: f64) -> f64 {
    times.quantile(Quantile::new(q).unwrap()).as_secs_f64()
}

/// The mean in seconds.
pub(crate) fn mean(times: &Histogram) -> f64 {
    times.mean() / 1e9
}

/// `measured` is `truth` to within `slot` and the histogram's error; all in seconds.
#[track_caller]
pub(crate) fn check(what: &str, measured: f64, truth: f64, slot: f64) {
    let room = slot + truth * HISTOGRAM_ERROR + 1e-9;
    let off = (measured - truth).abs();
    assert!(off <= room, "{what} is {measured} s, not {truth} s: off by {off} s of {room} s");
}

/// Each of the quantiles of `times` is what `truth` says, to within `slot`.
#[track_caller]
pub(crate) fn check_quantiles(
    times: &Histogram,
    quantiles: &[f64],
    slot: f64,
    truth: impl Fn(f64) -> f64,
) {
    for &q in quantiles {
        check(&format!("quantile {q}"), at(times, q), truth(q), slot);
    }
}
