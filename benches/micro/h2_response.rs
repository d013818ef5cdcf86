//! What a request and its small response cost on HTTP/2: start, head written, head and body of 13
//! bytes read, end. Once with a head like the last one (the rule under load), once with one that
//! differs each time; a hundred at a time, as a connection meets them.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]
#![expect(clippy::indexing_slicing, reason = "what is indexed was made here")]

use std::hint::black_box;
use std::num::NonZeroU16;

use criterion::{Criterion, criterion_group, criterion_main};
use pummel_proto_http::Request;
use pummel_proto_http::h2::hpack::{Block, Field, Form};
use pummel_proto_http::h2::{Conn, Rendered, frame};

const STREAMS: u32 = 100;

/// A connection on which the peer has indexed all of its fields.
struct Bench {
    conn: Conn,
    requests: Vec<Rendered>,
    heads: [Vec<u8>; 2],
    next: u32,
    page: Vec<u8>,
}

fn head(status: &[u8]) -> Block {
    Block::new(&[
        Field::fixed(b":status", status),
        Field::fixed(b"server", b"h2o/2.2.6"),
        Field::fixed(b"date", b"Fri, 20 Nov 2026 15:51:28 GMT"),
        Field::fixed(b"content-type", b"text/plain"),
        Field::fixed(b"etag", b"\"655b8f30-d\""),
        Field::fixed(b"accept-ranges", b"bytes"),
        Field::fixed(b"content-length", b"13"),
    ])
}

impl Bench {
    fn new() -> Self {
        let request = Request::builder("GET", "localhost:8080", "/").unwrap().build();
        let mut bench = Self {
            conn: Conn::new(NonZeroU16::new(100).unwrap()),
            requests: vec![request.render_h2().unwrap()],
            heads: [Vec::new(), Vec::new()],
            next: 1,
            page: Vec::with_capacity(64 * 1024),
        };
        let mut settings = Vec::new();
        frame::write_settings(&mut settings, &[]);
        bench.read(&settings);
        let (mut first, ok) = (Vec::new(), head(b"200"));
        ok.write(Form::First, &[], &mut first);
        bench.request();
        let answer = bench.answer(&first);
        bench.read(&answer);
        ok.write(Form::Indexed, &[], &mut bench.heads[0]);
        // The same but for its status, which the static table has.
        let mut not_found = bench.heads[0].clone();
        not_found[0] = 0x8d;
        bench.heads[1] = not_found;
        bench
    }

    fn request(&mut self) {
        self.conn.start(0).unwrap();
    }

    fn write(&mut self) {
        self.page.clear();
        self.conn.transmit(&self.requests, &mut self.page, 64 * 1024);
        black_box(&self.page);
    }

    /// The next stream's response.
    fn answer(&mut self, block: &[u8]) -> Vec<u8> {
        self.write();
        let stream = self.next;
        self.next += 2;
        let mut out = Vec::new();
        out.extend_from_slice(&[0; frame::HEADER_BYTES]);
        out.extend_from_slice(block);
        let header = frame::Header { length: 0, kind: frame::Kind::Headers, flags: 0, stream };
        frame::frame_block(&mut out, 0, header, frame::PAYLOAD_BYTES_DEFAULT);
        let flags = frame::END_STREAM;
        let header = frame::Header { length: 13, kind: frame::Kind::Data, flags, stream };
        frame::write_header(&mut out, header);
        out.extend_from_slice(b"hello, world\n");
        out
    }

    fn read(&mut self, bytes: &[u8]) -> u32 {
        let (mut input, mut events) = (bytes, 0);
        while let Some(event) = self.conn.receive(&mut input).unwrap() {
            black_box(event);
            events += 1;
        }
        events
    }

    /// Sets the streams of responses that were made before to the next ones. There are more of
    /// them than a benchmark has time for.
    fn renumber(&mut self, responses: &mut [u8], each: usize) {
        for response in responses.chunks_exact_mut(each) {
            let second = each - 13 - frame::HEADER_BYTES;
            for at in [5, second + 5] {
                response[at..at + 4].copy_from_slice(&self.next.to_be_bytes());
            }
            self.next += 2;
        }
    }

    /// A hundred requests and their responses.
    fn round(&mut self, responses: &mut [u8], each: usize) -> u32 {
        for _ in 0..STREAMS {
            self.request();
        }
        self.write();
        self.renumber(responses, each);
        self.read(responses)
    }
}

fn h2_response(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("h2_hundred_responses");
    for (name, heads) in [("as_before", [0, 0]), ("decoded", [0, 1])] {
        let mut bench = Bench::new();
        let blocks = heads.map(|index| bench.heads[index].clone());
        let mut responses = Vec::new();
        let mut each = 0;
        for _ in 0..STREAMS / 2 {
            for block in &blocks {
                bench.request();
                let answer = bench.answer(block);
                each = answer.len();
                bench.read(&answer);
                responses.extend(answer);
            }
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| bench.round(black_box(&mut responses), each));
        });
    }
    group.finish();
}

criterion_group!(benches, h2_response);
criterion_main!(benches);
