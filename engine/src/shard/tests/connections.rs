//! Lives of connections: opening, depth, timeouts, closing, and trying again.

use super::*;
use crate::reactor::{Close, Errno};
use crate::record::Cause;

const CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

fn dials(ended: &Ended) -> Vec<Nanos> {
    ended.log.dialled.iter().map(|(at, _, _)| at.since(ORIGIN)).collect()
}

#[test]
fn a_request_times_out_exactly_after_its_time_and_its_connection_is_replaced() {
    let mut plan = plan(&closed(1), 1, requests(10));
    plan.timeouts.request = Nanos::new(54_321_987);
    let timeout = plan.timeouts.request;
    let script = server(|asked| match asked.number {
        4 => Vec::new(),
        _ => vec![(millis(2), Act::Say(OK.to_vec()))],
    });
    let ended = run(plan, script);
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.ok, ledger.timeouts), (9, 1));
    assert_eq!(count(&ended.numbers, "wait_timeout"), 1);
    assert_eq!(ended.numbers.latency.all().censored.max(), timeout);
    let (sent, ..) = ended.log.sent[4];
    let closed: Vec<_> = ended.log.closed.iter().map(|&(at, slot, _)| (at, slot)).collect();
    assert_eq!(closed, [(sent + timeout, Slot(0))]);
    assert_eq!(ended.log.dialled[1].0, sent + timeout);
    assert_eq!(ended.numbers.connections.reconnects, 1);
}

#[test]
fn a_connection_whose_request_timed_out_is_replaced_at_once_however_often() {
    let mut plan = plan(&closed(1), 1, Limit::Duration(millis(1_000)));
    plan.timeouts.request = millis(10);
    let ended = run(plan, server(|_| vec![]));
    let timeouts = ended.numbers.ledger.timeouts;
    // A backoff of ours would be charged to the server, and leave a handful.
    assert!(timeouts > 90, "{timeouts} in a hundred times the timeout");
}

#[test]
fn a_response_in_time_disarms_the_timeout() {
    let mut plan = plan(&closed(1), 3, Limit::Duration(millis(500)));
    plan.timeouts.request = millis(20);
    let ended = run(plan, prompt(Nanos::new(19_999_999)));
    assert_eq!(ended.numbers.ledger.timeouts, 0);
    assert!(ended.log.closed.is_empty());
}

#[test]
fn a_timeout_takes_the_younger_requests_of_its_connection_with_it() {
    let mut plan = plan(&closed(3), 1, requests(3));
    plan.timeouts.request = millis(20);
    let ended = run(plan, server(|_| Vec::new()));
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.timeouts, ledger.errors), (1, 2));
    assert_eq!(count(&ended.numbers, "wait_abandoned"), 2);
}

#[test]
fn a_timeout_says_how_far_the_response_had_come() {
    for (said, name) in [
        (&b""[..], "wait_timeout"),
        (b"HTTP/1.1 200 O", "head_timeout"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "body_timeout"),
    ] {
        let script = server(move |_| match said {
            b"" => Vec::new(),
            _ => vec![(millis(1), Act::Say(said.to_vec()))],
        });
        let numbers = run(plan(&closed(1), 1, requests(1)), script).numbers;
        assert_eq!(count(&numbers, name), 1, "{:?}", numbers.errors.rows());
    }
}

#[test]
fn a_silent_door_is_given_up_after_the_connect_timeout() {
    let mut plan = plan(&closed(1), 2, requests(1));
    plan.timeouts.connect = Nanos::new(123_456_789);
    let script = Script { door: Box::new(|_, _| Door::Ignores), ..prompt(millis(1)) };
    let ended = run(plan, script);
    let opened = ended.opened.unwrap();
    assert_eq!((opened.open, opened.failed), (0, 2));
    let (at, trouble) = opened.failure;
    assert_eq!((at, trouble.cause), (address(1).into(), Cause::TimedOut));
    assert_eq!(ended.log.closed[0].0.since(ORIGIN), Nanos::new(123_456_789));
    assert!(ended.log.sent.is_empty());
}

#[test]
fn addresses_are_tried_in_order_and_the_one_that_works_is_kept() {
    let mut plan = plan(&closed(1), 1, requests(3));
    plan.target.addresses = Addresses::new((1..=4).map(address).collect()).unwrap();
    let script = Script {
        door: Box::new(|_, to| match to {
            to if to == address(1) => Door::Refuses(millis(1)),
            to if to == address(2) => Door::Ignores,
            _ => Door::Opens(millis(1)),
        }),
        answer: Box::new(|_| vec![(millis(1), Act::Say(CLOSE.to_vec()))]),
        hear: None,
    };
    let ended = run(plan, script);
    let tried: Vec<_> = ended.log.dialled.iter().map(|dial| dial.2).collect();
    assert_eq!(tried[..3], [1, 2, 3].map(address));
    assert!(tried[3..].iter().all(|&to| to == address(3)));
    let opened = ended.opened.unwrap();
    assert_eq!((opened.open, opened.failed), (1, 0));
    assert_eq!(ended.numbers.ledger.ok, 3);
}

#[test]
fn connections_go_to_what_the_name_says_when_they_are_established() {
    let mut plan = plan(&closed(1), 2, requests(40));
    plan.target.addresses = Addresses::new((1..=3).map(address).collect()).unwrap();
    let script = Script {
        // The last address is the one that works, so its index has to be forgotten.
        door: Box::new(|_, to| match to {
            to if to == address(3) || to == address(9) => Door::Opens(millis(1)),
            _ => Door::Refuses(millis(1)),
        }),
        // Only the connection in slot 0 is closed in mid-run.
        answer: Box::new(|asked| {
            let last = asked.slot == Slot(0) && asked.nth == 9;
            vec![(millis(1), Act::Say(if last { CLOSE } else { OK }.to_vec()))]
        }),
        hear: None,
    };
    let (mut desk, mailbox) = mailbox();
    let part = split(&Arc::new(plan)).remove(0);
    let request = part.plan.work.first().unwrap().request.render_h1();
    let (fake, log) = Fake::new(part.room.get(), request, script);
    let mut shard = Shard::new(part, fake, mailbox, Vec::new()).unwrap();
    for _ in 0..TURNS_MAX {
        shard.turn().unwrap();
        if let Some(Reply::Opened(_)) = desk.reply() {
            desk.order(Order::Readdress(0, Arc::new(Addresses::new(vec![address(9)]).unwrap())));
            desk.order(Order::Start(shard.reactor.now() + LEAD));
        }
        if shard.is_done() {
            break;
        }
    }
    assert!(shard.is_done());
    assert_eq!(shard.traffic.recorder.exchange(Box::default()).ledger.ok, 40);
    let dialled: Vec<_> = log.borrow().dialled.iter().map(|dial| (dial.1, dial.2)).collect();
    let (before, after): (Vec<_>, Vec<_>) = dialled.iter().partition(|dial| dial.1 != address(9));
    assert!(before.len() >= 2 && dialled.starts_with(&before), "{dialled:?}");
    assert!(!after.is_empty() && after.iter().all(|dial| dial.0 == Slot(0)), "{dialled:?}");
}

#[test]
fn a_connection_that_the_server_closes_after_a_response_is_replaced_without_a_pause() {
    let script = server(|_| vec![(millis(1), Act::Say(CLOSE.to_vec())), (millis(1), Act::End)]);
    let ended = run(plan(&closed(1), 1, requests(20)), script);
    assert_eq!(ended.numbers.ledger.ok, 20);
    assert_eq!(ended.numbers.connections.opened, 20);
    assert_eq!(ended.numbers.connections.reconnects, 19);
    let closed = ended.log.closed.iter().map(|closed| closed.0);
    let dialled = ended.log.dialled.iter().skip(1).map(|dial| dial.0);
    assert!(closed.zip(dialled).all(|(closed, dialled)| closed == dialled));
    assert!(ended.log.closed.iter().all(|&(.., how)| how == Close::Finish));
}

#[test]
fn attempts_that_fail_follow_ever_more_slowly_up_to_a_quarter_of_a_second() {
    let mut opened = false;
    let script = Script {
        // Opens once, and never again.
        door: Box::new(move |_, _| {
            if core::mem::replace(&mut opened, true) {
                Door::Refuses(Nanos::ZERO)
            } else {
                Door::Opens(Nanos::from_micros(50))
            }
        }),
        answer: Box::new(|asked| match asked.number {
            0 => vec![(millis(1), Act::Say(OK.to_vec()))],
            _ => vec![(millis(1), Act::Reset)],
        }),
        hear: None,
    };
    let ended = run(plan(&closed(1), 1, Limit::Duration(millis(8_000))), script);
    let pauses: Vec<_> =
        dials(&ended)[1..].windows(2).map(|at| at[1].get() - at[0].get()).collect();
    let expected = [10, 20, 40, 80, 160, 250, 250, 250, 250, 250];
    assert_eq!(pauses[..10], expected.map(|n| n * 1_000_000));
    assert!(pauses[10..].iter().all(|&pause| pause == 250_000_000));
    assert_eq!(ended.numbers.ledger.ok, 1);
    assert_eq!(count(&ended.numbers, "wait_reset"), 1);
    assert_eq!(count(&ended.numbers, "connect_refused"), dials(&ended).len() as u64 - 1);
    assert!(!ended.finished.target_lost, "its time ends it");
}

#[test]
fn a_server_that_accepts_and_hangs_up_is_not_hammered() {
    let ended = run(
        plan(&closed(1), 1, Limit::Duration(millis(2_000))),
        server(|_| vec![(Nanos::ZERO, Act::End)]),
    );
    assert!(ended.log.dialled.len() < 15, "{} attempts", ended.log.dialled.len());
    assert_eq!(ended.numbers.ledger.errors, ended.numbers.ledger.scheduled);
}

#[test]
fn a_lost_target_ends_a_closed_loop_that_nothing_else_would_end() {
    let script = Script {
        door: Box::new(|at, _| {
            if at < BARRIER {
                Door::Opens(Nanos::from_micros(50))
            } else {
                Door::Refuses(millis(1))
            }
        }),
        answer: Box::new(|asked| match asked.nth {
            9 => vec![(millis(1), Act::Reset)],
            _ => vec![(millis(1), Act::Say(OK.to_vec()))],
        }),
        hear: None,
    };
    let ended = run(plan(&closed(1), 3, requests(1_000_000)), script);
    assert!(ended.finished.target_lost);
    assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.errors), (27, 3));
    let length = ended.finished.window;
    assert!(length > Nanos::from_secs(10) && length < Nanos::from_secs(12), "{length}");
}

/// What is outstanding on each connection, from what was sent on it within one service time.
#[test]
fn a_connection_carries_as_many_requests_as_the_pipeline_is_deep_and_never_more() {
    for depth in [1_u8, 2, 16] {
        let ended = run(plan(&closed(depth), 3, requests(999)), prompt(millis(1)));
        assert_eq!(ended.numbers.ledger.ok, 999);
        for slot in (0..3).map(Slot) {
            let sent: Vec<Instant> = sends_on(&ended, slot);
            let most = (0..sent.len()).map(|first| {
                sent[first..].iter().take_while(|at| at.since(sent[first]) < millis(1)).count()
            });
            assert_eq!(most.max(), Some(usize::from(depth)));
        }
    }
}

#[test]
fn a_full_pipeline_starts_no_more() {
    let mut plan = plan(&closed(5), 2, Limit::Duration(millis(100)));
    plan.stop.drain = Nanos::ZERO;
    let ended = run(plan, server(|_| Vec::new()));
    assert_eq!(ended.requests_sent(), 10);
    assert_eq!(ended.numbers.ledger.unfinished, 10);
}

#[test]
fn a_pending_send_is_waited_for() {
    // Longer than what may go unconfirmed, so that the fake reports every send, and objects to
    // haste.
    let mut plan = plan(&closed(2), 2, requests(100));
    let long = "x".repeat(3_000);
    let request = Request::builder("GET", "example.org", "/").unwrap().field("X", &long).unwrap();
    plan.work = Work::only(request.build(), ExpectedStatus::default());
    let ended = run(plan, prompt(Nanos::ZERO));
    assert_eq!(ended.numbers.ledger.ok, 100);
    assert_eq!(ended.requests_sent(), 100);
}

/// One entry for each request.
fn sends_on(ended: &Ended, slot: Slot) -> Vec<Instant> {
    let mine = ended.log.sent.iter().filter(|sent| sent.1 == slot);
    mine.flat_map(|&(at, _, requests)| core::iter::repeat_n(at, requests)).collect()
}

/// EPIPE, as a socket says whose peer has closed: it may have answered before.
#[test]
fn an_answer_that_came_before_the_send_broke_counts() {
    let (soon, later) = (millis(1), millis(2));
    for answered in [true, false] {
        for body in [0, 100_000] {
            let mut plan = plan(&closed(1), 1, requests(3));
            plan.work = Work::only(posting(body), ExpectedStatus::default());
            let script = server(move |asked| {
                let answer = vec![(soon, Act::Say(OK.to_vec()))];
                if asked.number != 1 {
                    return answer;
                }
                let broken = vec![(Nanos::ZERO, Act::FailSend(32)), (later, Act::End)];
                broken.into_iter().chain(answer.into_iter().filter(|_| answered)).collect()
            });
            let ended = run(plan, script);
            let (ledger, lost) = (ended.numbers.ledger, u64::from(!answered));
            assert_eq!((ledger.ok, ledger.errors), (3 - lost, lost), "{body} bytes");
            let rows = ended.numbers.errors.rows();
            let broken = Cause::System(Errno::BROKEN_PIPE);
            assert!(rows.iter().all(|(trouble, _)| trouble.cause == broken), "{rows:?}");
            assert_eq!(ended.log.dialled.len(), 2, "a broken connection is replaced");
        }
    }
}

#[test]
fn a_request_that_the_kernel_does_not_send_fails_at_once_and_says_why() {
    for (errno, name) in [(1, "send_forbidden"), (105, "send_no_memory")] {
        for body in [0, 100_000] {
            let mut plan = plan(&closed(1), 1, requests(3));
            plan.work = Work::only(posting(body), ExpectedStatus::default());
            let script = server(move |asked| match asked.number {
                1 => vec![(Nanos::from_micros(7), Act::FailSend(errno))],
                _ => vec![(millis(1), Act::Say(OK.to_vec()))],
            });
            let ended = run(plan, script);
            let ledger = ended.numbers.ledger;
            assert_eq!((ledger.ok, ledger.errors, ledger.timeouts), (2, 1, 0));
            assert_eq!(count(&ended.numbers, name), 1, "{:?}", ended.numbers.errors.rows());
            let (sent, ..) = ended.log.sent[1];
            let (closed, ..) = ended.log.closed[0];
            assert_eq!(closed, sent + Nanos::from_micros(7), "nothing is waited for");
        }
    }
}

#[test]
fn a_request_that_closes_its_connection_is_the_last_one_on_it() {
    let faultless = || {
        server(|asked| {
            assert_eq!(asked.nth, 0, "a request after the last one");
            vec![(millis(1), Act::Say(CLOSE.to_vec())), (millis(1), Act::End)]
        })
    };
    let rate = Rate::new(2_000, Nanos::from_secs(1)).unwrap();
    let deep = piped(rate, 4);
    for load in [closed(4), deep] {
        for connections in [1, 3] {
            let mut plan = plan(&load, connections, requests(8));
            let request = Request::builder("GET", "example.org", "/").unwrap();
            plan.work = Work::only(
                request.field("Connection", "close").unwrap().build(),
                ExpectedStatus::default(),
            );
            let ended = run(plan, faultless());
            let ledger = ended.numbers.ledger;
            assert_eq!((ledger.scheduled, ledger.ok, ledger.errors), (8, 8, 0), "{load:?}");
            assert_eq!(ended.requests_sent(), 8);
        }
    }
}

#[test]
fn a_connection_that_fails_to_come_back_tries_the_next_address_in_turn() {
    // The last one works at first, and then the second one does.
    for (first, later) in [(1, 3), (3, 2), (2, 1)] {
        let mut plan = plan(&closed(1), 1, requests(10));
        plan.target.addresses = Addresses::new((1..=3).map(address).collect()).unwrap();
        let script = Script {
            door: Box::new(move |at, to| {
                let works = address(if at < BARRIER { first } else { later });
                if to == works { Door::Opens(millis(1)) } else { Door::Refuses(millis(1)) }
            }),
            answer: Box::new(|asked| match asked.number {
                4 => vec![(millis(1), Act::Reset)],
                _ => vec![(millis(1), Act::Say(OK.to_vec()))],
            }),
            hear: None,
        };
        let ended = run(plan, script);
        assert_eq!((ended.numbers.ledger.ok, ended.numbers.ledger.errors), (9, 1), "{later}");
        let again = ended.log.dialled.iter().filter(|dial| dial.0 >= BARRIER);
        let tried: Vec<_> = again.map(|dial| dial.2).collect();
        let turns = (0..).map(|n| address((first - 1 + n) % 3 + 1));
        let expected: Vec<_> = turns.take(usize::from((later + 3 - first) % 3) + 1).collect();
        assert_eq!(tried, expected);
    }
}

#[test]
fn a_server_that_hangs_up_before_the_opening_is_over_is_named() {
    for connections in [1, 20] {
        let plan = plan(&closed(1), connections, Limit::Duration(millis(2_000)));
        let script = Script {
            door: Box::new(|_, _| Door::Slams(Nanos::from_micros(50))),
            ..prompt(millis(1))
        };
        let ended = run(plan, script);
        let opened = ended.opened.unwrap();
        assert_eq!((opened.open, opened.failure.0), (0, address(1).into()));
        assert_eq!(opened.failure.1.cause, Cause::Closed);
        let most = 15 * connections as usize;
        assert!(ended.log.dialled.len() < most, "{} attempts", ended.log.dialled.len());
    }
}

#[test]
fn an_answer_before_the_end_of_its_request_ends_the_connection() {
    const REFUSED: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let mut plan = plan(&closed(1), 1, requests(5));
    plan.work = Work::only(posting(1_000_000), ExpectedStatus::default());
    // Before any of the body can have arrived.
    let ended = run(plan, server(|_| vec![(Nanos::new(1), Act::Say(REFUSED.to_vec()))]));
    assert_eq!(ended.numbers.ledger.failed, 5);
    assert_eq!(ended.numbers.connections.opened, 5);
}
