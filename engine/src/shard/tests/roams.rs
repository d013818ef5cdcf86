//! Requests whose server is made of values: each goes where its own lead, and one that leads
//! nowhere has its outcome, too.

use proptest::prelude::*;
use pummel_proto_http::{Escape, NoValues, Scheme, Text};

use super::redirects::{Heard, leading, unfollowed};
use super::servers::apart;
use super::users::{asking as step, work_of};
use super::*;
use crate::judge::{Capture, Extractor, Token};
use crate::plan::{Asking, Cookies, Source, Step, Until, Url, Variable};
use crate::reactor::Address;
use crate::record::{Cause, Unfollowed};
use crate::shard::follow::Trail;

const SERVICE: Nanos = Nanos::from_millis(1);

/// The value with this number, as it is.
fn value(number: u16) -> Text {
    let mut text = Text::default();
    text.push_slot(pummel_proto_http::Slot { value: number, escape: Escape::Plain });
    text
}

/// A request to wherever the value 0 leads, and what stands behind it.
fn roaming(rest: &str) -> Asking {
    let builder = Request::builder("POST", "any", "/").unwrap().body("hello");
    let request = builder.field("Authorization", "Bearer x").unwrap().build();
    let asking = Asking::new("roaming".to_owned(), request, ExpectedStatus::default());
    let url = Url { base: value(0), rest: Text::from(rest), home: None };
    Asking { url: Some(url), ..asking }
}

fn choice(options: &[&str]) -> Source {
    Source::Choice(options.iter().map(|option| option.as_bytes().to_vec()).collect())
}

/// A run of `requests` one after the other, the value 0 of which comes from `source`, between
/// `hosts` servers: `http://example.org/`, `http://server1/` and so on, with a connection to each.
fn between(
    (load, limit): (&Load, Limit),
    requests: Vec<Asking>,
    source: Source,
    hosts: u16,
) -> Plan {
    let mut all = apart(load, 1, limit, hosts, 1);
    let steps: Vec<Step> = (0..).take(requests.len()).map(Step::Request).collect();
    let name = "where".to_owned();
    let work = work_of(requests, &[(1, &steps)]);
    let work = work.with_variables(vec![Variable { name, source }], Nanos::ZERO).unwrap();
    let place = |n: u16| match n {
        0 => (Scheme::Http, "example.org".to_owned()),
        n => (Scheme::Http, format!("server{n}")),
    };
    all.target.url = "http://example.org/".to_owned();
    all.work = work.following(&(0..hosts).map(place).collect::<Vec<_>>()).unwrap();
    all
}

/// First line and host of what was heard, and on which connection.
fn lines(heard: &Heard) -> Vec<(u32, String, String)> {
    let of = |(slot, text): &(u32, String)| {
        let host = text.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap();
        (*slot, text.split_once(" HTTP/").unwrap().0.to_owned(), host.to_owned())
    };
    heard.borrow().iter().map(of).collect()
}

fn ok() -> (Script, Heard) {
    leading(|_| (200, String::new()))
}

#[test]
fn each_request_goes_whole_to_the_server_that_its_values_name() {
    for load in [closed(1), open(100)] {
        let source = choice(&["http://example.org/x/", "server1", "SERVER2:80?q"]);
        let plan = between((&load, requests(60)), vec![roaming("/a")], source, 3);
        let (script, heard) = ok();
        let ended = run(plan, script);
        assert_eq!((ended.numbers.ledger.ok, ended.numbers.redirects.followed), (60, 0));
        let expected =
            [("POST /x/a", "example.org"), ("POST /a", "server1"), ("POST /?q/a", "server2")];
        let mut counts = [0; 3];
        for (slot, line, host) in lines(&heard) {
            assert_eq!((line.as_str(), host.as_str()), expected[slot as usize]);
            counts[slot as usize] += 1;
        }
        assert!(counts.iter().all(|count| *count > 8), "{counts:?}");
        let asked: Vec<u64> = ended.numbers.origins.iter().map(|it| it.requests).collect();
        assert_eq!(asked, counts);
        let all = heard.borrow();
        assert!(all.iter().all(|(_, text)| text.contains("Authorization: Bearer x")));
        assert!(all.iter().all(|(_, text)| text.ends_with("\r\n\r\nhello")));
    }
}

#[test]
fn what_a_response_named_is_where_the_next_step_goes() {
    let mut first = step("/a");
    first.captures = vec![Capture::new(Extractor::Field(Token::parse("location").unwrap()), 0)];
    let work = vec![first, roaming("")];
    let plan = between((&closed(1), requests(4)), work, Source::Captured, 2);
    let (script, heard) = leading(|path| match path {
        "/a" => (200, "http://server1/b?c".to_owned()),
        _ => (200, String::new()),
    });
    assert_eq!(run(plan, script).numbers.ledger.ok, 4);
    let all: Vec<_> = lines(&heard).into_iter().map(|(slot, line, _)| (slot, line)).collect();
    let pair = [(0, "GET /a".to_owned()), (1, "POST /b?c".to_owned())];
    assert_eq!(all, [pair.clone(), pair].concat());
}

/// A request to `/a` of the server `origin`, whose response names the value 0 in `Location`.
fn naming(origin: u16) -> Asking {
    let captures = vec![Capture::new(Extractor::Field(Token::parse("location").unwrap()), 0)];
    Asking { origin, captures, ..step("/a") }
}

/// What each server was asked for by this work, and whether it was told secrets; `says` where each
/// path leads.
fn told(work: Vec<Asking>, says: fn(&str) -> (u16, &'static str)) -> Vec<(u32, String, bool)> {
    let plan = between((&closed(1), requests(work.len() as u64)), work, Source::Captured, 3);
    let (script, heard) = leading(move |path| {
        let (status, to) = says(path);
        (status, to.to_owned())
    });
    run(plan, script);
    let secrets = heard.borrow().iter().map(|(_, text)| text.contains("Authorization")).collect();
    let secrets: Vec<bool> = secrets;
    lines(&heard).into_iter().zip(secrets).map(|((slot, line, _), it)| (slot, line, it)).collect()
}

#[test]
fn a_response_chooses_no_server_that_is_told_secrets_but_the_one_that_it_is_from() {
    let first = (0, "GET /a".to_owned(), false);
    let there = told(vec![naming(0), roaming("")], |path| match path {
        "/a" => (200, "http://server1/steal"),
        _ => (200, ""),
    });
    assert_eq!(there, [first.clone(), (1, "POST /steal".to_owned(), false)]);
    let here = told(vec![naming(0), roaming("")], |path| match path {
        "/a" => (200, "http://example.org/next"),
        _ => (200, ""),
    });
    assert_eq!(here, [first.clone(), (0, "POST /next".to_owned(), true)]);
    // Nor does it by redirects, to itself or elsewhere, and home it is as it was.
    let work = vec![naming(0), Asking { redirects: 3, ..roaming("") }];
    let all = told(work, |path| match path {
        "/a" => (200, "http://server1/steal"),
        "/steal" => (307, "/again"),
        "/again" => (307, "http://server2/steal2"),
        "/steal2" => (307, "http://example.org/home"),
        _ => (200, ""),
    });
    let expected = [(1, "/steal", false), (1, "/again", false), (2, "/steal2", false)];
    let expected = expected.into_iter().chain([(0, "/home", true)]);
    let expected = expected.map(|(slot, path, told)| (slot, format!("POST {path}"), told));
    assert_eq!(all, [first].into_iter().chain(expected).collect::<Vec<_>>());
}

#[test]
fn the_home_of_secrets_is_what_the_user_says_if_a_step_names_it_and_else_the_first() {
    for (home, expected) in [(None, 0), (Some(1), 1), (Some(2), 0)] {
        let mut last = roaming("");
        last.url.as_mut().unwrap().home = home;
        for (server, url) in [(0, "http://example.org/x"), (1, "http://server1/x")] {
            let mut work = vec![naming(0), Asking { origin: 1, ..step("/b") }, last.clone()];
            work[0].name = url.to_owned();
            let all = told(
                work,
                match server {
                    0 => |_| (200, "http://example.org/x"),
                    _ => |_| (200, "http://server1/x"),
                },
            );
            assert_eq!(all[2], (server, "POST /x".to_owned(), server == expected), "{home:?}");
        }
    }
}

#[test]
fn what_is_made_of_what_a_response_said_is_led_by_it_too() {
    let mut work = vec![naming(0), roaming("")];
    work[1].url.as_mut().unwrap().base = value(1);
    let steps = [Step::Request(0), Step::Request(1)];
    for (source, secrets) in [(Source::Base64(value(0)), false), (Source::Sequence, true)] {
        let variable = |source| Variable { name: String::new(), source };
        let variables = vec![variable(Source::Captured), variable(source)];
        let all = work_of(work.clone(), &[(1, &steps)]).with_variables(variables, Nanos::ZERO);
        let places = ["a", "b"].map(|name| (Scheme::Http, name.to_owned()));
        let all = all.unwrap().following(&places).unwrap();
        let detours = all.detours().unwrap();
        let number = usize::from(detours.of(1, (1, 1), true).unwrap());
        let fields = detours.all()[number - 2].request.fields().count();
        assert_eq!(fields == 1, secrets, "{fields}");
    }
}

#[test]
fn no_value_names_a_socket() {
    let mut asking = roaming("");
    asking.url.as_mut().unwrap().base = Text::from("unix");
    let mut plan = between((&closed(1), requests(1)), vec![asking], choice(&["x"]), 1);
    let led = |plan: &Plan| Trail::of(plan).unwrap().set_out(0, &NoValues);
    plan.target.url = "unix:/s.sock:/".to_owned();
    let path = std::path::Path::new("/s.sock").into();
    plan.target.addresses = Addresses::new(vec![Address::Unix(path)]).unwrap();
    assert_eq!(led(&plan), Err(Cause::OtherHost));
    plan.target.url = "http://unix/".to_owned();
    plan.target.addresses = Addresses::new(vec![address(1)]).unwrap();
    assert!(led(&plan).is_ok());
}

#[test]
fn a_url_that_leads_nowhere_is_an_error_by_name_and_nobody_is_asked() {
    for (to, name) in [
        ("http://unknown.example:81", "url_other_host"),
        ("https://example.org", "url_other_host"),
        ("ftp://example.org", "url_malformed"),
        ("", "url_malformed"),
        ("http://user@example.org", "url_malformed"),
    ] {
        for hosts in [1, 2] {
            for (load, limit) in [
                (closed(1), requests(6)),
                (closed(1), Limit::Duration(millis(55))),
                (open(100), Limit::Duration(millis(60))),
            ] {
                let work = vec![roaming("/a")];
                let plan = between((&load, limit), work, choice(&[to]), hosts);
                let (script, heard) = ok();
                let ended = run(plan, script);
                let ledger = ended.numbers.ledger;
                // In a closed loop who has got nowhere rests for 10 ms.
                assert_eq!((ledger.scheduled, ledger.errors), (6, 6), "{load:?} {limit:?}");
                assert_eq!(count(&ended.numbers, name), 6, "{:?}", ended.numbers.errors.rows());
                assert!(heard.borrow().is_empty());
                let other = if name == "url_other_host" { to } else { "" };
                assert_eq!(ended.numbers.redirects.other_host(), other.as_bytes());
                assert_eq!(ended.numbers.latency.all().known.max(), Nanos::ZERO);
            }
        }
    }
}

#[test]
fn one_that_leads_nowhere_keeps_the_others_from_nothing_and_ends_its_scenario() {
    let source = choice(&["http://example.org", "http://unknown"]);
    let work = vec![roaming("/a"), step("/b")];
    let plan = between((&open(100), Limit::Duration(millis(400))), work, source, 1);
    let (script, heard) = ok();
    let numbers = run(plan, script).numbers;
    let (first, second) = (numbers.rows[0].ledger, numbers.rows[1].ledger);
    assert_eq!(first.ok + first.errors, 40, "each slot has its one");
    assert!(first.errors > 8 && first.ok > 8 && second.ok == first.ok, "{first:?} {second:?}");
    assert_eq!(heard.borrow().len() as u64, 2 * first.ok);
    assert_eq!(numbers.latency.all().known.max(), SERVICE);
}

#[test]
fn from_the_server_that_was_chosen_redirects_lead_on_without_its_secrets() {
    let asking = Asking { redirects: 3, ..roaming("/") };
    let source = choice(&["http://server1"]);
    let plan = between((&closed(1), requests(1)), vec![asking], source, 3);
    let (script, heard) = leading(|path| match path {
        "/" => (307, "/here".to_owned()),
        "/here" => (307, "http://server2/there".to_owned()),
        "/there" => (302, "//server1/back".to_owned()),
        _ => (200, String::new()),
    });
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.redirects.followed), (1, 3));
    let all: Vec<_> = lines(&heard).into_iter().map(|(_, line, host)| (line, host)).collect();
    let expected = [
        ("POST /", "server1"),
        ("POST /here", "server1"),
        ("POST /there", "server2"),
        ("GET /back", "server1"),
    ];
    assert_eq!(all, expected.map(|(line, host)| (line.to_owned(), host.to_owned())));
    let told = heard.borrow();
    let told: Vec<bool> = told.iter().map(|(_, text)| text.contains("Authorization")).collect();
    assert_eq!(told, [true, true, false, true]);
    assert!(unfollowed(&ended).is_empty());
}

#[test]
fn one_that_follows_none_takes_a_redirect_for_its_response() {
    let work = vec![roaming("/"), Asking { redirects: 1, ..roaming("/b") }];
    let plan = between((&closed(1), requests(2)), work, choice(&["server1"]), 2);
    let (script, heard) = leading(|_| (302, "http://unknown/".to_owned()));
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.failed), (1, 1));
    assert_eq!(unfollowed(&ended), [(Unfollowed::OtherHost, 1)]);
    assert_eq!(heard.borrow().len(), 2);
}

#[test]
fn a_request_is_numbered_once_and_has_the_cookies_of_its_server() {
    // What is not free is waited for, with the values that were made.
    let source = Source::Sequence;
    let mut asking = roaming("/a");
    let mut base = Text::from("http://server");
    base.push_slot(pummel_proto_http::Slot { value: 0, escape: Escape::Plain });
    asking.url = Some(Url { base, rest: Text::from("/a"), home: None });
    let mut plan = between((&closed(1), requests(4)), vec![asking], source, 5);
    let cookies = Cookies { until: Until::End, loaded: Vec::new(), told: false };
    plan.work = plan.work.with_cookies(cookies, Nanos::ZERO).unwrap();
    let heard = Heard::default();
    let noted = Rc::clone(&heard);
    let mut script = prompt(SERVICE);
    script.hear = Some(Box::new(move |slot, bytes| {
        noted.borrow_mut().push((slot.0, String::from_utf8(bytes.to_vec()).unwrap()));
        let answer =
            format!("HTTP/1.1 200 x\r\nSet-Cookie: at{}=1\r\nContent-Length: 0\r\n\r\n", slot.0);
        vec![(SERVICE, Act::Say(answer.into_bytes()))]
    }));
    let ended = run(plan, script);
    // There is no server 0, and each number is had once.
    assert_eq!((ended.numbers.ledger.errors, ended.numbers.ledger.ok), (1, 3));
    let slots: Vec<u32> = lines(&heard).into_iter().map(|(slot, ..)| slot).collect();
    assert_eq!(slots, [1, 2, 3]);
    assert!(heard.borrow().iter().all(|(_, text)| !text.contains("Cookie:")));
}

#[test]
fn a_try_shows_what_was_sent_and_nothing_of_what_was_not() {
    let work = vec![roaming("/a"), Asking { redirects: 1, ..roaming("/b") }];
    let plan = between((&closed(1), requests(1)), work, choice(&["server1"]), 2).tried();
    let (script, _) = leading(|path| match path {
        "/b" => (307, "/b".to_owned()),
        _ => (200, String::new()),
    });
    let shown = |exchange: &Exchange| {
        let text = String::from_utf8_lossy(&exchange.sent.bytes);
        let line = text.split_once(" HTTP").map_or("", |(line, _)| line).to_owned();
        (exchange.request, exchange.is_redirected, line)
    };
    let all: Vec<_> = run(plan, script).exchanges.iter().map(shown).collect();
    let line = |text: &str| text.to_owned();
    let expected =
        [(0, false, line("POST /a")), (1, false, line("POST /b")), (1, true, line("POST /b"))];
    assert_eq!(all, expected);
    let plan = between((&closed(1), requests(1)), vec![roaming("/")], choice(&["no"]), 2).tried();
    let ended = run(plan, ok().0);
    assert_eq!(ended.exchanges.iter().map(shown).collect::<Vec<_>>(), [(0, false, line(""))]);
}

proptest! {
    #[test]
    fn wherever_values_lead_each_request_has_one_outcome(
        open_loop: bool,
        drops: bool,
        count in 1_u64..60,
        (hosts, steps, redirects) in (1_u16..4, 1_usize..3, 0_u8..3),
        deadline: bool,
        turns in prop::collection::vec(0_u8..7, 1..9),
    ) {
        let mut load = if open_loop { open(700) } else { closed(1) };
        if let Load::Open { on_full, .. } = &mut load && drops {
            *on_full = OnFull::Drop;
        }
        let source = choice(&["example.org", "server1", "server2", "nowhere", "ftp://x"]);
        let asking = || Asking { redirects, ..roaming("/a") };
        let work = (0..steps).map(|_| asking()).collect();
        let mut plan = between((&load, requests(count)), work, source, hosts);
        plan.timeouts.request = millis(20);
        plan.timeouts.deadline = deadline.then(|| millis(15));
        let turn = core::cell::Cell::new(0);
        let mut script = prompt(SERVICE);
        script.hear = Some(Box::new(move |_, _| {
            turn.set(turn.get() + 1);
            let to = match turns[turn.get() % turns.len()] {
                0 => return vec![(SERVICE, Act::Reset)],
                1 => return Vec::new(),
                2 => "303 x\r\nLocation: /x\r\n",
                3 => "307 x\r\nLocation: //server1/y\r\n",
                _ => "200 x\r\n",
            };
            let head = format!("HTTP/1.1 {to}Content-Length: 0\r\n\r\n");
            vec![(SERVICE, Act::Say(head.into_bytes()))]
        }));
        // That the ledger balances is seen to there.
        let ended = run(plan, script);
        if !ended.finished.target_lost && !open_loop {
            prop_assert_eq!(ended.numbers.ledger.scheduled, count);
        }
    }
}
