//! What header blocks cost: a response's to decode, a request's to write.
//!
//! A response comes in four ways: all of it in the table, all of it in Huffman code that is not
//! entered, with a `Date` that is entered, and as a repetition of the one before (the rule under
//! load). A request is copied, with and without a value of its own.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pummel_proto_http::h2::hpack::{Block, Decoder, Field, Form};
use pummel_proto_http::limits::HPACK_TABLE_BYTES;

fn response(date: &[u8]) -> [Field<'_>; 8] {
    [
        Field::fixed(b":status", b"200"),
        Field::fixed(b"server", b"nginx/1.22.1"),
        Field::fixed(b"date", date),
        Field::fixed(b"content-type", b"text/plain"),
        Field::fixed(b"content-length", b"13"),
        Field::fixed(b"last-modified", b"Fri, 20 Nov 2026 15:51:28 GMT"),
        Field::fixed(b"etag", b"\"655b7f10-d\""),
        Field::fixed(b"accept-ranges", b"bytes"),
    ]
}

fn written(block: &Block, form: Form) -> Vec<u8> {
    let mut bytes = Vec::new();
    block.write(form, &[], &mut bytes);
    bytes
}

/// Decodes a block and returns the length of its fields.
fn read(decoder: &mut Decoder, block: &[u8]) -> usize {
    let mut length = 0;
    let add = |name: &[u8], value: &[u8]| length += name.len() + value.len();
    decoder.decode(black_box(block), 1 << 16, add).unwrap();
    length
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hpack_decode");
    let block = Block::new(&response(b"Fri, 20 Nov 2026 15:51:28 GMT"));
    let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
    read(&mut decoder, &written(&block, Form::First));
    let bytes = written(&block, Form::Indexed);
    group.bench_function("indexed", |bencher| bencher.iter(|| read(&mut decoder, &bytes)));
    let bytes = written(&block, Form::Plain);
    group.bench_function("huffman", |bencher| bencher.iter(|| read(&mut decoder, &bytes)));
    decoder.remember(&bytes);
    group.bench_function("repeated", |bencher| {
        bencher.iter(|| decoder.repeat(black_box(&bytes)));
    });
    let date = Block::new(&[Field::fixed(b"date", b"Fri, 20 Nov 2026 15:51:29 GMT")]);
    let bytes = written(&date, Form::First);
    group.bench_function("entered", |bencher| bencher.iter(|| read(&mut decoder, &bytes)));
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hpack_write");
    let mut fields = vec![
        Field::fixed(b":method", b"GET"),
        Field::fixed(b":scheme", b"http"),
        Field::fixed(b":authority", b"127.0.0.1:8080"),
        Field::fixed(b":path", b"/index"),
        Field::fixed(b"user-agent", b"pummel/0.1.0"),
        Field::fixed(b"accept", b"*/*"),
    ];
    let mut out = Vec::with_capacity(1 << 16);
    let block = Block::new(&fields);
    group.bench_function("indexed", |bencher| {
        bencher.iter(|| {
            out.clear();
            block.write(Form::Indexed, black_box(&[]), &mut out);
            out.len()
        });
    });
    if let Some(path) = fields.get_mut(3) {
        *path = Field::varying(b":path");
    }
    let block = Block::new(&fields);
    group.bench_function("varying", |bencher| {
        bencher.iter(|| {
            out.clear();
            block.write(Form::Indexed, black_box(&[b"/items/4711"]), &mut out);
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, decode, write);
criterion_main!(benches);
