//! Servers of other people: a second opinion to our own.
//!
//! They run when they are installed. When one is not, a test says so and passes, so that everybody
//! can run the tests; in the integration (`CI=true`) it fails, so that none is left out for good.

mod caddy;
mod h2o;
mod haproxy;
mod nghttpd;
mod nginx;
mod nginx_site;
mod port;
mod process;
mod site;

pub use nginx::{Nginx, Seen, nginx};
pub use process::{Door, Peer};
pub use site::{SIZES, Site};

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

/// What a server allows a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests, after which it says good-bye.
    pub requests: u32,
    /// Streams at a time.
    pub streams: u32,
}

impl Default for Limits {
    /// As many requests as may come, and a hundred streams.
    fn default() -> Self {
        Self { requests: 1_000_000, streams: 100 }
    }
}

/// A command of a client of other people's; `None` where it is not installed.
///
/// # Errors
/// If it is not installed and has to be.
pub fn client(program: &str) -> io::Result<Option<Command>> {
    Ok(installed(program)?.map(Command::new))
}

/// The path of `program`, if it is installed.
fn installed(program: &str) -> io::Result<Option<PathBuf>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where the path of users does not look.
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(system);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        absent(program)?;
    }
    Ok(found)
}

fn absent(program: &str) -> io::Result<()> {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Err(io::Error::other(format!("{program} is not installed, and CI=true")));
    }
    // Not by a macro, whose words the harness would keep to itself.
    writeln!(io::stderr(), "left out: {program} is not installed")
}

/// `line` where this process is root's, and nothing elsewhere: a server of root becomes somebody
/// else, who may not read our files, unless it is told not to.
fn if_root(line: &str) -> &str {
    if rustix::process::geteuid().is_root() { line } else { "" }
}
