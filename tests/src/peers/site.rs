//! What every server serves: files of known sizes, and a certificate for `localhost` and
//! `127.0.0.1`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// The sizes of the files, each named by its size.
pub const SIZES: [u64; 5] = [0, 13, 16 * 1024, 1024 * 1024, 10_000_000];

/// A folder with all that a server needs. It is gone when this is dropped.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
}

impl Site {
    /// Makes files, an authority and a certificate.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn new() -> io::Result<Self> {
        let site = Self { folder: tempfile::tempdir()? };
        fs::create_dir(site.files())?;
        for size in SIZES {
            // Zeros that take no room on the disk: nobody looks at what they say.
            File::create(site.files().join(size.to_string()))?.set_len(size)?;
        }
        fs::write(site.files().join("take"), "ok")?;
        site.certify().map_err(io::Error::other)?;
        Ok(site)
    }

    fn certify(&self) -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        fs::write(self.authority(), authority.pem())?;
        fs::write(self.certificate(), leaf.pem())?;
        fs::write(self.key(), key.serialize_pem())?;
        fs::write(self.certificate_and_key(), leaf.pem() + &key.serialize_pem())?;
        Ok(())
    }

    /// The folder that holds everything, and what a server writes.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.path().join("files")
    }

    /// Whom a client must believe, in PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.path().join("authority.pem")
    }

    /// The server's certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path().join("certificate.pem")
    }

    /// The key to it, in PEM.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.path().join("key.pem")
    }

    /// Both in one file, as haproxy wants them.
    #[must_use]
    pub fn certificate_and_key(&self) -> PathBuf {
        self.path().join("both.pem")
    }
}
