//! T6 to T8: slow answers, and more load than the server takes or the connections carry.

use pummel_engine::record::Quantile;
use pummel_engine::units::Nanos;

use super::Mode;
use super::machine::at;
use super::row::{Exposure, Row, real};
use super::trial::{Client, Load, Seen, Trial, UNSTABLE, labelled, number};
use super::truth;

/// A trial of an even rate in this process.
fn trial(
    name: &str,
    load: Load,
    target: &str,
    judge: impl Fn(&Load, &Seen) -> Vec<Row> + 'static,
) -> Trial {
    let (name, target) = (name.to_owned(), target.to_owned());
    let judge = Box::new(judge);
    Trial { name, load, target, client: Client::Own, recorded: false, judge }
}

/// T6: each fiftieth answer takes 50 ms longer.
pub(super) fn bimodal(mode: Mode) -> Vec<Trial> {
    let load = Load::constant(1_000, Nanos::from_secs(mode.choose(3, 60)), 100);
    vec![trial("one slow in fifty", load, "--slow-every 50 --slow-by 50ms", slow_ones)]
}

fn slow_ones(load: &Load, seen: &Seen) -> Vec<Row> {
    let slots = load.slots();
    let between = Exposure::Beyond { span_s: 0.025, of: real(slots) };
    let slow = Row::about("slower than 25 ms", seen.slower(0.025), real(slots / 50), 0.5);
    let mut rows = vec![
        Row::quantile(0.97, seen.response(0.97), 0.0, 0.001),
        Row::quantile(0.99, seen.response(0.99), 0.050, 0.001),
        slow.with(between),
    ];
    rows.extend(seen.books(load, slots));
    rows
}

/// What the server of T7 takes, and the factor by which it is offered more.
const TAKES_S: f64 = 0.001;
const EXCESS: f64 = 1.2;

/// T7: a fifth more than the server takes, to the end and cut off.
pub(super) fn overload(mode: Mode) -> Vec<Trial> {
    let load = Load::constant(1_200, Nanos::from_secs(mode.choose(2, 30)), 40);
    let cut = Load { drain: Nanos::ZERO, ..load };
    vec![
        trial("overload", load, "--service-time 1ms", overloaded),
        trial("overload, no drain", cut, "--service-time 1ms", cut_off),
    ]
}

fn overloaded(load: &Load, seen: &Seen) -> Vec<Row> {
    let waits = truth::overloaded(load.seconds(), EXCESS);
    let row = |q: f64| {
        let truth = waits(q) + TAKES_S;
        Row::quantile(q, seen.response(q), truth, (0.005 * truth).max(0.002))
    };
    let mut rows: Vec<Row> = [0.1, 0.5, 0.9, 0.99, 1.0].map(row).into();
    let mean = seen.facts.response.known.mean() / 1e9;
    rows.push(Row::span("mean", mean, waits(0.5) + TAKES_S, 0.002).exposed(0.9));
    rows.push(labelled(&seen.facts.labels, UNSTABLE));
    rows.extend(seen.books(load, load.slots()));
    rows
}

fn cut_off(load: &Load, seen: &Seen) -> Vec<Row> {
    let done = load.seconds() / TAKES_S;
    let ledger = seen.facts.ledger;
    let late = Exposure::Delay { q: 0.999, scale: load.per_second() };
    let unfinished = real(load.slots()) - done;
    let Some(p99) = Quantile::new(0.99) else { return Vec::new() };
    let p99 = seen.facts.response.quantile(p99);
    let truth = truth::cut_off(load.seconds(), EXCESS)(0.99);
    let mut rows = vec![
        Row::about("unfinished", ledger.unfinished, unfinished, 6.0).with(late),
        Row::span("least p99", p99.lo.as_secs_f64(), truth, (0.01 * truth).max(0.003))
            .exposed(0.99),
        Row::count("upper bounds of p99", u64::from(p99.hi.is_some()), 0),
    ];
    rows.extend(seen.books(load, ledger.scheduled - ledger.unfinished.min(ledger.scheduled)));
    rows
}

/// T8: ten connections, each of which is busy for 10 ms: they carry a thousand per second.
pub(super) fn pool(mode: Mode) -> Vec<Trial> {
    let load = Load::constant(1_200, Nanos::from_secs(mode.choose(2, 30)), 10);
    vec![trial("ten connections", load, "--delay 10ms", limited)]
}

/// How much more than its 10 ms a connection needs for a request is known from the other side: it
/// counts how many came through per second.
fn limited(load: &Load, seen: &Seen) -> Vec<Row> {
    let facts = &seen.facts;
    let through = number(&seen.target, "/arrivals/rate_per_s");
    let waits = truth::overloaded(load.seconds(), load.per_second() / through);
    let service = |q| {
        Row::span(format!("service {}", super::row::name(q)), at(&facts.service, q), 0.010, 0.0005)
    };
    let wait = |q: f64| {
        let what = format!("wait for a connection {}", super::row::name(q));
        // Ten come together whenever the ten are free.
        let base = 0.01 * waits(q) + 0.005;
        Row::span(what, at(&facts.connection_wait, q), waits(q), base).exposed(q)
    };
    let total =
        |q: f64| Row::quantile(q, seen.response(q), waits(q) + 0.010, 0.01 * waits(q) + 0.005);
    let mut rows = vec![
        service(0.5).exposed(0.5),
        service(0.99).exposed(0.99),
        wait(0.5),
        wait(0.99),
        total(0.5),
        total(0.99),
        Row::ratio("arrivals per second", through, 1_000.0, 10.0).at_most(),
        labelled(&facts.labels, "connection_limited"),
    ];
    rows.extend(seen.books(load, load.slots()));
    rows
}

#[cfg(test)]
mod tests {
    use super::super::trial::tests::{histogram, seen, wrong};
    use super::*;
    use serde_json::json;

    #[test]
    fn each_slow_answer_counts() {
        let trial = &bimodal(Mode::Quick)[0];
        let spans = |every: u64| {
            let slow = move |k: u64| if k.is_multiple_of(every) { 0.050 } else { 0.0001 };
            (1..=trial.load.slots()).map(slow).collect::<Vec<f64>>()
        };
        let mut spans_right = spans(50);
        assert_eq!(wrong(trial, &seen(&spans_right)), [""; 0]);
        spans_right[49] = 0.0001;
        assert_eq!(wrong(trial, &seen(&spans_right)), ["slower than 25 ms"]);
        assert!(wrong(trial, &seen(&spans(25))).contains(&"p97".to_owned()));
    }

    /// Spans that rise evenly up to `most`, one for each slot.
    fn rising(load: &Load, most: f64) -> Vec<f64> {
        let slots = load.slots();
        (1..=slots).map(|k| most * real(k) / real(slots)).collect()
    }

    #[test]
    fn what_overload_piles_up_is_measured_to_its_end() {
        let trial = &overload(Mode::Quick)[0];
        let right: Vec<f64> = rising(&trial.load, 0.4).iter().map(|wait| wait + 0.001).collect();
        let mut right = seen(&right);
        assert_eq!(wrong(trial, &right), ["verdict names unstable"]);
        right.facts.labels = vec!["unanswered".to_owned(), UNSTABLE.to_owned()];
        assert_eq!(wrong(trial, &right), [""; 0]);
        for most in [0.001, 0.38, 0.42] {
            let wrong = wrong(trial, &seen(&rising(&trial.load, most)));
            assert!(wrong.contains(&"p99".to_owned()), "{most}: {wrong:?}");
        }
    }

    /// A run of which so many requests were left unfinished.
    fn cut(load: &Load, unfinished: u64) -> Seen {
        let slots = load.slots();
        let done = slots - unfinished;
        let span = |k: u64, of: u64| load.seconds() / 6.0 * real(k) / real(of);
        let mut seen = seen(&(1..=done).map(|k| span(k, done)).collect::<Vec<_>>());
        let waited: Vec<f64> = (1..=unfinished).map(|k| span(k, unfinished)).collect();
        seen.facts.response.censored = histogram(&waited);
        seen.facts.ledger.scheduled = slots;
        seen.facts.ledger.unfinished = unfinished;
        seen
    }

    #[test]
    fn what_is_cut_off_is_a_bound() {
        let trial = &overload(Mode::Quick)[1];
        assert_eq!(wrong(trial, &cut(&trial.load, 400)), [""; 0]);
        assert!(wrong(trial, &cut(&trial.load, 300)).contains(&"unfinished".to_owned()));
        // As if what was not answered had never been.
        let mut forgotten = cut(&trial.load, 400);
        forgotten.facts.response.censored = pummel_engine::record::Histogram::new();
        assert!(wrong(trial, &forgotten).contains(&"upper bounds of p99".to_owned()));
    }

    /// Ten connections that carry 990 requests per second, and waits that rise up to `most`.
    fn limited_run(load: &Load, service: f64, most: f64) -> Seen {
        let waits = rising(load, most);
        let total: Vec<f64> = waits.iter().map(|wait| wait + 0.010).collect();
        let mut seen = seen(&total);
        seen.facts.service = histogram(&vec![service; waits.len()]);
        seen.facts.connection_wait = histogram(&waits);
        seen.target = json!({ "arrivals": { "rate_per_s": 990.0 } });
        seen.facts.labels = vec!["connection_limited".to_owned()];
        seen
    }

    #[test]
    fn a_wait_for_a_connection_is_no_slow_server() {
        let trial = &pool(Mode::Quick)[0];
        let most = 2.0 * (1_200.0 / 990.0 - 1.0);
        assert_eq!(wrong(trial, &limited_run(&trial.load, 0.0101, most)), [""; 0]);
        let slow = wrong(trial, &limited_run(&trial.load, most, most));
        assert!(slow.contains(&"service p99".to_owned()), "{slow:?}");
        let hidden = wrong(trial, &limited_run(&trial.load, 0.0101, 0.0));
        assert!(hidden.contains(&"wait for a connection p99".to_owned()), "{hidden:?}");
        let mut silent = limited_run(&trial.load, 0.0101, most);
        silent.target = json!({});
        assert!(wrong(trial, &silent).contains(&"wait for a connection p50".to_owned()));
    }
}
