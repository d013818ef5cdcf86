//! A tiny HTTP server: one thread per connection, one canned response per request.
//!
//! It knows just enough to be loaded: a request ends with an empty line and has no body.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::program::PATIENCE;

/// A server on a free loopback port. Its threads end with the test's process.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
    /// Holds a message from the first request on.
    begun: Receiver<()>,
}

impl Server {
    /// Answers every request with `response`, to the byte.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn answering(response: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (signal, begun) = mpsc::sync_channel(1);
        let server = Self { address, connections: Arc::default(), requests: Arc::default(), begun };
        let connections = Arc::clone(&server.connections);
        let requests = Arc::clone(&server.requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (requests, signal) = (Arc::clone(&requests), signal.clone());
                // A client that goes away ends the loop with an error, which is as good an end as
                // any.
                thread::spawn(move || {
                    serve(&stream, response, || {
                        requests.fetch_add(1, Ordering::SeqCst);
                        // Full when it was told before.
                        let _ = signal.try_send(());
                    })
                });
            }
        });
        Ok(server)
    }

    /// Waits for the first request.
    ///
    /// # Errors
    /// If none comes within a minute.
    pub fn first_request(&self) -> io::Result<()> {
        self.begun.recv_timeout(PATIENCE).map_err(io::Error::other)
    }

    /// Its address, as a target.
    #[must_use]
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// Connections it has accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests it has read to their end.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, response: &str, count: impl Fn()) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    let mut to = stream;
    while lines.read_line(&mut line)? > 0 {
        if line == "\r\n" {
            count();
            to.write_all(response.as_bytes())?;
        }
        line.clear();
    }
    Ok(())
}
