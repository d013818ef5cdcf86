//! Clause by clause: what RFC 9113 wants of a client, from the bytes of a scripted peer.

use super::frame::{self, Code, Header, Kind, PREFACE, Setting};
use super::hpack::{Block, Field, Form};
use super::*;
use crate::Request;
use core::fmt::Write;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

const ROOM: usize = 64 * 1024;

/// A connection with its requests, and what it says and hears.
struct Fixture {
    conn: Conn,
    requests: Vec<Rendered>,
}

/// Which of a fixture's requests.
const GET: u16 = 0;
const HEAD: u16 = 1;
const POST: u16 = 2;

const BODY_BYTES: usize = 100_000;

impl Fixture {
    fn new(streams: u16) -> Self {
        let get = Request::builder("GET", "example.org", "/").unwrap().build();
        let head = Request::builder("HEAD", "example.org", "/").unwrap().build();
        let body: Vec<u8> = (0..BODY_BYTES).map(|at| (at % 251) as u8).collect();
        let post = Request::builder("POST", "example.org", "/").unwrap().body(body).build();
        let requests = Rendered::set(&[&get, &head, &post]).unwrap();
        Self { conn: Conn::new(NonZeroU16::new(streams).unwrap()), requests }
    }

    /// One whose preface was sent, which has read the peer's settings, and whose `requests` were
    /// written.
    fn with(requests: &[u16]) -> Self {
        let mut fixture = Self::new(100);
        assert_eq!(fixture.hear(&settings(&[])), "settled");
        for request in requests {
            fixture.conn.start(*request).unwrap();
        }
        fixture.say();
        fixture
    }

    /// What the connection writes.
    fn say(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rounds = 0;
        while self.conn.wants_transmit() {
            let before = out.len();
            self.conn.transmit(&self.requests, &mut out, ROOM);
            assert!(out.len() - before <= ROOM);
            rounds += 1;
            assert!(rounds < 100, "it has always more to say");
        }
        out
    }

    /// What the connection makes of `bytes`, in one line.
    fn hear(&mut self, bytes: &[u8]) -> String {
        let mut input = bytes;
        let mut line = String::new();
        loop {
            let gap = if line.is_empty() { "" } else { " " };
            match self.conn.receive(&mut input) {
                Ok(None) => {
                    assert!(input.is_empty());
                    return line;
                }
                Ok(Some(event)) => write!(line, "{gap}{}", describe(event)).unwrap(),
                Err(error) => {
                    write!(line, "{gap}!{}", error.name()).unwrap();
                    assert_eq!(self.conn.receive(&mut input), Err(error), "an error passes");
                    assert_eq!(self.conn.capacity(), 0);
                    return line;
                }
            }
        }
    }
}

fn describe(event: Event<'_>) -> String {
    match event {
        Event::Settled => "settled".into(),
        Event::Interim { tag, status } | Event::Head { tag, status } => {
            format!("{}:{status}", tag.0)
        }
        Event::Body { tag, bytes } => format!("{}:\"{}\"", tag.0, bytes.escape_ascii()),
        Event::Done { tag } => format!("{}:done", tag.0),
        Event::Reset { tag, code, processed } => {
            format!("{}:reset({code}{})", tag.0, if processed { "" } else { " unprocessed" })
        }
        Event::Malformed { tag, error } => format!("{}:malformed({})", tag.0, error.name()),
        Event::NotProcessed { tag } => format!("{}:not-processed", tag.0),
        Event::GoAway { code } => format!("goaway({code})"),
    }
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
    frame(Kind::Headers, flags | frame::END_HEADERS, stream, &block(fields))
}

fn data(stream: u32, flags: u8, content: &[u8]) -> Vec<u8> {
    frame(Kind::Data, flags, stream, content)
}

const OK: &[(&str, &str)] = &[(":status", "200"), ("server", "x")];
const END: u8 = frame::END_STREAM;

#[test]
fn a_get_is_written_and_answered() {
    let mut fixture = Fixture::new(100);
    assert_eq!(fixture.conn.start(GET), Ok(Tag(0)));
    let said = fixture.say();
    assert!(said.starts_with(PREFACE));
    assert!(!fixture.conn.wants_transmit());
    let answer = [settings(&[]), headers(1, 0, OK), data(1, END, b"hello")].concat();
    assert_eq!(fixture.hear(&answer), "settled 0:200 0:\"hello\" 0:done");
    assert_eq!(fixture.say(), frame(Kind::Settings, frame::ACK, 0, &[]));
    assert_eq!(fixture.conn.outstanding(), 0);
    assert_eq!(fixture.conn.capacity(), 100);
}
