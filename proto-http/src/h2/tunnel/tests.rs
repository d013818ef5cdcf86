//! What a tunnel makes of a scripted proxy, clause by clause, and of anything at all.

use super::*;
use crate::h2::frame::ACK;
use crate::h2::frame::{PREFACE, PRIORITY, Setting};
use crate::h2::hpack::Decoder;
use crate::limits::{H2_EMPTY_DATA_MAX, H2_LATE_FRAMES_MIN, H2_PINGS_PENDING_MAX};
use proptest::prelude::*;
use std::string::ToString;
use std::{format, vec};

fn request() -> Vec<u8> {
    let fields = [("Proxy-Authorization".to_string(), "Basic eA==".to_string())];
    Tunnel::request("example.org:443", &fields).unwrap()
}

fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let header = Header { length, kind, flags, stream };
    [&header.bytes()[..], payload].concat()
}

fn settings(list: &[(Setting, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_settings(&mut out, list);
    out
}

fn block(status: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Block::new(&[Field::fixed(b":status", status.as_bytes())]).write(Form::Plain, &[], &mut out);
    out
}

fn head(status: &str, flags: u8) -> Vec<u8> {
    frame(Kind::Headers, END_HEADERS | flags, STREAM, &block(status))
}

fn data(flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(Kind::Data, flags, STREAM, bytes)
}

/// All that it writes.
fn say(tunnel: &mut Tunnel) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..100_000 {
        if !tunnel.wants_transmit() {
            return out;
        }
        let before = out.len();
        tunnel.transmit(&mut out, 70_000);
        assert!(out.len() > before, "it wants to write and does not");
    }
    panic!("it never stops writing");
}

/// The frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk() {
        let header = Header::parse(header);
        let (payload, rest) = rest.split_at(header.length as usize);
        all.push((header, payload.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    all
}

/// What it makes of `bytes`, in one line; content that is next to other content is joined.
fn hear(tunnel: &mut Tunnel, bytes: &[u8]) -> String {
    let mut heard = Vec::new();
    note(tunnel, bytes, &mut heard);
    heard.join(" ")
}

fn note(tunnel: &mut Tunnel, bytes: &[u8], heard: &mut Vec<String>) {
    let mut bytes = bytes.to_vec();
    let mut input = Lent(&mut bytes);
    loop {
        let word = match tunnel.receive(&mut input) {
            Ok(None) => return assert!(input.0.is_empty()),
            Ok(Some(TunnelEvent::Open)) => "open".to_string(),
            Ok(Some(TunnelEvent::Refused(status))) => format!("refused {status}"),
            Ok(Some(TunnelEvent::Content(bytes))) => {
                assert!(!bytes.is_empty());
                let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
                match heard.last_mut().filter(|word| word.starts_with('"')) {
                    Some(word) => {
                        word.push_str(&text);
                        continue;
                    }
                    None => format!("\"{text}"),
                }
            }
            Ok(Some(TunnelEvent::Ended)) => "ended".to_string(),
            Ok(Some(TunnelEvent::Reset(code))) => format!("reset {code}"),
            Err(error) => error.name().to_string(),
        };
        let over = tunnel.has_failed();
        heard.push(word);
        if over {
            return;
        }
    }
}

/// One that has been asked for, with the peer's settings read.
fn asked(list: &[(Setting, u32)]) -> Tunnel {
    let mut tunnel = Tunnel::new(&request());
    say(&mut tunnel);
    assert_eq!(hear(&mut tunnel, &settings(list)), "");
    let acknowledged = frames(&say(&mut tunnel));
    assert!(acknowledged.iter().all(|(header, _)| header.has(ACK)) && acknowledged.len() == 1);
    tunnel
}

fn open(list: &[(Setting, u32)]) -> Tunnel {
    let mut tunnel = asked(list);
    assert_eq!(hear(&mut tunnel, &head("200", 0)), "open");
    tunnel
}

/// The content of frames, and how many there are.
fn content(said: &[u8]) -> (Vec<u8>, usize) {
    let frames = frames(said);
    let data = frames.iter().filter(|(header, _)| header.kind == Kind::Data);
    let count = data.clone().count();
    (data.flat_map(|(_, payload)| payload.clone()).collect(), count)
}

// RFC 9113 section 8.5: :method and :authority, and neither :scheme nor :path.
#[test]
fn it_asks_with_method_and_authority_alone_and_the_fields_for_the_proxy() {
    let mut tunnel = Tunnel::new(&request());
    assert!(tunnel.wants_transmit() && !tunnel.takes());
    let said = say(&mut tunnel);
    let frames = frames(said.strip_prefix(PREFACE).unwrap());
    let kinds: Vec<Kind> = frames.iter().map(|(header, _)| header.kind).collect();
    assert_eq!(kinds, [Kind::Settings, Kind::WindowUpdate, Kind::Headers]);
    let (header, block) = frames.last().unwrap();
    assert_eq!((header.stream, header.flags), (STREAM, END_HEADERS));
    let mut list = Vec::new();
    Decoder::new(4096)
        .decode(block, u32::MAX, |name, value| {
            list.push(String::from_utf8([name, b"=", value].concat()).unwrap());
        })
        .unwrap();
    assert_eq!(
        list,
        [":method=CONNECT", ":authority=example.org:443", "proxy-authorization=Basic eA=="]
    );
}

#[test]
fn a_request_that_cannot_be_sent_is_refused() {
    let with = |name: &str, value: &str| {
        Tunnel::request("h:1", &[(name.to_string(), value.to_string())]).map(|_| ())
    };
    assert!(matches!(with("Connection", "close"), Err(RequestError::ConnectionField(_))));
    assert!(matches!(with("x", &"\\".repeat(40_000)), Err(RequestError::HeadTooLong(_))));
    assert!(with("x", &"\\".repeat(30_000)).is_ok());
    assert!(Tunnel::request("h 1", &[]).is_err());
}

#[test]
fn a_request_is_written_in_any_room() {
    for room in 1..400 {
        let (mut tunnel, mut said) = (Tunnel::new(&request()), Vec::new());
        while tunnel.wants_transmit() {
            let before = said.len();
            tunnel.transmit(&mut said, room);
            assert!(said.len() - before <= room && said.len() > before);
        }
        assert_eq!(said, request());
    }
}

#[test]
fn it_opens_with_any_2xx_after_any_1xx_and_lends_what_comes() {
    let mut tunnel = asked(&[]);
    assert_eq!(hear(&mut tunnel, &head("103", 0)), "");
    let script = [head("299", 0), data(0, b"ab"), data(0, b""), data(END_STREAM, b"c")].concat();
    assert_eq!(hear(&mut tunnel, &script), "open \"abc ended");
    let mut tunnel = asked(&[]);
    assert_eq!(hear(&mut tunnel, &head("200", END_STREAM)), "open ended");
}

#[test]
fn what_comes_can_be_changed_where_it_lies() {
    let mut tunnel = open(&[]);
    let mut bytes = data(0, b"abc");
    let mut input = Lent(&mut bytes);
    match tunnel.receive(&mut input) {
        Ok(Some(TunnelEvent::Content(content))) => content.reverse(),
        other => panic!("{other:?}"),
    }
    assert_eq!(bytes, data(0, b"cba"));
}

#[test]
fn padding_is_dropped() {
    let mut tunnel = open(&[]);
    assert_eq!(hear(&mut tunnel, &data(PADDED, b"\x02ab\0\0")), "\"ab");
    assert_eq!(hear(&mut tunnel, &data(PADDED | END_STREAM, b"\x01\0")), "ended");
    let mut tunnel = open(&[]);
    assert_eq!(hear(&mut tunnel, &data(PADDED, b"\x03ab")), "h2_padding");
}

#[test]
fn any_other_answer_is_told_and_what_follows_ignored_for_a_while() {
    for status in ["300", "407", "502"] {
        let mut tunnel = asked(&[]);
        let script = [head(status, 0), data(0, b"sorry")].concat();
        assert_eq!(hear(&mut tunnel, &script), format!("refused {status}"));
        assert!(!tunnel.takes());
        let more = data(0, b"x").repeat(H2_LATE_FRAMES_MIN as usize);
        assert_eq!(hear(&mut tunnel, &more), "h2_stream_closed");
    }
}

#[test]
fn it_may_be_torn_down_at_any_time() {
    let reset = frame(Kind::RstStream, 0, STREAM, &10_u32.to_be_bytes());
    for mut tunnel in [asked(&[]), open(&[])] {
        assert_eq!(hear(&mut tunnel, &reset), "reset 10");
        assert_eq!(hear(&mut tunnel, &reset), "");
    }
}

// RFC 9113 section 6.8: streams up to the last one go on.
#[test]
fn a_goaway_ends_only_a_tunnel_that_is_beyond_it_or_with_an_error() {
    let goaway = |last: u32, code: u32| {
        frame(Kind::GoAway, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
    };
    let mut tunnel = open(&[]);
    assert_eq!(hear(&mut tunnel, &[goaway(1, 0), data(0, b"x")].concat()), "\"x");
    assert_eq!(hear(&mut tunnel, &goaway(3, 0)), "h2_goaway_raised");
    assert_eq!(hear(&mut asked(&[]), &goaway(0, 0)), "reset 0");
    assert_eq!(hear(&mut open(&[]), &goaway(1, 11)), "reset 11");
}

// RFC 9113 section 6.9: neither more than the windows, nor longer frames than the peer takes.
#[test]
fn what_is_sent_keeps_to_both_windows_and_to_the_longest_frame() {
    let mut tunnel = open(&[(Setting::InitialWindowSize, 20_000)]);
    assert!(tunnel.takes());
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    tunnel.send(&bytes);
    assert!(!tunnel.takes());
    let (mut sent, count) = content(&say(&mut tunnel));
    assert_eq!((sent.len(), count), (20_000, 2));
    let grow = |stream: u32, by: u32| frame(Kind::WindowUpdate, 0, stream, &by.to_be_bytes());
    assert_eq!(hear(&mut tunnel, &grow(STREAM, 200_000)), "");
    sent.extend(content(&say(&mut tunnel)).0);
    // Now it is the connection's window that is used up.
    assert_eq!(sent.len(), WINDOW_DEFAULT as usize);
    assert!(!tunnel.wants_transmit());
    assert_eq!(hear(&mut tunnel, &grow(0, 200_000)), "");
    sent.extend(content(&say(&mut tunnel)).0);
    assert_eq!(sent, bytes);
    assert!(tunnel.takes());
}

// A proxy may open both windows for each few kilobytes that it reads.
#[test]
fn long_uploads_pay_for_the_updates_of_their_windows() {
    let grow = |by: u32| {
        [0, STREAM].map(|stream| frame(Kind::WindowUpdate, 0, stream, &by.to_be_bytes())).concat()
    };
    let mut tunnel = open(&[]);
    assert_eq!(hear(&mut tunnel, &grow(1 << 24)), "");
    let updates = grow(4096).repeat(4);
    for _ in 0..3_000 {
        tunnel.send(&[b'x'; 16_384]);
        assert_eq!(say(&mut tunnel).len(), 16_384 + 9);
        assert_eq!(hear(&mut tunnel, &updates), "");
    }
}

#[test]
fn windows_that_the_peer_abuses_are_refused() {
    let grow = |by: u32| frame(Kind::WindowUpdate, 0, STREAM, &by.to_be_bytes());
    assert_eq!(hear(&mut open(&[]), &grow(0)), "h2_zero_increment");
    assert_eq!(hear(&mut open(&[]), &grow((1 << 31) - 1)), "h2_window_overflow");
}

#[test]
fn it_ends_behind_all_that_was_sent() {
    let mut tunnel = open(&[(Setting::InitialWindowSize, 3)]);
    tunnel.send(b"bye!");
    tunnel.end();
    assert!(!tunnel.takes());
    assert_eq!(content(&say(&mut tunnel)), (b"bye".to_vec(), 1));
    hear(&mut tunnel, &settings(&[(Setting::InitialWindowSize, 9)]));
    let said = frames(&say(&mut tunnel));
    let (header, payload) = said.last().unwrap();
    assert!(header.has(END_STREAM) && payload.is_empty(), "{said:?}");
    assert_eq!(said.iter().filter(|(header, _)| header.kind == Kind::Data).count(), 2);
    tunnel.end();
    assert!(!tunnel.wants_transmit());
}

#[test]
fn pings_and_settings_are_answered() {
    let mut tunnel = open(&[]);
    hear(&mut tunnel, &frame(Kind::Ping, 0, 0, b"12345678"));
    hear(&mut tunnel, &settings(&[]));
    let said = frames(&say(&mut tunnel));
    assert!(said.iter().all(|(header, _)| header.has(ACK)) && said.len() == 2, "{said:?}");
    assert!(said.iter().any(|(_, payload)| payload == b"12345678"));
}

// The windows are refilled when half is used: 65,536 frames of 16 KiB.
#[test]
fn windows_are_refilled_before_they_are_used_up() {
    let mut tunnel = open(&[]);
    let piece = data(0, &[b'x'; 16_384]);
    let (mut refilled, mut bytes) = ([0_u64; 2], piece.clone());
    for _ in 0..140_000 {
        let mut input = Lent(&mut bytes);
        while tunnel.receive(&mut input).unwrap().is_some() {}
        for (header, payload) in frames(&say(&mut tunnel)) {
            assert_eq!(header.kind, Kind::WindowUpdate);
            let by = u32::from_be_bytes(payload.try_into().unwrap());
            refilled[usize::from(header.stream == STREAM)] += u64::from(by);
        }
    }
    assert!(refilled.iter().all(|by| *by >= 1 << 30), "{refilled:?}");
}

#[test]
fn floods_are_cut_off_and_the_peer_is_told_so() {
    let ping = frame(Kind::Ping, 0, 0, &[0; 8]);
    for (flood, count, name) in [
        (ping, H2_PINGS_PENDING_MAX + 1, "h2_ping_flood"),
        (data(0, b""), usize::from(H2_EMPTY_DATA_MAX) + 1, "h2_empty_data_flood"),
        (settings(&[]), 2_000, "h2_settings_flood"),
        (frame(Kind::Unknown, 0, 0, b""), 9_000, "h2_ignored_flood"),
        (frame(Kind::Priority, 0, 1, &[0; 5]), 9_000, "h2_ignored_flood"),
    ] {
        let mut tunnel = open(&[]);
        assert_eq!(hear(&mut tunnel, &flood.repeat(count)), name);
        // The same error for ever, and a last word.
        assert_eq!(hear(&mut tunnel, &data(0, b"x")), name);
        let said = frames(&say(&mut tunnel));
        assert_eq!(said.len(), 1, "{said:?}");
        let (header, payload) = &said[0];
        assert_eq!(header.kind, Kind::GoAway);
        assert_eq!(payload[4..], (Code::EnhanceYourCalm as u32).to_be_bytes());
    }
}

#[test]
fn broken_rules_have_names() {
    let with = |kind, flags, stream, payload: &[u8]| frame(kind, flags, stream, payload);
    for (bytes, name) in [
        (data(0, b"x"), "h2_unexpected_data"),
        (head("101", 0), "unexpected_upgrade"),
        (head("103", END_STREAM), "h2_interim_ends"),
        (head("103", 0).repeat(usize::from(INTERIM_MAX) + 1), "too_many_interim"),
        (head("20", 0), "h2_bad_status"),
        (with(Kind::Headers, END_HEADERS, 3, &block("200")), "h2_bad_stream"),
        (with(Kind::Headers, END_HEADERS | PRIORITY, 1, b"x"), "h2_frame_size"),
        (with(Kind::Continuation, 0, 1, b""), "h2_continuation"),
        (with(Kind::PushPromise, 0, 1, b""), "h2_push_promise"),
        (with(Kind::Ping, 0, 0, b"short"), "h2_frame_size"),
        (with(Kind::Ping, 0, 1, &[0; 8]), "h2_bad_stream"),
        (with(Kind::Settings, 0, 1, b""), "h2_bad_stream"),
        (with(Kind::Settings, ACK, 0, &[0; 6]), "h2_frame_size"),
        (with(Kind::GoAway, 0, 1, &[0; 8]), "h2_bad_stream"),
        (with(Kind::Priority, 0, 0, &[0; 5]), "h2_bad_stream"),
        (with(Kind::RstStream, 0, 0, &[0; 4]), "h2_bad_stream"),
        (with(Kind::Data, 0, 1, &vec![0; 16_385]), "h2_frame_too_large"),
        (with(Kind::Headers, 0, 1, b"").repeat(2), "h2_continuation"),
    ] {
        assert_eq!(hear(&mut asked(&[]), &bytes), name);
    }
    let mut tunnel = Tunnel::new(&request());
    say(&mut tunnel);
    assert_eq!(hear(&mut tunnel, b"HTTP/1.1 400 Bad Request\r\n"), "not_http2_http1");
    assert!(!tunnel.wants_transmit());
    let mut tunnel = Tunnel::new(&request());
    say(&mut tunnel);
    assert_eq!(hear(&mut tunnel, &[0x15, 3, 3, 0, 2, 2, 70]), "not_http2_tls");
    assert!(!tunnel.wants_transmit());
    // Nobody can answer what was not asked.
    let mut tunnel = Tunnel::new(&request());
    let early = [settings(&[]), head("200", 0)].concat();
    assert_eq!(hear(&mut tunnel, &early), "h2_bad_stream");
    assert!(!tunnel.wants_transmit());
}

#[test]
fn a_head_in_several_frames_is_put_together_and_bounded() {
    let mut tunnel = asked(&[]);
    let block = block("200");
    let script = [
        frame(Kind::Headers, 0, 1, &block[..1]),
        frame(Kind::Continuation, 0, 1, b""),
        frame(Kind::Continuation, END_HEADERS, 1, &block[1..]),
    ]
    .concat();
    assert_eq!(hear(&mut tunnel, &script), "open");
    let endless = |payload: &[u8]| {
        let more = frame(Kind::Continuation, 0, 1, payload).repeat(40);
        hear(&mut asked(&[]), &[frame(Kind::Headers, 0, 1, b""), more].concat())
    };
    assert_eq!(endless(b""), "h2_continuation_flood");
    assert_eq!(endless(&[0; 16_384]), "h2_block_too_large");
}

/// A frame as a proxy may send it, or not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    let raw = (0_u8..12, any::<u8>(), 0_u32..4, payload.clone()).prop_map(
        |(kind, flags, stream, payload)| {
            let length = u32::try_from(payload.len()).unwrap();
            let header = Header { length, kind: Kind::Data, flags, stream };
            let mut bytes = header.bytes();
            bytes[3] = kind;
            [&bytes[..], &payload].concat()
        },
    );
    prop_oneof![
        1 => raw,
        4 => prop::collection::vec(b'a'..=b'z', 0..40).prop_map(|bytes| data(0, &bytes)),
        1 => Just(data(PADDED, b"\x02ab\0\0")),
        1 => Just(data(END_STREAM, b"end")),
        2 => Just(head("200", 0)),
        1 => Just(head("100", 0)),
        1 => Just(head("502", 0)),
        1 => Just(frame(Kind::Ping, 0, 0, &[7; 8])),
        1 => Just(settings(&[(Setting::InitialWindowSize, 70_000)])),
        1 => Just(frame(Kind::WindowUpdate, 0, 1, &5_u32.to_be_bytes())),
    ]
}

proptest! {
    #[test]
    fn a_script_is_heard_alike_however_it_is_split(
        script in prop::collection::vec(any_frame(), 0..20),
        cuts in prop::collection::vec(1_usize..30, 1..20),
    ) {
        let script = [settings(&[]), script.concat()].concat();
        let (mut whole, mut split) = (Tunnel::new(&request()), Tunnel::new(&request()));
        say(&mut whole);
        say(&mut split);
        let expected = hear(&mut whole, &script);
        let (mut heard, mut rest) = (Vec::new(), &script[..]);
        for length in cuts.iter().cycle() {
            let (piece, more) = rest.split_at(rest.len().min(*length));
            rest = more;
            note(&mut split, piece, &mut heard);
            if rest.is_empty() || split.has_failed() {
                break;
            }
        }
        prop_assert_eq!(heard.join(" "), expected);
        prop_assert_eq!(say(&mut split), say(&mut whole));
    }

    #[test]
    fn anything_may_come_at_any_time(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for mut tunnel in [Tunnel::new(&request()), asked(&[]), open(&[])] {
            hear(&mut tunnel, &bytes);
            tunnel.send(b"x");
            tunnel.end();
            say(&mut tunnel);
        }
    }

    #[test]
    fn all_that_is_sent_arrives_in_any_room_and_window(
        lengths in prop::collection::vec(0_usize..3_000, 1..8),
        room in 300_usize..2_000,
        // Byte by byte, with two updates for each, is a flood.
        window in 8_u32..700,
    ) {
        let mut tunnel = open(&[(Setting::InitialWindowSize, window)]);
        let (mut sent, mut arrived) = (Vec::new(), Vec::new());
        for length in lengths {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            prop_assert!(tunnel.takes());
            tunnel.send(&bytes);
            sent.extend(bytes);
            for _ in 0..30_000 {
                let mut out = Vec::new();
                tunnel.transmit(&mut out, room);
                prop_assert!(out.len() <= room);
                let (piece, _) = content(&out);
                prop_assert!(piece.len() <= window as usize);
                if !piece.is_empty() {
                    let by = u32::try_from(piece.len()).unwrap().to_be_bytes();
                    let grow = |stream| frame(Kind::WindowUpdate, 0, stream, &by);
                    prop_assert_eq!(hear(&mut tunnel, &[grow(0), grow(1)].concat()), "");
                }
                arrived.extend(piece);
                if tunnel.takes() {
                    break;
                }
            }
        }
        prop_assert_eq!(arrived, sent);
    }
}
