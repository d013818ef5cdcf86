//! The same header blocks through this package and through another implementation of RFC 7541.
//!
//! Three ways to meet: what we encode the other decodes, what the other encodes we decode, and
//! blocks of any instructions mean the same to both decoders. Random bytes are compared as well;
//! there the two may differ about blocks that no encoder writes, and [`excused`] lists how.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use proptest::prelude::*;
use pummel_proto_http::ErrorKind;
use pummel_proto_http::h2::hpack::{
    Block, Decoder, Field, Form, Value, write_integer, write_table_size,
};
use pummel_proto_http::limits::HPACK_TABLE_BYTES;

/// More fields than any table here holds.
const FIELDS_MAX: usize = 1000;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn ours(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, ErrorKind> {
    let mut fields = Fields::new();
    decoder.decode(block, u32::MAX, |name, value| fields.push((name.to_vec(), value.to_vec())))?;
    Ok(fields)
}

/// The other decoder, with the limit that ours has.
fn other(table_max: u32) -> loona_hpack::Decoder<'static> {
    let mut decoder = loona_hpack::Decoder::new();
    decoder.set_max_allowed_table_size(table_max as usize);
    decoder.set_max_table_size(table_max.min(HPACK_TABLE_BYTES) as usize);
    decoder
}

/// One instruction of a block; an index is taken modulo what the tables then hold.
#[derive(Debug, Clone)]
enum Step {
    Indexed(usize),
    Literal { how: How, name: Result<usize, Text>, value: Text },
}

#[derive(Debug, Clone, Copy)]
enum How {
    Entered,
    NotEntered,
    NeverEntered,
}

/// A string, and whether to code it.
#[derive(Debug, Clone)]
struct Text(Vec<u8>, bool);

fn text(bytes_max: usize) -> impl Strategy<Value = Text> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..bytes_max),
        "[ -~]{0,40}".prop_map(String::into_bytes),
    ];
    (bytes, any::<bool>()).prop_map(|(bytes, coded)| Text(bytes, coded))
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop::sample::select(&[How::Entered, How::NotEntered, How::NeverEntered][..]);
    let name = prop_oneof![any::<usize>().prop_map(Ok), text(60).prop_map(Err)];
    prop_oneof![
        any::<usize>().prop_map(Step::Indexed),
        (how, name, text(200)).prop_map(|(how, name, value)| Step::Literal { how, name, value }),
    ]
}

impl Text {
    /// Our own encoder is asked for the Huffman code, and codes only what it makes shorter.
    fn write(&self, out: &mut Vec<u8>) {
        if self.1 {
            let mut field = Vec::new();
            let block = Block::new(&[Field::fixed(b"", &self.0)]);
            block.write(Form::Plain, &[], &mut field);
            // The instruction and an empty name come first.
            out.extend_from_slice(field.strip_prefix(&[0, 0]).unwrap());
        } else {
            write_integer(0, 7, self.0.len(), out);
            out.extend_from_slice(&self.0);
        }
    }
}

impl Step {
    /// Writes the instruction; `fields` are how many can be referred to.
    fn write(&self, fields: usize, out: &mut Vec<u8>) {
        match self {
            Self::Indexed(index) => write_integer(0x80, 7, index % fields + 1, out),
            Self::Literal { how, name, value } => {
                let (pattern, prefix) = match how {
                    How::Entered => (0x40, 6),
                    How::NotEntered => (0x00, 4),
                    How::NeverEntered => (0x10, 4),
                };
                match name {
                    Ok(index) => write_integer(pattern, prefix, index % fields + 1, out),
                    Err(name) => {
                        write_integer(pattern, prefix, 0, out);
                        name.write(out);
                    }
                }
                value.write(out);
            }
        }
    }
}

/// How many fields can be referred to: indices are tried until one is refused.
fn referable(decoder: &Decoder) -> usize {
    let known = |index: usize| {
        let mut block = Vec::new();
        write_integer(0x80, 7, index, &mut block);
        ours(&mut decoder.clone(), &block).is_ok()
    };
    (62..FIELDS_MAX).find(|&index| !known(index)).unwrap() - 1
}

/// Whether two verdicts on random bytes may differ: ours is `ours`.
///
/// The other takes a table size anywhere but at the end of a block, and ours at the beginning only
/// (RFC 7541 section 4.2), even if nothing follows; the other refuses integers of as many bytes as
/// ours takes.
fn excused(block: &[u8], ours: &Result<Fields, ErrorKind>) -> bool {
    let long_integer = block.windows(4).any(|bytes| bytes.iter().all(|&byte| byte >= 0x80));
    let only_sizes = ours == &Ok(Vec::new());
    long_integer || only_sizes || ours == &Err(ErrorKind::HpackTableSize)
}

#[test]
fn the_static_tables_are_equal() {
    let mut both = (Decoder::new(0), other(0));
    for index in 1..=62 {
        let block = [0x80 | index];
        assert_eq!(ours(&mut both.0, &block).ok(), both.1.decode(&block).ok(), "{index}");
    }
}

#[test]
fn the_codes_of_all_bytes_are_equal() {
    for byte in 0..=u8::MAX {
        // What surrounds it makes the code the shorter form.
        let value = [&[b'0'; 40][..], &[byte], &[b'a'; 3]].concat();
        let mut block = Vec::new();
        Block::new(&[Field::fixed(b"x", &value)]).write(Form::Plain, &[], &mut block);
        assert!(block.len() < value.len());
        assert_eq!(other(0).decode(&block).unwrap(), [(b"x".to_vec(), value)]);
    }
}

proptest! {
    #[test]
    fn any_instructions_mean_the_same_to_both(
        table_max in prop_oneof![0_u32..400, Just(4096), Just(20_000)],
        blocks in prop::collection::vec(
            (prop::option::of(any::<u32>()), prop::collection::vec(step(), 1..5)),
            0..25,
        ),
    ) {
        let mut both = (Decoder::new(table_max), other(table_max));
        for (size, steps) in blocks {
            let mut block = Vec::new();
            if let Some(size) = size {
                write_table_size(size % (table_max + 1), &mut block);
            }
            // Sizes and entries of this very block may make an index too large; that is no harm.
            let fields = referable(&both.0);
            for step in &steps {
                step.write(fields, &mut block);
            }
            let result = ours(&mut both.0, &block);
            let others = both.1.decode(&block).ok();
            prop_assert_eq!(result.as_ref().ok(), others.as_ref());
            if result.is_err() {
                prop_assert_eq!(result, Err(ErrorKind::HpackBadIndex));
                break;
            }
        }
    }

    #[test]
    fn any_bytes_mean_the_same_to_both_or_it_is_listed_why(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
    ) {
        let mut both = (Decoder::new(HPACK_TABLE_BYTES), other(HPACK_TABLE_BYTES));
        for block in blocks {
            let result = ours(&mut both.0, &block);
            let others = both.1.decode(&block).ok();
            if result.as_ref().ok() != others.as_ref() {
                prop_assert!(excused(&block, &result), "{:?} {:?}", result, others);
                break;
            }
            if result.is_err() {
                break;
            }
        }
    }

    #[test]
    fn what_the_other_encodes_is_decoded(
        lists in prop::collection::vec(
            (
                prop::option::of(0_u32..4096),
                prop::collection::vec(("[a-z]{0,8}", "[ -~]{0,60}|.{0,9}"), 1..8),
            ),
            0..20,
        ),
    ) {
        let (mut encoder, mut decoder) = (loona_hpack::Encoder::new(), Decoder::new(4096));
        for (size, list) in lists {
            let mut block = Vec::new();
            if let Some(size) = size {
                encoder.set_max_table_size(size as usize);
                write_table_size(size, &mut block);
            }
            let fields = list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            encoder.encode_into(fields.clone(), &mut block).unwrap();
            let expected: Fields =
                fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(ours(&mut decoder, &block), Ok(expected));
        }
    }

    #[test]
    fn what_we_encode_the_other_decodes(
        common in prop::collection::vec(("[a-z:]{1,12}", "[ -~]{0,300}"), 0..12),
        own in prop::collection::vec(("[a-z:]{1,12}", prop::option::of(".{0,40}")), 1..4),
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..12),
        given in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..200)],
        open in prop_oneof![Just(Value::Varying), Just(Value::Optional)],
    ) {
        // Each list has what is common, and one field of its own.
        let lists: Vec<Vec<Field<'_>>> = own.iter().map(|(name, value)| {
            let own = Field {
                name: name.as_bytes(),
                value: value.as_ref().map_or(open, |v| Value::Fixed(v.as_bytes())),
            };
            let common = common.iter().map(|(n, v)| Field::fixed(n.as_bytes(), v.as_bytes()));
            std::iter::once(own).chain(common).collect()
        }).collect();
        let blocks = Block::set(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut decoder = other(HPACK_TABLE_BYTES);
        let mut form = Form::First;
        for (which, plain) in order {
            let which = which.index(blocks.len());
            let values: &[&[u8]] =
                if lists[which][0].value == open { &[&given] } else { &[] };
            let mut block = Vec::new();
            blocks[which].write(if plain { Form::Plain } else { form }, values, &mut block);
            if !plain {
                form = Form::Indexed;
            }
            let expected: Fields = lists[which].iter().filter_map(|field| {
                let value = match field.value {
                    Value::Fixed(value) => value,
                    Value::Optional if given.is_empty() => return None,
                    Value::Varying | Value::Optional => &*given,
                };
                Some((field.name.to_vec(), value.to_vec()))
            }).collect();
            // A block without fields has no bytes, and the other takes it as well.
            prop_assert_eq!(decoder.decode(&block).unwrap(), expected);
        }
    }
}
