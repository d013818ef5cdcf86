//! Redirects: how many are followed, and what is asked for where they lead.
//!
//! All of that is known before the run but the path, which is a value of the user's: so a shard
//! puts no request together, and asks for a detour as for any other request.

use std::collections::HashMap;

use pummel_proto_http::{Escape, Request, Scheme, Slot, Text};

use super::{Asking, STEPS_MAX};

/// The detours of a run, which redirects send requests on.
#[derive(Clone, Debug)]
pub struct Detours {
    target: u16,
    all: Vec<Detour>,
    /// By request: how many redirects of it are followed, and the row of its detours.
    turns: Vec<(u8, usize)>,
    /// A row for each sort of requests: by server, with the method and the body as they were, and
    /// without.
    table: Vec<u16>,
    servers: usize,
}

/// What is asked for where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Detour {
    /// The request, whose path is a value.
    pub request: Request,
    /// The number of the server that is asked.
    pub origin: u16,
}

/// A server that a redirect may lead to: what secures it, and what `Host` says of it.
pub type Place = (Scheme, String);

impl Detours {
    /// The detours of those of `requests` that follow redirects, among the servers at `places`;
    /// their path is the value number `target`.
    ///
    /// # Errors
    /// How many requests there would be, if that is more than a run can have.
    pub(super) fn new(requests: &[Asking], places: &[Place], target: u16) -> Result<Self, usize> {
        let mut detours = Self {
            target,
            all: Vec::new(),
            turns: Vec::with_capacity(requests.len()),
            table: Vec::new(),
            servers: places.len(),
        };
        let mut path = Text::default();
        path.push_slot(Slot { value: target, escape: Escape::Target });
        let (mut sorts, mut known) = (HashMap::new(), HashMap::new());
        for asking in requests {
            if asking.redirects == 0 {
                detours.turns.push((0, 0));
                continue;
            }
            // Requests that differ in their paths alone have the same detours.
            let sort = detour(asking, (asking.origin, None), &path, true);
            let next = sorts.len();
            let row = *sorts.entry(sort).or_insert(next);
            detours.turns.push((asking.redirects, row));
            if row < next {
                continue;
            }
            for (origin, (scheme, authority)) in (0..).zip(places) {
                let there = (origin != asking.origin).then_some((*scheme, authority.as_str()));
                for whole in [true, false] {
                    let detour = detour(asking, (origin, there), &path, whole);
                    let place = *known.entry(detour.clone()).or_insert(detours.all.len());
                    if place == detours.all.len() {
                        detours.all.push(detour);
                    }
                    let number = u16::try_from(requests.len() + place);
                    detours.table.push(number.unwrap_or(u16::MAX));
                }
            }
            if requests.len() + detours.all.len() > STEPS_MAX {
                break;
            }
        }
        let count = requests.len() + detours.all.len();
        if count > STEPS_MAX { Err(count) } else { Ok(detours) }
    }

    /// Has all of them keep cookies, which are the value with this number.
    pub(super) fn keep_cookies(&mut self, value: u16) {
        for detour in &mut self.all {
            detour.request = detour.request.clone().with_cookies(value);
        }
    }

    /// Has all of them ask the first server.
    pub(super) fn lead_to_first(&mut self) {
        self.all.iter_mut().for_each(|detour| detour.origin = 0);
    }

    /// How many redirects of the request with this index are followed.
    #[must_use]
    pub fn most(&self, index: u16) -> u8 {
        self.turns.get(usize::from(index)).map_or(0, |&(most, _)| most)
    }

    /// The number of the value that is their path.
    #[must_use]
    pub const fn target(&self) -> u16 {
        self.target
    }

    /// All of them; their numbers begin behind those of the requests.
    #[must_use]
    pub fn all(&self) -> &[Detour] {
        &self.all
    }

    /// The number of the detour to the server `origin` of the request with this index: `whole`, or
    /// without its body.
    #[must_use]
    pub fn of(&self, index: u16, origin: u16, whole: bool) -> Option<u16> {
        let &(most, row) = self.turns.get(usize::from(index))?;
        let inside = most > 0 && usize::from(origin) < self.servers;
        let place = (row * self.servers + usize::from(origin)) * 2 + usize::from(!whole);
        self.table.get(place).copied().filter(|_| inside)
    }
}

/// The detour of a request to a server, which is another one than its own if its place is said.
fn detour(
    asking: &Asking,
    (origin, there): (u16, Option<(Scheme, &str)>),
    path: &Text,
    whole: bool,
) -> Detour {
    Detour { request: asking.request.redirected(path.clone(), there, whole), origin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ExpectedStatus, WorkError};
    use crate::plan::{Scenario, Step, Work};
    use core::num::NonZeroU32;

    fn work(requests: Vec<Asking>) -> Work {
        let scenario = Scenario {
            name: String::new(),
            weight: NonZeroU32::MIN,
            steps: vec![Step::Request(0)],
        };
        Work::new(requests, vec![scenario]).unwrap()
    }

    fn asking(path: &str, body: Option<String>, redirects: u8) -> Asking {
        let builder = Request::builder("POST", "h", path).unwrap();
        let request = match body {
            Some(body) => builder.body(body.into_bytes()).build(),
            None => builder.build(),
        };
        let asking = Asking::new(String::new(), request, ExpectedStatus::default());
        Asking { redirects, ..asking }
    }

    fn places() -> [Place; 2] {
        [(Scheme::Http, "h".to_owned()), (Scheme::Https, "g".to_owned())]
    }

    #[test]
    fn requests_that_differ_in_their_paths_alone_have_their_detours_in_common() {
        let many = (0..60_000).map(|n| asking(&format!("/{n}"), None, 3)).collect();
        let work = work(many).following(&places()).unwrap();
        let detours = work.detours().unwrap();
        assert_eq!(detours.all().len(), 4, "to each server, as POST and as GET");
        assert_eq!(detours.of(59_999, 1, true), detours.of(0, 1, true));
        assert_ne!(detours.of(0, 1, true), detours.of(0, 1, false));
        assert_eq!((detours.of(0, 2, true), detours.of(60_000, 0, true)), (None, None));
        assert_eq!((detours.most(7), detours.most(60_000)), (3, 0));
    }

    #[test]
    fn a_request_that_follows_none_has_no_detour() {
        let all = vec![asking("/", None, 0), asking("/", None, 1)];
        let work = work(all).following(&places()).unwrap();
        let detours = work.detours().unwrap();
        assert_eq!((detours.most(0), detours.of(0, 0, true)), (0, None));
        assert_eq!(detours.of(1, 0, true), Some(2));
        let none = Work::only(asking("/", None, 0).request, ExpectedStatus::default());
        assert!(none.following(&places()).unwrap().detours().is_none());
    }

    #[test]
    fn more_of_them_than_a_run_can_have_are_refused() {
        let many = (0..30_000).map(|n| asking("/", Some(n.to_string()), 1)).collect();
        let refused = work(many).following(&places()).unwrap_err();
        assert!(matches!(refused, WorkError::Detours(count) if count > STEPS_MAX), "{refused}");
    }
}
