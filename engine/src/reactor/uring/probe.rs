//! What this kernel's io_uring can do, found out by doing it.
//!
//! A container or a sysctl may forbid io_uring, and an old kernel lacks parts of it. So the probe
//! builds a ring with the flags that a run uses, and passes bytes through it the way a run does.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use io_uring::squeue::Flags;
use io_uring::types::{CancelBuilder, Fixed, Timespec};
use io_uring::{Builder, IoUring, cqueue, opcode};

use super::buffers::{Buffers, GROUP};

/// A step of the ladder: a set of setup flags, best first.
struct Step {
    names: &'static [&'static str],
    apply: fn(&mut Builder) -> &mut Builder,
}

const LADDER: &[Step] = &[
    // Linux 6.6
    Step {
        names: &["SINGLE_ISSUER", "DEFER_TASKRUN", "TASKRUN_FLAG", "SUBMIT_ALL", "NO_SQARRAY"],
        apply: |b| deferred(b).setup_no_sqarray(),
    },
    // Linux 6.1
    Step {
        names: &["SINGLE_ISSUER", "DEFER_TASKRUN", "TASKRUN_FLAG", "SUBMIT_ALL"],
        apply: deferred,
    },
    // Linux 6.0
    Step {
        names: &["COOP_TASKRUN", "TASKRUN_FLAG", "SUBMIT_ALL"],
        apply: |b| b.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all(),
    },
];

fn deferred(builder: &mut Builder) -> &mut Builder {
    builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().setup_submit_all()
}

/// Builds a ring with the best set of flags that this kernel takes.
pub(super) fn build(submissions: u32, completions: u32) -> io::Result<IoUring> {
    climb(submissions, completions).map(|(ring, _)| ring)
}

fn climb(submissions: u32, completions: u32) -> io::Result<(IoUring, &'static Step)> {
    let mut refusal = io::Error::from(io::ErrorKind::Unsupported);
    for step in LADDER {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(completions).setup_clamp().dontfork();
        match (step.apply)(&mut builder).build(submissions) {
            Ok(ring) => return Ok((ring, step)),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Whether waits take an absolute deadline; they do since Linux 6.12, as does this feature.
pub(super) fn takes_absolute_deadlines(ring: &IoUring) -> bool {
    ring.params().is_feature_min_timeout()
}

/// The names of the features that a ring of this kernel runs with.
pub(in crate::reactor) fn features() -> io::Result<Vec<&'static str>> {
    let (ring, step) = climb(8, 16)?;
    let mut names = step.names.to_vec();
    names.extend(["MULTISHOT_RECV", "BUFFER_RING", "FIXED_FILES", "CQE_SKIP"]);
    if takes_absolute_deadlines(&ring) {
        names.push("ABS_TIMER");
    }
    Ok(names)
}

/// Passes a byte through a ring in both directions.
///
/// # Errors
/// Whatever refused: permission, a missing system call, a missing feature.
pub(in crate::reactor) fn probe() -> io::Result<()> {
    let mut ring = build(8, 16)?;
    let mut buffers = Buffers::register(&ring.submitter())?;
    let exchanged = exchange(&mut ring, &mut buffers);
    // The receive is still armed, and the buffers must outlive it (R3).
    let patience = Timespec::new().sec(1);
    let cancelled = ring.submitter().register_sync_cancel(Some(patience), CancelBuilder::any());
    drop(ring);
    if cancelled.is_err() {
        buffers.leak();
    }
    exchanged
}

fn exchange(ring: &mut IoUring, buffers: &mut Buffers) -> io::Result<()> {
    const RECEIVE: u64 = 1;
    const SEND: u64 = 2;
    static BYTE: [u8; 1] = [b'?'];
    let missing = || io::Error::from(io::ErrorKind::Unsupported);
    let (ours, mut theirs) = UnixStream::pair()?;
    ring.submitter().register_files_sparse(1)?;
    ring.submitter().register_files_update(0, &[ours.as_raw_fd()])?;
    theirs.write_all(b"!")?;
    // A sandbox may let one operation through and not another.
    theirs.set_read_timeout(Some(Duration::from_secs(1)))?;
    let receive = opcode::RecvMulti::new(Fixed(0), GROUP).build().user_data(RECEIVE);
    let send = opcode::Send::new(Fixed(0), BYTE.as_ptr(), 1).build().user_data(SEND);
    let send = send.flags(Flags::SKIP_SUCCESS);
    for entry in [receive, send] {
        // SAFETY: the socket lives until the end of this function; the byte is static.
        unsafe { ring.submission().push(&entry) }.map_err(|_| missing())?;
    }
    ring.submit_and_wait(1)?;
    let completion = ring.completion().next().ok_or_else(missing)?;
    let buffer = cqueue::buffer_select(completion.flags()).ok_or_else(missing)?;
    buffers.lend(buffer);
    let works = completion.user_data() == RECEIVE
        && cqueue::more(completion.flags())
        && completion.result() == 1
        && buffers.bytes(buffer, 1) == b"!";
    let mut answer = [0];
    theirs.read_exact(&mut answer)?;
    if works && answer == BYTE { Ok(()) } else { Err(missing()) }
}
