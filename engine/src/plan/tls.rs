//! What is asked of TLS: bytes and choices, checked by whoever makes the configuration from them.

use std::sync::Arc;

/// How connections to the server are secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The name that the certificate must be for, which is also what the server is told (SNI); an
    /// address without brackets if it is one.
    pub server_name: String,
    /// Whom to believe.
    pub trust: Trust,
    /// What this side shows, if it is asked.
    pub identity: Option<Identity>,
    /// The versions that are offered, from the oldest to the newest.
    pub versions: (TlsVersion, TlsVersion),
    /// Groups for the key exchange, the preferred one first. Never empty.
    pub groups: Vec<Group>,
    /// Protocols that are offered, the preferred one first; empty for none (RFC 7301).
    pub alpn: Vec<String>,
    /// Whether a new connection takes up the session of an earlier one.
    pub resumption: Resumption,
}

/// Whom to believe that it is the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Certificates issued under one of these roots, each in DER.
    Roots(Arc<[Vec<u8>]>),
    /// Anybody: nothing is verified.
    Anybody,
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate first, then those that lead to its root, each in DER.
    pub chain: Vec<Vec<u8>>,
    /// The private key: PKCS#8, SEC1 or PKCS#1, in DER.
    pub key: Vec<u8>,
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // A key is nobody's business.
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// A version of TLS. There are no older ones: RFC 8996 has done away with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// A group for the key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// RFC 7748.
    X25519,
    /// NIST P-256.
    Secp256r1,
    /// NIST P-384.
    Secp384r1,
    /// X25519 together with ML-KEM-768, which quantum computers do not break.
    X25519MlKem768,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::X25519, Self::Secp256r1, Self::Secp384r1, Self::X25519MlKem768];

    /// The name, as TLS registers it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X25519 => "x25519",
            Self::Secp256r1 => "secp256r1",
            Self::Secp384r1 => "secp384r1",
            Self::X25519MlKem768 => "X25519MLKEM768",
        }
    }
}

/// Whether a new connection takes up the session of an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resumption {
    /// Every handshake is a full one.
    #[default]
    Off,
    /// Where the server has given a ticket.
    On,
}
