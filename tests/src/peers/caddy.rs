//! caddy: HTTP/2 as Go knows it.

use std::io;
use std::process::Command;

use super::process::Setting;
use super::{Door, Limits, Peer, installed};

impl Peer {
    /// Starts a caddy with the doors `Plain`, `Clear`, `Upgrade` and `Tls`, and an nginx behind
    /// that takes what is posted to `/take`; `None` where one of them is not installed. `/early`
    /// answers before it has read what is posted.
    ///
    /// # Errors
    /// If one does not start, or is not installed and has to be.
    pub fn caddy() -> io::Result<Option<Self>> {
        let Some(program) = installed("caddy")? else { return Ok(None) };
        let Some(behind) = Self::nginx(Limits::default())? else { return Ok(None) };
        let setting = Setting::new(&[Door::Plain, Door::Clear, Door::Tls])?;
        let configuration = setting.configure(&configure(&setting, &behind))?;
        let mut command = Command::new(program);
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(configuration)
            // It keeps files at home.
            .env("HOME", setting.site.path())
            .env("XDG_DATA_HOME", setting.site.path())
            .env("XDG_CONFIG_HOME", setting.site.path());
        setting.start(&mut command, Some(behind)).map(Some)
    }
}

fn configure(setting: &Setting, behind: &Peer) -> String {
    let [plain, clear, tls] = [Door::Plain, Door::Clear, Door::Tls].map(|door| setting.port(door));
    let behind = behind.address(Door::Plain);
    let folder = setting.site.path().display();
    format!(
        "{{
	admin off
	auto_https off
	servers {{
		protocols h1 h2 h2c
	}}
}}
(pages) {{
	bind 127.0.0.1
	handle /take {{
		reverse_proxy {behind}
	}}
	handle /early {{
		respond ok
	}}
	handle {{
		root * {folder}/files
		file_server
	}}
}}
http://:{plain}, http://:{clear} {{
	import pages
}}
https://:{tls} {{
	import pages
	tls {folder}/certificate.pem {folder}/key.pem
}}
"
    )
}
