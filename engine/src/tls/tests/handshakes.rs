//! What client and server agree on, and why they do not.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;

use super::super::{Acceptor, Connector, Progress, arithmetic};
use super::{Authority, HOST, Pair, VERSIONS, names, sides};
use crate::plan::{Group, Identity, Resumption, Tls, TlsVersion, Trust};
use crate::record::{Alpn, TlsTrouble};

#[test]
fn both_versions_come_to_an_agreement() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        let pair = Pair::open(&connector, &acceptor);
        let agreed = *pair.client.agreed().unwrap();
        assert_eq!(pair.server.agreed(), Some(&agreed));
        assert_eq!(agreed.version, version.name());
        assert_eq!((agreed.group, agreed.alpn), (Some("x25519"), None));
        assert!(!agreed.resumed);
        let suite = match version {
            TlsVersion::Tls12 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            TlsVersion::Tls13 => "TLS13_AES_256_GCM_SHA384",
        };
        assert_eq!(agreed.suite, suite);
    }
}

#[test]
fn the_newest_common_version_wins() {
    let (connector, acceptor, _) = sides(Authority::plan);
    assert_eq!(Pair::open(&connector, &acceptor).client.agreed().unwrap().version, "1.3");
}

#[test]
fn the_preferred_group_is_taken() {
    let mut groups = vec![Group::X25519, Group::Secp256r1, Group::Secp384r1];
    if cfg!(feature = "aws-lc") {
        groups.push(Group::X25519MlKem768);
    }
    for first in groups {
        let offered = vec![first, Group::X25519];
        let (connector, acceptor, _) =
            sides(|authority| Tls { groups: offered, ..authority.plan() });
        let pair = Pair::open(&connector, &acceptor);
        assert_eq!(pair.client.agreed().unwrap().group, Some(first.name()));
    }
}

#[test]
fn the_group_that_a_server_wants_is_remembered() {
    let offered = vec![Group::X25519, Group::Secp256r1];
    let (connector, mut acceptor, _) =
        sides(|authority| Tls { groups: offered, ..authority.plan() });
    let kx_groups = vec![arithmetic::kx_group::SECP256R1];
    let provider = CryptoProvider { kx_groups, ..arithmetic::default_provider() };
    let picky = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(acceptor.config.cert_resolver.clone());
    acceptor.config = Arc::new(picky);
    // The first answer asks for another hello (RFC 8446 section 4.1.4), the next ones do not.
    for expected in [Progress::Handshaking, Progress::Open, Progress::Open] {
        let mut pair = Pair::new(&connector, &acceptor);
        pair.server.receive(&mut pair.to_server, &mut pair.to_client, |_| ()).unwrap();
        pair.to_server.clear();
        let reached = pair.client.receive(&mut pair.to_client, &mut pair.to_server, |_| ());
        assert_eq!(reached, Ok(expected));
        pair.to_client.clear();
        assert_eq!(pair.shake(), (Ok(Progress::Open), Ok(Progress::Open)));
        assert_eq!(pair.client.agreed().unwrap().group, Some("secp256r1"));
    }
}

#[test]
fn nothing_is_agreed_before_the_end_of_the_handshake() {
    let (connector, acceptor, _) = sides(Authority::plan);
    let pair = Pair::new(&connector, &acceptor);
    assert_eq!((pair.client.agreed(), pair.server.agreed()), (None, None));
}

#[test]
fn a_server_chooses_a_protocol_by_its_own_preference() {
    let authority = Authority::new();
    let offer = |offered: &[&str], known: &[&str]| {
        let plan = Tls { alpn: names(offered), ..authority.plan() };
        let acceptor = Acceptor::new(&authority.good(), &names(known)).unwrap();
        Pair::open(&Connector::new(&plan).unwrap(), &acceptor).client.agreed().unwrap().alpn
    };
    assert_eq!(offer(&["http/1.1", "h2"], &["h2", "http/1.1"]), Some(Alpn::Http2));
    assert_eq!(offer(&["h2", "http/1.1"], &["http/1.1"]), Some(Alpn::Http11));
    assert_eq!(offer(&["h2"], &[]), None);
    assert_eq!(offer(&[], &["h2"]), None);
}

#[test]
fn a_server_that_knows_none_of_the_protocols_says_so() {
    let authority = Authority::new();
    for version in VERSIONS {
        let plan = Tls { alpn: names(&["h2"]), ..authority.plan_of(version) };
        let acceptor = Acceptor::new(&authority.good(), &names(&["http/1.1"])).unwrap();
        let mut pair = Pair::new(&Connector::new(&plan).unwrap(), &acceptor);
        let (client, server) = pair.shake();
        assert_eq!(client, Err(TlsTrouble::Alert(120)));
        assert_eq!(client.unwrap_err().name(), "alert_no_application_protocol");
        assert_eq!(server, Err(TlsTrouble::AlpnRefused));
    }
}

#[test]
fn what_is_wrong_with_a_certificate_has_a_name_on_both_sides() {
    let authority = Authority::new();
    let stranger = Authority::called("a stranger");
    let cases = [
        (authority.issue(HOST, (2020, 2021)), TlsTrouble::Expired, 45),
        (authority.issue(HOST, (3000, 3001)), TlsTrouble::NotYetValid, 45),
        (authority.issue("other.example", (2020, 4000)), TlsTrouble::WrongName, 42),
        (stranger.good(), TlsTrouble::UnknownIssuer, 48),
    ];
    for version in VERSIONS {
        for (identity, trouble, alert) in &cases {
            let acceptor = Acceptor::new(identity, &[]).unwrap();
            let plan = authority.plan_of(version);
            let mut pair = Pair::new(&Connector::new(&plan).unwrap(), &acceptor);
            let first = pair.shake();
            assert_eq!(first.0, Err(*trouble), "{}", version.name());
            // The alert is in what the client sent last.
            let again = pair.shake();
            let server = if first.1.is_err() { first.1 } else { again.1 };
            assert_eq!(server, Err(TlsTrouble::Alert(*alert)), "{trouble:?}");
            // Whoever trusts anybody does not mind.
            let plan = Tls { trust: Trust::Anybody, ..plan };
            Pair::open(&Connector::new(&plan).unwrap(), &acceptor);
        }
    }
}

#[test]
fn a_certificate_that_signed_itself_can_be_its_own_root() {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let der = made.cert.der().to_vec();
    let identity = Identity { chain: vec![der.clone()], key: made.signing_key.serialize_der() };
    let acceptor = Acceptor::new(&identity, &[]).unwrap();
    let plan = Authority::new().plan();
    let trusting = Tls { trust: Trust::Roots(Arc::new([der])), ..plan.clone() };
    Pair::open(&Connector::new(&trusting).unwrap(), &acceptor);
    let (client, _) = Pair::new(&Connector::new(&plan).unwrap(), &acceptor).shake();
    assert_eq!(client, Err(TlsTrouble::UnknownIssuer));
}

#[test]
fn a_signature_by_another_key_is_noticed_unless_anybody_is_trusted() {
    let authority = Authority::new();
    let key = authority.good().key;
    let chain = authority.good().chain;
    let provider = arithmetic::default_provider();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let chain = chain.into_iter().map(Into::into).collect();
    let shown = rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(chain, key));
    let mut acceptor = Acceptor::new(&authority.good(), &[]).unwrap();
    Arc::get_mut(&mut acceptor.config).unwrap().cert_resolver = Arc::new(shown);
    for version in VERSIONS {
        let plan = authority.plan_of(version);
        let connector = Connector::new(&plan).unwrap();
        // The second time the chain is a known one; the signature is looked at all the same.
        for _ in 0..2 {
            let (client, _) = Pair::new(&connector, &acceptor).shake();
            assert_eq!(client, Err(TlsTrouble::BadCertificate));
        }
        let plan = Tls { trust: Trust::Anybody, ..plan };
        Pair::open(&Connector::new(&plan).unwrap(), &acceptor);
    }
}

#[test]
fn two_sides_without_a_common_version_say_so() {
    let authority = Authority::new();
    let mut acceptor = Acceptor::new(&authority.good(), &[]).unwrap();
    let provider = Arc::new(arithmetic::default_provider());
    let newest = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(acceptor.config.cert_resolver.clone());
    acceptor.config = Arc::new(newest);
    let connector = Connector::new(&authority.plan_of(TlsVersion::Tls12)).unwrap();
    let (client, server) = Pair::new(&connector, &acceptor).shake();
    assert_eq!(client.map_err(TlsTrouble::name), Err("alert_protocol_version"));
    assert_eq!(server, Err(TlsTrouble::NothingInCommon));
}

#[test]
fn sessions_are_taken_up_where_that_is_asked_for() {
    for version in VERSIONS {
        let resuming = |authority: &Authority| Tls {
            resumption: Resumption::On,
            ..authority.plan_of(version)
        };
        let (connector, acceptor, _) = sides(resuming);
        let mut resumed = Vec::new();
        for _ in 0..4 {
            let pair = Pair::open(&connector, &acceptor);
            assert_eq!(pair.client.agreed(), pair.server.agreed());
            resumed.push(pair.client.agreed().unwrap().resumed);
        }
        assert_eq!(resumed, [false, true, true, true], "{}", version.name());
    }
}

#[test]
fn every_handshake_is_a_full_one_otherwise() {
    for version in VERSIONS {
        let (connector, acceptor, _) = sides(|authority| authority.plan_of(version));
        for _ in 0..3 {
            assert!(!Pair::open(&connector, &acceptor).client.agreed().unwrap().resumed);
        }
    }
}

#[test]
fn many_connections_at_once_find_a_ticket_each() {
    let resuming = |authority: &Authority| Tls { resumption: Resumption::On, ..authority.plan() };
    let (connector, acceptor, _) = sides(resuming);
    (0..30).for_each(|_| drop(Pair::open(&connector, &acceptor)));
    // Each took one and was given two. Begun together, nobody gives a ticket to the next one.
    let mut pairs: Vec<_> = (0..30).map(|_| Pair::new(&connector, &acceptor)).collect();
    for pair in &mut pairs {
        assert_eq!(pair.shake(), (Ok(Progress::Open), Ok(Progress::Open)));
        assert!(pair.client.agreed().unwrap().resumed);
    }
}

#[test]
fn a_client_shows_its_certificate_when_asked() {
    let authority = Authority::new();
    let roots = std::slice::from_ref(&authority.root);
    let acceptor = Acceptor::asking(&authority.good(), &[], roots).unwrap();
    for version in VERSIONS {
        let plan = authority.plan_of(version);
        let shown = Tls { identity: Some(authority.issue("me", (2020, 4000))), ..plan.clone() };
        Pair::open(&Connector::new(&shown).unwrap(), &acceptor);
        let mut pair = Pair::new(&Connector::new(&plan).unwrap(), &acceptor);
        let (client, server) = pair.shake();
        assert_eq!(server, Err(TlsTrouble::BadCertificate));
        let alert = client.map_err(TlsTrouble::name);
        assert_eq!(alert, Err("alert_certificate_required"), "{}", version.name());
        let strange = Authority::called("a stranger").issue("me", (2020, 4000));
        let strange = Tls { identity: Some(strange), ..plan };
        let (client, server) = Pair::new(&Connector::new(&strange).unwrap(), &acceptor).shake();
        assert_eq!(server, Err(TlsTrouble::UnknownIssuer));
        assert_eq!(client.map_err(TlsTrouble::name), Err("alert_unknown_ca"));
    }
}
