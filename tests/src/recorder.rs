//! A server that remembers what it was asked for, in HTTP/1.1 and HTTP/2, in the clear and in TLS.
//!
//! What reads the requests is the work of other people, so that what is remembered is what a server
//! sees, and not what we believe to have said.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderName;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;

use crate::{Issued, TlsServer};

/// A server on a free loopback port, on a thread that ends with the test's process.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When its last byte had been read.
    pub at: Instant,
    /// The number of its connection, counted from 0.
    pub connection: u64,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: Version,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The field lines in their order, their names in lowercase; the authority of HTTP/2 is `host`.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a request is met with.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// A response with this status, and two bytes of body.
    Status(u16),
    /// A response with this status, with these fields and this body.
    Said(u16, &'static [(&'static str, &'static str)], &'static [u8]),
    /// A reset: of the connection in HTTP/1.1, of the stream in HTTP/2.
    Reset,
}

/// What tells an [`Answer`] to each request.
type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// What the tasks of a server share.
#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Script>,
}

impl Asked {
    /// The value of the only field line of this name, if there is exactly one.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        let only = found.next().map(|(_, value)| value.as_str());
        only.filter(|_| found.next().is_none())
    }

    /// The body as text; what is none is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Recorder {
    /// A server in the clear, which answers every request with 200.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn new() -> io::Result<Self> {
        Self::answering(None, |_| Answer::Status(200))
    }

    /// A server that answers as `script` says; with `issued` over TLS, where the client chooses
    /// between `h2` and `http/1.1`.
    ///
    /// # Errors
    /// If no port can be had, or the certificate is none.
    pub fn answering(
        issued: Option<&Issued>,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let tls = issued.map(|issued| TlsServer::new(issued, &["h2", "http/1.1"])).transpose()?;
        let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let asked = Arc::default();
        let shared = Shared { asked: Arc::clone(&asked), script: Arc::new(script) };
        let runtime = Builder::new_current_thread().enable_io().build()?;
        // It ends with the process; an error of one connection is no concern of the others.
        thread::spawn(move || runtime.block_on(listen(listener, acceptor, shared)));
        Ok(Self { address, asked })
    }

    /// Its address, as a target.
    #[must_use]
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// All requests so far, in the order in which they arrived whole.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn listen(
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Shared,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    let mut number = 0;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_zero_linger()?;
        tokio::spawn(serve(stream, number, acceptor.clone(), shared.clone()));
        number += 1;
    }
}

/// Serves a connection to its end.
async fn serve(stream: TcpStream, number: u64, acceptor: Option<TlsAcceptor>, shared: Shared) {
    match acceptor {
        None => converse(stream, number, shared).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, number, shared).await;
            }
        }
    }
}

/// Speaks HTTP, in the version that the first bytes say.
async fn converse<S>(stream: S, number: u64, shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, number, shared.clone()));
    let http = auto::Builder::new(TokioExecutor::new());
    // However it ends: what was asked for is remembered.
    let _ended = http.serve_connection(TokioIo::new(stream), service).await;
}

/// Reads a request to its end, remembers it and answers.
async fn answer(
    request: Request<Incoming>,
    connection: u64,
    shared: Shared,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let authority =
        head.uri.authority().map(|authority| ("host".to_owned(), authority.to_string()));
    let line = |(name, value): (&HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let asked = Asked {
        at: now(),
        connection,
        version: head.version,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        fields: authority.into_iter().chain(head.headers.iter().map(line)).collect(),
        body: body.to_vec(),
    };
    let answer = (shared.script)(&asked);
    shared.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    match answer {
        Answer::Status(status) => {
            let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
            *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
            Ok(response)
        }
        Answer::Said(status, fields, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in fields {
                response = response.header(*name, *value);
            }
            response.body(Full::new(Bytes::from_static(body))).map_err(io::Error::other)
        }
        Answer::Reset => Err(io::Error::other("as the script says")),
    }
}

#[expect(clippy::disallowed_methods, reason = "it is no clock of the program")]
fn now() -> Instant {
    Instant::now()
}
