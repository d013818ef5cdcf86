//! Nothing is lost and nothing is counted twice, whatever the server does. [`run`] itself checks
//! that the ledger balances; these tests bring the faults.

use super::*;
use proptest::prelude::*;

/// Ways to answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Prompt,
    Slow,
    ByteByByte,
    AfterInterim,
    InChunks,
    Failing,
    CloseSaid,
    CloseUnsaid,
    UntilClose,
    Silent,
    Mute,
    Reset,
    ResetInBody,
    HalfHead,
    HalfHeadThenSilence,
    ShortBody,
    LongBody,
    Garbage,
    Twice,
    AtOnce,
    AfterSendBroke,
    SendForbidden,
}

use Manner::{
    AfterInterim, AfterSendBroke, AtOnce, ByteByByte, CloseSaid, CloseUnsaid, Failing, Garbage,
    HalfHead, HalfHeadThenSilence, InChunks, LongBody, Mute, Prompt, Reset, ResetInBody,
    SendForbidden, ShortBody, Silent, Slow, Twice, UntilClose,
};

/// Each manner with the kind of trouble that it makes, if any.
const ALL: [(Manner, Option<&str>); 22] = [
    (Prompt, None),
    (Slow, None),
    (ByteByByte, None),
    (AfterInterim, None),
    (InChunks, None),
    (Failing, None),
    (CloseSaid, None),
    (CloseUnsaid, None),
    (UntilClose, None),
    (Silent, Some("wait_timeout")),
    (Mute, Some("wait_closed")),
    (Reset, Some("wait_reset")),
    (ResetInBody, Some("body_reset")),
    (HalfHead, Some("head_closed")),
    (HalfHeadThenSilence, Some("head_timeout")),
    (ShortBody, Some("body_closed")),
    (LongBody, None),
    (Garbage, Some("head_protocol_bad_status_line")),
    (Twice, None),
    (AtOnce, None),
    (AfterSendBroke, None),
    (SendForbidden, Some("send_forbidden")),
];

/// EPERM, as a packet filter makes it.
const NOT_PERMITTED: i32 = 1;

/// EPIPE.
const BROKEN_PIPE: i32 = 32;

const HALF_BODY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";

fn say(bytes: &[u8]) -> Act {
    Act::Say(bytes.to_vec())
}

fn acts(manner: Manner) -> Acts {
    let (soon, later) = (Nanos::from_micros(300), Nanos::from_micros(400));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let close = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    match manner {
        Prompt => vec![(soon, say(OK))],
        Slow => vec![(millis(30), say(OK))],
        ByteByByte => (300..).map(Nanos::from_micros).zip(OK.iter().map(|&b| say(&[b]))).collect(),
        AfterInterim => vec![(soon, say(b"HTTP/1.1 103 Early\r\n\r\n")), (later, say(OK))],
        InChunks => vec![(soon, say(&chunked[..50])), (later, say(&chunked[50..]))],
        Failing => vec![(soon, say(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))],
        CloseSaid => vec![(soon, say(close)), (later, Act::End)],
        CloseUnsaid => vec![(soon, say(OK)), (soon, Act::End)],
        UntilClose => vec![(soon, say(b"HTTP/1.1 200 OK\r\n\r\nok")), (later, Act::End)],
        Silent => Vec::new(),
        Mute => vec![(soon, Act::End)],
        Reset => vec![(soon, Act::Reset)],
        ResetInBody => vec![(soon, say(HALF_BODY)), (later, Act::Reset)],
        HalfHead => vec![(soon, say(b"HTTP/1.1 200 OK\r\nContent-")), (later, Act::End)],
        HalfHeadThenSilence => vec![(soon, say(b"HTTP/1.1 200 OK\r\nContent-"))],
        ShortBody => vec![(soon, say(HALF_BODY)), (later, Act::End)],
        LongBody => vec![(soon, say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok"))],
        Garbage => vec![(soon, say(b"SSH-2.0-OpenSSH_9.2\r\n"))],
        Twice => vec![(soon, say(&OK.repeat(2)))],
        AtOnce => vec![(Nanos::ZERO, say(OK))],
        SendForbidden => vec![(Nanos::ZERO, Act::FailSend(NOT_PERMITTED))],
        AfterSendBroke => {
            vec![(Nanos::ZERO, Act::FailSend(BROKEN_PIPE)), (soon, say(OK)), (later, Act::End)]
        }
    }
}

fn hasty(mut plan: Plan) -> Plan {
    plan.timeouts.request = millis(50);
    plan.timeouts.connect = millis(50);
    plan
}

#[test]
fn every_kind_of_fault_is_counted_once_and_by_its_name() {
    for (manner, trouble) in ALL {
        for load in [closed(1), open(1_000)] {
            // Each third request meets the fault.
            let script =
                server(move |asked| acts(if asked.number % 3 == 2 { manner } else { Prompt }));
            let numbers = run(hasty(plan(&load, 4, requests(60))), script).numbers;
            let ledger = numbers.ledger;
            assert_eq!(ledger.scheduled, 60, "{manner:?}");
            if let Some(name) = trouble {
                let rows = numbers.errors.rows();
                assert_eq!(count(&numbers, name), 20, "{manner:?}, {load:?}: {rows:?}");
                assert_eq!((ledger.ok, ledger.errors + ledger.timeouts), (40, 20), "{manner:?}");
            } else if manner == Failing {
                assert_eq!((ledger.ok, ledger.failed), (40, 20));
            } else if manner != LongBody && manner != Twice {
                assert_eq!(ledger.ok, 60, "{manner:?}, {load:?}: {:?}", numbers.errors.rows());
            }
        }
    }
}

#[test]
fn bytes_that_nobody_asked_for_end_the_connection() {
    for manner in [LongBody, Twice] {
        let script = server(move |_| acts(manner));
        let ended = run(hasty(plan(&closed(1), 1, requests(5))), script);
        let name = "idle_protocol_unsolicited_bytes";
        assert_eq!(count(&ended.numbers, name), 5, "{:?}", ended.numbers.errors.rows());
        assert_eq!(ended.numbers.ledger.ok, 5);
        assert_eq!(ended.log.closed.len(), 5);
    }
}

#[test]
fn answers_in_one_segment_are_told_apart() {
    let ended = run(plan(&closed(8), 1, requests(800)), prompt(millis(1)));
    assert_eq!(ended.numbers.ledger.ok, 800);
    assert_eq!(ended.log.sent.len(), 100, "answered together, asked together");
}

/// What a request makes of its connection and of its response.
#[derive(Clone, Copy, Debug)]
struct Shape {
    method: &'static str,
    close: bool,
    body: usize,
}

impl Shape {
    fn request(self) -> Request {
        let mut request = Request::builder(self.method, "example.org", "/").unwrap();
        if self.close {
            request = request.field("Connection", "close").unwrap();
        }
        if self.body > 0 { request.body(vec![b'x'; self.body]).build() } else { request.build() }
    }

    /// The whole response to it, when all goes well.
    fn response(self) -> Vec<u8> {
        let len = if self.method == "HEAD" { OK.len() - 2 } else { OK.len() };
        OK[..len].to_vec()
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let body = prop_oneof![
        6 => Just(0),
        2 => 1_usize..8_000,
        // More than a batch may hold.
        1 => (1 << 20)..(1_usize << 21),
    ];
    let shape = (any::<bool>(), prop::bool::weighted(0.3), body);
    shape.prop_map(|(head, close, body)| {
        if head {
            Shape { method: "HEAD", close, body: 0 }
        } else {
            Shape { method: "POST", close, body }
        }
    })
}

#[derive(Clone, Debug)]
struct Run {
    shape: Shape,
    load: Load,
    connections: u32,
    limit: Limit,
    warmup: Nanos,
    drain: Nanos,
    manners: Vec<Manner>,
    /// Attempts to connect that are refused and ignored, of 16.
    refused: u64,
    ignored: u64,
    halt: Option<Halt>,
}

fn loads() -> impl Strategy<Value = Load> {
    prop_oneof![
        (1_u8..9).prop_map(closed),
        (1_u8..9, 200_u64..20_000).prop_map(|(depth, rate)| {
            let rate = Rate::new(rate, Nanos::from_secs(1)).unwrap();
            piped(rate, depth)
        }),
        (1_u8..9, prop::sample::select(timetables()))
            .prop_map(|(depth, timetable)| timed(timetable, depth)),
    ]
}

fn limits() -> impl Strategy<Value = Limit> {
    let length = (0_u64..400).prop_map(millis);
    prop_oneof![
        length.clone().prop_map(Limit::Duration),
        (1_u64..500).prop_map(requests),
        (length, 1_u64..500).prop_map(|(length, n)| Limit::Either(length, nonzero(n))),
    ]
}

prop_compose! {
    fn runs()(
        shape in shapes(),
        load in loads(),
        connections in 1_u32..9,
        limit in limits(),
        (warmup, drain) in (0_u64..100, 0_u64..200),
        manners in prop::collection::vec(prop::sample::select(&ALL[..]), 1..8),
        (refused, ignored) in (0_u64..6, 0_u64..3),
        halt in prop::option::weighted(0.3, (0_u64..400, 0_u64..100)),
    ) -> Run {
        Run {
            shape, load, connections, limit, refused, ignored,
            warmup: millis(warmup), drain: millis(drain),
            // Without a prompt answer now and then, a number of requests may take for ever.
            manners: manners.into_iter().map(|(manner, _)| manner).chain([Prompt]).collect(),
            halt: halt.map(|(at, patience)| Halt { at: millis(at), patience: millis(patience) }),
        }
    }
}

/// A number that looks random, the same every time.
fn scatter(n: u64) -> u64 {
    (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

proptest! {
    #[test]
    fn any_mixture_of_faults_leaves_the_ledger_balanced(case in runs()) {
        let Run { shape, manners, refused, ignored, halt, .. } = case.clone();
        let mut plan = hasty(plan(&case.load, case.connections, case.limit));
        (plan.stop.warmup, plan.stop.drain) = (case.warmup, case.drain);
        plan.work = Work::only(shape.request(), ExpectedStatus::default());
        let mut knocks = 0;
        let script = Script {
            door: Box::new(move |_, _| {
                knocks += 1;
                match scatter(knocks) % 16 {
                    n if n < refused => Door::Refuses(Nanos::from_micros(20)),
                    n if n < refused + ignored => Door::Ignores,
                    _ => Door::Opens(Nanos::from_micros(50)),
                }
            }),
            answer: Box::new(move |asked| {
                assert!(asked.nth == 0 || !shape.close, "a request after the last one");
                let choice = scatter(asked.number) % manners.len() as u64;
                match manners[usize::try_from(choice).unwrap()] {
                    Prompt => vec![(Nanos::from_micros(300), Act::Say(shape.response()))],
                    fault => acts(fault),
                }
            }),
            hear: None,
        };
        let part = split(&Arc::new(plan)).remove(0);
        let ended = run_shard(part, script, halt);
        let started = ended.opened.is_some_and(|opened| opened.open > 0);
        let exact = started && halt.is_none() && !ended.finished.target_lost;
        if let (true, Limit::Requests(n)) = (exact, case.limit) {
            prop_assert_eq!(ended.numbers.ledger.scheduled, n.get());
        }
    }
}
