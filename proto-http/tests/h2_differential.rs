//! Our client of HTTP/2 and the server of the crate `h2`, over a wire in memory: each must hear
//! what the other said.
//!
//! There is no runtime and no clock. Both sides are polled in turn, and the wire hands over a few
//! bytes at a time, so that frames are cut anywhere and a run is a function of its plan.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of a test"
)]

use core::future::{Future, poll_fn};
use core::num::NonZeroU16;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use h2::{Reason, RecvStream, server};
use http::{HeaderMap, Request as HttpRequest, Response};
use proptest::prelude::*;
use pummel_proto_http::h2::{Conn, Event, Rendered, Tag};
use pummel_proto_http::{Request, limits};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Cursor};
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Rounds after which a conversation is held to be stuck; the longest here take a tenth of it.
const ROUNDS_MAX: u32 = 200_000;

/// What a server does with one request.
#[derive(Debug, Clone)]
struct Plan {
    /// Bytes of the request's body; `None` for a `GET`.
    upload: Option<usize>,
    status: u16,
    /// Bytes of the response's content, and how many go into one write.
    content: usize,
    piece: usize,
    ending: Ending,
    /// Whether the client gives the request up once its head has come.
    cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Plain,
    Trailers,
    /// Without having read the request's body.
    Early,
    /// Instead of an answer.
    Refused,
    /// In the middle of the content.
    Broken,
}

/// What a server allows.
#[derive(Debug, Clone)]
struct Limits {
    window: u32,
    connection_window: u32,
    frame: u32,
    streams: u32,
    /// How many bytes the wire hands over at once.
    cut: usize,
    /// After how many requests the server says goodbye.
    goodbye: Option<usize>,
}

/// What became of a request, as the client sees it.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Outcome {
    Done(u16, Vec<u8>),
    Reset { code: u32, processed: bool },
    NotProcessed,
    Cancelled,
}

/// What became of a request, as the server sees it: the body, if it was read to its end.
type Seen = BTreeMap<usize, Option<Vec<u8>>>;

fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ seed.wrapping_mul(7)).to_le_bytes()[0]).collect()
}

/// Both directions of a wire.
#[derive(Default)]
struct Wire {
    to_server: VecDeque<u8>,
    to_client: Vec<u8>,
}

/// The server's end of it.
struct ServerEnd {
    wire: Rc<RefCell<Wire>>,
    cut: usize,
}

impl AsyncRead for ServerEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.wire.borrow_mut();
        if wire.to_server.is_empty() {
            return Poll::Pending;
        }
        let length = wire.to_server.len().min(buffer.remaining()).min(self.cut);
        let bytes: Vec<u8> = wire.to_server.drain(..length).collect();
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ServerEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.borrow_mut().to_client.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Respond = server::SendResponse<Cursor<Vec<u8>>>;

/// An answer under way.
type Answer = Pin<Box<dyn Future<Output = Result<(), h2::Error>>>>;

/// Reads a body to its end; `None` if the client gave it up.
async fn read(body: &mut RecvStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    Some(bytes)
}

/// Answers one request as planned; errors are those of a client that gave it up.
async fn answer(
    index: usize,
    plan: Plan,
    request: HttpRequest<RecvStream>,
    mut respond: Respond,
    seen: Rc<RefCell<Seen>>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    assert_eq!(head.uri.to_string(), format!("http://example.org/{index}"));
    assert_eq!(head.headers["x-index"], index.to_string());
    assert_eq!(head.method, if plan.upload.is_some() { "POST" } else { "GET" });
    let early = matches!(plan.ending, Ending::Early | Ending::Refused);
    let read = if early { None } else { read(&mut body).await };
    seen.borrow_mut().insert(index, read);
    if plan.ending == Ending::Refused {
        respond.send_reset(Reason::REFUSED_STREAM);
        return Ok(());
    }
    let response = Response::builder()
        .status(plan.status)
        .header("server", "reference")
        .header("x-index", index)
        .header("date", "Fri, 20 Nov 2026 15:51:28 GMT")
        .body(())
        .unwrap();
    let trailers = plan.ending == Ending::Trailers;
    let mut stream = respond.send_response(response, plan.content == 0 && !trailers)?;
    let content = pattern(index, plan.content);
    let pieces: Vec<_> = content.chunks(plan.piece).map(<[u8]>::to_vec).collect();
    let last = pieces.len().saturating_sub(1);
    for (at, piece) in pieces.into_iter().enumerate() {
        if plan.ending == Ending::Broken && at == last {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        stream.send_data(Cursor::new(piece), at == last && !trailers)?;
    }
    if trailers {
        let mut fields = HeaderMap::new();
        fields.insert("x-sum", "1".parse().unwrap());
        stream.send_trailers(fields)?;
    }
    Ok(())
}

/// The server: everything that it has to do next, however often it is polled.
async fn serve(
    end: ServerEnd,
    limits: Limits,
    plans: Vec<Plan>,
    seen: Rc<RefCell<Seen>>,
) -> Result<(), h2::Error> {
    let mut connection = server::Builder::new()
        .initial_window_size(limits.window)
        .initial_connection_window_size(limits.connection_window)
        .max_frame_size(limits.frame)
        .max_concurrent_streams(limits.streams)
        .max_send_buffer_size(1 << 24)
        .handshake::<_, Cursor<Vec<u8>>>(end)
        .await?;
    let mut answers: Vec<Answer> = Vec::new();
    let mut accepted = 0;
    poll_fn(move |context| {
        loop {
            answers.retain_mut(|answer| answer.as_mut().poll(context).is_pending());
            let (request, respond) = match connection.poll_accept(context) {
                Poll::Ready(Some(Ok(pair))) => pair,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            };
            let index: usize = request.uri().path()[1..].parse().unwrap();
            let answer = answer(index, plans[index].clone(), request, respond, Rc::clone(&seen));
            answers.push(Box::pin(answer));
            accepted += 1;
            if Some(accepted) == limits.goodbye {
                connection.graceful_shutdown();
            }
        }
    })
    .await
}

/// The client: all requests through one connection.
struct Client {
    conn: Conn,
    requests: Vec<Rendered>,
    next: u16,
    /// Whether requests may start: at once, unless the server's limits are lower than those that
    /// hold until it has told them. Streams above its bound it would refuse, and when its window
    /// shrinks after content came it forgets to say that the content is read.
    begun: bool,
    open: BTreeMap<Tag, (usize, u16, Vec<u8>)>,
    outcomes: BTreeMap<usize, Outcome>,
}

impl Client {
    fn new(plans: &[Plan], limits: &Limits) -> Self {
        let build = |(index, plan): (usize, &Plan)| {
            let method = if plan.upload.is_some() { "POST" } else { "GET" };
            let builder = Request::builder(method, "example.org", &format!("/{index}")).unwrap();
            let builder = builder.field("X-Index", &index.to_string()).unwrap();
            match plan.upload {
                Some(length) => builder.body(pattern(!index, length)).build(),
                None => builder.build(),
            }
        };
        let requests: Vec<Request> = plans.iter().enumerate().map(build).collect();
        let mut conn = Conn::new(NonZeroU16::new(50).unwrap());
        conn.keep_fields(true);
        Self {
            conn,
            requests: Rendered::set(&requests.iter().collect::<Vec<_>>()).unwrap(),
            next: 0,
            begun: limits.window >= 65_535 && limits.streams >= 50,
            open: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    fn speak(&mut self, wire: &mut Wire) {
        while self.begun && self.conn.capacity() > 0 && usize::from(self.next) < self.requests.len()
        {
            let tag = self.conn.start(self.next).unwrap();
            self.open.insert(tag, (self.next.into(), 0, Vec::new()));
            self.next += 1;
        }
        if self.conn.wants_transmit() {
            let mut page = Vec::new();
            self.conn.transmit(&self.requests, &mut page, limits::H2_ROOM_BYTES_MIN);
            wire.to_server.extend(page);
        }
    }

    fn listen(&mut self, bytes: &[u8], plans: &[Plan]) {
        let (mut input, mut given_up) = (bytes, Vec::new());
        while let Some(event) = self.conn.receive(&mut input).unwrap() {
            let ended = match event {
                Event::Head { tag, status } => {
                    let exchange = self.open.get_mut(&tag).unwrap();
                    check_fields(&self.conn, exchange.0);
                    exchange.1 = status;
                    if plans[exchange.0].cancelled {
                        given_up.push(tag);
                    }
                    continue;
                }
                Event::Body { tag, bytes } => {
                    self.open.get_mut(&tag).unwrap().2.extend_from_slice(bytes);
                    continue;
                }
                Event::Done { tag } => (tag, None),
                Event::Whole { .. } => panic!("content is told of"),
                Event::Reset { tag, code, processed } => {
                    (tag, Some(Outcome::Reset { code, processed }))
                }
                Event::NotProcessed { tag, .. } => (tag, Some(Outcome::NotProcessed)),
                Event::Malformed { error, .. } => panic!("{error}"),
                Event::Settled => {
                    self.begun = true;
                    continue;
                }
                Event::Interim { .. } | Event::GoAway { .. } => continue,
            };
            let (index, status, body) = self.open.remove(&ended.0).unwrap();
            let outcome = ended.1.unwrap_or(Outcome::Done(status, body));
            assert_eq!(self.outcomes.insert(index, outcome), None);
        }
        for tag in given_up {
            if let Some((index, ..)) = self.open.remove(&tag) {
                self.conn.cancel(tag);
                self.outcomes.insert(index, Outcome::Cancelled);
            }
        }
    }

    fn is_done(&self) -> bool {
        let all = usize::from(self.next) == self.requests.len();
        self.open.is_empty() && (all || self.conn.is_finished()) && !self.conn.wants_transmit()
    }
}

/// Compares the head's fields with those that [`answer`] sends to the request with this index.
fn check_fields(conn: &Conn, index: usize) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let kept: BTreeMap<_, _> = conn.fields().iter().map(|(n, v)| (text(n), text(v))).collect();
    let index = index.to_string();
    let date = "Fri, 20 Nov 2026 15:51:28 GMT";
    let sent = [("server", "reference"), ("x-index", &*index), ("date", date)];
    assert_eq!(conn.fields().len(), sent.len());
    assert_eq!(kept, sent.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

/// Lets both sides talk until all requests have ended.
fn converse(plans: &[Plan], limits: &Limits) -> (BTreeMap<usize, Outcome>, Seen) {
    let (wire, seen) = (Rc::new(RefCell::new(Wire::default())), Rc::new(RefCell::new(Seen::new())));
    let end = ServerEnd { wire: Rc::clone(&wire), cut: limits.cut * 3 + 1 };
    let mut server = Box::pin(serve(end, limits.clone(), plans.to_vec(), Rc::clone(&seen)));
    let mut client = Client::new(plans, limits);
    let mut context = Context::from_waker(Waker::noop());
    let mut over = false;
    for _ in 0..ROUNDS_MAX {
        client.speak(&mut wire.borrow_mut());
        if !over && let Poll::Ready(end) = server.as_mut().poll(&mut context) {
            end.unwrap();
            over = true;
        }
        let bytes = core::mem::take(&mut wire.borrow_mut().to_client);
        for piece in bytes.chunks(limits.cut) {
            client.listen(piece, plans);
        }
        if client.is_done() {
            drop(server);
            let seen = seen.borrow().clone();
            return (client.outcomes, seen);
        }
    }
    panic!("stuck with {:?} open", client.open.keys());
}

/// Compares what both sides heard with what was planned.
fn check(plans: &[Plan], limits: &Limits) {
    let (outcomes, seen) = converse(plans, limits);
    if limits.goodbye.is_none() {
        assert_eq!(outcomes.len(), plans.len());
    }
    for (index, outcome) in outcomes {
        let plan = &plans[index];
        let content = pattern(index, plan.content);
        let read = seen.get(&index).cloned().flatten();
        match outcome {
            Outcome::Cancelled => assert!(plan.cancelled),
            Outcome::NotProcessed => {
                assert!(limits.goodbye.is_some() && !seen.contains_key(&index));
            }
            Outcome::Reset { code, processed } => match plan.ending {
                Ending::Refused => assert_eq!((code, processed), (7, false)),
                Ending::Broken => assert_eq!((code, processed), (2, true)),
                ending => panic!("{ending:?}: reset with {code}"),
            },
            Outcome::Done(status, body) => {
                assert_eq!(status, plan.status);
                assert!(body == content, "content of {index}");
                assert!(plan.ending != Ending::Refused);
                if plan.ending != Ending::Early {
                    let upload = pattern(!index, plan.upload.unwrap_or(0));
                    assert!(read == Some(upload), "body of {index}");
                }
            }
        }
    }
}

const WIDE: Limits = Limits {
    window: 65_535,
    connection_window: 65_535,
    frame: 16_384,
    streams: 100,
    cut: 4096,
    goodbye: None,
};

const GET: Plan = Plan {
    upload: None,
    status: 200,
    content: 13,
    piece: 13,
    ending: Ending::Plain,
    cancelled: false,
};

#[test]
fn many_requests_are_answered() {
    let plans = vec![GET; 1000];
    check(&plans, &WIDE);
    check(&plans, &Limits { streams: 3, cut: 1, ..WIDE });
}

#[test]
fn a_mebibyte_goes_both_ways_through_any_windows() {
    let large = Plan { upload: Some(1 << 20), content: 1 << 20, piece: 50_000, ..GET };
    let plans = vec![large; 3];
    check(&plans, &WIDE);
    check(&plans, &Limits { window: 1000, frame: 20_000, cut: 700, ..WIDE });
    check(&plans, &Limits { window: 1 << 20, connection_window: 1 << 24, ..WIDE });
}

#[test]
fn a_goodbye_lets_go_of_the_rest() {
    let plans = vec![Plan { upload: Some(100), ..GET }; 200];
    for goodbye in [1, 7, 60] {
        check(&plans, &Limits { goodbye: Some(goodbye), ..WIDE });
    }
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 1_usize..100, 100_usize..20_000, 20_000_usize..200_000]
}

prop_compose! {
    fn plans()(
        upload in prop::option::of(sizes()),
        status in prop_oneof![Just(200_u16), Just(404), Just(503), 200_u16..204],
        content in sizes(),
        piece in prop_oneof![1_usize..50, 1000_usize..40_000],
        ending in prop::sample::select(&[
            Ending::Plain, Ending::Plain, Ending::Trailers, Ending::Early, Ending::Refused,
            Ending::Broken,
        ][..]),
        cancelled in prop::bool::weighted(0.1),
    ) -> Plan {
        // Small pieces of much content are only slow.
        let piece = piece.max(content / 200);
        Plan { upload, status, content, piece: piece.max(1), ending, cancelled }
    }
}

prop_compose! {
    fn limits()(
        window in prop_oneof![Just(1_u32), 100_u32..1000, Just(65_535), Just(1 << 20)],
        connection_window in prop_oneof![Just(65_535_u32), Just(1 << 22)],
        frame in prop_oneof![Just(16_384_u32), 16_384_u32..100_000],
        streams in 1_u32..60,
        cut in prop_oneof![1_usize..20, 100_usize..10_000],
        goodbye in prop::option::weighted(0.2, 1_usize..10),
    ) -> Limits {
        Limits { window: window.max(100), connection_window, frame, streams, cut, goodbye }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_side_hears_what_the_other_said(
        plans in prop::collection::vec(plans(), 1..20),
        limits in limits(),
    ) {
        check(&plans, &limits);
    }
}
