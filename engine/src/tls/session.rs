//! One connection's TLS, in either role.

use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus,
};
use rustls::{
    ClientConfig, CommonState, Error, HandshakeKind, NamedGroup, ProtocolVersion, ServerConfig,
    SupportedCipherSuite,
};

use super::config::named;
use super::trouble::trouble;
use crate::plan::{Group, TlsVersion};
use crate::record::{Agreed, Alpn, TlsTrouble};

/// Bytes in front of a record: its kind, version and length (RFC 8446 section 5.1).
const HEADER: usize = 5;
/// Most plain bytes in a record (RFC 8446 section 5.1).
pub(super) const PLAIN_MAX: usize = 1 << 14;
/// Most bytes that sealing adds to a record: its header, and 8 + 16 with TLS 1.2, 1 + 16 with 1.3.
const SEAL_MAX: usize = HEADER + 8 + 16;
/// Most bytes that wait for the rest of a record or of a handshake message. The library takes
/// messages up to 64 KiB; this leaves room for the seals of their pieces, unless those are tiny.
const CARRY_MAX: usize = 256 << 10;
/// The part of the records that keys may seal which is kept for what has begun: 65,536 of the 2²⁴
/// of AES-GCM, a GiB.
const WORN_SHARE: u64 = 256;

/// Most bytes that [`Session::write`] appends for `plain` bytes.
///
/// A key update that is due comes on top. It is under [`sealed_len`]`(64)`, and rare.
#[must_use]
pub const fn sealed_len(plain: usize) -> usize {
    plain + plain.div_ceil(PLAIN_MAX) * SEAL_MAX
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The handshake goes on.
    Handshaking,
    /// Bytes flow.
    Open,
    /// The peer has said that it sends no more (`close_notify`); it may still be written to.
    Ended,
}

/// One connection's TLS.
///
/// The owner hands in what arrives and sends what is appended to `out`, in this order and all of
/// it, after an error too: the alert that tells the peer is in it.
pub struct Session {
    role: Role,
    /// The beginning of a record, or of a handshake message in several records, of which the rest
    /// has not arrived. Empty and without memory otherwise.
    carry: Vec<u8>,
    state: Result<Progress, TlsTrouble>,
    /// Whether the peer has said anything in TLS.
    met: bool,
    agreed: Option<Agreed>,
    /// Records that the present keys have sealed, and may seal.
    sealed: u64,
    sealed_max: u64,
}

/// The two sides, which the library has as two types. Boxed: connections move, and these are large.
enum Role {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// Does the same with either side.
macro_rules! either {
    ($role:expr, $side:ident => $what:expr) => {
        match $role {
            Role::Client($side) => $what,
            Role::Server($side) => $what,
        }
    };
}

impl Session {
    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, TlsTrouble> {
        let connection = UnbufferedClientConnection::new(config, name);
        Ok(Self::new(Role::Client(Box::new(connection.map_err(|error| trouble(&error, true))?))))
    }

    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, TlsTrouble> {
        let connection = UnbufferedServerConnection::new(config);
        Ok(Self::new(Role::Server(Box::new(connection.map_err(|error| trouble(&error, true))?))))
    }

    fn new(role: Role) -> Self {
        let carry = Vec::new();
        let state = Ok(Progress::Handshaking);
        Self { role, carry, state, met: false, agreed: None, sealed: 0, sealed_max: u64::MAX }
    }

    /// Appends what a client sends first; nothing for a server.
    ///
    /// # Errors
    ///
    /// If the library cannot go on.
    pub fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        self.receive(&mut [], out, |_| ()).map(drop)
    }

    /// Takes in what arrived: calls `plain` with what each record held, in order, and appends to
    /// `out` what has to be sent (handshake, alerts, key updates).
    ///
    /// `input` is decrypted where it lies and is of no use afterwards. What follows the peer's
    /// `close_notify`, or comes after [`Session::close`], is dropped (RFC 8446 section 6.1).
    ///
    /// # Errors
    ///
    /// If the connection is not secured, or not any more. It stays so: the owner sends `out` and
    /// closes.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        plain: impl FnMut(&[u8]),
    ) -> Result<Progress, TlsTrouble> {
        if self.state? != Progress::Ended {
            self.state = match self.take_in(input, out, plain) {
                Ok(ended) => Ok(self.progress(ended)),
                Err(error) => {
                    either!(&mut self.role, side => say_why(side.as_mut(), out));
                    Err(trouble(&error, self.met))
                }
            };
            if !matches!(self.state, Ok(Progress::Handshaking | Progress::Open)) {
                self.carry = Vec::new();
            }
        }
        self.state
    }

    /// Completes in the carry what is carried, then goes on where the bytes lie. Says whether the
    /// peer has ended the session.
    fn take_in(
        &mut self,
        mut input: &mut [u8],
        out: &mut Vec<u8>,
        mut plain: impl FnMut(&[u8]),
    ) -> Result<bool, Error> {
        let met = &mut self.met;
        // Each round takes at least a byte from `input`.
        while !self.carry.is_empty() {
            let missing = missing(&self.carry).unwrap_or(usize::MAX).clamp(1, input.len().max(1));
            let Some((first, rest)) = input.split_at_mut_checked(missing) else { return Ok(false) };
            input = rest;
            if self.carry.len() + first.len() > CARRY_MAX {
                // So much is not kept of what is no TLS.
                *met = true;
                return Err(Error::PeerSentOversizedRecord);
            }
            self.carry.extend_from_slice(first);
            let carry = &mut self.carry;
            let done = either!(&mut self.role, side => {
                turn(side.as_mut(), carry, met, out, &mut plain)
            })?;
            if done.ended {
                return Ok(true);
            }
            carry.drain(..done.bytes.min(carry.len()));
            if carry.is_empty() {
                *carry = Vec::new();
            }
        }
        let done =
            either!(&mut self.role, side => turn(side.as_mut(), input, met, out, &mut plain))?;
        if !done.ended {
            self.carry_over(input.get(done.bytes..).unwrap_or_default());
        }
        Ok(done.ended)
    }

    /// Keeps the `rest` of what arrived, with room for the record that it begins.
    fn carry_over(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.carry.reserve_exact(rest.len() + missing(rest).unwrap_or(0));
            self.carry.extend_from_slice(rest);
        }
    }

    fn progress(&mut self, ended: bool) -> Progress {
        let common = either!(&self.role, side => side.common());
        if common.is_handshaking() {
            return Progress::Handshaking;
        }
        if self.agreed.is_none() {
            self.agreed = Some(agreed(common));
            // The end of the handshake was a record, too.
            (self.sealed, self.sealed_max) = (1, sealed_max(common));
        }
        if ended { Progress::Ended } else { Progress::Open }
    }

    /// The peer has closed its side of the connection.
    ///
    /// # Errors
    ///
    /// If that cuts off the handshake or a record. The end of a session that is open and between
    /// two records is none: many servers save themselves the `close_notify`, and whether something
    /// is missing then is HTTP's to know.
    pub fn receive_end(&mut self) -> Result<(), TlsTrouble> {
        match self.state? {
            Progress::Handshaking => self.state = Err(TlsTrouble::Truncated),
            Progress::Open if !self.carry.is_empty() => self.state = Err(TlsTrouble::Truncated),
            Progress::Open | Progress::Ended => {}
        }
        self.state.map(drop)
    }

    /// Seals `plain` and appends the records to `out`, at most [`sealed_len`] bytes.
    ///
    /// # Errors
    ///
    /// If the session is not open, or has failed.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        if self.state? == Progress::Handshaking {
            return Err(TlsTrouble::Internal);
        }
        let carry = &mut self.carry;
        let sealed = plain.is_empty()
            || either!(&mut self.role, side => write(side.as_mut(), carry, plain, out));
        self.sealed = self.sealed.saturating_add(plain.len().div_ceil(PLAIN_MAX) as u64);
        if !sealed {
            let worn_out = self.sealed > self.sealed_max;
            let trouble = if worn_out { TlsTrouble::WornOut } else { TlsTrouble::Internal };
            self.state = Err(trouble);
        }
        self.state.map(drop)
    }

    /// Whether the keys have sealed nearly as many records as they may (RFC 8446 section 5.5) and
    /// there will be no others: TLS 1.2 has no way to renew them. What is left is enough to bring
    /// what has begun to its end.
    #[must_use]
    pub const fn is_worn(&self) -> bool {
        self.sealed >= self.sealed_max - self.sealed_max / WORN_SHARE
    }

    /// Appends `close_notify`, if there is a session to close, and takes in nothing from then on.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if matches!(self.state, Ok(Progress::Open | Progress::Ended)) {
            let carry = &mut self.carry;
            either!(&mut self.role, side => close(side.as_mut(), carry, out));
            self.carry = Vec::new();
            self.state = Ok(Progress::Ended);
        }
    }

    /// Appends new keys, and asks the peer for new ones (RFC 8446 section 4.6.3).
    #[cfg(test)]
    pub(super) fn renew_keys(&mut self, out: &mut Vec<u8>) {
        either!(&mut self.role, side => {
            let Ok(ConnectionState::WriteTraffic(traffic)) = side.process(&mut []).state else {
                panic!("nothing can be written");
            };
            traffic.refresh_traffic_keys().unwrap();
        });
        self.begin(out).unwrap();
    }

    /// What the handshake agreed on, once it is done.
    #[must_use]
    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }
}

/// How many bytes the record at the front of `bytes` lacks, at first those of its header. `None` if
/// it lacks none: it is the front of a handshake message then, which goes on in another record.
fn missing(bytes: &[u8]) -> Option<usize> {
    let record = match bytes {
        [_, _, _, high, low, ..] => HEADER + usize::from(u16::from_be_bytes([*high, *low])),
        _ => HEADER,
    };
    record.checked_sub(bytes.len()).filter(|missing| *missing > 0)
}

/// What the two sides have in common.
trait Side {
    /// The library's mark for the side.
    type Data;

    /// Takes in the front of `input`, up to what its owner has to act upon.
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// What is known about the connection.
    fn common(&self) -> &CommonState;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

/// How a turn went.
struct Done {
    /// Bytes at the front of the input that are not needed any more.
    bytes: usize,
    /// Whether the peer has ended the session.
    ended: bool,
}

/// Takes in what `input` holds, until there is nothing left to act upon.
///
/// Each round takes a record from `input`, or a message from the queue of what is to be sent, or is
/// the last one.
fn turn<S: Side>(
    side: &mut S,
    input: &mut [u8],
    met: &mut bool,
    out: &mut Vec<u8>,
    plain: &mut impl FnMut(&[u8]),
) -> Result<Done, Error> {
    let mut bytes = 0;
    loop {
        let UnbufferedStatus { discard, state } =
            side.process(input.get_mut(bytes..).unwrap_or_default());
        bytes += discard;
        *met |= discard > 0;
        match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    bytes += record.discard;
                    plain(record.payload);
                }
            }
            ConnectionState::EncodeTlsData(message) => encode(message, out)?,
            ConnectionState::TransmitTlsData(transmit) => transmit.done(),
            ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => {
                return Ok(Done { bytes, ended: false });
            }
            ConnectionState::PeerClosed | ConnectionState::Closed => {
                return Ok(Done { bytes, ended: true });
            }
            // Nobody is offered early data, so that nobody sends any.
            _ => return Err(Error::General("a state that there is not".into())),
        }
    }
}

/// Appends the alerts that are queued after an error.
fn say_why<S: Side>(side: &mut S, out: &mut Vec<u8>) {
    // While something is queued the library looks at no input, which it must not after an error.
    while side.common().wants_write() {
        let Ok(ConnectionState::EncodeTlsData(message)) = side.process(&mut []).state else {
            return;
        };
        if encode(message, out).is_err() {
            return;
        }
    }
}

/// Seals `plain`; says whether it could. `carry` is what is carried, for the library holds on to
/// where its parts lie.
fn write<S: Side>(side: &mut S, carry: &mut [u8], plain: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(ConnectionState::WriteTraffic(mut traffic)) = side.process(carry).state else {
        return false;
    };
    append(out, sealed_len(plain.len()), |room| {
        traffic.encrypt(plain, room).map_err(|error| needed(&error))
    })
}

/// Says goodbye.
fn close<S: Side>(side: &mut S, carry: &mut [u8], out: &mut Vec<u8>) {
    if let Ok(ConnectionState::WriteTraffic(mut traffic)) = side.process(carry).state {
        append(out, sealed_len(2), |room| {
            traffic.queue_close_notify(room).map_err(|error| needed(&error))
        });
    }
}

fn needed(error: &EncryptError) -> Option<InsufficientSizeError> {
    match error {
        EncryptError::InsufficientSize(needed) => Some(*needed),
        EncryptError::EncryptExhausted => None,
    }
}

/// Appends a message that the library has queued.
fn encode<D>(mut message: EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> Result<(), Error> {
    // How long it is, it says when there is too little room.
    let appended = append(out, 0, |room| {
        message.encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(needed) => Some(needed),
            EncodeError::AlreadyEncoded => None,
        })
    });
    if appended { Ok(()) } else { Err(Error::EncryptError) }
}

/// Appends what `fill` writes into so much `room`, or into what it says that it needs. Says whether
/// it did.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> bool {
    let start = out.len();
    let mut room = room;
    for _ in 0..2 {
        out.resize(start + room, 0);
        match fill(out.get_mut(start..).unwrap_or_default()) {
            Ok(written) => {
                out.truncate(start + written);
                return true;
            }
            Err(Some(needed)) => room = needed.required_size,
            Err(None) => break,
        }
    }
    out.truncate(start);
    false
}

/// How many records the keys may seal; in TLS 1.3 they are renewed before.
fn sealed_max(common: &CommonState) -> u64 {
    match common.negotiated_cipher_suite() {
        Some(SupportedCipherSuite::Tls12(suite)) => suite.common.confidentiality_limit,
        _ => u64::MAX,
    }
}

fn agreed(common: &CommonState) -> Agreed {
    let group = |found: NamedGroup| {
        let known = Group::ALL.into_iter().find(|group| named(*group) == found);
        known.map_or("other", Group::name)
    };
    let suite = common.negotiated_cipher_suite();
    Agreed {
        version: match common.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12.name(),
            _ => TlsVersion::Tls13.name(),
        },
        suite: suite.and_then(|suite| suite.suite().as_str()).unwrap_or("other"),
        group: common.negotiated_key_exchange_group().map(|found| group(found.name())),
        alpn: common.alpn_protocol().map(Alpn::of),
        resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}
