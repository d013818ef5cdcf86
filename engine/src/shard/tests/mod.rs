//! The shard on a scripted server, in virtual time: the numbers are known in closed form, so they
//! are compared exactly.

mod bounds;
mod codings;
mod connections;
mod conservation;
mod fake;
mod feeds;
mod flows;
mod full;
mod jars;
mod kinds;
mod pacing;
mod redirects;
mod roams;
mod schedule;
mod servers;
mod steady;
mod tries;
mod users;
mod ways;
mod whole;

use core::num::{NonZeroU8, NonZeroU32, NonZeroU64};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use pummel_proto_http::Request;

use self::fake::{Act, Acts, Asked, Door, Fake, Log, Script};
use super::mailbox::{Desk, Effort, Finished, Opened, Order, Reply, mailbox};
use super::{Phase, Shard};
use crate::cookies::Cookie;
use crate::feed::Tap;
use crate::plan::{
    Addresses, Arrivals, Cores, ExpectedStatus, Limit, Load, OnFull, Pacing, Plan, Shape,
    ShardPlan, Stage, Stages, Stop, Target, Timeouts, Timetable, Wire, Work, split,
};
use crate::reactor::{Kind, Reactor, Slot};
use crate::record::{Chronicle, Exchange, Snapshot, Tally};
use crate::units::{Instant, Nanos, Rate};

/// When the virtual clock starts.
const ORIGIN: Instant = crate::reactor::sim::ORIGIN;

/// The start barrier, unless opening the connections takes longer; then it comes so much later.
const BARRIER: Instant = Instant::from_origin(1_100_000_000);
const LEAD: Nanos = Nanos::from_millis(1);

/// How often an empty envelope is offered.
const EXCHANGE: Nanos = Nanos::from_millis(137);

/// Turns after which a run counts as endless.
const TURNS_MAX: u32 = 2_000_000;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A run of one shard that is over.
struct Ended {
    numbers: Snapshot,
    opened: Option<Opened>,
    finished: Finished,
    /// Of a try.
    exchanges: Vec<Exchange>,
    /// Those that users have in the end.
    cookies: Vec<Cookie>,
    log: Log,
    /// Zero if the run never started.
    barrier: Instant,
}

impl Ended {
    /// Moments after the start barrier at which requests were sent.
    fn sent(&self) -> Vec<Nanos> {
        self.log.sent.iter().map(|(at, _, _)| at.since(self.barrier)).collect()
    }

    fn requests_sent(&self) -> usize {
        self.log.sent.iter().map(|(_, _, requests)| requests).sum()
    }
}

/// A stop order: how long after the start barrier it comes, and its patience.
#[derive(Clone, Copy, Debug)]
struct Halt {
    at: Nanos,
    patience: Nanos,
}

/// A stop of the whole process: how long after the start barrier it comes, and how long it lasts.
#[derive(Clone, Copy, Debug)]
struct Stall {
    at: Nanos,
    span: Nanos,
}

fn millis(n: u64) -> Nanos {
    Nanos::from_millis(n)
}

fn nonzero(n: u64) -> NonZeroU64 {
    NonZeroU64::new(n).unwrap()
}

fn requests(n: u64) -> Limit {
    Limit::Requests(nonzero(n))
}

fn closed(pipeline: u8) -> Load {
    Load::Closed { pipeline: NonZeroU8::new(pipeline).unwrap(), spawn: None }
}

fn open(per_second: u64) -> Load {
    piped(Rate::new(per_second, Nanos::from_secs(1)).unwrap(), 1)
}

fn piped(rate: Rate, pipeline: u8) -> Load {
    timed(Timetable::constant(rate), pipeline)
}

fn timed(timetable: Timetable, pipeline: u8) -> Load {
    let pipeline = NonZeroU8::new(pipeline).unwrap();
    Load::Open { timetable, pipeline, on_full: OnFull::Queue }
}

fn stage(length: Nanos, from: u64, to: u64) -> Stage {
    let rate = |per_second| Rate::new(per_second, Nanos::from_secs(1));
    Stage { length, from: rate(from), to: rate(to) }
}

/// A timetable of every sort: a ramp and a pause, bursts, and scattered arrivals of both.
fn timetables() -> Vec<Timetable> {
    let stages = vec![
        stage(millis(100), 0, 2_000),
        stage(millis(50), 0, 0),
        stage(millis(100), 3_000, 500),
        stage(millis(100), 1_000, 1_000),
    ];
    let stages = Shape::Stages(Stages::new(stages).unwrap());
    let bursts = Shape::Bursts { count: nonzero(40), every: millis(30) };
    let arrivals = [Arrivals::Constant, Arrivals::UniformJitter, Arrivals::Poisson];
    let of = |shape: Shape| arrivals.map(|arrivals| Timetable { shape: shape.clone(), arrivals });
    [of(stages), of(bursts)].concat()
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 80))
}

/// A plan for one shard, with timeouts and a drain of one second.
fn plan(load: &Load, connections: u32, limit: Limit) -> Plan {
    Plan {
        target: Target {
            url: "http://example.org/".to_owned(),
            addresses: Addresses::new(vec![address(1)]).unwrap(),
        },
        work: Work::only(
            Request::builder("GET", "example.org", "/").unwrap().build(),
            ExpectedStatus::default(),
        ),
        wire: Wire::default(),
        others: Vec::new(),
        load: load.clone(),
        connections: NonZeroU32::new(connections).unwrap(),
        room: NonZeroU32::MIN,
        stop: Stop { warmup: Nanos::ZERO, limit, drain: millis(1_000) },
        timeouts: Timeouts { connect: millis(1_000), request: millis(1_000), deadline: None },
        pacing: Pacing::Sleep,
        cores: Cores::new(vec![0]).unwrap(),
        reactor: Kind::Epoll,
        seed: 1,
    }
}

/// A request with a body of `len` bytes.
fn posting(len: usize) -> Request {
    Request::builder("POST", "example.org", "/").unwrap().body(vec![b'x'; len]).build()
}

/// A server that opens at once, and answers each request as `answer` says.
fn server(answer: impl FnMut(&Asked) -> Acts + 'static) -> Script {
    let door = Box::new(|_, _| Door::Opens(Nanos::from_micros(50)));
    Script { door, answer: Box::new(answer), hear: None }
}

/// A server that answers each request after `service`.
fn prompt(service: Nanos) -> Script {
    server(move |_| vec![(service, Act::Say(OK.to_vec()))])
}

/// A server that answers after `service`, but for the time from `from` to `to` after the start
/// barrier, in which it does nothing.
fn freezing(from: Nanos, to: Nanos, service: Nanos) -> Script {
    server(move |asked| {
        let (from, to) = (BARRIER + from, BARRIER + to);
        let frozen = from <= asked.at && asked.at < to;
        let begun = if frozen { to } else { asked.at };
        vec![(begun.since(asked.at) + service, Act::Say(OK.to_vec()))]
    })
}

/// Runs the only shard of `plan` to its end.
fn run(plan: Plan, script: Script) -> Ended {
    run_shard(split(&Arc::new(plan)).remove(0), script, None)
}

fn run_stalled(plan: Plan, script: Script, stall: Stall) -> Ended {
    let (from, to) = (BARRIER + stall.at, BARRIER + stall.at + stall.span);
    let late = move |until| if from <= until && until < to { to.since(until) } else { Nanos::ZERO };
    run_sleeper(split(&Arc::new(plan)).remove(0), script, None, late)
}

fn run_and_halt(plan: Plan, script: Script, halt: Halt) -> Ended {
    run_shard(split(&Arc::new(plan)).remove(0), script, Some(halt))
}

/// Runs a shard to its end.
#[track_caller]
fn run_shard(part: ShardPlan, script: Script, halt: Option<Halt>) -> Ended {
    run_sleeper(part, script, halt, |_| Nanos::ZERO)
}

/// Runs a shard, whose sleeps until a moment end so much too `late`, to its end, in the
/// coordinator's stead.
#[track_caller]
fn run_sleeper(
    part: ShardPlan,
    script: Script,
    halt: Option<Halt>,
    late: impl FnMut(Instant) -> Nanos + 'static,
) -> Ended {
    run_prepared(part, script, halt, |shard| shard.reactor.oversleep(late))
}

/// The same with a shard that something is done to before it runs.
#[track_caller]
fn run_prepared(
    part: ShardPlan,
    script: Script,
    halt: Option<Halt>,
    prepare: impl FnOnce(&mut Shard<Fake>),
) -> Ended {
    let mut staged = Staged::new(part, script, Vec::new());
    prepare(&mut staged.shard);
    conduct(staged, halt, |_| {})
}

/// The same with rows of `taps`; `each` is told the time behind each turn.
#[track_caller]
fn run_fed(part: ShardPlan, script: Script, taps: Vec<Tap>, each: impl FnMut(Instant)) -> Ended {
    conduct(Staged::new(part, script, taps), None, each)
}

/// A shard in front of a scripted server, and the coordinator's end of its mailbox.
struct Staged {
    shard: Shard<Fake>,
    desk: Desk,
    log: Rc<RefCell<Log>>,
}

impl Staged {
    fn new(part: ShardPlan, script: Script, taps: Vec<Tap>) -> Self {
        let (desk, mailbox) = mailbox();
        let request = part.plan.work.first().unwrap().request.render_h1();
        let (fake, log) = Fake::new(part.places(), request, script);
        let shard = Shard::new(part, fake, mailbox, taps).unwrap();
        Self { shard, desk, log }
    }
}

/// Runs a shard to its end, in the coordinator's stead.
#[track_caller]
fn conduct(staged: Staged, halt: Option<Halt>, mut each: impl FnMut(Instant)) -> Ended {
    let Staged { mut shard, mut desk, log } = staged;
    let (mut numbers, mut spare) = (Snapshot::default(), Some(Box::<Snapshot>::default()));
    let (mut opened, mut barrier) = (None, Instant::from_origin(0));
    let (mut halt, mut exchange) = (halt, ORIGIN);
    for turn in 0.. {
        assert!(turn < TURNS_MAX, "the run does not end");
        shard.turn().unwrap();
        let now = shard.reactor.now();
        each(now);
        while let Some(reply) = desk.reply() {
            match reply {
                Reply::Opened(how) => {
                    barrier = BARRIER.max(now + LEAD);
                    let reached = how.iter().all(|how| how.open > 0 || how.failed == 0);
                    opened = how.into_iter().next();
                    desk.order(if reached {
                        Order::Start(barrier)
                    } else {
                        Order::Stop(Nanos::ZERO)
                    });
                }
                Reply::Envelope(mut full, _) => {
                    numbers.merge(&full);
                    full.clear();
                    spare = Some(full);
                }
                Reply::Draining | Reply::Cookies(_) | Reply::Exchanged(_) | Reply::Finished(..) => {
                }
            }
        }
        if opened.is_some()
            && let Some(Halt { patience, .. }) = halt.take_if(|halt| now >= barrier + halt.at)
        {
            desk.order(Order::Stop(patience));
        }
        if now >= exchange
            && let Some(empty) = spare.take()
        {
            exchange = now + EXCHANGE;
            desk.order(Order::Exchange(empty));
        }
        if shard.phase == Phase::Done {
            break;
        }
    }
    shard.finish(false);
    let mut replies: Vec<Reply> = core::iter::from_fn(|| desk.reply()).collect();
    let Some(Reply::Finished(last, finished)) = replies.pop() else {
        panic!("the last reply tells the end");
    };
    let (mut exchanges, mut cookies) = (Vec::new(), Vec::new());
    for reply in replies {
        match reply {
            Reply::Exchanged(all) => exchanges = all,
            Reply::Cookies(all) => cookies = all,
            _ => {}
        }
    }
    numbers.merge(&last);
    let log = log.borrow().clone();
    check_conserved(&numbers);
    Ended { numbers, opened, finished, exchanges, cookies, log, barrier }
}

/// Each scheduled request has one outcome, and each outcome its latencies.
#[track_caller]
fn check_conserved(numbers: &Snapshot) {
    let ledger = &numbers.ledger;
    assert!(ledger.balances(), "{ledger:?}");
    let responses = ledger.ok + ledger.failed;
    assert_eq!(numbers.latency.count(), ledger.scheduled);
    let all = numbers.latency.all();
    assert_eq!(all.known.count(), responses + ledger.errors);
    assert_eq!(all.censored.count(), ledger.timeouts + ledger.dropped + ledger.unfinished);
    assert_eq!(numbers.latency.ok().count(), ledger.ok);
    let parts = &numbers.parts;
    assert_eq!(parts.ttfb.count(), responses);
    assert_eq!(parts.service.count(), parts.unhindered.count());
    assert!(parts.service.is_empty() || parts.service.count() == all.known.count());
    assert_eq!(parts.lag.count(), parts.connection_wait.count());
    assert_eq!(numbers.oddities.disordered, 0);
    for flow in &numbers.flows {
        assert!(flow.balances(), "{flow:?}");
        let latency = flow.latency();
        assert_eq!((latency.count(), latency.known.count()), (flow.begun, flow.completed));
    }
    let mut chronicle = Chronicle::default();
    chronicle.add(&numbers.timeline);
    let steps = chronicle.steps();
    let sum = |of: fn(&Tally) -> u64| steps.iter().map(|step| of(&step.tally)).sum::<u64>();
    assert_eq!(sum(|tally| tally.arrived), ledger.scheduled);
    assert_eq!(sum(|tally| tally.ended), ledger.scheduled);
    assert_eq!(sum(|tally| tally.ok), ledger.ok);
    assert_eq!(sum(|tally| tally.censored), all.censored.count());
    assert_eq!(steps.iter().map(|step| step.latency.total()).sum::<u64>(), ledger.scheduled);
    assert_eq!(numbers.statuses.rows().map(|(_, count)| count).sum::<u64>(), responses);
    let rows = numbers.errors.rows();
    let of_requests = rows.iter().filter(|(trouble, _)| !trouble.is_of_connection());
    let troubles: u64 = of_requests.map(|(_, count)| count).sum();
    assert_eq!(troubles, ledger.errors + ledger.timeouts, "{rows:?}");
    assert_eq!(numbers.errors.other(), 0, "too many kinds to tell apart");
}

/// How often the trouble of this name occurred.
fn count(numbers: &Snapshot, name: &str) -> u64 {
    let rows = numbers.errors.rows();
    rows.iter().filter(|(trouble, _)| trouble.to_string() == name).map(|&(_, count)| count).sum()
}
