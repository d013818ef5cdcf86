//! A tiny proxy that opens tunnels, asked in HTTP/1.1: two threads per tunnel.
//!
//! Those who speak HTTP/2 to their clients want one of these behind them.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A proxy on a free loopback port. Its threads end with the test's process.
#[derive(Debug)]
pub struct Tunnels {
    address: SocketAddr,
    opened: Arc<AtomicU64>,
}

impl Tunnels {
    /// Opens tunnels to wherever is asked for.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let tunnels = Self { address: listener.local_addr()?, opened: Arc::default() };
        let opened = Arc::clone(&tunnels.opened);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let opened = Arc::clone(&opened);
                // Whoever goes away ends a tunnel with an error, which is as good an end as any.
                thread::spawn(move || lead(&client, &opened));
            }
        });
        Ok(tunnels)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many tunnels there were.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }
}

/// Opens the tunnel that `client` asks for, and carries what goes through it to the end.
fn lead(client: &TcpStream, opened: &AtomicU64) -> io::Result<()> {
    let mut lines = BufReader::new(client);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["CONNECT", authority, _] = words[..] else {
        let mut answer = client;
        return answer.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
    };
    let server = TcpStream::connect(authority)?;
    let mut field = String::new();
    while lines.read_line(&mut field)? > 2 {
        field.clear();
    }
    opened.fetch_add(1, Ordering::SeqCst);
    let mut answer = client;
    answer.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (back, to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || carry(&mut &back, &to));
    // What came with the question is in the reader.
    carry(&mut lines, &server)
}

/// Carries all that comes `from` one side to the other, and then its end.
fn carry(from: &mut impl io::Read, mut to: &TcpStream) -> io::Result<()> {
    io::copy(from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
