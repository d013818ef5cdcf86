//! Requests that have started and wait to be sent again: those that a server did not process, and
//! those that a redirect leads on. Each waits for a connection to its own server.

use std::collections::VecDeque;

use super::flight::Flight;
use crate::units::Instant;

/// A moment that never comes.
const NEVER: Instant = Instant::from_origin(u64::MAX);

/// Those requests, by server; the oldest goes first, or a server that takes few requests per
/// connection would turn the same ones away again and again.
pub(super) struct Again {
    lines: Box<[VecDeque<Waiting>]>,
    len: usize,
    /// None of them is given up before.
    earliest: Instant,
}

struct Waiting {
    flight: Flight,
    /// When it is given up.
    until: Instant,
}

impl Again {
    /// A line for each of `servers`.
    pub(super) fn new(servers: usize) -> Self {
        let lines = (0..servers).map(|_| VecDeque::new()).collect();
        Self { lines, len: 0, earliest: NEVER }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// `flight` is to be sent to the server `origin`, unless that was in vain `until` then. O(those
    /// that wait there and are younger).
    pub(super) fn push(&mut self, origin: u16, flight: Flight, until: Option<Instant>) {
        let Some(line) = self.lines.get_mut(usize::from(origin)) else { return };
        let younger = line.iter().rev();
        let younger = younger.take_while(|other| other.flight.intended > flight.intended).count();
        let until = until.unwrap_or(NEVER);
        line.insert(line.len() - younger, Waiting { flight, until });
        self.len += 1;
        self.earliest = self.earliest.min(until);
    }

    /// The servers that some of them wait for, and how many do.
    pub(super) fn servers(&self) -> impl Iterator<Item = (u16, usize)> {
        let lines = (0..).zip(&self.lines).map(|(origin, line)| (origin, line.len()));
        lines.filter(|&(_, len)| len > 0)
    }

    /// The server of the oldest of them whose server `has_room`. O(servers).
    pub(super) fn next_server(&self, has_room: impl Fn(u16) -> bool) -> Option<u16> {
        let fronts =
            (0..).zip(&self.lines).filter_map(|(origin, line)| Some((line.front()?, origin)));
        let fronts = fronts.filter(|&(_, origin)| has_room(origin));
        fronts.min_by_key(|(front, _)| front.flight.intended).map(|(_, origin)| origin)
    }

    /// Takes out the oldest of those for the server `origin`.
    pub(super) fn pop(&mut self, origin: u16) -> Option<Flight> {
        let waiting = self.lines.get_mut(usize::from(origin))?.pop_front()?;
        self.len -= 1;
        Some(waiting.flight)
    }

    /// When to ask who is [late](Self::next_late), if that may ever be anybody.
    pub(super) fn next_look(&self) -> Option<Instant> {
        (self.earliest < NEVER).then_some(self.earliest)
    }

    /// Takes out one that is given up at `now`. O(1) before somebody may be, O(all) then.
    pub(super) fn next_late(&mut self, now: Instant) -> Option<Flight> {
        if now < self.earliest {
            return None;
        }
        let is_late = |waiting: &Waiting| waiting.until <= now;
        for line in &mut self.lines {
            if let Some(place) = line.iter().position(is_late) {
                self.len -= 1;
                return line.remove(place).map(|waiting| waiting.flight);
            }
        }
        let all = self.lines.iter().flatten().map(|waiting| waiting.until);
        self.earliest = all.min().unwrap_or(NEVER);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Instant {
        Instant::from_origin(n)
    }

    fn flight(n: u64) -> Flight {
        Flight::new(at(n), at(n), at(n))
    }

    #[test]
    fn the_oldest_goes_first_of_those_whose_server_has_room() {
        let mut again = Again::new(3);
        for (origin, n) in [(0, 5), (2, 7), (0, 3), (2, 4), (0, 5)] {
            again.push(origin, flight(n), None);
        }
        assert_eq!((again.next_server(|_| true), again.next_server(|o| o > 0)), (Some(0), Some(2)));
        assert_eq!(again.next_server(|origin| origin == 1), None);
        let mut order = Vec::new();
        while let Some(origin) = again.next_server(|_| true) {
            order.push((origin, again.pop(origin).unwrap().intended));
        }
        assert_eq!(order, [(0, at(3)), (2, at(4)), (0, at(5)), (0, at(5)), (2, at(7))]);
        assert_eq!((again.len(), again.next_look()), (0, None));
    }

    #[test]
    fn who_has_waited_long_enough_is_given_up_and_nobody_else() {
        let mut again = Again::new(2);
        for (origin, n, until) in
            [(0, 1, Some(40)), (1, 2, Some(20)), (1, 3, None), (0, 4, Some(30))]
        {
            again.push(origin, flight(n), until.map(at));
        }
        assert_eq!(again.next_look(), Some(at(20)));
        assert!(again.next_late(at(19)).is_none());
        let mut late = || again.next_late(at(30)).map(|flight| flight.intended);
        assert_eq!((late(), late(), late()), (Some(at(4)), Some(at(2)), None));
        assert_eq!((again.next_look(), again.len()), (Some(at(40)), 2));
        again.pop(0);
        assert!(again.next_late(at(40)).is_none() && again.next_look().is_none());
        assert!(again.next_late(at(1_000)).is_none() && again.len() == 1);
    }
}
