//! Cookies of virtual users, on their way from a response to a request.

use std::cell::RefCell;
use std::rc::Rc;

use super::users::{SERVICE, asking, reading, saying, scripted, work_of};
use super::*;
use crate::plan::{Cookies, Protocol, Step, Until};

/// A cookie for all of the host, as a file has it.
fn cookie(name: &str, value: &str, expires: Option<Nanos>) -> Cookie {
    Cookie {
        name: name.into(),
        value: value.into(),
        domain: b"example.org".to_vec(),
        host_only: true,
        path: b"/".to_vec(),
        secure: false,
        http_only: false,
        expires,
        set: Nanos::ZERO,
    }
}

/// A server that numbers those who come without a session, and lets `setting` say what else it
/// sets; and the field `Cookie` of each request that it hears.
fn numbering(setting: &'static str) -> (Script, Rc<RefCell<Vec<String>>>) {
    let all = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&all);
    let mut issued = 0;
    let script = reading(move |request| {
        let mut lines = request.lines().filter_map(|line| line.strip_prefix("Cookie: "));
        let cookies = lines.next().unwrap_or_default().to_owned();
        assert!(lines.next().is_none(), "{request}");
        let new = !cookies.contains("s=");
        heard.borrow_mut().push(cookies);
        issued += u32::from(new);
        let session = if new { format!("Set-Cookie: s={issued}") } else { "X: y".to_owned() };
        saying(&format!("{session}{setting}"), "ok")
    });
    (script, all)
}

/// `/a` and `/b` by users with cookies, in so many scenarios that are alike.
fn keeping(scenarios: usize, until: Until, loaded: Vec<Cookie>) -> Work {
    let steps: &[Step] = &[Step::Request(0), Step::Request(1)];
    let work = work_of(vec![asking("/a"), asking("/b")], &vec![(1, steps); scenarios]);
    work.with_cookies(Cookies { until, loaded, told: true }, Nanos::ZERO).unwrap()
}

/// Runs that at such a server; the field `Cookie` of each request.
fn asked(
    load: &Load,
    limit: Limit,
    (until, loaded): (Until, Vec<Cookie>),
    setting: &'static str,
) -> (Vec<String>, Ended) {
    let (script, all) = numbering(setting);
    let ended = run(scripted(load, 1, limit, keeping(1, until, loaded)), script);
    let said = all.borrow().clone();
    (said, ended)
}

#[test]
fn a_user_keeps_its_cookies_until_the_run_ends_or_the_scenario() {
    let nothing = |until| (until, Vec::new());
    let (said, ended) = asked(&closed(1), requests(6), nothing(Until::End), "");
    assert_eq!(said, ["", "s=1", "s=1", "s=1", "s=1", "s=1"]);
    assert_eq!(ended.numbers.ledger.ok, 6);
    let (said, _) = asked(&closed(1), requests(6), nothing(Until::Scenario), "");
    assert_eq!(said, ["", "s=1", "", "s=2", "", "s=3"]);
}

#[test]
fn who_comes_by_schedule_is_a_user_of_its_own() {
    let limit = Limit::Duration(millis(30));
    let (said, _) = asked(&open(100), limit, (Until::End, Vec::new()), "");
    assert_eq!(said, ["", "s=1", "", "s=2", "", "s=3"]);
}

#[test]
fn in_a_try_users_are_whoever_they_are_in_the_run() {
    let kept = ["", "s=1", "s=1", "s=1"];
    let fresh = ["", "s=1", "", "s=2"];
    for (load, until, expected) in [
        (closed(3), Until::End, kept),
        (closed(3), Until::Scenario, fresh),
        (open(100), Until::End, fresh),
    ] {
        let (script, all) = numbering("");
        run(scripted(&load, 3, requests(9), keeping(2, until, Vec::new())).tried(), script);
        assert_eq!(*all.borrow(), expected);
    }
}

#[test]
fn what_is_loaded_is_sent_from_the_first_request_on() {
    let loaded = vec![cookie("l", "0", None), cookie("old", "0", Some(Nanos::from_secs(1)))];
    let (said, ended) = asked(&closed(1), requests(3), (Until::End, loaded), "");
    // The virtual clock begins at one second.
    assert_eq!(said, ["l=0", "l=0; s=1", "l=0; s=1"]);
    let left: Vec<_> = ended.cookies.iter().map(|it| (&it.name[..], &it.value[..])).collect();
    assert_eq!(left, [(&b"l"[..], &b"0"[..]), (b"s", b"1")]);
}

#[test]
fn cookies_end_by_the_clock_of_the_run() {
    let (said, _) =
        asked(&closed(1), Limit::Duration(millis(2_500)), (Until::End, Vec::new()), "; Max-Age=1");
    let sessions: Vec<&String> = said.iter().filter(|it| it.is_empty()).collect();
    assert_eq!(sessions.len(), 3, "one for each second");
    assert_eq!(said.len(), 2_500 / usize::try_from(SERVICE.get() / 1_000_000).unwrap());
}

#[test]
fn of_several_users_the_last_value_is_told() {
    let (_, ended) = asked(&closed(1), requests(4), (Until::Scenario, Vec::new()), "; Path=/");
    let [only] = &ended.cookies[..] else { panic!("one: {:?}", ended.cookies) };
    assert_eq!((&only.value[..], &only.path[..]), (&b"2"[..], &b"/"[..]));
    let later = Cookie { set: Nanos::from_secs(2), ..cookie("a", "2", None) };
    let merged = Cookie::last_of_each([later.clone(), cookie("a", "1", None)]);
    assert_eq!(merged, [later]);
}

#[test]
fn a_single_request_has_cookies_over_http2_as_well() {
    let mut plan = plan(&closed(1), 1, requests(2));
    let cookies = Cookies { until: Until::End, loaded: vec![cookie("l", "0", None)], told: false };
    plan.work = plan.work.with_cookies(cookies, Nanos::ZERO).unwrap().tried();
    plan.wire.protocol = Protocol::Http2;
    let ended = run(plan, ways::serving(|_, stream| vec![(SERVICE, ways::ok(stream))]));
    let sent = String::from_utf8(ended.exchanges[0].sent.bytes.clone()).unwrap();
    assert!(sent.ends_with("accept: */*\r\ncookie: l=0\r\n\r\n"), "{sent}");
}
