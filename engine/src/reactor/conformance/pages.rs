//! Pages on their way from the owner to the peer and back into the pool, and leases that are
//! changed.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::thread;

use super::super::{
    Close, Completion, Confirm, During, Errno, PAGE, Reactor, SILENT_BYTES_MAX, Sending, Slot,
    clock,
};
use super::{Make, Owner, PATIENCE, Told, listener, pattern, peer, reset};
use crate::units::Nanos;

impl<R: Reactor> Owner<R> {
    fn page(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut page = self.reactor.page();
        assert!(page.is_empty() && page.capacity() >= PAGE);
        page.extend_from_slice(bytes);
        page
    }

    /// Sends `bytes` in a page, and waits until that is done.
    #[track_caller]
    pub(super) fn send_page(&mut self, slot: Slot, bytes: &[u8]) {
        let page = self.page(bytes);
        if self.reactor.send_page(slot, page, Confirm::Always) == Sending::Pending {
            let told = self.next();
            assert!(matches!(told, (at, Told::Sent) if at == slot), "{told:?}");
        }
    }
}

/// All that a peer reads until the end.
fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Sizes of pages, around all bounds that they have.
const PAGES: [usize; 6] = [1, 4_095, 4_096, 4_097, PAGE - 1, PAGE];

pub(super) fn a_page_arrives_as_it_was_filled<R: Reactor>(make: Make<R>) {
    let (address, peer) = peer(read_all);
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    for len in PAGES {
        owner.send_page(Slot(0), &pattern(len));
        let unused = owner.page(b"never sent");
        owner.reactor.give_page(unused);
    }
    owner.reactor.close(Slot(0), Close::Finish);
    assert!(owner.join(peer) == PAGES.map(pattern).concat());
}

/// The peer reads nothing until a page is stuck, and the next one is filled differently.
pub(super) fn pages_arrive_whole_at_a_slow_peer<R: Reactor>(make: Make<R>) {
    const COUNT: u8 = 200;
    let (go, gone) = channel();
    let (address, peer) = peer(move |stream| {
        gone.recv().unwrap();
        read_all(stream)
    });
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    let mut stuck = false;
    for n in 0..COUNT {
        let page = owner.page(&vec![n; PAGE]);
        if owner.reactor.send_page(Slot(0), page, Confirm::Always) == Sending::Free {
            continue;
        }
        if !stuck {
            owner.turn(clock::now() + Nanos::from_millis(50));
            stuck = owner.told.is_empty();
        }
        if stuck {
            // What is handed out meanwhile is not what is being sent.
            let other = owner.page(&vec![255; PAGE]);
            owner.reactor.give_page(other);
            let _told = go.send(());
        }
        assert!(matches!(owner.next().1, Told::Sent));
    }
    assert!(stuck, "the sockets hold all of it");
    owner.reactor.close(Slot(0), Close::Finish);
    let expected: Vec<u8> = (0..COUNT).flat_map(|n| vec![n; PAGE]).collect();
    assert!(owner.join(peer) == expected);
}

pub(super) fn a_page_comes_back_when_it_was_sent<R: Reactor>(make: Make<R>) {
    let (address, peer) = peer(read_all);
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    for len in PAGES {
        let page = owner.page(&pattern(len));
        let memory = page.as_ptr();
        let sending = owner.reactor.send_page(Slot(0), page, Confirm::Always);
        if sending == Sending::Pending {
            assert!(matches!(owner.next().1, Told::Sent));
        }
        let again = owner.reactor.page();
        assert_eq!(again.as_ptr(), memory, "{len} bytes");
        owner.reactor.give_page(again);
    }
    drop(owner);
    peer.join().unwrap();
}

pub(super) fn a_page_to_a_peer_that_is_gone_fails_and_comes_back<R: Reactor>(make: Make<R>) {
    let (go, gone) = channel();
    let (address, peer) = peer(move |stream| {
        gone.recv().unwrap();
        reset(stream);
    });
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    go.send(()).unwrap();
    assert!(matches!(owner.next().1, Told::Failed(During::Receive, _)));
    let page = owner.page(&pattern(PAGE));
    let memory = page.as_ptr();
    let _failing = owner.reactor.send_page(Slot(0), page, Confirm::Always);
    let (_, told) = owner.next();
    assert!(matches!(told, Told::Failed(During::Send, Errno::BROKEN_PIPE)), "{told:?}");
    peer.join().unwrap();
    let again = owner.reactor.page();
    assert_eq!(again.as_ptr(), memory);
}

pub(super) fn pages_and_payloads_take_turns<R: Reactor>(make: Make<R>) {
    const ROUNDS: usize = 50;
    let (address, peer) = peer(read_all);
    let mut owner = Owner::new(make, 1);
    let payload = owner.publish(b"<published>", Confirm::Always);
    owner.connect(Slot(0), address);
    for _ in 0..ROUNDS {
        owner.send_page(Slot(0), b"<page>");
        if owner.reactor.send(Slot(0), payload, 0..11) == Sending::Pending {
            assert!(matches!(owner.next().1, Told::Sent));
        }
    }
    owner.reactor.close(Slot(0), Close::Finish);
    assert_eq!(owner.join(peer), b"<page><published>".repeat(ROUNDS));
}

/// Page and peer take turns, as request and answer do.
pub(super) fn a_page_sent_silently_arrives_and_nothing_is_said<R: Reactor>(make: Make<R>) {
    const ROUNDS: u8 = 50;
    let (address, peer) = peer(|mut stream| {
        let mut bytes = [0; SILENT_BYTES_MAX];
        for _ in 0..ROUNDS {
            stream.read_exact(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    });
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    for round in 0..ROUNDS {
        let bytes = vec![round; SILENT_BYTES_MAX];
        let page = owner.page(&bytes);
        assert_eq!(owner.reactor.send_page(Slot(0), page, Confirm::Failure), Sending::Free);
        assert!(owner.receive(Slot(0), SILENT_BYTES_MAX) == bytes, "{round}");
    }
    owner.join(peer);
    assert!(matches!(owner.next().1, Told::Ended));
}

/// Nothing is answered, so that nobody but the kernel knows whether the first page is through.
pub(super) fn a_page_in_turn_follows_one_sent_silently<R: Reactor>(make: Make<R>) {
    const ROUNDS: usize = 50;
    let (address, peer) = peer(read_all);
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    for _ in 0..ROUNDS {
        let page = owner.page(b"<silent>");
        assert_eq!(owner.reactor.send_page(Slot(0), page, Confirm::Failure), Sending::Free);
        let page = owner.page(&pattern(PAGE));
        if owner.reactor.send_page(Slot(0), page, Confirm::InTurn) == Sending::Pending {
            let told = owner.next();
            assert!(matches!(told, (Slot(0), Told::Sent)), "{told:?}");
        }
    }
    owner.reactor.close(Slot(0), Close::Finish);
    let round = [b"<silent>".as_slice(), &pattern(PAGE)].concat();
    assert!(owner.join(peer) == round.repeat(ROUNDS));
}

/// The slot is used again at once, with other bytes.
pub(super) fn a_page_sent_silently_outlives_its_connection<R: Reactor>(make: Make<R>) {
    const LIVES: u8 = 50;
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        (0..LIVES).map(|_| read_all(listener.accept().unwrap().0)).collect::<Vec<_>>()
    });
    let mut owner = Owner::new(make, 1);
    for life in 0..LIVES {
        owner.connect(Slot(0), address);
        let page = owner.page(&[life; SILENT_BYTES_MAX]);
        assert_eq!(owner.reactor.send_page(Slot(0), page, Confirm::Failure), Sending::Free);
        owner.reactor.close(Slot(0), Close::Finish);
    }
    for (life, bytes) in (0..LIVES).zip(owner.join(peer)) {
        assert!(bytes == [life; SILENT_BYTES_MAX], "{life}: {} bytes", bytes.len());
    }
    assert!(owner.told.is_empty());
}

/// More connections than large pages are kept, all with a small send under way at once.
pub(super) fn sending_pages_allocates_nothing<R: Reactor>(make: Make<R>) {
    const PEERS: u32 = 100;
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        let streams: Vec<_> = (0..PEERS).map(|_| listener.accept().unwrap().0).collect();
        streams.into_iter().map(|stream| read_all(stream).len()).sum::<usize>()
    });
    let mut owner = Owner::new(make, PEERS);
    (0..PEERS).for_each(|slot| owner.connect(Slot(slot), address));
    let mut pending = 0;
    let mut round = |owner: &mut Owner<R>| {
        for slot in 0..PEERS {
            let mut page = owner.reactor.page();
            page.extend_from_slice(&[b'x'; 200]);
            let sending = owner.reactor.send_page(Slot(slot), page, Confirm::Always);
            pending += u32::from(sending == Sending::Pending);
        }
        while pending > 0 {
            owner.reactor.wait(clock::now() + PATIENCE).unwrap();
            while let Some(completion) = owner.reactor.pop() {
                assert!(matches!(completion, Completion::Sent(_)));
                pending -= 1;
            }
        }
    };
    round(&mut owner);
    let measured = allocation_counter::measure(|| (0..9).for_each(|_| round(&mut owner)));
    assert_eq!(measured.count_total, 0, "{measured:?}");
    (0..PEERS).for_each(|slot| owner.reactor.close(Slot(slot), Close::Finish));
    assert_eq!(owner.join(peer), 10 * 200 * PEERS as usize);
}

pub(super) fn received_bytes_can_be_changed_in_place<R: Reactor>(make: Make<R>) {
    let (address, peer) = peer(|mut stream| stream.write_all(&pattern(1 << 20)).unwrap());
    let mut owner = Owner::new(make, 1);
    owner.connect(Slot(0), address);
    let mut plain = Vec::new();
    while plain.len() < 1 << 20 {
        owner.reactor.wait(clock::now() + PATIENCE).unwrap();
        while let Some(completion) = owner.reactor.pop() {
            let lease = match completion {
                Completion::Received(_, lease) => lease,
                Completion::Ended(_) => break,
                other => panic!("{other:?}"),
            };
            let seen = owner.reactor.bytes(&lease).to_vec();
            let bytes = owner.reactor.bytes_mut(&lease);
            assert_eq!(bytes, seen);
            for byte in bytes {
                *byte ^= 0x55;
            }
            plain.extend_from_slice(owner.reactor.bytes(&lease));
            owner.reactor.release(lease);
        }
    }
    let expected: Vec<u8> = pattern(1 << 20).into_iter().map(|byte| byte ^ 0x55).collect();
    assert!(plain == expected);
    peer.join().unwrap();
}
