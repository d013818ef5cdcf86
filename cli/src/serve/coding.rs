//! Bodies in a content coding: made once, at the start.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// How bodies are coded, by the names of `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Coding {
    /// RFC 1952
    Gzip,
    /// RFC 7932, without making it shorter
    Br,
    /// RFC 8878
    Zstd,
    /// RFC 1950
    Deflate,
}

/// A body in its coding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coded {
    /// What `Content-Encoding` says.
    pub(super) name: &'static str,
    pub(super) bytes: Arc<[u8]>,
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// Codes `body`.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn code(self, body: &[u8]) -> io::Result<Coded> {
        let bytes = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body)?;
                encoder.finish()?
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body)?;
                encoder.finish()?
            }
            Self::Zstd => compress_to_vec(body, CompressionLevel::Fastest),
            Self::Br => stored(body),
        };
        Ok(Coded { name: self.name(), bytes: bytes.into() })
    }
}

/// Bytes of a part that brotli holds as they are: as many as four digits of 4 bits can count.
const PART_BYTES: usize = 1 << 16;

/// `body` in brotli, in parts that hold it as it is: what decodes it is tried as well by them, and
/// nothing is needed that makes it shorter.
fn stored(body: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    // The window: a single 0 stands for 64 KiB (RFC 7932 section 9.1).
    bits.push(0, 1);
    for part in body.chunks(PART_BYTES) {
        // Not the last part; its length, less 1, in four digits; as it is (section 9.2).
        bits.push(0, 1);
        bits.push(0, 2);
        bits.push(u64::try_from(part.len() - 1).unwrap_or_default(), 16);
        bits.push(1, 1);
        bits.fill_up();
        bits.bytes.extend_from_slice(part);
    }
    // The last part, which is empty.
    bits.push(0b11, 2);
    bits.fill_up();
    bits.bytes
}

/// Bits in bytes, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    open: u64,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u64, count: u32) {
        self.open |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.shift();
        }
    }

    /// Goes on with the next byte.
    fn fill_up(&mut self) {
        if self.count > 0 {
            self.count = 8;
            self.shift();
        }
    }

    fn shift(&mut self) {
        self.bytes.extend(self.open.to_le_bytes().first());
        self.open >>= 8;
        self.count -= 8;
    }
}

#[cfg(test)]
mod tests {
    use pummel_engine::judge::Codings;

    use super::super::reply::TEXT;
    use super::*;

    #[test]
    fn whoever_decodes_a_body_has_what_was_coded() {
        for coding in [Coding::Gzip, Coding::Br, Coding::Zstd, Coding::Deflate] {
            for length in [0, 1, 13, PART_BYTES, PART_BYTES + 1, 300_000] {
                let body: Vec<u8> = TEXT.iter().copied().cycle().take(length).collect();
                let coded = coding.code(&body).unwrap();
                let mut codings = Codings::default();
                codings.add(coded.name.as_bytes());
                let (mut found, most) = (coded.bytes.to_vec(), 1 << 20);
                let is_cut = codings.undo((&mut found, false), most, &mut Vec::new());
                assert_eq!((is_cut, found == body), (Ok(false), true), "{coding:?} {length}");
            }
        }
    }
}
