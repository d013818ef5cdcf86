//! The request and the statuses that count as ok.

use std::fs;

use anyhow::{Context, Result, ensure};
use pummel_engine::plan::ExpectedStatus;
use pummel_proto_http::Request;

use super::target::TargetUrl;
use crate::args::RequestArgs;

/// Builds the request. The body is read whole: it is sent from memory.
pub(super) fn build(args: &RequestArgs, target: &TargetUrl) -> Result<Request> {
    let body = body(args)?;
    let method = method(args.method.as_deref(), body.is_some());
    let mut builder = Request::builder(&method, &target.authority, &target.path)
        .with_context(|| format!("cannot request {}", target.url))?;
    for (name, value) in [("Accept", &args.accept), ("Content-Type", &args.content_type)] {
        if let Some(value) = value {
            builder = builder.field(name, value).with_context(|| format!("cannot send {name}"))?;
        }
    }
    for line in &args.header {
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("header {line:?} has no colon; write -H \"Name: value\""))?;
        builder = builder.field(name, value.trim()).with_context(|| format!("header {line:?}"))?;
    }
    if let Some(bytes) = body {
        builder = builder.body(bytes);
    }
    Ok(builder.build())
}

/// The method: in capitals, which is what somebody who types `post` means.
fn method(typed: Option<&str>, has_body: bool) -> String {
    match typed {
        Some(word) if word.bytes().all(|byte| byte.is_ascii_lowercase()) => word.to_uppercase(),
        Some(word) => word.to_owned(),
        None => if has_body { "POST" } else { "GET" }.to_owned(),
    }
}

fn body(args: &RequestArgs) -> Result<Option<Vec<u8>>> {
    match (&args.data, &args.data_file) {
        (Some(text), _) => Ok(Some(text.clone().into_bytes())),
        (None, Some(path)) => {
            let bytes = fs::read(path);
            bytes.map(Some).with_context(|| format!("cannot read body file {}", path.display()))
        }
        (None, None) => Ok(None),
    }
}

/// Parses `200`, `200-299` or `2xx`.
pub(super) fn expected(text: &str) -> Result<ExpectedStatus> {
    let hundred = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
    let bounds = match (hundred, text.split_once('-')) {
        (Some(digit), _) => {
            digit.parse().ok().map(|n: u8| (u16::from(n) * 100, u16::from(n) * 100 + 99))
        }
        (None, Some((first, last))) => first.parse().ok().zip(last.parse().ok()),
        (None, None) => text.parse().ok().map(|status| (status, status)),
    };
    let bounds = bounds.filter(|&(first, last)| 100 <= first && first <= last && last <= 999);
    ensure!(bounds.is_some(), "{text:?} is no status; write for example 200, 200-299 or 2xx");
    let (first, last) = bounds.unwrap_or_default();
    Ok(ExpectedStatus::new(first..=last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(args: &RequestArgs) -> Result<String> {
        let target = super::super::target::parse("http://h:1/p")?;
        Ok(String::from_utf8(build(args, &target)?.render_h1())?)
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
    fn statuses_are_one_or_a_range_or_a_hundred() {
        for (text, good, bad) in [("200", 200, 201), ("200-299", 299, 300), ("4xx", 404, 399)] {
            let expected = expected(text).unwrap();
            assert!(expected.holds(good) && !expected.holds(bad), "{text}");
        }
        for text in ["", "abc", "99", "1000", "300-200", "0xx", "xx", "-5", "70000"] {
            assert!(expected(text).is_err(), "{text:?}");
        }
    }
}
