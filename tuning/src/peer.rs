//! Whether the target runs on this machine, and takes CPU time from the shards that load it.
//!
//! An address of ours leads to a listening socket, that to the processes which hold it, and these
//! to the CPUs that their threads may run on. It takes no privileges, and therefore finds processes
//! of this user only. A target behind an address that is not ours (a container of this machine, for
//! instance) is not noticed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::host::cpu::CpuList;
use crate::tree::{Head, Tree};

/// Processes that are looked at.
const PROCESSES_MAX: usize = 4_096;

/// Open files that are looked at, of all of them together. About 1 µs each.
const FILES_MAX: usize = 65_536;

/// Threads that are looked at, of all servers together.
const THREADS_MAX: usize = 4_096;

/// A thread that has done less than one part in so many of its servers' work does not count.
const IDLE_PART: u64 = 100;

/// A target on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedCores {
    /// The processes that listen there, by number, as far as they can be seen.
    pub servers: Vec<Server>,
    /// The CPUs that their working threads may run on; `None` if that cannot be seen.
    pub cpus: Option<CpuList>,
    /// Whether shards are among those.
    pub overlap: Overlap,
}

/// A process that listens on the target's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The kernel's number of it.
    pub process: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
}

/// Whether servers and shards may run on the same CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// They may, on these.
    Shared(CpuList),
    /// They may not. Caches and memory they share nevertheless, and a core if two of its
    /// hyperthreads are CPUs of theirs.
    Apart,
    /// It cannot be seen: a server belongs to another user, or is in another container.
    Unknown,
}

/// Tells whether `target` is on this machine, and if so whether it may run on the CPUs of `shards`.
///
/// `None` if the address is none of this machine's, or if that cannot be told. Costs about as many
/// system calls as this user has open files, with a bound; some ten milliseconds.
///
/// It is best asked at the end of a run. A server often has a thread that may run everywhere and
/// does nothing but wait for the others: a thread that had less than a hundredth of the servers'
/// CPU time does not count, and who works is known when there was work.
#[must_use]
pub fn shares_cores(target: SocketAddr, shards: &CpuList) -> Option<SharedCores> {
    shares_cores_below(Path::new("/"), target, shards)
}

/// The same on the machine below `root`.
#[must_use]
pub fn shares_cores_below(
    root: &Path,
    target: SocketAddr,
    shards: &CpuList,
) -> Option<SharedCores> {
    let tree = Tree::below(root);
    let target = reached(target);
    if !is_local_of(&tree, target.ip())? {
        return None;
    }
    let holders = Holders::of(&tree, &listeners(&tree, target));
    let threads = threads(&tree, &holders.processes);
    let cpus = working(&threads.of);
    let overlap = match cpus.as_ref().map(|cpus| cpus.common(shards)) {
        Some(Some(common)) => Overlap::Shared(common),
        Some(None) if holders.complete && threads.whole => Overlap::Apart,
        _ => Overlap::Unknown,
    };
    let server = |&process: &u32| {
        let name = tree.text(format!("/proc/{process}/comm")).unwrap_or_default();
        Server { process, name: name.trim().to_owned() }
    };
    Some(SharedCores { servers: holders.processes.iter().map(server).collect(), cpus, overlap })
}

/// Whether `ip` is an address of this machine; `None` if it does not say.
#[must_use]
pub fn is_local(ip: IpAddr) -> Option<bool> {
    is_local_of(&Tree::below(Path::new("/")), ip.to_canonical())
}

/// Where a connection to `target` ends: the unspecified address stands for loopback, and an IPv4
/// address in the clothes of IPv6 for itself.
fn reached(target: SocketAddr) -> SocketAddr {
    let ip = match target.ip().to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, target.port())
}

fn is_local_of(tree: &Tree, ip: IpAddr) -> Option<bool> {
    if ip.is_loopback() {
        return Some(true);
    }
    let (found, whole) = match ip {
        IpAddr::V4(ip) => {
            let routes = tree.head("/proc/net/fib_trie")?;
            (has_local_route(&routes.of, ip), routes.whole)
        }
        IpAddr::V6(ip) => {
            let addresses = tree.head("/proc/net/if_inet6")?;
            let digits = format!("{:032x}", ip.to_bits());
            let is_ours = |line: &str| line.split(' ').next() == Some(digits.as_str());
            (addresses.of.lines().any(is_ours), addresses.whole)
        }
    };
    (found || whole).then_some(found)
}

/// Whether the routing table leads `ip` to this machine. It is a tree of lines, of which two kinds
/// matter: `|-- 127.0.0.0` names a leaf, and `/8 host LOCAL` below it says that so long a prefix of
/// it is ours.
fn has_local_route(table: &str, ip: Ipv4Addr) -> bool {
    let mut leaf = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
            continue;
        }
        let ours = line.strip_prefix('/').and_then(|line| line.strip_suffix(" host LOCAL"));
        let Some((leaf, length)) = leaf.zip(ours.and_then(|length| length.parse::<u32>().ok()))
        else {
            continue;
        };
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
        if leaf.to_bits() & mask == ip.to_bits() & mask {
            return true;
        }
    }
    false
}

/// The sockets that a connection to `target` may reach, by inode. A socket on the very address is
/// preferred to one on all addresses, as the kernel does.
fn listeners(tree: &Tree, target: SocketAddr) -> BTreeSet<u64> {
    let mut ranked = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // Those that listen come first: a cut loses connections only.
        let Some(table) = tree.head(path) else { continue };
        for (address, inode) in table.of.lines().filter_map(parse_listener) {
            if let Some(rank) = rank(address, target).and_then(|rank| ranked.get_mut(rank)) {
                rank.insert(inode);
            }
        }
    }
    ranked.into_iter().find(|inodes| !inodes.is_empty()).unwrap_or_default()
}

/// How well a listener's address fits, 0 best; `None` if it does not.
fn rank(listener: SocketAddr, target: SocketAddr) -> Option<usize> {
    if listener.port() != target.port() {
        return None;
    }
    let ip = listener.ip().to_canonical();
    if ip == target.ip() {
        return Some(0);
    }
    match (ip, target.ip()) {
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(_))
        | (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(_)) => Some(1),
        // It takes IPv4 too, unless it was told not to, which cannot be seen.
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(_)) => Some(2),
        _ => None,
    }
}

/// Parses a line of `/proc/net/tcp` if its socket listens: its own address and its inode.
/// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 547 …`
fn parse_listener(line: &str) -> Option<(SocketAddr, u64)> {
    let mut words = line.split_whitespace().skip(1);
    let (own, state) = (words.next()?, words.nth(1)?);
    let inode = words.nth(5)?.parse().ok()?;
    // Zero stands for a socket that nobody holds any more.
    (state == "0A" && inode != 0).then_some(())?;
    let (ip, port) = own.split_once(':')?;
    Some((SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?), inode))
}

/// Parses an address as the kernel prints it: each 32 bits of it as they lie in memory, taken for a
/// number.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}

/// The processes that hold some sockets.
struct Holders {
    processes: Vec<u32>,
    /// Whether every socket has a holder among them, and no bound was met.
    complete: bool,
}

impl Holders {
    fn of(tree: &Tree, sockets: &BTreeSet<u64>) -> Self {
        let (mut processes, mut held) = (Vec::new(), BTreeSet::<u64>::new());
        let all = if sockets.is_empty() { None } else { tree.numbers("/proc", PROCESSES_MAX) };
        let Some(all) = all else { return Self { processes, complete: false } };
        let (mut whole, mut left) = (all.whole, FILES_MAX);
        for process in all.of {
            let folder = format!("/proc/{process}/fd");
            // Of another user, or gone.
            let Some(files) = tree.numbers(&folder, left) else { continue };
            (whole, left) = (whole && files.whole, left.saturating_sub(files.of.len()));
            let socket = |file| parse_socket(&tree.link(format!("{folder}/{file}"))?);
            let own = files.of.into_iter().filter_map(socket);
            let own: Vec<u64> = own.filter(|inode| sockets.contains(inode)).collect();
            if !own.is_empty() {
                processes.push(process);
            }
            held.extend(own);
        }
        processes.sort_unstable();
        Self { processes, complete: whole && held.len() == sockets.len() }
    }
}

/// The inode in `socket:[547]`.
fn parse_socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A server's thread.
struct Thread {
    cpus: CpuList,
    /// Time that it has spent on them, in ns.
    ran: u64,
}

/// The threads of `processes`.
fn threads(tree: &Tree, processes: &[u32]) -> Head<Vec<Thread>> {
    let mut threads = Head { of: Vec::new(), whole: true };
    for process in processes {
        let tasks = format!("/proc/{process}/task");
        let left = THREADS_MAX - threads.of.len();
        let Some(numbers) = tree.numbers(&tasks, left) else {
            threads.whole = false;
            continue;
        };
        threads.whole &= numbers.whole;
        for number in numbers.of {
            let thread = Thread::read(tree, &format!("{tasks}/{number}"));
            threads.whole &= thread.is_some();
            threads.of.extend(thread);
        }
    }
    threads
}

impl Thread {
    fn read(tree: &Tree, folder: &str) -> Option<Self> {
        let status = tree.text(format!("{folder}/status"))?;
        let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        let times = tree.text(format!("{folder}/schedstat")).unwrap_or_default();
        let ran = times.split_whitespace().next().and_then(|ran| ran.parse().ok());
        Some(Self { cpus: cpus.trim().parse().ok()?, ran: ran.unwrap_or(0) })
    }
}

/// The CPUs of the threads that did more than a trifle; of all, if nothing is known of their work.
fn working(threads: &[Thread]) -> Option<CpuList> {
    let all = threads.iter().fold(0_u64, |sum, thread| sum.saturating_add(thread.ran));
    let works = |thread: &&Thread| thread.ran >= all / IDLE_PART;
    CpuList::new(threads.iter().filter(works).flat_map(|thread| thread.cpus.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    const TITLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n";

    const ROUTES: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
     |-- 198.51.100.0
        /24 host LOCAL
";

    /// A server with process number 50 that listens on 127.0.0.1:8080, as sockets 700 and 701.
    fn machine() -> Machine {
        let machine = Machine::of(&[
            ("/proc/net/fib_trie", ROUTES),
            ("/proc/net/if_inet6", "fd000000000000000000000000000002 04 40 00 82     eth0\n"),
            ("/proc/1/comm", "init\n"),
            ("/proc/50/comm", "my server\n"),
        ]);
        let sockets = [socket("0100007F:1F90", "0A", 700), socket("0100007F:1F90", "0A", 701)];
        machine.set("/proc/net/tcp", format!("{TITLE}{}", sockets.concat()));
        machine.link("/proc/1/fd/0", "/dev/null");
        machine.link("/proc/50/fd/0", "/dev/null");
        machine.link("/proc/50/fd/3", "socket:[700]");
        machine.link("/proc/50/fd/4", "socket:[701]");
        thread(&machine, 50, 50, "2-3", 1_000);
        machine
    }

    /// A line of `/proc/net/tcp`, as a machine of the usual byte order prints it.
    fn socket(address: &str, state: &str, inode: u64) -> String {
        format!(
            "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 \
             1000        0 {inode} 1 000000002e8c624c 100 0 0 10 0\n"
        )
    }

    fn thread(machine: &Machine, process: u32, thread: u32, cpus: &str, ran: u64) {
        let folder = format!("/proc/{process}/task/{thread}");
        machine.set(&format!("{folder}/status"), format!("Name:\tx\nCpus_allowed_list:\t{cpus}\n"));
        machine.set(&format!("{folder}/schedstat"), format!("{ran} 5 5\n"));
    }

    fn cpus(list: &str) -> CpuList {
        list.parse().unwrap()
    }

    fn ask(machine: &Machine, target: &str, shards: &str) -> Option<SharedCores> {
        shares_cores_below(machine.root(), target.parse().unwrap(), &cpus(shards))
    }

    /// Checks who is found at `target`, and whether they share with shards on CPUs 1 and 2.
    #[track_caller]
    fn check(machine: &Machine, target: &str, processes: &[u32], overlap: &Overlap) {
        let found = ask(machine, target, "1-2").unwrap();
        let servers: Vec<u32> = found.servers.iter().map(|server| server.process).collect();
        assert_eq!((servers.as_slice(), &found.overlap), (processes, overlap), "{target}");
    }

    fn shared(list: &str) -> Overlap {
        Overlap::Shared(cpus(list))
    }

    #[test]
    fn a_server_that_may_run_where_a_shard_does_is_named_with_the_cpus() {
        let expected = SharedCores {
            servers: vec![Server { process: 50, name: "my server".to_owned() }],
            cpus: Some(cpus("2-3")),
            overlap: shared("2"),
        };
        assert_eq!(ask(&machine(), "127.0.0.1:8080", "1-2"), Some(expected));
    }

    #[test]
    fn a_server_on_other_cpus_is_apart() {
        let found = ask(&machine(), "127.0.0.1:8080", "0-1").unwrap();
        assert_eq!(found.overlap, Overlap::Apart);
        assert_eq!(found.cpus, Some(cpus("2-3")));
    }

    #[test]
    fn a_target_elsewhere_shares_nothing() {
        for target in ["203.0.113.9:8080", "192.0.2.0:8080", "192.0.2.255:8080", "[fd00::3]:8080"] {
            assert_eq!(ask(&machine(), target, "1-2"), None, "{target}");
        }
    }

    #[test]
    fn every_address_of_this_machine_is_local() {
        for target in
            ["127.9.9.9:1", "192.0.2.2:1", "198.51.100.77:1", "[::1]:1", "[fd00::2]:1", "0.0.0.0:1"]
        {
            check(&machine(), target, &[], &Overlap::Unknown);
        }
        check(&machine(), "[::ffff:127.0.0.1]:8080", &[50], &shared("2"));
        check(&machine(), "0.0.0.0:8080", &[50], &shared("2"));
    }

    #[test]
    fn a_machine_that_does_not_tell_its_addresses_leaves_it_open() {
        let machine = Machine::of(&[]);
        assert_eq!(ask(&machine, "192.0.2.2:80", "1"), None);
        assert_eq!(ask(&machine, "[fd00::2]:80", "1"), None);
        check(&machine, "127.0.0.1:80", &[], &Overlap::Unknown);
    }

    #[test]
    fn a_socket_on_the_very_address_is_preferred_to_one_on_all() {
        let machine = machine();
        let two = [socket("00000000:1F90", "0A", 9), socket("0100007F:1F90", "0A", 700)].concat();
        machine.set("/proc/net/tcp", format!("{TITLE}{two}"));
        machine.link("/proc/1/fd/9", "socket:[9]");
        thread(&machine, 1, 1, "0-7", 1);
        check(&machine, "127.0.0.1:8080", &[50], &shared("2"));
        check(&machine, "192.0.2.2:8080", &[1], &shared("1-2"));
    }

    #[test]
    fn a_socket_of_ipv6_takes_ipv4_too_if_nobody_else_does() {
        let machine = machine();
        let all = format!("{}:1F90", "0".repeat(32));
        machine.set("/proc/net/tcp6", format!("{TITLE}{}", socket(&all, "0A", 9)));
        machine.link("/proc/1/fd/9", "socket:[9]");
        thread(&machine, 1, 1, "0-7", 1);
        check(&machine, "127.0.0.1:8080", &[50], &shared("2"));
        check(&machine, "192.0.2.2:8080", &[1], &shared("1-2"));
        check(&machine, "[::1]:8080", &[1], &shared("1-2"));
        let loopback = "00000000000000000000000001000000:1F90";
        machine.set("/proc/net/tcp6", format!("{TITLE}{}", socket(loopback, "0A", 9)));
        check(&machine, "[::1]:8080", &[1], &shared("1-2"));
        check(&machine, "192.0.2.2:8080", &[], &Overlap::Unknown);
    }

    #[test]
    fn connections_and_other_ports_are_no_listeners() {
        let machine = machine();
        let lines = [
            socket("0100007F:1F90", "01", 700),
            socket("0100007F:1F91", "0A", 700),
            socket("0100007F:1F90", "0A", 0),
        ];
        machine.set("/proc/net/tcp", format!("{TITLE}{}", lines.concat()));
        check(&machine, "127.0.0.1:8080", &[], &Overlap::Unknown);
    }

    #[test]
    fn a_socket_that_nobody_holds_any_more_is_none() {
        let machine = machine();
        let lines = [socket("0100007F:1F90", "0A", 700), socket("0100007F:1F90", "0A", 0)];
        machine.set("/proc/net/tcp", format!("{TITLE}{}", lines.concat()));
        let found = ask(&machine, "127.0.0.1:8080", "0-1").unwrap();
        assert_eq!(found.overlap, Overlap::Apart);
    }

    #[test]
    fn a_table_of_routes_that_is_cut_tells_only_what_it_has() {
        let machine = machine();
        machine.set("/proc/net/fib_trie", ROUTES.to_owned() + &" ".repeat(4 << 20));
        let is_local = |ip: [u8; 4]| is_local_of(&machine.tree(), ip.into());
        assert_eq!(is_local([192, 0, 2, 2]), Some(true));
        assert_eq!(is_local([203, 0, 113, 9]), None);
    }

    #[test]
    fn a_process_that_cannot_be_seen_leaves_it_open() {
        let machine = machine();
        machine.remove("/proc/50/fd");
        check(&machine, "127.0.0.1:8080", &[], &Overlap::Unknown);
    }

    #[test]
    fn a_socket_without_a_holder_leaves_open_whether_they_are_apart_but_not_that_they_share() {
        let machine = machine();
        machine.remove("/proc/50/fd/4");
        check(&machine, "127.0.0.1:8080", &[50], &shared("2"));
        let found = ask(&machine, "127.0.0.1:8080", "0-1").unwrap();
        assert_eq!(found.overlap, Overlap::Unknown);
    }

    #[test]
    fn a_thread_that_only_waits_for_the_others_does_not_count() {
        let machine = machine();
        thread(&machine, 50, 51, "0-3", 9);
        assert_eq!(ask(&machine, "127.0.0.1:8080", "0-1").unwrap().overlap, Overlap::Apart);
        thread(&machine, 50, 51, "0-3", 50);
        assert_eq!(ask(&machine, "127.0.0.1:8080", "0-1").unwrap().overlap, shared("0-1"));
    }

    #[test]
    fn workers_that_share_a_socket_count_together() {
        let machine = machine();
        machine.link("/proc/60/fd/5", "socket:[700]");
        thread(&machine, 60, 60, "1", 500_000);
        check(&machine, "127.0.0.1:8080", &[50, 60], &shared("1"));
    }

    #[test]
    fn where_work_is_not_counted_every_thread_counts() {
        let machine = machine();
        thread(&machine, 50, 50, "2-3", 0);
        machine.remove("/proc/50/task/50/schedstat");
        check(&machine, "127.0.0.1:8080", &[50], &shared("2"));
    }

    #[test]
    fn a_thread_that_cannot_be_read_leaves_open_whether_they_are_apart() {
        let machine = machine();
        for odd in ["", "Name:\tx\n", "Cpus_allowed_list:\t\n", "Cpus_allowed_list:\tx-y\n"] {
            machine.set("/proc/50/task/51/status", odd);
            let found = ask(&machine, "127.0.0.1:8080", "0-1").unwrap();
            assert_eq!(found.overlap, Overlap::Unknown, "{odd:?}");
        }
    }

    #[test]
    fn garbage_leads_nowhere() {
        let machine = machine();
        for odd in
            ["", "x\n", "0: 0100007F 0:0 0A\n", "0: é:é 0 0A 0 0 0 0 0 7\n", "/32 host LOCAL"]
        {
            for path in ["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/fib_trie"] {
                machine.set(path, odd);
            }
            check(&machine, "127.0.0.1:8080", &[], &Overlap::Unknown);
            assert_eq!(ask(&machine, "192.0.2.2:8080", "1"), None, "{odd:?}");
        }
        for odd in ["", "socket:[]", "socket:[x]", "pipe:[700]", "socket:[700"] {
            assert_eq!(parse_socket(odd), None, "{odd:?}");
        }
        for odd in ["", "0100007", "0100007G", "0100007F0", "éééé"] {
            assert_eq!(parse_ip(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn the_length_of_a_prefix_is_taken_as_it_is() {
        let of = |length: &str| format!("|-- 10.0.0.0\n/{length} host LOCAL\n");
        let (near, far) = (Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(11, 0, 0, 0));
        assert!(has_local_route(&of("24"), near) && !has_local_route(&of("24"), far));
        assert!(has_local_route(&of("0"), far));
        for odd in ["32", "33", "99", "-1", "x", ""] {
            assert!(!has_local_route(&of(odd), near), "{odd:?}");
        }
    }

    #[test]
    fn a_listener_of_this_very_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let found = shares_cores(target, &crate::inspect().cpus.allowed).unwrap();
        let ours = found.servers.iter().any(|server| server.process == std::process::id());
        assert!(ours, "{found:?}");
        assert!(matches!(found.overlap, Overlap::Shared(_)), "{found:?}");
    }
}
