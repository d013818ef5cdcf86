//! A connection without sockets: the load generator's own client at the other end, and for what
//! that one never does, frames by hand.

use core::num::NonZeroU16;

use pummel_engine::reactor::{Epoll, PAGE, Slot};
use pummel_engine::units::Nanos;
use pummel_proto_http::Request;
use pummel_proto_http::h2::frame::{
    ACK, END_HEADERS, END_STREAM, HEADER_BYTES, Header, Kind, PREFACE, write_header,
    write_rst_stream,
};
use pummel_proto_http::h2::{Conn as Client, Event, Rendered};

use super::super::conn::{Conn, Speaks};
use super::super::desk::{Answers, Desk, Timers};
use super::super::log::Log;
use super::super::model::{Faults, Model, Timing, Turn};
use super::super::reply::{Broken, Replies as Plain, Shape};
use super::super::request::Familiar;
use super::*;

const SLOT: Slot = Slot(0);

/// How a server is to be.
struct Set {
    shape: Shape,
    timing: Timing,
    faults: Faults,
    manners: Manners,
    close_after: u64,
}

impl Default for Set {
    fn default() -> Self {
        let broken = Broken::default();
        Self {
            shape: Shape {
                statuses: vec![200],
                body_bytes: 13,
                coded: None,
                chunked: false,
                location: None,
                broken,
            },
            timing: Timing::default(),
            faults: Faults::default(),
            manners: Manners { streams_max: 8, goaway_after: u64::MAX },
            close_after: u64::MAX,
        }
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_origin(1_000_000_000) + Nanos::from_millis(millis)
}

/// A server with one connection.
struct Server(Desk);

impl Server {
    fn new(set: &Set) -> Self {
        let mut reactor = Epoll::new(1).unwrap();
        Self(Desk {
            conns: vec![Conn::default()],
            answers: Answers {
                replies: Plain::publish(&mut reactor, &set.shape, false).unwrap(),
                model: Model::new(set.timing, set.faults, at(0), 0),
                drip: set.timing.drip,
                close_after: set.close_after,
            },
            frames: Replies::new(&set.shape),
            manners: set.manners,
            familiar: Familiar::default(),
            timers: Timers::new(),
            log: Log::default(),
        })
    }

    fn hear(&mut self, bytes: &[u8], now: Instant) {
        assert!(self.0.hear(SLOT, bytes, now));
    }

    /// What it says now, in pages of `room` bytes, and how it ends.
    fn say(&mut self, now: Instant, room: usize) -> (Vec<u8>, Option<Close>) {
        let mut said = Vec::new();
        loop {
            let mut page = Vec::new();
            let transmit = |served: &mut Served, clerk: &mut Clerk<'_>| {
                served.transmit(clerk, &mut page, room)
            };
            let end = self.0.with_frames(SLOT, now, now, transmit).flatten();
            assert!(page.len() <= room, "{} bytes", page.len());
            said.extend_from_slice(&page);
            if page.is_empty() || end.is_some() {
                return (said, end);
            }
        }
    }
}

/// What a client has seen of its requests, in order.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Status(u16),
    Body(usize),
    Done,
    Reset(u32),
    NotProcessed,
    GoAway(u32),
    Malformed,
}

struct Peer {
    client: Client,
    requests: Vec<Rendered>,
    seen: Vec<Seen>,
}

impl Peer {
    fn new(body_bytes: usize) -> Self {
        let request = Request::builder("POST", "a", "/").unwrap().body(vec![b'x'; body_bytes]);
        let requests = Rendered::set(&[&request.build()]).unwrap();
        let client = Client::new(NonZeroU16::new(100).unwrap());
        Self { client, requests, seen: Vec::new() }
    }

    fn ask(&mut self, count: usize) -> Vec<u8> {
        for _ in 0..count {
            self.client.start(0).unwrap();
        }
        self.says()
    }

    fn says(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.client.wants_transmit() {
            let before = out.len();
            self.client.transmit(&self.requests, &mut out, PAGE);
            if out.len() == before {
                break;
            }
        }
        out
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        while let Some(event) = self.client.receive(&mut bytes).unwrap() {
            self.seen.push(match event {
                Event::Settled | Event::Interim { .. } => continue,
                Event::Head { status, .. } => Seen::Status(status),
                Event::Body { bytes, .. } => Seen::Body(bytes.len()),
                Event::Done { .. } | Event::Whole { .. } => Seen::Done,
                Event::Reset { code, .. } => Seen::Reset(code),
                Event::Malformed { .. } => Seen::Malformed,
                Event::NotProcessed { .. } => Seen::NotProcessed,
                Event::GoAway { code } => Seen::GoAway(code),
            });
        }
    }

    fn count(&self, what: &Seen) -> usize {
        self.seen.iter().filter(|seen| *seen == what).count()
    }

    fn body_bytes(&self) -> usize {
        let bytes = |seen: &Seen| if let Seen::Body(bytes) = seen { *bytes } else { 0 };
        self.seen.iter().map(bytes).sum()
    }
}

/// Both talk until neither has anything to say at `now`; returns how the server ended it.
fn talk(server: &mut Server, peer: &mut Peer, now: Instant, room: usize) -> Option<Close> {
    for _ in 0..10_000 {
        let (said, end) = server.say(now, room);
        peer.hear(&said);
        let answer = peer.says();
        if end.is_some() || said.is_empty() && answer.is_empty() {
            return end;
        }
        server.hear(&answer, now);
    }
    panic!("they talk for ever");
}

#[test]
fn requests_of_many_streams_are_answered_however_they_are_cut() {
    for cut in [1, 7, 1_000_000] {
        let (mut server, mut peer) = (Server::new(&Set::default()), Peer::new(0));
        for _ in 0..50 {
            for part in peer.ask(8).chunks(cut) {
                server.hear(part, at(0));
            }
            assert_eq!(talk(&mut server, &mut peer, at(0), PAGE), None);
        }
        assert_eq!(peer.count(&Seen::Done), 400);
        assert_eq!(peer.count(&Seen::Body(13)), 400);
        let log = &server.0.log;
        assert_eq!((log.requests, log.responses[0], log.streams.opened), (400, 400, 400));
        assert_eq!((log.refused, log.protocols.http2, log.protocols.http1), (0, 1, 0));
    }
}

#[test]
fn long_bodies_go_both_ways_under_their_windows() {
    let shape = Shape { body_bytes: 3_000_000, ..Set::default().shape };
    let mut server = Server::new(&Set { shape, ..Set::default() });
    let mut peer = Peer::new(7_000_000);
    server.hear(&peer.ask(3), at(0));
    assert_eq!(talk(&mut server, &mut peer, at(0), PAGE), None);
    assert_eq!((peer.body_bytes(), peer.count(&Seen::Done)), (9_000_000, 3));
    assert_eq!(server.0.log.refused, 0);
}

#[test]
fn each_shape_arrives_whole_in_pages_of_any_size() {
    for (statuses, chunked) in [(vec![200], true), (vec![200, 204, 503], false)] {
        for room in [ROOM_BYTES_MIN, ROOM_BYTES_MIN + 1_500, PAGE] {
            let statuses = statuses.clone();
            let shape = Shape { statuses, chunked, body_bytes: 5_000, ..Set::default().shape };
            let mut server = Server::new(&Set { shape, ..Set::default() });
            let mut peer = Peer::new(0);
            server.hear(&peer.ask(6), at(0));
            talk(&mut server, &mut peer, at(0), room);
            let empty = peer.count(&Seen::Status(204));
            assert_eq!(empty, if chunked { 0 } else { 2 });
            assert_eq!(peer.body_bytes(), (6 - empty) * 5_000);
            assert_eq!(peer.count(&Seen::Done), 6);
        }
    }
}

#[test]
fn replies_leave_at_their_times_and_overtake_each_other() {
    let two = core::num::NonZeroU64::new(2).unwrap();
    let slow = super::super::model::Slow { turn: Turn::every(two), by: Nanos::from_millis(50) };
    let timing = Timing { delay: Nanos::from_millis(10), slow: Some(slow), ..Timing::default() };
    let mut server = Server::new(&Set { timing, ..Set::default() });
    let mut peer = Peer::new(0);
    server.hear(&peer.ask(4), at(0));
    for (now, done) in [(0, 0), (9, 0), (10, 2), (59, 2), (60, 4)] {
        talk(&mut server, &mut peer, at(now), PAGE);
        assert_eq!(peer.count(&Seen::Done), done, "after {now} ms");
    }
    assert!(server.0.timers.len() >= 4);
}

#[test]
fn a_dripping_body_leaves_in_ten_pieces() {
    let timing = Timing { drip: Nanos::from_millis(100), ..Timing::default() };
    let shape = Shape { body_bytes: 1_000, ..Set::default().shape };
    let mut server = Server::new(&Set { shape, timing, ..Set::default() });
    let mut peer = Peer::new(0);
    server.hear(&peer.ask(1), at(0));
    for now in 0..=100 {
        talk(&mut server, &mut peer, at(now), PAGE);
        assert_eq!(peer.body_bytes(), usize::try_from(now / 10).unwrap() * 100, "{now} ms");
    }
    assert_eq!(peer.count(&Seen::Done), 1);
}

#[test]
fn faults_have_their_turns_on_streams() {
    let every = |n| core::num::NonZeroU64::new(n).map(Turn::every);
    let faults = Faults {
        silent: every(5),
        stream_refused: every(2),
        stream_reset: every(3),
        ..Faults::default()
    };
    let mut server = Server::new(&Set { faults, ..Set::default() });
    let mut peer = Peer::new(0);
    server.hear(&peer.ask(8), at(0));
    assert_eq!(talk(&mut server, &mut peer, at(0), PAGE), None);
    // 2, 4, 6 and 8 are refused, 3 is reset, 5 is silent, 1 and 7 are answered.
    assert_eq!(peer.count(&Seen::Reset(0x7)), 4);
    assert_eq!(peer.count(&Seen::Reset(0x2)), 1);
    assert_eq!(peer.count(&Seen::Done), 2);
    assert_eq!(peer.client.outstanding(), 1);
    let streams = server.0.log.streams;
    assert_eq!((streams.refused, streams.reset, server.0.log.silent), (4, 1, 1));
}

#[test]
fn a_client_is_asked_to_go_and_what_comes_later_is_not_processed() {
    for closes in [false, true] {
        let set = if closes {
            Set { close_after: 3, ..Set::default() }
        } else {
            let manners = Manners { goaway_after: 3, ..Set::default().manners };
            Set { manners, ..Set::default() }
        };
        let (mut server, mut peer) = (Server::new(&set), Peer::new(0));
        server.hear(&peer.ask(5), at(0));
        let end = talk(&mut server, &mut peer, at(0), PAGE);
        assert_eq!(end, closes.then_some(Close::Finish));
        assert_eq!(peer.count(&Seen::GoAway(0)), 1);
        assert_eq!(peer.count(&Seen::Done), 3);
        assert_eq!(peer.count(&Seen::NotProcessed), 2);
        assert_eq!((server.0.log.requests, server.0.log.streams.goaways), (3, 1));
    }
}

#[test]
fn a_request_whose_body_is_under_way_is_taken_to_its_end_before_the_connection_goes() {
    let request = |body| Request::builder("POST", "a", "/").unwrap().body(vec![b'x'; body]).build();
    let mut peer = Peer::new(0);
    // The first is longer than the client's first window, so that the second overtakes it.
    peer.requests = Rendered::set(&[&request(200_000), &request(0)]).unwrap();
    let mut server = Server::new(&Set { close_after: 2, ..Set::default() });
    for which in [0, 1] {
        peer.client.start(which).unwrap();
    }
    server.hear(&peer.says(), at(0));
    assert_eq!(talk(&mut server, &mut peer, at(0), PAGE), Some(Close::Finish));
    assert_eq!((peer.count(&Seen::Done), peer.count(&Seen::GoAway(0))), (2, 1));
    assert_eq!((server.0.log.requests, server.0.log.responses[0]), (2, 2));
}

#[test]
fn broken_replies_are_broken_and_cut_ones_end_with_a_reset() {
    let faults = |reset| {
        let turn = Some(Turn::every(core::num::NonZeroU64::MIN));
        if reset {
            Faults { reset: turn, ..Faults::default() }
        } else {
            Faults { broken: turn, ..Faults::default() }
        }
    };
    let ask = |broken, reset| {
        let shape = Shape { broken, ..Set::default().shape };
        let mut server = Server::new(&Set { shape, faults: faults(reset), ..Set::default() });
        let mut peer = Peer::new(0);
        server.hear(&peer.ask(1), at(0));
        let (said, end) = server.say(at(0), PAGE);
        let mut input = &said[..];
        let mut failed = None;
        while failed.is_none() {
            match peer.client.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(event)) => peer.seen.push(match event {
                    Event::Body { bytes, .. } => Seen::Body(bytes.len()),
                    Event::Malformed { .. } => Seen::Malformed,
                    _ => continue,
                }),
                Err(error) => failed = Some(error),
            }
        }
        (peer, failed.is_some(), end)
    };
    let (peer, _, end) = ask(Broken::Garbage, true);
    assert_eq!((peer.body_bytes(), end), (6, Some(Close::Reset)));
    let (_, failed, end) = ask(Broken::Garbage, false);
    assert_eq!((failed, end), (true, Some(Close::Finish)));
    let (peer, failed, end) = ask(Broken::HalfHead, false);
    assert_eq!((peer.client.outstanding(), failed, end), (1, false, Some(Close::Finish)));
    let (peer, failed, end) = ask(Broken::WrongLength, false);
    assert_eq!((peer.count(&Seen::Malformed), failed, end), (1, false, None));
}

/// A server that has heard a preface, settings and then `frames`; returns what it says.
fn said_to(frames: &[u8]) -> (Vec<u8>, Option<Close>, Log) {
    let mut server = Server::new(&Set::default());
    let mut bytes = PREFACE.to_vec();
    write_settings(&mut bytes, &[]);
    bytes.extend_from_slice(frames);
    server.hear(&bytes, at(0));
    let (said, end) = server.say(at(0), PAGE);
    (said, end, server.0.log)
}

fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = u32::try_from(payload.len()).unwrap();
    write_header(&mut bytes, Header { length, kind, flags, stream });
    bytes.extend_from_slice(payload);
    bytes
}

/// The kinds of frames in `bytes`, with their streams and the code of those that have one.
fn kinds(mut bytes: &[u8]) -> Vec<(Kind, u32, Option<u32>)> {
    let mut kinds = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
        let header = Header::parse(header);
        let payload = &bytes[HEADER_BYTES..HEADER_BYTES + header.length as usize];
        let code = match header.kind {
            Kind::GoAway => Some(frame::goaway(payload).unwrap().1),
            Kind::RstStream => Some(frame::rst_stream(payload).unwrap()),
            _ => None,
        };
        kinds.push((header.kind, header.stream, code));
        bytes = &bytes[HEADER_BYTES + header.length as usize..];
    }
    kinds
}

/// A request: `:method` GET, `:scheme` http, `:path` /, all of the static table.
const GET: [u8; 3] = [0x82, 0x86, 0x84];

#[test]
fn what_breaks_a_rule_of_the_connection_ends_it_with_its_code() {
    let get = |stream, flags| frame(Kind::Headers, flags, stream, &GET);
    let whole = END_HEADERS | END_STREAM;
    let update = |stream, bytes: u32| frame(Kind::WindowUpdate, 0, stream, &bytes.to_be_bytes());
    let settings = |id: u8, value: u32| {
        frame(Kind::Settings, 0, 0, &[&[0, id][..], &value.to_be_bytes()].concat())
    };
    let cases: [(Vec<u8>, Code); 19] = [
        (get(2, whole), Code::ProtocolError),
        (get(0, whole), Code::ProtocolError),
        ([get(1, END_STREAM), get(3, whole)].concat(), Code::ProtocolError),
        ([get(1, whole), frame(Kind::Data, 0, 1, &[])].concat(), Code::StreamClosed),
        (frame(Kind::Headers, whole, 1, &[0x80]), Code::CompressionError),
        (frame(Kind::Continuation, END_HEADERS, 1, &GET), Code::ProtocolError),
        ([get(1, 0), frame(Kind::Continuation, 0, 1, &[])].concat(), Code::EnhanceYourCalm),
        (frame(Kind::Data, 0, 1, &[]), Code::ProtocolError),
        (frame(Kind::Data, 0, 0, &[]), Code::ProtocolError),
        (frame(Kind::PushPromise, 0, 1, &[]), Code::ProtocolError),
        (frame(Kind::Ping, 0, 0, &[0; 7]), Code::FrameSizeError),
        (frame(Kind::Ping, 0, 1, &[0; 8]), Code::ProtocolError),
        (frame(Kind::Settings, 0, 0, &[0; 5]), Code::FrameSizeError),
        (frame(Kind::Settings, ACK, 0, &[0; 6]), Code::FrameSizeError),
        (settings(4, 1 << 31), Code::FlowControlError),
        (settings(5, 100), Code::ProtocolError),
        (update(0, 0), Code::ProtocolError),
        (update(0, u32::MAX), Code::FlowControlError),
        (vec![0xff; 9], Code::FrameSizeError),
    ];
    for (place, (frames, code)) in cases.into_iter().enumerate() {
        let (said, end, log) = said_to(&frames);
        let last = kinds(&said).pop().unwrap();
        assert_eq!(last, (Kind::GoAway, 0, Some(code as u32)), "case {place}");
        assert_eq!((end, log.refused), (Some(Close::Finish), 1), "case {place}");
    }
}

#[test]
fn what_breaks_a_rule_of_a_stream_ends_the_stream_alone() {
    let open = |payload: &[u8]| frame(Kind::Headers, END_HEADERS, 1, payload);
    let length = [&GET[..], &[0x0f, 0x0d, 1, b'3']].concat();
    let data = |flags, bytes: &[u8]| frame(Kind::Data, flags, 1, bytes);
    for frames in [
        open(&[0x82, 0x86]),
        [open(&length), data(0, b"1234")].concat(),
        [open(&length), data(END_STREAM, b"12")].concat(),
        [open(&GET), open(&GET)].concat(),
    ] {
        let more = [frames, frame(Kind::Headers, END_HEADERS | END_STREAM, 3, &GET)].concat();
        let (said, end, log) = said_to(&more);
        let kinds = kinds(&said);
        let reset = (Kind::RstStream, 1, Some(Code::ProtocolError as u32));
        assert!(kinds.contains(&reset), "{kinds:?}");
        assert!(kinds.contains(&(Kind::Data, 3, None)), "{kinds:?}");
        assert_eq!((end, log.refused, log.requests), (None, 1, 1));
    }
}

#[test]
fn more_streams_than_announced_are_refused_and_a_cancelled_one_makes_room() {
    let never = Turn::every(core::num::NonZeroU64::MIN);
    let faults = Faults { silent: Some(never), ..Faults::default() };
    let mut server = Server::new(&Set { faults, ..Set::default() });
    let mut bytes = PREFACE.to_vec();
    write_settings(&mut bytes, &[]);
    let whole = END_HEADERS | END_STREAM;
    for stream in 0..9 {
        bytes.extend(frame(Kind::Headers, whole, 2 * stream + 1, &GET));
    }
    server.hear(&bytes, at(0));
    let refused = |said: &[u8]| {
        let code = Some(Code::RefusedStream as u32);
        kinds(said).iter().filter(|(_, _, found)| *found == code).count()
    };
    assert_eq!(refused(&server.say(at(0), PAGE).0), 1);
    let mut bytes = Vec::new();
    write_rst_stream(&mut bytes, 5, Code::Cancel);
    bytes.extend(frame(Kind::Headers, whole, 101, &GET));
    server.hear(&bytes, at(0));
    assert_eq!(refused(&server.say(at(0), PAGE).0), 0);
    assert_eq!((server.0.log.streams.cancelled, server.0.log.streams.opened), (1, 9));
}

#[test]
fn a_flood_of_what_has_to_be_answered_is_refused() {
    let (said, end, _) = said_to(&frame(Kind::Ping, 0, 0, &[7; 8]).repeat(2_000));
    let last = kinds(&said).pop().unwrap();
    assert_eq!(last, (Kind::GoAway, 0, Some(Code::EnhanceYourCalm as u32)));
    assert_eq!(end, Some(Close::Finish));
}

#[test]
fn a_small_table_and_small_windows_are_kept_to() {
    for table in [0, 40, 4_096] {
        let mut server = Server::new(&Set::default());
        let mut bytes = PREFACE.to_vec();
        let settings = [(Setting::HeaderTableSize, table), (Setting::InitialWindowSize, 5)];
        write_settings(&mut bytes, &settings);
        bytes.extend(frame(Kind::Headers, END_HEADERS | END_STREAM, 1, &GET));
        server.hear(&bytes, at(0));
        let mut decoder = pummel_proto_http::h2::hpack::Decoder::new(table);
        let mut content = Vec::new();
        for more in 0..4_u32 {
            let (said, _) = server.say(at(0), PAGE);
            let mut rest = &said[..];
            while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
                let header = Header::parse(header);
                let (payload, after) = rest[HEADER_BYTES..].split_at(header.length as usize);
                match header.kind {
                    Kind::Headers => {
                        // RFC 7541 section 4.2: a lowered limit is followed at once, by a size.
                        assert_eq!(payload[0] & 0xe0 == 0x20, table < 4_096);
                        decoder.decode(payload, 1_000, |_, _| ()).unwrap();
                    }
                    Kind::Data => content.extend_from_slice(payload),
                    _ => {}
                }
                rest = after;
            }
            assert_eq!(content.len(), 13.min(5 + 3 * more as usize));
            let update = frame(Kind::WindowUpdate, 0, 1, &3_u32.to_be_bytes());
            server.hear(&update, at(0));
        }
        assert_eq!(content, b"hello, world\n");
    }
}

#[test]
fn a_table_that_shrinks_is_entered_anew() {
    let mut server = Server::new(&Set::default());
    let whole = END_HEADERS | END_STREAM;
    let mut decoder = pummel_proto_http::h2::hpack::Decoder::new(4_096);
    let mut bytes = PREFACE.to_vec();
    let mut lengths = Vec::new();
    // Nothing is held at 0, nor at 40; what was entered before does not come back with the room.
    for (number, table) in (0..).zip([4_096, 4_096, 0, 40, 4_096, 4_096]) {
        write_settings(&mut bytes, &[(Setting::HeaderTableSize, table)]);
        bytes.extend(frame(Kind::Headers, whole, 2 * number + 1, &GET));
        server.hear(&bytes, at(0));
        bytes.clear();
        let (said, _) = server.say(at(0), PAGE);
        let mut rest = &said[..];
        while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
            let header = Header::parse(header);
            let (payload, after) = rest[HEADER_BYTES..].split_at(header.length as usize);
            if header.kind == Kind::Headers {
                let mut fields = 0;
                decoder.decode(payload, 1_000, |_, _| fields += 1).unwrap();
                assert_eq!(fields, 3);
                lengths.push(payload.len());
            }
            rest = after;
        }
    }
    assert_eq!(lengths[0], lengths[4] - 3, "a size of 4,096 takes three bytes");
    assert_eq!((lengths[1], lengths[5]), (3, 3));
    assert!(lengths[2] > 10 && lengths[3] > 10);
}

#[test]
fn no_more_is_sent_than_the_window_of_the_connection_has() {
    let shape = Shape { body_bytes: 50_000, ..Set::default().shape };
    let mut server = Server::new(&Set { shape, ..Set::default() });
    let mut bytes = PREFACE.to_vec();
    write_settings(&mut bytes, &[(Setting::InitialWindowSize, 1 << 20)]);
    for stream in [1, 3, 5] {
        bytes.extend(frame(Kind::Headers, END_HEADERS | END_STREAM, stream, &GET));
    }
    let mut sent = 0;
    for (update, expected) in [(1_u32, 65_536), (10_000, 75_536), (100_000, 150_000)] {
        bytes.extend(frame(Kind::WindowUpdate, 0, 0, &update.to_be_bytes()));
        server.hear(&bytes, at(0));
        bytes.clear();
        let (said, _) = server.say(at(0), PAGE);
        let mut rest = &said[..];
        while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
            let header = Header::parse(header);
            sent += if header.kind == Kind::Data { header.length } else { 0 };
            rest = &rest[HEADER_BYTES + header.length as usize..];
        }
        assert_eq!(sent, expected);
    }
    assert_eq!(server.0.log.responses[0], 3);
}

#[test]
fn the_first_bytes_tell_what_is_spoken() {
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    for cut in 1..5 {
        let mut server = Server::new(&Set::default());
        server.hear(&request[..cut], at(0));
        server.hear(&request[cut..], at(0));
        assert_eq!((server.0.log.requests, server.0.log.refused), (1, 0), "{cut}");
        assert!(matches!(server.0.conns[0].speaks, Speaks::Http1));
        let mut server = Server::new(&Set::default());
        server.hear(&PREFACE[..cut], at(0));
        server.hear(&PREFACE[cut..], at(0));
        assert!(matches!(server.0.conns[0].speaks, Speaks::Http2(_)), "{cut}");
        assert_eq!(server.0.log.refused, 0, "{cut}");
    }
}

#[test]
fn whatever_comes_does_no_harm() {
    // A generator of bytes that is the same each time; frames that make some sense come first.
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    for _ in 0..2_000 {
        let mut server = Server::new(&Set::default());
        let mut bytes = PREFACE.to_vec();
        write_settings(&mut bytes, &[]);
        for _ in 0..8 {
            let payload: Vec<u8> = (0..random() % 24).map(|_| random()).collect();
            let mut frame = frame(Kind::Data, random() & 0x2d, u32::from(random() % 6), &payload);
            frame[3] = random() % 11;
            bytes.extend(frame);
        }
        for part in bytes.chunks(usize::from(random()) + 1) {
            server.hear(part, at(0));
        }
        server.say(at(0), PAGE);
    }
}
