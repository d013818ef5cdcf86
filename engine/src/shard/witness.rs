//! Who keeps exchanges whole, where requests are tried: a run that measures has none.

use std::sync::Arc;

use pummel_proto_http::Request;

use super::conn::Http;
use super::flight::Flight;
use super::look::Look;
use super::traffic::Traffic;
use super::user::User;
use crate::judge::Undecoded;
use crate::plan::{Order, Plan, ShardPlan};
use crate::reactor::Slot;
use crate::record::{Answer, Coded, End, Exchange, Found, Kept, Moments, Unfollowed};
use crate::units::Nanos;

/// The most that is kept of a request, and of the body of a response.
const BYTES_MAX: usize = 64 * 1024;

/// The most that is kept of all of them; beyond it, the rest of each is left out.
const ALL_BYTES_MAX: usize = 64 << 20;

/// What was exchanged so far.
pub(super) struct Witness {
    plan: Arc<Plan>,
    exchanges: Vec<Exchange>,
    /// Bytes that may still be kept.
    room: usize,
}

impl Witness {
    /// The witness of `plan`, if it is a try.
    pub(super) fn of(plan: &ShardPlan) -> Option<Self> {
        let tried = plan.plan.work.order() == Order::Tried;
        let (plan, exchanges) = (Arc::clone(&plan.plan), Vec::new());
        tried.then_some(Self { plan, exchanges, room: ALL_BYTES_MAX })
    }

    /// A check or a capture of the last response was asked.
    pub(super) fn found(
        &mut self,
        number: usize,
        answer: Result<bool, &'static str>,
        value: Option<&[u8]>,
    ) {
        if let Some(exchange) = self.exchanges.last_mut() {
            let value = value.map(<[u8]>::to_vec);
            exchange.found.push(Found { number, answer, value });
        }
    }

    /// Whether the last response is as it should be, and why it was not followed, if it was to be.
    pub(super) fn judged(&mut self, good: bool, unfollowed: Option<Unfollowed>) {
        if let Some(Exchange { end: End::Answered(answer), .. }) = self.exchanges.last_mut() {
            (answer.good, answer.unfollowed) = (good, unfollowed);
        }
    }

    /// All of them, in the order in which they ended.
    pub(super) fn into_exchanges(self) -> Vec<Exchange> {
        self.exchanges
    }

    fn push(&mut self, mut exchange: Exchange) {
        let mut keep = |kept: &mut Kept| {
            kept.bytes.truncate(BYTES_MAX.min(self.room));
            kept.bytes.shrink_to_fit();
            self.room -= kept.bytes.len();
        };
        keep(&mut exchange.sent);
        if let End::Answered(answer) = &mut exchange.end {
            keep(&mut answer.body);
        }
        // It is the same request to the books; here each has its own time.
        if let Some(before) = self.exchanges.last().filter(|_| exchange.is_redirected) {
            let begun = before.moments.finished;
            let Moments { intended, picked, granted, written, .. } = &mut exchange.moments;
            (*intended, *picked, *granted, *written) = (begun, begun, begun, begun);
        }
        self.exchanges.push(exchange);
    }
}

/// The response that is kept in `look`; whether it is good is not known yet.
pub(super) fn answer(look: &Look, status: u16) -> Answer {
    let response = look.response(status, Nanos::ZERO);
    let fields = response.fields.map(|(name, value)| (name.to_vec(), value.to_vec()));
    let (content, came) = (response.body, response.body_len);
    let coded = look.is_coded().then_some(Coded {
        came,
        decoded: content.map(|content| !content.is_cut).map_err(Undecoded::name),
    });
    // What cannot be decoded is not kept in the state in which that was given up.
    let bytes = content.map_or(&[][..], |content| content.bytes).to_vec();
    let len = if coded.is_some() { bytes.len() as u64 } else { came };
    Answer {
        version: look.version(),
        status,
        fields: fields.collect(),
        body: Kept { bytes, len },
        coded,
        unfollowed: None,
        good: false,
    }
}

impl Traffic {
    /// The request of `flight` on the connection in `slot` has come to its end.
    pub(super) fn witness(&mut self, (flight, slot): (&Flight, Slot), moments: &Moments, end: End) {
        if self.looks.witness.is_none() {
            return;
        }
        let user = flight.user;
        let connection = self.connections.get(slot.index());
        let http2 = connection.is_some_and(|c| matches!(c.http, Http::Two(_)));
        let none = Kept { bytes: Vec::new(), len: 0 };
        let sent = if self.is_nowhere(user) { none } else { self.sent_by(user, http2) };
        let Some(witness) = &mut self.looks.witness else { return };
        let (request, is_redirected) = (self.users.asked_by(user), flight.hops.count > 0);
        let (moments, found) = (*moments, Vec::new());
        witness.push(Exchange { request, is_redirected, http2, sent, moments, end, found });
    }

    /// What `user` has sent last.
    fn sent_by(&self, user: User, http2: bool) -> Kept {
        let (request, values) = (self.users.request_of(user), self.users.values(user));
        let mut bytes = Vec::new();
        let witness = self.looks.witness.as_deref();
        if http2 && let Some(Witness { plan, .. }) = witness {
            let sent = plan.work.sent().nth(usize::from(request));
            let origin = sent.map_or(0, |(_, origin)| usize::from(origin));
            let proxy = plan.ways().nth(origin).and_then(|(_, proxy)| proxy);
            let fields = plan.wire.rendering(proxy).fields;
            let whole = sent.and_then(|(request, _)| request.with_fields(&fields).ok());
            // What HTTP/2 cannot send was refused before.
            let _described = whole.map(|whole: Request| whole.describe_h2(&values, &mut bytes));
        } else if let Some(prepared) = self.way.request(request) {
            prepared.serial.fill(&values, &mut bytes);
        }
        let mut len = bytes.len() as u64;
        if let Some(stored) = self.way.request(request).and_then(|one| one.stored.as_ref()) {
            let beginning = stored.length().min(BYTES_MAX as u64);
            stored.append(0, usize::try_from(beginning).unwrap_or(BYTES_MAX), &mut bytes);
            len += stored.length();
        }
        Kept { bytes, len }
    }
}
