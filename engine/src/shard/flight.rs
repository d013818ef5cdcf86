//! Requests in flight: their moments, in one table made at the start.
//!
//! Each connection has a row of places. HTTP/1.1 answers in order, so a row is a ring there, which
//! gives out the oldest; HTTP/2 names the place itself, by the tag of a stream.

use super::user::User;
use crate::record::Moments;
use crate::units::Instant;

/// An unanswered request.
#[derive(Clone, Copy)]
pub(super) struct Flight {
    /// When it was intended to start; in a closed loop, when it started.
    pub(super) intended: Instant,
    /// That, and as much later as the shard was late for it.
    pub(super) picked: Instant,
    /// When it was handed to the kernel, on the connection that it had been given right before; for
    /// the first time, if redirects have led on since.
    pub(super) written: Instant,
    /// Whether at most a quarter of the connections were in use then.
    pub(super) light: bool,
    /// How often it has been sent before, and was not processed.
    pub(super) retries: u8,
    /// Who asks, and whether in the middle of a scenario.
    pub(super) user: User,
    pub(super) onward: bool,
    /// Whether it has started before, sent or not.
    pub(super) again: bool,
    /// How far redirects have led it.
    pub(super) hops: Hops,
    /// HTTP/2: the status of the response that is arriving, and when its head was reaped; 0 before,
    /// and when the request was sent to the server that has it now.
    pub(super) status: u16,
    pub(super) first_byte: Instant,
}

/// How far redirects have led a request.
#[derive(Clone, Copy)]
pub(super) struct Hops {
    /// How many of them were followed.
    pub(super) count: u8,
    /// Whether method and body are still those of the request.
    pub(super) whole: bool,
    /// Whether the server that it is for now has it in its count.
    pub(super) counted: bool,
}

impl Hops {
    /// Nowhere.
    pub(super) const NONE: Self = Self { count: 0, whole: true, counted: false };
}

impl Flight {
    /// Nothing of a response has arrived yet.
    pub(super) fn new(intended: Instant, picked: Instant, written: Instant) -> Self {
        Self {
            intended,
            picked,
            written,
            light: false,
            retries: 0,
            again: false,
            hops: Hops::NONE,
            user: User::default(),
            onward: false,
            status: 0,
            first_byte: written,
        }
    }

    /// The same, of which something was first heard at `first_byte`.
    pub(super) const fn heard(self, first_byte: Instant) -> Self {
        Self { first_byte, ..self }
    }

    /// HTTP/2: when it was sent to the server that has it now, if that has not begun to answer.
    pub(super) fn sent(&self) -> Option<Instant> {
        (self.status == 0).then_some(self.first_byte)
    }

    /// Whether nothing that is recorded tells it from `other`, if both end together.
    pub(super) fn resembles(&self, other: &Self) -> bool {
        let moments = |of: &Self| (of.intended, of.picked, of.written, of.first_byte);
        let rest = |of: &Self| (of.status, of.light);
        moments(self) == moments(other) && rest(self) == rest(other)
    }

    /// Its moments, if it ended at `finished`.
    pub(super) fn ended(&self, first_byte: Instant, finished: Instant) -> Moments {
        let Self { intended, picked, written, light, .. } = *self;
        Moments { intended, picked, granted: written, written, light, first_byte, finished }
    }
}

/// A row of flights per connection, all rows in one table: row `c` occupies `c × depth …`.
pub(super) struct Flights {
    depth: u32,
    table: Box<[Flight]>,
    rings: Box<[Ring]>,
}

#[derive(Clone, Copy, Default)]
struct Ring {
    oldest: u32,
    len: u32,
}

impl Flights {
    /// Room for `depth` flights on each of `connections`.
    pub(super) fn new(connections: u32, depth: u32) -> Self {
        let origin = Instant::from_origin(0);
        let idle = Flight::new(origin, origin, origin);
        let places = connections as usize * depth as usize;
        Self {
            depth,
            table: vec![idle; places].into(),
            rings: vec![Ring::default(); connections as usize].into(),
        }
    }

    /// Number of places, over all connections.
    pub(super) fn places(&self) -> usize {
        self.table.len()
    }

    /// The connection to which `place` belongs.
    pub(super) fn connection_of(&self, place: usize) -> usize {
        place / self.depth as usize
    }

    /// The places of `connection`.
    pub(super) fn row(&self, connection: usize) -> core::ops::Range<usize> {
        let from = connection * self.depth as usize;
        from..from + self.depth as usize
    }

    /// The place `position` of `connection`.
    pub(super) fn place(&self, connection: usize, position: u16) -> usize {
        connection * self.depth as usize + usize::from(position)
    }

    /// The position of `place` within the row of its connection.
    pub(super) fn position_of(&self, place: usize) -> u16 {
        // A row is never longer than positions can tell.
        u16::try_from(place % self.depth as usize).unwrap_or(u16::MAX)
    }

    /// The place of the oldest flight of `connection`.
    pub(super) fn oldest(&self, connection: usize) -> Option<usize> {
        let ring = self.rings.get(connection).filter(|ring| ring.len > 0)?;
        Some(connection * self.depth as usize + ring.oldest as usize)
    }

    /// The flight at `place`.
    pub(super) fn at(&mut self, place: usize) -> Option<&mut Flight> {
        self.table.get_mut(place)
    }

    /// Adds the newest flight of `connection`, and returns its place; `None` if the ring is full.
    pub(super) fn push(&mut self, connection: usize, flight: &Flight) -> Option<usize> {
        let ring = self.rings.get_mut(connection).filter(|ring| ring.len < self.depth)?;
        let mut position = ring.oldest + ring.len;
        if position >= self.depth {
            position -= self.depth;
        }
        ring.len += 1;
        let place = connection * self.depth as usize + position as usize;
        *self.table.get_mut(place)? = *flight;
        Some(place)
    }

    /// Puts a flight at the `position` of `connection`, and returns its place.
    pub(super) fn put(
        &mut self,
        connection: usize,
        position: u16,
        flight: &Flight,
    ) -> Option<usize> {
        let place = self.place(connection, position);
        *self.table.get_mut(place)? = *flight;
        Some(place)
    }

    /// Takes the oldest flight of `connection` out, with the place that it had.
    pub(super) fn pop(&mut self, connection: usize) -> Option<(usize, Flight)> {
        let ring = self.rings.get_mut(connection).filter(|ring| ring.len > 0)?;
        let place = connection * self.depth as usize + ring.oldest as usize;
        ring.len -= 1;
        ring.oldest += 1;
        if ring.oldest == self.depth {
            ring.oldest = 0;
        }
        Some((place, *self.table.get(place)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(n: u64) -> Flight {
        let moment = Instant::from_origin(n);
        Flight::new(moment, moment, moment)
    }

    #[test]
    fn flights_of_a_connection_leave_in_the_order_in_which_they_came() {
        let mut flights = Flights::new(2, 3);
        let (mut pushed, mut popped) = (0, 0);
        // Pushes run ahead by up to three, so that the ring wraps at every offset.
        for ahead in [1, 3, 2, 3, 1, 2, 3, 3] {
            while pushed < popped + ahead {
                assert!(flights.push(1, &flight(pushed)).is_some());
                pushed += 1;
            }
            let (place, oldest) = flights.pop(1).unwrap();
            assert_eq!(flights.connection_of(place), 1);
            assert_eq!(oldest.intended, Instant::from_origin(popped));
            popped += 1;
        }
        assert!(flights.pop(0).is_none(), "the other connection had none");
    }

    #[test]
    fn a_full_ring_takes_no_more() {
        let mut flights = Flights::new(1, 2);
        assert_eq!(flights.push(0, &flight(0)), Some(0));
        assert_eq!(flights.push(0, &flight(1)), Some(1));
        assert_eq!(flights.push(0, &flight(2)), None);
        assert_eq!(flights.pop(0).map(|(place, _)| place), Some(0));
        assert_eq!(flights.push(0, &flight(3)), Some(0));
    }
}
