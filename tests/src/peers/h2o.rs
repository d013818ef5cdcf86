//! h2o.

use std::io;
use std::process::Command;

use super::process::Setting;
use super::{Door, Limits, Peer, if_root, installed};

impl Peer {
    /// Starts an h2o with the doors `Plain`, `Clear`, `Upgrade` and `Tls`; `None` where it is not
    /// installed. `/take` reads what is posted to its end before it answers.
    ///
    /// It does not limit the requests of a connection.
    ///
    /// # Errors
    /// If it does not start, or is not installed and has to be.
    pub fn h2o(limits: Limits) -> io::Result<Option<Self>> {
        let Some(program) = installed("h2o")? else { return Ok(None) };
        let setting = Setting::new(&[Door::Plain, Door::Clear, Door::Tls])?;
        let configuration = setting.configure(&configure(&setting, limits))?;
        let mut command = Command::new(program);
        setting.start(command.arg("-c").arg(configuration), None).map(Some)
    }
}

fn configure(setting: &Setting, Limits { streams, .. }: Limits) -> String {
    let [plain, clear, tls] = [Door::Plain, Door::Clear, Door::Tls].map(|door| setting.port(door));
    let folder = setting.site.path().display();
    let user = if_root("user: root");
    format!(
        r#"
num-threads: 1
{user}
http2-max-concurrent-requests-per-connection: {streams}
listen: {{ host: 127.0.0.1, port: {plain} }}
listen: {{ host: 127.0.0.1, port: {clear} }}
listen:
  host: 127.0.0.1
  port: {tls}
  ssl: {{ certificate-file: {folder}/certificate.pem, key-file: {folder}/key.pem }}
hosts:
  default:
    paths:
      "/": {{ file.dir: {folder}/files }}
      "/take":
        mruby.handler: |
          Proc.new do |env|
            [200, {{}}, ["ok"]]
          end
"#
    )
}
