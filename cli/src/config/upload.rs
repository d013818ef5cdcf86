//! Bodies of large files, which are read as they are sent.
//!
//! A file is read by whoever sends it, in the pieces in which it is sent: from the kernel's cache
//! after the first time, at the price of a system call and a copy for each piece. In return it
//! takes no memory, however large it is and however many shards send it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use pummel_proto_http::{BodySource, Stored};

use super::input;
use crate::args::Quoted;

/// From how many bytes on a file is read as it is sent. Below, memory is cheaper than reading.
pub(super) const STORED_BYTES_MIN: u64 = 1024 * 1024;

/// What a file holds.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// All of it.
    Here(Vec<u8>),
    /// It is large, and read as it is sent.
    Large(Arc<Upload>),
}

/// A body of several parts.
#[derive(Debug)]
struct Joined {
    /// Each with the place of its first byte in the body.
    segments: Vec<(u64, Held)>,
    length: u64,
}

/// A file that is a body.
#[derive(Debug)]
pub(super) struct Upload {
    file: File,
    name: String,
    length: u64,
    /// Why it could not be read any more.
    failure: OnceLock<String>,
}

/// What `file` holds: in memory, if it is small, or no file that can be read twice.
pub(super) fn read(file: File, name: &str) -> io::Result<Held> {
    let facts = file.metadata()?;
    if facts.is_file() && facts.len() >= STORED_BYTES_MIN {
        let (length, failure) = (facts.len(), OnceLock::new());
        return Ok(Held::Large(Arc::new(Upload { file, name: name.to_owned(), length, failure })));
    }
    input::within(file).map(Held::Here)
}

/// The body that consists of these parts, one behind the other.
pub(super) fn joined(parts: impl IntoIterator<Item = Held>) -> Stored {
    let (mut segments, mut length) = (Vec::new(), 0);
    for part in parts {
        let begin = length;
        length += part.length();
        segments.push((begin, part));
    }
    Stored::new(Joined { segments, length })
}

impl Held {
    fn length(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Large(file) => file.length,
        }
    }

    /// Reads what begins at `from` into all of `into`; there is so much.
    fn read(&self, from: u64, into: &mut [u8]) {
        match self {
            Self::Here(bytes) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                let there = bytes.get(from..).unwrap_or_default();
                into.iter_mut().zip(there).for_each(|(into, byte)| *into = *byte);
            }
            Self::Large(file) => file.read(from, into),
        }
    }
}

impl BodySource for Joined {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, mut from: u64, mut into: &mut [u8]) {
        // The part in which the first byte is, and those behind it.
        let first = self.segments.partition_point(|(begin, _)| *begin <= from).saturating_sub(1);
        for (begin, part) in self.segments.iter().skip(first) {
            let within = from - begin;
            let rest = usize::try_from(part.length() - within).unwrap_or(usize::MAX);
            let now = rest.min(into.len());
            let (now, later) = into.split_at_mut(now);
            part.read(within, now);
            from += now.len() as u64;
            into = later;
            if into.is_empty() {
                break;
            }
        }
    }

    fn failure(&self) -> Option<&str> {
        self.segments.iter().find_map(|(_, part)| match part {
            Held::Here(_) => None,
            Held::Large(file) => file.failure(),
        })
    }
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
    use tempfile::NamedTempFile;

    /// What is stored of a large file.
    fn large(file: &NamedTempFile) -> Stored {
        match read(File::open(file.path()).unwrap(), "f").unwrap() {
            Held::Large(upload) => joined([Held::Large(upload)]),
            Held::Here(_) => panic!("it is large"),
        }
    }

    #[test]
    fn parts_are_read_one_behind_the_other_from_any_place_on() {
        let mut file = NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        file.write_all(&bytes).unwrap();
        let Held::Large(upload) = read(File::open(file.path()).unwrap(), "f").unwrap() else {
            panic!("it is large")
        };
        let text = |text: &str| Held::Here(text.into());
        let again = Held::Large(Arc::clone(&upload));
        let parts = [text("head"), Held::Large(upload), text("x"), text(""), again, text("end")];
        let stored = joined(parts);
        let whole = [&b"head"[..], &bytes, b"x", &bytes, b"end"].concat();
        assert_eq!(stored.length(), whole.len() as u64);
        let size = bytes.len();
        for from in [0, 3, 4, 5, size, size + 3, size + 4, size + 5, 2 * size + 5, whole.len()] {
            for length in [0, 1, 7, size, whole.len()] {
                let length = length.min(whole.len() - from);
                let mut out = Vec::new();
                stored.append(from as u64, length, &mut out);
                assert!(out == whole[from..from + length], "{length} from {from}");
            }
        }
        file.as_file().set_len(10).unwrap();
        assert_eq!(stored.failure(), None);
        stored.append(20, 1, &mut Vec::new());
        assert!(stored.failure().unwrap().starts_with("cannot read \"f\" as long as it was"));
    }

    #[test]
    fn a_large_file_is_read_as_it_is_sent_and_a_small_one_at_once() {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(b"small").unwrap();
        let open = || File::open(file.path()).unwrap();
        let Held::Here(bytes) = read(open(), "f").unwrap() else { panic!("it is small") };
        assert_eq!(bytes, b"small");
        file.as_file().set_len(STORED_BYTES_MIN + 3).unwrap();
        let stored = large(&file);
        assert_eq!(stored.length(), STORED_BYTES_MIN + 3);
        let mut out = b"x".to_vec();
        stored.append(0, 7, &mut out);
        assert_eq!(out, b"xsmall\0\0");
        stored.append(STORED_BYTES_MIN, 3, &mut out);
        assert_eq!((out.len(), stored.failure()), (11, None));
    }

    #[test]
    fn a_file_that_is_cut_during_the_run_is_told() {
        let file = NamedTempFile::new().unwrap();
        file.as_file().set_len(STORED_BYTES_MIN).unwrap();
        let stored = large(&file);
        file.as_file().set_len(10).unwrap();
        let mut out = Vec::new();
        stored.append(0, 10, &mut out);
        assert_eq!(stored.failure(), None);
        stored.append(5, 10, &mut out);
        assert_eq!(out.len(), 20, "what was announced is sent");
        assert!(stored.failure().unwrap().starts_with("cannot read \"f\" as long as it was"));
    }
}
