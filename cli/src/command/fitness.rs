//! Before a run: what it asks of this machine against what the machine has, so that what cannot be
//! done is refused with its numbers, and what will not go well is said once.

use anyhow::anyhow;
use pummel_engine::plan::Plan;
use pummel_engine::reactor::Kind;
use pummel_tuning::advice::{About, Demand, Ring, To};
use pummel_tuning::{CpuList, Finding, Host, Severity, advise, is_local};

use crate::config::{self, Config};
use crate::exit::Failure;

/// What is said elsewhere: ports that wait, by the plan.
const ELSEWHERE: [&str; 2] = ["new_connections", "timestamps"];

/// What was found before a run.
#[derive(Debug)]
pub(super) struct Fitness {
    /// All of it, gravest first.
    pub(super) findings: Vec<Finding>,
    /// What of it is to be said, a line each.
    pub(super) lines: Vec<String>,
}

/// Judges the plan on this machine.
///
/// # Errors
/// If it cannot be done.
pub(super) fn judge(config: &Config, host: &Host, plan: &Plan) -> Result<Fitness, Failure> {
    let ring = match plan.reactor {
        Kind::Uring => Ring::Works,
        Kind::Epoll => Ring::Unwanted,
    };
    let demand = config::demand(config, host, ring);
    let to = plan.target.addresses.first().inet().map(|to| to.ip());
    let here = to.and_then(is_local) == Some(true);
    let to = to.map_or(To::Socket, To::Address);
    let shards = CpuList::new(plan.cores.cpus().iter().copied());
    let findings = advise(host, &Demand { to, here, shards, ..demand });
    Ok(Fitness { lines: weigh(&findings)?, findings })
}

/// Refuses what is impossible, and puts words to the rest.
fn weigh(findings: &[Finding]) -> Result<Vec<String>, Failure> {
    let of_plan = |finding: &&Finding| {
        let grave = finding.severity >= Severity::Risky && finding.about == About::Plan;
        grave && !ELSEWHERE.contains(&finding.code)
    };
    let said = |finding: &Finding| match finding.cures.first() {
        Some(cure) => format!("{}; try: {}", finding.message, cure.how()),
        None => finding.message.clone(),
    };
    // What is impossible is refused with all that is needed, and not again after the first of it.
    let grave = |finding: &&Finding| finding.severity == Severity::Impossible;
    let needed: Vec<String> = findings.iter().filter(of_plan).filter(grave).map(said).collect();
    if !needed.is_empty() {
        return Err(Failure::usage(anyhow!(needed.join("; and "))));
    }
    Ok(findings.iter().filter(of_plan).map(said).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Code;

    fn finding(code: &'static str, severity: Severity, about: About) -> Finding {
        let message = format!("{code} is short");
        Finding { code, severity, about, message, value: None, limit: None, cures: Vec::new() }
    }

    #[test]
    fn what_is_impossible_is_refused_with_its_words() {
        let findings = [
            finding("quota", Severity::Risky, About::Plan),
            finding("memory", Severity::Impossible, About::Plan),
            finding("locked_memory", Severity::Impossible, About::Plan),
        ];
        let failure = weigh(&findings).unwrap_err();
        assert_eq!(
            (failure.code, failure.error.to_string()),
            (Code::Usage, "memory is short; and locked_memory is short".into())
        );
    }

    #[test]
    fn what_is_risky_about_the_plan_is_said_and_nothing_else() {
        let findings = [
            finding("conntrack", Severity::Limits, About::Plan),
            finding("quota", Severity::Risky, About::Plan),
            finding("new_connections", Severity::Limits, About::Plan),
            finding("crowded", Severity::Risky, About::Plan),
            finding("siblings", Severity::Hint, About::Plan),
            finding("busy", Severity::Risky, About::Machine),
        ];
        let expected = ["conntrack is short", "quota is short", "crowded is short"];
        assert_eq!(weigh(&findings).unwrap(), expected);
    }

    #[test]
    fn a_plan_is_judged_for_the_address_that_it_goes_to() {
        let config = Config::understand(&crate::args::words("p http://localhost:1/ -c 200").run);
        let config = config.unwrap();
        let host = pummel_tuning::inspect();
        let plan = config::plan(&config, &host, Kind::Epoll).unwrap().0;
        let mut small = host.clone();
        small.memory.group =
            Some(pummel_tuning::host::memory::Bound { limit: 1 << 20, used: None });
        let failure = judge(&config, &small, &plan).unwrap_err().error.to_string();
        assert!(failure.contains("its control group allows 1 MiB; try: fewer"), "{failure}");
        assert!(judge(&config, &host, &plan).is_ok());
    }
}
