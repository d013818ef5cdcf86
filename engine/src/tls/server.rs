//! The server's side, for the built-in target: whoever accepts a connection makes a session with
//! it.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

use super::config::{certified, protocols, refused, roots_of};
use super::{ConfigError, Session, arithmetic};
use crate::plan::Identity;
use crate::record::TlsTrouble;

/// Makes the sessions of accepted connections.
///
/// It is cheap to clone. Threads which serve the same address share one, for each takes up the
/// sessions that any of them has begun.
#[derive(Clone, Debug)]
pub struct Acceptor {
    pub(super) config: Arc<ServerConfig>,
}

impl Acceptor {
    /// Shows `identity`, and speaks the protocols in `alpn`, the preferred one first; with none it
    /// agrees to none. Speaks TLS 1.2 and 1.3, gives tickets, and asks nobody for a certificate.
    ///
    /// # Errors
    ///
    /// If the identity or a name cannot be used.
    pub fn new(identity: &Identity, alpn: &[String]) -> Result<Self, ConfigError> {
        Self::make(identity, alpn, None)
    }

    /// The same, but takes only clients that show a certificate issued under one of `roots` (DER).
    ///
    /// # Errors
    ///
    /// If the identity, a name or a root cannot be used.
    pub fn asking(
        identity: &Identity,
        alpn: &[String],
        roots: &[Vec<u8>],
    ) -> Result<Self, ConfigError> {
        Self::make(identity, alpn, Some(roots))
    }

    fn make(
        identity: &Identity,
        alpn: &[String],
        roots: Option<&[Vec<u8>]>,
    ) -> Result<Self, ConfigError> {
        let provider = Arc::new(arithmetic::default_provider());
        let clients = match roots {
            Some(roots) => {
                let roots = Arc::new(roots_of(roots)?);
                WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
                    .build()
                    .map_err(|error| ConfigError::Refused(error.to_string()))?
            }
            None => Arc::new(NoClientAuth),
        };
        let key = SingleCertAndKey::from(certified(identity, &provider)?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(key));
        config.alpn_protocols = protocols(alpn)?;
        config.ticketer = arithmetic::Ticketer::new().map_err(|error| refused(&error))?;
        // Tickets hold all that there is to know; a table would be one that all threads wait for.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config) })
    }

    /// A session for an accepted connection. The client speaks first.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn accept(&self) -> Result<Session, TlsTrouble> {
        Session::server(Arc::clone(&self.config))
    }
}
