//! The field lines of a response's head, for an owner that wants to see them.
//!
//! Most never do, and for them nothing is kept. Who asks pays a copy of the head, into memory that
//! the next head uses again. Of a head that equals the one before not even that is done: the lines
//! lie where they lay.
//!
//! ```text
//!  text   HTTP/1.1 200 OK␍␊Server: nginx␍␊Age:  7 ␍␊␍␊      HTTP/1.x: the head as it came
//!                          └─name └─value └─name └─value
//!  text   servernginxage7                                  HTTP/2: what the block decoded to
//! ```

use crate::limits::{CARRY_KEEP_BYTES_MAX, FIELDS_MAX};
use alloc::vec::Vec;
use core::slice;

/// The field lines of a response's head, in their order, without those of its trailers.
///
/// Names are as the peer wrote them: in HTTP/1.x in whatever case, in HTTP/2 in small letters and
/// without `:status`. Compare them with [`eq_ignore_ascii_case`](slice::eq_ignore_ascii_case).
#[derive(Debug, Clone, Copy, Default)]
pub struct FieldLines<'a> {
    text: &'a [u8],
    lines: &'a [Line],
}

impl<'a> FieldLines<'a> {
    /// Returns name and value of one line after the other; values have no space around them.
    #[must_use]
    pub fn iter(self) -> FieldLinesIter<'a> {
        FieldLinesIter { text: self.text, lines: self.lines.iter() }
    }

    /// Returns how many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.lines.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.lines.is_empty()
    }
}

impl<'a> IntoIterator for FieldLines<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = FieldLinesIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// An iterator over [`FieldLines`].
#[derive(Debug, Clone)]
pub struct FieldLinesIter<'a> {
    text: &'a [u8],
    lines: slice::Iter<'a, Line>,
}

impl<'a> Iterator for FieldLinesIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        let part = |from: u32, to: u32| self.text.get(from as usize..to as usize);
        Some((part(line.name, line.name_end)?, part(line.value, line.value_end)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lines.size_hint()
    }
}

/// Where one line lies in the text: where name and value begin and end.
#[derive(Debug, Clone, Copy)]
struct Line {
    name: u32,
    name_end: u32,
    value: u32,
    value_end: u32,
}

/// The memory of the lines of one head.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Whether the owner wants those of the next head.
    wanted: bool,
    text: Vec<u8>,
    lines: Vec<Line>,
}

impl Kept {
    /// Whether the owner wants the lines of the next head.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Takes note of what the owner wants; a change forgets what is held.
    pub(crate) fn want(&mut self, wanted: bool) {
        if self.wanted != wanted {
            self.wanted = wanted;
            self.clear();
        }
    }

    pub(crate) fn view(&self) -> FieldLines<'_> {
        FieldLines { text: &self.text, lines: &self.lines }
    }

    /// Empties the memory, and lets go of what is large and was not needed this time: heads that
    /// are large each time are read without allocating.
    pub(crate) fn clear(&mut self) {
        let spare = |held: usize, capacity: usize, most: usize| capacity > most && held <= most;
        if spare(self.text.len(), self.text.capacity(), CARRY_KEEP_BYTES_MAX) {
            self.text = Vec::new();
        }
        if spare(self.lines.len(), self.lines.capacity(), FIELDS_MAX) {
            self.lines = Vec::new();
        }
        self.text.clear();
        self.lines.clear();
    }

    /// Adds a line.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.note([start, middle, middle, self.text.len()]);
    }

    /// Takes the lines of an HTTP/1.x head that was judged, instead of those it holds.
    pub(crate) fn replace(&mut self, head: &[u8]) {
        if self.text == head {
            return;
        }
        self.clear();
        self.text.extend_from_slice(head);
        // The first line is that of the status.
        let mut at = line_end(head, 0);
        while at < head.len() {
            let end = line_end(head, at);
            let line = head.get(at..end).unwrap_or_default();
            // The empty line that ends the head has no colon.
            if let Some(colon) = memchr::memchr(b':', line) {
                let rest = line.get(colon + 1..).unwrap_or_default();
                let led = rest.len() - rest.trim_ascii_start().len();
                let value = at + colon + 1 + led;
                self.note([at, at + colon, value, value + rest.trim_ascii().len()]);
            }
            at = end;
        }
    }

    fn note(&mut self, places: [usize; 4]) {
        // A head and a header list have at most 64 KiB.
        let [name, name_end, value, value_end] =
            places.map(|place| u32::try_from(place).unwrap_or(u32::MAX));
        self.lines.push(Line { name, name_end, value, value_end });
    }
}

/// Where the line ends that begins at `at`: behind its LF.
fn line_end(head: &[u8], at: usize) -> usize {
    let rest = head.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(head.len(), |found| at + found + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn head(filler: usize) -> std::string::String {
        format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(filler))
    }

    #[test]
    fn large_heads_keep_their_memory_while_they_come_and_give_it_back_afterwards() {
        let mut kept = Kept::default();
        let large = [head(2 * CARRY_KEEP_BYTES_MAX), head(3 * CARRY_KEEP_BYTES_MAX)];
        kept.replace(large[1].as_bytes());
        let held = kept.text.as_ptr();
        for head in large.iter().cycle().take(6) {
            kept.replace(head.as_bytes());
            assert_eq!(kept.text.as_ptr(), held);
        }
        kept.replace(head(1).as_bytes());
        kept.replace(head(2).as_bytes());
        assert!(kept.text.capacity() <= CARRY_KEEP_BYTES_MAX);
        assert_eq!(kept.view().iter().next(), Some((&b"A"[..], &b"xx"[..])));

        for fields in [2 * FIELDS_MAX, 1, 1] {
            kept.clear();
            (0..fields).for_each(|_| kept.push(b"a", b"b"));
            assert_eq!(kept.view().len(), fields);
        }
        assert!(kept.lines.capacity() <= FIELDS_MAX);
    }

    #[test]
    fn a_change_of_mind_forgets_what_was_held() {
        let mut kept = Kept::default();
        kept.want(true);
        kept.replace(head(1).as_bytes());
        kept.want(true);
        assert_eq!(kept.view().len(), 1);
        kept.want(false);
        assert!(kept.view().is_empty());
    }
}
