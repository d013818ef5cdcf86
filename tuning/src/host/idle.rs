//! How CPUs rest: who chooses their clock rates, and which idle states they may go into.

use std::collections::{BTreeMap, BTreeSet};

use super::cpu::CpuList;
use crate::tree::{Tree, named};

/// CPUs that are looked at: some files each. Beyond so many, the others are the same.
const CPUS_MAX: usize = 256;

/// Idle states of a CPU that are looked at; the kernel's own bound is ten.
const STATES_MAX: usize = 16;

/// What the allowed CPUs do where there is little to do. What is unknown is empty, as in most
/// virtual machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Who chooses the clock rate, in alphabetical order, and of which CPUs: `performance`, or
    /// another governor, which lowers it in pauses.
    pub governors: Vec<(String, CpuList)>,
    /// The idle states that CPUs may go into, by number and latency.
    pub states: Vec<IdleState>,
    /// Who knows idle states: `intel_idle`, `none`.
    pub driver: Option<String>,
}

/// An idle state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleState {
    /// Its number: `state3` has 3.
    pub number: usize,
    /// How long a CPU takes at most to leave it, in µs.
    pub micros: u64,
    /// The CPUs for which it is not disabled.
    pub cpus: CpuList,
}

impl Rest {
    pub(super) fn inspect(tree: &Tree, allowed: &CpuList) -> Self {
        let driver = tree.text("/sys/devices/system/cpu/cpuidle/current_driver");
        let cpus = || allowed.iter().take(CPUS_MAX);
        let (mut governors, mut states) = (BTreeMap::new(), BTreeMap::new());
        for cpu in cpus() {
            if let Some(name) = governor(tree, cpu) {
                governors.entry(name).or_insert_with(BTreeSet::new).insert(cpu);
            }
            for state in enabled(tree, cpu) {
                states.entry(state).or_insert_with(BTreeSet::new).insert(cpu);
            }
        }
        let governor = |(name, cpus)| Some((name, CpuList::new(cpus)?));
        let state = |((number, micros), cpus)| {
            Some(IdleState { number, micros, cpus: CpuList::new(cpus)? })
        };
        Self {
            governors: governors.into_iter().filter_map(governor).collect(),
            states: states.into_iter().filter_map(state).collect(),
            driver: driver.and_then(|text| named(&text).map(str::to_owned)),
        }
    }

    /// The governors, joined by commas; `None` if none is visible.
    #[must_use]
    pub fn governor(&self) -> Option<String> {
        let names: Vec<&str> = self.governors.iter().map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(","))
    }

    /// How long one of `cpus` takes at most to wake up, in µs; `None` if that is unknown.
    #[must_use]
    pub fn wake_up_micros(&self, cpus: &CpuList) -> Option<u64> {
        let states = self.states.iter().filter(|state| state.cpus.common(cpus).is_some());
        states.map(|state| state.micros).max()
    }
}

fn governor(tree: &Tree, cpu: usize) -> Option<String> {
    let text = tree.text(format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"))?;
    named(&text).map(str::to_owned)
}

/// The idle states of `cpu` that are not disabled: number, and time to leave it in µs.
fn enabled(tree: &Tree, cpu: usize) -> Vec<(usize, u64)> {
    let folder = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle");
    let of_state = |name: String| {
        let number = name.strip_prefix("state")?.parse().ok()?;
        let value = |file: &str| tree.text(format!("{folder}/{name}/{file}"))?.trim().parse().ok();
        (value("disable") != Some(1_u64)).then_some(())?;
        Some((number, value("latency")?))
    };
    tree.names(&folder, STATES_MAX).into_iter().filter_map(of_state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    #[test]
    fn the_governors_of_the_allowed_cpus_are_named_once_each() {
        let machine = Machine::of(&[]);
        for (cpu, name) in
            ["performance\n", "powersave\n", "performance\n", "\n"].iter().enumerate()
        {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
            machine.set(&path, name);
        }
        let of = |cpus: &str| Rest::inspect(&machine.tree(), &cpus.parse().unwrap());
        assert_eq!(of("0,2").governor().as_deref(), Some("performance"));
        assert_eq!(of("0-3").governor().as_deref(), Some("performance,powersave"));
        let (name, cpus) = of("0-3").governors.remove(0);
        assert_eq!((name.as_str(), cpus.to_string().as_str()), ("performance", "0,2"));
        assert_eq!(of("3-9").governor(), None, "an empty file, and none");
    }

    #[test]
    fn the_deepest_idle_state_that_is_not_disabled_decides() {
        let machine = Machine::of(&[("/sys/devices/system/cpu/cpuidle/current_driver", "acpi\n")]);
        for cpu in [3, 4] {
            let folder = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle");
            for (state, latency) in [(0, 0), (1, 2), (2, 133), (3, 890)] {
                machine.set(&format!("{folder}/state{state}/latency"), format!("{latency}\n"));
                let disable = if cpu == 3 && state == 3 { "1\n" } else { "0\n" };
                machine.set(&format!("{folder}/state{state}/disable"), disable);
            }
        }
        machine.set("/sys/devices/system/cpu/cpu3/cpuidle/odd/latency", "9999\n");
        let rest = Rest::inspect(&machine.tree(), &"0-5".parse().unwrap());
        let micros = |cpus: &str| rest.wake_up_micros(&cpus.parse().unwrap());
        assert_eq!((micros("3"), micros("3-4"), micros("0-2")), (Some(133), Some(890), None));
        assert_eq!(rest.states.last().map(|state| state.cpus.to_string()).as_deref(), Some("4"));
        assert_eq!(rest.driver.as_deref(), Some("acpi"));
    }

    #[test]
    fn a_machine_that_tells_nothing_rests_in_an_unknown_way() {
        let machine = Machine::of(&[
            ("/sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "soon\n"),
            ("/sys/devices/system/cpu/cpu0/cpuidle/stateX/latency", "1\n"),
            ("/sys/devices/system/cpu/cpuidle/current_driver", "\n"),
        ]);
        assert_eq!(Rest::inspect(&machine.tree(), &"0-1".parse().unwrap()), Rest::default());
    }
}
