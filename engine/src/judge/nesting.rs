//! Where an object or a list of JSON ends: past strings, and past whatever is nested in it.
//!
//! Sixty-four bytes at a time, each a bit of a word, so that there is next to nothing that a CPU
//! could guess wrongly: which bytes are what, which of them lie in strings, and how many brackets
//! open and close outside of those. Only the block in which the end lies is gone through bracket by
//! bracket.
//!
//! ```text
//!  bytes      { " a \ " } " : [ 1 ] }
//!  quotes     . 1 . . 1 . 1 . . . . .
//!  escaped    . . . . 1 . . . . . . .     behind a backslash: no quote
//!  in string  . 1 1 1 1 1 . . . . . .     from one quote to before the next
//!  opens      1 . . . . . . . 1 . . .
//!  closes     . . . . . . . . . . 1 1     the other one lies in the string
//! ```

use super::json::Fault;

/// How deeply anything may be nested.
pub(super) const DEPTH_MAX: u32 = 512;

/// As many bytes as a word has bits.
const BLOCK: usize = u64::BITS as usize;

/// Finds the end of an object or list that begins before `rest`: how many bytes it takes of it.
///
/// Objects and lists are not told apart. O(bytes until there).
pub(super) fn end_of_nested(rest: &[u8]) -> Result<usize, Fault> {
    let mut walk = Walk { depth: 1, escapes_next: false, in_string: 0 };
    let (blocks, tail) = rest.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        if let Some(length) = walk.pass(block)? {
            return Ok(number * BLOCK + length);
        }
    }
    let mut block = [b' '; BLOCK];
    block.iter_mut().zip(tail).for_each(|(place, byte)| *place = *byte);
    let length = walk.pass(&block)?.ok_or(Fault::Ended)?;
    Ok(blocks.len() * BLOCK + length)
}

/// What the blocks so far have led to.
struct Walk {
    /// How many brackets are open.
    depth: u32,
    /// Whether the next byte is escaped.
    escapes_next: bool,
    /// All bits, if the next byte lies in a string.
    in_string: u64,
}

impl Walk {
    /// Goes past a block; returns how much of it belongs to what began first, if that ends in it.
    #[inline]
    fn pass(&mut self, block: &[u8; BLOCK]) -> Result<Option<usize>, Fault> {
        let bytes = Classes::of(block);
        let quotes = bytes.quotes & !self.escaped(bytes.backslashes);
        let in_string = prefix_xor(quotes) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(in_string >> 63);
        let (opens, closes) = (bytes.opens & !in_string, bytes.closes & !in_string);
        let (deeper, higher) = (opens.count_ones(), closes.count_ones());
        if self.depth > higher && self.depth + deeper <= DEPTH_MAX {
            self.depth = self.depth + deeper - higher;
            return Ok(None);
        }
        self.pass_brackets(opens, closes)
    }

    /// Goes past the brackets of a block one by one.
    #[inline(never)]
    fn pass_brackets(&mut self, opens: u64, closes: u64) -> Result<Option<usize>, Fault> {
        let mut brackets = opens | closes;
        while brackets != 0 {
            let first = brackets & brackets.wrapping_neg();
            brackets ^= first;
            if opens & first != 0 {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(Fault::TooDeep);
                }
            } else {
                self.depth -= 1;
                if self.depth == 0 {
                    return Ok(Some(first.trailing_zeros() as usize + 1));
                }
            }
        }
        Ok(None)
    }

    /// Which bytes of a block are escaped.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let first = u64::from(core::mem::take(&mut self.escapes_next));
        if backslashes == 0 { first } else { self.find_escaped(first, backslashes) }
    }

    fn find_escaped(&mut self, first: u64, backslashes: u64) -> u64 {
        let mut escaped = first;
        let mut rest = backslashes & !first;
        while rest != 0 {
            let backslash = rest & rest.wrapping_neg();
            // That of the last byte escapes one of the next block.
            let next = backslash << 1;
            self.escapes_next = next == 0;
            escaped |= next;
            rest &= !(backslash | next);
        }
        escaped
    }
}

/// Sets each bit that has an odd number of bits set up to it, itself included.
#[inline]
const fn prefix_xor(bits: u64) -> u64 {
    let bits = bits ^ bits << 1;
    let bits = bits ^ bits << 2;
    let bits = bits ^ bits << 4;
    let bits = bits ^ bits << 8;
    let bits = bits ^ bits << 16;
    bits ^ bits << 32
}

/// Which bytes of a block are what.
#[derive(Debug, PartialEq, Eq, Default)]
struct Classes {
    quotes: u64,
    backslashes: u64,
    opens: u64,
    closes: u64,
}

impl Classes {
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut classes = Self::default();
        for (number, word) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // Square brackets differ from braces by this bit, and nothing else becomes a brace by
            // it but what has it already.
            let braces = word | (LOW_BITS * 0x20);
            let place = 8 * number;
            classes.quotes |= equal(word, b'"') << place;
            classes.backslashes |= equal(word, b'\\') << place;
            classes.opens |= equal(braces, b'{') << place;
            classes.closes |= equal(braces, b'}') << place;
        }
        classes
    }
}

/// The lowest bit of each byte.
const LOW_BITS: u64 = 0x0101_0101_0101_0101;

/// All bits of each byte but the highest.
const LOW_SEVEN: u64 = LOW_BITS * 0x7f;

/// Says which bytes of `word` are this one, in eight bits.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (LOW_BITS * byte as u64);
    // The highest bit of each byte that is zero; the sum carries nothing into the next one.
    let marks = !(((zero & LOW_SEVEN) + LOW_SEVEN) | zero | LOW_SEVEN);
    // Each mark, moved by another factor, comes to lie in the highest byte; no two of them meet.
    marks.wrapping_mul(0x0002_0408_1020_4081) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same byte by byte.
    fn reference(rest: &[u8]) -> Result<usize, Fault> {
        let (mut depth, mut in_string, mut escaped) = (1, false, false);
        for (at, byte) in rest.iter().enumerate() {
            let was_escaped = core::mem::take(&mut escaped);
            match byte {
                b'\\' => escaped = !was_escaped,
                b'"' => in_string ^= !was_escaped,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            if depth > DEPTH_MAX {
                return Err(Fault::TooDeep);
            }
            if depth == 0 {
                return Ok(at + 1);
            }
        }
        Err(Fault::Ended)
    }

    #[test]
    fn each_byte_is_of_its_class_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for filler in [b' ', 0, 0x7f, 0x80, 0xff, byte ^ 1, byte ^ 0x20, byte ^ 0x80] {
                for at in 0..BLOCK {
                    let mut block = [filler; BLOCK];
                    block[at] = byte;
                    let of = |class: &[u8]| {
                        let others = if class.contains(&filler) { u64::MAX } else { 0 };
                        others & !(1 << at) | u64::from(class.contains(&byte)) << at
                    };
                    let expected = Classes {
                        quotes: of(b"\""),
                        backslashes: of(b"\\"),
                        opens: of(b"{["),
                        closes: of(b"}]"),
                    };
                    assert_eq!(Classes::of(&block), expected, "{byte:x} in {filler:x} at {at}");
                }
            }
        }
    }

    #[test]
    fn depth_is_bounded_exactly() {
        let most = usize::try_from(DEPTH_MAX).unwrap() - 1;
        for before in [0, 1, 63, 64, 100] {
            let nested = |depth: usize| {
                let (open, close) = ("[".repeat(depth), "]".repeat(depth));
                [" ".repeat(before), open, close, "]".into()].concat()
            };
            let fits = nested(most);
            assert_eq!(end_of_nested(fits.as_bytes()), Ok(fits.len()));
            assert_eq!(end_of_nested(nested(most + 1).as_bytes()), Err(Fault::TooDeep));
        }
    }

    proptest! {
        #[test]
        fn the_end_is_where_bytes_one_by_one_find_it(
            text in prop_oneof![
                "[a{}\\[\\]\"\\\\]{0,300}",
                "(\\{|\\[|\\}|a|\"[ab{}\\[\\]]{0,20}\"|\"\\\\{0,5}\"){0,120}",
                "(\\[|\\]|\\\\\"|\"){0,200}",
            ],
            filler in 0_usize..130,
        ) {
            let text = ["x".repeat(filler), text].concat();
            prop_assert_eq!(end_of_nested(text.as_bytes()), reference(text.as_bytes()));
        }
    }
}
