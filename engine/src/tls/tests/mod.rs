//! Clients and servers that talk to each other in memory, with certificates made on the spot.

mod configs;
mod handshakes;
mod hostile;
mod streams;
mod verifying;

use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::CipherSuiteCommon;
use rustls::{SupportedCipherSuite, Tls12CipherSuite};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::session::PLAIN_MAX;
use super::{Acceptor, Connector, Progress, Session};
use crate::plan::{Group, Identity, Resumption, Tls, TlsVersion, Trust};
use crate::record::TlsTrouble;

const HOST: &str = "load.example";
const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// Who issues certificates.
struct Authority {
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        Self::called("an authority")
    }

    fn called(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self { root, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, valid in years from the first of `years` up to the second.
    fn issue(&self, name: &str, years: (i32, i32)) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Identity { chain: vec![der], key: key.serialize_der() }
    }

    /// A certificate for [`HOST`] that is good today.
    fn good(&self) -> Identity {
        self.issue(HOST, (2020, 4000))
    }

    /// A plan that trusts this authority and offers all there is.
    fn plan(&self) -> Tls {
        Tls {
            server_name: HOST.to_owned(),
            trust: Trust::Roots(Arc::new([self.root.clone()])),
            identity: None,
            versions: (TlsVersion::Tls12, TlsVersion::Tls13),
            groups: vec![Group::X25519, Group::Secp256r1],
            alpn: Vec::new(),
            resumption: Resumption::Off,
        }
    }

    fn plan_of(&self, version: TlsVersion) -> Tls {
        Tls { versions: (version, version), ..self.plan() }
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Two sessions, and the wires between them.
struct Pair {
    client: Session,
    server: Session,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// What each side has read.
    at_server: Vec<u8>,
    at_client: Vec<u8>,
}

type Outcome = Result<Progress, TlsTrouble>;

impl Pair {
    fn new(connector: &Connector, acceptor: &Acceptor) -> Self {
        let mut pair = Self {
            client: connector.connect().unwrap(),
            server: acceptor.accept().unwrap(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            at_server: Vec::new(),
            at_client: Vec::new(),
        };
        pair.client.begin(&mut pair.to_server).unwrap();
        pair
    }

    /// A handshake that went well, tickets and all.
    fn open(connector: &Connector, acceptor: &Acceptor) -> Self {
        let mut pair = Self::new(connector, acceptor);
        assert_eq!(pair.shake(), (Ok(Progress::Open), Ok(Progress::Open)));
        pair
    }

    /// Hands bytes over until nobody has anything to say; how far client and server came.
    fn shake(&mut self) -> (Outcome, Outcome) {
        self.shake_in(&mut std::iter::repeat(usize::MAX))
    }

    /// The same, in pieces of so many bytes.
    fn shake_in(&mut self, pieces: &mut dyn Iterator<Item = usize>) -> (Outcome, Outcome) {
        let mut reached = (Ok(Progress::Handshaking), Ok(Progress::Handshaking));
        for _ in 0..16 {
            let sent = std::mem::take(&mut self.to_server);
            let (out, read) = (&mut self.to_client, &mut self.at_server);
            reached.1 = deliver(&mut self.server, sent, out, read, pieces);
            let sent = std::mem::take(&mut self.to_client);
            let (out, read) = (&mut self.to_server, &mut self.at_client);
            reached.0 = deliver(&mut self.client, sent, out, read, pieces);
            if self.to_server.is_empty() {
                return reached;
            }
        }
        panic!("they never end");
    }
}

/// Hands `sent` to a session in pieces; what it reads goes to `read`, what it says to `out`.
fn deliver(
    session: &mut Session,
    mut sent: Vec<u8>,
    out: &mut Vec<u8>,
    read: &mut Vec<u8>,
    pieces: &mut dyn Iterator<Item = usize>,
) -> Outcome {
    let mut rest = sent.as_mut_slice();
    let mut reached = session.receive(&mut [], out, |bytes| read.extend_from_slice(bytes));
    while !rest.is_empty() {
        let piece = pieces.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (first, after) = rest.split_at_mut(piece);
        reached = session.receive(first, out, |bytes| read.extend_from_slice(bytes));
        rest = after;
    }
    reached
}

/// A plan for TLS 1.2, a connector whose keys may seal so many `records`, and a server for it.
pub(crate) fn wearing_out(records: u64) -> (Tls, Connector, Acceptor) {
    let authority = Authority::new();
    let plan = Tls { versions: (TlsVersion::Tls12, TlsVersion::Tls12), ..authority.plan() };
    let mut provider = super::config::provider(&plan).unwrap();
    provider.cipher_suites.retain_mut(|suite| {
        let SupportedCipherSuite::Tls12(whole) = suite else { return false };
        let common = CipherSuiteCommon { confidentiality_limit: records, ..whole.common };
        let limited = Tls12CipherSuite { common, ..**whole };
        *suite = SupportedCipherSuite::Tls12(Box::leak(Box::new(limited)));
        true
    });
    let connector = Connector::with(&plan, provider).unwrap();
    (plan, connector, Acceptor::new(&authority.good(), &[]).unwrap())
}

#[test]
fn keys_that_cannot_be_renewed_say_when_they_are_worn_before_they_are_worn_out() {
    let (_, connector, acceptor) = wearing_out(512);
    let mut pair = Pair::open(&connector, &acceptor);
    assert!(!pair.client.is_worn() && !pair.server.is_worn());
    let (mut out, mut sealed) = (Vec::new(), 1);
    while !pair.client.is_worn() {
        pair.client.write(b"x", &mut out).unwrap();
        sealed += 1;
    }
    // Two of 512 are left for what has begun; of what takes two at once, both are counted.
    assert_eq!(sealed, 510);
    pair.client.write(&vec![b'x'; PLAIN_MAX + 1], &mut out).unwrap();
    assert_eq!(pair.client.write(b"x", &mut out), Err(TlsTrouble::WornOut));
    // TLS 1.3 renews its keys, and has no end.
    let (connector, acceptor, _) = sides(Authority::plan);
    let mut pair = Pair::open(&connector, &acceptor);
    (0..2_000).for_each(|_| pair.client.write(b"x", &mut out).unwrap());
    assert!(!pair.client.is_worn());
}

/// A connector, an acceptor with a good certificate, and who issued it.
fn sides(plan: impl FnOnce(&Authority) -> Tls) -> (Connector, Acceptor, Authority) {
    let authority = Authority::new();
    let connector = Connector::new(&plan(&authority)).unwrap();
    let acceptor = Acceptor::new(&authority.good(), &[]).unwrap();
    (connector, acceptor, authority)
}

#[test]
fn an_address_is_a_name_too() {
    let authority = Authority::new();
    for address in ["127.0.0.1", "::1"] {
        let plan = Tls { server_name: address.to_owned(), ..authority.plan() };
        assert!(address.parse::<IpAddr>().is_ok());
        let acceptor = Acceptor::new(&authority.issue(address, (2020, 4000)), &[]).unwrap();
        Pair::open(&Connector::new(&plan).unwrap(), &acceptor);
    }
}
