//! What a run says about itself, as the JSON report has it: verdict, course, examples, machine.

use std::collections::BTreeMap;

use pummel_engine::record::{self, Fate, Quantile};
use pummel_engine::report::Report;
use pummel_engine::statistics::trend::Stability;
use pummel_engine::units::{Instant, Nanos};
use pummel_engine::verdict::{self, Axis, Basis, Limitation};
use pummel_tuning::watch::{Disturbance, Peak};

use super::schema::{
    Amount, ErrorKind, Exemplar, Fidelity, Reason, Seen, SeenShard, Step, TargetFinding, Timeline,
    Trust, Verdict, WorstWindow,
};

pub(super) fn verdict(of: &verdict::Verdict) -> Verdict {
    let axis = |axis: Axis| (key(axis), of.of_axis(axis).name());
    Verdict {
        status: of.status.name(),
        axes: Axis::ALL.map(axis).into_iter().collect(),
        reasons: of.reasons.iter().map(reason).collect(),
        notes: of.notes.iter().map(|note| (note.code, note.message.clone())).collect(),
        target: target(of),
        trust: of.trust.iter().map(trust).collect(),
        arrivals: of.course.fidelity.map(|fidelity| Fidelity {
            dispersion: fidelity.dispersion,
            expected_min: fidelity.expected.0,
            expected_max: fidelity.expected.1,
            steps: fidelity.steps,
        }),
        steady_from_s: of.course.steady_from().map(Nanos::as_secs_f64),
        worst_windows: of.course.worst.iter().map(window).collect(),
    }
}

const fn key(axis: Axis) -> &'static str {
    match axis {
        Axis::Delivery => "load_delivered",
        Axis::Client => "client_health",
        Axis::Statistics => "statistics",
    }
}

fn reason(of: &verdict::Reason) -> Reason {
    let amount = |amount| match amount {
        verdict::Amount::Count(count) => Amount::Count(count),
        verdict::Amount::Share(share) => Amount::Share(share),
    };
    Reason {
        axis: key(of.axis),
        status: of.status.name(),
        code: of.code,
        message: of.message.clone(),
        value: amount(of.value),
        limit: amount(of.limit),
        remedy: of.remedy,
    }
}

fn target(of: &verdict::Verdict) -> TargetFinding {
    let (stability, backlog, growth_per_s) = match of.course.stability {
        Stability::Steady => (Some("steady"), None, None),
        // Whoever is to blame for it, that is not the target.
        Stability::Unstable { .. } if !of.blames_target() => (None, None, None),
        Stability::Unstable { growth_per_s, backlog } => {
            (Some("unstable"), Some(backlog), Some(growth_per_s))
        }
        Stability::Unknown => (None, None, None),
    };
    let limited_by = of.delivery.limitation.map(|limitation| match limitation {
        Limitation::Connections { .. } => "connections",
        Limitation::Server { .. } | Limitation::Stops { .. } => "server",
    });
    TargetFinding { stability, backlog, growth_per_s, limited_by }
}

fn trust(of: &verdict::Trust) -> Trust {
    let end = |high: Nanos| (high != Nanos::MAX).then(|| high.get());
    Trust {
        quantile: of.name,
        interval_ns: of.interval.map(|(low, high)| (low.get(), end(high))),
        basis: match of.basis {
            Basis::Order => "order",
            Basis::Sections => "sections",
        },
        needs: of.needs,
        independent_samples: of.independent,
        client_share: of.client_share,
        starred: of.starred,
    }
}

fn window(of: &verdict::WorstWindow) -> WorstWindow {
    WorstWindow {
        length_s: of.length.as_secs_f64(),
        p50_ns: of.p50.1.get(),
        p50_from_s: of.p50.0.as_secs_f64(),
        p99_ns: of.p99.1.get(),
        p99_from_s: of.p99.0.as_secs_f64(),
    }
}

/// The whole course of the run with its drain, in seconds; in longer steps if it lasted long.
pub(super) fn timeline(report: &Report) -> Timeline {
    let chronicle = report.chronicle.per_second();
    let step = |of: &record::Step| {
        let at = |quantile: Quantile| of.latency.at_rank(quantile.rank(of.latency.total()));
        Step {
            arrived: of.tally.arrived,
            ok: of.tally.ok,
            censored: of.tally.censored,
            sent: of.tally.sent,
            finished: of.tally.finished,
            p50_ns: at(Quantile::P50).map(Nanos::get),
            p99_ns: at(Quantile::P99).map(Nanos::get),
            loop_lag_max_ns: of.tally.loop_lag_max.get(),
        }
    };
    Timeline {
        step_s: chronicle.step().as_secs_f64(),
        steps: chronicle.steps().iter().map(step).collect(),
    }
}

pub(super) fn slowest(report: &Report) -> Vec<Exemplar> {
    let origin = report.totals.timeline.origin();
    report.totals.slowest.rows().iter().map(|row| exemplar(row, origin)).collect()
}

pub(super) fn error_kinds(report: &Report) -> BTreeMap<String, ErrorKind> {
    let origin = report.totals.timeline.origin();
    let kind = |kind: record::Kind| {
        let trouble = kind.trouble;
        let row = ErrorKind {
            phase: trouble.phase.name(),
            count: kind.count,
            ended_by: trouble.ended_by().name(),
            errno: trouble.errno(),
            exemplar: kind.exemplar.map(|row| exemplar(&row, origin)),
        };
        (trouble.to_string(), row)
    };
    report.totals.errors.kinds().into_iter().map(kind).collect()
}

fn exemplar(of: &record::Exemplar, origin: Instant) -> Exemplar {
    let moments = &of.moments;
    let after = |moment: Instant| moment.since(moments.intended).get();
    let (status, error) = match of.fate {
        Fate::Response(status) => (Some(status), None),
        Fate::Trouble(trouble) => (None, Some(trouble.to_string())),
    };
    Exemplar {
        intended_s: moments.intended.since(origin).as_secs_f64(),
        picked_ns: after(moments.picked),
        granted_ns: after(moments.granted),
        sent_ns: after(moments.written),
        first_byte_ns: after(moments.first_byte),
        finished_ns: after(moments.finished),
        connection: of.connection,
        status,
        error,
    }
}

pub(super) fn machine(seen: &Disturbance) -> Seen {
    let worst = |peak: Option<Peak>| peak.map(|peak| peak.share);
    let shard = |thread: &pummel_tuning::watch::ThreadDisturbance| SeenShard {
        run_queue_wait: thread.wait,
        run_queue_wait_worst: worst(thread.wait_worst),
        switches_involuntary: thread.switches_involuntary,
        migrations: thread.migrations,
    };
    let tcp = &seen.net.tcp;
    Seen {
        steal_worst: worst(seen.cpu.steal_worst),
        cpu_pressure_worst: worst(seen.cpu.pressure_worst),
        throttled: seen.cpu.throttled,
        throttled_s: seen.cpu.throttled_time.map(|time| time.as_secs_f64()),
        tcp_retransmits: tcp.retransmits,
        tcp_segments_sent: tcp.segments_sent,
        listen_overflows: tcp.listen_overflows,
        listen_drops: tcp.listen_drops,
        packets_dropped: seen.net.softnet_dropped,
        received_dropped: seen.net.received_dropped,
        sent_dropped: seen.net.sent_dropped,
        missed: seen.net.missed,
        firewall_dropped: seen.net.firewall_dropped,
        firewall_tracked_max: seen.net.tracked_max,
        major_faults: seen.faults_major,
        shards: seen.threads.shards.iter().map(shard).collect(),
    }
}
