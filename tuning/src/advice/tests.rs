//! Each rule on recorded machines: where it speaks, and where it is silent.
//!
//! A recording is a file of `testdata`; `record.sh` beside it makes one. Cases change a recording
//! where no machine is quite what is needed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::setting::SETTINGS;
use crate::tree::fake::Machine;

const BARE_METAL: &str = include_str!("../../testdata/bare-metal.txt");
const VM: &str = include_str!("../../testdata/vm.txt");
const CONTAINER: &str = include_str!("../../testdata/container.txt");
const OLD: &str = include_str!("../../testdata/old.txt");

const TW_REUSE: &str = "/proc/sys/net/ipv4/tcp_tw_reuse";
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";
const BALANCER: &str = "/proc/612/comm";
const FLOWS: &str = "/proc/sys/net/core/rps_sock_flow_entries";
const FLOWS_OF_QUEUE: &str = "/sys/class/net/eth0/queues/rx-0/rps_flow_cnt";
const SENT: [&str; 4] = [
    "/sys/class/net/eth0/queues/tx-0/xps_cpus",
    "/sys/class/net/eth0/queues/tx-1/xps_cpus",
    "/sys/class/net/eth0/queues/tx-2/xps_cpus",
    "/sys/class/net/eth0/queues/tx-3/xps_cpus",
];
const SENT_BY_QUEUE: &str = "/sys/class/net/eth0/queues/tx-1/xps_rxqs";
const LOADAVG: &str = "/proc/loadavg";
const STATUS: &str = "/proc/self/status";
const ORDINARY: &str = "CapEff:\t0000000000000000\nGid:\t7\t7\t7\t7\nGroups:\t7 12 \nSeccomp:\t0\n\
                        Cpus_allowed_list:\t0-1\n";

/// A rule on a machine.
struct Case {
    code: &'static str,
    machine: &'static str,
    /// Files that are different on it.
    edits: &'static [(&'static str, &'static str)],
    demand: fn(&mut Demand),
    /// What it says: how grave it is, a part of the message, a part of the first cure; or nothing.
    says: Option<(Severity, &'static str, &'static str)>,
}

fn nothing(_: &mut Demand) {}

/// So many connections to one address elsewhere.
fn many(demand: &mut Demand, connections: u64) {
    demand.connections = Some(connections);
    demand.to_one = connections;
    demand.to = To::Address([192, 168, 100, 7].into());
}

/// The same to this machine.
fn many_here(demand: &mut Demand, connections: u64) {
    many(demand, connections);
    demand.to = To::Address([127, 0, 0, 1].into());
}

/// The same to an address of IPv6.
fn many_of_six(demand: &mut Demand, to: [u16; 8], connections: u64) {
    many(demand, connections);
    demand.to = To::Address(to.into());
}

/// So many new connections per second, for a minute and a half.
fn churn(demand: &mut Demand, per_second: f64) {
    many(demand, 100);
    demand.churn = Some(Churn { per_second, seconds: 90.0, reset: false });
}

fn shards(demand: &mut Demand, cpus: &str) {
    many(demand, 100);
    demand.shards = cpus.parse().ok();
    demand.scheduled = true;
}

use Severity::{Hint, Impossible, Limits, Risky};

const CASES: &[Case] = &[
    Case {
        code: "open_files",
        machine: VM,
        edits: &[],
        demand: |it| many(it, 50_000),
        says: Some((Impossible, "need 50064 open files, and the hard limit is 20000", "prlimit")),
    },
    Case {
        code: "open_files",
        machine: BARE_METAL,
        edits: &[],
        // The soft limit is 1024, and the hard one is far above.
        demand: |it| many(it, 50_000),
        says: None,
    },
    Case {
        code: "open_files",
        machine: BARE_METAL,
        edits: &[],
        // With 64 others just as many as there may be.
        demand: |it| many(it, 524_224),
        says: None,
    },
    Case {
        code: "open_files",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| many(it, 2_000_000),
        says: Some((Impossible, "2000000 connections", "sysctl -w fs.nr_open='2000064'")),
    },
    Case {
        code: "system_files",
        machine: OLD,
        edits: &[],
        demand: |it| many(it, 400_000),
        says: Some((Impossible, "beside 1500 open files", "sysctl -w fs.file-max='803000'")),
    },
    Case {
        code: "system_files",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| many(it, 400_000),
        says: None,
    },
    Case {
        code: "local_ports",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| many(it, 28_233),
        says: Some((
            Impossible,
            "there are 28232 from 1 local address",
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
        )),
    },
    Case {
        code: "local_ports",
        machine: BARE_METAL,
        edits: &[("/proc/sys/net/ipv4/ip_local_reserved_ports", "8080,40000-40009,60999-61005\n")],
        demand: |it| {
            many(it, 60_000);
            it.sources = 2;
        },
        says: Some((Impossible, "there are 56442 from 2 local addresses", "1024 65535")),
    },
    Case {
        code: "local_ports",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| many(it, 28_232),
        says: None,
    },
    Case {
        code: "local_ports",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| {
            many(it, 60_000);
            it.to = To::Socket;
        },
        says: None,
    },
    Case {
        code: "new_connections",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| churn(it, 500.0),
        says: Some((Limits, "30000 local ports waiting for 60 s, and there are 28232", "rst")),
    },
    Case {
        code: "new_connections",
        machine: BARE_METAL,
        edits: &[(TW_REUSE, "1\n")],
        demand: |it| churn(it, 30_000.0),
        says: Some((Limits, "waiting for 1 s", "--close rst")),
    },
    Case {
        code: "new_connections",
        machine: BARE_METAL,
        edits: &[(TW_REUSE, "1\n")],
        demand: |it| churn(it, 28_000.0),
        says: None,
    },
    Case {
        code: "new_connections",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| {
            churn(it, 500.0);
            it.to = To::Address([127, 0, 0, 1].into());
        },
        says: None,
    },
    Case {
        code: "new_connections",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| {
            churn(it, 500.0);
            it.churn = it.churn.map(|churn| Churn { reset: true, ..churn });
        },
        says: None,
    },
    Case {
        code: "timestamps",
        machine: OLD,
        edits: &[],
        demand: |it| churn(it, 1.0),
        says: Some((Risky, "timestamps are off", "tcp_timestamps='1'")),
    },
    Case { code: "timestamps", machine: OLD, edits: &[], demand: |it| many(it, 100), says: None },
    Case { code: "timestamps", machine: VM, edits: &[], demand: |it| churn(it, 1.0), says: None },
    Case {
        code: "time_wait_table",
        machine: OLD,
        edits: &[],
        demand: |it| churn(it, 300.0),
        says: Some((Hint, "18000 sockets would wait", "tcp_max_tw_buckets='32768'")),
    },
    Case {
        code: "time_wait_table",
        machine: OLD,
        edits: &[],
        demand: |it| churn(it, 200.0),
        says: None,
    },
    Case {
        code: "conntrack",
        machine: CONTAINER,
        edits: &[],
        demand: |it| many(it, 70_000),
        says: Some((Limits, "18 connections, 70000 more are 70018", "nf_conntrack_max='140036'")),
    },
    Case {
        code: "conntrack",
        machine: CONTAINER,
        edits: &[],
        demand: |it| churn(it, 1_000.0),
        says: Some((Limits, "90100 more", "nf_conntrack_max")),
    },
    Case {
        code: "conntrack",
        machine: CONTAINER,
        edits: &[],
        demand: |it| many(it, 60_000),
        says: None,
    },
    Case {
        code: "conntrack",
        machine: VM,
        edits: &[],
        // There is a table, and nothing is in it.
        demand: |it| many(it, 900_000),
        says: None,
    },
    Case {
        code: "accept_queue",
        machine: OLD,
        edits: &[],
        demand: |it| many_here(it, 129),
        says: Some((Risky, "129 connections open at once, and 128 may wait", "somaxconn='65535'")),
    },
    Case { code: "accept_queue", machine: OLD, edits: &[], demand: |it| many(it, 129), says: None },
    Case {
        code: "accept_queue",
        machine: VM,
        edits: &[],
        demand: |it| many_here(it, 4_096),
        says: None,
    },
    Case {
        code: "memory",
        machine: CONTAINER,
        edits: &[],
        demand: |it| it.memory = Some(600 << 20),
        says: Some((Impossible, "600 MiB, and its control group allows 512 MiB", "-c")),
    },
    Case {
        code: "memory",
        machine: OLD,
        edits: &[],
        demand: |it| it.memory = Some(3_500 << 20),
        says: Some((Limits, "takes about 3.4 GiB, and 3.2 GiB are free", "-c")),
    },
    Case {
        code: "memory",
        machine: OLD,
        edits: &[],
        demand: |it| it.memory = Some(4_000 << 20),
        says: Some((Impossible, "and the machine has 3.7 GiB", "-c")),
    },
    Case {
        code: "memory",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| it.memory = Some(4_000 << 20),
        says: None,
    },
    Case {
        code: "socket_buffers",
        machine: OLD,
        edits: &[],
        demand: |it| {
            many(it, 30_000);
            it.memory = Some(200 << 20);
        },
        says: Some((
            Hint,
            "up to 144 KiB for each connection, 4.1 GiB in all",
            "tcp_rmem='4096 16384 6291456'",
        )),
    },
    Case {
        code: "socket_buffers",
        machine: OLD,
        edits: &[("/proc/sys/net/ipv4/tcp_rmem", "4096\t16384\t6291456\n")],
        demand: |it| {
            many(it, 30_000);
            it.memory = Some(200 << 20);
        },
        says: None,
    },
    Case {
        code: "socket_buffers",
        machine: OLD,
        edits: &[],
        // More than there is: that is said by another rule.
        demand: |it| {
            many(it, 30_000);
            it.memory = Some(4 << 30);
        },
        says: None,
    },
    Case {
        code: "tcp_memory",
        machine: OLD,
        edits: &[],
        demand: |it| many(it, 60_001),
        says: Some((Risky, "120002 pages", "tcp_mem='120002 240004 360006'")),
    },
    Case {
        code: "tcp_memory",
        machine: OLD,
        edits: &[],
        demand: |it| many(it, 60_000),
        says: None,
    },
    Case {
        code: "locked_memory",
        machine: VM,
        edits: &[(STATUS, ORDINARY)],
        demand: |it| it.locked = Some(9 << 20),
        says: Some((
            Impossible,
            "lock about 9 MiB, and this user may lock 8 MiB",
            "prlimit --pid $$ --memlock=16777216",
        )),
    },
    Case {
        code: "locked_memory",
        machine: VM,
        edits: &[],
        // An administrator may.
        demand: |it| it.locked = Some(9 << 20),
        says: None,
    },
    Case {
        code: "locked_memory",
        machine: BARE_METAL,
        edits: &[],
        // This kernel does not count rings.
        demand: |it| it.locked = Some(9 << 20),
        says: None,
    },
    Case {
        code: "ring",
        machine: OLD,
        edits: &[],
        demand: nothing,
        says: Some((Risky, "Linux 4.18.0-553.el8_10.x86_64 is older than 6.0", "a newer kernel")),
    },
    Case {
        code: "ring",
        machine: BARE_METAL,
        edits: &[(DISABLED, "2\n")],
        demand: nothing,
        says: Some((Risky, "is 2: nobody may", "sysctl -w kernel.io_uring_disabled='0'")),
    },
    Case {
        code: "ring",
        machine: BARE_METAL,
        edits: &[(DISABLED, "1\n"), ("/proc/sys/kernel/io_uring_group", "99\n")],
        demand: nothing,
        says: Some((Risky, "only administrators and group 99 may", "kernel.io_uring_disabled")),
    },
    Case {
        code: "ring",
        machine: BARE_METAL,
        edits: &[(DISABLED, "1\n"), ("/proc/sys/kernel/io_uring_group", "27\n")],
        demand: nothing,
        says: None,
    },
    Case { code: "ring", machine: VM, edits: &[(DISABLED, "1\n")], demand: nothing, says: None },
    Case {
        code: "ring",
        machine: CONTAINER,
        edits: &[],
        demand: |it| it.ring = Ring::Refused("Operation not permitted".to_owned()),
        says: Some((
            Risky,
            "a seccomp filter looks at",
            "pummel doctor --seccomp FILE > pummel.json",
        )),
    },
    Case {
        code: "ring",
        machine: CONTAINER,
        edits: &[],
        // The filter may let rings through.
        demand: nothing,
        says: None,
    },
    Case {
        code: "ring",
        machine: VM,
        edits: &[],
        demand: |it| it.ring = Ring::Refused("Cannot allocate memory".to_owned()),
        says: Some((Risky, "epoll takes its place: Cannot allocate memory", "")),
    },
    Case {
        code: "ring",
        machine: OLD,
        edits: &[],
        demand: |it| it.ring = Ring::Unwanted,
        says: None,
    },
    Case {
        code: "quota",
        machine: CONTAINER,
        edits: &[],
        demand: |it| shards(it, "1-2"),
        says: Some((Risky, "2 shards may use up 2 CPUs, and the quota is 1.50", "--shards 1")),
    },
    Case {
        code: "quota",
        machine: CONTAINER,
        edits: &[],
        demand: |it| shards(it, "1"),
        says: None,
    },
    Case {
        code: "quota",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "1-31"),
        says: None,
    },
    Case {
        code: "crowded",
        machine: VM,
        edits: &[],
        demand: |it| shards(it, "0-1"),
        says: Some((Risky, "each allowed CPU (0-1) carries a shard", "--shards 1")),
    },
    Case { code: "crowded", machine: VM, edits: &[], demand: |it| shards(it, "1"), says: None },
    Case {
        code: "siblings",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "1-17"),
        says: Some((Hint, "share a core on 1 of 16 cores", "--shards 16")),
    },
    Case {
        code: "siblings",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "1-16"),
        says: None,
    },
    Case {
        code: "clock",
        machine: OLD,
        edits: &[],
        demand: nothing,
        says: Some((Risky, "the clock hpet is slow", "boot with clocksource=tsc")),
    },
    Case { code: "clock", machine: VM, edits: &[], demand: nothing, says: None },
    Case {
        code: "busy",
        machine: VM,
        edits: &[(LOADAVG, "1.60 0.40 0.52 1/144 15480\n")],
        demand: nothing,
        says: Some((Risky, "1.6 tasks ran or waited on 2 CPUs", "end other programs")),
    },
    Case { code: "busy", machine: VM, edits: &[], demand: nothing, says: None },
    Case {
        code: "steal",
        machine: CONTAINER,
        edits: &[],
        demand: nothing,
        says: Some((Risky, "gave 1.8 % of this machine's CPU time", "CPUs of its own")),
    },
    Case { code: "steal", machine: BARE_METAL, edits: &[], demand: nothing, says: None },
    Case {
        code: "governor",
        machine: BARE_METAL,
        edits: &[],
        demand: nothing,
        says: Some((Hint, "the governor powersave", "echo performance | sudo tee /sys/")),
    },
    Case {
        code: "governor",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| it.scheduled = true,
        says: Some((Risky, "the governor powersave", "echo performance")),
    },
    Case { code: "governor", machine: OLD, edits: &[], demand: nothing, says: None },
    Case { code: "governor", machine: VM, edits: &[], demand: nothing, says: None },
    Case {
        code: "idle_states",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| it.scheduled = true,
        says: Some((Hint, "up to 170 µs to wake up", "--pacing spin")),
    },
    Case {
        code: "idle_states",
        machine: BARE_METAL,
        edits: &[("/sys/devices/system/cpu/cpu0/cpuidle/state3/disable", "1\n")],
        demand: |it| it.scheduled = true,
        says: None,
    },
    Case { code: "idle_states", machine: BARE_METAL, edits: &[], demand: nothing, says: None },
    Case {
        code: "backlog",
        machine: VM,
        edits: &[],
        demand: nothing,
        says: Some((Risky, "because the queue of a CPU, 1000 long", "netdev_max_backlog='16384'")),
    },
    Case {
        code: "backlog",
        machine: VM,
        edits: &[("/proc/sys/net/core/netdev_max_backlog", "4096\n")],
        demand: nothing,
        says: None,
    },
    Case { code: "backlog", machine: BARE_METAL, edits: &[], demand: nothing, says: None },
    Case {
        code: "far_card",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "6-9"),
        says: Some((Hint, "CPU 6-7 are far from the card ens2f0", "--cores 9-12")),
    },
    Case {
        code: "far_card",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "9-12"),
        says: None,
    },
    Case { code: "far_card", machine: VM, edits: &[], demand: |it| shards(it, "1"), says: None },
    Case {
        code: "interrupts",
        machine: VM,
        edits: &[],
        demand: |it| shards(it, "1"),
        says: Some((Hint, "interrupts of eth0 arrive on CPU 1", "| tee /proc/irq/$i/smp_aff")),
    },
    Case {
        code: "interrupts",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "1-7"),
        says: None,
    },
    Case {
        code: "single_queue",
        machine: OLD,
        edits: &[],
        demand: |it| shards(it, "1-3"),
        says: Some((Hint, "enp3s0 has one queue for 3 shards", "ethtool -L enp3s0 combined 3")),
    },
    Case {
        code: "single_queue",
        machine: OLD,
        edits: &[("/sys/class/net/enp3s0/queues/rx-0/rps_cpus", "f\n")],
        demand: |it| shards(it, "1-3"),
        says: None,
    },
    Case {
        code: "single_queue",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "1-3"),
        says: None,
    },
    Case {
        code: "governor",
        machine: BARE_METAL,
        edits: &[("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n")],
        // The shard's CPU is not slowed down, whatever the others do.
        demand: |it| shards(it, "0"),
        says: None,
    },
    Case {
        code: "irqbalance",
        machine: VM,
        edits: &[(BALANCER, "irqbalance\n")],
        demand: |it| shards(it, "1"),
        says: Some((Hint, "it may move interrupts of eth0", "systemctl stop irqbalance")),
    },
    Case {
        code: "irqbalance",
        machine: VM,
        edits: &[(BALANCER, "irqbalance\n")],
        // Nothing leaves by the card.
        demand: |it| {
            shards(it, "1");
            it.to = To::Address([127, 0, 0, 1].into());
        },
        says: None,
    },
    Case { code: "irqbalance", machine: VM, edits: &[], demand: |it| shards(it, "1"), says: None },
    Case {
        code: "spread_twice",
        machine: BARE_METAL,
        edits: &[("/sys/class/net/ens2f0/queues/rx-3/rps_cpus", "000000ff\n")],
        demand: |it| shards(it, "8-15"),
        says: Some((Hint, "hands packets of ens2f0 on", "echo 0 | sudo tee /sys/class/net/ens2f0")),
    },
    Case {
        code: "spread_twice",
        machine: OLD,
        edits: &[("/sys/class/net/enp3s0/queues/rx-0/rps_cpus", "f\n")],
        demand: |it| shards(it, "1-2"),
        says: None,
    },
    Case {
        code: "spread_twice",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| shards(it, "8-15"),
        says: None,
    },
    Case {
        code: "flow_steering",
        machine: OLD,
        edits: &[
            ("/sys/class/net/enp3s0/queues/rx-0/rps_cpus", "f\n"),
            ("/sys/class/net/enp3s0/queues/rx-0/rps_flow_cnt", "0\n"),
        ],
        demand: |it| shards(it, "1-2"),
        says: Some((
            Hint,
            "without regard to the shard",
            "rps_sock_flow_entries='32768', then echo 32768 | sudo tee /sys/class/net/enp3s0",
        )),
    },
    Case {
        code: "flow_steering",
        machine: VM,
        edits: &[(FLOWS, "4096\n"), (FLOWS_OF_QUEUE, "0\n")],
        demand: |it| shards(it, "1"),
        says: Some((Hint, "is 4096, and no queue of eth0 has a part", "echo 32768 | tee")),
    },
    Case {
        code: "flow_steering",
        machine: VM,
        edits: &[(FLOWS_OF_QUEUE, "2048\n")],
        demand: |it| shards(it, "1"),
        says: Some((Hint, "is 0: none is", "sysctl -w net.core.rps_sock_flow_entries=")),
    },
    Case {
        code: "flow_steering",
        machine: VM,
        edits: &[(FLOWS, "4096\n"), (FLOWS_OF_QUEUE, "2048\n")],
        demand: |it| shards(it, "1"),
        says: None,
    },
    Case {
        code: "flow_steering",
        machine: VM,
        edits: &[(FLOWS_OF_QUEUE, "0\n")],
        demand: |it| shards(it, "0-1"),
        says: None,
    },
    Case {
        code: "shared_queue",
        machine: VM,
        edits: &[(SENT[0], "3\n"), (SENT[1], "0\n"), (SENT_BY_QUEUE, "0\n")],
        demand: |it| shards(it, "0-1"),
        says: Some((
            Hint,
            "2 shards send through the same queues of eth0, which has 2",
            "echo 1 | tee /sys/class/net/eth0/queues/tx-0/xps_cpus, then echo 2 | tee",
        )),
    },
    Case {
        code: "shared_queue",
        machine: VM,
        // The first queue of each is its own; the third is everybody's.
        edits: &[(SENT[0], "1\n"), (SENT[1], "2\n"), (SENT[2], "f\n"), (SENT[3], "0\n")],
        demand: |it| shards(it, "0-1"),
        says: Some((Hint, "the same queues of eth0, which has 4", "echo 1 | tee")),
    },
    Case {
        code: "shared_queue",
        machine: VM,
        edits: &[(SENT[0], "5\n"), (SENT[1], "2\n"), (SENT[2], "1\n"), (SENT[3], "a\n")],
        // Two queues each, which are shared with CPUs that have no shard.
        demand: |it| shards(it, "0-1"),
        says: None,
    },
    Case {
        code: "shared_queue",
        machine: VM,
        edits: &[(SENT[0], "1\n"), (SENT[1], "2\n")],
        demand: |it| shards(it, "0-1"),
        says: None,
    },
    Case {
        code: "shared_queue",
        machine: VM,
        edits: &[(SENT[0], "0\n"), (SENT[1], "0\n"), (SENT_BY_QUEUE, "1\n")],
        // Who sends through what depends on where packets come in.
        demand: |it| shards(it, "0-1"),
        says: None,
    },
    Case {
        code: "card_drops",
        machine: BARE_METAL,
        edits: &[("/sys/class/net/ens2f0/statistics/rx_missed_errors", "12\n")],
        demand: |it| shards(it, "8-15"),
        says: Some((Hint, "ens2f0 had no room for 12 packets", "ethtool -g ens2f0")),
    },
    Case {
        code: "card_drops",
        machine: BARE_METAL,
        edits: &[
            ("/sys/class/net/ens2f0/statistics/rx_missed_errors", "0\n"),
            ("/sys/class/net/eno1/statistics/rx_missed_errors", "12\n"),
        ],
        // The other card does.
        demand: |it| shards(it, "8-15"),
        says: None,
    },
    Case {
        code: "congestion",
        machine: VM,
        edits: &[],
        demand: nothing,
        says: Some((Hint, "congestion control is bbr", "tcp_congestion_control='cubic'")),
    },
    Case { code: "congestion", machine: OLD, edits: &[], demand: nothing, says: None },
    Case {
        code: "huge_pages",
        machine: BARE_METAL,
        edits: &[],
        demand: |it| it.scheduled = true,
        says: Some((Hint, "for all programs", "echo 'madvise' | sudo tee /sys/")),
    },
    Case {
        code: "huge_pages",
        machine: VM,
        edits: &[],
        demand: |it| it.scheduled = true,
        says: None,
    },
    Case {
        code: "numa_balancing",
        machine: BARE_METAL,
        edits: &[],
        demand: nothing,
        says: Some((Hint, "between 2 memory nodes", "kernel.numa_balancing='0'")),
    },
    Case {
        code: "numa_balancing",
        machine: VM,
        edits: &[("/proc/sys/kernel/numa_balancing", "1\n")],
        demand: nothing,
        says: None,
    },
];

/// The machine of a case; those without edits are written only once.
#[derive(Default)]
struct Hosts(BTreeMap<&'static str, Host>);

impl Hosts {
    fn of(&mut self, case: &Case) -> Host {
        if !case.edits.is_empty() {
            return host(case.machine, case.edits);
        }
        self.0.entry(case.machine).or_insert_with(|| host(case.machine, &[])).clone()
    }
}

fn host(recording: &str, edits: &[(&str, &str)]) -> Host {
    let machine = Machine::recorded(recording);
    for (path, text) in edits {
        machine.set(path, text);
    }
    crate::inspect_below(machine.root())
}

#[test]
fn each_rule_speaks_where_it_should_and_is_silent_elsewhere() {
    let mut hosts = Hosts::default();
    for (number, case) in CASES.iter().enumerate() {
        let mut demand = Demand::default();
        (case.demand)(&mut demand);
        let findings = advise(&hosts.of(case), &demand);
        let said = findings.iter().find(|finding| finding.code == case.code);
        let place = format!("case {number}, {}: {findings:#?}", case.code);
        match (case.says, said) {
            (None, None) => {}
            (Some((severity, message, cure)), Some(finding)) => {
                assert_eq!(finding.severity, severity, "{place}");
                assert!(finding.message.contains(message), "{place}");
                let first = finding.cures.first().map(Cure::how).unwrap_or_default();
                assert!(first.contains(cure), "{place}");
            }
            _ => panic!("{place}"),
        }
    }
}

/// The steps of all cures of a finding, as they are shown.
fn cures(code: &str, machine: (&str, &[(&str, &str)]), demand: fn(&mut Demand)) -> Vec<String> {
    let mut wanted = Demand::default();
    demand(&mut wanted);
    let findings = advise(&host(machine.0, machine.1), &wanted);
    let found = findings.iter().find(|finding| finding.code == code).unwrap();
    found.cures.iter().map(Cure::how).collect()
}

#[test]
fn what_helps_only_together_is_named_together_and_in_order() {
    let root = (STATUS, "CapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-31\n");
    let shell = "prlimit --pid $$ --nofile=2000064, then run in the same shell";
    assert_eq!(
        cures("open_files", (BARE_METAL, &[root]), |it| many(it, 2_000_000))[..2],
        [
            format!("sysctl -w fs.nr_open='2000064', then {shell}"),
            "sysctl -w fs.nr_open='2000064', then LimitNOFILE=2000064 of its unit, or limits.d and \
             a new login"
                .to_owned(),
        ]
    );
    let user = cures("open_files", (BARE_METAL, &[]), |it| many(it, 600_000));
    assert_eq!(user[0], "sudo prlimit --pid $$ --nofile=600064, then run in the same shell");
    // All ports there are do not suffice, and neither do as many addresses without them.
    assert_eq!(
        cures("local_ports", (BARE_METAL, &[]), |it| many_here(it, 150_000)),
        [
            "sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535', then --source-ip \
             127.0.0.1,127.0.0.2,127.0.0.3",
            "--source-ip 127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6",
        ]
    );
    assert_eq!(
        cures("local_ports", (BARE_METAL, &[root]), |it| many(it, 64_000)),
        [
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
            "ip address add ADDRESS dev CARD, for each that is missing of 3, then --source-ip with \
             3 addresses",
        ]
    );
    assert_eq!(
        cures("new_connections", (OLD, &[]), |it| churn(it, 40_000.0))[1],
        "sudo sysctl -w net.ipv4.tcp_timestamps='1', then sudo sysctl -w \
         net.ipv4.tcp_tw_reuse='1', then sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
    );
    assert_eq!(
        cures("accept_queue", (BARE_METAL, &[root]), |it| many_here(it, 9_000)),
        ["sysctl -w net.core.somaxconn='65535', then start the server again, with a backlog of \
          9000 or more"]
    );
    let untracked = "-j CT --notrack";
    assert_eq!(
        cures("conntrack", (VM, &[(TRACKED, "1\n")]), |it| many(it, 300_000))[1],
        format!(
            "iptables -t raw -I OUTPUT -p tcp -d 192.168.100.7 {untracked}, then iptables \
             -t raw -I PREROUTING -p tcp -s 192.168.100.7 {untracked}"
        )
    );
    let refused = |it: &mut Demand| it.ring = Ring::Refused("Operation not permitted".to_owned());
    assert_eq!(
        cures("ring", (CONTAINER, &[(DISABLED, "2\n")]), refused),
        ["sudo sysctl -w kernel.io_uring_disabled='0', then pummel doctor --seccomp FILE > \
          pummel.json, with the profile of the engine as FILE, then run the container with \
          --security-opt seccomp=pummel.json"]
    );
    assert_eq!(
        cures("interrupts", (VM, &[(BALANCER, "irqbalance\n")]), |it| shards(it, "1")),
        ["systemctl stop irqbalance, then for i in 38; do echo 0 | tee \
          /proc/irq/$i/smp_affinity_list; done"]
    );
    assert_eq!(
        cures("idle_states", (BARE_METAL, &[]), |it| shards(it, "0"))[1],
        "for i in 0; do echo 1 | sudo tee /sys/devices/system/cpu/cpu$i/cpuidle/state3/disable; \
         done"
    );
}

#[test]
fn where_a_server_has_an_address_of_ipv6_so_have_its_connections() {
    const ONE: [u16; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
    let sources = "--source-ip ::1,fd6e:4a1c:9b72::2,fd6e:4a1c:9b72::3";
    let add = "sudo ip address add fd6e:4a1c:9b72::";
    let [widened, more, other] =
        cures("local_ports", (BARE_METAL, &[]), |it| many_of_six(it, ONE, 70_000))
            .try_into()
            .unwrap();
    assert_eq!(
        widened,
        format!(
            "sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535', then {add}2/128 dev lo, \
             then --source-ip ::1,fd6e:4a1c:9b72::2"
        )
    );
    assert_eq!(more, format!("{add}2/128 dev lo, then {add}3/128 dev lo, then {sources}"));
    assert_eq!(
        other,
        "127.0.0.1 as the target, if the server listens there, then --source-ip \
         127.0.0.1,127.0.0.2,127.0.0.3"
    );
    let many_more = |it: &mut Demand| many_of_six(it, ONE, 700_000);
    assert!(cures("local_ports", (BARE_METAL, &[]), many_more)[0].ends_with(
        "ADDRESS dev lo, for each that is missing of 11, then --source-ip with 11 \
                        addresses"
    ));
    // An address of IPv4 in the clothes of the other kind.
    let mapped = |it: &mut Demand| many_of_six(it, [0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 70_000);
    assert!(
        cures("local_ports", (BARE_METAL, &[]), mapped)[0]
            .ends_with(" ::ffff:127.0.0.1,::ffff:127.0.0.2"),
    );
}

#[test]
fn buffers_become_smaller_where_they_are_large_and_nothing_else_of_them_changes() {
    const RECEIVE: &str = "/proc/sys/net/ipv4/tcp_rmem";
    const SEND: &str = "/proc/sys/net/ipv4/tcp_wmem";
    let fewer = "fewer connections (-c)";
    let set = |what: &str| format!("sudo sysctl -w net.ipv4.{what}");
    let (receive, send) = ("tcp_rmem='4096 16384 67108864'", "tcp_wmem='8192 16384 4194304'");
    for (words, expected) in [
        // What is least and most is somebody's choice.
        (["4096\t131072\t67108864", "4096\t16384\t4194304"], vec![set(receive)]),
        (["4096\t8192\t67108864", "8192\t1048576\t4194304"], vec![set(send)]),
        // With the one direction alone it is still too much.
        (
            ["4096\t131072\t67108864", "8192\t1048576\t4194304"],
            vec![format!("{}, then {}", set(send), set(receive))],
        ),
        (["4096\t8192\t6291456", "4096\t16384\t4194304"], vec![]),
        (["32768\t32768\t6291456", "4096\t16384\t4194304"], vec![]),
    ] {
        // Less is free than connections with small buffers take.
        let edits = [(RECEIVE, words[0]), (SEND, words[1])];
        let cures = cures("socket_buffers", (OLD, &edits), |it| {
            many(it, 1_000_000);
            it.memory = Some(200 << 20);
        });
        let expected: Vec<String> = expected.into_iter().chain([fewer.to_owned()]).collect();
        assert_eq!(cures, expected, "{words:?}");
    }
    // The larger ones are enough.
    let edits = [(RECEIVE, "4096\t131072\t6291456"), (SEND, "4096\t32768\t4194304")];
    let enough = cures("socket_buffers", (OLD, &edits), |it| {
        many(it, 30_000);
        it.memory = Some(200 << 20);
    });
    assert_eq!(enough[0], set("tcp_rmem='4096 16384 6291456'"));
}

#[test]
fn what_nobody_has_named_is_changed_only_if_it_is_grave_and_helps_best() {
    let mut demand = Demand::default();
    shards(&mut demand, "0");
    // Ports that wait are best avoided by a flag, and what is written for them is the next best.
    demand.churn = Some(Churn { per_second: 500.0, seconds: 90.0, reset: false });
    let findings = advise(&host(BARE_METAL, &[]), &demand);
    let paths = |only: Option<&[&str]>| -> Vec<String> {
        choose(&findings, only).changes.into_iter().map(|change| change.path).collect()
    };
    let governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    assert_eq!(paths(None), [governor]);
    let left = choose(&findings, None).left;
    for code in ["new_connections", "idle_states", "huge_pages", "numa_balancing"] {
        assert!(left.contains(&code), "{code}: {left:?}");
    }
    assert!(!left.contains(&"governor"), "{left:?}");
    // One of several alternatives.
    let ports = findings.iter().find(|finding| finding.code == "new_connections").unwrap();
    assert!(ports.cures.iter().filter(|cure| cure.changes().count() > 0).count() > 1, "{ports:?}");
    assert_eq!(paths(Some(&["new_connections"])), [TW_REUSE]);
    let state = "/sys/devices/system/cpu/cpu0/cpuidle/state3/disable";
    assert_eq!(paths(Some(&["idle_states", "far_card"])), [state]);
    assert_eq!(choose(&findings, Some(&["idle_states"])).left, [""; 0]);
}

#[test]
fn shards_share_no_queue_when_all_queues_are_dealt_out() {
    let all = SENT.map(|path| (path, "f\n"));
    let two = |it: &mut Demand| shards(it, "0-1");
    let tx = "/sys/class/net/eth0/queues/tx-";
    let cured = cures("shared_queue", (VM, &all), two);
    assert_eq!(
        cured,
        [format!(
            "echo 1 | tee {tx}0/xps_cpus {tx}2/xps_cpus, then echo 2 | tee {tx}1/xps_cpus \
             {tx}3/xps_cpus"
        )]
    );
    let mut demand = Demand::default();
    two(&mut demand);
    let found = |edits: &[(&str, &str)]| {
        let found = advise(&host(VM, edits), &demand);
        found.into_iter().find(|finding| finding.code == "shared_queue")
    };
    let before = found(&all).unwrap();
    let changes = before.cures[0].changes();
    let done: Vec<(&str, &str)> = changes.map(|it| (it.path.as_str(), it.value.as_str())).collect();
    assert_eq!(done.len(), SENT.len());
    assert_eq!(found(&done), None);
}

#[test]
fn what_is_changed_of_cpus_is_changed_of_those_of_shards_alone() {
    const STATES: [(&str, &str); 6] = [
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/latency", "60\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "0\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state3/latency", "170\n"),
        ("/sys/devices/system/cpu/cpu1/cpuidle/state3/disable", "0\n"),
        ("/sys/devices/system/cpu/cpu2/cpuidle/state3/latency", "170\n"),
        ("/sys/devices/system/cpu/cpu2/cpuidle/state3/disable", "0\n"),
    ];
    let root = (STATUS, "CapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-31\n");
    assert_eq!(
        cures("governor", (BARE_METAL, &[root]), |it| shards(it, "3,7")),
        ["for i in 3 7; do echo performance | tee \
          /sys/devices/system/cpu/cpu$i/cpufreq/scaling_governor; done"]
    );
    assert_eq!(
        cures("governor", (BARE_METAL, &[root]), nothing),
        ["echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"]
    );
    let mut demand = Demand::default();
    shards(&mut demand, "0-1");
    let findings = advise(&host(BARE_METAL, &STATES), &demand);
    for (code, files) in [
        ("governor", [(0, "cpufreq/scaling_governor"), (1, "cpufreq/scaling_governor")].as_slice()),
        (
            "idle_states",
            &[
                (1, "cpuidle/state2/disable"),
                (1, "cpuidle/state3/disable"),
                (0, "cpuidle/state3/disable"),
            ],
        ),
    ] {
        let found = findings.iter().find(|finding| finding.code == code).unwrap();
        let changes = found.cures.iter().flat_map(Cure::changes);
        let paths: Vec<&str> = changes.map(|change| change.path.as_str()).collect();
        let path = |(cpu, file): &(usize, &str)| format!("/sys/devices/system/cpu/cpu{cpu}/{file}");
        assert_eq!(paths, files.iter().map(path).collect::<Vec<_>>(), "{code}");
    }
}

#[test]
fn each_rule_has_a_case_in_which_it_speaks_and_one_in_which_it_is_silent() {
    let of = |speaks: bool| -> BTreeSet<&str> {
        let cases = CASES.iter().filter(|case| case.says.is_some() == speaks);
        cases.map(|case| case.code).collect()
    };
    let all: BTreeSet<&str> = codes().collect();
    assert_eq!(codes().count(), all.len(), "a code is given twice");
    assert_eq!((of(true), of(false)), (all.clone(), all));
}

#[test]
fn a_machine_that_tells_nothing_is_not_judged() {
    let mut demand = Demand::default();
    shards(&mut demand, "0-3");
    many(&mut demand, u64::from(u32::MAX));
    churn(&mut demand, 1e9);
    (demand.memory, demand.locked) = (Some(u64::MAX), Some(u64::MAX));
    demand.shards = "1".parse().ok();
    let empty = Machine::of(&[]);
    assert_eq!(advise(&crate::inspect_below(empty.root()), &demand), []);
    // The same where there are files, and nothing in them makes sense.
    let odd = Machine::of(&[]);
    for setting in SETTINGS {
        setting.path().iter().for_each(|path| odd.set(path, b"\xff[ -1 x\n0"));
    }
    for path in [STATUS, LOADAVG, "/proc/self/limits", "/proc/meminfo", "/proc/net/softnet_stat"] {
        odd.set(path, "???: [,-\n\u{0}");
    }
    assert_eq!(advise(&crate::inspect_below(odd.root()), &demand), []);
}

#[test]
fn what_only_a_card_tells_is_unknown_where_the_load_leaves_by_one() {
    let mut demand = Demand::default();
    many(&mut demand, 100);
    let host = host(BARE_METAL, &[]);
    let asked = |demand: &Demand| -> Vec<String> {
        unknown(&host, demand).into_iter().map(|unknown| unknown.ask).collect()
    };
    assert_eq!(asked(&demand), ["ethtool -g ens2f0", "ethtool -c ens2f0", "ethtool -k ens2f0"]);
    assert_eq!(unknown(&host, &demand)[0].what, "the rings of ens2f0");
    for (to, here) in [
        (To::Address([127, 0, 0, 1].into()), false),
        (demand.to, true),
        (To::Socket, false),
        (To::Somewhere, false),
    ] {
        assert_eq!(asked(&Demand { to, here, ..demand.clone() }), [""; 0], "{to:?}");
    }
}

/// What files may hold that nobody expects.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..64),
        "[0-9a-f, \\n-]{0,40}".prop_map(String::into_bytes),
        any::<i128>().prop_map(|number| format!("{number}\n").into_bytes()),
        any::<u64>().prop_map(|number| format!("{number} {number}\t0-{number}\n").into_bytes()),
        Just(b"max\n".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever stands in the files, all rules run, and no number comes of nothing.
    #[test]
    fn odd_files_are_no_panic(
        recording in prop_oneof![Just(BARE_METAL), Just(VM), Just(CONTAINER), Just(OLD)],
        texts in proptest::collection::vec(odd(), 8),
        every in 1_usize..4,
    ) {
        let machine = Machine::recorded(recording);
        let paths = recording.lines().filter_map(|line| line.strip_prefix("== "));
        let files = paths.filter(|path| !path.contains(" -> "));
        for ((at, path), text) in files.enumerate().zip(texts.iter().cycle()) {
            if at % every == 0 {
                machine.set(path, text);
            }
        }
        let host = crate::inspect_below(machine.root());
        let mut demand = Demand::default();
        for load in [many, many_here] {
            shards(&mut demand, "0-1");
            load(&mut demand, 50_000);
            demand.churn = Some(Churn { per_second: 1e6, seconds: 1e9, reset: false });
            (demand.memory, demand.locked) = (Some(u64::MAX), Some(u64::MAX));
            demand.ring = Ring::Refused("Operation not permitted".to_owned());
            for finding in advise(&host, &demand) {
                prop_assert!(finding.value.is_none_or(f64::is_finite), "{finding:?}");
                prop_assert!(!finding.message.contains('\n'), "{finding:?}");
                for change in finding.cures.iter().flat_map(Cure::changes) {
                    prop_assert!(!change.value.contains('\n'), "{change:?}");
                }
            }
            let _ = unknown(&host, &demand);
        }
    }
}

#[test]
fn the_gravest_is_said_first_and_numbers_stand_beside_words() {
    let mut demand = Demand::default();
    shards(&mut demand, "0-1");
    demand.connections = Some(50_000);
    let findings = advise(&host(VM, &[]), &demand);
    let severities: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
    assert!(severities.is_sorted_by(|one, other| one >= other), "{severities:?}");
    let first = findings.first().unwrap();
    assert_eq!((first.code, first.about), ("open_files", About::Plan));
    assert_eq!((first.value, first.limit), (Some(50_064.0), Some(20_000.0)));
}

#[test]
fn changes_are_for_files_of_the_kernel_alone() {
    let mut hosts = Hosts::default();
    for case in CASES.iter().filter(|case| case.edits.is_empty()) {
        let mut demand = Demand::default();
        (case.demand)(&mut demand);
        for finding in advise(&hosts.of(case), &demand) {
            for change in finding.cures.iter().flat_map(Cure::changes) {
                let below = ["/proc/sys/", "/sys/"].iter().any(|top| change.path.starts_with(top));
                assert!(below && !change.path.contains(".."), "{change:?}");
                assert!(!change.value.is_empty() && !change.value.contains('\n'), "{change:?}");
            }
        }
    }
}
