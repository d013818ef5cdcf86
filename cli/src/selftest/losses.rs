//! T11: answers that never come, that break off, and connections that the server closes. None of
//! them is a slot lost, and each is counted once.

use pummel_engine::record::Quantile;
use pummel_engine::units::Nanos;

use super::Mode;
use super::row::{Exposure, Row, real};
use super::trial::{Client, Load, Seen, Trial, whole};

/// One request in so many is never answered; one in so many is reset in its middle.
const SILENT: u64 = 100;
const RESET: u64 = 1_000;

/// Requests after which the server closes a connection.
const CLOSE: u64 = 20;

/// What the server takes, and how long is waited for what does not come.
const TAKES_S: f64 = 0.001;
const TIMEOUT: Nanos = Nanos::from_secs(1);

pub(super) fn losses(mode: Mode) -> Vec<Trial> {
    let load = Load::constant(1_000, Nanos::from_secs(mode.choose(4, 60)), 100);
    let turns = format!("--silent-every {SILENT} --reset-every {RESET} --reset-offset 50");
    vec![Trial {
        name: "losses".to_owned(),
        load: Load { timeout: TIMEOUT, ..load },
        target: format!("{turns} --close-after {CLOSE} --body-size 1000 --delay 1ms"),
        client: Client::Own,
        recorded: false,
        judge: Box::new(lost),
    }]
}

fn lost(load: &Load, seen: &Seen) -> Vec<Row> {
    let facts = &seen.facts;
    let (silent, resets) = (load.slots() / SILENT, load.slots() / RESET);
    let slots = real(load.slots());
    // Who is held up for nearly as long as is waited is taken for one who never comes.
    let held_up = Exposure::Beyond { span_s: 0.5, of: slots };
    let about = |what, count, truth: u64| Row::about(what, count, real(truth), 0.5).with(held_up);
    let reset = facts.errors.get("body_reset").copied().unwrap_or(0);
    let mut rows = vec![
        about("timeouts", facts.ledger.timeouts, silent),
        about("errors", facts.ledger.errors, resets),
        about("reset in the body", reset, resets),
        Row::quantile(0.5, seen.response(0.5), TAKES_S, 300e-6),
        Row::quantile(0.98, seen.response(0.98), TAKES_S, 2e-3),
    ];
    if let Some(quantile) = Quantile::new(0.995) {
        let bounds = facts.response.quantile(quantile);
        let least = bounds.lo.as_secs_f64();
        rows.push(Row::span("least p99.5", least, TIMEOUT.as_secs_f64(), 0.0).at_least());
        rows.push(Row::count("upper bounds of p99.5", u64::from(bounds.hi.is_some()), 0));
    }
    // Those that are given up at the end need no other connection.
    let reopened = Row::about("connections reopened", facts.reconnects, real(silent), 20.0);
    rows.push(reopened.at_least());
    let told = whole(&seen.target, "/silent");
    rows.push(about("timeouts, as the target counts", told, facts.ledger.timeouts));
    let books = seen.books(load, load.slots() - silent - resets);
    // How many are well depends on how many are given up, and that on the machine.
    rows.extend(
        books.into_iter().map(|row| if row.what == "ok" { row.with(held_up) } else { row }),
    );
    rows
}

#[cfg(test)]
mod tests {
    use super::super::trial::tests::{histogram, seen, wrong};
    use super::*;
    use serde_json::json;

    /// A run of 4,000 of which 40 timed out, and so many are said to be reset.
    fn run(resets: u64) -> Seen {
        let mut spans = vec![0.001_05; 3_956];
        spans.extend([0.001; 4]);
        let mut seen = seen(&spans);
        seen.facts.response.censored = histogram(&[1.0; 40]);
        let ledger = &mut seen.facts.ledger;
        (ledger.scheduled, ledger.ok, ledger.timeouts, ledger.errors) = (4_000, 3_956, 40, 4);
        seen.facts.errors.insert("body_reset".to_owned(), resets);
        seen.facts.reconnects = 190;
        seen.target = json!({ "silent": 40 });
        seen
    }

    #[test]
    fn each_loss_counts_once() {
        let trial = &losses(Mode::Quick)[0];
        assert_eq!(wrong(trial, &run(4)), [""; 0]);
        assert_eq!(wrong(trial, &run(3)), ["reset in the body"]);
        let mut lost = run(4);
        lost.facts.ledger.timeouts = 39;
        let found = wrong(trial, &lost);
        for what in ["timeouts", "without an outcome", "timeouts, as the target counts"] {
            assert!(found.iter().any(|row| row == what), "{what}: {found:?}");
        }
        let mut stuck = run(4);
        stuck.facts.reconnects = 10;
        assert_eq!(wrong(trial, &stuck), ["connections reopened"]);
    }

    #[test]
    fn what_never_came_has_no_latency_but_a_bound() {
        let trial = &losses(Mode::Quick)[0];
        let mut flattered = run(4);
        let short = histogram(&[0.5; 40]);
        flattered.facts.response.censored = short;
        assert_eq!(wrong(trial, &flattered), ["least p99.5"]);
        let mut known = run(4);
        known.facts.response.known.merge(&histogram(&[1.0; 40]));
        known.facts.response.censored = pummel_engine::record::Histogram::new();
        assert_eq!(wrong(trial, &known), ["upper bounds of p99.5"]);
    }
}
