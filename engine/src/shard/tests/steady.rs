//! Steady state: whatever a run needs, it has before it starts. Measured on the real reactors, on
//! the thread of the shard alone.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::reactor::conformance::uring_works;
use crate::reactor::{Epoll, Uring, clock};
use crate::shard::HEARTBEAT;

const CONNECTIONS: u32 = 4;

/// A server which answers all requests of `len` bytes with [`OK`], until its clients are gone.
fn serve(len: usize) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(CONNECTIONS as usize) {
            let stream = stream.unwrap();
            thread::spawn(move || answer(stream, len));
        }
    });
    address
}

fn answer(mut stream: TcpStream, len: usize) {
    stream.set_nodelay(true).unwrap();
    let (mut bytes, mut pending) = ([0; 4096], 0);
    // The shard stops in the middle, so both may fail; that is the end.
    while let Ok(received @ 1..) = stream.read(&mut bytes) {
        pending += received;
        if stream.write_all(&OK.repeat(pending / len)).is_err() {
            return;
        }
        pending %= len;
    }
}

#[track_caller]
fn check_allocates_nothing<R: Reactor>(
    load: &Load,
    pacing: Pacing,
    make: fn(u32) -> std::io::Result<R>,
) {
    const TURNS: u32 = 2_000;
    let mut plan = plan(load, CONNECTIONS, Limit::Duration(Nanos::from_secs(3_600)));
    plan.timeouts.request = Nanos::from_secs(60);
    plan.pacing = pacing;
    let address = serve(plan.work.first().unwrap().request.render_h1().len());
    plan.target.addresses = Addresses::new(vec![address]).unwrap();
    let (mut desk, mailbox) = mailbox();
    let part = split(&Arc::new(plan)).remove(0);
    let mut shard = Shard::new(part, make(CONNECTIONS).unwrap(), mailbox, Vec::new()).unwrap();
    desk.order(Order::Exchange(Box::default()));
    while !matches!(shard.phase, Phase::Ready(None)) {
        shard.turn().unwrap();
    }
    desk.order(Order::Start(clock::now() + HEARTBEAT));
    (0..TURNS).for_each(|_| shard.turn().unwrap());
    while desk.reply().is_some() {}
    // An exchange is part of the steady state.
    desk.order(Order::Exchange(Box::default()));
    let measured = allocation_counter::measure(|| {
        (0..TURNS).for_each(|_| shard.turn().unwrap());
    });
    assert!(matches!(desk.reply(), Some(Reply::Envelope(..))));
    desk.order(Order::Exchange(Box::default()));
    shard.turn().unwrap();
    let Some(Reply::Envelope(numbers, _)) = desk.reply() else {
        panic!("an envelope was asked for")
    };
    assert!(numbers.ledger.ok >= u64::from(TURNS) / 10, "{:?}", numbers.ledger);
    assert_eq!((numbers.ledger.errors, numbers.ledger.timeouts), (0, 0));
    assert_eq!(measured.count_total, 0, "{measured:?}");
}

fn loads() -> [(Load, Pacing); 6] {
    let deep = piped(Rate::new(20, millis(1)).unwrap(), 4);
    [
        (closed(1), Pacing::Sleep),
        (closed(8), Pacing::Sleep),
        (open(20_000), Pacing::Sleep),
        (deep, Pacing::Sleep),
        (open(5_000), Pacing::Hybrid),
        (open(20_000), Pacing::Spin),
    ]
}

#[test]
fn a_running_shard_allocates_nothing_on_io_uring() {
    if uring_works() {
        for (load, pacing) in loads() {
            check_allocates_nothing(&load, pacing, Uring::new);
        }
    }
}

#[test]
fn a_running_shard_allocates_nothing_on_epoll() {
    for (load, pacing) in loads() {
        check_allocates_nothing(&load, pacing, Epoll::new);
    }
}
