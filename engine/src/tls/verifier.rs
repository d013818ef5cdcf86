//! Whether the server is who it says: by the roots, with a memory for the last chain, or not at
//! all.
//!
//! Looking into a chain costs as much as the rest of a handshake, and a load test sees the same
//! chain thousands of times per second. What was found good is therefore found good again for a
//! minute. The server's signature, which proves that it has the key, is verified each time all the
//! same.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// How long a verified chain stays verified: a certificate that expires is noticed so much later.
const REMEMBERED: Duration = Duration::from_secs(60);

/// A chain that was found good.
#[derive(Debug)]
struct Verified {
    at: UnixTime,
    name: ServerName<'static>,
    end_entity: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
}

impl Verified {
    fn covers(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> bool {
        // A clock that was set back makes no time that has passed, and nothing is remembered then.
        let age = now.as_secs().checked_sub(self.at.as_secs());
        age.is_some_and(|age| age < REMEMBERED.as_secs())
            && self.end_entity == *end_entity
            && self.intermediates == intermediates
            && self.name == *name
    }
}

/// Verifies by the roots, and remembers the last chain that was good.
#[derive(Debug)]
pub(super) struct Remembering {
    verifier: Arc<WebPkiServerVerifier>,
    /// One chain: a connector has one server. The library wants verifiers that threads can share; a
    /// shard shares its own with nobody, so nobody ever waits for this lock.
    last: Mutex<Option<Verified>>,
}

impl Remembering {
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Self { verifier, last: Mutex::new(None) }
    }
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut last = self.last.try_lock().ok();
        let known = last.as_deref().and_then(Option::as_ref);
        if known.is_some_and(|known| known.covers(end_entity, intermediates, server_name, now)) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        if let Some(last) = &mut last {
            **last = Some(Verified {
                at: now,
                name: server_name.to_owned(),
                end_entity: end_entity.clone().into_owned(),
                intermediates: intermediates.iter().map(|der| der.clone().into_owned()).collect(),
            });
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Believes everybody: neither the chain nor the server's signature is looked at, so that a
/// handshake costs no more than with a generator that does not verify.
#[derive(Debug)]
pub(super) struct Trusting {
    schemes: Vec<SignatureScheme>,
}

impl Trusting {
    /// Offers the signatures in `schemes`, for a server must choose one.
    pub(super) fn new(schemes: Vec<SignatureScheme>) -> Self {
        Self { schemes }
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
