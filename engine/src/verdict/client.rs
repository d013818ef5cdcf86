//! Was the client healthy, and left alone?

use super::course::Course;
use super::delivery::Delivery;
use super::limits::{
    BUSY, DELIVERED, DELIVERED_MIN, DISTURBED, LOOP_LAG_MIN, LOOP_LAG_P99, LOOP_LAG_SHARE,
    PRESSURE, REAP_AGE, RETRANSMITS, STALL, STALLED_STEPS, STARVED, STEAL, SWITCHES, TAIL_MIN,
    WAIT, WAIT_OWN, WAIT_WORST,
};
use super::machine::of_a_second;
use super::{Amount, Axis, Findings, Machine, Reason, Status, percent, share};
use crate::reactor::Errno;
use crate::record::{Cause, Quantile};
use crate::report::Report;
use crate::units::Nanos;

/// The code of a shard that waited for its CPU.
const RUN_QUEUE: &str = "run_queue";

/// A finding on the client that makes the run suspect.
fn suspect(
    code: &'static str,
    message: String,
    value: Amount,
    limit: Amount,
    remedy: &'static str,
) -> Reason {
    Reason { axis: Axis::Client, status: Status::Suspect, code, message, value, limit, remedy }
}

/// What others did to the client.
pub(super) fn disturbances(report: &Report, machine: &Machine, findings: &mut Findings) {
    if let Some(times @ 1..) = machine.throttled {
        findings.reasons.push(suspect(
            "throttled",
            format!("the control group's CPU quota stopped this process {times} times"),
            Amount::Count(times),
            Amount::Count(0),
            "raise the quota, or use fewer --shards",
        ));
    }
    if let Some(steal) = machine.steal.filter(|&steal| steal > STEAL) {
        findings.reasons.push(suspect(
            "steal",
            format!("the hypervisor took {} of the CPU time in one second", percent(steal)),
            Amount::Share(steal),
            Amount::Share(STEAL),
            "use a machine of your own, or repeat the run",
        ));
    }
    scheduler(machine, findings);
    network(report, machine, findings);
    surroundings(report, machine, findings);
}

/// Shards that were ready to run, and did not.
fn scheduler(machine: &Machine, findings: &mut Findings) {
    let (wait, worst) = (machine.wait(), machine.worst_wait());
    let long = wait.filter(|&wait| wait > WAIT);
    let (shard, worst) = worst.filter(|worst| worst.1 > WAIT_WORST).unzip();
    if long.is_some() || worst.is_some() {
        let mean = wait.unwrap_or_default();
        findings.reasons.push(suspect(
            RUN_QUEUE,
            match worst {
                Some(worst) => format!(
                    "shard {} waited for its CPU: {} of the run, up to {} in one second",
                    shard.unwrap_or_default(),
                    percent(mean),
                    of_a_second(worst)
                ),
                None => format!("shards waited for their CPU for {} of the run", percent(mean)),
            },
            Amount::Share(worst.unwrap_or(mean)),
            Amount::Share(if worst.is_some() { WAIT_WORST } else { WAIT }),
            "keep other programs off the shards' CPUs, or choose others (--cores)",
        ));
        return;
    }
    let switches = machine.shards.iter().filter_map(|thread| thread.switches_per_s);
    if let Some(rate) = switches.max_by(f64::total_cmp).filter(|&rate| rate > SWITCHES) {
        findings.reasons.push(suspect(
            "switches",
            format!("a shard lost its CPU {rate:.0} times per second"),
            Amount::Share(rate),
            Amount::Share(SWITCHES),
            "keep other programs off the shards' CPUs, or choose others (--cores)",
        ));
    }
    match machine.pressure.filter(|&pressure| pressure > PRESSURE) {
        Some(pressure) if wait.is_none() => findings.reasons.push(suspect(
            "pressure",
            format!("tasks waited for a CPU for {} of a second", percent(pressure)),
            Amount::Share(pressure),
            Amount::Share(PRESSURE),
            "leave the machine to the run",
        )),
        Some(pressure) => findings.note(
            "pressure",
            format!(
                "other tasks of the machine waited for a CPU for {} of a second",
                percent(pressure)
            ),
        ),
        None => {}
    }
}

fn network(report: &Report, machine: &Machine, findings: &mut Findings) {
    let remedy = "look at the network and its queues (nstat, ss -ti)";
    if let Some(again) = machine.retransmits.filter(|&again| again > RETRANSMITS) {
        findings.reasons.push(suspect(
            "retransmits",
            format!("{} of the TCP segments were sent again", percent(again)),
            Amount::Share(again),
            Amount::Share(RETRANSMITS),
            remedy,
        ));
    }
    let counts = [
        (
            "listen_overflows",
            machine.listen_overflows,
            "connections were lost at a listener of this machine",
        ),
        ("packets_dropped", machine.packets_dropped, "packets were dropped by this machine"),
        (
            "firewall_dropped",
            machine.firewall_dropped,
            "packets were dropped by the firewall, whose table of connections was full",
        ),
    ];
    for (code, count, words) in counts {
        if let Some(count @ 1..) = count {
            let (value, limit) = (Amount::Count(count), Amount::Count(0));
            let message = format!("{count} {words}");
            findings.reasons.push(suspect(code, message, value, limit, remedy));
        }
    }
    let exhausted = [
        (
            "ports_exhausted",
            Errno::ADDRESS_NOT_AVAILABLE,
            "local ports",
            "widen ip_local_port_range",
        ),
        ("files_exhausted", Errno::TOO_MANY_FILES, "open files", "raise the limit (ulimit -n)"),
    ];
    for (code, errno, what, remedy) in exhausted {
        let kinds = report.totals.errors.kinds();
        let hits = kinds.iter().filter(|kind| kind.trouble.cause == Cause::System(errno));
        if let count @ 1.. = hits.map(|kind| kind.count).sum::<u64>() {
            let message = format!("{count} times there were no {what} left");
            let (value, limit) = (Amount::Count(count), Amount::Count(0));
            findings.reasons.push(suspect(code, message, value, limit, remedy));
        }
    }
}

fn surroundings(report: &Report, machine: &Machine, findings: &mut Findings) {
    if let Some((name, false)) = &machine.clock {
        findings.note("clock", format!("the clock source {name} is slow, or may step"));
    }
    if machine.shares_cpus == Some(true) {
        findings.note(
            "shared_cpus",
            "the target may use the CPUs of the shards: both share what they measure",
        );
    }
    let loose = report.shards.iter().filter(|shard| !shard.pinned).count();
    if loose > 0 {
        findings.note("unpinned", format!("{loose} shards ran on whatever CPU there was"));
    }
}

/// Users that could have begun earlier, had there been rows for them.
pub(super) fn starvation(report: &Report, findings: &mut Findings) {
    for (feed, fed) in report.plan.work.feeds().iter().zip(&report.totals.fed) {
        let part = share(fed.starved, fed.rows.max(1));
        if fed.starved == 0 || part <= STARVED && fed.waited_longest <= STALL {
            continue;
        }
        let message = format!(
            "the feed {} was too slow: {} of the users waited for a row, {} at most",
            feed.name,
            percent(part.min(1.0)),
            fed.waited_longest
        );
        let remedy = "leave a CPU to pummel beside the shards (--shards), or make the rows simpler";
        let (value, limit) = (Amount::Share(part), Amount::Share(STARVED));
        findings.reasons.push(suspect("starved", message, value, limit, remedy));
    }
}

/// What the client had to do itself.
pub(super) fn work(
    report: &Report,
    machine: &Machine,
    delivery: &Delivery,
    findings: &mut Findings,
) {
    let shards = report.shards.iter().enumerate().map(|(index, shard)| {
        let thread = machine.shards.get(index).copied().unwrap_or_default();
        let waits = [thread.waited, thread.waited_worst].into_iter().flatten();
        (shard.cpu, shard.busiest.max(shard.busy), waits.fold(0.0, f64::max))
    });
    let Some((cpu, busy, waited)) =
        shards.max_by(|one, other| (one.1 + one.2).total_cmp(&(other.1 + other.2)))
    else {
        return;
    };
    let behind = report.plan.load.is_open() && delivery.in_time < DELIVERED;
    let worthless = behind && delivery.in_time < DELIVERED_MIN;
    let disturbed = findings.reasons.iter_mut().find(|reason| reason.code == RUN_QUEUE);
    if waited > WAIT_OWN * busy
        && let Some(disturbed) = disturbed
    {
        // It wanted the CPU as an overloaded client does, and others had it.
        if worthless && busy + waited > BUSY {
            disturbed.status = Status::Invalid;
        }
        return;
    }
    if busy <= BUSY {
        reaping(report, findings);
        return;
    }
    // Who wants all of a CPU has to wait now and then: for kernel threads, for the coordinator.
    findings.reasons.retain(|reason| reason.code != RUN_QUEUE);
    let (code, message) = if behind {
        let sent = percent(delivery.in_time);
        (
            "overloaded",
            format!("the client could not send more than {sent} of the schedule in time"),
        )
    } else {
        ("busy", "latencies include waits for the client's own CPU".to_owned())
    };
    findings.reasons.push(Reason {
        axis: Axis::Client,
        status: if worthless { Status::Invalid } else { Status::Suspect },
        code,
        message: format!(
            "the shard on CPU {cpu} was busy for {} of a second: {message}",
            percent(busy)
        ),
        value: Amount::Share(busy),
        limit: Amount::Share(BUSY),
        remedy: "use more shards (--cores), or a lower --rate",
    });
}

/// Completions that wait for their turn make latencies longer than they are.
fn reaping(report: &Report, findings: &mut Findings) {
    let age = report.totals.parts.reap_age.quantile(Quantile::P99);
    let median = report.totals.latency.all().quantile(Quantile::P50).lo;
    let share = age.as_secs_f64() / median.as_secs_f64().max(1e-9);
    if share <= REAP_AGE || age <= LOOP_LAG_MIN || report.totals.latency.count() == 0 {
        return;
    }
    let message = format!("responses may have waited {age} for their turn (p99)");
    if report.plan.load.is_open() && !findings.blames_client() {
        findings.reasons.push(suspect(
            "reap_age",
            message,
            Amount::Share(share),
            Amount::Share(REAP_AGE),
            "use more shards (--cores), or fewer connections",
        ));
    } else {
        findings.note("reap_age", message);
    }
}

/// How long a stall may be to be explained by what has kept shards from their CPUs; `None` if
/// nothing has.
fn explained(report: &Report, machine: &Machine, findings: &Findings) -> Option<Nanos> {
    let span = |code: &str| match code {
        RUN_QUEUE => {
            let (worst, mean) =
                (machine.worst_wait().map_or(0.0, |(_, worst)| worst), machine.wait());
            // It may have lasted on into the next second.
            let longer = if worst > 0.5 { mean.unwrap_or_default() } else { 0.0 };
            let whole = of_a_second(longer * report.window.as_secs_f64());
            Some(of_a_second(worst.max(mean.unwrap_or_default())).saturating_mul(2).max(whole))
        }
        "steal" => Some(of_a_second(machine.steal.unwrap_or_default()).saturating_mul(2)),
        "throttled" | "switches" | "pressure" | "busy" | "overloaded" | "client_stall"
        | "loop_lag" | "starved" => Some(Nanos::MAX),
        _ => None,
    };
    findings.reasons.iter().filter_map(|reason| span(reason.code)).max()
}

/// A closed loop has no schedule to be late for, but the answers of that time were read late.
fn hold_up(report: &Report, machine: &Machine, findings: &mut Findings) {
    let longest = report.totals.oddities.longest_hold_up;
    if longest <= STALL {
        return;
    }
    let message =
        format!("the client stood still for {longest}: answers were read late by as much");
    if explained(report, machine, findings).is_some_and(|span| longest <= span) {
        findings.note("client_stall", message);
        return;
    }
    findings.reasons.push(suspect(
        "client_stall",
        message,
        Amount::Count(longest.get()),
        Amount::Count(STALL.get()),
        "repeat the run on a machine that is left alone",
    ));
}

/// Whether waits for a connection are not the client's doing: it was well, or had most of its time
/// to itself and they lasted much longer than what kept it from its CPU.
pub(super) fn is_beside(report: &Report, machine: &Machine, findings: &Findings) -> bool {
    let Some(span) = explained(report, machine, findings) else { return true };
    let shards = report.shards.iter().map(|shard| shard.busiest.max(shard.busy));
    let wanted = shards.fold(0.0, f64::max) + machine.worst_wait().map_or(0.0, |(_, worst)| worst);
    let wait = report.totals.parts.connection_wait.quantile(Quantile::P50);
    wanted < DISTURBED && wait > span.saturating_mul(2)
}

/// Slots that were late for no other reason.
pub(super) fn lateness(
    report: &Report,
    machine: &Machine,
    course: &Course,
    findings: &mut Findings,
) {
    let lag = &report.totals.parts.loop_lag;
    if lag.is_empty() {
        return hold_up(report, machine, findings);
    }
    let (p99, longest) = (lag.quantile(Quantile::P99), lag.max());
    let tail = Quantile::new(0.999).map(|quantile| {
        (lag.quantile(quantile), report.totals.latency.all().quantile(quantile).lo)
    });
    let in_tail = tail.filter(|(late, all)| {
        late.as_secs_f64() > LOOP_LAG_SHARE * all.as_secs_f64()
            && *late > LOOP_LAG_MIN
            && lag.count() >= TAIL_MIN
    });
    let stalled = longest > STALL;
    if !stalled && p99 <= LOOP_LAG_P99 && in_tail.is_none() {
        return;
    }
    let message = format!("the schedule was kept late: loop lag {p99} at p99, {longest} at most");
    // One is a stall in the shortest of runs.
    let most = (share(course.steps.len() as u64, 1) * STALLED_STEPS).max(1.0);
    let stalled = stalled && share(course.stalls as u64, 1) <= most;
    if explained(report, machine, findings).is_some_and(|span| !stalled || longest <= span) {
        findings.note("loop_lag", message);
        return;
    }
    if stalled {
        findings.reasons.push(suspect(
            "client_stall",
            format!(
                "the client stood still for {longest}, and the slots of that time were sent late"
            ),
            Amount::Count(longest.get()),
            Amount::Count(STALL.get()),
            "repeat the run on a machine that is left alone",
        ));
        return;
    }
    let (value, limit) = match in_tail {
        Some((lag, all)) if p99 <= LOOP_LAG_P99 => {
            let share = lag.as_secs_f64() / all.as_secs_f64().max(1e-9);
            (Amount::Share(share), Amount::Share(LOOP_LAG_SHARE))
        }
        _ => (Amount::Count(p99.get()), Amount::Count(LOOP_LAG_P99.get())),
    };
    let remedy = "try --pacing spin, other CPUs (--cores), or a lower --rate";
    findings.reasons.push(suspect("loop_lag", message, value, limit, remedy));
}
