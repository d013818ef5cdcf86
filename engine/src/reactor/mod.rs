//! THE WORLD: the only door through which bytes, completions and the time enter.
//!
//! Everything above this folder is a deterministic function of what a [`Reactor`] tells it. The
//! trait is completion-shaped, because that is the harder of the two shapes: `uring` maps onto it
//! directly, and `epoll` performs its receive when a completion is popped.
//!
//! # Life of a connection
//!
//! The owner numbers its connections with [`Slot`]s, from 0 to the capacity given at construction.
//! A slot is *free* until [`connect`](Reactor::connect) or [`adopt`](Reactor::adopt), and free
//! again after [`close`](Reactor::close). Closing bumps the slot's generation: a completion of an
//! earlier life of the slot is recognised, its buffer is given back, and the owner never sees it.
//!
//! # A turn
//!
//! [`wait`](Reactor::wait), then [`pop`](Reactor::pop) until `None`. A [`Completion::Received`]
//! carries a [`Lease`] on a buffer; look at it with [`bytes`](Reactor::bytes), give it back with
//! [`release`](Reactor::release) before the next `pop`. [`now`](Reactor::now) is the moment at
//! which the batch was reaped, the same for every completion of it.
//!
//! [`spin`](Reactor::spin) may stand in the place of a `wait`: it does the same without going to
//! sleep, so that nobody has to wake it. A sleeper is woken some ten microseconds late. The price
//! is the CPU, so the reactor counts the time that was [spun](Reactor::spun) away.
//!
//! # Sending
//!
//! What never changes is [published](Reactor::publish) once and sent by reference: no copy, no
//! buffer per connection, and nothing that could be freed while the kernel reads it. What is made
//! during the run is written into a [page](Reactor::page) and [sent](Reactor::send_page) with it:
//! from then on the page is the reactor's, and one that is not sent after all is
//! [given back](Reactor::give_page). One send of a connection is under way at a time.
//!
//! # Invariants that the `unsafe` blocks below this folder rest on
//!
//! - **R1** Published bytes are neither moved nor freed nor changed until the reactor is dropped,
//!   and a ring is dropped before them: a send may read them at any time in between.
//! - **R2** A receive buffer belongs to the kernel or to exactly one [`Lease`]: it is handed to the
//!   kernel at start and by `release`, and lent out only on a completion that names it. Who has the
//!   lease may read it and write to it.
//! - **R3** The memory of the buffer ring outlives the ring that it is registered with.
//! - **R4** An address to connect to lives in its slot until the kernel has taken the submission
//!   that names it, and copied it.
//! - **R5** The page of a send that a ring has in hand is neither freed nor changed until the
//!   completion of that send was reaped, also when its slot is closed and used again meanwhile. A
//!   send that reports only failure has its bytes in the slot itself, in memory that does not move
//!   and outlives a close until the kernel has confirmed that nothing of the slot is pending. The
//!   next such send changes them, when the peer has answered this one: one that answers what it
//!   has not read may find the two mixed, and nothing else.
//!
//! A ring that is dropped first cancels what is pending, for closing it only starts that; if the
//! kernel does not confirm, the memory is leaked.

#![expect(unsafe_code, reason = "rings and buffers shared with the kernel; see R1 to R5")]

mod address;
mod choice;
pub mod clock;
#[cfg(test)]
pub(crate) mod conformance;
mod epoll;
mod errno;
mod listen;
mod page;
mod payload;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod socket;
mod spun;
pub mod thread;
mod uring;

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

pub use address::Address;
pub use choice::{Choice, ChooseError, Description, Kind, Wish, choose};
pub use epoll::Epoll;
pub use errno::Errno;
pub use listen::listeners;
pub use uring::Uring;

use crate::units::{Instant, Nanos};

/// The number that an owner gives to one of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index into the owner's tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names published bytes; see [`Reactor::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload(pub(crate) u16);

/// When the reactor reports a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// Only if it failed. The owner may send again at once, and promises that it does so only after
    /// the peer has answered the last send, and that a send is at most [`SILENT_BYTES_MAX`] long:
    /// then no two sends of a connection are under way together, and none can overtake another.
    Failure,
    /// Always: after [`Sending::Pending`] the owner waits for [`Completion::Sent`] before it sends
    /// again on the connection.
    Always,
    /// The same for a page that follows a send of which only failure is reported, and which the
    /// peer has not answered: it is not handed over before the kernel has the whole of that send,
    /// which costs a question.
    InTurn,
}

/// Longest send whose success needs no report: it fits into the buffer of any socket that has
/// nothing unanswered in it, so that the kernel takes it whole and at once.
pub const SILENT_BYTES_MAX: usize = 4096;

/// Bytes for which a [page](Reactor::page) has room, at least.
pub const PAGE: usize = 64 * 1024;

/// What became of a [`Reactor::send`] or of a [`Reactor::send_page`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sending {
    /// The owner may send again on this connection.
    Free,
    /// The owner waits for [`Completion::Sent`].
    Pending,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// With a FIN: the peer reads an orderly end.
    Finish,
    /// With a RST: the peer reads an error, and nothing lingers.
    Reset,
}

/// Received bytes, lent by the reactor until they are [released](Reactor::release).
///
/// Neither `Copy` nor `Clone`: a buffer is given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease which is not released is a buffer lost"]
pub struct Lease {
    pub(crate) buffer: u16,
    pub(crate) len: u32,
}

/// What the world did.
#[derive(Debug)]
pub enum Completion {
    /// A connection that was asked for is established.
    Connected(Slot),
    /// A listener accepted a connection: [adopt](Reactor::adopt) it, or drop it.
    Accepted(OwnedFd),
    /// Bytes arrived.
    Received(Slot, Lease),
    /// The peer closed its side; nothing more will arrive.
    Ended(Slot),
    /// A pending send is in the kernel's hands to its last byte.
    Sent(Slot),
    /// Something failed; the connection is of no more use, and waits to be closed.
    Failed(Slot, During, Errno),
}

/// What a connection was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum During {
    /// Being established.
    Connect,
    /// Sending.
    Send,
    /// Receiving.
    Receive,
}

/// A source of completions and of the time. See the [module](self) for the protocol of its use.
///
/// None of the methods blocks but [`wait`](Reactor::wait) and [`spin`](Reactor::spin), and none
/// fails but they: whatever goes wrong with a connection comes back as a [`Completion::Failed`].
pub trait Reactor {
    /// Reads the clock.
    fn clock(&mut self) -> Instant;

    /// The moment at which the last [`wait`](Reactor::wait) or [`spin`](Reactor::spin) returned.
    fn now(&self) -> Instant;

    /// The CPU time, user and system, that the calling thread has used so far.
    fn cpu_time(&self) -> Nanos {
        clock::thread_cpu()
    }

    /// Takes `bytes` which will be sent, in whole or in part, any number of times until the reactor
    /// ends. Meant for a handful of payloads at start.
    ///
    /// # Errors
    /// After 65,535 payloads.
    fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload>;

    /// Starts to connect the free slot `slot` to `to`; over the internet from the local address
    /// `from`, if one is given, and from a port of the kernel's choice.
    fn connect(&mut self, slot: Slot, to: &Address, from: Option<IpAddr>);

    /// Accepts on `listener` from now on.
    ///
    /// # Errors
    /// If the kernel does not watch it.
    fn listen(&mut self, listener: OwnedFd) -> io::Result<()>;

    /// Puts an accepted connection into the free slot `slot`.
    fn adopt(&mut self, slot: Slot, accepted: OwnedFd);

    /// Sends the bytes `range` of `payload` on the established connection `slot`.
    fn send(&mut self, slot: Slot, payload: Payload, range: core::ops::Range<usize>) -> Sending;

    /// An empty page, to be filled with up to [`PAGE`] bytes.
    fn page(&mut self) -> Vec<u8>;

    /// Sends all bytes of `page`, of which there is at least one, on the established connection
    /// `slot`, and reports it as `confirm` says. After [`Sending::Pending`] the owner waits for
    /// [`Completion::Sent`].
    fn send_page(&mut self, slot: Slot, page: Vec<u8>, confirm: Confirm) -> Sending;

    /// Takes back a page that was not sent after all.
    fn give_page(&mut self, page: Vec<u8>);

    /// Ends the connection in `slot` and frees the slot. No completion of it will be popped any
    /// more.
    fn close(&mut self, slot: Slot, how: Close);

    /// Hands over what was asked for, then blocks until something completed or `until` is reached.
    /// With an `until` that is not after [`now`](Reactor::now) it polls: it takes what is there.
    ///
    /// # Errors
    /// If the kernel refuses the wait itself: the reactor is then of no more use.
    fn wait(&mut self, until: Instant) -> io::Result<()>;

    /// Hands over what was asked for, then keeps looking, without sleeping, until something
    /// completed or `until` is reached. Once it has handed over, looking costs no system call where
    /// the kernel shares its queue, and one each where it does not. With an `until` that is not
    /// after [`now`](Reactor::now) it polls, as a wait does.
    ///
    /// # Errors
    /// If the kernel refuses: the reactor is then of no more use.
    fn spin(&mut self, until: Instant) -> io::Result<()>;

    /// For how long [`spin`](Reactor::spin) has found nothing to do, all in all: CPU time that was
    /// of no use but to be awake. Handing over and taking in are not part of it.
    fn spun(&self) -> Nanos;

    /// Completions that the kernel had no room for and dropped, so far. What they told is lost for
    /// good, and with it the sense of every number.
    fn completions_lost(&mut self) -> u64 {
        0
    }

    /// The next completion of this turn.
    fn pop(&mut self) -> Option<Completion>;

    /// The bytes of a lease.
    fn bytes(&self, lease: &Lease) -> &[u8];

    /// The bytes of a lease, to be changed in place: none but its owner sees them.
    fn bytes_mut(&mut self, lease: &Lease) -> &mut [u8];

    /// Gives the buffer of a lease back.
    fn release(&mut self, lease: Lease);
}
