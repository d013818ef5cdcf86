//! Clause by clause: what RFC 9113 wants of a client, from the bytes of a scripted peer.

use super::flow::WINDOW_MAX;
use super::frame::{
    self, ACK, Code, END_HEADERS, END_STREAM as END, Header, Kind, PADDED, PREFACE, PRIORITY,
    Setting,
};
use super::hpack::{Block, Decoder, Field, Form};
use super::*;
use crate::Request;
use crate::fuzz::h2::{BODY_BYTES, GET, HEAD, POST, Transcript, requests, say};
use crate::limits::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

/// A connection and its requests.
struct Fixture {
    conn: Conn,
    requests: Vec<Rendered>,
}

impl Fixture {
    fn new(streams: u16) -> Self {
        Self { conn: Conn::new(NonZeroU16::new(streams).unwrap()), requests: requests() }
    }

    /// One that has read the peer's settings, and has written these requests.
    fn with(requests: &[u16]) -> Self {
        let mut fixture = Self::new(100);
        assert_eq!(fixture.hear(&settings(&[])), "settled");
        fixture.start(requests);
        fixture
    }

    fn start(&mut self, requests: &[u16]) -> Vec<u8> {
        for request in requests {
            self.conn.start(*request).unwrap();
        }
        self.say()
    }

    /// What the connection writes.
    fn say(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        say(&mut self.conn, &self.requests, &mut out);
        out
    }

    /// The frames that the connection writes.
    fn say_frames(&mut self) -> Vec<(Header, Vec<u8>)> {
        frames(&self.say())
    }

    /// What the connection makes of `bytes`, in one line.
    fn hear(&mut self, bytes: &[u8]) -> String {
        let mut transcript = Transcript::default();
        transcript.receive(&mut self.conn, bytes);
        transcript.to_string()
    }
}

/// The body of a request without values.
fn body_of(request: &Rendered) -> Vec<u8> {
    let (body, mut out) = (request.body(None), Vec::new());
    body.append(body.length(), body.length() as usize, &mut out);
    out
}

/// Takes a stream of bytes apart, without the preface.
fn frames(bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk() {
        let header = Header::parse(header);
        let (payload, after) = after.split_at(header.length as usize);
        frames.push((header, payload.to_vec()));
        rest = after;
    }
    assert!(rest.is_empty());
    frames
}

/// A frame with this payload.
fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut out = Header { length, kind, flags, stream }.bytes().to_vec();
    out.extend_from_slice(payload);
    out
}

fn settings(values: &[(Setting, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_settings(&mut out, values);
    out
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<Field<'_>> = fields
        .iter()
        .map(|(name, value)| Field::fixed(name.as_bytes(), value.as_bytes()))
        .collect();
    let mut out = Vec::new();
    Block::new(&fields).write(Form::Plain, &[], &mut out);
    out
}

/// `HEADERS` of one frame.
fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(Kind::Headers, flags | END_HEADERS, stream, &block(fields))
}

fn data(stream: u32, flags: u8, content: &[u8]) -> Vec<u8> {
    frame(Kind::Data, flags, stream, content)
}

fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_window_update(&mut out, stream, increment);
    out
}

fn reset(stream: u32, code: Code) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_rst_stream(&mut out, stream, code);
    out
}

fn goaway(last: u32, code: Code) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_goaway(&mut out, last, code);
    out
}

/// The `RST_STREAM`s and `GOAWAY`s among frames, as streams and codes.
fn verdicts(frames: &[(Header, Vec<u8>)]) -> Vec<(u32, u32)> {
    let code = |header: &Header, payload: &[u8]| match header.kind {
        Kind::RstStream => Some((header.stream, frame::rst_stream(payload).unwrap())),
        Kind::GoAway => Some((0, frame::goaway(payload).unwrap().1)),
        _ => None,
    };
    frames.iter().filter_map(|(header, payload)| code(header, payload)).collect()
}

const OK: &[(&str, &str)] = &[(":status", "200"), ("server", "x")];

/// Reads `bytes` as the answer to `requests`, whole, byte by byte and without being told of its
/// content, and compares with the line that a [`Transcript`] makes of it.
#[track_caller]
fn check(requests: &[u16], bytes: &[u8], expected: &str) {
    assert_eq!(Fixture::with(requests).hear(bytes), expected);
    let (mut fixture, mut bytewise) = (Fixture::with(requests), Transcript::default());
    bytes.chunks(1).for_each(|byte| bytewise.receive(&mut fixture.conn, byte));
    assert_eq!(bytewise.to_string(), expected, "byte by byte");
    let mut fixture = Fixture::with(requests);
    fixture.conn.tell_content(false);
    let heard = fixture.hear(bytes);
    let told = expected.split(' ').filter(|word| !word.contains('"'));
    assert_eq!(by_request(heard.split(' ')), by_request(told), "without content");
}

/// The words about each request, whose number stands before them, and about none.
fn by_request<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut words: Vec<&str> = words.collect();
    words.sort_by_key(|word| word.split_once(':').map(|(number, _)| number));
    words
}

/// Reads `bytes` as the answer to one `GET`, and compares the error and the code of the `GOAWAY`
/// that follows.
#[track_caller]
fn check_error(bytes: &[u8], kind: ErrorKind, code: Code) {
    check(&[GET], bytes, &format!("!{}", kind.name()));
    let mut fixture = Fixture::with(&[GET]);
    fixture.hear(bytes);
    assert_eq!(verdicts(&fixture.say_frames()), [(0, code as u32)]);
    assert!(!fixture.conn.wants_transmit());
    assert_eq!(fixture.conn.start(GET), Err(StartError::Closing));
}

/// Reads `bytes` as the answer to one `GET`: the stream is reset for `kind`, with `code`, and the
/// connection serves on.
#[track_caller]
fn check_malformed(bytes: &[u8], kind: ErrorKind, code: Code) {
    check(&[GET], bytes, &format!("0:{}", kind.name()));
    let mut fixture = Fixture::with(&[GET]);
    fixture.hear(bytes);
    assert_eq!(verdicts(&fixture.say_frames()), [(1, code as u32)]);
    fixture.start(&[GET]);
    assert_eq!(fixture.hear(&headers(3, END, OK)), "1:200 1:done");
}

#[test]
fn a_get_is_written_and_answered() {
    let mut fixture = Fixture::new(100);
    assert_eq!(fixture.conn.start(GET), Ok(Tag(0)));
    let said = fixture.say();
    assert!(said.starts_with(PREFACE));
    assert!(!fixture.conn.wants_transmit());
    let answer = [settings(&[]), headers(1, 0, OK), data(1, END, b"hello")].concat();
    assert_eq!(fixture.hear(&answer), "settled 0:200 0:\"hello\" 0:done");
    assert_eq!(fixture.say(), frame(Kind::Settings, ACK, 0, &[]));
    assert_eq!(fixture.conn.outstanding(), 0);
    assert_eq!(fixture.conn.capacity(), 100);
}

// RFC 9113 section 3.4: the preface is followed by SETTINGS; requests need not wait for the peer's.
#[test]
fn the_first_bytes_are_preface_settings_window_and_request() {
    let mut fixture = Fixture::new(1);
    let said = fixture.start(&[GET]);
    assert_eq!(&said[..24], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let frames = frames(&said);
    let kinds: Vec<Kind> = frames.iter().map(|(header, _)| header.kind).collect();
    assert_eq!(kinds, [Kind::Settings, Kind::WindowUpdate, Kind::Headers]);
    let values: Vec<_> = frame::settings(&frames[0].1).unwrap().collect();
    assert!(values.contains(&(Setting::EnablePush, 0)));
    assert!(values.contains(&(Setting::InitialWindowSize, WINDOW_MAX)));
    assert!(values.contains(&(Setting::MaxHeaderListSize, H2_BLOCK_BYTES_MAX)));
    assert_eq!(frame::window_update(&frames[1].1), Ok(WINDOW_MAX - WINDOW_DEFAULT));
    assert!(frames[2].0.has(END_HEADERS | END));
    assert_eq!(frames[2].0.stream, 1);
}

// RFC 7540 section 3.2.1: base64url of the payload of SETTINGS.
#[test]
fn the_settings_of_an_upgrade_are_those_of_the_preface() {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (_, payload) = frames(&Fixture::new(1).say()).remove(0);
    let text: Vec<u8> = payload
        .chunks(3)
        .flat_map(|chunk| {
            let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            [18, 12, 6, 0].map(|shift| DIGITS[bits >> shift & 63])
        })
        .collect();
    assert_eq!(text, UPGRADE_SETTINGS.as_bytes());
}

// RFC 7540 section 3.2: the response to the upgraded request comes on stream 1.
#[test]
fn the_response_to_an_upgrade_is_dropped() {
    let mut fixture = Fixture::new(2);
    fixture.conn = Conn::upgraded(NonZeroU16::new(2).unwrap());
    // It takes no place from those that were asked for.
    assert_eq!((fixture.conn.outstanding(), fixture.conn.capacity()), (0, 2));
    assert_eq!(fixture.conn.tags().count(), 0);
    assert_eq!(fixture.conn.start(GET), Ok(Tag(1)));
    let said = frames(&fixture.say());
    assert_eq!(said.last().unwrap().0.stream, 3);
    let answer = [settings(&[]), headers(1, END, OK), headers(3, END, OK)];
    assert_eq!(fixture.hear(&answer.concat()), "settled 1:200 1:done");
    assert_eq!((fixture.conn.outstanding(), fixture.conn.capacity()), (0, 2));
}

// RFC 9113 section 3.4: the server's preface is SETTINGS.
#[test]
fn a_peer_that_speaks_something_else_is_told_apart() {
    let first = |bytes: &[u8]| {
        let mut fixture = Fixture::new(1);
        fixture.start(&[GET]);
        let heard = fixture.hear(bytes);
        let understood = heard == "settled";
        assert_eq!(fixture.conn.wants_transmit(), understood, "only a peer that understands");
        heard
    };
    assert_eq!(first(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "!not_http2_http1");
    assert_eq!(first(b"SSH-2.0-OpenSSH_9.2"), "!not_http2");
    assert_eq!(first(&headers(1, END, OK)), "!not_http2");
    assert_eq!(first(&frame(Kind::Settings, ACK, 0, &[])), "!not_http2");
    assert_eq!(first(&frame(Kind::Settings, 0, 1, &[])), "!not_http2");
    assert_eq!(first(&frame(Kind::Settings, 0, 0, &[0; 5])), "!not_http2");
    // An alert is shorter than the header of a frame.
    assert_eq!(first(&[0x15, 3, 3, 0, 2, 2, 70]), "!not_http2_tls");
    assert_eq!(first(&[0x15, 3, 1, 0, 2, 2, 70, 0, 0]), "!not_http2_tls");
    assert_eq!(first(&[0x15, 3, 5, 0, 2, 2, 70, 0, 0]), "!not_http2");
    assert_eq!(first(&settings(&[])), "settled");
}

// RFC 9113 section 4.1: the reserved bit is ignored, and so are unknown flags and types (5.5).
#[test]
fn what_is_not_defined_is_ignored() {
    let mut answer = headers(1, 0, OK);
    answer[4] |= 0x50;
    answer[5] |= 0x80;
    answer.extend([&[0, 0, 3, 0xb7, 0xff, 0, 0, 0, 9][..], b"abc"].concat());
    answer.extend([&[0, 0, 0, 0xfe, 0, 0, 0, 0, 0][..], &data(1, END, b"x")].concat());
    check(&[GET], &answer, "0:200 0:\"x\" 0:done");
    check(&[GET], &settings_raw(&[(0xf000, 7)]), "");
}

fn settings_raw(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(Kind::Settings, 0, 0, &payload)
}

// RFC 9113 section 4.2: a frame that is too large, or has not the size of its type.
#[test]
fn frames_of_the_wrong_size_end_the_connection() {
    let too_large = frame(Kind::Data, 0, 1, &vec![0; 16_385]);
    check_error(&too_large, ErrorKind::H2FrameTooLarge, Code::FrameSizeError);
    let largest = [headers(1, 0, OK), data(1, END, &vec![b'x'; 16_384])].concat();
    assert!(Fixture::with(&[GET]).hear(&largest).ends_with(" 0:done"));
    for wrong in [
        frame(Kind::RstStream, 0, 1, &[0; 3]),
        frame(Kind::RstStream, 0, 1, &[0; 5]),
        frame(Kind::Settings, 0, 0, &[0; 7]),
        frame(Kind::Settings, ACK, 0, &[0; 6]),
        frame(Kind::Ping, 0, 0, &[0; 7]),
        frame(Kind::GoAway, 0, 0, &[0; 7]),
        frame(Kind::WindowUpdate, 0, 0, &[0; 5]),
        frame(Kind::Data, PADDED, 1, &[]),
        frame(Kind::Headers, PADDED | END_HEADERS, 1, &[]),
        frame(Kind::Headers, PRIORITY | END_HEADERS, 1, &[0; 4]),
    ] {
        check_error(&wrong, ErrorKind::H2FrameSize, Code::FrameSizeError);
    }
}

// RFC 9113 section 4.3: a block that cannot be decoded leaves the table in doubt.
#[test]
fn a_block_that_cannot_be_decoded_ends_the_connection() {
    let wrong = frame(Kind::Headers, END_HEADERS, 1, &[0xff, 0x80, 0x01]);
    check_error(&wrong, ErrorKind::HpackBadIndex, Code::CompressionError);
    let late = [&headers(1, END, OK)[..], &wrong].concat();
    check(&[GET], &late, "0:200 0:done !hpack_bad_index");
}

// RFC 9113 section 5.1: streams that are idle, or that only a server could have opened.
#[test]
fn frames_on_streams_that_never_were_end_the_connection() {
    for stream in [0, 2, 3, 0x7fff_ffff] {
        for wrong in
            [headers(stream, END, OK), data(stream, END, b"x"), reset(stream, Code::Cancel)]
        {
            check_error(&wrong, ErrorKind::H2BadStream, Code::ProtocolError);
        }
        let part = frame(Kind::Headers, 0, stream, &block(OK));
        check_error(&part, ErrorKind::H2BadStream, Code::ProtocolError);
    }
    for stream in [2, 3] {
        check_error(&window_update(stream, 1), ErrorKind::H2BadStream, Code::ProtocolError);
    }
    // RFC 9113 sections 6.3, 6.5, 6.7 and 6.8: which are of a stream, and which of the connection.
    for wrong in [
        frame(Kind::Priority, 0, 0, &[0; 5]),
        frame(Kind::Settings, 0, 1, &[]),
        frame(Kind::Ping, 0, 1, &[0; 8]),
        frame(Kind::GoAway, 0, 1, &[0; 8]),
    ] {
        check_error(&wrong, ErrorKind::H2BadStream, Code::ProtocolError);
    }
    // One that is queued is idle to the peer.
    let mut fixture = Fixture::with(&[]);
    fixture.conn.start(GET).unwrap();
    assert_eq!(fixture.hear(&headers(1, END, OK)), "!h2_bad_stream");
}

// RFC 9113 section 5.1: frames that were under way when a stream was reset are put up with.
#[test]
fn what_comes_for_a_cancelled_request_is_ignored_and_still_decoded() {
    let mut fixture = Fixture::with(&[GET, GET]);
    fixture.conn.cancel(Tag(0));
    assert_eq!(fixture.conn.phase(Tag(0)), Phase::Idle);
    assert_eq!(verdicts(&fixture.say_frames()), [(1, Code::Cancel as u32)]);
    // The late head enters a field into the table that the next one refers to.
    let (mut first, mut indexed) = (Vec::new(), Vec::new());
    let fields = [(":status", "200"), ("x-a", "b")];
    let block = Block::new(&fields.map(|(n, v)| Field::fixed(n.as_bytes(), v.as_bytes())));
    block.write(Form::First, &[], &mut first);
    block.write(Form::Indexed, &[], &mut indexed);
    let late = [
        frame(Kind::Headers, END_HEADERS, 1, &first),
        data(1, END, b"late"),
        frame(Kind::Headers, END_HEADERS | END, 3, &indexed),
    ];
    assert_eq!(fixture.hear(&late.concat()), "1:200 1:done");
    assert!(verdicts(&fixture.say_frames()).is_empty(), "once is enough");
    assert_eq!(fixture.conn.receive_window.refill(), 4, "all DATA counts for the connection");
}

#[test]
fn a_request_may_be_cancelled_within_a_frame() {
    for cut in 0..30 {
        let mut fixture = Fixture::with(&[GET, GET]);
        let answer = [headers(1, 0, OK), data(1, END, b"0123456789")].concat();
        let (front, back) = answer.split_at(cut.min(answer.len()));
        fixture.hear(front);
        fixture.conn.cancel(Tag(0));
        fixture.say();
        assert_eq!(fixture.hear(back), "", "{cut}");
        assert_eq!(fixture.hear(&headers(3, END, OK)), "1:200 1:done", "{cut}");
    }
}

#[test]
fn a_request_that_was_not_written_is_cancelled_in_silence() {
    let mut fixture = Fixture::with(&[]);
    let tag = fixture.conn.start(GET).unwrap();
    fixture.conn.cancel(tag);
    fixture.conn.cancel(tag);
    assert_eq!(fixture.say(), b"");
    assert_eq!(fixture.conn.outstanding(), 0);
    let said = frames(&fixture.start(&[GET]));
    assert_eq!(said[0].0.stream, 3, "its identifier is skipped");
    assert_eq!(fixture.hear(&data(1, 0, b"x")), "", "and counts as ended");
}

// RFC 9113 section 5.1: as many as may be under way, and no more.
#[test]
fn what_comes_for_a_cancelled_request_is_bounded() {
    let mut fixture = Fixture::with(&[GET]);
    fixture.conn.cancel(Tag(0));
    let late = data(1, 0, &[0; 16_384]);
    for _ in 0..u64::from(H2_LATE_FRAMES_MIN) + H2_LATE_BYTES_PER_CANCEL / late.len() as u64 {
        assert_eq!(fixture.hear(&late), "");
    }
    assert_eq!(fixture.hear(&late), "!h2_stream_closed");
}

// RFC 9113 section 5.1: frames on a stream that the peer itself has ended.
#[test]
fn a_peer_that_goes_on_after_the_end_is_cut_off() {
    let mut fixture = Fixture::with(&[GET]);
    fixture.hear(&headers(1, END, OK));
    for _ in 0..H2_LATE_FRAMES_MIN {
        assert_eq!(fixture.hear(&data(1, 0, b"more")), "");
    }
    assert_eq!(fixture.hear(&data(1, 0, b"more")), "!h2_stream_closed");
    assert_eq!(verdicts(&fixture.say_frames()), [(0, Code::StreamClosed as u32)]);
    // RFC 9113 section 5.1: these may come for a while.
    let harmless = [headers(1, END, OK), window_update(1, 1), reset(1, Code::NoError)].concat();
    check(&[GET], &harmless, "0:200 0:done");
}

// RFC 9113 section 5.1.1: identifiers rise, and are odd.
#[test]
fn identifiers_rise_and_positions_are_used_again() {
    let mut fixture = Fixture::with(&[]);
    let mut last = 0;
    for _ in 0..1000 {
        fixture.start(&[GET]);
        let id = fixture.conn.streams.iter().map(|(_, stream)| stream.id()).max().unwrap();
        assert!(id > last && id % 2 == 1);
        last = id;
        assert!(fixture.hear(&headers(id, END, OK)).ends_with(":done"));
    }
}

// A stream that stays while others come and go costs its turn, and no more.
#[test]
fn a_position_that_is_taken_is_skipped() {
    let streams = NonZeroU16::new(2).unwrap();
    let mut fixture = Fixture::new(2);
    assert_eq!(Conn::positions(streams), 2);
    fixture.hear(&settings(&[]));
    fixture.start(&[GET]);
    for round in 0..100 {
        let tag = fixture.conn.start(GET).unwrap();
        assert_eq!(tag, Tag(1));
        fixture.say();
        let id = fixture.conn.streams.at(1).unwrap().id();
        assert_eq!(id, 4 * round + 3);
        assert_eq!(fixture.hear(&headers(id, END, OK)), "1:200 1:done");
    }
    assert_eq!(fixture.hear(&headers(1, END, OK)), "0:200 0:done");
}

// RFC 9113 section 5.1.1: a client that has used up its identifiers opens another connection.
#[test]
fn a_connection_whose_identifiers_are_used_up_is_finished() {
    let mut fixture = Fixture::with(&[]);
    fixture.conn.streams.skip_to(frame::STREAM_ID_MAX - 2 * 128 + 1);
    fixture.start(&[GET]);
    assert!(fixture.conn.capacity() == 0 && !fixture.conn.is_finished());
    assert_eq!(fixture.conn.start(GET), Err(StartError::Closing));
    let (_, stream) = fixture.conn.streams.iter().next().unwrap();
    let id = stream.id();
    assert!(fixture.hear(&headers(id, END, OK)).ends_with("done"));
    assert!(fixture.conn.is_finished());
}

#[test]
fn what_a_connection_takes_it_takes_to_the_last_identifier() {
    for left in 0..600 {
        let mut fixture = Fixture::with(&[]);
        let mut started = 0;
        fixture.conn.streams.skip_to(frame::STREAM_ID_MAX - 2 * left);
        while fixture.conn.capacity() > 0 {
            for _ in 0..fixture.conn.capacity() {
                assert!(fixture.conn.start(GET).is_ok(), "{left} left, {started} started");
                started += 1;
            }
            let first = fixture.conn.tags().next().unwrap();
            fixture.conn.cancel(first);
        }
        assert_eq!(started > 0, left >= 127, "{left} left");
    }
}

// RFC 9113 section 5.1.2: the peer's bound on concurrent streams, which may change at any time.
#[test]
fn no_more_streams_are_opened_than_the_peer_takes() {
    let mut fixture = Fixture::new(500);
    assert_eq!(fixture.conn.capacity(), 100, "until it says");
    let written = fixture.start(&[GET; 3]);
    assert_eq!(frames(&written).len(), 2 + 3);
    for _ in 3..100 {
        fixture.conn.start(GET).unwrap();
    }
    assert_eq!(fixture.conn.start(GET), Err(StartError::Full));
    fixture.hear(&settings(&[(Setting::MaxConcurrentStreams, 4)]));
    assert_eq!(fixture.conn.capacity(), 0);
    let opened = |frames: Vec<(Header, Vec<u8>)>| {
        frames.iter().filter(|(header, _)| header.kind == Kind::Headers).count()
    };
    assert_eq!(opened(fixture.say_frames()), 1);
    assert_eq!(fixture.hear(&headers(3, END, OK)), "1:200 1:done");
    assert_eq!(opened(fixture.say_frames()), 1);
    fixture.hear(&settings(&[(Setting::MaxConcurrentStreams, 0)]));
    fixture.hear(&headers(1, END, OK));
    assert_eq!(opened(fixture.say_frames()), 0);
    fixture.hear(&settings(&[(Setting::MaxConcurrentStreams, 1000)]));
    assert_eq!(opened(fixture.say_frames()), 95);
    assert_eq!(fixture.conn.capacity(), 500 - 98);
    // RFC 9113 section 6.5.2: initially there is no limit.
    let mut silent = Fixture::new(500);
    silent.hear(&settings(&[]));
    assert_eq!(silent.conn.capacity(), 500);
}

// RFC 9113 sections 6.1 and 6.2: padding is no content, and not longer than its frame.
#[test]
fn padding_is_taken_off() {
    let padded = [&[3][..], &block(OK), &[0; 3]].concat();
    let both = [&[2, 0, 0, 0, 0, 16][..], &block(OK), &[0; 2]].concat();
    for (flags, payload) in [(PADDED, padded), (PADDED | PRIORITY, both)] {
        let answer = [
            frame(Kind::Headers, flags | END_HEADERS, 1, &payload),
            frame(Kind::Data, PADDED, 1, b"\x04hello\0\0\0\0"),
            frame(Kind::Data, PADDED, 1, b"\x02\0\0"),
            frame(Kind::Data, PADDED | END, 1, b"\0 world"),
        ];
        check(&[GET], &answer.concat(), "0:200 0:\"hello world\" 0:done");
    }
    for wrong in [
        frame(Kind::Data, PADDED, 1, &[3, 0, 0]),
        frame(Kind::Headers, PADDED | END_HEADERS, 1, &[2, 0x88]),
        frame(Kind::Headers, PADDED | PRIORITY | END_HEADERS, 1, &[1, 0, 0, 0, 0, 0]),
    ] {
        check_error(&wrong, ErrorKind::H2Padding, Code::ProtocolError);
    }
}

// RFC 9113 section 6.3: PRIORITY may come for any stream, and means nothing.
#[test]
fn priority_is_ignored() {
    let priority = |stream, length: usize| frame(Kind::Priority, 0, stream, &vec![0; length]);
    let answer = [priority(1, 5), priority(9, 5), headers(1, END, OK), priority(1, 5)].concat();
    check(&[GET], &answer, "0:200 0:done");
    check_malformed(&priority(1, 4), ErrorKind::H2FrameSize, Code::FrameSizeError);
}

// RFC 9113 section 6.4: a stream that the peer ends.
#[test]
fn a_reset_ends_a_request_and_a_refusal_says_that_it_was_not_processed() {
    check(&[GET], &reset(1, Code::InternalError), "0:reset(2)");
    check(&[GET], &reset(1, Code::RefusedStream), "0:refused(7)");
    let mid = [headers(1, 0, OK), data(1, 0, b"x"), reset(1, Code::Cancel)].concat();
    check(&[GET], &mid, "0:200 0:\"x\" 0:reset(8)");
    let mut fixture = Fixture::with(&[GET]);
    fixture.hear(&reset(1, Code::Cancel));
    assert!(verdicts(&fixture.say_frames()).is_empty(), "a reset is not answered by another");
}

// RFC 9113 section 6.5.3: each SETTINGS is acknowledged.
#[test]
fn settings_are_acknowledged_one_by_one() {
    let mut fixture = Fixture::with(&[]);
    fixture.say();
    assert_eq!(fixture.hear(&settings(&[(Setting::MaxFrameSize, 20_000)]).repeat(3)), "");
    assert_eq!(fixture.say(), frame(Kind::Settings, ACK, 0, &[]).repeat(3));
    check(&[GET], &frame(Kind::Settings, ACK, 0, &[]), "");
}

// RFC 9113 section 6.5.2: values that a setting must not have.
#[test]
fn settings_with_forbidden_values_end_the_connection() {
    for (id, value, kind, code) in [
        (2, 1, ErrorKind::H2BadSetting, Code::ProtocolError),
        (2, 2, ErrorKind::H2BadSetting, Code::ProtocolError),
        (5, 16_383, ErrorKind::H2BadSetting, Code::ProtocolError),
        (5, 1 << 24, ErrorKind::H2BadSetting, Code::ProtocolError),
        (4, 1 << 31, ErrorKind::H2WindowOverflow, Code::FlowControlError),
    ] {
        check_error(&settings_raw(&[(id, value)]), kind, code);
    }
    let fine = [(1, u32::MAX), (2, 0), (3, 0), (4, WINDOW_MAX), (5, (1 << 24) - 1), (6, 0)];
    check(&[GET], &settings_raw(&fine), "");
}

// RFC 9113 section 6.6 and 8.4: pushing was forbidden.
#[test]
fn a_push_promise_ends_the_connection() {
    let push = frame(Kind::PushPromise, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &block(OK)].concat());
    check_error(&push, ErrorKind::H2PushPromise, Code::ProtocolError);
}

// RFC 9113 section 6.7: a PING is answered with its own payload.
#[test]
fn pings_are_answered() {
    let mut fixture = Fixture::with(&[]);
    fixture.say();
    let ping = |flags, payload| frame(Kind::Ping, flags, 0, payload);
    assert_eq!(fixture.hear(&ping(0, b"12345678")), "");
    assert_eq!(fixture.hear(&ping(ACK, b"unasked.")), "");
    assert_eq!(fixture.say(), ping(ACK, b"12345678"));
}

// RFC 9113 section 6.8: requests above the last stream were not processed; the others go on.
#[test]
fn a_goaway_lets_go_of_what_is_beyond_it() {
    let mut fixture = Fixture::with(&[GET, GET, GET]);
    fixture.conn.start(GET).unwrap();
    let heard = fixture.hear(&goaway(3, Code::EnhanceYourCalm));
    assert_eq!(heard, "goaway(11) 2:not_processed 3:unsent");
    assert_eq!(fixture.conn.start(GET), Err(StartError::Closing));
    assert!(!fixture.conn.is_finished());
    assert_eq!(fixture.hear(&headers(3, END, OK)), "1:200 1:done");
    // A second one may lower the last stream, but not raise it.
    assert_eq!(fixture.hear(&goaway(0, Code::NoError)), "goaway(0) 0:not_processed");
    assert!(fixture.conn.is_finished());
    assert_eq!(fixture.hear(&goaway(1, Code::NoError)), "!h2_goaway_raised");
}

#[test]
fn a_warning_goaway_ends_what_the_peer_cannot_know_of() {
    let mut fixture = Fixture::with(&[GET]);
    fixture.conn.start(GET).unwrap();
    let heard = fixture.hear(&goaway(frame::STREAM_ID_MAX, Code::NoError));
    assert_eq!(heard, "goaway(0) 1:unsent");
    assert!(verdicts(&fixture.say_frames()).is_empty());
    let rest = [headers(1, END, OK), goaway(1, Code::NoError)].concat();
    assert_eq!(fixture.hear(&rest), "0:200 0:done goaway(0)");
}

// RFC 9113 section 5.4.1: a GOAWAY before closing.
#[test]
fn closing_says_goaway_and_lets_answers_come() {
    let mut fixture = Fixture::with(&[GET]);
    fixture.conn.close();
    assert_eq!(fixture.conn.start(GET), Err(StartError::Closing));
    assert_eq!(verdicts(&fixture.say_frames()), [(0, Code::NoError as u32)]);
    assert_eq!(fixture.hear(&headers(1, END, OK)), "0:200 0:done");
    assert!(fixture.conn.is_finished());
}

// RFC 9113 section 6.8: who was told to go says GOAWAY too before it closes, and nobody says it
// twice, or after a last word.
#[test]
fn a_peer_that_said_goaway_is_told_so_once_before_the_end() {
    let mut fixture = Fixture::with(&[GET]);
    fixture.say();
    fixture.hear(&goaway(1, Code::NoError));
    assert!(verdicts(&fixture.say_frames()).is_empty(), "not before the end");
    fixture.conn.close();
    fixture.conn.close();
    assert_eq!(verdicts(&fixture.say_frames()), [(0, Code::NoError as u32)]);
    fixture.conn.close();
    assert!(!fixture.conn.wants_transmit());
    let mut fixture = Fixture::with(&[GET]);
    fixture.say();
    fixture.hear(&frame(Kind::PushPromise, END_HEADERS, 1, &[0, 0, 0, 2]));
    fixture.conn.close();
    assert_eq!(verdicts(&fixture.say_frames()), [(0, Code::ProtocolError as u32)]);
    // Nobody is there to hear it.
    let mut fixture = Fixture::with(&[]);
    fixture.say();
    fixture.conn.receive_end().unwrap();
    fixture.conn.close();
    assert!(!fixture.conn.wants_transmit());
}

// RFC 9113 section 6.4: nothing is sent on a stream that the peer has reset.
#[test]
fn a_reset_ends_a_body_that_is_under_way() {
    let mut fixture = Fixture::with(&[POST]);
    fixture.say();
    assert_eq!(fixture.hear(&reset(1, Code::Cancel)), "0:reset(8)");
    let windows = [window_update(0, 100_000), window_update(1, 100_000)].concat();
    assert_eq!(fixture.hear(&windows), "");
    assert!(!fixture.conn.wants_transmit());
}

// RFC 9113 section 6.9: WINDOW_UPDATE of nothing, and beyond the bound.
#[test]
fn window_updates_that_make_no_sense_are_errors() {
    check_error(&window_update(0, 0), ErrorKind::H2ZeroIncrement, Code::ProtocolError);
    check_malformed(&window_update(1, 0), ErrorKind::H2ZeroIncrement, Code::ProtocolError);
    let overflow = ErrorKind::H2WindowOverflow;
    check_error(&window_update(0, WINDOW_MAX), overflow, Code::FlowControlError);
    check_malformed(&window_update(1, WINDOW_MAX), overflow, Code::FlowControlError);
    // RFC 9113 section 6.9.2: the same by a change of the initial window.
    let raised = [window_update(1, 1), settings(&[(Setting::InitialWindowSize, WINDOW_MAX)])];
    check_error(&raised.concat(), overflow, Code::FlowControlError);
}

/// The content of `DATA` frames of one stream, and whether the last one ends it.
fn content(frames: &[(Header, Vec<u8>)], stream: u32) -> (Vec<u8>, bool) {
    let data =
        |(header, _): &&(Header, Vec<u8>)| header.kind == Kind::Data && header.stream == stream;
    let mine: Vec<_> = frames.iter().filter(data).collect();
    let bytes = mine.iter().flat_map(|(_, payload)| payload.clone()).collect();
    (bytes, mine.last().is_some_and(|(header, _)| header.has(END)))
}

// RFC 9113 sections 5.2 and 6.9: a body waits for both windows, in frames that the peer takes.
#[test]
fn a_body_is_sent_as_windows_allow() {
    let mut fixture = Fixture::with(&[]);
    let said = frames(&fixture.start(&[POST]));
    assert!(said.iter().all(|(header, _)| header.length <= 16_384));
    let head = said.iter().find(|(header, _)| header.kind == Kind::Headers).unwrap();
    assert!(!head.0.has(END));
    let (mut sent, ended) = content(&said, 1);
    assert_eq!((sent.len(), ended), (65_535, false));
    assert!(!fixture.conn.wants_transmit());
    // The stream's window alone does not help, nor does the connection's alone.
    assert_eq!(fixture.hear(&window_update(1, 10)), "");
    assert_eq!(fixture.say(), b"");
    assert_eq!(fixture.hear(&window_update(0, 100_000)), "");
    sent.extend(content(&fixture.say_frames(), 1).0);
    assert_eq!(sent.len(), 65_545);
    assert_eq!(fixture.hear(&window_update(1, 100_000)), "");
    let (rest, ended) = content(&fixture.say_frames(), 1);
    sent.extend(rest);
    assert!(ended);
    assert_eq!(sent, body_of(&fixture.requests[usize::from(POST)]));
    assert_eq!(sent.len(), BODY_BYTES);
    assert_eq!(fixture.hear(&headers(1, END, OK)), "0:200 0:done");
    assert!(verdicts(&fixture.say_frames()).is_empty());
}

#[test]
fn a_body_that_comes_after_another_is_sent_to_its_end() {
    let mut fixture = Fixture::with(&[]);
    fixture.hear(&settings(&[(Setting::InitialWindowSize, WINDOW_MAX)]));
    fixture.hear(&window_update(0, 1 << 30));
    for stream in [1, 3] {
        let (sent, ended) = content(&frames(&fixture.start(&[POST])), stream);
        assert_eq!((sent.len(), ended), (BODY_BYTES, true));
        fixture.hear(&headers(stream, END, OK));
    }
}

// RFC 9113 section 6.9.2: a change of the initial window moves the windows of open streams.
#[test]
fn a_lower_initial_window_is_made_up_for_first() {
    let mut fixture = Fixture::with(&[]);
    fixture.start(&[POST]);
    fixture.hear(&window_update(0, 200_000));
    fixture.hear(&settings(&[(Setting::InitialWindowSize, 0)]));
    fixture.say();
    fixture.hear(&window_update(1, 65_535));
    assert_eq!(fixture.say(), b"");
    fixture.hear(&window_update(1, 5));
    assert_eq!(content(&fixture.say_frames(), 1).0.len(), 5);
    fixture.hear(&settings(&[(Setting::InitialWindowSize, WINDOW_DEFAULT)]));
    assert!(content(&fixture.say_frames(), 1).1, "and a higher one lets it go on");
    let mut small = Fixture::new(1);
    small.hear(&settings(&[(Setting::InitialWindowSize, 3)]));
    let said = frames(&small.start(&[POST]));
    assert_eq!(content(&said, 1).0.len(), 3, "new streams begin with it");
}

// RFC 9113 section 4.2: the peer may take larger frames.
#[test]
fn bodies_share_a_page_in_frames_as_large_as_the_peer_takes() {
    let mut fixture = Fixture::with(&[]);
    fixture.hear(&settings(&[
        (Setting::MaxFrameSize, 30_000),
        (Setting::InitialWindowSize, WINDOW_MAX),
    ]));
    fixture.hear(&window_update(0, 1 << 30));
    let said = frames(&fixture.start(&[POST, POST]));
    let longest = said.iter().map(|(header, _)| header.length).max();
    assert_eq!(longest, Some(30_000));
    for stream in [1, 3] {
        assert_eq!(content(&said, stream), (body_of(&fixture.requests[2]), true));
    }
    let order: Vec<u32> = said
        .iter()
        .filter(|(header, _)| header.kind == Kind::Data)
        .map(|(header, _)| header.stream)
        .collect();
    assert!(order.windows(4).all(|streams| streams.contains(&1) || streams.contains(&3)));
    let changes = order.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes >= 3, "none waits for the other's end: {order:?}");
}

// RFC 9113 section 8.1: a server may answer before it has read the request, whose rest is not sent.
#[test]
fn an_early_answer_ends_the_body() {
    let mut fixture = Fixture::with(&[POST]);
    assert_eq!(fixture.hear(&headers(1, END, &[(":status", "413")])), "0:413 0:done");
    assert_eq!(verdicts(&fixture.say_frames()), [(1, Code::Cancel as u32)]);
    assert_eq!(fixture.hear(&window_update(0, 100_000)), "");
    assert!(!fixture.conn.wants_transmit());
    // The server's own way to say so, after the answer.
    let mut fixture = Fixture::with(&[POST]);
    let answer = [headers(1, END, OK), reset(1, Code::NoError)].concat();
    assert_eq!(fixture.hear(&answer), "0:200 0:done");
}

// RFC 9113 section 6.9.1: content beyond the windows.
#[test]
fn a_peer_that_oversteps_a_window_is_cut_off() {
    let exceeded = |spoil: fn(&mut Conn)| {
        let mut fixture = Fixture::with(&[GET]);
        fixture.hear(&headers(1, 0, OK));
        fixture.say();
        spoil(&mut fixture.conn);
        let heard = fixture.hear(&data(1, 0, b"xy"));
        assert_eq!(heard, "!h2_window_exceeded");
        assert_eq!(verdicts(&fixture.say_frames()), [(0, Code::FlowControlError as u32)]);
    };
    exceeded(|conn| conn.receive_window.charge(WINDOW_MAX - 1).unwrap());
    exceeded(|conn| {
        conn.streams.at_mut(0).unwrap().receive_window.charge(WINDOW_MAX - 1).unwrap();
    });
}

// RFC 9113 section 6.9: windows are refilled when half is used.
#[test]
fn windows_are_refilled() {
    let mut fixture = Fixture::with(&[GET]);
    fixture.hear(&headers(1, 0, OK));
    fixture.say();
    let half = WINDOW_MAX / 2;
    fixture.conn.receive_window.charge(half - 2).unwrap();
    fixture.conn.streams.at_mut(0).unwrap().receive_window.charge(half - 3).unwrap();
    fixture.hear(&data(1, 0, b"x"));
    assert_eq!(fixture.say(), b"");
    fixture.hear(&data(1, 0, b"x"));
    assert_eq!(fixture.say(), window_update(0, half));
    fixture.hear(&data(1, 0, b"x"));
    assert_eq!(fixture.say(), window_update(1, half));
    fixture.hear(&data(1, END, b"x"));
    assert_eq!(fixture.say(), b"");
}

// RFC 9113 section 6.10: the frames of a header block follow one another.
#[test]
fn a_header_block_may_come_in_parts() {
    let whole = block(&[(":status", "200"), ("x-long", "0123456789")]);
    for parts in [1, 2, 5] {
        let mut answer = Vec::new();
        for (at, part) in whole.chunks(parts).enumerate() {
            let last = (at + 1) * parts >= whole.len();
            let kind = if at == 0 { Kind::Headers } else { Kind::Continuation };
            let end_stream = if at == 0 { END } else { 0 };
            let end_headers = if last { END_HEADERS } else { 0 };
            answer.extend(frame(kind, end_stream | end_headers, 1, part));
        }
        check(&[GET], &answer, "0:200 0:done");
    }
    let begun = frame(Kind::Headers, 0, 1, &whole[..3]);
    for wrong in [
        data(1, 0, b"x"),
        headers(1, END, OK),
        frame(Kind::Continuation, END_HEADERS, 3, &whole[3..]),
        frame(Kind::Ping, 0, 0, &[0; 8]),
        vec![0, 0, 0, 0xee, 0, 0, 0, 0, 1],
    ] {
        let answer = [begun.clone(), wrong].concat();
        check_error(&answer, ErrorKind::H2Continuation, Code::ProtocolError);
    }
    let alone = frame(Kind::Continuation, END_HEADERS, 1, &whole);
    check_error(&alone, ErrorKind::H2Continuation, Code::ProtocolError);
}

// RFC 9113 section 10.5.1: blocks that never end.
#[test]
fn header_blocks_are_bounded() {
    let calm = Code::EnhanceYourCalm;
    let begun = frame(Kind::Headers, 0, 1, &[]);
    let part = frame(Kind::Continuation, 0, 1, &[]);
    let most = [&begun[..], &part.repeat(H2_CONTINUATIONS_MAX.into())].concat();
    check(&[GET], &most, "");
    check_error(&[&most[..], &part].concat(), ErrorKind::H2ContinuationFlood, calm);
    let long = frame(Kind::Continuation, 0, 1, &vec![0; 16_384]);
    let answer = [&begun[..], &long.repeat(5)].concat();
    let mut fixture = Fixture::with(&[GET]);
    assert_eq!(fixture.hear(&answer), "!h2_block_too_large");
    assert_eq!(verdicts(&fixture.say_frames()), [(0, calm as u32)]);
    // RFC 9113 section 6.5.2: a short block may stand for a long list.
    let mut bomb = vec![0x88, 0x40, 1, b'x', 0x7f, 0x81, 0x1e];
    bomb.extend(vec![b'v'; 0x7f + 0x81 - 0x80 + (0x1e << 7)]);
    bomb.extend(vec![0xbe; 20]);
    let answer = frame(Kind::Headers, END_HEADERS, 1, &bomb);
    check_error(&answer, ErrorKind::HeaderListTooLarge, calm);
}

// RFC 9113 section 8.1: interim responses, trailers, and what may follow what.
#[test]
fn interim_responses_and_trailers_surround_a_response() {
    let interim = |status| headers(1, 0, &[(":status", status)]);
    let answer = [
        interim("100"),
        interim("103"),
        headers(1, 0, OK),
        data(1, 0, b"body"),
        headers(1, END, &[("x-sum", "1")]),
    ];
    check(&[GET], &answer.concat(), "0:100 0:103 0:200 0:\"body\" 0:done");
    let many = interim("102").repeat(usize::from(INTERIM_MAX) + 1);
    let heard = "0:102 ".repeat(INTERIM_MAX.into()) + "0:too_many_interim";
    check(&[GET], &many, &heard);
    let malformed = |bytes: &[u8], kind| check_malformed(bytes, kind, Code::ProtocolError);
    malformed(&headers(1, END, &[(":status", "100")]), ErrorKind::H2InterimEnds);
    malformed(&interim("101"), ErrorKind::UnexpectedUpgrade);
    malformed(&data(1, END, b"x"), ErrorKind::H2UnexpectedData);
    malformed(&data(1, END, b""), ErrorKind::H2UnexpectedData);
    let after_head = |next: Vec<u8>, expected| {
        check(&[GET], &[headers(1, 0, OK), next].concat(), expected);
    };
    after_head(headers(1, 0, &[("x", "y")]), "0:200 0:h2_bad_trailers");
    after_head(headers(1, END, &[(":status", "200")]), "0:200 0:h2_bad_pseudo");
    after_head(headers(1, END, &[("X", "y")]), "0:200 0:bad_field_name");
    let early = [interim("100"), data(1, 0, b"x")].concat();
    check(&[GET], &early, "0:100 0:h2_unexpected_data");
}

// RFC 9113 sections 8.2 and 8.3: fields that make a response malformed.
#[test]
fn malformed_fields_end_the_stream_only() {
    let malformed = |fields: &[(&str, &str)], kind| {
        check_malformed(&headers(1, END, fields), kind, Code::ProtocolError);
    };
    for name in ["X-A", "a b", "", "a:b", "a\u{7f}", "ä", "a\0", "a\r"] {
        malformed(&[(":status", "200"), (name, "v")], ErrorKind::BadFieldName);
    }
    for value in [" v", "v ", "\tv", "v\t", "a\nb", "a\rb", "a\0b"] {
        malformed(&[(":status", "200"), ("x", value)], ErrorKind::BadFieldValue);
    }
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        malformed(&[(":status", "200"), (name, "x")], ErrorKind::H2ConnectionField);
    }
    malformed(&[(":status", "200"), ("te", "gzip")], ErrorKind::H2ConnectionField);
    malformed(&[("x", "y"), (":status", "200")], ErrorKind::H2BadPseudo);
    malformed(&[(":status", "200"), (":path", "/")], ErrorKind::H2BadPseudo);
    malformed(&[(":status", "200"), (":x", "y")], ErrorKind::H2BadPseudo);
    for status in ["", "20", "2000", "099", "2x0", "+20", " 200"] {
        malformed(&[(":status", status)], ErrorKind::H2BadStatus);
    }
    malformed(&[("x", "y")], ErrorKind::H2BadStatus);
    malformed(&[], ErrorKind::H2BadStatus);
    malformed(&[(":status", "200"), (":status", "200")], ErrorKind::H2BadStatus);
    malformed(&[(":status", "200"), ("content-length", "x")], ErrorKind::BadLength);
    let two = [(":status", "200"), ("content-length", "1"), ("content-length", "2")];
    malformed(&two, ErrorKind::ConflictingLength);
    let fine = [(":status", "999"), ("te", "trailers"), ("x", ""), ("!#$%&'*+-.^_`|~9", "é \t z")];
    check(&[GET], &headers(1, END, &fine), "0:999 0:done");
}

// RFC 9113 section 8.1.1: Content-Length and the sum of all DATA.
#[test]
fn content_is_as_long_as_was_said() {
    let head = |flags, length| headers(1, flags, &[(":status", "200"), ("content-length", length)]);
    let after = |length, next: Vec<u8>, expected| {
        check(&[GET], &[head(0, length), next].concat(), expected);
    };
    let mismatch = "0:200 0:h2_length_mismatch";
    after("3", data(1, END, b"abc"), "0:200 0:\"abc\" 0:done");
    after("3, 3", [data(1, 0, b"ab"), data(1, END, b"c")].concat(), "0:200 0:\"abc\" 0:done");
    after("3", [data(1, 0, b"abc"), data(1, END, b"")].concat(), "0:200 0:\"abc\" 0:done");
    after("3", frame(Kind::Data, PADDED | END, 1, b"\x02abc\0\0"), "0:200 0:\"abc\" 0:done");
    after("3", data(1, END, b"ab"), mismatch);
    after("3", data(1, 0, b"abcd"), mismatch);
    after("3", headers(1, END, &[("x", "y")]), mismatch);
    after("0", data(1, END, b""), "0:200 0:done");
    check_malformed(&head(END, "1"), ErrorKind::H2LengthMismatch, Code::ProtocolError);
    check(&[GET], &head(END, "0"), "0:200 0:done");
    // The frame that makes it wrong is read to its end, padding and all.
    let padded = [frame(Kind::Data, PADDED, 1, b"\x02abcdef\0\0"), headers(3, END, OK)].concat();
    check(&[GET, GET], &[head(0, "3"), padded].concat(), &format!("{mismatch} 1:200 1:done"));
    let skipped = [data(1, 0, b"abcdefgh"), headers(3, END, OK)].concat();
    check(&[GET, GET], &[head(0, "3"), skipped].concat(), &format!("{mismatch} 1:200 1:done"));
}

/// What a connection that carries these requests, and whose owner wants neither content nor fields,
/// makes of each of the `inputs`.
fn heard_of_ends<'b>(requests: &[u16], inputs: &[&'b [u8]]) -> Vec<Vec<Event<'b>>> {
    let mut fixture = Fixture::with(requests);
    fixture.conn.tell_content(false);
    let mut hear = |mut input: &'b [u8]| {
        let mut heard = Vec::new();
        while let Ok(Some(event)) = fixture.conn.receive(&mut input) {
            heard.push(event);
        }
        heard
    };
    inputs.iter().map(|input| hear(input)).collect()
}

#[test]
fn a_response_whose_head_and_end_are_in_one_input_is_told_of_at_once() {
    let (tag, status) = (Tag(0), 200);
    let whole = [Event::Whole { tag, status }];
    let (head, done) = (Event::Head { tag, status }, Event::Done { tag });
    let bytes = [headers(1, 0, OK), data(1, 0, b"ab"), data(1, END, b"c")].concat();
    assert_eq!(heard_of_ends(&[GET], &[&bytes]), [whole]);
    assert_eq!(heard_of_ends(&[GET], &[&headers(1, END, OK)]), [whole]);
    let interim = [headers(1, 0, &[(":status", "103")]), bytes.clone()].concat();
    let after = [Event::Interim { tag, status: 103 }, whole[0]];
    assert_eq!(heard_of_ends(&[GET], &[&interim]), [after]);
    for at in headers(1, 0, OK).len()..bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert_eq!(heard_of_ends(&[GET], &[front, back]), [[head], [done]]);
    }
    let mut fixture = Fixture::with(&[GET]);
    fixture.conn.tell_content(false);
    fixture.conn.keep_fields(true);
    let mut input = &bytes[..];
    assert_eq!(fixture.conn.receive(&mut input), Ok(Some(head)));
    assert_eq!(kept(&fixture.conn), [("server".to_string(), "x".to_string())]);
    assert_eq!(fixture.conn.receive(&mut input), Ok(Some(done)));
}

// Those whose head is known are told of in the order in which they end, the others behind them.
#[test]
fn heads_without_an_end_are_told_of_at_the_end_of_the_input() {
    let status = 200;
    let head = |tag| Event::Head { tag: Tag(tag), status };
    let whole = |tag| Event::Whole { tag: Tag(tag), status };
    let heads: Vec<u8> = [1, 3, 5, 7].iter().flat_map(|id| headers(*id, 0, OK)).collect();
    let ends = [data(5, END, b"x"), data(1, END, b"x")].concat();
    let rest = [data(7, END, b"x"), data(3, END, b"x")].concat();
    let first = [heads, ends].concat();
    let told = heard_of_ends(&[GET; 4], &[&first, &rest]);
    let done = |tag| Event::Done { tag: Tag(tag) };
    assert_eq!(told, [[whole(2), whole(0), head(1), head(3)].to_vec(), vec![done(3), done(1)]]);
}

#[test]
fn an_end_that_is_none_of_a_response_comes_behind_the_head() {
    let (tag, status) = (Tag(0), 200);
    let head = Event::Head { tag, status };
    let after = |bytes: Vec<u8>, end| {
        let bytes = [headers(1, 0, &[(":status", "200"), ("content-length", "3")]), bytes].concat();
        assert_eq!(heard_of_ends(&[GET], &[&bytes]), [[head, end]]);
    };
    after(reset(1, Code::Cancel), Event::Reset { tag, code: 8, processed: true });
    let malformed = |error: ErrorKind| Event::Malformed { tag, error: error.into() };
    after(data(1, END, b"ab"), malformed(ErrorKind::H2LengthMismatch));
    after(headers(1, 0, &[("x", "y")]), malformed(ErrorKind::H2BadTrailers));
    let beyond = [headers(1, 0, OK), goaway(0, Code::NoError)].concat();
    let not_processed = Event::NotProcessed { tag, written: true };
    assert_eq!(
        heard_of_ends(&[GET], &[&beyond]),
        [[Event::GoAway { code: 0 }, head, not_processed]]
    );
    // The tag is free then, and not before; who cancels the request is told no more of it.
    let mut fixture = Fixture::with(&[GET, GET]);
    fixture.conn.tell_content(false);
    let bytes = [headers(1, 0, OK), reset(1, Code::Cancel), headers(3, END, OK)].concat();
    let mut input = &bytes[..];
    assert_eq!(fixture.conn.receive(&mut input), Ok(Some(head)));
    assert_eq!(fixture.conn.phase(tag), Phase::Body);
    fixture.conn.cancel(tag);
    let other = Event::Whole { tag: Tag(1), status };
    assert_eq!(fixture.conn.receive(&mut input), Ok(Some(other)));
    assert_eq!(fixture.conn.receive(&mut input), Ok(None));
}

#[test]
fn a_violation_comes_behind_the_heads_that_were_read() {
    let mut fixture = Fixture::with(&[GET, GET]);
    fixture.conn.tell_content(false);
    let bytes = [headers(1, 0, OK), headers(3, 0, OK), data(9, 0, b"x")].concat();
    assert_eq!(fixture.hear(&bytes), "0:200 1:200 !h2_bad_stream");
}

// What follows a head at once and is wrong is found, whoever is told of content.
#[test]
fn the_end_that_follows_a_head_at_once_is_judged() {
    let after = |frame: Vec<u8>| [headers(1, 0, OK), frame].concat();
    let heard = |frame, expected| check(&[GET, GET], &after(frame), expected);
    heard(frame(Kind::Data, PADDED | END, 1, b"\x04abc"), "0:200 !h2_padding");
    heard(data(1, END, &vec![0; 16_385]), "0:200 !h2_frame_too_large");
    heard(data(3, END, b"x"), "0:200 1:h2_unexpected_data");
    heard(data(5, END, b"x"), "0:200 !h2_bad_stream");
}

// RFC 9113 sections 6.9 and 8.1: what comes in one piece counts, and ends a body that is under way.
#[test]
fn a_response_in_one_piece_counts_as_any_other() {
    let mut fixture = Fixture::with(&[GET, POST]);
    fixture.conn.tell_content(false);
    let half = WINDOW_MAX / 2;
    fixture.conn.receive_window.charge(half - 1).unwrap();
    let whole = |stream| [headers(stream, 0, OK), data(stream, END, b"x")].concat();
    fixture.hear(&whole(1));
    assert_eq!(fixture.say(), window_update(0, half));
    fixture.conn.receive_window.charge(WINDOW_MAX).unwrap();
    assert_eq!(fixture.hear(&whole(3)), "1:200 !h2_window_exceeded");
}

// RFC 9113 section 8.1.1: responses without content may say how long it would be.
#[test]
fn responses_without_content_may_have_a_length() {
    let length = ("content-length", "7");
    let head = |status, flags| headers(1, flags, &[(":status", status), length]);
    check(&[HEAD], &head("200", END), "0:200 0:done");
    check(&[GET], &head("304", END), "0:304 0:done");
    check(&[GET], &head("204", END), "0:204 0:done");
    let empty = [head("200", 0), data(1, END, b"")].concat();
    check(&[HEAD], &empty, "0:200 0:done");
    let wrong = [head("200", 0), data(1, END, b"content")].concat();
    check(&[HEAD], &wrong, "0:200 0:h2_unexpected_data");
    let wrong = [head("204", 0), data(1, END, b"content")].concat();
    check(&[GET], &wrong, "0:204 0:h2_unexpected_data");
}

// RFC 9113 section 10.5: each kind of frame that leads nowhere has its bound.
#[test]
fn floods_end_the_connection() {
    let ping_ack = frame(Kind::Ping, ACK, 0, &[0; 8]);
    let ended = [headers(1, END, OK), reset(1, Code::Cancel)].concat();
    let body = headers(1, 0, OK);
    for (before, frame, most, kind) in [
        (vec![], ping_ack, H2_PINGS_MAX, ErrorKind::H2PingFlood),
        (vec![], settings(&[]), H2_SETTINGS_MAX - 1, ErrorKind::H2SettingsFlood),
        (ended, reset(1, Code::Cancel), H2_RESETS_MAX - 1, ErrorKind::H2ResetFlood),
        (body, data(1, 0, b""), H2_EMPTY_DATA_MAX, ErrorKind::H2EmptyDataFlood),
        (vec![], window_update(0, 1), H2_WINDOW_UPDATES_MAX, ErrorKind::H2WindowFlood),
        (vec![], frame(Kind::Priority, 0, 1, &[0; 5]), H2_IGNORED_MAX, ErrorKind::H2IgnoredFlood),
    ] {
        let mut fixture = Fixture::with(&[GET]);
        fixture.hear(&before);
        for _ in 0..most {
            assert_eq!(fixture.hear(&frame), "", "{}", kind.name());
        }
        assert_eq!(fixture.hear(&frame), format!("!{}", kind.name()));
        let calm = Code::EnhanceYourCalm as u32;
        assert_eq!(verdicts(&fixture.say_frames()).last(), Some(&(0, calm)));
    }
    let pending = frame(Kind::Ping, 0, 0, &[7; 8]).repeat(H2_PINGS_PENDING_MAX + 1);
    check_error(&pending, ErrorKind::H2PingFlood, Code::EnhanceYourCalm);
}

#[test]
fn responses_pay_for_chatter() {
    let mut fixture = Fixture::with(&[]);
    for round in 0..10_000 {
        fixture.start(&[GET]);
        let answer = [headers(2 * round + 1, END, OK), frame(Kind::Ping, 0, 0, &[0; 8])].concat();
        assert!(fixture.hear(&answer).ends_with("done"));
    }
}

#[test]
fn phases_say_how_far_each_request_has_come() {
    let mut fixture = Fixture::with(&[GET, GET, GET]);
    let phases = |fixture: &Fixture| [0, 1, 2].map(|tag| fixture.conn.phase(Tag(tag)));
    assert_eq!(phases(&fixture), [Phase::AwaitingHead; 3]);
    let head = headers(1, 0, OK);
    fixture.hear(&head[..10]);
    assert_eq!(phases(&fixture)[0], Phase::Head);
    fixture.hear(&head[10..]);
    fixture.hear(&headers(3, 0, &[(":status", "103")]));
    assert_eq!(phases(&fixture), [Phase::Body, Phase::Head, Phase::AwaitingHead]);
    fixture.hear(&frame(Kind::Headers, 0, 5, &[]));
    assert_eq!(phases(&fixture)[2], Phase::Head);
    assert_eq!(fixture.hear(&data(1, 0, b"x")), "!h2_continuation");
    assert_eq!(phases(&fixture), [Phase::Body, Phase::Head, Phase::Head], "as it failed");
}

#[test]
fn the_peers_end_cuts_short_what_is_outstanding() {
    let end = |requests: &[u16], bytes: &[u8]| {
        let mut fixture = Fixture::with(requests);
        let mut transcript = Transcript::default();
        transcript.receive(&mut fixture.conn, bytes);
        transcript.receive_end(&mut fixture.conn);
        assert_eq!(fixture.say(), b"");
        transcript.to_string()
    };
    assert_eq!(end(&[], b""), "");
    assert_eq!(end(&[GET], b""), "!truncated_wait");
    assert_eq!(end(&[GET], &headers(1, 0, &[(":status", "100")])), "0:100 !truncated_head");
    assert_eq!(end(&[GET, GET], &headers(1, 0, OK)), "0:200 !truncated_body");
    assert_eq!(end(&[GET], &headers(1, END, OK)), "0:200 0:done");
}

/// Decodes the header blocks among `frames`, as lists of lines.
fn decode(decoder: &mut Decoder, frames: &[(Header, Vec<u8>)]) -> Vec<Vec<String>> {
    let mut lists = Vec::new();
    for (_, payload) in frames.iter().filter(|(header, _)| header.kind == Kind::Headers) {
        let mut list = Vec::new();
        let line = |name: &[u8], value: &[u8]| {
            list.push(format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
        };
        decoder.decode(payload, u32::MAX, line).unwrap();
        lists.push(list);
    }
    lists
}

// RFC 9113 section 8.3.1: the pseudo-header fields of a request come first.
#[test]
fn the_first_request_fills_the_table_and_later_ones_refer_to_it() {
    let mut fixture = Fixture::with(&[]);
    let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
    let first = frames(&fixture.start(&[GET]));
    let lists = decode(&mut decoder, &first);
    let agent = concat!("user-agent: pummel/", env!("CARGO_PKG_VERSION"));
    let list = [
        ":method: GET",
        ":scheme: http",
        ":authority: example.org",
        ":path: /",
        agent,
        "accept: */*",
    ];
    assert_eq!(lists, [list]);
    let later = frames(&fixture.start(&[GET, GET]));
    assert!(later.iter().all(|(header, _)| header.length == 6), "one byte for each field");
    assert_eq!(decode(&mut decoder, &later), [list, list]);
    let post = frames(&fixture.start(&[POST]));
    let list = decode(&mut decoder, &post).remove(0);
    assert_eq!(list[0], ":method: POST");
    assert_eq!(list.last().unwrap(), "content-length: 100000");
}

// RFC 7541 section 4.2: changes of the table's size are acknowledged at the next block.
#[test]
fn a_peer_may_change_its_table_at_any_time() {
    let mut fixture = Fixture::with(&[]);
    let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
    let mut lists = decode(&mut decoder, &frames(&fixture.start(&[GET])));
    let table = |sizes: &[u32]| {
        let sizes: Vec<_> = sizes.iter().map(|size| (Setting::HeaderTableSize, *size)).collect();
        settings(&sizes)
    };
    let mut sizes_seen = Vec::new();
    for sizes in [&[0][..], &[], &[4096], &[], &[0, 4096], &[], &[200], &[], &[1 << 20], &[50, 300]]
    {
        fixture.hear(&table(sizes));
        let said = frames(&fixture.start(&[GET]));
        let block = &said.last().unwrap().1;
        sizes_seen.push(block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count());
        lists.extend(decode(&mut decoder, &said));
    }
    assert!(lists.iter().all(|list| *list == lists[0]));
    assert_eq!(sizes_seen[..4], [1, 0, 1, 0]);
    assert!(sizes_seen[4] >= 1 && sizes_seen[6] == 1);
}

// RFC 7541 section 4.2: the lowest size since the last block is told, and then the last one.
#[test]
fn a_table_that_shrank_and_grew_is_told_of_both() {
    for (sizes, told) in [
        (&[0, 4096][..], &[0x20, 0x3f, 0xe1, 0x1f][..]),
        (&[300, 4096], &[0x3f, 0x8d, 0x02, 0x3f, 0xe1, 0x1f]),
        (&[300], &[0x3f, 0x8d, 0x02]),
        (&[0], &[0x20]),
        (&[10], &[0x2a]),
        (&[4096], &[]),
        (&[1 << 20], &[]),
    ] {
        let mut fixture = Fixture::with(&[GET]);
        for size in sizes {
            fixture.hear(&settings(&[(Setting::HeaderTableSize, *size)]));
        }
        let said = frames(&fixture.start(&[GET]));
        let block = &said.last().unwrap().1;
        assert!(block.starts_with(told), "{sizes:?}: {block:x?}");
        assert_ne!(block[told.len()] & 0xe0, 0x20, "{sizes:?}: {block:x?}");
    }
}

// RFC 9113 section 6.10: a request's block that is longer than a frame goes on in CONTINUATION.
#[test]
fn a_long_request_is_cut_into_frames() {
    let long = "x".repeat(28_000);
    let request = Request::builder("GET", "h", "/").unwrap().field("x-long", &long).unwrap();
    let mut fixture = Fixture::with(&[]);
    fixture.requests = vec![request.build().render_h2().unwrap()];
    let said = frames(&fixture.start(&[0]));
    let said: Vec<_> = said.iter().skip_while(|(header, _)| header.kind != Kind::Headers).collect();
    let parts: Vec<_> = said.iter().map(|(h, _)| (h.kind, h.flags, h.stream)).collect();
    let expected = [(Kind::Headers, END, 1), (Kind::Continuation, END_HEADERS, 1)];
    assert_eq!(parts, expected);
    assert_eq!(said[0].0.length, 16_384);
    let block: Vec<u8> = said.iter().flat_map(|(_, payload)| payload.clone()).collect();
    let mut value = Vec::new();
    let keep = |name: &[u8], found: &[u8]| {
        if name == b"x-long" {
            value = found.to_vec();
        }
    };
    Decoder::new(4096).decode(&block, u32::MAX, keep).unwrap();
    assert_eq!(value, long.as_bytes());
}

#[test]
fn a_remembered_head_means_what_it_meant() {
    let (a, b) = (headers(1, 0, &[(":status", "200"), ("content-length", "1")]), headers(1, 0, OK));
    let mut fixture = Fixture::with(&[]);
    let mut decoded = 0;
    for (round, head) in [&a, &a, &b, &a, &a].into_iter().enumerate() {
        fixture.start(&[GET]);
        let id = u32::try_from(round).unwrap() * 2 + 1;
        let mut head = head.clone();
        head[5..9].copy_from_slice(&id.to_be_bytes());
        let transcript = fixture.hear(&[head, data(id, END, b"xy")].concat());
        let mismatch = transcript.ends_with("h2_length_mismatch");
        assert_eq!(mismatch, round != 2, "{transcript}");
        decoded += u32::from(!mismatch);
    }
    assert_eq!(decoded, 1);
}

// A block that was remembered may mean something else once the table has changed.
#[test]
fn a_changed_table_invalidates_the_memory() {
    let mut fixture = Fixture::with(&[GET, GET, GET]);
    let head = |id, block: &[u8]| frame(Kind::Headers, END_HEADERS, id, block);
    // `:status` with 201, then 202, entered into the table: index 62 names the newest.
    let enter = |status: &str| [&[0x48, 3][..], status.as_bytes()].concat();
    assert_eq!(fixture.hear(&head(1, &enter("201"))), "0:201");
    assert_eq!(fixture.hear(&head(3, &[0xbe])), "1:201");
    assert_eq!(fixture.hear(&[data(1, END, b""), data(3, END, b"")].concat()), "0:done 1:done");
    fixture.start(&[GET, GET]);
    assert_eq!(fixture.hear(&head(7, &enter("202"))), "3:202");
    assert_eq!(fixture.hear(&head(5, &[0xbe])), "2:202");
}

/// The fields of a response that holds all of `values`, named by their places.
fn numbered(values: &[&str]) -> Vec<(String, String)> {
    let named = values.iter().enumerate().map(|(at, value)| (format!("x-{at}"), value.to_string()));
    named.collect()
}

/// What the connection keeps, as a list of lines.
fn kept(conn: &Conn) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    conn.fields().iter().map(|(name, value)| (text(name), text(value))).collect()
}

/// Encodes a response as servers do: with each field as it is, with each entered into the table,
/// with a reference to any that is in it already, or with the last one as it is all the same.
fn encode(fields: &[(String, String)], mode: u8, table: &mut Vec<(String, String)>) -> Vec<u8> {
    let mut out = vec![0x88];
    for (at, field) in fields.iter().enumerate() {
        let known = table.iter().rev().position(|entry| entry == field);
        match (mode, known) {
            (2.., Some(position)) if mode == 2 || at + 1 < fields.len() => {
                hpack::write_integer(0x80, 7, 62 + position, &mut out);
                continue;
            }
            (0, _) => out.push(0),
            _ => {
                out.push(0x40);
                table.push(field.clone());
            }
        }
        for text in [&field.0, &field.1] {
            out.push(u8::try_from(text.len()).unwrap());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

#[test]
fn fields_are_those_of_the_head_that_was_reported_and_no_trailers() {
    let mut fixture = Fixture::with(&[GET, GET]);
    fixture.conn.keep_fields(true);
    assert_eq!(kept(&fixture.conn), numbered(&[]));
    let first = &[(":status", "200"), ("x-0", "a"), ("x-1", "b")];
    let interim = headers(3, 0, &[(":status", "103"), ("link", "l")]);
    assert_eq!(fixture.hear(&headers(1, 0, first)), "0:200");
    assert_eq!(kept(&fixture.conn), numbered(&["a", "b"]));
    assert_eq!(fixture.hear(&interim), "1:103");
    assert_eq!(kept(&fixture.conn), numbered(&[]));
    assert_eq!(fixture.hear(&headers(3, 0, &[(":status", "404"), ("x-0", "c")])), "1:404");
    assert_eq!(kept(&fixture.conn), numbered(&["c"]));
    assert_eq!(fixture.hear(&headers(1, END, &[("x-0", "trailer")])), "0:done");
    assert_eq!(kept(&fixture.conn), numbered(&["c"]));
    fixture.conn.keep_fields(false);
    assert_eq!(kept(&fixture.conn), numbered(&[]));
}

#[test]
fn a_connection_is_small() {
    let fixture = Fixture::with(&[]);
    let table = Conn::positions(NonZeroU16::new(100).unwrap()) as usize * 32;
    assert!(size_of::<Conn>() + table < 6 * 1024, "{}", size_of::<Conn>());
    assert_eq!(fixture.conn.tags().count(), 0);
}

proptest! {
    // Blocks that come again, that enter and that refer; now wanted and now not.
    #[test]
    fn fields_are_those_that_the_peer_encoded(
        heads in prop::collection::vec(
            (0_usize..4, 0_u8..4, 1_usize..4, prop::bool::weighted(0.8)),
            1..12,
        ),
    ) {
        let values = [&["a"][..], &["b", "a"], &["ccc", "", "d"], &["b", "b"]];
        let mut fixture = Fixture::with(&[]);
        let (mut table, mut id) = (Vec::new(), 1);
        for (which, mode, times, asked) in heads {
            let fields = numbered(values[which]);
            fixture.conn.keep_fields(asked);
            for _ in 0..times {
                fixture.start(&[GET]);
                let block = encode(&fields, mode, &mut table);
                fixture.hear(&frame(Kind::Headers, END_HEADERS | END, id, &block));
                prop_assert_eq!(kept(&fixture.conn), if asked { &fields[..] } else { &[] });
                id += 2;
            }
        }
    }

    // Every stream is found where it lives, and no position is given out twice.
    #[test]
    fn tags_are_unique_while_they_live(
        streams in 1_u16..20,
        ends in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..200),
    ) {
        let mut fixture = Fixture::new(streams);
        fixture.hear(&settings(&[]));
        let positions = Conn::positions(NonZeroU16::new(streams).unwrap());
        let mut open: Vec<Tag> = Vec::new();
        for (end, cancelled) in ends {
            while fixture.conn.capacity() > 0 {
                let tag = fixture.conn.start(GET).unwrap();
                prop_assert!(!open.contains(&tag) && u32::from(tag.0) < positions);
                open.push(tag);
            }
            prop_assert_eq!(open.len(), usize::from(streams));
            fixture.say();
            let tag = open.swap_remove(end.index(open.len()));
            if cancelled {
                fixture.conn.cancel(tag);
            } else {
                let id = fixture.conn.streams.at(tag.0).unwrap().id();
                let expected = format!("{0}:200 {0}:done", tag.0);
                prop_assert_eq!(fixture.hear(&headers(id, END, OK)), expected);
            }
            let mut tags: Vec<Tag> = fixture.conn.tags().collect();
            tags.sort_unstable();
            open.sort_unstable();
            prop_assert_eq!(&tags, &open);
        }
    }

    // Whoever cancels and starts amid an input, and however little is wanted.
    #[test]
    fn each_request_has_one_head_at_most_and_one_end(
        sent in prop::collection::vec((0_usize..10, 0_u32..5, any::<bool>()), 1..40),
        cuts in prop::collection::vec(1_usize..60, 1..20),
        acts in prop::collection::vec(0_u8..12, 1..20),
        wanted in (any::<bool>(), any::<bool>()),
    ) {
        let mut owner = Owner::new(wanted.0, wanted.1);
        let frames: Vec<u8> = sent.iter().flat_map(|sent| anything(*sent)).collect();
        let (mut rest, mut cuts) = (&frames[..], cuts.iter().cycle());
        let mut acts = acts.iter().cycle();
        while !rest.is_empty() && !owner.failed {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            rest = after;
            owner.hear(piece, &mut acts);
        }
    }
}

/// A frame that a peer may send amid others, for good or ill.
fn anything((which, stream, ends): (usize, u32, bool)) -> Vec<u8> {
    let (id, end) = (2 * stream + 1, if ends { END } else { 0 });
    match which {
        0 | 1 => headers(id, end, OK),
        2 => headers(id, end, &[(":status", "200"), ("content-length", "2")]),
        3 | 4 => data(id, end, b"ab"),
        5 => frame(Kind::Data, PADDED | end, id, b"\x02abcd"),
        6 => reset(id, if ends { Code::RefusedStream } else { Code::Cancel }),
        7 => headers(id, 0, &[(":status", "103")]),
        8 => headers(id, 0, &[("x", "y")]),
        _ => goaway(id, Code::NoError),
    }
}

/// An owner that knows what it was told of each request.
struct Owner {
    fixture: Fixture,
    /// Whether the head was told of, for each request that is under way.
    open: BTreeMap<Tag, bool>,
    failed: bool,
}

impl Owner {
    fn new(content: bool, fields: bool) -> Self {
        let mut fixture = Fixture::new(4);
        fixture.hear(&settings(&[]));
        fixture.conn.tell_content(content);
        fixture.conn.keep_fields(fields);
        let mut owner = Self { fixture, open: BTreeMap::new(), failed: false };
        while owner.start() {}
        owner.fixture.say();
        owner
    }

    fn start(&mut self) -> bool {
        let Ok(tag) = self.fixture.conn.start(GET) else { return false };
        assert_eq!(self.open.insert(tag, false), None, "a tag is given out twice");
        true
    }

    /// Hears a piece, and does something after each event.
    fn hear<'a>(&mut self, piece: &[u8], acts: &mut impl Iterator<Item = &'a u8>) {
        let mut input = piece;
        loop {
            let event = match self.fixture.conn.receive(&mut input) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(_) => return self.failed = true,
            };
            self.note(&event);
            match acts.next() {
                Some(0 | 1) => drop(self.fixture.say()),
                Some(2) => drop(self.start()),
                Some(3) => {
                    if let Some((tag, _)) = self.open.pop_first() {
                        self.fixture.conn.cancel(tag);
                    }
                }
                _ => {}
            }
            assert_eq!(self.fixture.conn.outstanding() as usize, self.open.len());
        }
        // At the end of an input nothing is kept back.
        for (tag, told) in &self.open {
            assert_eq!(self.fixture.conn.phase(*tag) == Phase::Body, *told);
        }
    }

    fn note(&mut self, event: &Event<'_>) {
        let Some(tag) = event.tag() else { return };
        let told = self.open.remove(&tag);
        let (wanted, after) = match event {
            Event::Interim { .. } | Event::Whole { .. } => (Some(false), false),
            Event::Head { .. } => (Some(false), true),
            Event::Body { .. } | Event::Done { .. } => (Some(true), true),
            _ => (told.or(Some(false)), false),
        };
        assert_eq!(told, wanted, "{event:?}");
        if !event.is_end() {
            self.open.insert(tag, after);
        }
    }
}
