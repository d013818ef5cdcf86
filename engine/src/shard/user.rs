//! Virtual users: each goes through a scenario, one request at a time.
//!
//! ```text
//!            begin (a slot of the schedule, or a free connection)
//!   idle ─────────────────────────────────────────► asking ◄──────────┐
//!    ▲                                              │  │              │
//!    ├──── the last response, or a failed request ──┘  │ a response   │ a free
//!    │                                                 ▼              │ connection
//!    │                              a pause to think: thinking ───► ready
//! ```
//!
//! Which request is next is decided as soon as there is a response ([`Walk`]). A user is not bound
//! to a connection: it takes whichever is free. In a closed loop there are as many users as
//! requests that may be outstanding; in an open one as many as have come and not gone yet.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::choice::Choice;
use super::feed::{Feeds, Lack};
use super::laps::{Laps, Track};
use super::values::{Row, Table};
use super::walk::{MOVES_MAX, Place, Turn, Walk};
use crate::cookies::Cookie;
use crate::feed::Tap;
use crate::pace::Random;
use crate::plan::{Load, ShardPlan};
use crate::record::{FlowEnd, Recorder};
use crate::units::{Instant, Nanos};

/// A virtual user of a shard, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct User(u32);

/// Most users of a shard that are under way at once; slots beyond wait.
const USERS_MAX: usize = 1 << 20;

/// The streams of random numbers that choose scenarios, one per shard, apart from those of pacing.
const SCENARIOS: u64 = 1 << 32;

/// How far those that make values are from them, and how far from those the ones that choose ways.
const APART: u64 = 1 << 32;

/// The users of a shard.
pub(super) enum Users {
    /// One request and nothing else: nobody has to be known.
    Uniform,
    Diverse(Box<Crowd>),
}

/// Users that go through scenarios.
pub(super) struct Crowd {
    walk: Walk,
    laps: Laps,
    choice: Choice,
    table: Vec<State>,
    /// Users in no scenario.
    idle: Vec<User>,
    /// Users whose next request may start.
    ready: VecDeque<User>,
    /// Users that think, and until when.
    thinking: BinaryHeap<Reverse<(Instant, User)>>,
    values: Table,
    feeds: Option<Box<Feeds>>,
    grows: bool,
    /// Closed loop: most users that are under way at once.
    limit: usize,
    /// Closed loop: users for each connection.
    each: usize,
    /// Those whose connections have joined in, where they do so little by little.
    joined: Option<usize>,
}

/// Where a user is.
#[derive(Clone, Copy)]
struct State {
    place: Place,
    /// The request of the step under way, or the detour that redirects have led to; none in a
    /// pause behind the last.
    request: Option<u16>,
    /// The request of the step under way itself.
    asked: u16,
    /// The server that values have chosen for it, if they do.
    home: u16,
    /// Since when its next request may start.
    due: Instant,
    track: Track,
}

impl Users {
    /// The users of `plan`, of which `each` may have a request outstanding on a connection, with
    /// the ends of its feeds.
    pub(super) fn new(plan: &ShardPlan, each: usize, taps: Vec<Tap>) -> Self {
        let work = &plan.plan.work;
        if work.is_single() {
            return Self::Uniform;
        }
        let grows = plan.plan.load.is_open();
        let at_once = if grows { plan.room } else { plan.connections };
        let at_once = each.saturating_mul(at_once.get() as usize);
        let stream = SCENARIOS + u64::from(plan.share.index());
        let random = |apart: u64| Random::new(plan.plan.seed, stream + apart);
        let mut crowd = Crowd {
            walk: Walk::new(work, &plan.unsure, random(2 * APART)),
            laps: Laps::new(work),
            choice: Choice::new(work, plan.share, random(0)),
            table: Vec::with_capacity(at_once),
            idle: Vec::with_capacity(at_once),
            ready: VecDeque::with_capacity(at_once),
            thinking: BinaryHeap::with_capacity(at_once),
            values: Table::new((work, &plan.unsure), plan.plan.load.is_open(), random(APART)),
            feeds: Feeds::new(work, taps),
            grows,
            limit: at_once,
            each,
            joined: matches!(plan.plan.load, Load::Closed { spawn: Some(_), .. }).then_some(0),
        };
        crowd.idle = (0..at_once).map(|_| crowd.grow()).collect();
        // The last one is the first to go.
        crowd.idle.reverse();
        Self::Diverse(Box::new(crowd))
    }

    /// Whether somebody might begin a scenario `now`, in the shard's slot with this number if there
    /// are slots.
    ///
    /// # Errors
    /// If nothing but a row is lacking.
    #[inline]
    pub(super) fn may_begin(&mut self, slot: Option<u64>, now: Instant) -> Result<bool, Lack> {
        match self {
            Self::Uniform => Ok(true),
            Self::Diverse(crowd) if crowd.choice.is_over() => Ok(false),
            Self::Diverse(crowd) => {
                crowd.choice.reach(slot);
                let may = crowd.has_room();
                if may && crowd.feeds.is_some() {
                    crowd.look(now)?;
                }
                Ok(may)
            }
        }
    }

    /// Closed loop: from now on there are as many users as `connections` take. Who is one too many
    /// goes through the scenario to its end, and begins no other.
    pub(super) fn resize(&mut self, connections: u32) {
        if let Self::Diverse(crowd) = self
            && !crowd.grows
        {
            crowd.limit = crowd.each.saturating_mul(connections as usize).min(USERS_MAX);
            while crowd.table.len() < crowd.limit {
                let user = crowd.grow();
                crowd.idle.push(user);
            }
        }
    }

    /// So many connections to a server have been ready once. Where they join in little by little,
    /// their users come with them: else those who think would leave theirs to users whose own are
    /// yet to come.
    pub(super) fn join(&mut self, connections: u32) {
        if let Self::Diverse(crowd) = self
            && let Some(joined) = &mut crowd.joined
        {
            *joined = crowd.each.saturating_mul(connections as usize);
        }
    }

    /// Scenarios that begin from now on are chosen by other weights.
    pub(super) fn weigh(&mut self, shares: Box<[u64]>) {
        if let Self::Diverse(crowd) = self {
            crowd.choice.weigh(shares);
        }
    }

    /// Whether there is somebody left who could begin a scenario.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Uniform => true,
            Self::Diverse(crowd) => crowd.has_room(),
        }
    }

    /// Whether nobody will ever begin a scenario again.
    pub(super) fn begin_no_more(&self) -> bool {
        match self {
            Self::Uniform => false,
            Self::Diverse(crowd) => crowd.choice.is_over(),
        }
    }

    /// A user begins a scenario, which it could have done since `since`, and how long of that it
    /// waited for a row.
    #[inline]
    pub(super) fn begin(&mut self, since: Instant, recorder: &mut Recorder) -> (User, Nanos) {
        match self {
            Self::Uniform => (User::default(), Nanos::ZERO),
            Self::Diverse(crowd) => crowd.begin(since, recorder),
        }
    }

    /// The request of `user` starts, which was intended to at `intended`.
    #[inline]
    pub(super) fn starts(&mut self, user: User, intended: Instant, recorder: &mut Recorder) {
        if let Self::Diverse(crowd) = self
            && let Some(state) = crowd.table.get_mut(user.0 as usize)
        {
            crowd.laps.start(user.0, &mut state.track, intended, recorder);
        }
    }

    /// Whether somebody is in the middle of a scenario and may go on.
    pub(super) fn has_ready(&self) -> bool {
        match self {
            Self::Uniform => false,
            Self::Diverse(crowd) => !crowd.ready.is_empty(),
        }
    }

    /// Somebody who is in the middle of a scenario goes on; since when that was possible.
    pub(super) fn go_on(&mut self) -> Option<(User, Instant)> {
        let Self::Diverse(crowd) = self else { return None };
        let user = crowd.ready.pop_front()?;
        let due = crowd.state(user)?.due;
        Some((user, due))
    }

    /// The request that `user` asks for.
    #[inline]
    pub(super) fn request_of(&self, user: User) -> u16 {
        match self {
            Self::Uniform => 0,
            Self::Diverse(crowd) => {
                crowd.table.get(user.0 as usize).and_then(|state| state.request).unwrap_or_default()
            }
        }
    }

    /// The request of the step that `user` is at, which is what it asks for unless redirects have
    /// led on.
    #[inline]
    pub(super) fn asked_by(&self, user: User) -> u16 {
        match self {
            Self::Uniform => 0,
            Self::Diverse(crowd) => crowd.table.get(user.0 as usize).map_or(0, |state| state.asked),
        }
    }

    /// `user` asks for `detour` in the place of its request, with the cookies that are for it.
    pub(super) fn send_on(&mut self, user: User, detour: u16, now: Instant) {
        if let Self::Diverse(crowd) = self {
            if let Some(state) = crowd.state(user) {
                state.request = Some(detour);
            }
            crowd.values.choose_cookies((user.0, detour), now);
        }
    }

    /// `user` asks for `detour` in the place of its request, because its values have chosen the
    /// server `home`.
    pub(super) fn set_out(&mut self, user: User, (detour, home): (u16, u16), now: Instant) {
        if let Self::Diverse(crowd) = self
            && let Some(state) = crowd.state(user)
        {
            state.home = home;
        }
        self.send_on(user, detour, now);
    }

    /// The server that values have chosen for the request of `user`, if they do.
    pub(super) fn home_of(&self, user: User) -> u16 {
        match self {
            Self::Uniform => 0,
            Self::Diverse(crowd) => crowd.table.get(user.0 as usize).map_or(0, |state| state.home),
        }
    }

    /// Closed loop: once its request has failed, `user` rests until then.
    pub(super) fn rest(&mut self, user: User, until: Instant) {
        if let Self::Diverse(crowd) = self
            && !crowd.grows
            && let Some(state) = crowd.state(user)
        {
            state.due = until;
        }
    }

    /// Makes the values that `user` puts into its request, which was intended to start at
    /// `intended` and does so `now`.
    #[inline]
    pub(super) fn make_values(
        &mut self,
        user: User,
        (intended, now): (Instant, Instant),
        recorder: &mut Recorder,
    ) {
        if let Self::Diverse(crowd) = self
            && let Some(request) = crowd.state(user).and_then(|state| state.request)
        {
            crowd.values.make(user.0, request, now);
            for value in crowd.values.unset().of_request(user.0, request) {
                recorder.unset(value, intended, |unset| unset.requests += 1);
            }
        }
    }

    /// Takes in the cookies that the response to the request of `user` sets.
    pub(super) fn keep_cookies<'a>(
        &mut self,
        user: User,
        now: Instant,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        let request = self.request_of(user);
        if let Self::Diverse(crowd) = self {
            crowd.values.keep_cookies((user.0, request), now, fields);
        }
    }

    /// The cookies that all of them have.
    pub(super) fn cookies(&self) -> Vec<Cookie> {
        match self {
            Self::Uniform => Vec::new(),
            Self::Diverse(crowd) => crowd.values.cookies(),
        }
    }

    /// Where the value with this `number` of `user` is.
    pub(super) fn cell(&mut self, user: User, number: u16) -> Option<&mut Vec<u8>> {
        match self {
            Self::Uniform => None,
            Self::Diverse(crowd) => crowd.values.cell(user.0, number),
        }
    }

    /// `user` has captured the value with this `number`.
    pub(super) fn captured(&mut self, user: User, number: u16) {
        if let Self::Diverse(crowd) = self {
            crowd.values.captured(user.0, number);
        }
    }

    /// The values of `user`.
    pub(super) fn values(&self, user: User) -> Row<'_> {
        match self {
            Self::Uniform => Row::EMPTY,
            Self::Diverse(crowd) => crowd.values.row(user.0),
        }
    }

    /// The request of `user` has its response, with this `status`.
    #[inline]
    pub(super) fn answered(
        &mut self,
        user: User,
        status: u16,
        now: Instant,
        recorder: &mut Recorder,
    ) {
        if let Self::Diverse(crowd) = self {
            crowd.answered(user, status, now, recorder);
        }
    }

    /// The request of `user` has none, or one without what is needed, which ends its scenario.
    #[inline]
    pub(super) fn failed(&mut self, user: User, now: Instant, recorder: &mut Recorder) {
        if let Self::Diverse(crowd) = self {
            crowd.end(user, (now, FlowEnd::CutShort), recorder);
            crowd.dismiss(user, now);
        }
    }

    /// The run is over, whoever is under way.
    pub(super) fn leave(&mut self, now: Instant, recorder: &mut Recorder) {
        let Self::Diverse(crowd) = self else { return };
        let under_way = crowd.table.iter_mut().zip(0..);
        for (state, user) in under_way {
            // Whoever thinks has paused for longer than until now.
            let how = (now.max(state.due), FlowEnd::Unfinished);
            crowd.laps.end(user, &mut state.track, how, recorder);
        }
    }

    /// Those who have thought long enough are ready.
    #[inline]
    pub(super) fn wake(&mut self, now: Instant) {
        if let Self::Diverse(crowd) = self {
            crowd.wake(now);
        }
    }

    /// The feeds, if there are some.
    fn feeds(&self) -> Option<&Feeds> {
        match self {
            Self::Uniform => None,
            Self::Diverse(crowd) => crowd.feeds.as_deref(),
        }
    }

    fn feeds_mut(&mut self) -> Option<&mut Feeds> {
        match self {
            Self::Uniform => None,
            Self::Diverse(crowd) => crowd.feeds.as_deref_mut(),
        }
    }

    /// Whether nobody who begins right after the start has to wait for a row.
    pub(super) fn are_primed(&mut self) -> bool {
        self.feeds_mut().is_none_or(Feeds::is_primed)
    }

    /// Somebody could begin since `now`, but for a row of this feed.
    pub(super) fn starve(&mut self, feed: usize, now: Instant) {
        if let Some(feeds) = self.feeds_mut() {
            feeds.starve(feed, now);
        }
    }

    /// When to look for a row again, if somebody waits for one.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        self.feeds()?.next_look(now)
    }

    /// Whether nobody begins any more, for want of rows.
    pub(super) fn is_spent(&self) -> bool {
        self.feeds().is_some_and(Feeds::is_spent)
    }

    /// Whether that is so in a closed loop, and nobody is under way any more either.
    pub(super) fn are_done(&self) -> bool {
        let Self::Diverse(crowd) = self else { return false };
        !crowd.grows && crowd.is_spent() && crowd.is_deserted()
    }

    /// The run ends `now`: tells what became of the feeds.
    pub(super) fn leave_feeds(&mut self, now: Instant, recorder: &mut Recorder) {
        if let Some(feeds) = self.feeds_mut() {
            feeds.leave(now, recorder);
        }
    }

    /// When the next of those who think is ready.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let Self::Diverse(crowd) = self else { return None };
        crowd.thinking.peek().map(|Reverse((until, _))| *until)
    }

    /// Whether somebody is in the middle of a scenario, and not waiting for a response.
    pub(super) fn pause(&self) -> bool {
        match self {
            Self::Uniform => false,
            Self::Diverse(crowd) => !crowd.ready.is_empty() || !crowd.thinking.is_empty(),
        }
    }
}

impl Crowd {
    fn may_grow(&self) -> bool {
        self.grows && self.table.len() < USERS_MAX
    }

    /// Whether there is a user who could begin.
    fn has_room(&self) -> bool {
        if self.grows {
            !self.idle.is_empty() || self.may_grow()
        } else {
            let limit = self.joined.map_or(self.limit, |joined| joined.min(self.limit));
            self.table.len() - self.idle.len() < limit
        }
    }

    fn state(&mut self, user: User) -> Option<&mut State> {
        self.table.get_mut(user.0 as usize)
    }

    fn is_spent(&self) -> bool {
        self.feeds.as_ref().is_some_and(|feeds| feeds.is_spent())
    }

    /// Whether nobody has a request to make any more.
    fn is_deserted(&self) -> bool {
        let resting = self.thinking.len();
        self.idle.len() + resting == self.table.len()
            && self.thinking.iter().all(|Reverse((_, user))| {
                self.table.get(user.0 as usize).is_none_or(|state| state.request.is_none())
            })
    }

    /// Whether there are rows for whoever begins next.
    fn look(&mut self, now: Instant) -> Result<(), Lack> {
        let scenario = self.choice.look();
        let Some(feeds) = &mut self.feeds else { return Ok(()) };
        let found = feeds.look(scenario);
        if !matches!(found, Err(Lack::Dry(_))) {
            feeds.relieve(now);
        }
        found
    }

    fn begin(&mut self, since: Instant, recorder: &mut Recorder) -> (User, Nanos) {
        let scenario = self.choice.take();
        let user = self.idle.pop().unwrap_or_else(|| self.grow());
        // In an open loop everybody is new who comes.
        self.values.forget(user.0, self.grows);
        let track = self.laps.begin(user.0, scenario);
        if let Some(state) = self.table.get_mut(user.0 as usize) {
            let place = state.place.begin(scenario, self.grows);
            *state = State { place, track, ..*state };
        }
        let starved = match &mut self.feeds {
            Some(feeds) => feeds.give((user.0, scenario), since, &mut self.values, recorder),
            None => Nanos::ZERO,
        };
        // Work begins with a request: nothing is over before it.
        self.advance(user, since, recorder);
        (user, starved)
    }

    /// One user more.
    fn grow(&mut self) -> User {
        let user = User(u32::try_from(self.table.len()).unwrap_or(u32::MAX));
        self.values.grow();
        self.walk.grow();
        self.laps.grow();
        let (due, request) = (Instant::from_origin(0), None);
        let (place, track) = (Place::default(), Track::default());
        self.table.push(State { place, request, asked: 0, home: 0, due, track });
        user
    }

    fn answered(&mut self, user: User, status: u16, now: Instant, recorder: &mut Recorder) {
        if let Some(state) = self.state(user) {
            state.place.status = status;
        }
        self.advance(user, now, recorder);
        let Some(&State { due, request, .. }) = self.table.get(user.0 as usize) else { return };
        // A pause behind the last step keeps a user of a closed loop from beginning again; in an
        // open loop nobody waits for it.
        if due > now && (request.is_some() || !self.grows) {
            self.thinking.push(Reverse((due, user)));
        } else {
            self.rejoin(user);
        }
    }

    /// Leads `user` from where it is, `now`, to its next request, or to the end of its scenario.
    fn advance(&mut self, user: User, now: Instant, recorder: &mut Recorder) {
        let Some(state) = self.table.get_mut(user.0 as usize) else { return };
        let values = self.values.row(user.0);
        let (number, mut moves) = (user.0, MOVES_MAX);
        (state.due, state.request) = (now, None);
        let end = loop {
            match self.walk.next(number, &mut state.place, &values, &mut moves) {
                Turn::Request(request) => {
                    (state.request, state.asked) = (Some(request), request);
                    state.track.pause(state.due.since(now));
                    return;
                }
                Turn::Pause(span) => state.due = state.due + span,
                Turn::Look(condition) => {
                    for value in self.values.unset().of_condition(number, condition) {
                        recorder.unset(value, now, |unset| unset.conditions += 1);
                    }
                }
                Turn::Enter(group) => self.laps.enter(number, &mut state.track, group),
                Turn::Leave => {
                    let how = (now, FlowEnd::Completed);
                    self.laps.leave(number, &mut state.track, how, recorder);
                }
                Turn::End => break FlowEnd::Completed,
                Turn::GiveUp => {
                    state.due = now;
                    break FlowEnd::Endless;
                }
            }
        };
        self.laps.end(number, &mut state.track, (now, end), recorder);
    }

    /// What `user` is in ends so.
    fn end(&mut self, user: User, how: (Instant, FlowEnd), recorder: &mut Recorder) {
        if let Some(state) = self.table.get_mut(user.0 as usize) {
            self.laps.end(user.0, &mut state.track, how, recorder);
        }
    }

    /// `user` begins no scenario before it is due.
    fn dismiss(&mut self, user: User, now: Instant) {
        match self.state(user) {
            Some(state) if state.due > now => {
                state.request = None;
                let due = state.due;
                self.thinking.push(Reverse((due, user)));
            }
            _ => self.idle.push(user),
        }
    }

    /// `user` has a request to make now, or is at the end of its scenario.
    fn rejoin(&mut self, user: User) {
        match self.state(user).and_then(|state| state.request) {
            Some(_) => self.ready.push_back(user),
            None => self.idle.push(user),
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some(Reverse((until, user))) = self.thinking.peek().copied()
            && until <= now
        {
            self.thinking.pop();
            self.rejoin(user);
        }
    }
}
