//! Peers that speak something else, lie, stop in mid-sentence, or never stop.

use proptest::prelude::*;

use super::super::Progress;
use super::{Authority, Pair, VERSIONS, deliver, sides};
use crate::record::TlsTrouble;

/// A fatal alert in the clear (RFC 8446 section 6).
fn alert(number: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, number]
}

#[test]
fn a_peer_that_does_not_speak_tls_is_told_apart() {
    let (connector, acceptor, _) = sides(Authority::plan);
    for words in ["HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail.example ESMTP\r\n", "\0\0\0\0\0"] {
        let mut pair = Pair::new(&connector, &acceptor);
        let mut back = Vec::new();
        let told = pair.client.receive(&mut words.as_bytes().to_vec(), &mut back, |_| panic!());
        assert_eq!(told, Err(TlsTrouble::NotTls), "{words:?}");
        // It is told in TLS (decode_error), and for good.
        assert_eq!(back, alert(50));
        assert_eq!(pair.client.receive(&mut [], &mut back, |_| ()), Err(TlsTrouble::NotTls));
        assert_eq!(pair.client.write(b"x", &mut back), Err(TlsTrouble::NotTls));
        assert_eq!(pair.client.receive_end(), Err(TlsTrouble::NotTls));
        pair.client.close(&mut back);
        assert_eq!(back, alert(50));
    }
    let mut server = acceptor.accept().unwrap();
    let told = server.receive(&mut b"GET / HTTP/1.1\r\n".to_vec(), &mut Vec::new(), |_| panic!());
    assert_eq!(told, Err(TlsTrouble::NotTls));
}

#[test]
fn a_peer_that_has_spoken_tls_and_stops_doing_so_misbehaves() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::open(&connector, &acceptor);
        let mut back = Vec::new();
        let told = pair.client.receive(&mut b"HTTP/1.1 200".to_vec(), &mut back, |_| panic!());
        assert_eq!(told, Err(TlsTrouble::Misbehaved));
        let told = pair.server.receive(&mut back, &mut Vec::new(), |_| panic!());
        assert_eq!(told.map_err(TlsTrouble::name), Err("alert_decode_error"));
    }
    // In one piece with the first flight, too.
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::new(&connector, &acceptor);
    let mut flight = Vec::new();
    pair.server.receive(&mut pair.to_server, &mut flight, |_| ()).unwrap();
    flight.extend_from_slice(b"HTTP/1.1 200");
    let told = pair.client.receive(&mut flight, &mut Vec::new(), |_| panic!());
    assert_eq!(told, Err(TlsTrouble::Misbehaved));
}

#[test]
fn alerts_are_known_by_number() {
    let (connector, acceptor, _) = sides(Authority::plan);
    for (number, name) in [
        (0, "alert_close_notify"),
        (40, "alert_handshake_failure"),
        (70, "alert_protocol_version"),
        (112, "alert_unrecognized_name"),
        (233, "alert_unknown"),
    ] {
        let mut pair = Pair::new(&connector, &acceptor);
        let told = pair.client.receive(&mut alert(number), &mut Vec::new(), |_| panic!());
        assert_eq!(told, Err(TlsTrouble::Alert(number)));
        assert_eq!(told.map_err(TlsTrouble::name), Err(name));
    }
}

#[test]
fn an_end_during_the_handshake_is_a_truncation() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::new(&connector, &acceptor);
        let mut flight = Vec::new();
        pair.server.receive(&mut pair.to_server, &mut flight, |_| ()).unwrap();
        // Another client's flight cannot be used twice, so it is one client that waits longer and
        // longer, and an end at each of the places is tried on the server's side of it.
        for byte in &mut flight[..200] {
            let waits = pair.client.receive(std::slice::from_mut(byte), &mut Vec::new(), |_| ());
            assert_eq!(waits, Ok(Progress::Handshaking));
        }
        assert_eq!(pair.client.receive_end(), Err(TlsTrouble::Truncated));
        assert_eq!(pair.server.receive_end(), Err(TlsTrouble::Truncated));
        assert_eq!(connector.connect().unwrap().receive_end(), Err(TlsTrouble::Truncated));
    }
}

#[test]
fn a_message_in_crumbs_is_not_collected_for_ever() {
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::new(&connector, &acceptor);
    // A ServerHello of 65,535 bytes, one byte per record: 393,210 bytes would have to be kept.
    let crumb = |byte: u8| [22, 3, 3, 0, 1, byte];
    let mut crumbs: Vec<u8> = [2, 0, 0xff, 0xff].into_iter().flat_map(crumb).collect();
    crumbs.extend((0..65_535).flat_map(|_| crumb(0)));
    let mut taken = 0;
    let told = crumbs.chunks_mut(1 << 14).find_map(|piece| {
        taken += piece.len();
        pair.client.receive(piece, &mut Vec::new(), |_| panic!()).err()
    });
    assert_eq!(told, Some(TlsTrouble::Misbehaved));
    assert!(taken < crumbs.len(), "{taken}");
}

#[test]
fn a_record_that_is_too_long_is_refused_at_its_header() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::open(&connector, &acceptor);
        let told = pair.client.receive(&mut [23, 3, 3, 0xff, 0xff], &mut Vec::new(), |_| panic!());
        assert_eq!(told, Err(TlsTrouble::Misbehaved));
    }
}

#[test]
fn a_record_that_was_changed_is_noticed() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let mut pair = Pair::open(&connector, &acceptor);
        let mut out = Vec::new();
        pair.server.write(b"true words", &mut out).unwrap();
        *out.last_mut().unwrap() ^= 1;
        let mut back = Vec::new();
        let told = pair.client.receive(&mut out, &mut back, |_| panic!());
        assert_eq!(told, Err(TlsTrouble::Undecryptable));
        let told = pair.server.receive(&mut back, &mut Vec::new(), |_| panic!());
        assert_eq!(told.map_err(TlsTrouble::name), Err("alert_bad_record_mac"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_flipped_bit_changes_what_is_read(
        place: prop::sample::Index,
        bit in 0..8_u32,
        piece in 1_usize..2000,
        when in 0..3,
        newest: bool,
    ) {
        let (connector, acceptor, _) =
            sides(|authority| authority.plan_of(VERSIONS[usize::from(newest)]));
        let mut pair = Pair::new(&connector, &acceptor);
        let mut pieces = std::iter::repeat(piece);
        let flip = |bytes: &mut Vec<u8>| {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
            }
        };
        // The client's first flight, the server's, or what flows afterwards.
        match when {
            0 => flip(&mut pair.to_server),
            1 => {
                let sent = std::mem::take(&mut pair.to_server);
                let (out, read) = (&mut pair.to_client, &mut pair.at_server);
                deliver(&mut pair.server, sent, out, read, &mut pieces).unwrap();
                flip(&mut pair.to_client);
            }
            _ => {}
        }
        let shaken = pair.shake_in(&mut pieces);
        if shaken == (Ok(Progress::Open), Ok(Progress::Open)) {
            pair.server.write(b"one", &mut pair.to_client).unwrap();
            pair.server.write(b"two", &mut pair.to_client).unwrap();
            if when == 2 {
                flip(&mut pair.to_client);
            }
            let _ = pair.shake_in(&mut pieces);
            prop_assert!(b"onetwo".starts_with(&pair.at_client[..]), "{:?}", pair.at_client);
        } else {
            prop_assert!(pair.at_client.is_empty());
        }
    }

    #[test]
    fn no_bytes_make_a_session_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        header in prop::option::of((20_u8..25, 0_u8..5)),
        piece in 1_usize..500,
        open: bool,
    ) {
        let (connector, acceptor, _) = sides(Authority::plan);
        let mut pair = Pair::new(&connector, &acceptor);
        if open {
            pair.shake().0.unwrap();
        }
        let mut junk = Vec::new();
        for record in bytes.chunks(97) {
            if let Some((kind, minor)) = header {
                junk.extend([kind, 3, minor, 0, u8::try_from(record.len()).unwrap()]);
            }
            junk.extend_from_slice(record);
        }
        let (mut out, mut read) = (Vec::new(), Vec::new());
        let mut pieces = std::iter::repeat(piece);
        let _ = deliver(&mut pair.client, junk.clone(), &mut out, &mut read, &mut pieces);
        let _ = deliver(&mut pair.server, junk, &mut out, &mut read, &mut pieces);
        pair.client.close(&mut out);
        pair.server.close(&mut out);
        prop_assert_eq!(read, b"");
    }
}
