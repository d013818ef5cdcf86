//! Redirects: how many are followed, and what is asked for where they lead.
//!
//! All of that is known before the run but the path, which is a value of the user's: so a shard
//! puts no request together, and asks for a detour as for any other request.

use std::collections::{HashMap, HashSet};

use pummel_proto_http::{Escape, Request, Scheme, Slot, Text};

use super::scenario::{Scenario, Step};
use super::{Asking, STEPS_MAX, Source, Url, Variable, Work};

/// The detours of a run, which redirects send requests on, and values set them out on.
#[derive(Clone, Debug)]
pub struct Detours {
    target: u16,
    all: Vec<Detour>,
    /// By request.
    turns: Vec<Turn>,
    /// A row for each sort of requests: by server, with the method and the body as they were, and
    /// without. Where the user's own values choose the server, there are two: for the one that was
    /// chosen, and for others, which are told no secrets.
    table: Vec<u16>,
    servers: usize,
}

/// What is asked for where a redirect or a value leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Detour {
    /// The request, whose path is a value.
    pub request: Request,
    /// The number of the server that is asked.
    pub origin: u16,
}

/// The detours of a request.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// How many redirects of it are followed.
    most: u8,
    /// Their first row.
    row: Option<usize>,
    confidant: Confidant,
}

/// Which server is told what is secret in a request: `Authorization` and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Confidant {
    /// The one with this number, which the user has named.
    One(u16),
    /// The one that values have chosen, all of which are the user's.
    Chosen,
    /// None: a response had a say in where it goes.
    Nobody,
}

/// A server that a redirect or a value may lead to: what secures it, and what `Host` says of it.
pub type Place = (Scheme, String);

/// No request has this number.
const NONE: u16 = u16::MAX;

impl Detours {
    /// The detours of those requests of `work` that follow redirects or go where values lead, among
    /// the servers at `places`; their path is the value number `target`.
    ///
    /// # Errors
    /// How many requests there would be, if that is more than a run can have.
    pub(super) fn new(work: &Work, places: &[Place], target: u16) -> Result<Self, usize> {
        let requests = work.requests();
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
        let mut rows = 0;
        for (asking, confidant) in requests.iter().zip(confidants(work)) {
            let (most, roams) = (asking.redirects, asking.url.is_some());
            if most == 0 && !roams {
                detours.turns.push(Turn { most, row: None, confidant });
                continue;
            }
            // Requests that differ in their paths alone have the same detours.
            let request = asking.request.redirected(path.clone(), None, true);
            let row = *sorts.entry((request, confidant, roams, most > 0)).or_insert(rows);
            detours.turns.push(Turn { most, row: Some(row), confidant });
            if row < rows {
                continue;
            }
            for form in forms(confidant, places.len()) {
                let may_be = comes(asking, confidant, form).then_some(form);
                let number =
                    may_be.and_then(|form| detour(asking, form, places, &path)).map(|detour| {
                        let place = *known.entry(detour.clone()).or_insert(detours.all.len());
                        if place == detours.all.len() {
                            detours.all.push(detour);
                        }
                        u16::try_from(requests.len() + place).unwrap_or(NONE)
                    });
                detours.table.push(number.unwrap_or(NONE));
            }
            rows += 1 + usize::from(confidant == Confidant::Chosen);
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
        self.turns.get(usize::from(index)).map_or(0, |turn| turn.most)
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
    /// without its body. If values have chosen its server, that was `chosen`.
    #[must_use]
    pub fn of(&self, index: u16, (origin, chosen): (u16, u16), whole: bool) -> Option<u16> {
        let &Turn { row, confidant, .. } = self.turns.get(usize::from(index))?;
        let inside = usize::from(origin) < self.servers;
        let away = confidant == Confidant::Chosen && origin != chosen;
        let row = row.filter(|_| inside)? + usize::from(away);
        let place = (row * self.servers + usize::from(origin)) * 2 + usize::from(!whole);
        self.table.get(place).copied().filter(|&number| number != NONE)
    }
}

/// Who is told the secrets of each request of `work`. O(steps).
fn confidants(work: &Work) -> Vec<Confidant> {
    let requests = work.requests();
    let said = said_by_responses(work.variables());
    let mut homes: Vec<Option<Confidant>> = vec![None; requests.len()];
    for scenario in work.scenarios() {
        let own = || steps_of(scenario, requests).filter(|(_, asking)| asking.url.is_none());
        let first = own().map(|(_, asking)| asking.origin).next();
        let named: HashSet<u16> = own().map(|(_, asking)| asking.origin).collect();
        for (index, asking) in steps_of(scenario, requests) {
            let Some(url) = &asking.url else { continue };
            let home = url.home.filter(|home| named.contains(home)).or(first);
            let home = home.map_or(Confidant::Nobody, Confidant::One);
            if let Some(known) = homes.get_mut(index) {
                // It may be a step of several scenarios.
                let other = known.is_some_and(|known| known != home);
                *known = Some(if other { Confidant::Nobody } else { home });
            }
        }
    }
    let is_said = |url: &Url| {
        url.base.values().any(|number| said.get(usize::from(number)).is_none_or(|said| *said))
    };
    let of = |(asking, home): (&Asking, Option<Confidant>)| match &asking.url {
        None => Confidant::One(asking.origin),
        Some(url) if is_said(url) => home.unwrap_or(Confidant::Nobody),
        Some(_) => Confidant::Chosen,
    };
    requests.iter().zip(homes).map(of).collect()
}

/// The requests of the steps of a scenario, with their indices.
fn steps_of<'w>(
    scenario: &'w Scenario,
    requests: &'w [Asking],
) -> impl Iterator<Item = (usize, &'w Asking)> {
    scenario.steps.iter().filter_map(|step| {
        let Step::Request(index) = step else { return None };
        let index = usize::from(*index);
        requests.get(index).map(|asking| (index, asking))
    })
}

/// Whether a response has a say in each value.
fn said_by_responses(variables: &[Variable]) -> Vec<bool> {
    let mut said: Vec<bool> = Vec::with_capacity(variables.len());
    for Variable { source, .. } in variables {
        // Those that it is made from have lower numbers.
        let made = || source.ingredients().into_iter();
        let own = matches!(source, Source::Captured | Source::Cookies);
        said.push(own || made().any(|number| said.get(usize::from(number)) == Some(&true)));
    }
    said
}

/// Which detour it is: the number of its server, whether that is told secrets, and whether the
/// method and the body are those of the request.
type Form = (u16, bool, bool);

/// The detours in the rows of a request.
fn forms(confidant: Confidant, servers: usize) -> Vec<Form> {
    let origins = (0..).take(servers);
    let own: Vec<(u16, bool)> = match confidant {
        Confidant::One(home) => origins.map(|origin| (origin, origin == home)).collect(),
        Confidant::Nobody => origins.map(|origin| (origin, false)).collect(),
        Confidant::Chosen => [true, false]
            .into_iter()
            .flat_map(|own| origins.clone().map(move |n| (n, own)))
            .collect(),
    };
    own.into_iter().flat_map(|(n, own)| [true, false].map(|whole| (n, own, whole))).collect()
}

/// Whether it can come to this form of a request.
fn comes(asking: &Asking, confidant: Confidant, (_, own, whole): Form) -> bool {
    // Values lead it nowhere but there, as it is.
    asking.redirects > 0 || (whole && (own || confidant != Confidant::Chosen))
}

/// The detour of a request in this form, if there is such a server.
fn detour(
    asking: &Asking,
    (origin, own, whole): Form,
    places: &[Place],
    path: &Text,
) -> Option<Detour> {
    let (scheme, authority) = places.get(usize::from(origin))?;
    let there = (!own).then_some((*scheme, authority.as_str()));
    let mut request = asking.request.redirected(path.clone(), there, whole);
    if asking.url.is_some() {
        request = request.at(*scheme, authority);
    }
    Some(Detour { request, origin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ExpectedStatus, WorkError};
    use crate::plan::{Scenario, Step, Url, Work};
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
        assert_eq!(detours.of(59_999, (1, 0), true), detours.of(0, (1, 0), true));
        assert_ne!(detours.of(0, (1, 0), true), detours.of(0, (1, 0), false));
        assert_eq!(detours.of(0, (2, 0), true), None);
        assert_eq!(detours.of(60_000, (0, 0), true), None);
        assert_eq!((detours.most(7), detours.most(60_000)), (3, 0));
    }

    #[test]
    fn a_request_that_follows_none_has_no_detour() {
        let all = vec![asking("/", None, 0), asking("/", None, 1)];
        let work = work(all).following(&places()).unwrap();
        let detours = work.detours().unwrap();
        assert_eq!((detours.most(0), detours.of(0, (0, 0), true)), (0, None));
        assert_eq!(detours.of(1, (0, 0), true), Some(2));
        let none = Work::only(asking("/", None, 0).request, ExpectedStatus::default());
        assert!(none.following(&places()).unwrap().detours().is_none());
    }

    #[test]
    fn what_values_lead_is_whole_where_it_begins_and_tells_others_no_secrets() {
        let roaming = |redirects| {
            let builder = Request::builder("POST", "any", "/").unwrap().body("x");
            let builder = builder.field("Authorization", "b").unwrap();
            let asking = Asking::new(String::new(), builder.build(), ExpectedStatus::default());
            let url = Url { base: Text::from("http://h"), rest: Text::default(), home: None };
            Asking { redirects, url: Some(url), ..asking }
        };
        let work = work(vec![roaming(0), roaming(1), asking("/", None, 1)]);
        let work = work.following(&places()).unwrap();
        let detours = work.detours().unwrap();
        let of = |index, origin, away, whole| {
            let number = usize::from(detours.of(
                index,
                (origin, if away { 1 - origin } else { origin }),
                whole,
            )?);
            let Detour { request, origin: asked } = &detours.all()[number - 3];
            assert_eq!(*asked, origin);
            let secrets = request.fields().count() == 1;
            let host = String::from_utf8(request.host().literal().to_vec()).unwrap();
            Some((host, secrets, request.body().is_some()))
        };
        let to = |host: &str, secrets, body| Some((host.to_owned(), secrets, body));
        assert_eq!(
            (of(0, 0, false, true), of(0, 1, false, true)),
            (to("h", true, true), to("g", true, true))
        );
        assert_eq!((of(0, 0, true, true), of(0, 1, false, false)), (None, None));
        assert_eq!(
            (of(1, 1, false, true), of(1, 1, false, false)),
            (to("g", true, true), to("g", true, false))
        );
        assert_eq!(
            (of(1, 1, true, true), of(1, 0, true, false)),
            (to("g", false, true), to("h", false, false))
        );
        assert_eq!(detours.of(0, (0, 0), true), detours.of(1, (0, 0), true), "in common");
        assert_eq!(of(2, 1, false, true), to("g", false, false), "no body, no secrets");
        assert_eq!(work.requests()[0].request.host().constant(), Some(&b"h"[..]));
    }

    #[test]
    fn more_of_them_than_a_run_can_have_are_refused() {
        let many = (0..30_000).map(|n| asking("/", Some(n.to_string()), 1)).collect();
        let refused = work(many).following(&places()).unwrap_err();
        assert!(matches!(refused, WorkError::Detours(count) if count > STEPS_MAX), "{refused}");
    }
}
