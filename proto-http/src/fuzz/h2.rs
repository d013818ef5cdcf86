//! The same for HTTP/2: frames, and whole connections.

use crate::fuzz::{Fields, owned};
use crate::h2::{Conn, Event, Rendered, Tag, frame};
use crate::limits::H2_ROOM_BYTES_MIN;
use crate::{ErrorKind, Phase, Request};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU16;

/// Inputs up to this length are cut at every position; longer ones only into pieces.
const EVERY_CUT_BYTES_MAX: usize = 300;

/// An input's first bytes say which requests are sent, at most this many.
const REQUESTS_MAX: usize = 7;

/// The index of a `GET` in [`requests`].
pub const GET: u16 = 0;
/// The index of a `HEAD`.
pub const HEAD: u16 = 1;
/// The index of a `POST` with more bytes of body than an initial window has.
pub const POST: u16 = 2;

/// Bytes of the body of [`POST`].
pub const BODY_BYTES: usize = 100_000;

/// The requests of all tests.
///
/// # Panics
/// When they cannot be rendered, which they can.
#[must_use]
pub fn requests() -> Vec<Rendered> {
    let request = |method: &str, body: Option<Vec<u8>>| {
        let builder = Request::builder(method, "example.org", "/").ok()?;
        Some(body.map_or(builder.clone(), |body| builder.body(body)).build())
    };
    let body = (0..BODY_BYTES).map(|at| at.to_le_bytes().iter().fold(0, |sum, byte| sum ^ byte));
    let made = [request("GET", None), request("HEAD", None), request("POST", Some(body.collect()))];
    let requests: Vec<&Request> = made.iter().flatten().collect();
    let set = Rendered::set(&requests).unwrap_or_default();
    assert_eq!(set.len(), made.len());
    set
}

/// What a connection made of a byte stream, independent of how it was cut.
#[derive(Debug, PartialEq, Eq, Clone, Default)]
pub struct Transcript {
    /// The events, adjacent pieces of content joined.
    pub steps: Vec<Step>,
    /// The violation that ended the reading.
    pub error: Option<ErrorKind>,
    /// The field lines of each final head, if they were asked for.
    pub fields: Vec<Fields>,
}

/// An [`Event`] that owns its content.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Step {
    /// Content of one request, up to the next other event.
    Body(Tag, Vec<u8>),
    /// Any other event.
    Told(Event<'static>),
}

impl Transcript {
    /// Reads one piece to its end and checks what holds for every input.
    ///
    /// # Panics
    /// When the connection breaks a promise of its documentation.
    pub fn receive(&mut self, conn: &mut Conn, piece: &[u8]) {
        let mut input = piece;
        while self.error.is_none() {
            let outstanding = conn.outstanding();
            match conn.receive(&mut input) {
                Ok(None) => {
                    assert!(input.is_empty(), "input is left though more is wanted");
                    return;
                }
                Ok(Some(event)) => {
                    assert_eq!(conn.outstanding() + u32::from(event.is_end()), outstanding);
                    if let Some(tag) = event.tag() {
                        let idle = conn.phase(tag) == Phase::Idle;
                        assert_eq!(idle, event.is_end(), "a tag is free after its end only");
                    }
                    let is_head = matches!(event, Event::Head { .. } | Event::Whole { .. });
                    if is_head && !conn.fields().is_empty() {
                        self.fields.push(owned(conn.fields()));
                    }
                    self.push(event);
                }
                Err(error) => {
                    assert_eq!(conn.receive(&mut input), Err(error), "an error passes");
                    assert_eq!(conn.receive_end(), Err(error), "an error passes");
                    assert_eq!(conn.capacity(), 0, "a request may start after an error");
                    self.error = Some(error.kind());
                }
            }
        }
    }

    /// Notes that the peer closed.
    ///
    /// # Panics
    /// When the connection breaks a promise of its documentation.
    pub fn receive_end(&mut self, conn: &mut Conn) {
        if let Err(error) = conn.receive_end()
            && self.error.is_none()
        {
            self.error = Some(error.kind());
        }
        assert_eq!(conn.capacity(), 0, "nothing starts after the end");
        assert_eq!(conn.outstanding() as usize, conn.tags().count());
    }

    /// What was told of each request, but for content, and of the connection: heads may be told of
    /// late.
    fn told_by_request(&self) -> BTreeMap<Option<Tag>, Vec<Event<'static>>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for step in &self.steps {
            if let Step::Told(event) = step {
                all.entry(event.tag()).or_default().push(*event);
            }
        }
        all
    }

    fn push(&mut self, event: Event<'_>) {
        let step = match (event, self.steps.last_mut()) {
            (Event::Body { tag, bytes }, Some(Step::Body(last, body))) if *last == tag => {
                assert!(!bytes.is_empty(), "a piece of content is empty");
                body.extend_from_slice(bytes);
                return;
            }
            (Event::Body { tag, bytes }, _) => Step::Body(tag, bytes.to_vec()),
            (Event::Settled, _) => Step::Told(Event::Settled),
            (Event::Interim { tag, status }, _) => Step::Told(Event::Interim { tag, status }),
            (Event::Head { tag, status }, _) => Step::Told(Event::Head { tag, status }),
            (Event::Done { tag }, _) => Step::Told(Event::Done { tag }),
            // How a response is cut decides whether it is told of at once.
            (Event::Whole { tag, status }, _) => {
                self.steps.push(Step::Told(Event::Head { tag, status }));
                Step::Told(Event::Done { tag })
            }
            (Event::Reset { tag, code, processed }, _) => {
                Step::Told(Event::Reset { tag, code, processed })
            }
            (Event::Malformed { tag, error }, _) => Step::Told(Event::Malformed { tag, error }),
            (Event::NotProcessed { tag, written }, _) => {
                Step::Told(Event::NotProcessed { tag, written })
            }
            (Event::GoAway { code }, _) => Step::Told(Event::GoAway { code }),
        };
        self.steps.push(step);
    }
}

/// One line: tag and status, content in quotes, ends by name, and the error's name after a `!`.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for step in &self.steps {
            f.write_str(gap)?;
            gap = " ";
            let event = match step {
                Step::Body(tag, body) => {
                    write!(f, "{}:\"{}\"", tag.0, body.escape_ascii())?;
                    continue;
                }
                Step::Told(event) => event,
            };
            if let Some(tag) = event.tag() {
                write!(f, "{}:", tag.0)?;
            }
            match event {
                Event::Settled => f.write_str("settled"),
                Event::Interim { status, .. }
                | Event::Head { status, .. }
                | Event::Whole { status, .. } => write!(f, "{status}"),
                Event::Body { .. } => Ok(()),
                Event::Done { .. } => f.write_str("done"),
                Event::Reset { code, processed: true, .. } => write!(f, "reset({code})"),
                Event::Reset { code, .. } => write!(f, "refused({code})"),
                Event::Malformed { error, .. } => f.write_str(error.name()),
                Event::NotProcessed { written: true, .. } => f.write_str("not_processed"),
                Event::NotProcessed { .. } => f.write_str("unsent"),
                Event::GoAway { code } => write!(f, "goaway({code})"),
            }?;
        }
        match self.error {
            Some(kind) => write!(f, "{gap}!{}", kind.name()),
            None => Ok(()),
        }
    }
}

/// Writes all that a connection has to say.
///
/// # Panics
/// When it breaks a promise, or is never done.
pub fn say(conn: &mut Conn, requests: &[Rendered], out: &mut Vec<u8>) {
    // A page takes a few streams' worth; more than this is an endless loop.
    for _ in 0..1_000 {
        if !conn.wants_transmit() {
            return;
        }
        let before = out.len();
        conn.transmit(requests, out, H2_ROOM_BYTES_MIN);
        assert!(out.len() - before <= H2_ROOM_BYTES_MIN, "more than there was room for");
    }
    assert!(!conn.wants_transmit(), "there is always more to say");
}

/// The bit of an input's first byte that says whether field lines are kept.
const KEEP_FIELDS: u8 = 0x40;

/// How an input is handed over.
#[derive(Clone, Copy)]
enum Handing {
    /// The connection speaks at the end only, so that what it says does not depend on the cuts.
    SpeakLast,
    /// It speaks after each piece, gives up a request now and then, and starts others; what is
    /// wanted of heads changes, too.
    SpeakAlways,
    /// Like [`SpeakLast`](Self::SpeakLast), and nobody is told of content.
    Untold,
}

/// Reads what follows the first byte of `data` in `pieces`; returns what was heard and said.
fn converse<'b>(
    first: u8,
    pieces: impl IntoIterator<Item = &'b [u8]>,
    requests: &[Rendered],
    handing: Handing,
) -> (Transcript, Vec<u8>) {
    let streams = NonZeroU16::MIN.saturating_add(u16::from(first) & 0x1f);
    let mut conn = if first & 0x80 == 0 { Conn::new(streams) } else { Conn::upgraded(streams) };
    conn.keep_fields(first & KEEP_FIELDS != 0);
    conn.tell_content(!matches!(handing, Handing::Untold));
    let (mut transcript, mut said) = (Transcript::default(), Vec::new());
    let capacity = conn.capacity() as usize;
    for request in [GET, HEAD, POST].into_iter().cycle().take(capacity.min(REQUESTS_MAX)) {
        assert!(conn.start(request).is_ok());
    }
    say(&mut conn, requests, &mut said);
    for (round, piece) in pieces.into_iter().enumerate() {
        transcript.receive(&mut conn, piece);
        if matches!(handing, Handing::SpeakAlways) {
            conn.keep_fields(round % 3 != 0);
            let oldest = conn.tags().next().filter(|_| round % 5 == 4);
            if let Some(tag) = oldest {
                conn.cancel(tag);
            }
            if conn.capacity() > 0 {
                assert!(conn.start(GET).is_ok());
            }
            say(&mut conn, requests, &mut said);
            said.clear();
        }
    }
    say(&mut conn, requests, &mut said);
    transcript.receive_end(&mut conn);
    (transcript, said)
}

/// Reads any bytes as frames: what is read is written the same.
///
/// # Panics
/// When it is not; that is what a fuzzer looks for.
pub fn fuzz_h2_frames(data: &[u8]) {
    let mut rest = data;
    while let Some((bytes, after)) = rest.split_first_chunk() {
        let header = frame::Header::parse(bytes);
        let again = frame::Header::parse(&header.bytes());
        assert_eq!(again, header, "a header is written as it was read");
        let (payload, after) =
            after.split_at_checked(header.length as usize).unwrap_or((after, &[]));
        rest = after;
        if let Ok(fragment) = frame::fragment(header, payload) {
            assert!(fragment.len() <= payload.len());
        }
        if let Ok(settings) = frame::settings(payload) {
            let values: Vec<_> = settings.collect();
            let mut written = Vec::new();
            frame::write_settings(&mut written, &values);
            let payload = written.get(frame::HEADER_BYTES..).unwrap_or_default();
            assert!(frame::settings(payload).is_ok_and(|again| again.eq(values)));
        }
        let numbers = [frame::rst_stream(payload), frame::window_update(payload)];
        assert_eq!(numbers.iter().all(Result::is_ok), payload.len() == 4);
        assert_eq!(frame::ping(payload).is_ok(), payload.len() == 8);
        assert_eq!(frame::goaway(payload).is_ok(), payload.len() >= 8);
    }
}

/// Reads any bytes as what a peer says, whole and in pieces, and compares the transcripts. The
/// first byte chooses how many streams there are, whether the connection was upgraded, and whether
/// field lines are kept.
///
/// # Panics
/// When they differ, or a promise is broken; that is what a fuzzer looks for.
pub fn fuzz_h2_connection(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let requests = requests();
    let whole = converse(first, [data], &requests, Handing::SpeakLast);
    let content = |step: &Step| match step {
        Step::Body(_, body) => body.len(),
        Step::Told(_) => 0,
    };
    assert!(whole.0.steps.iter().map(content).sum::<usize>() <= data.len());
    let other = converse(first ^ KEEP_FIELDS, [data], &requests, Handing::SpeakLast);
    assert_eq!((&whole.0.steps, &whole.1), (&other.0.steps, &other.1), "with and without fields");
    let compare = |pieces: &mut dyn Iterator<Item = &[u8]>, how| {
        let cut = converse(first, pieces, &requests, Handing::SpeakLast);
        assert_eq!(whole.0, cut.0, "what was heard, {how}");
        assert_eq!(whole.1, cut.1, "what was said, {how}");
    };
    let told = whole.0.told_by_request();
    let untold = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (heard, said) = converse(first, pieces, &requests, Handing::Untold);
        let heard = (heard.told_by_request(), heard.error);
        assert_eq!((&told, whole.0.error), (&heard.0, heard.1), "with and without content");
        assert_eq!(whole.1, said, "with and without content");
    };
    untold(&mut [data].into_iter());
    untold(&mut data.chunks(1));
    compare(&mut data.chunks(1), "byte by byte");
    // A size that follows from the input cuts each input of the corpus elsewhere.
    let size = 2 + data.iter().fold(0, |sum: usize, &byte| (sum * 31 + usize::from(byte)) % 61);
    compare(&mut data.chunks(size), "in pieces");
    converse(first, data.chunks(size), &requests, Handing::SpeakAlways);
    if data.len() <= EVERY_CUT_BYTES_MAX {
        for at in 0..=data.len() {
            let (front, back) = data.split_at(at);
            compare(&mut [front, back].into_iter(), "cut in two");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::frame::{Code, Header, Kind, Setting};
    use crate::h2::hpack::{Block, Field, Form};
    use proptest::prelude::*;
    use std::{format, fs, path::Path};

    #[test]
    fn the_corpus_is_read_without_a_fault() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus");
        for folder in ["h2_frames", "h2_connection"] {
            let mut inputs = 0;
            for entry in fs::read_dir(corpus.join(folder)).unwrap() {
                let bytes = fs::read(entry.unwrap().path()).unwrap();
                fuzz_h2_frames(&bytes);
                fuzz_h2_connection(&bytes);
                inputs += 1;
            }
            assert!(inputs >= 10, "only {inputs} inputs: the corpus is missing");
        }
    }

    fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap();
        let mut out = Header { length, kind, flags, stream }.bytes().to_vec();
        out.extend_from_slice(payload);
        out
    }

    fn block(status: &str, entered: bool) -> Vec<u8> {
        let fields = [(":status", status), ("server", "x"), ("content-length", "5")];
        let fields = fields.map(|(name, value)| Field::fixed(name.as_bytes(), value.as_bytes()));
        let mut out = Vec::new();
        let form = if entered { Form::First } else { Form::Plain };
        Block::new(&fields).write(form, &[], &mut out);
        out
    }

    /// Frames as servers send them, most of them where they belong.
    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let stream = prop_oneof![8 => (0_u32..8).prop_map(|k| 2 * k + 1), 1 => 0_u32..9];
        let flags = prop_oneof![4 => prop::sample::select(&[0, 1, 4, 5][..]), 1 => any::<u8>()];
        let status = prop::sample::select(&["100", "200", "204", "500", "x"][..]);
        let payload = prop::collection::vec(any::<u8>(), 0..12);
        (0_u8..14, stream, flags, status, payload, any::<u32>()).prop_map(
            |(kind, stream, flags, status, payload, number)| match kind {
                0..3 => frame(Kind::Headers, 4 | flags, stream, &block(status, kind == 0)),
                3..6 => frame(Kind::Data, flags, stream, b"hello"),
                6 => frame(Kind::Data, 0x8 | flags & 1, stream, b"\x02hello\0\0"),
                7 => frame(Kind::RstStream, 0, stream, &number.to_be_bytes()),
                8 => frame(Kind::WindowUpdate, 0, stream & 3, &number.to_be_bytes()),
                9 => frame(Kind::Ping, flags & 1, 0, &[kind; 8]),
                10 => {
                    let mut out = Vec::new();
                    frame::write_goaway(&mut out, stream, Code::NoError);
                    out
                }
                11 => {
                    let setting = Setting::InitialWindowSize as u16;
                    let value = (number & 0xffff).to_be_bytes();
                    let entry = [&setting.to_be_bytes()[..], &value].concat();
                    frame(Kind::Settings, 0, 0, &entry)
                }
                12 => {
                    let whole = block(status, false);
                    let (front, back) = whole.split_at(2);
                    [
                        frame(Kind::Headers, flags & 1, stream, front),
                        frame(Kind::Continuation, 4, stream, back),
                    ]
                    .concat()
                }
                _ => frame(Kind::Unknown, flags, stream, &payload),
            },
        )
    }

    proptest! {
        #[test]
        fn any_split_of_a_conversation_gives_the_same_events(
            first in any::<u8>(),
            frames in prop::collection::vec(frames(), 0..12),
            (at, byte) in any::<(prop::sample::Index, Option<u8>)>(),
        ) {
            let mut stream = [&[first][..], &frame(Kind::Settings, 0, 0, &[])].concat();
            stream.extend(frames.concat());
            if let Some(byte) = byte {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            fuzz_h2_connection(&stream);
            fuzz_h2_frames(&stream);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz_h2_frames(&bytes);
            fuzz_h2_connection(&bytes);
            let settled = frame(Kind::Settings, 0, 0, &[]);
            fuzz_h2_connection(&[&[7][..], &settled, &bytes].concat());
        }
    }

    #[test]
    fn transcripts_read_as_one_line() {
        let requests = requests();
        let stream = [
            frame(Kind::Settings, 0, 0, &[]),
            frame(Kind::Headers, 4, 1, &block("200", false)),
            frame(Kind::Data, 1, 1, b"hello"),
            frame(Kind::RstStream, 0, 3, &7_u32.to_be_bytes()),
            frame(Kind::PushPromise, 0, 1, &[]),
        ];
        let (transcript, _) = converse(2, [&*stream.concat()], &requests, Handing::SpeakLast);
        let expected = "settled 0:200 0:\"hello\" 0:done 1:refused(7) !h2_push_promise";
        assert_eq!(format!("{transcript}"), expected);
    }
}
