//! What a connection tells its owner.
//!
//! Events are small and `Copy`; only [`Event::Body`] borrows, and it borrows from the owner's own
//! input. Field lines are no part of them: a load generator looks at the status and at the framing,
//! and the latter is this package's business. Who wants more asks the connection for
//! [`FieldLines`](crate::FieldLines).

/// One thing that happened on a connection, in the order of the wire.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Event<'b> {
    /// An interim response (1xx) was read and discarded; the final one is still to come.
    Interim {
        /// Its status code, 100 to 199.
        status: u16,
    },
    /// The head of the final response is complete.
    Head(Head),
    /// Bytes of content, never empty, without chunk framing; as many slices as the input made of
    /// them.
    Body(&'b [u8]),
    /// The oldest outstanding exchange is complete, its body consumed to the end.
    Done(Done),
}

/// The head of a final response.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Head {
    /// The status code, 200 to 999.
    pub status: u16,
    /// The version in the status line.
    pub version: Version,
}

/// The end of an exchange.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Done {
    /// Whether the connection may carry another request.
    pub reuse: Reuse,
}

/// What may become of a connection after a response.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Reuse {
    /// It persists.
    Keep,
    /// The owner must close it; requests still outstanding on it will never be answered.
    Close,
    /// The same, though the peer did not say so: the response tells its length in two ways, and
    /// who stands in between may have read another one (RFC 9112 section 6.1).
    Doubtful,
}

/// The version of a response, as its status line gives it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// Where a connection stands in its oldest outstanding exchange: what an expired deadline cut
/// short.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Phase {
    /// Nothing is outstanding.
    Idle,
    /// No byte of the response has arrived.
    AwaitingHead,
    /// A part of the head has arrived, or an interim response and no more.
    Head,
    /// The head is complete, the body is not.
    Body,
}
