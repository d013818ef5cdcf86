//! Scenarios that share the slots of a schedule in proportion to their weights.

use super::*;
use crate::plan::{Spawn, Step};

const SERVICE: Nanos = Nanos::from_millis(1);

/// Four slots each 10 ms, of which three begin with server 0, and one with server 1.
fn three_to_one(connections: u32) -> Plan {
    let limit = Limit::Duration(millis(200));
    let mut plan = servers::apart(&open(400), connections, limit, 2, 1);
    plan.work = users::weighed(&plan.work, &[3, 1]).in_proportion();
    plan
}

#[test]
fn each_scenario_begins_evenly_over_all_shards() {
    for (shards, connections) in [(1, 1), (2, 2), (2, 4), (3, 5)] {
        let mut plan = three_to_one(connections);
        plan.cores = Cores::new((0..shards).collect()).unwrap();
        let mut rare = Vec::new();
        for part in split(&Arc::new(plan)) {
            let own = part.connections.get();
            let ended = run_shard(part, prompt(SERVICE), None);
            let sent = ended.log.sent.iter().filter(|(_, slot, _)| slot.0 >= own);
            rare.extend(sent.map(|(at, ..)| at.since(ended.barrier)));
        }
        rare.sort_unstable();
        let first = rare[0];
        let evenly = (0..20).map(|n| first + millis(10).saturating_mul(n));
        assert_eq!(rare, evenly.collect::<Vec<_>>(), "{shards} shards, {connections} connections");
    }
}

#[test]
fn slots_that_are_dropped_take_their_scenarios_with_them() {
    let steps = [[Step::Request(0)], [Step::Request(1)]];
    let work = users::work(2, &[(3, &steps[0]), (1, &steps[1])]).in_proportion();
    let Load::Open { timetable, pipeline, .. } = open(1_000) else { unreachable!() };
    let load = Load::Open { timetable, pipeline, on_full: OnFull::Drop };
    let plan = users::scripted(&load, 1, Limit::Duration(millis(400)), work);
    // The connection takes each fourth slot, and all of these are of one scenario.
    let ended = run(plan, prompt(Nanos::from_micros(3_500)));
    let rows = users::ended_by_row(&ended.numbers);
    assert_eq!((rows, ended.numbers.ledger.dropped), (vec![(100, 0), (0, 0)], 300));
}

#[test]
fn in_a_closed_loop_beginnings_are_shared_instead_of_slots() {
    let steps = [[Step::Request(0)], [Step::Request(1)]];
    let work = users::work(2, &[(3, &steps[0]), (1, &steps[1])]).in_proportion();
    let spawn = Some(Spawn { count: NonZeroU32::MIN, every: millis(5) });
    let load = Load::Closed { pipeline: NonZeroU8::MIN, spawn };
    let ended = run(users::scripted(&load, 3, requests(400), work), prompt(SERVICE));
    assert_eq!(users::ended_by_row(&ended.numbers), [(300, 0), (100, 0)]);
}
