//! Requests with values of their own, as servers read them: HTTP/1.1 by `httparse`, HTTP/2 by an
//! independent decoder of header blocks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::num::{NonZeroU8, NonZeroU16};

use pummel_proto_http::h2::frame::{self, Header, Kind, PREFACE};
use pummel_proto_http::h2::{self, Event, Rendered, Slip};
use pummel_proto_http::limits::H2_VARYING_FIELDS_MAX;
use pummel_proto_http::{Escape, Form, Rendering, Request, RequestError, Slot, Text, Values, h1};

struct Three([Vec<u8>; 3]);

impl Values for Three {
    fn value(&self, number: u16) -> &[u8] {
        self.0.get(usize::from(number)).map_or(&[], Vec::as_slice)
    }
}

fn values(n: usize) -> Three {
    // Lengths differ, so that all that follows moves.
    Three(
        [format!("{n}"), "ü b".repeat(n), format!("\"{}\"\r\n", "x".repeat(1000 * n))]
            .map(String::into_bytes),
    )
}

fn text(before: &str, value: u16, escape: Escape, after: &str) -> Text {
    let mut text = Text::from(before);
    text.push_slot(Slot { value, escape });
    text.push(after);
    text
}

/// `POST /a/…?q=…` with a field and a body that hold values.
fn request() -> Request {
    let mut target = text("/a/", 0, Escape::Component, "?q=");
    target.push_slot(Slot { value: 1, escape: Escape::Component });
    Request::builder("POST", "h:1", target)
        .unwrap()
        .field("X-Value", text("v ", 2, Escape::Plain, ";"))
        .unwrap()
        .body(text("{\"a\":\"", 2, Escape::Json, "\"}"))
        .build()
}

/// What request `n` has to look like: path, field, body.
fn expected(n: usize) -> (String, String, String) {
    let path = format!("/a/{n}?q={}", "%C3%BC%20b".repeat(n));
    let long = "x".repeat(1000 * n);
    (path, format!("v \"{long}\"  ;"), format!("{{\"a\":\"\\\"{long}\\\"\\r\\n\"}}"))
}

#[test]
fn over_http1_each_request_has_its_values_and_their_length() {
    let serial = request().serial(&Rendering::default());
    let mut out = Vec::new();
    for n in [0, 1, 7, 2] {
        out.clear();
        serial.fill(&values(n), &mut out);
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut head = httparse::Request::new(&mut fields);
        let length = head.parse(&out).unwrap().unwrap();
        let (path, field, body) = expected(n);
        assert_eq!(head.path, Some(path.as_str()));
        let of = |name: &str| {
            let found = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            std::str::from_utf8(found.unwrap().value).unwrap()
        };
        assert_eq!(of("x-value"), field);
        assert_eq!(of("content-length"), body.len().to_string());
        assert_eq!(std::str::from_utf8(&out[length..]).unwrap(), body);
    }
    let absolute = Rendering { form: Form::Absolute, ..Rendering::default() };
    out.clear();
    request().serial(&absolute).fill(&values(1), &mut out);
    assert!(out.starts_with(b"POST http://h:1/a/1?q=%C3%BC%20b HTTP/1.1\r\nHost: h:1\r\n"));
}

#[test]
fn what_is_constant_is_rendered_as_before() {
    let get = Request::builder("GET", "h", "/").unwrap().field("A", "b").unwrap().build();
    assert!(get.is_constant() && get.values().is_empty());
    let mut out = Vec::new();
    get.serial(&Rendering::default()).fill(&values(1), &mut out);
    assert_eq!(out, get.render_h1());
    assert!(!request().is_constant());
    assert_eq!(request().values(), [0, 1, 2]);
}

/// Takes frames apart: the fields and the body of each stream.
fn read(decoder: &mut loona_hpack::Decoder<'_>, bytes: &[u8]) -> HashMap<u32, Seen> {
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    let mut seen: HashMap<u32, Seen> = HashMap::new();
    let mut block = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(9) {
        let header = Header::parse(head.try_into().unwrap());
        let (payload, after) = after.split_at(header.length as usize);
        let stream = seen.entry(header.stream).or_default();
        match header.kind {
            Kind::Headers | Kind::Continuation => {
                block.extend_from_slice(payload);
                if header.flags & frame::END_HEADERS > 0 {
                    let fields = decoder.decode(&block).unwrap();
                    block.clear();
                    stream.fields.extend(fields.into_iter().map(|(name, value)| {
                        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                        (text(&name), text(&value))
                    }));
                }
            }
            Kind::Data => stream.body.extend_from_slice(payload),
            _ => {}
        }
        rest = after;
    }
    seen
}

#[derive(Default)]
struct Seen {
    fields: HashMap<String, String>,
    body: Vec<u8>,
}

// RFC 9113 section 8.2.1.
#[test]
fn over_http2_a_field_neither_begins_nor_ends_with_a_blank() {
    struct Blank;
    impl Values for Blank {
        fn value(&self, _: u16) -> &[u8] {
            b" \tto ken\r\n"
        }
    }
    let mut token = Text::default();
    token.push_slot(Slot { value: 0, escape: Escape::Plain });
    let request = Request::builder("GET", "h", "/").unwrap().field("x-token", token);
    let request = request.unwrap().build();
    let rendered = Rendered::set(&[&request]).unwrap();
    let mut slip = Slip::default();
    assert!(rendered[0].fill(&Blank, &mut slip));
    let mut conn = h2::Conn::new(NonZeroU16::MIN);
    conn.start(0).unwrap();
    let mut out = Vec::new();
    conn.transmit_with(&rendered, &[slip], &mut out, 1 << 16);
    let seen = read(&mut loona_hpack::Decoder::new(), &out);
    assert_eq!(seen[&1].fields["x-token"], "to ken");
}

#[test]
fn over_http2_each_stream_has_its_values_in_any_number_of_pages() {
    let constant = Request::builder("GET", "h:1", "/c").unwrap().build();
    let requests = Rendered::set(&[&request(), &constant]).unwrap();
    for room in [33_000, 65_536] {
        let mut conn = h2::Conn::new(NonZeroU16::new(4).unwrap());
        let mut slips =
            vec![Slip::default(); h2::Conn::positions(NonZeroU16::new(4).unwrap()) as usize];
        let mut decoder = loona_hpack::Decoder::new();
        let mut out = Vec::new();
        for round in 0..3 {
            let started: Vec<_> = (0..4)
                .map(|n| {
                    let index = u16::from(n == 3);
                    let tag = conn.start(index).unwrap();
                    assert!(
                        requests[usize::from(index)]
                            .fill(&values(n + round), &mut slips[usize::from(tag.0)])
                    );
                    tag
                })
                .collect();
            out.clear();
            while conn.wants_transmit() {
                let mut page = Vec::new();
                conn.transmit_with(&requests, &slips, &mut page, room);
                out.append(&mut page);
            }
            let seen = read(&mut decoder, &out);
            let mut streams: Vec<u32> = seen.keys().copied().filter(|&stream| stream > 0).collect();
            streams.sort_unstable();
            for (n, stream) in streams.iter().enumerate().take(3) {
                let (path, field, body) = expected(n + round);
                let Seen { fields, body: sent } = &seen[stream];
                assert_eq!((&fields[":path"], &fields["x-value"]), (&path, &field));
                assert_eq!(fields["content-length"], body.len().to_string());
                assert_eq!(std::str::from_utf8(sent).unwrap(), body);
            }
            assert_eq!(seen[&streams[3]].fields[":path"], "/c");
            let mut answers = Vec::new();
            if round == 0 {
                frame::write_settings(&mut answers, &[]);
            }
            for stream in &streams {
                let flags = frame::END_HEADERS | frame::END_STREAM;
                let head = Header { length: 1, kind: Kind::Headers, flags, stream: *stream };
                frame::write_header(&mut answers, head);
                answers.push(0x88);
            }
            let (mut input, mut done) = (&answers[..], 0);
            while let Some(event) = conn.receive(&mut input).unwrap() {
                done += usize::from(matches!(event, Event::Done { .. }));
            }
            assert_eq!(done, started.len());
        }
    }
}

#[test]
fn more_varying_fields_than_there_is_room_for_are_refused() {
    let with = |count: usize| {
        let mut builder = Request::builder("GET", "h", "/").unwrap();
        for n in 0..count {
            let value = text("", 0, Escape::Plain, "");
            builder = builder.field(&format!("x-{n}"), value).unwrap();
        }
        Rendered::set(&[&builder.build()])
    };
    assert!(with(H2_VARYING_FIELDS_MAX).is_ok());
    let error = with(H2_VARYING_FIELDS_MAX + 1).unwrap_err();
    assert_eq!(error, RequestError::TooManyVarying(H2_VARYING_FIELDS_MAX + 1));
}

#[test]
fn a_value_cannot_end_a_line_early() {
    let evil =
        Three([b"a\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1\r\n".to_vec(), Vec::new(), Vec::new()]);
    let request = Request::builder("GET", "h", text("/", 0, Escape::Plain, ""))
        .unwrap()
        .field("X", text("", 0, Escape::Plain, ""))
        .unwrap()
        .build();
    let mut out = Vec::new();
    request.serial(&Rendering::default()).fill(&evil, &mut out);
    let lines = out.windows(2).filter(|pair| pair == b"\r\n").count();
    // The request line, Host, User-Agent, Accept, X and the empty line.
    assert_eq!(lines, 6, "{}", String::from_utf8_lossy(&out));
    let mut conn = h1::Conn::new(NonZeroU8::MIN);
    assert!(conn.start(request.expects()).is_ok());
}

#[test]
fn a_head_that_is_too_long_with_its_values_is_told() {
    let request = Request::builder("GET", "h", text("/", 0, Escape::Component, "")).unwrap();
    let rendered = request.build().render_h2().unwrap();
    let mut slip = Slip::default();
    for (length, fits) in [(30_000, true), (33_000, false), (10, true)] {
        let long = Three([vec![b'x'; length], Vec::new(), Vec::new()]);
        assert_eq!(rendered.fill(&long, &mut slip), fits, "{length}");
    }
}
