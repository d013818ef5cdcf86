//! Virtual users on their way through scenarios.

use super::*;
use crate::plan::{Asking, Protocol, Scenario, Step};
use crate::record::Row;

const THINK: Nanos = Nanos::from_millis(10);
const SERVICE: Nanos = Nanos::from_millis(1);

/// Requests for `/a`, `/b` and so on, and scenarios with these weights and steps.
fn work(requests: u8, scenarios: &[(u32, &[Step])]) -> Work {
    let asking = |n| {
        let name = format!("/{}", char::from(b'a' + n));
        let request = Request::builder("GET", "example.org", &name).unwrap().build();
        Asking::new(name, request, ExpectedStatus::default())
    };
    let scenario = |&(weight, steps): &(u32, &[Step])| Scenario {
        name: String::new(),
        weight: NonZeroU32::new(weight).unwrap(),
        steps: steps.to_vec(),
    };
    Work::new((0..requests).map(asking).collect(), scenarios.iter().map(scenario).collect())
        .unwrap()
}

/// `/a`, a pause, `/b`.
fn two_steps() -> Work {
    work(2, &[(1, &[Step::Request(0), Step::Think(THINK), Step::Request(1)])])
}

fn scripted(load: &Load, connections: u32, limit: Limit, work: Work) -> Plan {
    Plan { work, ..plan(load, connections, limit) }
}

/// How many requests of each kind ended well, and how many badly.
fn ended_by_row(numbers: &Snapshot) -> Vec<(u64, u64)> {
    let bad = |row: &Row| row.ledger.accounted() - row.ledger.ok;
    numbers.rows.iter().map(|row| (row.ledger.ok, bad(row))).collect()
}

/// What the rows hold is what the run holds, but for what was never sent.
#[track_caller]
fn check_rows(numbers: &Snapshot) {
    let mut sum = Row::default();
    numbers.rows.iter().for_each(|row| sum.merge(row));
    let (of_rows, ledger) = (sum.ledger, numbers.ledger);
    assert_eq!(
        (of_rows.ok, of_rows.failed, of_rows.errors),
        (ledger.ok, ledger.failed, ledger.errors)
    );
    assert_eq!(sum.latency().known.count(), numbers.latency.all().known.count());
    assert_eq!(of_rows.timeouts + of_rows.unfinished, sum.latency().censored.count());
}

#[test]
fn a_user_goes_from_step_to_step_and_thinks_in_between() {
    let ended = run(scripted(&closed(1), 1, requests(10), two_steps()), prompt(SERVICE));
    assert_eq!(ended_by_row(&ended.numbers), [(5, 0), (5, 0)]);
    check_rows(&ended.numbers);
    let round = SERVICE + THINK + SERVICE;
    let expected = (0..5_u64).flat_map(|n| {
        let begun = round.saturating_mul(n);
        [begun, begun + SERVICE + THINK]
    });
    assert_eq!(ended.sent(), expected.collect::<Vec<_>>());
    // A pause is no part of anybody's latency.
    assert_eq!(ended.numbers.latency.all().known.max(), SERVICE);
}

#[test]
fn a_pause_behind_the_last_step_keeps_the_user_from_beginning_again() {
    let work = work(1, &[(1, &[Step::Request(0), Step::Think(THINK)])]);
    let ended = run(scripted(&closed(1), 2, requests(6), work), prompt(SERVICE));
    let round = SERVICE + THINK;
    let rounds = (0..3_u64).flat_map(|n| [round.saturating_mul(n); 2]);
    assert_eq!(ended.sent(), rounds.collect::<Vec<_>>());
}

#[test]
fn a_slot_of_an_open_loop_begins_a_scenario_which_goes_on_by_itself() {
    let plan = scripted(&open(100), 2, Limit::Duration(millis(200)), two_steps());
    let ended = run(plan, prompt(SERVICE));
    // Twenty begin; what the last of them asks for in the end lies behind the window.
    let [(first, 0), (second, 0)] = ended_by_row(&ended.numbers)[..] else { panic!("two rows") };
    assert_eq!(first, 20);
    assert_eq!(second, 19);
    check_rows(&ended.numbers);
    assert_eq!(ended.log.sent.len(), 40, "and is done all the same");
    let all = ended.numbers.latency.all().known;
    assert_eq!((all.min(), all.max()), (SERVICE, SERVICE));
}

#[test]
fn users_beyond_the_connections_wait_for_one_and_that_is_a_part_of_the_response_time() {
    // Three slots at once every 100 ms, one connection, a service time of 1 ms.
    let load = Load::Open {
        timetable: Timetable {
            shape: Shape::Bursts { count: nonzero(3), every: millis(100) },
            arrivals: Arrivals::Constant,
        },
        pipeline: NonZeroU8::MIN,
        on_full: OnFull::Queue,
    };
    let plan = scripted(&load, 1, Limit::Duration(millis(100)), two_steps());
    let ended = run(plan, prompt(SERVICE));
    assert_eq!(ended_by_row(&ended.numbers), [(3, 0), (3, 0)]);
    let rows = &ended.numbers.rows;
    assert_eq!(rows[0].latency().known.max(), SERVICE + SERVICE + SERVICE);
    // Answered one after the other, they come back one after the other.
    assert_eq!(rows[1].latency().known.max(), SERVICE);
}

#[test]
fn scenarios_are_chosen_by_weight() {
    let work = work(3, &[(3, &[Step::Request(0)]), (1, &[Step::Request(1), Step::Request(2)])]);
    let ended = run(scripted(&closed(1), 4, requests(5_000), work), prompt(SERVICE));
    let rows = ended_by_row(&ended.numbers);
    let (a, b, c) = (rows[0].0, rows[1].0, rows[2].0);
    assert_eq!(a + b + c, 5_000);
    assert!(b.abs_diff(c) <= 4, "{rows:?}");
    assert!(a.abs_diff(3_000) < 150 && b.abs_diff(1_000) < 75, "three to one: {rows:?}");
}

#[test]
fn a_request_that_fails_ends_its_scenario() {
    // Every other request, which is the second step, is met by a reset.
    let script = server(|asked| {
        let act = if asked.number % 2 == 1 { Act::Reset } else { Act::Say(OK.to_vec()) };
        vec![(SERVICE, act)]
    });
    let steps = [Step::Request(0), Step::Request(1), Step::Request(2)];
    let plan = scripted(&closed(1), 1, requests(10), work(3, &[(1, &steps)]));
    let ended = run(plan, script);
    assert_eq!(ended_by_row(&ended.numbers), [(5, 0), (0, 5), (0, 0)]);
    check_rows(&ended.numbers);
}

#[test]
fn users_share_the_streams_of_a_connection() {
    let script = ways::serving(|_, stream| vec![(SERVICE, ways::ok(stream))]);
    let mut plan = scripted(&closed(1), 2, requests(80), two_steps());
    plan.wire.protocol = Protocol::Http2;
    plan.wire.streams = core::num::NonZeroU16::new(4).unwrap();
    let ended = run(plan, script);
    assert_eq!(ended_by_row(&ended.numbers), [(40, 0), (40, 0)]);
    assert_eq!(ended.numbers.latency.all().known.max(), SERVICE);
}

#[test]
fn a_stop_leaves_nobody_behind() {
    let halt = Halt { at: millis(55), patience: millis(100) };
    for load in [closed(1), open(100)] {
        let plan = scripted(&load, 3, Limit::Duration(millis(1_000)), two_steps());
        let ended = run_and_halt(plan, prompt(SERVICE), halt);
        check_rows(&ended.numbers);
        let sum: u64 = ended_by_row(&ended.numbers).iter().map(|&(ok, bad)| ok + bad).sum();
        let ledger = &ended.numbers.ledger;
        let of_rows: u64 = ended.numbers.rows.iter().map(|row| row.ledger.unfinished).sum();
        let never_sent = ledger.unfinished - of_rows;
        assert!(never_sent <= 1, "a slot that was due when the order came");
        assert_eq!(sum + never_sent, ledger.scheduled);
    }
}
