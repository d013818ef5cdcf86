//! Signatures for AWS, version 4: who signs, and what of a request is signed.
//!
//! A signature holds the second in which it was made, and is good for some minutes around it. So it
//! is a value like others, made while the run goes on: once a second where nothing else of the
//! request varies, and for each request where something does.

use anyhow::{Context, Error, Result, bail, ensure};
use pummel_engine::plan::{Signing, SigningKey, Source};
use pummel_proto_http::{Escape, Request, RequestBuilder, Slot, Stored, Text};
use sha2::{Digest, Sha256};

use super::request;
use super::scenario::Variables;
use crate::args::{Quoted, RequestArgs};

/// Bytes of a file that are hashed at once.
const PIECE: u64 = 1024 * 1024;

/// When a request was signed.
const DATE: &str = "X-Amz-Date";

/// Fields that proxies and connections may change, or users with their cookies, which are not
/// signed.
const UNSIGNED: [&str; 7] =
    ["connection", "expect", "te", "user-agent", "accept-encoding", "x-amzn-trace-id", "cookie"];

/// Who signs the requests of a run.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    access: String,
    session: Option<String>,
    key: SigningKey,
}

impl Signer {
    /// Who signs, if anybody does.
    pub(super) fn understand(args: &RequestArgs) -> Result<Option<Self>> {
        let Some(scope) = &args.aws_sigv4 else {
            ensure!(args.aws_session.is_none(), "--aws-session is for --aws-sigv4; give that, too");
            return Ok(None);
        };
        ensure!(
            args.form.is_empty(),
            "--aws-sigv4 and --form do not go together; give one of them"
        );
        let parts: Vec<&str> = scope.split(':').collect();
        let named = match parts[..] {
            ["aws", "amz", region, service] if !region.is_empty() && !service.is_empty() => {
                Some((region.to_owned(), service.to_owned()))
            }
            _ => None,
        };
        let (region, service) = named.with_context(|| {
            format!(
                "--aws-sigv4 {} is not understood; write aws:amz:REGION:SERVICE, for example \
                 aws:amz:eu-central-1:s3",
                Quoted(scope)
            )
        })?;
        // The pair is a secret, and not for messages.
        let pair = args.basic_auth.as_deref().and_then(|pair| pair.split_once(':'));
        let (access, secret) = pair
            .filter(|(access, secret)| !access.is_empty() && !secret.is_empty())
            .context("--aws-sigv4 signs with ACCESS:SECRET; give them as --basic-auth")?;
        let key = SigningKey { secret: format!("AWS4{secret}"), region, service };
        Ok(Some(Self { access: access.to_owned(), session: args.aws_session.clone(), key }))
    }

    /// The request with what shows who asks.
    pub(super) fn sign(&self, request: Request, variables: &mut Variables) -> Result<Request> {
        for (name, _) in request.fields() {
            let own = ["Authorization", DATE, "X-Amz-Content-Sha256", "X-Amz-Security-Token"];
            ensure!(
                !own.iter().any(|own| name.eq_ignore_ascii_case(own)),
                "--aws-sigv4 writes {name} itself; leave the header out"
            );
        }
        let date = variables.date("%Y%m%dT%H%M%SZ").map_err(Error::msg)?;
        let payload = match (request.body(), request.stored()) {
            (None, None) => Text::from(hash(&[])),
            (_, Some(stored)) => Text::from(hash_of(stored)?),
            (Some(body), None) => match body.constant() {
                Some(bytes) => Text::from(hash(bytes)),
                None => place(own(variables, Source::Sha256(body.clone()))?),
            },
        };
        let add = |request: Request, name: &str, value: Text| {
            request.amend().field(name, value).map(RequestBuilder::build).map_err(request::reason)
        };
        let mut request = add(request, DATE, place(date))?;
        request = add(request, "X-Amz-Content-Sha256", payload.clone())?;
        if let Some(token) = &self.session {
            request =
                add(request, "X-Amz-Security-Token", token.into()).context("--aws-session")?;
        }
        let fields = signed_fields(&request);
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let SigningKey { region, service, .. } = &self.key;
        let mut authorization =
            Text::from(&format!("AWS4-HMAC-SHA256 Credential={}/", self.access));
        authorization.append(&place(variables.date("%Y%m%d").map_err(Error::msg)?));
        authorization.push(format!(
            "/{region}/{service}/aws4_request, SignedHeaders={}, Signature=",
            names.join(";")
        ));
        let signing = Signing {
            method: request.method().to_owned(),
            target: request.target().clone(),
            fields,
            payload,
            date,
            key: self.key.clone(),
        };
        authorization.append(&place(own(variables, Source::Signature(Box::new(signing)))?));
        add(request, "Authorization", authorization).context("--basic-auth")
    }
}

/// What is signed of the fields: the host, and all that were added but those that others change.
fn signed_fields(request: &Request) -> Vec<(String, Text)> {
    let mut fields = vec![("host".to_owned(), request.host())];
    for (name, value) in request.fields() {
        let name = name.to_ascii_lowercase();
        if name == "host" || UNSIGNED.contains(&name.as_str()) {
            continue;
        }
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => {
                all.push(",");
                all.append(value);
            }
            None => fields.push((name, value.clone())),
        }
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// The place of a value that needs no escape.
fn place(value: u16) -> Text {
    let mut text = Text::default();
    text.push_slot(Slot { value, escape: Escape::Plain });
    text
}

fn own(variables: &mut Variables, source: Source) -> Result<u16> {
    variables.own("signature", source).map_err(Error::msg)
}

/// The SHA-256 of a body that is read as it is sent.
fn hash_of(stored: &Stored) -> Result<Vec<u8>> {
    let (mut hash, mut piece, mut from) = (Sha256::new(), Vec::new(), 0);
    while from < stored.length() {
        let length = (stored.length() - from).min(PIECE);
        piece.clear();
        stored.append(from, usize::try_from(length)?, &mut piece);
        hash.update(&piece);
        from += length;
    }
    match stored.failure() {
        Some(said) => bail!("{said}"),
        None => Ok(hexadecimal(&hash.finalize())),
    }
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
fn hash(bytes: &[u8]) -> Vec<u8> {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(hash: &[u8]) -> Vec<u8> {
    let digit = |d: u8| if d < 10 { b'0' + d } else { b'a' + d - 10 };
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::words;

    fn signer(line: &str) -> Result<Option<Signer>, String> {
        Signer::understand(&words(line).run.request).map_err(|error| format!("{error:#}"))
    }

    const LINE: &str = "p h -a AK:SECRET --aws-sigv4 aws:amz:eu-central-1:es";

    #[test]
    fn who_signs_is_understood_and_never_shown() {
        assert!(signer("p h").unwrap().is_none());
        let one = signer(LINE).unwrap().unwrap();
        assert_eq!((one.access.as_str(), one.key.secret.as_str()), ("AK", "AWS4SECRET"));
        assert!(!format!("{one:?}").contains("SECRET"));
        let line = "p h -a AK:SE:CRET --aws-session T --aws-sigv4 aws:amz:x:s3";
        let one = signer(line).unwrap().unwrap();
        assert_eq!((one.key.secret.as_str(), one.session.as_deref()), ("AWS4SE:CRET", Some("T")));
        for scope in ["aws:amz", "aws:amz:x", "aws:amz::s3", "aws:amz:x:", "aws:s3:x:y", "a:b:c:d"]
        {
            let said = signer(&format!("p h -a A:B --aws-sigv4 {scope}")).unwrap_err();
            let expected = format!("--aws-sigv4 \"{scope}\" is not understood; write aws:amz:");
            assert!(said.starts_with(&expected), "{said}");
        }
        for pair in ["A", "A:", ":B"] {
            let said = signer(&format!("p h -a {pair} --aws-sigv4 aws:amz:x:y")).unwrap_err();
            assert!(
                said.ends_with("signs with ACCESS:SECRET; give them as --basic-auth"),
                "{said}"
            );
        }
    }

    /// The field lines of the request, with values by their names.
    fn signed(request: Request) -> Result<(Vec<String>, Vec<Source>), String> {
        let mut variables = Variables::default();
        let request = signer(LINE).unwrap().unwrap().sign(request, &mut variables);
        let request = request.map_err(|error| format!("{error:#}"))?;
        let lines = request
            .fields()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.literal())));
        let all = variables.into_all().into_iter().map(|variable| variable.source);
        Ok((lines.collect(), all.collect()))
    }

    #[test]
    fn a_request_has_what_shows_who_asks() {
        let builder = Request::builder("POST", "h:1", "/a?b=c").unwrap();
        let builder = builder.field("X-B", "1").unwrap().field("x-a", "2").unwrap();
        let builder = builder.field("X-b", "3").unwrap().field("User-Agent", "me").unwrap();
        let (lines, sources) = signed(builder.body("").build()).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            lines[4..],
            [
                "X-Amz-Date: ".to_owned(),
                format!("X-Amz-Content-Sha256: {empty}"),
                "Authorization: AWS4-HMAC-SHA256 Credential=AK//eu-central-1/es/aws4_request, \
                 SignedHeaders=host;x-a;x-amz-content-sha256;x-amz-date;x-b, Signature="
                    .to_owned(),
            ]
        );
        let Some(Source::Signature(signing)) = sources.last() else { panic!("{sources:?}") };
        assert_eq!(signing.fields[0], ("host".to_owned(), "h:1".into()));
        assert_eq!(signing.fields[4], ("x-b".to_owned(), "1,3".into()));
        assert!(sources.last().unwrap().lasts_a_second());
    }

    #[test]
    fn a_body_that_varies_is_hashed_before_it_is_signed() {
        let builder = Request::builder("POST", "h", "/").unwrap();
        let mut variables = Variables::default();
        let body = place(variables.own("x", Source::Uuid).unwrap());
        let signer = signer(LINE).unwrap().unwrap();
        let request = signer.sign(builder.body(body.clone()).build(), &mut variables).unwrap();
        assert_eq!(request.values(), [0, 1, 2, 3, 4]);
        let all = variables.into_all();
        assert_eq!(all[2].source, Source::Sha256(body));
        assert_eq!(all[4].source.ingredients(), [2, 2, 1, 1]);
    }

    #[test]
    fn what_a_signature_writes_itself_is_refused() {
        for name in ["Authorization", "x-amz-date", "X-AMZ-Security-Token"] {
            let builder = Request::builder("GET", "h", "/").unwrap().field(name, "x").unwrap();
            let said = signed(builder.build()).unwrap_err();
            assert_eq!(said, format!("--aws-sigv4 writes {name} itself; leave the header out"));
        }
    }
}
