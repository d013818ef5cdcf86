//! CPUs: how many, how much of them, and what keeps them from being at hand.

use std::collections::{BTreeMap, BTreeSet};

use super::super::demand::Demand;
use super::super::finding::{Cure, Severity};
use super::Said;
use crate::host::Host;
use crate::host::cpu::{CpuList, Quota};
use crate::host::kernel::is_trusted_clock;
use crate::setting::WAKE_UP_MICROS;

/// Share of the CPUs that others may use before a run starts.
const LOAD_SHARE: f64 = 0.5;

/// Share of the time that a hypervisor may have given to others.
const STEAL_SHARE: f64 = 0.01;

/// The governor that does not lower the clock rate.
const FAST_GOVERNOR: &str = "performance";

/// Who has used up its quota is stopped.
pub(super) fn quota(host: &Host, demand: &Demand) -> Option<Said> {
    let (quota, shards) = (host.cpus.quota?, demand.shards.as_ref()?.len());
    let (whole, own) = (Quota::cpus_floor(quota), quota.cpus());
    (shards > whole).then(|| {
        let message = format!(
            "{shards} shards may use up {shards} CPUs, and the quota is {own:.2}: then all of \
             them are stopped, up to 100 ms each time"
        );
        let fewer = (whole > 0).then(|| Cure::by(format!("--shards {whole}")));
        #[expect(clippy::cast_precision_loss, reason = "numbers of CPUs")]
        Said::new(Severity::Risky, message).numbers(shards as f64, own).cure_if(fewer).cure(
            Cure::by(format!(
                "a larger quota: docker update --cpus={shards}, limits.cpu: {shards}, \
                 CPUQuota={shards}00%"
            )),
        )
    })
}

/// The coordinator and everything else need a CPU, too.
pub(super) fn crowded(host: &Host, demand: &Demand) -> Option<Said> {
    let (shards, all) = (demand.shards.as_ref()?, &host.cpus.allowed);
    let free = all.iter().any(|cpu| !shards.contains(cpu));
    (!free).then(|| {
        let message = format!(
            "each allowed CPU ({all}) carries a shard, and none is left for the rest: whatever \
             else runs makes a shard wait"
        );
        let fewer = (all.len() > 1).then(|| Cure::by(format!("--shards {}", all.len() - 1)));
        let severity = if demand.scheduled { Severity::Risky } else { Severity::Hint };
        #[expect(clippy::cast_precision_loss, reason = "numbers of CPUs")]
        Said::new(severity, message)
            .numbers(all.len() as f64 + 1.0, all.len() as f64)
            .cure_if(fewer)
            .cure(Cure::by("more CPUs"))
    })
}

/// Two hyperthreads have one core.
pub(super) fn siblings(host: &Host, demand: &Demand) -> Option<Said> {
    let shards = demand.shards.as_ref()?;
    let pair = |core: &&CpuList| core.iter().filter(|cpu| shards.contains(*cpu)).count() > 1;
    let shared = host.cpus.topology.cores.iter().filter(pair).count();
    let cores = host.cpus.topology.cores.len();
    (shared > 0).then(|| {
        let message = format!(
            "two shards each share a core on {shared} of {cores} cores: together they do less \
             than twice the work"
        );
        let count = shards.len() - shared;
        Said::new(Severity::Hint, message).cure(Cure::by(format!("--shards {count}")))
    })
}

/// The time is read for each turn.
pub(super) fn clock(host: &Host, _: &Demand) -> Option<Said> {
    let clock = host.kernel.clocksource.as_deref().filter(|name| !is_trusted_clock(name))?;
    let message = format!("the clock {clock} is slow to read, or coarse");
    let cure = Cure::by("boot with clocksource=tsc, if the machine has a steady one");
    Some(Said::new(Severity::Risky, message).cure(cure))
}

/// Other programs take CPUs away.
#[expect(clippy::cast_precision_loss, reason = "a number of CPUs")]
pub(super) fn busy(host: &Host, _: &Demand) -> Option<Said> {
    let (load, online) = (host.cpus.load?, host.cpus.online?);
    let most = online as f64 * LOAD_SHARE;
    (load > most).then(|| {
        let message = format!(
            "over the last minute {load:.1} tasks ran or waited on {online} CPUs: others use them"
        );
        let cure = Cure::by("end other programs; top shows them");
        Said::new(Severity::Risky, message).numbers(load, most).cure(cure)
    })
}

/// A hypervisor gives CPUs to others.
pub(super) fn steal(host: &Host, _: &Demand) -> Option<Said> {
    let steal = host.cpus.steal.filter(|steal| *steal > STEAL_SHARE)?;
    let message = format!(
        "since its start the hypervisor gave {:.1} % of this machine's CPU time to others",
        steal * 100.0
    );
    let cure = Cure::by("a machine with CPUs of its own");
    Some(Said::new(Severity::Risky, message).numbers(steal, STEAL_SHARE).cure(cure))
}

/// The CPUs that matter: those of shards, or all that are allowed.
fn ours<'h>(host: &'h Host, demand: &'h Demand) -> &'h CpuList {
    demand.shards.as_ref().unwrap_or(&host.cpus.allowed)
}

/// Writes `value` into `files` of each of `cpus`, and of no other: where these are all that the
/// machine has, the command says so.
fn write_each(host: &Host, cpus: &CpuList, files: &[String], value: &str) -> Cure {
    let of = |cpu: &str| -> Vec<String> {
        files.iter().map(|file| format!("/sys/devices/system/cpu/cpu{cpu}/{file}")).collect()
    };
    let numbers: Vec<String> = cpus.iter().map(|cpu| cpu.to_string()).collect();
    let paths: Vec<String> = numbers.iter().flat_map(|cpu| of(cpu)).collect();
    if host.cpus.online == Some(cpus.len()) {
        return Cure::write(&of("*").join(" "), paths, value);
    }
    Cure::write_for(&numbers.join(" "), &of("$i").join(" "), paths, value)
}

/// A lower clock makes requests after pauses slow.
pub(super) fn governor(host: &Host, demand: &Demand) -> Option<Said> {
    let slow = host.cpus.rest.governors.iter().filter(|(name, _)| name != FAST_GOVERNOR);
    let of_ours = |(name, cpus): &(String, CpuList)| {
        cpus.common(ours(host, demand)).map(|cpus| (name.clone(), cpus))
    };
    let slow: Vec<(String, CpuList)> = slow.filter_map(of_ours).collect();
    let cpus = CpuList::new(slow.iter().flat_map(|(_, cpus)| cpus.iter()))?;
    let named: Vec<String> =
        slow.iter().map(|(name, cpus)| format!("{name} (CPU {cpus})")).collect();
    let message =
        format!("the governor {} lowers the clock rate where there are pauses", named.join(", "));
    let cure = write_each(host, &cpus, &["cpufreq/scaling_governor".to_owned()], FAST_GOVERNOR);
    let severity = if demand.scheduled { Severity::Risky } else { Severity::Hint };
    Some(Said::new(severity, message).cure(cure))
}

/// Keeps `ours` from states that they leave late.
fn shallow(host: &Host, ours: &CpuList) -> Option<Cure> {
    let deep = host.cpus.rest.states.iter().filter(|state| state.micros > WAKE_UP_MICROS);
    let mut states: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for state in deep {
        let cpus = ours.iter().filter(|cpu| state.cpus.contains(*cpu));
        for cpu in cpus {
            states.entry(cpu).or_default().insert(state.number);
        }
    }
    // CPUs with the same states, which usually are all, are named once.
    let mut alike: BTreeMap<BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
    for (cpu, states) in states {
        alike.entry(states).or_default().push(cpu);
    }
    let each = alike.into_iter().filter_map(|(states, cpus)| {
        let file = |state| format!("cpuidle/state{state}/disable");
        let files: Vec<String> = states.into_iter().map(file).collect();
        Some(write_each(host, &CpuList::new(cpus)?, &files, "1"))
    });
    each.reduce(Cure::then)
}

/// A CPU that sleeps deeply wakes up late.
#[expect(clippy::cast_precision_loss, reason = "microseconds")]
pub(super) fn idle_states(host: &Host, demand: &Demand) -> Option<Said> {
    let micros = host.cpus.rest.wake_up_micros(ours(host, demand));
    let micros = micros.filter(|it| *it > WAKE_UP_MICROS)?;
    demand.scheduled.then(|| {
        let message = format!("an idle CPU takes up to {micros} µs to wake up");
        Said::new(Severity::Hint, message)
            .numbers(micros as f64, WAKE_UP_MICROS as f64)
            .cure(Cure::by("--pacing spin"))
            .cure_if(shallow(host, ours(host, demand)))
    })
}
