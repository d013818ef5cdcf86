//! The way of packets: queues, interrupts, cards.

use super::super::demand::{Demand, To};
use super::super::finding::{Cure, Severity};
use super::Said;
use crate::host::Host;
use crate::host::cpu::CpuList;
use crate::host::net::Card;

/// From this length on, the queue of a CPU is not to blame.
const BACKLOG: u64 = 4_096;

/// What is recommended.
const BACKLOG_LONG: &str = "16384";

/// What results are usually obtained with.
const USUAL_CONGESTION: [&str; 2] = ["cubic", "reno"];

/// The card that the load leaves by, if it leaves.
fn card<'h>(host: &'h Host, demand: &Demand) -> Option<&'h Card> {
    match demand.to {
        To::Address(ip) => host.net.card_to(ip),
        To::Somewhere | To::Socket => None,
    }
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

/// An interrupt stops the shard of its CPU for some microseconds.
pub(super) fn interrupts(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    let both = card.interrupted.as_ref()?.common(shards)?;
    let free = host.cpus.allowed.iter().find(|cpu| !shards.contains(*cpu))?;
    demand.scheduled.then(|| {
        let message =
            format!("interrupts of {} arrive on CPU {both}, which shards have", card.name);
        let how = format!(
            "stop irqbalance, and write {free} into /proc/irq/N/smp_affinity_list of {}",
            card.name
        );
        Said::new(Severity::Hint, message).cure(Cure::by(how))
    })
}

/// One queue is emptied by one CPU.
pub(super) fn single_queue(host: &Host, demand: &Demand) -> Option<Said> {
    let (card, shards) = (card(host, demand)?, demand.shards.as_ref()?);
    (card.queues == 1 && !card.spread && shards.len() > 1).then(|| {
        let name = &card.name;
        let message = format!(
            "{name} has one queue for {} shards: one CPU receives everything",
            shards.len()
        );
        let path = format!("/sys/class/net/{name}/queues/rx-0/rps_cpus");
        let mask = mask(&host.cpus.allowed);
        let how = format!("echo {mask} > {path}");
        Said::new(Severity::Hint, message)
            .cure(Cure::by(format!("ethtool -L {name} combined {}", shards.len())))
            .cure(Cure::write(how, [path], &mask))
    })
}

/// CPUs as the kernel writes them for queues: hexadecimal, 32 to a group.
fn mask(cpus: &CpuList) -> String {
    let groups = cpus.iter().max().unwrap_or(0) / 32 + 1;
    let mut words = vec![0_u32; groups];
    for cpu in cpus.iter() {
        if let Some(word) = words.get_mut(cpu / 32) {
            *word |= 1 << (cpu % 32);
        }
    }
    let mut words = words.iter().rev();
    let first = words.next().map(|word| format!("{word:x}"));
    let others = words.map(|word| format!("{word:08x}"));
    first.into_iter().chain(others).collect::<Vec<_>>().join(",")
}

/// Results of another congestion control are results of something else.
pub(super) fn congestion(host: &Host, _: &Demand) -> Option<Said> {
    let name = host.settings.text("net.ipv4.tcp_congestion_control")?;
    (!USUAL_CONGESTION.contains(&name)).then(|| {
        let message = format!(
            "TCP's congestion control is {name}: compare results with those of {name} only"
        );
        // In words: it may be what is to be measured.
        let cure = Cure::by("sysctl -w net.ipv4.tcp_congestion_control='cubic', or leave it");
        Said::new(Severity::Hint, message).cure(cure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_written_as_the_kernel_writes_masks() {
        for (cpus, written) in [
            ("0", "1"),
            ("0-3", "f"),
            ("1,5", "22"),
            ("32", "1,00000000"),
            ("0,63", "80000000,00000001"),
        ] {
            assert_eq!(mask(&cpus.parse().unwrap()), written, "{cpus}");
        }
    }
}
