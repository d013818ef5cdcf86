//! The server as its clients see it: over real sockets, on both reactors.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use clap::Parser;
use pummel_engine::plan::{Group, Resumption, Tls, TlsVersion, Trust};
use pummel_engine::tls::{Connector, Progress, Session};
use pummel_proto_http::h2::frame::{
    END_HEADERS, END_STREAM, HEADER_BYTES, Header, Kind, PREFACE, write_header, write_settings,
    write_window_update,
};
use serde_json::Value;

use super::law::{Service, Times};
use super::record::Arrival;
use super::*;
use crate::config::pem;
use pummel_engine::units::Nanos;

/// Bounds every read: a server that hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(10);

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs `exercise` against a target with these `flags` on either reactor, and returns what the
/// targets said about it.
fn on_both(flags: &str, exercise: impl Fn(SocketAddr)) -> Vec<Value> {
    ["uring", "epoll"].into_iter().filter_map(|reactor| on(reactor, flags, &exercise)).collect()
}

/// The same on one reactor; `None` if there is no such one here.
fn on(reactor: &str, flags: &str, exercise: &impl Fn(SocketAddr)) -> Option<Value> {
    let words = ["target", "--reactor", reactor].into_iter().chain(flags.split_whitespace());
    let args = Words::parse_from(words).target;
    let stop = Arc::new(AtomicBool::new(false));
    let target = match Target::start(&args, Arc::clone(&stop)) {
        Err(ServeError::Reactor(error)) => {
            stderr::line(&format!("not tested on {reactor}: {error}"));
            return None;
        }
        started => started.unwrap(),
    };
    exercise(target.url.split("://").nth(1).unwrap().parse().unwrap());
    stop.store(true, Ordering::Relaxed);
    Some(serde_json::to_value(target.join().unwrap()).unwrap())
}

/// The same with a record of arrivals, for each reactor that there is.
fn recorded(flags: &str, exercise: impl Fn(SocketAddr)) -> Vec<(Value, Vec<Arrival>)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let on = |reactor| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pummel-arrivals-{}-{number}.csv", std::process::id());
        let path = std::env::temp_dir().join(name);
        let flags = format!("{flags} --log-arrivals {}", path.display());
        let said = on(reactor, &flags, &exercise)?;
        let rows = record::read(BufReader::new(File::open(&path).unwrap())).unwrap();
        fs::remove_file(path).unwrap();
        Some((said, rows))
    };
    ["uring", "epoll"].into_iter().filter_map(on).collect()
}

struct Client(BufReader<TcpStream>);

#[derive(Debug, PartialEq, Eq)]
struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "cut after {head:?}");
        }
        head
    }

    /// A response with a body, if its head says so.
    fn response(&mut self) -> Response {
        let head = self.head();
        let status = head[9..12].parse().unwrap();
        let body = if head.contains("chunked") {
            self.chunks()
        } else {
            let length = head
                .split("Content-Length: ")
                .nth(1)
                .map_or("0", |rest| rest.split("\r\n").next().unwrap());
            let mut body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut body).unwrap();
            body
        };
        Response { status, head, body }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let (size, extension) = line.trim().split_once(';').unwrap_or((line.trim(), ""));
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                assert_eq!(self.head(), "Served-By: pummel\r\n\r\n");
                return body;
            }
            assert!(extension.starts_with("part="), "{line:?}");
            let mut chunk = vec![0; size + 2];
            self.0.read_exact(&mut chunk).unwrap();
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// What comes until the connection ends, and how it ends.
    fn rest(&mut self) -> (Vec<u8>, io::Result<usize>) {
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        (rest, end)
    }

    #[track_caller]
    fn check_ended(&mut self) {
        let (rest, end) = self.rest();
        assert_eq!(rest, b"");
        assert_eq!(end.unwrap(), 0);
    }
}

#[test]
fn connections_survive_thousands_of_requests() {
    let said = on_both("", |address| {
        let mut clients: Vec<Client> = (0..8).map(|_| Client::new(address)).collect();
        for _ in 0..5_000 / clients.len() {
            for client in &mut clients {
                client.send(GET);
            }
            for client in &mut clients {
                assert_eq!(client.response().body, b"hello, world\n");
            }
        }
    });
    for said in said {
        assert_eq!(said["connections"], 8);
        assert_eq!(said["requests"], 5_000);
        assert_eq!(said["responses"], 5_000);
        assert_eq!(said["by_status"]["200"], 5_000);
        assert_eq!(said["arrivals"]["count"], 5_000);
        assert_eq!(said["gaps_ns"]["count"], 4_999);
        assert_eq!(said["bytes"]["received"], 5_000 * GET.len());
        assert_eq!(said["bad_requests"], 0);
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let said = on_both("--status 200,201,500", |address| {
        let mut client = Client::new(address);
        for _ in 0..20 {
            client.send(GET.repeat(150));
            for k in 0..150 {
                assert_eq!(client.response().status, [200, 201, 500][k % 3]);
            }
        }
    });
    for said in said {
        assert_eq!(said["by_status"]["500"], 1_000);
    }
}

#[test]
fn more_pipelined_requests_than_one_send_can_answer_are_all_answered() {
    on_both("--body-size 1000", |address| {
        let mut client = Client::new(address);
        let mut writer = client.0.get_ref().try_clone().unwrap();
        let sender = thread::spawn(move || writer.write_all(GET.repeat(5_000).as_bytes()));
        for _ in 0..5_000 {
            assert_eq!(client.response().body.len(), 1_000);
        }
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_body_larger_than_every_buffer_arrives_whole() {
    on_both("--body-size 20000000", |address| {
        let mut client = Client::new(address);
        client.send(GET.repeat(2));
        for _ in 0..2 {
            let body = client.response().body;
            assert_eq!(body.len(), 20_000_000);
            assert!(body.chunks(13).all(|text| b"hello, world\n".starts_with(text)));
        }
    });
}

#[test]
fn split_requests_are_read_to_their_end() {
    on_both("", |address| {
        let mut client = Client::new(address);
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5;x\r\nGET /\r\n0\r\nT: 1\r\n\r\n";
        let length = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /";
        for byte in [GET, chunked, length, GET].concat().bytes() {
            client.send([byte]);
        }
        for _ in 0..4 {
            assert_eq!(client.response().status, 200);
        }
    });
}

#[test]
fn a_chunked_body_comes_with_extensions_and_a_trailer() {
    on_both("--chunked --body-size 100", |address| {
        let mut client = Client::new(address);
        client.send(GET.repeat(3));
        for _ in 0..3 {
            assert_eq!(client.response().body.len(), 100);
        }
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let old = client.response();
        assert!(old.head.contains("Connection: keep-alive") && old.body.len() == 100);
    });
}

#[test]
fn an_answer_to_head_has_no_body() {
    on_both("", |address| {
        let mut client = Client::new(address);
        let head = "HEAD / HTTP/1.1\r\n\r\n";
        client.send([head, GET, head].concat());
        assert!(client.head().contains("Content-Length: 13"));
        assert_eq!(client.response().body.len(), 13);
        client.head();
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        client.check_ended();
    });
}

#[test]
fn connections_close_after_as_many_requests_as_asked_for() {
    let said = on_both("--close-after 3", |address| {
        for _ in 0..5 {
            let mut client = Client::new(address);
            client.send(GET.repeat(5));
            for last in [false, false, true] {
                assert_eq!(client.response().head.contains("Connection: close"), last);
            }
            client.check_ended();
        }
    });
    for said in said {
        assert_eq!((&said["connections"], &said["requests"]), (&5.into(), &15.into()));
    }
}

#[test]
fn a_client_that_wants_the_connection_to_end_gets_its_way() {
    on_both("", |address| {
        for request in ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            let mut client = Client::new(address);
            client.send(request);
            assert!(client.response().head.contains("Connection: close"));
            client.check_ended();
        }
    });
}

#[test]
fn a_client_that_has_ended_its_side_still_gets_its_answers() {
    on_both("--delay 2ms", |address| {
        let mut client = Client::new(address);
        client.send(GET.repeat(3));
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        for _ in 0..3 {
            assert_eq!(client.response().status, 200);
        }
        client.check_ended();
    });
}

#[test]
fn a_client_that_expects_it_is_told_to_continue() {
    on_both("", |address| {
        let mut client = Client::new(address);
        client.send("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
        assert!(client.head().starts_with("HTTP/1.1 100 "));
        client.send("ok");
        assert_eq!(client.response().status, 200);
    });
}

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
    let said = on_both("", |address| {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
        for (bytes, status) in [("\x16\x03\x01\r\n", 400), ("GET /\r\n\r\n", 400), (&long, 431)] {
            let mut client = Client::new(address);
            client.send(bytes);
            assert_eq!(client.response().status, status);
        }
        let mut client = Client::new(address);
        client.send([GET, "nonsense\r\n\r\n"].concat());
        assert_eq!(client.response().status, 200);
        assert_eq!(client.response().status, 400);
        client.check_ended();
    });
    for said in said {
        assert_eq!((&said["bad_requests"], &said["requests"]), (&4.into(), &1.into()));
    }
}

#[test]
fn every_fault_is_what_it_says() {
    on_both("--reset-every 2 --body-size 1000", |address| {
        let mut client = Client::new(address);
        client.send(GET);
        client.response();
        client.send(GET);
        assert!(client.head().contains("Content-Length: 1000"));
        let (body, end) = client.rest();
        assert_eq!(body.len(), 500);
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
    for (kind, expected) in [
        ("half-head", "HTTP/1.1 200 OK\r\n"),
        ("wrong-length", "Length: 26"),
        ("garbage", "\x16\x03"),
    ] {
        let said = on_both(&format!("--break {kind} --break-every 2"), |address| {
            let mut client = Client::new(address);
            client.send(GET.repeat(2));
            client.response();
            let (broken, end) = client.rest();
            end.unwrap();
            let broken = String::from_utf8(broken).unwrap();
            assert!(broken.contains(expected), "{broken:?}");
            if kind == "wrong-length" {
                assert!(broken.ends_with("\r\n\r\nhello, world\n"), "{broken:?}");
            }
        });
        assert!(said.iter().all(|said| said["broken"] == 1 && said["responses"] == 1));
    }
}

#[test]
fn a_request_that_is_passed_over_in_silence_holds_back_those_behind_it() {
    let said = on_both("--silent-every 2", |address| {
        let mut client = Client::new(address);
        client.send(GET.repeat(3));
        assert_eq!(client.response().status, 200);
        // Another connection is not concerned, and has its answer before nothing more came on the
        // first.
        let mut other = Client::new(address);
        other.send(GET);
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        client.check_ended();
    });
    assert!(said.iter().all(|said| said["silent"].as_u64() >= Some(1)));
}

#[test]
fn silence_does_not_outlive_a_client_that_has_ended_its_side() {
    on_both("--silent-every 1 --delay 1ms", |address| {
        let mut client = Client::new(address);
        client.send(GET);
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
        client.check_ended();
    });
}

#[test]
fn timed_replies_never_leave_before_their_time() {
    let flags = "--delay 3ms --slow-every 3 --slow-by 4ms --drip 2ms --body-size 50 --spin=false";
    let said = on_both(flags, |address| {
        let mut client = Client::new(address);
        for k in 1..=6 {
            let asked = clock::now();
            client.send(GET);
            assert_eq!(client.response().body.len(), 50);
            let least = if k % 3 == 0 { 9 } else { 5 };
            let took = clock::now().since(asked).get() / 1_000_000;
            assert!(took >= least, "{took} ms for request {k}");
        }
    });
    assert!(said.iter().all(|said| said["responses"] == 6));
}

#[test]
fn a_slow_reply_holds_back_the_quick_ones_behind_it() {
    on_both("--slow-every 2 --slow-by 5ms --status 200,201,202,203", |address| {
        let mut client = Client::new(address);
        client.send(GET.repeat(4));
        for status in 200..=203 {
            assert_eq!(client.response().status, status);
        }
    });
}

#[test]
fn each_fault_has_its_own_turn_and_cuts_the_body_in_the_middle() {
    let flags = "--silent-every 4 --reset-every 4 --reset-offset 2";
    let said = on_both(flags, |address| {
        for k in 1..=8 {
            let mut client = Client::new(address);
            client.send(GET);
            match k % 4 {
                0 => {
                    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
                    client.check_ended();
                }
                2 => {
                    assert!(client.head().contains("Content-Length: 13"));
                    let (body, end) = client.rest();
                    assert_eq!(body, b"hello,");
                    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
                }
                _ => assert_eq!(client.response().body, b"hello, world\n"),
            }
        }
    });
    for said in said {
        assert_eq!((&said["silent"], &said["resets"]), (&2.into(), &2.into()));
        assert_eq!((&said["responses"], &said["requests"]), (&4.into(), &8.into()));
    }
}

#[test]
fn the_record_says_of_each_request_when_it_was_answered_and_on_which_connection() {
    let flags = "--delay 2ms --spin=false --silent-every 7";
    let runs = recorded(flags, |address| {
        let mut one = Client::new(address);
        one.send(GET.repeat(3));
        (0..3).for_each(|_| drop(one.response()));
        let mut other = Client::new(address);
        for _ in 0..3 {
            other.send(GET);
            other.response();
        }
        // The seventh gets none, and so do those behind it.
        other.send(GET.repeat(2));
        other.0.get_ref().shutdown(Shutdown::Write).unwrap();
        other.check_ended();
    });
    for (said, rows) in runs {
        assert_eq!(said["recorded"].to_string(), r#"{"left_out":0,"rows":8}"#);
        let connections: Vec<u32> = rows.iter().map(|row| row.connection).collect();
        assert_eq!(connections, [0, 0, 0, 1, 1, 1, 1, 1]);
        assert_eq!(said["arrivals"]["first_ns"], rows[0].arrived.since_origin());
        assert_eq!(said["arrivals"]["last_ns"], rows[7].arrived.since_origin());
        for (k, row) in (1..).zip(&rows) {
            assert_eq!((row.shard, row.sequence), (0, k));
            let planned = row.arrived + Nanos::from_millis(2);
            assert_eq!(row.planned, (k != 7).then_some(planned), "{row:?}");
            assert_eq!(row.replied.is_some(), k < 7, "{row:?}");
            assert!(row.replied.is_none_or(|replied| replied >= planned), "{row:?}");
        }
    }
}

#[test]
fn in_the_record_only_requests_are_rows_whatever_else_is_sent() {
    let runs = recorded("--delay 2ms --drip 2ms --spin=false --body-size 100", |address| {
        let mut client = Client::new(address);
        let put = "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        client.send([put, "ok"].concat());
        assert!(client.head().starts_with("HTTP/1.1 100 "));
        client.response();
        client.send([GET, "nonsense\r\n\r\n"].concat());
        assert_eq!([client.response().status, client.response().status], [200, 400]);
    });
    for (said, rows) in runs {
        assert_eq!((rows.len(), &said["requests"]), (2, &2.into()));
        for row in rows {
            // The interim answer left before, and is none of it.
            assert_eq!(row.planned, Some(row.arrived + Nanos::from_millis(2)));
            assert!(row.replied >= row.planned, "{row:?}");
        }
    }
}

#[test]
fn a_queue_in_the_record_is_lindleys_recursion() {
    let flags = "--service-time 200us --service-law exponential --seed 5 --spin=false";
    let runs = recorded(flags, |address| {
        let mut clients: Vec<Client> = (0..4).map(|_| Client::new(address)).collect();
        for _ in 0..20 {
            for client in &mut clients {
                client.send(GET.repeat(2));
            }
            for client in &mut clients {
                client.response();
                client.response();
            }
        }
    });
    let mean = Nanos::from_micros(200);
    for (said, rows) in runs {
        assert_eq!(said["service"]["seed"], 5);
        assert_eq!(rows.len(), 160);
        let mut times = Times::of(Service::Exponential { mean, seed: 5 }.of_shard(0));
        let mut idle_at = Instant::from_origin(0);
        for row in rows {
            idle_at = row.arrived.max(idle_at) + times.draw().unwrap();
            assert_eq!(row.planned, Some(idle_at));
            assert!(row.replied >= row.planned);
        }
    }
}

#[test]
fn shards_have_rows_of_their_own() {
    let runs = recorded("--shards 2", |address| {
        let mut clients: Vec<Client> = (0..32).map(|_| Client::new(address)).collect();
        for _ in 0..2 {
            for client in &mut clients {
                client.send(GET);
                client.response();
            }
        }
    });
    for (said, rows) in runs {
        assert_eq!(rows.len(), 64);
        let names: BTreeSet<(u32, u32)> =
            rows.iter().map(|row| (row.shard, row.sequence)).collect();
        assert_eq!(names.len(), 64);
        for (shard, own) in said["shards"].as_array().unwrap().iter().enumerate() {
            let rows = rows.iter().filter(|row| row.shard as usize == shard).count();
            assert_eq!((&own["requests"], &own["recorded"]["rows"]), (&rows.into(), &rows.into()));
        }
        let seconds = said["arrivals"]["per_second"]["counts"].as_array().unwrap();
        assert_eq!(seconds.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), 64);
    }
}

#[test]
fn shards_serve_one_address_together() {
    let said = on_both("--shards 2", |address| {
        let mut clients: Vec<Client> = (0..32).map(|_| Client::new(address)).collect();
        for client in &mut clients {
            client.send(GET);
            client.response();
        }
    });
    for said in said {
        assert_eq!(said["connections"], 32);
        assert_eq!(said["shards"].as_array().unwrap().len(), 2);
        assert_eq!(said["gaps_of"], "shards");
    }
}

#[test]
fn a_shard_that_cannot_start_ends_the_others_and_is_the_reason() {
    let args = Words::parse_from(["target", "--reactor", "epoll", "--duration", "10s"]).target;
    let stop = Arc::new(AtomicBool::new(false));
    // No machine has that CPU; the first shard is pinned to none, and would serve on.
    let cpus = vec![None, Some(1_000_000)];
    let Err(error) = Target::start_on(cpus, &args, Arc::clone(&stop)) else {
        panic!("it listens with a shard that is lost");
    };
    assert_eq!(error.to_string(), "shard 1 failed: cannot be pinned to CPU 1000000");
    assert!(stop.load(Ordering::Relaxed));
}

#[test]
fn a_shard_that_panics_ends_the_others() {
    let stop = Arc::new(AtomicBool::new(false));
    let last_will = LastWill(Arc::clone(&stop));
    let lost = thread::spawn(move || {
        let _held = last_will;
        panic!("on purpose");
    });
    assert!(lost.join().is_err() && stop.load(Ordering::Relaxed));
}

/// What a client of HTTP/2 sends first when it has nothing to set, and a request for `/`.
fn preface() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    write_settings(&mut bytes, &[]);
    bytes
}

/// The content of a stream, read frame by frame to its end.
fn content(from: &mut impl Read, stream: u32) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header).unwrap();
        let header = Header::parse(&header);
        let mut payload = vec![0; header.length as usize];
        from.read_exact(&mut payload).unwrap();
        if header.stream == stream && header.kind == Kind::Data {
            content.extend_from_slice(&payload);
        }
        if header.stream == stream && header.has(END_STREAM) {
            return content;
        }
    }
}

/// A request on a stream: `:method` GET, `:scheme` http, `:path` /, all of the static table.
fn get_on(stream: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let flags = END_HEADERS | END_STREAM;
    write_header(&mut bytes, Header { length: 3, kind: Kind::Headers, flags, stream });
    bytes.extend_from_slice(&[0x82, 0x86, 0x84]);
    bytes
}

#[test]
fn one_port_speaks_http_2_and_changes_to_it_when_asked() {
    let said = on_both("--body-size 60000", |address| {
        let body: Vec<u8> = b"hello, world\n".iter().copied().cycle().take(60_000).collect();
        let mut client = Client::new(address);
        client.send(preface());
        client.send(get_on(1));
        assert_eq!(content(&mut client.0, 1), body);
        // Both at once do not fit into the window of the connection.
        client.send(get_on(3));
        let mut update = Vec::new();
        write_window_update(&mut update, 0, 1_000_000);
        client.send(update);
        assert_eq!(content(&mut client.0, 3), body);

        let mut client = Client::new(address);
        client.send(GET);
        assert_eq!(client.response().body, body);
        client.send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        );
        assert!(client.head().starts_with("HTTP/1.1 101 "));
        assert_eq!(content(&mut client.0, 1), body);
        client.send(preface());
        client.send(get_on(3));
        client.0.get_mut().shutdown(Shutdown::Write).unwrap();
        let (rest, end) = client.rest();
        assert!(rest.len() > 1_000 && end.is_ok());
    });
    for said in said {
        let protocols = r#"{"h2":2,"http/1.1":0,"upgraded":1}"#;
        assert_eq!(said["protocols"].to_string(), protocols);
        assert_eq!((&said["requests"], &said["bad_requests"]), (&5.into(), &0.into()));
        assert_eq!(said["streams"]["opened"], 4);
    }
}

/// A client that speaks TLS and believes the certificate in this file.
struct Secured {
    stream: TcpStream,
    session: Session,
    plain: Vec<u8>,
    progress: Progress,
}

impl Secured {
    fn new(address: SocketAddr, certificate: &Path, alpn: &str) -> Self {
        let roots = pem::certificates("--cacert", certificate).unwrap();
        let tls = Tls {
            server_name: "127.0.0.1".into(),
            trust: Trust::Roots(roots.into()),
            identity: None,
            versions: (TlsVersion::Tls12, TlsVersion::Tls13),
            groups: vec![Group::X25519],
            alpn: vec![alpn.into()],
            resumption: Resumption::On,
        };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let session = Connector::new(&tls).unwrap().connect().unwrap();
        let progress = Progress::Handshaking;
        let mut client = Self { stream, session, plain: Vec::new(), progress };
        let mut out = Vec::new();
        client.session.begin(&mut out).unwrap();
        client.stream.write_all(&out).unwrap();
        while client.progress == Progress::Handshaking {
            client.hear();
        }
        assert_eq!(client.session.agreed().unwrap().alpn.unwrap().name(), alpn);
        client
    }

    fn send(&mut self, plain: &[u8]) {
        let mut out = Vec::new();
        self.session.write(plain, &mut out).unwrap();
        self.stream.write_all(&out).unwrap();
    }

    fn hear(&mut self) {
        let mut bytes = vec![0; 16 * 1024];
        let len = loop {
            match self.stream.read(&mut bytes) {
                // Another test of this process has raised a signal.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.unwrap(),
            }
        };
        assert_ne!(len, 0, "cut");
        let (mut out, plain) = (Vec::new(), &mut self.plain);
        let heard = self.session.receive(&mut bytes[..len], &mut out, |part| {
            plain.extend_from_slice(part);
        });
        self.progress = heard.unwrap();
        self.stream.write_all(&out).unwrap();
    }
}

#[test]
fn replies_of_any_length_are_sealed_and_the_session_ends_in_an_orderly_way() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let flags = "--tls --close-after 3 --body-size 200000 --write-cert";
    let said = on_both(&format!("{flags} {}", file.path().display()), |address| {
        let mut client = Secured::new(address, file.path(), "http/1.1");
        client.send(GET.repeat(3).as_bytes());
        while client.progress != Progress::Ended {
            client.hear();
        }
        let text = str::from_utf8(&client.plain).unwrap();
        let bodies: Vec<_> = text.split("\r\n\r\n").skip(1).collect();
        assert_eq!(bodies.len(), 3);
        for body in bodies {
            let body = body.split("HTTP/1.1").next().unwrap();
            assert_eq!(body, &"hello, world\n".repeat(20_000)[..200_000]);
        }

        let mut client = Secured::new(address, file.path(), "h2");
        client.send(&[preface(), get_on(1)].concat());
        while client.plain.len() < 60_000 {
            client.hear();
        }

        // What is no TLS at all is told so, and let go.
        let mut client = Client::new(address);
        client.send(GET);
        let (alert, _) = client.rest();
        assert_eq!(alert.first(), Some(&0x15));
    });
    for said in said {
        assert_eq!(said["url"].as_str().unwrap().split(':').next(), Some("https"));
        assert_eq!(said["tls"].to_string(), r#"{"failed":1,"handshakes":2,"resumed":0}"#);
        assert_eq!(said["protocols"].to_string(), r#"{"h2":1,"http/1.1":1,"upgraded":0}"#);
    }
}
