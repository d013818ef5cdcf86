//! What the server shows: a certificate of the user's, or one that is made when it starts.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use pummel_engine::plan::Identity;
use pummel_engine::tls::Acceptor;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::ServeError;
use crate::args::Quoted;
use crate::config::pem;

/// What is spoken over TLS, the preferred one first.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Certificate {
    identity: Identity,
    /// Its text, if it was made here.
    text: String,
    /// What to say if it cannot be used.
    source: String,
}

impl Certificate {
    /// Reads what these files hold.
    ///
    /// # Errors
    /// If they do not hold it.
    pub(super) fn read(cert: &Path, key: &Path) -> Result<Self, ServeError> {
        let read = || -> Result<Identity> {
            let chain = pem::certificates("--cert", cert)?;
            Ok(Identity { chain, key: pem::key("--key", key)? })
        };
        let identity = read().map_err(ServeError::Certificate)?;
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let source = format!("--cert {} with --key {}", Quoted(&cert), Quoted(&key));
        Ok(Self { identity, text: String::new(), source })
    }

    /// Makes one for whoever may be meant by `listen`, which nobody else has signed.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(super) fn make(listen: IpAddr) -> Result<Self, ServeError> {
        let mut names = vec!["localhost".to_owned()];
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for address in loopback.into_iter().chain([listen]) {
            if !address.is_unspecified() && !names.contains(&address.to_string()) {
                names.push(address.to_string());
            }
        }
        let made = generate_simple_self_signed(names).context("cannot make a certificate");
        let CertifiedKey { cert, signing_key } = made.map_err(ServeError::Certificate)?;
        let (chain, key) = (vec![cert.der().to_vec()], signing_key.serialize_der());
        let source = "the certificate that was made".to_owned();
        Ok(Self { identity: Identity { chain, key }, text: cert.pem(), source })
    }

    /// Writes it to a file, without its key.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), ServeError> {
        let typed = path.display().to_string();
        fs::write(path, &self.text)
            .with_context(|| format!("--write-cert {}", Quoted(&typed)))
            .context("name a file that can be written")
            .map_err(ServeError::Certificate)
    }

    /// What makes the sessions of a server that shows it.
    ///
    /// # Errors
    /// If certificate and key do not do.
    pub(super) fn acceptor(&self) -> Result<Acceptor, ServeError> {
        Acceptor::new(&self.identity, &PROTOCOLS.map(str::to_owned))
            .map_err(|error| {
                let source = &self.source;
                anyhow!("{source}: {error}; give a certificate and the key that belongs to it")
            })
            .map_err(ServeError::Certificate)
    }
}
