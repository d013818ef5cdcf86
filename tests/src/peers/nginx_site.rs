//! nginx, with files and certificates.

use std::io;
use std::process::Command;

use super::process::Setting;
use super::{Door, Limits, Peer, if_root, installed};

impl Peer {
    /// Starts an nginx with the doors `Plain`, `Clear`, `Tls` and `Tls12`; `None` where it is not
    /// installed. `/take` reads what is posted to its end before it answers.
    ///
    /// # Errors
    /// If it does not start, or is not installed and has to be.
    pub fn nginx(limits: Limits) -> io::Result<Option<Self>> {
        let Some(program) = installed("nginx")? else { return Ok(None) };
        let setting = Setting::new(&[Door::Plain, Door::Clear, Door::Tls, Door::Tls12])?;
        let configuration = setting.configure(&configure(&setting, limits))?;
        let mut command = Command::new(program);
        command.arg("-p").arg(setting.site.path()).arg("-c").arg(configuration);
        setting.start(command.args(["-e", "stderr"]), None).map(Some)
    }
}

fn configure(setting: &Setting, Limits { requests, streams }: Limits) -> String {
    let [plain, clear, tls, tls12] =
        [Door::Plain, Door::Clear, Door::Tls, Door::Tls12].map(|door| setting.address(door));
    let folder = setting.site.path().display();
    let user = if_root("user root root;");
    // A location that answers by itself does not wait for a body. One that passes it on reads all
    // of it first, and the server behind may then do as it likes.
    format!(
        "daemon off; pid nginx.pid; worker_processes 1; {user}
         error_log stderr error;
         events {{ worker_connections 1024; }}
         http {{
           access_log off;
           client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
           uwsgi_temp_path uwsgi; scgi_temp_path scgi;
           client_max_body_size 0; keepalive_requests {requests};
           http2_max_concurrent_streams {streams};
           ssl_certificate certificate.pem; ssl_certificate_key key.pem;
           ssl_protocols TLSv1.2 TLSv1.3;
           server {{
             listen {plain};
             listen {clear} http2;
             listen {tls} ssl http2;
             location / {{ root {folder}/files; }}
             location = /take {{ proxy_pass http://unix:{folder}/behind.sock:/; }}
           }}
           server {{
             listen {tls12} ssl http2;
             ssl_protocols TLSv1.2;
             location / {{ root {folder}/files; }}
             location = /take {{ proxy_pass http://unix:{folder}/behind.sock:/; }}
           }}
           server {{
             listen unix:{folder}/behind.sock;
             location / {{ return 200 ok; }}
           }}
         }}"
    )
}
