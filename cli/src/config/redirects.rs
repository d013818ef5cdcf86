//! Redirects: how many are followed, and to which hosts they may lead.
//!
//! A server must not be able to have somebody else loaded, so redirects lead to the hosts that the
//! user has named, and nowhere else.

use anyhow::{Context, Result, ensure};
use pummel_engine::plan::{Place, Work};

use super::servers::Servers;
use super::target::{self, TargetUrl};
use crate::args::{Quoted, RequestArgs};

/// How many redirects the requests follow that say nothing else.
pub(super) fn most(args: &RequestArgs) -> Result<u8> {
    bounded(args.redirect.unwrap_or_default()).context("--redirect")
}

/// A number of redirects, if it is one.
pub(super) fn bounded(count: u64) -> Result<u8> {
    let most = u8::try_from(count).ok();
    most.with_context(|| {
        format!("{count} redirects are more than the {} that a request follows at most", u8::MAX)
    })
}

/// The servers that requests name, and behind them those that only redirects and values lead to.
pub(super) fn with_hosts(args: &RequestArgs, servers: &[TargetUrl]) -> Result<Vec<TargetUrl>> {
    let mut all = Servers::default();
    for server in servers {
        all.number(server)?;
    }
    for typed in &args.allow_host {
        let host = target::parse(typed).context("--allow-host")?;
        ensure!(
            host.path == "/" && host.socket.is_none(),
            "--allow-host {}: a host has neither path nor socket; give for example \
             http://localhost:8080",
            Quoted(typed)
        );
        all.number(&host).context("--allow-host")?;
    }
    Ok(all.into_all())
}

/// How redirects name a server.
pub(super) fn place(server: &TargetUrl) -> Place {
    (server.scheme, server.authority.clone())
}

/// The same work, whose requests follow redirects and go where values lead them among `places`, by
/// number.
///
/// # Errors
/// If it cannot, or if what was said of redirects is about none.
pub(super) fn follow(args: &RequestArgs, work: Work, places: &[Place]) -> Result<Work> {
    let (follows, roams) = (work.redirects(), work.roams());
    ensure!(
        follows || roams || args.allow_host.is_empty(),
        "--allow-host says where redirects and values may lead, and there are none; give \
         --redirect or a URL whose host is a value, too, or leave it out"
    );
    ensure!(
        !roams || args.aws_sigv4.is_none(),
        "--aws-sigv4 and a URL whose host is made of values do not go together: a signature is for \
         one host; give each host a URL"
    );
    ensure!(
        !follows || args.aws_sigv4.is_none(),
        "--redirect and --aws-sigv4 do not go together: a signature is for one path, and that of \
         a redirect is not known before the run; leave one of them out"
    );
    Ok(work.following(places)?)
}
