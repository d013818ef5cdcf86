//! What a machine is for a load: [`advise`] judges the facts against what is demanded.
//!
//! | file | what it knows |
//! |---|---|
//! | `demand` | what a run asks of a machine |
//! | `finding` | what there is to say, how grave it is, and what helps |
//! | `rules` | the rules, one function each: connections, memory, the ring, CPUs, the network |
//!
//! A rule says nothing about what is unknown: it fires on facts alone. It names the numbers, and
//! what changes them.

mod demand;
mod finding;
mod rules;
#[cfg(test)]
mod tests;

use core::cmp::Reverse;

pub use demand::{Churn, Demand, Ring, To};
pub use finding::{About, Change, Chosen, Cure, Finding, Severity, Step, Unknown, choose};
pub use rules::{codes, unknown};

use crate::host::Host;

/// What there is to say about a load on a machine, gravest first. Pure; some microseconds.
#[must_use]
pub fn advise(host: &Host, demand: &Demand) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        rules::RULES.iter().filter_map(|rule| rule.apply(host, demand)).collect();
    findings.sort_by_key(|finding| Reverse(finding.severity));
    if host.kernel.rights.administers() != Some(true) {
        findings.iter_mut().flat_map(|finding| &mut finding.cures).for_each(Cure::ask);
    }
    findings
}
