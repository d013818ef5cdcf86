//! The small door through which a run is steered from outside.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::{Addresses, Change};
use crate::units::Nanos;

/// Where connections to the server with this number are to go.
pub type Readdress = (u16, Arc<Addresses>);

/// Steers a run; clones steer the same one. It is looked at once per tick of the coordinator, and
/// never by a shard.
#[derive(Clone, Debug, Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
    /// Where new connections to each server are to go, until somebody has taken note.
    addresses: Arc<Mutex<Vec<Readdress>>>,
    /// Other loads, and how long after the start barrier they are to come at the earliest.
    changes: Arc<Mutex<VecDeque<(Nanos, Change)>>>,
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

    /// Lets connections to the server with this number go to `addresses` that are established from
    /// now on; those that are stay.
    pub fn readdress(&self, origin: u16, addresses: Addresses) {
        let mut all = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| *known != origin);
        all.push((origin, Arc::new(addresses)));
    }

    /// Takes what [`readdress`](Self::readdress) was told last of each server, if nobody has.
    #[must_use]
    pub fn take_addresses(&self) -> Vec<Readdress> {
        let mut all = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        core::mem::take(&mut *all)
    }

    /// Changes the load as soon as can be: at one moment on all shards, about a fifth of a second
    /// from now. What the [plan does not allow](crate::plan::Plan::allows) is left out.
    pub fn change(&self, change: Change) {
        self.change_at(Nanos::ZERO, change);
    }

    /// The same, at `after` the start barrier, or as soon as can be if that is over. Changes come
    /// in the order in which they are asked for.
    pub fn change_at(&self, after: Nanos, change: Change) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push_back((after, change));
    }

    /// Takes the next change if it is to come up to `until`.
    pub(crate) fn take_change(&self, until: Nanos) -> Option<(Nanos, Change)> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let due = changes.front().is_some_and(|(after, _)| *after <= until);
        due.then(|| changes.pop_front()).flatten()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
