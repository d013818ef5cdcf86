//! What `pummel doctor` found: the machine, what holds a run back, and what helps; as text and as
//! JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use pummel_tuning::advice::{Cure, Ring, Unknown};
use pummel_tuning::host::memory::Locked;
use pummel_tuning::host::net::Card;
use pummel_tuning::{Finding, Host, OpenFiles, Quota, is_trusted_clock};
use serde::Serialize;

use super::counted;
use super::judgement::lines;
use super::text::COLUMNS;
use crate::calibrate::Calibration;
use crate::reach::Reach;

/// Width of the labels.
const LABEL: usize = 13;

/// What was found out about a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkup<'c> {
    pub(crate) host: &'c Host,
    /// Whether rings work, and with what of them.
    pub(crate) ring: &'c Ring,
    pub(crate) features: &'c [&'static str],
    /// The run that the machine is judged for, as it was given.
    pub(crate) run: Option<&'c str>,
    /// The way that it takes, or why none is known; `None` if nobody looked.
    pub(crate) way: Option<&'c Result<Reach, String>>,
    pub(crate) findings: &'c [Finding],
    pub(crate) unknown: &'c [Unknown],
    pub(crate) calibration: Option<&'c Calibration>,
}

/// Writes it for a person.
pub(crate) fn text(checkup: &Checkup<'_>, to: &mut dyn Write) -> io::Result<()> {
    facts(checkup, to)?;
    if let Some(run) = checkup.run {
        row(to, "Run", run)?;
    }
    if let Some(way) = checkup.way {
        row(to, "Way", &way.as_ref().map_or_else(String::clone, described_way))?;
    }
    writeln!(to)?;
    for finding in checkup.findings {
        row(to, finding.severity.name(), &format!("{} ({})", finding.message, finding.code))?;
        for (at, cure) in finding.cures.iter().enumerate() {
            let mut label = if at == 0 { "        try" } else { "         or" };
            for step in &cure.steps {
                row(to, label, &step.how)?;
                label = "       then";
            }
        }
    }
    for Unknown { what, ask } in checkup.unknown {
        row(to, "unknown", &format!("{what}: ask {ask}"))?;
    }
    if checkup.findings.is_empty() {
        row(to, "Found", "nothing that would hold a run back")?;
    } else if checkup.run.is_none() {
        row(to, "", "This is about any run; --for 'URL -c N -q RATE' judges the machine for one.")?;
    }
    let Some(calibration) = checkup.calibration else { return Ok(()) };
    writeln!(to)?;
    super::best(calibration, to)
}

/// A label, and beside it as many lines as the text takes.
fn row(to: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    let mut label = label;
    for part in lines(text, COLUMNS - LABEL) {
        writeln!(to, "{}", format!("{label:<LABEL$}{part}").trim_end())?;
        label = "";
    }
    Ok(())
}

fn facts(checkup: &Checkup<'_>, to: &mut dyn Write) -> io::Result<()> {
    let host = checkup.host;
    let unknown = || "unknown".to_owned();
    let ports = host.ports.map(|range| {
        format!("{} to {}, {} connections to one address", range.first, range.last, range.count())
    });
    let rows = [
        ("Kernel", host.kernel.release.clone().unwrap_or_else(unknown)),
        ("CPUs", cpus(host)),
        ("Quota", host.cpus.quota.map_or("none".to_owned(), quota)),
        ("Governor", host.cpus.rest.governor().unwrap_or_else(unknown)),
        ("Idle states", idle(host).unwrap_or_else(unknown)),
        ("Clock", host.kernel.clocksource.as_deref().map_or_else(unknown, clock)),
        ("Memory", memory(host)),
        ("Open files", files(&host.files)),
        ("Ports", ports.unwrap_or_else(unknown)),
    ];
    rows.iter().try_for_each(|(label, text)| row(to, label, text))?;
    for card in &host.net.cards {
        row(to, "Card", &described(card))?;
    }
    row(to, "io_uring", &ring(checkup))
}

fn cpus(host: &Host) -> String {
    let topology = &host.cpus.topology;
    let online = host.cpus.online.map_or(String::new(), |count| format!("{count} online, "));
    let some = |count: usize, thing| format!(", {}", counted(count as u64, thing));
    let (cores, nodes) = (topology.cores.len(), topology.nodes.len());
    let parts = [
        Some(format!("{online}{} allowed", host.cpus.allowed)),
        (cores > 0).then(|| some(cores, "core")),
        (nodes > 1).then(|| some(nodes, "memory node")),
        host.cpus.model.as_ref().map(|model| format!(", {model}")),
    ];
    parts.into_iter().flatten().collect()
}

/// How deeply the allowed CPUs sleep.
fn idle(host: &Host) -> Option<String> {
    let rest = &host.cpus.rest;
    let by = rest.driver.as_ref().map_or(String::new(), |driver| format!(" ({driver})"));
    match rest.wake_up_micros(&host.cpus.allowed) {
        Some(micros) => Some(format!("a CPU wakes up within {micros} µs{by}")),
        None => rest.driver.as_ref().map(|_| format!("the kernel chooses none{by}")),
    }
}

fn quota(quota: Quota) -> String {
    format!("{:.2} CPUs of time", quota.cpus())
}

fn clock(name: &str) -> String {
    if is_trusted_clock(name) {
        return name.to_owned();
    }
    format!("{name}: slow or coarse")
}

/// A number of bytes in GiB.
#[expect(clippy::cast_precision_loss, reason = "display only")]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn memory(host: &Host) -> String {
    let memory = &host.memory;
    let Some(total) = memory.total else { return "unknown".to_owned() };
    let available = memory.available.map(|bytes| format!(", {} available", gib(bytes)));
    let group = memory.group.map(|group| format!(", {} for this group", gib(group.limit)));
    let locked = match memory.locked {
        Locked::Bytes(bytes) => Some(format!(", {} KiB may be locked", bytes >> 10)),
        Locked::Unlimited | Locked::Unknown => None,
    };
    let parts = [Some(gib(total)), available, group, locked];
    parts.into_iter().flatten().collect()
}

fn files(files: &OpenFiles) -> String {
    let limit = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |n| n.to_string());
    let open = files.open.map_or(String::new(), |count| format!(", {count} open"));
    format!("{} (hard limit {}){open}", limit(files.soft), limit(files.hard))
}

fn described_way(way: &Reach) -> String {
    let from: Vec<String> = way.from.iter().map(ToString::to_string).collect();
    let from = (!from.is_empty()).then(|| format!(" from {}", from.join(", ")));
    let by = way.by.as_ref().map(|interface| format!(" by {interface}"));
    let here = way.here.then(|| ", which is this machine".to_owned());
    let parts = [Some(format!("to {}", way.to)), from, by, here];
    parts.into_iter().flatten().collect()
}

fn described(card: &Card) -> String {
    let speed = card.speed.map(|speed| format!("{speed} Mbit/s"));
    let node = card.node.map(|node| format!("memory node {node}"));
    let interrupts = card.interrupted().map(|cpus| format!("interrupts on CPU {cpus}"));
    let queues = counted(card.queues.receiving as u64, "queue");
    let parts =
        [Some(card.name.clone()), card.driver.clone(), speed, Some(queues), node, interrupts];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn ring(checkup: &Checkup<'_>) -> String {
    match checkup.ring {
        Ring::Works => format!("works: {}", checkup.features.join(", ")),
        Ring::Refused(reason) => reason.clone(),
        Ring::Untried | Ring::Unwanted => "not tried".to_owned(),
    }
}

/// What was found as JSON; what is unknown is null. Units stand in the names.
#[derive(Serialize)]
struct Document<'c> {
    schema_version: u32,
    #[serde(rename = "for")]
    run: Option<&'c str>,
    host: Machine<'c>,
    /// Where the run goes; null if nobody looked.
    way: Option<Leads<'c>>,
    /// How everything is set that stands in a file, by key.
    settings: BTreeMap<&'static str, Option<&'c str>>,
    /// Gravest first.
    findings: Vec<Found<'c>>,
    /// What matters to the run and stands in no file, with the command that tells it.
    unknown: Vec<Asked<'c>>,
    calibration: Option<Best>,
}

#[derive(Serialize)]
struct Leads<'c> {
    to: Option<IpAddr>,
    from: &'c [IpAddr],
    interface: Option<&'c str>,
    this_machine: Option<bool>,
    /// Why it is not known.
    error: Option<&'c str>,
}

#[derive(Serialize)]
struct Asked<'c> {
    what: &'c str,
    ask: &'c str,
}

#[derive(Serialize)]
struct Machine<'c> {
    kernel: Option<&'c str>,
    cpus: Option<usize>,
    cpus_allowed: String,
    cpu_quota: Option<f64>,
    cpu_model: Option<&'c str>,
    cpu_governor: Option<String>,
    cpu_wake_up_micros: Option<u64>,
    cores: usize,
    memory_nodes: usize,
    load_1m: Option<f64>,
    clocksource: Option<&'c str>,
    memory_bytes: Option<u64>,
    memory_available_bytes: Option<u64>,
    memory_limit_bytes: Option<u64>,
    open_files_limit: Option<u64>,
    open_files_hard_limit: Option<u64>,
    local_ports: Option<[u16; 2]>,
    cards: Vec<NetworkCard<'c>>,
    io_uring: bool,
    io_uring_features: &'c [&'static str],
}

#[derive(Serialize)]
struct NetworkCard<'c> {
    name: &'c str,
    driver: Option<&'c str>,
    speed_mbit: Option<u64>,
    queues: usize,
    memory_node: Option<usize>,
    interrupts_on: Option<String>,
}

#[derive(Serialize)]
struct Found<'c> {
    code: &'static str,
    severity: &'static str,
    message: &'c str,
    value: Option<f64>,
    limit: Option<f64>,
    cures: Vec<Help<'c>>,
}

#[derive(Serialize)]
struct Help<'c> {
    how: String,
    /// What is needed together, in the order in which it is to be done.
    steps: Vec<&'c str>,
    /// What `--apply` would write, by file.
    changes: BTreeMap<&'c str, &'c str>,
}

#[derive(Serialize)]
struct Best {
    floor_p50_ns: Option<u64>,
    floor_p99_ns: Option<u64>,
    ceiling_per_s: f64,
}

/// Writes it for a program.
pub(crate) fn json(checkup: &Checkup<'_>, to: &mut dyn Write) -> io::Result<()> {
    let Checkup { host, ring, features, run, way, findings, unknown, calibration } = *checkup;
    let settings = host.settings.iter();
    let document = Document {
        schema_version: super::schema::VERSION,
        run,
        host: machine(host, (ring, features)),
        way: way.map(leads),
        settings: settings.map(|(key, _)| (key, host.settings.text(key))).collect(),
        findings: findings.iter().map(found).collect(),
        unknown: unknown.iter().map(|Unknown { what, ask }| Asked { what, ask }).collect(),
        calibration: calibration.map(|calibration| Best {
            floor_p50_ns: calibration.floor.map(|floor| floor.p50.get()),
            floor_p99_ns: calibration.floor.map(|floor| floor.p99.get()),
            ceiling_per_s: calibration.ceiling_per_second,
        }),
    };
    serde_json::to_writer_pretty(&mut *to, &document)?;
    writeln!(to)
}

fn machine<'c>(host: &'c Host, (ring, features): (&Ring, &'c [&'static str])) -> Machine<'c> {
    let cpus = &host.cpus;
    Machine {
        kernel: host.kernel.release.as_deref(),
        cpus: cpus.online,
        cpus_allowed: cpus.allowed.to_string(),
        cpu_quota: cpus.quota.map(Quota::cpus),
        cpu_model: cpus.model.as_deref(),
        cpu_governor: cpus.rest.governor(),
        cpu_wake_up_micros: cpus.rest.wake_up_micros(&cpus.allowed),
        cores: cpus.topology.cores.len(),
        memory_nodes: cpus.topology.nodes.len(),
        load_1m: cpus.load,
        clocksource: host.kernel.clocksource.as_deref(),
        memory_bytes: host.memory.total,
        memory_available_bytes: host.memory.available,
        memory_limit_bytes: host.memory.group.map(|group| group.limit),
        open_files_limit: host.files.soft,
        open_files_hard_limit: host.files.hard,
        local_ports: host.ports.map(|range| [range.first, range.last]),
        cards: host.net.cards.iter().map(network_card).collect(),
        io_uring: *ring == Ring::Works,
        io_uring_features: features,
    }
}

fn leads(way: &Result<Reach, String>) -> Leads<'_> {
    let error = way.as_ref().err().map(String::as_str);
    let way = way.as_ref().ok();
    Leads {
        to: way.map(|way| way.to),
        from: way.map_or(&[], |way| way.from.as_slice()),
        interface: way.and_then(|way| way.by.as_deref()),
        this_machine: way.map(|way| way.here),
        error,
    }
}

fn network_card(card: &Card) -> NetworkCard<'_> {
    NetworkCard {
        name: &card.name,
        driver: card.driver.as_deref(),
        speed_mbit: card.speed,
        queues: card.queues.receiving,
        memory_node: card.node,
        interrupts_on: card.interrupted().map(|cpus| cpus.to_string()),
    }
}

fn found(finding: &Finding) -> Found<'_> {
    Found {
        code: finding.code,
        severity: finding.severity.name(),
        message: &finding.message,
        value: finding.value,
        limit: finding.limit,
        cures: finding.cures.iter().map(help).collect(),
    }
}

fn help(cure: &Cure) -> Help<'_> {
    let changes = cure.changes().map(|it| (it.path.as_str(), it.value.as_str()));
    let steps = cure.steps.iter().map(|step| step.how.as_str()).collect();
    Help { how: cure.how(), steps, changes: changes.collect() }
}
