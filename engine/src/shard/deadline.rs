//! FIFO timeouts: all entries wait equally long, so the oldest expires first.
//!
//! The queue is a doubly linked list through a table with one entry per possible waiter. Arming and
//! disarming are O(1) and touch three entries; there is no heap, no wheel, and no system call.

use crate::units::{Instant, Nanos};

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    /// The neighbours, oldest first; both are NONE at the ends. A disarmed waiter points to itself.
    before: u32,
    after: u32,
    deadline: Instant,
}

/// Deadlines of waiters numbered from 0.
pub(super) struct Deadlines {
    span: Nanos,
    links: Box<[Link]>,
    oldest: u32,
    newest: u32,
}

impl Deadlines {
    /// Room for `waiters`, who wait for `span` each.
    pub(super) fn new(waiters: usize, span: Nanos) -> Self {
        let origin = Instant::from_origin(0);
        let disarmed = (0_u32..).map(|w| Link { before: w, after: w, deadline: origin });
        Self { span, links: disarmed.take(waiters).collect(), oldest: NONE, newest: NONE }
    }

    /// How long each of them waits.
    pub(super) const fn span(&self) -> Nanos {
        self.span
    }

    /// Arms the disarmed `waiter` at `now`, which is not before any earlier `now`.
    pub(super) fn arm(&mut self, waiter: usize, now: Instant) {
        let Ok(name) = u32::try_from(waiter) else { return };
        let newest = core::mem::replace(&mut self.newest, name);
        let deadline = now + self.span;
        if let Some(link) = self.links.get_mut(waiter) {
            debug_assert!(link.before == name && link.after == name, "armed twice");
            *link = Link { before: newest, after: NONE, deadline };
        }
        match self.links.get_mut(newest as usize) {
            Some(link) => link.after = name,
            None => self.oldest = name,
        }
    }

    /// Arms the disarmed `waiter` with a `deadline` of its own, whenever the others came. O(armed
    /// waiters with later ones).
    pub(super) fn arm_until(&mut self, waiter: usize, deadline: Instant) {
        let Ok(name) = u32::try_from(waiter) else { return };
        let (mut before, mut after) = (self.newest, NONE);
        while let Some(link) = self.links.get(before as usize)
            && link.deadline > deadline
        {
            (before, after) = (link.before, before);
        }
        if let Some(link) = self.links.get_mut(waiter) {
            debug_assert!(link.before == name && link.after == name, "armed twice");
            *link = Link { before, after, deadline };
        }
        match self.links.get_mut(before as usize) {
            Some(link) => link.after = name,
            None => self.oldest = name,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.before = name,
            None => self.newest = name,
        }
    }

    /// Disarms `waiter`; nothing happens if it is not armed.
    pub(super) fn disarm(&mut self, waiter: usize) {
        let Ok(name) = u32::try_from(waiter) else { return };
        let Some(link) = self.links.get_mut(waiter) else { return };
        let Link { before, after, .. } = *link;
        if before == name {
            return;
        }
        (link.before, link.after) = (name, name);
        match self.links.get_mut(before as usize) {
            Some(link) => link.after = after,
            None => self.oldest = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.before = before,
            None => self.newest = before,
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.links.get(self.oldest as usize).map(|link| link.deadline)
    }

    /// The waiter whose deadline is the earliest, if that has come; it stays armed.
    pub(super) fn expired(&self, now: Instant) -> Option<usize> {
        (self.next()? <= now).then_some(self.oldest as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Act {
        Arm(usize),
        Disarm(usize),
        Expire,
    }

    const WAITERS: usize = 6;

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            (0..WAITERS).prop_map(Act::Arm),
            (0..WAITERS).prop_map(Act::Disarm),
            Just(Act::Expire),
        ];
        prop::collection::vec(act, 0..60)
    }

    proptest! {
        #[test]
        fn behaves_as_a_queue_from_which_any_waiter_may_leave(acts in acts()) {
            let span = Nanos::new(10);
            let mut deadlines = Deadlines::new(WAITERS, span);
            let mut model: Vec<(usize, Instant)> = Vec::new();
            for (step, act) in (0..).zip(acts) {
                let now = Instant::from_origin(3 * step);
                match act {
                    Act::Arm(w) if model.iter().all(|&(armed, _)| armed != w) => {
                        deadlines.arm(w, now);
                        model.push((w, now + span));
                    }
                    Act::Arm(_) => {}
                    Act::Disarm(w) => {
                        deadlines.disarm(w);
                        model.retain(|&(armed, _)| armed != w);
                    }
                    Act::Expire => {
                        let due = model.first().filter(|(_, at)| *at <= now).map(|&(w, _)| w);
                        prop_assert_eq!(deadlines.expired(now), due);
                        if let Some(w) = due {
                            deadlines.disarm(w);
                            model.remove(0);
                        }
                    }
                }
                prop_assert_eq!(deadlines.next(), model.first().map(|&(_, at)| at));
            }
        }
    }
}
