//! Requests whose server is made of values: when one is due, its values are made, and its URL is
//! read.
//!
//! It starts as though it had been redirected: in its place is sent what the plan has prepared for
//! that server ([`Trail`](super::follow::Trail)), with the path as a value. A URL that leads to no
//! server of the run is an error by name, and nobody is asked.

use super::Shard;
use super::lines::Waiting;
use super::traffic::Traffic;
use super::user::User;
use crate::reactor::{Reactor, Slot};
use crate::record::{Cause, Phase, Trouble};
use crate::units::{Instant, Nanos};

/// How long a user of a closed loop rests whose URL led nowhere: nothing else would keep it from
/// going there again at once, and for ever.
const REST: Nanos = Nanos::from_millis(10);

impl Traffic {
    /// The server that the request of who is `waiting` is for. If values say which, they are made
    /// `now`.
    ///
    /// # Errors
    /// If they lead to none of the run.
    pub(super) fn set_out(&mut self, waiting: &Waiting, now: Instant) -> Result<u16, Cause> {
        let user = waiting.user;
        let asked = self.users.request_of(user);
        let Some(trail) = self.way.trail.as_deref_mut().filter(|trail| trail.roams(asked)) else {
            return Ok(self.server_of(user));
        };
        self.users.make_values(user, (waiting.intended, now), &mut self.recorder);
        let (detour, origin) = trail.set_out(asked, &self.users.values(user))?;
        self.put_target(user);
        self.users.set_out(user, (detour, origin), now);
        Ok(origin)
    }

    /// Whether the request of `user` is one whose server is not known, for it has not set out.
    pub(super) fn is_nowhere(&self, user: User) -> bool {
        let (asked, sent) = (self.users.asked_by(user), self.users.request_of(user));
        asked == sent && self.way.trail.as_deref().is_some_and(|trail| trail.roams(asked))
    }
}

impl<R: Reactor> Shard<R> {
    /// The values of a request that is due lead to no server of the run, which ends it.
    pub(super) fn end_nowhere(&mut self, waiting: Waiting, cause: Cause, now: Instant) {
        let Some(flight) = self.depart(waiting, now, now) else {
            self.dismiss(waiting.user, now);
            return;
        };
        self.last_outcome = now;
        let traffic = &mut self.traffic;
        if let Some(trail) = traffic.way.trail.as_deref().filter(|_| cause == Cause::OtherHost) {
            traffic.recorder.led_elsewhere(flight.intended, trail.name());
        }
        traffic.users.rest(flight.user, now + REST);
        traffic.failed(&flight, Trouble { phase: Phase::Url, cause }, Slot(0), now);
    }
}
