//! What is owed to the peer besides requests: counters and flags, so that no peer can make it grow.

use super::flow::{WINDOW_DEFAULT, WINDOW_MAX};
use super::frame::{self, Code, PREFACE, Setting};
use crate::error::ErrorKind;
use crate::limits::{H2_BLOCK_BYTES_MAX, H2_PINGS_PENDING_MAX, H2_ROOM_BYTES_MIN};
use alloc::vec::Vec;

/// What this side asks for. All else is left at its initial value, header tables of 4,096 bytes and
/// frames of 16 KiB.
const SETTINGS: [(Setting, u32); 3] = [
    (Setting::EnablePush, 0),
    (Setting::InitialWindowSize, WINDOW_MAX),
    (Setting::MaxHeaderListSize, H2_BLOCK_BYTES_MAX),
];

/// The value of `HTTP2-Settings` for the request that asks for an upgrade: the same settings, in
/// base64url (RFC 7540 section 3.2.1).
pub const UPGRADE_SETTINGS: &str = "AAIAAAAAAAR_____AAYAAQAA";

/// Frames to be written that are not requests.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Whether anything at all is owed.
    owed: bool,
    greeted: bool,
    settings_acks: u32,
    pings: [[u8; 8]; H2_PINGS_PENDING_MAX],
    pings_pending: u8,
    /// Streams that this side ends. Only such as were written can be, and nothing is written before
    /// these are: there are never more than streams.
    resets: Vec<(u32, Code)>,
    /// Streams whose `refill` is set.
    pub(super) refills: u32,
    goaway: Option<Code>,
}

const _: () = assert!(H2_PINGS_PENDING_MAX <= u8::MAX as usize);

/// The frames of fixed size that an outbox consists of.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Owed {
    Greeting,
    SettingsAck,
    Ping([u8; 8]),
    Reset(u32, Code),
    GoAway(Code),
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self {
            owed: true,
            greeted: false,
            settings_acks: 0,
            pings: [[0; 8]; H2_PINGS_PENDING_MAX],
            pings_pending: 0,
            resets: Vec::new(),
            refills: 0,
            goaway: None,
        }
    }

    /// The same for a peer that is greeted otherwise.
    pub(super) const fn greeted() -> Self {
        let mut outbox = Self::new();
        (outbox.owed, outbox.greeted) = (false, true);
        outbox
    }

    #[inline]
    pub(super) const fn is_owed(&self) -> bool {
        self.owed
    }

    /// Notes that the window of the connection is low.
    pub(super) const fn refill(&mut self) {
        self.owed = true;
    }

    /// Notes that the window of a stream is low, whose `refill` was not set before.
    pub(super) const fn refill_stream(&mut self) {
        self.refills += 1;
        self.owed = true;
    }

    pub(super) const fn settings_ack(&mut self) {
        // Budgeted: cannot overflow before the peer is cut off or has done as much work.
        self.settings_acks = self.settings_acks.saturating_add(1);
        self.owed = true;
    }

    /// Owes the answer to a `PING`; an error when too many are owed.
    pub(super) fn pong(&mut self, payload: [u8; 8]) -> Result<(), ErrorKind> {
        let place = self.pings.get_mut(usize::from(self.pings_pending));
        *place.ok_or(ErrorKind::H2PingFlood)? = payload;
        self.pings_pending += 1;
        self.owed = true;
        Ok(())
    }

    pub(super) fn reset(&mut self, stream: u32, code: Code) {
        self.resets.push((stream, code));
        self.owed = true;
    }

    pub(super) const fn goaway(&mut self, code: Code) {
        self.goaway = Some(code);
        self.owed = true;
    }

    /// Forgets what is owed to a peer that has gone.
    pub(super) fn close(&mut self) {
        self.owed = false;
        self.goaway = None;
    }

    /// Owes nothing any more but a last word.
    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.close();
        // RFC 9113 section 3.4: it may be left out for a peer that does not speak HTTP/2.
        let understood = !matches!(
            kind,
            ErrorKind::NotHttp2 | ErrorKind::NotHttp2Http1 | ErrorKind::NotHttp2Tls
        );
        if self.greeted && understood {
            self.settings_acks = 0;
            self.pings_pending = 0;
            self.resets.clear();
            self.goaway(Code::of(kind));
        }
    }

    /// Returns the next frame that is owed, besides refills; those of a kind in any order.
    pub(super) fn next(&self) -> Option<Owed> {
        if !self.greeted {
            return Some(Owed::Greeting);
        }
        if self.settings_acks > 0 {
            return Some(Owed::SettingsAck);
        }
        if let Some(last) = self.pings_pending.checked_sub(1) {
            return self.pings.get(usize::from(last)).copied().map(Owed::Ping);
        }
        if let Some((stream, code)) = self.resets.last() {
            return Some(Owed::Reset(*stream, *code));
        }
        self.goaway.map(Owed::GoAway)
    }

    /// Notes that `frame`, the next one, was written.
    pub(super) fn done(&mut self, frame: Owed) {
        match frame {
            Owed::Greeting => self.greeted = true,
            Owed::SettingsAck => self.settings_acks -= 1,
            Owed::Ping(_) => self.pings_pending -= 1,
            Owed::Reset(..) => drop(self.resets.pop()),
            Owed::GoAway(_) => self.goaway = None,
        }
    }

    /// Notes that all was written.
    pub(super) const fn emptied(&mut self) {
        self.owed = false;
    }
}

const _: () = assert!(Owed::BYTES_MAX <= H2_ROOM_BYTES_MIN);

impl Owed {
    /// Most bytes of one.
    pub(super) const BYTES_MAX: usize = 128;

    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Greeting => {
                out.extend_from_slice(PREFACE);
                frame::write_settings(out, &SETTINGS);
                frame::write_window_update(out, 0, WINDOW_MAX - WINDOW_DEFAULT);
            }
            Self::SettingsAck => frame::write_settings_ack(out),
            Self::Ping(payload) => frame::write_ping(out, frame::ACK, payload),
            Self::Reset(stream, code) => frame::write_rst_stream(out, stream, code),
            // No stream of a server was processed: it was told not to open any.
            Self::GoAway(code) => frame::write_goaway(out, 0, code),
        }
    }
}
