//! Every bound of this package, in one place.
//!
//! A peer may send anything for ever; what it sends is either consumed in constant memory or
//! refused at a bound named here. RFC 9112 section 2.3 and RFC 9110 section 2.3 leave the values to
//! the recipient.

/// The longest response head accepted, in bytes, from the status line to the empty line.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most field lines accepted in one head, and in one trailer section.
pub const FIELDS_MAX: usize = 128;

/// Field lines parsed at the first attempt; heads with more are parsed a second time, with room for
/// [`FIELDS_MAX`]. Clearing this room is a part of the price of every response.
pub(crate) const FIELDS_COMMON: usize = 32;

/// The most interim (1xx) responses accepted before one final response.
pub const INTERIM_MAX: u8 = 16;

/// The most requests outstanding on one HTTP/1.1 connection; they are kept as bits of one integer.
pub const PIPELINE_MAX: u8 = 128;

/// The most hexadecimal digits accepted in a chunk size, leading zeros included.
pub const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// The most bytes accepted between a chunk's size and the end of its line (padding and extensions).
pub const CHUNK_EXTENSION_BYTES_MAX: u16 = 4096;

/// The longest trailer section accepted after a chunked body, in bytes.
pub const TRAILER_BYTES_MAX: u16 = 16 * 1024;

/// The size of a dynamic table (RFC 7541 section 4.1) until a header block changes it: the default
/// of `SETTINGS_HEADER_TABLE_SIZE` (RFC 9113 section 6.5.2).
pub const HPACK_TABLE_BYTES: u32 = 4096;

/// The largest dynamic table that this side may announce; the memory of one is at most twice as
/// much.
pub const HPACK_TABLE_BYTES_MAX: u32 = 64 * 1024;

/// The most bytes accepted of an integer in a header block after those bits of it that stand in the
/// first byte: as many as 32 bits take.
pub const HPACK_INTEGER_BYTES_MAX: u32 = 5;

/// The buffer of a split head, or of a decoded string, is kept for the next one up to this size,
/// and given back above it, so that one large head does not cost its size on every connection for
/// the rest of the run.
pub(crate) const CARRY_KEEP_BYTES_MAX: usize = 4096;

const _: () = assert!(FIELDS_COMMON <= FIELDS_MAX);
const _: () = assert!(PIPELINE_MAX as u32 <= u128::BITS);
const _: () = assert!(CHUNK_SIZE_DIGITS_MAX as u32 * 4 <= u64::BITS);
const _: () = assert!(CARRY_KEEP_BYTES_MAX <= HEAD_BYTES_MAX);
const _: () = assert!(TRAILER_BYTES_MAX as usize <= HEAD_BYTES_MAX);
const _: () = assert!(HPACK_TABLE_BYTES <= HPACK_TABLE_BYTES_MAX);
const _: () = assert!(HPACK_INTEGER_BYTES_MAX == u32::BITS.div_ceil(7));
