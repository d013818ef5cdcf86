//! Where connections lead to and where they come from: unix sockets, and local addresses.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::thread;

use rustix::io::Errno as E;
use socket2::{Domain, SockAddr, Socket, Type};

use super::super::{Address, Close, Confirm, During, Errno, PAGE, Reactor, Slot, clock};
use super::{Make, Owner, PEER_PATIENCE, Told, listener, pattern, peer};
use crate::units::Nanos;

/// A folder for a socket, and the socket's address in it.
fn unix() -> (tempfile::TempDir, Address) {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Unix(folder.path().join("target.sock").into());
    (folder, address)
}

pub(super) fn a_unix_socket_carries_bytes_both_ways<R: Reactor>(make: Make<R>) {
    let (_folder, address) = unix();
    let listener = unix_listener(&address, 1);
    let mut owner = Owner::new(make, 1);
    let payload = owner.publish(b"ping", Confirm::Failure);
    for how in [Close::Finish, Close::Reset] {
        owner.connect(Slot(0), address.clone());
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PEER_PATIENCE)).unwrap();
        owner.send_small(Slot(0), payload, 4);
        owner.send_page(Slot(0), &pattern(PAGE));
        let mut question = vec![0; 4 + PAGE];
        stream.read_exact(&mut question).unwrap();
        assert!(question == [b"ping".to_vec(), pattern(PAGE)].concat());
        stream.write_all(&pattern(100_000)).unwrap();
        assert!(owner.receive(Slot(0), 100_000) == pattern(100_000));
        drop(stream);
        assert!(matches!(owner.next().1, Told::Ended));
        owner.reactor.close(Slot(0), how);
    }
}

fn unix_listener(address: &Address, backlog: i32) -> UnixListener {
    let Address::Unix(path) = address else { panic!("{address}") };
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(path).unwrap()).unwrap();
    listener.listen(backlog).unwrap();
    OwnedFd::from(listener).into()
}

pub(super) fn a_unix_socket_that_is_not_there_is_told_with_its_reason<R: Reactor>(make: Make<R>) {
    let (folder, address) = unix();
    let mut owner = Owner::new(make, 1);
    let mut refused = |address: &Address| {
        owner.dial(Slot(0), address.clone());
        let (_, told) = owner.next();
        owner.reactor.close(Slot(0), Close::Finish);
        let Told::Failed(During::Connect, errno) = told else { panic!("{told:?}") };
        errno
    };
    assert_eq!(refused(&address), E::NOENT.into());
    // The file stays when the listener goes.
    drop(unix_listener(&address, 1));
    assert_eq!(refused(&address), Errno::REFUSED);
    let long = Address::Unix(folder.path().join("x".repeat(200)).into());
    assert_eq!(refused(&long), E::NAMETOOLONG.into());
    owner.turn(clock::now() + Nanos::from_millis(5));
    assert!(owner.told.is_empty(), "{:?}", owner.told);
}

pub(super) fn a_unix_socket_with_a_full_queue_is_waited_for<R: Reactor>(make: Make<R>) {
    const CONNECTIONS: u32 = 40;
    let (_folder, address) = unix();
    let listener = unix_listener(&address, 2);
    let mut owner = Owner::new(make, CONNECTIONS);
    (0..CONNECTIONS).for_each(|slot| owner.dial(Slot(slot), address.clone()));
    owner.turn(clock::now() + Nanos::from_millis(20));
    assert!(owner.told.len() < CONNECTIONS as usize, "the queue holds more than expected");
    let peer = thread::spawn(move || {
        let accept = |_| {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"!").unwrap();
            stream
        };
        (0..CONNECTIONS).map(accept).collect::<Vec<_>>()
    });
    let (mut connected, mut greeted) = (0, 0);
    while greeted < CONNECTIONS {
        match owner.next().1 {
            Told::Connected => connected += 1,
            Told::Received(bytes) => greeted += u32::from(bytes == b"!"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(connected, CONNECTIONS);
    drop(peer.join().unwrap());
}

pub(super) fn an_attempt_in_a_full_queue_can_be_given_up<R: Reactor>(make: Make<R>) {
    let (_folder, full) = unix();
    let (_other_folder, open) = unix();
    let _full = unix_listener(&full, 0);
    let _open = unix_listener(&open, 64);
    let mut owner = Owner::new(make, 8);
    (0..8).for_each(|slot| owner.dial(Slot(slot), full.clone()));
    owner.turn(clock::now() + Nanos::from_millis(20));
    assert!(owner.told.len() < 8, "the queue holds more than expected");
    owner.told.clear();
    (0..8).for_each(|slot| owner.reactor.close(Slot(slot), Close::Finish));
    (0..8).for_each(|slot| owner.connect(Slot(slot), open.clone()));
    owner.turn(clock::now() + Nanos::from_millis(20));
    assert!(owner.told.is_empty(), "{:?}", owner.told);
}

pub(super) fn a_connection_comes_from_where_it_was_told_to<R: Reactor>(make: Make<R>) {
    let (address, peer) = peer(|stream| stream.peer_addr().unwrap());
    let mut owner = Owner::new(make, 1);
    let from = IpAddr::from([127, 0, 0, 7]);
    owner.reactor.connect(Slot(0), &address.into(), Some(from));
    assert!(matches!(owner.next().1, Told::Connected));
    let seen = owner.join(peer);
    assert_eq!((seen.ip(), seen.port() > 0), (from, true));
}

pub(super) fn an_address_that_is_not_ours_is_a_failure_to_connect<R: Reactor>(make: Make<R>) {
    let (_listener, address) = listener();
    let mut owner = Owner::new(make, 1);
    for _ in 0..2 {
        let from = Some([192, 0, 2, 1].into());
        owner.reactor.connect(Slot(0), &address.into(), from);
        let (_, told) = owner.next();
        let not_ours = Errno::ADDRESS_NOT_AVAILABLE;
        assert!(
            matches!(told, Told::Failed(During::Connect, errno) if errno == not_ours),
            "{told:?}"
        );
        owner.reactor.close(Slot(0), Close::Finish);
    }
    owner.connect(Slot(0), address);
}
