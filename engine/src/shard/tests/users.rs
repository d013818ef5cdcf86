//! Virtual users on their way through scenarios.

use pummel_proto_http::{Escape, Text};

use super::super::choice::shares;
use super::super::user::{User, Users};
use super::*;
use crate::judge::{BodyTest, Capture, Check, Extractor, Marker, Path, Sizes, Test, Token};
use crate::plan::{Asking, Protocol, Scenario, Source, Step, Variable};
use crate::record::{Recorder, Row};

pub(super) const THINK: Nanos = Nanos::from_millis(10);
pub(super) const SERVICE: Nanos = Nanos::from_millis(1);

pub(super) fn asking(path: &str) -> Asking {
    let request = Request::builder("GET", "example.org", path).unwrap().build();
    Asking::new(path.to_owned(), request, ExpectedStatus::default())
}

/// Requests for `/a`, `/b` and so on, and scenarios with these weights and steps.
pub(super) fn work(requests: u8, scenarios: &[(u32, &[Step])]) -> Work {
    let path = |n| format!("/{}", char::from(b'a' + n));
    work_of((0..requests).map(|n| asking(&path(n))).collect(), scenarios)
}

pub(super) fn work_of(requests: Vec<Asking>, scenarios: &[(u32, &[Step])]) -> Work {
    let scenario = |&(weight, steps): &(u32, &[Step])| Scenario {
        name: String::new(),
        weight: NonZeroU32::new(weight).unwrap(),
        steps: steps.to_vec(),
    };
    Work::new(requests, scenarios.iter().map(scenario).collect()).unwrap()
}

/// The same work, whose scenarios have these weights.
pub(super) fn weighed(work: &Work, weights: &[u32]) -> Work {
    let weights = weights.iter().copied().filter_map(NonZeroU32::new);
    let all = work.scenarios().iter().cloned().zip(weights);
    let all = all.map(|(scenario, weight)| Scenario { weight, ..scenario });
    Work::new(work.requests().to_vec(), all.collect()).unwrap()
}

/// `/a`, a pause, `/b`.
fn two_steps() -> Work {
    work(2, &[(1, &[Step::Request(0), Step::Think(THINK), Step::Request(1)])])
}

/// `/a`, and `/b` at once.
pub(super) fn two_requests() -> Work {
    work(2, &[(1, &[Step::Request(0), Step::Request(1)])])
}

pub(super) fn scripted(load: &Load, connections: u32, limit: Limit, work: Work) -> Plan {
    Plan { work, ..plan(load, connections, limit) }
}

/// How many requests of each kind ended well, and how many badly.
pub(super) fn ended_by_row(numbers: &Snapshot) -> Vec<(u64, u64)> {
    let bad = |row: &Row| row.ledger.accounted() - row.ledger.ok;
    numbers.rows.iter().map(|row| (row.ledger.ok, bad(row))).collect()
}

/// What the rows hold is what the run holds, but for what was never sent.
#[track_caller]
pub(super) fn check_rows(numbers: &Snapshot) {
    let mut sum = Row::default();
    numbers.rows.iter().for_each(|row| sum.merge(row));
    let (of_rows, ledger) = (sum.ledger, numbers.ledger);
    assert_eq!(
        (of_rows.ok, of_rows.failed, of_rows.errors),
        (ledger.ok, ledger.failed, ledger.errors)
    );
    assert_eq!(sum.latency().known.count(), numbers.latency.all().known.count());
    assert_eq!(of_rows.timeouts + of_rows.unfinished, sum.latency().censored.count());
}

#[test]
fn a_user_goes_from_step_to_step_and_thinks_in_between() {
    let ended = run(scripted(&closed(1), 1, requests(10), two_steps()), prompt(SERVICE));
    assert_eq!(ended_by_row(&ended.numbers), [(5, 0), (5, 0)]);
    check_rows(&ended.numbers);
    let round = SERVICE + THINK + SERVICE;
    let expected = (0..5_u64).flat_map(|n| {
        let begun = round.saturating_mul(n);
        [begun, begun + SERVICE + THINK]
    });
    assert_eq!(ended.sent(), expected.collect::<Vec<_>>());
    // A pause is no part of anybody's latency.
    assert_eq!(ended.numbers.latency.all().known.max(), SERVICE);
}

#[test]
fn a_pause_behind_the_last_step_keeps_the_user_from_beginning_again() {
    let work = work(1, &[(1, &[Step::Request(0), Step::Think(THINK)])]);
    let ended = run(scripted(&closed(1), 2, requests(6), work), prompt(SERVICE));
    let round = SERVICE + THINK;
    let rounds = (0..3_u64).flat_map(|n| [round.saturating_mul(n); 2]);
    assert_eq!(ended.sent(), rounds.collect::<Vec<_>>());
}

#[test]
fn nobody_waits_for_a_pause_behind_the_last_step_of_an_open_loop() {
    let pause = Step::Think(Nanos::from_secs(3_600));
    let work = work(1, &[(1, &[Step::Request(0), pause])]);
    let ended = run(scripted(&open(100), 2, Limit::Duration(millis(100)), work), prompt(SERVICE));
    assert_eq!(ended.numbers.ledger.ok, 10);
    assert!(ended.finished.wall_time < millis(200), "{:?}", ended.finished.wall_time);
}

#[test]
fn a_slot_of_an_open_loop_begins_a_scenario_which_goes_on_by_itself() {
    let plan = scripted(&open(100), 2, Limit::Duration(millis(200)), two_steps());
    let ended = run(plan, prompt(SERVICE));
    // Twenty begin; what the last of them asks for in the end lies behind the window.
    let [(first, 0), (second, 0)] = ended_by_row(&ended.numbers)[..] else { panic!("two rows") };
    assert_eq!(first, 20);
    assert_eq!(second, 19);
    check_rows(&ended.numbers);
    assert_eq!(ended.log.sent.len(), 40, "and is done all the same");
    let all = ended.numbers.latency.all().known;
    assert_eq!((all.min(), all.max()), (SERVICE, SERVICE));
}

#[test]
fn users_beyond_the_connections_wait_for_one_and_that_is_a_part_of_the_response_time() {
    // Three slots at once every 100 ms, one connection, a service time of 1 ms.
    let load = Load::Open {
        timetable: Timetable {
            shape: Shape::Bursts { count: nonzero(3), every: millis(100) },
            arrivals: Arrivals::Constant,
        },
        pipeline: NonZeroU8::MIN,
        on_full: OnFull::Queue,
    };
    let plan = scripted(&load, 1, Limit::Duration(millis(100)), two_steps());
    let ended = run(plan, prompt(SERVICE));
    assert_eq!(ended_by_row(&ended.numbers), [(3, 0), (3, 0)]);
    let rows = &ended.numbers.rows;
    assert_eq!(rows[0].latency().known.max(), SERVICE + SERVICE + SERVICE);
    // Answered one after the other, they come back one after the other.
    assert_eq!(rows[1].latency().known.max(), SERVICE);
}

#[test]
fn scenarios_are_chosen_by_weight() {
    let work = work(3, &[(3, &[Step::Request(0)]), (1, &[Step::Request(1), Step::Request(2)])]);
    let ended = run(scripted(&closed(1), 4, requests(5_000), work), prompt(SERVICE));
    let rows = ended_by_row(&ended.numbers);
    let (a, b, c) = (rows[0].0, rows[1].0, rows[2].0);
    assert_eq!(a + b + c, 5_000);
    assert!(b.abs_diff(c) <= 4, "{rows:?}");
    assert!(a.abs_diff(3_000) < 150 && b.abs_diff(1_000) < 75, "three to one: {rows:?}");
}

#[test]
fn a_request_that_fails_ends_its_scenario() {
    // Every other request, which is the second step, is met by a reset.
    let script = server(|asked| {
        let act = if asked.number % 2 == 1 { Act::Reset } else { Act::Say(OK.to_vec()) };
        vec![(SERVICE, act)]
    });
    let steps = [Step::Request(0), Step::Request(1), Step::Request(2)];
    let plan = scripted(&closed(1), 1, requests(10), work(3, &[(1, &steps)]));
    let ended = run(plan, script);
    assert_eq!(ended_by_row(&ended.numbers), [(5, 0), (0, 5), (0, 0)]);
    check_rows(&ended.numbers);
}

#[test]
fn in_a_pipeline_a_deadline_is_that_of_the_request_that_has_it() {
    // Only the first request is answered; a second `/a` follows the first `/b`, which has none.
    let script = server(|asked| match asked.nth {
        0 => vec![(millis(1), Act::Say(OK.to_vec()))],
        _ => Vec::new(),
    });
    let rate = Rate::new(100, Nanos::from_secs(1)).unwrap();
    let mut plan = scripted(&piped(rate, 4), 1, Limit::Duration(millis(20)), two_requests());
    plan.timeouts.deadline = Some(millis(20));
    let ended = run(plan, script);
    let rows = ended.numbers.rows.iter().map(|row| (row.ledger.timeouts, row.ledger.errors));
    assert_eq!(rows.collect::<Vec<_>>(), [(1, 0), (0, 1)]);
}

#[test]
fn users_share_the_streams_of_a_connection() {
    let script = ways::serving(|_, stream| vec![(SERVICE, ways::ok(stream))]);
    let mut plan = scripted(&closed(1), 2, requests(80), two_steps());
    plan.wire.protocol = Protocol::Http2;
    plan.wire.streams = core::num::NonZeroU16::new(4).unwrap();
    let ended = run(plan, script);
    assert_eq!(ended_by_row(&ended.numbers), [(40, 0), (40, 0)]);
    assert_eq!(ended.numbers.latency.all().known.max(), SERVICE);
}

#[test]
fn a_stop_leaves_nobody_behind() {
    let halt = Halt { at: millis(55), patience: millis(100) };
    for load in [closed(1), open(100)] {
        let plan = scripted(&load, 3, Limit::Duration(millis(1_000)), two_steps());
        let ended = run_and_halt(plan, prompt(SERVICE), halt);
        check_rows(&ended.numbers);
        let sum: u64 = ended_by_row(&ended.numbers).iter().map(|&(ok, bad)| ok + bad).sum();
        let ledger = &ended.numbers.ledger;
        let of_rows: u64 = ended.numbers.rows.iter().map(|row| row.ledger.unfinished).sum();
        let never_sent = ledger.unfinished - of_rows;
        assert!(never_sent <= 1, "a slot that was due when the order came");
        assert_eq!(sum + never_sent, ledger.scheduled);
    }
}

/// A server to which each page is a request, of which `answer` tells the response.
pub(super) fn reading(mut answer: impl FnMut(&str) -> String + 'static) -> Script {
    let hear = move |_, bytes: &[u8]| {
        let response = answer(core::str::from_utf8(bytes).unwrap());
        vec![(SERVICE, Act::Say(response.into_bytes()))]
    };
    Script { hear: Some(Box::new(hear)), ..server(|_| panic!("pages are heard")) }
}

/// A response with a field and a body.
pub(super) fn saying(field: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn what_a_step_captures_is_put_into_the_next() {
    // The server tells each who comes first a number, and wants to see it again.
    let mut issued = 0;
    let script = reading(move |request| {
        if request.starts_with("GET /a ") {
            issued += 1;
            return saying("X-Id: 7", &format!("{{\"t\":\"<{issued}>\"}}"));
        }
        let expected = format!("GET /b?%3C{issued}%3E&7 HTTP/1.1\r\n");
        let right = request.starts_with(&expected);
        if right { saying("X: y", "ok") } else { "HTTP/1.1 500 No\r\n\r\n".to_owned() }
    });
    let path = |number| Capture::new(Extractor::Json(Path::parse("$.t").unwrap()), number);
    let mut first = asking("/a");
    first.captures =
        vec![path(0), Capture::new(Extractor::Field(Token::parse("x-id").unwrap()), 1)];
    let mut target = Text::from("/b?");
    target.push_slot(pummel_proto_http::Slot { value: 0, escape: Escape::Component });
    target.push("&");
    target.push_slot(pummel_proto_http::Slot { value: 1, escape: Escape::Component });
    let request = Request::builder("GET", "example.org", target).unwrap().build();
    let second = Asking::new("/b".to_owned(), request, ExpectedStatus::default());
    let work = captured_work(vec![first, second]);
    let ended = run(scripted(&closed(1), 1, requests(10), work), script);
    assert_eq!(ended_by_row(&ended.numbers), [(5, 0), (5, 0)]);
    assert_eq!(ended.numbers.looked.iter().map(|it| it.held).collect::<Vec<_>>(), [5, 5]);
}

#[test]
fn a_capture_that_finds_nothing_is_a_failure_and_ends_the_scenario() {
    let script = reading(|request| {
        assert!(request.starts_with("GET /a "), "the second step lacks its value: {request}");
        saying("X: y", "<html>")
    });
    let mut first = asking("/a");
    first.captures = vec![Capture::new(Extractor::Json(Path::parse("t").unwrap()), 0)];
    let mut target = Text::from("/b/");
    target.push_slot(pummel_proto_http::Slot { value: 0, escape: Escape::Component });
    let request = Request::builder("GET", "example.org", target).unwrap().build();
    let second = Asking::new("/b".to_owned(), request, ExpectedStatus::default());
    let work = captured_work(vec![first, second]);
    let ended = run(scripted(&closed(1), 1, requests(4), work), script);
    assert_eq!(ended.numbers.ledger.failed, 4);
    assert_eq!(ended.numbers.looked[0].reasons, [("not_json", 4)]);
}

#[test]
fn checks_are_counted_one_by_one_and_make_failures() {
    for http2 in [false, true] {
        let marker = |text: &str| Test::Body(BodyTest::Contains(Marker::new(text).unwrap()));
        let size = Test::Size(Sizes::new(2, 2).unwrap());
        let quick = Test::Time(SERVICE + SERVICE);
        let tests = [marker("ok"), marker("missing"), size, quick];
        let mut one = asking("/a");
        one.checks = tests.into_iter().map(|test| Check::new("", test)).collect();
        let work = work_of(vec![one, asking("/b")], &[(1, &[Step::Request(0), Step::Request(1)])]);
        let mut plan = scripted(&closed(1), 1, requests(6), work);
        let ended = if http2 {
            plan.wire.protocol = Protocol::Http2;
            run(plan, ways::serving(|_, stream| vec![(SERVICE, ways::ok(stream))]))
        } else {
            run(plan, prompt(SERVICE))
        };
        let counts: Vec<_> = ended.numbers.looked.iter().map(|it| (it.held, it.failed)).collect();
        assert_eq!(counts, [(3, 0), (0, 3), (3, 0), (3, 0)], "HTTP/2: {http2}");
        assert_eq!(ended_by_row(&ended.numbers), [(0, 3), (3, 0)]);
        check_rows(&ended.numbers);
    }
}

/// Both requests in a row, with two values that are captured.
pub(super) fn captured_work(requests: Vec<Asking>) -> Work {
    let variable = |name: &str| Variable { name: name.to_owned(), source: Source::Captured };
    let work = work_of(requests, &[(1, &[Step::Request(0), Step::Request(1)])]);
    work.with_variables(vec![variable("t"), variable("id")], Nanos::ZERO).unwrap()
}

#[test]
fn a_request_whose_values_are_too_long_for_its_head_is_an_error_by_name() {
    let script = ways::serving(|_, stream| vec![(SERVICE, ways::ok(stream))]);
    let mut target = Text::from("/");
    target.push_slot(pummel_proto_http::Slot { value: 0, escape: Escape::Component });
    let request = Request::builder("GET", "example.org", target).unwrap().build();
    let long = Asking::new("/long".to_owned(), request, ExpectedStatus::default());
    let steps = [Step::Request(0), Step::Request(1), Step::Request(0)];
    let work = work_of(vec![asking("/a"), long], &[(1, &steps)]);
    let choice = Source::Choice(vec![vec![b'x'; 40_000]]);
    let variables = vec![Variable { name: String::new(), source: choice }];
    let work = work.with_variables(variables, Nanos::ZERO).unwrap();
    let mut plan = scripted(&closed(1), 2, requests(12), work);
    plan.wire.protocol = Protocol::Http2;
    let ended = run(plan, script);
    // The scenario ends with it.
    assert_eq!(ended_by_row(&ended.numbers), [(6, 0), (0, 6)]);
    assert_eq!(count(&ended.numbers, "send_too_long"), 6);
}

/// Requests that are asked for in turn.
fn in_turn(requests: u8) -> Work {
    let steps: Vec<[Step; 1]> = (0..requests).map(|n| [Step::Request(n.into())]).collect();
    let scenarios: Vec<(u32, &[Step])> = steps.iter().map(|steps| (1, &steps[..])).collect();
    work(requests, &scenarios).in_turn()
}

#[test]
fn in_turn_users_keep_one_order_whoever_of_them_is_free() {
    let ended = run(scripted(&closed(1), 3, requests(12), in_turn(4)), prompt(SERVICE));
    assert_eq!(ended_by_row(&ended.numbers), [(3, 0); 4]);
    check_rows(&ended.numbers);
    let plan = scripted(&open(100), 2, Limit::Duration(millis(200)), in_turn(5));
    assert_eq!(ended_by_row(&run(plan, prompt(SERVICE)).numbers), [(4, 0); 5]);
}

#[test]
fn shards_begin_at_different_places_of_the_round() {
    let mut whole = scripted(&closed(1), 4, requests(8), in_turn(8));
    whole.cores = Cores::new(vec![0, 1, 2, 3]).unwrap();
    let whole = Arc::new(whole);
    let firsts: Vec<u16> = split(&whole)
        .iter()
        .flat_map(|part| {
            let mut users = Users::new(part, 1, Vec::new());
            let mut recorder = Recorder::new(Box::default(), false);
            let mut next = || {
                let (user, _) = users.begin(BARRIER, &mut recorder);
                let request = users.request_of(user);
                users.failed(user, ORIGIN, &mut recorder);
                request
            };
            [next(), next()]
        })
        .collect();
    assert_eq!(firsts, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn requests_of_one_name_share_their_numbers() {
    let asking = |(path, name): (&str, &str)| {
        let request = Request::builder("GET", "example.org", path).unwrap().build();
        Asking::new(name.to_owned(), request, ExpectedStatus::default())
    };
    let requests: Vec<_> = [("/1", "a"), ("/2", "b"), ("/3", "a")].map(asking).into();
    let steps = (0..3).map(Step::Request).collect();
    let scenario = Scenario { name: String::new(), weight: NonZeroU32::MIN, steps };
    let work = Work::new(requests, vec![scenario]).unwrap();
    let ended = run(scripted(&closed(1), 1, super::requests(9), work), prompt(SERVICE));
    assert_eq!(ended_by_row(&ended.numbers), [(6, 0), (3, 0)]);
    check_rows(&ended.numbers);
}

/// The users of `part`, one for each connection, and who is told when they begin.
fn beginners(part: &ShardPlan) -> (Users, Recorder) {
    (Users::new(part, 1, Vec::new()), Recorder::new(Box::default(), false))
}

#[test]
fn a_closed_loop_has_as_many_users_as_its_connections_take_whenever_that_changes() {
    let mut plan = scripted(&closed(1), 2, requests(9), two_steps());
    plan.room = NonZeroU32::new(6).unwrap();
    let part = split(&Arc::new(plan)).remove(0);
    let (mut users, mut recorder) = beginners(&part);
    let first = all_begin(&mut users, &mut recorder);
    assert_eq!(first.len(), 2);
    users.resize(4);
    let more = all_begin(&mut users, &mut recorder);
    assert_eq!(more.len(), 2);
    users.resize(1);
    for &user in first.iter().chain(&more[..1]) {
        users.failed(user, BARRIER, &mut recorder);
    }
    assert_eq!(
        users.may_begin(None, BARRIER),
        Ok(false),
        "one is under way, as many as there are to be"
    );
    users.failed(more[1], BARRIER, &mut recorder);
    assert_eq!(all_begin(&mut users, &mut recorder).len(), 1);
    users.resize(3);
    assert_eq!(all_begin(&mut users, &mut recorder).len(), 2);
}

/// Lets users begin as long as one may, nine at most.
fn all_begin(users: &mut Users, recorder: &mut Recorder) -> Vec<User> {
    let one = || {
        let may = users.may_begin(None, BARRIER) == Ok(true);
        may.then(|| users.begin(BARRIER, recorder).0)
    };
    core::iter::from_fn(one).take(9).collect()
}

#[test]
fn scenarios_that_begin_after_a_change_of_weights_are_chosen_by_the_new_ones() {
    let most = u32::MAX;
    let work = work(2, &[(most, &[Step::Request(0)]), (1, &[Step::Request(1)])]);
    let part = split(&Arc::new(scripted(&open(10), 1, requests(9), work))).remove(0);
    let (mut users, mut recorder) = beginners(&part);
    let mut begun = |users: &mut Users| {
        let (user, _) = users.begin(BARRIER, &mut recorder);
        users.request_of(user)
    };
    assert!((0..50).all(|_| begun(&mut users) == 0));
    let weights = [1, most].into_iter().filter_map(NonZeroU32::new);
    users.weigh(shares(weights));
    assert!((0..50).all(|_| begun(&mut users) == 1));
}
