//! Header blocks, decoded.

use super::repeat::{Known, Trace};
use super::table::{ENTRY_OVERHEAD, Name, STATIC, Table};
use super::{
    HUFFMAN, INDEXED, INDEXED_PREFIX, LITERAL_PREFIX, STRING_PREFIX, TABLE_SIZE, TABLE_SIZE_PREFIX,
    WITH_INDEXING, WITH_INDEXING_PREFIX, huffman,
};
use crate::error::ErrorKind;
use crate::limits::{CARRY_KEEP_BYTES_MAX, HPACK_INTEGER_BYTES_MAX};
use alloc::vec::Vec;

/// The decoder of one direction of a connection.
///
/// It has to see every header block of its direction, in order and whole. After an error it is of
/// no use any more, and neither is the connection (RFC 9113 section 4.3).
#[derive(Debug, Clone)]
pub struct Decoder {
    table: Table,
    /// Strings that came Huffman-coded. Two, since a field has a name and a value.
    name: Vec<u8>,
    value: Vec<u8>,
    /// Of the block that was decoded last.
    trace: Trace,
    known: Known,
}

impl Decoder {
    /// A decoder whose table may grow to `table_max` bytes, as this side announced in
    /// `SETTINGS_HEADER_TABLE_SIZE`.
    ///
    /// At most [`HPACK_TABLE_BYTES_MAX`](crate::limits::HPACK_TABLE_BYTES_MAX). Allocates nothing;
    /// memory grows with what the peer enters into the table, to at most `2 × table_max`.
    #[must_use]
    pub fn new(table_max: u32) -> Self {
        Self {
            table: Table::new(table_max),
            name: Vec::new(),
            value: Vec::new(),
            trace: Trace::default(),
            known: Known::default(),
        }
    }

    /// Takes `block` without decoding it, if it is the one that was [remembered](Self::remember)
    /// and means the same now; returns whether it is.
    ///
    /// Costs a comparison. What such a block enters into the table is entered when the next other
    /// block is decoded.
    #[inline]
    #[must_use = "a block that is not taken must be decoded"]
    pub fn repeat(&mut self, block: &[u8]) -> bool {
        self.known.repeat(block, self.table.generation())
    }

    /// Remembers `block`, which must be the one that was decoded last, instead of the one before.
    ///
    /// Returns false, and keeps the one before, if what it means cannot be told from its bytes: it
    /// changed the table that it refers to, or is too long.
    pub fn remember(&mut self, block: &[u8]) -> bool {
        self.known.replace(block, self.trace, self.table.generation())
    }

    /// Returns how often the table was changed so far, but for what was [taken](Self::repeat)
    /// without decoding it.
    ///
    /// A block that was decoded without changing it means the same when its bytes come again.
    #[inline]
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Calls `field` with name and value of each field of a complete block, in their order.
    ///
    /// The slices live for the call only. `list_max` bounds the decoded list as RFC 9113 section
    /// 6.5.2 counts it: 32 bytes for each field beyond its text. A string of the block is decoded
    /// before it is counted, to at most 8/5 of its length.
    ///
    /// # Errors
    /// [`ErrorKind`] names what is wrong with the block; fields before it were handed over.
    pub fn decode(
        &mut self,
        block: &[u8],
        list_max: u32,
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), ErrorKind> {
        if self.known.owes() {
            let (known, times) = self.known.settle(self.table.size_max());
            for _ in 0..times {
                self.run(&known, u32::MAX, &mut |_, _| {})?;
            }
            self.known.restore(known);
        }
        self.run(block, list_max, &mut field)
    }

    /// Decodes a block in the table as it is.
    fn run(
        &mut self,
        block: &[u8],
        list_max: u32,
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), ErrorKind> {
        let mut rest = block;
        let mut room = list_max as usize;
        self.trace = Trace::default();
        // RFC 7541 section 4.2: sizes are set at the beginning of a block.
        while let Some(TABLE_SIZE..WITH_INDEXING) = rest.first() {
            self.table.resize(read_integer(&mut rest, TABLE_SIZE_PREFIX)?)?;
        }
        while let Some(&first) = rest.first() {
            if first >= INDEXED {
                let index = read_integer(&mut rest, INDEXED_PREFIX)?;
                let (name, value) = self.table.field(index).ok_or(ErrorKind::HpackBadIndex)?;
                self.trace.refers |= is_dynamic(index);
                spend(&mut room, name, value)?;
                field(name, value);
            } else {
                self.decode_literal(first, &mut rest, &mut room, field)?;
            }
        }
        Ok(())
    }

    /// Decodes a field that begins with `first` and is not, or not wholly, in the table (RFC 7541
    /// section 6.2).
    fn decode_literal(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        room: &mut usize,
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), ErrorKind> {
        let prefix = match first {
            WITH_INDEXING.. => WITH_INDEXING_PREFIX,
            TABLE_SIZE.. => return Err(ErrorKind::HpackTableSize),
            // Whether an intermediary may enter the field into a table of its own is not for us.
            _ => LITERAL_PREFIX,
        };
        let index = read_integer(rest, prefix)?;
        let (name, entry_name) = if index == 0 {
            let name = read_string(rest, &mut self.name)?;
            (name, Name::Text(name))
        } else {
            let (name, _) = self.table.field(index).ok_or(ErrorKind::HpackBadIndex)?;
            self.trace.refers |= is_dynamic(index);
            (name, Name::Of(index))
        };
        let value = read_string(rest, &mut self.value)?;
        spend(room, name, value)?;
        field(name, value);
        if prefix == WITH_INDEXING_PREFIX {
            self.trace.entered += name.len() + value.len() + ENTRY_OVERHEAD;
            self.table.insert(entry_name, value);
        }
        for buffer in [&mut self.name, &mut self.value] {
            if buffer.capacity() > CARRY_KEEP_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        Ok(())
    }
}

/// Whether the field with this index is an entry.
#[inline]
const fn is_dynamic(index: u32) -> bool {
    index as usize > STATIC.len()
}

/// Subtracts a field from what the list may still hold.
#[inline]
fn spend(room: &mut usize, name: &[u8], value: &[u8]) -> Result<(), ErrorKind> {
    let left = room.checked_sub(name.len() + value.len() + ENTRY_OVERHEAD);
    *room = left.ok_or(ErrorKind::HeaderListTooLarge)?;
    Ok(())
}

/// Reads an integer whose first part is in the `prefix` lowest bits of the first byte (RFC 7541
/// section 5.1).
#[inline]
fn read_integer(input: &mut &[u8], prefix: u32) -> Result<u32, ErrorKind> {
    let (&first, rest) = input.split_first().ok_or(ErrorKind::HpackTruncated)?;
    *input = rest;
    let full = u8::MAX >> (u8::BITS - prefix);
    let value = first & full;
    if value < full { Ok(u32::from(value)) } else { read_long_integer(input, value) }
}

/// Reads the bytes that follow a prefix of ones, which counts `full`.
fn read_long_integer(input: &mut &[u8], full: u8) -> Result<u32, ErrorKind> {
    let mut value = u64::from(full);
    for position in 0..HPACK_INTEGER_BYTES_MAX {
        let (&byte, rest) = input.split_first().ok_or(ErrorKind::HpackTruncated)?;
        *input = rest;
        value += u64::from(byte & 0x7f) << (7 * position);
        if byte < 0x80 {
            return u32::try_from(value).map_err(|_| ErrorKind::HpackBadInteger);
        }
    }
    Err(ErrorKind::HpackBadInteger)
}

/// Reads a string; it is a part of the input, or was decoded into `scratch` (RFC 7541 section 5.2).
#[inline]
fn read_string<'s, 'b: 's>(
    input: &mut &'b [u8],
    scratch: &'s mut Vec<u8>,
) -> Result<&'s [u8], ErrorKind> {
    let huffman = input.first().is_some_and(|first| first & HUFFMAN != 0);
    let length = read_integer(input, STRING_PREFIX)? as usize;
    let (text, rest) = input.split_at_checked(length).ok_or(ErrorKind::HpackTruncated)?;
    *input = rest;
    if huffman {
        scratch.clear();
        huffman::decode(text, scratch)?;
        return Ok(scratch);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    /// The newest entry.
    const NEWEST: u8 = INDEXED + 62;

    /// The bytes that `digits` spell, which may be grouped with spaces.
    fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        let value = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
        digits.chunks(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect()
    }

    /// The fields of a block, a line each.
    fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<String, ErrorKind> {
        let mut text = String::new();
        decoder.decode(block, u32::MAX, |name, value| {
            for part in [name, b": ", value, b"\n"] {
                text.push_str(std::str::from_utf8(part).unwrap());
            }
        })?;
        Ok(text)
    }

    /// The error of a block that comes first.
    fn error(block: &[u8]) -> ErrorKind {
        decode(&mut Decoder::new(4096), block).unwrap_err()
    }

    /// Decodes `blocks`, each to its fields, after which the table has the size and the entries
    /// given.
    #[track_caller]
    fn check(table_max: u32, blocks: &[(&str, &str, usize, &str)]) {
        let mut decoder = Decoder::new(table_max);
        for (digits, fields, size, entries) in blocks {
            assert_eq!(decode(&mut decoder, &hex(digits)).as_deref(), Ok(*fields), "{digits}");
            let held = (62..).map_while(|index| decoder.table.field(index));
            let held: Vec<_> = held.map(|(name, value)| [name, b": ", value].concat()).collect();
            let held: Vec<_> = held.iter().map(|line| std::str::from_utf8(line).unwrap()).collect();
            assert_eq!(held, entries.lines().collect::<Vec<_>>(), "{digits}");
            let counted: usize = held.iter().map(|line| line.len() - 2 + ENTRY_OVERHEAD).sum();
            assert_eq!(counted, *size, "{digits}");
        }
    }

    // RFC 7541 appendix C.1.
    #[test]
    fn integers_are_those_of_the_specification() {
        for (digits, prefix, value) in
            [("0a", 5, 10), ("ea", 5, 10), ("1f9a0a", 5, 1337), ("2a", 8, 42)]
        {
            assert_eq!(read_integer(&mut &*hex(digits), prefix), Ok(value));
        }
    }

    // RFC 7541 appendix C.2.
    #[test]
    fn each_representation_does_what_it_says() {
        let custom = "custom-key: custom-header\n";
        check(
            4096,
            &[
                (
                    "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
                    custom,
                    55,
                    custom,
                ),
                ("040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n", 55, custom),
                ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n", 55, custom),
                ("82", ":method: GET\n", 55, custom),
            ],
        );
    }

    const REQUESTS: [(&str, usize, &str); 3] = [
        (
            ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n",
            57,
            ":authority: www.example.com",
        ),
        (
            ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n\
             cache-control: no-cache\n",
            110,
            "cache-control: no-cache\n:authority: www.example.com",
        ),
        (
            ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\n\
             custom-key: custom-value\n",
            164,
            "custom-key: custom-value\ncache-control: no-cache\n:authority: www.example.com",
        ),
    ];

    const RESPONSES: [(&str, usize, &str); 3] = [
        (
            ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n\
             location: https://www.example.com\n",
            222,
            "location: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n\
             cache-control: private\n:status: 302",
        ),
        (
            ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n\
             location: https://www.example.com\n",
            222,
            ":status: 307\nlocation: https://www.example.com\n\
             date: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private",
        ),
        (
            ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n\
             location: https://www.example.com\ncontent-encoding: gzip\n\
             set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
            215,
            "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n\
             content-encoding: gzip\ndate: Mon, 21 Oct 2013 20:13:22 GMT",
        ),
    ];

    #[track_caller]
    fn check_example(table_max: u32, blocks: [&str; 3], expected: &[(&str, usize, &str); 3]) {
        let steps = blocks.iter().zip(expected);
        let steps = steps.map(|(digits, (fields, size, held))| (*digits, *fields, *size, *held));
        check(table_max, &steps.collect::<Vec<_>>());
    }

    // RFC 7541 appendix C.3.
    #[test]
    fn requests_without_huffman_code_are_those_of_the_specification() {
        let blocks = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        check_example(4096, blocks, &REQUESTS);
    }

    // RFC 7541 appendix C.4.
    #[test]
    fn requests_with_huffman_code_are_those_of_the_specification() {
        let blocks = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        check_example(4096, blocks, &REQUESTS);
    }

    // RFC 7541 appendix C.5: a table of 256 bytes, from which entries have to go.
    #[test]
    fn responses_without_huffman_code_are_those_of_the_specification() {
        let blocks = [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 \
             303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 \
             6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 \
             5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 \
             5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        ];
        check_example(256, blocks, &RESPONSES);
    }

    // RFC 7541 appendix C.6.
    #[test]
    fn responses_with_huffman_code_are_those_of_the_specification() {
        let blocks = [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b \
             ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad \
             94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 \
             65c0 03ed 4ee5 b106 3d50 07",
        ];
        check_example(256, blocks, &RESPONSES);
    }

    // RFC 7541 section 6.1: "The index value of 0 is not used.  It MUST be treated as a decoding
    // error"; section 2.3.3: indices beyond both tables as well.
    #[test]
    fn an_index_that_no_table_holds_is_an_error() {
        assert_eq!(error(&[0x80]), ErrorKind::HpackBadIndex);
        assert_eq!(error(&[NEWEST]), ErrorKind::HpackBadIndex);
        assert_eq!(error(&[0xff, 0xff, 0xff, 0xff, 0x07]), ErrorKind::HpackBadIndex);
        // The name of a literal: with indexing, without.
        assert_eq!(error(&[0x7e, 1, b'v']), ErrorKind::HpackBadIndex);
        assert_eq!(error(&[0x0f, 62 - 15, 1, b'v']), ErrorKind::HpackBadIndex);
        let entered = [0x40, 1, b'n', 1, b'v', NEWEST];
        assert_eq!(decode(&mut Decoder::new(4096), &entered).as_deref(), Ok("n: v\nn: v\n"));
        assert_eq!(error(&[&entered[..], &[NEWEST + 1]].concat()), ErrorKind::HpackBadIndex);
    }

    // RFC 7541 section 5.1: "Integer encodings that exceed implementation limits -- in value or
    // octet length -- MUST be treated as decoding errors."
    #[test]
    fn an_integer_ends_below_two_to_the_32nd() {
        let read = |digits: &str| read_integer(&mut &*hex(digits), 7);
        assert_eq!(read("7f80 ffff ff0f"), Ok(u32::MAX));
        assert_eq!(read("7f81 ffff ff0f"), Err(ErrorKind::HpackBadInteger));
        assert_eq!(read("7fff ffff ff7f"), Err(ErrorKind::HpackBadInteger));
        assert_eq!(read("7f80 8080 8000"), Ok(127));
        assert_eq!(read("7f80 8080 8080 00"), Err(ErrorKind::HpackBadInteger));
        assert_eq!(error(&hex("ff ffff ffff ff")), ErrorKind::HpackBadInteger);
    }

    #[test]
    fn a_block_that_ends_within_a_field_is_an_error() {
        let blocks = [
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            "4882 6402",
            "0f01 0361 6263",
            "3fe1 1f",
        ];
        for digits in blocks {
            let block = hex(digits);
            for length in 1..block.len() {
                let mut decoder = Decoder::new(8192);
                let result = decode(&mut decoder, &block[..length]);
                assert_eq!(result, Err(ErrorKind::HpackTruncated), "{digits} cut at {length}");
            }
        }
        assert_eq!(decode(&mut Decoder::new(0), &[]).as_deref(), Ok(""));
    }

    // RFC 7541 section 5.2; the cases are tested beside the code's table.
    #[test]
    fn a_string_that_is_no_huffman_code_is_an_error() {
        assert_eq!(error(&[0x00, 0x81, 0xff, 0]), ErrorKind::HpackBadHuffman);
        assert_eq!(error(&[0x44, 0x81, 0xff]), ErrorKind::HpackBadHuffman);
    }

    // RFC 7541 section 4.2: the beginning of a block; section 6.3: at most what was announced.
    #[test]
    fn the_size_of_the_table_is_set_at_the_beginning_and_within_the_limit() {
        let mut decoder = Decoder::new(4096);
        assert_eq!(decode(&mut decoder, &[0x40, 1, b'n', 1, b'v']).as_deref(), Ok("n: v\n"));
        // To 0, and back to 4096: nothing is left.
        assert_eq!(decode(&mut decoder, &hex("20 3fe1 1f 82")).as_deref(), Ok(":method: GET\n"));
        assert_eq!(decode(&mut decoder, &[NEWEST]), Err(ErrorKind::HpackBadIndex));
        assert_eq!(error(&hex("3fe2 1f 82")), ErrorKind::HpackTableSize);
        assert_eq!(error(&hex("82 20")), ErrorKind::HpackTableSize);
        assert_eq!(error(&hex("82 3f")), ErrorKind::HpackTableSize);
        assert_eq!(decode(&mut Decoder::new(0), &hex("21")), Err(ErrorKind::HpackTableSize));
    }

    // RFC 9113 section 6.5.2: "the uncompressed size of field lines … plus an overhead of 32 octets
    // for each".
    #[test]
    fn a_list_is_bounded_by_what_it_decodes_to() {
        // :method: GET, then x: 000 in Huffman code, then an entry of it.
        let block = [0x82, 0x40, 1, b'x', 0x82, 0x00, 0x01, NEWEST];
        let size = (7 + 3 + 32) + 2 * (1 + 3 + 32);
        for (list_max, expected) in [
            (size, Ok(())),
            (size - 1, Err(ErrorKind::HeaderListTooLarge)),
            (0, Err(ErrorKind::HeaderListTooLarge)),
        ] {
            let mut seen = 0;
            let result = Decoder::new(4096).decode(&block, list_max, |name, value| {
                seen += u32::try_from(name.len() + value.len()).unwrap() + 32;
            });
            assert_eq!(result, expected);
            assert!(seen <= list_max);
        }
    }

    #[test]
    fn the_generation_tells_whether_a_block_may_be_remembered() {
        let mut decoder = Decoder::new(4096);
        let mut changes = |block: &[u8]| {
            let before = decoder.generation();
            decode(&mut decoder, block).unwrap();
            decoder.generation() - before
        };
        assert_eq!(changes(&[0x82, 0x01, 1, b'v', 0x11, 1, b'v']), 0);
        assert_eq!(changes(&[0x41, 1, b'v', 0x41, 1, b'v']), 2);
        assert_eq!(changes(&[0x20]), 1);
        // Too large for the table, but it would have emptied it.
        assert_eq!(changes(&[0x41, 1, b'v']), 1);
    }

    #[test]
    fn a_large_string_does_not_stay_in_memory() {
        let mut decoder = Decoder::new(4096);
        let mut block = std::vec![0x01];
        crate::h2::hpack::write_integer(HUFFMAN, STRING_PREFIX, 5 * 4096, &mut block);
        block.resize(block.len() + 5 * 4096, 0);
        let mut length = 0;
        decoder.decode(&block, u32::MAX, |_, value| length = value.len()).unwrap();
        assert_eq!(length, 8 * 4096);
        assert_eq!(decoder.value.capacity(), 0);
    }

    fn entries(decoder: &Decoder) -> Vec<(Vec<u8>, Vec<u8>)> {
        let fields = (62..).map_while(|index| decoder.table.field(index));
        fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    }

    /// A decoder that decodes nothing twice if it can help it.
    struct Reader {
        decoder: Decoder,
        remembered: String,
        decoded: u32,
    }

    impl Reader {
        fn new(table_max: u32) -> Self {
            let decoder = Decoder::new(table_max);
            Self { decoder, remembered: String::new(), decoded: 0 }
        }

        fn read(&mut self, block: &[u8]) -> Result<String, ErrorKind> {
            if self.decoder.repeat(block) {
                return Ok(self.remembered.clone());
            }
            self.decoded += 1;
            let text = decode(&mut self.decoder, block)?;
            if self.decoder.remember(block) {
                self.remembered.clone_from(&text);
            }
            Ok(text)
        }
    }

    #[test]
    fn fields_that_are_entered_each_time_are_decoded_once() {
        // A status, then fields named by the static table.
        let block = [&[0x88, 0x76, 5][..], b"nginx", &[0x5c, 2], b"13"].concat();
        let (mut reader, mut plain) = (Reader::new(4096), Decoder::new(4096));
        for times in [1, 3, 1000] {
            for _ in 0..times {
                assert_eq!(reader.read(&block), decode(&mut plain, &block));
            }
            // Another block meets the table as if each had been decoded.
            assert_eq!(reader.read(&[0xbe, 0xbf]), decode(&mut plain, &[0xbe, 0xbf]));
            assert_eq!(entries(&reader.decoder), entries(&plain));
        }
        assert_eq!(reader.decoded, 6);
    }

    #[test]
    fn what_is_made_up_for_reaches_as_far_back_as_the_table() {
        // 32 and 34 bytes: one block and the end of the one before fill the table.
        let block = b"\x40\x00\x00\x40\x01n\x01v";
        let (mut reader, mut plain) = (Reader::new(100), Decoder::new(100));
        reader.read(block).unwrap();
        decode(&mut plain, block).unwrap();
        for decoder in [&mut reader.decoder, &mut plain] {
            decode(decoder, &[0x40, 1, b'x', 1, b'y']).unwrap();
        }
        for _ in 0..2 {
            reader.read(block).unwrap();
            decode(&mut plain, block).unwrap();
        }
        decode(&mut reader.decoder, &[]).unwrap();
        assert_eq!(reader.decoded, 1);
        assert_eq!(entries(&plain).len(), 3);
        assert_eq!(entries(&reader.decoder), entries(&plain));
    }

    #[test]
    fn fields_that_are_in_the_table_are_decoded_once() {
        let first = [&[0x88, 0x76, 5][..], b"nginx"].concat();
        let mut reader = Reader::new(4096);
        reader.read(&first).unwrap();
        for _ in 0..100 {
            assert_eq!(reader.read(&[0x88, 0xbe]).as_deref(), Ok(":status: 200\nserver: nginx\n"));
            // Another one that changes nothing, and is not remembered.
            decode(&mut reader.decoder, &[0x82]).unwrap();
        }
        assert_eq!(reader.decoded, 2);
        // The table changes, and with it what the block means.
        decode(&mut reader.decoder, &[0x76, 1, b'x']).unwrap();
        assert_eq!(reader.read(&[0x88, 0xbe]).as_deref(), Ok(":status: 200\nserver: x\n"));
    }

    #[test]
    fn what_is_not_known_by_its_bytes_is_not_remembered() {
        let long = [&[0x40, 1, b'n', 0x7f, 0xf5, 0x03][..], &[b'v'; 500 + 128]].concat();
        let blocks: [&[u8]; 4] = [
            // The name of an entry for a new one; a size; nothing at all; more than is kept.
            &[0x7e, 1, b'v'],
            &[0x20, 0x82],
            &[],
            &long,
        ];
        for block in blocks {
            let mut decoder = Decoder::new(4096);
            decode(&mut decoder, &[0x40, 1, b'n', 1, b'v']).unwrap();
            decode(&mut decoder, block).unwrap();
            let remembered = decoder.remember(block);
            assert!(!remembered || block.is_empty());
            assert!(!decoder.repeat(block));
        }
    }

    const BLOCKS: &[&[u8]] = &[
        b"",
        b"\x82",
        b"\x82\xbe",
        b"\xbe\xbf",
        b"\x76\x01a",
        b"\x76\x01b\x76\x02cd",
        b"\x82\x7e\x01c",
        b"\x0f\x2f\x01v",
        b"\x04\x02/a",
        b"\x40\x02xy\x05abcde\x5c\x0213",
        // 69 bytes in the table: too large for some.
        b"\x44\x20aaaaaaaabbbbbbbbccccccccdddddddd",
        b"\x20\x82",
        b"\x3f\x21\x82",
    ];

    proptest! {
        #[test]
        fn a_block_that_is_taken_means_what_it_would_decode_to(
            table_max in prop::sample::select(&[0, 64, 100, 300, 4096][..]),
            blocks in prop::collection::vec(
                (prop::sample::select(BLOCKS), 1..5_usize),
                0..40,
            ),
        ) {
            let (mut reader, mut plain) = (Reader::new(table_max), Decoder::new(table_max));
            for (block, times) in blocks {
                for _ in 0..times {
                    let mut after = plain.clone();
                    // What means nothing in this table is left out.
                    if let Ok(expected) = decode(&mut after, block) {
                        prop_assert_eq!(reader.read(block), Ok(expected));
                        plain = after;
                    }
                }
            }
            let mut settled = reader.decoder.clone();
            decode(&mut settled, &[]).unwrap();
            prop_assert_eq!(entries(&settled), entries(&plain));
        }
    }
}
