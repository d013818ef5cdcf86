//! Several servers: each request goes to its own, and waits for nobody else's.

use proptest::prelude::*;

use super::*;
use crate::plan::{Asking, Lookup, Origin, Scenario, Spawn, Step};
use crate::record::Reached;

const SERVICE: Nanos = Nanos::from_millis(1);

/// A request to each of `servers`, the server n at address n + 1, chosen equally often; with
/// `steps` of them one after the other.
pub(super) fn apart(load: &Load, connections: u32, limit: Limit, servers: u16, steps: u16) -> Plan {
    let mut all = plan(load, connections, limit);
    let asking = |n: u16| {
        let request = Request::builder("GET", "example.org", "/").unwrap().build();
        let name = format!("server {n}");
        Asking { origin: n, ..Asking::new(name, request, ExpectedStatus::default()) }
    };
    let scenario = |n: u16| Scenario {
        name: String::new(),
        weight: NonZeroU32::MIN,
        steps: (0..steps).map(|step| Step::Request((n + step) % servers)).collect(),
    };
    let scenarios = (0..servers).map(scenario).collect();
    all.work = Work::new((0..servers).map(asking).collect(), scenarios).unwrap();
    let other = |n: u16| Origin {
        target: Target {
            url: format!("http://server{n}/"),
            addresses: Addresses::new(vec![address(u8::try_from(n).unwrap() + 1)]).unwrap(),
        },
        tls: None,
        proxy: None,
        lookup: Lookup::Once,
    };
    all.others = (1..servers).map(other).collect();
    all
}

/// A server of which that at `address(last)` takes no connection from `from` on, and ends those
/// that it has by not answering on them.
fn dying(last: u8, from: Nanos, service: Nanos, connections: u32) -> Script {
    let dead = move |at: Instant| at >= BARRIER + from;
    Script {
        door: Box::new(move |at, to| {
            let gone = to == address(last) && dead(at);
            let micros = Nanos::from_micros;
            if gone { Door::Refuses(micros(20)) } else { Door::Opens(micros(50)) }
        }),
        answer: Box::new(move |asked| {
            let own = asked.slot.0 / connections == u32::from(last) - 1;
            if own && dead(asked.at) {
                return vec![(Nanos::from_micros(10), Act::Reset)];
            }
            vec![(service, Act::Say(OK.to_vec()))]
        }),
        hear: None,
    }
}

fn ok_of(ended: &Ended, server: usize) -> u64 {
    ended.numbers.rows[server].ledger.ok
}

#[test]
fn each_server_has_connections_of_its_own_and_is_asked_on_them() {
    let plan = apart(&closed(1), 2, requests(300), 3, 1);
    let ended = run(plan, prompt(SERVICE));
    let mut dialled: Vec<_> = ended.log.dialled.iter().map(|&(_, slot, to)| (slot.0, to)).collect();
    dialled.sort();
    let expected = (0..6).map(|slot| (slot, address(u8::try_from(slot / 2).unwrap() + 1)));
    assert_eq!(dialled, expected.collect::<Vec<_>>());
    let asked = |server: u32| {
        let sent = ended.log.sent.iter().filter(|(_, slot, _)| slot.0 / 2 == server);
        u64::try_from(sent.count()).unwrap()
    };
    for (server, &Reached { opened, reconnects, failed, requests }) in
        (0..).zip(&ended.numbers.origins)
    {
        let row = usize::try_from(server).unwrap();
        assert_eq!((opened, reconnects, failed), (2, 0, 0));
        assert_eq!([asked(server), ok_of(&ended, row)], [requests; 2]);
        assert!(requests > 60, "{requests} of 300 for one of three");
    }
    assert_eq!(ended.numbers.ledger.ok, 300);
}

#[test]
fn a_closed_loop_has_as_many_users_as_connections_to_one_server_however_many_servers_there_are() {
    let plan = apart(&closed(1), 2, requests(100), 3, 1);
    // Two at a time, a millisecond each: neither server keeps the users from the others.
    let ended = run(plan, prompt(SERVICE));
    let mut moments: Vec<Nanos> = ended.sent();
    moments.sort();
    let round = |n: usize| SERVICE.saturating_mul(u64::try_from(n / 2).unwrap());
    let expected: Vec<_> = (0..100).map(round).collect();
    assert_eq!(moments, expected);
    assert_eq!(ended.numbers.latency.all().known.max(), SERVICE);
}

#[test]
fn who_waits_for_a_server_that_has_stopped_keeps_nobody_from_another() {
    let script = |stopped: bool| {
        server(move |asked| {
            let service = if stopped && asked.slot.0 == 0 { millis(700) } else { SERVICE };
            vec![(service, Act::Say(OK.to_vec()))]
        })
    };
    let plan = || apart(&open(200), 1, Limit::Duration(millis(500)), 2, 1);
    let ended = run(plan(), script(true));
    let quick = ended.numbers.rows[1].latency();
    assert!(quick.known.count() > 30);
    // Two that follow each other by 5 ms both fit.
    assert_eq!((quick.known.max(), quick.censored.count()), (SERVICE, 0));
    let slow = ended.numbers.rows[0].latency();
    assert!(slow.known.max() >= millis(700), "its own wait for it");
    assert!(ended.numbers.ledger.unfinished > 0, "and what was never sent has no row");
    assert_eq!(run(plan(), script(false)).numbers.latency.all().known.max(), SERVICE);
}

#[test]
fn a_server_that_is_gone_costs_its_own_requests_an_error_and_the_others_nothing() {
    for load in [closed(1), open(400)] {
        let plan = apart(&load, 3, Limit::Duration(millis(600)), 2, 1);
        let ended = run(plan, dying(2, millis(200), SERVICE, 3));
        let [stays, goes] = [0, 1].map(|server| ended.numbers.rows[server].ledger);
        assert_eq!((stays.errors, stays.timeouts, stays.unfinished), (0, 0, 0), "{load:?}");
        // Of a closed loop, each user waits 10 ms at most for the next attempt.
        let least = if load.is_open() { 100 } else { 360 };
        assert!(stays.ok >= least && goes.ok > 20, "{stays:?} {goes:?}");
        assert!(goes.errors > 20, "{goes:?}");
        let refused = count(&ended.numbers, "queue_refused");
        assert!(refused > 0, "{:?}", ended.numbers.errors.rows());
        assert_eq!(ended.numbers.ledger.unfinished, 0, "nobody is waited for in vain");
        assert!(ended.numbers.origins[1].failed > 0 && ended.numbers.origins[0].failed == 0);
    }
}

#[test]
fn a_slot_without_a_connection_to_its_server_is_dropped_or_opens_one_if_that_was_said() {
    let of = |policy: OnFull| {
        let mut load = open(500);
        if let Load::Open { on_full, .. } = &mut load {
            *on_full = policy;
        }
        apart(&load, 1, Limit::Duration(millis(400)), 2, 1)
    };
    let slow = || prompt(millis(9));
    let dropped = run(of(OnFull::Drop), slow()).numbers;
    assert_eq!(dropped.ledger.ok + dropped.ledger.dropped, 200);
    assert!(dropped.ledger.dropped > 50);
    assert_eq!(dropped.latency.all().known.max(), millis(9));
    let grown = run(of(OnFull::Grow { most: NonZeroU32::new(20).unwrap() }), slow());
    assert_eq!(grown.numbers.ledger.ok, 200);
    let to = |last| grown.log.dialled.iter().filter(|(_, _, to)| *to == address(last)).count();
    assert!((3..=7).contains(&to(1)) && (3..=7).contains(&to(2)), "{} {}", to(1), to(2));
    assert_eq!(grown.numbers.parts.connection_wait.max(), Nanos::from_micros(50), "to connect");
}

#[test]
fn a_deadline_ends_who_waits_for_a_server() {
    let mut plan = apart(&open(200), 1, Limit::Duration(millis(300)), 2, 1);
    plan.timeouts.deadline = Some(millis(20));
    let script = server(|asked| match asked.slot.0 {
        0 => Vec::new(),
        _ => vec![(SERVICE, Act::Say(OK.to_vec()))],
    });
    // Who is late costs its connection, and the next one takes 30 ms to be had.
    let door = Box::new(|_, _| Door::Opens(millis(30)));
    let ended = run(plan, Script { door, ..script });
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.ok + ledger.timeouts, ledger.unfinished), (60, 0));
    assert!(count(&ended.numbers, "queue_timeout") > 5, "{:?}", ended.numbers.errors.rows());
    assert_eq!(ended.numbers.latency.all().censored.max(), millis(20));
}

#[test]
fn users_join_in_little_by_little_with_several_servers_too() {
    let spawn = Spawn { count: NonZeroU32::MIN, every: millis(10) };
    let load = Load::Closed { pipeline: NonZeroU8::MIN, spawn: Some(spawn) };
    let ended = run(apart(&load, 3, Limit::Duration(millis(40)), 2, 1), prompt(millis(5)));
    let at = |from: u64, to: u64| {
        let sent = ended.sent().into_iter();
        sent.filter(|&at| millis(from) <= at && at < millis(to)).count()
    };
    assert_eq!((at(0, 10), at(30, 40)), (2, 6));
}

#[test]
fn a_scenario_leads_through_several_servers() {
    let ended = run(apart(&open(100), 2, Limit::Duration(millis(300)), 3, 3), prompt(SERVICE));
    let ledger = ended.numbers.ledger;
    assert_eq!((ended.requests_sent(), ledger.errors), (90, 0));
    assert_eq!(ended.numbers.latency.all().known.max(), SERVICE);
}

#[derive(Clone, Debug)]
struct Run {
    load: Load,
    servers: u16,
    steps: u16,
    connections: u32,
    limit: Limit,
    deadline: Option<Nanos>,
    /// Of 16: attempts that are refused, and requests that are not answered, or with a reset.
    refused: u64,
    silent: u64,
    reset: u64,
    halt: Option<Halt>,
}

fn loads() -> impl Strategy<Value = Load> {
    let most = NonZeroU32::new(6).unwrap();
    let policies = [OnFull::Queue, OnFull::Drop, OnFull::Grow { most }];
    prop_oneof![
        (1_u8..4).prop_map(closed),
        (1_u8..4, 200_u64..5_000, prop::sample::select(policies.to_vec())).prop_map(
            |(pipeline, rate, on_full)| {
                let rate = Rate::new(rate, Nanos::from_secs(1)).unwrap();
                let pipeline = NonZeroU8::new(pipeline).unwrap();
                Load::Open { timetable: Timetable::constant(rate), pipeline, on_full }
            }
        ),
    ]
}

prop_compose! {
    fn runs()(
        load in loads(),
        (servers, steps, connections) in (2_u16..5, 1_u16..4, 1_u32..5),
        limit in prop_oneof![
            (1_u64..300).prop_map(|n| Limit::Duration(millis(n))),
            (1_u64..300).prop_map(requests),
        ],
        deadline in prop::option::weighted(0.3, (1_u64..60).prop_map(millis)),
        (refused, silent, reset) in (0_u64..8, 0_u64..4, 0_u64..4),
        halt in prop::option::weighted(0.3, (0_u64..400, 0_u64..100)),
    ) -> Run {
        let halt = halt.map(|(at, patience)| Halt { at: millis(at), patience: millis(patience) });
        Run { load, servers, steps, connections, limit, deadline, refused, silent, reset, halt }
    }
}

/// A number that looks random, the same every time.
fn scatter(n: u64) -> u64 {
    ((n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 16
}

proptest! {
    #[test]
    fn whatever_several_servers_do_each_request_has_one_outcome(case in runs()) {
        let Run { refused, silent, reset, .. } = case;
        let mut plan = apart(&case.load, case.connections, case.limit, case.servers, case.steps);
        plan.timeouts.deadline = case.deadline;
        (plan.timeouts.request, plan.timeouts.connect) = (millis(50), millis(50));
        let mut knocks = 0;
        let script = Script {
            door: Box::new(move |_, _| {
                knocks += 1;
                match scatter(knocks) {
                    n if n < refused => Door::Refuses(Nanos::from_micros(20)),
                    _ => Door::Opens(Nanos::from_micros(50)),
                }
            }),
            answer: Box::new(move |asked| match scatter(asked.number) {
                n if n < silent => Vec::new(),
                n if n < silent + reset => vec![(Nanos::from_micros(300), Act::Reset)],
                _ => vec![(Nanos::from_micros(300), Act::Say(OK.to_vec()))],
            }),
            hear: None,
        };
        let part = split(&Arc::new(plan)).remove(0);
        // That the ledger balances is seen to there.
        let ended = run_shard(part, script, case.halt);
        let started = ended.finished.wall_time > Nanos::ZERO;
        let exact = started && case.halt.is_none() && !ended.finished.target_lost;
        if let (true, Limit::Requests(n), true) = (exact, case.limit, case.load.is_open()) {
            let firsts = ended.numbers.ledger.scheduled;
            prop_assert!(firsts >= n.get(), "{firsts} of {n}");
        }
    }
}
