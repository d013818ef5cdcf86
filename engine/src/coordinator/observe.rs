//! Watching a run: events go to observers through bounded queues, and a slow observer loses ticks.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::record::Ledger;
use crate::report::{Changed, Report};
use crate::units::Nanos;

/// Events that an observer may fall behind.
const QUEUE: usize = 16;

/// What a run tells whoever watches it.
#[derive(Clone, Debug)]
pub enum Event {
    /// All connections were tried, and the start barrier is set.
    Started {
        /// Connections that are open.
        connections: u32,
        /// Connections that could not be opened at first.
        refused: u32,
    },
    /// Numbers of the moment.
    Tick(Tick),
    /// The load becomes another one, at moments that lie a little ahead.
    Changed(Arc<[Changed]>),
    /// No request starts any more; answers are waited for.
    Draining,
    /// The run is over.
    Finished(Arc<Report>),
}

/// Numbers of the moment; sums are of the measured window, the rest is of the time since the last
/// tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// Time since the start barrier.
    pub elapsed: Nanos,
    /// Whether the warm-up is still going on.
    pub warming_up: bool,
    /// Outcomes so far.
    pub ledger: Ledger,
    /// Troubles of connections and requests so far.
    pub troubles: u64,
    /// Users so far that waited for a row of a feed.
    pub starved: u64,
    /// Responses per second since the last tick.
    pub rate_per_second: f64,
    /// Median since the last tick: of the response time, or in a closed loop of the service time.
    pub p50: Nanos,
    /// 99th percentile since the last tick, likewise.
    pub p99: Nanos,
}

/// The observers of a run.
#[derive(Debug, Default)]
pub struct Observers {
    queues: Vec<Sender<Event>>,
    lost: u64,
}

impl Observers {
    /// Nobody watches.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds an observer, who reads from the returned queue until it is closed, which is at the end
    /// of the run: an observer that had fallen far behind may miss even [`Event::Finished`].
    pub fn add(&mut self) -> Receiver<Event> {
        let (sender, receiver) = bounded(QUEUE);
        self.queues.push(sender);
        receiver
    }

    /// Tells everybody; never waits. What a full queue cannot take is counted as lost.
    pub(crate) fn tell(&mut self, event: &Event) {
        self.queues.retain(|queue| match queue.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost += 1;
                true
            }
            // Nobody reads it any more.
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    /// Events that observers were too slow to take.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}
