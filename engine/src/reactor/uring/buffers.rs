//! Receive buffers that the kernel picks from: a registered ring of descriptors, and the memory
//! behind it.
//!
//! ```text
//!  descriptors   [ b3 | b0 | b7 | …        ]   taken at the head by the kernel, appended to by us
//!                   │
//!  memory        [ b0 ][ b1 ][ b2 ][ b3 ] …    one mapping; buffer k starts at k × BUFFER_SIZE
//! ```

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Bytes per buffer: a small response and its head fit into one, and a large body comes in few.
/// Measured in benches/RESULTS.md, "Buffers".
pub(super) const BUFFER_SIZE: u32 = 16 * 1024;

/// Buffers; a power of two. The kernel completes at most a few dozen receives per turn, and every
/// buffer is back before the next, so that running out (which is handled) is rare.
pub(super) const BUFFER_COUNT: u16 = 256;

/// The group under which the ring is registered; there is only one.
pub(super) const GROUP: u16 = 0;

const DESCRIPTORS_BYTES: usize = BUFFER_COUNT as usize * size_of::<BufRingEntry>();
const MEMORY_BYTES: usize = BUFFER_COUNT as usize * BUFFER_SIZE as usize;
const _: () = assert!(BUFFER_COUNT.is_power_of_two() && BUFFER_COUNT >= 64);

/// Pages from the kernel, given back on drop.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
    leaked: bool,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Self> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new private mapping at an address of the kernel's choice touches no other
        // memory.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, access, flags) }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { start, len, leaked: false })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        // SAFETY: the mapping was made in `new` with this length, and nobody borrows from it any
        // more: the ring that it was registered with is gone (R3), and leases borrow the reactor.
        let _unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// The buffers of one ring.
pub(super) struct Buffers {
    descriptors: Mapping,
    memory: Mapping,
    /// Position of the next descriptor, modulo 2^16 as the kernel counts.
    tail: u16,
    /// R2: one bit per buffer, set while it is ours.
    lent: [u64; BUFFER_COUNT as usize / 64],
}

impl Buffers {
    /// Maps the memory, registers it with the ring of `submitter`, and gives every buffer to the
    /// kernel.
    ///
    /// The caller must keep the result until that ring is dropped (R3).
    pub(super) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let descriptors = Mapping::new(DESCRIPTORS_BYTES)?;
        let memory = Mapping::new(MEMORY_BYTES)?;
        let address = descriptors.start.as_ptr() as u64;
        // SAFETY: R3 — the mapping is page-aligned, has room for the descriptors, and outlives the
        // ring.
        unsafe { submitter.register_buf_ring_with_flags(address, BUFFER_COUNT, GROUP, 0) }?;
        let lent = [u64::MAX; BUFFER_COUNT as usize / 64];
        let mut buffers = Self { descriptors, memory, tail: 0, lent };
        for buffer in 0..BUFFER_COUNT {
            buffers.give(buffer);
        }
        Ok(buffers)
    }

    /// Notes that the kernel has filled `buffer`, which is ours from now on.
    pub(super) fn lend(&mut self, buffer: u16) {
        if let Some(word) = self.lent.get_mut(usize::from(buffer / 64)) {
            *word |= 1 << (buffer % 64);
        }
    }

    fn is_lent(&self, buffer: u16) -> bool {
        let word = self.lent.get(usize::from(buffer / 64));
        word.is_some_and(|word| word & 1 << (buffer % 64) != 0)
    }

    /// Keeps the memory for ever, because the kernel may not be done with it.
    pub(super) fn leak(&mut self) {
        self.descriptors.leaked = true;
        self.memory.leaked = true;
    }

    /// Appends `buffer` to what the kernel may fill. One that is not ours to give (R2), as when a
    /// lease of another reactor is released here, stays where it is.
    pub(super) fn give(&mut self, buffer: u16) {
        if !self.is_lent(buffer) {
            return;
        }
        if let Some(word) = self.lent.get_mut(usize::from(buffer / 64)) {
            *word &= !(1 << (buffer % 64));
        }
        let start = self.start_of(buffer) as u64;
        let position = usize::from(self.tail & (BUFFER_COUNT - 1));
        #[expect(clippy::cast_ptr_alignment, reason = "a mapping is aligned to a page")]
        let ring = self.descriptors.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: `position` is below BUFFER_COUNT, for which the mapping has room.
        let entry = unsafe { ring.add(position) };
        // SAFETY: the mapping is initialised (zeroed), aligned, and only this thread writes to
        // entries that lie outside the head-to-tail range which the kernel reads.
        let entry = unsafe { &mut *entry };
        entry.set_addr(start);
        entry.set_len(BUFFER_SIZE);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `ring` is the address of the first entry, which holds the ring's tail.
        let tail = unsafe { BufRingEntry::tail(ring) };
        // SAFETY: the tail is an aligned u16 which the kernel only reads, and we write only here.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // The kernel must not see the new tail before the entry.
        tail.store(self.tail, Ordering::Release);
    }

    /// The first `len` bytes of `buffer`; none of one that is not ours (R2).
    pub(super) fn bytes(&self, buffer: u16, len: u32) -> &[u8] {
        debug_assert!(len <= BUFFER_SIZE);
        if !self.is_lent(buffer) {
            return &[];
        }
        let len = len.min(BUFFER_SIZE) as usize;
        // SAFETY: R2 — the buffer is leased, so the kernel does not write to it; it is initialised,
        // being zeroed at first and written by the kernel since; it lies within the mapping.
        unsafe { std::slice::from_raw_parts(self.start_of(buffer), len) }
    }

    /// The same, to be changed.
    pub(super) fn bytes_mut(&mut self, buffer: u16, len: u32) -> &mut [u8] {
        debug_assert!(len <= BUFFER_SIZE);
        if !self.is_lent(buffer) {
            return &mut [];
        }
        let len = len.min(BUFFER_SIZE) as usize;
        // SAFETY: R2 — the buffer is leased, so the kernel neither reads nor writes it, and nobody
        // else has a view of it while `self` is borrowed; it is initialised, being zeroed at first
        // and written by the kernel since; it lies within the mapping.
        unsafe { std::slice::from_raw_parts_mut(self.start_of(buffer), len) }
    }

    fn start_of(&self, buffer: u16) -> *mut u8 {
        let offset = usize::from(buffer % BUFFER_COUNT) * BUFFER_SIZE as usize;
        // SAFETY: `offset` is below the length of the mapping.
        unsafe { self.memory.start.as_ptr().add(offset) }
    }
}
