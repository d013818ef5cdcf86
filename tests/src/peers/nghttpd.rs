//! nghttpd, the server of nghttp2.

use std::io;
use std::process::Command;

use super::process::Setting;
use super::{Door, Peer, installed};

impl Peer {
    /// Starts an nghttpd with one door, `Clear` or `Tls`, and these arguments; `None` where it is
    /// not installed. Every path reads what is posted to its end before it answers.
    ///
    /// # Errors
    /// If it does not start, or is not installed and has to be.
    pub fn nghttpd(door: Door, args: &[&str]) -> io::Result<Option<Self>> {
        let Some(program) = installed("nghttpd")? else { return Ok(None) };
        let setting = Setting::new(&[door])?;
        let mut command = Command::new(program);
        command.args(["--address", "127.0.0.1", "--htdocs"]).arg(setting.site.files()).args(args);
        if door == Door::Clear {
            command.arg("--no-tls").arg(setting.port(door));
        } else {
            command.arg(setting.port(door)).arg(setting.site.key()).arg(setting.site.certificate());
        }
        setting.start(&mut command, None).map(Some)
    }
}
