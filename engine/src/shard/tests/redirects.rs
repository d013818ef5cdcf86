//! Redirects: what is asked for where they lead, for how long they are followed, and that each
//! request still has one outcome.

use core::cell::Cell;

use proptest::prelude::*;
use pummel_proto_http::Scheme;
use pummel_proto_http::h2::frame::{self, Code, END_HEADERS, END_STREAM, Header, Kind, PREFACE};

use super::users::{asking as step, work_of};
use super::*;
use crate::plan::{Cookies, Lookup, Origin, Place, Protocol, Step, Until};
use crate::record::Unfollowed;

const SERVICE: Nanos = Nanos::from_millis(1);

/// What a server was asked for: the place of the connection, and the request as text.
pub(super) type Heard = Rc<RefCell<Vec<(u32, String)>>>;

/// The hosts of a run, by number.
fn places(count: usize) -> Vec<Place> {
    let all = [(Scheme::Http, "example.org"), (Scheme::Http, "other.example:81")];
    all.into_iter().map(|(scheme, name)| (scheme, name.to_owned())).take(count).collect()
}

/// A run of `request`, of which up to `most` redirects are followed between so many hosts, with a
/// connection to each.
fn following(load: &Load, limit: Limit, work: Work, (most, hosts): (u8, usize)) -> Plan {
    let mut all = plan(load, 1, limit);
    all.work = work.redirected(most).following(&places(hosts)).unwrap();
    let other = Origin {
        target: Target {
            url: "http://other.example:81/".to_owned(),
            addresses: Addresses::new(vec![address(2)]).unwrap(),
        },
        tls: None,
        proxy: None,
        lookup: Lookup::Once,
    };
    all.others = vec![other; hosts - 1];
    all
}

fn only(request: Request) -> Work {
    Work::only(request, ExpectedStatus::default())
}

/// A server that answers each request after `SERVICE` with what `says` of its path, a status and
/// where it leads; and what it was asked for.
pub(super) fn leading(says: impl Fn(&str) -> (u16, String) + 'static) -> (Script, Heard) {
    let heard = Heard::default();
    let noted = Rc::clone(&heard);
    let hear = move |slot: Slot, bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let path = text.split(' ').nth(1).unwrap().to_owned();
        noted.borrow_mut().push((slot.0, text));
        let (status, to) = says(&path);
        vec![(SERVICE, Act::Say(head(status, &to).into_bytes()))]
    };
    (Script { hear: Some(Box::new(hear)), ..prompt(SERVICE) }, heard)
}

fn head(status: u16, to: &str) -> String {
    let line = if to.is_empty() { String::new() } else { format!("Location: {to}\r\n") };
    format!("HTTP/1.1 {status} x\r\n{line}Content-Length: 0\r\n\r\n")
}

/// One request, redirected with `status` from `/` to `to`, and answered there: what was asked for.
fn sent_on(request: Request, status: u16, to: &'static str) -> Vec<(u32, String)> {
    let plan = following(&closed(1), requests(1), only(request), (3, 2));
    let (script, heard) = leading(move |path| match path {
        "/" => (status, to.to_owned()),
        _ => (200, String::new()),
    });
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.redirects.followed), (1, 1), "{status}");
    heard.take()
}

fn asking(method: &str, body: bool) -> Request {
    let builder = Request::builder(method, "example.org", "/").unwrap();
    let builder = builder.field("Authorization", "Bearer x").unwrap();
    let builder = builder.field("X-Own", "kept").unwrap().field("Content-Type", "a/b").unwrap();
    if body { builder.body("hello").build() } else { builder.build() }
}

pub(super) fn unfollowed(ended: &Ended) -> Vec<(Unfollowed, u64)> {
    ended.numbers.redirects.unfollowed().filter(|&(_, count)| count > 0).collect()
}

fn statuses(ended: &Ended) -> Vec<(u16, u64)> {
    ended.numbers.statuses.rows().collect()
}

#[test]
fn each_status_keeps_or_changes_the_method_as_the_rfc_says() {
    for (status, method, body, expected) in [
        (301, "GET", false, "GET"),
        (301, "POST", true, "GET"),
        (301, "PUT", true, "PUT"),
        (302, "POST", true, "GET"),
        (302, "DELETE", false, "DELETE"),
        (303, "POST", true, "GET"),
        (303, "PUT", true, "GET"),
        (303, "HEAD", false, "HEAD"),
        (307, "POST", true, "POST"),
        (307, "GET", false, "GET"),
        (308, "POST", true, "POST"),
        (308, "PATCH", true, "PATCH"),
    ] {
        let heard = sent_on(asking(method, body), status, "/next?a=b#c");
        let [(_, first), (_, next)] = &heard[..] else { panic!("two requests: {heard:?}") };
        assert!(first.starts_with(&format!("{method} / HTTP/1.1\r\n")), "{first}");
        assert!(next.starts_with(&format!("{expected} /next?a=b HTTP/1.1\r\n")), "{next}");
        let changed = status == 303 || expected != method;
        assert_eq!(next.ends_with("\r\n\r\nhello"), body && !changed, "{status}: {next}");
        assert_eq!(next.contains("Content-Type"), !changed, "{status}: {next}");
        assert_eq!(next.contains("Content-Length"), body && !changed, "{status}: {next}");
        assert!(next.contains("X-Own: kept") && next.contains("Authorization: Bearer x"));
    }
}

#[test]
fn a_body_that_was_left_out_once_stays_so() {
    let plan = following(&closed(1), requests(1), only(asking("POST", true)), (3, 1));
    let (script, heard) = leading(|path| match path {
        "/" => (303, "/a".to_owned()),
        "/a" => (307, "b".to_owned()),
        _ => (200, String::new()),
    });
    assert_eq!(run(plan, script).numbers.ledger.ok, 1);
    let lines = heard.borrow();
    let lines: Vec<_> = lines.iter().map(|(_, text)| text.split_once(" HTTP").unwrap().0).collect();
    assert_eq!(lines, ["POST /", "GET /a", "GET /b"]);
}

#[test]
fn another_host_is_asked_under_its_own_name_and_is_told_no_secrets() {
    for (to, path) in [("http://other.example:81/x", "/x"), ("//OTHER.example:81?q", "/?q")] {
        let heard = sent_on(asking("POST", true), 307, to);
        let (slot, next) = &heard[1];
        assert_eq!(*slot, 1, "on a connection to it");
        let begins = format!("POST {path} HTTP/1.1\r\nHost: other.example:81\r\n");
        assert!(next.starts_with(&begins), "{next}");
        assert!(next.contains("X-Own: kept") && !next.contains("Authorization"), "{next}");
        assert!(next.ends_with("\r\n\r\nhello"));
    }
    let heard = sent_on(asking("GET", false), 302, "http://Example.org:80/here");
    assert!(heard[1].0 == 0 && heard[1].1.contains("Authorization"), "{heard:?}");
}

#[test]
fn a_host_is_known_by_the_name_that_it_is_asked_by_and_by_that_of_its_url() {
    for to in ["http://virtual.example/x", "http://example.org/x"] {
        let request = Request::builder("GET", "virtual.example", "/").unwrap().build();
        let heard = sent_on(request, 302, to);
        assert!(heard[1].1.starts_with("GET /x HTTP/1.1\r\nHost: virtual.example\r\n"));
    }
}

#[test]
fn what_is_not_followed_is_the_response_and_a_failure_whose_reason_is_counted() {
    use Unfollowed::{Limit, Malformed, NoLocation, OtherHost};
    for (to, why, asked) in [
        ("/", Limit, 4),
        ("http://example.org/", Limit, 4),
        ("http://unknown.example/", OtherHost, 1),
        ("https://example.org/", OtherHost, 1),
        ("http://example.org:8080/", OtherHost, 1),
        ("ftp://example.org/", Malformed, 1),
        ("http://user@example.org/", Malformed, 1),
        ("", NoLocation, 1),
    ] {
        for load in [closed(1), open(100)] {
            // 302 is among the statuses that are expected otherwise.
            let request = asking("GET", false);
            let plan = following(&load, requests(5), only(request), (3, 1));
            let (script, heard) = leading(move |_| (302, to.to_owned()));
            let ended = run(plan, script);
            assert_eq!(ended.numbers.ledger.failed, 5, "{to}");
            assert_eq!(unfollowed(&ended), [(why, 5)], "{to}");
            assert_eq!(statuses(&ended), [(302, 5)]);
            assert_eq!(heard.borrow().len(), 5 * asked, "{to}");
            assert_eq!(ended.numbers.redirects.followed, 5 * (asked as u64 - 1));
        }
    }
}

#[test]
fn a_request_that_follows_none_takes_a_redirect_for_its_response() {
    let work = work_of(vec![step("/a"), step("/b")], &[(1, &[Step::Request(0), Step::Request(1)])]);
    let mut plan = plan(&closed(1), 1, requests(4));
    let mut requests = work.requests().to_vec();
    requests[1].redirects = 1;
    let scenarios = work.scenarios().to_vec();
    plan.work = Work::new(requests, scenarios).unwrap().following(&places(1)).unwrap();
    let (script, heard) = leading(|path| match path {
        "/a" | "/b" => (302, format!("{path}/on")),
        _ => (200, String::new()),
    });
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.redirects.followed), (4, 2));
    assert_eq!(statuses(&ended), [(200, 2), (302, 2)]);
    let heard = heard.borrow();
    let paths: Vec<_> = heard.iter().map(|(_, text)| text.split(' ').nth(1).unwrap()).collect();
    assert_eq!(paths, ["/a", "/b", "/b/on"].repeat(2));
}

#[test]
fn a_request_lasts_from_its_intended_start_to_the_end_of_the_last_answer() {
    for load in [closed(1), open(100)] {
        let plan = following(&load, requests(10), only(asking("GET", false)), (3, 1));
        let (script, _) = leading(|path| match path {
            "/" => (302, "a".to_owned()),
            "/a" => (307, "b".to_owned()),
            _ => (200, String::new()),
        });
        let ended = run(plan, script);
        let all = ended.numbers.latency.all().known;
        let whole = SERVICE.saturating_mul(3);
        assert_eq!((all.min(), all.max(), all.count()), (whole, whole, 10), "{load:?}");
        if load.is_open() {
            let parts = &ended.numbers.parts;
            assert_eq!((parts.service.max(), parts.lag.max()), (whole, Nanos::ZERO));
        }
        assert_eq!(ended.numbers.redirects.followed, 20);
        assert_eq!(statuses(&ended), [(200, 10)]);
    }
}

#[test]
fn the_timeout_spans_all_that_redirects_lead_to() {
    // Each answer takes 400 ms of the second that there is: the third comes too late.
    for deadline in [None, Some(millis(900))] {
        let work = only(asking("GET", false));
        let mut plan = following(&open(1), requests(1), work, (9, 1));
        plan.timeouts.deadline = deadline;
        let mut script = leading(|_| (200, String::new())).0;
        let answer = head(302, "/");
        script.hear =
            Some(Box::new(move |_, _| vec![(millis(400), Act::Say(answer.clone().into_bytes()))]));
        let ended = run(plan, script);
        assert_eq!((ended.numbers.ledger.timeouts, ended.numbers.redirects.followed), (1, 2));
        let waited = ended.numbers.latency.all().censored;
        assert_eq!(waited.max(), deadline.unwrap_or(millis(1_000)));
    }
}

#[test]
fn a_redirect_waits_for_a_connection_no_longer_than_the_timeout() {
    let work = only(asking("GET", false));
    let mut plan = following(&open(100), requests(3), work, (1, 2));
    plan.timeouts.request = millis(50);
    plan.stop.drain = millis(5_000);
    // The only connection to it ends with its first request, and the next one takes its time.
    let mut script = leading(|_| (200, String::new())).0;
    script.door = Box::new(|at, _| {
        Door::Opens(if at < BARRIER { Nanos::from_micros(50) } else { millis(500) })
    });
    script.hear = Some(Box::new(|slot, _| match slot.0 {
        0 => {
            let on = head(302, "http://other.example:81/");
            vec![(SERVICE, Act::Say(on.into_bytes()))]
        }
        _ => Vec::new(),
    }));
    let ended = run(plan, script);
    assert_eq!(ended.numbers.ledger.timeouts, 3);
    assert_eq!(ended.numbers.latency.all().censored.max(), millis(50));
    assert_eq!(count(&ended.numbers, "queue_timeout"), 2, "{:?}", ended.numbers.errors.rows());
    // What was never sent on was not followed, and its host has not had it.
    assert_eq!(ended.numbers.redirects.followed, 1);
    assert_eq!(ended.numbers.origins.iter().map(|it| it.requests).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn the_pool_of_a_host_that_only_redirects_lead_to_grows_as_others_do() {
    let mut load = open(500);
    if let Load::Open { on_full, .. } = &mut load {
        *on_full = OnFull::Grow { most: NonZeroU32::new(20).unwrap() };
    }
    let work = only(asking("GET", false));
    let plan = following(&load, Limit::Duration(millis(200)), work, (1, 2));
    let room = plan.room.get().max(20);
    let mut script = prompt(SERVICE);
    script.hear = Some(Box::new(move |slot, _| match slot.0 / room {
        0 => {
            let on = head(302, "http://other.example:81/");
            vec![(SERVICE, Act::Say(on.into_bytes()))]
        }
        _ => vec![(millis(9), Act::Say(OK.to_vec()))],
    }));
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.redirects.followed), (100, 100));
    let to = |last| ended.log.dialled.iter().filter(|(_, _, to)| *to == address(last)).count();
    assert!((4..=8).contains(&to(2)), "{} of one, {} of the other", to(1), to(2));
    let most = ended.numbers.latency.all().known.max();
    assert!(most <= SERVICE + millis(10), "{most}: connections are opened, and not waited for");
}

/// A response of HTTP/2 that leads to the other host.
fn leads_on(stream: u32) -> Vec<u8> {
    let to = b"http://other.example:81/";
    let mut fields = b"\x08\x03302\x0f\x1f".to_vec();
    fields.push(u8::try_from(to.len()).unwrap());
    fields.extend_from_slice(to);
    let (length, flags) = (u32::try_from(fields.len()).unwrap(), END_HEADERS | END_STREAM);
    let mut out = Vec::new();
    frame::write_header(&mut out, Header { length, kind: Kind::Headers, flags, stream });
    out.extend_from_slice(&fields);
    out
}

/// Requests in HTTP/2 that are redirected from one host to the other, one after the other; the
/// second one answers as `serve` says, which is told how many connections it has taken, how many
/// requests it has had on this one, and the stream.
fn over_http2(
    count: u64,
    mut serve: impl FnMut(u32, u32, u32) -> Vec<(Nanos, Vec<u8>)> + 'static,
) -> Ended {
    let work = only(asking("GET", false));
    let mut plan = following(&closed(1), requests(count), work, (1, 2));
    plan.wire.protocol = Protocol::Http2;
    plan.timeouts.request = millis(50);
    let lives = Rc::new(Cell::new(0));
    let taken = Rc::clone(&lives);
    let mut first = ways::serving(|_, stream| vec![(SERVICE, leads_on(stream))]).hear.unwrap();
    let other = ways::serving(move |nth, stream| serve(lives.get(), nth, stream));
    let mut second = other.hear.unwrap();
    let mut script = ways::serving(|_, _| Vec::new());
    script.hear = Some(Box::new(move |slot, bytes| {
        if slot.0 == 0 {
            return first(slot, bytes);
        }
        taken.set(taken.get() + u32::from(bytes.starts_with(PREFACE)));
        second(slot, bytes)
    }));
    run(plan, script)
}

#[test]
fn a_connection_of_http2_that_redirects_lead_to_is_replaced_when_it_is_dead() {
    // The first one never answers.
    let ended = over_http2(3, |lives, _, stream| match lives {
        1 => Vec::new(),
        _ => vec![(SERVICE, ways::ok(stream))],
    });
    assert_eq!((ended.numbers.ledger.timeouts, ended.numbers.ledger.ok), (1, 2));
    let opened: Vec<u64> = ended.numbers.origins.iter().map(|it| it.opened).collect();
    assert_eq!(opened, [1, 2]);
}

#[test]
fn a_redirect_that_is_sent_again_is_followed_once() {
    let ended = over_http2(2, |_, nth, stream| match nth % 2 {
        0 => vec![(SERVICE, ways::reset(stream, Code::RefusedStream))],
        _ => vec![(SERVICE, ways::ok(stream))],
    });
    let (numbers, retried) = (&ended.numbers, ended.numbers.multiplexed.retried);
    assert_eq!((numbers.ledger.ok, retried, numbers.redirects.followed), (2, 2, 2));
    assert_eq!(numbers.origins.iter().map(|it| it.requests).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn checks_and_captures_look_at_the_last_answer() {
    let steps: &[Step] = &[Step::Request(0), Step::Request(1)];
    let work = work_of(vec![step("/a"), step("/b")], &[(1, steps)]);
    let plan = following(&closed(1), requests(2), work, (1, 1));
    let (script, heard) = leading(|path| match path {
        "/a" => (302, "/c".to_owned()),
        _ => (404, String::new()),
    });
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.failed, statuses(&ended)), (2, vec![(404, 2)]));
    assert_eq!(heard.borrow().len(), 3);
    let rows: Vec<u64> = ended.numbers.rows.iter().map(|row| row.ledger.failed).collect();
    assert_eq!(rows, [1, 1], "each under its own name");
}

#[test]
fn a_jar_sees_each_response_and_writes_each_request() {
    let work = only(asking("GET", false)).redirected(2);
    let work = work.following(&places(2)).unwrap();
    let cookies = Cookies { until: Until::End, loaded: Vec::new(), told: false };
    let mut plan = following(&closed(1), requests(1), only(asking("GET", false)), (2, 2));
    plan.work = work.with_cookies(cookies, Nanos::ZERO).unwrap();
    let heard = Heard::default();
    let noted = Rc::clone(&heard);
    let mut script = prompt(SERVICE);
    script.hear = Some(Box::new(move |slot, bytes| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let path = text.split(' ').nth(1).unwrap().to_owned();
        noted.borrow_mut().push((slot.0, text));
        let (status, to) = match (slot.0, &path[..]) {
            (0, "/") => (302, "//other.example:81/b"),
            (1, _) => (302, "http://example.org/c"),
            _ => (200, ""),
        };
        let set = format!(" x\r\nSet-Cookie: at{}={}\r\n", slot.0, path.len());
        vec![(SERVICE, Act::Say(head(status, to).replacen(" x\r\n", &set, 1).into_bytes()))]
    }));
    assert_eq!(run(plan, script).numbers.ledger.ok, 1);
    let heard = heard.borrow();
    let cookie = |text: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Cookie: "));
        lines.next().unwrap_or_default().to_owned()
    };
    let sent: Vec<_> = heard.iter().map(|(slot, text)| (*slot, cookie(text))).collect();
    assert_eq!(sent, [(0, String::new()), (1, String::new()), (0, "at0=1".to_owned())]);
}

#[test]
fn a_try_shows_each_hop_with_its_own_time() {
    let plan = following(&closed(1), requests(1), only(asking("GET", false)), (3, 1)).tried();
    let (script, _) = leading(|path| match path {
        "/" => (302, "a".to_owned()),
        _ => (200, String::new()),
    });
    let ended = run(plan, script);
    let of = |exchange: &Exchange| {
        let crate::record::End::Answered(answer) = &exchange.end else { panic!("no answer") };
        let line = String::from_utf8_lossy(&exchange.sent.bytes);
        let line = line.split_once(" HTTP").unwrap().0.to_owned();
        (exchange.is_redirected, line, answer.status, answer.good, exchange.moments.response())
    };
    let all: Vec<_> = ended.exchanges.iter().map(of).collect();
    let first = (false, "GET /".to_owned(), 302, true, SERVICE);
    assert_eq!(all, [first, (true, "GET /a".to_owned(), 200, true, SERVICE)]);
    assert!(ended.exchanges.iter().all(|exchange| exchange.request == 0));
}

proptest! {
    #[test]
    fn wherever_redirects_lead_each_request_has_one_outcome(
        open_loop: bool,
        count in 1_u64..60,
        (most, hosts, depth) in (1_u8..5, 1_usize..3, 1_u8..4),
        deadline: bool,
        turns in prop::collection::vec(0_u8..9, 1..9),
    ) {
        let load = if open_loop {
            piped(Rate::new(500, Nanos::from_secs(1)).unwrap(), depth)
        } else {
            closed(depth)
        };
        let work = only(asking("POST", true));
        let mut plan = following(&load, requests(count), work, (most, hosts));
        plan.timeouts.request = millis(20);
        plan.timeouts.deadline = deadline.then(|| millis(25));
        let turn = Cell::new(0);
        let mut script = prompt(SERVICE);
        script.hear = Some(Box::new(move |_, bytes: &[u8]| {
            let heads = bytes.windows(9).filter(|part| *part == b"HTTP/1.1\r").count();
            let answers = (0..heads).map(|n| {
                let after = SERVICE.saturating_mul(n as u64 + 1);
                turn.set(turn.get() + 1);
                let to = match turns[turn.get() % turns.len()] {
                    0 => return Some((after, Act::Reset)),
                    1 => return None,
                    2 => "303 x\r\nLocation: /x\r\n",
                    3 => "307 x\r\nLocation: //other.example:81/y\r\n",
                    4 => "301 x\r\nLocation: //nowhere/y\r\n",
                    5 => "302 x\r\nConnection: close\r\nLocation: ../z\r\n",
                    6 => "308 x\r\n",
                    _ => "200 x\r\n",
                };
                let head = format!("HTTP/1.1 {to}Content-Length: 0\r\n\r\n");
                Some((after, Act::Say(head.into_bytes())))
            });
            answers.flatten().collect()
        }));
        // That the ledger balances is seen to there.
        let ended = run(plan, script);
        if !ended.finished.target_lost {
            prop_assert_eq!(ended.numbers.ledger.scheduled, count);
        }
        prop_assert!(ended.numbers.redirects.followed <= count * u64::from(most));
    }
}
