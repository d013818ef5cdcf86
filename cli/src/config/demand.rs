//! What a run asks of the machine, in numbers that the machine is judged by before it begins.

use std::net::{IpAddr, Ipv4Addr};

use pummel_engine::plan::{Keep, Timetable};
use pummel_engine::reactor::{Close, Wish};
use pummel_engine::units::{Nanos, Rate};
use pummel_tuning::advice::{Churn, Demand, Ring, To};
use pummel_tuning::{CpuList, Host, place};

use super::way::{Destination, Way};
use super::{Config, Most, plan};

/// Memory of a run without its connections: the program and what each shard receives into. Measured
/// on Linux 6.18: 27 MB with one shard.
const PROGRAM_BYTES: u64 = 20 << 20;
const SHARD_BYTES: u64 = 8 << 20;

/// Memory of a connection: what the tables have of it, what the kernel keeps for a socket with its
/// file (measured on Linux 6.18: 3.8 KiB, of which the TCP socket is 2.3), and the kernel's buffer
/// of a small answer (measured: 1.1 KiB up to an answer of 1 KiB; 1.3 and 1.05 times an answer of
/// 16 and 64 KiB). TLS has buffers and keys beside it.
const TABLES_BYTES: u64 = 1 << 10;
const SOCKET_BYTES: u64 = 4 << 10;
const ANSWER_BYTES: u64 = 1_152;
const CONNECTION_BYTES: u64 = TABLES_BYTES + SOCKET_BYTES + ANSWER_BYTES;
const SECURED_BYTES: u64 = 24 << 10;

/// Memory of a request that may be outstanding.
const FLIGHT_BYTES: u64 = 128;

/// What a ring locks: its submissions and its registered buffers, and 16 bytes per completion, of
/// which there are two per connection, between these numbers. Measured on Linux 6.18 by the least
/// `ulimit -l` that suffices: 127 KiB for 64 connections, 179 for 2,100, 559 for 9,000.
const RING_BYTES: u64 = 64 << 10;
const COMPLETION_BYTES: u64 = 16;
const COMPLETIONS_MIN: u64 = 4_096;
const COMPLETIONS_MAX: u64 = 65_536;

/// What `config` asks of this machine; `ring` says whether rings work. No name is looked up.
pub(crate) fn demand(config: &Config, host: &Host, ring: Ring) -> Demand {
    let servers = 1 + config.others.len() as u64;
    let to_one = match config.most {
        Most::Asked(most) => u64::from(most.get()),
        Most::Fixed | Most::Allowed(_) => u64::from(config.connections.get()),
    };
    let connections = to_one.saturating_mul(servers);
    let shards = place(host, &config.placement).ok();
    let shards = shards.and_then(|it| CpuList::new(plan::used(it.shards, config).0));
    let count = shards.as_ref().map_or(1, |list| list.len() as u64);
    Demand {
        connections: Some(connections),
        to_one,
        to: to(&config.way),
        here: false,
        sources: config.wire.sources.len() as u64,
        churn: churn(config),
        scheduled: config.load.is_open(),
        memory: Some(memory(config, connections, count)),
        locked: Some(count.saturating_mul(ring_bytes(connections.div_ceil(count)))),
        ring: if config.reactor == Wish::Epoll { Ring::Unwanted } else { ring },
        shards,
    }
}

/// Where connections go, as far as that is known without asking anybody.
fn to(way: &Way) -> To {
    match &way.to {
        Destination::Socket(_) => To::Socket,
        Destination::Host(name, _) if name == "localhost" => {
            To::Address(Ipv4Addr::LOCALHOST.into())
        }
        Destination::Host(name, _) => name.parse::<IpAddr>().map_or(To::Somewhere, To::Address),
    }
}

/// Connections that are opened anew all the time.
fn churn(config: &Config) -> Option<Churn> {
    let per_second = match config.wire.keep {
        Keep::Renewed(rate) => rate.per_second(),
        Keep::One => {
            config.load.timetable().and_then(Timetable::only_rate).map(Rate::per_second)?
        }
        Keep::Open => return None,
    };
    let length = config.stop.limit.duration().map_or(f64::INFINITY, Nanos::as_secs_f64);
    let seconds = length + config.stop.warmup.as_secs_f64();
    Some(Churn { per_second, seconds, reset: config.wire.close == Close::Reset })
}

fn memory(config: &Config, connections: u64, shards: u64) -> u64 {
    let wire = &config.wire;
    let streams = u64::from(wire.streams.get());
    let streams = if wire.protocol.may_be_http2() { streams } else { 1 };
    let flights = u64::from(config.load.pipeline().get()).max(streams);
    let secured = wire.tls.is_some() || config.others.iter().any(|other| other.tls.is_some());
    let each = CONNECTION_BYTES + if secured { SECURED_BYTES } else { 0 } + flights * FLIGHT_BYTES;
    PROGRAM_BYTES + shards * SHARD_BYTES + connections.saturating_mul(each)
}

fn ring_bytes(connections: u64) -> u64 {
    let completions = connections.saturating_mul(2).clamp(COMPLETIONS_MIN, COMPLETIONS_MAX);
    RING_BYTES + completions.next_power_of_two() * COMPLETION_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Demand {
        let config = Config::understand(&crate::args::words(line).run).unwrap();
        let mut host = pummel_tuning::inspect();
        host.cpus.allowed = "0-3".parse().unwrap();
        host.cpus.quota = None;
        demand(&config, &host, Ring::Works)
    }

    #[test]
    fn a_run_asks_for_its_connections_and_what_they_need() {
        let demand = of("p http://192.0.2.1/ -c 6000 -q 9k --source-ip 127.0.0.1,127.0.0.2");
        assert_eq!((demand.connections, demand.to_one), (Some(6_000), 6_000));
        assert_eq!(demand.to, To::Address([192, 0, 2, 1].into()));
        assert_eq!((demand.sources, demand.scheduled), (2, true));
        assert_eq!(demand.shards.map(|list| list.len()), Some(3));
        // 2000 connections of a shard have 4096 completions.
        assert_eq!(demand.locked, Some(3 * ((64 << 10) + (64 << 10))));
        assert_eq!(demand.churn, None);
        assert_eq!(of("p unix:/a").to, To::Socket);
        assert_eq!(of("p name.example").to, To::Somewhere);
        assert_eq!(of("p localhost").to, To::Address([127, 0, 0, 1].into()));
        assert_eq!(of("p h --reactor epoll").ring, Ring::Unwanted);
    }

    #[test]
    fn tls_and_streams_take_memory() {
        let of = |line: &str| of(line).memory.unwrap();
        let plain = of("p http://h -c 1000");
        assert!(of("p https://h -c 1000") >= plain + 1_000 * SECURED_BYTES);
        assert!(of("p http://h -c 1000 --http2 --streams 100") > plain + 90 * 1_000 * FLIGHT_BYTES);
        assert!(of("p http://h -c 1000") - of("p http://h -c 10") >= 990 * CONNECTION_BYTES);
    }

    #[test]
    fn connections_that_are_closed_are_opened_anew() {
        let churn = |line: &str| of(line).churn;
        let every = churn("p h --disable-keepalive -q 50 -t 9s --warmup 1s").unwrap();
        assert_eq!((every.per_second, every.seconds, every.reset), (50.0, 10.0, false));
        let some = churn("p h --connections-per-second 7 --close rst -n 5").unwrap();
        assert_eq!((some.per_second, some.reset), (7.0, true));
        assert!(some.seconds.is_infinite());
    }
}
