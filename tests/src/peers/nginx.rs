//! An nginx that counts: how many connections it has accepted, and how many requests.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::installed;

/// An nginx on a free loopback port, which answers `GET /` with `ok`. It ends when dropped.
#[derive(Debug)]
pub struct Nginx {
    address: SocketAddr,
    child: Child,
    /// Its configuration and its files.
    _folder: TempDir,
}

/// What an nginx has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Connections that it has accepted.
    pub connections: u64,
    /// Requests that it has begun to answer.
    pub requests: u64,
}

/// Starts an nginx that closes a connection after `keepalive_requests`; `None` where it is not
/// installed.
///
/// # Errors
/// If it does not start, or is not installed and has to be.
pub fn nginx(keepalive_requests: u64) -> io::Result<Option<Nginx>> {
    let Some(program) = installed("nginx")? else { return Ok(None) };
    // It listens already, and nginx inherits it as its standard input: the port cannot be lost to
    // somebody else, and connections wait in the queue until nginx takes them.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let folder = tempfile::tempdir()?;
    let configuration = folder.path().join("nginx.conf");
    fs::write(&configuration, configure(address, keepalive_requests))?;
    let child = Command::new(program)
        .env("NGINX", "0;")
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(&configuration)
        .args(["-e", "stderr"])
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Some(Nginx { address, child, _folder: folder }))
}

fn configure(address: SocketAddr, keepalive_requests: u64) -> String {
    format!(
        "daemon off; pid nginx.pid;
         events {{ worker_connections 1024; }}
         http {{
           access_log off;
           client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
           uwsgi_temp_path uwsgi; scgi_temp_path scgi;
           keepalive_requests {keepalive_requests};
           server {{
             listen {address};
             location / {{ return 200 ok; }}
             location = /seen {{ stub_status; }}
           }}
         }}"
    )
}

impl Nginx {
    /// Its address, as a target.
    #[must_use]
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// What it has seen so far, without this question.
    ///
    /// # Errors
    /// If it does not answer as nginx does.
    pub fn seen(&self) -> io::Result<Seen> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /seen HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        // "server accepts handled requests", and the numbers on the next line.
        let mut lines = answer.lines().skip_while(|line| !line.starts_with("server accepts"));
        let numbers = lines.nth(1).unwrap_or_default().split_whitespace();
        let numbers: Vec<u64> = numbers.filter_map(|word| word.parse().ok()).collect();
        let [accepted, _, requests] = numbers[..] else {
            return Err(io::Error::other(format!("not a status of nginx: {answer:?}")));
        };
        Ok(Seen { connections: accepted - 1, requests: requests - 1 })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // In good order, or its worker would live on. Both fail only if it has ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
