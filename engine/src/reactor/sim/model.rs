//! A server, the way to it and the conditions of the client, as data; and what they do.
//!
//! ```text
//!   sent ──► way there ──► [ wait ──► service ] ──► way back ──► answered
//!                            ▲    frozen now and then   ▲
//!                            │                          └ never before the answer that went ahead
//!                            └ only where one request is served at a time    on the connection
//! ```
//!
//! What follows a request is decided when it is sent. Times that a model names count from the first
//! request of the run, on the client as on the server.

use core::cmp::Reverse;
use std::borrow::Cow;
use std::collections::BinaryHeap;

use super::random::Random;
use super::{Act, Acts, Address, Asked, Door, Errno, Peer, WaitEnd};
use crate::units::{Instant, Nanos};

/// An answer, whole.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";

/// Length of its body.
const BODY: usize = 10;

/// An answer that announces the end of its connection.
const LAST_ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789";

/// An answer that nobody likes.
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// No answer at all.
const GARBAGE: &[u8] = b"\r\n\r\n\0\0\0\0";

/// A world as data. The default answers at once, and nothing is ever wrong.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Where all randomness comes from.
    pub seed: u64,
    /// The network.
    pub way: Way,
    /// How connections are taken.
    pub entrance: Entrance,
    /// How requests are served.
    pub service: Service,
    /// When nothing is served.
    pub freeze: Option<Freeze>,
    /// What goes wrong; the first that applies to a request is done.
    pub faults: Vec<Fault>,
    /// What keeps the client from its work.
    pub client: Client,
}

/// The network between client and server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// From the client to the server.
    pub there: Nanos,
    /// From the server to the client.
    pub back: Nanos,
    /// An answer takes up to so much longer, each length equally likely.
    pub jitter: Nanos,
}

/// How connections are taken.
#[derive(Clone, Debug, Default)]
pub struct Entrance {
    /// From the attempt to the connection.
    pub takes: Nanos,
    /// Connections at a time; more are refused.
    pub most: Option<u32>,
    /// What happens to an attempt instead; the first that applies is done.
    pub faults: Vec<(When, Knock)>,
}

/// What may happen to an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// It is refused.
    Refuse,
    /// Nothing is heard of it.
    Ignore,
    /// It is accepted, and at once closed.
    Slam,
}

/// How requests are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Each by itself, however many there are.
    Parallel(Law),
    /// One at a time, first come, first served.
    Queue(Law),
}

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Always the same.
    Constant(Nanos),
    /// Exponentially distributed with this mean.
    Exponential(Nanos),
    /// One of two.
    Bimodal {
        /// Most of the time.
        short: Nanos,
        /// Now and then.
        long: Nanos,
        /// So many times in a million.
        longs: u32,
    },
}

/// When nothing is served: what would be answered is answered at its end, and what is being worked
/// at is put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// When it begins for the first time.
    pub first: Nanos,
    /// How long it lasts.
    pub length: Nanos,
    /// From one beginning to the next, more than its length; once only without it.
    pub every: Option<Nanos>,
}

/// Something that goes wrong with some requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// With which of them.
    pub when: When,
    /// What it is.
    pub what: Wrong,
}

/// To which requests, or attempts to connect, something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// To the numbers k ≡ `offset` (mod `of`), counted from 0 over all connections.
    Every {
        /// One in so many.
        of: u64,
        /// The first of them.
        offset: u64,
    },
    /// To the request with this number on each connection, counted from 0; to no attempt.
    Nth(u64),
    /// So many times in a million, at random.
    Share(u32),
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its service takes so much longer.
    Slow(Nanos),
    /// It is never answered, nor what follows on its connection.
    Lose,
    /// The connection is reset in the middle of the body.
    Reset,
    /// The connection ends in the middle of the body.
    Cut,
    /// The connection ends without an answer.
    End,
    /// The answer announces the end of the connection, which follows.
    Close,
    /// The end of the connection follows the answer, unannounced.
    Leave,
    /// The body comes in pieces, so long apart.
    Drip(Nanos),
    /// The answer is not the one that was expected.
    Unavailable,
    /// The answer is none.
    Garbage,
    /// The request cannot be sent.
    FailSend,
}

/// What keeps the client from its work.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Whoever sleeps wakes up so much later.
    pub late: Law,
    /// Times in which the whole client stands still.
    pub stalls: Vec<Stall>,
}

/// A time in which the whole client stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When it begins.
    pub at: Nanos,
    /// How long it lasts.
    pub length: Nanos,
}

impl Default for Service {
    fn default() -> Self {
        Self::Parallel(Law::default())
    }
}

impl Default for Law {
    fn default() -> Self {
        Self::Constant(Nanos::ZERO)
    }
}

impl Law {
    fn draw(self, random: &mut Random) -> Nanos {
        match self {
            Self::Constant(span) => span,
            Self::Exponential(mean) => random.exponential(mean),
            Self::Bimodal { long, longs, .. } if random.happens(longs) => long,
            Self::Bimodal { short, .. } => short,
        }
    }
}

impl When {
    fn applies(self, number: u64, nth: Option<u64>, random: &mut Random) -> bool {
        match self {
            Self::Every { of, offset } => of > 0 && number % of == offset % of,
            Self::Nth(which) => nth == Some(which),
            Self::Share(of_a_million) => random.happens(of_a_million),
        }
    }
}

impl Freeze {
    /// The freeze that lasts at `time`, or else the next one: its beginning and its end.
    fn around(&self, time: Nanos) -> Option<(Nanos, Nanos)> {
        let since = time.saturating_sub(self.first).get();
        let begin = match self.every {
            Some(every) => {
                let begun = self.first + Nanos::new(since - since % every.get().max(1));
                if time < begun + self.length { begun } else { begun + every }
            }
            None => self.first,
        };
        (time < begin + self.length).then(|| (begin, begin + self.length))
    }

    /// When what would happen at `time` does.
    fn hold(&self, time: Nanos) -> Nanos {
        match self.around(time) {
            Some((begin, end)) if begin <= time => end,
            _ => time,
        }
    }

    /// When work that begins at `time` and takes `work` is done.
    fn work(&self, time: Nanos, work: Nanos) -> Nanos {
        let (mut time, mut left) = (self.hold(time), work);
        while let Some((begin, end)) = self.around(time) {
            let until = begin.saturating_sub(time);
            // A freeze without a thaw would never be done.
            if left <= until || self.every.is_some_and(|every| every <= self.length) {
                break;
            }
            left = left.saturating_sub(until);
            time = end;
        }
        time + left
    }
}

/// One connection as the server sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Whether it takes one of the places that the entrance has.
    inside: bool,
    /// Nothing is said on it any more.
    mute: bool,
    /// When the client has heard all that was said.
    heard: Nanos,
}

/// The world of a [`Model`] as it goes on.
pub(super) struct Target {
    model: Model,
    lines: Vec<Line>,
    inside: u32,
    /// When those who leave are gone: a shard may tell it before another has come that far.
    leaving: BinaryHeap<Reverse<Instant>>,
    knocks: u64,
    /// When the first request was sent.
    first: Option<Instant>,
    /// When the one who serves is free.
    free: Nanos,
    service: Random,
    network: Random,
    wrong: Random,
    door: Random,
    client: Random,
}

impl Target {
    pub(super) fn new(model: &Model) -> Self {
        let stream = |stream| Random::new(model.seed, stream);
        Self {
            lines: Vec::new(),
            inside: 0,
            leaving: BinaryHeap::new(),
            knocks: 0,
            first: None,
            free: Nanos::ZERO,
            service: stream(1),
            network: stream(2),
            wrong: stream(3),
            door: stream(4),
            client: stream(5),
            model: model.clone(),
        }
    }

    fn line(&mut self, line: usize) -> &mut Line {
        if self.lines.len() <= line {
            self.lines.resize(line + 1, Line::default());
        }
        #[expect(clippy::indexing_slicing, reason = "made to fit right above")]
        &mut self.lines[line]
    }

    /// Whether there is a place at `at`, for one more than there are.
    fn admits(&mut self, at: Instant) -> bool {
        while self.leaving.peek().is_some_and(|Reverse(gone)| *gone <= at) {
            self.leaving.pop();
            self.inside -= 1;
        }
        self.model.entrance.most.is_none_or(|most| self.inside < most)
    }

    fn leaves(&mut self, at: Instant, line: usize) {
        if core::mem::take(&mut self.line(line).inside) {
            self.leaving.push(Reverse(at));
        }
    }

    /// When a request that arrives at `arrived` is done, and takes `longer` than usual.
    fn serve(&mut self, arrived: Nanos, longer: Nanos) -> Nanos {
        let (law, begin) = match self.model.service {
            Service::Parallel(law) => (law, arrived),
            Service::Queue(law) => (law, arrived.max(self.free)),
        };
        let work = law.draw(&mut self.service) + longer;
        match (self.model.service, self.model.freeze) {
            (Service::Parallel(_), None) => begin + work,
            (Service::Parallel(_), Some(freeze)) => freeze.hold(begin + work),
            (Service::Queue(_), freeze) => {
                let done = freeze.map_or(begin + work, |freeze| freeze.work(begin, work));
                self.free = done;
                done
            }
        }
    }

    fn fault(&mut self, asked: &Asked) -> Option<Wrong> {
        let (faults, wrong) = (&self.model.faults, &mut self.wrong);
        let (number, nth) = (asked.number, Some(asked.nth));
        let mut faults = faults.iter().filter(|fault| fault.when.applies(number, nth, wrong));
        faults.next().map(|fault| fault.what)
    }
}

/// The answer of the moment, on its way.
struct Saying<'a> {
    acts: &'a mut Acts,
    sent: Nanos,
    at: Nanos,
}

impl Saying<'_> {
    fn act(&mut self, act: Act) {
        self.acts.push((self.at.saturating_sub(self.sent), act));
    }

    fn say(&mut self, bytes: &'static [u8]) {
        self.act(Act::Say(Cow::Borrowed(bytes)));
    }

    /// The whole answer but for half of its body.
    fn say_half(&mut self) {
        self.say(ANSWER.get(..ANSWER.len() - BODY / 2).unwrap_or(ANSWER));
    }

    /// Piece after piece of the body, the first with the head.
    fn drip(&mut self, apart: Nanos) {
        let mut begin = 0;
        for end in ANSWER.len() - BODY + 1..=ANSWER.len() {
            self.say(ANSWER.get(begin..end).unwrap_or_default());
            begin = end;
            if end < ANSWER.len() {
                self.at += apart;
            }
        }
    }

    /// Says what is said if `wrong` happens; returns whether the answer is whole, and whether the
    /// connection goes on.
    fn answer(&mut self, wrong: Option<Wrong>) -> (bool, bool) {
        match wrong {
            None | Some(Wrong::Slow(_)) => self.say(ANSWER),
            Some(Wrong::Drip(apart)) => self.drip(apart),
            Some(Wrong::Unavailable) => self.say(UNAVAILABLE),
            Some(Wrong::Close) => {
                self.say(LAST_ANSWER);
                self.act(Act::End);
                return (true, false);
            }
            Some(Wrong::Leave) => {
                self.say(ANSWER);
                self.act(Act::End);
                return (true, false);
            }
            Some(Wrong::Reset) => {
                self.say_half();
                self.act(Act::Reset);
                return (false, false);
            }
            Some(Wrong::Cut) => {
                self.say_half();
                self.act(Act::End);
                return (false, false);
            }
            Some(Wrong::End) => {
                self.act(Act::End);
                return (false, false);
            }
            Some(Wrong::Garbage) => {
                self.say(GARBAGE);
                return (false, false);
            }
            Some(Wrong::FailSend) => {
                self.at = self.sent;
                self.act(Act::FailSend(Errno::RESET));
                self.act(Act::Reset);
                return (false, false);
            }
            Some(Wrong::Lose) => return (false, false),
        }
        (true, true)
    }
}

impl Peer for Target {
    fn knock(&mut self, at: Instant, line: usize, _: &Address) -> Door {
        let (number, takes) = (self.knocks, self.model.entrance.takes);
        self.knocks += 1;
        let (faults, door) = (&self.model.entrance.faults, &mut self.door);
        let mut faults = faults.iter().filter(|(when, _)| when.applies(number, None, door));
        let fault = faults.next().map(|(_, knock)| *knock);
        match fault {
            Some(Knock::Refuse) => return Door::Refuses(takes),
            Some(Knock::Ignore) => return Door::Ignores,
            Some(Knock::Slam) => return Door::Slams(takes),
            None => {}
        }
        if !self.admits(at) {
            return Door::Refuses(takes);
        }
        self.inside += 1;
        *self.line(line) = Line { inside: true, ..Line::default() };
        Door::Opens(takes)
    }

    fn answer(&mut self, asked: &Asked, acts: &mut Acts) -> Option<Nanos> {
        let first = *self.first.get_or_insert(asked.at);
        let sent = asked.at.since(first);
        if self.line(asked.line).mute {
            return None;
        }
        let wrong = self.fault(asked);
        let longer = if let Some(Wrong::Slow(longer)) = wrong { longer } else { Nanos::ZERO };
        let way = self.model.way;
        let done = self.serve(sent + way.there, longer);
        let home = done + way.back + self.network.up_to(way.jitter);
        let at = home.max(self.line(asked.line).heard);
        let mut saying = Saying { acts, sent, at };
        let (whole, goes_on) = saying.answer(wrong);
        let heard = saying.at;
        let line = self.line(asked.line);
        line.heard = heard;
        line.mute = !goes_on;
        if !goes_on && wrong != Some(Wrong::Lose) {
            self.leaves(first + heard, asked.line);
        }
        whole.then(|| heard.saturating_sub(sent))
    }

    fn left(&mut self, at: Instant, line: usize) {
        self.leaves(at, line);
    }

    fn wake(&mut self, until: Instant, end: WaitEnd) -> Instant {
        let client = &self.model.client;
        let late = match end {
            WaitEnd::Event | WaitEnd::Alarm => client.late.draw(&mut self.client),
            WaitEnd::Awake => Nanos::ZERO,
        };
        let woken = until + late;
        let Some(first) = self.first else { return woken };
        let time = woken.since(first);
        let stalls = client.stalls.iter();
        // What ends a stall may begin another.
        let end = stalls.fold(time, |time, stall| {
            let end = stall.at + stall.length;
            if stall.at <= time && time < end { end } else { time }
        });
        if woken < first { woken } else { first + end }
    }
}
