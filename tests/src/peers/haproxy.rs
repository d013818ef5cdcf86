//! haproxy, which speaks for an nginx.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::process::Setting;
use super::{Door, Limits, Peer, installed};

impl Peer {
    /// Starts an haproxy with the doors `Plain`, `Clear` and `Tls` in front of an nginx; `None`
    /// where one of them is not installed.
    ///
    /// It does not limit the requests of a connection.
    ///
    /// # Errors
    /// If one does not start, or is not installed and has to be.
    pub fn haproxy(limits: Limits) -> io::Result<Option<Self>> {
        let Some(program) = installed("haproxy")? else { return Ok(None) };
        let Some(behind) = Self::nginx(Limits::default())? else { return Ok(None) };
        let setting = Setting::new(&[Door::Plain, Door::Clear, Door::Tls])?;
        let configuration = setting.configure(&configure(&setting, &behind, limits))?;
        let mut command = Command::new(program);
        setting.start(command.args(["-db", "-f"]).arg(configuration), Some(behind)).map(Some)
    }
}

impl Peer {
    /// Starts an haproxy that is spoken to in HTTP/2 in the clear, and passes all that it is asked,
    /// tunnels included, on to `behind` in HTTP/1.1; `None` where it is not installed.
    ///
    /// # Errors
    /// If it does not start, or is not installed and has to be.
    pub fn haproxy_before(behind: SocketAddr) -> io::Result<Option<Self>> {
        let Some(program) = installed("haproxy")? else { return Ok(None) };
        let setting = Setting::new(&[Door::Clear])?;
        let clear = setting.address(Door::Clear);
        let configuration = setting.configure(&format!(
            "global
  nbthread 1
{TIMES}frontend doors
  bind {clear} proto h2
  default_backend behind
backend behind
  server one {behind}
"
        ))?;
        let mut command = Command::new(program);
        setting.start(command.args(["-db", "-f"]).arg(configuration), None).map(Some)
    }
}

/// For how long haproxy waits.
const TIMES: &str = "defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
";

fn configure(setting: &Setting, behind: &Peer, Limits { streams, .. }: Limits) -> String {
    let [plain, clear, tls] =
        [Door::Plain, Door::Clear, Door::Tls].map(|door| setting.address(door));
    let both = setting.site.certificate_and_key();
    let both = both.display();
    let behind = behind.address(Door::Plain);
    format!(
        "global
  nbthread 1
  tune.h2.max-concurrent-streams {streams}
{TIMES}frontend doors
  bind {plain}
  bind {clear} proto h2
  bind {tls} ssl crt {both} alpn h2,http/1.1
  default_backend behind
backend behind
  server one {behind}
"
    )
}
