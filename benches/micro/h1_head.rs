//! What reading one small response costs: head, body of 13 bytes, end.
//!
//! Three ways to meet it: the head equals the last one (the rule under load), it differs (the
//! `Date` has moved on), or it arrives in two parts.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::hint::black_box;
use std::num::NonZeroU8;

use criterion::{Criterion, criterion_group, criterion_main};
use pummel_proto_http::{Expect, h1};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 15:51:28 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 13\r\nConnection: keep-alive\r\n\r\nhello, world\n";

const GET: Expect = Expect { body: true, close: false };

/// Reads the response, handed over in `parts`, and returns the number of its events.
fn read(conn: &mut h1::Conn, parts: &[&[u8]], recall: &mut h1::Recall) -> u32 {
    conn.start(GET).unwrap();
    let mut events = 0;
    for part in parts {
        let mut input = *part;
        while let Some(event) = conn.receive(&mut input, recall).unwrap() {
            black_box(event);
            events += 1;
        }
    }
    events
}

fn h1_head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("h1_head");
    let (mut conn, mut recall) = (h1::Conn::new(NonZeroU8::MIN), h1::Recall::new());
    group.bench_function("as_before", |bencher| {
        bencher.iter(|| read(&mut conn, &[black_box(RESPONSE)], &mut recall));
    });
    group.bench_function("parsed", |bencher| {
        bencher.iter(|| read(&mut conn, &[black_box(RESPONSE)], &mut h1::Recall::new()));
    });
    let (front, back) = RESPONSE.split_at(60);
    group.bench_function("in_two_parts", |bencher| {
        bencher.iter(|| read(&mut conn, &[black_box(front), black_box(back)], &mut recall));
    });
    group.finish();
}

criterion_group!(benches, h1_head);
criterion_main!(benches);
