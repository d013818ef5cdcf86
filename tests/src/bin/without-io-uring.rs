//! Runs a program in a world without io_uring: `without-io-uring EPERM|ENOSYS PROGRAM [ARGUMENT…]`.
//!
//! Containers forbid io_uring with a seccomp filter that answers EPERM; an old kernel says ENOSYS.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

fn main() -> Result<Infallible, Box<dyn Error>> {
    let mut words = env::args_os().skip(1);
    let errno = match words.next().as_ref().and_then(|word| word.to_str()) {
        Some("EPERM") => libc::EPERM,
        Some("ENOSYS") => libc::ENOSYS,
        _ => return Err("first argument: EPERM or ENOSYS".into()),
    };
    let program = words.next().ok_or("second argument: a program")?;
    forbid(errno)?;
    Err(Command::new(program).args(words).exec().into())
}

/// Lets every system call of io_uring fail with `errno`, here and in all that follows.
fn forbid(errno: i32) -> Result<(), Box<dyn Error>> {
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    // No rule: whatever its arguments are.
    let calls = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(errno.unsigned_abs());
    let machine = env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refusal, machine)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}
