//! The way of packets: queues, interrupts, cards.

use super::super::demand::{Demand, To};
use super::super::finding::{Cure, Severity, Unknown};
use super::Said;
use crate::host::Host;
use crate::host::cpu::CpuList;
use crate::host::net::Card;
use crate::host::queues::{Mask, Queues, mask};
use crate::tree::named;

/// From this length on, the queue of a CPU is not to blame.
const BACKLOG: u64 = 4_096;

/// What is recommended.
const BACKLOG_LONG: &str = "16384";

/// The setting of how many flows are remembered, and what is recommended.
const FLOWS_KEY: &str = "net.core.rps_sock_flow_entries";
const FLOWS: u64 = 32_768;

/// What results are usually obtained with.
const USUAL_CONGESTION: [&str; 2] = ["cubic", "reno"];

/// The card that the load leaves by, if it leaves.
fn card<'h>(host: &'h Host, demand: &Demand) -> Option<&'h Card> {
    match demand.to {
        To::Address(ip) if !demand.stays_here() => host.net.card_to(ip),
        To::Address(_) | To::Somewhere | To::Socket => None,
    }
}

/// Rings, coalescing and offloads of a card stand in no file of the kernel's.
pub(super) fn unknown(host: &Host, demand: &Demand) -> Vec<Unknown> {
    let Some(Card { name, .. }) = card(host, demand) else { return Vec::new() };
    let of = |(what, flag): (&str, &str)| Unknown {
        what: format!("{what} of {name}"),
        ask: format!("ethtool {flag} {name}"),
    };
    [("the rings", "-g"), ("the coalescing", "-c"), ("the offloads", "-k")].map(of).into()
}

/// Packets that were dropped between the card, or a container, and the protocols.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(super) fn backlog(host: &Host, _: &Demand) -> Option<Said> {
    let drops = host.net.backlog_drops.filter(|drops| *drops > 0)?;
    let length = host.settings.number("net.core.netdev_max_backlog")?;
    (length < BACKLOG).then(|| {
        let message = format!(
            "since its start this machine dropped {drops} packets because the queue of a CPU, \
             {length} long, was full"
        );
        Said::new(Severity::Risky, message)
            .numbers(drops as f64, 0.0)
            .cure(Cure::set("net.core.netdev_max_backlog", BACKLOG_LONG))
    })
}

/// A shard on another memory node than its card sends each byte across.
pub(super) fn far_card(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    let node = card.node?;
    let (_, near) = host.cpus.topology.nodes.iter().find(|(number, _)| *number == node)?;
    let far = CpuList::new(shards.iter().filter(|cpu| !near.contains(*cpu)))?;
    let message = format!(
        "the shards on CPU {far} are far from the card {}, which is at memory node {node}",
        card.name
    );
    let free: Vec<usize> = near.iter().skip(1).take(shards.len()).collect();
    let cure = CpuList::new(free).map(|list| Cure::by(format!("--cores {list}")));
    Some(Said::new(Severity::Hint, message).cure_if(cure))
}

/// Stops the program that would undo what is set, if it is seen.
fn still(host: &Host) -> Option<Cure> {
    host.net.balanced.then(|| Cure::command("systemctl stop irqbalance"))
}

/// An interrupt stops the shard of its CPU for some microseconds.
pub(super) fn interrupts(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    let both = card.interrupted()?.common(shards)?;
    let free = host.cpus.allowed.iter().find(|cpu| !shards.contains(*cpu))?;
    demand.scheduled.then(|| {
        let name = &card.name;
        let message = format!("interrupts of {name} arrive on CPU {both}, which shards have");
        let ours = card.interrupts.iter().filter(|(_, cpus)| cpus.common(shards).is_some());
        let numbers: Vec<String> = ours.map(|(number, _)| number.to_string()).collect();
        let moved = format!(
            "for i in {}; do echo {free} | tee /proc/irq/$i/smp_affinity_list; done",
            numbers.join(" ")
        );
        Said::new(Severity::Hint, message).cure(Cure::command(moved).after(still(host)))
    })
}

/// What is moved during a run is somebody's late request.
pub(super) fn irqbalance(host: &Host, demand: &Demand) -> Option<Said> {
    let card = card(host, demand).filter(|card| !card.interrupts.is_empty())?;
    (demand.scheduled && host.net.balanced).then(|| {
        let message = format!(
            "irqbalance runs: it may move interrupts of {} to the shards' CPUs during the run",
            card.name
        );
        let cure = Cure::command("systemctl stop irqbalance");
        Said::new(Severity::Hint, message).cure(cure)
    })
}

/// One queue is emptied by one CPU.
pub(super) fn single_queue(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    let queues = &card.queues;
    let alone = queues.receiving == 1 && queues.spread().next().is_none();
    (alone && shards.len() > 1).then(|| {
        let name = &card.name;
        let message = format!(
            "{name} has one queue for {} shards: one CPU receives everything",
            shards.len()
        );
        let path = format!("/sys/class/net/{name}/queues/rx-0/rps_cpus");
        let spread = Cure::write(&path.clone(), [path], &mask(&host.cpus.allowed));
        Said::new(Severity::Hint, message)
            .cure(Cure::command(format!("ethtool -L {name} combined {}", shards.len())))
            .cure(steered(host, card).after(Some(spread)))
    })
}

/// A card with queues enough spreads packets by itself; doing it again takes an interrupt more.
pub(super) fn spread_twice(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    let spread = card.queues.spread().count();
    (spread > 0 && card.queues.receiving >= shards.len()).then(|| {
        let Card { name, queues, .. } = card;
        let message = format!(
            "the kernel hands packets of {name} on to other CPUs (RPS), and its {} queues are \
             enough for {} shards: that is an interrupt more for each",
            queues.receiving,
            shards.len()
        );
        let path = |queue: &str| format!("/sys/class/net/{name}/queues/rx-{queue}/rps_cpus");
        let paths = queues.spread().map(|queue| path(&queue.number.to_string()));
        Said::new(Severity::Hint, message).cure(Cure::write(&path("*"), paths, "0"))
    })
}

/// Packets go to the CPU that reads them only if the kernel and each queue remember flows.
pub(super) fn flow_steering(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    let table = host.settings.number(FLOWS_KEY)?;
    let flows: Option<Vec<u64>> = card.queues.received.iter().map(|queue| queue.flows).collect();
    let some = flows?.iter().any(|flows| *flows > 0);
    let name = &card.name;
    let message = match (table > 0, some) {
        (true, false) => format!("{FLOWS_KEY} is {table}, and no queue of {name} has a part of it"),
        (false, true) => {
            format!("queues of {name} are to remember flows, and {FLOWS_KEY} is 0: none is")
        }
        (false, false) if shards.len() > 1 && card.queues.spread().next().is_some() => format!(
            "packets of {name} are spread over CPUs (RPS) without regard to the shard that reads \
             them (RFS is off)"
        ),
        _ => return None,
    };
    Some(Said::new(Severity::Hint, message).cure(steered(host, card)))
}

/// Has the kernel remember flows, and gives each queue of a card its part of them: what of it is
/// not so already.
fn steered(host: &Host, card: &Card) -> Cure {
    let Card { name, queues, .. } = card;
    let table = (host.settings.number(FLOWS_KEY) == Some(0))
        .then(|| Cure::set(FLOWS_KEY, FLOWS.to_string()));
    if queues.received.iter().all(|queue| queue.flows.is_none_or(|flows| flows > 0)) {
        return table.unwrap_or_default();
    }
    let path = |queue: &str| format!("/sys/class/net/{name}/queues/rx-{queue}/rps_flow_cnt");
    let paths: Vec<String> =
        queues.received.iter().map(|queue| path(&queue.number.to_string())).collect();
    let each = FLOWS / (queues.receiving as u64).max(1);
    Cure::write(&path("*"), paths, &each.to_string()).after(table)
}

/// Shards that send through one queue wait for each other.
pub(super) fn shared_queue(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    let Queues { sent, sending, .. } = &card.queues;
    let known = sent.len() == *sending && sent.iter().all(|(_, mask)| *mask != Mask::Unknown);
    // Of several queues a CPU takes one by the hash of the connection, and without any, of all.
    let users = |mask: &Mask| match mask {
        Mask::Of(cpus) => cpus.common(shards),
        Mask::Empty | Mask::Unknown => None,
    };
    let used: Vec<CpuList> = sent.iter().filter_map(|(_, mask)| users(mask)).collect();
    let homeless = shards.iter().any(|cpu| !used.iter().any(|users| users.contains(cpu)));
    let shared = homeless || used.iter().any(|users| users.len() > 1);
    let enough = sent.len() >= shards.len() && shards.len() > 1;
    (known && enough && shared).then(|| {
        let name = &card.name;
        let message = format!(
            "{} shards send through the same queues of {name}, which has {sending} (XPS)",
            shards.len()
        );
        let path = |queue: usize| format!("/sys/class/net/{name}/queues/tx-{queue}/xps_cpus");
        // All queues are dealt out: one that is left as it is would be shared still.
        let each = shards.iter().enumerate().filter_map(|(first, cpu)| {
            let own = sent.iter().skip(first).step_by(shards.len());
            let paths: Vec<String> = own.map(|(queue, _)| path(*queue)).collect();
            Some(Cure::write(&paths.join(" "), paths, &mask(&CpuList::new([cpu])?)))
        });
        let cure = each.reduce(Cure::then).unwrap_or_default();
        Said::new(Severity::Hint, message).cure(cure)
    })
}

/// A card whose rings are full loses packets.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(super) fn card_drops(host: &Host, demand: &Demand) -> Option<Said> {
    let card = card(host, demand)?;
    let missed = card.missed.filter(|missed| *missed > 0)?;
    let name = &card.name;
    let message = format!("since its start {name} had no room for {missed} packets");
    let cure = Cure::by(format!("ethtool -g {name}, to see the most that its rings may have"))
        .then(Cure::command(format!("ethtool -G {name} rx MOST")));
    Some(Said::new(Severity::Hint, message).numbers(missed as f64, 0.0).cure(cure))
}

/// Results of another congestion control are results of something else.
pub(super) fn congestion(host: &Host, _: &Demand) -> Option<Said> {
    let name = named(host.settings.text("net.ipv4.tcp_congestion_control")?)?;
    (!USUAL_CONGESTION.contains(&name)).then(|| {
        let message = format!(
            "TCP's congestion control is {name}: compare results with those of {name} only"
        );
        // No change of --apply: it may be what is to be measured.
        let cure = Cure::command("sysctl -w net.ipv4.tcp_congestion_control='cubic'");
        Said::new(Severity::Hint, message).cure(cure)
    })
}
