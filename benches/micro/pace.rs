//! What the schedule costs per slot.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pummel_engine::pace::Schedule;
use pummel_engine::plan::{Arrivals, Shape, Share, Stage, Stages, Timetable};
use pummel_engine::units::{Nanos, Rate};

fn pace(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pace");
    let rate = Rate::new(123_457, Nanos::from_secs(1)).unwrap();
    let constant = Timetable::constant(rate);
    let ramp = Stage { length: Nanos::from_secs(100_000), from: None, to: Some(rate) };
    let ramp = Shape::Stages(Stages::new(vec![ramp]).unwrap());
    let timetables = [
        ("constant", constant.clone()),
        ("jitter", Timetable { arrivals: Arrivals::UniformJitter, ..constant.clone() }),
        ("poisson", Timetable { arrivals: Arrivals::Poisson, ..constant.clone() }),
        ("ramp", Timetable { shape: ramp, arrivals: Arrivals::Constant }),
    ];
    for (name, timetable) in timetables {
        let mut cursor = Schedule::new(&timetable, Share::WHOLE, 1).cursor();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                cursor.advance();
                black_box(cursor.start())
            });
        });
    }
    let schedule = Schedule::new(&constant, Share::WHOLE, 1);
    // Beyond 2^64 ns × slots, a day at this rate, the division is wide.
    let mut late = schedule.cursor();
    late.skip(Nanos::MAX, 1 << 45);
    group.bench_function("constant_late", |bencher| {
        bencher.iter(|| {
            late.advance();
            black_box(late.start())
        });
    });
    group.bench_function("skip", |bencher| {
        bencher.iter(|| schedule.cursor().skip(black_box(Nanos::from_secs(77)), u64::MAX));
    });
    group.finish();
}

criterion_group!(benches, pace);
criterion_main!(benches);
