//! Which CPUs share a core, and which memory is near to whom.

use std::collections::BTreeSet;

use super::cpu::CpuList;
use crate::tree::Tree;

/// CPUs whose siblings are looked up: a file each.
const CPUS_MAX: usize = 1_024;

/// Memory nodes that are looked at; beyond the largest machines that exist.
const NODES_MAX: usize = 256;

/// How the allowed CPUs lie to each other. What the machine does not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The cores, by their lowest CPU: of each the allowed CPUs that are hyperthreads of it. A CPU
    /// of which nothing is known is in none.
    pub cores: Vec<CpuList>,
    /// The nodes with their memory (NUMA), by their numbers: of each the allowed CPUs.
    pub nodes: Vec<(usize, CpuList)>,
}

impl Topology {
    pub(super) fn inspect(tree: &Tree, allowed: &CpuList) -> Self {
        let (mut cores, mut seen) = (Vec::new(), BTreeSet::new());
        for cpu in allowed.iter().take(CPUS_MAX) {
            if seen.contains(&cpu) {
                continue;
            }
            let folder = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
            let siblings = tree.text(format!("{folder}/thread_siblings_list"));
            let siblings = siblings.and_then(|text| text.trim().parse::<CpuList>().ok());
            let Some(core) = siblings.and_then(|list| list.common(allowed)) else { continue };
            seen.extend(core.iter());
            cores.push(core);
        }
        let of_node = |name: String| {
            let number = name.strip_prefix("node")?.parse().ok()?;
            let list = tree.text(format!("/sys/devices/system/node/{name}/cpulist"))?;
            Some((number, list.trim().parse::<CpuList>().ok()?.common(allowed)?))
        };
        let names = tree.names("/sys/devices/system/node", NODES_MAX);
        let mut nodes: Vec<(usize, CpuList)> = names.into_iter().filter_map(of_node).collect();
        nodes.sort_by_key(|(number, _)| *number);
        Self { cores, nodes }
    }

    /// The lowest CPU of `cpu`'s core; itself if nothing is known of it.
    #[must_use]
    pub fn core_of(&self, cpu: usize) -> usize {
        let core = self.cores.iter().find(|core| core.contains(cpu));
        core.and_then(|core| core.iter().next()).unwrap_or(cpu)
    }

    /// The node of `cpu`, if that is known.
    #[must_use]
    pub fn node_of(&self, cpu: usize) -> Option<usize> {
        self.nodes.iter().find(|(_, cpus)| cpus.contains(cpu)).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    #[test]
    fn cores_and_nodes_are_those_of_the_allowed_cpus() {
        let machine = Machine::of(&[]);
        for cpu in 0..8 {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            machine.set(&path, format!("{},{}\n", cpu % 4, cpu % 4 + 4));
        }
        machine.set("/sys/devices/system/node/node1/cpulist", "1,3,5,7\n");
        machine.set("/sys/devices/system/node/node0/cpulist", "0,2,4,6\n");
        machine.set("/sys/devices/system/node/online", "0-1\n");
        let topology = Topology::inspect(&machine.tree(), &"1-5".parse().unwrap());
        let written: Vec<String> = topology.cores.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["1,5", "2", "3", "4"]);
        let nodes: Vec<(usize, String)> =
            topology.nodes.iter().map(|(number, cpus)| (*number, cpus.to_string())).collect();
        assert_eq!(nodes, [(0, "2,4".to_owned()), (1, "1,3,5".to_owned())]);
        assert_eq!((topology.core_of(5), topology.core_of(4), topology.core_of(9)), (1, 4, 9));
        assert_eq!((topology.node_of(5), topology.node_of(9)), (Some(1), None));
    }

    #[test]
    fn a_machine_that_tells_nothing_has_neither() {
        let machine = Machine::of(&[
            ("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "?\n"),
            ("/sys/devices/system/node/node0/cpulist", "\n"),
            ("/sys/devices/system/node/nodeX/cpulist", "0\n"),
        ]);
        let topology = Topology::inspect(&machine.tree(), &"0-1".parse().unwrap());
        assert_eq!(topology, Topology::default());
    }
}
