//! Where connections go and where they come from: the host of the URL, or what was said instead.

use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::proxy::ProxyUrl;
use super::target::{self, TargetUrl};
use crate::args::{Quoted, WireArgs};

/// The two ends of a connection, before any name is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) to: Destination,
    pub(crate) family: Family,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A name or an address, and a port.
    Host(String, u16),
    /// A Unix socket.
    Socket(PathBuf),
}

/// Which addresses of a host are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    pub(super) const fn holds(self, address: IpAddr) -> bool {
        matches!(
            (self, address),
            (Self::Any, _) | (Self::V4, IpAddr::V4(_)) | (Self::V6, IpAddr::V6(_))
        )
    }

    /// Its name beside `address`, where it must have one.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::V4 => "IPv4 ",
            Self::V6 => "IPv6 ",
        }
    }

    const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// The server as host and port: those of the URL, or where `--connect-to` leads from there. If none
/// of its rules is about this target, that is to be said.
pub(super) fn server(
    args: &WireArgs,
    target: &TargetUrl,
) -> Result<((String, u16), Option<String>)> {
    let (host, port) = (target.host.as_str(), target.port);
    let mut rules = Vec::new();
    for typed in &args.connect_to {
        rules
            .push(Detour::parse(typed).with_context(|| format!("--connect-to {}", Quoted(typed)))?);
    }
    if let Some(rule) = rules.iter().find(|rule| rule.is_for(host, port)) {
        return Ok((rule.lead(host, port), None));
    }
    let remark = (!rules.is_empty()).then(|| {
        format!(
            "--connect-to says nothing about {}, and changes nothing",
            Quoted(&target.authority)
        )
    });
    Ok(((host.to_owned(), port), remark))
}

/// Where connections go, with the server at `server`.
pub(super) fn understand(
    args: &WireArgs,
    target: &TargetUrl,
    server: (String, u16),
    proxy: Option<&ProxyUrl>,
) -> Result<Way> {
    let socket = args.unix_socket.as_ref().or(target.socket.as_ref());
    let mut family = match (args.ipv4, args.ipv6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        (false, false) => Family::Any,
    };
    if let Some(path) = socket {
        for (flag, given) in [
            ("--proxy", proxy.is_some()),
            ("--source-ip", !args.source_ip.is_empty()),
            ("--connect-to", !args.connect_to.is_empty()),
            ("--ipv4", args.ipv4),
            ("--ipv6", args.ipv6),
        ] {
            ensure!(
                !given,
                "{flag} and a Unix socket do not go together; leave {flag} out, or give a host"
            );
        }
        ensure!(
            args.unix_socket.is_none() || target.socket.is_none(),
            "--unix-socket and a URL that is a socket do not go together; give one of them"
        );
        target::ensure_socket(path).context("--unix-socket")?;
        return Ok(Way { to: Destination::Socket(path.clone()), family });
    }
    if let Some(&source) = sources(&args.source_ip)?.first() {
        ensure!(
            family.holds(source),
            "--source-ip {source} is no {}address; leave --ipv4 and --ipv6 out",
            family.name()
        );
        // A connection has two ends of one kind.
        family = Family::of(source);
    }
    let (host, port) = proxy.map_or(server, |proxy| (proxy.host.clone(), proxy.port));
    Ok(Way { to: Destination::Host(host, port), family })
}

/// Addresses that connections come from: of one family, each named once, and all of this machine.
pub(super) fn sources(lists: &[String]) -> Result<Vec<IpAddr>> {
    let mut sources: Vec<IpAddr> = Vec::new();
    for word in lists.iter().flat_map(|list| list.split(',')) {
        let Ok(address) = word.trim_matches(['[', ']']).parse::<IpAddr>() else {
            bail!("--source-ip {} is no address; give for example 10.0.0.5,10.0.0.6", Quoted(word));
        };
        ensure!(!sources.contains(&address), "--source-ip {address} is named twice");
        let family = sources.first().map_or(Family::Any, |&first| Family::of(first));
        ensure!(
            family.holds(address),
            "--source-ip {address} is no {}address as those before it; give one kind",
            family.name()
        );
        // Nothing is sent by a datagram socket that is bound to a port of no meaning.
        UdpSocket::bind((address, 0)).map_err(|error| {
            anyhow::anyhow!("--source-ip {address} cannot be used here ({error}); see `ip address`")
        })?;
        sources.push(address);
    }
    Ok(sources)
}

/// A rule of `--connect-to`. What is `None` matches anything, or stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Detour {
    from: (Option<String>, Option<u16>),
    to: (Option<String>, Option<u16>),
}

impl Detour {
    fn parse(text: &str) -> Result<Self> {
        let (from_host, rest) = host(text)?;
        let (from_port, rest) = rest.split_once(':').context(FORM)?;
        let (to_host, rest) = host(rest)?;
        ensure!(!rest.contains(':'), FORM);
        Ok(Self { from: (from_host, port(from_port)?), to: (to_host, port(rest)?) })
    }

    fn is_for(&self, host: &str, port: u16) -> bool {
        let named = self.from.0.as_deref().is_none_or(|name| name.eq_ignore_ascii_case(host));
        named && self.from.1.is_none_or(|number| number == port)
    }

    fn lead(&self, host: &str, port: u16) -> (String, u16) {
        (self.to.0.clone().unwrap_or_else(|| host.to_owned()), self.to.1.unwrap_or(port))
    }
}

const FORM: &str = "write HOST:PORT:HOST:PORT, for example example.org:443:127.0.0.1:8443";

/// The host that `text` begins with, and what follows the colon behind it.
fn host(text: &str) -> Result<(Option<String>, &str)> {
    let end = if text.starts_with('[') { text.find(']').map_or(0, |end| end + 1) } else { 0 };
    let (bracketed, rest) = text.split_at(end);
    let (name, rest) = rest.split_once(':').context(FORM)?;
    ensure!(bracketed.is_empty() || name.is_empty(), FORM);
    if name.is_empty() && bracketed.is_empty() {
        return Ok((None, rest));
    }
    let (host, _) = target::host_and_port(&format!("{bracketed}{name}"), 0)?;
    Ok((Some(host), rest))
}

fn port(text: &str) -> Result<Option<u16>> {
    if text.is_empty() {
        return Ok(None);
    }
    target::host_and_port(&format!("h:{text}"), 0).map(|(_, port)| Some(port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use proptest::prelude::*;

    fn at(line: &str) -> Result<(Way, bool)> {
        let args = args::words(&format!("p {line}")).run;
        let target = target::parse(args.target.any().unwrap())?;
        let (server, remark) = server(&args.wire, &target)?;
        Ok((understand(&args.wire, &target, server, None)?, remark.is_some()))
    }

    #[track_caller]
    fn check(line: &str, host: &str, port: u16) {
        let (way, _) = at(line).unwrap();
        assert_eq!(way.to, Destination::Host(host.to_owned(), port), "{line}");
    }

    #[track_caller]
    fn check_refused(line: &str, words: &str) {
        let said = format!("{:#}", at(line).unwrap_err());
        assert!(said.contains(words), "{line}: {said}");
    }

    #[test]
    fn the_first_rule_that_is_about_the_target_leads_elsewhere() {
        check("https://h/x", "h", 443);
        check("https://h --connect-to h:443:g:1", "g", 1);
        check("https://H --connect-to h:443:[::1]:1", "::1", 1);
        check("http://[::1]:8 --connect-to [::1]:8:g:", "g", 8);
        check("http://h --connect-to :::1", "h", 1);
        check("http://h --connect-to ::g:", "g", 80);
        check("http://h --connect-to h:81:g:1 --connect-to h::g:2 --connect-to h:80:g:3", "g", 2);
        assert!(at("http://h --connect-to g:::1").unwrap().1);
        assert!(!at("http://h --connect-to h:::1").unwrap().1);
        check("http://h --connect-to g:::1", "h", 80);
    }

    #[test]
    fn a_rule_that_is_none_is_refused() {
        for rule in ["", "h", "h:80", "h:80:g", "h:80:g:1:2", "::1:80:g:1", "[::1:80:g:1", "[h]:::"]
        {
            check_refused(&format!("http://h --connect-to={rule}"), "--connect-to");
        }
        check_refused("http://h --connect-to h:0:g:1", "1 to 65535");
        check_refused("http://h --connect-to h:80:g/:1", "cannot stand in a host name");
    }

    proptest! {
        #[test]
        fn a_rule_reads_back_as_it_was_written(
            from in prop::option::of("[a-z0-9.-]{1,9}"),
            from_port in prop::option::of(1_u16..),
            to in prop::option::of(any::<std::net::Ipv6Addr>()),
            to_port in prop::option::of(1_u16..),
        ) {
            let text = |port: Option<u16>| port.map_or(String::new(), |port| port.to_string());
            let bracketed = to.map_or(String::new(), |to| format!("[{to}]"));
            let name = from.clone().unwrap_or_default();
            let rule = format!("{name}:{}:{bracketed}:{}", text(from_port), text(to_port));
            let to = to.map(|to| to.to_string());
            let expected = Detour { from: (from, from_port), to: (to, to_port) };
            prop_assert_eq!(Detour::parse(&rule).unwrap(), expected);
        }

        #[test]
        fn no_text_breaks_the_parser(text in "[\\[\\]:a0é]{0,12}") {
            let _ = Detour::parse(&text);
        }
    }

    #[test]
    fn a_socket_stands_for_the_host() {
        for line in ["http://h --unix-socket /a", "https://h --unix-socket /a", "unix:/a"] {
            assert_eq!(at(line).unwrap().0.to, Destination::Socket("/a".into()), "{line}");
        }
        for flag in ["--source-ip 127.0.0.1", "--connect-to :::1", "-4", "--ipv6"] {
            check_refused(&format!("http://h --unix-socket /a {flag}"), "a Unix socket do not go");
        }
        check_refused("unix:/a --unix-socket /b", "give one of them");
        let long = format!("http://h --unix-socket /{}", "x".repeat(107));
        check_refused(&long, "1 to 107 bytes");
    }

    #[test]
    fn a_family_may_be_chosen_and_sources_choose_theirs() {
        let of = |line: &str| at(line).unwrap().0.family;
        assert_eq!(of("http://h"), Family::Any);
        assert_eq!(of("http://h -4"), Family::V4);
        assert_eq!(of("http://h --ipv6"), Family::V6);
        assert_eq!(of("http://h --source-ip 127.0.0.1"), Family::V4);
        assert_eq!(of("http://h -4 --source-ip 127.0.0.2"), Family::V4);
        check_refused("http://h -6 --source-ip 127.0.0.1", "is no IPv6 address");
        let v4 = "127.0.0.1".parse().unwrap();
        assert!(Family::Any.holds(v4) && Family::V4.holds(v4) && !Family::V6.holds(v4));
    }

    #[test]
    fn sources_are_addresses_of_this_machine_and_of_one_kind() {
        let read = |lists: &[&str]| {
            sources(&lists.iter().map(|&list| list.to_owned()).collect::<Vec<_>>())
        };
        let expected =
            ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|a| a.parse::<IpAddr>().unwrap());
        assert_eq!(read(&["127.0.0.1,127.0.0.2", "127.0.0.3"]).unwrap(), expected);
        let said = |list: &str| read(&[list]).unwrap_err().to_string();
        assert!(said("127.0.0.1,x").contains("\"x\" is no address"));
        assert!(said("").contains("\"\" is no address"));
        assert!(said("127.0.0.1,127.0.0.1").contains("named twice"));
        assert!(said("127.0.0.1,::1").contains("is no IPv4 address as those before it"));
        // Set aside for documents (RFC 5737).
        assert!(said("192.0.2.1").contains("--source-ip 192.0.2.1 cannot be used here"));
    }
}
