//! TLS that cannot be: one line that names the server, the step, and what to try; nothing is sent.

use std::fs;
use std::io::Read;
use std::path::Path;

use tests::{Authority, Issued, Outcome, Puppet, TlsServer, Wanted};

use super::target::Target;
use super::{check_refusal, pummel};

/// Whom targets of these tests are asked for.
const HOST: &str = "127.0.0.1";

/// Years that are over, that hold today, and that are to come.
const OVER: (i32, i32) = (2000, 2001);
const NOW: (i32, i32) = (2000, 2100);
const LATER: (i32, i32) = (2099, 2100);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs against a target that shows `issued`, believing `root`.
fn ask(issued: &Issued, root: &Path) -> (Outcome, String) {
    let flags = format!("--cert {} --key {}", text(&issued.certificate), text(&issued.key));
    let target = Target::start(&flags);
    let args = [target.url.as_str(), "-n", "1", "-c", "1", "--cacert", text(root)];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    let address = target.url.trim_start_matches("https://").to_owned();
    let seen = target.end();
    assert_eq!(seen["requests"], u64::from(outcome.code == Some(0)), "{outcome:?}");
    (outcome, address)
}

#[test]
fn a_certificate_that_cannot_be_believed_is_named_with_what_to_try() {
    let authority = Authority::new("one").unwrap();
    let (stranger, namesake) = (Authority::new("two").unwrap(), Authority::new("one").unwrap());
    let root = authority.root();
    for (by, host, years, words) in [
        (&authority, HOST, OVER, ["its certificate has expired", "check the clock here"]),
        (&authority, HOST, LATER, ["its certificate is not valid yet", "check both clocks"]),
        (&authority, "h.example", NOW, ["its certificate is for another name", "as --sni"]),
        (&stranger, HOST, NOW, ["nobody who is trusted has issued", "as --cacert FILE"]),
        (&namesake, HOST, NOW, ["its certificate cannot be used", "issuer called like a root?"]),
    ] {
        let issued = by.issue("server", Wanted { host, years }).unwrap();
        let (outcome, address) = ask(&issued, &root);
        let step = format!("cannot secure a connection to {address}: ");
        let words = [&step, words[0], words[1], "--insecure", "nothing was sent"];
        check_refusal(&outcome, 1, &words);
    }
    let issued = authority.issue("server", Wanted { host: HOST, years: NOW }).unwrap();
    assert_eq!(ask(&issued, &root).0.code, Some(0), "the one that is right is believed");
}

#[test]
fn a_file_that_does_not_hold_what_its_flag_needs_is_named() {
    let authority = Authority::new("one").unwrap();
    let wanted = Wanted { host: HOST, years: NOW };
    let (one, other) = (authority.issue("one", wanted), authority.issue("other", wanted));
    let (one, other) = (one.unwrap(), other.unwrap());
    let prose = authority.path().join("prose.pem");
    fs::write(&prose, "this is no certificate\n").unwrap();
    let cut = authority.path().join("cut.pem");
    let whole = fs::read_to_string(&one.certificate).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let (cert, key) = (text(&one.certificate), text(&one.key));
    let (stranger, prose, cut) = (text(&other.key), text(&prose), text(&cut));
    for (args, words) in [
        (["--cert", cert, "--key", stranger], ["other-key.pem", "belong"]),
        (
            ["--cert", prose, "--key", key],
            ["prose.pem\": is no PEM", "-----BEGIN CERTIFICATE-----"],
        ),
        (
            ["--cert", cert, "--key", prose],
            ["prose.pem\": is no PEM", "-----BEGIN PRIVATE KEY-----"],
        ),
        (["--cert", key, "--key", key], ["--cert \"", "has no certificate"]),
        (["--cert", cert, "--key", cert], ["--key \"", "has no private key"]),
        (["--cert", cut, "--key", key], ["cut.pem", "no line -----END"]),
    ] {
        let run = ["https://localhost:1", "-k"].into_iter().chain(args);
        check_refusal(&tests::run(&mut pummel(run)).unwrap(), 2, &words);
        let serve = ["target", "--duration", "1s"].into_iter().chain(args);
        let outcome = tests::run(&mut pummel(serve)).unwrap();
        check_refusal(&outcome, 2, &words);
    }
    let run = ["https://localhost:1", "--cacert", prose];
    let words = ["--cacert \"", "prose.pem\": is no PEM", "-----BEGIN CERTIFICATE-----"];
    check_refusal(&tests::run(&mut pummel(run)).unwrap(), 2, &words);
}

#[test]
fn a_protocol_that_the_server_refuses_is_told_with_the_flag() {
    let target = Target::start("--tls");
    let args = [&target.url, "-k", "-n", "1", "--alpn", "http/1.0"];
    let words = ["cannot secure a connection to", "\"no application protocol\"", "see --alpn"];
    check_refusal(&tests::run(&mut pummel(args)).unwrap(), 1, &words);
    assert_eq!(target.end()["requests"], 0);
}

#[test]
fn a_server_that_leaves_the_protocol_open_is_not_spoken_to_in_http2() {
    let authority = Authority::new("one").unwrap();
    let issued = authority.issue("server", Wanted { host: HOST, years: NOW }).unwrap();
    let tls = TlsServer::new(&issued, &[]).unwrap();
    let puppet = Puppet::playing(move |stream, _| {
        let mut sent = Vec::new();
        tls.accept(stream)?.read_to_end(&mut sent)?;
        assert!(sent.is_empty(), "{sent:?}");
        Ok(())
    });
    let url = format!("https://{}", puppet.unwrap().target());
    let args = [&url, "-k", "-n", "1", "-c", "1", "--http2"];
    let words = ["does not agree to the protocol", "leave --http2 out", "nothing was sent"];
    check_refusal(&tests::run(&mut pummel(args)).unwrap(), 1, &words);
}
