//! Bytes that flow through open sessions, and what that costs.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Progress, Session, sealed_len};
use super::{Authority, Pair, VERSIONS, deliver, sides};
use crate::record::TlsTrouble;

/// Hands all that `out` holds to `session`; what it read.
fn read(session: &mut Session, out: &mut Vec<u8>) -> Vec<u8> {
    let (mut back, mut read) = (Vec::new(), Vec::new());
    let sent = std::mem::take(out);
    deliver(session, sent, &mut back, &mut read, &mut std::iter::empty()).unwrap();
    assert_eq!(back, b"");
    read
}

fn pattern(length: usize) -> Vec<u8> {
    (0_u8..=250).cycle().take(length).collect()
}

#[test]
fn a_megabyte_gets_through_in_both_directions() {
    let sent = pattern(1 << 20);
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::open(&connector, &acceptor);
        let mut out = Vec::new();
        pair.client.write(&sent, &mut out).unwrap();
        assert!(out.len() <= sealed_len(sent.len()));
        assert!(read(&mut pair.server, &mut out) == sent);
        pair.server.write(&sent, &mut out).unwrap();
        assert!(read(&mut pair.client, &mut out) == sent);
    }
}

#[test]
fn what_is_written_takes_no_more_room_than_was_said() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::open(&connector, &acceptor);
        for length in [1, 13, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, 1 << 16] {
            let mut out = Vec::with_capacity(sealed_len(length));
            pair.client.write(&pattern(length), &mut out).unwrap();
            assert!(out.len() > length && out.len() <= sealed_len(length), "{length}");
            assert_eq!(read(&mut pair.server, &mut out), pattern(length));
        }
    }
}

#[test]
fn nothing_written_is_nothing_sent() {
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::open(&connector, &acceptor);
    let mut out = b"before".to_vec();
    pair.client.write(b"", &mut out).unwrap();
    assert_eq!(out, b"before");
    pair.client.write(b"x", &mut out).unwrap();
    assert_eq!(read(&mut pair.server, &mut out.split_off(6)), b"x");
}

#[test]
fn nothing_can_be_written_before_the_handshake_is_done() {
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::new(&connector, &acceptor);
    let mut out = Vec::new();
    assert_eq!(pair.client.write(b"x", &mut out), Err(TlsTrouble::Internal));
    pair.client.close(&mut out);
    assert_eq!(out, b"");
    // It was no use, and did no harm.
    assert_eq!(pair.shake(), (Ok(Progress::Open), Ok(Progress::Open)));
}

#[test]
fn a_goodbye_ends_a_session_and_what_follows_is_dropped() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::open(&connector, &acceptor);
        let mut out = Vec::new();
        pair.server.write(b"last", &mut out).unwrap();
        pair.server.close(&mut out);
        let length = out.len();
        pair.server.close(&mut out);
        assert_eq!(out.len(), length);
        out.extend_from_slice(b"this is not TLS at all");
        let (mut back, mut read) = (Vec::new(), Vec::new());
        let pieces = &mut std::iter::repeat(7);
        let ended = deliver(&mut pair.client, out, &mut back, &mut read, pieces);
        assert_eq!((ended, read.as_slice()), (Ok(Progress::Ended), b"last".as_slice()));
        assert_eq!(pair.client.receive_end(), Ok(()));
        // The other direction is still open.
        pair.client.write(b"thanks", &mut back).unwrap();
        pair.client.close(&mut back);
        assert_eq!(pair.server.receive(&mut back, &mut Vec::new(), |_| ()), Ok(Progress::Ended));
    }
}

#[test]
fn after_its_own_goodbye_a_session_listens_no_more() {
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::open(&connector, &acceptor);
    let (mut out, mut back) = (Vec::new(), Vec::new());
    pair.client.close(&mut out);
    let mut junk = b"this is not TLS at all".to_vec();
    let ended = pair.client.receive(&mut junk, &mut back, |_| panic!("it was dropped"));
    assert_eq!((ended, back.as_slice()), (Ok(Progress::Ended), b"".as_slice()));
}

#[test]
fn a_session_writes_while_a_message_is_half_read() {
    let (connector, mut acceptor, _) = sides(Authority::plan);
    // Tickets come in records of at most so many bytes, that is, in several of them.
    Arc::get_mut(&mut acceptor.config).unwrap().max_fragment_size = Some(64);
    let mut pair = Pair::new(&connector, &acceptor);
    let mut tickets = Vec::new();
    pair.server.receive(&mut pair.to_server, &mut pair.to_client, |_| ()).unwrap();
    let mut finished = Vec::new();
    pair.client.receive(&mut pair.to_client, &mut finished, |_| ()).unwrap();
    pair.server.receive(&mut finished, &mut tickets, |_| ()).unwrap();
    let record = 5 + usize::from(tickets[4]);
    let (first, rest) = tickets.split_at_mut(record + 3);
    let mut out = Vec::new();
    pair.client.receive(first, &mut out, |_| ()).unwrap();
    pair.client.write(b"meanwhile", &mut out).unwrap();
    assert_eq!(read(&mut pair.server, &mut out), b"meanwhile");
    pair.client.receive(rest, &mut out, |_| ()).unwrap();
    pair.server.write(b"afterwards", &mut out).unwrap();
    assert_eq!(read(&mut pair.client, &mut out), b"afterwards");
    assert_eq!(pair.client.receive_end(), Ok(()));
}

#[test]
fn an_end_is_a_truncation_in_a_record_only() {
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::open(&connector, &acceptor);
    assert_eq!(pair.client.receive_end(), Ok(()));
    let mut out = Vec::new();
    pair.server.write(b"whole", &mut out).unwrap();
    let cut = out.len() - 1;
    let mut seen = Vec::new();
    let open = pair.client.receive(&mut out[..cut], &mut Vec::new(), |_| panic!("half a record"));
    assert_eq!(open, Ok(Progress::Open));
    let mut whole = Pair::open(&connector, &acceptor);
    assert_eq!(pair.client.receive_end(), Err(TlsTrouble::Truncated));
    assert_eq!(pair.client.receive(&mut out[cut..], &mut seen, |_| ()), Err(TlsTrouble::Truncated));
    assert_eq!(whole.client.receive_end(), Ok(()));
}

#[test]
fn keys_are_renewed_when_the_peer_wants_it() {
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::open(&connector, &acceptor);
    for round in 0..3_u8 {
        let (mut out, mut back) = (Vec::new(), Vec::new());
        pair.server.renew_keys(&mut out);
        pair.server.write(&[round], &mut out).unwrap();
        let mut seen = Vec::new();
        let open = pair.client.receive(&mut out, &mut back, |bytes| seen.extend_from_slice(bytes));
        assert_eq!((open, seen), (Ok(Progress::Open), vec![round]));
        // The answer goes before what is written next.
        pair.client.write(b"new keys", &mut back).unwrap();
        assert!(back.len() > sealed_len(8));
        assert_eq!(read(&mut pair.server, &mut back), b"new keys");
    }
}

#[test]
fn a_record_costs_one_allocation_in_each_direction() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::open(&connector, &acceptor);
        let mut out = Vec::with_capacity(1 << 16);
        // The first record makes the library's queues.
        pair.client.write(b"first", &mut out).unwrap();
        assert_eq!(read(&mut pair.server, &mut out), b"first");
        out.reserve(1 << 16);
        let mut back = Vec::with_capacity(1 << 10);
        for (length, records) in [(13, 1), (1 << 14, 1), (48 << 10, 3)] {
            let sent = pattern(length);
            let mut seen = 0;
            out.clear();
            let sealing = allocation_counter::measure(|| {
                pair.client.write(&sent, &mut out).unwrap();
            });
            let opening = allocation_counter::measure(|| {
                pair.server.receive(&mut out, &mut back, |bytes| seen += bytes.len()).unwrap();
            });
            assert_eq!(seen, length);
            let counted = (sealing.count_total, opening.count_total);
            assert_eq!(counted, (records, records), "{} {length}", version.name());
            assert_eq!((sealing.count_current, opening.count_current), (0, 0));
        }
    }
}

#[test]
fn an_idle_session_is_small() {
    /// The bound that is asked for, with half a record that waits for its other half.
    const WAITING_MAX: i64 = 24 << 10;
    const IDLE_MAX: i64 = 4 << 10;
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        // What a connector keeps is not a session's.
        Pair::open(&connector, &acceptor);
        let mut pair = None;
        let both = allocation_counter::measure(|| {
            let mut open = Pair::open(&connector, &acceptor);
            let mut out = Vec::new();
            open.client.write(b"first", &mut out).unwrap();
            assert_eq!(read(&mut open.server, &mut out), b"first");
            pair = Some(open);
        });
        let wires = |pair: &Pair| pair.to_client.capacity() + pair.to_server.capacity();
        assert_eq!(pair.as_ref().map(wires), Some(0));
        let each = both.bytes_current / 2;
        assert!(each < IDLE_MAX, "{}: {each}", version.name());
        let mut pair = pair.unwrap();
        let mut out = Vec::new();
        pair.client.write(&pattern(1 << 14), &mut out).unwrap();
        let (first, rest) = out.split_at_mut(1 << 10);
        let half = allocation_counter::measure(|| {
            pair.server.receive(first, &mut Vec::new(), |_| ()).unwrap();
        });
        assert!(each + half.bytes_current < WAITING_MAX, "{}", half.bytes_current);
        let whole = allocation_counter::measure(|| {
            pair.server.receive(rest, &mut Vec::new(), |_| ()).unwrap();
        });
        assert_eq!(half.bytes_current + whole.bytes_current, 0);
        // The carry was made once, as large as the record.
        assert_eq!((half.count_total, whole.count_total), (1, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_gives_the_same_bytes(
        pieces in prop::collection::vec(
            prop_oneof![1_usize..8, 1_usize..3000, 1_usize..40_000],
            1..12,
        ),
        lengths in prop::collection::vec(0_usize..40_000, 1..4),
        newest: bool,
    ) {
        let (connector, acceptor, _) =
            sides(|authority| authority.plan_of(VERSIONS[usize::from(newest)]));
        let mut pair = Pair::new(&connector, &acceptor);
        let mut pieces = pieces.into_iter().cycle();
        prop_assert_eq!(pair.shake_in(&mut pieces), (Ok(Progress::Open), Ok(Progress::Open)));
        let mut sent = Vec::new();
        for length in lengths {
            sent.extend(pattern(length));
            pair.client.write(&pattern(length), &mut pair.to_server).unwrap();
            pair.server.write(&pattern(length), &mut pair.to_client).unwrap();
        }
        prop_assert_eq!(pair.shake_in(&mut pieces), (Ok(Progress::Open), Ok(Progress::Open)));
        prop_assert!(pair.at_server == sent && pair.at_client == sent);
        prop_assert_eq!(pair.client.receive_end(), Ok(()));
    }
}
