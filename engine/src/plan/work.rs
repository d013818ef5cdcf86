//! What is asked for, and in which order: requests, and scenarios that lead through them.

use core::num::NonZeroU32;
use std::collections::{HashMap, HashSet};

use pummel_proto_http::{Request, Text};

use super::scenario::{Logic, MARKS_MAX, NESTED_MAX, Scenario, Step};
use super::{DatePart, Detours, ExpectedStatus, Place, Signing};
use crate::cookies::Cookie;
use crate::feed::Feed;
use crate::judge::{Capture, Check, Condition};
use crate::units::Nanos;

/// Most requests of a run, most scenarios, and most steps of one: as many as a `u16` can count.
pub const STEPS_MAX: usize = 65_535;

/// Most names of requests whose numbers are kept apart: each costs a histogram per shard.
pub const ROWS_MAX: usize = 256;

/// The work of a run. Whoever wants nothing but one request has one scenario with one step.
#[derive(Clone, Debug)]
pub struct Work {
    requests: Vec<Asking>,
    scenarios: Vec<Scenario>,
    logic: Logic,
    order: Order,
    variables: Vec<Variable>,
    feeds: Vec<Feed>,
    epoch: Nanos,
    cookies: Option<Cookies>,
    detours: Option<Detours>,
}

/// The cookies of users.
#[derive(Clone, Debug)]
pub struct Cookies {
    /// Until when a user keeps them.
    pub until: Until,
    /// What each user has at first.
    pub loaded: Vec<Cookie>,
    /// Whether the report tells what users have in the end.
    pub told: bool,
}

/// Until when a user keeps its cookies. In an open loop each slot brings a user of its own, who has
/// those of one scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until the run ends.
    End,
    /// Until its scenario ends.
    Scenario,
}

/// Which scenario a user begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Any, with probabilities that are in proportion to the weights.
    ByWeight,
    /// The one that the number of the slot says, of all shards alike: each has as many as its
    /// weight of all weights is, but for two at most, spread evenly over all slots. Without a
    /// schedule the beginnings of the shard are counted in the place of slots.
    InProportion,
    /// The one behind that which was begun last on the same shard, and the first behind the last.
    /// Shards begin at different places, so that all are used evenly.
    InTurn,
    /// Each of them once, in their order, by one user who makes no pauses; of all that is exchanged
    /// everything is kept.
    Tried,
}

/// A value that is put into requests, under the number that is its place among the variables.
#[derive(Clone, Debug)]
pub struct Variable {
    /// What it is called where it was written down.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
}

/// Where a value comes from: anew for each request that has it, but for what is captured or fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A capture; empty until there was one in the scenario under way.
    Captured,
    /// How many requests the user has made before.
    Sequence,
    /// The Unix time in seconds.
    Seconds,
    /// The Unix time in milliseconds.
    Milliseconds,
    /// A whole number, any of these with the same probability.
    Random {
        /// The smallest.
        from: i64,
        /// The largest, not below the smallest.
        to: i64,
    },
    /// One of these, each with the same probability.
    Choice(Vec<Vec<u8>>),
    /// A random UUID.
    Uuid,
    /// The user's cookies for the request.
    Cookies,
    /// The date and the time of day, in UTC.
    Date(Vec<DatePart>),
    /// A text in base 64, whose values have lower numbers than this one.
    Base64(Text),
    /// The SHA-256 of such a text, in hexadecimal digits.
    Sha256(Text),
    /// The AWS signature of a request, in hexadecimal digits.
    Signature(Box<Signing>),
    /// A row of a feed, of which each user takes one when it begins a scenario that has any value
    /// of it, in a request or in a condition.
    Fed {
        /// The feed's place among those of the work.
        feed: u16,
        /// The value's place in the row.
        column: u16,
    },
}

impl Source {
    /// The values that this one is made from.
    #[must_use]
    pub fn ingredients(&self) -> Vec<u16> {
        match self {
            Self::Base64(text) | Self::Sha256(text) => text.values().collect(),
            Self::Signature(signing) => signing.values().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is the same for everybody as long as the second is the same, if what it is made
    /// from is.
    #[must_use]
    pub fn lasts_a_second(&self) -> bool {
        match self {
            Self::Seconds | Self::Base64(_) | Self::Sha256(_) | Self::Signature(_) => true,
            Self::Date(parts) => !parts.iter().any(|part| matches!(part, DatePart::Fraction(_))),
            _ => false,
        }
    }
}

/// A request, and what is expected of its response.
#[derive(Clone, Debug)]
pub struct Asking {
    /// What the report calls it. Requests with the same name are one to it.
    pub name: String,
    /// The request, validated.
    pub request: Request,
    /// The number of the server that is asked.
    pub origin: u16,
    /// Where it goes, if values say so: then its server and its path are those of this URL, and
    /// not the ones above.
    pub url: Option<Url>,
    /// How many redirects are followed at most, one after the other. What is expected, tested and
    /// taken is of the last response.
    pub redirects: u8,
    /// Which response statuses are `ok`; any other is a *failure*, not an error.
    pub expected: ExpectedStatus,
    /// What else its response is tested for; one that does not hold makes it a failure.
    pub checks: Vec<Check>,
    /// What is taken out of its response; what is not there makes it a failure, and ends the
    /// scenario, whose next steps would lack it.
    pub captures: Vec<Capture>,
}

/// A URL whose server is made of values. It is read for each request, and leads to servers of the
/// run alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Its beginning: scheme, host and port, and whatever stands with them in one value.
    pub base: Text,
    /// The rest of path and query, if there is any.
    pub rest: Text,
    /// If the beginning needs what responses said: the server that is told `Authorization` and its
    /// like all the same, if a step of the scenario names it; or else the first that one names.
    pub home: Option<u16>,
}

impl Asking {
    /// A request to the first server, of which nothing is looked at but the status.
    #[must_use]
    pub const fn new(name: String, request: Request, expected: ExpectedStatus) -> Self {
        Self {
            name,
            request,
            origin: 0,
            url: None,
            redirects: 0,
            expected,
            checks: Vec::new(),
            captures: Vec::new(),
        }
    }

    /// The numbers of the values that are put into it or into its URL, some of them twice.
    #[must_use]
    pub fn values(&self) -> Vec<u16> {
        let url = self.url.iter().flat_map(|url| url.base.values().chain(url.rest.values()));
        self.request.values().into_iter().chain(url).collect()
    }
}

/// Why there is no such work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// There is no scenario.
    #[error("there is nothing to do: no scenario")]
    Nothing,
    /// There are too many requests.
    #[error("{0} requests are more than the {STEPS_MAX} that a run can have")]
    Requests(usize),
    /// There are too many scenarios.
    #[error("{0} scenarios are more than the {STEPS_MAX} that a run can have")]
    Scenarios(usize),
    /// A scenario has too many steps.
    #[error("{0} steps are more than the {STEPS_MAX} that a scenario can have")]
    Steps(usize),
    /// A way through a scenario does not begin with a request.
    #[error(
        "whichever way is taken, a scenario makes a request before it pauses, repeats or ends, \
         and here it may not; put one that is always made first"
    )]
    Beginning,
    /// A loop makes no request.
    #[error("a loop makes no request; put one into it")]
    Idle,
    /// A step leads to where it may not.
    #[error("a step leads to place {0}, which is none, or none that it may lead to")]
    Place(u16),
    /// A step looks at a condition that is not there.
    #[error("a step depends on condition {0}, which there is not")]
    Condition(u16),
    /// A step begins a group that is not there.
    #[error("a step begins group {0}, which there is not")]
    Group(u16),
    /// A group does not end, or one ends that has not begun.
    #[error("groups begin and end in pairs, and here they do not")]
    Leave,
    /// Too many groups or loops are within each other.
    #[error("more than {NESTED_MAX} groups or loops are within each other")]
    Nested,
    /// Too many blocks are gone through once.
    #[error("more than {MARKS_MAX} blocks are gone through once")]
    Marks,
    /// A step asks for a request that is not there.
    #[error("a step asks for request {0}, which there is not")]
    Missing(u16),
    /// There are too many requests, with those that redirects and values may lead to.
    #[error(
        "for all hosts they make {0} requests, and a run has {STEPS_MAX} at most; give fewer \
         requests or hosts, or follow no redirects"
    )]
    Detours(usize),
    /// A request has a value that nobody makes.
    #[error("a request has the value {0}, which nobody makes")]
    Variable(u16),
    /// A value comes from a row of a feed that has no such value, or from no feed.
    #[error("a value comes from column {column} of feed {feed}, which there is not")]
    Column {
        /// The feed's place.
        feed: u16,
        /// The value's place in the row.
        column: u16,
    },
}

impl Work {
    /// The same request, again and again.
    #[must_use]
    pub fn only(request: Request, expected: ExpectedStatus) -> Self {
        let steps = vec![Step::Request(0)];
        let (name, weight) = (String::new(), NonZeroU32::MIN);
        Self {
            requests: vec![Asking::new(name.clone(), request, expected)],
            scenarios: vec![Scenario { name, weight, steps }],
            logic: Logic::default(),
            order: Order::ByWeight,
            variables: Vec::new(),
            feeds: Vec::new(),
            epoch: Nanos::ZERO,
            cookies: None,
            detours: None,
        }
    }

    /// `scenarios` that lead straight through `requests`, and are chosen by weight.
    ///
    /// # Errors
    /// If they do not fit together.
    pub fn new(requests: Vec<Asking>, scenarios: Vec<Scenario>) -> Result<Self, WorkError> {
        Self::with_logic(requests, scenarios, Logic::default())
    }

    /// The same where steps lead elsewhere, as `logic` says.
    ///
    /// # Errors
    /// If they do not fit together.
    pub fn with_logic(
        requests: Vec<Asking>,
        scenarios: Vec<Scenario>,
        logic: Logic,
    ) -> Result<Self, WorkError> {
        if scenarios.is_empty() {
            return Err(WorkError::Nothing);
        }
        if requests.len() > STEPS_MAX {
            return Err(WorkError::Requests(requests.len()));
        }
        if scenarios.len() > STEPS_MAX {
            return Err(WorkError::Scenarios(scenarios.len()));
        }
        scenarios.iter().try_for_each(|scenario| scenario.check(requests.len(), &logic))?;
        let (order, variables, epoch) = (Order::ByWeight, Vec::new(), Nanos::ZERO);
        let (feeds, cookies, detours) = (Vec::new(), None, None);
        Ok(Self { requests, scenarios, logic, order, variables, feeds, epoch, cookies, detours })
    }

    /// The same work, whose scenarios share the slots of a schedule in proportion to their weights.
    #[must_use]
    pub fn in_proportion(self) -> Self {
        Self { order: Order::InProportion, ..self }
    }

    /// The same work, whose scenarios are done in turn.
    #[must_use]
    pub fn in_turn(self) -> Self {
        Self { order: Order::InTurn, ..self }
    }

    /// The same work, where each scenario is tried once, with one pass of each loop.
    #[must_use]
    pub fn tried(mut self) -> Self {
        self.scenarios.iter_mut().for_each(Scenario::shorten);
        Self { order: Order::Tried, ..self }
    }

    /// The same work without the scenarios behind those that have `most` steps with requests
    /// together; the first one stays.
    #[must_use]
    pub(super) fn up_to(mut self, most: usize) -> Self {
        let asks = |step: &&Step| matches!(step, Step::Request(_));
        let mut so_far = 0;
        let kept = self.scenarios.iter().take_while(|scenario| {
            so_far += scenario.steps.iter().filter(asks).count();
            so_far <= most
        });
        let kept = kept.count().max(1);
        self.scenarios.truncate(kept);
        self
    }

    /// The same work with values to be put in; `epoch` is the Unix time at the origin of the clock.
    ///
    /// # Errors
    /// If a request has a value that is not among them, or one is made from what comes after it.
    pub fn with_variables(
        mut self,
        variables: Vec<Variable>,
        epoch: Nanos,
    ) -> Result<Self, WorkError> {
        let put_in = self.requests.iter().flat_map(Asking::values);
        let captures = self.requests.iter().flat_map(|asking| &asking.captures);
        let last = put_in.chain(captures.map(Capture::variable)).max();
        let looked_at = self.logic.conditions.iter().flat_map(Condition::values);
        let last = last.max(looked_at.max());
        if let Some(last) = last.filter(|&last| usize::from(last) >= variables.len()) {
            return Err(WorkError::Variable(last));
        }
        for (own, variable) in (0..).zip(&variables) {
            if let Some(&later) = variable.source.ingredients().iter().find(|&&one| one >= own) {
                return Err(WorkError::Variable(later));
            }
        }
        (self.variables, self.epoch) = (variables, epoch);
        Ok(self)
    }

    /// The same work, in which each request follows at most so many redirects.
    #[must_use]
    pub fn redirected(mut self, most: u8) -> Self {
        self.requests.iter_mut().for_each(|asking| asking.redirects = most);
        self
    }

    /// The same work, whose requests go where values lead them, and follow redirects as they say,
    /// among the servers at `places`, by number. It is said after all values but cookies.
    ///
    /// # Errors
    /// If that makes too many requests, or too many values.
    pub fn following(mut self, places: &[Place]) -> Result<Self, WorkError> {
        if self.requests.iter().all(|asking| asking.redirects == 0 && asking.url.is_none()) {
            return Ok(self);
        }
        for asking in self.requests.iter_mut().filter(|asking| asking.url.is_some()) {
            if let Some((scheme, authority)) = places.get(usize::from(asking.origin)) {
                asking.request = asking.request.clone().at(*scheme, authority);
            }
        }
        let number = u16::try_from(self.variables.len());
        let number = number.map_err(|_| WorkError::Variable(u16::MAX))?;
        let detours = Detours::new(&self, places, number);
        self.detours = Some(detours.map_err(WorkError::Detours)?);
        self.variables.push(Variable { name: String::new(), source: Source::Captured });
        Ok(self)
    }

    /// Whether values say to which server any request goes.
    #[must_use]
    pub fn roams(&self) -> bool {
        self.requests.iter().any(|asking| asking.url.is_some())
    }

    /// Whether any request follows redirects.
    #[must_use]
    pub fn redirects(&self) -> bool {
        self.requests.iter().any(|asking| asking.redirects > 0)
    }

    /// What values and redirects lead to, if they lead anywhere.
    #[must_use]
    pub const fn detours(&self) -> Option<&Detours> {
        self.detours.as_ref()
    }

    /// All that may be sent, by number, and the number of the server that it is for: the requests,
    /// and behind them their detours.
    pub fn sent(&self) -> impl Iterator<Item = (&Request, u16)> {
        let requests = self.requests.iter().map(|asking| (&asking.request, asking.origin));
        let detours = self.detours.as_ref().map_or(&[][..], Detours::all).iter();
        requests.chain(detours.map(|detour| (&detour.request, detour.origin)))
    }

    /// The same work, whose users keep cookies; `epoch` is the Unix time at the origin of the
    /// clock.
    ///
    /// # Errors
    /// If there are as many values as a request can tell apart.
    pub fn with_cookies(mut self, cookies: Cookies, epoch: Nanos) -> Result<Self, WorkError> {
        let number = u16::try_from(self.variables.len());
        let number = number.map_err(|_| WorkError::Variable(u16::MAX))?;
        for asking in &mut self.requests {
            asking.request = asking.request.clone().with_cookies(number);
        }
        if let Some(detours) = &mut self.detours {
            detours.keep_cookies(number);
        }
        // Behind all others, so that these are known where cookies are chosen.
        self.variables.push(Variable { name: String::new(), source: Source::Cookies });
        (self.cookies, self.epoch) = (Some(cookies), epoch);
        Ok(self)
    }

    /// The same work, whose users keep cookies for one scenario at most.
    #[must_use]
    pub(super) fn by_strangers(mut self) -> Self {
        if let Some(cookies) = &mut self.cookies {
            cookies.until = Until::Scenario;
        }
        self
    }

    /// The cookies of users, if they keep any.
    #[must_use]
    pub const fn cookies(&self) -> Option<&Cookies> {
        self.cookies.as_ref()
    }

    /// The same work with feeds, from which its variables come.
    ///
    /// # Errors
    /// If one of them comes from what is not there.
    pub fn with_feeds(self, feeds: Vec<Feed>) -> Result<Self, WorkError> {
        for variable in &self.variables {
            let Source::Fed { feed, column } = variable.source else { continue };
            let columns = feeds.get(usize::from(feed)).map_or(0, |feed| feed.columns);
            if column >= columns {
                return Err(WorkError::Column { feed, column });
            }
        }
        Ok(Self { feeds, ..self })
    }

    /// Where rows come from, by number.
    #[must_use]
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// The values that are put into requests, by number.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The Unix time at the origin of the clock.
    #[must_use]
    pub const fn epoch(&self) -> Nanos {
        self.epoch
    }

    /// The requests; there is at least one.
    #[must_use]
    pub fn requests(&self) -> &[Asking] {
        &self.requests
    }

    /// The scenarios; there is at least one.
    #[must_use]
    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// What their steps name by index.
    #[must_use]
    pub const fn logic(&self) -> &Logic {
        &self.logic
    }

    /// Which of them a user begins.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.order
    }

    /// The first request, which stands for all where only one is looked at.
    #[must_use]
    pub fn first(&self) -> Option<&Asking> {
        self.requests.first()
    }

    /// The method of the requests, if they have one in common.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        let method = self.first()?.request.method();
        let common = self.requests.iter().all(|asking| asking.request.method() == method);
        common.then_some(method)
    }

    /// The same work, where each response with an `expected` status is good.
    #[must_use]
    pub fn expecting(mut self, expected: &ExpectedStatus) -> Self {
        self.requests.iter_mut().for_each(|asking| asking.expected = expected.clone());
        self
    }

    /// The same work, where each request is for the first server.
    #[must_use]
    pub fn to_one_server(mut self) -> Self {
        for asking in &mut self.requests {
            (asking.origin, asking.url) = (0, None);
        }
        self.detours.iter_mut().for_each(Detours::lead_to_first);
        self
    }

    /// The names of what is looked for in responses, by request: its checks, then its captures.
    #[must_use]
    pub fn looked_for(&self) -> Vec<(&str, String)> {
        let of = |asking: &'_ Asking| {
            let captured = |capture: &Capture| {
                let variable = self.variables.get(usize::from(capture.variable()));
                format!("capture {}", variable.map_or("", |variable| &variable.name))
            };
            let checks = asking.checks.iter().map(|check| check.name().to_owned());
            checks.chain(asking.captures.iter().map(captured)).collect::<Vec<_>>()
        };
        let all = self
            .requests
            .iter()
            .flat_map(|asking| of(asking).into_iter().map(|name| (asking.name.as_str(), name)));
        all.collect()
    }

    /// Whether each request is always the same.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        // A detour has its path as a value.
        let constant = |it: &Asking| it.request.is_constant() && it.url.is_none();
        self.detours.is_none() && self.requests.iter().all(constant)
    }

    /// Whether there is one request, always the same, and nothing else.
    #[must_use]
    pub fn is_single(&self) -> bool {
        let one = self.requests.len() == 1 && self.scenarios.len() == 1 && self.is_constant();
        let one = one
            && self.order != Order::Tried
            && self.requests.iter().all(|asking| asking.captures.is_empty());
        one && self.scenarios.iter().all(|scenario| scenario.steps == [Step::Request(0)])
    }

    /// The names of requests whose numbers are kept apart, in the order in which they first occur:
    /// none where there is only one, or too many.
    #[must_use]
    pub fn rows(&self) -> Vec<&str> {
        let mut known = HashSet::new();
        let names = self.requests.iter().map(|asking| asking.name.as_str());
        let rows: Vec<&str> = names.filter(|name| known.insert(*name)).take(ROWS_MAX + 1).collect();
        if (2..=ROWS_MAX).contains(&rows.len()) { rows } else { Vec::new() }
    }

    /// Which of those rows each request belongs to, by its index; the first where there are none.
    #[must_use]
    pub fn row_of_each(&self) -> Vec<u16> {
        let rows: HashMap<&str, u16> = self.rows().into_iter().zip(0..).collect();
        let names = self.requests.iter().map(|asking| asking.name.as_str());
        names.map(|name| rows.get(name).copied().unwrap_or_default()).collect()
    }
}

/// A way whose time is taken, as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow<'w> {
    /// Whether it is a group, and not a scenario.
    pub group: bool,
    /// What the report calls it.
    pub name: &'w str,
}

impl Work {
    /// The flows whose times are kept, scenarios before groups, those of one name being one: none
    /// where no scenario is more than a request, or where there are too many.
    #[must_use]
    pub fn flows(&self) -> Vec<Flow<'_>> {
        if !self.scenarios.iter().any(Scenario::is_flow) {
            return Vec::new();
        }
        let mut known = HashSet::new();
        let all = self.all_flows().filter(|flow| known.insert(*flow));
        let flows: Vec<Flow<'_>> = all.take(ROWS_MAX + 1).collect();
        if flows.len() <= ROWS_MAX { flows } else { Vec::new() }
    }

    /// Which of them each scenario is, and behind those each group, by their indices.
    #[must_use]
    pub fn flow_of_each(&self) -> Vec<u16> {
        let flows: HashMap<Flow<'_>, u16> = self.flows().into_iter().zip(0..).collect();
        self.all_flows().map(|flow| flows.get(&flow).copied().unwrap_or_default()).collect()
    }

    /// How many groups are within each other.
    #[must_use]
    pub fn nested_groups(&self) -> usize {
        self.scenarios.iter().map(Scenario::nested_groups).max().unwrap_or_default()
    }

    fn all_flows(&self) -> impl Iterator<Item = Flow<'_>> {
        let scenarios = self.scenarios.iter().map(|scenario| scenario.name.as_str());
        let scenarios = scenarios.map(|name| if name.is_empty() { UNNAMED } else { name });
        let groups = self.logic.groups.iter().map(String::as_str);
        let of = |group| move |name| Flow { group, name };
        scenarios.map(of(false)).chain(groups.map(of(true)))
    }

    /// Whether a user keeps the variable with each number for its next scenario: what is captured
    /// in a block that is gone through once.
    #[must_use]
    pub fn kept(&self) -> Vec<bool> {
        let mut kept = vec![false; self.variables.len()];
        let requests = self.scenarios.iter().flat_map(Scenario::once);
        let requests = requests.filter_map(|index| self.requests.get(usize::from(index)));
        for capture in requests.flat_map(|asking| &asking.captures) {
            if let Some(kept) = kept.get_mut(usize::from(capture.variable())) {
                *kept = true;
            }
        }
        kept
    }
}

/// What the only scenario of a file is called.
const UNNAMED: &str = "scenario";

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(path: &str) -> Asking {
        let request = Request::builder("GET", "h", path).unwrap().build();
        Asking::new(path.to_owned(), request, ExpectedStatus::default())
    }

    fn scenario(steps: &[Step]) -> Scenario {
        let (name, weight) = ("s".to_owned(), NonZeroU32::MIN);
        Scenario { name, weight, steps: steps.to_vec() }
    }

    fn refused(requests: usize, scenarios: Vec<Scenario>) -> Option<WorkError> {
        Work::new(vec![asking("/"); requests], scenarios).err()
    }

    #[test]
    fn work_that_cannot_be_done_is_refused() {
        let think = Step::Think(Nanos::from_millis(1));
        let of = |steps: &[Step]| vec![scenario(steps)];
        assert_eq!(refused(1, of(&[Step::Request(0), think])), None);
        assert_eq!(refused(1, Vec::new()), Some(WorkError::Nothing));
        assert_eq!(refused(1, of(&[])), Some(WorkError::Beginning));
        assert_eq!(refused(1, of(&[think, Step::Request(0)])), Some(WorkError::Beginning));
        assert_eq!(refused(1, of(&[Step::Request(1)])), Some(WorkError::Missing(1)));
        assert_eq!(refused(0, of(&[Step::Request(0)])), Some(WorkError::Missing(0)));
        let many = STEPS_MAX + 1;
        assert_eq!(refused(many, of(&[Step::Request(0)])), Some(WorkError::Requests(many)));
        let steps = vec![Step::Request(0); many];
        assert_eq!(refused(1, of(&steps)), Some(WorkError::Steps(many)));
        let scenarios = vec![scenario(&[Step::Request(0)]); many];
        assert_eq!(refused(1, scenarios), Some(WorkError::Scenarios(many)));
        assert_eq!(refused(STEPS_MAX, of(&vec![Step::Request(u16::MAX - 1); STEPS_MAX])), None);
    }

    #[test]
    fn a_part_of_the_work_has_whole_scenarios_and_the_first_at_least() {
        let three = scenario(&[Step::Request(0); 3]);
        let of = |most| {
            let work = Work::new(vec![asking("/")], vec![three.clone(); 5]).unwrap();
            work.up_to(most).scenarios().len()
        };
        assert_eq!([0, 1, 3, 5, 6, 14, 15, 99].map(of), [1, 1, 1, 1, 2, 4, 5, 5]);
    }

    #[test]
    fn numbers_are_kept_apart_where_there_are_several_requests_but_not_too_many() {
        let single = Work::only(asking("/").request, ExpectedStatus::default());
        assert!(single.is_single() && single.rows().is_empty());
        let of = |count: usize| {
            let requests = (0..count).map(|n| asking(&format!("/{n}"))).collect();
            Work::new(requests, vec![scenario(&[Step::Request(0)])]).unwrap()
        };
        assert_eq!(of(2).rows(), ["/0", "/1"]);
        assert_eq!(of(ROWS_MAX).rows().len(), ROWS_MAX);
        assert!(of(ROWS_MAX + 1).rows().is_empty());
        let twice = scenario(&[Step::Request(0), Step::Request(0)]);
        assert!(!Work::new(vec![asking("/")], vec![twice]).unwrap().is_single());
    }

    #[test]
    fn requests_of_one_name_have_one_row() {
        let of = |names: &[&str]| {
            let requests = names.iter().map(|name| asking(name)).collect();
            Work::new(requests, vec![scenario(&[Step::Request(0)])]).unwrap()
        };
        let work = of(&["/a", "/b", "/a", "/c", "/b"]);
        assert_eq!(work.rows(), ["/a", "/b", "/c"]);
        assert_eq!(work.row_of_each(), [0, 1, 0, 2, 1]);
        let same = of(&vec!["/a"; STEPS_MAX]);
        assert!(same.rows().is_empty() && same.row_of_each().iter().all(|&row| row == 0));
    }
}
