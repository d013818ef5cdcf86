//! Servers that are not what they were taken for: one line says what they are, and what to try.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use tests::{Puppet, Server};

use super::target::Target;
use super::{check_refusal, pummel};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Runs with `flags` against what listens at `address`, and checks what is said of it.
#[track_caller]
fn check(scheme: &str, address: &str, flags: &str, words: &[&str]) {
    let url = format!("{scheme}://{address}");
    let run = [url.as_str(), "-n", "1", "-c", "2"].into_iter().chain(flags.split_whitespace());
    let words = words.iter().copied().chain([address, "nothing was sent"]);
    check_refusal(&tests::run(&mut pummel(run)).unwrap(), 1, &words.collect::<Vec<_>>());
}

#[test]
fn a_server_in_the_clear_is_not_spoken_to_in_tls() {
    let server = Puppet::playing(|mut stream, _| {
        let _hello = stream.read(&mut [0; 1024])?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let target = Target::start("");
    let plain = target.url.trim_start_matches("http://");
    for address in [&server.unwrap().target(), plain] {
        for flags in ["-k", "-k --http2"] {
            let words = ["cannot secure a connection", "does not speak TLS", "write http://"];
            check("https", address, flags, &words);
        }
    }
    assert_eq!(target.end()["requests"], 0);
}

#[test]
fn a_port_of_tls_is_known_by_its_answer_to_http2_in_the_clear() {
    let target = Target::start("--tls");
    let address = target.url.trim_start_matches("https://");
    let words = ["cannot speak HTTP/2 with", "it answers in TLS", "https://"];
    check("http", address, "--http2", &words);
    check("h2c", address, "", &words);
    let words = ["cannot change to HTTP/2 at", "https:// with --http2"];
    check("http", address, "--http2-upgrade", &words);
    // One that says nothing at all.
    let puppet = Puppet::playing(|mut stream, _| stream.read(&mut [0; 1024]).map(drop)).unwrap();
    let words = ["without a word", "leave --http2 out", "https://"];
    check("h2c", &puppet.target(), "", &words);
    assert_eq!(target.end()["requests"], 0);
}

#[test]
fn a_server_that_does_not_speak_http2_is_known_before_a_request_is_sent() {
    let server = Server::answering(OK).unwrap();
    let words = ["cannot speak HTTP/2 with", "answers in HTTP/1.1", "leave --http2 out"];
    check("http", &server.target(), "--http2", &words);
    // Its answer to the request for a change is no change.
    let words = ["cannot change to HTTP/2 at", "status 200", "leave --http2-upgrade out"];
    check("http", &server.target(), "--http2-upgrade", &words);
    let silent = Puppet::playing(hear_all).unwrap();
    let words = ["cannot speak HTTP/2 with", "no answer in time", "leave --http2 out"];
    check("http", &silent.target(), "--http2 --connect-timeout 300ms", &words);
    let words = ["cannot secure a connection", "no answer in time", "does it speak TLS"];
    check("https", &silent.target(), "-k --connect-timeout 300ms", &words);
}

/// Reads to the end, and says nothing.
fn hear_all(mut stream: TcpStream, _: u64) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_told_from_one_that_is_none() {
    const REFUSAL: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let tunnel = |answer: &'static str, flags: &str, words: &[&str]| {
        let proxy = Server::answering(answer).unwrap().target();
        let args = format!("-k -p http://{proxy} {flags}");
        let run = ["https://localhost:1", "-n", "1", "-c", "2"].into_iter();
        let outcome = tests::run(&mut pummel(run.chain(args.split_whitespace()))).unwrap();
        let step = format!("cannot get through the proxy at {proxy}: ");
        let words = words.iter().copied().chain([step.as_str(), "nothing was sent"]);
        check_refusal(&outcome, 1, &words.collect::<Vec<_>>());
    };
    tunnel(REFUSAL, "", &["status 407", "--proxy http://user:password@host:port"]);
    tunnel("220 mail ready\r\n", "", &["bad_status_line", "is it a proxy?"]);
    tunnel(REFUSAL, "--proxy-http2", &["answers in HTTP/1.1", "leave --proxy-http2 out"]);
    let silent = Puppet::playing(hear_all).unwrap().target();
    let args = ["https://localhost:1", "-k", "-n", "1", "--connect-timeout", "300ms", "-p"];
    let outcome = tests::run(&mut pummel(args.into_iter().chain([silent.as_str()]))).unwrap();
    check_refusal(&outcome, 1, &["the proxy at", &silent, "no answer in time", "is it a proxy?"]);
}

#[test]
fn a_proxy_that_is_a_port_of_tls_is_told_so() {
    let target = Target::start("--tls");
    let proxy = target.url.trim_start_matches("https://");
    let args = ["https://localhost:1", "-k", "-n", "1", "--proxy-http2", "-p", proxy];
    let words = ["cannot get through the proxy", proxy, "answers in TLS", "in the clear"];
    check_refusal(&tests::run(&mut pummel(args)).unwrap(), 1, &words);
    assert_eq!(target.end()["requests"], 0);
}
