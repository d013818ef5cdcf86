//! What bounds connections: files, ports, the tables that remember them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::demand::{Churn, Demand, To};
use super::super::finding::{Cure, Severity};
use super::Said;
use crate::host::Host;

/// Files for everything but connections: rings, standard streams, libraries.
const FILES_RESERVED: u64 = 64;

/// The first port that needs no privileges, and the last one.
const PORT_FIRST: u16 = 1_024;
const PORT_LAST: u16 = 65_535;

/// How long a port waits after a connection that this side has closed (`TCP_TIMEWAIT_LEN`).
const WAITING_S: f64 = 60.0;

/// How long it does where it may be used again, in ms; the sysctl says so since Linux 6.14.
const REUSE_DELAY_MS: u64 = 1_000;

/// How long a server's queue may be where that is no concern, and at most.
const BACKLOG_USUAL: u64 = 65_535;
const BACKLOG_MAX: u64 = 2_147_483_647;

/// Addresses that are written out where a command names some.
const ADDRESSES_SHOWN_MAX: u64 = 8;

/// What comes before addresses that are added to the loopback interface for `::1`, which has no
/// neighbours: of those that no network but one's own uses.
const LOCAL_PREFIX: Ipv6Addr = Ipv6Addr::new(0xfd6e, 0x4a1c, 0x9b72, 0, 0, 0, 0, 0);

/// How long a firewall keeps what was closed, in seconds, unless its sysctl says otherwise.
const TRACKED_S: u64 = 120;

/// Each connection is an open file.
pub(super) fn open_files(host: &Host, demand: &Demand) -> Option<Said> {
    let (connections, limit) = (demand.connections?, host.files.hard?);
    let need = connections.saturating_add(host.files.open.unwrap_or(0) + FILES_RESERVED);
    (need > limit).then(|| {
        // No hard limit may be above this one, so that it is raised first.
        let most = host.settings.number("fs.nr_open").filter(|most| *most < need);
        let first = || most.map(|_| Cure::set("fs.nr_open", need.to_string()));
        let message = format!(
            "{connections} connections need {need} open files, and the hard limit is {limit}"
        );
        let shell = Cure::command(format!("prlimit --pid $$ --nofile={need}"));
        let unit = format!("LimitNOFILE={need} of its unit, or limits.d and a new login");
        let engine = format!("in a container: docker run --ulimit nofile={need}");
        Said::new(Severity::Impossible, message)
            .counts(need, limit)
            .cure(shell.then(Cure::by("run in the same shell")).after(first()))
            .cure(Cure::by(unit).after(first()))
            .cure(Cure::by(engine).after(first()))
    })
}

/// All programs' files together are bounded, too.
pub(super) fn system_files(host: &Host, demand: &Demand) -> Option<Said> {
    let (connections, open) = (demand.connections?, host.net.files_open?);
    let limit = host.settings.number("fs.file-max")?;
    let need = open.saturating_add(connections);
    (need > limit).then(|| {
        let message = format!(
            "{connections} connections beside {open} open files of the whole machine are {need}, \
             and its limit is {limit}"
        );
        Said::new(Severity::Impossible, message)
            .counts(need, limit)
            .cure(Cure::set("fs.file-max", need.saturating_mul(2).to_string()))
    })
}

/// The ports from `first` to `last` that are not reserved.
fn free_ports(host: &Host, first: u16, last: u16) -> u64 {
    let reserved = host.settings.text("net.ipv4.ip_local_reserved_ports").unwrap_or_default();
    let within = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high) = (low.trim().parse::<u16>().ok()?, high.trim().parse::<u16>().ok()?);
        let (low, high) = (low.max(first), high.min(last));
        (low <= high).then(|| u64::from(high - low) + 1)
    };
    let reserved: u64 = reserved.split(',').filter_map(within).sum();
    (u64::from(last.saturating_sub(first)) + 1).saturating_sub(reserved)
}

/// The local ports that connections from one address to one server can have.
fn ports(host: &Host) -> Option<u64> {
    let range = host.ports?;
    Some(free_ports(host, range.first, range.last))
}

/// What gives `need` ports to one server: as many as there can be, if these are more than there
/// are, and where they do not suffice more addresses that they are from.
fn more_ports(host: &Host, demand: &Demand, need: u64) -> Option<Cure> {
    let (have, most) = (ports(host)?, free_ports(host, PORT_FIRST, PORT_LAST));
    let widened = (have < most)
        .then(|| Cure::set("net.ipv4.ip_local_port_range", format!("{PORT_FIRST} {PORT_LAST}")));
    let each = if widened.is_some() { most } else { have };
    if need <= each.saturating_mul(demand.sources.max(1)) {
        return widened;
    }
    Some(more_addresses(demand, need.div_ceil(each.max(1))).after(widened))
}

/// So many local addresses, of the kind of the server's.
fn more_addresses(demand: &Demand, count: u64) -> Cure {
    let card = match loopback(demand) {
        Some(IpAddr::V4(_)) => return sources_there(count, demand.to),
        Some(IpAddr::V6(_)) if count <= ADDRESSES_SHOWN_MAX => return sources_added(count),
        Some(IpAddr::V6(_)) => "lo",
        None => "CARD",
    };
    Cure::command(format!("ip address add ADDRESS dev {card}, for each that is missing of {count}"))
        .then(sources_counted(count))
}

/// The server's address, if it is one of the loopback interface.
fn loopback(demand: &Demand) -> Option<IpAddr> {
    let To::Address(ip) = demand.to else { return None };
    demand.is_loopback().then(|| ip.to_canonical())
}

fn sources_counted(count: u64) -> Cure {
    Cure::by(format!("--source-ip with {count} addresses"))
}

fn sources_named(all: &[String]) -> Cure {
    Cure::by(format!("--source-ip {}", all.join(",")))
}

/// So many addresses that begin with 127, all of which are there, written as `to` is.
fn sources_there(count: u64, to: To) -> Cure {
    if count > ADDRESSES_SHOWN_MAX {
        return sources_counted(count);
    }
    let first = Ipv4Addr::LOCALHOST.to_bits();
    let written = |ip: Ipv4Addr| match to {
        To::Address(IpAddr::V6(_)) => ip.to_ipv6_mapped().to_string(),
        To::Address(IpAddr::V4(_)) | To::Somewhere | To::Socket => ip.to_string(),
    };
    let all = (first..).zip(0..count).map(|(bits, _)| written(Ipv4Addr::from_bits(bits)));
    sources_named(&all.collect::<Vec<_>>())
}

/// `::1`, and as many others as are missing. They are added, as it has no neighbours.
fn sources_added(count: u64) -> Cure {
    let others = (2..=count).map(|last| LOCAL_PREFIX.to_bits() | u128::from(last));
    let others: Vec<String> = others.map(|bits| Ipv6Addr::from_bits(bits).to_string()).collect();
    let add = |address| Cure::command(format!("ip address add {address}/128 dev lo"));
    let added = others.iter().map(add).reduce(Cure::then);
    let all: Vec<String> =
        core::iter::once(Ipv6Addr::LOCALHOST.to_string()).chain(others).collect();
    sources_named(&all).after(added)
}

/// Another address of the server, where its own is `::1`: that of IPv4 has neighbours enough.
fn other_loopback(demand: &Demand, count: u64) -> Option<Cure> {
    let target = || Cure::by("127.0.0.1 as the target, if the server listens there");
    let to = To::Address(Ipv4Addr::LOCALHOST.into());
    loopback(demand)?.is_ipv6().then(|| target().then(sources_there(count, to)))
}

/// A connection needs a port of its own for each pair of addresses.
pub(super) fn local_ports(host: &Host, demand: &Demand) -> Option<Said> {
    let (each, sources) = (ports(host)?, demand.sources.max(1));
    let have = each.saturating_mul(sources);
    let need = demand.connections.map(|_| demand.to_one)?;
    (demand.to != To::Socket && need > have).then(|| {
        let message = format!(
            "{need} connections to one server need as many local ports, and there are {have} from \
             {sources} local address{}",
            if sources > 1 { "es" } else { "" }
        );
        Said::new(Severity::Impossible, message)
            .counts(need, have)
            .cure_if(more_ports(host, demand, need))
            .cure(more_addresses(demand, need.div_ceil(each.max(1))))
            .cure_if(other_loopback(demand, need.div_ceil(each.max(1))))
    })
}

/// Connections that leave ports waiting.
fn waiting(demand: &Demand) -> Option<Churn> {
    demand.churn.filter(|churn| !churn.reset && demand.to != To::Socket)
}

/// For how long a port waits, in seconds.
fn waiting_s(host: &Host, demand: &Demand) -> f64 {
    let reused = match host.settings.number("net.ipv4.tcp_tw_reuse") {
        Some(1) => true,
        Some(2) => demand.is_loopback(),
        _ => false,
    };
    let stamped = host.settings.number("net.ipv4.tcp_timestamps") != Some(0);
    if reused && stamped { reuse_s(host) } else { WAITING_S }
}

/// For how long it does where it may be used again, in seconds.
fn reuse_s(host: &Host) -> f64 {
    let delay = host.settings.number("net.ipv4.tcp_tw_reuse_delay").unwrap_or(REUSE_DELAY_MS);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a sysctl")]
    {
        delay as f64 / 1e3
    }
}

/// Ports that wait after their connections are missing for new ones.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of ports, at least zero"
)]
pub(super) fn new_connections(host: &Host, demand: &Demand) -> Option<Said> {
    let (churn, wait) = (waiting(demand)?, waiting_s(host, demand));
    let have = ports(host)?.saturating_mul(demand.sources.max(1)) as f64;
    let need = churn.per_second * wait.min(churn.seconds);
    (need > have).then(|| {
        let message = format!(
            "{:.0} new connections per second leave {need:.0} local ports waiting for {wait} s, \
             and there are {have:.0}, enough for {:.0} per second",
            churn.per_second,
            have / wait
        );
        let soon = (churn.per_second * reuse_s(host).min(churn.seconds)).ceil();
        let reuse = (wait >= WAITING_S).then(|| {
            let more = (soon > have).then(|| more_ports(host, demand, soon as u64)).flatten();
            let reuse = reused(host, demand);
            match more {
                Some(more) => reuse.then(more),
                None => reuse,
            }
        });
        Said::new(Severity::Limits, message)
            .numbers(need, have)
            .cure(Cure::by("--close rst"))
            .cure_if(reuse)
            .cure_if(more_ports(host, demand, need.ceil() as u64))
    })
}

/// What lets a port be used again early: both ends have to stamp their segments.
fn reused(host: &Host, demand: &Demand) -> Cure {
    let off = host.settings.number("net.ipv4.tcp_timestamps") == Some(0);
    let stamped = off.then(|| Cure::set("net.ipv4.tcp_timestamps", "1"));
    match host.settings.number("net.ipv4.tcp_tw_reuse") {
        Some(1) => stamped.unwrap_or_default(),
        Some(2) if demand.is_loopback() => stamped.unwrap_or_default(),
        _ => Cure::set("net.ipv4.tcp_tw_reuse", "1").after(stamped),
    }
}

/// Without timestamps, no port is used again early.
pub(super) fn timestamps(host: &Host, demand: &Demand) -> Option<Said> {
    let off = host.settings.number("net.ipv4.tcp_timestamps") == Some(0);
    (off && waiting(demand).is_some()).then(|| {
        let message = "TCP timestamps are off: each local port waits for 60 s after its connection";
        Said::new(Severity::Risky, message).cure(Cure::set("net.ipv4.tcp_timestamps", "1"))
    })
}

/// What waits is remembered in a table.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of sockets, at least zero"
)]
pub(super) fn time_wait_table(host: &Host, demand: &Demand) -> Option<Said> {
    let churn = waiting(demand)?;
    let have = host.settings.number("net.ipv4.tcp_max_tw_buckets")?;
    let need = churn.per_second * waiting_s(host, demand).min(churn.seconds);
    (need > have as f64).then(|| {
        let message = format!(
            "{need:.0} sockets would wait (TIME_WAIT), and {have} may: the kernel forgets the \
             others at once, and warns in its log"
        );
        let most = (need as u64).next_power_of_two();
        Said::new(Severity::Hint, message)
            .numbers(need, have as f64)
            .cure(Cure::set("net.ipv4.tcp_max_tw_buckets", most.to_string()))
    })
}

/// A firewall that tracks connections drops what it has no room for. One that tracks none holds
/// none, and is left alone.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of connections, at least zero"
)]
pub(super) fn conntrack(host: &Host, demand: &Demand) -> Option<Said> {
    let tracked = host.net.tracked.filter(|tracked| *tracked > 0)?;
    let have = host.settings.number("net.netfilter.nf_conntrack_max")?;
    let kept = host.settings.number("net.netfilter.nf_conntrack_tcp_timeout_time_wait");
    let kept = u32::try_from(kept.unwrap_or(TRACKED_S)).unwrap_or(u32::MAX);
    let closed = |churn: Churn| (churn.per_second * f64::from(kept).min(churn.seconds)) as u64;
    let ours = demand.connections?.saturating_add(demand.churn.map_or(0, closed));
    let need = tracked.saturating_add(ours);
    (demand.to != To::Socket && need > have).then(|| {
        let message = format!(
            "the firewall tracks {tracked} connections, {ours} more are {need}, and it has room \
             for {have}: what does not fit is dropped, and looks like a silent server"
        );
        let most = need.saturating_mul(2).to_string();
        Said::new(Severity::Limits, message)
            .counts(need, have)
            .cure(Cure::set("net.netfilter.nf_conntrack_max", most))
            .cure_if(untracked(demand))
    })
}

/// Rules by which the firewall lets the packets of this load pass; those of one direction alone
/// would be without a beginning.
fn untracked(demand: &Demand) -> Option<Cure> {
    let To::Address(ip) = demand.to else { return None };
    let ip = ip.to_canonical();
    let tables = if ip.is_ipv4() { "iptables" } else { "ip6tables" };
    let rule = |chain, side| {
        Cure::command(format!("{tables} -t raw -I {chain} -p tcp {side} {ip} -j CT --notrack"))
    };
    Some(rule("OUTPUT", "-d").then(rule("PREROUTING", "-s")))
}

/// Connections that come all at once wait for a server's accept.
pub(super) fn accept_queue(host: &Host, demand: &Demand) -> Option<Said> {
    let (need, have) = (demand.to_one, host.settings.number("net.core.somaxconn")?);
    let here = demand.stays_here() && demand.to != To::Socket;
    (here && demand.connections.is_some() && need > have).then(|| {
        let message = format!(
            "{need} connections open at once, and {have} may wait for a server on this machine \
             to accept them: the others try again after 1 s"
        );
        let most = need.clamp(BACKLOG_USUAL, BACKLOG_MAX);
        Said::new(Severity::Risky, message).counts(need, have).cure(
            Cure::set("net.core.somaxconn", most.to_string()).then(Cure::by(format!(
                "start the server again, with a backlog of {need} or more"
            ))),
        )
    })
}
