//! Users that begin with rows of feeds, and those that lack one.

use pummel_proto_http::{Escape, Slot as Place, Text};

use super::*;
use crate::feed::{Dealer, Feed, Rows, Tap, rings};
use crate::judge::{Claim, Condition, Operand, Term};
use crate::plan::{Asking, Logic, Scenario, Source, Step, Variable};
use crate::record::Fed;

const SERVICE: Nanos = Nanos::from_millis(1);

/// A feed whose rows the test deals itself.
#[derive(Debug)]
struct Dealt;

impl Rows for Dealt {
    fn begin(&self, _: Dealer, _: &[usize]) -> std::io::Result<()> {
        Ok(())
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

/// `/a?VALUE`, a pause, `/b?VALUE` with values of these columns; and `/c` without any.
fn work(columns: [u16; 2], scenarios: &[(u32, &[Step])]) -> Work {
    let asking = |path: &str, value: Option<u16>| {
        let mut text = Text::from(path);
        if let Some(value) = value {
            text.push("?");
            text.push_slot(Place { value, escape: Escape::Component });
        }
        let request = Request::builder("GET", "example.org", text).unwrap().build();
        Asking::new(path.to_owned(), request, ExpectedStatus::default())
    };
    let requests = vec![asking("/a", Some(0)), asking("/b", Some(1)), asking("/c", None)];
    let scenario = |&(weight, steps): &(u32, &[Step])| Scenario {
        name: String::new(),
        weight: NonZeroU32::new(weight).unwrap(),
        steps: steps.to_vec(),
    };
    let variables = columns.map(|column| Variable {
        name: column.to_string(),
        source: Source::Fed { feed: 0, column },
    });
    let feed = Feed { name: "users".to_owned(), columns: 2, rows: Arc::new(Dealt) };
    Work::new(requests, scenarios.iter().map(scenario).collect())
        .and_then(|work| work.with_variables(variables.to_vec(), Nanos::ZERO))
        .and_then(|work| work.with_feeds(vec![feed]))
        .unwrap()
}

const BOTH: &[(u32, &[Step])] =
    &[(1, &[Step::Request(0), Step::Think(Nanos::from_millis(5)), Step::Request(1)])];

const ONE: &[(u32, &[Step])] = &[(1, &[Step::Request(0)])];

fn deal(dealer: &mut Dealer, rows: core::ops::Range<u32>) {
    for row in rows {
        let values = [format!("n{row}"), format!("m{row}")];
        dealer.deal(values.iter().map(String::as_bytes));
    }
}

/// The rows that were asked with.
type Paths = Rc<RefCell<Vec<String>>>;

/// A server that answers each page, and remembers its path.
fn remembering() -> (Script, Paths) {
    let paths = Paths::default();
    let seen = Rc::clone(&paths);
    let hear = move |_, bytes: &[u8]| {
        let text = core::str::from_utf8(bytes).unwrap();
        let path = text.split(' ').nth(1).unwrap();
        seen.borrow_mut().push(path.to_owned());
        vec![(SERVICE, Act::Say(OK.to_vec()))]
    };
    (Script { hear: Some(Box::new(hear)), ..server(|_| panic!("pages are heard")) }, paths)
}

/// Runs the only shard of `plan` with rows of `taps`.
#[track_caller]
fn fed(plan: Plan, script: Script, taps: Vec<Tap>) -> Ended {
    run_fed(only(plan), script, taps, |_| {})
}

/// The only shard of `plan`.
fn only(plan: Plan) -> ShardPlan {
    split(&Arc::new(plan)).remove(0)
}

fn fed_plan(load: &Load, connections: u32, limit: Limit, work: Work) -> Plan {
    Plan { work, ..plan(load, connections, limit) }
}

/// Rows up to `rows`, and no more.
fn finite(rows: u32, connections: u32) -> Vec<Tap> {
    let (mut dealer, taps) = rings(2, 1, NonZeroU32::new(connections).unwrap());
    deal(&mut dealer, 0..rows);
    dealer.finish();
    taps
}

#[test]
fn a_user_has_one_row_from_its_first_step_to_its_last() {
    let plan = fed_plan(&closed(1), 1, requests(6), work([0, 1], BOTH));
    let (script, paths) = remembering();
    let ended = fed(plan, script, finite(1_000, 1));
    let expected = ["/a?n0", "/b?m0", "/a?n1", "/b?m1", "/a?n2", "/b?m2"];
    assert_eq!(*paths.borrow(), expected);
    assert_eq!(ended.numbers.fed, [Fed { rows: 3, ..Fed::default() }]);
}

#[test]
fn a_scenario_that_needs_no_row_takes_none() {
    let mixed: &[(u32, &[Step])] = &[(1, &[Step::Request(0)]), (1, &[Step::Request(2)])];
    let plan = fed_plan(&closed(1), 2, requests(200), work([0, 1], mixed));
    let (script, paths) = remembering();
    let ended = fed(plan, script, finite(1_000, 2));
    let with = paths.borrow().iter().filter(|path| path.contains('?')).count() as u64;
    assert_eq!(ended.numbers.fed[0].rows, with);
    assert!((60..140).contains(&with), "{with}");
}

#[test]
fn a_row_that_only_a_condition_looks_at_is_taken_all_the_same() {
    let claim = Claim::Same(Operand::Value(0), Operand::Known(b"n1"[..].into()));
    let condition = Condition(vec![vec![Term { claim, negated: false }]]);
    let logic = Logic { conditions: vec![condition], groups: Vec::new() };
    let steps = vec![Step::Request(2), Step::Unless { condition: 0, to: 3 }, Step::Request(2)];
    let known = work([0, 1], ONE);
    let scenario = Scenario { steps, ..known.scenarios()[0].clone() };
    let work = Work::with_logic(known.requests().to_vec(), vec![scenario], logic)
        .and_then(|work| work.with_variables(known.variables().to_vec(), Nanos::ZERO))
        .and_then(|work| work.with_feeds(known.feeds().to_vec()))
        .unwrap();
    let (script, paths) = remembering();
    let plan = fed_plan(&closed(1), 1, Limit::Duration(millis(1_000)), work);
    let ended = fed(plan, script, finite(3, 1));
    // The second user has the row that the condition is about.
    assert_eq!(*paths.borrow(), ["/c", "/c", "/c", "/c"]);
    assert_eq!(ended.numbers.fed[0].rows, 3);
}

#[test]
fn a_schedule_ends_with_the_last_row_and_all_who_have_begun_finish() {
    let limit = Limit::Duration(millis(1_000));
    let plan = fed_plan(&open(100), 4, limit, work([0, 1], BOTH));
    let (script, paths) = remembering();
    let ended = fed(plan, script, finite(20, 4));
    assert_eq!(paths.borrow().len(), 40);
    // The slot behind the last row would have been at 200 ms.
    assert_eq!(ended.finished.window, millis(200));
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.scheduled, ledger.ok, ledger.unfinished), (40, 40, 0));
    assert_eq!(ended.numbers.fed, [Fed { rows: 20, ended: 1, ..Fed::default() }]);
    assert!(ended.finished.wall_time < millis(250), "{:?}", ended.finished.wall_time);
}

#[test]
fn a_closed_loop_ends_when_whoever_has_a_row_is_done() {
    for limit in [requests(1_000), Limit::Duration(millis(1_000))] {
        let rest: &[(u32, &[Step])] =
            &[(1, &[Step::Request(0), Step::Request(1), Step::Think(Nanos::from_secs(3_600))])];
        for (scenarios, rounds) in [(BOTH, 5), (rest, 1)] {
            let plan = fed_plan(&closed(1), 2, limit, work([0, 1], scenarios));
            let (script, paths) = remembering();
            let ended = fed(plan, script, finite(2 * rounds, 2));
            assert_eq!(paths.borrow().len(), 4 * rounds as usize);
            let pause = if rounds == 1 { 0 } else { 5 };
            let length = (2 * SERVICE.get() + pause * 1_000_000) * u64::from(rounds);
            assert!(ended.finished.window.get().abs_diff(length) <= 1, "{:?}", ended.finished);
            assert_eq!(ended.numbers.ledger.ok, 4 * u64::from(rounds));
            assert!(ended.finished.wall_time < millis(60), "{:?}", ended.finished.wall_time);
        }
    }
}

#[test]
fn a_shard_without_a_row_of_its_own_sends_nothing() {
    for load in [closed(1), open(100)] {
        let plan = fed_plan(&load, 1, Limit::Duration(millis(100)), work([0, 1], ONE));
        let (script, paths) = remembering();
        let ended = fed(plan, script, finite(0, 1));
        assert!(paths.borrow().is_empty());
        assert_eq!(ended.numbers.ledger.scheduled, ended.numbers.ledger.unfinished);
        assert_eq!(ended.numbers.fed, [Fed { ended: 1, ..Fed::default() }]);
    }
}

/// A run whose next rows come with the answer to the last of the first ones, after so long.
fn run_starving(load: &Load, connections: u32, pause: Nanos) -> Ended {
    let (mut dealer, taps) = rings(2, 1, NonZeroU32::new(connections).unwrap());
    // A full batch leaves with the row behind it.
    deal(&mut dealer, 0..513);
    let mut dealer = Some(dealer);
    let plan = fed_plan(load, connections, Limit::Duration(millis(1_000)), work([0, 1], ONE));
    let (script, _) = remembering();
    let from = BARRIER + pause;
    run_fed(only(plan), script, taps, move |now| {
        if now >= from
            && let Some(mut dealer) = dealer.take()
        {
            deal(&mut dealer, 513..2_000);
            dealer.finish();
        }
    })
}

#[test]
fn slots_without_a_row_wait_and_their_clock_runs() {
    // The first 512 rows last for 512 ms, the others come at 612.
    let ended = run_starving(&open(1_000), 8, millis(612));
    let numbers = &ended.numbers;
    assert_eq!((numbers.ledger.scheduled, numbers.ledger.ok), (1_000, 1_000));
    let fed = numbers.fed[0];
    assert_eq!((fed.rows, fed.ended), (1_000, 0));
    // A shard looks every quarter of a millisecond.
    let look = Nanos::from_micros(251);
    assert!((100..=101).contains(&fed.starved), "{fed:?}");
    assert!(fed.waited_longest >= millis(100) && fed.waited_longest < millis(100) + look);
    assert!(fed.waited.get().abs_diff(millis(5_050).get()) < 101 * look.get(), "{fed:?}");
    // It is a part of the response time, and the client's own.
    let longest = numbers.latency.all().known.max();
    assert!(longest >= millis(100) && longest < millis(110), "{longest}");
    assert!(numbers.parts.loop_lag.max() >= millis(100));
    assert!(numbers.parts.connection_wait.quantile(crate::record::Quantile::P50) < millis(1));
}

#[test]
fn connections_of_a_closed_loop_that_lack_a_row_starve() {
    let ended = run_starving(&closed(1), 2, millis(400));
    let fed = ended.numbers.fed[0];
    // 256 rounds of two, a millisecond each, and then nothing until then.
    assert_eq!(fed.starved, 2, "{fed:?}");
    let wait = millis(400 - 256);
    assert!(fed.waited_longest >= wait && fed.waited_longest < wait + Nanos::from_micros(251));
    assert!(ended.numbers.ledger.ok > 1_000);
}

#[test]
fn a_shard_that_starves_sleeps_in_between_and_to_its_end() {
    let (mut dealer, taps) = rings(2, 1, NonZeroU32::new(8).unwrap());
    deal(&mut dealer, 0..513);
    let plan = fed_plan(&open(1_000), 8, Limit::Duration(millis(600)), work([0, 1], ONE));
    let (script, _) = remembering();
    let mut turns = 0_u32;
    let ended = run_fed(only(plan), script, taps, |_| turns += 1);
    drop(dealer);
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.scheduled, ledger.ok, ledger.unfinished), (600, 512, 88));
    let fed = ended.numbers.fed[0];
    assert_eq!(fed.starved, 1, "the wait that did not end");
    assert!(fed.waited >= millis(1_000), "{fed:?}");
    assert!(turns < 8_000, "{turns}");
}

#[test]
fn a_feed_that_breaks_off_ends_the_run_as_well() {
    let (mut dealer, taps) = rings(2, 1, NonZeroU32::MIN);
    deal(&mut dealer, 0..513);
    drop(dealer);
    let plan = fed_plan(&open(1_000), 8, Limit::Duration(millis(1_000)), work([0, 1], ONE));
    let (script, paths) = remembering();
    let ended = fed(plan, script, taps);
    assert_eq!(paths.borrow().len(), 512);
    let ledger = ended.numbers.ledger;
    assert!(ledger.ok >= 511 && ledger.unfinished <= 1, "{ledger:?}");
    assert_eq!(ended.numbers.fed[0].ended, 1);
}

#[test]
fn slot_k_has_row_k_however_many_shards_there_are() {
    const ROWS: u32 = 60;
    for (shards, connections) in [(1, 4), (2, 5), (3, 4), (4, 4)] {
        let limit = Limit::Duration(millis(1_000));
        let mut whole = fed_plan(&open(100), connections, limit, work([0, 1], ONE));
        whole.cores = Cores::new((0..shards).collect()).unwrap();
        let parts = split(&Arc::new(whole));
        let connections = NonZeroU32::new(connections).unwrap();
        let (mut dealer, taps) = rings(2, parts.len(), connections);
        deal(&mut dealer, 0..ROWS);
        dealer.finish();
        for (part, tap) in parts.into_iter().zip(taps) {
            let slots = (0..).map(|n| part.share.slot(n)).take_while(|&k| k < u64::from(ROWS));
            let expected: Vec<String> = slots.map(|k| format!("/a?n{k}")).collect();
            let (script, paths) = remembering();
            let ended = run_fed(part, script, vec![tap], |_| {});
            assert_eq!(*paths.borrow(), expected, "{shards} shards");
            assert!(ended.finished.window <= millis(10 * u64::from(ROWS)));
            assert_eq!(ended.numbers.ledger.unfinished, 0);
        }
    }
}
