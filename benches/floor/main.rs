//! The floor: what the kernel alone charges for a request.
//!
//! One thread, level-triggered epoll, one `recv` and at most one `send` per turn of a connection.
//! Nothing is parsed: the first response tells how long a response is, and from then on bytes are
//! counted. No clock is read per request and nothing is recorded. A load generator on sockets and
//! epoll cannot cost less; one on `io_uring` that costs as little has hidden all of its own work.

use std::{
    io::{Read, Write},
    mem::MaybeUninit,
    net::{SocketAddr, TcpStream},
    num::NonZeroUsize,
    os::fd::OwnedFd,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use benches::{
    bare_loop::{LoopArgs, LoopReport, Stopwatch, conclude},
    target::{head_length, response_length},
};
use clap::Parser;
use rustix::{
    event::{Timespec, epoll},
    net::{RecvFlags, SendFlags, recv, send},
};

/// Bytes asked of one `recv`: more than any pipeline of small responses fills.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Connections handled per `epoll_wait`.
const EVENTS: usize = 256;
/// A server that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);

/// Measures the CPU time that a request costs with epoll, recv and send alone
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    bare_loop: LoopArgs,
    /// Requests in flight on each connection, at most
    #[arg(long, default_value = "1")]
    pipeline: NonZeroUsize,
}

fn main() -> ExitCode {
    conclude(run(&Args::parse()))
}

/// Opens the connections, drives them to the last answer, and reports.
fn run(args: &Args) -> Result<LoopReport> {
    let request = args.bare_loop.url.request();
    let address = args.bare_loop.url.address();
    let mut floor = Floor {
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        connections: Vec::new(),
        request_bytes: request.len(),
        requests: request.repeat(args.pipeline.get()),
        response_bytes: learn_response_length(address, &request)?,
        received: vec![0; RECEIVE_BYTES],
        pipeline: args.pipeline.get(),
        unsent: usize::try_from(args.bare_loop.requests.get())?,
    };
    floor.connect(address, args.bare_loop.connections.get())?;

    let stopwatch = Stopwatch::start()?;
    floor.run()?;
    Ok(stopwatch.stop(args.bare_loop.requests)?)
}

/// Asks once and returns the length of the answer; every later one must have the same.
fn learn_response_length(address: SocketAddr, request: &[u8]) -> Result<NonZeroUsize> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while answer.len() < RECEIVE_BYTES {
        let count = stream.read(&mut chunk)?;
        ensure!(count > 0, "{address} closed the connection after {} bytes", answer.len());
        answer.extend(chunk.iter().take(count));
        if head_length(&answer).is_none() {
            continue;
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{address} does not answer with 200");
        let length = response_length(&answer).context("a response without Content-Length")?;
        if answer.len() >= length {
            return NonZeroUsize::new(length).context("an empty response");
        }
    }
    bail!("no complete response in the first {RECEIVE_BYTES} bytes");
}

/// One keep-alive connection.
struct Connection {
    stream: TcpStream,
    /// Requests sent and not yet answered.
    unanswered: usize,
    /// Bytes received of the oldest unanswered response.
    partial_bytes: usize,
}

/// The loop and all that it touches.
struct Floor {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// As many copies of the request as a connection may have in flight.
    requests: Vec<u8>,
    request_bytes: usize,
    response_bytes: NonZeroUsize,
    received: Vec<u8>,
    /// Requests in flight on each connection, at most.
    pipeline: usize,
    unsent: usize,
}

impl Floor {
    /// Opens `count` connections and has epoll watch them for bytes.
    fn connect(&mut self, address: SocketAddr, count: u32) -> Result<()> {
        for key in 0..u64::from(count) {
            let stream =
                TcpStream::connect(address).with_context(|| format!("open connection {key}"))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(key);
            epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
            self.connections.push(Connection { stream, unanswered: 0, partial_bytes: 0 });
        }
        Ok(())
    }

    /// Fills every pipeline, then takes turns with the connections until all is answered.
    fn run(&mut self) -> Result<()> {
        let mut unanswered = self.unsent;
        for connection in &mut self.connections {
            let count = self.pipeline.min(self.unsent);
            connection.send(&self.requests, self.request_bytes, count)?;
            self.unsent -= count;
        }
        let silence = Timespec::try_from(SILENCE)?;
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        while unanswered > 0 {
            let (ready, _) = epoll::wait(&self.epoll, &mut events, Some(&silence))?;
            ensure!(!ready.is_empty(), "{unanswered} requests unanswered after {SILENCE:?}");
            for event in ready {
                unanswered -= self.turn(usize::try_from(event.data.u64())?)?;
            }
        }
        Ok(())
    }

    /// Receives once on a connection, fills its pipeline again if that is empty now, and returns
    /// how many responses have finished.
    fn turn(&mut self, key: usize) -> Result<usize> {
        let connection = self.connections.get_mut(key).context("an event of no connection")?;
        let (count, _) =
            recv(&connection.stream, self.received.as_mut_slice(), RecvFlags::empty())?;
        ensure!(count > 0, "the server closed connection {key}");
        let bytes = connection.partial_bytes + count;
        let finished = bytes / self.response_bytes;
        connection.partial_bytes = bytes % self.response_bytes;
        let Some(unanswered) = connection.unanswered.checked_sub(finished) else {
            bail!("more bytes than {} requests explain: lengths vary", connection.unanswered);
        };
        connection.unanswered = unanswered;
        // A pipeline is filled again when it has run dry: fewest calls on both sides.
        if unanswered == 0 && self.unsent > 0 {
            let count = self.pipeline.min(self.unsent);
            connection.send(&self.requests, self.request_bytes, count)?;
            self.unsent -= count;
        }
        Ok(finished)
    }
}

impl Connection {
    /// Sends `count` requests in one call.
    fn send(&mut self, requests: &[u8], request_bytes: usize, count: usize) -> Result<()> {
        let bytes = requests.get(..count * request_bytes).context("more requests than made")?;
        let sent = send(&self.stream, bytes, SendFlags::NOSIGNAL)?;
        // Requests are far smaller than a socket buffer, so the floor keeps no queue.
        ensure!(sent == bytes.len(), "the kernel took {sent} of {} bytes", bytes.len());
        self.unanswered += count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    const RESPONSE: &[&str] = &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"];

    /// Serves `connections` connections; each gets the parts of a response, written one by one, for
    /// every empty line that it sends.
    fn serve(connections: usize, parts: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().take(connections) {
                let mut stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                thread::spawn(move || {
                    let mut ends = 0;
                    let mut byte = [0];
                    while stream.read(&mut byte).is_ok_and(|count| count > 0) {
                        ends = if b"\r\n".contains(&byte[0]) { ends + 1 } else { 0 };
                        for part in parts.iter().filter(|_| ends == 4) {
                            stream.write_all(part.as_bytes()).unwrap();
                        }
                    }
                });
            }
        });
        address
    }

    fn args(address: SocketAddr, requests: &str, pipeline: &str) -> Args {
        let url = format!("http://{address}/");
        let words = format!("floor {url} -c 3 -n {requests} --pipeline {pipeline}");
        Args::parse_from(words.split(' '))
    }

    #[test]
    fn every_request_is_answered_once() {
        let address = serve(4, RESPONSE);
        assert_eq!(run(&args(address, "100", "1")).unwrap().requests, 100);
    }

    #[test]
    fn a_pipeline_may_be_deeper_than_what_is_left_to_send() {
        let address = serve(4, RESPONSE);
        assert_eq!(run(&args(address, "50", "16")).unwrap().requests, 50);
    }

    #[test]
    fn a_response_may_come_in_parts() {
        let address = serve(4, &["HTTP/1.1 200 OK\r\nContent-", "Length: 2\r\n\r", "\no", "k"]);
        assert_eq!(run(&args(address, "50", "2")).unwrap().requests, 50);
    }

    #[test]
    fn more_bytes_than_the_requests_explain_are_an_error() {
        let parts =
            &["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nand more"];
        let error = run(&args(serve(4, parts), "50", "1")).unwrap_err();
        assert!(error.to_string().contains("lengths vary"), "{error}");
    }

    #[test]
    fn an_answer_without_a_length_is_an_error() {
        let address = serve(1, &["HTTP/1.1 200 OK\r\n\r\n"]);
        let error = run(&args(address, "1", "1")).unwrap_err();
        assert!(error.to_string().contains("Content-Length"), "{error}");
    }

    #[test]
    fn a_status_other_than_200_is_an_error() {
        let address = serve(1, &["HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]);
        let error = run(&args(address, "1", "1")).unwrap_err();
        assert!(error.to_string().contains("200"), "{error}");
    }
}
