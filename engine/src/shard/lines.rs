//! Who waits for whom, by server: connections that are free for requests, and, where there are
//! several servers, requests whose own server has no free connection.
//!
//! A request stands in the line of its server alone, so that nobody waits behind it who asks
//! another one.

use std::collections::VecDeque;

use super::user::User;
use crate::reactor::Slot;
use crate::units::{Instant, Nanos};

/// The lines of a shard, one per server.
pub(super) struct Lines {
    all: Box<[Line]>,
    are_apart: bool,
    /// Servers whose connection became free while requests waited for it; some are told twice.
    met: VecDeque<u16>,
    waiting: usize,
}

#[derive(Default)]
struct Line {
    /// Connections that may have room for a request.
    free: VecDeque<Slot>,
    /// Those that begin a scenario, by their intended starts.
    first: VecDeque<Waiting>,
    /// Those of users who are under way.
    onward: VecDeque<Waiting>,
}

/// A request that waits for a connection to its server.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) user: User,
    /// When it was intended to start. In a closed loop that is when it does.
    pub(super) intended: Instant,
    /// Whether it is in the middle of a scenario.
    pub(super) onward: bool,
    /// How much of its wait was for a row of a feed.
    pub(super) starved: Nanos,
}

impl Lines {
    /// A line for each of `servers`, with room for so many connections; `are_apart` if whoever is
    /// due chooses one of them first.
    pub(super) fn new(servers: usize, connections: usize, are_apart: bool) -> Self {
        let line = || Line { free: VecDeque::with_capacity(connections), ..Line::default() };
        let all = (0..servers).map(|_| line()).collect();
        Self { all, are_apart, met: VecDeque::new(), waiting: 0 }
    }

    /// Whether whoever is due chooses a server first.
    #[inline]
    pub(super) const fn are_apart(&self) -> bool {
        self.are_apart
    }

    /// The connection to the only server that has been free for longest.
    #[inline]
    pub(super) fn front(&self) -> Option<Slot> {
        self.all.first()?.free.front().copied()
    }

    /// Takes it out of the line.
    #[inline]
    pub(super) fn pop_front(&mut self) {
        if let Some(line) = self.all.first_mut() {
            line.free.pop_front();
        }
    }

    /// Puts a connection to the server `origin` at the end of its line.
    #[inline]
    pub(super) fn push(&mut self, origin: u16, slot: Slot) {
        if let Some(line) = self.all.get_mut(usize::from(origin)) {
            line.free.push_back(slot);
            if self.waiting > 0 && line.has_waiting() {
                self.met.push_back(origin);
            }
        }
    }

    /// Whether no connection is free to any server.
    pub(super) fn none_free(&self) -> bool {
        self.all.iter().all(|line| line.free.is_empty())
    }

    /// Whether a connection to the server `origin` is free.
    pub(super) fn has_free(&self, origin: u16) -> bool {
        self.all.get(usize::from(origin)).is_some_and(|line| !line.free.is_empty())
    }

    /// Takes out the connection to the server `origin` that has been free for longest.
    pub(super) fn take_free(&mut self, origin: u16) -> Option<Slot> {
        self.all.get_mut(usize::from(origin))?.free.pop_front()
    }

    /// A request for the server `origin` waits; returns how many do there.
    pub(super) fn wait(&mut self, origin: u16, waiting: Waiting) -> usize {
        let Some(line) = self.all.get_mut(usize::from(origin)) else { return 0 };
        self.waiting += 1;
        if waiting.onward {
            line.onward.push_back(waiting);
        } else {
            line.first.push_back(waiting);
        }
        line.onward.len() + line.first.len()
    }

    /// Whether a request waits for any server.
    pub(super) const fn anybody_waits(&self) -> bool {
        self.waiting > 0
    }

    /// A server of which a connection may be free, and that requests wait for.
    pub(super) fn next_met(&mut self) -> Option<u16> {
        while let Some(&origin) = self.met.front() {
            let line = self.all.get(usize::from(origin));
            if line.is_some_and(|line| line.has_waiting() && !line.free.is_empty()) {
                return Some(origin);
            }
            self.met.pop_front();
        }
        None
    }

    /// Takes out a request that waits for the server `origin`: of those under way first.
    pub(super) fn next_of(&mut self, origin: u16) -> Option<Waiting> {
        let line = self.all.get_mut(usize::from(origin))?;
        let waiting = line.onward.pop_front().or_else(|| line.first.pop_front())?;
        self.waiting -= 1;
        Some(waiting)
    }

    /// Takes out a request that begins a scenario and was intended before `before`.
    pub(super) fn next_late(&mut self, before: Instant) -> Option<Waiting> {
        if self.waiting == 0 {
            return None;
        }
        let is_late = |line: &Line| line.first.front().is_some_and(|it| it.intended < before);
        let late = self.all.iter_mut().find(|line| is_late(line))?;
        let waiting = late.first.pop_front()?;
        self.waiting -= 1;
        Some(waiting)
    }

    /// The earliest intended start of those who wait and begin a scenario.
    pub(super) fn earliest(&self) -> Option<Instant> {
        if self.waiting == 0 {
            return None;
        }
        self.all.iter().filter_map(|line| line.first.front()).map(|first| first.intended).min()
    }
}

impl Line {
    fn has_waiting(&self) -> bool {
        !self.onward.is_empty() || !self.first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(at: u64, onward: bool) -> Waiting {
        let (user, starved) = (User::default(), Nanos::ZERO);
        Waiting { user, intended: Instant::from_origin(at), onward, starved }
    }

    #[test]
    fn who_waits_for_one_server_keeps_nobody_from_another() {
        let mut lines = Lines::new(2, 1, true);
        assert_eq!(lines.wait(0, waiting(1, false)), 1);
        assert_eq!(lines.wait(1, waiting(2, false)), 1);
        lines.push(1, Slot(7));
        assert_eq!((lines.next_met(), lines.take_free(1)), (Some(1), Some(Slot(7))));
        assert!(lines.next_of(1).is_some_and(|one| one.intended == Instant::from_origin(2)));
        assert!(lines.next_met().is_none() && lines.anybody_waits() && lines.none_free());
    }

    #[test]
    fn those_under_way_go_first_and_only_those_who_begin_are_late() {
        let mut lines = Lines::new(2, 1, true);
        for (at, onward) in [(5, false), (9, true), (6, false)] {
            lines.wait(1, waiting(at, onward));
        }
        assert_eq!(lines.earliest(), Some(Instant::from_origin(5)));
        let before = |at| Instant::from_origin(at);
        assert!(lines.next_late(before(5)).is_none());
        assert!(lines.next_late(before(6)).is_some() && lines.next_late(before(6)).is_none());
        assert!(lines.next_of(1).is_some_and(|one| one.onward));
        assert!(lines.next_late(before(100)).is_some());
        assert!(!lines.anybody_waits() && lines.earliest().is_none());
    }
}
