//! Where a request ends: requests as a server has to read them, without any IO.
//!
//! ```text
//!          ┌── no body ──────────────────────────────────────┐
//!  Head ───┼── Content-Length ──► Length ────────────────────┼──► Request ──► Head …
//!          └── chunked ──► Size ──► Data ──► DataEnd ──► Size │
//!                           └─ 0 ──► Trailer ─────────────────┘
//! ```
//!
//! A load generator sends the same bytes again and again, so a request that equals the one before
//! it byte for byte is not parsed: equal bytes from the start of a request on mean an equal
//! request.

use httparse::{EMPTY_HEADER, Header, Status, parse_chunk_size, parse_headers};

/// Longest head, and longest trailer section.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most fields in a head or a trailer section.
const FIELDS_MAX: usize = 64;

/// Longest line that starts a chunk, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

/// Longest request that is remembered for comparison.
const FAMILIAR_BYTES_MAX: usize = 4 * 1024;

/// What a request asks of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// Whether the answer has a body: not after `HEAD`.
    pub(super) body: bool,
    /// What becomes of the connection.
    pub(super) persistence: Persistence,
    /// Whether it would rather be answered on HTTP/2 (RFC 7540 section 3.2).
    pub(super) upgrades: bool,
}

/// What a request asks of its connection (RFC 9112, section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// HTTP/1.1: it persists without a word.
    Implied,
    /// HTTP/1.0 with `keep-alive`: it persists if the answer says so.
    Requested,
    /// It ends with the answer.
    Ends,
}

/// What was found in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A request is complete to the end of its body.
    Request(Ask),
    /// The client waits for `100 Continue` before it sends the body.
    Continue,
}

/// Why a request cannot be read; nothing after it on the connection can be, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It breaks the protocol: 400.
    Malformed,
    /// Its head has too many bytes or fields: 431.
    TooLarge,
}

impl From<httparse::Error> for Refusal {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            _ => Self::Malformed,
        }
    }
}

/// The last request that lay in the input as a whole, shared by all connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Familiar {
    bytes: Vec<u8>,
    ask: Option<Ask>,
}

impl Familiar {
    /// Takes the same request again from the front of `input`.
    fn again(&self, input: &mut &[u8]) -> Option<Ask> {
        let ask = self.ask?;
        *input = input.strip_prefix(self.bytes.as_slice())?;
        Some(ask)
    }

    fn learn(&mut self, bytes: &[u8], ask: Ask) {
        self.bytes.clear();
        // The settings that come with an upgrade have to be read.
        self.ask = (bytes.len() <= FAMILIAR_BYTES_MAX && !ask.upgrades).then(|| {
            self.bytes.extend_from_slice(bytes);
            ask
        });
    }
}

/// How far the current request has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// Bytes of the body that are still to come.
    Length(u64),
    Size,
    /// Bytes of the chunk that are still to come.
    Data(u64),
    DataEnd,
    Trailer,
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    state: State,
    /// Of the request whose body is being read.
    ask: Ask,
    /// The settings that came with it, if it asks for HTTP/2.
    settings: Vec<u8>,
    /// The beginning of a head, line or trailer section that was cut by the end of the input.
    begun: Vec<u8>,
}

impl Default for Requests {
    fn default() -> Self {
        let ask = Ask { body: true, persistence: Persistence::Implied, upgrades: false };
        Self { state: State::Head, ask, settings: Vec::new(), begun: Vec::new() }
    }
}

impl Requests {
    /// Consumes from the front of `input` up to the next item; `None` when all is consumed.
    ///
    /// # Errors
    /// [`Refusal`]; the connection is then of no more use.
    pub(super) fn next(
        &mut self,
        input: &mut &[u8],
        familiar: &mut Familiar,
    ) -> Result<Option<Item>, Refusal> {
        let fresh = self.state == State::Head && self.begun.is_empty();
        if !fresh {
            return self.read(input);
        }
        if let Some(ask) = familiar.again(input) {
            return Ok(Some(Item::Request(ask)));
        }
        let before = *input;
        let item = self.read(input)?;
        if let Some(Item::Request(ask)) = item {
            let (request, _) = before.split_at(before.len() - input.len());
            familiar.learn(request, ask);
        }
        Ok(item)
    }

    /// The settings that came with a request for HTTP/2: the payload of a frame with them.
    pub(super) fn take_settings(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.settings)
    }

    fn read(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Refusal> {
        loop {
            self.state = match self.state {
                State::Head => {
                    let Some(head) = self.unit(input, HEAD_BYTES_MAX, read_head)? else {
                        return Ok(None);
                    };
                    self.ask = head.ask;
                    self.settings = head.settings;
                    self.state = head.body;
                    if head.expects_continue && head.body != State::Length(0) {
                        return Ok(Some(Item::Continue));
                    }
                    head.body
                }
                State::Length(0) => {
                    self.state = State::Head;
                    return Ok(Some(Item::Request(self.ask)));
                }
                State::Data(0) => State::DataEnd,
                State::Length(_) | State::Data(_) if input.is_empty() => return Ok(None),
                State::Length(left) => State::Length(skip(left, input)),
                State::Data(left) => State::Data(skip(left, input)),
                State::Size => match self.unit(input, CHUNK_LINE_BYTES_MAX, read_size)? {
                    Some(0) => State::Trailer,
                    Some(size) => State::Data(size),
                    None => return Ok(None),
                },
                State::DataEnd => match self.unit(input, 2, read_line_end)? {
                    Some(()) => State::Size,
                    None => return Ok(None),
                },
                State::Trailer => match self.unit(input, HEAD_BYTES_MAX, read_trailer)? {
                    Some(()) => State::Length(0),
                    None => return Ok(None),
                },
            };
        }
    }

    /// Reads one unit of at most `bytes_max` bytes, which earlier inputs may have begun. `read`
    /// returns its length and its meaning, or `None` where it is incomplete.
    fn unit<T>(
        &mut self,
        input: &mut &[u8],
        bytes_max: usize,
        read: impl Fn(&[u8]) -> Result<Option<(usize, T)>, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        let begun = self.begun.len();
        let (window, _) = input.split_at(input.len().min(bytes_max.saturating_sub(begun)));
        let found = if begun == 0 {
            read(window)?
        } else {
            self.begun.extend_from_slice(window);
            read(&self.begun)?
        };
        if let Some((len, meaning)) = found {
            self.begun.clear();
            *input = input.get(len.saturating_sub(begun)..).unwrap_or_default();
            return Ok(Some(meaning));
        }
        if begun + window.len() >= bytes_max {
            return Err(Refusal::TooLarge);
        }
        if begun == 0 {
            self.begun.extend_from_slice(window);
        }
        *input = &[];
        Ok(None)
    }
}

/// Skips up to `left` bytes, and returns how many are still to come.
fn skip(left: u64, input: &mut &[u8]) -> u64 {
    let len = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
    *input = input.get(len..).unwrap_or_default();
    left - len as u64
}

/// What matters of a head.
struct Head {
    ask: Ask,
    /// The state in which the body is read.
    body: State,
    expects_continue: bool,
    settings: Vec<u8>,
}

fn read_head(bytes: &[u8]) -> Result<Option<(usize, Head)>, Refusal> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let Status::Complete(len) = request.parse(bytes)? else { return Ok(None) };
    let newer = request.version == Some(1);
    let fields = Fields::read(request.headers)?;
    let persistence = match (newer, fields.close, fields.keep_alive) {
        (_, true, _) | (false, false, false) => Persistence::Ends,
        (false, false, true) => Persistence::Requested,
        (true, false, _) => Persistence::Implied,
    };
    let body = match (fields.chunked, fields.length) {
        (false, length) => State::Length(length.unwrap_or(0)),
        (true, None) if newer => State::Size,
        // RFC 9112, section 6.1: both, or a coding in HTTP/1.0, is how requests are smuggled.
        (true, _) => return Err(Refusal::Malformed),
    };
    let wants = newer && fields.upgrade && fields.h2c && !fields.close;
    let settings = fields.settings.filter(|_| wants);
    let upgrades = settings.is_some();
    let ask = Ask { body: request.method != Some("HEAD"), persistence, upgrades };
    let expects_continue = newer && fields.expects_continue;
    Ok(Some((len, Head { ask, body, expects_continue, settings: settings.unwrap_or_default() })))
}

/// The fields of a head that a server must heed.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one per field")]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    /// What RFC 7540 section 3.2 wants of a request for HTTP/2.
    upgrade: bool,
    h2c: bool,
    settings: Option<Vec<u8>>,
}

impl Fields {
    fn read(headers: &[Header<'_>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for Header { name, value } in headers {
            if name.eq_ignore_ascii_case("Content-Length") {
                let length = digits(value).ok_or(Refusal::Malformed)?;
                if fields.length.is_some_and(|other| other != length) {
                    return Err(Refusal::Malformed);
                }
                fields.length = Some(length);
            } else if name.eq_ignore_ascii_case("Transfer-Encoding") {
                if fields.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::Malformed);
                }
                fields.chunked = true;
            } else if name.eq_ignore_ascii_case("Connection") {
                for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    fields.close |= option.eq_ignore_ascii_case(b"close");
                    fields.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    fields.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                }
            } else if name.eq_ignore_ascii_case("Upgrade") {
                let mut options = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
                fields.h2c |= options.any(|option| option == b"h2c");
            } else if name.eq_ignore_ascii_case("HTTP2-Settings") {
                fields.settings = base64url(value);
            } else if name.eq_ignore_ascii_case("Expect") {
                fields.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        Ok(fields)
    }
}

/// What this text in base64 for URLs stands for (RFC 4648 section 5), without padding.
fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        // A group of one stands for nothing.
        let missing = 4_usize.saturating_sub(group.len());
        let kept = 3_usize.checked_sub(missing).filter(|&kept| kept > 0)?;
        let [_, three @ ..] = (bits << (6 * missing)).to_be_bytes();
        bytes.extend(three.into_iter().take(kept));
    }
    Some(bytes)
}

/// A number of digits alone: `parse` would take a sign.
pub(super) fn digits(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value.trim_ascii()).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn read_size(bytes: &[u8]) -> Result<Option<(usize, u64)>, Refusal> {
    match parse_chunk_size(bytes) {
        Ok(Status::Complete(found)) => Ok(Some(found)),
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(Refusal::Malformed),
    }
}

fn read_line_end(bytes: &[u8]) -> Result<Option<(usize, ())>, Refusal> {
    match bytes {
        b"\r\n" => Ok(Some((2, ()))),
        b"" | b"\r" => Ok(None),
        _ => Err(Refusal::Malformed),
    }
}

fn read_trailer(bytes: &[u8]) -> Result<Option<(usize, ())>, Refusal> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    match parse_headers(bytes, &mut fields)? {
        Status::Complete((len, _)) => Ok(Some((len, ()))),
        Status::Partial => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads `pieces` one after the other, to their end or to the refusal.
    fn read(pieces: &[&[u8]]) -> (Vec<Item>, Option<Refusal>) {
        let (mut requests, mut familiar) = (Requests::default(), Familiar::default());
        let mut items = Vec::new();
        for mut input in pieces.iter().copied() {
            loop {
                match requests.next(&mut input, &mut familiar) {
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => break,
                    Err(refusal) => return (items, Some(refusal)),
                }
            }
            assert!(input.is_empty(), "all input is consumed");
        }
        (items, None)
    }

    const GET: Ask = Ask { body: true, persistence: Persistence::Implied, upgrades: false };

    #[track_caller]
    fn check(bytes: &str, expected: &[Item]) {
        assert_eq!(read(&[bytes.as_bytes()]), (expected.to_vec(), None), "{bytes:?}");
    }

    #[track_caller]
    fn check_refused(bytes: &str, expected: Refusal) {
        assert_eq!(read(&[bytes.as_bytes()]), (vec![], Some(expected)), "{bytes:?}");
    }

    #[test]
    fn pipelined_requests_are_told_apart() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        check(&request.repeat(3), &[Item::Request(GET); 3]);
        let others = "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n";
        let head = Ask { body: false, ..GET };
        check(others, &[Item::Request(GET), Item::Request(GET), Item::Request(head)]);
    }

    #[test]
    fn bodies_are_consumed_to_their_end() {
        let next = "GET / HTTP/1.1\r\n\r\n";
        for body in [
            "Content-Length: 5\r\n\r\nGET /",
            "Content-Length: 0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: Chunked\r\n\r\n\
             5;x=y\r\nGET /\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
        ] {
            check(&format!("POST / HTTP/1.1\r\n{body}{next}"), &[Item::Request(GET); 2]);
        }
    }

    #[test]
    fn a_client_that_expects_it_is_told_to_continue_unless_there_is_no_body() {
        let head = "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: ";
        check(&format!("{head}1\r\n\r\n"), &[Item::Continue]);
        check(&format!("{head}1\r\n\r\nx"), &[Item::Continue, Item::Request(GET)]);
        check(&format!("{head}0\r\n\r\n"), &[Item::Request(GET)]);
    }

    #[test]
    fn the_version_and_the_field_connection_decide_about_persistence() {
        for (version, field, persistence) in [
            ("1.1", "", Persistence::Implied),
            ("1.1", "Connection: keep-alive\r\n", Persistence::Implied),
            ("1.1", "Connection: x, Close\r\n", Persistence::Ends),
            ("1.0", "", Persistence::Ends),
            ("1.0", "connection: Keep-Alive\r\n", Persistence::Requested),
            ("1.0", "Connection: keep-alive, close\r\n", Persistence::Ends),
        ] {
            let request = format!("GET / HTTP/{version}\r\n{field}\r\n");
            check(&request, &[Item::Request(Ask { persistence, ..GET })]);
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        for fields in [
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length:",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked\r\nContent-Length: 1",
            "no colon",
        ] {
            check_refused(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n"), Refusal::Malformed);
        }
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in ["x\r\n", "1\r\nab\r\n", "-1\r\n", "fffffffffffffffff\r\n", "0\r\n:\r\n\r\n"] {
            check_refused(&format!("{chunked}{body}"), Refusal::Malformed);
        }
        check_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::Malformed);
        check_refused("\x16\x03\x01", Refusal::Malformed);
    }

    #[test]
    fn heads_are_bounded_in_bytes_and_in_fields() {
        let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(HEAD_BYTES_MAX));
        check_refused(&long, Refusal::TooLarge);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: 1\r\n".repeat(FIELDS_MAX + 1));
        check_refused(&many, Refusal::TooLarge);
        check_refused(&"\r\n".repeat(HEAD_BYTES_MAX), Refusal::TooLarge);
    }

    #[test]
    fn a_request_that_only_begins_like_the_one_before_is_read_by_itself() {
        let post =
            |body: &str| format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        check(&[post("a"), post("a"), post("b"), post("ab")].concat(), &[Item::Request(GET); 4]);
    }

    /// Requests of all kinds, most of them well-formed.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
            2 => Just("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
            1 => Just("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned()),
            2 => "[a-z\r\n]{0,40}".prop_map(|body| format!(
                "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )),
            2 => ("[a-z]{1,40}", "[a-z]{0,9}").prop_map(|(body, extension)| format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {:x};{extension}\r\n{body}\r\n0\r\nT: {extension}\r\n\r\n",
                body.len()
            )),
            1 => "[ -~\r\n]{1,20}",
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_requests(
            bytes in stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = read(&[&bytes]);
            prop_assert_eq!(&read(&pieces), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&read(&single), &whole);
        }

        #[test]
        fn no_bytes_whatever_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes]);
        }
    }

    /// Requests that offer HTTP/2 in the clear, with the settings that they bring.
    #[track_caller]
    fn check_offer(fields: &str, settings: Option<&[u8]>) {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut requests = Requests::default();
        let item = requests.next(&mut request.as_bytes(), &mut Familiar::default()).unwrap();
        assert_eq!(item, Some(Item::Request(Ask { upgrades: settings.is_some(), ..GET })));
        assert_eq!(requests.take_settings(), settings.unwrap_or_default(), "{fields}");
    }

    // RFC 7540 section 3.2.
    #[test]
    fn an_offer_of_http_2_is_complete_or_none() {
        let whole = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: x, h2c\r\n";
        check_offer(
            &format!("{whole}HTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
            Some(&[0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 0xff, 0xff]),
        );
        check_offer(&format!("{whole}HTTP2-Settings: \r\n"), Some(&[]));
        check_offer(&format!("{whole}HTTP2-Settings: A\r\n"), None);
        check_offer(&format!("{whole}HTTP2-Settings: A+==\r\n"), None);
        check_offer(whole, None);
        check_offer("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", None);
        check_offer("Connection: upgrade\r\nUpgrade: h2\r\nHTTP2-Settings: AAMAAABk\r\n", None);
    }

    #[test]
    fn base64_for_urls_stands_for_bytes() {
        for (text, bytes) in [("", &b""[..]), ("Zg", b"f"), ("Zm8", b"fo"), ("Zm9v", b"foo")] {
            assert_eq!(base64url(text.as_bytes()).unwrap(), bytes);
        }
        assert_eq!(base64url(b"-_-_-w").unwrap(), [0xfb, 0xff, 0xbf, 0xfb]);
        for text in ["Z", "Zm9vZ", "Zg==", "Zm9 "] {
            assert_eq!(base64url(text.as_bytes()), None, "{text}");
        }
    }
}
