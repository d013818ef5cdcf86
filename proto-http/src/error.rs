//! What a peer can do wrong, each with a name that is fit for a table.
//!
//! A protocol error is not an error of the program but an outcome of a request: it is counted by
//! its [`ErrorKind`]. It always ends the connection, because after it nobody knows where the next
//! response begins.

/// A violation of the protocol by the peer; the connection is lost.
#[derive(Debug, PartialEq, Eq, Clone, Copy, thiserror::Error)]
#[error("{kind}")]
pub struct ProtocolError {
    kind: ErrorKind,
}

impl ProtocolError {
    /// Returns what was violated, as a key for tables.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the stable name of what was violated, in `snake_case`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind.name()
    }
}

impl From<ErrorKind> for ProtocolError {
    fn from(kind: ErrorKind) -> Self {
        Self { kind }
    }
}

/// Declares [`ErrorKind`], its names and the list of all kinds from one table, so that they cannot
/// drift apart.
macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $text:literal;)+) => {
        /// The kinds of [`ProtocolError`]: a closed set, usable as an index (`kind as usize`, dense
        /// from 0).
        #[derive(Debug, PartialEq, Eq, Clone, Copy, Hash, PartialOrd, Ord, thiserror::Error)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* #[error($text)] $kind,)+
        }

        impl ErrorKind {
            /// All kinds, in the order of their discriminants.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Returns the stable `snake_case` name, as reports print it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

error_kinds! {
    /// The first line is not a status line (RFC 9112 section 4).
    BadStatusLine = "bad_status_line",
        "read a status line; the peer may not speak HTTP/1.1";
    /// A status line of another version than 1.0 or 1.1 (RFC 9112 section 2.3).
    BadVersion = "bad_version",
        "read a status line of HTTP/1.0 or HTTP/1.1; the peer speaks another version";
    /// Whitespace or an empty line stands before the status line (RFC 9112 section 2.2).
    LeadingWhitespace = "leading_whitespace",
        "read a status line: whitespace or an empty line precedes it";
    /// A line ends in LF without CR (RFC 9112 section 2.2).
    BareLf = "bare_lf",
        "read a line: it ends in LF without CR";
    /// A CR is not followed by LF (RFC 9112 section 2.2).
    BareCr = "bare_cr",
        "read a line: it holds a CR without LF";
    /// A NUL byte in a line (RFC 9110 section 5.5).
    NulByte = "nul_byte",
        "read a line: it holds a NUL byte";
    /// A field line is continued on the next line (RFC 9112 section 5.2).
    ObsFold = "obs_fold",
        "read a field: it is folded over several lines";
    /// Whitespace between a field's name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon = "space_before_colon",
        "read a field: whitespace precedes its colon";
    /// A field name is not a token, or has no colon after it (RFC 9110 section 5.1).
    BadFieldName = "bad_field_name",
        "read a field: its name is not a token with a colon";
    /// A field value holds a control character (RFC 9110 section 5.5).
    BadFieldValue = "bad_field_value",
        "read a field: its value holds a control character";
    /// A head longer than [`HEAD_BYTES_MAX`](crate::limits::HEAD_BYTES_MAX).
    HeadTooLarge = "head_too_large",
        "read a head of at most 64 KiB; this one is longer";
    /// A head with more fields than [`FIELDS_MAX`](crate::limits::FIELDS_MAX).
    TooManyFields = "too_many_fields",
        "read a head of at most 128 fields; this one has more";
    /// More interim responses than [`INTERIM_MAX`](crate::limits::INTERIM_MAX).
    TooManyInterim = "too_many_interim",
        "read a final response: more than 16 interim ones precede it";
    /// A 101 though no request asked for another protocol (RFC 9110 section 7.8).
    UnexpectedUpgrade = "unexpected_upgrade",
        "stay in HTTP/1.1: the peer switched protocols unasked";
    /// A `Content-Length` that is no decimal number, or above 2⁶⁴ − 1 (RFC 9112 section 6.3, rule
    /// 5).
    BadLength = "bad_length",
        "read Content-Length: it is no number below 2^64";
    /// Several `Content-Length` values that differ (RFC 9112 section 6.3, rule 5).
    ConflictingLength = "conflicting_length",
        "read Content-Length: it is given several times, with different values";
    /// A `Transfer-Encoding` whose meaning is in doubt (RFC 9112 sections 6.1 and 7.1).
    BadTransferEncoding = "bad_transfer_encoding",
        "read Transfer-Encoding: its list of codings is malformed";
    /// Content announced in a 205 (RFC 9110 section 15.3.6).
    UnexpectedContent = "unexpected_content",
        "read a response with status 205: it announces content";
    /// A chunk size without digits, with a stranger among them or with too many (RFC 9112 section
    /// 7.1).
    BadChunkSize = "bad_chunk_size",
        "read a chunk: its size is no hexadecimal number of 1 to 16 digits";
    /// A chunk extension with a control character, or too long a one (RFC 9112 section 7.1.1).
    BadChunkExtension = "bad_chunk_extension",
        "read a chunk: its extension is malformed or above 4 KiB";
    /// No CRLF after a chunk's data (RFC 9112 section 7.1).
    BadChunkEnd = "bad_chunk_end",
        "read a chunk: its data are not followed by CRLF";
    /// A trailer section that is too long (RFC 9112 section 7.1.2).
    TrailerTooLarge = "trailer_too_large",
        "read a trailer section of at most 16 KiB and 128 fields";
    /// Bytes arrived though no request was outstanding, or after the last response of the
    /// connection (RFC 9112 section 9.2): the sign of response splitting and of lost
    /// synchronisation.
    UnsolicitedBytes = "unsolicited_bytes",
        "match a response to a request: bytes came that no request asked for";
    /// The peer closed before the first byte of an awaited response.
    TruncatedWait = "truncated_wait",
        "read a response: the peer closed the connection before its first byte";
    /// The peer closed within a head, or between an interim response and the final one (RFC 9112
    /// section 8).
    TruncatedHead = "truncated_head",
        "read a response: the peer closed the connection within its head";
    /// The peer closed within a body of known end (RFC 9112 section 8).
    TruncatedBody = "truncated_body",
        "read a response: the peer closed the connection within its body";
    /// An index of a header block that neither table holds (RFC 7541 section 2.3.3).
    HpackBadIndex = "hpack_bad_index",
        "decode a header block: it names a field that no table holds";
    /// An integer of a header block above 2³² − 1, or spelled with too many bytes (RFC 7541 section
    /// 5.1).
    HpackBadInteger = "hpack_bad_integer",
        "decode a header block: one of its integers is not below 2^32";
    /// A Huffman code of no byte, or one cut off, or wrong padding after the last (RFC 7541 section
    /// 5.2).
    HpackBadHuffman = "hpack_bad_huffman",
        "decode a header block: one of its strings is no valid Huffman code";
    /// A dynamic table size above the one announced, or elsewhere than at the beginning of a header
    /// block (RFC 7541 sections 4.2 and 6.3).
    HpackTableSize = "hpack_table_size",
        "decode a header block: it sets the size of the table above the limit or out of place";
    /// A header block that ends within a field (RFC 7541 section 3.2).
    HpackTruncated = "hpack_truncated",
        "decode a header block: it ends within a field";
    /// A header list longer than this side announced to accept (RFC 9113 section 6.5.2).
    HeaderListTooLarge = "header_list_too_large",
        "decode a header block: its fields are longer than the limit announced";
    /// The peer's first frame is not `SETTINGS` (RFC 9113 section 3.4).
    NotHttp2 = "not_http2",
        "speak HTTP/2: the peer does not begin with SETTINGS";
    /// The peer's first bytes are those of an HTTP/1 response.
    NotHttp2Http1 = "not_http2_http1",
        "speak HTTP/2: the peer answers in HTTP/1";
    /// The peer's first bytes are those of a TLS record.
    NotHttp2Tls = "not_http2_tls",
        "speak HTTP/2: the peer answers in TLS";
    /// A frame longer than this side allows (RFC 9113 section 4.2).
    H2FrameTooLarge = "h2_frame_too_large",
        "read a frame of at most 16 KiB; this one is longer";
    /// A frame whose length does not fit its type (RFC 9113 section 4.2).
    H2FrameSize = "h2_frame_size",
        "read a frame: its length does not fit its type";
    /// Padding that is longer than its frame (RFC 9113 sections 6.1 and 6.2).
    H2Padding = "h2_padding",
        "read a frame: it has more padding than bytes";
    /// A frame on a stream that was never opened, or of the connection on a stream, or the other
    /// way round (RFC 9113 sections 5.1 and 6).
    H2BadStream = "h2_bad_stream",
        "read a frame: it names a stream that it cannot belong to";
    /// Content or a response on a stream that has ended (RFC 9113 section 5.1), more often than can
    /// be due to frames that were under way when this side ended it.
    H2StreamClosed = "h2_stream_closed",
        "read a frame: it belongs to a stream that has ended";
    /// A `PUSH_PROMISE`, though this side has forbidden it (RFC 9113 section 6.6).
    H2PushPromise = "h2_push_promise",
        "read a frame: the peer pushes responses, which it was told not to";
    /// A frame between the parts of a header block, or a part without a beginning (RFC 9113
    /// sections 4.3 and 6.10).
    H2Continuation = "h2_continuation",
        "read a header block: its parts do not follow one another";
    /// More parts of a header block than
    /// [`H2_CONTINUATIONS_MAX`](crate::limits::H2_CONTINUATIONS_MAX).
    H2ContinuationFlood = "h2_continuation_flood",
        "read a header block of at most 33 frames; this one has more";
    /// A header block longer than [`H2_BLOCK_BYTES_MAX`](crate::limits::H2_BLOCK_BYTES_MAX).
    H2BlockTooLarge = "h2_block_too_large",
        "read a header block of at most 64 KiB; this one is longer";
    /// A setting with a value that it must not have (RFC 9113 section 6.5.2).
    H2BadSetting = "h2_bad_setting",
        "read SETTINGS: one of the values is not allowed";
    /// A `WINDOW_UPDATE` that grants nothing (RFC 9113 section 6.9).
    H2ZeroIncrement = "h2_zero_increment",
        "read WINDOW_UPDATE: it grants 0 bytes";
    /// A window raised above 2³¹ − 1 (RFC 9113 section 6.9.1).
    H2WindowOverflow = "h2_window_overflow",
        "read WINDOW_UPDATE or SETTINGS: the window would exceed 2^31-1";
    /// More content than the windows of this side allow (RFC 9113 section 6.9.1).
    H2WindowExceeded = "h2_window_exceeded",
        "read DATA: it is more than the window allows";
    /// A `GOAWAY` with a higher last stream than the one before it (RFC 9113 section 6.8).
    H2GoAwayRaised = "h2_goaway_raised",
        "read GOAWAY: its last stream is higher than that of an earlier one";
    /// More `PING`s than are good for anything.
    H2PingFlood = "h2_ping_flood",
        "keep up with PING: the peer sends too many";
    /// More `SETTINGS` than are good for anything.
    H2SettingsFlood = "h2_settings_flood",
        "keep up with SETTINGS: the peer sends too many";
    /// More `RST_STREAM`s that end nothing than can be under way.
    H2ResetFlood = "h2_reset_flood",
        "keep up with RST_STREAM: the peer sends too many on streams that have ended";
    /// More `DATA` without content than are good for anything.
    H2EmptyDataFlood = "h2_empty_data_flood",
        "keep up with DATA: the peer sends too many without content";
    /// More `WINDOW_UPDATE`s than are good for anything.
    H2WindowFlood = "h2_window_flood",
        "keep up with WINDOW_UPDATE: the peer sends too many";
    /// More frames of types without meaning than are good for anything.
    H2IgnoredFlood = "h2_ignored_flood",
        "keep up with frames that mean nothing: the peer sends too many";
    /// A response without `:status`, with several, or with one that is no number of three digits
    /// from 100 on (RFC 9113 section 8.3.2).
    H2BadStatus = "h2_bad_status",
        "read a response: it has no :status of three digits, or more than one";
    /// Another pseudo-header field than `:status`, or one after a regular field, or in trailers
    /// (RFC 9113 section 8.3).
    H2BadPseudo = "h2_bad_pseudo",
        "read a response: a pseudo-header field is unknown or out of place";
    /// A field that speaks of an HTTP/1 connection (RFC 9113 section 8.2.2).
    H2ConnectionField = "h2_connection_field",
        "read a response: it has a field of HTTP/1 connections";
    /// Trailers without the end of the stream (RFC 9113 section 8.1).
    H2BadTrailers = "h2_bad_trailers",
        "read a response: its trailers do not end it";
    /// An interim response that ends the stream (RFC 9113 section 8.1).
    H2InterimEnds = "h2_interim_ends",
        "read a response: it ends with an interim one";
    /// Content before the head, or where there can be none (RFC 9113 sections 8.1 and 8.1.1).
    H2UnexpectedData = "h2_unexpected_data",
        "read a response: content stands where there can be none";
    /// Content of another length than `Content-Length` says (RFC 9113 section 8.1.1).
    H2LengthMismatch = "h2_length_mismatch",
        "read a response: its content is not as long as Content-Length says";
}

/// Why a request cannot start on this connection now.
#[derive(Debug, PartialEq, Eq, Clone, Copy, thiserror::Error)]
pub enum StartError {
    /// As many requests are outstanding as the connection's depth allows.
    #[error("start a request: as many are outstanding as may be; wait for a response")]
    Full,
    /// The connection takes no more requests: it is closing, closed or failed.
    #[error("start a request: the connection is closing; open another one")]
    Closing,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::string::ToString;

    #[test]
    fn kinds_index_a_table_and_have_distinct_snake_case_names() {
        let mut names = BTreeSet::new();
        for (index, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
            let name = kind.name();
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(name.bytes().all(fits), "{name}");
            assert!(names.insert(name), "{name} twice");
        }
    }

    #[test]
    fn texts_complete_the_sentence_failed_to() {
        for kind in ErrorKind::ALL {
            let text = ProtocolError::from(*kind).to_string();
            assert!(text.starts_with(|first: char| first.is_ascii_lowercase()), "{text}");
            assert!(!text.ends_with('.'), "{text}");
        }
    }
}
