//! The server that all contenders load: nginx, h2o, pummel's own target, or one that already runs.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use benches::clock;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::geteuid;
use serde::Serialize;
use tempfile::TempDir;

use crate::{
    case::Case,
    machine::{find, first_line},
    meter::MeterArgs,
    metered::Metered,
};

/// Where packages put nginx, which is not in the `PATH` of everybody.
const NGINX: &str = "/usr/sbin/nginx";
/// What h2o answers with, from a file.
const HELLO: &str = "Hello, World!";
/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(10);
/// How often a starting server is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Which server to load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// The one that a case is meant for if it is installed, else pummel's target.
    Available,
    /// nginx, with a configuration of ours.
    Nginx,
    /// h2o, with a configuration of ours.
    H2o,
    /// `pummel target`.
    Target,
    /// A server that somebody else runs.
    Url(String),
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "available" => Ok(Self::Available),
            "nginx" => Ok(Self::Nginx),
            "h2o" => Ok(Self::H2o),
            "target" => Ok(Self::Target),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::Url(url.to_owned()))
            }
            _ => Err("not one of available, nginx, h2o, target, http://…, https://…"),
        }
    }
}

/// A server that answers; ours ends when this value is dropped.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    /// Its name and version.
    pub(crate) name: String,
    /// Where it answers.
    pub(crate) url: String,
    /// The core that it is pinned to, when we pinned it.
    pub(crate) core: Option<usize>,
    // Dropped in this order: the process first, then the directory that it writes to.
    #[serde(skip)]
    _process: Option<Metered>,
    #[serde(skip)]
    _directory: Option<TempDir>,
}

impl Server {
    /// Starts the chosen server and waits until it answers.
    ///
    /// # Errors
    /// The server is not installed, or does not answer in time.
    pub(crate) fn start(choice: &Choice, place: &Place<'_>) -> Result<Self> {
        let nginx =
            find("nginx").or_else(|| Some(NGINX.into()).filter(|path: &PathBuf| path.is_file()));
        let h2o = find("h2o");
        let many = place.case.is_many_streams();
        match (choice, nginx, h2o) {
            (Choice::Url(url), ..) => Ok(Self {
                name: url.clone(),
                url: url.clone(),
                core: None,
                _process: None,
                _directory: None,
            }),
            (Choice::H2o, _, Some(h2o)) => start_h2o(&h2o, place),
            (Choice::Available, _, Some(h2o)) if many => start_h2o(&h2o, place),
            (Choice::Nginx, Some(nginx), _) => start_nginx(&nginx, place),
            (Choice::Available, Some(nginx), _) if !many => start_nginx(&nginx, place),
            (Choice::Nginx, None, _) => bail!("find nginx; try --server target"),
            (Choice::H2o, _, None) => bail!("find h2o; try --server target"),
            (Choice::Target | Choice::Available, ..) => start_target(place),
        }
    }
}

/// What a server is started for, and where.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// What it must know.
    pub(crate) case: Case,
    /// Its core.
    pub(crate) core: usize,
    /// Seconds after which it ends at the latest.
    pub(crate) bound: u64,
    /// The program that [`Choice::Target`] means.
    pub(crate) pummel: &'a Path,
}

impl Place<'_> {
    /// Starts a command in a directory and waits until somebody listens at `address`.
    fn start(
        &self,
        command: Vec<String>,
        address: SocketAddr,
        directory: &Path,
    ) -> Result<Metered> {
        let Self { core, bound, .. } = *self;
        let args = MeterArgs { core, bound, directory: directory.to_owned(), command };
        let answers = |_: &Metered| TcpStream::connect(address).is_ok().then_some(());
        let (process, ()) = await_ready(Metered::start(&args)?, answers)?;
        Ok(process)
    }
}

/// An address for a server that cannot choose a port itself. It is free again when the server binds
/// it; should anybody else take it in between, the server says so and the comparison does not
/// start.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Writes a certificate for `127.0.0.1`, which nobody verifies, and its key into a directory.
fn certify(directory: &Path) -> Result<()> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).context("make a certificate")?;
    fs::write(directory.join("certificate.pem"), cert.pem())?;
    fs::write(directory.join("key.pem"), signing_key.serialize_pem())?;
    Ok(())
}

/// Starts nginx with one worker that answers 13 bytes from memory.
fn start_nginx(program: &Path, place: &Place<'_>) -> Result<Server> {
    let directory = tempfile::tempdir()?;
    let address = free_address()?;
    certify(directory.path())?;
    let configuration = directory.path().join("nginx.conf");
    fs::write(&configuration, nginx_configuration(directory.path(), address, place.case))?;

    let program = program.to_string_lossy().into_owned();
    let name = first_line(&program, &["-v"]).replace("nginx version: ", "");
    let configuration = configuration.to_string_lossy().into_owned();
    let command = vec![program, "-c".to_owned(), configuration];
    let process = place.start(command, address, directory.path())?;
    Ok(Server {
        name,
        url: format!("{}://{address}/", place.case.scheme()),
        core: Some(place.core),
        _process: Some(process),
        _directory: Some(directory),
    })
}

/// Starts h2o with one thread that answers 13 bytes from a file.
fn start_h2o(program: &Path, place: &Place<'_>) -> Result<Server> {
    let directory = tempfile::tempdir()?;
    let address = free_address()?;
    certify(directory.path())?;
    fs::create_dir(directory.path().join("files"))?;
    fs::write(directory.path().join("files/hello"), HELLO)?;
    let configuration = directory.path().join("h2o.conf");
    fs::write(&configuration, h2o_configuration(directory.path(), address, place.case))?;

    let program = program.to_string_lossy().into_owned();
    let name = first_line(&program, &["--version"]).replace(" version ", "/");
    let configuration = configuration.to_string_lossy().into_owned();
    let command = vec![program, "-c".to_owned(), configuration];
    let process = place.start(command, address, directory.path())?;
    Ok(Server {
        name,
        url: format!("{}://{address}/hello", place.case.scheme()),
        core: Some(place.core),
        _process: Some(process),
        _directory: Some(directory),
    })
}

/// The configuration of nginx, with every file that it insists on inside `directory`.
fn nginx_configuration(directory: &Path, address: SocketAddr, case: Case) -> String {
    let directory = directory.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path \"{directory}/{name}\";\n"))
        .concat();
    let tls = if case.is_tls() { " ssl" } else { "" };
    let http2 = if case.is_http2() { " http2" } else { "" };
    let keep = if case.lasts() { "1h" } else { "0" };
    // A handshake is a full one: there is nothing to take up.
    format!(
        "daemon off;\n\
         worker_processes 1;\n\
         pid \"{directory}/pid\";\n\
         error_log stderr;\n\
         events {{ worker_connections 32768; }}\n\
         http {{\n{paths}    \
             access_log off;\n    \
             keepalive_requests 1000000000;\n    \
             keepalive_timeout {keep};\n    \
             ssl_certificate \"{directory}/certificate.pem\";\n    \
             ssl_certificate_key \"{directory}/key.pem\";\n    \
             ssl_protocols TLSv1.3;\n    \
             ssl_session_cache off;\n    \
             ssl_session_tickets off;\n    \
             server {{\n        \
                 listen {address}{tls}{http2} backlog=4096;\n        \
                 location / {{ return 200 \"{HELLO}\"; }}\n    \
             }}\n\
         }}\n"
    )
}

/// The configuration of h2o.
fn h2o_configuration(directory: &Path, address: SocketAddr, case: Case) -> String {
    let directory = directory.display();
    let (host, port) = (address.ip(), address.port());
    let ssl = format!(
        ", ssl: {{certificate-file: {directory}/certificate.pem, key-file: {directory}/key.pem}}"
    );
    let ssl = if case.is_tls() { ssl } else { String::new() };
    // Root's server becomes nobody, who may not read our files.
    let user = if geteuid().is_root() { "user: root\n" } else { "" };
    format!(
        "{user}num-threads: 1\n\
         max-connections: 32768\n\
         http1-request-timeout: 3600\n\
         http2-idle-timeout: 3600\n\
         listen: {{host: {host}, port: {port}{ssl}}}\n\
         hosts:\n  \
           default:\n    \
             paths:\n      \
               /: {{file.dir: {directory}/files}}\n"
    )
}

/// Starts pummel's own target and reads its address from its first line.
fn start_target(place: &Place<'_>) -> Result<Server> {
    let Place { case, core, bound, pummel } = *place;
    let directory = tempfile::tempdir()?;
    let program = pummel.to_string_lossy().into_owned();
    let tls = if case.is_tls() { " --tls" } else { "" };
    let arguments = format!("target --listen 127.0.0.1:0 --cores {core}{tls}");
    let mut command = vec![program];
    command.extend(arguments.split(' ').map(str::to_owned));
    let args = MeterArgs { core, bound, directory: directory.path().to_owned(), command };
    let (process, url) = await_ready(Metered::start(&args)?, |process| {
        let printed = process.printed("stdout");
        // Only a whole line is an address.
        let (line, _) = printed.split_once('\n')?;
        line.strip_prefix("listening on ").map(|url| format!("{}/", url.trim_end_matches('/')))
    })?;
    Ok(Server {
        name: "pummel target".to_owned(),
        url,
        core: Some(core),
        _process: Some(process),
        _directory: Some(directory),
    })
}

/// Looks at a starting server until it is ready.
fn await_ready<T>(
    mut process: Metered,
    ready: impl Fn(&Metered) -> Option<T>,
) -> Result<(Metered, T)> {
    let deadline = clock::now() + START;
    while clock::now() < deadline {
        if let Some(answer) = ready(&process) {
            return Ok((process, answer));
        }
        if process.ends_within(LOOK)? {
            let errors = process.printed("stderr");
            let cost = process.finish().context("start the server")?;
            bail!("the server ended at once, {:?}: {}", cost.end, errors.trim());
        }
    }
    bail!("the server did not answer within {START:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_or_given_by_url() {
        assert_eq!("nginx".parse(), Ok(Choice::Nginx));
        assert_eq!("http://h:1/".parse(), Ok(Choice::Url("http://h:1/".to_owned())));
        assert_eq!("https://h/".parse(), Ok(Choice::Url("https://h/".to_owned())));
        assert!("ftp://h/".parse::<Choice>().is_err());
    }

    #[test]
    fn braces_of_the_configurations_balance() {
        let address = "127.0.0.1:1".parse().unwrap();
        for &case in Case::ALL {
            let nginx = nginx_configuration(Path::new("/d"), address, case);
            let h2o = h2o_configuration(Path::new("/d"), address, case);
            for text in [&nginx, &h2o] {
                assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
            }
            assert!(nginx.contains("pid \"/d/pid\";"), "{nginx}");
        }
    }

    #[test]
    fn nginx_listens_as_a_case_wants_it() {
        let listens = |case, line: &str| {
            let address = "127.0.0.1:1".parse().unwrap();
            let text = nginx_configuration(Path::new("/d"), address, case);
            assert!(text.contains(line), "{text}");
        };
        listens(Case::H1, "listen 127.0.0.1:1 backlog=4096;");
        listens(Case::H1Tls, "listen 127.0.0.1:1 ssl backlog=4096;");
        listens(Case::H2cSingle, "listen 127.0.0.1:1 http2 backlog=4096;");
        listens(Case::H2Tls, "listen 127.0.0.1:1 ssl http2 backlog=4096;");
        listens(Case::Churn, "keepalive_timeout 0;");
    }
}
