//! Header blocks, encoded: once before the run, and copied for each request.

use super::table::{ENTRY_OVERHEAD, STATIC};
use super::{
    HUFFMAN, INDEXED, INDEXED_PREFIX, LITERAL_PREFIX, STRING_PREFIX, TABLE_SIZE, TABLE_SIZE_PREFIX,
    WITH_INDEXING, WITH_INDEXING_PREFIX, WITHOUT_INDEXING, huffman,
};
use crate::limits::HPACK_TABLE_BYTES;
use alloc::vec::Vec;
use core::iter;

/// A field of a block.
///
/// Nothing is marked as never to be indexed, not even credentials. The mark is for the case that
/// one party may guess at another's secret by what a shared table makes shorter (RFC 7541 section
/// 7.1); here all fields of a connection are the user's own, and browsers enter cookies into the
/// table, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, in lowercase (RFC 9113 section 8.2.1).
    pub name: &'a [u8],
    /// The value, or that it comes later.
    pub value: Value<'a>,
}

/// What is known of a field's value when its block is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// It is always this one.
    Fixed(&'a [u8]),
    /// It differs from request to request, and is given when the block is written.
    Varying,
    /// The same; the field is left out if it is empty.
    Optional,
}

impl<'a> Field<'a> {
    /// A field with a value that is always the same.
    #[must_use]
    pub const fn fixed(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { name, value: Value::Fixed(value) }
    }

    /// A field whose value is given when the block is written.
    #[must_use]
    pub const fn varying(name: &'a [u8]) -> Self {
        Self { name, value: Value::Varying }
    }

    /// A field whose value is given when the block is written, and that is left out if it is empty.
    #[must_use]
    pub const fn optional(name: &'a [u8]) -> Self {
        Self { name, value: Value::Optional }
    }
}

/// A header list, encoded in each [`Form`].
///
/// The forms rest on a dynamic table that nobody else writes to: all blocks of a connection and
/// direction are made by one call of [`Block::set`], or are one block, or are sent as
/// [`Form::Plain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    first: Pieces,
    indexed: Pieces,
    plain: Pieces,
    table_bytes: u32,
}

/// The forms of a block, by what the peer's dynamic table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For an empty table: enters into it what [`Form::Indexed`] refers to.
    First,
    /// For a table that [`Form::First`] was sent to, of this block or another of its set.
    Indexed,
    /// For any table; it is left as it is.
    Plain,
}

/// An encoded list that is cut wherever a value varies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Pieces {
    /// What comes before the first varying value.
    head: Vec<u8>,
    /// What comes after each of them.
    tails: Vec<Tail>,
}

/// What comes after a varying value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Tail {
    bytes: Vec<u8>,
    /// How many bytes before the value are left out with one that is empty, if it then is.
    name_length: Option<usize>,
}

impl Block {
    /// Encodes a list of which no other shares the table.
    #[must_use]
    pub fn new(fields: &[Field<'_>]) -> Self {
        Self::encode(fields, &shared(&[fields]))
    }

    /// Encodes lists that share a table.
    ///
    /// What all of them have in common, in the same order, is entered into the table, by whichever
    /// of them is sent first. The rest of each is sent as it is.
    #[must_use]
    pub fn set(lists: &[&[Field<'_>]]) -> Vec<Self> {
        let entries = shared(lists);
        lists.iter().map(|fields| Self::encode(fields, &entries)).collect()
    }

    /// Returns the size of the table that [`Form::Indexed`] needs; at most the default size.
    #[must_use]
    pub const fn table_size_needed(&self) -> u32 {
        self.table_bytes
    }

    /// Returns the length of what [`write`](Self::write) appends.
    #[inline]
    #[must_use]
    pub fn length(&self, form: Form, values: &[&[u8]]) -> usize {
        let pieces = self.pieces(form);
        let mut length = pieces.head.len();
        for (value, tail) in pieces.with(values) {
            match tail.left_out_with(value) {
                Some(name) => length -= name,
                None => length += integer_bytes(STRING_PREFIX, value.len()) + value.len(),
            }
            length += tail.bytes.len();
        }
        length
    }

    /// Appends the block. `values` are those of the varying fields, in their order; a missing one
    /// is taken to be empty.
    #[inline]
    pub fn write(&self, form: Form, values: &[&[u8]], out: &mut Vec<u8>) {
        let pieces = self.pieces(form);
        debug_assert_eq!(pieces.tails.len(), values.len());
        out.extend_from_slice(&pieces.head);
        for (value, tail) in pieces.with(values) {
            match tail.left_out_with(value) {
                Some(name) => out.truncate(out.len() - name),
                None => write_raw_string(value, out),
            }
            out.extend_from_slice(&tail.bytes);
        }
    }

    fn pieces(&self, form: Form) -> &Pieces {
        match form {
            Form::First => &self.first,
            Form::Indexed => &self.indexed,
            Form::Plain => &self.plain,
        }
    }

    fn encode(fields: &[Field<'_>], entries: &[Entry<'_>]) -> Self {
        let size = |(name, value): &Entry<'_>| name.len() + value.len() + ENTRY_OVERHEAD;
        let table_bytes: usize = entries.iter().map(size).sum();
        let mut empty = Encoder { entries, entered: 0, enters: true, pieces: Pieces::default() };
        let mut full = Encoder { entered: entries.len(), ..empty.clone() };
        let mut plain = Encoder { enters: false, ..empty.clone() };
        for field in fields {
            for encoder in [&mut empty, &mut full, &mut plain] {
                encoder.push(field);
            }
        }
        debug_assert_eq!(empty.entered, entries.len());
        Self {
            first: empty.pieces,
            indexed: full.pieces,
            plain: plain.pieces,
            table_bytes: u32::try_from(table_bytes).unwrap_or(HPACK_TABLE_BYTES),
        }
    }
}

impl Pieces {
    fn with<'a>(&'a self, values: &'a [&'a [u8]]) -> impl Iterator<Item = (&'a [u8], &'a Tail)> {
        let values = values.iter().copied().chain(iter::repeat(&[][..]));
        values.zip(&self.tails)
    }
}

impl Tail {
    /// How many bytes before `value` are left out with it, if it is.
    fn left_out_with(&self, value: &[u8]) -> Option<usize> {
        self.name_length.filter(|_| value.is_empty())
    }
}

/// A field of the dynamic table.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// The entries that the blocks of `lists` share: fixed fields that stand in each of the lists, in
/// one order, and together fit into a table of the default size.
fn shared<'a>(lists: &[&[Field<'a>]]) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut room = HPACK_TABLE_BYTES as usize;
    // What of each list comes after the last entry.
    let mut rests = lists.to_vec();
    for field in lists.first().copied().unwrap_or_default() {
        let Value::Fixed(value) = field.value else { continue };
        let entry = (field.name, value);
        let known = entries.contains(&entry) || is_static(entry);
        let size = field.name.len() + value.len() + ENTRY_OVERHEAD;
        let after: Option<Vec<_>> = rests.iter().map(|rest| after(rest, field)).collect();
        if let (false, Some(left), Some(after)) = (known, room.checked_sub(size), after) {
            entries.push(entry);
            (room, rests) = (left, after);
        }
    }
    entries
}

/// What comes after `field` in `list`; `None` if it is not there.
fn after<'l, 'a>(list: &'l [Field<'a>], field: &Field<'a>) -> Option<&'l [Field<'a>]> {
    let position = list.iter().position(|other| other == field)?;
    list.get(position + 1..)
}

fn is_static((name, value): Entry<'_>) -> bool {
    STATIC.iter().any(|entry| (entry.0.as_bytes(), entry.1.as_bytes()) == (name, value))
}

/// Encodes a list for a table of which the beginning of `entries` is in place.
#[derive(Clone)]
struct Encoder<'e, 'a> {
    entries: &'e [Entry<'a>],
    /// How many of them the table holds.
    entered: usize,
    /// Whether the others are to be entered.
    enters: bool,
    pieces: Pieces,
}

impl Encoder<'_, '_> {
    fn push(&mut self, field: &Field<'_>) {
        let static_name = index_of(STATIC.iter().map(|(name, _)| name.as_bytes()), &field.name);
        let Value::Fixed(value) = field.value else {
            let before = self.out().len();
            self.write_literal(WITHOUT_INDEXING, LITERAL_PREFIX, static_name, field.name);
            let name_length = self.out().len() - before;
            let name_length = (field.value == Value::Optional).then_some(name_length);
            self.pieces.tails.push(Tail { bytes: Vec::new(), name_length });
            return;
        };
        let statics = STATIC.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let held = self.entries.iter().take(self.entered).rev().copied();
        let entry = (field.name, value);
        if let Some(index) = index_of(statics.chain(held), &entry) {
            write_integer(INDEXED, INDEXED_PREFIX, index, self.out());
            return;
        }
        if self.enters && self.entries.get(self.entered) == Some(&entry) {
            self.entered += 1;
            self.write_literal(WITH_INDEXING, WITH_INDEXING_PREFIX, static_name, field.name);
        } else {
            self.write_literal(WITHOUT_INDEXING, LITERAL_PREFIX, static_name, field.name);
        }
        write_string(value, self.out());
    }

    /// Writes a literal up to its value.
    fn write_literal(&mut self, pattern: u8, prefix: u32, static_name: Option<usize>, name: &[u8]) {
        write_integer(pattern, prefix, static_name.unwrap_or(0), self.out());
        if static_name.is_none() {
            write_string(name, self.out());
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        let Pieces { head, tails } = &mut self.pieces;
        tails.last_mut().map_or(head, |tail| &mut tail.bytes)
    }
}

/// The index of the first equal one of `entries`, which are numbered from 1.
fn index_of<T: PartialEq>(mut entries: impl Iterator<Item = T>, wanted: &T) -> Option<usize> {
    entries.position(|entry| entry == *wanted).map(|position| position + 1)
}

/// Appends the instruction that sets the size of the peer's table (RFC 7541 section 6.3).
///
/// It stands at the beginning of the first block after the peer announced another limit (section
/// 4.2); what is above the size is evicted.
pub fn write_table_size(size: u32, out: &mut Vec<u8>) {
    write_integer(TABLE_SIZE, TABLE_SIZE_PREFIX, size as usize, out);
}

/// Appends an integer that begins in the `prefix` lowest bits of a byte whose others are those of
/// `pattern` (RFC 7541 section 5.1).
///
/// `prefix` is from 1 to 8.
#[inline]
pub fn write_integer(pattern: u8, prefix: u32, value: usize, out: &mut Vec<u8>) {
    let full = u8::MAX >> (u8::BITS - prefix);
    let Some(mut rest) = value.checked_sub(usize::from(full)) else {
        out.push(pattern | lowest_byte(value));
        return;
    };
    out.push(pattern | full);
    while rest >= 0x80 {
        out.push(lowest_byte(rest) | 0x80);
        rest >>= 7;
    }
    out.push(lowest_byte(rest));
}

/// How many bytes [`write_integer`] appends.
fn integer_bytes(prefix: u32, value: usize) -> usize {
    let full = usize::from(u8::MAX >> (u8::BITS - prefix));
    match value.checked_sub(full) {
        None => 1,
        Some(rest) => 1 + (usize::BITS - rest.leading_zeros()).div_ceil(7).max(1) as usize,
    }
}

const fn lowest_byte(value: usize) -> u8 {
    let [lowest, ..] = value.to_le_bytes();
    lowest
}

/// Appends a string, Huffman-coded if that is shorter (RFC 7541 section 5.2).
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let coded_bytes = huffman::coded_bytes(text);
    if coded_bytes < text.len() {
        write_integer(HUFFMAN, STRING_PREFIX, coded_bytes, out);
        huffman::encode(text, out);
    } else {
        write_raw_string(text, out);
    }
}

/// Appends a string as it is: what varies is not worth coding for each request.
fn write_raw_string(text: &[u8], out: &mut Vec<u8>) {
    write_integer(0, STRING_PREFIX, text.len(), out);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;
    use crate::limits::HPACK_TABLE_BYTES_MAX;
    use proptest::prelude::*;

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    fn decode(decoder: &mut Decoder, block: &[u8]) -> Fields {
        let mut fields = Fields::new();
        let note = |name: &[u8], value: &[u8]| fields.push((name.to_vec(), value.to_vec()));
        decoder.decode(block, u32::MAX, note).unwrap();
        fields
    }

    fn written(block: &Block, form: Form, values: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        block.write(form, values, &mut out);
        assert_eq!(out.len(), block.length(form, values));
        out
    }

    fn get<'a>(path: Value<'a>, extra: &[Field<'a>]) -> Vec<Field<'a>> {
        let pseudo = [
            Field::fixed(b":method", b"GET"),
            Field::fixed(b":scheme", b"http"),
            Field::fixed(b":authority", b"www.example.com"),
            Field { name: b":path", value: path },
        ];
        [&pseudo[..], extra].concat()
    }

    // RFC 7541 appendix C.1.
    #[test]
    fn integers_are_written_as_in_the_specification() {
        let cases: [(usize, u32, &[u8]); 5] = [
            (10, 5, &[0b1110_1010]),
            (1337, 5, &[0b1111_1111, 0b1001_1010, 0b0000_1010]),
            (42, 8, &[0b0010_1010]),
            (31, 5, &[0b1111_1111, 0]),
            (31 + 128, 5, &[0b1111_1111, 0b1000_0000, 1]),
        ];
        for (value, prefix, expected) in cases {
            let mut out = Vec::new();
            write_integer(if prefix == 5 { 0b1110_0000 } else { 0 }, prefix, value, &mut out);
            assert_eq!(out, expected);
            assert_eq!(integer_bytes(prefix, value), expected.len());
        }
    }

    // RFC 7541 appendix C.4.1: the first request, but with the authority before the path.
    #[test]
    fn a_request_is_entered_once_and_then_indexed() {
        let block = Block::new(&get(Value::Fixed(b"/"), &[]));
        let authority =
            [0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        let first = [&[0x82, 0x86, 0x41][..], &authority, &[0x84]].concat();
        assert_eq!(written(&block, Form::First, &[]), first);
        assert_eq!(written(&block, Form::Indexed, &[]), [0x82, 0x86, 0xbe, 0x84]);
        let plain = [&[0x82, 0x86, 0x01][..], &authority, &[0x84]].concat();
        assert_eq!(written(&block, Form::Plain, &[]), plain);
        assert_eq!(block.table_size_needed(), 57);
    }

    #[test]
    fn a_varying_value_is_raw_and_never_entered() {
        let path = get(Value::Varying, &[Field::varying(b"x-id"), Field::fixed(b"x", b"~")]);
        let block = Block::new(&path);
        let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
        for (form, id) in [(Form::First, "1"), (Form::Indexed, "22"), (Form::Plain, "")] {
            let bytes = written(&block, form, &[b"/a", id.as_bytes()]);
            // Name 4 of the static table without indexing, then 2 bytes as they are.
            assert!(bytes.windows(4).any(|window| window == b"\x04\x02/a"));
            let fields = decode(&mut decoder, &bytes);
            assert_eq!(fields[3], (b":path".to_vec(), b"/a".to_vec()));
            assert_eq!(fields[4], (b"x-id".to_vec(), id.as_bytes().to_vec()));
            assert_eq!(fields[5], (b"x".to_vec(), b"~".to_vec()));
        }
        assert_eq!(decoder.generation(), 2, ":authority and x");
    }

    #[test]
    fn an_optional_field_is_left_out_with_an_empty_value() {
        let extra =
            [Field::optional(b"cookie"), Field::optional(b"x-id"), Field::fixed(b"x", b"~")];
        let block = Block::new(&get(Value::Fixed(b"/"), &extra));
        let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
        for form in [Form::First, Form::Indexed, Form::Plain] {
            for values in [["", ""], ["a=1", ""], ["", "7"], ["a=1", "7"]] {
                let bytes = written(&block, form, &values.map(str::as_bytes));
                let fields = decode(&mut decoder, &bytes);
                let names = fields.iter().skip(4).map(|(name, _)| name.as_slice());
                let given = [&b"cookie"[..], b"x-id"].into_iter().zip(values);
                let given = given.filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
                assert!(names.eq(given.chain([&b"x"[..]])), "{values:?}: {fields:?}");
            }
        }
    }

    #[test]
    fn a_value_above_a_byte_of_length_is_counted_and_written_alike() {
        let block = Block::new(&[Field::varying(b"a")]);
        for length in [0, 126, 127, 128, 254, 255, 20_000] {
            let value = std::vec![b'v'; length];
            let bytes = written(&block, Form::Plain, &[&value]);
            let fields = decode(&mut Decoder::new(0), &bytes);
            assert_eq!(fields, [(b"a".to_vec(), value)]);
        }
    }

    #[test]
    fn what_does_not_fit_is_sent_as_a_literal_and_evicts_nothing() {
        let large = std::vec![b'c'; 4096 - 57 - 32 - 1];
        let extra =
            [Field::fixed(b"a", &large[1..]), Field::fixed(b"b", b""), Field::fixed(b"a", &large)];
        let block = Block::new(&get(Value::Fixed(b"/"), &extra));
        assert_eq!(block.table_size_needed(), 57 + 32 + 4096 - 57 - 32 - 1);
        let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
        let fields = decode(&mut decoder, &written(&block, Form::First, &[]));
        assert_eq!(decoder.generation(), 2);
        for _ in 0..3 {
            assert_eq!(decode(&mut decoder, &written(&block, Form::Indexed, &[])), fields);
        }
        assert_eq!(decoder.generation(), 2);
    }

    #[test]
    fn lists_of_a_set_share_what_all_of_them_have() {
        let lists = [
            get(Value::Fixed(b"/a"), &[Field::fixed(b"x", b"1"), Field::fixed(b"y", b"2")]),
            get(Value::Fixed(b"/b"), &[Field::fixed(b"y", b"2"), Field::fixed(b"x", b"1")]),
            get(Value::Varying, &[Field::fixed(b"x", b"1"), Field::fixed(b"x", b"1")]),
        ];
        let lists: Vec<&[Field<'_>]> = lists.iter().map(Vec::as_slice).collect();
        let blocks = Block::set(&lists);
        let values: [&[&[u8]]; 3] = [&[], &[], &[b"/c"]];
        for first in 0..3 {
            let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
            let bytes = written(&blocks[first], Form::First, values[first]);
            let mut seen = decode(&mut decoder, &bytes);
            assert_eq!(decoder.generation(), 2, ":authority and x, but neither paths nor y");
            for other in [first, 0, 1, 2] {
                let fields = decode(&mut Decoder::new(0), &{
                    written(&blocks[other], Form::Plain, values[other])
                });
                assert!(other != first || fields == seen);
                let bytes = written(&blocks[other], Form::Indexed, values[other]);
                seen.clone_from(&decode(&mut decoder, &bytes));
                assert_eq!(seen, fields);
                seen = decode(&mut decoder, &written(&blocks[first], Form::Plain, values[first]));
            }
        }
    }

    #[test]
    fn what_a_set_shares_is_entered_in_one_order() {
        let (x, y) = (Field::fixed(b"x", b"1"), Field::fixed(b"y", b"2"));
        for block in Block::set(&[&[x, y], &[y, x]]) {
            assert_eq!(block.table_size_needed(), 34, "one of the two");
            let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
            let fields = decode(&mut decoder, &written(&block, Form::First, &[]));
            assert_eq!(decode(&mut decoder, &written(&block, Form::Indexed, &[])), fields);
            assert_eq!(decoder.generation(), 1);
        }
    }

    // RFC 7541 section 4.2.
    #[test]
    fn a_table_size_stands_before_a_block() {
        let block = Block::new(&get(Value::Fixed(b"/"), &[]));
        let mut decoder = Decoder::new(HPACK_TABLE_BYTES);
        let fields = decode(&mut decoder, &written(&block, Form::First, &[]));
        for size in [block.table_size_needed(), HPACK_TABLE_BYTES] {
            let mut bytes = Vec::new();
            write_table_size(size, &mut bytes);
            block.write(Form::Indexed, &[], &mut bytes);
            assert_eq!(decode(&mut decoder, &bytes), fields);
        }
    }

    proptest! {
        #[test]
        fn any_list_means_the_same_in_each_form(
            list in prop::collection::vec(
                (
                    prop_oneof![
                        "[a-c]{0,2}",
                        prop::sample::select(&[":path", ":method", "accept", "cookie"][..])
                            .prop_map(Into::into),
                    ],
                    prop::option::of(prop_oneof!["[a-b]{0,1}", "(/|GET|.{0,1500})"]),
                ),
                0..12,
            ),
            given in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let fields: Vec<Field<'_>> = list.iter().map(|(name, value)| Field {
                name: name.as_bytes(),
                value: value.as_ref().map_or(Value::Varying, |v| Value::Fixed(v.as_bytes())),
            }).collect();
            let varying = list.iter().filter(|(_, value)| value.is_none()).count();
            let values = std::vec![&*given; varying];
            let expected: Fields = list.iter().map(|(name, value)| {
                let value = value.as_ref().map_or(&*given, |value| value.as_bytes());
                (name.clone().into_bytes(), value.to_vec())
            }).collect();
            let block = Block::new(&fields);
            prop_assert!(block.table_size_needed() <= HPACK_TABLE_BYTES);
            let mut decoder = Decoder::new(HPACK_TABLE_BYTES_MAX);
            for form in [Form::Plain, Form::First, Form::Indexed, Form::Plain, Form::Indexed] {
                prop_assert_eq!(&decode(&mut decoder, &written(&block, form, &values)), &expected);
            }
            prop_assert_eq!(&decode(&mut Decoder::new(0), &{
                written(&block, Form::Plain, &values)
            }), &expected);
        }
    }
}
