//! The small door through which a run is steered from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Steers a run; clones steer the same one. It is looked at once per tick of the coordinator, and
/// never by a shard.
#[derive(Clone, Debug, Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
}

impl Control {
    /// Ends the run early: nothing starts any more, and what was measured is reported.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The flag itself, for a signal handler.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
