//! What the peer has asked for in its `SETTINGS`, and what its table of header fields holds.

use super::flow::{WINDOW_DEFAULT, WINDOW_MAX};
use super::frame::{self, PAYLOAD_BYTES_DEFAULT, PAYLOAD_BYTES_MAX, Setting};
use super::hpack::{Form, write_table_size};
use crate::error::ErrorKind;
use crate::limits::HPACK_TABLE_BYTES;
use alloc::vec::Vec;

/// Streams that are assumed to be taken until the peer says how many: the least that it ought to
/// take (RFC 9113 section 6.5.2).
const STREAMS_ASSUMED: u32 = 100;

/// The peer's settings (RFC 9113 section 6.5.2).
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) streams_max: u32,
    pub(super) initial_window: u32,
    pub(super) payload_max: u32,
    /// Whether any have come.
    pub(super) settled: bool,
    pub(super) table: Table,
}

impl Peer {
    pub(super) const UNKNOWN: Self = Self {
        streams_max: STREAMS_ASSUMED,
        initial_window: WINDOW_DEFAULT,
        payload_max: PAYLOAD_BYTES_DEFAULT,
        settled: false,
        table: Table {
            limit: HPACK_TABLE_BYTES,
            told: HPACK_TABLE_BYTES,
            lowest: HPACK_TABLE_BYTES,
            filled: false,
        },
    };

    /// Takes in a `SETTINGS` payload.
    pub(super) fn settle(&mut self, payload: &[u8]) -> Result<(), ErrorKind> {
        if !self.settled {
            // RFC 9113 section 6.5.2: initially there is no limit.
            self.streams_max = u32::MAX;
            self.settled = true;
        }
        for (setting, value) in frame::settings(payload)? {
            match setting {
                Setting::HeaderTableSize => self.table.limit_to(value),
                // A server must not ask for what only a client can be sent.
                Setting::EnablePush if value == 0 => {}
                Setting::MaxConcurrentStreams => self.streams_max = value,
                Setting::InitialWindowSize if value <= WINDOW_MAX => self.initial_window = value,
                Setting::InitialWindowSize => return Err(ErrorKind::H2WindowOverflow),
                Setting::MaxFrameSize
                    if (PAYLOAD_BYTES_DEFAULT..=PAYLOAD_BYTES_MAX).contains(&value) =>
                {
                    self.payload_max = value;
                }
                Setting::EnablePush | Setting::MaxFrameSize => {
                    return Err(ErrorKind::H2BadSetting);
                }
                // Only advice; a server that means it answers 431 (RFC 6585 section 5).
                Setting::MaxHeaderListSize => {}
            }
        }
        Ok(())
    }
}

/// The table with which the peer decodes what this side sends (RFC 7541 section 4.2).
#[derive(Debug)]
pub(super) struct Table {
    /// What the peer allows, as far as it is used.
    limit: u32,
    /// What the last header block left the size at.
    told: u32,
    /// The lowest limit since.
    lowest: u32,
    /// Whether it holds what [`Form::Indexed`] refers to.
    filled: bool,
}

/// Most bytes that [`Table::write_size`] writes.
pub(super) const TABLE_SIZE_BYTES_MAX: usize = 2 * 4;

impl Table {
    fn limit_to(&mut self, size: u32) {
        // A larger table than the default one would not be used.
        self.limit = size.min(HPACK_TABLE_BYTES);
        self.lowest = self.lowest.min(self.limit);
    }

    /// Returns the form in which the next block goes that needs `bytes` of table.
    #[inline]
    pub(super) const fn form(&self, bytes: u32) -> Form {
        if bytes > self.limit {
            Form::Plain
        } else if self.filled && bytes <= self.lowest {
            Form::Indexed
        } else {
            Form::First
        }
    }

    /// Whether a block that needs `bytes` of table goes as [`Form::Indexed`], and nothing need be
    /// said before it.
    #[inline]
    pub(super) const fn is_steady(&self, bytes: u32) -> bool {
        let told = self.lowest >= self.told && self.limit == self.told;
        told && matches!(self.form(bytes), Form::Indexed)
    }

    /// Writes what a block of `form` must begin with: the changes of the size since the last block.
    #[inline]
    pub(super) fn write_size(&mut self, form: Form, out: &mut Vec<u8>) {
        if self.lowest < self.told || self.limit != self.told {
            self.write_changes(form, out);
        }
        self.filled = matches!(form, Form::First | Form::Indexed);
    }

    #[cold]
    fn write_changes(&mut self, form: Form, out: &mut Vec<u8>) {
        // What is left of a table that had to shrink is of no use, and would be in the way of what
        // `Form::First` enters: an encoder may use less than the limit, and nothing at all for a
        // moment.
        let emptied = self.filled && matches!(form, Form::First);
        let lowest = if emptied { 0 } else { self.lowest };
        if lowest < self.limit.min(self.told) {
            write_table_size(lowest, out);
        }
        write_table_size(self.limit, out);
        (self.told, self.lowest) = (self.limit, self.limit);
    }
}
