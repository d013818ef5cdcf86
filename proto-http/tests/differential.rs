//! The same bytes through this package and through hyper: a second opinion on every verdict.
//!
//! hyper is read over a wire that needs no runtime and no clock: it delivers the response once the
//! request was written, then falls silent, and closes only when hyper is still waiting. So a
//! verdict is a function of the bytes. Where the two differ on purpose, [`DIFFERENT`] says why, and
//! a test fails when they agree again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use core::num::NonZeroU8;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use http_body_util::{BodyExt, Empty};
use hyper::rt::{Read, ReadBufCursor, Write};
use proptest::prelude::*;
use pummel_proto_http::{Event, Request, Reuse, h1};
use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// Polls after which hyper is held to wait for more bytes; it hands over one chunk per poll, and no
/// stream here has half as many.
const POLLS_MAX: u32 = 64;

/// What a client makes of one response and what comes after it.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Response { status: u16, body: Vec<u8>, reuse: Reuse },
    Error,
}

/// Reads `stream` with this package; bytes after the response make it an error.
fn ours(method: &str, stream: &[u8]) -> Verdict {
    let request = Request::builder(method, "h", "/").unwrap().build();
    let mut conn = h1::Conn::new(NonZeroU8::MIN);
    conn.start(request.expects()).unwrap();
    let (mut status, mut body, mut reuse) = (0, Vec::new(), None);
    let mut note = |event: Event<'_>| match event {
        Event::Interim { .. } => {}
        Event::Head(head) => status = head.status,
        Event::Body(content) => body.extend_from_slice(content),
        Event::Done(done) => reuse = Some(done.reuse),
    };
    let (mut input, mut recall) = (stream, h1::Recall::new());
    loop {
        match conn.receive(&mut input, &mut recall) {
            Ok(Some(event)) => note(event),
            Ok(None) => break,
            Err(_) => return Verdict::Error,
        }
    }
    match conn.receive_end() {
        Ok(Some(event)) => note(event),
        Ok(None) => {}
        Err(_) => return Verdict::Error,
    }
    match reuse {
        Some(reuse) => Verdict::Response { status, body, reuse },
        None => Verdict::Error,
    }
}

/// The far end of hyper's connection.
struct Wire {
    stream: Vec<u8>,
    read: usize,
    state: Rc<WireState>,
}

#[derive(Default)]
struct WireState {
    requested: Cell<bool>,
    ended: Cell<bool>,
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.stream.get(self.read..).unwrap_or_default();
        if !self.state.requested.get() || left.is_empty() && !self.state.ended.get() {
            return Poll::Pending;
        }
        let length = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..length).unwrap());
        self.read += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.state.requested.set(true);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Reads `stream` with hyper.
fn hypers(method: &str, stream: &[u8]) -> Verdict {
    let state = Rc::new(WireState::default());
    let wire = Wire { stream: stream.to_vec(), read: 0, state: Rc::clone(&state) };
    let mut context = Context::from_waker(Waker::noop());
    let mut handshake = pin!(hyper::client::conn::http1::handshake(wire));
    let Poll::Ready(Ok((mut sender, conn))) = handshake.as_mut().poll(&mut context) else {
        panic!("hyper's handshake needs no bytes");
    };
    let mut conn = pin!(conn);
    let request =
        hyper::Request::builder().method(method).uri("/").body(Empty::<&[u8]>::new()).unwrap();
    let sent = sender.send_request(request);
    let mut exchange = pin!(async move {
        let response = sent.await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?;
        Some((status, body.to_bytes().to_vec()))
    });

    let (mut answer, mut conn_end) = (None, None);
    for poll in 0..2 * POLLS_MAX {
        if poll == POLLS_MAX && answer.is_none() {
            state.ended.set(true);
        }
        if conn_end.is_none()
            && let Poll::Ready(end) = conn.as_mut().poll(&mut context)
        {
            conn_end = Some(end);
        }
        if answer.is_none()
            && let Poll::Ready(end) = exchange.as_mut().poll(&mut context)
        {
            answer = Some(end);
        }
    }
    match (answer.flatten(), conn_end) {
        (None, _) | (_, Some(Err(_))) => Verdict::Error,
        (Some((status, body)), end) => {
            let reuse = if end.is_some() { Reuse::Close } else { Reuse::Keep };
            Verdict::Response { status, body, reuse }
        }
    }
}

/// Where the two differ: the bytes after the first head line, and the reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", "RFC 9112 2.2 permits a bare LF; we refuse it"),
    (
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "RFC 9112 2.2 speaks of empty lines before requests only",
    ),
    (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "hyper hands the connection to its owner; ours never asks for an upgrade (RFC 9110 7.8)",
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112 6.3 rule 3: a server ought to close here, so we do; hyper keeps the connection",
    ),
    (
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\nmore",
        "bytes beyond the last response: unsolicited to us, not looked at by hyper",
    ),
    (
        "HTTP/1.1 205 Reset Content\r\n\r\n",
        "RFC 9110 15.3.6: no content, so nothing to wait for; hyper reads until the close",
    ),
    (
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 1\r\n\r\n.",
        "RFC 9110 15.3.6: a 205 with content is an error to us",
    ),
    (
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112 6.1: processed, then closed; hyper refuses it",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "RFC 9112 6.1: chunked is not applied twice; hyper looks at the last coding only",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0;\x01\r\n\r\n",
        "RFC 9112 7.1.1: an extension holds no control characters; hyper skips it unread",
    ),
];

fn is_listed_as_different(stream: &[u8]) -> bool {
    DIFFERENT.iter().any(|(listed, _)| listed.as_bytes() == stream)
}

#[test]
fn listed_differences_are_still_different() {
    for (stream, reason) in DIFFERENT {
        let stream = stream.as_bytes();
        assert_ne!(ours("GET", stream), hypers("GET", stream), "{reason}");
    }
}

#[test]
fn endless_interim_responses_are_refused_here_and_read_by_hyper() {
    let stream = "HTTP/1.1 100 Continue\r\n\r\n".repeat(17) + "HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(ours("GET", stream.as_bytes()), Verdict::Error);
    assert_ne!(hypers("GET", stream.as_bytes()), Verdict::Error);
}

#[test]
fn wire_images_get_hypers_verdict_or_a_stricter_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut same = 0;
    for folder in [folder.join("wire"), folder.join("corpus/h1_response")] {
        for entry in fs::read_dir(folder).unwrap() {
            let stream = fs::read(entry.unwrap().path()).unwrap();
            for method in ["GET", "HEAD"] {
                check_not_laxer(method, &stream);
                same += u32::from(ours(method, &stream) == hypers(method, &stream));
            }
        }
    }
    assert!(same > 70, "only {same} verdicts are the same");
}

/// Checks that what we accept, hyper accepts and reads the same, and that we keep no connection
/// that hyper would close.
#[track_caller]
fn check_not_laxer(method: &str, stream: &[u8]) {
    let (ours, hypers) = (ours(method, stream), hypers(method, stream));
    let agreed = match (&ours, &hypers) {
        (Verdict::Error, _) => true,
        (
            Verdict::Response { reuse: Reuse::Close | Reuse::Doubtful, status, body },
            Verdict::Response { status: hypers_status, body: hypers_body, .. },
        ) => (status, body) == (hypers_status, hypers_body),
        (ours, hypers) => ours == hypers,
    };
    let text = stream.escape_ascii();
    assert!(agreed || is_listed_as_different(stream), "{method} {text}: {ours:?}, {hypers:?}");
}

/// Valid responses, with content.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec("x-[a-z]{1,9}: [!-~]{0,9}\r\n", 0..40);
    let connection =
        prop::sample::select(&["", "Connection: close\r\n", "connection: a, Keep-Alive\r\n"]);
    let content = prop::collection::vec(any::<u8>(), 0..60);
    let status = (200_u16..=999).prop_filter("no 205", |status| *status != 205);
    (any::<bool>(), status, fields, connection, content, 0..3).prop_map(
        |(old, status, fields, connection, content, framing)| {
            let minor = u8::from(!old || framing == 0);
            let mut text =
                format!("HTTP/1.{minor} {status} Reason\r\n{}{connection}", fields.concat());
            let bodyless = matches!(status, 204 | 304);
            let framed = match framing {
                0 => String::from("Transfer-Encoding: chunked\r\n\r\n"),
                1 => format!("Content-Length: {}\r\n\r\n", content.len()),
                _ => String::from("\r\n"),
            };
            text += &framed;
            let mut stream = text.into_bytes();
            match framing {
                _ if bodyless => {}
                0 => {
                    for chunk in content.chunks(7) {
                        stream.extend(format!("{:x};a=b\r\n", chunk.len()).bytes());
                        stream.extend([chunk, b"\r\n"].concat());
                    }
                    stream.extend(b"0\r\nx-sum: 1\r\n\r\n");
                }
                _ => stream.extend(content),
            }
            stream
        },
    )
}

/// Parts of which a response may be made, with much that is faulty.
const PARTS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "Content-Length: 3\r\n",
    "Content-Length: 3, 3\r\n",
    "content-length: 4\r\n",
    "Content-Length: +3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "A : b\r\n",
    " fold\r\n",
    "X: y\n",
    "\r\n3\r\nabc\r\n0\r\n\r\n",
    "\r\nabc",
    "\r\n\r\n",
    "3 ;a\r\nabc\r\n",
    "0\r\n\r\n",
    "abc",
    "0\r\nA: b\r\n\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_responses_get_hypers_verdict(stream in responses()) {
        prop_assert_eq!(ours("GET", &stream), hypers("GET", &stream), "{}", stream.escape_ascii());
    }

    #[test]
    fn nothing_is_accepted_that_hyper_refuses(
        first in prop::sample::select(&PARTS[..4]),
        parts in prop::collection::vec(prop::sample::select(PARTS), 0..8),
        method in prop::sample::select(&["GET", "HEAD"]),
    ) {
        let stream = first.to_owned() + &parts.concat();
        // Processed and closed here, refused by hyper: listed as different.
        if !(stream.contains("HTTP/1.0") && stream.contains("ransfer-")) {
            check_not_laxer(method, stream.as_bytes());
        }
    }
}
