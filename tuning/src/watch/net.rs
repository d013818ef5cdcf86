//! What the kernel's network lost or did twice: this process's network namespace, all programs in
//! it together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::growth::{grown, share};
use crate::tree::Tree;

/// Interfaces among which cards are looked for, and cards that are watched: a file each per sample.
const INTERFACES_MAX: usize = 4_096;
const CARDS_MAX: usize = 32;

/// Counters about the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetCounters {
    /// Of the protocol TCP.
    pub tcp: TcpCounters,
    /// Of the queues between network cards and protocols; of the whole machine.
    pub softnet: Option<SoftnetCounters>,
    /// Packets that interfaces dropped, by name; loopback excluded.
    pub interfaces: BTreeMap<String, Drops>,
    /// Packets for which network cards had no room, summed over them; no loss of another kind.
    pub missed: Option<u64>,
    /// Packets that the firewall dropped since it could not track their connections.
    pub firewall_dropped: Option<u64>,
    /// Connections that the firewall tracks at this moment.
    pub tracked: Option<u64>,
    /// Sockets in `TIME_WAIT` at this moment.
    pub time_wait: Option<u64>,
}

/// Counters of TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Segments sent, without those that were sent again.
    pub segments_sent: Option<u64>,
    /// Segments sent again.
    pub retransmits: Option<u64>,
    /// Retransmission timers that ran out.
    pub timeouts: Option<u64>,
    /// Requests to connect, or answers to them, that were sent again.
    pub syn_retransmits: Option<u64>,
    /// Retransmissions that were called for while the first copy still lay in this host's queue.
    pub host_queue_retransmits: Option<u64>,
    /// Connections that a full queue of a listener on this machine kept out.
    pub listen_overflows: Option<u64>,
    /// Connections that a listener on this machine lost, whatever the reason.
    pub listen_drops: Option<u64>,
}

/// Counters of the queues between network cards and protocols, summed over CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoftnetCounters {
    /// CPUs that they are summed over. With another number, the sums are not comparable.
    pub cpus: usize,
    /// Packets dropped because a queue was full.
    pub dropped: u64,
    /// Rounds that ended with packets left, because their time or budget was over.
    pub squeezed: u64,
}

/// Packets that an interface dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// On receipt: no buffer, no room, or nobody to take them.
    pub received: u64,
    /// Instead of sending them.
    pub sent: u64,
}

/// What happened on the network while somebody watched. What is unknown is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetDisturbance {
    /// In TCP.
    pub tcp: TcpDisturbance,
    /// Packets that the queues behind the network cards dropped.
    pub softnet_dropped: Option<u64>,
    /// Rounds of these queues that ended with packets left.
    pub softnet_squeezed: Option<u64>,
    /// Packets that interfaces dropped on receipt; loopback excluded. A packet of a protocol that
    /// nobody here speaks is one too.
    pub received_dropped: Option<u64>,
    /// Packets that interfaces dropped instead of sending them.
    pub sent_dropped: Option<u64>,
    /// Packets for which network cards had no room.
    pub missed: Option<u64>,
    /// Packets that the firewall dropped since it could not track their connections.
    pub firewall_dropped: Option<u64>,
    /// Most connections that the firewall tracked in any sample.
    pub tracked_max: Option<u64>,
    /// Sockets in `TIME_WAIT`.
    pub time_wait: Option<TimeWait>,
}

/// What happened in TCP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpDisturbance {
    /// Segments sent, without those that were sent again.
    pub segments_sent: Option<u64>,
    /// Segments sent again.
    pub retransmits: Option<u64>,
    /// These per segment sent; `None` too if none was sent.
    pub retransmit_share: Option<f64>,
    /// Retransmission timers that ran out.
    pub timeouts: Option<u64>,
    /// Requests to connect, or answers to them, that were sent again.
    pub syn_retransmits: Option<u64>,
    /// Retransmissions that were called for while the first copy still lay in this host's queue.
    pub host_queue_retransmits: Option<u64>,
    /// Connections that a full queue of a listener on this machine kept out.
    pub listen_overflows: Option<u64>,
    /// Connections that a listener on this machine lost, whatever the reason.
    pub listen_drops: Option<u64>,
}

/// Sockets in `TIME_WAIT`: each keeps a local port for a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWait {
    /// In the first sample that told.
    pub first: u64,
    /// In the last one that did.
    pub last: u64,
    /// In the sample that had most.
    pub max: u64,
}

impl TimeWait {
    pub(super) fn of(count: u64) -> Self {
        Self { first: count, last: count, max: count }
    }

    pub(super) fn note(&mut self, count: u64) {
        self.last = count;
        self.max = self.max.max(count);
    }
}

/// The files in which network cards tell of packets for which they had no room.
pub(super) fn card_files(tree: &Tree) -> Vec<PathBuf> {
    let names = tree.names("/sys/class/net", INTERFACES_MAX).into_iter();
    let cards = names.filter(|name| tree.exists(format!("/sys/class/net/{name}/device")));
    let files = cards.map(|name| format!("/sys/class/net/{name}/statistics/rx_missed_errors"));
    files.filter(|file| tree.text(file).is_some()).take(CARDS_MAX).map(PathBuf::from).collect()
}

impl NetCounters {
    /// Reads them; `card_files` are those of [`card_files`].
    pub(super) fn read(tree: &Tree, card_files: &[PathBuf]) -> Self {
        let text = |path: &str| tree.text(path).unwrap_or_default();
        let (dev, sockets) = (text("/proc/net/dev"), text("/proc/net/sockstat"));
        Self {
            tcp: TcpCounters::parse(&text("/proc/net/snmp"), &text("/proc/net/netstat")),
            softnet: parse_softnet(&text("/proc/net/softnet_stat")),
            interfaces: dev.lines().filter_map(parse_interface).collect(),
            missed: sum_of(tree, card_files),
            firewall_dropped: parse_firewall(&text("/proc/net/stat/nf_conntrack")),
            tracked: tree
                .text("/proc/sys/net/netfilter/nf_conntrack_count")
                .and_then(|text| text.trim().parse().ok()),
            time_wait: parse_time_wait(&sockets),
        }
    }

    /// What happened since `before`; without the sockets in `TIME_WAIT` and the connections that
    /// are tracked, which are counted at every sample.
    pub(super) fn since(&self, before: &Self) -> NetDisturbance {
        let softnet = |value: fn(SoftnetCounters) -> u64| {
            let (before, after) = (before.softnet?, self.softnet?);
            // A CPU that came or went took its counts with it.
            let same = before.cpus == after.cpus;
            same.then(|| grown(Some(value(before)), Some(value(after)))).flatten()
        };
        NetDisturbance {
            tcp: self.tcp.since(&before.tcp),
            softnet_dropped: softnet(|softnet| softnet.dropped),
            softnet_squeezed: softnet(|softnet| softnet.squeezed),
            received_dropped: self.drops_since(before, |drops| drops.received),
            sent_dropped: self.drops_since(before, |drops| drops.sent),
            missed: grown(before.missed, self.missed),
            firewall_dropped: grown(before.firewall_dropped, self.firewall_dropped),
            tracked_max: None,
            time_wait: None,
        }
    }

    /// Drops of the interfaces that are there in both samples; `None` if there is none such.
    fn drops_since(&self, before: &Self, value: fn(Drops) -> u64) -> Option<u64> {
        let of_interface = |(name, before): (&String, &Drops)| {
            let after = self.interfaces.get(name)?;
            Some(grown(Some(value(*before)), Some(value(*after))))
        };
        let mut both = before.interfaces.iter().filter_map(of_interface).peekable();
        both.peek()?;
        both.try_fold(0_u64, |sum, grown| sum.checked_add(grown?))
    }
}

impl TcpCounters {
    fn parse(snmp: &str, netstat: &str) -> Self {
        let (tcp, extended) =
            (|name| tabled(snmp, "Tcp:", name), |name| tabled(netstat, "TcpExt:", name));
        Self {
            segments_sent: tcp("OutSegs"),
            retransmits: tcp("RetransSegs"),
            timeouts: extended("TCPTimeouts"),
            syn_retransmits: extended("TCPSynRetrans"),
            host_queue_retransmits: extended("TCPSpuriousRtxHostQueues"),
            listen_overflows: extended("ListenOverflows"),
            listen_drops: extended("ListenDrops"),
        }
    }

    fn since(&self, before: &Self) -> TcpDisturbance {
        let segments_sent = grown(before.segments_sent, self.segments_sent);
        let retransmits = grown(before.retransmits, self.retransmits);
        TcpDisturbance {
            segments_sent,
            retransmits,
            retransmit_share: retransmits
                .zip(segments_sent)
                .and_then(|(part, all)| share(part, all)),
            timeouts: grown(before.timeouts, self.timeouts),
            syn_retransmits: grown(before.syn_retransmits, self.syn_retransmits),
            host_queue_retransmits: grown(
                before.host_queue_retransmits,
                self.host_queue_retransmits,
            ),
            listen_overflows: grown(before.listen_overflows, self.listen_overflows),
            listen_drops: grown(before.listen_drops, self.listen_drops),
        }
    }
}

/// The value below `name` in a text of pairs of lines: names of a protocol, and their values.
/// Kernels differ in the names that they have, and in their order.
fn tabled(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol));
    let (names, values) = (lines.next()?.split_whitespace(), lines.next()?.split_whitespace());
    names.zip(values).find(|(found, _)| *found == name)?.1.parse().ok()
}

/// Sums `softnet_stat`: one line per CPU, in hexadecimal, with drops second and squeezes third.
fn parse_softnet(text: &str) -> Option<SoftnetCounters> {
    let mut all = SoftnetCounters::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip(1);
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        all.cpus += 1;
        all.dropped = all.dropped.checked_add(number()?)?;
        all.squeezed = all.squeezed.checked_add(number()?)?;
    }
    (all.cpus > 0).then_some(all)
}

/// The sum of files with a number each. All must speak, or none does: one that is gone would make
/// the sum run backwards.
fn sum_of(tree: &Tree, files: &[PathBuf]) -> Option<u64> {
    let known = (!files.is_empty()).then_some(0);
    let number = |file: &PathBuf| tree.text(file)?.trim().parse::<u64>().ok();
    files.iter().try_fold(known?, |sum: u64, file| sum.checked_add(number(file)?))
}

/// Sums what the firewall dropped over CPUs: names in the first line of the text, a line of values
/// for each CPU below it, in hexadecimal.
fn parse_firewall(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let column = lines.next()?.split_whitespace().position(|name| name == "drop")?;
    let of_cpu = |line: &str| u64::from_str_radix(line.split_whitespace().nth(column)?, 16).ok();
    let all: Option<Vec<u64>> = lines.map(of_cpu).collect();
    all?.into_iter().map(Some).reduce(|one, other| one?.checked_add(other?))?
}

/// Parses a line of `/proc/net/dev`: a name, eight counters of what was received, eight of what was
/// sent. The fourth of each counts drops; on receipt it contains what the card itself missed.
fn parse_interface(line: &str) -> Option<(String, Drops)> {
    let (name, counters) = line.split_once(':')?;
    let name = name.trim();
    let mut counters = counters.split_whitespace().skip(3).step_by(8).map(str::parse);
    let drops = Drops { received: counters.next()?.ok()?, sent: counters.next()?.ok()? };
    (name != "lo").then(|| (name.to_owned(), drops))
}

/// Sockets in `TIME_WAIT`, in the line `TCP: inuse 1 orphan 0 tw 3 alloc 1 mem 0`.
fn parse_time_wait(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    line.split_whitespace().skip_while(|word| *word != "tw").nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo: 155 511636    0    9    0     0          0         0 155  51    0    9    0     0    0    0
  eth0: 922   2724    1    2    3     4          5         6 150  16    7    8    9    10   11   12
eth1.7:1 1 0 5 0 0 0 0 1 1 0 6 0 0 0 0
";

    #[test]
    fn values_are_found_by_name_wherever_they_stand() {
        let machine = Machine::of(&[
            (
                "/proc/net/snmp",
                "Ip: Forwarding OutSegs\nIp: 2 64\n\
                 Tcp: MaxConn InSegs OutSegs RetransSegs\nTcp: -1 5 513456 344\n\
                 Udp: InDatagrams\nUdp: 27\n",
            ),
            (
                "/proc/net/netstat",
                "TcpExt: ListenDrops TCPSynRetrans ListenOverflows TCPTimeouts\n\
                 TcpExt: 5 4 3 2\nIpExt: TCPTimeouts\nIpExt: 99\n",
            ),
        ]);
        let expected = TcpCounters {
            segments_sent: Some(513_456),
            retransmits: Some(344),
            timeouts: Some(2),
            syn_retransmits: Some(4),
            host_queue_retransmits: None,
            listen_overflows: Some(3),
            listen_drops: Some(5),
        };
        assert_eq!(NetCounters::read(&machine.tree(), &[]).tcp, expected);
    }

    #[test]
    fn a_table_without_values_tells_nothing() {
        for odd in ["", "Tcp:\n", "Tcp: OutSegs\n", "Tcp: OutSegs\nTcp:\n", "Tcp: OutSegs\nTcp: x"]
        {
            assert_eq!(tabled(odd, "Tcp:", "OutSegs"), None, "{odd:?}");
        }
    }

    #[test]
    fn softnet_is_summed_over_cpus_and_hexadecimal() {
        let text = "000340fe 00000001 0000000a 00000000\n0004983a 00000010 00000001 00000000\n";
        let expected = SoftnetCounters { cpus: 2, dropped: 17, squeezed: 11 };
        assert_eq!(parse_softnet(text), Some(expected));
        for odd in ["", "1\n", "1 2\n", "1 2 x\n", "1 2 3\ngarbage\n"] {
            assert_eq!(parse_softnet(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn the_firewall_tells_its_drops_by_name_and_per_cpu() {
        let text = "entries found drop early_drop\n00000005 00000000 00000010 1\n5 0 1 2\n";
        assert_eq!(parse_firewall(text), Some(17));
        for odd in ["", "entries drop\n", "entries\n1\n", "a drop\n1\n", "a drop\n1 x\n"] {
            assert_eq!(parse_firewall(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn cards_are_summed_and_all_of_them_have_to_tell() {
        let machine = Machine::of(&[("/sys/class/net/veth1/statistics/rx_missed_errors", "9\n")]);
        for (card, missed) in [("eth0", "3\n"), ("eth1", "4\n")] {
            let folder = format!("/sys/class/net/{card}");
            machine.set(&format!("{folder}/device/vendor"), "x\n");
            machine.set(&format!("{folder}/statistics/rx_missed_errors"), missed);
        }
        let files = card_files(&machine.tree());
        assert_eq!(files.len(), 2, "behind others there is no hardware");
        assert_eq!(sum_of(&machine.tree(), &files), Some(7));
        machine.set("/sys/class/net/eth1/statistics/rx_missed_errors", "-1\n");
        assert_eq!(sum_of(&machine.tree(), &files), None);
        assert_eq!(sum_of(&machine.tree(), &[]), None);
    }

    #[test]
    fn a_cpu_that_came_makes_softnet_unknown() {
        let of = |cpus| {
            let softnet = Some(SoftnetCounters { cpus, dropped: 5, squeezed: 5 });
            NetCounters { softnet, ..NetCounters::default() }
        };
        assert_eq!(of(2).since(&of(2)).softnet_dropped, Some(0));
        let other = of(3).since(&of(2));
        assert_eq!((other.softnet_dropped, other.softnet_squeezed), (None, None));
    }

    #[test]
    fn drops_stand_in_the_fourth_column_of_either_side_and_loopback_has_none() {
        let interfaces: BTreeMap<String, Drops> = DEV.lines().filter_map(parse_interface).collect();
        let expected = [
            ("eth0".to_owned(), Drops { received: 2, sent: 8 }),
            ("eth1.7".to_owned(), Drops { received: 5, sent: 6 }),
        ];
        assert_eq!(interfaces, BTreeMap::from(expected));
    }

    #[test]
    fn an_interface_that_comes_with_a_past_is_not_counted() {
        let of = |names: &[(&str, u64)]| NetCounters {
            interfaces: names
                .iter()
                .map(|&(name, count)| (name.to_owned(), Drops { received: count, sent: count }))
                .collect(),
            ..NetCounters::default()
        };
        let before = of(&[("a", 5), ("b", 100)]);
        let after = of(&[("a", 7), ("c", 1_000)]).since(&before);
        assert_eq!((after.received_dropped, after.sent_dropped), (Some(2), Some(2)));
        assert_eq!(of(&[("c", 1)]).since(&before).received_dropped, None, "none in common");
        assert_eq!(of(&[("a", 4)]).since(&before).received_dropped, None, "another one's counter");
    }

    #[test]
    fn sockets_in_time_wait_are_a_number_of_the_moment() {
        let text = "sockets: used 14\nTCP: inuse 1 orphan 0 tw 31 alloc 1 mem 0\nUDP: inuse 0\n";
        assert_eq!(parse_time_wait(text), Some(31));
        for odd in ["", "TCP:\n", "TCP: inuse 1\n", "TCP: tw\n", "TCP: tw x\n", "UDP: tw 3\n"] {
            assert_eq!(parse_time_wait(odd), None, "{odd:?}");
        }
        let mut time_wait = TimeWait::of(3);
        time_wait.note(9);
        time_wait.note(4);
        assert_eq!(time_wait, TimeWait { first: 3, last: 4, max: 9 });
    }
}
