//! The report as one JSON document. What its keys are called is decided in `schema`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use pummel_engine::plan::{self, Keep, Load, OnFull, Shape, Spawn, Timetable};
use pummel_engine::record::{self, ErrorTable, Histogram, Ledger, Quantile, Spans};
use pummel_engine::report::{Ending, Report};
use pummel_engine::units::{Nanos, Rate};

use super::schema::{
    Batches, ByFlow, ByRequest, Bytes, Connections, Coordinator, Counts, Distribution, Document,
    Latencies, Plan, Rates, Shard, Stage, Tool, VERSION, Window,
};
use super::{
    Environment, Paper, analysis, calibration, changes, fed, load, looked, not_joined, origins,
    quantiles, redirects, schema, thresholds, unset, wire,
};

/// Writes the document and a line break, and nothing else.
pub(crate) fn write(
    paper: &Paper<'_>,
    environment: &Environment,
    to: &mut dyn Write,
) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, &document(paper, environment))?;
    writeln!(to)
}

fn document<'r>(paper: &Paper<'r>, environment: &'r Environment) -> Document<'r> {
    let Paper { report, verdict, thresholds } = *paper;
    let totals = &report.totals;
    let secured = report.plan.ways().any(|(tls, _)| tls.is_some());
    Document {
        schema_version: VERSION,
        tool: Tool { name: "pummel", version: env!("CARGO_PKG_VERSION") },
        started_at: humantime::format_rfc3339_seconds(environment.started_at).to_string(),
        interrupted: report.ending == Ending::Interrupted,
        ending: match report.ending {
            Ending::Completed => "completed",
            Ending::Interrupted => "interrupted",
            Ending::TargetLost => "target_lost",
        },
        plan: plan(report),
        environment: surroundings(report, environment),
        window: Window { seconds: report.window.as_secs_f64() },
        changes: changes::documents(report),
        counts: counts(report),
        errors: errors(&totals.errors),
        statuses: totals.statuses.rows().collect(),
        rates: Rates {
            offered_per_s: report.offered_per_second(),
            achieved_per_s: report.achieved_per_second(),
            goodput_per_s: report.goodput_per_second(),
            scenarios_per_s: load::scenarios_per_second(report),
        },
        bytes: Bytes { sent: totals.bytes_sent, received: totals.bytes_received },
        connections: Connections {
            opened: totals.connections.opened,
            closed_by_peer: totals.connections.closed_by_peer,
            cut_off: totals.connections.cut_off,
            doubtful: totals.connections.doubtful,
            reconnects: totals.connections.reconnects,
            not_joined: not_joined(report),
        },
        origins: origins::documents(report),
        tls: secured.then(|| wire::handshakes(&totals.secured)),
        http2: report.plan.wire.protocol.may_be_http2().then(|| wire::http2(report)),
        latency_coverage: report.coverage(),
        latency_ns: latencies(report),
        steps: steps(report),
        flows: flows(report),
        checks: looked::documents(report),
        feeds: fed::documents(report),
        redirects: redirects::document(report),
        unset_values: unset::documents(report),
        other_host: redirects::other_host(report),
        shards: shards(report),
        coordinator: Coordinator {
            ticks: report.coordinator.count,
            lateness_p50_ns: report.coordinator.p50.get(),
            lateness_p99_ns: report.coordinator.p99.get(),
            lateness_max_ns: report.coordinator.max.get(),
            ticks_lost: report.ticks_lost,
        },
        timeline: analysis::timeline(report),
        slowest: analysis::slowest(report),
        error_kinds: analysis::error_kinds(report),
        machine: environment.seen.as_ref().map(analysis::machine),
        preflight: environment.rehearsed.map(|requests| schema::Preflight { requests }),
        calibration: environment
            .calibration
            .as_ref()
            .map(|of| calibration::Document::of(of, report)),
        thresholds: thresholds.iter().map(thresholds::row).collect(),
        verdict: analysis::verdict(verdict),
    }
}

/// The numbers of each request of several.
fn steps(report: &Report) -> Vec<ByRequest<'_>> {
    let rows = report.plan.work.rows().into_iter().zip(&report.totals.rows);
    rows.map(|(name, row)| {
        let Ledger { ok, failed, errors, timeouts, unfinished, .. } = row.ledger;
        let latency_ns = bounded(&row.latency());
        ByRequest { name, ok, failed, errors, timeouts, unfinished, latency_ns }
    })
    .collect()
}

/// The numbers of scenarios and groups as a whole.
fn flows(report: &Report) -> Vec<ByFlow<'_>> {
    let flows = report.plan.work.flows().into_iter().zip(&report.totals.flows);
    flows
        .map(|(plan::Flow { group, name }, flow)| {
            let kind = if group { "group" } else { "scenario" };
            let latency_ns = bounded(&flow.latency());
            let record::Flow { begun, completed, cut_short, endless, unfinished, .. } = *flow;
            ByFlow { name, kind, begun, completed, cut_short, endless, unfinished, latency_ns }
        })
        .collect()
}

fn plan(report: &Report) -> Plan<'_> {
    let plan = &report.plan;
    let timetable = plan.load.timetable();
    let requests = plan.work.requests().iter();
    let (on_full, spawn) = match plan.load {
        Load::Closed { spawn, .. } => (None, spawn),
        Load::Open { on_full, .. } => (Some(on_full), None),
    };
    Plan {
        url: &plan.target.url,
        hosts: origins::hosts(plan).collect(),
        addresses: plan.target.addresses.all().iter().map(ToString::to_string).collect(),
        method: plan.work.method().unwrap_or("several"),
        protocol: plan.wire.protocol.name(),
        streams: plan.wire.protocol.may_be_http2().then_some(plan.wire.streams.get()),
        tls: plan.wire.tls.as_ref().map(wire::tls),
        proxy: plan.wire.proxy.as_ref().map(wire::proxy),
        lookup: wire::lookup(plan.wire.lookup),
        sources: plan.wire.sources.iter().map(ToString::to_string).collect(),
        close: wire::close(plan.wire.close),
        keepalive: plan.wire.keep != Keep::One,
        connections_per_s: wire::renewed(plan.wire.keep),
        model: load::model(&plan.load),
        rate_per_s: timetable.and_then(Timetable::only_rate).map(Rate::per_second),
        arrivals: timetable.map(|timetable| load::arrivals(timetable.arrivals)),
        stages: timetable.and_then(load::stages).map(|all| all.iter().map(stage).collect()),
        burst: timetable.and_then(burst),
        connections: plan.connections.get(),
        on_full: on_full.map(load::on_full),
        max_connections: match on_full {
            Some(OnFull::Grow { most }) => Some(most.get()),
            _ => None,
        },
        spawn: spawn.map(|Spawn { count, every }| Batches {
            count: u64::from(count.get()),
            every_s: every.as_secs_f64(),
        }),
        pipeline: plan.load.pipeline().get(),
        shards: report.shards.len(),
        cores: report.shards.iter().map(|shard| shard.cpu).collect(),
        duration_s: plan.stop.limit.duration().map(Nanos::as_secs_f64),
        requests: plan.stop.limit.requests().map(core::num::NonZeroU64::get),
        warmup_s: plan.stop.warmup.as_secs_f64(),
        drain_s: plan.stop.drain.as_secs_f64(),
        timeout_s: plan.timeouts.request.as_secs_f64(),
        connect_timeout_s: plan.timeouts.connect.as_secs_f64(),
        deadline_s: plan.timeouts.deadline.map(Nanos::as_secs_f64),
        pacing: plan.load.is_open().then(|| load::pacing(plan.pacing)),
        seed: plan.seed,
        cookies: load::cookies(plan.work.cookies()),
        redirect: requests.map(|asking| asking.redirects).max().filter(|&most| most > 0),
    }
}

fn stage(stage: &plan::Stage) -> Stage {
    let per_second = |rate: Option<Rate>| rate.map_or(0.0, Rate::per_second);
    Stage {
        duration_s: stage.length.as_secs_f64(),
        from_per_s: per_second(stage.from),
        to_per_s: per_second(stage.to),
    }
}

fn burst(timetable: &Timetable) -> Option<Batches> {
    match timetable.shape {
        Shape::Bursts { count, every } => {
            Some(Batches { count: count.get(), every_s: every.as_secs_f64() })
        }
        Shape::Stages(_) => None,
    }
}

fn surroundings<'r>(report: &'r Report, environment: &'r Environment) -> schema::Environment<'r> {
    let host = &environment.host;
    schema::Environment {
        reactor: report.reactor.name,
        reactor_features: &report.reactor.features,
        kernel: host.kernel.release.as_deref(),
        cpus: host.cpus.online,
        cpus_allowed: host.cpus.allowed.to_string(),
        cpu_quota: host.cpus.quota.map(pummel_tuning::Quota::cpus),
        cpu_model: host.cpus.model.as_deref(),
        cpu_governor: host.cpus.rest.governor(),
        clocksource: host.kernel.clocksource.as_deref(),
        open_files_limit: host.files.soft,
        findings: environment.findings.iter().map(|finding| finding.code).collect(),
    }
}

fn counts(report: &Report) -> Counts {
    let ledger = report.totals.ledger;
    Counts {
        scheduled: ledger.scheduled,
        ok: ledger.ok,
        failed: ledger.failed,
        errors: ledger.errors,
        timeouts: ledger.timeouts,
        dropped: ledger.dropped,
        unfinished: ledger.unfinished,
    }
}

fn errors(table: &ErrorTable) -> BTreeMap<String, u64> {
    let named = table.rows().into_iter().map(|(trouble, count)| (trouble.to_string(), count));
    let other = (table.other() > 0).then(|| ("other".to_owned(), table.other()));
    named.chain(other).collect()
}

fn latencies(report: &Report) -> Latencies {
    let totals = &report.totals;
    let parts = &totals.parts;
    let open = report.plan.load.is_open();
    let secured = report.plan.ways().any(|(tls, _)| tls.is_some());
    Latencies {
        response: open.then(|| bounded(&totals.latency.all())),
        ok: distribution(&totals.latency.ok()),
        classes: totals.latency.classes().iter().map(class).collect(),
        service: bounded(&report.services()),
        lag: open.then(|| distribution(&parts.lag)),
        loop_lag: open.then(|| distribution(&parts.loop_lag)),
        connection_wait: open.then(|| distribution(&parts.connection_wait)),
        connect: distribution(&parts.connect),
        tls: secured.then(|| distribution(parts.tls.as_deref().unwrap_or(&Histogram::new()))),
        ttfb: distribution(&parts.ttfb),
        reap_age: distribution(&parts.reap_age),
    }
}

/// The responses of one status class, by its name.
fn class((class, of): &(u8, Histogram)) -> (String, Distribution) {
    (format!("{class}xx"), distribution(of))
}

/// What is known to be longer than it was waited for stands with its wait; `at_most` says how long
/// it may have been.
fn bounded(of: &Spans) -> Distribution {
    let mut waited = of.known.clone();
    waited.merge(&of.censored);
    let at_most =
        Quantile::REPORTED.map(|(name, quantile)| (name, of.quantile(quantile).hi.map(Nanos::get)));
    Distribution {
        censored: of.censored.count(),
        at_most: (!of.censored.is_empty()).then(|| at_most.into_iter().collect()),
        // The shortest wait is no time that anything took.
        min: (!of.known.is_empty()).then(|| of.known.min().get()),
        ..distribution(&waited)
    }
}

fn distribution(of: &Histogram) -> Distribution {
    let some = !of.is_empty();
    let [p50, p75, p90, p95, p99, p99_9, p99_99] =
        quantiles(of).map(|quantile| some.then_some(quantile));
    Distribution {
        count: of.count(),
        censored: 0,
        at_most: None,
        min: some.then(|| of.min().get()),
        mean: some.then(|| of.mean()),
        stddev: some.then(|| of.stddev()),
        p50,
        p75,
        p90,
        p95,
        p99,
        p99_9,
        p99_99,
        max: some.then(|| of.max().get()),
        clamped: of.clamped(),
    }
}

fn shards(report: &Report) -> Vec<Shard> {
    let row = |shard: &pummel_engine::report::ShardReport| Shard {
        core: shard.cpu,
        pinned: shard.pinned,
        requests: shard.requests,
        busy: shard.busy,
        busiest_second: shard.busiest,
        spun: shard.spun,
    };
    report.shards.iter().map(row).collect()
}
