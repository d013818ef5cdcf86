//! The response head that was parsed last, so that its like need not be parsed again.
//!
//! The answers that a load test gets differ in little but their `Date`, which changes once a
//! second: of a hundred thousand heads per second all but a few are, byte for byte, the one before.
//! What a head means depends on its bytes alone, so comparing it with the last one is exact, and
//! costs about a tenth of parsing it. One memory serves all connections of a shard, and stays in
//! its cache.

use super::head::ResponseHead;

/// Longest head that is remembered; longer ones are parsed each time.
const BYTES_MAX: usize = 512;

/// The last head that arrived whole on any of the connections that share this memory.
#[derive(Debug, Clone)]
pub struct Recall {
    bytes: [u8; BYTES_MAX],
    length: usize,
    head: Option<ResponseHead>,
}

impl Recall {
    /// An empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; BYTES_MAX], length: 0, head: None }
    }

    /// The head at the front of `input` and its length, if it is the one remembered.
    ///
    /// A remembered head holds its own end, so no part of it and nothing longer is mistaken for it.
    #[inline]
    pub(super) fn find(&self, input: &[u8]) -> Option<(ResponseHead, usize)> {
        let head = self.head?;
        let known = self.bytes.get(..self.length)?;
        input.starts_with(known).then_some((head, self.length))
    }

    /// Remembers `head`, which was parsed from all of `bytes`.
    pub(super) fn keep(&mut self, bytes: &[u8], head: ResponseHead) {
        if let Some(room) = self.bytes.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.length = bytes.len();
            self.head = Some(head);
        }
    }
}

impl Default for Recall {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Conn;
    use super::*;
    use crate::event::Event;
    use crate::request::Expect;
    use core::num::NonZeroU8;
    use std::format;
    use std::vec::Vec;

    fn events(conn: &mut Conn, input: &[u8], recall: &mut Recall) -> std::string::String {
        conn.start(Expect { body: true, close: false }).unwrap();
        let (mut input, mut events) = (input, Vec::new());
        while let Some(event) = conn.receive(&mut input, recall).unwrap() {
            events.push(format!("{event:?}"));
        }
        events.join(" ")
    }

    #[test]
    fn a_head_that_is_known_means_what_it_meant_before() {
        let mut recall = Recall::new();
        let a: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
        let b: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nbb";
        for input in [a, a, b, a, b, b] {
            let conn = || Conn::new(NonZeroU8::MIN);
            let remembered = events(&mut conn(), input, &mut recall);
            assert_eq!(remembered, events(&mut conn(), input, &mut Recall::new()));
        }
    }

    #[test]
    fn neither_a_part_of_a_known_head_nor_a_long_one_is_recognised() {
        let mut recall = Recall::new();
        let whole: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
        events(&mut Conn::new(NonZeroU8::MIN), whole, &mut recall);
        let length = whole.len() - 1;
        assert_eq!(recall.find(whole).map(|(_, length)| length), Some(length));
        assert!((0..length).all(|part| recall.find(&whole[..part]).is_none()));

        let mut unused = Recall::new();
        let filler = "x".repeat(BYTES_MAX);
        let long = format!("HTTP/1.1 200 OK\r\nX: {filler}\r\nContent-Length: 0\r\n\r\n");
        events(&mut Conn::new(NonZeroU8::MIN), long.as_bytes(), &mut unused);
        assert!(unused.find(long.as_bytes()).is_none());
    }

    #[test]
    fn a_head_that_is_known_has_its_fields_on_every_connection() {
        let mut recall = Recall::new();
        let known: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA:b\r\n\r\n.";
        let long =
            format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", ["x"; 600].concat());
        let mut conns = [(); 2].map(|()| Conn::new(NonZeroU8::MIN));
        conns[1].keep_fields(true);
        for (at, input, expected) in
            [(0, known, &[][..]), (1, known, b"A=b"), (1, long.as_bytes(), b""), (1, known, b"A=b")]
        {
            events(&mut conns[at], input, &mut recall);
            let fields = conns[at].fields().iter().filter(|(name, _)| *name == b"A");
            let fields: Vec<_> = fields.map(|(name, value)| [name, b"=", value].concat()).collect();
            assert_eq!(fields.concat(), expected);
        }
        assert_eq!(conns[1].fields().len(), 2);
        conns[1].keep_fields(false);
        events(&mut conns[1], known, &mut recall);
        assert!(conns[1].fields().is_empty());
    }

    #[test]
    fn what_a_request_expects_is_no_part_of_the_memory() {
        let mut recall = Recall::new();
        let head: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
        let mut conn = Conn::new(NonZeroU8::MIN);
        let with_body = [head, b"a"].concat();
        assert!(events(&mut conn, &with_body, &mut recall).contains("Body"));
        conn.start(Expect { body: false, close: false }).unwrap();
        let mut input = head;
        assert!(matches!(conn.receive(&mut input, &mut recall), Ok(Some(Event::Head(_)))));
        assert!(matches!(conn.receive(&mut input, &mut recall), Ok(Some(Event::Done(_)))));
    }
}
