//! HPACK: how HTTP/2 writes header lists (RFC 7541).
//!
//! A header block is a sequence of instructions to the decoder: a field that a table holds, a
//! literal, a literal to be entered into the dynamic table. So every block must be decoded, in
//! order, by the one decoder of its connection, whether anybody wants its fields or not.
//!
//! Both directions are made for what a load test does. [`Decoder`] lends each field to a closure,
//! keeps nothing but the table, and need not decode a block that comes again. [`Block`] encodes a
//! request once, before the run, in the forms in which connections can send it; per request its
//! bytes are copied.

mod decode;
mod encode;
mod huffman;
mod repeat;
mod table;

pub use decode::Decoder;
pub use encode::{Block, Field, Form, Value, write_integer, write_table_size};

// The first bits of an instruction (RFC 7541 section 6).
const INDEXED: u8 = 0b1000_0000;
const WITH_INDEXING: u8 = 0b0100_0000;
const TABLE_SIZE: u8 = 0b0010_0000;
const WITHOUT_INDEXING: u8 = 0b0000_0000;

// How many bits the first byte has left for the integer that follows those.
const INDEXED_PREFIX: u32 = 7;
const WITH_INDEXING_PREFIX: u32 = 6;
const TABLE_SIZE_PREFIX: u32 = 5;
const LITERAL_PREFIX: u32 = 4;

/// The bit of a string's first byte which says that the string is Huffman-coded (RFC 7541 section
/// 5.2); its length takes the other bits.
const HUFFMAN: u8 = 0b1000_0000;
const STRING_PREFIX: u32 = 7;
