//! The server's side of TLS on a connection of a [`Puppet`](crate::Puppet).

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Issued;

/// Who shows a certificate, and agrees to protocols.
#[derive(Clone, Debug)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

/// A connection that is secured.
#[derive(Debug)]
pub struct TlsStream {
    stream: StreamOwned<ServerConnection, TcpStream>,
}

impl TlsServer {
    /// A server that shows `issued` and agrees to `protocols`; with none it leaves the protocol
    /// open.
    ///
    /// # Errors
    /// If the files hold no certificate and key.
    pub fn new(issued: &Issued, protocols: &[&str]) -> io::Result<Self> {
        let read = |pem: Vec<u8>| CertificateDer::from_pem_slice(&pem).map_err(io::Error::other);
        let certificate = read(fs::read(&issued.certificate)?)?;
        let key = PrivateKeyDer::from_pem_slice(&fs::read(&issued.key)?);
        let key = key.map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_no_client_auth().with_single_cert(vec![certificate], key)
            });
        let mut config = config.map_err(io::Error::other)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self { config: Arc::new(config) })
    }

    /// What it is, for servers of other people.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Secures a connection; the handshake is made when something is read.
    ///
    /// # Errors
    /// If the library has no random numbers.
    pub fn accept(&self, stream: TcpStream) -> io::Result<TlsStream> {
        let session = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        Ok(TlsStream { stream: StreamOwned::new(session, stream) })
    }
}

impl TlsStream {
    /// Ends the session in an orderly way, with a `close_notify`.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub fn close(&mut self) -> io::Result<()> {
        self.stream.conn.send_close_notify();
        self.stream.flush()
    }

    /// Ends the session with an alert, as if a record of the client's had been changed on its way.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub fn alert(&mut self) -> io::Result<()> {
        // A header of 32 bytes of data, and a seal that is none.
        let mut forged = vec![23, 3, 3, 0, 32];
        forged.resize(5 + 32, 0);
        self.stream.conn.read_tls(&mut &forged[..])?;
        if self.stream.conn.process_new_packets().is_ok() {
            return Err(io::Error::other("a forged record was taken"));
        }
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut self.stream.sock)?;
        }
        Ok(())
    }
}

impl Read for TlsStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.read(bytes)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
