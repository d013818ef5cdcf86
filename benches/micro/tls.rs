//! What securing costs: records sealed and opened again, and handshakes, both sides of them.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use pummel_engine::plan::{Group, Identity, Resumption, Tls, TlsVersion, Trust};
use pummel_engine::tls::{Acceptor, Connector, Progress, Session};
use rcgen::{CertifiedKey, generate_simple_self_signed};

const HOST: &str = "load.example";

fn identity() -> Identity {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([HOST.to_owned()]).unwrap();
    Identity { chain: vec![cert.der().to_vec()], key: signing_key.serialize_der() }
}

fn connector(identity: &Identity, verify: bool) -> Connector {
    let roots = || Trust::Roots(Arc::from(identity.chain.clone()));
    let trust = if verify { roots() } else { Trust::Anybody };
    let plan = Tls {
        server_name: HOST.to_owned(),
        trust,
        identity: None,
        versions: (TlsVersion::Tls12, TlsVersion::Tls13),
        groups: vec![Group::X25519],
        alpn: Vec::new(),
        resumption: Resumption::Off,
    };
    Connector::new(&plan).unwrap()
}

/// A handshake in memory.
fn open(connector: &Connector, acceptor: &Acceptor) -> (Session, Session) {
    let mut client = connector.connect().unwrap();
    let mut server = acceptor.accept().unwrap();
    let (mut there, mut back) = (Vec::new(), Vec::new());
    client.begin(&mut there).unwrap();
    for _ in 0..4 {
        server.receive(&mut there, &mut back, |_| ()).unwrap();
        there.clear();
        let reached = client.receive(&mut back, &mut there, |_| ()).unwrap();
        back.clear();
        if there.is_empty() && reached == Progress::Open {
            return (client, server);
        }
    }
    unreachable!("a handshake takes two rounds")
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tls_record");
    let identity = identity();
    let acceptor = Acceptor::new(&identity, &[]).unwrap();
    let (mut client, mut server) = open(&connector(&identity, false), &acceptor);
    let (mut out, mut back) = (Vec::with_capacity(1 << 16), Vec::new());
    for (name, length) in [("13_bytes", 13), ("100_bytes", 100), ("16_kib", 1 << 14)] {
        let plain = vec![b'x'; length];
        group.bench_function(format!("seal_and_open/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                client.write(black_box(&plain), &mut out).unwrap();
                let mut read = 0;
                let count = |bytes: &[u8]| read += bytes.len();
                server.receive(&mut out, &mut back, count).unwrap();
                read
            });
        });
    }
    group.finish();
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tls_handshake_of_both_sides");
    let identity = identity();
    let acceptor = Acceptor::new(&identity, &[]).unwrap();
    for (name, verify) in [("verified", true), ("trusting_anybody", false)] {
        let connector = connector(&identity, verify);
        group.bench_function(name, |bencher| bencher.iter(|| open(&connector, &acceptor)));
    }
    group.finish();
}

criterion_group!(benches, records, handshakes);
criterion_main!(benches);
