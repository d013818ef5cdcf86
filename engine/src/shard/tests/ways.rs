//! Other ways to a server than HTTP/1.1 in the clear: HTTP/2, TLS, a proxy, an upgrade; and
//! connections that make way for others.

use core::num::NonZeroU16;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pummel_proto_http::h2::frame::{self, Code, Header, Kind, PREFACE, Setting};

use super::fake::Hear;
use super::users::two_requests;
use super::*;
use crate::plan::{Keep, Means, Protocol, Proxy};
use crate::reactor::{Confirm, SILENT_BYTES_MAX};
use crate::tls::tests::wearing_out;
use crate::tls::{Acceptor, Session};

/// What a server does with the `nth` stream of a connection, counted from 0.
type Serve = dyn FnMut(u32, u32) -> Vec<(Nanos, Vec<u8>)>;

/// A server of HTTP/2 that knows as much of it as these tests need.
struct Server {
    /// Bytes of each connection that are not understood yet, and its streams so far.
    conns: HashMap<Slot, (Vec<u8>, u32)>,
    serve: Box<Serve>,
}

impl Server {
    fn hear(&mut self, slot: Slot, bytes: &[u8]) -> Acts {
        let (unread, streams) = self.conns.entry(slot).or_default();
        let mut acts = Acts::new();
        if bytes.starts_with(PREFACE) {
            (*unread, *streams) = (bytes[PREFACE.len()..].to_vec(), 0);
            let mut settings = Vec::new();
            frame::write_settings(&mut settings, &[(Setting::MaxConcurrentStreams, 100)]);
            acts.push((Nanos::from_micros(50), Act::Say(settings)));
        } else {
            unread.extend_from_slice(bytes);
        }
        while let Some((head, rest)) = unread.split_at_checked(9) {
            let header = Header::parse(head.try_into().unwrap());
            let Some((_, rest)) = rest.split_at_checked(header.length as usize) else { break };
            if header.kind == Kind::Headers {
                let said = (self.serve)(*streams, header.stream);
                acts.extend(said.into_iter().map(|(after, bytes)| (after, Act::Say(bytes))));
                *streams += 1;
            }
            *unread = rest.to_vec();
        }
        acts
    }
}

/// A response of `200` with two bytes.
pub(super) fn ok(stream: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let head = Header { length: 1, kind: Kind::Headers, flags: frame::END_HEADERS, stream };
    frame::write_header(&mut out, head);
    out.push(0x88);
    let data = Header { length: 2, kind: Kind::Data, flags: frame::END_STREAM, stream };
    frame::write_header(&mut out, data);
    out.extend_from_slice(b"ok");
    out
}

pub(super) fn reset(stream: u32, code: Code) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_rst_stream(&mut out, stream, code);
    out
}

fn goaway(last: u32) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_goaway(&mut out, last, Code::NoError);
    out
}

pub(super) fn serving(serve: impl FnMut(u32, u32) -> Vec<(Nanos, Vec<u8>)> + 'static) -> Script {
    let mut server = Server { conns: HashMap::new(), serve: Box::new(serve) };
    Script { hear: Some(Box::new(move |slot, bytes| server.hear(slot, bytes))), ..deaf() }
}

/// A server to which bytes that are no HTTP/1.1 of ours are never a request.
fn deaf() -> Script {
    server(|_| panic!("pages are heard, and nothing is published"))
}

fn two(load: &Load, connections: u32, streams: u16, limit: Limit) -> Plan {
    let mut plan = plan(load, connections, limit);
    plan.wire.protocol = Protocol::Http2;
    plan.wire.streams = NonZeroU16::new(streams).unwrap();
    plan
}

#[test]
fn streams_are_kept_full_and_each_answer_is_its_own_request_s() {
    // The later a stream of four, the sooner its answer.
    let script = serving(|nth, stream| vec![(millis(u64::from(10 * (4 - nth % 4))), ok(stream))]);
    let ended = run(two(&closed(1), 1, 4, requests(40)), script);
    assert_eq!(ended.numbers.ledger.ok, 40);
    assert_eq!(ended.numbers.connections.opened, 1);
    let all = ended.numbers.latency.all();
    assert_eq!((all.known.min(), all.known.max()), (millis(10), millis(40)));
}

/// The pages of a run of six requests in HTTP/2, by how their sends are reported.
fn pages(streams: u16, script: Script, change: impl FnOnce(&mut Plan)) -> Vec<Confirm> {
    let mut plan = two(&closed(1), 1, streams, requests(6));
    change(&mut plan);
    let ended = run(plan, script);
    assert_eq!(ended.numbers.ledger.ok, 6);
    ended.log.pages
}

#[test]
fn an_answer_says_that_a_page_was_sent_where_requests_come_one_at_a_time() {
    let prompt = || serving(|_, stream| vec![(millis(1), ok(stream))]);
    let one = pages(1, prompt(), |_| ());
    assert_eq!(one[one.len() - 6..], [Confirm::Failure; 6], "{one:?}");
    // Before there was an answer, nothing is known; and a large request may be taken in parts.
    let others = [
        pages(2, prompt(), |_| ()),
        pages(1, prompt(), |plan| {
            plan.work = Work::only(posting(SILENT_BYTES_MAX), ExpectedStatus::default());
        }),
    ];
    for pages in others {
        assert!(pages.iter().all(|&confirm| confirm == Confirm::Always), "{pages:?}");
    }
}

#[test]
fn what_is_said_before_an_answer_follows_the_request_in_turn() {
    let ping = || {
        let mut out = Vec::new();
        frame::write_ping(&mut out, 0, [7; 8]);
        out
    };
    let script = serving(move |_, stream| vec![(millis(1), ping()), (millis(2), ok(stream))]);
    let pages = pages(1, script, |_| ());
    let turns = [Confirm::Failure, Confirm::InTurn].repeat(6);
    assert_eq!(pages[pages.len() - 12..], turns, "{pages:?}");
}

#[test]
fn an_open_loop_finds_a_stream_for_each_slot() {
    let script = serving(|_, stream| vec![(millis(5), ok(stream))]);
    let plan = two(&open(1_000), 1, 10, Limit::Duration(millis(500)));
    let ended = run(plan, script);
    assert_eq!(ended.numbers.ledger.ok, 500);
    let all = ended.numbers.latency.all();
    assert_eq!((all.known.min(), all.known.max()), (millis(5), millis(5)));
}

#[test]
fn refused_requests_are_sent_again_and_their_clock_runs_on() {
    let mut refusals = 0;
    let script = serving(move |_, stream| {
        let refuse = refusals < 5;
        refusals += u32::from(refuse);
        let said = if refuse { reset(stream, Code::RefusedStream) } else { ok(stream) };
        vec![(millis(10), said)]
    });
    // An open loop, whose clock begins with the slot.
    let plan = two(&open(100), 1, 8, requests(10));
    let ended = run(plan, script);
    let counts = ended.numbers.multiplexed;
    assert_eq!((counts.refused, counts.retried), (5, 5));
    assert_eq!(ended.numbers.ledger.ok, 10);
    assert!(ended.numbers.latency.all().known.max() >= millis(20), "a refusal costs time");
}

#[test]
fn a_server_that_refuses_for_ever_gets_errors_and_no_endless_loop() {
    let script = serving(|_, stream| vec![(millis(1), reset(stream, Code::RefusedStream))]);
    let ended = run(two(&closed(1), 2, 3, requests(30)), script);
    assert_eq!(ended.numbers.ledger.errors, 30);
    assert_eq!(count(&ended.numbers, "wait_not_processed"), 30);
    assert_eq!(ended.numbers.multiplexed.refused, 30 * 17);
}

#[test]
fn a_reset_stream_is_an_error_by_name_and_the_others_go_on() {
    let script = serving(|nth, stream| {
        let said = if nth == 3 { reset(stream, Code::InternalError) } else { ok(stream) };
        vec![(millis(1), said)]
    });
    let ended = run(two(&closed(1), 1, 2, requests(10)), script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.errors), (9, 1));
    assert_eq!(count(&ended.numbers, "wait_reset_internal_error"), 1);
    assert_eq!(ended.numbers.connections.opened, 1);
}

#[test]
fn a_goaway_ends_a_connection_and_no_request() {
    // After five streams the server goes, and has not seen the sixth and later ones.
    let script = serving(|nth, stream| match nth {
        0..4 => vec![(millis(10), ok(stream))],
        4 => vec![(millis(10), ok(stream)), (millis(11), goaway(stream))],
        _ => vec![],
    });
    let ended = run(two(&closed(1), 1, 4, requests(100)), script);
    assert_eq!(ended.numbers.ledger.ok, 100);
    let counts = ended.numbers.multiplexed;
    assert_eq!((counts.goaways[0], ended.numbers.connections.opened), (20, 20));
    assert_eq!(counts.beyond_goaway, counts.retried);
    assert!(counts.retried > 0);
}

#[test]
fn a_goaway_and_the_end_behind_it_are_counted_once() {
    let mut inner = serving(|_, stream| vec![(millis(1), goaway(stream))]);
    let hear = move |slot: Slot, bytes: &[u8]| {
        let mut acts = inner.hear.as_mut().unwrap()(slot, bytes);
        if acts.iter().any(|(after, _)| *after == millis(1)) {
            acts.push((millis(2), Act::End));
        }
        acts
    };
    let script = Script { hear: Some(Box::new(hear)), ..deaf() };
    let ended = run(two(&closed(1), 1, 1, requests(3)), script);
    let lives = ended.numbers.connections;
    assert_eq!((lives.opened, lives.closed_by_peer, lives.cut_off), (3, 3, 0), "{lives:?}");
}

#[test]
fn a_closed_loop_that_waits_to_send_again_does_not_wait_for_ever() {
    let mut inner = serving(|_, stream| vec![(millis(1), reset(stream, Code::RefusedStream))]);
    let hear = move |slot: Slot, bytes: &[u8]| {
        let mut acts = inner.hear.as_mut().unwrap()(slot, bytes);
        if acts.iter().any(|(after, _)| *after == millis(1)) {
            let mut settings = Vec::new();
            frame::write_settings(&mut settings, &[(Setting::MaxConcurrentStreams, 0)]);
            acts.push((millis(1), Act::Say(settings)));
        }
        acts
    };
    let script = Script { hear: Some(Box::new(hear)), ..deaf() };
    let ended = run(two(&closed(1), 1, 1, requests(3)), script);
    assert!(ended.finished.target_lost);
    assert_eq!(ended.numbers.ledger.unfinished, 1, "{:?}", ended.numbers.ledger);
}

#[test]
fn a_later_step_that_is_sent_again_has_no_deadline_either() {
    let script = serving(|nth, stream| match nth {
        1 => vec![(millis(30), reset(stream, Code::RefusedStream))],
        _ => vec![(millis(1), ok(stream))],
    });
    let mut plan = two(&open(10), 1, 4, Limit::Duration(millis(100)));
    plan.work = two_requests();
    plan.timeouts.deadline = Some(millis(20));
    let ended = run(plan, script);
    let ledger = &ended.numbers.ledger;
    assert_eq!((ledger.ok, ledger.timeouts, ended.numbers.multiplexed.retried), (2, 0, 1));
}

#[test]
fn what_a_goaway_leaves_at_the_end_of_a_run_is_sent_again_too() {
    // Five of a connection are served, and the sixth request is the last of the run.
    let script = serving(|nth, stream| match nth {
        0..4 => vec![(millis(10), ok(stream))],
        4 => vec![(millis(10), ok(stream)), (millis(11), goaway(stream))],
        _ => vec![],
    });
    for count in [6, 7, 99] {
        let serve = serving(|nth, stream| match nth {
            0..4 => vec![(millis(10), ok(stream))],
            4 => vec![(millis(10), ok(stream)), (millis(11), goaway(stream))],
            _ => vec![],
        });
        let ended = run(two(&closed(1), 1, 4, requests(count)), serve);
        assert_eq!(ended.numbers.ledger.ok, count);
    }
    let plan = two(&open(1_000), 1, 4, Limit::Duration(millis(98)));
    assert_eq!(run(plan, script).numbers.ledger.ok, 98);
}

/// Says good-bye at the first stream, after `patience`, and processes none; later connections take
/// `dialling` to be had, and are given their answers at once.
fn leaving(patience: Nanos, dialling: Nanos) -> Script {
    let mut connections = 0;
    let mut script = serving(move |nth, stream| {
        connections += u32::from(nth == 0);
        match (connections, nth) {
            (1, 0) => vec![(patience, goaway(0))],
            (1, _) => vec![],
            _ => vec![(Nanos::from_micros(100), ok(stream))],
        }
    });
    let mut first = true;
    script.door = Box::new(move |_, _| {
        let at_once = core::mem::take(&mut first);
        Door::Opens(if at_once { Nanos::from_micros(50) } else { dialling })
    });
    script
}

#[test]
fn what_waits_to_be_sent_again_is_given_up_at_its_deadline_to_the_nanosecond() {
    // Ten slots in ten milliseconds, of which the connection says after nine that it takes none.
    let mut plan = two(&open(1_000), 1, 20, Limit::Duration(millis(10)));
    plan.timeouts.deadline = Some(millis(25));
    let ended = run(plan, leaving(millis(9), millis(22)));
    // The next one is there 31 ms and a little after the first: too late for the first seven.
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.timeouts, ledger.ok), (7, 3), "{:?}", ended.numbers.errors.rows());
    assert_eq!(count(&ended.numbers, "queue_timeout"), 7);
    let all = ended.numbers.latency.all();
    assert_eq!((all.censored.min(), all.censored.max()), (millis(25), millis(25)));
    assert!(all.known.max() <= millis(25), "nothing was started beyond its deadline");
}

#[test]
fn what_was_sent_again_has_its_deadline_from_its_intended_start() {
    let mut asked = 0;
    let script = serving(move |_, stream| {
        asked += 1;
        match asked {
            // The first is turned away later than the second, and comes after it.
            1 => vec![(millis(20), reset(stream, Code::RefusedStream))],
            2 => vec![(millis(3), reset(stream, Code::RefusedStream))],
            _ => vec![],
        }
    });
    let mut plan = two(&open(200), 1, 8, requests(3));
    plan.timeouts.deadline = Some(millis(60));
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.timeouts, ended.numbers.multiplexed.retried), (3, 2));
    let all = ended.numbers.latency.all();
    assert_eq!((all.censored.min(), all.censored.max()), (millis(60), millis(60)));
    assert_eq!(ended.numbers.connections.opened, 1);
}

#[test]
fn what_never_left_is_no_retry_when_its_connection_goes() {
    // Two requests fill a page, and with the first the server goes; what else has started waits
    // for the next page, which never comes.
    let mut inner = serving(|nth, stream| match nth {
        0 => vec![(Nanos::ZERO, ok(stream)), (Nanos::ZERO, goaway(stream))],
        _ => vec![],
    });
    let hear = move |slot: Slot, bytes: &[u8]| {
        let Some(hear) = &mut inner.hear else { return vec![] };
        // All that it says arrives before the page has left.
        hear(slot, bytes).into_iter().map(|(_, act)| (Nanos::ZERO, act)).collect()
    };
    let script = Script { hear: Some(Box::new(hear)), ..deaf() };
    let mut plan = two(&closed(1), 1, 40, requests(60));
    let long = "x".repeat(30_000);
    let request = Request::builder("GET", "example.org", "/").unwrap().field("X", &long).unwrap();
    plan.work = Work::only(request.build(), ExpectedStatus::default());
    let ended = run(plan, script);
    assert_eq!(ended.numbers.ledger.ok, 60, "{:?}", ended.numbers.errors.rows());
    let counts = ended.numbers.multiplexed;
    assert_eq!(counts.beyond_goaway, counts.retried);
    // Only what was written with the one that was answered was sent in vain.
    assert!(counts.retried <= 2 * 60, "{counts:?}");
    assert_eq!(ended.numbers.parts.lag.count(), 0, "a closed loop has no schedule");
}

#[test]
fn a_large_body_takes_a_page_each_time_and_no_turn_in_between() {
    let mut inner = serving(|_, stream| vec![(millis(50), ok(stream))]);
    let hear = move |slot: Slot, bytes: &[u8]| {
        let Some(hear) = &mut inner.hear else { return vec![] };
        let mut acts = hear(slot, bytes);
        if bytes.starts_with(PREFACE) {
            let mut windows = Vec::new();
            frame::write_settings(&mut windows, &[(Setting::InitialWindowSize, 1 << 24)]);
            frame::write_window_update(&mut windows, 0, 1 << 24);
            acts.push((Nanos::from_micros(40), Act::Say(windows)));
        }
        acts
    };
    let mut plan = two(&closed(1), 1, 1, requests(1));
    plan.work = Work::only(posting(2_000_000), ExpectedStatus::default());
    let ended = run(plan, Script { hear: Some(Box::new(hear)), ..deaf() });
    assert_eq!(ended.numbers.ledger.ok, 1);
    assert!(ended.log.pages.len() >= 30, "{} pages", ended.log.pages.len());
    assert!(ended.log.polls <= 3, "{} polls for as many pages", ended.log.polls);
}

#[test]
fn a_deadline_calls_off_a_stream_and_leaves_its_connection_alone() {
    // Ten at a time, each for 50 ms: a fifth of what is asked for.
    let script = serving(|_, stream| vec![(millis(50), ok(stream))]);
    let mut plan = two(&open(1_000), 1, 10, Limit::Duration(millis(500)));
    plan.timeouts.deadline = Some(millis(60));
    let ended = run(plan, script);
    let ledger = ended.numbers.ledger;
    assert_eq!(ledger.errors, 0, "{:?}", ended.numbers.errors.rows());
    assert!(ledger.timeouts > 0);
    assert_eq!(ended.numbers.connections.opened, 1);
}

/// RFC 9113 section 5.4.1: a rule of the connection broken is its end.
#[test]
fn a_broken_rule_of_the_connection_closes_it_and_the_run_goes_on() {
    let script = serving(|nth, stream| match nth {
        3 => vec![(millis(1), framed(Kind::PushPromise, frame::END_HEADERS, stream, &[0; 5]))],
        _ => vec![(millis(1), ok(stream))],
    });
    let ended = run(two(&closed(1), 1, 1, requests(20)), script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.errors), (15, 5));
    assert_eq!(count(&ended.numbers, "wait_protocol_h2_push_promise"), 5);
    assert_eq!(ended.log.closed.len(), 5);
}

#[test]
fn what_a_server_says_right_behind_its_first_word_is_heard() {
    let mut first = true;
    let mut inner = serving(|_, stream| vec![(millis(1), ok(stream))]);
    let hear = move |slot: Slot, bytes: &[u8]| {
        let Some(hear) = &mut inner.hear else { return vec![] };
        let mut acts = hear(slot, bytes);
        if core::mem::take(&mut first) {
            // In one segment with its settings: it takes no requests.
            acts.push((Nanos::from_micros(50), Act::Say(goaway(0))));
        }
        acts
    };
    let script = Script { hear: Some(Box::new(hear)), ..deaf() };
    let ended = run(two(&closed(1), 1, 4, requests(10)), script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.multiplexed.goaways[0]), (10, 1));
    assert_eq!(ended.numbers.connections.opened, 2);
}

#[test]
fn a_server_that_takes_no_streams_is_given_up() {
    let hear = |_: Slot, bytes: &[u8]| {
        let mut settings = Vec::new();
        frame::write_settings(&mut settings, &[(Setting::MaxConcurrentStreams, 0)]);
        let first = bytes.starts_with(PREFACE);
        if first { vec![(millis(1), Act::Say(settings))] } else { vec![] }
    };
    let script = Script { hear: Some(Box::new(hear)), ..deaf() };
    let ended = run(two(&closed(1), 1, 4, requests(10)), script);
    assert_eq!(ended.numbers.ledger.scheduled, 0);
    assert!(ended.finished.target_lost);
}

/// A server of HTTP/1.1 over TLS, each of whose connections has a session of its own.
fn secured(acceptor: Acceptor) -> Script {
    let mut sessions: HashMap<Slot, Session> = HashMap::new();
    let hear = move |slot: Slot, bytes: &[u8]| {
        // A connection begins with a handshake (RFC 5246 section 6.2.1).
        if bytes.starts_with(&[22, 3, 1]) {
            sessions.insert(slot, acceptor.accept().unwrap());
        }
        let session = sessions.get_mut(&slot).unwrap();
        let (mut out, mut plain) = (Vec::new(), Vec::new());
        let mut bytes = bytes.to_vec();
        let taken = session.receive(&mut bytes, &mut out, |part| plain.extend_from_slice(part));
        let asked = plain.windows(4).filter(|end| end == b"\r\n\r\n").count();
        for _ in 0..asked {
            session.write(OK, &mut out).unwrap();
        }
        assert!(taken.is_ok(), "{taken:?}");
        if out.is_empty() { vec![] } else { vec![(millis(1), Act::Say(out))] }
    };
    Script { hear: Some(Box::new(hear)), ..deaf() }
}

#[test]
fn a_connection_whose_keys_are_worn_makes_way_and_costs_no_request() {
    // Of 256 records one is the end of the handshake, and one is kept.
    let (tls, connector, acceptor) = wearing_out(256);
    let mut plan = plan(&closed(1), 1, requests(1_000));
    plan.wire.tls = Some(tls);
    let part = split(&Arc::new(plan)).remove(0);
    let ended = run_prepared(part, secured(acceptor), None, |shard| {
        shard.traffic.way.doors[0].connector = Some(connector);
    });
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.ok, ledger.errors), (1_000, 0), "{:?}", ended.numbers.errors.rows());
    let lives = ended.numbers.connections;
    assert_eq!((lives.opened, lives.closed_by_peer, lives.cut_off), (4, 0, 0));
}

/// A server that ends each connection with its first answer, of which the last bytes are missing.
fn cut_short(acceptor: Acceptor, missing: usize) -> Script {
    let mut inner = secured(acceptor);
    let hear = move |slot: Slot, bytes: &[u8]| {
        let asked = bytes.first() == Some(&APPLICATION_DATA);
        let mut acts = Acts::new();
        for (after, act) in inner.hear.as_mut().unwrap()(slot, bytes) {
            match act {
                Act::Say(mut record) if asked => {
                    record.truncate(record.len() - missing);
                    acts.extend([(after, Act::Say(record)), (after + millis(1), Act::End)]);
                }
                act => acts.push((after, act)),
            }
        }
        acts
    };
    Script { hear: Some(Box::new(hear)), ..deaf() }
}

/// The type of a record that holds what is spoken in TLS.
const APPLICATION_DATA: u8 = 23;

#[test]
fn an_end_within_a_record_is_cut_off_like_one_behind_it() {
    let (tls, connector, acceptor) = wearing_out(1 << 20);
    let mut plan = plan(&closed(1), 1, requests(3));
    plan.wire.tls = Some(tls);
    let part = split(&Arc::new(plan)).remove(0);
    let ended = run_prepared(part, cut_short(acceptor, 3), None, |shard| {
        shard.traffic.way.doors[0].connector = Some(connector);
    });
    let lives = ended.numbers.connections;
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.errors), (0, 3));
    assert_eq!((lives.opened, lives.cut_off, lives.closed_by_peer), (3, 3, 0));
}

#[test]
fn a_server_that_allows_fewer_streams_than_were_asked_for_is_noted() {
    // This one allows a hundred.
    for (asked, noted) in [(100, None), (101, Some(100)), (300, Some(100))] {
        let script = serving(|_, stream| vec![(millis(1), ok(stream))]);
        let ended = run(two(&closed(1), 2, asked, requests(10)), script);
        assert_eq!(ended.numbers.multiplexed.streams_allowed, noted, "{asked}");
    }
}

#[test]
fn a_stream_that_times_out_is_called_off_and_its_connection_lives_on() {
    let script = serving(|nth, stream| match nth {
        2 => vec![],
        _ => vec![(millis(10), ok(stream))],
    });
    let mut plan = two(&closed(1), 1, 4, requests(50));
    plan.timeouts.request = millis(35);
    let ended = run(plan, script);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.timeouts), (49, 1));
    assert_eq!(count(&ended.numbers, "wait_timeout"), 1);
    assert_eq!(ended.numbers.connections.opened, 1);
    assert_eq!(ended.numbers.latency.all().censored.max(), millis(35));
}

#[test]
fn a_connection_on_which_nothing_arrives_any_more_is_replaced() {
    let script = serving(|nth, stream| match nth {
        0..8 => vec![(millis(10), ok(stream))],
        _ => vec![],
    });
    let mut plan = two(&closed(1), 1, 2, Limit::Duration(millis(500)));
    plan.timeouts.request = millis(100);
    let ended = run(plan, script);
    assert!(ended.numbers.connections.reconnects >= 2, "{:?}", ended.numbers.connections);
    let ledger = ended.numbers.ledger;
    // Both streams were sent together, and have waited equally long.
    assert!(ledger.timeouts >= 2 && ledger.errors == 0, "{ledger:?}");
}

#[test]
fn a_server_that_does_not_speak_http2_is_known_before_a_request_is_sent() {
    let heard = Rc::new(RefCell::new(0));
    let hearing = Rc::clone(&heard);
    let hear = move |_: Slot, bytes: &[u8]| {
        *hearing.borrow_mut() += bytes.len();
        vec![(millis(1), Act::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()))]
    };
    let script = Script { hear: Some(Box::new(hear)), ..deaf() };
    let ended = run(two(&closed(1), 2, 4, requests(10)), script);
    let opened = ended.opened.unwrap();
    assert_eq!((opened.open, opened.failed), (0, 2));
    assert_eq!(opened.failure.1.to_string(), "settle_protocol_not_http2_http1");
    assert_eq!(ended.numbers.ledger.scheduled, 0);
    assert!(*heard.borrow() > 0);
}

#[test]
fn an_upgrade_leads_to_http2() {
    let script = |granted: bool| {
        let inner = Rc::new(RefCell::new(serving(|_, stream| vec![(millis(1), ok(stream))])));
        let hear = move |slot: Slot, bytes: &[u8]| {
            if !bytes.starts_with(b"HEAD / HTTP/1.1\r\n") {
                let inner = &mut *inner.borrow_mut();
                return inner.hear.as_mut().unwrap()(slot, bytes);
            }
            let said: &[u8] = if granted {
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
            } else {
                OK
            };
            vec![(millis(1), Act::Say(said.to_vec()))]
        };
        Script { hear: Some(Box::new(hear)), ..deaf() }
    };
    let mut plan = two(&closed(1), 1, 4, requests(20));
    plan.wire.protocol = Protocol::Http2Upgrade;
    let ended = run(plan.clone(), script(true));
    assert_eq!(ended.numbers.ledger.ok, 20);
    let opened = run(plan, script(false)).opened.unwrap();
    assert_eq!(opened.failure.1.to_string(), "upgrade_status_200");
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_and_its_refusal_is_told() {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let asking = Rc::clone(&asked);
    let hear = move |_: Slot, bytes: &[u8]| {
        asking.borrow_mut().extend_from_slice(bytes);
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        vec![(millis(1), Act::Say(refusal.to_vec()))]
    };
    let mut plan = plan(&closed(1), 1, requests(1));
    plan.wire.proxy = Some(Proxy {
        means: Means::Tunnel("example.org:443".to_owned()),
        fields: vec![("Proxy-Authorization".to_owned(), "Basic eDp5".to_owned())],
        http2: false,
    });
    let opened = run(plan, Script { hear: Some(Box::new(hear)), ..deaf() }).opened.unwrap();
    assert_eq!(opened.failure.1.to_string(), "proxy_status_407");
    let text = String::from_utf8(asked.borrow().clone()).unwrap();
    assert_eq!(
        text,
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\
         Proxy-Authorization: Basic eDp5\r\n\r\n"
    );
}

fn framed(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut out = Vec::new();
    frame::write_header(&mut out, Header { length, kind, flags, stream });
    out.extend_from_slice(payload);
    out
}

/// A proxy that is spoken to in HTTP/2. It opens tunnels to `inner`, and ends each of them with the
/// so many-th piece of what is sent through it.
fn tunnels_to(mut inner: Box<Hear>, pieces_max: u32) -> Script {
    let mut conns: HashMap<Slot, (Vec<u8>, u32)> = HashMap::new();
    let hear = move |slot: Slot, bytes: &[u8]| {
        let (unread, pieces) = conns.entry(slot).or_default();
        let mut acts = Acts::new();
        let mut soon = |bytes| acts.push((Nanos::from_micros(20), Act::Say(bytes)));
        let mut rest = bytes;
        if let Some(after) = bytes.strip_prefix(PREFACE) {
            unread.clear();
            *pieces = 0;
            rest = after;
            soon(framed(Kind::Settings, 0, 0, &[]));
        }
        unread.extend_from_slice(rest);
        let mut through = Vec::new();
        while let Some(header) = unread.first_chunk().map(Header::parse)
            && let Some(payload) = unread.get(9..9 + header.length as usize).map(<[u8]>::to_vec)
        {
            unread.drain(..9 + payload.len());
            if header.kind == Kind::Headers {
                soon(framed(Kind::Headers, frame::END_HEADERS, header.stream, &[0x88]));
            } else if header.kind == Kind::Data {
                *pieces += 1;
                if *pieces == pieces_max {
                    soon(framed(Kind::Data, frame::END_STREAM, header.stream, &[]));
                } else if *pieces < pieces_max {
                    through.extend(inner(slot, &payload).into_iter().map(|said| (header, said)));
                }
            }
        }
        for (header, (after, act)) in through {
            let Act::Say(bytes) = act else { panic!("it only speaks") };
            acts.push((after, Act::Say(framed(Kind::Data, 0, header.stream, &bytes))));
        }
        acts
    };
    Script { hear: Some(Box::new(hear)), ..deaf() }
}

/// Answers whole requests of HTTP/1.1.
fn plainly() -> Box<Hear> {
    Box::new(|_, bytes| {
        let asked = bytes.windows(4).filter(|end| end == b"\r\n\r\n").count();
        vec![(millis(1), Act::Say(OK.repeat(asked)))]
    })
}

fn by_tunnel(mut plan: Plan) -> Plan {
    let means = Means::Tunnel("example.org:80".to_owned());
    plan.wire.proxy = Some(Proxy { means, fields: Vec::new(), http2: true });
    plan
}

#[test]
fn a_tunnel_through_http2_carries_either_protocol() {
    let one = run(by_tunnel(plan(&closed(1), 2, requests(50))), tunnels_to(plainly(), 1_000));
    let inner = serving(|_, stream| vec![(millis(1), ok(stream))]).hear.unwrap();
    let two = run(by_tunnel(two(&closed(1), 2, 5, requests(50))), tunnels_to(inner, 1_000));
    for ended in [one, two] {
        let rows = ended.numbers.errors.rows();
        assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.errors), (50, 0), "{rows:?}");
        assert_eq!(ended.numbers.connections.opened, 2);
        let all = ended.numbers.latency.all();
        assert_eq!((all.known.min(), all.known.max()), (millis(1), millis(1)));
    }
}

#[test]
fn an_open_loop_goes_through_a_tunnel_at_its_moments() {
    let plan = by_tunnel(plan(&open(1_000), 4, Limit::Duration(millis(200))));
    let ended = run(plan, tunnels_to(plainly(), 1_000));
    assert_eq!(ended.numbers.ledger.ok, 200);
    let all = ended.numbers.latency.all();
    assert_eq!((all.known.min(), all.known.max()), (millis(1), millis(1)));
}

#[test]
fn a_tunnel_that_ends_costs_what_was_under_way_and_is_opened_again() {
    // Each tunnel ends with its tenth request, which has no answer.
    let ended = run(by_tunnel(plan(&closed(1), 1, requests(50))), tunnels_to(plainly(), 10));
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.ok, ledger.errors), (45, 5), "{:?}", ended.numbers.errors.rows());
    assert_eq!(count(&ended.numbers, "wait_closed"), 5);
    assert_eq!(ended.numbers.connections.opened, 5);
}

#[test]
fn a_proxy_that_refuses_a_tunnel_in_http2_is_told_with_its_status() {
    let hear = |_: Slot, bytes: &[u8]| {
        if !bytes.starts_with(PREFACE) {
            return vec![];
        }
        // The table of HPACK has 404 at index 13.
        let flags = frame::END_HEADERS | frame::END_STREAM;
        let said = [framed(Kind::Settings, 0, 0, &[]), framed(Kind::Headers, flags, 1, &[0x8d])];
        vec![(millis(1), Act::Say(said.concat()))]
    };
    let script = Script { hear: Some(Box::new(hear)), ..deaf() };
    let opened = run(by_tunnel(plan(&closed(1), 1, requests(1))), script).opened.unwrap();
    assert_eq!((opened.open, opened.failure.1.to_string()), (0, "proxy_status_404".to_owned()));
}

#[test]
fn connections_make_way_for_new_ones_on_schedule_and_no_request_is_lost() {
    let mut plan = plan(&closed(1), 4, Limit::Duration(millis(1_000)));
    plan.wire.keep = Keep::Renewed(Rate::new(100, Nanos::from_secs(1)).unwrap());
    let ended = run(plan, prompt(millis(3)));
    let ledger = ended.numbers.ledger;
    assert_eq!(ledger.ok, ledger.scheduled);
    // One at the barrier, and one each ten milliseconds.
    assert_eq!(ended.numbers.connections.reconnects, 100);
}

#[test]
fn connections_that_the_server_closes_meanwhile_are_not_closed_twice() {
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    for lives in 1..4 {
        let mut plan = plan(&closed(1), 3, Limit::Duration(millis(1_000)));
        plan.wire.keep = Keep::Renewed(Rate::new(300, Nanos::from_secs(1)).unwrap());
        let script = server(move |asked| {
            let said = if asked.nth == lives { LAST } else { OK };
            vec![(millis(3), Act::Say(said.to_vec()))]
        });
        let ended = run(plan, script);
        let ledger = ended.numbers.ledger;
        assert_eq!((ledger.ok, ledger.errors), (ledger.scheduled, 0), "{lives}");
    }
}

#[test]
fn a_connection_for_one_request_is_closed_after_it_in_http2_too() {
    let script = serving(|_, stream| vec![(millis(1), ok(stream))]);
    let mut plan = two(&closed(1), 2, 10, requests(20));
    plan.wire.keep = Keep::One;
    let ended = run(plan, script);
    assert_eq!(ended.numbers.ledger.ok, 20);
    assert!(ended.numbers.connections.opened >= 20, "{:?}", ended.numbers.connections);
}
