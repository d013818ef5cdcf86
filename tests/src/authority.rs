//! An authority that issues what a server may show, be it right or wrong.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

/// An authority with a folder for what it issues, which is gone when this is dropped.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Whom it is for.
    pub host: &'a str,
    /// The years from whose first day on, and up to whose first day, it is valid.
    pub years: (i32, i32),
}

/// The files of a certificate and of its key, in PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key to it.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one that is called `name`, and that nobody knows yet.
    ///
    /// # Errors
    /// If its folder cannot be written.
    pub fn new(name: &str) -> io::Result<Self> {
        let mut own = CertificateParams::default();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        own.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(own, key).map_err(io::Error::other)?;
        let authority = Self { folder: tempfile::tempdir()?, issuer };
        fs::write(authority.root(), authority.issuer.pem())?;
        Ok(authority)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whom a client must believe, in PEM.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path().join("root.pem")
    }

    /// Issues a certificate, in files that are called `name`.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn issue(&self, name: &str, wanted: Wanted<'_>) -> io::Result<Issued> {
        let (key, pem) = self.sign(wanted).map_err(io::Error::other)?;
        let file = |end: &str| self.path().join(format!("{name}-{end}.pem"));
        let issued = Issued { certificate: file("certificate"), key: file("key") };
        fs::write(&issued.certificate, pem)?;
        fs::write(&issued.key, key.serialize_pem())?;
        Ok(issued)
    }

    fn sign(&self, wanted: Wanted<'_>) -> Result<(KeyPair, String), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([wanted.host.to_owned()])?;
        params.not_before = date_time_ymd(wanted.years.0, 1, 1);
        params.not_after = date_time_ymd(wanted.years.1, 1, 1);
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok((key, pem))
    }
}
