//! What cannot be configured has a name, and a line that says so.

use std::sync::Arc;

use super::super::{Acceptor, ConfigError, Connector, is_root};
use super::{Authority, HOST, names};
use crate::plan::{Group, Identity, Tls, TlsVersion, Trust};

fn error_of(plan: &Tls) -> ConfigError {
    Connector::new(plan).err().unwrap()
}

#[test]
fn roots_must_be_there_and_readable() {
    let authority = Authority::new();
    let none = Tls { trust: Trust::Roots(Arc::new([])), ..authority.plan() };
    assert_eq!(error_of(&none), ConfigError::NoRoots);
    let roots = Arc::new([authority.root.clone(), b"not a certificate".to_vec()]);
    let bad = error_of(&Tls { trust: Trust::Roots(roots), ..authority.plan() });
    assert!(matches!(bad, ConfigError::BadRoot { index: 1, .. }), "{bad:?}");
    assert_eq!(
        bad.to_string(),
        "root certificate number 2 cannot be read: \
         invalid peer certificate: BadEncoding"
    );
    assert!(is_root(&authority.root));
    assert!(!is_root(b"not a certificate"));
}

#[test]
fn an_identity_must_be_whole() {
    let authority = Authority::new();
    let good = authority.good();
    let other = authority.good();
    let junk = b"junk".to_vec();
    let of = |identity: Identity| {
        let client = error_of(&Tls { identity: Some(identity.clone()), ..authority.plan() });
        let server = Acceptor::new(&identity, &[]).err().unwrap();
        assert_eq!(client, server);
        client
    };
    assert_eq!(of(Identity { chain: vec![], ..good.clone() }), ConfigError::NoChain);
    assert_eq!(of(Identity { key: junk.clone(), ..good.clone() }), ConfigError::BadKey);
    assert_eq!(of(Identity { key: other.key, ..good.clone() }), ConfigError::KeyMismatch);
    let chain = vec![good.chain[0].clone(), junk];
    let bad = of(Identity { chain, ..good.clone() });
    assert!(matches!(bad, ConfigError::BadChain { index: 1, .. }), "{bad:?}");
    Connector::new(&Tls { identity: Some(good), ..authority.plan() }).unwrap();
}

#[test]
fn names_must_be_possible() {
    let authority = Authority::new();
    for name in ["", "two words", "-", "[::1]"] {
        let bad = error_of(&Tls { server_name: name.to_owned(), ..authority.plan() });
        assert_eq!(bad, ConfigError::BadName(name.to_owned()));
    }
    for name in [String::new(), "x".repeat(256)] {
        let plan = Tls { alpn: vec![name.clone()], ..authority.plan() };
        assert_eq!(error_of(&plan), ConfigError::BadProtocol(name.clone()));
        let server = Acceptor::new(&authority.good(), &plan.alpn).err();
        assert_eq!(server, Some(ConfigError::BadProtocol(name)));
    }
    let plan = Tls { alpn: names(&["h2", &"x".repeat(255)]), ..authority.plan() };
    Connector::new(&plan).unwrap();
}

#[test]
fn versions_and_groups_must_leave_something() {
    let authority = Authority::new();
    let (min, max) = (TlsVersion::Tls13, TlsVersion::Tls12);
    let none = error_of(&Tls { versions: (min, max), ..authority.plan() });
    assert_eq!(none, ConfigError::NoVersion { min, max });
    assert_eq!(none.to_string(), "no version is from TLS 1.3 up to TLS 1.2");
    let none = error_of(&Tls { groups: Vec::new(), ..authority.plan() });
    assert_eq!(none, ConfigError::NoGroup(TlsVersion::Tls13));
    let hybrid = vec![Group::X25519MlKem768];
    let none = error_of(&Tls { groups: hybrid.clone(), ..authority.plan_of(max) });
    assert_eq!(none, ConfigError::NoGroup(TlsVersion::Tls12));
    let made = Connector::new(&Tls { groups: hybrid, ..authority.plan() });
    #[cfg(feature = "aws-lc")]
    made.unwrap();
    #[cfg(not(feature = "aws-lc"))]
    assert_eq!(made.err(), Some(ConfigError::GroupUnavailable(Group::X25519MlKem768)));
}

#[test]
fn a_server_that_asks_needs_roots() {
    let authority = Authority::new();
    let acceptor = Acceptor::asking(&authority.good(), &[], &[]);
    assert_eq!(acceptor.err(), Some(ConfigError::NoRoots));
}

#[test]
fn secrets_are_not_printed() {
    let authority = Authority::new();
    let connector = Connector::new(&authority.plan()).unwrap();
    let printed = format!("{connector:?}");
    assert!(printed.contains(HOST), "{printed}");
    assert!(!printed.contains("tickets:"), "{printed}");
}
