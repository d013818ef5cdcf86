//! From what a plan asks of TLS to what the library takes: the client's side.

use std::sync::Arc;

use rustls::client::{Resumption as Store, Tls12Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, Error, InconsistentKeys, NamedGroup, RootCertStore, SupportedProtocolVersion,
};

use super::arithmetic;
use super::sessions::Sessions;
use super::verifier::{Remembering, Trusting};
use super::{ConfigError, Session};
use crate::plan::{Group, Identity, Resumption, Tls, TlsVersion, Trust};
use crate::record::TlsTrouble;

/// Makes the sessions of one shard's connections to one server.
#[derive(Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Connector {
    /// Makes everything ready that connections have in common.
    ///
    /// # Errors
    ///
    /// If the plan asks for what cannot be: each case has its name.
    pub fn new(plan: &Tls) -> Result<Self, ConfigError> {
        Self::with(plan, provider(plan)?)
    }

    /// The same with `provider` for the arithmetic.
    pub(super) fn with(plan: &Tls, provider: CryptoProvider) -> Result<Self, ConfigError> {
        let name = ServerName::try_from(plan.server_name.clone())
            .map_err(|_| ConfigError::BadName(plan.server_name.clone()))?;
        let versions = versions(plan.versions)?;
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| refused(&error))?;
        let builder = match &plan.trust {
            Trust::Roots(roots) => {
                let roots = Arc::new(roots_of(roots)?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                    .build()
                    .map_err(|error| ConfigError::Refused(error.to_string()))?;
                let verifier = Arc::new(Remembering::new(verifier));
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
            Trust::Anybody => {
                let schemes = provider.signature_verification_algorithms.supported_schemes();
                let verifier = Arc::new(Trusting::new(schemes));
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
        };
        let mut config = match &plan.identity {
            Some(identity) => {
                let key = SingleCertAndKey::from(certified(identity, &provider)?);
                builder.with_client_cert_resolver(Arc::new(key))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols(&plan.alpn)?;
        config.resumption = match plan.resumption {
            Resumption::On => Store::store(Arc::new(Sessions::kept())),
            Resumption::Off => Store::store(Arc::new(Sessions::dropped()))
                .tls12_resumption(Tls12Resumption::Disabled),
        };
        Ok(Self { config: Arc::new(config), name })
    }

    /// A session for a new connection; [`Session::begin`] makes what is sent first.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn connect(&self) -> Result<Session, TlsTrouble> {
        Session::client(Arc::clone(&self.config), self.name.clone())
    }
}

/// Whether `der` is a certificate that can be trusted as a root. Systems' collections hold some
/// that cannot, and those who collect leave them out.
#[must_use]
pub fn is_root(der: &[u8]) -> bool {
    RootCertStore::empty().add(CertificateDer::from(der)).is_ok()
}

pub(super) fn refused(error: &Error) -> ConfigError {
    ConfigError::Refused(error.to_string())
}

/// The versions from the oldest to the newest.
fn versions(
    (min, max): (TlsVersion, TlsVersion),
) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    match (min, max) {
        (TlsVersion::Tls12, TlsVersion::Tls12) => Ok(vec![&TLS12]),
        (TlsVersion::Tls12, TlsVersion::Tls13) => Ok(vec![&TLS13, &TLS12]),
        (TlsVersion::Tls13, TlsVersion::Tls13) => Ok(vec![&TLS13]),
        (TlsVersion::Tls13, TlsVersion::Tls12) => Err(ConfigError::NoVersion { min, max }),
    }
}

/// The arithmetic, with the groups of the plan in its order.
pub(super) fn provider(plan: &Tls) -> Result<CryptoProvider, ConfigError> {
    let (_, newest) = plan.versions;
    // The hybrid group came after TLS 1.2.
    let usable = |group: &Group| newest > TlsVersion::Tls12 || *group != Group::X25519MlKem768;
    if !plan.groups.iter().any(usable) {
        return Err(ConfigError::NoGroup(newest));
    }
    let kx_groups = plan.groups.iter().map(|&group| group_of(group)).collect::<Result<_, _>>()?;
    Ok(CryptoProvider { kx_groups, ..arithmetic::default_provider() })
}

fn group_of(group: Group) -> Result<&'static dyn SupportedKxGroup, ConfigError> {
    let mut groups = arithmetic::ALL_KX_GROUPS.iter().copied();
    let found = groups.find(|found| found.name() == named(group));
    found.ok_or(ConfigError::GroupUnavailable(group))
}

/// The group as the library calls it.
pub(super) fn named(group: Group) -> NamedGroup {
    match group {
        Group::X25519 => NamedGroup::X25519,
        Group::Secp256r1 => NamedGroup::secp256r1,
        Group::Secp384r1 => NamedGroup::secp384r1,
        Group::X25519MlKem768 => NamedGroup::X25519MLKEM768,
    }
}

/// The roots as the library stores them.
pub(super) fn roots_of(ders: &[Vec<u8>]) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for (index, der) in ders.iter().enumerate() {
        roots
            .add(CertificateDer::from(der.as_slice()))
            .map_err(|error| ConfigError::BadRoot { index, reason: error.to_string() })?;
    }
    if roots.is_empty() { Err(ConfigError::NoRoots) } else { Ok(roots) }
}

/// The identity as the library takes it, once it is certain that its parts belong together.
pub(super) fn certified(
    identity: &Identity,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ConfigError> {
    let chain = |der: &Vec<u8>| CertificateDer::from(der.clone());
    let chain: Vec<_> = identity.chain.iter().map(chain).collect();
    if chain.is_empty() {
        return Err(ConfigError::NoChain);
    }
    for (index, der) in chain.iter().enumerate() {
        ParsedCertificate::try_from(der)
            .map_err(|error| ConfigError::BadChain { index, reason: error.to_string() })?;
    }
    let key = PrivateKeyDer::try_from(identity.key.clone()).map_err(|_| ConfigError::BadKey)?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| ConfigError::BadKey)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // A key that does not know its public half is believed; the peer will find out.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(ConfigError::KeyMismatch),
        Err(error) => Err(refused(&error)),
    }
}

/// Names of protocols as they are offered (RFC 7301 section 3.1).
pub(super) fn protocols(names: &[String]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let sized = |name: &String| match name.len() {
        1..=255 => Ok(name.as_bytes().to_vec()),
        _ => Err(ConfigError::BadProtocol(name.clone())),
    };
    names.iter().map(sized).collect()
}
