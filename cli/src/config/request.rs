//! The request and the statuses that count as ok.

use core::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use pummel_engine::plan::{ExpectedStatus, STEPS_MAX};
use pummel_proto_http::{Request, RequestBuilder, RequestError, Stored, Text};

use super::aws::Signer;
use super::form;
use super::input;
use super::proxy::base64;
use super::redirects;
use super::scenario::{Meaning, Scope, Variables};
use super::upload::{self, Held};
use super::urls::Aim;
use crate::args::{Quoted, RequestArgs, RunArgs};
use crate::output::stderr::once;

/// What goes for each request of a run that does not say otherwise. Files have been read, once.
pub(super) struct Common<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) body: Given<'a>,
    pub(super) signer: Option<Signer>,
    /// How many redirects are followed.
    pub(super) redirects: u8,
    pub(super) expected: ExpectedStatus,
}

/// The body that was typed.
pub(super) enum Given<'a> {
    /// None, or what files hold, which is sent as it is: at least one, in turn.
    Read(Vec<Option<Body>>),
    /// A template.
    Text(&'a str),
    /// Parts of a form, which are templates.
    Form(&'a [String]),
}

impl<'a> Common<'a> {
    /// Understands what goes for each request, and reads the files that it names.
    pub(super) fn understand(args: &'a RunArgs) -> Result<Self> {
        let typed = &args.request;
        let body = Given::read(typed)?;
        let expected = expected(&typed.status).context("--status")?;
        let signer = Signer::understand(typed)?;
        ensure_fields(typed)?;
        let redirects = redirects::most(typed)?;
        Ok(Self { args, body, signer, redirects, expected })
    }
}

impl<'a> Given<'a> {
    /// What was typed. Files are read whole, and sent from memory, but for the one body of a large
    /// one.
    fn read(args: &'a RequestArgs) -> Result<Self> {
        if let Some(text) = &args.data {
            return Ok(Self::Text(text));
        }
        if let Some(path) = &args.data_file {
            let once = input::is_read_once(path);
            let body = if once { Body::new(whole(path)?) } else { Body::file(path)? };
            return Ok(Self::Read(vec![Some(body)]));
        }
        if let Some(path) = &args.data_lines {
            return lines(&whole(path)?, &path.display().to_string()).map(Self::Read);
        }
        let none = || Self::Read(vec![None]);
        Ok(if args.form.is_empty() { none() } else { Self::Form(&args.form) })
    }

    /// The bodies that requests have in turn, at least one or that there is none.
    pub(super) fn bodies(&self, meaning: &mut Meaning<'_>) -> Result<Vec<Option<Body>>> {
        let body = match self {
            Self::Read(bodies) => return Ok(bodies.clone()),
            Self::Text(text) => Body::new(meaning.text(text).context("--data")?),
            Self::Form(typed) => {
                let mut parts = Vec::new();
                for typed in *typed {
                    let part = form::Part::read(typed, Path::new(""), meaning);
                    parts.push(part.map_err(|error| of_form(&error, typed))?);
                }
                let texts: Vec<&str> = typed.iter().map(String::as_str).collect();
                Body::form(&parts, &texts).context("--form")?
            }
        };
        Ok(vec![Some(body)])
    }
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) struct Body {
    content: Content,
    kind: Kind,
}

/// The bytes of a body.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Here(Text),
    /// Those of a file, which are read as they are sent.
    Stored(Stored),
}

/// What the field Content-Type says of a body.
#[derive(Clone, Debug)]
enum Kind {
    /// Nothing, unless somebody adds it.
    Open,
    /// This, unless somebody adds another.
    Usual(&'static str),
    /// This, without which nobody could read the body.
    Needed(String),
}

impl Body {
    /// A body of which nothing is known.
    pub(super) fn new(bytes: impl Into<Text>) -> Self {
        Self { content: Content::Here(bytes.into()), kind: Kind::Open }
    }

    /// The bytes of a file.
    pub(super) fn file(path: &Path) -> Result<Self> {
        let typed = path.display().to_string();
        let held = input::lasting(path).and_then(|file| upload::read(file, &typed));
        let held = held.with_context(|| format!("cannot read body file {}", Quoted(&typed)))?;
        Ok(match held {
            Held::Here(bytes) => Self::new(bytes),
            large @ Held::Large(_) => {
                Self { content: Content::Stored(upload::joined([large])), kind: Kind::Open }
            }
        })
    }

    /// A body of JSON.
    pub(super) fn json(bytes: Text) -> Self {
        Self { content: Content::Here(bytes), kind: Kind::Usual("application/json") }
    }

    /// A form, of which a boundary must not stand in any of `texts` either.
    pub(super) fn form(parts: &[form::Part], texts: &[&str]) -> Result<Self> {
        let (kind, content) = form::assemble(parts, texts)?;
        Ok(Self { content, kind: Kind::Needed(kind) })
    }

    /// Gives it to a request, which has all of its fields already.
    pub(super) fn attach(self, builder: RequestBuilder) -> Result<RequestBuilder> {
        let typed = builder.has_field("Content-Type");
        let builder = match self.kind {
            Kind::Needed(_) if typed => {
                bail!("a form writes Content-Type itself, with its boundary; leave the field out")
            }
            Kind::Needed(kind) => builder.field("Content-Type", kind.as_str()).map_err(reason)?,
            Kind::Usual(kind) if !typed => builder.field("Content-Type", kind).map_err(reason)?,
            Kind::Usual(_) | Kind::Open => builder,
        };
        Ok(match self.content {
            Content::Here(bytes) => builder.body(bytes),
            Content::Stored(stored) => builder.stored_body(stored),
        })
    }
}

/// Begins a request for `path` where `aim` leads, or with the name of another `host`. One whose
/// server is made of values gets that of a server when the run has them.
///
/// # Errors
/// If there can be none.
pub(super) fn begin(
    method: &str,
    aim: &Aim,
    path: Text,
    host: Option<&str>,
) -> Result<RequestBuilder, RequestError> {
    match (aim, host) {
        (Aim::At(server), host) => {
            let builder = Request::builder(method, host.unwrap_or(&server.authority), path)?;
            Ok(builder.scheme(server.scheme))
        }
        (Aim::Made(_), None) => Request::builder(method, ANY, path),
        (Aim::Made(_), Some(host)) => Request::builder(method, host, path)?.field("Host", host),
    }
}

/// What a server is called that is not known yet.
const ANY: &str = "any";

/// Builds the request for `path` where `aim` leads, or with the name of the host that is typed.
pub(super) fn build(
    args: &RunArgs,
    (aim, path): (&Aim, Text),
    body: Option<&Body>,
    meaning: &mut Meaning<'_>,
) -> Result<Request> {
    let (args, host) = (&args.request, args.wire.host.as_deref());
    let named = args.header.iter().find(|line| {
        line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("Host"))
    });
    if let (Some(_), Some(line)) = (host, named) {
        let typed = Quoted(line);
        bail!("--host and header {typed} do not go together; give one of them");
    }
    let method = method(args.method.as_deref(), body.is_some());
    let mut builder = begin(&method, aim, path, host).map_err(reason)?;
    builder = common_fields(args, builder, meaning)?;
    builder = authorize(builder, args).context("--basic-auth")?;
    builder = compress(args, builder)?;
    if let Some(body) = body {
        builder = body.clone().attach(builder).context(source(args))?;
    }
    Ok(builder.build())
}

/// Adds the fields that go for each request of a run; their values are templates.
pub(super) fn common_fields(
    args: &RequestArgs,
    mut builder: RequestBuilder,
    meaning: &mut Meaning<'_>,
) -> Result<RequestBuilder> {
    let mut add = |builder: RequestBuilder, name: &str, value: &str| {
        builder.field(name, meaning.text(value)?).map_err(reason)
    };
    if args.no_ua {
        ensure!(
            args.authorized,
            "--no-ua hides from whoever runs the target who loads it; give --authorized, too, if \
             they know"
        );
        builder = builder.anonymous();
    }
    for (flag, name, value) in [
        ("--accept", "Accept", &args.accept),
        ("--content-type", "Content-Type", &args.content_type),
    ] {
        if let Some(value) = value {
            builder =
                add(builder, name, value).with_context(|| format!("{flag} {}", Quoted(value)))?;
        }
    }
    for line in &args.header {
        let typed = Quoted(line);
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("header {typed} has no colon; write -H \"Name: value\""))?;
        builder = add(builder, name, value.trim()).with_context(|| format!("header {typed}"))?;
        ensure!(
            args.basic_auth.is_none() || !name.eq_ignore_ascii_case("Authorization"),
            "--basic-auth and header {typed} do not go together; give one of them"
        );
    }
    Ok(builder)
}

/// Refuses fields that no request can have. So much is said of what was typed, and not of each
/// step that it goes for; of a template, only a step can tell.
fn ensure_fields(args: &RequestArgs) -> Result<()> {
    let mut args = args.clone();
    let is_template = |text: &String| text.contains("{{");
    args.header.retain(|line| !is_template(line));
    args.accept = args.accept.filter(|text| !is_template(text));
    args.content_type = args.content_type.filter(|text| !is_template(text));
    let (mut variables, scope) = (Variables::default(), Scope::default());
    let mut meaning = Meaning { variables: &mut variables, scope: &scope };
    let any = Request::builder("GET", "host", "/").map_err(reason)?;
    common_fields(&args, any, &mut meaning).map(drop)
}

/// Adds who asks as `args` have it, unless the request says it already, or is signed by them.
pub(super) fn authorize(builder: RequestBuilder, args: &RequestArgs) -> Result<RequestBuilder> {
    match args.basic_auth.as_deref() {
        Some(pair) if args.aws_sigv4.is_none() && !builder.has_field("Authorization") => {
            authorize_as(builder, pair)
        }
        _ => Ok(builder),
    }
}

/// Adds who asks: `user:password`.
pub(super) fn authorize_as(builder: RequestBuilder, pair: &str) -> Result<RequestBuilder> {
    // The pair is a secret, and not for messages.
    ensure!(pair.contains(':'), "there is no colon between user and password; write USER:PASSWORD");
    ensure!(
        !pair.contains(char::is_control),
        "user and password have no control characters (RFC 7617 section 2); leave them out"
    );
    let value = format!("Basic {}", base64(pair.as_bytes()));
    builder.field("Authorization", value.as_str()).map_err(reason)
}

/// What is asked for where compressed bodies are welcome; all of it can be decoded.
const CODINGS: &str = "gzip, br, zstd, deflate";

/// Asks for compressed bodies, if that is wanted, unless the request says what it takes.
pub(super) fn compress(args: &RequestArgs, builder: RequestBuilder) -> Result<RequestBuilder> {
    if !args.compression || builder.has_field("Accept-Encoding") {
        return Ok(builder);
    }
    builder.field("Accept-Encoding", CODINGS).map_err(reason)
}

/// Refuses what HTTP/2 cannot send.
pub(super) fn ensure_http2(request: &Request) -> Result<()> {
    request.render_h2().map(|_| ()).map_err(reason)
}

/// Why a request cannot be built, for somebody who sees beside it what was typed.
pub(super) fn reason(error: RequestError) -> Error {
    match error {
        RequestError::Method(word) => {
            anyhow!("the method {} is not a token, like GET or POST", Quoted(&word))
        }
        RequestError::Target(path) => anyhow!(
            "the path {} has a % without two hexadecimal digits; write %25 for the % itself",
            Quoted(&path)
        ),
        RequestError::Authority(host) => anyhow!(
            "the host {} is none; write host or host:port, without user, path or spaces",
            Quoted(&host)
        ),
        RequestError::FieldName(_) => {
            anyhow!("its name is not a word of letters, digits and !#$%&'*+-.^_`|~")
        }
        RequestError::FieldValue(_) => {
            anyhow!("its value has a line break or a control character; leave it out")
        }
        RequestError::Framing(_) => anyhow!("pummel frames the body itself; leave the field out"),
        RequestError::Upgrade(_) => anyhow!("a connection's protocol cannot be switched yet"),
        RequestError::SecondHost => anyhow!("a request has exactly one Host; give one"),
        other => anyhow!("cannot {other}"),
    }
}

/// The method: in capitals, which is what somebody who types `post` means.
pub(super) fn method(typed: Option<&str>, has_body: bool) -> String {
    match typed {
        Some(word) if word.bytes().all(|byte| byte.is_ascii_lowercase()) => word.to_uppercase(),
        Some(word) => word.to_owned(),
        None => if has_body { "POST" } else { "GET" }.to_owned(),
    }
}

/// All that a file with a body holds.
fn whole(path: &Path) -> Result<Vec<u8>> {
    let typed = path.display().to_string();
    input::read(path).with_context(|| format!("cannot read body file {}", Quoted(&typed)))
}

/// A body for each line of a file: whatever stands before a line's end.
fn lines(bytes: &[u8], name: &str) -> Result<Vec<Option<Body>>> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = whole.split(|&byte| byte == b'\n');
    let count = if bytes.is_empty() { 0 } else { lines.clone().count() };
    ensure!(count > 0, "--data-lines: {} is empty; write a body per line", Quoted(name));
    ensure!(
        count <= STEPS_MAX,
        "--data-lines: {} has {count} lines, and a run has {STEPS_MAX} bodies at most; give fewer, \
         or make values in a scenario",
        Quoted(name)
    );
    let body = |line: &[u8]| Body::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
    Ok(lines.map(|line| Some(body(line))).collect())
}

/// What is wrong with a part of a form, beside what was typed.
fn of_form(error: &Error, typed: &str) -> Error {
    let (said, typed) = (once(error), Quoted(typed).to_string());
    let flag =
        if said.starts_with(&typed) { "--form".to_owned() } else { format!("--form {typed}") };
    anyhow!("{flag}: {said}")
}

/// What the body comes from, for errors.
const fn source(args: &RequestArgs) -> &'static str {
    if args.form.is_empty() { "the body" } else { "--form" }
}

/// Parses lists of `200`, `200-299` and `2xx`: what any of them has counts as ok. Without a list,
/// that is what the engine takes by itself.
pub(super) fn expected(lists: &[String]) -> Result<ExpectedStatus> {
    if lists.is_empty() {
        return Ok(ExpectedStatus::default());
    }
    let ranges = lists.iter().flat_map(|list| list.split(',')).map(statuses);
    Ok(ExpectedStatus::new(ranges.collect::<Result<Vec<_>>>()?))
}

/// One part of such a list.
fn statuses(text: &str) -> Result<RangeInclusive<u16>> {
    let hundred = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
    let bounds = match (hundred, text.split_once('-')) {
        (Some(digit), _) => {
            digit.parse().ok().map(|n: u8| (u16::from(n) * 100, u16::from(n) * 100 + 99))
        }
        (None, Some((first, last))) => first.parse().ok().zip(last.parse().ok()),
        (None, None) => text.parse().ok().map(|status| (status, status)),
    };
    let Some((first, last)) = bounds.filter(|(first, last)| first <= last) else {
        bail!("{} is no status; write for example 200, 200-299, 2xx or 2xx,404", Quoted(text));
    };
    ensure!(
        !(100..200).contains(&first),
        "{}: a status below 200 is never the final one; give 200 to 599",
        Quoted(text)
    );
    ensure!(
        200 <= first && last <= 599,
        "{}: there is no such status; give 200 to 599",
        Quoted(text)
    );
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::WireArgs;
    use crate::config::TargetUrl;

    /// The request of this command line.
    fn build(args: &RequestArgs, host: Option<&str>, target: &TargetUrl) -> Result<Request> {
        let wire = WireArgs { host: host.map(str::to_owned), ..WireArgs::default() };
        let args = RunArgs { request: args.clone(), wire, ..RunArgs::default() };
        let (mut variables, scope) = (Variables::default(), Scope::default());
        let mut meaning = Meaning { variables: &mut variables, scope: &scope };
        let bodies = Common::understand(&args)?.body.bodies(&mut meaning)?;
        let [body] = &bodies[..] else { panic!("one body") };
        let path = meaning.path(&target.path)?;
        let aim = Aim::At(target.clone());
        super::build(&args, (&aim, path), body.as_ref(), &mut meaning)
    }

    fn request(args: &RequestArgs) -> Result<String> {
        let target = super::super::target::parse("http://h:1/p")?;
        Ok(String::from_utf8(build(args, None, &target)?.render_h1())?)
    }

    #[test]
    fn a_body_makes_the_request_a_post_unless_a_method_is_given() {
        let data = Some("x=1".to_owned());
        let with = |method: Option<&str>| {
            request(&RequestArgs {
                data: data.clone(),
                method: method.map(str::to_owned),
                ..RequestArgs::default()
            })
            .unwrap()
        };
        assert!(with(None).starts_with("POST /p HTTP/1.1\r\nHost: h:1\r\n"));
        assert!(with(None).ends_with("\r\n\r\nx=1"));
        assert!(with(Some("put")).starts_with("PUT "));
        assert!(with(Some("Get")).starts_with("Get "));
        assert!(request(&RequestArgs::default()).unwrap().starts_with("GET "));
    }

    #[test]
    fn fields_are_sent_in_the_order_given_and_duplicates_are_kept() {
        let header = ["X-A: 1", "x-b:2", "X-A:  3:4 "].map(str::to_owned).to_vec();
        let text = request(&RequestArgs { header, ..RequestArgs::default() }).unwrap();
        assert!(text.contains("X-A: 1\r\nx-b: 2\r\nX-A: 3:4\r\n"), "{text}");
    }

    #[test]
    fn a_malformed_header_is_named() {
        for line in ["novalue", ": x", "a b: c", "a: b\r\nc: d", "Content-Length: 3"] {
            let args = RequestArgs { header: vec![line.to_owned()], ..RequestArgs::default() };
            let error = format!("{:#}", request(&args).unwrap_err());
            assert!(error.contains("header \""), "{error}");
        }
    }

    #[test]
    fn another_host_may_be_named_once() {
        let target = super::super::target::parse("http://h:1/p").unwrap();
        let with = |header: &[&str], host| {
            let header = header.iter().map(|&line| line.to_owned()).collect();
            let request = build(&RequestArgs { header, ..RequestArgs::default() }, host, &target)?;
            Ok::<_, Error>(String::from_utf8(request.render_h1()).unwrap())
        };
        assert!(with(&[], Some("x:2")).unwrap().contains("\r\nHost: x:2\r\n"));
        assert!(with(&["host: x"], None).unwrap().contains("\r\nHost: x\r\n"));
        let said = with(&["host: x"], Some("y")).unwrap_err().to_string();
        assert!(said.starts_with("--host and header \"host: x\" do not go"), "{said}");
        assert!(with(&[], Some("a/b")).unwrap_err().to_string().contains("the host \"a/b\""));
    }

    #[test]
    fn what_http2_cannot_send_is_refused_with_it_only() {
        let target = super::super::target::parse("http://h").unwrap();
        let of = |line: &str| {
            let args = RequestArgs { header: vec![line.to_owned()], ..RequestArgs::default() };
            ensure_http2(&build(&args, None, &target).unwrap())
        };
        assert!(of("X-Y: z").is_ok());
        let said = of("Connection: close").unwrap_err().to_string();
        assert!(said.contains("Connection") && said.contains("HTTP/2"), "{said}");
    }

    #[test]
    fn a_method_that_is_no_token_is_said_to_be_none() {
        let args = RequestArgs { method: Some("GE T".to_owned()), ..RequestArgs::default() };
        let said = format!("{:#}", request(&args).unwrap_err());
        assert_eq!(said, "the method \"GE T\" is not a token, like GET or POST");
    }

    #[test]
    fn a_long_header_is_named_by_its_beginning() {
        for line in ["x".repeat(10_000), format!("{}: \u{1}", "x".repeat(10_000))] {
            let args = RequestArgs { header: vec![line], ..RequestArgs::default() };
            let said = format!("{:#}", request(&args).unwrap_err());
            assert!(said.contains("xxx…\"") && said.len() < 250, "{said}");
        }
    }

    fn status(lists: &[&str]) -> Result<ExpectedStatus> {
        expected(&lists.iter().map(|&list| list.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn statuses_are_one_or_a_range_or_a_hundred() {
        for (text, good, bad) in [("200", 200, 201), ("200-299", 299, 300), ("4xx", 404, 399)] {
            let expected = status(&[text]).unwrap();
            assert!(expected.holds(good) && !expected.holds(bad), "{text}");
        }
        for text in ["", "abc", "99", "1000", "300-200", "0xx", "xx", "-5", "70000", "2xx,", ","] {
            assert!(status(&[text]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lists_of_statuses_add_up() {
        for lists in [["2xx,404", "500-503"].as_slice(), &["404", "2xx", "500-503"]] {
            let expected = status(lists).unwrap();
            assert!([200, 299, 404, 500, 503].iter().all(|&status| expected.holds(status)));
            assert!([300, 403, 405, 499, 504].iter().all(|&status| !expected.holds(status)));
        }
        assert_eq!(status(&[]).unwrap(), ExpectedStatus::default());
    }

    #[test]
    fn a_status_that_no_response_ends_with_is_refused() {
        let said = |text| status(&[text]).unwrap_err().to_string();
        for text in ["1xx", "100", "100-199", "199-299"] {
            assert!(said(text).contains("never the final one"), "{text}");
        }
        for text in ["6xx", "600", "500-600", "999", "0-200"] {
            assert!(said(text).contains("no such status; give 200 to 599"), "{text}");
        }
    }

    fn refusal(args: &RequestArgs) -> String {
        once(&request(args).unwrap_err())
    }

    #[test]
    fn user_and_password_are_sent_as_the_field_that_is_for_them() {
        let with = |pair: &str, header: &[&str]| RequestArgs {
            basic_auth: Some(pair.to_owned()),
            header: header.iter().map(|&line| line.to_owned()).collect(),
            ..RequestArgs::default()
        };
        // The example of RFC 7617 section 2, and an empty password.
        let text = request(&with("Aladdin:open sesame", &[])).unwrap();
        assert!(text.contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
        assert!(request(&with("a:", &[])).unwrap().contains("Authorization: Basic YTo=\r\n"));
        let said = refusal(&with("secret", &[]));
        assert_eq!(
            said,
            "--basic-auth: there is no colon between user and password; write USER:PASSWORD"
        );
        assert!(refusal(&with("a:b\n", &[])).contains("no control characters"));
        assert_eq!(
            refusal(&with("a:b", &["authorization: x"])),
            "--basic-auth and header \"authorization: x\" do not go together; give one of them"
        );
    }

    #[test]
    fn a_user_agent_is_left_out_by_whoever_is_authorized() {
        let with = |authorized, header: &[&str]| RequestArgs {
            no_ua: true,
            authorized,
            header: header.iter().map(|&line| line.to_owned()).collect(),
            ..RequestArgs::default()
        };
        assert!(!request(&with(true, &[])).unwrap().contains("User-Agent"));
        assert!(request(&with(true, &["User-Agent: x"])).unwrap().contains("User-Agent: x\r\n"));
        assert!(refusal(&with(false, &[])).ends_with("give --authorized, too, if they know"));
        let args = RequestArgs { authorized: true, ..RequestArgs::default() };
        assert!(request(&args).unwrap().contains("User-Agent: pummel"));
    }

    #[test]
    fn a_form_is_posted_with_its_type_and_its_length() {
        let with = |parts: &[&str], kind: Option<&str>| RequestArgs {
            form: parts.iter().map(|&part| part.to_owned()).collect(),
            content_type: kind.map(str::to_owned),
            ..RequestArgs::default()
        };
        let text = request(&with(&["a=1", "b=2"], None)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST ") && head.contains("Content-Type: multipart/form-data; b"));
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        assert_eq!(
            refusal(&with(&["a=1"], Some("text/plain"))),
            "--form: a form writes Content-Type itself, with its boundary; leave the field out"
        );
        let said = refusal(&with(&["a"], None));
        assert_eq!(said, "--form: \"a\" is no part of a form; write NAME=VALUE or NAME=@FILE");
        let said = refusal(&with(&["a=@/no/such"], None));
        assert!(
            said.starts_with("--form \"a=@/no/such\": cannot read file \"/no/such\": No such"),
            "{said}"
        );
    }

    /// The bytes of a body that is in memory.
    fn bytes(body: &Body) -> Vec<u8> {
        match &body.content {
            Content::Here(text) => text.literal().to_vec(),
            Content::Stored(stored) => panic!("{stored:?}"),
        }
    }

    #[test]
    fn a_file_of_lines_is_a_body_for_each() {
        let of = |text: &[u8]| {
            let all = lines(text, "f").map_err(|error| error.to_string())?;
            let all = all.into_iter().flatten();
            Ok::<_, String>(all.map(|body| bytes(&body)).collect::<Vec<_>>())
        };
        assert_eq!(of(b"a\r\n\n\xFF b\n").unwrap(), [&b"a"[..], b"", b"\xFF b"]);
        assert_eq!(of(b"a").unwrap(), [b"a"]);
        assert_eq!(of(b"\n").unwrap(), [b""]);
        assert_eq!(of(b"").unwrap_err(), "--data-lines: \"f\" is empty; write a body per line");
        assert_eq!(of(&b"x\n".repeat(STEPS_MAX)).unwrap().len(), STEPS_MAX);
        assert_eq!(
            of(&b"x\n".repeat(STEPS_MAX + 1)).unwrap_err(),
            "--data-lines: \"f\" has 65536 lines, and a run has 65535 bodies at most; give fewer, \
             or make values in a scenario"
        );
    }
}
