//! The rules, in a table. Each looks at one thing, says nothing if it is in order or unknown, and
//! has at least one recorded machine on which it speaks and one on which it is silent.

mod connections;
mod cpus;
mod memory;
mod network;
mod ring;

use super::demand::Demand;
use super::finding::{About, Cure, Finding, Severity, Unknown};
use crate::host::Host;

/// A rule.
pub(super) struct Rule {
    /// The name of what it finds.
    pub(super) code: &'static str,
    about: About,
    check: fn(&Host, &Demand) -> Option<Said>,
}

/// What a rule says.
struct Said {
    severity: Severity,
    message: String,
    numbers: Option<(f64, f64)>,
    cures: Vec<Cure>,
}

const fn plan(code: &'static str, check: fn(&Host, &Demand) -> Option<Said>) -> Rule {
    Rule { code, about: About::Plan, check }
}

const fn machine(code: &'static str, check: fn(&Host, &Demand) -> Option<Said>) -> Rule {
    Rule { code, about: About::Machine, check }
}

/// All of them. Of what is equally grave, the first is said first.
pub(super) const RULES: &[Rule] = &[
    plan("open_files", connections::open_files),
    plan("system_files", connections::system_files),
    plan("local_ports", connections::local_ports),
    plan("new_connections", connections::new_connections),
    plan("timestamps", connections::timestamps),
    plan("time_wait_table", connections::time_wait_table),
    plan("conntrack", connections::conntrack),
    plan("accept_queue", connections::accept_queue),
    plan("memory", memory::memory),
    plan("socket_buffers", memory::socket_buffers),
    plan("tcp_memory", memory::tcp_memory),
    plan("locked_memory", memory::locked_memory),
    machine("ring", ring::ring),
    plan("quota", cpus::quota),
    plan("crowded", cpus::crowded),
    plan("siblings", cpus::siblings),
    machine("clock", cpus::clock),
    machine("busy", cpus::busy),
    machine("steal", cpus::steal),
    machine("governor", cpus::governor),
    machine("idle_states", cpus::idle_states),
    machine("backlog", network::backlog),
    plan("far_card", network::far_card),
    plan("interrupts", network::interrupts),
    plan("irqbalance", network::irqbalance),
    plan("single_queue", network::single_queue),
    plan("spread_twice", network::spread_twice),
    plan("flow_steering", network::flow_steering),
    plan("shared_queue", network::shared_queue),
    plan("card_drops", network::card_drops),
    machine("congestion", network::congestion),
    machine("huge_pages", memory::huge_pages),
    machine("numa_balancing", memory::numa_balancing),
];

/// The names of all findings that there can be.
pub fn codes() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.code)
}

/// What matters to this load, and stands in no file: what only the card that it leaves by tells.
#[must_use]
pub fn unknown(host: &Host, demand: &Demand) -> Vec<Unknown> {
    network::unknown(host, demand)
}

impl Rule {
    pub(super) fn apply(&self, host: &Host, demand: &Demand) -> Option<Finding> {
        let Said { severity, message, numbers, cures } = (self.check)(host, demand)?;
        let (value, limit) = numbers.unzip();
        let (code, about) = (self.code, self.about);
        Some(Finding { code, severity, about, message, value, limit, cures })
    }
}

impl Said {
    fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self { severity, message: message.into(), numbers: None, cures: Vec::new() }
    }

    /// With what is needed or was found, and what it should not exceed.
    #[expect(clippy::cast_precision_loss, reason = "for display and comparison")]
    fn counts(mut self, value: u64, limit: u64) -> Self {
        self.numbers = Some((value as f64, limit as f64));
        self
    }

    /// With what is needed or was found, and what it should not exceed.
    fn numbers(mut self, value: f64, limit: f64) -> Self {
        self.numbers = Some((value, limit));
        self
    }

    fn cure(mut self, cure: Cure) -> Self {
        self.cures.push(cure);
        self
    }

    fn cure_if(self, cure: Option<Cure>) -> Self {
        match cure {
            Some(cure) => self.cure(cure),
            None => self,
        }
    }
}

/// Bytes in the unit that suits them.
fn bytes(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{} KiB", count.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", count >> 20),
        #[expect(clippy::cast_precision_loss, reason = "for display")]
        _ => format!("{:.1} GiB", count as f64 / f64::from(1 << 30)),
    }
}
