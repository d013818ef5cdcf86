//! Rows for users that begin: each takes one of every feed that its scenario has values of.
//!
//! A row is made ahead, so a shard looks whether there is one and never waits for it. While there
//! is none, the users that could begin starve: their intended starts stay, and how long they wait
//! is counted. When a feed is at its end, nobody begins any more.

use super::Shard;
use super::values::Table;
use crate::feed::{Flow, Tap};
use crate::judge::Condition;
use crate::plan::{Asking, Source, Step, Work, needed_for};
use crate::reactor::Reactor;
use crate::record::{Recorder, Unsent, Window};
use crate::units::{Instant, Nanos};

/// How often a shard looks for a row that it lacks.
const LOOK: Nanos = Nanos::from_micros(250);

/// The feeds of a shard.
pub(super) struct Feeds {
    taps: Box<[Tap]>,
    /// The last time that each of them was dry.
    dry: Box<[Dry]>,
    /// What each scenario takes.
    taken: Box<[Taken]>,
    /// The feed that is dry, where a user could begin with a row of it.
    lacking: Option<usize>,
    /// Whether a feed is at its end.
    spent: bool,
}

/// What the users of a scenario take when they begin.
struct Taken {
    feeds: Box<[u16]>,
    values: Box<[Value]>,
}

/// A value of a row, and where a user has it.
struct Value {
    feed: u16,
    column: u16,
    number: u16,
}

/// A time in which a feed had no row for a user that could begin.
#[derive(Clone, Copy)]
struct Dry {
    from: Instant,
    to: Instant,
}

impl Feeds {
    /// The feeds of `work` at these `taps`; `None` if it has none.
    pub(super) fn new(work: &Work, taps: Vec<Tap>) -> Option<Box<Self>> {
        if taps.is_empty() {
            return None;
        }
        let never = Dry { from: Instant::from_origin(0), to: Instant::from_origin(0) };
        let taken = work.scenarios().iter().map(|scenario| Taken::of(work, &scenario.steps));
        Some(Box::new(Self {
            dry: taps.iter().map(|_| never).collect(),
            taps: taps.into(),
            taken: taken.collect(),
            lacking: None,
            spent: false,
        }))
    }

    /// Whether each feed has a row, or never will.
    pub(super) fn is_primed(&mut self) -> bool {
        self.taps.iter_mut().all(|tap| tap.look() != Flow::Dry)
    }

    /// Whether there is a row of all that the users of `scenario` take: the first feed that has
    /// none, if there is one.
    pub(super) fn look(&mut self, scenario: u16) -> Result<(), Lack> {
        if self.spent {
            return Err(Lack::Spent);
        }
        let Some(taken) = self.taken.get(usize::from(scenario)) else { return Ok(()) };
        for &feed in &taken.feeds {
            let feed = usize::from(feed);
            match self.taps.get_mut(feed).map(Tap::look) {
                None | Some(Flow::Row) => {}
                Some(Flow::Dry) => return Err(Lack::Dry(feed)),
                Some(Flow::Spent) => {
                    self.spent = true;
                    return Err(Lack::Spent);
                }
            }
        }
        Ok(())
    }

    /// Since `now` a user could begin, but for a row of this feed.
    pub(super) fn starve(&mut self, feed: usize, now: Instant) {
        if self.lacking.is_none()
            && let Some(dry) = self.dry.get_mut(feed)
        {
            *dry = Dry { from: now, to: now };
        }
        self.lacking = Some(self.lacking.unwrap_or(feed));
    }

    /// Nothing is lacking `now`, or nothing will be had any more.
    pub(super) fn relieve(&mut self, now: Instant) {
        if let Some(feed) = self.lacking.take()
            && let Some(dry) = self.dry.get_mut(feed)
        {
            dry.to = now;
        }
    }

    /// Gives `user`, who begins `scenario` and could have done so since `since`, its rows. Returns
    /// how long it waited for them.
    pub(super) fn give(
        &mut self,
        (user, scenario): (u32, u16),
        since: Instant,
        values: &mut Table,
        recorder: &mut Recorder,
    ) -> Nanos {
        let Some(taken) = self.taken.get(usize::from(scenario)) else { return Nanos::ZERO };
        for Value { feed, column, number } in &taken.values {
            if let Some(tap) = self.taps.get(usize::from(*feed))
                && let Some(cell) = values.cell(user, *number)
            {
                cell.clear();
                cell.extend_from_slice(tap.value(*column));
            }
        }
        let mut longest = Nanos::ZERO;
        for feed in taken.feeds.iter().map(|&feed| usize::from(feed)) {
            let (Some(tap), Some(dry)) = (self.taps.get_mut(feed), self.dry.get(feed)) else {
                continue;
            };
            tap.pass();
            self.spent |= tap.is_spent();
            let wait = dry.to.since(since.max(dry.from));
            longest = longest.max(wait);
            recorder.fed(feed, |fed| {
                fed.rows += 1;
                if wait > Nanos::ZERO {
                    fed.starve(wait);
                }
            });
        }
        longest
    }

    /// When to look for what is lacking again, if anything is.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        self.lacking.map(|_| now + LOOK)
    }

    /// Whether nobody begins any more.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent
    }

    /// The run ends `now`: tells what became of the feeds.
    pub(super) fn leave(&mut self, now: Instant, recorder: &mut Recorder) {
        if let Some(feed) = self.lacking
            && let Some(dry) = self.dry.get(feed)
        {
            recorder.fed(feed, |fed| fed.starve(now.since(dry.from)));
        }
        for (feed, tap) in self.taps.iter().enumerate() {
            recorder.fed(feed, |fed| fed.ended += u64::from(tap.is_spent()));
        }
    }
}

/// Why a user cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// This feed has no row now.
    Dry(usize),
    /// A feed has none any more.
    Spent,
}

impl Taken {
    /// What the requests and the conditions of `steps` need.
    fn of(work: &Work, steps: &[Step]) -> Self {
        let requests = steps.iter().filter_map(|step| match step {
            Step::Request(request) => work.requests().get(usize::from(*request)),
            _ => None,
        });
        let sources: Vec<_> = work.variables().iter().map(|one| one.source.clone()).collect();
        let conditions = steps.iter().filter_map(|step| match step {
            Step::Unless { condition, .. } => work.logic().conditions.get(usize::from(*condition)),
            _ => None,
        });
        let own = requests.flat_map(Asking::values);
        let own = own.chain(conditions.flat_map(Condition::values)).collect();
        let numbers = needed_for(own, &sources);
        let values =
            numbers.into_iter().filter_map(|number| match *sources.get(usize::from(number))? {
                Source::Fed { feed, column } => Some(Value { feed, column, number }),
                _ => None,
            });
        let values: Box<[Value]> = values.collect();
        let mut feeds: Vec<u16> = values.iter().map(|value| value.feed).collect();
        feeds.sort_unstable();
        feeds.dedup();
        Self { feeds: feeds.into(), values }
    }
}

impl<R: Reactor> Shard<R> {
    /// Whether a user may begin `now`. Where all that it lacks is a row, it starves.
    pub(super) fn may_begin(&mut self, now: Instant, window: Window) -> bool {
        match self.traffic.users.may_begin(self.supply.slot(), now) {
            Ok(may) => may,
            Err(Lack::Spent) => false,
            Err(Lack::Dry(feed)) => {
                if self.supply.has_due(now, window) {
                    self.traffic.users.starve(feed, now);
                }
                false
            }
        }
    }

    /// Ends the schedule with the last user that had a row, if a feed is at its end. What had been
    /// counted as scheduled before that was known is left unfinished.
    pub(super) fn end_with_feed(&mut self, now: Instant) {
        let window = self.traffic.recorder.window();
        if !self.traffic.users.is_spent() || self.supply.exhausted(now, window) {
            return;
        }
        let recorder = &mut self.traffic.recorder;
        let unfinished = Unsent::Unfinished;
        let end = self.supply.end_here(now, |intended, count| {
            recorder.unsent(intended, now, unfinished, count);
        });
        let to = end.min(window.to).max(window.from);
        self.traffic.recorder.set_window(Window { to, ..window });
    }

    /// Whether a closed loop is at the end of its rows, and nobody is under way any more.
    pub(super) fn is_fed_out(&mut self, now: Instant) -> bool {
        let done = self.traffic.users.are_done();
        if done {
            self.supply.cut(now, |_, _| {});
            let window = self.traffic.recorder.window();
            let to = (self.last_outcome + Nanos::new(1)).min(window.to).max(window.from);
            self.traffic.recorder.set_window(Window { to, ..window });
        }
        done
    }
}
