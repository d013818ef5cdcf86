//! The Huffman code of strings (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: codes are numbered upwards, shorter before longer, those of one length in
//! the order of their bytes. So the lengths alone define it, and all tables here are made from them
//! when this is compiled.
//!
//! Decoding takes one look-up for codes of up to ten bits, which is what texts consist of. Longer
//! ones are found by their length: what precedes the last code of a length is no longer than it.

use crate::error::ErrorKind;
use alloc::vec::Vec;

/// The lengths in bits of the codes of all bytes and, last, of the end of a string, which is never
/// written.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The shortest and the longest code.
const LENGTH_MIN: usize = 5;
const LENGTH_MAX: usize = 30;

/// Codes of up to this length are found in [`QUICK`].
const QUICK_BITS: u32 = 10;

/// The code, built from [`LENGTHS`].
struct Tables {
    /// The code of each byte, in the lowest bits.
    codes: [u32; 256],
    /// The bytes in the order of their codes.
    bytes: [u8; 256],
    /// By length: where the codes of this length begin and end.
    groups: [Group; LENGTH_MAX + 1],
}

/// The codes of one length.
#[derive(Clone, Copy)]
struct Group {
    /// The first of them, in the highest bits of 32.
    first: u32,
    /// The first code beyond them, in the same place. Whatever is below it has no longer code.
    end: u64,
    /// The place in [`Tables::bytes`] of the first of them.
    place: usize,
}

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when this is compiled, where an index out of bounds is an error; bytes are \
              below 256"
)]
const TABLES: Tables = {
    let mut tables = Tables {
        codes: [0; 256],
        bytes: [0; 256],
        groups: [Group { first: 0, end: 0, place: 0 }; LENGTH_MAX + 1],
    };
    let (mut code, mut place, mut length) = (0_u32, 0, LENGTH_MIN);
    while length <= LENGTH_MAX {
        let shift = 32 - length;
        tables.groups[length].first = code << shift;
        tables.groups[length].place = place;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                // The last code is the end of a string, and no byte.
                if symbol < 256 {
                    tables.codes[symbol] = code;
                    tables.bytes[place] = symbol as u8;
                    place += 1;
                }
                code += 1;
            }
            symbol += 1;
        }
        tables.groups[length].end = (code as u64) << shift;
        code <<= 1;
        length += 1;
    }
    // All codes are used: any 30 bits begin with one of them.
    assert!(tables.groups[LENGTH_MAX].end == 1 << 32 && place == 256);
    tables
};

static CODES: [u32; 256] = TABLES.codes;
static BYTES: [u8; 256] = TABLES.bytes;
static GROUPS: [Group; LENGTH_MAX + 1] = TABLES.groups;

/// By the next [`QUICK_BITS`] bits: the byte of the code that they begin with, and its length; the
/// length is 0 where the code is longer.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when this is compiled, where an index out of bounds is an error; bytes are \
              below 256"
)]
static QUICK: [(u8, u8); 1 << QUICK_BITS] = {
    let mut quick = [(0, 0); 1 << QUICK_BITS];
    let mut byte = 0;
    while byte < 256 {
        let length = LENGTHS[byte] as u32;
        if length <= QUICK_BITS {
            let spare = QUICK_BITS - length;
            let first = (TABLES.codes[byte] << spare) as usize;
            let mut after = 0;
            while after < 1 << spare {
                quick[first + after] = (byte as u8, LENGTHS[byte]);
                after += 1;
            }
        }
        byte += 1;
    }
    quick
};

/// Appends to `out` what `coded` says.
///
/// # Errors
/// [`ErrorKind::HpackBadHuffman`] for the code that ends strings, for one that is cut off, and for
/// padding that is not made of less than 8 ones.
pub(super) fn decode(mut coded: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorKind> {
    out.reserve(bytes_max(coded.len()));
    // The next bits, highest first, and how many there are; the others are 0.
    let (mut bits, mut held) = (0_u64, 0_u32);
    loop {
        if held < 32 {
            let (word, count) = take_word(&mut coded);
            bits |= u64::from(word) << (32 - held);
            held += count;
            // Nothing is left to come: the rest may be padding.
            if held < 8 && bits.leading_ones() >= held {
                return Ok(());
            }
        }
        let (byte, length) = first_code(bits).ok_or(ErrorKind::HpackBadHuffman)?;
        held = held.checked_sub(length).ok_or(ErrorKind::HpackBadHuffman)?;
        bits <<= length;
        out.push(byte);
    }
}

/// The most bytes that `coded_bytes` of code can stand for.
const fn bytes_max(coded_bytes: usize) -> usize {
    coded_bytes.saturating_mul(8) / LENGTH_MIN
}

/// Takes up to 4 bytes; they stand highest first, and the count is that of their bits.
#[inline]
fn take_word(input: &mut &[u8]) -> (u32, u32) {
    if let Some((word, rest)) = input.split_first_chunk() {
        *input = rest;
        return (u32::from_be_bytes(*word), 32);
    }
    let tail = core::mem::take(input);
    let (mut word, mut count) = (0, 0);
    for &byte in tail {
        count += 8;
        word |= u32::from(byte) << (32 - count);
    }
    (word, count)
}

/// The byte whose code `bits` begin with, and the length of the code; `None` for the code that ends
/// strings.
#[inline]
fn first_code(bits: u64) -> Option<(u8, u32)> {
    const _: () = assert!(QUICK.len() == 1 << QUICK_BITS);
    match QUICK.get((bits >> (u64::BITS - QUICK_BITS)) as usize) {
        Some(&(byte, length)) if length > 0 => Some((byte, u32::from(length))),
        _ => first_long_code(bits),
    }
}

/// The same for codes of more than [`QUICK_BITS`].
#[cold]
fn first_long_code(bits: u64) -> Option<(u8, u32)> {
    let word = bits >> 32;
    let lengths = (0..).zip(&GROUPS).skip(QUICK_BITS as usize + 1);
    let (length, group) = lengths.into_iter().find(|(_, group)| word < group.end)?;
    let nth = (word - u64::from(group.first)) >> (32 - length);
    let byte = BYTES.get(group.place + usize::try_from(nth).ok()?)?;
    Some((*byte, length))
}

/// The length of `text` when it is coded.
pub(super) fn coded_bytes(text: &[u8]) -> usize {
    let bits = |&byte: &u8| LENGTHS.get(usize::from(byte)).map_or(0, |&length| usize::from(length));
    text.iter().map(bits).sum::<usize>().div_ceil(8)
}

/// Appends the code of `text` to `out`.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    // Less than 8 bits wait, in the lowest places, and the longest code has 30.
    let (mut bits, mut held) = (0_u64, 0_u32);
    for &byte in text {
        let symbol = usize::from(byte);
        let (Some(&code), Some(&length)) = (CODES.get(symbol), LENGTHS.get(symbol)) else { break };
        bits = bits << length | u64::from(code);
        held += u32::from(length);
        while held >= 8 {
            held -= 8;
            out.push(lowest_byte(bits >> held));
        }
    }
    if held > 0 {
        // The padding is the beginning of the code that ends strings: ones.
        let spare = 8 - held;
        out.push(lowest_byte(bits << spare | ((1 << spare) - 1)));
    }
}

const fn lowest_byte(bits: u64) -> u8 {
    let [lowest, ..] = bits.to_le_bytes();
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, &mut out);
        out
    }

    // RFC 7541 appendix C.4 and C.6.
    #[test]
    fn texts_of_the_specification_are_coded_as_there() {
        let cases: [(&[u8], &[u8]); 4] = [
            (b"no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
            (b"302", &[0x64, 0x02]),
            (b"private", &[0xae, 0xc3, 0x77, 0x1a, 0x4b]),
            (b"", &[]),
        ];
        for (text, code) in cases {
            assert_eq!(encoded(text), code);
            assert_eq!(decoded(code).unwrap(), text);
        }
    }

    // RFC 7541 appendix B: the first codes of some lengths, and the last but one of all.
    #[test]
    fn codes_are_those_of_the_specification() {
        let cases = [
            (b'0', 0x0, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b':', 0x5c, 7),
            (b'&', 0xf8, 8),
            (b'!', 0x3f8, 10),
            (b'|', 0x7fc, 11),
            (b'\\', 0x7_fff0, 19),
            (0x80, 0xf_ffe6, 20),
            (22, 0x3fff_fffe, 30),
        ];
        for (byte, code, length) in cases {
            let symbol = usize::from(byte);
            assert_eq!((CODES[symbol], LENGTHS[symbol]), (code, length), "{byte}");
        }
    }

    #[test]
    fn every_byte_comes_back_alone_and_among_others() {
        for byte in 0..=u8::MAX {
            for text in [&[byte][..], &[byte, b'a', byte], &[b'0', byte, 0]] {
                assert_eq!(decoded(&encoded(text)).unwrap(), text);
            }
        }
    }

    // RFC 7541 section 5.2: padding longer than 7 bits, and padding of anything but ones.
    #[test]
    fn padding_is_less_than_eight_ones() {
        let bad = Err(ErrorKind::HpackBadHuffman);
        // '0' is 00000.
        assert_eq!(decoded(&[0b0000_0111]), Ok(b"0".to_vec()));
        assert_eq!(decoded(&[0b0000_0111, 0xff]), bad);
        assert_eq!(decoded(&[0b0000_0110]), bad);
        assert_eq!(decoded(&[0b0000_0011]), bad);
        // 'X' is 11111100: nothing is left to pad.
        assert_eq!(decoded(&[0b1111_1100]), Ok(b"X".to_vec()));
        assert_eq!(decoded(&[0xff]), bad);
        assert_eq!(decoded(&[0b1111_1100, 0xff]), bad);
    }

    // RFC 7541 section 5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be
    // treated as a decoding error."
    #[test]
    fn the_end_of_a_string_is_not_written() {
        assert_eq!(decoded(&[0xff; 4]), Err(ErrorKind::HpackBadHuffman));
        assert_eq!(decoded(&[0xff; 5]), Err(ErrorKind::HpackBadHuffman));
    }

    #[test]
    fn a_code_that_is_cut_off_is_refused() {
        // 22 is 30 bits long and followed by two bits of padding.
        let whole = encoded(&[22]);
        for length in 1..whole.len() {
            assert_eq!(decoded(&whole[..length]), Err(ErrorKind::HpackBadHuffman));
        }
        assert_eq!(decoded(&whole).unwrap(), [22]);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let code = encoded(&text);
            prop_assert_eq!(code.len(), coded_bytes(&text));
            prop_assert!(text.len() <= bytes_max(code.len()));
            prop_assert_eq!(decoded(&code).unwrap(), text);
        }

        // A code that is accepted is the only one of its text: nothing is read in two ways.
        #[test]
        fn any_bytes_are_a_code_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(text) = decoded(&bytes) {
                prop_assert_eq!(encoded(&text), bytes);
            }
        }
    }
}
