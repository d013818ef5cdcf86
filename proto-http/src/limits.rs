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

/// The longest header block of which a repetition is recognised.
pub(crate) const HPACK_REPEAT_BYTES_MAX: usize = 512;

/// The longest header block accepted on HTTP/2, in bytes: as they arrive, and as a list of fields
/// with 32 bytes more for each (RFC 9113 section 6.5.2). The peer is told.
pub const H2_BLOCK_BYTES_MAX: u32 = 64 * 1024;

/// The most `CONTINUATION` frames accepted in one header block; four of full size would do.
pub const H2_CONTINUATIONS_MAX: u8 = 32;

/// The longest header block of a request, in bytes, in any form.
pub const H2_REQUEST_BLOCK_BYTES_MAX: usize = 32 * 1024;

/// Fields of a request whose values differ from request to request.
pub const H2_VARYING_FIELDS_MAX: usize = 16;

/// The least room that [`h2::Conn::transmit`](crate::h2::Conn::transmit) makes headway in: what
/// opens a connection, or the longest header block with its frames.
pub const H2_ROOM_BYTES_MIN: usize = H2_REQUEST_BLOCK_BYTES_MAX + 128;

/// `PING`s that wait for their answers to be transmitted.
pub const H2_PINGS_PENDING_MAX: usize = 16;

/// How many frames of a kind that leads nowhere are accepted before useful ones must come in
/// between: a response's head or content buys one of each kind. A server that pings an idle
/// connection every second may do so for an hour.
pub(crate) const H2_PINGS_MAX: u16 = 4_000;
/// The same for `SETTINGS`, each of which may cost a look at every stream.
pub(crate) const H2_SETTINGS_MAX: u16 = 1_000;
/// The same for `RST_STREAM` on streams that have ended. One on an open stream answers a request,
/// so this side's own rate bounds those.
pub(crate) const H2_RESETS_MAX: u16 = 4_000;
/// The same for `DATA` that holds nothing and ends nothing.
pub(crate) const H2_EMPTY_DATA_MAX: u16 = 4_000;
/// The same for `WINDOW_UPDATE`. While a body is sent they are no waste, and what was sent buys
/// them too.
pub(crate) const H2_WINDOW_UPDATES_MAX: u16 = 8_000;

/// Bytes of content that, when they are sent, pay for one `WINDOW_UPDATE`. Servers send one of the
/// stream and one of the connection for each read of a few kilobytes.
pub(crate) const H2_BYTES_PER_UPDATE: u32 = 256;
/// The same for `PRIORITY` and unknown types.
pub(crate) const H2_IGNORED_MAX: u16 = 4_000;

/// How many frames of responses are accepted on streams that have ended, before this side has
/// cancelled any.
pub(crate) const H2_LATE_FRAMES_MIN: u32 = 16;
/// How many bytes of such frames are accepted beyond for each stream that it cancels: more than
/// can be under way then, in the buffers of two kernels and of a server.
pub(crate) const H2_LATE_BYTES_PER_CANCEL: u64 = 128 << 20;

/// How many at most, however many streams it has cancelled.
pub(crate) const H2_LATE_BYTES_MAX: u64 = 256 * H2_LATE_BYTES_PER_CANCEL;

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
const _: () = assert!(H2_REQUEST_BLOCK_BYTES_MAX < H2_ROOM_BYTES_MIN);
const _: () = assert!(H2_CONTINUATIONS_MAX as u32 * 16_384 >= H2_BLOCK_BYTES_MAX);
const _: () = assert!(H2_PINGS_PENDING_MAX < H2_PINGS_MAX as usize);
