//! A server's process: started, waited for, ended.

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use super::port::Port;
use super::site::Site;

/// How often a server that starts is looked at, and how long that is apart: 20 s together.
const LOOKS: u32 = 1000;
const LOOK: Duration = Duration::from_millis(20);

/// How long a server may take to end in good order.
const GRACE: Duration = Duration::from_secs(2);

/// A way into a server, by what it understands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// HTTP/1.1 in the clear.
    Plain,
    /// HTTP/2 in the clear, known beforehand.
    Clear,
    /// HTTP/2 in the clear, begun as HTTP/1.1.
    Upgrade,
    /// TLS in all versions that the server has.
    Tls,
    /// TLS 1.2 only.
    Tls12,
}

/// A server on free loopback ports. It ends when dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    doors: Vec<(Door, Port)>,
    site: Site,
    /// Who answers in its place, if it only stands in front.
    _behind: Option<Box<Peer>>,
}

/// All that a server is given before it starts.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) site: Site,
    doors: Vec<(Door, Port)>,
}

impl Setting {
    /// Files, a certificate, and a port for each of `doors`.
    pub(super) fn new(doors: &[Door]) -> io::Result<Self> {
        let ports = doors.iter().map(|&door| Ok((door, Port::take()?)));
        Ok(Self { site: Site::new()?, doors: ports.collect::<io::Result<_>>()? })
    }

    /// The address of a door, as text; empty for one that is not planned.
    pub(super) fn address(&self, door: Door) -> String {
        address(&self.doors, door)
    }

    /// The number of a door's port; empty for one that is not planned.
    pub(super) fn port(&self, door: Door) -> String {
        self.address(door).rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// Writes a configuration into the site's folder, and returns its path.
    pub(super) fn configure(&self, text: &str) -> io::Result<PathBuf> {
        let path = self.site.path().join("configuration");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts the server and waits until it listens at every door.
    pub(super) fn start(self, command: &mut Command, behind: Option<Peer>) -> io::Result<Peer> {
        let said = self.site.path().join("said");
        let child = command
            // Servers have children of their own; they are ended together.
            .process_group(0)
            .current_dir(self.site.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?)
            .spawn()?;
        let Self { site, doors } = self;
        let mut peer = Peer { child, doors, site, _behind: behind.map(Box::new) };
        if peer.listens()? {
            return Ok(peer);
        }
        let said = std::fs::read_to_string(said).unwrap_or_default();
        Err(io::Error::other(format!("{command:?} does not listen; it said: {said}")))
    }
}

fn address(doors: &[(Door, Port)], door: Door) -> String {
    let found = doors.iter().find(|(known, _)| *known == door);
    found.map(|(_, port)| port.address().to_string()).unwrap_or_default()
}

impl Peer {
    /// Where `path` is to be had through a door; a path without its host for a door that there is
    /// not.
    #[must_use]
    pub fn url(&self, door: Door, path: &str) -> String {
        let scheme = if matches!(door, Door::Tls | Door::Tls12) { "https" } else { "http" };
        // Upgrade is spoken where HTTP/1.1 is.
        let door = if door == Door::Upgrade { Door::Plain } else { door };
        format!("{scheme}://{}/{path}", address(&self.doors, door))
    }

    /// The address of a door, as text; empty for one that there is not.
    pub(super) fn address(&self, door: Door) -> String {
        address(&self.doors, door)
    }

    /// Whom to believe, what is served.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Waits until every door is open; `false` if the server ended or takes too long.
    fn listens(&mut self) -> io::Result<bool> {
        for _ in 0..LOOKS {
            let mut doors = self.doors.iter();
            if doors.all(|(_, port)| TcpStream::connect(port.address()).is_ok()) {
                return Ok(true);
            }
            if ends_within(&self.child, LOOK)? {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

/// Whether a child ends before so much time has passed.
fn ends_within(child: &Child, time: Duration) -> io::Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let timeout = Timespec::try_from(time).map_err(io::Error::other)?;
    Ok(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout))? > 0)
}

impl Drop for Peer {
    fn drop(&mut self) {
        // In good order first, for a server that takes its children along. All of this fails only
        // once the process has ended, which is what is wanted.
        let leader = Pid::from_child(&self.child);
        let _ = kill_process(leader, Signal::TERM);
        let _ = ends_within(&self.child, GRACE);
        let _ = kill_process_group(leader, Signal::KILL);
        let _ = self.child.wait();
    }
}
