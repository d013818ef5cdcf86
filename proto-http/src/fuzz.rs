//! The bodies of the fuzz targets, and the transcript by which two readings of the same bytes are
//! compared.
//!
//! They live beside the code, so that the ordinary tests run them over the corpus in
//! `testdata/corpus`, and the targets in `fuzz/` are one line each. Compiled for tests and with the
//! feature `fuzz` only.

pub mod h2;

use crate::h1::{Conn, Recall};
use crate::h2::hpack::{Block, Decoder, Field, Form};
use crate::{Done, ErrorKind, Event, Expect, FieldLines, Head, Phase, Reuse, Version};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU8;

/// A request of which a response with a body is expected.
pub const GET: Expect = Expect { body: true, close: false };

/// A request to which no body comes back.
pub const HEAD: Expect = Expect { body: false, close: false };

/// The requests for which every input is read: one of either kind, and a pipeline of both.
const EXPECTATIONS: [&[Expect]; 3] = [&[GET], &[HEAD], &[GET, HEAD, GET]];

/// Inputs up to this length are cut at every position; longer ones only into pieces.
const EVERY_CUT_BYTES_MAX: usize = 512;

/// What a connection made of a byte stream, independent of how it was cut.
#[derive(Debug, PartialEq, Eq, Clone, Default)]
pub struct Transcript {
    /// The events, adjacent pieces of content joined.
    pub steps: Vec<Step>,
    /// The violation that ended the reading; `None` if the peer's end was in order.
    pub error: Option<ErrorKind>,
    /// The field lines of each final head, if they were asked for.
    pub fields: Vec<Fields>,
}

/// Names and values, in order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Field lines that own their text.
#[must_use]
pub fn owned(fields: FieldLines<'_>) -> Fields {
    fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// An [`Event`] that owns its content.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Step {
    /// An interim response.
    Interim(u16),
    /// The head of the final response.
    Head(Head),
    /// Content, up to the next other event.
    Body(Vec<u8>),
    /// The end of an exchange.
    Done(Done),
}

impl Transcript {
    /// Reads the responses to `requests` from `pieces`, followed by the peer's end.
    ///
    /// # Panics
    /// When the connection breaks a promise of its documentation.
    pub fn of<'b>(requests: &[Expect], pieces: impl IntoIterator<Item = &'b [u8]>) -> Self {
        Self::read(Conn::new(NonZeroU8::MAX), requests, pieces)
    }

    /// The same on a connection that keeps field lines.
    ///
    /// # Panics
    /// When the connection breaks a promise of its documentation.
    pub fn with_fields<'b>(
        requests: &[Expect],
        pieces: impl IntoIterator<Item = &'b [u8]>,
    ) -> Self {
        let mut conn = Conn::new(NonZeroU8::MAX);
        conn.keep_fields(true);
        Self::read(conn, requests, pieces)
    }

    /// The same on a connection that does not tell of content.
    ///
    /// # Panics
    /// When the connection breaks a promise of its documentation.
    pub fn without_content<'b>(
        requests: &[Expect],
        pieces: impl IntoIterator<Item = &'b [u8]>,
    ) -> Self {
        let mut conn = Conn::new(NonZeroU8::MAX);
        conn.tell_content(false);
        Self::read(conn, requests, pieces)
    }

    fn read<'b>(
        mut conn: Conn,
        requests: &[Expect],
        pieces: impl IntoIterator<Item = &'b [u8]>,
    ) -> Self {
        for request in requests {
            assert_eq!(conn.start(*request), Ok(()));
        }
        let (mut transcript, mut recall) = (Self::default(), Recall::new());
        for piece in pieces {
            if let Err(kind) = transcript.receive(&mut conn, piece, &mut recall) {
                transcript.error = Some(kind);
                return transcript;
            }
        }
        match conn.receive_end() {
            Ok(Some(event)) => transcript.push(event),
            Ok(None) => {}
            Err(error) => transcript.error = Some(error.kind()),
        }
        assert_eq!(conn.capacity(), 0, "nothing starts after the end");
        transcript
    }

    /// Reads one piece to its end and checks what holds for every input.
    fn receive(
        &mut self,
        conn: &mut Conn,
        piece: &[u8],
        recall: &mut Recall,
    ) -> Result<(), ErrorKind> {
        let mut input = piece;
        loop {
            let (left, outstanding) = (input.len(), conn.outstanding());
            match conn.receive(&mut input, recall) {
                Ok(None) => {
                    assert!(input.is_empty(), "input is left though more is wanted");
                    return Ok(());
                }
                Ok(Some(event)) => {
                    let ended = u32::from(matches!(event, Event::Done(_)));
                    assert_eq!(conn.outstanding() + ended, outstanding);
                    assert!(input.len() < left || ended == 1, "an event consumed nothing");
                    assert!(event != Event::Body(b""), "a piece of content is empty");
                    self.push_fields(event, conn);
                    self.push(event);
                }
                Err(error) => {
                    assert_eq!(conn.receive(&mut input, recall), Err(error), "an error passes");
                    assert_eq!(conn.receive_end(), Err(error), "an error passes");
                    assert_eq!(conn.capacity(), 0, "a request may start after an error");
                    return Err(error.kind());
                }
            }
            assert!(conn.outstanding() > 0 || conn.phase() == Phase::Idle);
        }
    }

    fn push_fields(&mut self, event: Event<'_>, conn: &Conn) {
        if conn.fields().is_empty() {
            return;
        }
        let fields = owned(conn.fields());
        if matches!(event, Event::Head(_)) {
            self.fields.push(fields);
        } else {
            assert_eq!(self.fields.last(), Some(&fields), "they last until the next final head");
        }
    }

    fn push(&mut self, event: Event<'_>) {
        let step = match (event, self.steps.last_mut()) {
            (Event::Body(content), Some(Step::Body(body))) => {
                body.extend_from_slice(content);
                return;
            }
            (Event::Body(content), _) => Step::Body(content.to_vec()),
            (Event::Interim { status }, _) => Step::Interim(status),
            (Event::Head(head), _) => Step::Head(head),
            (Event::Done(done), _) => Step::Done(done),
        };
        self.steps.push(step);
    }
}

/// Reads any bytes as responses: no endless loop, no broken promise.
///
/// # Panics
/// On either; that is what a fuzzer looks for.
pub fn fuzz_h1_response(data: &[u8]) {
    for requests in EXPECTATIONS {
        let transcript = Transcript::of(requests, [data]);
        let content: usize = transcript.steps.iter().map(Step::content_bytes).sum();
        assert!(content <= data.len(), "more content than input");
    }
}

/// Reads any bytes whole and in pieces, and compares the transcripts.
///
/// # Panics
/// When they differ; that is what a fuzzer looks for.
pub fn fuzz_split_anywhere(data: &[u8]) {
    for requests in EXPECTATIONS {
        let plain = Transcript::of(requests, [data]);
        let whole = Transcript::with_fields(requests, [data]);
        assert_eq!(
            plain,
            Transcript { fields: Vec::new(), ..whole.clone() },
            "read without fields"
        );
        let mut told = plain;
        told.steps.retain(|step| !matches!(step, Step::Body(_)));
        assert_eq!(told, Transcript::without_content(requests, [data]), "read without content");
        let bytewise = Transcript::without_content(requests, data.chunks(1));
        assert_eq!(told, bytewise, "read byte by byte without content");
        let bytewise = Transcript::with_fields(requests, data.chunks(1));
        assert_eq!(whole, bytewise, "read byte by byte");
        // A size that follows from the input cuts each input of the corpus elsewhere.
        let size = 2 + data.iter().fold(0, |sum: usize, &byte| (sum * 31 + usize::from(byte)) % 61);
        let pieces = Transcript::with_fields(requests, data.chunks(size));
        assert_eq!(whole, pieces, "pieces of {size}");
        if data.len() <= EVERY_CUT_BYTES_MAX {
            for at in 0..=data.len() {
                let (front, back) = data.split_at(at);
                let cut = Transcript::with_fields(requests, [front, back]);
                assert_eq!(whole, cut, "cut at {at}");
            }
        }
    }
}

/// The most bytes that [`fuzz_hpack_decode`] lets a header list have; few, so that inputs reach it.
const LIST_BYTES_MAX: u32 = 2000;

/// Reads any bytes as header blocks of one connection: first the limit of the table in units of 32
/// bytes, then the blocks, each after a byte with its length.
///
/// # Panics
/// When a list is longer than its limit, when a block that changed nothing means something else the
/// next time, or when a list that was decoded cannot be encoded; that is what a fuzzer looks for.
pub fn fuzz_hpack_decode(data: &[u8]) {
    let Some((&limit, mut rest)) = data.split_first() else { return };
    let mut decoder = Decoder::new(32 * u32::from(limit));
    let (mut other, mut remembered) = (decoder.clone(), Fields::new());
    while let Some((&length, after)) = rest.split_first() {
        let (block, next) = after.split_at(after.len().min(usize::from(length)));
        rest = next;
        let mut before = decoder.clone();
        let result = hpack_fields(&mut decoder, block, LIST_BYTES_MAX);
        if decoder.generation() == before.generation() {
            assert_eq!(hpack_fields(&mut decoder, block, LIST_BYTES_MAX), result, "read again");
        }
        // A larger limit is of no effect but for the lists between the two.
        if result != Err(ErrorKind::HeaderListTooLarge) {
            assert_eq!(hpack_fields(&mut before, block, u32::MAX), result, "another limit");
        }
        let Ok(fields) = result else { return };
        if other.repeat(block) {
            assert_eq!(remembered, fields, "taken without decoding it");
        } else {
            assert_eq!(hpack_fields(&mut other, block, LIST_BYTES_MAX).as_ref(), Ok(&fields));
            if other.remember(block) {
                remembered.clone_from(&fields);
            }
        }
        encode_again(&fields);
    }
}

fn hpack_fields(decoder: &mut Decoder, block: &[u8], list_max: u32) -> Result<Fields, ErrorKind> {
    let mut fields = Fields::new();
    let result = decoder.decode(block, list_max, |name, value| {
        fields.push((name.to_vec(), value.to_vec()));
    });
    let size: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    assert!(size <= list_max as usize, "a list is longer than its limit");
    result.map(|()| fields)
}

fn encode_again(fields: &Fields) {
    let list: Vec<Field<'_>> =
        fields.iter().map(|(name, value)| Field::fixed(name, value)).collect();
    let block = Block::new(&list);
    let mut decoder = Decoder::new(block.table_size_needed());
    for form in [Form::Plain, Form::First, Form::Indexed, Form::Plain, Form::Indexed] {
        let mut bytes = Vec::new();
        block.write(form, &[], &mut bytes);
        assert_eq!(hpack_fields(&mut decoder, &bytes, LIST_BYTES_MAX).as_ref(), Ok(fields));
    }
}

/// One line: statuses, content in quotes, `keep` or `close`, and the error's name after a `!`.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for step in &self.steps {
            f.write_str(gap)?;
            gap = " ";
            match step {
                Step::Interim(status) => write!(f, "{status}"),
                Step::Head(Head { status, version }) => {
                    let version = if *version == Version::Http10 { "/1.0" } else { "" };
                    write!(f, "{status}{version}")
                }
                Step::Body(content) => write!(f, "\"{}\"", content.escape_ascii()),
                Step::Done(Done { reuse: Reuse::Keep }) => f.write_str("keep"),
                Step::Done(Done { reuse: Reuse::Close }) => f.write_str("close"),
                Step::Done(Done { reuse: Reuse::Doubtful }) => f.write_str("doubtful"),
            }?;
        }
        match self.error {
            Some(kind) => write!(f, "{gap}!{}", kind.name()),
            None => Ok(()),
        }
    }
}

impl Step {
    fn content_bytes(&self) -> usize {
        match self {
            Self::Body(content) => content.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;
    use proptest::prelude::*;
    use std::string::String;
    use std::{format, fs, path::Path};

    #[test]
    fn the_corpus_and_the_wire_images_are_read_without_a_fault() {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let mut images = 0;
        for folder in ["wire", "corpus/h1_response", "corpus/split_anywhere"] {
            for entry in fs::read_dir(testdata.join(folder)).unwrap() {
                let bytes = fs::read(entry.unwrap().path()).unwrap();
                fuzz_h1_response(&bytes);
                fuzz_split_anywhere(&bytes);
                images += 1;
            }
        }
        assert!(images > 20, "only {images} inputs: the corpus is missing");
    }

    #[test]
    fn the_corpus_of_header_blocks_is_read_without_a_fault() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus/hpack_decode");
        let mut inputs = 0;
        for entry in fs::read_dir(folder).unwrap() {
            fuzz_hpack_decode(&fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 10, "only {inputs} inputs: the corpus is missing");
    }

    /// Pieces of header blocks; most are short, so that the next one is often reached.
    const INSTRUCTIONS: &[&[u8]] = &[
        &[0x82],
        &[0xbe],
        &[0xc0],
        &[0x40, 1, b'a', 1, b'b'],
        &[0x7e, 0],
        &[0x00, 0, 0],
        &[0x1f, 0x2f, 0x82, 0x1c, 0x64],
        &[0x20],
        &[0x3f, 0x21],
        &[0x40, 0x81, 0x1f, 0x84, 0x9d, 0x29, 0xad, 0x17],
        &[0xff],
        &[0x7f, 0],
    ];

    /// A response as a server would mean it.
    #[derive(Debug, Clone)]
    struct Response {
        status: u16,
        version: Version,
        interim: Vec<u16>,
        fields: Vec<(String, String)>,
        body: Content,
        close: bool,
    }

    #[derive(Debug, Clone)]
    enum Content {
        Length(Vec<u8>),
        Chunked { chunks: Vec<Vec<u8>>, extension: String, trailers: Vec<(String, String)> },
        UntilClose(Vec<u8>),
    }

    fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("x-[a-zA-Z0-9!#|~-]{0,14}", "([!-~][ -~\t]{0,20}[!-~])?"), 0..40)
    }

    fn content() -> impl Strategy<Value = Content> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..50);
        let chunk = prop::collection::vec(any::<u8>(), 1..50);
        let extension = "( ?;[a-z]{1,5}(=[a-z]{1,5})?){0,3}";
        prop_oneof![
            bytes().prop_map(Content::Length),
            bytes().prop_map(Content::UntilClose),
            (prop::collection::vec(chunk, 0..5), extension, fields()).prop_map(
                |(chunks, extension, trailers)| Content::Chunked { chunks, extension, trailers }
            ),
        ]
    }

    prop_compose! {
        fn responses()(
            status in (200_u16..=999)
                .prop_filter("may have a body", |status| ![204, 205, 304].contains(status)),
            old in any::<bool>(),
            interim in prop::collection::vec(prop_oneof![Just(100_u16), 102_u16..=199], 0..4),
            fields in fields(),
            body in content(),
            close in any::<bool>(),
        ) -> Response {
            let chunked = matches!(body, Content::Chunked { .. });
            let version = if old && !chunked { Version::Http10 } else { Version::Http11 };
            Response { status, version, interim, fields, body, close }
        }
    }

    impl Response {
        fn render(&self) -> Vec<u8> {
            let lines = |fields: &[(String, String)]| -> String {
                fields.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect()
            };
            let mut text = String::new();
            for status in &self.interim {
                write!(text, "HTTP/1.1 {status} Wait\r\nContent-Length: 9\r\n\r\n").unwrap();
            }
            let minor = u8::from(self.version == Version::Http11);
            write!(text, "HTTP/1.{minor} {} Some Reason\r\n", self.status).unwrap();
            text += &lines(&self.fields);
            text += match (self.close, self.version) {
                (true, _) => "connection: foo, CLOSE\r\n",
                (false, Version::Http10) => "Connection: Keep-Alive\r\n",
                (false, Version::Http11) => "",
            };
            let mut out = text.into_bytes();
            match &self.body {
                Content::UntilClose(body) => out.extend([b"\r\n", &**body].concat()),
                Content::Length(body) => {
                    out.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
                    out.extend(body);
                }
                Content::Chunked { chunks, extension, trailers } => {
                    out.extend(b"Transfer-Encoding: Chunked\r\n\r\n");
                    for chunk in chunks {
                        out.extend(format!("{:X}{extension}\r\n", chunk.len()).bytes());
                        out.extend([chunk, &b"\r\n"[..]].concat());
                    }
                    out.extend(format!("0{extension}\r\n{}\r\n", lines(trailers)).bytes());
                }
            }
            out
        }

        fn transcript(&self) -> Transcript {
            let mut steps: Vec<Step> = self.interim.iter().map(|&s| Step::Interim(s)).collect();
            steps.push(Step::Head(Head { status: self.status, version: self.version }));
            let (body, until_close) = match &self.body {
                Content::Length(body) => (body.clone(), false),
                Content::UntilClose(body) => (body.clone(), true),
                Content::Chunked { chunks, .. } => (chunks.concat(), false),
            };
            if !body.is_empty() {
                steps.push(Step::Body(body));
            }
            let close = self.close || until_close;
            let reuse = if close { Reuse::Close } else { Reuse::Keep };
            steps.push(Step::Done(Done { reuse }));
            Transcript { steps, error: None, fields: Vec::new() }
        }

        /// The head's lines; those that frame the body are written last.
        fn fields(&self) -> Fields {
            let owned = |name: &str, value: &str| (name.into(), value.into());
            let mut fields: Fields =
                self.fields.iter().map(|(name, value)| owned(name, value)).collect();
            fields.extend(match (self.close, self.version) {
                (true, _) => Some(owned("connection", "foo, CLOSE")),
                (false, Version::Http10) => Some(owned("Connection", "Keep-Alive")),
                (false, Version::Http11) => None,
            });
            fields.extend(match &self.body {
                Content::UntilClose(_) => None,
                Content::Length(body) => Some(owned("content-length", &format!("{}", body.len()))),
                Content::Chunked { .. } => Some(owned("Transfer-Encoding", "Chunked")),
            });
            fields
        }
    }

    /// What `httparse` finds in the first final head of `stream`.
    fn reference(mut stream: &[u8]) -> Option<Fields> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 128];
            let mut response = httparse::Response::new(&mut fields);
            let Ok(httparse::Status::Complete(length)) = response.parse(stream) else {
                return None;
            };
            stream = &stream[length..];
            if response.code? >= 200 {
                let lines = response.headers.iter();
                return Some(lines.map(|l| (l.name.into(), l.value.to_vec())).collect());
            }
        }
    }

    proptest! {
        #[test]
        fn what_a_server_means_is_what_is_read(response in responses()) {
            let stream = response.render();
            prop_assert_eq!(Transcript::of(&[GET], [&*stream]), response.transcript());
            let fields = response.fields();
            let expected = if fields.is_empty() { std::vec![] } else { std::vec![fields] };
            prop_assert_eq!(Transcript::with_fields(&[GET], [&*stream]).fields, expected);
        }

        #[test]
        fn fields_are_those_that_httparse_finds(
            response in responses(),
            (at, byte) in any::<(prop::sample::Index, Option<u8>)>(),
        ) {
            let mut stream = response.render();
            if let Some(byte) = byte {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            let read = Transcript::with_fields(&[GET], [&*stream]).fields;
            if let Some(fields) = read.first() {
                prop_assert_eq!(Some(fields.clone()), reference(&stream));
            } else {
                prop_assert!(byte.is_some() || response.fields().is_empty());
            }
        }

        #[test]
        fn any_split_gives_the_same_events(
            responses in prop::collection::vec(responses(), 1..3),
            (at, byte) in any::<(prop::sample::Index, Option<u8>)>(),
        ) {
            let mut stream: Vec<u8> = responses.iter().flat_map(Response::render).collect();
            if let Some(byte) = byte {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            fuzz_split_anywhere(&stream);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz_h1_response(&bytes);
            fuzz_split_anywhere(&bytes);
        }

        #[test]
        fn any_bytes_are_read_as_header_blocks(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            fuzz_hpack_decode(&bytes);
        }

        #[test]
        fn any_pieces_of_header_blocks_are_read_to_an_end(
            limit in any::<u8>(),
            blocks in prop::collection::vec(
                prop::collection::vec(
                    prop::sample::select(INSTRUCTIONS),
                    0..12,
                ),
                0..8,
            ),
        ) {
            let mut bytes = std::vec![limit];
            for block in blocks {
                let block = block.concat();
                bytes.push(u8::try_from(block.len()).unwrap());
                bytes.extend(block);
            }
            fuzz_hpack_decode(&bytes);
        }

        // Bytes that look like HTTP reach states that random ones do not.
        #[test]
        fn any_pieces_of_responses_are_read_to_an_end(
            pieces in prop::collection::vec(
                prop::sample::select(&[
                    "HTTP/1.1 200 OK\r\n", "HTTP/1.1 205 Reset\r\n", "HTTP/1.0 204\r\n",
                    "HTTP/1.1 100 \r\n", "\r\n", "\n", "\r", "\0", "0\r\n", "3\r\n", "abc", ";e=f",
                    "Content-Length: 3\r\n", "content-length: 3, 3\r\n", "Content-Length: 4\r\n",
                    "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n",
                    "Connection: close\r\n", "A : b\r\n", " fold\r\n", "X: y\n",
                ][..]),
                0..12,
            ),
        ) {
            let stream = pieces.concat();
            fuzz_h1_response(stream.as_bytes());
            fuzz_split_anywhere(stream.as_bytes());
        }
    }
}
