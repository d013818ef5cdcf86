//! Content codings: what was done to a body on its way, undone for whoever looks at it.
//!
//! Decoding allocates, and takes as long as it takes: it is done to bodies that somebody looks at,
//! and to no others. However much a body would become, only its beginning does.

use std::io::{self, Read};

use brotli_decompressor::Decompressor;
use flate2::read::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::StreamingDecoder;

use super::{Missed, Unjudged};

/// Most codings of a body that are undone, one after the other.
const CODINGS_MAX: usize = 4;

/// The largest window of a body in zstd: as much as RFC 9659 section 3 lets a sender use.
const ZSTD_WINDOW_BYTES_MAX: u64 = 8 << 20;

/// Bytes that are decoded at a time.
const CHUNK: usize = 4096;

/// The codings of a body, in the order in which they were applied (RFC 9110 section 8.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings {
    applied: [Option<Coding>; CODINGS_MAX],
    /// There is one that is not known, or one too many.
    strange: bool,
}

/// A content coding (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecoded {
    /// It has a coding that is not known.
    Strange,
    /// It is not in the coding that it names.
    Broken,
}

impl Undecoded {
    /// The stable `snake_case` name, as reports print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strange => Unjudged::Encoding.name(),
            Self::Broken => Unjudged::NotDecoded.name(),
        }
    }
}

impl From<Undecoded> for Unjudged {
    fn from(undecoded: Undecoded) -> Self {
        match undecoded {
            Undecoded::Strange => Self::Encoding,
            Undecoded::Broken => Self::NotDecoded,
        }
    }
}

impl From<Undecoded> for Missed {
    fn from(undecoded: Undecoded) -> Self {
        match undecoded {
            Undecoded::Strange => Self::Encoding,
            Undecoded::Broken => Self::NotDecoded,
        }
    }
}

impl Coding {
    fn of(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // The names with x- are as good as those without.
        if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("deflate") {
            Some(Self::Deflate)
        } else if is("br") {
            Some(Self::Brotli)
        } else if is("zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// Puts what `body` is in plain into `out`, up to `most` bytes; says whether that is all.
    fn undo(self, body: &[u8], most: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Gzip => fill(MultiGzDecoder::new(body), most, out),
            Self::Deflate => inflate(body, most, out),
            Self::Brotli => fill(Decompressor::new(body, CHUNK), most, out),
            Self::Zstd => unpack(body, most, out),
        }
    }
}

impl Codings {
    /// Takes note of the value of a field `Content-Encoding`.
    pub fn add(&mut self, value: &[u8]) {
        for name in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            let free = self.applied.iter_mut().find(|applied| applied.is_none());
            match (Coding::of(name), free) {
                (Some(coding), Some(free)) => *free = Some(coding),
                _ => self.strange = true,
            }
        }
    }

    /// Whether the body is as it was meant.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.applied[0].is_none() && !self.strange
    }

    /// Undoes them on `body`, which `is_cut` if more came than this; what it becomes is cut after
    /// `most` bytes. Says whether something is missing in the end. `spare` is memory for the while.
    ///
    /// # Errors
    /// If that cannot be done; `body` is anything then.
    pub fn undo(
        &self,
        (body, mut is_cut): (&mut Vec<u8>, bool),
        most: usize,
        spare: &mut Vec<u8>,
    ) -> Result<bool, Undecoded> {
        if self.strange {
            return Err(Undecoded::Strange);
        }
        for coding in self.applied.iter().rev().flatten() {
            // What has no content has no coding either.
            if body.is_empty() {
                break;
            }
            spare.clear();
            match coding.undo(body, most, spare) {
                Ok(whole) => is_cut |= !whole,
                // The end is missing, so that it ends badly.
                Err(_) if is_cut => {}
                Err(_) => return Err(Undecoded::Broken),
            }
            // What ends badly may be longer than what was asked for.
            spare.truncate(most);
            core::mem::swap(body, spare);
        }
        Ok(is_cut)
    }
}

/// Reads to the end, or to `most` bytes; says whether that was all.
fn fill(from: impl Read, most: usize, out: &mut Vec<u8>) -> io::Result<bool> {
    let room = most.saturating_sub(out.len());
    from.take(room as u64 + 1).read_to_end(out)?;
    let whole = out.len() <= most;
    out.truncate(most);
    Ok(whole)
}

/// The coding `deflate` is zlib (RFC 1950); some servers leave its frame out.
fn inflate(body: &[u8], most: usize, out: &mut Vec<u8>) -> io::Result<bool> {
    let mut state = Decompress::new(has_zlib_head(body));
    loop {
        out.reserve(CHUNK);
        let (before, read) = (out.len(), usize::try_from(state.total_in()).unwrap_or(usize::MAX));
        let rest = body.get(read..).unwrap_or_default();
        let status = state.decompress_vec(rest, out, FlushDecompress::None)?;
        let over = out.len() > most;
        out.truncate(most);
        if over || status == Status::StreamEnd {
            return Ok(!over);
        }
        if rest.is_empty() && out.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether a body begins as zlib has it: the method is deflate, and the check bits are right (RFC
/// 1950 section 2.2).
fn has_zlib_head(body: &[u8]) -> bool {
    let [method, flags, ..] = *body else { return false };
    method & 0x0F == 8 && (u16::from(method) << 8 | u16::from(flags)) % 31 == 0
}

/// Frames of zstd, one behind the other.
fn unpack(body: &[u8], most: usize, out: &mut Vec<u8>) -> io::Result<bool> {
    let mut rest = body;
    while !rest.is_empty() {
        let frame = StreamingDecoder::new_with_max_window_size(&mut rest, ZSTD_WINDOW_BYTES_MAX);
        if !fill(frame.map_err(io::Error::other)?, most, out)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: &[u8] = b"{\"token\":\"t1\"}";

    /// The same, as other people's tools have compressed it.
    const GZIP: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 201, 207, 78, 205, 83, 178, 82, 42, 49, 84,
        170, 5, 0, 150, 221, 12, 183, 14, 0, 0, 0,
    ];
    const ZLIB: &[u8] = &[
        120, 156, 171, 86, 42, 201, 207, 78, 205, 83, 178, 82, 42, 49, 84, 170, 5, 0, 35, 250, 4,
        129,
    ];
    const RAW: &[u8] = &[171, 86, 42, 201, 207, 78, 205, 83, 178, 82, 42, 49, 84, 170, 5, 0];
    const BROTLI: &[u8] =
        &[139, 6, 128, 123, 34, 116, 111, 107, 101, 110, 34, 58, 34, 116, 49, 34, 125, 3];
    const ZSTD: &[u8] = &[
        40, 181, 47, 253, 4, 88, 113, 0, 0, 123, 34, 116, 111, 107, 101, 110, 34, 58, 34, 116, 49,
        34, 125, 249, 249, 161, 120,
    ];
    /// First brotli, then gzip.
    const TWICE: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 235, 102, 107, 168, 86, 42, 201, 207, 78, 205, 83, 178,
        82, 42, 49, 84, 170, 101, 6, 0, 34, 135, 109, 74, 18, 0, 0, 0,
    ];
    /// 50 MiB of zeros.
    const BOMB: &[u8] = &[
        203, 255, 255, 63, 248, 39, 0, 226, 177, 64, 32, 247, 254, 143, 255, 255, 127, 240, 79, 0,
        196, 97, 17, 128, 238, 253, 31, 255, 255, 255, 224, 159, 0, 136, 195, 2, 0, 221, 251, 63,
        254, 255, 255, 193, 63, 1, 16, 135, 5, 0, 186, 247, 127, 252, 255, 255, 131, 127, 2, 32,
        14, 11, 0, 116, 239, 255, 248, 255, 255, 7, 255, 4, 64, 28, 22, 0, 232, 222, 255, 229, 255,
        255, 7, 254, 9, 128, 56, 44, 0, 208, 189, 255, 0,
    ];

    const KNOWN: [(&str, &[u8]); 7] = [
        ("gzip", GZIP),
        (" X-GZip ", GZIP),
        ("deflate", ZLIB),
        ("deflate", RAW),
        ("BR", BROTLI),
        ("zstd", ZSTD),
        ("br, identity,, gzip", TWICE),
    ];

    /// What a body is in plain, at most so many bytes of it, and whether something is missing.
    fn undone(
        value: &str,
        body: &[u8],
        is_cut: bool,
        most: usize,
    ) -> Result<(Vec<u8>, bool), Undecoded> {
        let mut codings = Codings::default();
        codings.add(value.as_bytes());
        let (mut body, mut spare) = (body.to_vec(), Vec::new());
        let is_cut = codings.undo((&mut body, is_cut), most, &mut spare)?;
        Ok((body, is_cut))
    }

    #[test]
    fn what_other_tools_have_compressed_is_as_it_was() {
        for (name, body) in KNOWN {
            assert_eq!(undone(name, body, false, 100), Ok((PLAIN.to_vec(), false)), "{name}");
            // What has two codings is longer in between.
            let most = PLAIN.len().max(BROTLI.len());
            let exactly = undone(name, body, false, most);
            assert_eq!(exactly, Ok((PLAIN.to_vec(), false)), "{name}");
        }
        let twice = [GZIP, GZIP].concat();
        assert_eq!(undone("gzip", &twice, false, 100), Ok(([PLAIN, PLAIN].concat(), false)));
        let twice = [ZSTD, ZSTD].concat();
        assert_eq!(undone("zstd", &twice, false, 100), Ok(([PLAIN, PLAIN].concat(), false)));
    }

    #[test]
    fn without_a_coding_a_body_is_what_it_is() {
        for name in ["", "identity", " , "] {
            let mut codings = Codings::default();
            codings.add(name.as_bytes());
            assert!(codings.is_none());
            assert_eq!(undone(name, b"\x1f\x8b", true, 1), Ok((b"\x1f\x8b".to_vec(), true)));
        }
        for (name, _) in KNOWN {
            assert_eq!(undone(name, b"", false, 9), Ok((Vec::new(), false)), "nothing is nothing");
        }
    }

    #[test]
    fn codings_of_several_lines_are_undone_from_the_last_on() {
        let mut codings = Codings::default();
        codings.add(b"br");
        codings.add(b"gzip");
        let mut body = TWICE.to_vec();
        assert_eq!(codings.undo((&mut body, false), 99, &mut Vec::new()), Ok(false));
        assert_eq!(body, PLAIN);
    }

    #[test]
    fn what_is_not_known_or_not_so_is_told() {
        for name in ["compress", "gzip, what", "gzip,gzip,gzip,gzip,gzip"] {
            assert_eq!(undone(name, GZIP, false, 100), Err(Undecoded::Strange), "{name}");
        }
        for (name, body) in KNOWN {
            assert_eq!(undone(name, b"plain text", false, 100), Err(Undecoded::Broken), "{name}");
            let cut = body.split_last().unwrap().1;
            assert_eq!(undone(name, cut, false, 100), Err(Undecoded::Broken), "{name}");
        }
    }

    #[test]
    fn of_a_body_that_is_cut_the_beginning_is_decoded() {
        for (name, body) in KNOWN {
            for len in 1..body.len() {
                let (plain, is_cut) = undone(name, &body[..len], true, 100).unwrap();
                assert!(is_cut && PLAIN.starts_with(&plain), "{name}: {len}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_decoded_or_refused(
            known in 0..KNOWN.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            tail in prop::collection::vec(any::<u8>(), 0..40),
            is_cut: bool,
            most in 0..40_usize,
        ) {
            let (name, body) = KNOWN[known];
            let mut body = [body, &tail].concat();
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if let Ok((plain, _)) = undone(name, &body, is_cut, most) {
                prop_assert!(plain.len() <= most);
            }
        }
    }

    #[test]
    fn a_bomb_becomes_no_more_than_may_be() {
        let (plain, is_cut) = undone("br", BOMB, false, 1 << 20).unwrap();
        assert!(is_cut && plain.len() == 1 << 20 && plain.iter().all(|&byte| byte == 0));
        let mut spare = Vec::new();
        let mut codings = Codings::default();
        codings.add(b"br");
        codings.undo((&mut BOMB.to_vec(), false), 1 << 20, &mut spare).unwrap();
        // As vectors grow.
        assert!(spare.capacity() <= 4 << 20, "{}", spare.capacity());
    }

    #[test]
    fn a_window_beyond_what_a_sender_may_use_is_refused() {
        let head = |window: u8| [0x28, 0xB5, 0x2F, 0xFD, 0, window];
        assert_eq!(undone("zstd", &head(14 << 3), false, 100), Err(Undecoded::Broken));
    }
}
