//! What every reactor does alike: one suite, run on each of them over loopback, against peers of
//! the standard library on threads of their own. It is run twice: waiting, and spinning instead.

mod pages;
mod places;

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno as E;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockRef, Socket, Type};

use self::pages::{
    a_page_arrives_as_it_was_filled, a_page_comes_back_when_it_was_sent,
    a_page_in_turn_follows_one_sent_silently, a_page_sent_silently_arrives_and_nothing_is_said,
    a_page_sent_silently_outlives_its_connection,
    a_page_to_a_peer_that_is_gone_fails_and_comes_back, pages_and_payloads_take_turns,
    pages_arrive_whole_at_a_slow_peer, received_bytes_can_be_changed_in_place,
    sending_pages_allocates_nothing,
};
use self::places::{
    a_connection_comes_from_where_it_was_told_to, a_unix_socket_carries_bytes_both_ways,
    a_unix_socket_that_is_not_there_is_told_with_its_reason,
    a_unix_socket_with_a_full_queue_is_waited_for,
    an_address_that_is_not_ours_is_a_failure_to_connect,
    an_attempt_in_a_full_queue_can_be_given_up,
};
use super::{
    Address, Close, Completion, Confirm, During, Epoll, Errno, Lease, PAGE, Payload, Reactor,
    Sending, Slot, Uring, clock, uring,
};
use crate::units::{Instant, Nanos};

/// How long a test waits for what must come; it never waits for what must not.
const PATIENCE: Nanos = Nanos::from_secs(30);
const PEER_PATIENCE: Duration = Duration::from_secs(30);

type Make<R> = fn(u32) -> io::Result<R>;

/// Whether io_uring works here. Where it does not, its half of the suite proves nothing, and must
/// not look as if it did: that is said past the capture of the test's output, and is a failure in
/// CI.
pub(crate) fn uring_works() -> bool {
    let Err(error) = uring::probe() else { return true };
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "io_uring is not available: {error}");
    writeln!(io::stderr(), "NOT TESTED: io_uring is not available here: {error}").unwrap();
    false
}

macro_rules! conformance {
    ($($case:ident)+) => {
        mod on_uring {
            $(#[test]
            fn $case() {
                if super::uring_works() {
                    super::$case(super::Uring::new);
                }
            })+
        }
        mod on_epoll {
            $(#[test]
            fn $case() {
                super::$case(super::Epoll::new);
            })+
        }
        mod spinning_on_uring {
            $(#[test]
            fn $case() {
                if super::uring_works() {
                    super::$case(|slots| super::Uring::new(slots).map(super::Spinning));
                }
            })+
        }
        mod spinning_on_epoll {
            $(#[test]
            fn $case() {
                super::$case(|slots| super::Epoll::new(slots).map(super::Spinning));
            })+
        }
    };
}

conformance! {
    a_connection_carries_bytes_both_ways
    a_refused_connection_is_told_with_its_reason
    megabytes_arrive_whole_both_ways_at_a_slow_peer
    the_end_of_a_peer_follows_all_that_it_said
    a_reset_by_the_peer_is_a_failure_to_receive
    a_finish_is_read_as_an_orderly_end
    a_reset_is_read_as_an_error
    a_reset_cuts_a_pending_send_short
    a_peer_that_never_stops_talking_does_not_own_the_turn
    what_was_sent_before_a_close_still_arrives
    a_slot_connects_to_where_it_was_told_last
    an_attempt_that_hangs_can_be_given_up
    a_slot_used_again_within_a_batch_is_not_taken_for_connected
    a_reused_slot_sees_nothing_of_its_earlier_lives
    buffers_serve_any_number_of_receives
    bytes_of_many_connections_queue_beyond_all_buffers
    a_wait_for_the_past_returns_and_one_for_the_future_is_not_early
    only_spinning_that_finds_nothing_is_counted
    a_listener_hands_over_every_connection
    more_is_asked_for_at_once_than_any_queue_holds
    ten_thousand_slots_can_be_had
    a_page_arrives_as_it_was_filled
    pages_arrive_whole_at_a_slow_peer
    a_page_comes_back_when_it_was_sent
    a_page_to_a_peer_that_is_gone_fails_and_comes_back
    pages_and_payloads_take_turns
    a_page_sent_silently_arrives_and_nothing_is_said
    a_page_in_turn_follows_one_sent_silently
    a_page_sent_silently_outlives_its_connection
    sending_pages_allocates_nothing
    received_bytes_can_be_changed_in_place
    a_unix_socket_carries_bytes_both_ways
    a_unix_socket_that_is_not_there_is_told_with_its_reason
    a_unix_socket_with_a_full_queue_is_waited_for
    an_attempt_in_a_full_queue_can_be_given_up
    a_connection_comes_from_where_it_was_told_to
    an_address_that_is_not_ours_is_a_failure_to_connect
}

/// A reactor that spins whenever it is to wait.
struct Spinning<R>(R);

impl<R: Reactor> Reactor for Spinning<R> {
    fn clock(&mut self) -> Instant {
        self.0.clock()
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload> {
        self.0.publish(bytes, confirm)
    }

    fn connect(&mut self, slot: Slot, to: &Address, from: Option<IpAddr>) {
        self.0.connect(slot, to, from);
    }

    fn listen(&mut self, listener: OwnedFd) -> io::Result<()> {
        self.0.listen(listener)
    }

    fn adopt(&mut self, slot: Slot, accepted: OwnedFd) {
        self.0.adopt(slot, accepted);
    }

    fn send(&mut self, slot: Slot, payload: Payload, range: Range<usize>) -> Sending {
        self.0.send(slot, payload, range)
    }

    fn page(&mut self) -> Vec<u8> {
        self.0.page()
    }

    fn send_page(&mut self, slot: Slot, page: Vec<u8>, confirm: Confirm) -> Sending {
        self.0.send_page(slot, page, confirm)
    }

    fn give_page(&mut self, page: Vec<u8>) {
        self.0.give_page(page);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.0.close(slot, how);
    }

    fn wait(&mut self, until: Instant) -> io::Result<()> {
        self.0.spin(until)
    }

    fn spin(&mut self, until: Instant) -> io::Result<()> {
        self.0.spin(until)
    }

    fn spun(&self) -> Nanos {
        self.0.spun()
    }

    fn pop(&mut self) -> Option<Completion> {
        self.0.pop()
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        self.0.bytes(lease)
    }

    fn bytes_mut(&mut self, lease: &Lease) -> &mut [u8] {
        self.0.bytes_mut(lease)
    }

    fn release(&mut self, lease: Lease) {
        self.0.release(lease);
    }
}

/// A completion, with copies of what it lent.
#[derive(Debug)]
enum Told {
    Connected,
    Received(Vec<u8>),
    Ended,
    Sent,
    Failed(During, Errno),
}

/// The owner of a reactor under test.
struct Owner<R> {
    reactor: R,
    told: VecDeque<(Slot, Told)>,
    accepted: VecDeque<OwnedFd>,
}

impl<R: Reactor> Owner<R> {
    fn new(make: Make<R>, slots: u32) -> Self {
        raise_file_limit();
        let reactor = make(slots).unwrap();
        Self { reactor, told: VecDeque::new(), accepted: VecDeque::new() }
    }

    fn turn(&mut self, until: Instant) {
        self.reactor.wait(until).unwrap();
        while let Some(completion) = self.reactor.pop() {
            self.note(completion);
        }
    }

    fn note(&mut self, completion: Completion) {
        let told = match completion {
            Completion::Connected(slot) => (slot, Told::Connected),
            Completion::Received(slot, lease) => {
                let bytes = self.reactor.bytes(&lease).to_vec();
                self.reactor.release(lease);
                (slot, Told::Received(bytes))
            }
            Completion::Ended(slot) => (slot, Told::Ended),
            Completion::Sent(slot) => (slot, Told::Sent),
            Completion::Failed(slot, during, errno) => (slot, Told::Failed(during, errno)),
            Completion::Accepted(socket) => return self.accepted.push_back(socket),
        };
        self.told.push_back(told);
    }

    #[track_caller]
    fn next(&mut self) -> (Slot, Told) {
        let deadline = clock::now() + PATIENCE;
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            assert!(clock::now() < deadline, "nothing happens");
            self.turn(deadline);
        }
    }

    fn dial(&mut self, slot: Slot, to: impl Into<Address>) {
        self.reactor.connect(slot, &to.into(), None);
    }

    #[track_caller]
    fn connect(&mut self, slot: Slot, to: impl Into<Address>) {
        self.dial(slot, to);
        let (connected, told) = self.next();
        assert!(matches!(told, Told::Connected) && connected == slot, "{connected:?}: {told:?}");
    }

    /// The next `len` bytes, all from `slot`.
    #[track_caller]
    fn receive(&mut self, slot: Slot, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            match self.next() {
                (from, Told::Received(more)) if from == slot => bytes.extend(more),
                other => panic!("{other:?} after {} bytes", bytes.len()),
            }
        }
        bytes
    }

    fn publish(&mut self, bytes: &[u8], confirm: Confirm) -> Payload {
        self.reactor.publish(bytes.to_vec(), confirm).unwrap()
    }

    #[track_caller]
    fn send_small(&mut self, slot: Slot, payload: Payload, len: usize) {
        assert_eq!(self.reactor.send(slot, payload, 0..len), Sending::Free);
    }

    /// Goes on turning until `peer` has ended.
    fn join<T>(&mut self, peer: JoinHandle<T>) -> T {
        while !peer.is_finished() {
            self.turn(clock::now() + Nanos::from_millis(1));
        }
        peer.join().unwrap()
    }
}

fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A listener on a free port of loopback, with room for many who wait.
fn listener() -> (TcpListener, SocketAddr) {
    let listener = bind();
    listener.listen(4096).unwrap();
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn bind() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket
}

/// A peer on a thread: accepts one connection, and does `work` with it.
fn peer<T: Send + 'static>(
    work: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let (listener, address) = listener();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PEER_PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PEER_PATIENCE)).unwrap();
        work(stream)
    });
    (address, thread)
}

/// Ends the connection with a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// A number that looks random, the same every time.
fn scatter(n: u64) -> u64 {
    (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// Bytes of which no two stretches are alike.
fn pattern(len: usize) -> Vec<u8> {
    (0..).flat_map(|n| scatter(n).to_le_bytes().into_iter().take(4)).take(len).collect()
}

fn a_connection_carries_bytes_both_ways<R: Reactor>(make: Make<R>) {
    let (address, peer) = peer(|mut stream| {
        let mut question = [0; 4];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(b"pong").unwrap();
        question
    });
    let mut owner = Owner::new(make, 3);
    owner.connect(Slot(2), address);
    let payload = owner.publish(b"..ping..", Confirm::Failure);
    assert_eq!(owner.reactor.send(Slot(2), payload, 2..6), Sending::Free);
    assert_eq!(owner.receive(Slot(2), 4), b"pong");
    assert_eq!(&peer.join().unwrap(), b"ping");
}

fn a_refused_connection_is_told_with_its_reason<R: Reactor>(make: Make<R>) {
    // A bound port on which nobody listens, and which nobody else can have meanwhile.
    let bound = bind();
    let address = bound.local_addr().unwrap().as_socket().unwrap();
    let mut owner = Owner::new(make, 1);
    for _ in 0..3 {
        owner.dial(Slot(0), address);
        let (_, told) = owner.next();
        assert!(matches!(told, Told::Failed(During::Connect, Errno::REFUSED)), "{told:?}");
        owner.reactor.close(Slot(0), Close::Finish);
    }
}

fn megabytes_arrive_whole_both_ways_at_a_slow_peer<R: Reactor>(make: Make<R>) {
    const LEN: usize = 12 << 20;
    let (go, gone) = channel();
    let (address, peer) = peer(move |mut stream| {
        // So little at a time that the sender has to wait again and again.
        SockRef::from(&stream).set_recv_buffer_size(128 << 10).unwrap();
        let mut writing = stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            writing.write_all(&pattern(LEN)).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let (mut bytes, mut piece) = (Vec::new(), [0; 3001]);
        gone.recv().unwrap();
        while bytes.len() < 2 * LEN - 1 {
            let len = stream.read(&mut piece).unwrap();
            assert!(len > 0, "an end after {} bytes", bytes.len());
            bytes.extend_from_slice(&piece[..len]);
        }
        writer.join().unwrap();
        bytes
    });
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    let pattern = pattern(LEN);
    let payload = owner.publish(&pattern, Confirm::Always);
    let (mut received, mut sent, mut ended) = (Vec::new(), 0, false);
    // The first is more than the sockets hold; the second meets a peer which may keep up.
    assert_eq!(owner.reactor.send(Slot(0), payload, 0..LEN), Sending::Pending);
    go.send(()).unwrap();
    while sent < 2 || !ended {
        match owner.next().1 {
            Told::Received(bytes) => {
                assert!(!ended, "bytes after the end");
                received.extend(bytes);
            }
            Told::Ended => ended = true,
            Told::Sent => {
                sent += 1;
                if sent == 1 {
                    let again = owner.reactor.send(Slot(0), payload, 1..LEN);
                    sent += u32::from(again == Sending::Free);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(received == pattern, "of {} received bytes some differ", received.len());
    let arrived = peer.join().unwrap();
    let expected = [&pattern[..], &pattern[1..]].concat();
    assert!(arrived == expected, "of {} sent bytes some differ", arrived.len());
}

fn the_end_of_a_peer_follows_all_that_it_said<R: Reactor>(make: Make<R>) {
    const LEN: usize = 3 << 20;
    let (address, peer) = peer(|mut stream| stream.write_all(&pattern(LEN)).unwrap());
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    assert!(owner.receive(Slot(0), LEN) == pattern(LEN));
    let (_, told) = owner.next();
    assert!(matches!(told, Told::Ended), "{told:?}");
    peer.join().unwrap();
}

fn a_reset_by_the_peer_is_a_failure_to_receive<R: Reactor>(make: Make<R>) {
    // Not before the connection was looked at, or it would count as never established.
    let (go, gone) = channel();
    let (address, peer) = peer(move |stream| {
        gone.recv().unwrap();
        reset(stream);
    });
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    go.send(()).unwrap();
    let (_, told) = owner.next();
    assert!(
        matches!(told, Told::Failed(During::Receive, errno) if errno == E::CONNRESET.into()),
        "{told:?}"
    );
    peer.join().unwrap();
}

/// How a peer, which says and is told nothing, sees the connection end.
fn ending<R: Reactor>(make: Make<R>, how: Close) -> io::Result<usize> {
    let (address, peer) = peer(|mut stream| stream.read(&mut [0]));
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    owner.reactor.close(Slot(0), how);
    owner.join(peer)
}

fn a_finish_is_read_as_an_orderly_end<R: Reactor>(make: Make<R>) {
    assert_eq!(ending(make, Close::Finish).unwrap(), 0);
}

fn a_reset_is_read_as_an_error<R: Reactor>(make: Make<R>) {
    assert_eq!(ending(make, Close::Reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn a_reset_cuts_a_pending_send_short<R: Reactor>(make: Make<R>) {
    const LEN: usize = 32 << 20;
    let (go, gone) = channel();
    let (address, peer) = peer(move |mut stream| {
        gone.recv().unwrap();
        let mut bytes = Vec::new();
        (stream.read_to_end(&mut bytes), bytes.len())
    });
    let mut owner = Owner::new(make, 1);
    let payload = owner.publish(&vec![b'x'; LEN], Confirm::Always);
    owner.connect(Slot(0), address);
    // More than the sockets hold, so that the kernel is still at it.
    assert_eq!(owner.reactor.send(Slot(0), payload, 0..LEN), Sending::Pending);
    owner.turn(clock::now() + Nanos::from_millis(5));
    assert!(owner.told.is_empty(), "{:?}", owner.told);
    owner.reactor.close(Slot(0), Close::Reset);
    // Handed over, whatever is left to do for it.
    owner.turn(clock::now() + Nanos::from_millis(5));
    go.send(()).unwrap();
    let (read, len) = owner.join(peer);
    assert!(len < LEN, "all of it arrived");
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset, "after {len} bytes");
}

/// Writes until the other side is gone, and keeps count in `said`.
fn gush(mut stream: TcpStream, said: &AtomicUsize) {
    SockRef::from(&stream).set_send_buffer_size(4 << 20).unwrap();
    let piece = vec![b'x'; 64 << 10];
    while let Ok(len) = stream.write(&piece) {
        said.fetch_add(len, Ordering::Relaxed);
    }
}

fn a_peer_that_never_stops_talking_does_not_own_the_turn<R: Reactor>(make: Make<R>) {
    /// As many as io_uring has buffers, which bound what it can bring at once.
    const RECEIVES_MAX: u32 = 256;
    const TURNS: u32 = 200;
    /// What the loud peer has said and we have not taken, before we take more of it.
    const AHEAD: usize = 256 << 10;
    let said = Arc::new(AtomicUsize::new(0));
    let gushing = Arc::clone(&said);
    let (loud_address, loud) = peer(move |stream| gush(stream, &gushing));
    let (go, gone) = channel();
    let (calm_address, calm) = peer(move |mut stream| {
        gone.recv().unwrap();
        stream.write_all(b"calm").unwrap();
        stream
    });
    let mut owner = Owner::new(make, 2);
    owner.connect(Slot(1), calm_address);
    owner.connect(Slot(0), loud_address);
    go.send(()).unwrap();
    let (mut taken, mut heard) = (0, Vec::new());
    for turn in 0..TURNS {
        let mut receives = 0;
        owner.reactor.wait(clock::now() + PATIENCE).unwrap();
        loop {
            // As much as any reactor takes at once is there, so that it never comes to an end by
            // itself.
            let deadline = clock::now() + Nanos::from_millis(50);
            while said.load(Ordering::Relaxed) < taken + AHEAD && clock::now() < deadline {
                thread::yield_now();
            }
            let Some(completion) = owner.reactor.pop() else { break };
            receives += 1;
            assert!(receives <= RECEIVES_MAX, "turn {turn} has no end");
            owner.note(completion);
            match owner.told.pop_front() {
                Some((Slot(0), Told::Received(bytes))) => taken += bytes.len(),
                Some((Slot(1), Told::Received(bytes))) => heard.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(heard, b"calm", "the loud peer was heard alone: {taken} bytes");
    drop(owner);
    loud.join().unwrap();
    calm.join().unwrap();
}

fn what_was_sent_before_a_close_still_arrives<R: Reactor>(make: Make<R>) {
    let mut owner = Owner::new(make, 1);
    let payload = owner.publish(b"farewell", Confirm::Failure);
    for _ in 0..20 {
        let (address, peer) = peer(|mut stream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            bytes
        });
        owner.connect(Slot(0), address);
        owner.send_small(Slot(0), payload, 8);
        owner.reactor.close(Slot(0), Close::Finish);
        assert_eq!(owner.join(peer), b"farewell");
    }
}

/// Nothing is handed to the kernel between the two attempts unless the reactor sees to it.
fn a_slot_connects_to_where_it_was_told_last<R: Reactor>(make: Make<R>) {
    let (_ignored, wrong) = listener();
    let (listener, right) = listener();
    let mut owner = Owner::new(make, 1);
    for _ in 0..50 {
        owner.dial(Slot(0), wrong);
        owner.reactor.close(Slot(0), Close::Finish);
        owner.connect(Slot(0), right);
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"here").unwrap();
        assert_eq!(owner.receive(Slot(0), 4), b"here");
        owner.reactor.close(Slot(0), Close::Finish);
    }
}

/// An address to which no more than one or two connections can be made: beyond the queue of a
/// listener which does not accept, SYNs are dropped.
fn hanging() -> (Socket, SocketAddr) {
    let full = bind();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    (full, address)
}

fn a_slot_used_again_within_a_batch_is_not_taken_for_connected<R: Reactor>(make: Make<R>) {
    let (_full, hanging) = hanging();
    let (_listener, open) = listener();
    let mut owner = Owner::new(make, 9);
    (0..8).for_each(|slot| owner.dial(Slot(slot), hanging));
    owner.turn(clock::now() + Nanos::from_millis(20));
    owner.told.clear();
    owner.dial(Slot(8), open);
    let deadline = clock::now() + PATIENCE;
    let mut again = false;
    while !again {
        assert!(clock::now() < deadline, "nothing happens");
        owner.reactor.wait(deadline).unwrap();
        while let Some(completion) = owner.reactor.pop() {
            assert!(!again && matches!(completion, Completion::Connected(Slot(8))));
            owner.reactor.close(Slot(8), Close::Finish);
            owner.dial(Slot(8), hanging);
            again = true;
        }
    }
}

fn an_attempt_that_hangs_can_be_given_up<R: Reactor>(make: Make<R>) {
    let (_full, hanging) = hanging();
    let (_listener, open) = listener();
    let mut owner = Owner::new(make, 8);
    (0..8).for_each(|slot| owner.dial(Slot(slot), hanging));
    owner.turn(clock::now() + Nanos::from_millis(20));
    let connected = owner.told.len();
    assert!(connected < 8, "the queue holds more than expected");
    owner.told.clear();
    (0..8).for_each(|slot| owner.reactor.close(Slot(slot), Close::Finish));
    (0..8).for_each(|slot| owner.connect(Slot(slot), open));
    owner.turn(clock::now() + Nanos::from_millis(5));
    assert!(owner.told.is_empty(), "{:?}", owner.told);
}

/// Says its number again and again, and then ends, or resets, or falls silent for a while.
struct Oracle {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Oracle {
    fn start() -> Self {
        let (listener, address) = listener();
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut silent = VecDeque::new();
            for (number, stream) in (0_u64..).zip(listener.incoming()) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let words = number.to_le_bytes().repeat(Self::words(number));
                // The client may be gone already.
                let _gone = stream.write_all(&words);
                match number % 3 {
                    0 => drop(stream),
                    1 => reset(stream),
                    _ => silent.push_back(stream),
                }
                // Fewer than the client has slots, so that some of these always go on.
                silent.drain(..silent.len().saturating_sub(4));
            }
        });
        Self { address, over, thread }
    }

    /// How often it says `number`: in less than the sockets hold, so that it is never kept waiting.
    fn words(number: u64) -> usize {
        usize::try_from(scatter(number) % 4_000).unwrap()
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        TcpStream::connect(self.address).unwrap();
        self.thread.join().unwrap();
    }
}

/// One life of a slot, as its owner sees it.
#[derive(Default)]
struct Life {
    name: u64,
    connected: bool,
    sends: bool,
    bytes: Vec<u8>,
    completions: u64,
}

impl Life {
    /// The number that the oracle gave to it, once it has been said.
    fn number(&self) -> Option<u64> {
        self.bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    /// Checks a completion against all that may happen to this life; returns whether it is the
    /// last.
    fn check(&mut self, told: Told) -> bool {
        self.completions += 1;
        match told {
            Told::Connected => {
                assert!(!self.connected, "connected twice");
                self.connected = true;
                return false;
            }
            Told::Received(more) => {
                assert!(self.connected, "bytes before the connection");
                self.bytes.extend(more);
                let number = self.number().map(u64::to_le_bytes);
                let alike = self
                    .bytes
                    .chunks_exact(8)
                    .all(|word| Some(word) == number.as_ref().map(|n| &n[..]));
                assert!(alike, "words of two lives");
                return false;
            }
            Told::Sent => assert!(self.sends, "sent what it did not send"),
            Told::Failed(During::Send, _) => assert!(self.sends, "failed to send nothing"),
            // The oracle may have said it all before the connection was looked at.
            Told::Failed(During::Connect, errno) => {
                assert_eq!((errno, self.connected), (E::CONNRESET.into(), false));
                return true;
            }
            // Bytes that the oracle has not read turn its end into a reset.
            Told::Ended | Told::Failed(During::Receive, _) if self.sends => return true,
            Told::Ended => {
                if let Some(number) = self.number() {
                    assert_ne!(number % 3, 1, "the end of another life");
                    assert_eq!(self.bytes.len(), 8 * Oracle::words(number));
                }
                return true;
            }
            Told::Failed(During::Receive, _) => {
                assert!(self.number().is_none_or(|number| number % 3 == 1), "another life's reset");
                return true;
            }
        }
        false
    }

    /// Whether it is to be closed now, at a moment that looks random.
    fn done(&self) -> bool {
        let patience = scatter(self.name) % 5;
        patience == 0 || self.completions >= patience
    }
}

/// Connections are closed at every moment of their life, with sends, receives, ends and resets on
/// their way, and their slots are used again at once, within the batch.
fn a_reused_slot_sees_nothing_of_its_earlier_lives<R: Reactor>(make: Make<R>) {
    const SLOTS: u32 = 8;
    const LIVES: u64 = 3_000;
    let oracle = Oracle::start();
    let mut owner = Owner::new(make, SLOTS);
    let small = owner.publish(b"?", Confirm::Failure);
    let large = owner.publish(&pattern(1 << 20), Confirm::Always);
    let mut lives: Vec<Life> = (0..SLOTS).map(|_| Life::default()).collect();
    let mut numbers = HashMap::new();
    let mut born = 0;
    for slot in (0..SLOTS).map(Slot) {
        owner.dial(slot, oracle.address);
    }
    let deadline = clock::now() + PATIENCE;
    while born < LIVES {
        assert!(clock::now() < deadline, "{born} lives, and nothing happens");
        owner.reactor.wait(clock::now() + PATIENCE).unwrap();
        while let Some(completion) = owner.reactor.pop() {
            owner.note(completion);
            let (slot, told) = owner.told.pop_front().unwrap();
            let life = &mut lives[slot.index()];
            let connected = matches!(told, Told::Connected);
            let mut over = life.check(told);
            if connected && !life.name.is_multiple_of(3) {
                life.sends = true;
                let _pending = match life.name % 6 {
                    1 | 4 => owner.reactor.send(slot, small, 0..1),
                    2 => owner.reactor.send(slot, large, 0..1 << 20),
                    _ => {
                        let mut page = owner.reactor.page();
                        page.resize(PAGE, b'p');
                        owner.reactor.send_page(slot, page, Confirm::Always)
                    }
                };
            }
            over |= life.done();
            while over {
                let earlier = life.number().and_then(|number| numbers.insert(number, life.name));
                assert_eq!(earlier, None, "two lives were told the same number");
                let how = [Close::Finish, Close::Reset][usize::from(scatter(life.name) % 2 == 1)];
                owner.reactor.close(slot, how);
                owner.dial(slot, oracle.address);
                born += 1;
                *life = Life { name: born, ..Life::default() };
                // Some are over before the kernel has heard of them.
                over = scatter(born) % 16 == 5;
            }
        }
    }
    drop(owner);
    oracle.stop();
}

fn buffers_serve_any_number_of_receives<R: Reactor>(make: Make<R>) {
    const ROUNDS: u64 = 3_000;
    let (address, peer) = peer(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let mut byte = [0];
        for _ in 0..ROUNDS {
            stream.write_all(b"!").unwrap();
            stream.read_exact(&mut byte).unwrap();
        }
    });
    let mut owner = Owner::new(make, 1);
    let payload = owner.publish(b"?", Confirm::Failure);
    owner.connect(Slot(0), address);
    for _ in 0..ROUNDS {
        assert_eq!(owner.receive(Slot(0), 1), b"!");
        owner.send_small(Slot(0), payload, 1);
    }
    owner.join(peer);
}

/// 64 MB in the sockets, or about to be, before the first byte is taken.
fn bytes_of_many_connections_queue_beyond_all_buffers<R: Reactor>(make: Make<R>) {
    const PEERS: u32 = 64;
    const LEN: usize = 1 << 20;
    let mut owner = Owner::new(make, PEERS);
    let mut peers = Vec::new();
    for slot in (0..PEERS).map(Slot) {
        let (address, peer) = peer(|mut stream| stream.write_all(&pattern(LEN)).unwrap());
        owner.dial(slot, address);
        peers.push(peer);
    }
    let mut received = vec![Vec::new(); PEERS as usize];
    let mut ended = 0;
    while ended < PEERS {
        match owner.next() {
            (_, Told::Connected) => {}
            (slot, Told::Received(bytes)) => received[slot.index()].extend(bytes),
            (_, Told::Ended) => ended += 1,
            other => panic!("{other:?}"),
        }
    }
    let expected = pattern(LEN);
    assert!(received.iter().all(|bytes| *bytes == expected));
    for peer in peers {
        peer.join().unwrap();
    }
}

/// Only io_uring runs out of buffers, and only if they are kept longer than the contract allows:
/// that is how it is brought about here.
#[test]
fn receives_go_on_when_buffers_had_run_out() {
    if !uring_works() {
        return;
    }
    let (address, peer) = peer(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let mut byte = [0];
        for n in 0..=u8::MAX {
            stream.write_all(&[n]).unwrap();
            stream.read_exact(&mut byte).unwrap();
        }
        stream.write_all(&pattern(100_000)).unwrap();
    });
    let mut owner = Owner::new(Uring::new, 1);
    owner.connect(Slot(0), address);
    let payload = owner.publish(b"?", Confirm::Failure);
    let mut leases = Vec::new();
    while leases.len() < 256 {
        owner.reactor.wait(clock::now() + PATIENCE).unwrap();
        while let Some(completion) = owner.reactor.pop() {
            let Completion::Received(_, lease) = completion else { panic!("{completion:?}") };
            assert_eq!(owner.reactor.bytes(&lease), [u8::try_from(leases.len()).unwrap()]);
            leases.push(lease);
            owner.send_small(Slot(0), payload, 1);
        }
    }
    // Something completes, and there is nothing to tell: the kernel found no buffer.
    let deadline = clock::now() + PATIENCE;
    owner.turn(deadline);
    assert!(owner.reactor.now() < deadline && owner.told.is_empty(), "{:?}", owner.told);
    for lease in leases {
        owner.reactor.release(lease);
    }
    assert!(owner.receive(Slot(0), 100_000) == pattern(100_000));
    assert!(matches!(owner.next().1, Told::Ended));
    peer.join().unwrap();
}

/// A receive ends with the bytes in hand when their completion finds the queue full. So many that
/// nobody is told of are brought about by attempts which fail and are given up before the next
/// wait: each leaves the completion of the attempt and that of its cancellation.
#[test]
fn receives_go_on_when_completions_had_overflown() {
    const ATTEMPTS: u32 = 3_000;
    if !uring_works() {
        return;
    }
    let bound = bind();
    let refusing = bound.local_addr().unwrap().as_socket().unwrap();
    let ((go, gone), (said, heard)) = (channel(), channel());
    let (address, peer) = peer(move |mut stream| {
        stream.set_nodelay(true).unwrap();
        gone.recv().unwrap();
        stream.write_all(b"1").unwrap();
        said.send(()).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"23").unwrap();
    });
    let mut owner = Owner::new(Uring::new, 2);
    let payload = owner.publish(b"?", Confirm::Failure);
    owner.connect(Slot(0), address);
    for _ in 0..ATTEMPTS {
        owner.dial(Slot(1), refusing);
        owner.reactor.close(Slot(1), Close::Finish);
    }
    go.send(()).unwrap();
    heard.recv().unwrap();
    assert_eq!(owner.receive(Slot(0), 1), b"1");
    owner.send_small(Slot(0), payload, 1);
    assert_eq!(owner.receive(Slot(0), 2), b"23");
    owner.join(peer);
}

fn a_wait_for_the_past_returns_and_one_for_the_future_is_not_early<R: Reactor>(make: Make<R>) {
    let (address, peer) = peer(|stream| stream);
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    for _ in 0..100 {
        owner.turn(Instant::from_origin(0));
    }
    for micros in [0, 1, 50, 999, 1_001, 20_000] {
        let until = owner.reactor.clock() + Nanos::from_micros(micros);
        owner.turn(until);
        assert!(owner.reactor.now() >= until, "{micros} µs");
    }
    assert!(owner.told.is_empty());
    peer.join().unwrap();
}

/// Of the time, no more is asserted than must be true on a machine that others keep busy.
fn only_spinning_that_finds_nothing_is_counted<R: Reactor>(make: Make<R>) {
    let span = Nanos::from_millis(20);
    let (go, gone) = channel();
    let (address, peer) = peer(move |mut stream| {
        stream.write_all(b"!").unwrap();
        gone.recv().unwrap();
    });
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    assert_eq!(owner.receive(Slot(0), 1), b"!");
    let (began, before) = (owner.reactor.clock(), owner.reactor.spun());
    owner.reactor.spin(began + span).unwrap();
    assert!(owner.reactor.pop().is_none());
    let counted = owner.reactor.spun().saturating_sub(before);
    assert!(counted > Nanos::ZERO, "a spin that found nothing is not counted");
    assert!(counted <= owner.reactor.now().since(began), "{counted} were counted");
    let before = owner.reactor.spun();
    for _ in 0..100 {
        owner.reactor.spin(Instant::from_origin(0)).unwrap();
        assert!(owner.reactor.pop().is_none());
    }
    assert_eq!(owner.reactor.spun(), before, "polling is not spinning");
    go.send(()).unwrap();
    assert!(matches!(owner.next().1, Told::Ended));
    peer.join().unwrap();
}

fn a_listener_hands_over_every_connection<R: Reactor>(make: Make<R>) {
    const CLIENTS: u32 = 400;
    let (listener, address) = listener();
    let clients = thread::spawn(move || {
        let connect = |_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PEER_PATIENCE)).unwrap();
            stream
        };
        let mut streams: Vec<_> = (0..CLIENTS).map(connect).collect();
        for (n, stream) in (0_u32..).zip(&mut streams) {
            stream.write_all(&[n.to_le_bytes()[0]]).unwrap();
        }
        for (n, stream) in (0_u32..).zip(&mut streams) {
            let mut answer = [0];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer[0], n.to_le_bytes()[0]);
        }
    });
    let mut owner = Owner::new(make, CLIENTS);
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let payload = owner.publish(&every_byte, Confirm::Failure);
    owner.reactor.listen(listener.into()).unwrap();
    let (mut adopted, mut ended) = (0, 0);
    let deadline = clock::now() + PATIENCE;
    while ended < CLIENTS {
        assert!(clock::now() < deadline, "{adopted} adopted, {ended} ended");
        owner.turn(deadline);
        for socket in std::mem::take(&mut owner.accepted) {
            owner.reactor.adopt(Slot(adopted), socket);
            adopted += 1;
        }
        for (slot, told) in std::mem::take(&mut owner.told) {
            match told {
                Told::Received(bytes) => {
                    let &[n] = &bytes[..] else { panic!("{bytes:?}") };
                    let range = usize::from(n)..usize::from(n) + 1;
                    assert_eq!(owner.reactor.send(slot, payload, range), Sending::Free);
                }
                Told::Ended => {
                    owner.reactor.close(slot, Close::Finish);
                    ended += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(adopted, CLIENTS);
    clients.join().unwrap();
}

fn more_is_asked_for_at_once_than_any_queue_holds<R: Reactor>(make: Make<R>) {
    const CONNECTIONS: u32 = 1_500;
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        let accepted = (0..CONNECTIONS).map(|_| listener.accept().unwrap().0);
        let mut streams: Vec<_> = accepted.collect();
        for stream in &mut streams {
            stream.set_read_timeout(Some(PEER_PATIENCE)).unwrap();
            let mut bytes = [0; 8];
            stream.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"onetwo!!");
            stream.write_all(b"done").unwrap();
        }
        streams
    });
    let mut owner = Owner::new(make, CONNECTIONS);
    let payload = owner.publish(b"onetwo!!", Confirm::Failure);
    let slots = || (0..CONNECTIONS).map(Slot);
    slots().for_each(|slot| owner.dial(slot, address));
    for _ in slots() {
        let (slot, told) = owner.next();
        assert!(matches!(told, Told::Connected), "{slot:?}: {told:?}");
    }
    for range in [0..3, 3..8] {
        for slot in slots() {
            assert_eq!(owner.reactor.send(slot, payload, range.clone()), Sending::Free);
        }
    }
    for _ in slots() {
        let (slot, told) = owner.next();
        assert!(matches!(&told, Told::Received(bytes) if bytes == b"done"), "{slot:?}: {told:?}");
    }
    slots().for_each(|slot| owner.reactor.close(slot, Close::Finish));
    drop(peer.join().unwrap());
    owner.turn(clock::now() + Nanos::from_millis(5));
    assert!(owner.told.is_empty(), "{:?}", owner.told);
}

fn ten_thousand_slots_can_be_had<R: Reactor>(make: Make<R>) {
    let (address, peer) = peer(|mut stream| stream.write_all(b"last").unwrap());
    let mut owner = Owner::new(make, 10_000);
    owner.connect(Slot(9_999), address);
    assert_eq!(owner.receive(Slot(9_999), 4), b"last");
    peer.join().unwrap();
}
