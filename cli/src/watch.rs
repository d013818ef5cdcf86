//! Watches the machine while a run lasts, on a thread of its own.
//!
//! Samples come at the start, a tenth of a second later (when the shards' threads are there), then
//! at each full second, and at the end. A shard's thread ends before the run returns, so that what
//! is known of it is what the last sample saw.

use std::convert::Infallible;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pummel_engine::reactor::clock;
use pummel_engine::reactor::thread::{keep_off, set_low_priority};
use pummel_tuning::watch::{Disturbance, Sources, Watch};

/// When the second sample is due. Shards are started within this time.
const SOON: Duration = Duration::from_millis(100);

/// The time between all others.
const PERIOD: Duration = Duration::from_secs(1);

/// As much as the coordinator's: it gets its share of a saturated CPU, a small one. Less, and what
/// is read as one sample would be read over too long a time.
const NICENESS: i32 = 10;

/// A machine under watch, until it is asked for what was seen.
pub(crate) struct Watcher {
    /// Never sent to; the thread ends when it is gone.
    running: Sender<Infallible>,
    thread: JoinHandle<Disturbance>,
}

impl Watcher {
    /// Begins to watch, away from the shards on `cpus`: takes the first sample before it returns,
    /// within about a millisecond.
    ///
    /// `None` where there is no thread left for it: a machine can be loaded without being watched.
    pub(crate) fn start(cpus: &[usize]) -> Option<Self> {
        let sources = Sources::below(Path::new("/"));
        let watch = Watch::start(now(), sources.read());
        let (running, end) = mpsc::channel();
        let cpus = cpus.to_vec();
        let body = move || {
            set_low_priority(NICENESS);
            keep_off(&cpus);
            until(&end, watch, &sources)
        };
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(body).ok()?;
        Some(Self { running, thread })
    }

    /// Takes the last sample, and tells what was seen. `None` if the thread panicked, which has
    /// said so itself.
    pub(crate) fn finish(self) -> Option<Disturbance> {
        drop(self.running);
        self.thread.join().ok()
    }
}

/// Takes samples until nobody holds the other end of `end` any more, and once then.
fn until(end: &Receiver<Infallible>, mut watch: Watch, sources: &Sources) -> Disturbance {
    let origin = now();
    let mut due = SOON;
    loop {
        let waited = end.recv_timeout(due.saturating_sub(now().saturating_sub(origin)));
        // The moment comes first: no growth is counted for a time in which it was not there yet.
        watch.sample(now(), sources.read());
        if waited == Err(RecvTimeoutError::Disconnected) {
            return watch.finish();
        }
        due = after(now().saturating_sub(origin));
    }
}

/// The first full second after `elapsed`. Seconds that were missed are not made up for.
fn after(elapsed: Duration) -> Duration {
    PERIOD * u32::try_from(elapsed.as_secs()).map_or(u32::MAX, |seconds| seconds.saturating_add(1))
}

/// The present, on the clock of the run.
fn now() -> Duration {
    Duration::from_nanos(clock::now().since_origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_due_at_full_seconds_and_missed_ones_are_not_made_up_for() {
        for (millis, expected) in [(0, 1), (101, 1), (999, 1), (1_000, 2), (7_400, 8)] {
            let due = after(Duration::from_millis(millis));
            assert_eq!(due, Duration::from_secs(expected), "{millis} ms");
        }
    }

    #[test]
    fn a_watch_has_two_samples_however_short_it_is() {
        let seen = Watcher::start(&[]).unwrap().finish().unwrap();
        assert!(seen.samples >= 2, "{seen:?}");
        assert!(seen.span > Duration::ZERO);
    }

    #[test]
    fn a_thread_that_begins_under_watch_is_seen() {
        let sources = Sources::below(Path::new("/"));
        let watch = Watch::start(now(), sources.read());
        let (stop, stopped) = mpsc::channel::<Infallible>();
        let (tell, runs) = mpsc::channel();
        let body = move || {
            tell.send(()).unwrap();
            stopped.recv().is_err()
        };
        let shard = thread::Builder::new().name("pummel-77".to_owned()).spawn(body).unwrap();
        runs.recv().unwrap();
        // The end has come already: one sample is taken, and that is the last.
        let (running, end) = mpsc::channel();
        drop(running);
        let seen = until(&end, watch, &sources);
        drop(stop);
        assert!(shard.join().unwrap());
        assert_eq!(seen.samples, 2);
        assert!(seen.threads.shards.iter().any(|thread| thread.name == "pummel-77"), "{seen:?}");
    }
}
