//! Requests that are signed for AWS, as a server verifies them.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tests::{Answer, Asked};

use super::scenarios::{PROTOCOLS, Peer, ok};
use super::{check_refusal, pummel};

const FLAGS: &str = "-a AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG --aws-sigv4 aws:amz:eu-central-1:s3";

fn hexadecimal(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

fn authenticated(key: &[u8], message: &str) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    hmac.update(message.as_bytes());
    hmac.finalize().into_bytes().to_vec()
}

/// The signature that a server computes from what it received. Paths and queries of these tests
/// are in their canonical form already, and parameters in their order.
fn expected(asked: &Asked, names: &str, moment: &str) -> String {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let line = |name| [name, ":", asked.field(name).unwrap(), "\n"].concat();
    let fields: String = names.split(';').map(line).collect();
    let payload = hexadecimal(Sha256::digest(&asked.body));
    assert_eq!(asked.field("x-amz-content-sha256"), Some(payload.as_str()));
    let canonical = format!("{}\n{path}\n{query}\n{fields}\n{names}\n{payload}", asked.method);
    let scope = format!("{}/eu-central-1/s3/aws4_request", &moment[..8]);
    let hash = hexadecimal(Sha256::digest(canonical));
    let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG".to_vec();
    for part in scope.split('/') {
        key = authenticated(&key, part);
    }
    let signed = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hash}");
    hexadecimal(authenticated(&key, &signed))
}

#[track_caller]
fn check(asked: &Asked) {
    let moment = asked.field("x-amz-date").unwrap();
    assert!(moment.len() == 16 && moment.ends_with('Z') && moment.starts_with("20"), "{moment}");
    let line = asked.field("authorization").unwrap();
    let begin = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}/eu-central-1/s3/aws4_request, SignedHeaders=",
        &moment[..8]
    );
    let rest = line.strip_prefix(&begin).unwrap();
    let (names, signature) = rest.split_once(", Signature=").unwrap();
    assert!(names.split(';').any(|name| name == "host"), "{names}");
    assert_eq!(signature, expected(asked, names, moment), "{asked:?}");
}

#[test]
fn each_request_is_signed_as_it_is_received() {
    let file = r#"
[scenario]
[[scenario.steps]]
path = "/a/{{uuid}}?n={{seq}}"
headers = ["X-Id: {{uuid}}", "X-Env: a b"]

[[scenario.steps]]
path = "/b"
json = { n = "{{seq}}", who = "{{uuid}}" }
"#;
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        peer.ask(&format!("{}/x?a=b -c 2 -n 10 --aws-session TOKEN {FLAGS}", peer.url()));
        peer.report(file, &format!("-c 2 -n 20 {FLAGS}"));
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 30);
        asked.iter().for_each(check);
        let with_token = asked.iter().filter(|it| it.field("x-amz-security-token").is_some());
        assert_eq!(with_token.count(), 10);
        let bodies: Vec<String> =
            asked.iter().filter(|it| it.path == "/b").map(Asked::text).collect();
        assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), bodies.len());
        assert!(bodies.len() > 1);
    }
}

/// They are chosen when all else is known, the signature too.
#[test]
fn cookies_are_sent_and_not_signed() {
    let set = |_: &Asked| Answer::Said(200, &[("set-cookie", "id=7")], b"");
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, set);
        peer.ask(&format!("{}/a -c 1 -n 12 --cookies on -H Cookie:own=1 {FLAGS}", peer.url()));
        peer.ask(&format!("{}/b/{{{{seq}}}} -c 1 -n 12 --cookies on {FLAGS}", peer.url()));
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 24);
        asked.iter().for_each(check);
        let with = |cookie: &str| asked.iter().any(|it| it.field("cookie") == Some(cookie));
        assert!(with("own=1") && with("own=1; id=7") && with("id=7"), "{protocol:?}");
        let signed = asked.iter().any(|it| it.field("authorization").unwrap().contains("cookie"));
        assert!(!signed);
    }
}

#[test]
fn what_cannot_be_signed_is_refused() {
    for (line, words) in [
        ("--aws-sigv4 aws:amz:x:s3", "--basic-auth"),
        ("--aws-session T", "--aws-sigv4"),
        ("-a A:B --aws-sigv4 s3", "aws:amz:REGION:SERVICE"),
        ("-a A:B --aws-sigv4 aws:amz:x:s3 -F a=b", "do not go together"),
        ("-a A:B --aws-sigv4 aws:amz:x:s3 -H X-Amz-Date:x", "leave the header out"),
    ] {
        let line = format!("http://127.0.0.1:1 {line}");
        let outcome = tests::run(&mut pummel(line.split_whitespace())).unwrap();
        check_refusal(&outcome, 2, &[words]);
    }
}
