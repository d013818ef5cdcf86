//! What a server does to connections in the middle of a run is counted by its name, and the run
//! goes on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use pummel_proto_http::h2::frame::{self, ACK, Code, Header, Kind, PREFACE};
use serde_json::{Value, json};
use tests::{Authority, Puppet, Server, TlsServer, Wanted};

use super::pummel;
use super::target::Target;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The report of a run that came to its end.
fn report(url: &str, flags: &str) -> Value {
    let args = [url, "--json"].into_iter().chain(flags.split_whitespace());
    let outcome = tests::run(&mut pummel(args)).unwrap();
    assert!(!outcome.stdout.is_empty(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// A server that speaks TLS, with a certificate that nobody knows.
fn secured() -> TlsServer {
    let authority = Authority::new("one").unwrap();
    let wanted = Wanted { host: "127.0.0.1", years: (2000, 2100) };
    TlsServer::new(&authority.issue("server", wanted).unwrap(), &[]).unwrap()
}

#[test]
fn an_alert_is_an_error_by_its_name() {
    let tls = secured();
    let puppet = Puppet::playing(move |stream, number| {
        let mut lines = BufReader::new(tls.accept(stream)?);
        let (mut line, mut answered) = (String::new(), 0);
        while lines.read_line(&mut line)? > 0 {
            if line == "\r\n" && number < 2 && answered == 3 {
                return lines.get_mut().alert();
            }
            if line == "\r\n" {
                lines.get_mut().write_all(OK)?;
                answered += 1;
            }
            line.clear();
        }
        Ok(())
    });
    let url = format!("https://{}", puppet.unwrap().target());
    let report = report(&url, "-k -c 1 -n 20");
    assert_eq!(report["errors"], json!({ "wait_tls_alert_bad_record_mac": 2 }));
    assert_eq!((&report["counts"]["ok"], &report["counts"]["errors"]), (&json!(18), &json!(2)));
    assert_eq!(report["connections"]["reconnects"], 2, "{}", report["connections"]);
}

#[test]
fn an_end_without_a_close_notify_is_no_orderly_one() {
    let tls = secured();
    // Each connection ends behind its third answer, the second one with a word in TLS.
    let puppet = Puppet::playing(move |stream, number| {
        let mut lines = BufReader::new(tls.accept(stream)?);
        let (mut line, mut answered) = (String::new(), 0);
        while answered < 3 && lines.read_line(&mut line)? > 0 {
            if line == "\r\n" {
                lines.get_mut().write_all(OK)?;
                answered += 1;
            }
            line.clear();
        }
        if number == 1 { lines.get_mut().close() } else { Ok(()) }
    });
    let url = format!("https://{}", puppet.unwrap().target());
    let report = report(&url, "-k -c 1 -q 100 -n 9");
    assert_eq!(report["counts"]["scheduled"], 9, "{}", report["counts"]);
    let connections = &report["connections"];
    assert_eq!(connections["closed_by_peer"], 1, "{connections}");
    assert!(connections["cut_off"].as_u64() >= Some(1), "{connections}");
}

#[test]
fn a_length_that_is_told_in_two_ways_ends_the_connection_from_this_side() {
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\n\r\n",
    );
    let server = server.unwrap();
    let url = server.target();
    let args = [url.as_str(), "-c", "1", "-n", "5"];
    let text = tests::run(&mut pummel(args)).unwrap();
    assert!(text.stdout.contains("0 closed by the peer"), "{text:?}");
    assert!(text.stdout.contains("5 given up after a length told in two ways"), "{text:?}");
    let report = report(&url, "-c 1 -n 5");
    let connections = &report["connections"];
    assert_eq!((&report["counts"]["ok"], &connections["doubtful"]), (&json!(5), &json!(5)));
    assert_eq!(connections["closed_by_peer"], 0, "{connections}");
}

#[test]
fn http_is_forwarded_by_a_proxy_that_is_spoken_to_in_http2() {
    let target = Target::start("");
    let proxy = format!("-c 2 -n 50 --streams 5 --proxy-http2 -p {}", target.url);
    // Nobody looks this name up: it is the proxy that is given the requests.
    let report = report("http://far.invalid/x", &proxy);
    assert_eq!(report["counts"]["ok"], 50, "{} {}", report["counts"], report["errors"]);
    let plan = &report["plan"];
    assert_eq!(
        (&plan["proxy"]["means"], &plan["proxy"]["http2"]),
        (&json!("forward"), &json!(true))
    );
    assert_eq!((&plan["protocol"], &plan["streams"]), (&json!("h2"), &json!(5)));
    let seen = target.end();
    assert_eq!((&seen["requests"], &seen["connections"]), (&json!(50), &json!(2)));
    assert_eq!((&seen["responses"], &seen["bad_requests"]), (&json!(50), &json!(0)));
}

/// Answers requests of HTTP/2, but asks each client to go with its fifth one, and says why.
fn serve(mut stream: TcpStream, code: Code) -> io::Result<()> {
    stream.read_exact(&mut vec![0; PREFACE.len()])?;
    let (mut out, mut streams, mut head) = (Vec::new(), 0, [0; 9]);
    frame::write_settings(&mut out, &[]);
    loop {
        stream.write_all(&out)?;
        out.clear();
        stream.read_exact(&mut head)?;
        let header = Header::parse(&head);
        let mut payload = vec![0; header.length as usize];
        stream.read_exact(&mut payload)?;
        match header.kind {
            Kind::Settings if !header.has(ACK) => frame::write_settings_ack(&mut out),
            Kind::Headers if streams < 5 => {
                streams += 1;
                if streams == 5 {
                    frame::write_goaway(&mut out, header.stream, code);
                }
                let flags = frame::END_HEADERS | frame::END_STREAM;
                let (length, stream) = (1, header.stream);
                frame::write_header(
                    &mut out,
                    Header { length, kind: Kind::Headers, flags, stream },
                );
                out.push(0x88);
            }
            _ => {}
        }
    }
}

#[test]
fn a_farewell_is_counted_by_its_code_and_costs_no_request() {
    for (code, name) in [(Code::NoError, "no_error"), (Code::EnhanceYourCalm, "enhance_your_calm")]
    {
        let puppet = Puppet::playing(move |stream, _| serve(stream, code)).unwrap();
        let url = format!("http://{}", puppet.target());
        let report = report(&url, "--http2 --streams 3 -c 2 -n 60");
        assert_eq!(report["counts"]["ok"], 60, "{} {}", report["counts"], report["errors"]);
        let goaways = report["http2"]["goaways"].as_object().unwrap();
        assert_eq!(goaways.keys().collect::<Vec<_>>(), [name]);
        assert!(goaways[name].as_u64() >= Some(10), "{goaways:?}");
        assert!(report["connections"]["reconnects"].as_u64() >= Some(8), "{report}");
    }
}

#[test]
fn a_farewell_of_the_target_over_tls_is_no_error() {
    let target = Target::start("--tls --h2-goaway-after 10");
    let report = report(&target.url, "-k --http2 --streams 4 -c 2 -n 200");
    let seen = target.end();
    assert_eq!(report["counts"]["ok"], 200, "{} {}", report["counts"], report["errors"]);
    assert_eq!(report["http2"]["goaways"].as_object().unwrap().len(), 1);
    assert!(report["http2"]["goaways"]["no_error"].as_u64() >= Some(15), "{report}");
    assert_eq!(seen["responses"], 200, "{seen}");
}
