//! What the verifier remembers, and for how long.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::super::arithmetic;
use super::super::trouble::trouble;
use super::super::verifier::Remembering;
use super::{Authority, HOST};
use crate::record::TlsTrouble;

/// The first second of 2030, when the certificates of these tests expire.
const EXPIRY: u64 = 1_893_456_000;

struct Bench {
    verifier: Remembering,
    leaf: CertificateDer<'static>,
    other: CertificateDer<'static>,
}

fn bench() -> Bench {
    let authority = Authority::new();
    let mut roots = RootCertStore::empty();
    roots.add(authority.root.clone().into()).unwrap();
    let provider = Arc::new(arithmetic::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let leaf = |name: &str| authority.issue(name, (2020, 2030)).chain.remove(0).into();
    Bench {
        verifier: Remembering::new(inner.build().unwrap()),
        leaf: leaf(HOST),
        other: leaf("other.example"),
    }
}

impl Bench {
    fn verify(&self, leaf: &CertificateDer<'_>, name: &str, at: u64) -> Result<(), TlsTrouble> {
        self.verify_led(leaf, &[], name, at)
    }

    fn verify_led(
        &self,
        leaf: &CertificateDer<'_>,
        led_by: &[CertificateDer<'_>],
        name: &str,
        at: u64,
    ) -> Result<(), TlsTrouble> {
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let verified = self.verifier.verify_server_cert(leaf, led_by, &name, &[], now);
        verified.map(drop).map_err(|error| trouble(&error, true))
    }
}

#[test]
fn a_good_chain_stays_good_for_a_minute() {
    let bench = bench();
    let begun = EXPIRY - 10;
    assert_eq!(bench.verify(&bench.leaf, HOST, begun), Ok(()));
    // Only the memory lets it pass: it has expired.
    assert_eq!(bench.verify(&bench.leaf, HOST, begun + 59), Ok(()));
    assert_eq!(bench.verify(&bench.leaf, HOST, begun + 60), Err(TlsTrouble::Expired));
    // What was bad is not remembered, and what was good is not forgotten for it.
    assert_eq!(bench.verify(&bench.leaf, HOST, begun + 59), Ok(()));
}

#[test]
fn the_memory_is_for_one_chain_and_one_name() {
    let bench = bench();
    let begun = EXPIRY - 10;
    assert_eq!(bench.verify(&bench.leaf, HOST, begun), Ok(()));
    assert_eq!(bench.verify(&bench.leaf, "other.example", begun), Err(TlsTrouble::WrongName));
    assert_eq!(bench.verify(&bench.other, HOST, begun), Err(TlsTrouble::WrongName));
    assert_eq!(bench.verify(&bench.other, "other.example", begun), Ok(()));
    // Whether these certificates lead anywhere has never been looked at.
    let beside = std::slice::from_ref(&bench.leaf);
    assert_eq!(bench.verify(&bench.other, "other.example", EXPIRY + 1), Ok(()));
    let led = bench.verify_led(&bench.other, beside, "other.example", EXPIRY + 1);
    assert_eq!(led, Err(TlsTrouble::Expired));
    // The other one has taken the place.
    assert_eq!(bench.verify(&bench.leaf, HOST, begun + 11), Err(TlsTrouble::Expired));
}

#[test]
fn a_clock_that_was_set_back_makes_the_verifier_look_again() {
    let bench = bench();
    assert_eq!(bench.verify(&bench.leaf, HOST, EXPIRY - 10), Ok(()));
    let years = 20 * 365 * 24 * 3600;
    assert_eq!(bench.verify(&bench.leaf, HOST, EXPIRY - years), Err(TlsTrouble::NotYetValid));
}
