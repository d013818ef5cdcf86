//! The request and the statuses that count as ok.

use core::ops::RangeInclusive;
use std::fs;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pummel_engine::plan::ExpectedStatus;
use pummel_proto_http::{Request, RequestBuilder, RequestError};

use super::target::TargetUrl;
use crate::args::{Quoted, RequestArgs};

/// Builds the request to `target`, or to `host` if one is named. The body is read whole: it is sent
/// from memory.
pub(super) fn build(args: &RequestArgs, host: Option<&str>, target: &TargetUrl) -> Result<Request> {
    let named = args.header.iter().find(|line| {
        line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("Host"))
    });
    if let (Some(_), Some(line)) = (host, named) {
        let typed = Quoted(line);
        bail!("--host and header {typed} do not go together; give one of them");
    }
    let body = body(args)?;
    let method = method(args.method.as_deref(), body.is_some());
    let authority = host.unwrap_or(&target.authority);
    let mut builder = Request::builder(&method, authority, target.path.as_str()).map_err(reason)?;
    builder = common_fields(args, builder.scheme(target.scheme))?;
    if let Some(bytes) = body {
        builder = builder.body(bytes);
    }
    Ok(builder.build())
}

/// Adds the fields that go for each request of a run.
pub(super) fn common_fields(
    args: &RequestArgs,
    mut builder: RequestBuilder,
) -> Result<RequestBuilder> {
    for (flag, name, value) in [
        ("--accept", "Accept", &args.accept),
        ("--content-type", "Content-Type", &args.content_type),
    ] {
        if let Some(value) = value {
            let field = builder.field(name, value).map_err(reason);
            builder = field.with_context(|| format!("{flag} {}", Quoted(value)))?;
        }
    }
    for line in &args.header {
        let typed = Quoted(line);
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("header {typed} has no colon; write -H \"Name: value\""))?;
        let field = builder.field(name, value.trim()).map_err(reason);
        builder = field.with_context(|| format!("header {typed}"))?;
    }
    Ok(builder)
}

/// Refuses what HTTP/2 cannot send.
pub(super) fn ensure_http2(request: &Request) -> Result<()> {
    request.render_h2().map(|_| ()).map_err(reason)
}

/// Why a request cannot be built, for somebody who sees beside it what was typed.
pub(super) fn reason(error: RequestError) -> anyhow::Error {
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

pub(super) fn body(args: &RequestArgs) -> Result<Option<Vec<u8>>> {
    match (&args.data, &args.data_file) {
        (Some(text), _) => Ok(Some(text.clone().into_bytes())),
        (None, Some(path)) => {
            let (bytes, typed) = (fs::read(path), path.display().to_string());
            bytes.map(Some).with_context(|| format!("cannot read body file {}", Quoted(&typed)))
        }
        (None, None) => Ok(None),
    }
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
            Ok::<_, anyhow::Error>(String::from_utf8(request.render_h1()).unwrap())
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
}
