//! The small door through which a run is steered from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::Addresses;

/// Steers a run; clones steer the same one. It is looked at once per tick of the coordinator, and
/// never by a shard.
#[derive(Clone, Debug, Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
    /// Where new connections are to go, until somebody has taken note.
    addresses: Arc<Mutex<Option<Arc<Addresses>>>>,
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

    /// Lets connections go to `addresses` that are established from now on; those that are stay.
    pub fn readdress(&self, addresses: Addresses) {
        let mut place = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::new(addresses));
    }

    /// Takes what [`readdress`](Self::readdress) was told last, if nobody has.
    #[must_use]
    pub fn take_addresses(&self) -> Option<Arc<Addresses>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
