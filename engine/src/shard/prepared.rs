//! The requests of a run, ready to be sent.

use std::io;

use pummel_proto_http::{Expect, NoValues, Rendering, Request, Serial, Stored, h2};

use crate::judge::{Capture, Check, Needs};
use crate::plan::{Detours, ExpectedStatus, Order, Plan};

/// A request, as it is sent and as its response is looked at.
pub(super) struct Prepared {
    /// As HTTP/1.x.
    pub(super) serial: Serial,
    /// The body behind it, where that is read as it is sent.
    pub(super) stored: Option<Stored>,
    pub(super) expect: Expect,
    /// The number of the server that it is for.
    pub(super) origin: u16,
    pub(super) expected: ExpectedStatus,
    pub(super) checks: Box<[Check]>,
    pub(super) captures: Box<[Capture]>,
    /// What is kept of its response for them.
    pub(super) needs: Needs,
    /// The number of the first of them, of all.
    pub(super) first_look: usize,
    /// The row that its numbers belong to.
    pub(super) row: u16,
    /// Whether anything of its response is looked at but the status.
    pub(super) is_looked_at: bool,
}

impl Prepared {
    /// The bytes of HTTP/1.x that are always the same.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.serial.fill(&NoValues, &mut bytes);
        bytes
    }
}

/// Whether requests are written anew each time. If not, they are sent by reference: they never
/// change, and nothing is done to them.
pub(super) fn is_paged(plan: &Plan) -> bool {
    plan.is_wrapped() || plan.wire.protocol.may_be_http2() || !plan.work.is_constant()
}

/// The requests of `plan`, by index, and behind them their detours.
pub(super) fn prepare(plan: &Plan) -> Box<[Prepared]> {
    let renderings: Vec<_> = plan.ways().map(|(_, proxy)| plan.wire.rendering(proxy)).collect();
    let usual = Rendering::default();
    let of_server = |origin: u16| renderings.get(usize::from(origin)).unwrap_or(&usual);
    let tried = plan.work.order() == Order::Tried;
    let keeps_cookies = plan.work.cookies().is_some();
    let bare = |request: &Request, origin: u16| Prepared {
        serial: request.serial(of_server(origin)),
        stored: request.stored().cloned(),
        expect: plan.expects(request),
        origin,
        expected: ExpectedStatus::default(),
        checks: Box::default(),
        captures: Box::default(),
        needs: Needs::NOTHING,
        first_look: 0,
        row: 0,
        is_looked_at: false,
    };
    let mut looks = 0;
    let of = plan.work.requests().iter().zip(plan.work.row_of_each()).map(|(asking, row)| {
        let first_look = looks;
        let here = asking.checks.len() + asking.captures.len();
        looks += here;
        let mut needs = Needs::of(&asking.checks, &asking.captures);
        needs.fields |= keeps_cookies;
        Prepared {
            expected: asking.expected.clone(),
            checks: asking.checks.clone().into(),
            captures: asking.captures.clone().into(),
            needs: if tried { Needs::ALL } else { needs },
            first_look,
            row,
            is_looked_at: tried || keeps_cookies || here > 0,
            ..bare(&asking.request, asking.origin)
        }
    });
    // Of a detour, the response is looked at as its request wants.
    let detours = plan.work.detours().map_or(&[][..], Detours::all).iter();
    of.chain(detours.map(|detour| bare(&detour.request, detour.origin))).collect()
}

/// The same for HTTP/2, if that may be spoken. Whoever made the plan has seen to it that it can.
///
/// # Errors
/// If HTTP/2 cannot send one of them.
pub(super) fn render(plan: &Plan) -> io::Result<Vec<h2::Rendered>> {
    if !plan.wire.protocol.may_be_http2() {
        return Ok(Vec::new());
    }
    let of_way = plan.ways().map(|(_, proxy)| plan.wire.rendering(proxy).fields);
    let of_way: Vec<_> = of_way.collect();
    let fields = |origin: u16| of_way.get(usize::from(origin)).map_or(&[][..], Vec::as_slice);
    let requests = plan.work.sent();
    let requests = requests.map(|(request, origin)| request.with_fields(fields(origin)));
    let requests = requests.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    h2::Rendered::set(&requests.iter().collect::<Vec<_>>()).map_err(io::Error::other)
}
