//! What a shard does at most: in a turn, in a send, in memory.

use super::*;
use crate::reactor::{Confirm, SILENT_BYTES_MAX};

/// Requests that start before the clock is read again.
const STARTS_MAX: u32 = 32;

/// Bytes that are published for one send, unless a single request is longer.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Each request carries the moment of its start, and a start takes time: hundreds of them under
/// one reading of the clock would all claim the moment of the first.
#[test]
fn few_requests_start_before_the_clock_is_read_again() {
    for load in [closed(1), open(100_000)] {
        let plan = plan(&load, 500, Limit::Duration(millis(200)));
        let ended = run(plan, freezing(millis(50), millis(100), millis(1)));
        assert!(ended.numbers.ledger.ok > 1_000, "{:?}", ended.numbers.ledger);
        assert!(ended.log.burst <= STARTS_MAX, "{load:?}: {} at once", ended.log.burst);
    }
}

/// What is spread over turns is not put off: no time passes between them.
#[test]
fn connections_that_are_free_together_are_used_at_one_moment() {
    let ended = run(plan(&closed(1), 500, requests(500)), prompt(millis(1)));
    assert!(ended.sent().iter().all(|&at| at == Nanos::ZERO));
}

#[test]
fn a_deep_pipeline_of_large_requests_is_published_in_bounded_memory() {
    for (body, depth) in [(0, 128), (10_000, 128), (1 << 20, 128), (3 << 20, 2)] {
        let mut plan = plan(&closed(depth), 2, requests(1_000));
        plan.work = Work::only(posting(body), ExpectedStatus::default());
        let most = BATCH_BYTES_MAX.max(plan.work.first().unwrap().request.render_h1().len());
        let ended = run(plan, prompt(millis(1)));
        assert_eq!(ended.numbers.ledger.ok, 1_000);
        let published: usize = ended.log.published.iter().map(|&(len, _)| len).sum();
        assert!(published <= most, "{published} bytes for {depth} requests with {body}");
    }
}

/// Silence is for sends that cannot overtake each other: small ones, one at a time.
#[test]
fn only_small_requests_without_a_pipeline_are_sent_silently() {
    for (depth, body, expected) in [
        (1, 0, Confirm::Failure),
        (1, SILENT_BYTES_MAX, Confirm::Always),
        (2, 0, Confirm::Always),
        (128, 0, Confirm::Always),
    ] {
        let mut plan = plan(&closed(depth), 1, requests(10));
        plan.work = Work::only(posting(body), ExpectedStatus::default());
        let ended = run(plan, prompt(millis(1)));
        let published: Vec<_> = ended.log.published.iter().map(|&(_, confirm)| confirm).collect();
        assert_eq!(published, [expected], "depth {depth}, {body} bytes");
    }
}
