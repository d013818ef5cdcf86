//! Bodies of large files, which are read as they are sent.
//!
//! A file is read by whoever sends it, in the pieces in which it is sent: from the kernel's cache
//! after the first time, at the price of a system call and a copy for each piece. In return it
//! takes no memory, however large it is and however many shards send it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use anyhow::Result;
use pummel_proto_http::{BodySource, Stored};

use crate::args::Quoted;

/// From how many bytes on a file is read as it is sent. Below, memory is cheaper than reading.
pub(super) const STORED_BYTES_MIN: u64 = 1024 * 1024;

/// A file that is a body.
#[derive(Debug)]
struct Upload {
    file: File,
    name: String,
    length: u64,
    /// Why it could not be read any more.
    failure: OnceLock<String>,
}

/// The file as a body, or what it holds if it is small, or no file that can be read twice.
pub(super) fn read(mut file: File, name: &str) -> Result<Result<Stored, Vec<u8>>> {
    let facts = file.metadata()?;
    if facts.is_file() && facts.len() >= STORED_BYTES_MIN {
        let (length, failure) = (facts.len(), OnceLock::new());
        return Ok(Ok(Stored::new(Upload { file, name: name.to_owned(), length, failure })));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Err(bytes))
}

impl BodySource for Upload {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, from: u64, into: &mut [u8]) {
        if let Err(error) = self.file.read_exact_at(into, from) {
            self.failure.get_or_init(|| {
                format!(
                    "cannot read {} as long as it was when the run began, so the bodies were not \
                     what it holds: {error}; leave the file alone during a run",
                    Quoted(&self.name)
                )
            });
        }
    }

    fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_large_file_is_read_as_it_is_sent_and_a_small_one_at_once() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"small").unwrap();
        let open = || File::open(file.path()).unwrap();
        assert_eq!(read(open(), "f").unwrap().unwrap_err(), b"small");
        file.as_file().set_len(STORED_BYTES_MIN + 3).unwrap();
        let stored = read(open(), "f").unwrap().unwrap();
        assert_eq!(stored.length(), STORED_BYTES_MIN + 3);
        let mut out = b"x".to_vec();
        stored.append(0, 7, &mut out);
        assert_eq!(out, b"xsmall\0\0");
        stored.append(STORED_BYTES_MIN, 3, &mut out);
        assert_eq!((out.len(), stored.failure()), (11, None));
    }

    #[test]
    fn a_file_that_is_cut_during_the_run_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(STORED_BYTES_MIN).unwrap();
        let stored = read(File::open(file.path()).unwrap(), "f").unwrap().unwrap();
        file.as_file().set_len(10).unwrap();
        let mut out = Vec::new();
        stored.append(0, 10, &mut out);
        assert_eq!(stored.failure(), None);
        stored.append(5, 10, &mut out);
        assert_eq!(out.len(), 20, "what was announced is sent");
        assert!(stored.failure().unwrap().starts_with("cannot read \"f\" as long as it was"));
    }
}
