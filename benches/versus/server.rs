//! The server that all contenders load: nginx, pummel's own target, or one that already runs.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use benches::clock;
use serde::Serialize;
use tempfile::TempDir;

use crate::{
    machine::{find, first_line},
    meter::MeterArgs,
    metered::Metered,
};

/// Where packages put nginx, which is not in the `PATH` of everybody.
const NGINX: &str = "/usr/sbin/nginx";
/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(10);
/// How often a starting server is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Which server to load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// nginx if it is installed, else pummel's target.
    Available,
    /// nginx, with a configuration of ours.
    Nginx,
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
            "target" => Ok(Self::Target),
            url if url.starts_with("http://") => Ok(Self::Url(url.to_owned())),
            _ => Err("not one of available, nginx, target, http://…"),
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
    /// Starts the chosen server on a core and waits until it answers.
    ///
    /// It ends after `bound` seconds at the latest. `pummel` is the program that `Choice::Target`
    /// means.
    ///
    /// # Errors
    /// The server is not installed, or does not answer in time.
    pub(crate) fn start(choice: &Choice, pummel: &Path, core: usize, bound: u64) -> Result<Self> {
        let nginx =
            find("nginx").or_else(|| Some(NGINX.into()).filter(|path: &PathBuf| path.is_file()));
        match (choice, nginx) {
            (Choice::Url(url), _) => Ok(Self {
                name: url.clone(),
                url: url.clone(),
                core: None,
                _process: None,
                _directory: None,
            }),
            (Choice::Nginx | Choice::Available, Some(nginx)) => start_nginx(&nginx, core, bound),
            (Choice::Nginx, None) => bail!("find nginx; try --server target"),
            (Choice::Target | Choice::Available, _) => start_target(pummel, core, bound),
        }
    }
}

/// Starts nginx with one worker that answers 13 bytes from memory.
fn start_nginx(program: &Path, core: usize, bound: u64) -> Result<Server> {
    let directory = tempfile::tempdir()?;
    // nginx cannot choose a port itself. The one found here is free again when nginx binds it;
    // should anybody else take it in between, nginx says so and the comparison does not start.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let configuration = directory.path().join("nginx.conf");
    fs::write(&configuration, nginx_configuration(directory.path(), address))?;

    let program = program.to_string_lossy().into_owned();
    let name = first_line(&program, &["-v"]).replace("nginx version: ", "");
    let configuration = configuration.to_string_lossy().into_owned();
    let args = MeterArgs {
        core,
        bound,
        directory: directory.path().to_owned(),
        command: vec![program, "-c".to_owned(), configuration],
    };
    let answers = |_: &Metered| TcpStream::connect(address).is_ok().then_some(());
    let (process, ()) = await_ready(Metered::start(&args)?, answers)?;
    Ok(Server {
        name,
        url: format!("http://{address}/"),
        core: Some(core),
        _process: Some(process),
        _directory: Some(directory),
    })
}

/// The configuration of nginx, with every file that it insists on inside `directory`.
fn nginx_configuration(directory: &Path, address: SocketAddr) -> String {
    let directory = directory.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path \"{directory}/{name}\";\n"))
        .concat();
    format!(
        "daemon off;\n\
         worker_processes 1;\n\
         pid \"{directory}/pid\";\n\
         error_log stderr;\n\
         events {{ worker_connections 32768; }}\n\
         http {{\n{paths}    \
             access_log off;\n    \
             keepalive_requests 1000000000;\n    \
             keepalive_timeout 1h;\n    \
             server {{\n        \
                 listen {address} backlog=4096;\n        \
                 location / {{ return 200 \"Hello, World!\"; }}\n    \
             }}\n\
         }}\n"
    )
}

/// Starts pummel's own target and reads its address from its first line.
fn start_target(pummel: &Path, core: usize, bound: u64) -> Result<Server> {
    let directory = tempfile::tempdir()?;
    let program = pummel.to_string_lossy().into_owned();
    let arguments = format!("target --listen 127.0.0.1:0 --cores {core}");
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
        assert!("https://h/".parse::<Choice>().is_err());
    }

    #[test]
    fn braces_of_the_nginx_configuration_balance() {
        let text = nginx_configuration(Path::new("/d"), "127.0.0.1:1".parse().unwrap());
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        assert!(text.contains("listen 127.0.0.1:1 backlog=4096;"), "{text}");
        assert!(text.contains("pid \"/d/pid\";"), "{text}");
    }
}
