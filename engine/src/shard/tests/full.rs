//! What becomes of slots that are due when no connection is free, and of those that wait too long.

use super::*;
use crate::plan::{Keep, Spawn, Step};

/// One connection, answers after 10 ms, a slot each 4 ms.
fn crowded(on_full: OnFull) -> Plan {
    let mut load = open(250);
    if let Load::Open { on_full: policy, .. } = &mut load {
        *policy = on_full;
    }
    plan(&load, 1, Limit::Duration(millis(400)))
}

#[test]
fn a_waiting_slot_waits_for_a_connection_and_not_for_the_shard() {
    let ended = run(crowded(OnFull::Queue), prompt(millis(10)));
    let parts = &ended.numbers.parts;
    assert_eq!(ended.numbers.ledger.ok, 100);
    assert_eq!(parts.loop_lag.max(), Nanos::ZERO);
    // The k-th starts after k answers of 10 ms, and was due after 4 k ms.
    assert_eq!(parts.connection_wait.max(), millis(99 * 6));
    assert_eq!(parts.lag.max(), millis(99 * 6));
}

#[test]
fn a_dropped_slot_is_counted_at_once_and_never_sent() {
    let ended = run(crowded(OnFull::Drop), prompt(millis(10)));
    let ledger = ended.numbers.ledger;
    // Of the slots at 0, 4, 8 and 12 ms the second and the third find the connection busy.
    assert_eq!((ledger.ok, ledger.dropped), (34, 66));
    assert_eq!(ended.requests_sent(), 34);
    assert_eq!(ended.numbers.latency.all().censored.max(), Nanos::ZERO, "nothing was waited for");
    assert_eq!(ended.numbers.parts.lag.max(), Nanos::ZERO);
    assert_eq!(ended.numbers.parts.loop_lag.count(), 100, "each slot has one");
}

#[test]
fn a_pool_that_grows_has_as_many_connections_as_are_needed_at_once() {
    let most = NonZeroU32::new(10).unwrap();
    let ended = run(crowded(OnFull::Grow { most }), prompt(millis(10)));
    assert_eq!(ended.numbers.ledger.ok, 100);
    // An answer takes 10 ms and a slot comes each 4 ms: three are under way at once.
    assert_eq!(ended.log.dialled.len(), 3);
    assert_eq!(ended.numbers.parts.connection_wait.max(), Nanos::from_micros(50), "to connect");
}

#[test]
fn a_pool_grows_to_its_limit_only() {
    let most = NonZeroU32::new(2).unwrap();
    let ended = run(crowded(OnFull::Grow { most }), prompt(millis(10)));
    assert_eq!((ended.numbers.ledger.ok, ended.log.dialled.len()), (100, 2));
    assert!(ended.numbers.parts.connection_wait.max() > millis(90), "as if there were two");
}

#[test]
fn a_deadline_counts_from_the_intended_start_whether_or_not_the_request_was_sent() {
    let mut plan = crowded(OnFull::Queue);
    plan.timeouts.deadline = Some(millis(25));
    // A request that is late costs its connection, and the next one takes 30 ms to be had.
    let mut script = prompt(millis(10));
    script.door = Box::new(|_, _| Door::Opens(millis(30)));
    let ended = run(plan, script);
    let ledger = ended.numbers.ledger;
    assert_eq!(ledger.ok + ledger.timeouts, 100);
    let all = ended.numbers.latency.all();
    assert_eq!(all.censored.max(), millis(25));
    assert!(all.known.max() <= millis(25), "{}", all.known.max());
    let sent = count(&ended.numbers, "wait_timeout");
    let unsent = count(&ended.numbers, "queue_timeout");
    assert!(sent > 0 && unsent > 30, "{sent} sent, {unsent} not");
    assert_eq!(sent + unsent, ledger.timeouts);
}

#[test]
fn a_stopped_shard_answers_for_all_that_came_due_meanwhile() {
    let plan = plan(&open(1_000), 4, Limit::Duration(millis(1_000)));
    let script = prompt(millis(1));
    let ended = run_stalled(plan, script, Stall { at: millis(300), span: millis(200) });
    assert_eq!(ended.numbers.ledger.ok, 1_000);
    let parts = &ended.numbers.parts;
    let late: u64 = parts.loop_lag.buckets().filter(|(lag, _)| *lag > millis(1)).map(|b| b.1).sum();
    assert!((197..=200).contains(&late), "{late}");
    assert!(parts.loop_lag.max() >= millis(198), "{}", parts.loop_lag.max());
    // Without the shard's lateness those remain that waited behind the 200, and the answers that
    // came while it was stopped.
    let slow = parts.unhindered.buckets().filter(|(span, _)| *span > millis(100)).map(|b| b.1);
    assert!(slow.sum::<u64>() <= 4);
}

#[test]
fn a_shard_whose_first_connection_is_yet_to_join_has_not_lost_its_target() {
    let spawn = Some(Spawn { count: NonZeroU32::MIN, every: Nanos::from_secs(15) });
    let load = Load::Closed { pipeline: NonZeroU8::MIN, spawn };
    let mut plan = plan(&load, 2, requests(10));
    plan.cores = Cores::new(vec![0, 1]).unwrap();
    // The second shard has connection 1 alone, which joins 15 s after the barrier.
    let part = split(&Arc::new(plan)).remove(1);
    let ended = run_shard(part, prompt(millis(1)), None);
    assert_eq!((ended.numbers.ledger.ok, ended.finished.target_lost), (5, false));
}

/// Seven users on as many connections, of which two join in each 100 ms; each asks once, and thinks
/// for ever after.
fn thinkers() -> Plan {
    let spawn = Some(Spawn { count: NonZeroU32::new(2).unwrap(), every: millis(100) });
    let load = Load::Closed { pipeline: NonZeroU8::MIN, spawn };
    let think = Step::Think(Nanos::from_secs(3_600));
    let work = users::work(2, &[(1, &[Step::Request(0), think, Step::Request(1)])]);
    users::scripted(&load, 7, Limit::Duration(millis(450)), work)
}

#[test]
fn users_join_with_their_connections() {
    let ended = run(thinkers(), prompt(millis(1)));
    let groups: Vec<u64> = ended.sent().iter().map(|at| at.get() / 100_000_000).collect();
    assert_eq!(groups, [0, 0, 1, 1, 2, 2, 3]);
}

#[test]
fn a_connection_that_comes_back_brings_nobody_who_was_there_before() {
    let mut plan = thinkers();
    plan.wire.keep = Keep::Renewed(Rate::new(100, Nanos::from_secs(1)).unwrap());
    let ended = run(plan, prompt(millis(1)));
    let groups: Vec<u64> = ended.sent().iter().map(|at| at.get() / 100_000_000).collect();
    assert_eq!(groups, [0, 0, 1, 1, 2, 2, 3]);
    assert!(ended.log.dialled.len() > 7, "{}", ended.log.dialled.len());
}

#[test]
fn connections_join_in_groups() {
    let spawn = Some(Spawn { count: NonZeroU32::new(3).unwrap(), every: millis(50) });
    let load = Load::Closed { pipeline: NonZeroU8::MIN, spawn };
    let ended = run(plan(&load, 8, Limit::Duration(millis(300))), prompt(millis(1)));
    let dialled: Vec<Nanos> =
        ended.log.dialled.iter().map(|(at, ..)| at.since(ended.barrier)).collect();
    let group = |n: usize| millis(50 * (n as u64));
    let expected: Vec<Nanos> = (0..8).map(|n| group(n / 3)).collect();
    assert_eq!(dialled, expected);
    assert_eq!(ended.opened.unwrap().open, 3, "the first group is there before the barrier");
    assert!(ended.numbers.ledger.ok > 2_000, "{:?}", ended.numbers.ledger);
}
