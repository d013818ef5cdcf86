//! What was exchanged where requests were tried: for a person, and as one JSON document.
//!
//! Nothing is hidden: whoever tries a request wants to see what is sent, credentials included.

use std::io::{self, Write};

use pummel_engine::plan::Protocol;
use pummel_engine::record::{Answer, Coded, End, Exchange, Found, Kept, Unfollowed};
use pummel_engine::report::{Ending, Report};
use pummel_engine::units::Nanos;
use pummel_proto_http::Version;
use serde::Serialize;

use super::schema::{Handshakes, Tool, VERSION};
use super::{counted, redirects, unset, wire};

/// The most of a body that is shown to a person.
const SHOWN_MAX: usize = 16 * 1024;

/// The most of a body that is shown in hexadecimal digits.
const BINARY_SHOWN_MAX: usize = 32;

/// What was looked for, by number: the name of its request, and its own.
type Names<'r> = [(&'r str, String)];

/// Writes all of it for a person.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let names = report.plan.work.looked_for();
    for (at, exchange) in report.exchanges.iter().enumerate() {
        exchange_of(report, (at + 1, exchange), &names, to)?;
    }
    for (agreed, _) in report.totals.secured.rows() {
        writeln!(to, "TLS: {}", wire::kind(agreed))?;
    }
    let opened = report.totals.connections.opened;
    let good = report.exchanges.iter().filter(|exchange| exchange.is_good()).count();
    let all = counted(report.exchanges.len() as u64, "request");
    writeln!(to, "{all} on {}, {good} as expected", counted(opened, "connection"))?;
    for exchange in report.exchanges.iter().filter(|exchange| !exchange.is_good()) {
        writeln!(to, "not as expected: {}", title(report, exchange))?;
    }
    for said in unset::sentences(report) {
        writeln!(to, "not captured: {said}")?;
    }
    match ending(report) {
        None => Ok(()),
        Some(said) => writeln!(to, "ended early: {said}"),
    }
}

/// Why not everything was tried, if that is so.
const fn ending(report: &Report) -> Option<&'static str> {
    match report.ending {
        Ending::Completed => None,
        Ending::Interrupted => Some("interrupted"),
        Ending::TargetLost => Some("no connection was left, and none could be opened"),
    }
}

/// What of an exchange is not as expected, in a line.
pub(crate) fn shortfall(report: &Report, exchange: &Exchange) -> String {
    let why = match &exchange.end {
        End::Answered(answer) => missed(report, exchange, answer),
        End::Failed(trouble) => trouble.to_string(),
        End::TimedOut(phase) => format!("timeout: {}", phase.name()),
        End::Unfinished => "the end came before the response".to_owned(),
    };
    format!("{}: {why}", title(report, exchange))
}

/// What a response that came is lacking.
fn missed(report: &Report, exchange: &Exchange, answer: &Answer) -> String {
    let status = answer.status;
    if let Some(why) = answer.unfollowed {
        return format!("status {status}, not followed: {}", redirects::words(why));
    }
    let names = report.plan.work.looked_for();
    let mut missed = exchange.found.iter().filter(|found| found.answer != Ok(true));
    missed.next().map_or_else(
        || format!("status {status} is not expected"),
        |found| {
            let name = names.get(found.number).map_or("", |(_, name)| name);
            let why = found.answer.err().map_or(String::new(), |reason| format!(" ({reason})"));
            format!("status {status}, but {name} does not hold{why}")
        },
    )
}

/// What the request is called, or its first line.
fn title(report: &Report, exchange: &Exchange) -> String {
    let asking = report.plan.work.requests().get(usize::from(exchange.request));
    match asking.map(|asking| asking.name.as_str()) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => asking.map(|asking| asking.request.line()).unwrap_or_default(),
    }
}

fn exchange_of(
    report: &Report,
    (number, exchange): (usize, &Exchange),
    names: &Names<'_>,
    to: &mut dyn Write,
) -> io::Result<()> {
    let redirected = if exchange.is_redirected { ", redirected" } else { "" };
    writeln!(to, "{number}. {}{redirected}", title(report, exchange))?;
    let (head, body) = halves(&exchange.sent);
    lines(head, "> ", to)?;
    content(&body, "> ", to)?;
    match &exchange.end {
        End::Answered(answer) => {
            writeln!(to, "< {} {}", version(answer), answer.status)?;
            for (name, value) in &answer.fields {
                writeln!(to, "< {}: {}", readable(name), readable(value))?;
            }
            content(&answer.body, "< ", to)?;
            if let Some(coded) = &answer.coded {
                writeln!(to, "< [{}]", decoding(coded))?;
            }
        }
        End::Failed(trouble) => writeln!(to, "! {trouble}")?,
        End::TimedOut(phase) => writeln!(to, "! timeout: {}", phase.name())?,
        End::Unfinished => writeln!(to, "! the end came before the response")?,
    }
    for found in &exchange.found {
        writeln!(to, "  {}", finding(found, names))?;
    }
    if let Some(said) = unexpected(exchange) {
        writeln!(to, "  {said}")?;
    }
    let (service, first) = times(exchange);
    match &exchange.end {
        End::Answered(_) => writeln!(to, "  took {service}, to its first byte {first}\n"),
        _ => writeln!(to, "  took {service}\n"),
    }
}

/// From its start to its end, and to the first byte of its response.
fn times(exchange: &Exchange) -> (Nanos, Nanos) {
    let moments = &exchange.moments;
    (moments.service(), moments.first_byte.since(moments.written))
}

/// That only the status makes the response a bad one.
fn unexpected(exchange: &Exchange) -> Option<String> {
    let End::Answered(answer) = &exchange.end else { return None };
    let held = exchange.found.iter().all(|found| found.answer == Ok(true));
    if let Some(why) = answer.unfollowed {
        return Some(format!("FAILED  not followed: {}", redirects::words(why)));
    }
    (!answer.good && held).then(|| format!("FAILED  status {} is not expected", answer.status))
}

fn finding(found: &Found, names: &Names<'_>) -> String {
    let name = names.get(found.number).map_or("", |(_, name)| name);
    match (found.answer, &found.value) {
        (Ok(true), None) => format!("held    {name}"),
        (Ok(true), Some(value)) => format!("held    {name}: {}", readable(value)),
        (Ok(false), _) => format!("FAILED  {name}"),
        (Err(reason), _) => format!("FAILED  {name} ({reason})"),
    }
}

const fn version(answer: &Answer) -> &'static str {
    match answer.version {
        Some(Version::Http10) => "HTTP/1.0",
        Some(Version::Http11) => "HTTP/1.1",
        None => "HTTP/2",
    }
}

/// What a request was sent in.
fn spoken(report: &Report, exchange: &Exchange) -> &'static str {
    match report.plan.wire.protocol {
        _ if exchange.http2 => "h2",
        Protocol::Http10 => "http/1.0",
        _ => "http/1.1",
    }
}

/// The head of a request, and its body.
fn halves(sent: &Kept) -> (&[u8], Kept) {
    let end = b"\r\n\r\n";
    let at = sent.bytes.windows(end.len()).position(|window| window == end);
    let at = at.map_or(sent.bytes.len(), |at| at + end.len());
    let (head, body) = sent.bytes.split_at(at);
    (head, Kept { bytes: body.to_vec(), len: sent.len - head.len() as u64 })
}

/// Writes text line by line.
fn lines(text: &[u8], mark: &str, to: &mut dyn Write) -> io::Result<()> {
    let text = text.strip_suffix(b"\r\n\r\n").unwrap_or(text);
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        writeln!(to, "{mark}{}", readable(line))?;
    }
    Ok(())
}

/// Writes a body: text as it is, anything else by its length and its beginning.
fn content(body: &Kept, mark: &str, to: &mut dyn Write) -> io::Result<()> {
    if body.len == 0 {
        return Ok(());
    }
    writeln!(to, "{}", mark.trim_end())?;
    let shown = body.bytes.get(..SHOWN_MAX).unwrap_or(&body.bytes);
    let rest = body.len - shown.len() as u64;
    let Some(text) = text(shown, rest > 0) else {
        return writeln!(to, "{mark}[{}]", binary(body));
    };
    lines(text.trim_end_matches('\n').as_bytes(), mark, to)?;
    if rest > 0 {
        writeln!(to, "{mark}[and {} more]", counted(rest, "byte"))?;
    }
    Ok(())
}

/// What became of the codings of a body.
fn decoding(coded: &Coded) -> String {
    let came = counted(coded.came, "byte");
    match coded.decoded {
        Ok(true) => format!("decoded from {came}"),
        Ok(false) => format!("the beginning, decoded from {came}"),
        Err(reason) => format!("{came} that cannot be decoded: {reason}"),
    }
}

/// The bytes as text, if they are; of a text that is `cut` the last character may be.
fn text(bytes: &[u8], cut: bool) -> Option<&str> {
    let text = match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if cut && error.error_len().is_none() => {
            core::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.contains(strange)).then_some(text)
}

fn binary(body: &Kept) -> String {
    let first = hexadecimal(body);
    let more = if body.len > first.len() as u64 { " …" } else { "" };
    format!("{}, binary: {}{more}", counted(body.len, "byte"), first.join(" "))
}

/// The first bytes of a body in hexadecimal digits.
fn hexadecimal(body: &Kept) -> Vec<String> {
    let first = body.bytes.iter().take(BINARY_SHOWN_MAX);
    first.map(|byte| format!("{byte:02x}")).collect()
}

/// What a terminal may be given: control characters as escapes.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let escape = |c: char| if c == '\t' { c.to_string() } else { c.escape_default().to_string() };
    text.chars().map(|c| if c.is_control() { escape(c) } else { c.to_string() }).collect()
}

/// All of it.
#[derive(Serialize)]
struct Document<'r> {
    schema_version: u32,
    tool: Tool,
    url: &'r str,
    ending: Option<&'static str>,
    connections: u64,
    tls: Option<Handshakes>,
    good: usize,
    exchanges: Vec<Row<'r>>,
}

/// An exchange.
#[derive(Serialize)]
struct Row<'r> {
    name: String,
    /// Whether it is the redirect of the one before that was followed.
    redirected: bool,
    good: bool,
    request: Asked,
    response: Option<Said>,
    error: Option<String>,
    checks: Vec<Looked<'r>>,
    service_ns: u64,
    first_byte_ns: Option<u64>,
}

#[derive(Serialize)]
struct Asked {
    protocol: &'static str,
    /// The lines of its head.
    head: Vec<String>,
    body: Content,
}

#[derive(Serialize)]
struct Said {
    protocol: &'static str,
    status: u16,
    fields: Vec<[String; 2]>,
    body: Content,
    /// What became of its codings.
    coded: Option<Decoding>,
    /// Why it was not followed, if it is a redirect that was to be.
    not_followed: Option<&'static str>,
}

#[derive(Serialize)]
struct Decoding {
    bytes: u64,
    whole: bool,
    reason: Option<&'static str>,
}

/// A body: its text, if it is, or else the hexadecimal digits of its beginning.
#[derive(Serialize)]
struct Content {
    bytes: u64,
    text: Option<String>,
    hex: Option<String>,
}

#[derive(Serialize)]
struct Looked<'r> {
    name: &'r str,
    held: bool,
    reason: Option<&'static str>,
    value: Option<String>,
}

/// Writes the document and a line break, and nothing else.
pub(super) fn write_json(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let names = report.plan.work.looked_for();
    let rows = report.exchanges.iter().map(|exchange| row(report, exchange, &names));
    let document = Document {
        schema_version: VERSION,
        tool: Tool { name: "pummel", version: env!("CARGO_PKG_VERSION") },
        url: &report.plan.target.url,
        ending: ending(report),
        connections: report.totals.connections.opened,
        tls: report.plan.wire.tls.as_ref().map(|_| wire::handshakes(&report.totals.secured)),
        good: report.exchanges.iter().filter(|exchange| exchange.is_good()).count(),
        exchanges: rows.collect(),
    };
    serde_json::to_writer_pretty(&mut *to, &document)?;
    writeln!(to)
}

fn row<'r>(report: &Report, exchange: &Exchange, names: &'r Names<'_>) -> Row<'r> {
    let (head, body) = halves(&exchange.sent);
    let head = String::from_utf8_lossy(head);
    let (service, first) = times(exchange);
    let (response, error) = match &exchange.end {
        End::Answered(answer) => (Some(said(answer)), None),
        End::Failed(trouble) => (None, Some(trouble.to_string())),
        End::TimedOut(phase) => (None, Some(format!("timeout: {}", phase.name()))),
        End::Unfinished => (None, Some("unfinished".to_owned())),
    };
    Row {
        name: title(report, exchange),
        redirected: exchange.is_redirected,
        good: exchange.is_good(),
        request: Asked {
            protocol: spoken(report, exchange),
            head: head.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            body: content_of(&body),
        },
        first_byte_ns: response.as_ref().map(|_| first.get()),
        response,
        error,
        checks: exchange.found.iter().map(|found| looked(found, names)).collect(),
        service_ns: service.get(),
    }
}

fn said(answer: &Answer) -> Said {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        protocol: version(answer),
        status: answer.status,
        fields: answer.fields.iter().map(|(name, value)| [lossy(name), lossy(value)]).collect(),
        body: content_of(&answer.body),
        coded: answer.coded.map(|coded| Decoding {
            bytes: coded.came,
            whole: coded.decoded == Ok(true),
            reason: coded.decoded.err(),
        }),
        not_followed: answer.unfollowed.map(Unfollowed::name),
    }
}

fn content_of(body: &Kept) -> Content {
    let shown = text(&body.bytes, body.len > body.bytes.len() as u64);
    let hex = hexadecimal(body).concat();
    Content { bytes: body.len, text: shown.map(str::to_owned), hex: shown.is_none().then_some(hex) }
}

fn looked<'r>(found: &Found, names: &'r Names<'_>) -> Looked<'r> {
    Looked {
        name: names.get(found.number).map_or("", |(_, name)| name),
        held: found.answer == Ok(true),
        reason: found.answer.err(),
        value: found.value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: &[u8], len: u64) -> Kept {
        Kept { bytes: bytes.to_vec(), len }
    }

    #[track_caller]
    fn check(body: &Kept, expected: &str) {
        let mut out = Vec::new();
        content(body, "< ", &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_body_is_shown_as_text_if_it_is_and_else_by_its_beginning() {
        check(&kept(b"", 0), "");
        check(&kept(b"a\r\n\tb\n", 6), "<\n< a\n< \tb\n");
        check(&kept(b"\x1b[31m", 5), "<\n< [5 bytes, binary: 1b 5b 33 31 6d]\n");
        check(&kept(b"\xff", 1), "<\n< [1 byte, binary: ff]\n");
        let digits = vec!["00"; BINARY_SHOWN_MAX].join(" ");
        check(&kept(&[0; 40], 90), &format!("<\n< [90 bytes, binary: {digits} …]\n"));
        // Cut in the middle of a character.
        check(&kept(b"ab\xc3", 9), "<\n< ab\n< [and 6 bytes more]\n");
    }

    #[test]
    fn a_terminal_is_given_no_control_characters() {
        assert_eq!(readable(b"a\tb\x1b[2J\r\xff"), "a\tb\\u{1b}[2J\\r\u{fffd}");
    }

    #[test]
    fn a_request_is_its_head_and_its_body() {
        let sent = kept(b"GET / HTTP/1.1\r\nA: b\r\n\r\nx\r\n\r\ny", 40);
        let (head, body) = halves(&sent);
        assert_eq!(head, b"GET / HTTP/1.1\r\nA: b\r\n\r\n");
        assert_eq!(body, kept(b"x\r\n\r\ny", 16));
    }
}
