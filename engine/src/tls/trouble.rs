//! The library's errors in our words: what a configuration lacks, and what happened to a
//! connection.

use rustls::{CertificateError, Error};

use crate::plan::{Group, TlsVersion};
use crate::record::TlsTrouble;

/// A configuration that cannot be used. Whoever read the files adds their names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nobody is trusted, so no certificate could be valid.
    #[error("there is no root certificate to trust")]
    NoRoots,
    /// A root cannot be read; roots are counted from 0.
    #[error("root certificate number {} cannot be read: {reason}", index + 1)]
    BadRoot {
        /// Which one.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate of the identity cannot be read; the first one is the identity's own.
    #[error("certificate number {} of the chain cannot be read: {reason}", index + 1)]
    BadChain {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The identity has no certificate.
    #[error("there is no certificate")]
    NoChain,
    /// The key is none that can be used.
    #[error("the private key is neither RSA, ECDSA nor EdDSA in PKCS#8, SEC1 or PKCS#1")]
    BadKey,
    /// The key is another certificate's.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The server's name can stand in no certificate.
    #[error("`{0}` is neither a host name nor an address that a certificate could be for")]
    BadName(String),
    /// The name of a protocol cannot be offered.
    #[error("`{0}` cannot be offered as a protocol: names have 1 to 255 bytes")]
    BadProtocol(String),
    /// The arithmetic that was built in does not have the group.
    #[error("the group {} is not in this build; build with the feature `aws-lc`", .0.name())]
    GroupUnavailable(Group),
    /// No group is left for the versions.
    #[error("TLS {} has none of the groups that are offered; offer x25519 as well", .0.name())]
    NoGroup(TlsVersion),
    /// The oldest version is newer than the newest.
    #[error("no version is from TLS {} up to TLS {}", min.name(), max.name())]
    NoVersion {
        /// The oldest.
        min: TlsVersion,
        /// The newest.
        max: TlsVersion,
    },
    /// The library refused for a reason that has no name here.
    #[error("TLS cannot be configured: {0}")]
    Refused(String),
}

/// What `error` means for the connection. `met` says whether the peer has said anything in TLS.
pub(super) fn trouble(error: &Error, met: bool) -> TlsTrouble {
    match error {
        Error::AlertReceived(alert) => TlsTrouble::Alert(u8::from(*alert)),
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => TlsTrouble::BadCertificate,
        Error::UnsupportedNameType => TlsTrouble::WrongName,
        Error::NoApplicationProtocol => TlsTrouble::AlpnRefused,
        Error::PeerIncompatible(_) => TlsTrouble::NothingInCommon,
        Error::DecryptError => TlsTrouble::Undecryptable,
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord if !met => TlsTrouble::NotTls,
        Error::InvalidMessage(_)
        | Error::PeerSentOversizedRecord
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_) => TlsTrouble::Misbehaved,
        _ => TlsTrouble::Internal,
    }
}

fn certificate(error: &CertificateError) -> TlsTrouble {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsTrouble::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsTrouble::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsTrouble::WrongName
        }
        CertificateError::UnknownIssuer => TlsTrouble::UnknownIssuer,
        CertificateError::Revoked => TlsTrouble::Revoked,
        _ => TlsTrouble::BadCertificate,
    }
}
