//! Requests that are tried, each once, with all that is exchanged.

use super::users::{SERVICE, asking, captured_work, saying, scripted, work_of};
use super::*;
use crate::judge::{BodyTest, Capture, Check, Extractor, Marker, Path, Test};
use crate::plan::{Protocol, Step};
use crate::record::{Answer, End, Found};

fn answer(exchange: &Exchange) -> &Answer {
    let End::Answered(answer) = &exchange.end else { panic!("{exchange:?}") };
    answer
}

fn sent(exchange: &Exchange) -> String {
    String::from_utf8(exchange.sent.bytes.clone()).unwrap()
}

/// A server that answers the requests in their order so, and again from the first on.
fn telling(answers: &[&str]) -> Script {
    let answers: Vec<Vec<u8>> = answers.iter().map(|text| text.as_bytes().to_vec()).collect();
    server(move |asked| {
        let number = usize::try_from(asked.number).unwrap() % answers.len();
        vec![(SERVICE, Act::Say(answers[number].clone()))]
    })
}

#[test]
fn each_scenario_is_gone_through_once_and_without_pauses() {
    let pause = Step::Think(Nanos::from_secs(3_600));
    let steps: [&[Step]; 2] = [
        &[Step::Request(0), pause, Step::Request(1), pause],
        &[Step::Request(2), Step::Request(0)],
    ];
    let all = ["/a", "/b", "/c"].map(asking).into();
    let work = work_of(all, &[(1, steps[0]), (1_000, steps[1])]);
    for load in [closed(7), open(1_000)] {
        let mut plan = scripted(&load, 50, requests(3), work.clone());
        plan.stop.warmup = Nanos::from_secs(5);
        let script = telling(&[&saying("X: y", "ok")]);
        let ended = run(plan.tried(), script);
        let asked: Vec<u16> = ended.exchanges.iter().map(|it| it.request).collect();
        assert_eq!(asked, [0, 1, 2, 0]);
        assert!(ended.exchanges.iter().all(Exchange::is_good));
        assert_eq!(ended.log.dialled.len(), 1);
        let at: Vec<Nanos> = (0..4).map(|n| SERVICE.saturating_mul(n)).collect();
        assert_eq!(ended.sent(), at);
    }
}

#[test]
fn a_single_request_is_tried_as_well() {
    let script = telling(&[&saying("X: y", "ok")]);
    let ended = run(plan(&closed(3), 9, Limit::Duration(millis(500))).tried(), script);
    let [only] = &ended.exchanges[..] else { panic!("one: {:?}", ended.exchanges) };
    assert!(sent(only).starts_with("GET / HTTP/1.1\r\nHost: example.org\r\n"), "{only:?}");
    let answer = answer(only);
    assert_eq!((answer.status, answer.body.bytes.as_slice()), (200, &b"ok"[..]));
    assert_eq!(answer.fields[0], (b"X".to_vec(), b"y".to_vec()));
    assert_eq!(only.moments.service(), SERVICE);
}

#[test]
fn what_was_looked_for_is_told_and_a_scenario_ends_where_it_would() {
    let script = telling(&[&saying("X: y", "{\"t\":\"7\"}"), &saying("X: y", "<no>")]);
    let json = |number| Capture::new(Extractor::Json(Path::parse("$.t").unwrap()), number);
    let body = |text| Check::new(text, Test::Body(BodyTest::Contains(Marker::new(text).unwrap())));
    let mut first = asking("/a");
    (first.checks, first.captures) = (vec![body("7"), body("8")], vec![json(0)]);
    let mut second = asking("/b");
    second.captures = vec![json(1)];
    let mut work = captured_work(vec![first, second]);
    work = work.tried();
    let ended = run(scripted(&closed(1), 1, requests(3), work), script);
    let [first, second] = &ended.exchanges[..] else { panic!("two: {:?}", ended.exchanges) };
    let found = |number, answer, value: Option<&[u8]>| Found {
        number,
        answer,
        value: value.map(<[u8]>::to_vec),
    };
    assert_eq!(
        first.found,
        [found(0, Ok(true), None), found(1, Ok(false), None), found(2, Ok(true), Some(b"7"))]
    );
    assert_eq!(second.found, [found(3, Err("not_json"), None)]);
    assert!(!first.is_good() && !second.is_good());
}

#[test]
fn what_has_no_response_is_an_exchange_of_its_own() {
    let script = server(|asked| match asked.number {
        0 => vec![(SERVICE, Act::End)],
        1 => Vec::new(),
        _ => vec![(SERVICE, Act::Say(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_vec()))],
    });
    let one = |n| [Step::Request(n), Step::Request(2)];
    let all = ["/a", "/b", "/c"].map(asking).into();
    let work = work_of(all, &[(1, &one(0)), (1, &one(1)), (1, &[Step::Request(2)])]);
    let ended = run(scripted(&closed(1), 1, requests(3), work.tried()), script);
    let [a, b, c] = &ended.exchanges[..] else { panic!("three: {:?}", ended.exchanges) };
    assert!(matches!(a.end, End::Failed(_)) && matches!(b.end, End::TimedOut(_)));
    assert_eq!((answer(c).status, c.is_good()), (404, false));
    assert!(sent(a).starts_with("GET /a ") && sent(b).starts_with("GET /b "));
}

#[test]
fn a_request_of_http2_is_told_by_its_fields() {
    let mut plan = plan(&closed(1), 1, requests(3)).tried();
    plan.wire.protocol = Protocol::Http2;
    let ended = run(plan, ways::serving(|_, stream| vec![(SERVICE, ways::ok(stream))]));
    let [only] = &ended.exchanges[..] else { panic!("one: {:?}", ended.exchanges) };
    assert!(only.http2 && only.is_good() && answer(only).version.is_none());
    assert!(sent(only).starts_with(":method: GET\r\n:scheme: http\r\n"), "{}", sent(only));
}

#[test]
fn of_a_long_body_the_beginning_is_kept() {
    let script = telling(&[&saying("X: y", &"x".repeat(3 << 20))]);
    let ended = run(plan(&closed(1), 1, requests(3)).tried(), script);
    let body = &answer(&ended.exchanges[0]).body;
    assert_eq!((body.len, body.bytes.len()), (3 << 20, 64 * 1024));
}
