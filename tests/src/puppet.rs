//! A server that does on each connection what a test says: one thread per connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::program::PATIENCE;

/// A server on a free loopback port. Its threads end with the test's process.
#[derive(Debug)]
pub struct Puppet {
    address: SocketAddr,
}

impl Puppet {
    /// Calls `play` with each connection and its number, counted from 0. When it returns, with an
    /// error or without, the connection is closed; a read takes a minute at most.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn playing(
        play: impl Fn(TcpStream, u64) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let play = Arc::new(play);
        thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let play = Arc::clone(&play);
                thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    play(stream, number)
                });
            }
        });
        Ok(Self { address })
    }

    /// Its address, as a target.
    #[must_use]
    pub fn target(&self) -> String {
        self.address.to_string()
    }
}
