//! What the schedule costs per slot.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pummel_engine::pace::Constant;
use pummel_engine::plan::Share;
use pummel_engine::units::{Nanos, Rate};

fn pace(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pace");
    let schedule = Constant::new(Rate::new(123_457, Nanos::from_secs(1)).unwrap(), Share::WHOLE);
    let mut n = 0;
    group.bench_function("start_of", |bencher| {
        bencher.iter(|| {
            n += 1;
            black_box(&schedule).start_of(black_box(n))
        });
    });
    // Beyond 2^64 ns × slots, a day at this rate, the division is wide.
    let mut late = 1 << 45;
    group.bench_function("start_of_late", |bencher| {
        bencher.iter(|| {
            late += 1;
            black_box(&schedule).start_of(black_box(late))
        });
    });
    group.bench_function("before", |bencher| {
        bencher.iter(|| black_box(&schedule).before(black_box(Nanos::from_secs(77))));
    });
    group.finish();
}

criterion_group!(benches, pace);
criterion_main!(benches);
