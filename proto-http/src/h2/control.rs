//! Frames about a whole connection, which mean the same to a client and to a tunnel.

use super::flood::{Budgets, Waste};
use super::frame::{self, ACK, Header};
use super::outbox::Outbox;
use super::peer::Peer;
use crate::error::ErrorKind;

/// Takes in `SETTINGS`; returns the initial windows of streams before and after, unless it is an
/// acknowledgement.
pub(super) fn settings(
    header: Header,
    payload: &[u8],
    peer: &mut Peer,
    budgets: &mut Budgets,
) -> Result<Option<[u32; 2]>, ErrorKind> {
    check_stream(header)?;
    budgets.spend(Waste::Settings)?;
    if header.has(ACK) {
        return if payload.is_empty() { Ok(None) } else { Err(ErrorKind::H2FrameSize) };
    }
    let before = peer.initial_window;
    peer.settle(payload)?;
    Ok(Some([before, peer.initial_window]))
}

/// Answers a `PING`. This side sends none, so an answer means nothing.
pub(super) fn ping(
    header: Header,
    payload: &[u8],
    budgets: &mut Budgets,
    outbox: &mut Outbox,
) -> Result<(), ErrorKind> {
    check_stream(header)?;
    let payload = frame::ping(payload)?;
    budgets.spend(Waste::Ping)?;
    if header.has(ACK) { Ok(()) } else { outbox.pong(payload) }
}

/// Takes in `GOAWAY`, in which the peer may lower the last stream that it processes, and not raise
/// it: what was given up may have been sent again elsewhere (RFC 9113 section 6.8). Returns the
/// last stream and the code.
pub(super) fn goaway(
    header: Header,
    payload: &[u8],
    last_stream: &mut Option<u32>,
    budgets: &mut Budgets,
) -> Result<(u32, u32), ErrorKind> {
    check_stream(header)?;
    let (last, code) = frame::goaway(payload)?;
    if let Some(before) = *last_stream {
        if last > before {
            return Err(ErrorKind::H2GoAwayRaised);
        }
        budgets.spend(Waste::Ignored)?;
    }
    *last_stream = Some(last);
    Ok((last, code))
}

/// They are about no stream.
const fn check_stream(header: Header) -> Result<(), ErrorKind> {
    if header.stream == 0 { Ok(()) } else { Err(ErrorKind::H2BadStream) }
}
