//! Network cards with their queues and interrupts, and what the kernel's network holds at this
//! moment; of this process's network namespace.

use std::net::{IpAddr, Ipv4Addr};

use super::cpu::CpuList;
use crate::tree::Tree;

/// Interfaces that are looked at. A host of containers has thousands, and none of them is a card.
const INTERFACES_MAX: usize = 4_096;

/// Cards that are looked at closely.
const CARDS_MAX: usize = 32;

/// Queues and interrupts of a card that are looked at.
const QUEUES_MAX: usize = 512;

/// Facts about the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Net {
    /// Interfaces with hardware behind them, by name.
    pub cards: Vec<Card>,
    /// Sockets in `TIME_WAIT`.
    pub time_wait: Option<u64>,
    /// Connections in the tables of the firewall; zero also where there is one that tracks none.
    pub tracked: Option<u64>,
    /// Packets that a full queue of a CPU has dropped since the start; of the whole machine.
    pub backlog_drops: Option<u64>,
    /// Open files of the whole machine.
    pub files_open: Option<u64>,
    routes: Vec<Route>,
}

/// A network card, as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Its name: `eth0`.
    pub name: String,
    /// Its speed in Mbit/s; virtual ones have none.
    pub speed: Option<u64>,
    /// Its driver.
    pub driver: Option<String>,
    /// Queues of received packets.
    pub queues: usize,
    /// Whether received packets are spread over CPUs by the kernel (RPS), and not by the card.
    pub spread: bool,
    /// The memory node that it is attached to, if there is more than one.
    pub node: Option<usize>,
    /// On which CPUs its interrupts arrive, all together; `None` if it does not say.
    pub interrupted: Option<CpuList>,
}

/// A line of the routing table: addresses that begin so go there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    interface: String,
    network: u32,
    mask: u32,
}

impl Net {
    pub(super) fn inspect(tree: &Tree) -> Self {
        let sockets = tree.text("/proc/net/sockstat").unwrap_or_default();
        let softnet = tree.text("/proc/net/softnet_stat");
        let number = |path: &str| tree.text(path)?.split_whitespace().next()?.parse().ok();
        let names = tree.names("/sys/class/net", INTERFACES_MAX);
        let cards = names.into_iter().filter(|name| is_card(tree, name)).take(CARDS_MAX);
        Self {
            cards: cards.map(|name| Card::inspect(tree, name)).collect(),
            time_wait: sockets
                .lines()
                .find(|line| line.starts_with("TCP:"))
                .and_then(parse_waiting),
            tracked: number("/proc/sys/net/netfilter/nf_conntrack_count"),
            backlog_drops: softnet.and_then(|text| parse_drops(&text)),
            files_open: number("/proc/sys/fs/file-nr"),
            routes: routes(tree),
        }
    }

    /// The card through which packets to `ip` leave; `None` if there is none, or it is not known.
    /// Of IPv6 it is not, unless there is only one.
    #[must_use]
    pub fn card_to(&self, ip: IpAddr) -> Option<&Card> {
        let ip = match ip.to_canonical() {
            ip if ip.is_loopback() => return None,
            IpAddr::V4(ip) => ip,
            IpAddr::V6(_) => return self.only_card(),
        };
        let fits = |route: &&Route| ip.to_bits() & route.mask == route.network;
        let route = self.routes.iter().filter(fits).max_by_key(|route| route.mask)?;
        self.cards.iter().find(|card| card.name == route.interface)
    }

    fn only_card(&self) -> Option<&Card> {
        match self.cards.as_slice() {
            [card] => Some(card),
            _ => None,
        }
    }
}

/// Whether there is hardware behind an interface, real or the hypervisor's, and it is in use.
fn is_card(tree: &Tree, name: &str) -> bool {
    let folder = format!("/sys/class/net/{name}");
    let state = tree.text(format!("{folder}/operstate")).unwrap_or_default();
    tree.exists(format!("{folder}/device")) && state.trim() != "down"
}

impl Card {
    fn inspect(tree: &Tree, name: String) -> Self {
        let folder = format!("/sys/class/net/{name}");
        let number = |file: &str| tree.text(format!("{folder}/{file}"))?.trim().parse::<i64>().ok();
        let driver = tree.link(format!("{folder}/device/driver"));
        let queues = tree.names(format!("{folder}/queues"), 2 * QUEUES_MAX);
        let received: Vec<String> =
            queues.into_iter().filter(|queue| queue.starts_with("rx-")).collect();
        let spread = |queue: &String| {
            let mask = tree.text(format!("{folder}/queues/{queue}/rps_cpus")).unwrap_or_default();
            mask.chars().any(|digit| digit.is_ascii_hexdigit() && digit != '0')
        };
        Self {
            speed: number("speed").and_then(|speed| u64::try_from(speed).ok()),
            driver: driver.and_then(|path| Some(path.rsplit('/').next()?.to_owned())),
            queues: received.len(),
            spread: received.iter().take(1).any(spread),
            node: number("device/numa_node").and_then(|node| usize::try_from(node).ok()),
            interrupted: interrupted(tree, &folder),
            name,
        }
    }
}

/// The CPUs of a card's interrupts. A paravirtual card's belong to the device above it.
fn interrupted(tree: &Tree, folder: &str) -> Option<CpuList> {
    let numbers = |below: &str| {
        let found = tree.numbers(format!("{folder}/{below}"), QUEUES_MAX)?.of;
        (!found.is_empty()).then_some(found)
    };
    let numbers = numbers("device/msi_irqs").or_else(|| numbers("device/../msi_irqs"))?;
    let cpus = |number: &u32| {
        let of = |file: &str| -> Option<CpuList> {
            tree.text(format!("/proc/irq/{number}/{file}"))?.trim().parse().ok()
        };
        of("effective_affinity_list").or_else(|| of("smp_affinity_list"))
    };
    let lists: Vec<CpuList> = numbers.iter().filter_map(cpus).collect();
    CpuList::new(lists.iter().flat_map(CpuList::iter))
}

/// The routes of IPv4 in `/proc/net/route`, whose addresses are as they lie in memory.
fn routes(tree: &Tree) -> Vec<Route> {
    let table = tree.head("/proc/net/route").map(|head| head.of).unwrap_or_default();
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let (interface, network) = (words.next()?.to_owned(), words.next()?);
        let mask = words.nth(5)?;
        let bits = |digits: &str| {
            let number = u32::from_str_radix(digits, 16).ok()?;
            Some(Ipv4Addr::from(number.to_ne_bytes()).to_bits())
        };
        Some(Route { interface, network: bits(network)?, mask: bits(mask)? })
    };
    table.lines().skip(1).filter_map(parse).collect()
}

/// The sockets in `TIME_WAIT` in a line of `/proc/net/sockstat`: `TCP: inuse 1 orphan 0 tw 7 …`.
fn parse_waiting(line: &str) -> Option<u64> {
    line.split_whitespace().skip_while(|word| *word != "tw").nth(1)?.parse().ok()
}

/// The second column of `/proc/net/softnet_stat`, summed over CPUs; hexadecimal.
fn parse_drops(text: &str) -> Option<u64> {
    let of_cpu = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    let all: Option<Vec<u64>> = text.lines().map(of_cpu).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.into_iter().fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                          eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\n\
                          eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\n\
                          odd\tx\n";

    fn machine() -> Machine {
        let machine = Machine::of(&[
            ("/proc/net/route", ROUTES),
            ("/proc/net/softnet_stat", "0b81cdf1 0000007a 0000005a\n0da12377 000001d3 0\n"),
            ("/proc/net/sockstat", "sockets: used 24\nTCP: inuse 1 orphan 0 tw 17 alloc 1 mem 2\n"),
            ("/proc/irq/40/smp_affinity_list", "0-3\n"),
            ("/proc/irq/40/effective_affinity_list", "2\n"),
            ("/proc/irq/41/smp_affinity_list", "3\n"),
            ("/proc/irq/41/effective_affinity_list", "\n"),
            ("/sys/class/net/lo/operstate", "unknown\n"),
        ]);
        for card in ["eth0", "eth1"] {
            machine.set(&format!("/sys/class/net/{card}/operstate"), "up\n");
            machine.set(&format!("/sys/class/net/{card}/queues/rx-0/rps_cpus"), "00,00000000\n");
            machine.set(&format!("/sys/class/net/{card}/queues/tx-0/xps_cpus"), "0\n");
        }
        machine.set("/sys/class/net/eth1/queues/rx-0/rps_cpus", "0f\n");
        machine.set("/sys/class/net/eth1/queues/rx-1/rps_cpus", "0\n");
        machine.set("/sys/class/net/eth1/speed", "10000\n");
        machine.set("/sys/class/net/eth0/speed", "-1\n");
        machine.set("/sys/class/net/eth1/device/numa_node", "1\n");
        machine.set("/sys/class/net/eth0/device/numa_node", "-1\n");
        machine.set("/sys/class/net/eth1/device/msi_irqs/40", "msix\n");
        machine.set("/sys/class/net/eth1/device/msi_irqs/41", "msix\n");
        machine.link("/sys/class/net/eth1/device/driver", "../../../bus/pci/drivers/ixgbe");
        machine
    }

    #[test]
    fn a_card_has_queues_interrupts_and_a_place() {
        let net = Net::inspect(&machine().tree());
        let expected = Card {
            name: "eth1".to_owned(),
            speed: Some(10_000),
            driver: Some("ixgbe".to_owned()),
            queues: 2,
            spread: true,
            node: Some(1),
            interrupted: "2-3".parse().ok(),
        };
        assert_eq!(net.cards[1], expected);
        let plain = Card { name: "eth0".to_owned(), queues: 1, ..Card::default() };
        assert_eq!(net.cards[0], plain);
        assert_eq!(net.cards.len(), 2, "loopback is no card");
        assert_eq!((net.time_wait, net.backlog_drops), (Some(17), Some(0x7a + 0x1d3)));
    }

    #[test]
    fn packets_leave_by_the_narrowest_route() {
        let net = Net::inspect(&machine().tree());
        let name = |ip: &str| net.card_to(ip.parse().unwrap()).map(|card| card.name.as_str());
        assert_eq!(name("192.168.7.7"), Some("eth1"));
        assert_eq!(name("192.169.7.7"), Some("eth0"));
        assert_eq!(name("::ffff:192.168.7.7"), Some("eth1"));
        assert_eq!((name("127.0.0.1"), name("::1")), (None, None));
        assert_eq!(name("2001:db8::1"), None, "there are two");
        assert_eq!(Net::default().card_to("192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn odd_tables_are_unknown() {
        let machine = Machine::of(&[
            ("/proc/net/softnet_stat", "zz\n"),
            ("/proc/net/sockstat", "TCP: inuse\n"),
            ("/proc/net/route", "\n\n???\n"),
            ("/proc/sys/fs/file-nr", "x\n"),
        ]);
        assert_eq!(Net::inspect(&machine.tree()), Net::default());
    }
}
