//! Network cards with their queues and interrupts, and what the kernel's network holds at this
//! moment; of this process's network namespace.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::cpu::CpuList;
use super::queues::Queues;
use super::routes::Routes;
use crate::tree::Tree;

/// Interfaces that are looked at. A host of containers has thousands, and none of them is a card.
const INTERFACES_MAX: usize = 4_096;

/// Cards that are looked at closely.
const CARDS_MAX: usize = 32;

/// Interrupts of a card that are looked at.
const INTERRUPTS_MAX: usize = 512;

/// Processes among which the one is looked for that moves interrupts: a file each. It is started
/// with the machine, and is among the first.
const PROCESSES_MAX: usize = 8_192;

/// The program that moves interrupts from CPU to CPU.
const BALANCER: &str = "irqbalance";

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
    /// Whether `irqbalance` is seen, which moves interrupts. One outside of this container is not.
    pub balanced: bool,
    routes: Routes,
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
    /// Its queues, and what the kernel does with their packets.
    pub queues: Queues,
    /// Packets for which it had no room since it was started.
    pub missed: Option<u64>,
    /// The memory node that it is attached to, if there is more than one.
    pub node: Option<usize>,
    /// Its interrupts, and on which CPUs each of them arrives, as far as it says.
    pub interrupts: BTreeMap<u32, CpuList>,
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
            balanced: is_balanced(tree),
            routes: Routes::inspect(tree),
        }
    }

    /// The interface through which packets to `ip` leave, if there is a route; no address of this
    /// machine has one.
    #[must_use]
    pub fn interface_to(&self, ip: IpAddr) -> Option<&str> {
        (!ip.to_canonical().is_loopback()).then(|| self.routes.interface_to(ip))?
    }

    /// The card through which packets to `ip` leave; `None` if there is none, or it is not known.
    #[must_use]
    pub fn card_to(&self, ip: IpAddr) -> Option<&Card> {
        let interface = self.interface_to(ip)?;
        self.cards.iter().find(|card| card.name == interface)
    }
}

/// Whether `irqbalance` is among the first processes.
fn is_balanced(tree: &Tree) -> bool {
    let Some(processes) = tree.numbers("/proc", PROCESSES_MAX) else { return false };
    let is_balancer = |process: &u32| {
        let name = tree.text(format!("/proc/{process}/comm"));
        name.is_some_and(|name| name.trim_end() == BALANCER)
    };
    processes.of.iter().any(is_balancer)
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
        Self {
            speed: number("speed").and_then(|speed| u64::try_from(speed).ok()),
            driver: driver.and_then(|path| Some(path.rsplit('/').next()?.to_owned())),
            queues: Queues::inspect(tree, &folder),
            missed: number("statistics/rx_missed_errors").and_then(|it| u64::try_from(it).ok()),
            node: number("device/numa_node").and_then(|node| usize::try_from(node).ok()),
            interrupts: interrupts(tree, &folder),
            name,
        }
    }

    /// On which CPUs its interrupts arrive, all together; `None` if it does not say.
    #[must_use]
    pub fn interrupted(&self) -> Option<CpuList> {
        CpuList::new(self.interrupts.values().flat_map(CpuList::iter))
    }
}

/// The interrupts of a card. A paravirtual card's belong to the device above it.
fn interrupts(tree: &Tree, folder: &str) -> BTreeMap<u32, CpuList> {
    let numbers = |below: &str| {
        let found = tree.numbers(format!("{folder}/{below}"), INTERRUPTS_MAX)?.of;
        (!found.is_empty()).then_some(found)
    };
    let numbers = numbers("device/msi_irqs").or_else(|| numbers("device/../msi_irqs"));
    let cpus = |number: &u32| {
        let of = |file: &str| -> Option<CpuList> {
            tree.text(format!("/proc/irq/{number}/{file}"))?.trim().parse().ok()
        };
        of("effective_affinity_list").or_else(|| of("smp_affinity_list"))
    };
    let numbers = numbers.unwrap_or_default();
    numbers.iter().filter_map(|number| Some((*number, cpus(number)?))).collect()
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
                          eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\n";

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
        machine.set("/sys/class/net/eth1/statistics/rx_missed_errors", "7\n");
        machine.link("/sys/class/net/eth1/device/driver", "../../../bus/pci/drivers/ixgbe");
        machine
    }

    #[test]
    fn a_card_has_queues_interrupts_and_a_place() {
        let net = Net::inspect(&machine().tree());
        let card = &net.cards[1];
        assert_eq!((card.name.as_str(), card.speed), ("eth1", Some(10_000)));
        assert_eq!((card.driver.as_deref(), card.node), (Some("ixgbe"), Some(1)));
        assert_eq!((card.queues.receiving, card.queues.spread().count()), (2, 1));
        assert_eq!(card.missed, Some(7));
        let interrupts = [(40, "2".parse().unwrap()), (41, "3".parse().unwrap())];
        assert_eq!(card.interrupts, BTreeMap::from(interrupts));
        assert_eq!(card.interrupted(), "2-3".parse().ok());
        let plain = &net.cards[0];
        assert_eq!((plain.speed, plain.node, plain.missed), (None, None, None));
        assert_eq!((plain.queues.receiving, plain.interrupted()), (1, None));
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
        assert_eq!(name("2001:db8::1"), None, "there is no route");
        assert_eq!(Net::default().card_to("192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn who_moves_interrupts_is_known_by_its_name() {
        let machine = Machine::of(&[("/proc/1/comm", "init\n"), ("/proc/self/comm", "x\n")]);
        assert!(!Net::inspect(&machine.tree()).balanced);
        machine.set("/proc/612/comm", "irqbalance-ui\n");
        assert!(!Net::inspect(&machine.tree()).balanced);
        machine.set("/proc/613/comm", "irqbalance\n");
        assert!(Net::inspect(&machine.tree()).balanced);
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
