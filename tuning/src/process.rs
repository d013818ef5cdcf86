//! Other processes: how long they had to wait for a CPU, and stopping one for a while, as a
//! debugger or a full machine would.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Stops all threads of `process` (`SIGSTOP`) until [`resume`]. It may have to be a child that was
/// not waited for yet: the number of any other may have become somebody else's.
///
/// # Errors
/// If there is no such process, or it is not ours to stop.
pub fn pause(process: u32) -> io::Result<()> {
    send(process, Signal::STOP)
}

/// Lets a process go on that was stopped by [`pause`] (`SIGCONT`).
///
/// # Errors
/// If there is no such process, or it is not ours.
pub fn resume(process: u32) -> io::Result<()> {
    send(process, Signal::CONT)
}

/// For how long the threads of `process` that have not ended were ready to run and had no CPU,
/// since each of them began: less than before where one has ended meanwhile. `None` if the kernel
/// does not tell, or there is no such process.
#[must_use]
pub fn waited(process: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let times = threads.map_while(Result::ok).filter_map(|thread| {
        // A thread may end while its siblings are read.
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        // Time on a CPU, time of waiting, turns; in nanoseconds.
        text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
    });
    times.reduce(Duration::saturating_add)
}

fn send(process: u32, signal: Signal) -> io::Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let process = process.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(kill_process(process, signal)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::{Command, Stdio};
    use std::thread;

    /// The letter for the state of a process: `T` if it is stopped.
    fn state(process: u32) -> char {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        text.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    }

    #[track_caller]
    fn check_becomes(process: u32, stopped: bool) {
        // A signal takes a moment to be obeyed.
        for _ in 0..1_000_000 {
            if (state(process) == 'T') == stopped {
                return;
            }
            thread::yield_now();
        }
        panic!("{process} is in state {}", state(process));
    }

    #[test]
    fn a_paused_process_stands_still_until_it_is_resumed() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        pause(child.id()).unwrap();
        check_becomes(child.id(), true);
        resume(child.id()).unwrap();
        check_becomes(child.id(), false);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn waits_are_told_of_a_process_that_exists() {
        // With one thread: the sum over several is less when one of them has ended.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let first = waited(child.id());
        assert!(first.is_some() && waited(child.id()) >= first);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert_eq!(waited(u32::MAX), None);
    }

    #[test]
    fn what_is_no_process_is_refused() {
        for number in [0, u32::MAX, 1 << 30] {
            assert!(pause(number).is_err(), "{number}");
            assert!(resume(number).is_err(), "{number}");
        }
    }
}
