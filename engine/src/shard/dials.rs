//! The diallers of a shard, one per server, as one: whatever is about a connection is for the
//! dialler of its server.

use std::sync::Arc;

use super::dial::{Attempt, Dialler};
use super::mailbox::Opened;
use super::traffic::Traffic;
use crate::plan::{Addresses, ShardPlan};
use crate::reactor::Slot;
use crate::record::Trouble;
use crate::units::Instant;

/// Decides when which connection of a shard is established, and where to; the shard does it.
pub(super) struct Dials(Box<[Dialler]>);

impl Dials {
    /// The connections that `plan` begins with are to be opened at once.
    pub(super) fn new(plan: &ShardPlan) -> Self {
        let targets = (0..).zip(plan.plan.targets());
        Self(targets.map(|(n, target)| Dialler::new(plan, n, &target.addresses)).collect())
    }

    /// The dialler of the server with this number.
    pub(super) fn of(&mut self, origin: u16) -> Option<&mut Dialler> {
        self.0.get_mut(usize::from(origin))
    }

    fn of_slot(&mut self, slot: Slot, traffic: &mut Traffic) -> Option<&mut Dialler> {
        self.of(traffic.get(slot)?.origin)
    }

    /// How the opening went, by server, once it is over.
    pub(super) fn opened(&self) -> Option<Vec<Opened>> {
        self.0.iter().map(Dialler::opened).collect()
    }

    /// The connections that join in later are opened from `barrier` on, group after group; returns
    /// when the first of them is.
    pub(super) fn begin(&mut self, plan: &ShardPlan, barrier: Instant) -> Option<Instant> {
        let firsts = self.0.iter_mut().filter_map(|dialler| dialler.begin(plan, barrier));
        firsts.min()
    }

    /// Connections to a server that have joined in so far, where most have.
    pub(super) fn joined(&self) -> u32 {
        self.0.iter().map(Dialler::joined).max().unwrap_or_default()
    }

    /// From now on there are to be `count` connections to each server, as far as there is room for
    /// them.
    pub(super) fn resize(&mut self, count: u32, traffic: &mut Traffic, now: Instant) {
        self.0.iter_mut().for_each(|dialler| dialler.resize(count, traffic, now));
    }

    /// Whether `slot` is beyond the connections that there are to be.
    pub(super) fn is_surplus(&mut self, slot: Slot, traffic: &mut Traffic) -> bool {
        self.of_slot(slot, traffic).is_some_and(|dialler| dialler.is_surplus(slot))
    }

    /// Attempts to reach the server `origin` that begin from now on go to `addresses`.
    pub(super) fn readdress(
        &mut self,
        (origin, addresses): (u16, Arc<Addresses>),
        traffic: &mut Traffic,
    ) {
        if let Some(dialler) = self.of(origin) {
            dialler.readdress(addresses, traffic);
        }
    }

    /// When something is to be done.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.0.iter().filter_map(Dialler::next_wake).min()
    }

    /// Gives up what waits to be established: there is nothing left to be sent.
    pub(super) fn forget(&mut self) {
        self.0.iter_mut().for_each(Dialler::forget);
    }

    /// The next connection to be established now, and to where; the shard asks until there is none.
    pub(super) fn next(&mut self, traffic: &mut Traffic, now: Instant) -> Option<Attempt> {
        self.0.iter_mut().find_map(|dialler| dialler.next(traffic, now))
    }

    /// `slot` is established.
    pub(super) fn established(&mut self, slot: Slot, traffic: &mut Traffic, now: Instant) {
        if let Some(dialler) = self.of_slot(slot, traffic) {
            dialler.established(slot, traffic, now);
        }
    }

    /// The connection whose attempt has taken too long at `now`. The shard closes it, and then says
    /// that it [failed](Self::failed).
    pub(super) fn expired(&self, now: Instant) -> Option<Slot> {
        self.0.iter().find_map(|dialler| dialler.expired(now))
    }

    /// The attempt at `slot`, which the shard has closed, failed. Says whether its server has no
    /// connection that is ready.
    pub(super) fn failed(
        &mut self,
        slot: Slot,
        trouble: Trouble,
        traffic: &mut Traffic,
        now: Instant,
    ) -> bool {
        let Some(dialler) = self.of_slot(slot, traffic) else { return false };
        dialler.failed(slot, trouble, traffic, now);
        dialler.is_cut_off()
    }

    /// `slot` was closed, and has been ready.
    pub(super) fn gone(&mut self, slot: Slot, traffic: &mut Traffic) {
        if let Some(dialler) = self.of_slot(slot, traffic) {
            dialler.gone();
        }
    }

    /// `slot` is to be opened again.
    pub(super) fn redial(&mut self, slot: Slot, traffic: &mut Traffic, now: Instant) {
        if let Some(dialler) = self.of_slot(slot, traffic) {
            dialler.redial(slot, traffic, now);
        }
    }

    /// Somebody waits for a connection to the server `origin`.
    pub(super) fn hasten(&mut self, origin: u16, now: Instant) {
        if let Some(dialler) = self.of(origin) {
            dialler.hasten(now);
        }
    }

    /// Whether the first server could have more connections, and none is under way.
    pub(super) fn may_grow(&self) -> bool {
        self.0.first().is_some_and(|first| first.room() > 0 && first.under_way() == 0)
    }

    /// Opens so many connections more to the server `origin` as `owed` requests need that wait for
    /// it, beyond those that are under way, if there is room for them.
    pub(super) fn grow(&mut self, origin: u16, owed: usize, now: Instant) {
        let Some(dialler) = self.of(origin) else { return };
        let most = dialler.under_way() + dialler.room();
        for _ in dialler.under_way()..owed.min(most) {
            dialler.grow(now);
        }
    }
}
