//! What is said of a run in which no connection could be opened: how far it came, why it went no
//! further, and what to try.

use pummel_proto_http::ErrorKind;

use crate::error::RunError;
use crate::reactor::{Address, Errno};
use crate::record::{Cause, Phase, TlsTrouble, Trouble};

/// Why not, and the next thing to try.
type Advice = (String, &'static str);

/// The error of a run whose connections to a server all failed, by one of them; `server` is that
/// server's name, where there are several.
pub(super) fn no_connection(
    (address, trouble): (Address, Trouble),
    server: Option<String>,
) -> RunError {
    let step = match trouble.phase {
        Phase::Connect => "connect to",
        Phase::Proxy => "get through the proxy at",
        Phase::Tls => "secure a connection to",
        Phase::Upgrade => "change to HTTP/2 at",
        Phase::Settle => "speak HTTP/2 with",
        _ => "keep a connection to",
    };
    let (reason, remedy) = advice(trouble);
    let server = server.map_or(String::new(), |name| format!(" for {name}"));
    RunError::NoConnection { step, address, server, trouble, reason, remedy }
}

fn advice(Trouble { phase, cause }: Trouble) -> Advice {
    match cause {
        Cause::System(errno) => (errno.to_string(), system(errno)),
        Cause::TimedOut => ("no answer in time".to_owned(), silent(phase)),
        Cause::Tls(trouble) => tls(trouble),
        Cause::Answered(status) => {
            (format!("the answer was status {status}"), answered(phase, status))
        }
        Cause::Protocol(kind) => protocol(phase, kind),
        _ => closed(phase),
    }
}

const fn system(errno: Errno) -> &'static str {
    match errno {
        Errno::REFUSED => "is the server running, and on this port?",
        Errno::ADDRESS_NOT_AVAILABLE => "free local ports, or widen ip_local_port_range",
        _ => "check the address and the network",
    }
}

fn answered(phase: Phase, status: u16) -> &'static str {
    match (phase, status) {
        (Phase::Proxy, 407) => "give its user: --proxy http://user:password@host:port",
        (Phase::Proxy, 403 | 405) => "it does not allow this target; ask whoever runs it",
        (Phase::Proxy, 502..=504) => "it cannot reach the target; is that running?",
        (Phase::Proxy, _) => "is it a proxy that opens tunnels?",
        _ => "the server does not change; try --http2, or leave --http2-upgrade out",
    }
}

const fn silent(phase: Phase) -> &'static str {
    match phase {
        Phase::Proxy => "is it a proxy? if it is, raise --connect-timeout",
        Phase::Tls => "does it speak TLS on this port? if it does, raise --connect-timeout",
        Phase::Settle => "does it speak HTTP/2? if not, leave --http2 out; else --connect-timeout",
        _ => "check the address, or raise --connect-timeout",
    }
}

/// What was said instead of an answer, and what to do about it.
fn protocol(phase: Phase, kind: ErrorKind) -> Advice {
    let (reason, remedy) = match (phase, kind) {
        (Phase::Proxy, ErrorKind::NotHttp2Http1) => {
            ("it answers in HTTP/1.1, not in HTTP/2", "leave --proxy-http2 out")
        }
        (_, ErrorKind::NotHttp2Http1) => {
            ("it answers in HTTP/1.1, not in HTTP/2", "leave --http2 out, or try --http2-upgrade")
        }
        (Phase::Proxy, ErrorKind::NotHttp2Tls) => {
            ("it answers in TLS", "give the port at which the proxy speaks in the clear")
        }
        (_, ErrorKind::NotHttp2Tls) => {
            ("it answers in TLS", "is this the port of https? then write https:// with --http2")
        }
        _ => {
            let remedy = match phase {
                Phase::Proxy => "is it a proxy?",
                Phase::Upgrade => "is this the port of https? then write https:// with --http2",
                _ => "does it speak HTTP/2 on this port? if not, leave --http2 out",
            };
            return (format!("the answer makes no sense there ({})", kind.name()), remedy);
        }
    };
    (reason.to_owned(), remedy)
}

fn closed(phase: Phase) -> Advice {
    let (reason, remedy) = match phase {
        Phase::Proxy => {
            ("it closed the connection", "is it a proxy, open to connections from here?")
        }
        Phase::Tls => (
            "it closed the connection in the handshake",
            "does it speak TLS on this port, and know the name? see --sni",
        ),
        Phase::Upgrade => (
            "it closed the connection",
            "the server does not change; try --http2, or leave --http2-upgrade out",
        ),
        Phase::Settle => (
            "it closed each connection without a word",
            "does it speak HTTP/2? if not, leave --http2 out; if it wants TLS, write https://",
        ),
        _ => (
            "the server closed each connection at once",
            "does it accept connections from here, and in this protocol?",
        ),
    };
    (reason.to_owned(), remedy)
}

fn tls(trouble: TlsTrouble) -> Advice {
    let (reason, remedy) = match trouble {
        TlsTrouble::Alert(number) => {
            let name = trouble.name().trim_start_matches("alert_").replace('_', " ");
            return (format!("it refused with the alert \"{name}\""), alert(number));
        }
        TlsTrouble::Expired => (
            "its certificate has expired",
            "renew it, check the clock here, or verify nothing with --insecure",
        ),
        TlsTrouble::NotYetValid => (
            "its certificate is not valid yet",
            "check both clocks, or verify nothing with --insecure",
        ),
        TlsTrouble::WrongName => (
            "its certificate is for another name",
            "give that name as --sni, or verify nothing with --insecure",
        ),
        TlsTrouble::UnknownIssuer => (
            "nobody who is trusted has issued its certificate",
            "give the root as --cacert FILE, or verify nothing with --insecure",
        ),
        TlsTrouble::Revoked => {
            ("its certificate was revoked", "get a new one, or verify nothing with --insecure")
        }
        TlsTrouble::BadCertificate => (
            "its certificate cannot be used",
            "is it a CA's (CA:TRUE), or is its issuer called like a root? see --cacert, --insecure",
        ),
        TlsTrouble::AlpnRefused => (
            "it does not agree to the protocol that it was offered",
            "see --alpn, or leave --http2 out",
        ),
        TlsTrouble::NothingInCommon => (
            "no version, suite or group is known to both sides",
            "see --tls-min, --tls-max and --tls-groups",
        ),
        TlsTrouble::NotTls => {
            ("it does not speak TLS", "is this the port of https? if not, write http://")
        }
        TlsTrouble::Misbehaved => (
            "it broke the rules of TLS",
            "try another version, with --tls-max 1.2 or --tls-min 1.3",
        ),
        TlsTrouble::Undecryptable => {
            ("a record was changed on its way", "look for what stands between here and there")
        }
        TlsTrouble::Truncated => (
            "it closed the connection in the handshake",
            "does it speak TLS on this port, and know the name? see --sni",
        ),
        TlsTrouble::WornOut => (
            "its keys have sealed as many records as they may",
            "speak TLS 1.3, which renews them: --tls-min 1.3",
        ),
        TlsTrouble::Internal => {
            ("TLS could not go on at this side", "please report this as a defect")
        }
    };
    (reason.to_owned(), remedy)
}

/// What to do about a peer's alert (RFC 8446 section 6.2).
const fn alert(number: u8) -> &'static str {
    match number {
        40 | 71 => "it may know none of the suites or groups; see --tls-groups",
        42..=46 | 48 | 49 | 51 => "it does not take the certificate of --cert, or wants one",
        70 => "it knows none of the versions; see --tls-min and --tls-max",
        112 => "it has no certificate for the name; give another one as --sni",
        116 => "it wants a certificate; give --cert and --key",
        120 => "it speaks nothing that was offered; see --alpn, or leave --http2 out",
        _ => "look into the server's log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn said(phase: Phase, cause: Cause) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], 443)).into();
        no_connection((address, Trouble { phase, cause }), None).to_string()
    }

    #[track_caller]
    fn check(phase: Phase, cause: Cause, words: &[&str]) {
        let said = said(phase, cause);
        for word in words.iter().chain(&["127.0.0.1:443", "; nothing was sent ("]) {
            assert!(said.contains(word), "{word:?} is missing in {said:?}");
        }
        assert!(!said.contains('\n') && said.len() < 200, "{said}");
    }

    #[test]
    fn it_is_said_how_far_the_connection_came() {
        for (phase, step) in [
            (Phase::Connect, "cannot connect to 127"),
            (Phase::Proxy, "cannot get through the proxy at 127"),
            (Phase::Tls, "cannot secure a connection to 127"),
            (Phase::Upgrade, "cannot change to HTTP/2 at 127"),
            (Phase::Settle, "cannot speak HTTP/2 with 127"),
            (Phase::Idle, "cannot keep a connection to 127"),
        ] {
            check(phase, Cause::Closed, &[step]);
            check(phase, Cause::TimedOut, &[step, "no answer in time", "--connect-timeout"]);
        }
        check(Phase::Tls, Cause::TimedOut, &["does it speak TLS"]);
        check(Phase::Settle, Cause::TimedOut, &["does it speak HTTP/2?", "leave --http2 out"]);
        check(Phase::Settle, Cause::Closed, &["without a word", "--http2", "https://"]);
        check(Phase::Connect, Cause::System(Errno::REFUSED), &["is the server running"]);
    }

    #[test]
    fn each_trouble_of_tls_has_its_words_and_a_remedy() {
        use TlsTrouble::{
            AlpnRefused, BadCertificate, Expired, Internal, Misbehaved, NotTls, NotYetValid,
            NothingInCommon, Revoked, Truncated, Undecryptable, UnknownIssuer, WornOut, WrongName,
        };
        for (trouble, words) in [
            (Expired, ["has expired", "--insecure"]),
            (NotYetValid, ["not valid yet", "clocks"]),
            (WrongName, ["for another name", "--sni"]),
            (UnknownIssuer, ["nobody who is trusted", "--cacert FILE"]),
            (Revoked, ["revoked", "--insecure"]),
            (BadCertificate, ["cannot be used", "CA:TRUE"]),
            (AlpnRefused, ["does not agree", "--alpn"]),
            (NothingInCommon, ["known to both sides", "--tls-groups"]),
            (NotTls, ["does not speak TLS", "http://"]),
            (Misbehaved, ["broke the rules", "--tls-max"]),
            (Undecryptable, ["changed on its way", "between"]),
            (Truncated, ["in the handshake", "--sni"]),
            (WornOut, ["as many records as they may", "--tls-min 1.3"]),
            (Internal, ["at this side", "defect"]),
        ] {
            check(Phase::Tls, Cause::Tls(trouble), &words);
        }
    }

    #[test]
    fn an_alert_is_named_and_what_it_is_about() {
        for (number, words) in [
            (40, ["\"handshake failure\"", "--tls-groups"]),
            (70, ["\"protocol version\"", "--tls-min"]),
            (48, ["\"unknown ca\"", "--cert"]),
            (112, ["\"unrecognized name\"", "--sni"]),
            (116, ["\"certificate required\"", "--key"]),
            (120, ["\"no application protocol\"", "--http2"]),
            (80, ["\"internal error\"", "log"]),
            (255, ["\"unknown\"", "log"]),
        ] {
            check(Phase::Tls, Cause::Tls(TlsTrouble::Alert(number)), &words);
        }
    }

    #[test]
    fn an_answer_instead_of_a_way_is_told_with_its_status() {
        for (status, remedy) in [(407, "user:password"), (403, "allow"), (503, "reach the target")]
        {
            let status_words = format!("status {status}");
            check(Phase::Proxy, Cause::Answered(status), &[&status_words, remedy]);
        }
        check(Phase::Proxy, Cause::Answered(200), &["opens tunnels"]);
        check(Phase::Upgrade, Cause::Answered(404), &["status 404", "try --http2"]);
        let garbage = Cause::Protocol(ErrorKind::BadStatusLine);
        check(Phase::Proxy, garbage, &["bad_status_line", "is it a proxy?"]);
        check(Phase::Upgrade, garbage, &["bad_status_line", "https:// with --http2"]);
        let unknown = Cause::Protocol(ErrorKind::NotHttp2);
        check(Phase::Settle, unknown, &["not_http2", "leave --http2 out"]);
        let old = Cause::Protocol(ErrorKind::NotHttp2Http1);
        check(Phase::Settle, old, &["in HTTP/1.1", "leave --http2 out"]);
        check(Phase::Proxy, old, &["in HTTP/1.1", "leave --proxy-http2 out"]);
        let tls = Cause::Protocol(ErrorKind::NotHttp2Tls);
        check(Phase::Settle, tls, &["answers in TLS", "https://"]);
        check(Phase::Proxy, tls, &["answers in TLS", "in the clear"]);
    }
}
