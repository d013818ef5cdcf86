//! Certificates and keys from PEM files (RFC 7468).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rustls_pki_types::pem::{self, PemObject, SectionKind};

use crate::args::Quoted;

/// Larger than any file of certificates.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A section that is known by its name, and what it holds in DER.
type Section = (SectionKind, Vec<u8>);

/// The certificates in the file that `flag` names, in DER; never none.
pub(crate) fn certificates(flag: &str, path: &Path) -> Result<Vec<Vec<u8>>> {
    within(flag, path, |text| {
        let sections = sections(text, "CERTIFICATE")?;
        let of_kind = |(kind, der): Section| (kind == SectionKind::Certificate).then_some(der);
        let found: Vec<Vec<u8>> = sections.into_iter().filter_map(of_kind).collect();
        ensure!(
            !found.is_empty(),
            "has no certificate; it needs a part -----BEGIN CERTIFICATE-----"
        );
        Ok(found)
    })
}

/// The one private key in the file that `flag` names, in DER.
pub(crate) fn key(flag: &str, path: &Path) -> Result<Vec<u8>> {
    within(flag, path, |text| {
        ensure!(
            !holds(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
                && !holds(text, b"Proc-Type: 4,ENCRYPTED"),
            "has a key that is encrypted; decrypt it, for example with `openssl pkey -in FILE`"
        );
        let is_key = |kind: SectionKind| {
            matches!(
                kind,
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
            )
        };
        let sections = sections(text, "PRIVATE KEY")?.into_iter();
        let mut keys = sections.filter_map(|(kind, der)| is_key(kind).then_some(der));
        let key = keys.next();
        let key = key.context("has no private key; it needs a part -----BEGIN PRIVATE KEY-----")?;
        let more = keys.count();
        ensure!(more == 0, "has {} private keys; leave the one that belongs to --cert", more + 1);
        Ok(key)
    })
}

/// What `understand` makes of the file; whatever is wrong is said with its flag and name.
fn within<T>(flag: &str, path: &Path, understand: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let typed = path.display().to_string();
    let text = read(path).with_context(|| format!("cannot read {flag} {}", Quoted(&typed)))?;
    understand(&text).map_err(|error| error.context(format!("{flag} {}", Quoted(&typed))))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 16 MiB; give a file of PEM"));
    }
    Ok(text)
}

/// All parts of a file whose names are known; a part that is called `wanted` is looked for.
fn sections(text: &[u8], wanted: &str) -> Result<Vec<Section>> {
    // A sequence is what DER begins with.
    if text.first() == Some(&0x30) && !holds(text, b"-----BEGIN") {
        bail!("is DER, not PEM; convert it, for example with `openssl x509 -inform der`");
    }
    ensure!(
        holds(text, b"-----BEGIN "),
        "is no PEM; it needs a line like -----BEGIN {wanted}-----"
    );
    Section::pem_slice_iter(text).map(|section| section.map_err(|error| broken(&error))).collect()
}

fn broken(error: &pem::Error) -> anyhow::Error {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a part of it has no line -----END",
        pem::Error::IllegalSectionStart { .. } => "a line -----BEGIN does not end with -----",
        pem::Error::Base64Decode(_) => "a part of it is no base64",
        _ => "a part of it cannot be read",
    };
    anyhow::anyhow!("is broken PEM: {reason}; export it again")
}

fn holds(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        file
    }

    fn section(name: &str, body: &str) -> String {
        format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n")
    }

    #[track_caller]
    fn check_refused<T: core::fmt::Debug>(result: Result<T>, words: &str) {
        let said = format!("{:#}", result.unwrap_err());
        assert!(said.contains("--flag \"") && said.contains(words), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn certificates_are_all_that_are_in_the_file_in_their_order() {
        let (one, two) = (section("CERTIFICATE", "AAEC"), section("CERTIFICATE", "AwQ="));
        let text = format!("a chain\n{one}{}{two}", section("PRIVATE KEY", "/w=="));
        let file = file(text.as_bytes());
        assert_eq!(certificates("--flag", file.path()).unwrap(), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(key("--flag", file.path()).unwrap(), [255]);
    }

    #[test]
    fn a_key_may_have_any_of_three_forms() {
        for name in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            let file = file(section(name, "AAEC").as_bytes());
            assert_eq!(key("--flag", file.path()).unwrap(), [0, 1, 2], "{name}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let certificate = section("CERTIFICATE", "AAEC");
        let private = section("PRIVATE KEY", "AAEC");
        for (text, words) in [
            ("", "is no PEM"),
            ("hello", "is no PEM"),
            ("0\u{1}", "is DER, not PEM"),
            (private.as_str(), "has no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAEC\n", "no line -----END"),
            ("-----BEGIN CERTIFICATE\nAAEC\n", "does not end with"),
            (&section("CERTIFICATE", "?"), "no base64"),
        ] {
            check_refused(certificates("--flag", file(text.as_bytes()).path()), words);
        }
        let twice = format!("{private}{private}");
        let encrypted = section("ENCRYPTED PRIVATE KEY", "AAEC");
        for (text, words) in [
            (certificate.as_str(), "has no private key"),
            (&twice, "has 2 private keys"),
            (&encrypted, "is encrypted"),
        ] {
            check_refused(key("--flag", file(text.as_bytes()).path()), words);
        }
        check_refused(key("--flag", Path::new("/no/such")), "No such file");
        check_refused(key("--flag", Path::new("/")), "directory");
        check_refused(key("--flag", Path::new("/dev/zero")), "larger than 16 MiB");
    }
}
