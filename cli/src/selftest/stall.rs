//! T10: the client itself stands still, and has to say so: the slots that it held up are late, and
//! count.

use pummel_engine::units::{Instant, Nanos};
use serde_json::Value;

use super::Mode;
use super::row::{Exposure, Row};
use super::trial::{Client, Load, Seen, Trial, labelled, number, whole};
use super::truth;

/// For how long.
const STOP: Nanos = Nanos::from_millis(500);

/// What the server takes.
const TAKES_S: f64 = 0.001;

/// Later than this is late.
const LATE: Nanos = Nanos::from_millis(1);

pub(super) fn client(mode: Mode) -> Vec<Trial> {
    // A connection for each slot that is held up: none of them waits for another one's answer.
    let load = Load::constant(1_000, Nanos::from_secs(mode.choose(5, 60)), 600);
    vec![Trial {
        name: "a client that is stopped".to_owned(),
        load,
        target: "--delay 1ms".to_owned(),
        client: Client::Stopped(STOP),
        recorded: true,
        judge: Box::new(stopped),
    }]
}

/// Quantiles by their names in JSON, with what they are.
const QUANTILES: [(&str, f64); 5] =
    [("p75", 0.75), ("p95", 0.95), ("p99", 0.99), ("p99_9", 0.999), ("max", 1.0)];

fn stopped(load: &Load, seen: &Seen) -> Vec<Row> {
    let stop_s = seen.stopped.as_secs_f64();
    let held_up = truth::held_up(stop_s, load.seconds());
    let span =
        |of: &str, name: &str| number(&seen.document, &format!("/latency_ns/{of}/{name}")) / 1e9;
    let mut rows = Vec::new();
    for (name, q) in QUANTILES {
        // Beside the edge: there the truth jumps.
        let truth = held_up(q);
        let row = |of: &str, takes_s: f64| {
            let what = format!("{of} {}", super::row::name(q));
            Row::span(what, span(of, name), truth + takes_s, 0.005).exposed(q)
        };
        rows.push(row("lag", 0.0));
        rows.push(row("response", TAKES_S));
    }
    // The server was never slow. Those that came back to a client that stood still are few.
    let service = Row::span("service p75", span("service", "p75"), TAKES_S, 200e-6);
    rows.push(service.exposed(0.75));
    let late = Row::about("late arrivals", late(load, seen), load.per_second() * stop_s - 1.0, 3.0);
    rows.push(late.with(Exposure::Delay { q: 0.999, scale: load.per_second() }));
    let count = |name: &str| whole(&seen.document, &format!("/counts/{name}"));
    let reasons = seen.document.pointer("/verdict/reasons").and_then(Value::as_array);
    let codes = reasons.into_iter().flatten().filter_map(|reason| reason.get("code")?.as_str());
    rows.push(labelled(&codes.map(str::to_owned).collect::<Vec<_>>(), "client_stall"));
    rows.push(Row::count("scheduled", count("scheduled"), load.slots()));
    rows.push(Row::count("ok", count("ok"), load.slots()));
    rows.push(Row::count("arrivals", seen.arrivals.len() as u64, load.slots()));
    rows
}

/// Requests that arrived late. Where the schedule began is not known of another process, but none
/// arrives before it is due: it began no later than the earliest says.
fn late(load: &Load, seen: &Seen) -> u64 {
    let due = |k: u64| Nanos::new(k * 1_000_000_000 / load.rate);
    let numbered = || (0_u64..).zip(&seen.arrivals);
    let began = numbered().map(|(k, row)| row.arrived - due(k)).min();
    let began = began.unwrap_or(Instant::from_origin(0));
    let late = numbered().filter(|(k, row)| row.arrived > began + due(*k) + LATE);
    late.count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::trial::tests::wrong;
    use super::*;
    use crate::serve::Arrival;
    use serde_json::json;

    /// Quantiles of a stop of half a second in a run of five, as JSON.
    fn quantiles(takes: f64, stop: f64) -> Value {
        let at = |q: f64| (truth::held_up(stop, 5.0)(q) + takes) * 1e9;
        let named = QUANTILES.iter().map(|&(name, q)| (name.to_owned(), json!(at(q))));
        Value::Object(named.collect())
    }

    /// A run of five seconds that stood still for `stop`, and says that it did for `said`.
    fn run(stop: u64, said: f64) -> Seen {
        let arrival = |k: u64| {
            let due = k * 1_000_000;
            let held = (2_000_000_000..2_000_000_000 + stop * 1_000_000).contains(&due);
            let moment = if held { 2_000_000_000 + stop * 1_000_000 } else { due };
            let arrived = Instant::from_origin(1_000 + moment);
            let (planned, replied) = (Some(arrived), Some(arrived));
            Arrival { shard: 0, sequence: 1, connection: 0, arrived, planned, replied }
        };
        let latency = json!({
            "lag": quantiles(0.0, said),
            "response": quantiles(TAKES_S, said),
            "service": { "p75": TAKES_S * 1e9 },
        });
        Seen {
            document: json!({
                "latency_ns": latency,
                "counts": { "scheduled": 5_000, "ok": 5_000 },
                "verdict": { "reasons": [{ "code": "client_stall" }] },
            }),
            stopped: STOP,
            arrivals: (0..5_000).map(arrival).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn a_client_that_says_that_it_stood_still_is_right() {
        let trial = &client(Mode::Quick)[0];
        assert_eq!(wrong(trial, &run(500, 0.5)), [""; 0]);
    }

    #[test]
    fn a_client_that_hides_it_or_never_stood_still_is_wrong() {
        let trial = &client(Mode::Quick)[0];
        let hidden = wrong(trial, &run(500, 0.0));
        assert!(hidden.contains(&"response p99".to_owned()), "{hidden:?}");
        assert!(hidden.contains(&"lag max".to_owned()), "{hidden:?}");
        assert_eq!(wrong(trial, &run(400, 0.5)), ["late arrivals"]);
        let empty = wrong(trial, &Seen { stopped: STOP, ..Seen::default() });
        assert!(empty.contains(&"scheduled".to_owned()), "{empty:?}");
        assert!(empty.contains(&"service p75".to_owned()), "{empty:?}");
        assert!(empty.contains(&"verdict names client_stall".to_owned()), "{empty:?}");
    }
}
