//! A report on paper: pure writers, which get the report, its surroundings and a place to write to.

mod analysis;
mod calibration;
pub(crate) mod changes;
mod cookies;
pub(crate) mod doctor;
mod exchanges;
mod fed;
pub(crate) mod json;
mod judgement;
mod junit;
mod load;
mod looked;
mod origins;
mod redirects;
mod schema;
pub(crate) mod stderr;
mod table;
pub(crate) mod text;
mod thresholds;
mod unset;
mod wire;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::SystemTime;

use pummel_engine::plan::Load;
use pummel_engine::record::{Histogram, Quantile};
use pummel_engine::report::Report;
use pummel_engine::verdict::Verdict;
use pummel_tuning::Host;
use pummel_tuning::watch::Disturbance;

use crate::calibrate::Calibration;
use crate::threshold::Finding;

pub(crate) use calibration::best;
pub(crate) use cookies::CookieFile;
pub(crate) use exchanges::shortfall;
pub(crate) use junit::JunitFile;
pub(crate) use origins::named;

/// What was found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paper<'r> {
    pub(crate) report: &'r Report,
    pub(crate) verdict: &'r Verdict,
    /// In the order in which thresholds were given.
    pub(crate) thresholds: &'r [Finding<'r>],
}

/// What surrounds a run and is no part of its plan.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// Wall time at the start.
    pub(crate) started_at: SystemTime,
    /// The machine.
    pub(crate) host: Host,
    /// What was found on it before the run.
    pub(crate) findings: Vec<pummel_tuning::Finding>,
    /// What happened to it during the run, if anybody watched.
    pub(crate) seen: Option<Disturbance>,
    /// What this machine can do at best, if that was measured.
    pub(crate) calibration: Option<Calibration>,
    /// How many requests were sent before the run, if it had a preflight.
    pub(crate) rehearsed: Option<u64>,
}

/// The quantiles of every report, in nanoseconds: 50, 75, 90, 95, 99, 99.9 and 99.99 %.
fn quantiles(of: &Histogram) -> [u64; 7] {
    Quantile::REPORTED.map(|(_, quantile)| of.quantile(quantile).get())
}

/// The CPUs whose shards the kernel refused to pin.
fn unpinned(report: &Report) -> Vec<String> {
    let loose = report.shards.iter().filter(|shard| !shard.pinned);
    loose.map(|shard| shard.cpu.to_string()).collect()
}

/// What a report shows and a person must not overlook, if there is any such thing.
pub(crate) fn warning(report: &Report) -> Option<String> {
    let loose = unpinned(report);
    (!loose.is_empty()).then(|| {
        format!(
            "the kernel refused to pin the shard meant for CPU {}; it ran wherever there was room",
            loose.join(",")
        )
    })
}

/// Connections that were still to join in, group by group, when the run ended. What an edit changed
/// meanwhile is not taken into account.
fn not_joined(report: &Report) -> u64 {
    let plan = &report.plan;
    let Load::Closed { spawn: Some(_), .. } = plan.load else { return 0 };
    let all = u64::from(plan.connections.get()).saturating_mul(plan.servers() as u64);
    let lives = report.totals.connections;
    let unchanged = report.changes.list.is_empty();
    let joined = lives.opened.saturating_sub(lives.reconnects);
    if unchanged { all.saturating_sub(joined) } else { 0 }
}

/// A number of things, in words that agree.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// A rate with three digits at least, per second, or per minute or hour where that is too seldom.
pub(crate) fn per_time(per_second: f64) -> String {
    let (rate, unit) = match per_second {
        0.0 => return "0/s".to_owned(),
        rate if rate >= 0.01 => (rate, "s"),
        rate if rate * 60.0 >= 0.1 => (rate * 60.0, "min"),
        rate => (rate * 3_600.0, "h"),
    };
    let decimals = match rate {
        rate if rate < 0.099_95 => 4,
        rate if rate < 0.999_5 => 3,
        rate if rate < 9.995 => 2,
        rate if rate < 99.95 => 1,
        _ => 0,
    };
    format!("{rate:.decimals$}/{unit}")
}

/// Writes to standard output, and hands everything over before it returns.
///
/// As a file, because [`io::Stdout`] takes a descriptor that is not open for writing for a place
/// where nobody wants to read, and reports success. One that was closed from the start cannot be
/// told: the runtime opens `/dev/null` in its place before the program begins.
pub(crate) fn stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let stdout = io::stdout().lock();
    let mut to = io::BufWriter::new(File::from(stdout.as_fd().try_clone_to_owned()?));
    write(&mut to)?;
    to.flush()
}

/// Writes the report in the form that was asked for.
pub(crate) fn report(
    paper: &Paper<'_>,
    environment: &Environment,
    format: crate::config::Format,
) -> io::Result<()> {
    stdout(|to| match format {
        crate::config::Format::Text => text::write(paper, environment, to),
        crate::config::Format::Json => json::write(paper, environment, to),
    })
}

/// Writes what was exchanged where requests were tried.
pub(crate) fn exchanges(report: &Report, format: crate::config::Format) -> io::Result<()> {
    stdout(|to| match format {
        crate::config::Format::Text => exchanges::write(report, to),
        crate::config::Format::Json => exchanges::write_json(report, to),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use core::num::{NonZeroU8, NonZeroU32};
    use std::net::SocketAddr;
    use std::sync::Arc;

    use pummel_engine::coordinator::Lateness;
    use pummel_engine::plan::{
        Addresses, Arrivals, Cores, ExpectedStatus, Limit, OnFull, Pacing, Plan, Shape, Spawn,
        Stage, Stages, Stop, Target, Timeouts, Timetable, Wire, Work,
    };
    use pummel_engine::reactor::{Description, Errno, Kind};
    use pummel_engine::record::{
        Cause, Chronicle, Connections, Ledger, Moments, Phase, Recorder, Snapshot, Trouble, Window,
    };
    use pummel_engine::report::{Changes, Ending, ShardReport};
    use pummel_engine::units::{Instant, Nanos, Rate};
    use pummel_engine::verdict::Machine;
    use pummel_proto_http::Request;

    use super::*;

    pub(crate) fn plan(load: Load) -> Plan {
        Plan {
            target: Target {
                url: "http://localhost:8080/a".to_owned(),
                addresses: Addresses::new(vec![SocketAddr::from(([127, 0, 0, 1], 8080))]).unwrap(),
            },
            work: Work::only(
                Request::builder("GET", "localhost:8080", "/a").unwrap().build(),
                ExpectedStatus::default(),
            ),
            wire: Wire::default(),
            others: Vec::new(),
            load,
            connections: NonZeroU32::new(64).unwrap(),
            room: NonZeroU32::MIN,
            stop: Stop {
                warmup: Nanos::from_secs(1),
                limit: Limit::Duration(Nanos::from_secs(2)),
                drain: Nanos::from_secs(10),
            },
            timeouts: Timeouts {
                connect: Nanos::from_secs(5),
                request: Nanos::from_secs(10),
                deadline: None,
            },
            pacing: Pacing::Sleep,
            cores: Cores::new(vec![1, 2]).unwrap(),
            reactor: Kind::Uring,
            seed: 7,
        }
    }

    fn totals(open: bool) -> Snapshot {
        let mut totals = Snapshot {
            ledger: Ledger {
                scheduled: 105,
                ok: 99,
                failed: 1,
                errors: 2,
                timeouts: 0,
                dropped: 0,
                unfinished: 3,
            },
            connections: Connections {
                opened: 66,
                closed_by_peer: 2,
                reconnects: 2,
                ..Connections::default()
            },
            bytes_sent: 12_345,
            bytes_received: 1_234_567,
            sent_in_window: 105,
            finished_in_window: 100,
            good_in_window: 99,
            ..Snapshot::default()
        };
        for k in 1..=100 {
            totals.statuses.count(if k == 100 { 503 } else { 200 }, 1);
            let (service, response) = (Nanos::from_micros(k * 10), Nanos::from_micros(k * 11));
            let status = if k == 100 { 503 } else { 200 };
            totals.parts.ttfb.record(Nanos::from_micros(k * 9));
            totals.latency.responses(if open { response } else { service }, status, k < 100, 1);
            if open {
                totals.parts.service.record(service);
                totals.parts.lag.record(Nanos::from_micros(k));
                totals.parts.loop_lag.record(Nanos::from_micros(k / 2));
                totals.parts.connection_wait.record(Nanos::from_micros(k - k / 2));
            }
        }
        totals.latency.error(Nanos::from_micros(500));
        totals.latency.error(Nanos::from_micros(600));
        totals.latency.censored(Nanos::from_secs(1), 3);
        let troubles = [
            (Phase::Body, Cause::Closed),
            (Phase::Wait, Cause::System(Errno(104))),
            (Phase::Connect, Cause::System(Errno(111))),
        ];
        for (phase, cause) in troubles {
            totals.errors.count(Trouble { phase, cause });
        }
        totals
    }

    /// So many requests, sent evenly over the two seconds of the window.
    fn chronicle(sent: u64) -> Chronicle {
        let mut recorder = Recorder::new(Box::default(), true);
        let (from, to) = (Instant::from_origin(0), Instant::from_origin(2_000_000_000));
        recorder.open_window(Window { from, to });
        for k in 0..sent {
            let at = Instant::from_origin(2_000_000_000 * k / sent);
            let (picked, granted, written, first_byte, finished) = (at, at, at, at, at);
            let (intended, light) = (at, true);
            let moments =
                Moments { intended, picked, granted, written, light, first_byte, finished };
            recorder.started(&moments, 1);
        }
        let mut chronicle = Chronicle::default();
        chronicle.add(&recorder.into_envelope().timeline);
        chronicle
    }

    pub(crate) fn sample(load: Load) -> Report {
        let shard = |cpu, requests| ShardReport {
            cpu,
            pinned: cpu != 2,
            requests,
            busy: 0.5,
            busiest: 0.6,
            spun: 0.0,
            completions_lost: 0,
        };
        Report {
            totals: totals(load.is_open()),
            chronicle: chronicle(105),
            plan: Arc::new(plan(load)),
            changes: Changes::default(),
            reactor: Description { name: "io_uring", features: vec!["multishot"] },
            window: Nanos::from_secs(2),
            shards: vec![shard(1, 60), shard(2, 40)],
            coordinator: Lateness {
                count: 30,
                p50: Nanos::from_micros(60),
                p99: Nanos::from_micros(900),
                max: Nanos::from_millis(1),
            },
            ticks_lost: 0,
            exchanges: Vec::new(),
            cookies: Vec::new(),
            ending: Ending::Completed,
        }
    }

    pub(super) fn environment() -> Environment {
        let mut host = pummel_tuning::inspect();
        host.kernel.release = Some("6.12.0".to_owned());
        let started_at = SystemTime::UNIX_EPOCH;
        let (findings, seen, calibration, rehearsed) = (Vec::new(), None, None, None);
        Environment { started_at, host, findings, seen, calibration, rehearsed }
    }

    pub(crate) fn closed() -> Load {
        Load::Closed { pipeline: NonZeroU8::MIN, spawn: None }
    }

    fn rate(per_second: u64) -> Option<Rate> {
        Rate::new(per_second, Nanos::from_secs(1))
    }

    fn open() -> Load {
        open_at(100)
    }

    /// So many slots in the two seconds of the window.
    fn open_at(slots: u64) -> Load {
        let rate = Rate::new(slots, Nanos::from_secs(2)).unwrap();
        Load::Open {
            timetable: Timetable::constant(rate),
            pipeline: NonZeroU8::new(4).unwrap(),
            on_full: OnFull::Queue,
        }
    }

    pub(super) fn verdict(report: &Report) -> Verdict {
        Verdict::of(report, &Machine::default())
    }

    /// Without thresholds.
    pub(super) fn paper<'r>(report: &'r Report, verdict: &'r Verdict) -> Paper<'r> {
        Paper { report, verdict, thresholds: &[] }
    }

    fn text(report: &Report) -> String {
        let mut bytes = Vec::new();
        text::write(&paper(report, &verdict(report)), &environment(), &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn json(report: &Report) -> serde_json::Value {
        let mut bytes = Vec::new();
        json::write(&paper(report, &verdict(report)), &environment(), &mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn the_plan_in_json_says_how_requests_are_scheduled() {
        let plan = |load| json(&sample(load))["plan"].clone();
        let closed = plan(closed());
        for key in
            ["arrivals", "stages", "burst", "on_full", "max_connections", "spawn", "deadline_s"]
        {
            assert!(closed[key].is_null(), "{key}");
        }
        assert!(closed["pacing"].is_null() && closed["rate_per_s"].is_null());
        let spawn = Some(Spawn { count: NonZeroU32::MIN, every: Nanos::from_millis(250) });
        let joining = plan(Load::Closed { pipeline: NonZeroU8::MIN, spawn });
        assert_eq!(joining["spawn"].to_string(), r#"{"count":1,"every_s":0.25}"#);
        let constant = plan(open());
        assert_eq!(
            (&constant["rate_per_s"], &constant["on_full"]),
            (&50.0.into(), &"queue".into())
        );
        assert_eq!(
            (&constant["arrivals"], &constant["pacing"]),
            (&"constant".into(), &"sleep".into())
        );
        assert!(constant["stages"].is_null() && constant["max_connections"].is_null());
        let stage = Stage { length: Nanos::from_secs(3), from: None, to: rate(50) };
        let shape = Shape::Stages(Stages::new(vec![stage]).unwrap());
        let most = NonZeroU32::new(640).unwrap();
        let staged = plan(Load::Open {
            timetable: Timetable { shape, arrivals: Arrivals::Poisson },
            pipeline: NonZeroU8::MIN,
            on_full: OnFull::Grow { most },
        });
        let expected = r#"[{"duration_s":3.0,"from_per_s":0.0,"to_per_s":50.0}]"#;
        assert_eq!(staged["stages"].to_string(), expected);
        assert!(staged["rate_per_s"].is_null() && staged["burst"].is_null());
        assert_eq!((&staged["arrivals"], &staged["on_full"]), (&"poisson".into(), &"grow".into()));
        assert_eq!(staged["max_connections"], 640);
    }

    #[test]
    fn the_text_of_a_closed_loop_says_that_it_shows_service_time() {
        insta::assert_snapshot!(text(&sample(closed())));
    }

    #[test]
    fn the_text_of_an_open_loop_shows_response_time_first() {
        insta::assert_snapshot!(text(&sample(open())));
    }

    #[test]
    fn no_line_of_the_text_is_wider_than_a_hundred_columns() {
        let mut report = sample(open());
        let mut plan = plan(open());
        plan.target.url = format!("http://localhost/{}", "ä".repeat(300));
        report.plan = Arc::new(plan);
        for errno in 1..100 {
            let cause = Cause::System(Errno(errno));
            report.totals.errors.count(Trouble { phase: Phase::Send, cause });
        }
        report.totals.latency.responses(Nanos::MAX, 200, true, 1);
        report.totals.latency.censored(Nanos::from_secs(1), 50);
        for line in text(&report).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn a_closed_loop_has_no_response_time_in_json() {
        let document = json(&sample(closed()));
        let latency = &document["latency_ns"];
        assert!(latency["response"].is_null() && latency["lag"].is_null());
        assert_eq!(latency["service"]["count"], 105);
        assert_eq!(latency["ok"]["max"], 990_000);
        assert_eq!(latency["classes"]["5xx"]["max"], 1_000_000);
        assert_eq!(document["plan"]["model"], "closed");
        assert!(document["rates"]["offered_per_s"].is_null());
    }

    #[test]
    fn an_open_loop_has_both_times_and_an_offered_rate_in_json() {
        let document = json(&sample(open()));
        assert_eq!(document["latency_ns"]["classes"]["5xx"]["max"], 1_100_000);
        assert_eq!(document["latency_ns"]["response"]["max"], 1_000_000_000);
        assert_eq!(document["latency_ns"]["lag"]["min"], 1_000);
        assert_eq!(document["rates"]["offered_per_s"], 50.0);
        assert_eq!(document["errors"]["wait_reset"], 1);
        assert_eq!(document["statuses"]["503"], 1);
    }

    /// A report on `ok` good requests, `errors` and `unfinished` ones.
    fn covering(ok: u64, errors: u64, unfinished: u64) -> Report {
        let scheduled = ok + errors + unfinished;
        let mut report = sample(open_at(scheduled));
        report.totals.ledger = Ledger { scheduled, ok, errors, unfinished, ..Ledger::default() };
        report.totals.latency.clear();
        report.totals.parts.lag.clear();
        report.totals.parts.connection_wait.clear();
        report.chronicle = chronicle(scheduled);
        report.totals.sent_in_window = scheduled;
        for _ in 0..ok {
            report.totals.latency.responses(Nanos::from_micros(7), 200, true, 1);
        }
        for _ in 0..errors {
            report.totals.latency.error(Nanos::from_micros(3));
        }
        report.totals.latency.censored(Nanos::from_secs(2), unfinished);
        report
    }

    #[test]
    fn where_every_request_ended_nothing_is_said_about_bounds() {
        let report = covering(300, 0, 0);
        let document = json(&report);
        assert_eq!(document["latency_coverage"], 1.0);
        assert_eq!(document["verdict"]["status"], "pass");
        assert!(document["latency_ns"]["response"]["at_most"].is_null());
        let text = text(&report);
        assert!(!text.contains("bounds") && !text.contains('≥'), "{text}");
    }

    #[test]
    fn a_quantile_among_requests_without_an_end_is_a_lower_bound() {
        let report = covering(297, 0, 3);
        let document = json(&report);
        let response = &document["latency_ns"]["response"];
        assert_eq!((&response["censored"], &response["p99_9"]), (&3.into(), &2_000_000_000.into()));
        assert!(response["at_most"]["p99_9"].is_null());
        assert_eq!(response["at_most"]["p50"], 7_000);
        let text = text(&report);
        assert!(text.contains("  3 of 300: requests without an end"), "{text}");
        let row = text.lines().find(|line| line.starts_with("  response")).unwrap();
        assert!(row.ends_with("≥2.00 s") && row.contains("7.00 µs"), "{row}");
    }

    #[test]
    fn more_than_a_hundredth_of_errors_makes_the_verdict_suspect() {
        let verdict = json(&covering(40, 260, 0))["verdict"].clone();
        assert_eq!(verdict["status"], "suspect");
        assert_eq!(verdict["reasons"][0]["code"], "unanswered");
        assert_eq!(verdict["reasons"][0]["value"], 260.0 / 300.0);
        assert_eq!(verdict["reasons"][0]["limit"], 0.01);
        let text = text(&covering(40, 260, 0));
        let line = text.lines().find(|line| line.starts_with("Verdict")).unwrap();
        assert!(line.contains("SUSPECT") && text.contains("260 of 300 requests"), "{text}");
        for (answered, errors, status) in [(990, 10, "pass"), (989, 11, "suspect")] {
            let document = json(&covering(answered, errors, 0));
            assert_eq!(document["verdict"]["status"], status, "{errors}");
        }
    }

    #[test]
    fn a_shard_that_was_not_pinned_is_named_in_the_text_and_in_a_warning() {
        let mut report = sample(closed());
        assert!(text(&report).contains("CPUs 1,2 (2 not pinned: the kernel refused), io_uring"));
        assert!(warning(&report).unwrap().contains("CPU 2"));
        report.shards.remove(0);
        assert!(text(&report).contains("1 shard on CPU 2 (not pinned: the kernel refused)"));
        report.shards[0].pinned = true;
        assert!(!text(&report).contains("pinned"));
        assert_eq!(warning(&report), None);
    }

    #[test]
    fn a_rate_has_three_digits_and_a_unit_in_which_it_is_not_nothing() {
        for (per_second, shown) in [
            (0.0, "0/s"),
            (1.0 / 3_600.0, "1.00/h"),
            (10.0 / 3_600.0, "0.167/min"),
            (0.012_3, "0.0123/s"),
            (0.5, "0.500/s"),
            (9.999, "10.0/s"),
            (49.5, "49.5/s"),
            (123_456.7, "123457/s"),
        ] {
            assert_eq!(per_time(per_second), shown);
        }
    }

    #[test]
    fn a_ledger_that_does_not_balance_makes_the_verdict_invalid() {
        let mut report = sample(closed());
        report.totals.ledger.ok += 1;
        let verdict = json(&report)["verdict"].clone();
        assert_eq!(verdict["status"], "invalid");
        assert_eq!(verdict["reasons"][0]["code"], "ledger");
        assert_eq!(verdict["reasons"][0]["value"], 106);
        assert_eq!(verdict["reasons"][0]["limit"], 105);
        assert!(text(&report).contains("INVALID"));
    }

    #[test]
    fn a_run_that_ended_early_says_how_in_both_forms() {
        for (ending, name, words) in [
            (Ending::Completed, "completed", None),
            (Ending::Interrupted, "interrupted", Some("interrupted")),
            (Ending::TargetLost, "target_lost", Some("target lost, no connection was left")),
        ] {
            let report = Report { ending, ..sample(closed()) };
            assert_eq!(json(&report)["ending"], name);
            let text = text(&report);
            let line = text.lines().find(|line| line.starts_with("Ended"));
            assert_eq!(line.is_some(), words.is_some(), "{text}");
            assert!(words.is_none_or(|words| line.unwrap().contains(words)), "{text}");
        }
    }

    #[test]
    fn the_text_shows_no_quantile_of_fewer_values_than_it_takes() {
        for (count, shown) in
            [(5, 0), (6, 1), (35, 1), (36, 2), (367, 2), (368, 3), (3_688, 4), (36_887, 5)]
        {
            let mut report = sample(closed());
            report.totals.latency.clear();
            for _ in 0..count {
                report.totals.latency.responses(Nanos::from_micros(7), 200, true, 1);
            }
            let text = text(&report);
            let row = text.lines().find(|line| line.starts_with("  service")).unwrap();
            assert_eq!(row.matches("7.00").count(), 3 + shown, "{count}: {row}");
            assert_eq!(row.matches("n/a").count(), 5 - shown, "{count}: {row}");
        }
    }

    #[test]
    fn what_was_never_measured_is_null_in_json_and_not_zero() {
        let connect = json(&sample(closed()))["latency_ns"]["connect"].clone();
        assert_eq!(connect["count"], 0);
        for key in ["min", "mean", "stddev", "p50", "p99_99", "max"] {
            assert!(connect[key].is_null(), "{key}");
        }
    }

    #[test]
    fn the_lateness_of_ticks_is_a_quantile_only_if_there_are_enough() {
        let mut report = sample(closed());
        assert!(text(&report).contains("ticks late by at most 1.00 ms (30 ticks)"));
        report.coordinator.count = 100;
        assert!(text(&report).contains("ticks late by 900 µs at p99 (100 ticks)"));
    }
}
