//! The request: validated when built, rendered once, sent as often as the run lasts.
//!
//! A [`Request`] that exists can be sent: the builder refuses whatever would break the framing (a
//! CR or LF in a value, a user's own `Content-Length`) or change the protocol (`CONNECT`,
//! `Upgrade`), because such a request would make every later response on its connection unreadable.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::event::Version;
use crate::h2::UPGRADE_SETTINGS;
use crate::stored::Stored;
use crate::text::{Escape, NoValues, Slot, Text, Values};

/// The default `User-Agent`.
const USER_AGENT: &str = concat!("pummel/", env!("CARGO_PKG_VERSION"));

/// Fields that are for the server they were written for, and for no other.
const OWN_FIELDS: [&str; 4] = ["Authorization", "Cookie", "Proxy-Authorization", "Host"];

/// Fields that describe a body (RFC 9110 sections 8 and 15.4, RFC 9530).
const BODY_FIELDS: [&str; 12] = [
    "Content-Type",
    "Content-Encoding",
    "Content-Language",
    "Content-Location",
    "Content-Disposition",
    "Content-Digest",
    "Content-MD5",
    "Content-Range",
    "Digest",
    "Repr-Digest",
    "Last-Modified",
    "Trailer",
];

/// A request that can be sent: method, target, fields and body, all validated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    method: String,
    scheme: Scheme,
    authority: String,
    target: Text,
    fields: Vec<Field>,
    body: Option<Body>,
    /// Whether no `User-Agent` is sent but one among the fields.
    is_anonymous: bool,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Body {
    Here(Text),
    Stored(Stored),
}

/// What the connection that a request is sent on is secured by. HTTP/1.1 does not say it in a
/// request, HTTP/2 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scheme {
    /// `http`: nothing.
    #[default]
    Http,
    /// `https`: TLS.
    Https,
}

/// A field line; its name is a token and its value cannot end a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Field {
    name: String,
    value: Text,
    /// Whether the line is left out if its value, which is one place and nothing else, is empty.
    is_optional: bool,
}

/// A field line of HTTP/2: name in lowercase, and value.
pub(crate) type Line = (Vec<u8>, Value);

/// The same with a value that is always the same.
pub(crate) type ConstantLine = (Vec<u8>, Vec<u8>);

/// What is known of the value of such a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Text),
    /// The same; the line is left out if it is empty.
    Optional(Text),
    /// The length of the body, which differs from request to request.
    Length,
}

/// How a request is put into HTTP/1.x. The default is HTTP/1.1, straight to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendering {
    /// The version in the request line.
    pub version: Version,
    /// What stands between method and version.
    pub form: Form,
    /// Whether its connection is to end after it.
    pub last: bool,
    /// Field lines beyond the request's own, for a proxy.
    pub fields: Vec<(String, String)>,
}

/// What stands between method and version (RFC 9112 section 3.2).
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Form {
    /// The path and the query.
    Origin,
    /// The whole URL, as a proxy wants it.
    Absolute,
}

impl Default for Rendering {
    fn default() -> Self {
        Self { version: Version::Http11, form: Form::Origin, last: false, fields: Vec::new() }
    }
}

/// What a request makes of the response to it on the wire.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Expect {
    /// Whether the response may have a body: false for `HEAD` (RFC 9112 section 6.3, rule 1).
    pub body: bool,
    /// Whether the request asks for the connection to be closed after its response.
    pub close: bool,
}

/// Why a request cannot be built. The texts are for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The method is not a token.
    #[error("use method {0:?}: it must be a word of letters, digits and !#$%&'*+-.^_`|~")]
    Method(String),
    /// The method is `CONNECT`.
    #[error("use method CONNECT: it opens a tunnel, and a tunnel carries no responses to measure")]
    Connect,
    /// The authority cannot stand in a `Host` field.
    #[error("use {0:?} as the host: write host or host:port, without user, path or spaces")]
    Authority(String),
    /// The target is not in origin-form.
    #[error(
        "request {0:?}: the path begins with / and holds visible ASCII but #; write others as %XX"
    )]
    Target(String),
    /// A field name is not a token.
    #[error("send field {0:?}: its name must be a word of letters, digits and !#$%&'*+-.^_`|~")]
    FieldName(String),
    /// A field value holds CR, LF, NUL or another control character.
    #[error("send field {0}: its value must not hold line breaks or control characters")]
    FieldValue(String),
    /// The field would contradict the framing that pummel writes.
    #[error("send field {0}: pummel frames the body itself; leave the field out")]
    Framing(String),
    /// The field would switch the connection to another protocol.
    #[error("send field {0}: switching the protocol of a connection is not supported")]
    Upgrade(String),
    /// A second `Host` field (RFC 9112 section 3.2 allows one).
    #[error("send a second Host field: a request has exactly one")]
    SecondHost,
    /// The field speaks of an HTTP/1.1 connection (RFC 9113 section 8.2.2).
    #[error("send field {0} over HTTP/2: it is about HTTP/1.1 connections; leave it out")]
    ConnectionField(String),
    /// The header block is longer than
    /// [`H2_REQUEST_BLOCK_BYTES_MAX`](crate::limits::H2_REQUEST_BLOCK_BYTES_MAX).
    #[error("send {0} bytes of fields over HTTP/2: at most 32 KiB are supported")]
    HeadTooLong(usize),
    /// More fields differ from request to request than
    /// [`H2_VARYING_FIELDS_MAX`](crate::limits::H2_VARYING_FIELDS_MAX).
    #[error("send {0} fields with varying values over HTTP/2: at most 16 are supported")]
    TooManyVarying(usize),
    /// The body has 4 GiB or more.
    #[error("send a body of {0} bytes over HTTP/2: it must be shorter than 4 GiB")]
    BodyTooLong(u64),
}

impl Request {
    /// Begins a request for `target` at `authority`.
    ///
    /// `method` is any token but `CONNECT`, and case-sensitive; `authority` is what `Host` says
    /// (`host` or `host:port`); `target` is in origin-form (`/path?query`), or `*` for `OPTIONS`.
    ///
    /// # Errors
    /// [`RequestError`] names the part that cannot be sent.
    pub fn builder(
        method: &str,
        authority: &str,
        target: impl Into<Text>,
    ) -> Result<RequestBuilder, RequestError> {
        let target = target.into().guarded(Escape::Target);
        if !is_token(method) {
            return Err(RequestError::Method(method.to_owned()));
        }
        if method == "CONNECT" {
            return Err(RequestError::Connect);
        }
        if !is_authority(authority) {
            return Err(RequestError::Authority(authority.to_owned()));
        }
        if !is_target(target.literal()) && (method, target.constant()) != ("OPTIONS", Some(b"*")) {
            return Err(RequestError::Target(lossy(target.literal())));
        }
        Ok(RequestBuilder {
            request: Self {
                method: method.to_owned(),
                scheme: Scheme::default(),
                authority: authority.to_owned(),
                target,
                fields: Vec::new(),
                body: None,
                is_anonymous: false,
            },
        })
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns method and target, without the values that are put in.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.method.clone();
        line.push(' ');
        line.push_str(&lossy(self.target.literal()));
        line
    }

    /// Returns what the response to this request looks like on the wire.
    #[must_use]
    pub fn expects(&self) -> Expect {
        let close = self
            .fields
            .iter()
            .filter(|field| field.is("Connection"))
            .flat_map(|field| field.value.literal().split(|&byte| byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
        Expect { body: self.method != "HEAD", close }
    }

    /// Returns whether each time it is sent, it is the same, and all of it is in memory.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        let body = self.stored().is_none() && self.body().is_none_or(Text::is_constant);
        let fields = self.fields.iter().all(|field| field.value.is_constant());
        self.target.is_constant() && fields && body
    }

    /// Returns the numbers of the values that are put in, each once, in ascending order.
    #[must_use]
    pub fn values(&self) -> Vec<u16> {
        let fields = self.fields.iter().map(|field| &field.value);
        let texts = [&self.target].into_iter().chain(fields).chain(self.body());
        let values: BTreeSet<u16> = texts.flat_map(Text::values).collect();
        values.into_iter().collect()
    }

    /// Returns the field lines that were added, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.fields.iter().map(|field| (field.name.as_str(), &field.value))
    }

    /// Returns the body, if there is one in memory.
    #[must_use]
    pub const fn body(&self) -> Option<&Text> {
        match &self.body {
            Some(Body::Here(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the body, if it is read as it is sent.
    #[must_use]
    pub const fn stored(&self) -> Option<&Stored> {
        match &self.body {
            Some(Body::Stored(stored)) => Some(stored),
            _ => None,
        }
    }

    /// Goes on with the request where its builder was left.
    #[must_use]
    pub const fn amend(self) -> RequestBuilder {
        RequestBuilder { request: self }
    }

    /// Renders the request for HTTP/1.1: request line, `Host`, the default fields, the user's
    /// fields in their order, `Content-Length`, empty line, body. Values that would be put in are
    /// left out.
    ///
    /// Allocates the result; made for once per run, not once per request.
    #[must_use]
    pub fn render_h1(&self) -> Vec<u8> {
        self.render_h1_as(&Rendering::default())
    }

    /// The same, in the version and form that `rendering` says.
    #[must_use]
    pub fn render_h1_as(&self, rendering: &Rendering) -> Vec<u8> {
        let mut out = Vec::new();
        self.serial(rendering).fill(&NoValues, &mut out);
        out
    }

    /// The same, with places for the values. A body that is [stored](Self::stored) comes behind
    /// it.
    #[must_use]
    pub fn serial(&self, rendering: &Rendering) -> Serial {
        let Rendering { version, form, fields, .. } = rendering;
        let version = match version {
            Version::Http10 => " HTTP/1.0\r\n",
            Version::Http11 => " HTTP/1.1\r\n",
        };
        let host = self.host();
        let mut head = Text::from(self.method.as_str());
        head.push(" ");
        if *form == Form::Absolute {
            head.push("http://");
            head.append(&host);
        }
        // RFC 9112 section 3.2.4: a proxy is asked for OPTIONS of the whole server without a path.
        if *form == Form::Origin || self.target.constant() != Some(b"*") {
            head.append(&self.target);
        }
        head.push(version);
        add_field(&mut head, "Host", &host);
        for (name, value) in self.defaults() {
            add_field(&mut head, name, &value.into());
        }
        // RFC 9112 section 9.3: in HTTP/1.0 who wants a connection to persist says so.
        let option = match (rendering.last, rendering.version) {
            (true, _) => Some("close"),
            (false, Version::Http10) => Some("keep-alive"),
            (false, Version::Http11) => None,
        };
        if let Some(option) = option.filter(|_| self.value_of("Connection").is_none()) {
            add_field(&mut head, "Connection", &option.into());
        }
        for field in self.fields.iter().filter(|field| !field.is("Host")) {
            field.add_to(&mut head);
        }
        for (name, value) in fields {
            add_field(&mut head, name, &value.into());
        }
        let body = self.content();
        match self.content_length() {
            Some(Length::Varies) => {
                head.push("Content-Length: ");
                return Serial { head, body, length_varies: true };
            }
            Some(Length::Known(length)) => {
                add_field(&mut head, "Content-Length", &(&length.to_string()).into());
            }
            None => {}
        }
        head.push("\r\n");
        head.append(&body);
        Serial { head, body: Text::default(), length_varies: false }
    }

    /// Renders the request for HTTP/2: its header block and its body.
    ///
    /// Allocates the result; made for once per run. Several requests for the same connections are
    /// rendered together, by [`h2::Rendered::set`](crate::h2::Rendered::set).
    ///
    /// # Errors
    /// [`RequestError`] names what HTTP/2 cannot send.
    pub fn render_h2(&self) -> Result<crate::h2::Rendered, RequestError> {
        let mut set = crate::h2::Rendered::set(&[self])?;
        // One request makes one.
        set.pop().ok_or(RequestError::HeadTooLong(0))
    }

    /// Returns the field lines of HTTP/2 in their order (RFC 9113 section 8.3.1).
    pub(crate) fn h2_fields(&self) -> Result<Vec<Line>, RequestError> {
        let line =
            |name: &str, value: Text| (name.to_ascii_lowercase().into_bytes(), Value::Text(value));
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let mut lines = Vec::new();
        lines.push(line(":method", self.method.as_str().into()));
        lines.push(line(":scheme", scheme.into()));
        let authority = self.host();
        if authority.constant() != Some(b"") {
            lines.push(line(":authority", authority));
        }
        lines.push(line(":path", self.target.clone()));
        for (name, value) in self.defaults() {
            lines.push(line(name, value.into()));
        }
        for field in self.fields.iter().filter(|field| !field.is("Host")) {
            if field.is_about_connections() {
                return Err(RequestError::ConnectionField(field.name.clone()));
            }
            lines.push(field.line());
        }
        match self.content_length() {
            Some(Length::Varies) => lines.push((b"content-length".to_vec(), Value::Length)),
            Some(Length::Known(length)) => {
                lines.push(line("content-length", (&length.to_string()).into()));
            }
            None => {}
        }
        Ok(lines)
    }

    /// Appends what HTTP/2 sends for the request with these values, as a person reads it: a line
    /// for each field, an empty line, the body.
    ///
    /// # Errors
    /// [`RequestError`] names what HTTP/2 cannot send.
    pub fn describe_h2(&self, values: &impl Values, out: &mut Vec<u8>) -> Result<(), RequestError> {
        let body = self.content();
        for (name, value) in self.h2_fields()? {
            if let Value::Optional(text) = &value
                && text.filled_len(values) == 0
            {
                continue;
            }
            out.extend_from_slice(&name);
            out.extend_from_slice(b": ");
            match value {
                Value::Text(text) | Value::Optional(text) => text.fill(values, out),
                Value::Length => write_number(body.filled_len(values), out),
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        body.fill(values, out);
        Ok(())
    }

    /// Returns the field lines that ask a proxy for a tunnel to `authority` over HTTP/2 (RFC 9113
    /// section 8.5), with `fields` for the proxy.
    pub(crate) fn connect_lines(
        authority: &str,
        fields: &[(String, String)],
    ) -> Result<Vec<ConstantLine>, RequestError> {
        let request = Self::builder("GET", authority, "/")?.build().with_fields(fields)?;
        let line = |name: &str, value: &str| {
            (name.to_ascii_lowercase().into_bytes(), value.as_bytes().to_vec())
        };
        let mut lines = alloc::vec![line(":method", "CONNECT"), line(":authority", authority)];
        for field in &request.fields {
            if field.is_about_connections() {
                return Err(RequestError::ConnectionField(field.name.clone()));
            }
            lines.push((
                field.name.to_ascii_lowercase().into_bytes(),
                field.value.literal().to_vec(),
            ));
        }
        Ok(lines)
    }

    /// The same request with more field lines, after its own: what a proxy is told that is given
    /// the request itself, in HTTP/2.
    ///
    /// # Errors
    /// [`RequestError`] names the field that cannot be sent.
    pub fn with_fields(&self, fields: &[(String, String)]) -> Result<Self, RequestError> {
        let all = RequestBuilder { request: self.clone() };
        let all = fields.iter().try_fold(all, |all, (name, value)| all.field(name, value))?;
        Ok(all.build())
    }

    /// Returns the body that is in memory, empty if there is none.
    pub(crate) fn content(&self) -> Text {
        self.body().cloned().unwrap_or_default()
    }

    /// Returns the same request, which sends the value with this number as cookies: behind those of
    /// its own field `Cookie`, or else in a field of theirs, which is left out while there are none
    /// (RFC 6265 section 5.4 allows one).
    #[must_use]
    pub fn with_cookies(mut self, value: u16) -> Self {
        let slot = Slot { value, escape: Escape::Field };
        if let Some(own) = self.fields.iter_mut().rfind(|field| field.is("Cookie")) {
            own.value.push_optional("; ", slot, "");
            return self;
        }
        let mut value = Text::default();
        value.push_slot(slot);
        self.fields.push(Field { name: "Cookie".to_owned(), value, is_optional: true });
        self
    }

    /// Returns path and query.
    #[must_use]
    pub const fn target(&self) -> &Text {
        &self.target
    }

    /// Returns what the connection that it is sent on is secured by.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns what `Host` says.
    #[must_use]
    pub fn host(&self) -> Text {
        self.value_of("Host").cloned().unwrap_or_else(|| (&self.authority).into())
    }

    /// Returns the same request, fields and all, for a server with this scheme and authority.
    #[must_use]
    pub fn at(self, scheme: Scheme, authority: &str) -> Self {
        Self { scheme, authority: authority.to_owned(), ..self }
    }

    /// Returns the request that follows a redirect of this one to `target` (RFC 9110 section 15.4):
    /// `there`, at a server with that scheme and authority, or at the same one. If it is not
    /// `whole`, it has no body, and is a `GET`, or a `HEAD` if this one is.
    ///
    /// Who asks, and under which name, is for the server that it was written for, and left out
    /// elsewhere; what describes a body goes with it.
    #[must_use]
    pub fn redirected(
        &self,
        target: impl Into<Text>,
        there: Option<(Scheme, &str)>,
        whole: bool,
    ) -> Self {
        let mut request = Self { target: target.into().guarded(Escape::Target), ..self.clone() };
        if let Some((scheme, authority)) = there {
            (request.scheme, request.authority) = (scheme, authority.to_owned());
            request.fields.retain(|field| !OWN_FIELDS.iter().any(|name| field.is(name)));
        }
        if !whole {
            if request.method != "HEAD" {
                "GET".clone_into(&mut request.method);
            }
            request.body = None;
            request.fields.retain(|field| !BODY_FIELDS.iter().any(|name| field.is(name)));
        }
        request
    }

    /// Renders the wish to go on in HTTP/2 (RFC 7540 section 3.2): a request for the same target,
    /// because not every server grants an upgrade everywhere; with a method that changes nothing
    /// and whose response has no body.
    #[must_use]
    pub fn render_upgrade(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let path = match self.target.literal() {
            // All of it is a value.
            [] => b"/",
            path => path,
        };
        for part in [b"HEAD ", path, b" HTTP/1.1\r\n"] {
            out.extend_from_slice(part);
        }
        render_field(&mut out, "Host", &lossy(self.host().literal()));
        render_field(&mut out, "Connection", "Upgrade, HTTP2-Settings");
        render_field(&mut out, "Upgrade", "h2c");
        render_field(&mut out, "HTTP2-Settings", UPGRADE_SETTINGS);
        out.extend_from_slice(b"\r\n");
        out
    }

    /// The default fields that no field of the user's replaces.
    fn defaults(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let agent = (!self.is_anonymous).then_some(("User-Agent", USER_AGENT));
        let all = agent.into_iter().chain([("Accept", "*/*")]);
        all.filter(|(name, _)| self.value_of(name).is_none())
    }

    /// Returns the value of the first user field called `name`.
    fn value_of(&self, name: &str) -> Option<&Text> {
        self.fields.iter().find(|field| field.is(name)).map(|field| &field.value)
    }

    /// Returns the length to announce, if any: with every body, and with a method that anticipates
    /// one even when there is none (RFC 9110 section 8.6).
    fn content_length(&self) -> Option<Length> {
        let announced = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        match &self.body {
            Some(Body::Here(text)) => {
                Some(text.constant().map_or(Length::Varies, |b| Length::Known(b.len() as u64)))
            }
            Some(Body::Stored(stored)) => Some(Length::Known(stored.length())),
            None => announced.then_some(Length::Known(0)),
        }
    }
}

/// The length of a body.
enum Length {
    Known(u64),
    Varies,
}

/// A request in HTTP/1.x, with places for the values of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial {
    /// All of it; or what comes before the number in `Content-Length`, if that varies.
    head: Text,
    /// The body, where its length varies.
    body: Text,
    length_varies: bool,
}

impl Serial {
    /// Appends the request with its values to `out`. O(bytes).
    pub fn fill(&self, values: &impl Values, out: &mut Vec<u8>) {
        self.head.fill(values, out);
        if self.length_varies {
            write_number(self.body.filled_len(values), out);
            out.extend_from_slice(b"\r\n\r\n");
            self.body.fill(values, out);
        }
    }
}

/// Appends `number` in decimal digits.
pub(crate) fn write_number(number: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        }
        rest /= 10;
        if rest == 0 || at == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

impl Field {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Appends its line to a head of HTTP/1.x.
    fn add_to(&self, head: &mut Text) {
        match self.value.only_slot().filter(|_| self.is_optional) {
            None => add_field(head, &self.name, &self.value),
            Some(slot) => {
                let mut before = self.name.clone();
                before.push_str(": ");
                head.push_optional(&before, slot, "\r\n");
            }
        }
    }

    /// Its line in HTTP/2.
    fn line(&self) -> Line {
        let value = self.value.clone();
        let value = if self.is_optional { Value::Optional(value) } else { Value::Text(value) };
        (self.name.to_ascii_lowercase().into_bytes(), value)
    }

    /// Whether HTTP/2 has no place for it (RFC 9113 section 8.2.2). Those which frame a body or ask
    /// for another protocol no request has.
    fn is_about_connections(&self) -> bool {
        ["Connection", "Keep-Alive", "Proxy-Connection"].iter().any(|name| self.is(name))
            || self.is("TE") && !self.value.literal().eq_ignore_ascii_case(b"trailers")
    }
}

/// A request in the making; see [`Request::builder`].
#[derive(Debug, Clone)]
pub struct RequestBuilder {
    request: Request,
}

impl RequestBuilder {
    /// Adds a field line, after those already added; duplicates are kept.
    ///
    /// `Host`, `User-Agent` and `Accept` replace the default of that name. Whitespace around the
    /// value is dropped.
    ///
    /// # Errors
    /// [`RequestError`] if the field could end a line early, contradicts the framing or asks for
    /// another protocol.
    pub fn field(mut self, name: &str, value: impl Into<Text>) -> Result<Self, RequestError> {
        let value = value.into().guarded(Escape::Field);
        let literal = value.literal();
        if !is_token(name) {
            return Err(RequestError::FieldName(name.to_owned()));
        }
        if literal.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(RequestError::FieldValue(name.to_owned()));
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Content-Length") || is("Transfer-Encoding") {
            return Err(RequestError::Framing(name.to_owned()));
        }
        if is("Upgrade") {
            return Err(RequestError::Upgrade(name.to_owned()));
        }
        if is("Host") {
            if self.request.value_of("Host").is_some() {
                return Err(RequestError::SecondHost);
            }
            let text = lossy(literal);
            if !text.is_empty() && !is_authority(&text) {
                return Err(RequestError::Authority(text));
            }
        }
        let (name, value) = (name.to_owned(), value.trimmed());
        self.request.fields.push(Field { name, value, is_optional: false });
        Ok(self)
    }

    /// Returns whether a field line of this name, in any case, has been added.
    #[must_use]
    pub fn has_field(&self, name: &str) -> bool {
        self.request.value_of(name).is_some()
    }

    /// Sets what the connection is secured by; nothing unless set.
    #[must_use]
    pub const fn scheme(mut self, scheme: Scheme) -> Self {
        self.request.scheme = scheme;
        self
    }

    /// Leaves the default `User-Agent` out; one that is added is sent.
    #[must_use]
    pub const fn anonymous(mut self) -> Self {
        self.request.is_anonymous = true;
        self
    }

    /// Sets the body, which any method may have; an empty one is announced as `Content-Length: 0`.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Text>) -> Self {
        self.request.body = Some(Body::Here(bytes.into()));
        self
    }

    /// Sets a body that is read as it is sent.
    #[must_use]
    pub fn stored_body(mut self, body: Stored) -> Self {
        self.request.body = Some(Body::Stored(body));
        self
    }

    /// Finishes the request.
    #[must_use]
    pub fn build(self) -> Request {
        self.request
    }
}

/// Renders what a proxy is asked for a tunnel to `authority` with (RFC 9110 section 9.3.6), and
/// `fields` for the proxy alone.
///
/// It is no [`Request`]: nothing can be measured by what a proxy answers.
#[must_use]
pub fn render_connect(authority: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in ["CONNECT ", authority, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    render_field(&mut out, "Host", authority);
    for (name, value) in fields {
        render_field(&mut out, name, value);
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn add_field(text: &mut Text, name: &str, value: &Text) {
    text.push(name);
    text.push(": ");
    text.append(value);
    text.push("\r\n");
}

/// `bytes` as somebody may read them.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn render_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Whether `text` is a token (RFC 9110 section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether `byte` may stand in a token (RFC 9110 section 5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether `text` may stand in `Host`: a host with an optional port, and no userinfo
/// (RFC 9110 sections 7.2 and 4.2.4).
fn is_authority(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte))
}

/// Whether `text` is in origin-form (RFC 9112 section 3.2.1), as far as the framing is concerned:
/// characters that RFC 3986 wants escaped but servers meet in practice (`|`, `{`) may be sent on
/// purpose.
fn is_target(mut rest: &[u8]) -> bool {
    if rest.first() != Some(&b'/') {
        return false;
    }
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            (b'%' | b'#', _) => return false,
            (byte, after) if byte.is_ascii_graphic() => after,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    fn render(builder: RequestBuilder) -> String {
        String::from_utf8(builder.build().render_h1()).unwrap()
    }

    fn get() -> RequestBuilder {
        Request::builder("GET", "example.org:8080", "/a?b=%20c").unwrap()
    }

    #[test]
    fn a_plain_get_has_host_first_then_the_defaults() {
        let expected = format!(
            "GET /a?b=%20c HTTP/1.1\r\nHost: example.org:8080\r\n\
             User-Agent: {USER_AGENT}\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(render(get()), expected);
    }

    #[test]
    fn a_redirected_request_loses_what_is_not_for_where_it_goes() {
        let builder = Request::builder("PUT", "example.org", "/a").unwrap();
        let fields = [
            ("host", "own"),
            ("authorization", "Bearer x"),
            ("COOKIE", "a=b"),
            ("content-type", "a/b"),
            ("Content-Encoding", "gzip"),
            ("X-Own", "kept"),
        ];
        let builder = fields.into_iter().fold(builder, |all, (n, v)| all.field(n, v).unwrap());
        let request = builder.body("hello").build();
        let names = |request: &Request| {
            let names: Vec<String> = request.fields().map(|(name, _)| name.to_owned()).collect();
            names
        };
        let here = request.redirected("/b", None, true);
        assert_eq!((names(&here), here.body()), (names(&request), request.body()));
        assert_eq!((here.method(), here.target().constant()), ("PUT", Some(&b"/b"[..])));
        let there = request.redirected("/b", Some((Scheme::Https, "other:1")), true);
        assert_eq!(names(&there), ["content-type", "Content-Encoding", "X-Own"]);
        assert_eq!(
            (there.host().constant(), there.scheme()),
            (Some(&b"other:1"[..]), Scheme::Https)
        );
        let moved = request.clone().at(Scheme::Https, "other:1");
        assert_eq!((names(&moved), moved.scheme()), (names(&request), Scheme::Https));
        assert_eq!(moved.host().constant(), Some(&b"own"[..]), "as the user has it");
        let bare = request.redirected("/b", None, false);
        assert_eq!(names(&bare), ["host", "authorization", "COOKIE", "X-Own"]);
        assert_eq!((bare.method(), bare.body()), ("GET", None));
        let head = Request::builder("HEAD", "h", "/").unwrap().build();
        assert_eq!(head.redirected("/", None, false).method(), "HEAD");
    }

    #[test]
    fn cookies_stand_in_one_field_or_in_none() {
        struct Cookies(&'static [u8]);
        impl Values for Cookies {
            fn value(&self, number: u16) -> &[u8] {
                if number == 3 { self.0 } else { b"" }
            }
        }
        let filled = |request: &Request, cookies: &'static [u8]| {
            let mut out = [Vec::new(), Vec::new()];
            request.serial(&Rendering::default()).fill(&Cookies(cookies), &mut out[0]);
            request.describe_h2(&Cookies(cookies), &mut out[1]).unwrap();
            out.map(|text| String::from_utf8(text).unwrap().to_ascii_lowercase())
        };
        let plain = get().build().with_cookies(3);
        let own = get().field("cookie", "x=y").unwrap().build().with_cookies(3);
        assert_eq!((plain.values(), own.values()), ([3].into(), [3].into()));
        for (request, cookies, line) in [
            (&plain, &b""[..], None),
            (&plain, b"a=1; b=2", Some("cookie: a=1; b=2")),
            (&own, b"", Some("cookie: x=y")),
            (&own, b"a=1", Some("cookie: x=y; a=1")),
        ] {
            for text in filled(request, cookies) {
                let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("cookie")).collect();
                assert_eq!(lines, line.into_iter().collect::<Vec<_>>(), "{text}");
                assert!(text.ends_with("\r\n\r\n") && !text.trim_end().contains("\r\n\r\n"));
            }
        }
    }

    #[test]
    fn a_request_of_http2_is_described_by_its_fields_and_its_body() {
        let request = Request::builder("POST", "h", "/a").unwrap().body(b"x=1".to_vec()).build();
        let mut out = Vec::new();
        request.describe_h2(&NoValues, &mut out).unwrap();
        let agent = USER_AGENT;
        let expected = format!(
            ":method: POST\r\n:scheme: http\r\n:authority: h\r\n:path: /a\r\n\
             user-agent: {agent}\r\naccept: */*\r\ncontent-length: 3\r\n\r\nx=1"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(request.line(), "POST /a");
    }

    #[test]
    fn a_users_field_replaces_the_default_whatever_its_case() {
        let builder = get()
            .field("accept", "text/html")
            .and_then(|builder| builder.field("X-Two", "1"))
            .and_then(|builder| builder.field("hOst", "other"))
            .and_then(|builder| builder.field("user-agent", ""))
            .and_then(|builder| builder.field("X-Two", " 2\t"))
            .unwrap();
        assert_eq!(
            render(builder),
            "GET /a?b=%20c HTTP/1.1\r\nHost: other\r\naccept: text/html\r\nX-Two: 1\r\n\
             user-agent: \r\nX-Two: 2\r\n\r\n"
        );
    }

    #[test]
    fn an_anonymous_request_has_no_user_agent_but_its_own() {
        let text = render(get().anonymous());
        assert!(text.contains("Accept: */*") && !text.contains("User-Agent"), "{text}");
        let request = get().anonymous().build();
        let lines = request.h2_fields().unwrap();
        assert!(lines.iter().all(|(name, _)| name != b"user-agent"));
        let text = render(get().anonymous().field("User-Agent", "me").unwrap());
        assert!(text.contains("User-Agent: me\r\n"), "{text}");
    }

    // RFC 9110 section 8.6: Content-Length with content, and with methods that anticipate it.
    #[test]
    fn content_length_is_announced_with_a_body_and_with_methods_that_expect_one() {
        let length = |method: &str, body: Option<&[u8]>| {
            let mut builder = Request::builder(method, "h", "/").unwrap();
            if let Some(body) = body {
                builder = builder.body(body.to_vec());
            }
            let text = render(builder);
            let (head, rest) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(rest.as_bytes(), body.unwrap_or_default());
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map(String::from)
        };
        assert_eq!(length("GET", None), None);
        assert_eq!(length("DELETE", None), None);
        assert_eq!(length("GET", Some(b"abc")).as_deref(), Some("3"));
        assert_eq!(length("GET", Some(b"")).as_deref(), Some("0"));
        for method in ["POST", "PUT", "PATCH"] {
            assert_eq!(length(method, None).as_deref(), Some("0"));
            assert_eq!(length(method, Some(b"{}")).as_deref(), Some("2"));
        }
    }

    #[test]
    fn head_expects_no_body_and_connection_close_expects_a_close() {
        let head = Request::builder("HEAD", "h", "/").unwrap().build();
        assert_eq!(head.expects(), Expect { body: false, close: false });
        let close = get().field("connection", "foo, Close").unwrap().build();
        assert_eq!(close.expects(), Expect { body: true, close: true });
        let keep = get().field("Connection", "keep-alive").unwrap().build();
        assert_eq!(keep.expects(), Expect { body: true, close: false });
    }

    // RFC 9110 section 5.5: CR, LF and NUL in a value are dangerous.
    #[test]
    fn header_injection_is_refused() {
        for value in ["a\r\nX: b", "a\nb", "a\rb", "a\0b", "\x7f", "\u{1}"] {
            assert_eq!(
                get().field("X", value).unwrap_err(),
                RequestError::FieldValue("X".into()),
                "{value:?}"
            );
        }
        for name in ["", "a b", "a:", "a\r\n", "ä"] {
            assert_eq!(get().field(name, "v").unwrap_err(), RequestError::FieldName(name.into()));
        }
    }

    #[test]
    fn framing_upgrades_and_a_second_host_are_refused() {
        assert!(matches!(get().field("content-length", "3"), Err(RequestError::Framing(_))));
        assert!(matches!(
            get().field("Transfer-Encoding", "chunked"),
            Err(RequestError::Framing(_))
        ));
        assert!(matches!(get().field("upgrade", "websocket"), Err(RequestError::Upgrade(_))));
        let hosted = get().field("Host", "a").unwrap();
        assert!(matches!(hosted.field("host", "b"), Err(RequestError::SecondHost)));
        assert!(matches!(get().field("Host", "a/b"), Err(RequestError::Authority(_))));
    }

    #[test]
    fn request_lines_that_a_server_could_misread_are_refused() {
        let build = |method, authority, target| Request::builder(method, authority, target).err();
        assert_eq!(build("CONNECT", "h", "/"), Some(RequestError::Connect));
        assert_eq!(build("G T", "h", "/"), Some(RequestError::Method("G T".into())));
        assert_eq!(build("", "h", "/"), Some(RequestError::Method(String::new())));
        for authority in ["", "h/", "user@h", "a b", "h\r\n"] {
            assert_eq!(
                build("GET", authority, "/"),
                Some(RequestError::Authority(authority.into()))
            );
        }
        for target in ["", "a", "*", "/a b", "/#x", "/\r\n", "/ä", "/%", "/%2", "/%zz"] {
            assert_eq!(build("GET", "h", target), Some(RequestError::Target(target.into())));
        }
        assert_eq!(build("OPTIONS", "h", "*"), None);
        assert_eq!(build("PURGE", "[::1]:80", "/a|b{c}?d=%7E"), None);
    }

    #[test]
    fn a_proxy_is_given_the_whole_url_and_its_own_fields() {
        let rendering = Rendering {
            form: Form::Absolute,
            fields: [("Proxy-Authorization".into(), "Basic eDp5".into())].into(),
            ..Rendering::default()
        };
        let get = Request::builder("GET", "h:81", "/a?b").unwrap().build();
        let text = String::from_utf8(get.render_h1_as(&rendering)).unwrap();
        assert!(text.starts_with("GET http://h:81/a?b HTTP/1.1\r\nHost: h:81\r\n"), "{text}");
        assert!(text.ends_with("\r\nProxy-Authorization: Basic eDp5\r\n\r\n"), "{text}");
        let options = Request::builder("OPTIONS", "h", "*").unwrap().build();
        let text = String::from_utf8(options.render_h1_as(&rendering)).unwrap();
        assert!(text.starts_with("OPTIONS http://h HTTP/1.1\r\n"), "{text}");
    }

    #[test]
    fn http_1_0_says_that_the_connection_is_to_persist_unless_it_is_not() {
        let rendering = Rendering { version: Version::Http10, ..Rendering::default() };
        let get = Request::builder("GET", "h", "/").unwrap();
        let text = String::from_utf8(get.clone().build().render_h1_as(&rendering)).unwrap();
        assert!(text.starts_with("GET / HTTP/1.0\r\nHost: h\r\n"), "{text}");
        assert!(text.contains("\r\nConnection: keep-alive\r\n"), "{text}");
        let close = get.field("Connection", "close").unwrap().build();
        let text = String::from_utf8(close.render_h1_as(&rendering)).unwrap();
        assert_eq!(text.matches("Connection").count(), 1, "{text}");
    }

    #[test]
    fn the_last_request_of_a_connection_says_so() {
        let rendering = Rendering { last: true, ..Rendering::default() };
        let get = Request::builder("GET", "h", "/").unwrap().build();
        let text = String::from_utf8(get.render_h1_as(&rendering)).unwrap();
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    }

    /// The lines of HTTP/2, joined.
    fn h2(builder: RequestBuilder) -> Result<String, RequestError> {
        let lines = builder.build().h2_fields()?;
        let line = |(name, value): &Line| {
            let Value::Text(value) = value else { panic!("the length is known") };
            [name, &b": "[..], value.literal()].concat()
        };
        let lines: Vec<Vec<u8>> = lines.iter().map(line).collect();
        Ok(String::from_utf8(lines.join(&b"\n"[..])).unwrap())
    }

    // RFC 9113 sections 8.2 and 8.3.1: names in lowercase, :authority in place of Host.
    #[test]
    fn over_http2_names_are_lowercase_and_the_host_is_the_authority() {
        let builder = get()
            .scheme(Scheme::Https)
            .field("X-Two", "One")
            .and_then(|builder| builder.field("HOST", "other"))
            .and_then(|builder| builder.field("TE", "trailers"))
            .and_then(|builder| builder.field("User-Agent", "Me"))
            .unwrap()
            .body(b"abc".to_vec());
        assert_eq!(
            h2(builder).unwrap(),
            ":method: GET\n:scheme: https\n:authority: other\n:path: /a?b=%20c\naccept: */*\n\
             x-two: One\nte: trailers\nuser-agent: Me\ncontent-length: 3"
        );
        let spaced = h2(get().field("X", " a\tb \t").unwrap()).unwrap();
        assert!(spaced.ends_with("\nx: a\tb"), "{spaced:?}");
        let unnamed = h2(get().field("Host", "").unwrap()).unwrap();
        assert!(unnamed.starts_with(":method: GET\n:scheme: http\n:path: "), "{unnamed}");
    }

    // RFC 9113 section 8.2.2: fields of HTTP/1 connections are not sent.
    #[test]
    fn over_http2_fields_about_connections_are_refused() {
        for (name, value) in [
            ("Connection", "close"),
            ("keep-alive", "5"),
            ("Proxy-Connection", "x"),
            ("TE", "gzip"),
        ] {
            let builder = get().field(name, value).unwrap();
            assert_eq!(h2(builder), Err(RequestError::ConnectionField(name.into())));
        }
    }

    #[test]
    fn over_http2_a_head_has_a_bound() {
        let with = |bytes: usize| get().field("x", &"\\".repeat(bytes)).unwrap().build();
        assert!(with(30_000).render_h2().is_ok());
        assert!(matches!(with(33_000).render_h2(), Err(RequestError::HeadTooLong(33_001..))));
    }

    proptest! {
        // What is accepted reads back as it was written, by a parser that is not ours.
        #[test]
        fn whatever_is_accepted_reads_back_the_same(
            method in "\\PC{0,8}",
            target in "/\\PC{0,20}",
            name in "[a-zA-Z:\\- ]{0,9}",
            value in any::<String>(),
            body in any::<Option<Vec<u8>>>(),
        ) {
            let Ok(builder) = Request::builder(&method, "h", &target)
                .and_then(|builder| builder.field(&name, &value))
            else {
                return Ok(());
            };
            let builder = match &body {
                Some(body) => builder.body(body.clone()),
                None => builder,
            };
            let bytes = builder.build().render_h1();
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Request::new(&mut fields);
            let length = parsed.parse(&bytes).unwrap().unwrap();
            prop_assert_eq!(parsed.method, Some(method.as_str()));
            prop_assert_eq!(parsed.path, Some(target.as_str()));
            let trimmed = value.trim_matches([' ', '\t']).as_bytes();
            let sent = |field: &httparse::Header<'_>| {
                field.name == name && field.value == trimmed
            };
            prop_assert!(parsed.headers.iter().any(sent));
            prop_assert_eq!(&bytes[length..], body.as_deref().unwrap_or_default());
        }
    }
}
