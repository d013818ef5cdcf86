//! The cookies that users have in the end, in the file format that curl reads.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pummel_engine::cookies::Cookie;
use tempfile::{Builder, NamedTempFile};

use crate::args::Quoted;
use crate::config::HTTP_ONLY;

/// What the first line of such a file is.
const TITLE: &str = "# Netscape HTTP Cookie File";

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// A file that can be written, as far as was to be seen before the run.
#[derive(Debug)]
pub(crate) struct CookieFile(PathBuf);

impl CookieFile {
    /// Tries whether a file can be made in its folder; what is at `path` stays as it is.
    ///
    /// # Errors
    /// If not, in a line.
    pub(crate) fn prepare(path: &Path) -> Result<Self> {
        let shown = path.to_string_lossy();
        let file = Self(match fs::canonicalize(path) {
            // What is renamed onto a device or a folder would take its place.
            Ok(whole) if !whole.is_file() => {
                bail!("--cookies-save {} is no regular file; give another name", Quoted(&shown))
            }
            Ok(whole) => whole,
            Err(_) => path.to_path_buf(),
        });
        let tried = file.beside();
        tried.with_context(|| format!("--cookies-save {} cannot be written", Quoted(&shown)))?;
        Ok(file)
    }

    /// Writes them; the file appears whole or not at all. It is for its owner alone, since cookies
    /// are secrets.
    ///
    /// # Errors
    /// If the file cannot be written; then what was there before is there still.
    pub(crate) fn write(&self, cookies: &[Cookie]) -> Result<()> {
        let failed = || format!("cannot write {}", Quoted(&self.0.to_string_lossy()));
        let mut file = self.beside().with_context(failed)?;
        let written = write(cookies, &mut file).and_then(|()| file.flush());
        written.with_context(failed)?;
        file.persist(&self.0).map_err(|refused| refused.error).with_context(failed)?;
        Ok(())
    }

    fn beside(&self) -> io::Result<NamedTempFile> {
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        Builder::new().prefix(".pummel-").tempfile_in(folder.unwrap_or(Path::new(".")))
    }
}

fn write(cookies: &[Cookie], to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{TITLE}\n")?;
    for cookie in cookies {
        if cookie.http_only {
            to.write_all(HTTP_ONLY.as_bytes())?;
        }
        if !cookie.host_only {
            to.write_all(b".")?;
        }
        to.write_all(&cookie.domain)?;
        let switch = |on: bool| if on { "TRUE" } else { "FALSE" };
        write!(to, "\t{}\t", switch(!cookie.host_only))?;
        to.write_all(&cookie.path)?;
        let seconds = cookie.expires.map_or(0, |expires| expires.get() / SECOND);
        write!(to, "\t{}\t{seconds}\t", switch(cookie.secure))?;
        to.write_all(&cookie.name)?;
        to.write_all(b"\t")?;
        to.write_all(&cookie.value)?;
        writeln!(to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_engine::units::Nanos;

    #[test]
    fn a_cookie_is_a_line_of_seven_columns() {
        let cookie = Cookie {
            name: b"a".to_vec(),
            value: b"1=2".to_vec(),
            domain: b"example.org".to_vec(),
            host_only: true,
            path: b"/x".to_vec(),
            secure: false,
            http_only: false,
            expires: None,
            set: Nanos::ZERO,
        };
        let other = Cookie {
            host_only: false,
            secure: true,
            http_only: true,
            expires: Some(Nanos::from_millis(1_700_000_000_900)),
            ..cookie.clone()
        };
        let mut out = Vec::new();
        write(&[cookie, other], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines = "# Netscape HTTP Cookie File\n\nexample.org\tFALSE\t/x\tFALSE\t0\ta\t1=2\n\
                     #HttpOnly_.example.org\tTRUE\t/x\tTRUE\t1700000000\ta\t1=2\n";
        assert_eq!(text, lines);
    }

    #[test]
    fn what_is_no_regular_file_stays_and_a_link_leads_to_one() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null")] {
            let refused = CookieFile::prepare(path).unwrap_err().to_string();
            assert!(refused.ends_with("is no regular file; give another name"), "{refused}");
        }
        let (file, link) = (folder.path().join("jar"), folder.path().join("link"));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        CookieFile::prepare(&link).unwrap().write(&[]).unwrap();
        assert!(link.is_symlink());
        assert!(fs::read_to_string(&file).unwrap().starts_with(TITLE));
    }
}
