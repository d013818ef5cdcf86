//! Bad input: exit 2 (or 1, where the world is in the way), one line that names the thing, nothing
//! sent.

use std::io::{self, Write};
use std::process::Command;
use std::thread::available_parallelism;

use serde_json::Value;
use tests::Server;

use super::{check_refusal, pummel};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Flags that make no sense, and words that the refusal must hold. Each is given beside a good
/// target.
const FLAGS: &[(&[&str], &[&str])] = &[
    (&["-c", "0"], &["-c 0"]),
    (&["-c", "many"], &["many", "--connections"]),
    (&["-c", "-1"], &["--connections", "\"-1\"", "give 1 or more"]),
    (&["-n", "-1"], &["--requests", "\"-1\"", "give 1 or more"]),
    (&["--seed", "-1"], &["--seed", "\"-1\""]),
    (&["--shards", "-1"], &["--shards", "\"-1\""]),
    (&["--pipeline", "-1"], &["--pipeline", "\"-1\""]),
    (&["-c", "4000000000"], &["-c 4000000000", "open files"]),
    (&["--rate", "0"], &["--rate", "\"0\""]),
    (&["--rate", "-5"], &["--rate", "-5"]),
    (&["--rate", "NaN"], &["--rate", "NaN"]),
    (&["--rate", "99999M"], &["--rate", "99999M"]),
    (&["--rate", "1/h", "--warmup", "1s"], &["--rate", "no request would start"]),
    (&["-t", "0"], &["--duration", "\"0\""]),
    (&["-t", "1ns"], &["--duration", "\"1ns\"", "give 1ms or more"]),
    (&["-t", "-1s"], &["--duration", "-1s"]),
    (&["-t", "5 parsecs"], &["--duration", "5 parsecs"]),
    (&["-t", "99999999h"], &["--duration", "longer than a year"]),
    (&["-n", "0"], &["-n 0"]),
    (&["--timeout", "0"], &["--timeout"]),
    (&["--connect-timeout", "x"], &["--connect-timeout", "\"x\""]),
    (&["--warmup", "x"], &["--warmup", "\"x\""]),
    (&["--drain", "x"], &["--drain", "\"x\""]),
    (&["--pipeline", "0"], &["--pipeline 0", "128"]),
    (&["--pipeline", "129"], &["--pipeline 129", "128"]),
    (&["--shards", "0"], &["--shards 0"]),
    (&["--shards", "9000"], &["9000 shards"]),
    (&["--cores", "8000"], &["CPU 8000", "allowed: "]),
    (&["--cores", "-1"], &["--cores", "\"-1\""]),
    (&["--cores", "0,0"], &["--cores", "CPU 0 is named twice"]),
    (&["--cores", "1-"], &["--cores", "\"1-\""]),
    (&["--reactor", "kqueue"], &["kqueue", "auto, uring or epoll"]),
    (&["-H", "no colon"], &["no colon", "Name: value"]),
    (&["-H", "a b: c"], &["a b: c"]),
    (&["-H", "Content-Length: 3"], &["Content-Length"]),
    (&["-X", "GE T"], &["the method \"GE T\" is not a token"]),
    (&["-s", "6xx"], &["--status", "\"6xx\"", "200 to 599"]),
    (&["-s", "2xx,100-199"], &["--status", "\"100-199\"", "never the final one"]),
    (&["-s", "ok"], &["--status", "\"ok\""]),
    (&["-D", "/no/such/file"], &["/no/such/file", "No such file"]),
    (&["-D", "/"], &["body file \"/\"", "directory"]),
    (&["--data-file", ""], &["--data-file needs a value", "--data-file <FILE>"]),
    (&["-d", "x", "-D", "y"], &["--data", "--data-file"]),
    (&["-d", "x", "-Z", "y"], &["--data", "--data-lines"]),
    (&["-Z", "/no/such/file"], &["/no/such/file", "No such file"]),
    (&["-Z", "/dev/null"], &["--data-lines: \"/dev/null\" is empty"]),
    (&["-F", "a=b", "-d", "x"], &["--form", "--data"]),
    (&["-F", "a=b", "-D", "x"], &["--form", "--data-file"]),
    (&["-F", "a=b", "-Z", "x"], &["--form", "--data-lines"]),
    (&["-F", "a"], &["--form", "\"a\" is no part of a form", "NAME=VALUE"]),
    (&["-F", "a=@/no/such/file"], &["--form", "\"/no/such/file\"", "No such file"]),
    (&["-F", "a=@/dev/null;type=x"], &["--form", "\"x\" is no type of a file"]),
    (&["-F", "a=b", "-T", "text/plain"], &["--form", "leave the field out"]),
    (&["-a", "user"], &["--basic-auth", "no colon", "USER:PASSWORD"]),
    (&["-a", "a:b", "-H", "Authorization: x"], &["--basic-auth", "\"Authorization: x\""]),
    (&["--no-ua"], &["--no-ua", "--authorized"]),
    (&["--max-repeat", "3"], &["--max-repeat", "--rand-regex-url"]),
    (&["--dump-urls", "3"], &["--dump-urls", "--rand-regex-url"]),
    (&["--dump-urls", "x"], &["--dump-urls", "\"x\" is no whole number"]),
    (&["--urls-from-file", "--rand-regex-url"], &["--urls-from-file", "--rand-regex-url"]),
    (&["--urls-from-file"], &["--urls-from-file", "cannot read", "No such file"]),
    (&["--rand-regex-url", "--dump-urls", "65536"], &["--dump-urls 65536", "1 to 65535"]),
    (&["--url", "http://other/"], &["--url"]),
    (&["other"], &["one target at a time: \"other\" is too many"]),
    (&["demo"], &["one target at a time: \"demo\" is too many"]),
    (&["--xyzzy"], &["there is no flag \"--xyzzy\"; see"]),
    (&["--connectons", "5"], &["did you mean --connections? See `pummel --help`"]),
    (&["-d", "{{usr}}"], &["--data: {{usr}} is unknown", "{{seq}}", "{{raw('{{')}}"]),
    (&["-d", "{{base64('a)}}"], &["--data: \"'a\" begins with a quote that is never closed"]),
    (&["-H", "X: {{uuid"], &["header \"X: {{uuid\"", "has no }} behind it"]),
    (&["-T", "{{random(9,1)}}"], &["--content-type", "random(9,1) has no number in it"]),
    (&["-F", "a={{usr}}"], &["--form \"a={{usr}}\": {{usr}} is unknown"]),
    (&["-F", "a=@{{seq}}"], &["--form", "has a file that varies", "name one"]),
    (&["--seed"], &["--seed"]),
];

/// Flags about the schedule that make no sense, or no sense together.
const SCHEDULES: &[(&[&str], &[&str])] = &[
    (&["--stage", "10s"], &["--stage", "\"10s\" is no stage", "30s:1000"]),
    (&["--stage", "0:5"], &["--stage", "\"0\" is no time at all"]),
    (&["--stage", "-1s:5"], &["--stage", "\"-1s\""]),
    (&["--stage", "1s:NaN"], &["--stage", "\"NaN\" is no rate"]),
    (&["--stage", "1s:-1..5"], &["--stage", "\"-1\" is no rate"]),
    (&["--stage", "1s:0..1001M"], &["--stage", "\"1001M\"", "give less"]),
    (&["--stage", "1s:5", "--stage", "1s:0"], &["the last --stage ends at 0"]),
    (&["--stage", "1s:5..0"], &["the last --stage ends at 0"]),
    (&["--stage", "8000h:1", "--stage", "8000h:1"], &["longer than a year together"]),
    (&["--stage", "1s:5", "-q", "5"], &["--stage and --rate do not go together"]),
    (&["--stage", "1s:1/m", "--warmup", "1s"], &["no request would start", "--stage"]),
    (&["--ramp", "1s"], &["--ramp rises to --rate"]),
    (&["--ramp", "0", "-q", "5"], &["--ramp", "\"0\""]),
    (&["--ramp", "11s", "-q", "5"], &["--ramp lasts 11.0 s, longer than the window"]),
    (&["--spike", "1s:9"], &["--spike rises above --rate"]),
    (&["--spike", "1s", "-q", "5"], &["--spike", "\"1s\" is no stage"]),
    (&["--spike", "1s:9", "-q", "5", "-n", "9"], &["--spike needs", "--duration"]),
    (&["--spike", "11s:9", "-q", "5"], &["--spike lasts 11.0 s, and the window 10.0 s"]),
    (&["--burst-rate", "5"], &["--burst-rate needs", "--burst-delay"]),
    (&["--burst-rate", "-1"], &["--burst-rate", "\"-1\" is no whole number"]),
    (&["--burst-rate", "0", "--burst-delay", "1s"], &["--burst-rate 0"]),
    (&["--burst-delay", "0"], &["--burst-delay", "\"0\""]),
    (&["--burst-delay", "1ns", "--burst-rate", "2"], &["more than 1000000000 per second"]),
    (&["--burst-delay", "1s", "-q", "5"], &["bursts and --rate do not go together"]),
    (&["--burst-delay", "1s", "--stage", "1s:5"], &["bursts and --stage do not go together"]),
    (&["--burst-delay", "1s", "--arrivals", "poisson"], &["leave --arrivals out"]),
    (&["--burst-delay", "1m", "--warmup", "1s"], &["no request would start", "--burst-delay"]),
    (&["--arrivals", "poisson"], &["--arrivals needs a schedule", "--rate"]),
    (&["--arrivals", "pareto", "-q", "5"], &["--arrivals \"pareto\"", "uniform-jitter"]),
    (&["--arrivals", "poisson", "-q", "1/m"], &["no request is to be expected to start"]),
    (&["--arrivals", "poisson", "-q", "1M", "-n", "70000000"], &["-n 70000000", "--duration"]),
    (&["--latency-correction"], &["--latency-correction needs a schedule"]),
    (&["--deadline", "1s"], &["--deadline needs a schedule"]),
    (&["--deadline", "0", "-q", "5"], &["--deadline", "\"0\""]),
    (&["--on-full", "drop"], &["--on-full needs a schedule"]),
    (&["--on-full", "shed", "-q", "5"], &["--on-full \"shed\"", "queue, drop or grow"]),
    (&["--on-full", "drop", "--on-full", "grow"], &["--on-full is given twice"]),
    (&["--max-connections", "99", "-q", "5"], &["--max-connections", "--on-full grow"]),
    (
        &["--max-connections", "99", "--on-full", "drop", "-q", "5"],
        &["--max-connections", "--on-full grow"],
    ),
    (
        &["--max-connections", "63", "--on-full", "grow", "-q", "5"],
        &["--max-connections 63 is less", "give 64 or more"],
    ),
    (
        &["--max-connections", "4000000000", "--on-full", "grow", "-q", "5"],
        &["--max-connections 4000000000", "open files"],
    ),
    (&["--spawn-rate", "0"], &["--spawn-rate 0"]),
    (&["--spawn-interval", "5"], &["--spawn-interval needs", "--spawn-rate"]),
    (&["--spawn-rate", "5", "--spawn-interval", "0"], &["--spawn-interval"]),
    (&["--pacing", "spin"], &["--pacing", "closed loop"]),
    (&["--pacing", "busy", "-q", "5"], &["--pacing \"busy\"", "sleep, hybrid or spin"]),
];

/// Flags about the wire that make no sense, or no sense together, beside a target in the clear.
const WIRES: &[(&[&str], &[&str])] = &[
    (&["--http2", "--pipeline", "8"], &["--pipeline", "HTTP/1.1", "--streams 8"]),
    (&["--http2", "--http2-upgrade"], &["--http2", "--http2-upgrade", "one of them"]),
    (&["--http2", "--http-version", "1.0"], &["--http-version 1.0 and --http2"]),
    (&["--http-version", "3"], &["no HTTP/3", "1.0, 1.1 or 2"]),
    (&["--http-version", "0.9"], &["no HTTP/0.9"]),
    (&["--http-version", "two"], &["--http-version \"two\""]),
    (&["--http2", "-H", "Connection: close"], &["Connection", "HTTP/2"]),
    (&["--http2", "--streams", "0"], &["--streams 0", "1 to 4096"]),
    (&["--http2", "--streams", "9999"], &["--streams 9999", "1 to 4096"]),
    (&["--streams", "-1"], &["--streams", "\"-1\""]),
    (&["-k"], &["--insecure is for https"]),
    (&["--cacert", "x"], &["--cacert is for https"]),
    (&["--tls-resume", "on"], &["--tls-resume is for https"]),
    (&["--alpn", "h2"], &["--alpn is for https"]),
    (&["--alpn", "h3"], &["--alpn h3", "no HTTP/3"]),
    (&["--host", "a/b"], &["\"a/b\"", "host:port"]),
    (&["--host", "a", "-H", "Host: b"], &["--host", "\"Host: b\""]),
    (&["-4", "-6"], &["--ipv4", "--ipv6"]),
    (&["--source-ip", "x"], &["--source-ip \"x\" is no address"]),
    (&["--source-ip", "192.0.2.1"], &["--source-ip 192.0.2.1 cannot be used here"]),
    (&["--source-ip", "127.0.0.1,127.0.0.1"], &["named twice"]),
    (&["--connect-to", "a:1"], &["--connect-to \"a:1\"", "HOST:PORT:HOST:PORT"]),
    (&["--connect-to", "a:0:b:1"], &["--connect-to", "1 to 65535"]),
    (&["--unix-socket", "/x", "--proxy", "p"], &["--proxy and a Unix socket"]),
    (&["--unix-socket", "/x", "--source-ip", "127.0.0.1"], &["--source-ip and a Unix socket"]),
    (&["--unix-socket", "/x", "--connect-to", ":::1"], &["--connect-to and a Unix socket"]),
    (&["--proxy", "socks5://p"], &["--proxy", "\"socks5\"", "http://host:port"]),
    (&["--proxy", "http://p/x"], &["--proxy", "no path"]),
    (&["--proxy", "p", "--proxy-header", "x"], &["--proxy-header \"x\" has no colon"]),
    (&["--proxy-http2"], &["--proxy-http2 is for a proxy"]),
    (&["--proxy", "p", "--proxy-http-version", "1.0"], &["\"1.0\"", "1.1 or 2"]),
    (&["--disable-keepalive", "--connections-per-second", "5"], &["give one of them"]),
    (&["--disable-keepalive", "--pipeline", "2"], &["--pipeline needs connections that last"]),
    (&["--connections-per-second", "0"], &["--connections-per-second", "\"0\""]),
    (&["--connections-per-second", "-5"], &["--connections-per-second", "\"-5\""]),
    (&["--close", "abort"], &["--close \"abort\"", "fin or rst"]),
    (&["--calibrate", "--http2"], &["--calibrate"]),
];

/// The same beside an `https` target.
const SECURED: &[(&[&str], &[&str])] = &[
    (&["--cacert", "/no/such"], &["--cacert \"/no/such\"", "No such file"]),
    (&["--cacert", "/dev/null"], &["--cacert \"/dev/null\"", "is no PEM"]),
    (&["--cacert", "x", "-k"], &["--insecure", "--cacert", "give one of them"]),
    (&["-k", "--cert", "x"], &["--cert needs the private key", "--key FILE"]),
    (&["-k", "--key", "x"], &["--key needs the certificate", "--cert FILE"]),
    (&["-k", "--tls-min", "1.1"], &["--tls-min 1.1", "no TLS 1.1", "1.2 or 1.3"]),
    (&["-k", "--tls-max", "1.0"], &["--tls-max 1.0", "no TLS 1.0"]),
    (&["-k", "--tls-max", "ssl3"], &["--tls-max \"ssl3\""]),
    (&["-k", "--tls-min", "1.3", "--tls-max", "1.2"], &["--tls-min 1.3 is newer"]),
    (&["-k", "--tls-groups", "x448"], &["\"x448\"", "x25519, secp256r1"]),
    (&["-k", "--tls-resume", "yes"], &["--tls-resume \"yes\"", "on or off"]),
    (&["-k", "--sni", "a:443"], &["--sni \"a:443\"", "without port"]),
    (&["-k", "--alpn", "spdy/3"], &["--alpn \"spdy/3\""]),
    (&["-k", "--http2", "--alpn", "http/1.1"], &["--http2 and --alpn http/1.1"]),
    (&["-k", "--http2-upgrade"], &["--http2-upgrade", "give --http2"]),
    (&["-k", "--calibrate"], &["--calibrate"]),
];

/// Targets that make no sense, and words that the refusal must hold.
const TARGETS: &[(&str, &[&str])] = &[
    ("ftp://localhost/", &["ftp", "supported: http, https, h2c, h2, unix"]),
    ("http://", &["host is missing"]),
    ("http://user:secret@localhost/", &["user and password"]),
    ("localhost:99999", &["99999", "65535"]),
    ("localhost:http", &["\":http\"", "host:port"]),
    ("::1", &["[::1]:8080"]),
    ("http://[::1", &["bracket"]),
    ("http://localhost/a b", &["' '", "%20"]),
    ("http://localhost/a b{{seq}}", &["' '", "%20"]),
    ("http://localhost/{{usr}}", &["\"http://localhost/{{usr}}\": {{usr}} is unknown"]),
    ("http://{{env(NOT_SET_AT_ALL)}}/", &["the environment has no \"NOT_SET_AT_ALL\""]),
    ("http://h:{{random(1,99)}}/", &["its host may be one of 99 and more", "64", "a feed"]),
    ("http://{{choice(a,b c)}}/", &["\"http://b c\"", "' '", "cannot stand in a host name"]),
    ("http://{{uuid}}.example/", &["only known while it runs", "--allow-host http://"]),
    ("http://h{{seq}}/{{usr}}", &["{{usr}} is unknown"]),
    ("{{choice(unix:/a,b)}}/", &["target", "unix:"]),
    ("http://bücher.example/", &["'ü'", "punycode (xn--"]),
    ("", &["target is empty"]),
];

#[test]
fn a_flag_that_makes_no_sense_is_refused_in_one_line_and_nothing_is_sent() {
    let server = Server::answering(OK).unwrap();
    let target = server.target();
    for (flags, words) in FLAGS.iter().chain(SCHEDULES).chain(WIRES) {
        let args = [target.as_str()].into_iter().chain(flags.iter().copied());
        check_refusal(&tests::run(&mut pummel(args)).unwrap(), 2, words);
    }
    let target = format!("https://{target}");
    for (flags, words) in SECURED {
        let args = [target.as_str()].into_iter().chain(flags.iter().copied());
        check_refusal(&tests::run(&mut pummel(args)).unwrap(), 2, words);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_system_without_roots_says_how_to_do_without() {
    let mut command = pummel(["https://localhost:1"]);
    command.env("SSL_CERT_FILE", "/no/such/roots").env_remove("SSL_CERT_DIR");
    let words = ["no root certificates", "/no/such/roots", "--cacert FILE", "--insecure"];
    check_refusal(&tests::run(&mut command).unwrap(), 2, &words);
}

#[test]
fn a_socket_that_is_none_is_named_and_nothing_is_sent() {
    for (args, words) in [
        (["http://h", "--unix-socket", "/no/such.sock"].as_slice(), ["/no/such.sock", "running?"]),
        (&["unix:/no/such.sock"], ["/no/such.sock", "No such file"]),
        (&["unix:/dev/null"], ["/dev/null", "is no socket"]),
    ] {
        let outcome = tests::run(&mut pummel(args.iter().copied())).unwrap();
        check_refusal(&outcome, 1, &[words[0], words[1], "nothing was sent"]);
    }
}

#[test]
fn a_host_without_an_address_of_the_family_is_no_usage_error() {
    let outcome = tests::run(&mut pummel(["127.0.0.1:1", "-6"])).unwrap();
    check_refusal(&outcome, 1, &["\"127.0.0.1\" has no IPv6 address", "nothing was sent"]);
}

#[test]
fn streams_without_http2_are_ignored_with_a_word() {
    let server = Server::answering(OK).unwrap();
    let target = server.target();
    let outcome = tests::run(&mut pummel([&target, "-c", "1", "-n", "9", "--streams", "5"]));
    let outcome = outcome.unwrap();
    assert!(outcome.stderr.contains("--streams is for HTTP/2 and is ignored"), "{outcome:?}");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_target_that_makes_no_sense_is_refused_in_one_line() {
    for (target, words) in TARGETS {
        check_refusal(&tests::run(&mut pummel([*target])).unwrap(), 2, words);
    }
}

#[test]
fn without_a_target_the_refusal_says_what_to_try() {
    check_refusal(&tests::run(&mut pummel([])).unwrap(), 2, &["no target", "pummel demo"]);
}

#[test]
fn a_name_that_does_not_resolve_is_no_usage_error() {
    // The top-level domain `invalid` never resolves (RFC 2606).
    let outcome = tests::run(&mut pummel(["no-such-host.invalid:80"])).unwrap();
    check_refusal(&outcome, 1, &["\"no-such-host.invalid\"", "nothing was sent"]);
}

#[test]
fn more_connections_than_open_files_allow_are_refused_with_the_numbers() {
    let server = Server::answering(OK).unwrap();
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_under-test");
    shell.args(["-c", "ulimit -n 200; exec \"$0\" \"$@\"", program, &server.target(), "-c", "150"]);
    check_refusal(&tests::run(&mut shell).unwrap(), 2, &["-c 150", "the limit is 200", "ulimit"]);
    assert_eq!(server.connections(), 0);
}

#[test]
fn where_no_connection_has_a_file_the_remedy_is_a_higher_limit() {
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_under-test");
    shell.args(["-c", "ulimit -n 20; exec \"$0\" \"$@\"", program, "localhost", "-c", "2"]);
    let words = ["-c 2", "the limit is 20", "raise the limit (ulimit -n)"];
    check_refusal(&tests::run(&mut shell).unwrap(), 2, &words);
}

#[test]
fn a_very_long_argument_is_shown_by_its_beginning() {
    let long = "x".repeat(10_000);
    for args in [
        ["localhost", &format!("--{long}")].as_slice(),
        &["localhost", &long],
        &["localhost", "-c", &long],
        &["localhost", "-t", &long],
        &["localhost", "-q", &long],
        &["localhost", "-H", &long],
        &["localhost", "-H", &format!("{long}: \u{1}")],
        &["localhost", "-X", &format!("{long} ")],
        &["localhost", "-s", &long],
        &["localhost", "-A", &format!("{long}\u{1}")],
        &["localhost", "-D", &format!("/{long}")],
        &["localhost", "--cores", &long],
        &["localhost", "--reactor", &long],
        &["localhost", "--stage", &long],
        &["localhost", "--stage", &format!("{long}:5")],
        &["localhost", "--stage", &format!("1s:{long}")],
        &["localhost", "-q", "5", "--spike", &long],
        &["localhost", "--arrivals", &long],
        &["localhost", "-q", "5", "--on-full", &long],
        &["localhost", "-q", "5", "--pacing", &long],
        &["localhost", "--http-version", &long],
        &["localhost", "--host", &format!("{long}/")],
        &["localhost", "--connect-to", &long],
        &["localhost", "--unix-socket", &long],
        &["localhost", "--source-ip", &long],
        &["localhost", "--close", &long],
        &["localhost", "--connections-per-second", &long],
        &["localhost", "--proxy", &format!("{long}/x")],
        &["localhost", "--proxy", "p", "--proxy-header", &long],
        &["https://localhost", "--cacert", &long],
        &["https://localhost", "-k", "--alpn", &long],
        &["https://localhost", "-k", "--sni", &format!("{long}/")],
        &["https://localhost", "-k", "--tls-min", &long],
        &["https://localhost", "-k", "--tls-groups", &long],
        &["https://localhost", "-k", "--tls-resume", &long],
        &[&format!("localhost/{long} ")],
        &[&format!("localhost:{long}")],
        &[&format!("{long}://localhost")],
        &[&format!("[{long}]")],
        &[&format!("localhost/%{long}")],
    ] {
        let outcome = tests::run(&mut pummel(args.iter().copied())).unwrap();
        check_refusal(&outcome, 2, &["…"]);
        assert!(outcome.stderr.len() < 500, "{outcome:?}");
    }
}

#[test]
fn fewer_connections_than_shards_use_as_many_cpus_and_say_so() {
    if available_parallelism().unwrap().get() < 2 {
        writeln!(io::stderr(), "left out: two shards need two CPUs").unwrap();
        return;
    }
    let server = Server::answering(OK).unwrap();
    let target = server.target();
    let args = [&target, "--shards", "2", "-c", "1", "-n", "10", "-v", "--json"];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let (_, used) =
        outcome.stderr.split_once("2 shards need at least 2 connections; using CPU ").unwrap();
    let (cpu, _) = used.split_once(" only\n").unwrap();
    assert!(outcome.stderr.contains(&format!("shards on CPU {cpu},")), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["plan"]["cores"].to_string(), format!("[{cpu}]"), "{outcome:?}");
}

#[test]
fn the_word_help_is_no_target() {
    let said = |args: &[&str]| tests::run(&mut pummel(args.iter().copied())).unwrap();
    let outcome = said(&["help"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(outcome.stdout, said(&["--help"]).stdout);
    assert_eq!(said(&["help", "demo"]).stdout, said(&["demo", "--help"]).stdout);
}

#[test]
fn a_line_break_in_an_argument_does_not_make_a_second_line() {
    let outcome = tests::run(&mut pummel(["localhost", "-H", "a\nb"])).unwrap();
    check_refusal(&outcome, 2, &["header"]);
    let outcome = tests::run(&mut pummel(["localhost", "-D", "/no\nfile"])).unwrap();
    check_refusal(&outcome, 2, &["/no\\nfile"]);
    check_refusal(&tests::run(&mut pummel(["--a\nb"])).unwrap(), 2, &[]);
}

#[test]
fn a_line_of_wrk_is_told_what_it_says_here() {
    let line = ["-t4", "-c100", "-d30s", "-R2000", "http://127.0.0.1:1/"];
    let refused = tests::run(&mut pummel(line.into_iter().chain(["--latency"]))).unwrap();
    check_refusal(&refused, 2, &["there is no flag \"--latency\": percentiles are always printed"]);
    let taken = tests::run(&mut pummel(["config"].into_iter().chain(line))).unwrap();
    assert_eq!(taken.code, Some(0), "{taken:?}");
    for said in ["-d \"30s\" is the body of the requests", "-t 4 is a duration, and no number of"] {
        assert!(taken.stderr.contains(said), "{taken:?}\nexpected {said}");
    }
}

#[test]
fn cookies_are_not_saved_to_a_file_of_that_name() {
    let outcome = tests::run(&mut pummel(["http://127.0.0.1:1/", "--cookies-save", "-"])).unwrap();
    check_refusal(&outcome, 2, &["--cookies-save - is no file", "give a name"]);
}
