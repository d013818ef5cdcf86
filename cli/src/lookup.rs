//! Looks the servers' names up again and again while a run lasts, on a thread of its own.
//!
//! New connections go to what the name says then; those that are open stay. Whoever cannot look the
//! name up for a while goes on with what it said before, and is told so at the end.

use std::convert::Infallible;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use pummel_engine::coordinator::Control;
use pummel_engine::plan::Addresses;
use pummel_engine::reactor::thread::{keep_off, set_low_priority};

/// From the end of a look-up to the next one.
const PERIOD: Duration = Duration::from_secs(1);

/// As much as the coordinator's.
const NICENESS: i32 = 10;

/// What came of looking.
#[derive(Debug, Default)]
struct Tally {
    times: u64,
    failed: u64,
    /// Why the last of those did.
    reason: Option<String>,
}

/// The name of a server: its number, how the name is looked up, and what it said last.
pub(crate) struct Name {
    pub(crate) server: u16,
    pub(crate) resolve: Box<dyn Fn() -> Result<Addresses> + Send>,
    pub(crate) known: Addresses,
}

/// Names that are looked up, until they are asked how that went.
pub(crate) struct Lookups {
    /// Never sent to; the thread ends when it is gone.
    _running: Sender<Infallible>,
    tally: Arc<Mutex<Tally>>,
}

impl Lookups {
    /// Begins to look `names` up, away from the shards on `cpus`, and tells `control` whatever is
    /// not what it was.
    ///
    /// `None` where there is no thread left for it.
    pub(crate) fn start(names: Vec<Name>, control: &Control, cpus: &[usize]) -> Option<Self> {
        let (running, end) = mpsc::channel();
        let tally = Arc::<Mutex<Tally>>::default();
        let (noted, control, cpus) = (Arc::clone(&tally), control.clone(), cpus.to_vec());
        let body = move || {
            set_low_priority(NICENESS);
            keep_off(&cpus);
            until(&end, names, &control, &noted);
        };
        // Nobody waits for it: a resolver may take longer than the run has left.
        thread::Builder::new().name("lookup".to_owned()).spawn(body).ok()?;
        Some(Self { _running: running, tally })
    }

    /// Ends it, and tells how many look-ups failed, if any did.
    pub(crate) fn finish(self) -> Option<String> {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let Tally { times, failed, .. } = *tally;
        let reason = tally.reason.as_ref()?;
        Some(format!(
            "{failed} of {times} look-ups during the run failed, and connections went on to what \
             was known; the last one: {reason}"
        ))
    }
}

/// Looks once per period until nobody holds the other end of `end` any more.
fn until(
    end: &Receiver<Infallible>,
    mut names: Vec<Name>,
    control: &Control,
    tally: &Mutex<Tally>,
) {
    while end.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        for Name { server, resolve, known } in &mut names {
            let found = resolve();
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.times += 1;
            match found {
                Ok(addresses) if addresses == *known => {}
                Ok(addresses) => {
                    *known = addresses.clone();
                    control.readdress(*server, addresses);
                }
                Err(error) => {
                    tally.failed += 1;
                    tally.reason = Some(format!("{error:#}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn at(last: u8) -> Addresses {
        Addresses::new(vec![SocketAddr::from(([127, 0, 0, last], 80))]).unwrap()
    }

    #[test]
    fn a_failed_look_up_is_told_and_one_that_finds_something_else_is_handed_over() {
        let control = Control::default();
        let (call, calls) = mpsc::channel();
        let first = AtomicBool::new(true);
        let resolve = move || {
            let _over = call.send(());
            anyhow::ensure!(!first.swap(false, Ordering::SeqCst), "no such name");
            Ok(at(2))
        };
        let name = Name { server: 3, resolve: Box::new(resolve), known: at(1) };
        let lookups = Lookups::start(vec![name], &control, &[]).unwrap();
        assert_eq!(control.take_addresses(), []);
        // The third look-up begins when the second one was told.
        (0..3).for_each(|_| calls.recv_timeout(Duration::from_secs(60)).unwrap());
        assert_eq!(control.take_addresses(), [(3, Arc::new(at(2)))]);
        assert_eq!(control.take_addresses(), [], "what is known is no news");
        let said = lookups.finish().unwrap();
        assert!(said.starts_with("1 of ") && said.ends_with("no such name"), "{said}");
    }

    #[test]
    fn a_run_that_is_over_before_the_first_look_up_has_nothing_to_tell() {
        let control = Control::default();
        let name = Name { server: 0, resolve: Box::new(|| Ok(at(1))), known: at(1) };
        let lookups = Lookups::start(vec![name], &control, &[]).unwrap();
        assert_eq!(lookups.finish(), None);
    }
}
