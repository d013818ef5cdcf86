//! T12: when requests are sent, and that shards together are one recorder.

use pummel_engine::reactor::sim::{Law, Model, Service, World};
use pummel_engine::record::{Histogram, Quantile};
use pummel_engine::units::Nanos;

use crate::plan::{micros, millis, on, open, poisson, response, run_in, secs};

/// One request at a time would do; the law leaves no connection free for the next slot at once.
fn model() -> Model {
    let service = Service::Parallel(Law::Exponential(micros(700)));
    Model { seed: 11, service, ..Model::default() }
}

#[test]
fn gaps_over_all_shards_are_one_over_the_rate() {
    for shards in [1, 2, 3, 7] {
        let world = World::listed(&model());
        let report = run_in(&world, on(shards, open(10_000, secs(5), 84)));
        assert_eq!(report.shards.len(), shards);
        let exchanges = world.exchanges();
        assert_eq!(exchanges.len(), 50_000);
        let barrier = exchanges[0].sent;
        for (k, exchange) in (0..).zip(&exchanges) {
            assert_eq!(exchange.sent.since(barrier), micros(k * 100), "slot {k}");
        }
    }
}

#[test]
fn shards_take_turns_and_do_not_burst_together() {
    let world = World::listed(&model());
    run_in(&world, on(4, open(10_000, secs(1), 64)));
    let shard = |line: usize| line / 16;
    let exchanges = world.exchanges();
    for four in exchanges.chunks(4) {
        let mut shards: Vec<_> = four.iter().map(|exchange| shard(exchange.line)).collect();
        shards.sort_unstable();
        assert_eq!(shards, [0, 1, 2, 3]);
    }
}

/// What the shards report together is what a single recorder would have, had it seen all answers.
#[test]
fn merged_shards_are_one_histogram() {
    for shards in [1, 3] {
        let world = World::listed(&model());
        let report = run_in(&world, on(shards, open(2_000, secs(20), 300)));
        let exchanges = world.exchanges();
        let barrier = exchanges[0].sent;
        let mut truth = Histogram::new();
        let mut exact = Vec::new();
        for (k, exchange) in (0..).zip(&exchanges) {
            let intended = barrier + micros(k * 500);
            let time = exchange.answered.unwrap().since(intended);
            truth.record(time);
            exact.push(time);
        }
        exact.sort_unstable();
        let merged = response(&report);
        assert!(counts(&merged) == counts(&truth), "the counts of some buckets differ");
        assert_eq!((merged.count(), merged.min(), merged.max()), (40_000, exact[0], exact[39_999]));
        check_precision(&merged, &exact);
    }
}

/// The counts of all buckets, as text: nothing else of the library's state is ours to compare.
fn counts(histogram: &Histogram) -> String {
    let text = format!("{histogram:?}");
    let (_, counts) = text.split_once("counts: [").unwrap();
    counts.split_once(']').unwrap().0.to_owned()
}

/// A quantile lies up to 0.0977 % above the value at its nearest rank, and never below.
#[track_caller]
fn check_precision(merged: &Histogram, exact: &[Nanos]) {
    for per_mille in 1..1_000_u32 {
        // Between two ranks, where rounding cannot choose the other one.
        let per_million = per_mille * 1_000 - 330;
        let rank = (exact.len() * per_million as usize).div_ceil(1_000_000);
        let truth = exact[rank - 1].get();
        let q = Quantile::new(f64::from(per_million) / 1e6).unwrap();
        let measured = merged.quantile(q).get();
        assert!(truth <= measured, "{per_mille} per mille: {measured} < {truth}");
        let room = truth * 977 / 1_000_000 + 1;
        assert!(measured - truth <= room, "{per_mille} per mille: {measured} > {truth}");
    }
}

/// Nothing of the schedule depends on the server: slots are sent when they are due as long as there
/// is a free connection, and the count is that of the rate.
#[test]
fn the_count_is_that_of_the_rate() {
    for (rate, length) in [(1_u64, 3_000), (7, 10_000), (333, 9_009), (10_000, 1_001)] {
        let world = World::listed(&model());
        let report = run_in(&world, on(2, open(rate, millis(length), 64)));
        assert_eq!(report.totals.ledger.scheduled, (rate * length).div_ceil(1_000));
    }
}

/// Gaps of all shards together, in seconds.
#[expect(clippy::cast_precision_loss, reason = "small test numbers")]
fn gaps(world: &World) -> Vec<f64> {
    let exchanges = world.exchanges();
    let gaps = exchanges.windows(2).map(|pair| pair[1].sent.since(pair[0].sent));
    gaps.map(|gap| gap.get() as f64 / 1e9).collect()
}

/// The statistic of Anderson and Darling for an exponential distribution of unknown mean, in the
/// form of Stephens (1974): above 1.321 in one of twenty samples of one.
#[expect(clippy::cast_precision_loss, reason = "small test numbers")]
fn anderson_darling(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let terms = values.iter().zip(values.iter().rev()).zip(0_u32..).map(|((low, high), i)| {
        let below = -(-low / mean).exp_m1();
        (2.0 * f64::from(i) + 1.0) * (below.ln() - high / mean)
    });
    let squared = -n - terms.sum::<f64>() / n;
    squared * (1.0 + 0.6 / n)
}

/// Variance over mean of the numbers of arrivals in a thousand spans: 1 for Poisson arrivals, and
/// next to nothing for constant ones.
#[expect(clippy::cast_precision_loss, reason = "small test numbers")]
fn dispersion(world: &World, length: Nanos) -> f64 {
    const BINS: usize = 1_000;
    let exchanges = world.exchanges();
    let (first, mut counts) = (exchanges[0].sent, vec![0.0; BINS]);
    for exchange in &exchanges {
        let bin = exchange.sent.since(first).get() * BINS as u64 / length.get();
        counts[usize::try_from(bin).unwrap().min(BINS - 1)] += 1.0;
    }
    let mean = counts.iter().sum::<f64>() / BINS as f64;
    let squares = counts.iter().map(|count| (count - mean) * (count - mean));
    squares.sum::<f64>() / (BINS - 1) as f64 / mean
}

/// T12: streams of several shards, each Poisson by itself, are so together.
#[test]
fn poisson_arrivals_over_all_shards_are_poisson() {
    const SEEDS: u64 = 20;
    let mut passed = 0;
    for seed in 0..SEEDS {
        let world = World::listed(&Model::default());
        let shards = usize::try_from(1 + seed % 4).unwrap();
        run_in(&world, on(shards, poisson(10_000, secs(1), 64, seed)));
        passed += u64::from(anderson_darling(gaps(&world)) < 1.321);
    }
    assert!(passed >= SEEDS * 9 / 10, "{passed} of {SEEDS} pass");
    let world = World::listed(&Model::default());
    run_in(&world, on(3, poisson(10_000, secs(10), 64, 5)));
    let spread = dispersion(&world, secs(10));
    assert!((spread - 1.0).abs() < 0.09, "{spread}");
}

#[test]
fn constant_arrivals_do_not_pass_for_poisson_ones() {
    let world = World::listed(&Model::default());
    run_in(&world, on(3, open(10_000, secs(10), 64)));
    assert!(anderson_darling(gaps(&world)) > 1_000.0);
    let spread = dispersion(&world, secs(10));
    assert!(spread < 0.02, "{spread}");
}
