//! AWS signatures of version 4, as requests are written.
//!
//! What is signed is the *canonical request*: method, path, query, fields and the hash of the body,
//! each in the one form that both sides can make of what is sent. It is put together from the bytes
//! that go out, so that values which differ from request to request are signed like all others.

use core::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use pummel_proto_http::{Text, Values};
use sha2::{Digest, Sha256};

use crate::plan::{Signing, SigningKey};

/// Memory to sign in, used again for each request.
#[derive(Default)]
pub(super) struct Desk {
    /// A text with its values.
    filled: Vec<u8>,
    /// The canonical request.
    canonical: Vec<u8>,
    query: Query,
}

/// The parameters of a query.
#[derive(Default)]
struct Query {
    encoded: Vec<u8>,
    /// Where names and values of them stand.
    parameters: Vec<[Range<usize>; 2]>,
}

impl Desk {
    /// Appends the SHA-256 of `text` with its values to `out`, in hexadecimal digits.
    pub(super) fn digest(&mut self, text: &Text, values: &impl Values, out: &mut Vec<u8>) {
        self.filled.clear();
        text.fill(values, &mut self.filled);
        write_hexadecimal(&Sha256::digest(&self.filled), out);
    }

    /// Appends the signature of a request with these values to `out`, in hexadecimal digits.
    pub(super) fn sign(&mut self, signing: &Signing, values: &impl Values, out: &mut Vec<u8>) {
        self.write_canonical(signing, values);
        // The date is the first part of the moment: 20130524T000000Z.
        let moment = values.value(signing.date);
        let date = moment.get(..8).unwrap_or_default();
        let SigningKey { secret, region, service } = &signing.key;
        let signed = &mut self.filled;
        signed.clear();
        for part in [&b"AWS4-HMAC-SHA256\n"[..], moment, b"\n", date, b"/"] {
            signed.extend_from_slice(part);
        }
        for part in [region.as_bytes(), b"/", service.as_bytes(), b"/aws4_request\n"] {
            signed.extend_from_slice(part);
        }
        write_hexadecimal(&Sha256::digest(&self.canonical), signed);
        let mut key = authenticated(secret.as_bytes(), date);
        for part in [region.as_bytes(), service.as_bytes(), b"aws4_request", signed] {
            key = authenticated(&key, part);
        }
        write_hexadecimal(&key, out);
    }

    fn write_canonical(&mut self, signing: &Signing, values: &impl Values) {
        let Self { filled, canonical, query } = self;
        canonical.clear();
        canonical.extend_from_slice(signing.method.as_bytes());
        canonical.push(b'\n');
        filled.clear();
        signing.target.fill(values, filled);
        let mut parts = filled.splitn(2, |&byte| byte == b'?');
        let path = parts.next().unwrap_or_default();
        if signing.key.signs_paths_as_sent() {
            write_canonical_path(path, canonical);
        } else {
            write_normalised_path(path, canonical);
        }
        canonical.push(b'\n');
        query.write(parts.next().unwrap_or_default(), canonical);
        canonical.push(b'\n');
        for (name, value) in &signing.fields {
            canonical.extend_from_slice(name.as_bytes());
            canonical.push(b':');
            filled.clear();
            value.fill(values, filled);
            write_squeezed(filled, canonical);
            canonical.push(b'\n');
        }
        canonical.push(b'\n');
        for (at, (name, _)) in signing.fields.iter().enumerate() {
            canonical.extend_from_slice(if at > 0 { b";" } else { b"" });
            canonical.extend_from_slice(name.as_bytes());
        }
        canonical.push(b'\n');
        signing.payload.fill(values, canonical);
    }
}

impl Query {
    /// Appends a query with its parameters encoded in one way and in order.
    fn write(&mut self, query: &[u8], out: &mut Vec<u8>) {
        let Self { encoded, parameters } = self;
        encoded.clear();
        parameters.clear();
        for parameter in query.split(|&byte| byte == b'&').filter(|one| !one.is_empty()) {
            let mut parts = parameter.splitn(2, |&byte| byte == b'=');
            parameters.push([(); 2].map(|()| {
                let from = encoded.len();
                decoded(parts.next().unwrap_or_default(), true)
                    .for_each(|byte| write_encoded(byte, encoded));
                from..encoded.len()
            }));
        }
        let part = |range: &Range<usize>| encoded.get(range.clone()).unwrap_or_default();
        // By bytes, and names before values: a= stands before a-b=.
        parameters.sort_unstable_by(|one, other| {
            one.each_ref().map(part).cmp(&other.each_ref().map(part))
        });
        for (at, [name, value]) in parameters.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"&" } else { b"" });
            out.extend_from_slice(part(name));
            out.push(b'=');
            out.extend_from_slice(part(value));
        }
    }
}

/// The HMAC (RFC 2104) of `message` with SHA-256.
fn authenticated(key: &[u8], message: &[u8]) -> [u8; 32] {
    // It takes keys of any length.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    hmac.update(message);
    hmac.finalize().into_bytes().into()
}

/// The bytes that percent-encoded text stands for; in a query `+` is a blank.
fn decoded(text: &[u8], is_query: bool) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    core::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        rest = after;
        if let (b'%', [high, low, after @ ..]) = (first, after)
            && let Some((high, low)) = digit(*high).zip(digit(*low))
        {
            rest = after;
            return Some(high << 4 | low);
        }
        Some(if is_query && first == b'+' { b' ' } else { first })
    })
}

/// What a hexadecimal digit stands for.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Appends a path as it is sent, encoded in one way.
fn write_canonical_path(path: &[u8], out: &mut Vec<u8>) {
    for byte in decoded(path, false) {
        // What was encoded stays a part of its segment, but there is one way only to write it.
        if byte == b'/' { out.push(byte) } else { write_encoded(byte, out) }
    }
}

/// Appends a path without segments that are empty, `.` or `..`, and encoded once more.
fn write_normalised_path(path: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    let mut is_open = true;
    for segment in path.split(|&byte| byte == b'/') {
        is_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                let path = out.get(begin..).unwrap_or_default();
                let parent = path.iter().rposition(|&byte| byte == b'/').unwrap_or_default();
                out.truncate(begin + parent);
            }
            segment => {
                out.push(b'/');
                for &byte in segment {
                    write_encoded(byte, out);
                }
            }
        }
    }
    if is_open || out.len() == begin {
        out.push(b'/');
    }
}

/// Appends a byte, percent-encoded unless it means nothing anywhere in a URL (RFC 3986 section
/// 2.3).
fn write_encoded(byte: u8, out: &mut Vec<u8>) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        out.push(byte);
    } else {
        let digits = [byte >> 4, byte & 15].map(|d| if d < 10 { b'0' + d } else { b'A' + d - 10 });
        out.push(b'%');
        out.extend_from_slice(&digits);
    }
}

/// Appends a field's value without blanks at its ends, and with one for several.
fn write_squeezed(value: &[u8], out: &mut Vec<u8>) {
    let mut words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|w| !w.is_empty());
    out.extend_from_slice(words.next().unwrap_or_default());
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

/// Appends `bytes` in hexadecimal digits, as small letters.
fn write_hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |d: u8| if d < 10 { b'0' + d } else { b'a' + d - 10 };
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_proto_http::NoValues;

    /// The moment of the vectors.
    struct Moment(&'static str);

    impl Values for Moment {
        fn value(&self, _: u16) -> &[u8] {
            self.0.as_bytes()
        }
    }

    fn signing(method: &str, target: &str, fields: &[(&str, &str)]) -> Signing {
        let fields = fields.iter().map(|&(name, value)| (name.to_owned(), value.into()));
        Signing {
            method: method.to_owned(),
            target: target.into(),
            fields: fields.collect(),
            payload: EMPTY.into(),
            date: 0,
            key: SigningKey {
                secret: "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                region: "us-east-1".to_owned(),
                service: "service".to_owned(),
            },
        }
    }

    /// The SHA-256 of what is put.
    const PUT: &str = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";

    /// The SHA-256 of nothing.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn signature(signing: &Signing, moment: &'static str) -> String {
        let mut out = Vec::new();
        Desk::default().sign(signing, &Moment(moment), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn canonical(signing: &Signing) -> String {
        let mut desk = Desk::default();
        desk.write_canonical(signing, &NoValues);
        String::from_utf8(desk.canonical).unwrap()
    }

    /// Path and query of the canonical request.
    fn target(service: &str, target: &str) -> String {
        let mut signing = signing("GET", target, &[]);
        service.clone_into(&mut signing.key.service);
        let canonical = canonical(&signing);
        canonical.lines().skip(1).take(2).collect::<Vec<_>>().join("?")
    }

    #[test]
    fn requests_are_signed_as_in_the_published_test_suite() {
        let host = ("host", "example.amazonaws.com");
        let date = ("x-amz-date", "20150830T123600Z");
        for (method, target, fields, expected) in [
            (
                "GET",
                "/",
                vec![host, date],
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "/",
                vec![host, date],
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                vec![host, date],
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "GET",
                "/\u{1234}",
                vec![host, date],
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
            (
                "GET",
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                vec![host, date],
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            (
                "GET",
                "/",
                vec![host, ("my-header1", " value1"), ("my-header2", " \"a   b   c\""), date],
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
        ] {
            let signed = signing(method, target, &fields);
            assert_eq!(signature(&signed, "20150830T123600Z"), expected, "{method} {target}");
        }
    }

    #[test]
    fn requests_to_s3_are_signed_as_in_its_documentation() {
        let host = ("host", "examplebucket.s3.amazonaws.com");
        let (hash, date) = (("x-amz-content-sha256", EMPTY), ("x-amz-date", "20130524T000000Z"));
        for (method, target, fields, expected) in [
            (
                "GET",
                "/test.txt",
                vec![host, ("range", "bytes=0-9"), hash, date],
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test%24file.text",
                vec![
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    host,
                    ("x-amz-content-sha256", PUT),
                    date,
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/?lifecycle",
                vec![host, hash, date],
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/?max-keys=2&prefix=J",
                vec![host, hash, date],
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let mut signed = signing(method, target, &fields);
            if method == "PUT" {
                signed.payload = PUT.into();
            }
            "AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".clone_into(&mut signed.key.secret);
            "s3".clone_into(&mut signed.key.service);
            assert_eq!(signature(&signed, "20130524T000000Z"), expected, "{method} {target}");
        }
    }

    #[test]
    fn paths_and_queries_have_one_form() {
        for (service, typed, expected) in [
            ("service", "/a/./b//c/../d/", "/a/b/d/?"),
            ("service", "/../..", "/?"),
            ("service", "/a%20b?", "/a%2520b?"),
            ("s3", "/a//./b%20c%2b", "/a//./b%20c%2B?"),
            ("s3", "/a!$b", "/a%21%24b?"),
            ("s3", "/?b=2&a-b=1&a=&a&c=x+y%7e/", "/?a=&a=&a-b=1&b=2&c=x%20y~%2F"),
            // By bytes of what is encoded: % stands before letters.
            ("s3", "/?a=2&a=1&%C3%BC=1&Z", "/?%C3%BC=1&Z=&a=1&a=2"),
        ] {
            assert_eq!(target(service, typed), expected, "{typed}");
        }
    }
}
