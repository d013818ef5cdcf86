//! What recording one response costs: counters, and seven histograms in an open loop or three in a
//! closed one.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pummel_engine::record::{Moments, Recorder, Snapshot, Window};
use pummel_engine::units::{Instant, Nanos};

/// Latencies that wander over the buckets as real ones do: 200 to 712 µs; all in one row of the
/// timeline, for a run gives rows back.
fn moments(n: u64) -> Moments {
    let intended = Instant::from_origin(1_000 * (n % 90_000));
    let written = intended + Nanos::from_micros(7);
    let finished = written + Nanos::from_micros(200 + n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 512);
    let (picked, granted) = (intended, written);
    Moments { intended, picked, granted, written, light: true, first_byte: finished, finished }
}

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for (name, open_loop) in [("closed_loop", false), ("open_loop", true)] {
        let mut recorder = Recorder::new(Box::<Snapshot>::default(), open_loop);
        let (from, to) = (Instant::from_origin(0), Instant::from_origin(u64::MAX));
        recorder.set_window(Window { from, to });
        let mut n = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                n += 1;
                let moments = moments(n);
                recorder.started(black_box(&moments), 1);
                recorder.responses(black_box(&moments), (200, true), 0, 1);
            });
        });
    }
    let (mut total, part) = (Snapshot::default(), Snapshot::default());
    group.bench_function("merge_of_an_empty_envelope", |bencher| {
        bencher.iter(|| total.merge(black_box(&part)));
    });
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
