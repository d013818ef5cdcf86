//! The static table, and the dynamic one of a connection (RFC 7541 section 2.3).
//!
//! ```text
//!   bytes    ┊ evicted ┊ name value │ name value │ name value │ room for more
//!                        ▲                         ▲
//!   entries              oldest          …         newest = index 62
//! ```
//!
//! Entries come and go in one order, so their text is one piece that grows at its end. When its end
//! reaches the end of the memory, the text that counts is moved to the front. Text is never split,
//! so it can be lent as it is. The memory grows with what the peer enters, to at most twice the
//! table's limit; most peers enter a few hundred bytes and no more.

use crate::error::ErrorKind;
use crate::limits::{HPACK_TABLE_BYTES, HPACK_TABLE_BYTES_MAX};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What an entry counts beyond its name and value (RFC 7541 section 4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// The fields with the indices from 1 (RFC 7541 appendix A).
pub(super) static STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The static table and a dynamic one, with one range of indices.
#[derive(Debug, Clone)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// The newest first, as they are numbered.
    entries: VecDeque<Entry>,
    /// What the entries count together; at most `size_max`.
    size: usize,
    /// What the peer last set; at most `limit`.
    size_max: usize,
    /// What this side announced.
    limit: usize,
    generation: u64,
}

/// Where an entry's text is: the name from `start`, the value after it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    name_bytes: usize,
    value_bytes: usize,
}

/// The name of an entry to be made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'a> {
    /// As the field with this index has it.
    Of(u32),
    /// As given.
    Text(&'a [u8]),
}

impl Table {
    /// An empty table of at most `limit` bytes, as this side announced.
    ///
    /// A larger one than the default begins as the default all the same, until the peer says that
    /// it makes use of the rest (RFC 7541 section 4.2).
    pub(super) const fn new(limit: u32) -> Self {
        debug_assert!(limit <= HPACK_TABLE_BYTES_MAX);
        let size_max = if limit < HPACK_TABLE_BYTES { limit } else { HPACK_TABLE_BYTES };
        Self {
            bytes: Vec::new(),
            entries: VecDeque::new(),
            size: 0,
            size_max: size_max as usize,
            limit: limit as usize,
            generation: 0,
        }
    }

    /// How often the table was changed so far.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// What the entries may count together.
    pub(super) const fn size_max(&self) -> usize {
        self.size_max
    }

    /// The field with this index; static ones come first, then the entries from the newest on (RFC
    /// 7541 section 2.3.3).
    #[inline]
    pub(super) fn field(&self, index: u32) -> Option<(&[u8], &[u8])> {
        let position = (index as usize).checked_sub(1)?;
        match STATIC.get(position) {
            Some((name, value)) => Some((name.as_bytes(), value.as_bytes())),
            None => self.entry_text(position - STATIC.len()),
        }
    }

    fn entry_text(&self, position: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(position)?;
        let (name, rest) = self.bytes.get(entry.start..)?.split_at_checked(entry.name_bytes)?;
        Some((name, rest.get(..entry.value_bytes)?))
    }

    /// Enters a field, and evicts as many of the oldest as have no room beside it (RFC 7541 section
    /// 4.4).
    ///
    /// One that is larger than the whole table empties it and is not entered; that is no error.
    pub(super) fn insert(&mut self, name: Name<'_>, value: &[u8]) {
        self.generation += 1;
        let name_bytes = match name {
            Name::Text(text) => text.len(),
            Name::Of(index) => self.field(index).map_or(0, |(name, _)| name.len()),
        };
        let text_bytes = name_bytes + value.len();
        let Some(others_max) = self.size_max.checked_sub(text_bytes + ENTRY_OVERHEAD) else {
            return self.evict(0);
        };
        self.make_room(text_bytes);
        let start = self.bytes.len();
        self.push_name(name);
        self.bytes.extend_from_slice(value);
        // Not before: the name may be that of an entry which has to go (RFC 7541 section 4.4).
        self.evict(others_max);
        self.entries.push_front(Entry { start, name_bytes, value_bytes: value.len() });
        self.size += text_bytes + ENTRY_OVERHEAD;
        debug_assert!(self.size <= self.size_max && self.size_max <= self.limit);
    }

    fn push_name(&mut self, name: Name<'_>) {
        match name {
            Name::Text(text) => self.bytes.extend_from_slice(text),
            Name::Of(index) => {
                let position = (index as usize).saturating_sub(1);
                if let Some((name, _)) = STATIC.get(position) {
                    self.bytes.extend_from_slice(name.as_bytes());
                } else if let Some(entry) = self.entries.get(position - STATIC.len()) {
                    self.bytes.extend_from_within(entry.start..entry.start + entry.name_bytes);
                }
            }
        }
    }

    /// Sets the size that the entries may have together, and evicts what is above it (RFC 7541
    /// section 4.3).
    pub(super) fn resize(&mut self, size_max: u32) -> Result<(), ErrorKind> {
        let size_max = size_max as usize;
        if size_max > self.limit {
            return Err(ErrorKind::HpackTableSize);
        }
        self.generation += 1;
        self.size_max = size_max;
        self.evict(size_max);
        Ok(())
    }

    /// Drops the oldest entries until the rest count at most `size`.
    fn evict(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size -= oldest.name_bytes + oldest.value_bytes + ENTRY_OVERHEAD;
        }
    }

    /// Makes sure that `text_bytes` more fit, without forgetting a text that still counts.
    ///
    /// At least half of the memory is free afterwards, or it is as large as it gets; so a byte that
    /// is entered is moved once or twice in its life.
    fn make_room(&mut self, text_bytes: usize) {
        if self.bytes.capacity() - self.bytes.len() >= text_bytes {
            return;
        }
        let dead = self.entries.back().map_or(self.bytes.len(), |oldest| oldest.start);
        self.bytes.drain(..dead);
        for entry in &mut self.entries {
            entry.start -= dead;
        }
        let wanted = (2 * (self.bytes.len() + text_bytes)).min(2 * self.limit);
        self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table as RFC 7541 section 4 describes it.
    #[derive(Default)]
    struct Model {
        entries: Vec<(Vec<u8>, Vec<u8>)>,
        size_max: usize,
    }

    impl Model {
        fn size(&self) -> usize {
            self.entries.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        }

        fn push(&mut self, name: Vec<u8>, value: Vec<u8>) {
            self.entries.insert(0, (name, value));
            self.evict();
        }

        fn evict(&mut self) {
            while self.size() > self.size_max {
                self.entries.pop();
            }
        }
    }

    fn entries(table: &Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let fields = (62..).map_while(|index| table.field(index));
        fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    }

    #[test]
    fn indices_begin_with_one_and_end_with_the_last_entry() {
        let mut table = Table::new(4096);
        assert_eq!(table.field(0), None);
        assert_eq!(table.field(1), Some((&b":authority"[..], &b""[..])));
        assert_eq!(table.field(16), Some((&b"accept-encoding"[..], &b"gzip, deflate"[..])));
        assert_eq!(table.field(61), Some((&b"www-authenticate"[..], &b""[..])));
        assert_eq!(table.field(62), None);
        table.insert(Name::Text(b"a"), b"b");
        assert_eq!(table.field(62), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(table.field(63), None);
        assert_eq!(table.field(u32::MAX), None);
    }

    // RFC 7541 section 4.4.
    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        let mut table = Table::new(64);
        table.insert(Name::Text(b"a"), b"");
        table.insert(Name::Text(&[b'n'; 16]), &[b'v'; 16]);
        assert_eq!(entries(&table).len(), 1, "64 bytes fit");
        table.insert(Name::Text(&[b'n'; 16]), &[b'v'; 17]);
        assert_eq!(entries(&table), []);
        assert_eq!((table.size, table.generation()), (0, 3));
    }

    // RFC 7541 section 4.4: "A new entry can reference the name of an entry in the dynamic table
    // that will be evicted when adding this new entry".
    #[test]
    fn a_name_may_come_from_the_entry_that_has_to_go() {
        let mut table = Table::new(40);
        table.insert(Name::Text(b"name"), b"one");
        for value in [&b"two"[..], b"", b"four", b"five"] {
            table.insert(Name::Of(62), value);
            assert_eq!(entries(&table), [(b"name".to_vec(), value.to_vec())]);
        }
    }

    // RFC 7541 section 4.2.
    #[test]
    fn a_table_larger_than_the_default_has_to_be_asked_for() {
        let mut table = Table::new(8192);
        assert_eq!(table.size_max, 4096);
        assert_eq!(table.resize(8193), Err(ErrorKind::HpackTableSize));
        assert_eq!(table.resize(8192), Ok(()));
        assert_eq!(table.size_max, 8192);
        assert_eq!(Table::new(100).size_max, 100);
    }

    proptest! {
        #[test]
        fn it_does_what_the_model_does_in_bounded_memory(
            limit in prop_oneof![0_u32..300, Just(4096)],
            steps in prop::collection::vec((0_u8..20, 0_u32..80, 0_usize..90, any::<u8>()), 0..400),
        ) {
            let mut table = Table::new(limit);
            let mut model = Model { entries: Vec::new(), size_max: limit as usize };
            for (step, number, length, byte) in steps {
                let value = std::vec![byte; length];
                match step {
                    0 => {
                        let size = number * 10;
                        prop_assert_eq!(table.resize(size).is_ok(), size <= limit);
                        if size <= limit {
                            model.size_max = size as usize;
                            model.evict();
                        }
                    }
                    1..10 if table.field(number).is_some() => {
                        let name = table.field(number).unwrap().0.to_vec();
                        table.insert(Name::Of(number), &value);
                        model.push(name, value);
                    }
                    _ => {
                        let name = std::vec![b'n'; number as usize];
                        table.insert(Name::Text(&name), &value);
                        model.push(name, value);
                    }
                }
                prop_assert_eq!(entries(&table), &*model.entries);
                prop_assert_eq!(table.size, model.size());
                prop_assert!(table.bytes.capacity() <= 2 * limit as usize);
            }
        }
    }
}
