//! The ways that users go through scenarios, and how long they take for them.

use pummel_proto_http::{Escape, Text};

use super::users::{SERVICE, THINK, asking, ended_by_row, reading, saying, scripted, work};
use super::*;
use crate::judge::{Capture, Claim, Condition, Extractor, Operand, Path, Relation, Term};
use crate::plan::{Asking, Logic, Scenario, Source, Step, Variable};
use crate::record::Flow;

const A: Step = Step::Request(0);
const B: Step = Step::Request(1);
const C: Step = Step::Request(2);
const PAUSE: Step = Step::Think(THINK);

/// A condition of one claim.
fn on(claim: Claim) -> Condition {
    Condition(vec![vec![Term { claim, negated: false }]])
}

/// That the first value is not empty.
fn some() -> Condition {
    on(Claim::Present(Operand::Value(0)))
}

/// That the last response had this status.
fn status(wanted: &str) -> Condition {
    let wanted = Operand::Known(wanted.as_bytes().into());
    on(Claim::Compared(Operand::Status, Relation::Equal, wanted))
}

/// One scenario through `/a`, `/b` and `/c`, of which the first captures the only value, and the
/// groups `g` and `h`.
fn ways(steps: &[Step], condition: Condition) -> Work {
    // With a value in it a request is written anew each time, so that the server can read it.
    let varying = |path: &str| {
        let mut target = Text::from(path);
        target.push_slot(pummel_proto_http::Slot { value: 0, escape: Escape::Component });
        let request = Request::builder("GET", "example.org", target).unwrap().build();
        Asking::new(path.to_owned(), request, ExpectedStatus::default())
    };
    let mut requests: Vec<Asking> = ["/a?", "/b?", "/c?"].map(varying).into();
    let capture = Capture::new(Extractor::Json(Path::parse("$.t").unwrap()), 0);
    requests[0].captures = vec![capture];
    ways_through(requests, steps, condition)
}

/// The same where nothing is captured.
fn plain_ways(steps: &[Step], condition: Condition) -> Work {
    ways_through(["/a", "/b", "/c"].map(asking).into(), steps, condition)
}

fn ways_through(requests: Vec<Asking>, steps: &[Step], condition: Condition) -> Work {
    let logic = Logic { conditions: vec![condition], groups: vec!["g".to_owned(), "h".to_owned()] };
    let (name, weight) = (String::new(), NonZeroU32::MIN);
    let scenario = Scenario { name, weight, steps: steps.to_vec() };
    let work = Work::with_logic(requests, vec![scenario], logic).unwrap();
    let variable = Variable { name: "t".to_owned(), source: Source::Captured };
    work.with_variables(vec![variable], Nanos::ZERO).unwrap()
}

/// A server whose `/a` tells what `issue` says, by the number of times that it was asked for.
fn issuing(mut issue: impl FnMut(u32) -> &'static str + 'static) -> Script {
    let mut asked = 0;
    reading(move |request| {
        if !request.starts_with("GET /a?") {
            return saying("X: y", "ok");
        }
        asked += 1;
        saying("X: y", &format!("{{\"t\":\"{}\"}}", issue(asked)))
    })
}

/// Good responses of each row.
fn ok(ended: &Ended) -> Vec<u64> {
    ended_by_row(&ended.numbers).into_iter().map(|(ok, _)| ok).collect()
}

/// How many of a flow were begun, completed, cut short, endless and unfinished.
fn fates(flow: &Flow) -> [u64; 5] {
    let Flow { begun, completed, cut_short, endless, unfinished, .. } = *flow;
    [begun, completed, cut_short, endless, unfinished]
}

/// The shortest and the longest time of those that were completed.
fn times(flow: &Flow) -> (Nanos, Nanos) {
    let known = flow.latency().known;
    (known.min(), known.max())
}

fn sum(spans: &[Nanos]) -> Nanos {
    spans.iter().fold(Nanos::ZERO, |sum, span| sum + *span)
}

#[test]
fn a_flow_takes_as_long_as_its_requests_and_not_as_the_pauses() {
    let steps = [A, PAUSE, B, C, PAUSE];
    let plan = scripted(&closed(1), 2, requests(12), work(3, &[(1, &steps)]));
    let ended = run(plan, prompt(SERVICE));
    let [flow] = &ended.numbers.flows[..] else { panic!("one") };
    assert_eq!(fates(flow), [4, 4, 0, 0, 0]);
    let three = sum(&[SERVICE; 3]);
    assert_eq!(times(flow), (three, three));
}

#[test]
fn in_an_open_loop_a_flow_begins_with_its_slot_however_late_its_request_starts() {
    // Three slots at once, one connection: the requests behind the first wait for each other.
    let load = timed(
        Timetable {
            shape: Shape::Bursts { count: nonzero(3), every: millis(100) },
            arrivals: Arrivals::Constant,
        },
        1,
    );
    let plan = scripted(&load, 1, Limit::Duration(millis(100)), work(2, &[(1, &[A, PAUSE, B])]));
    let ended = run(plan, prompt(SERVICE));
    let [flow] = &ended.numbers.flows[..] else { panic!("one") };
    assert_eq!(fates(flow), [3, 3, 0, 0, 0]);
    // They come back from their pauses one after the other, so only the first requests waited.
    assert_eq!(times(flow), (sum(&[SERVICE; 2]), sum(&[SERVICE; 4])));
}

#[test]
fn a_request_alone_has_no_flow() {
    let alone = [A, PAUSE];
    let plan = scripted(&closed(1), 1, requests(4), work(2, &[(1, &alone), (1, &[B])]));
    assert!(run(plan, prompt(SERVICE)).numbers.flows.is_empty());
}

#[test]
fn flows_that_fail_are_cut_short_and_so_are_the_groups_around() {
    // Every other request, which is the second of a scenario, is met by a reset.
    let script = server(|asked| {
        let act = if asked.number % 2 == 1 { Act::Reset } else { Act::Say(OK.to_vec()) };
        vec![(SERVICE, act)]
    });
    let steps = [Step::Enter(0), A, Step::Enter(1), B, Step::Leave, C, Step::Leave];
    let plan = scripted(&closed(1), 1, requests(10), plain_ways(&steps, some()));
    let ended = run(plan, script);
    assert_eq!(ended.numbers.flows.iter().map(fates).collect::<Vec<_>>(), [[5, 0, 5, 0, 0]; 3]);
    let waited = |flow: &Flow| flow.latency().censored.max();
    let [whole, outer, inner] = &ended.numbers.flows[..] else { panic!("three") };
    assert_eq!([whole, outer, inner].map(waited), [SERVICE + SERVICE, SERVICE + SERVICE, SERVICE]);
}

#[test]
fn a_group_has_the_time_of_its_own_requests_each_time_that_it_makes_some() {
    // The group h is skipped; of g the pauses before, within and behind it do not count.
    let steps = [
        A,
        PAUSE,
        Step::Loop(0),
        Step::Enter(0),
        B,
        PAUSE,
        B,
        PAUSE,
        Step::Enter(1),
        Step::Unless { condition: 0, to: 11 },
        C,
        Step::Leave,
        Step::Leave,
        Step::Again { counter: 0, most: 3, to: 3 },
        C,
    ];
    let plan = scripted(&closed(1), 1, requests(16), plain_ways(&steps, some()));
    let ended = run(plan, prompt(SERVICE));
    let [whole, g, h] = &ended.numbers.flows[..] else { panic!("three") };
    assert_eq!(fates(whole), [2, 2, 0, 0, 0]);
    assert_eq!(times(whole), (sum(&[SERVICE; 8]), sum(&[SERVICE; 8])));
    assert_eq!((fates(g), times(g)), ([6, 6, 0, 0, 0], (sum(&[SERVICE; 2]), sum(&[SERVICE; 2]))));
    assert_eq!(fates(h), [0; 5]);
}

#[test]
fn a_loop_makes_as_many_passes_as_it_says_also_within_another() {
    let steps = [
        A,
        Step::Loop(0),
        B,
        Step::Loop(1),
        C,
        Step::Again { counter: 1, most: 4, to: 4 },
        Step::Again { counter: 0, most: 3, to: 2 },
    ];
    // One of /a, three of /b, twelve of /c.
    let plan = scripted(&closed(1), 3, requests(64), plain_ways(&steps, some()));
    let ended = run(plan, prompt(SERVICE));
    assert_eq!(ok(&ended).iter().sum::<u64>(), 64);
    let plan = scripted(&closed(1), 1, requests(32), plain_ways(&steps, some()));
    assert_eq!(ok(&run(plan, prompt(SERVICE))), [2, 6, 24]);
}

/// Asks for `/a` until it tells nothing, at most four times more, then for `/b`.
fn until_nothing() -> Work {
    let steps = [
        A,
        Step::Loop(0),
        Step::Unless { condition: 0, to: 7 },
        A,
        Step::Again { counter: 0, most: 4, to: 2 },
        Step::Unless { condition: 0, to: 7 },
        Step::GiveUp,
        B,
    ];
    ways(&steps, some())
}

#[test]
fn a_loop_goes_on_while_its_condition_holds() {
    let script = issuing(|asked| if asked % 3 == 0 { "" } else { "more" });
    let ended = run(scripted(&closed(1), 1, requests(12), until_nothing()), script);
    assert_eq!(ok(&ended), [9, 3, 0]);
    assert_eq!(fates(&ended.numbers.flows[0]), [3, 3, 0, 0, 0]);
    // The last pass that there may be is not one too many.
    let script = issuing(|asked| if asked % 5 == 0 { "" } else { "more" });
    let ended = run(scripted(&closed(1), 1, requests(12), until_nothing()), script);
    assert_eq!((ok(&ended), fates(&ended.numbers.flows[0])), (vec![10, 2, 0], [2, 2, 0, 0, 0]));
}

#[test]
fn a_loop_that_goes_on_for_too_long_ends_its_scenario() {
    let ended = run(scripted(&closed(1), 1, requests(12), until_nothing()), issuing(|_| "more"));
    assert_eq!(ok(&ended), [12, 0, 0]);
    // The third has made two of its five requests, and been answered.
    assert_eq!(fates(&ended.numbers.flows[0]), [3, 0, 0, 2, 1]);
}

#[test]
fn a_loop_whose_passes_ask_for_nothing_does_not_go_on_for_ever() {
    let never = || on(Claim::Same(Operand::Status, Operand::Known(Box::new(*b"x"))));
    let steps = [
        A,
        Step::Loop(0),
        Step::Unless { condition: 0, to: 4 },
        B,
        Step::Again { counter: 0, most: u32::MAX, to: 2 },
    ];
    for load in [closed(1), open(100)] {
        let limit = Limit::Duration(millis(50));
        let ended = run(scripted(&load, 1, limit, plain_ways(&steps, never())), prompt(SERVICE));
        let [begun, completed, cut_short, endless, unfinished] = fates(&ended.numbers.flows[0]);
        assert!(begun > 4 && endless >= begun - 1 && unfinished <= 1);
        assert_eq!((completed, cut_short), (0, 0));
    }
}

/// A login that is gone through once, and a request with what it told.
fn login() -> Work {
    let steps = [
        Step::Once { mark: 5, to: 3 },
        A,
        Step::Mark(5),
        Step::Unless { condition: 0, to: 6 },
        B,
        Step::Jump(7),
        C,
    ];
    ways(&steps, some())
}

#[test]
fn once_is_once_per_user_and_what_it_captured_stays() {
    let plan = scripted(&closed(1), 3, requests(30), login());
    assert_eq!(ok(&run(plan, issuing(|_| "token"))), [3, 27, 0]);
    // In an open loop everybody is new who comes.
    let plan = scripted(&open(100), 3, Limit::Duration(millis(100)), login());
    let [a, b, c] = ok(&run(plan, issuing(|_| "token")))[..] else { panic!("three") };
    assert!(a == 10 && b >= 9 && c == 0, "{a} {b}");
}

#[test]
fn what_is_used_before_it_was_captured_is_counted() {
    // `/a` has the value that it captures itself: it is there in the second pass only.
    let unset = |plan: Plan, token: &'static str| {
        let all = run(plan, issuing(move |_| token)).numbers.unset;
        all.first().map_or((0, 0), |unset| (unset.requests, unset.conditions))
    };
    let nine = |work: Work| scripted(&closed(1), 1, requests(9), work);
    let steps = [Step::Loop(0), A, Step::Again { counter: 0, most: 2, to: 1 }, B];
    assert_eq!(unset(nine(ways(&steps, some())), "token"), (3, 0));
    assert_eq!(unset(nine(ways(&steps, some())), ""), (3, 0), "what is empty was captured");
    // What stays with the user is there in the next scenario, too.
    let steps = [Step::Once { mark: 0, to: 3 }, A, Step::Mark(0), A];
    assert_eq!(unset(nine(ways(&steps, some())), "token"), (1, 0));
    // In an open loop everybody is new.
    let plan = scripted(&open(100), 2, Limit::Duration(millis(100)), ways(&[A, B], some()));
    assert_eq!(unset(plan, "token"), (10, 0));
}

#[test]
fn a_condition_that_compares_what_was_not_captured_is_counted_and_one_that_asks_is_not() {
    let unset = |claim: Claim| {
        let steps = [Step::Loop(0), Step::Request(2), Step::Unless { condition: 0, to: 4 }];
        let steps = [&steps[..], &[B, A, Step::Again { counter: 0, most: 2, to: 1 }]].concat();
        let mut all = ["/a?", "/b?", "/c?"].map(asking).to_vec();
        all[0].captures = vec![Capture::new(Extractor::Status, 0)];
        let work = ways_through(all, &steps, on(claim));
        let plan = scripted(&closed(1), 1, requests(5), work);
        let all = run(plan, prompt(SERVICE)).numbers.unset;
        all.first().map_or((0, 0), |unset| (unset.requests, unset.conditions))
    };
    let ok = Operand::Known(b"200".as_slice().into());
    // The first pass lacks it, the second has it.
    assert_eq!(unset(Claim::Same(Operand::Value(0), ok)), (0, 1));
    assert_eq!(unset(Claim::Present(Operand::Value(0))), (0, 0));
}

#[test]
fn once_is_tried_again_until_it_was_gone_through() {
    // The first two answers lack what is to be captured, which ends the scenario.
    let mut asked = 0;
    let script = reading(move |request| {
        asked += u32::from(request.starts_with("GET /a?"));
        saying("X: y", if asked <= 2 { "<html>" } else { "{\"t\":\"token\"}" })
    });
    let ended = run(scripted(&closed(1), 1, requests(10), login()), script);
    assert_eq!(ended_by_row(&ended.numbers), [(1, 2), (7, 0), (0, 0)]);
    assert_eq!(fates(&ended.numbers.flows[0]), [9, 7, 2, 0, 0]);
}

#[test]
fn the_way_depends_on_the_status_of_the_last_response() {
    // Every third answer is 404, and then /c is asked for, or else /b.
    let mut asked = 0;
    let script = reading(move |request| {
        asked += u32::from(request.starts_with("GET /a?"));
        let missing = request.starts_with("GET /a?") && asked % 3 == 0;
        let status = if missing { "404 No" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\n{{\"t\":\"\"}} ")
    });
    let steps = [A, Step::Unless { condition: 0, to: 4 }, C, Step::Jump(5), B];
    let ended = run(scripted(&closed(1), 1, requests(24), ways(&steps, status("404"))), script);
    assert_eq!(ended_by_row(&ended.numbers), [(8, 4), (8, 0), (4, 0)]);
    assert_eq!(fates(&ended.numbers.flows[0]), [12, 12, 0, 0, 0], "a failure cuts nothing short");
}

#[test]
fn ways_are_chosen_by_their_weights() {
    // Five of ten to /a, three to /b, two to /c.
    let steps = [
        Step::Chance { weight: 5, of: 10, to: 3 },
        A,
        Step::Jump(7),
        Step::Chance { weight: 3, of: 5, to: 6 },
        B,
        Step::Jump(7),
        C,
    ];
    let plan = scripted(&closed(1), 4, requests(10_000), plain_ways(&steps, some()));
    let rows = ok(&run(plan.clone(), prompt(SERVICE)));
    let near = |at: usize, expected: u64| rows[at].abs_diff(expected) < 200;
    assert!(near(0, 5_000) && near(1, 3_000) && near(2, 2_000), "{rows:?}");
    assert_eq!(ok(&run(plan.clone(), prompt(SERVICE))), rows, "the same from the same seed");
    assert_ne!(ok(&run(Plan { seed: plan.seed + 1, ..plan }, prompt(SERVICE))), rows);
}

#[test]
fn whoever_is_under_way_when_the_run_ends_is_unfinished() {
    let halt = Halt { at: millis(55), patience: Nanos::ZERO };
    let steps = [Step::Enter(0), A, PAUSE, B, Step::Leave, Step::Enter(1), PAUSE, C, Step::Leave];
    for load in [closed(1), open(200)] {
        let limit = Limit::Duration(millis(1_000));
        let plan = scripted(&load, 3, limit, plain_ways(&steps, some()));
        let ended = run_and_halt(plan, prompt(SERVICE), halt);
        let [whole, g, h] = &ended.numbers.flows[..] else { panic!("three") };
        assert!(whole.unfinished > 0 && whole.completed > 0, "{whole:?}");
        assert_eq!(whole.begun, g.begun);
        assert!(h.begun < g.begun && h.completed == whole.completed);
        // Nobody had been at it for longer than it takes.
        assert!(whole.latency().censored.max() <= sum(&[SERVICE; 3]));
    }
}
