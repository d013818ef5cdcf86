//! The values that a user puts into requests.

use std::sync::Arc;

use pummel_proto_http::{Values, write_base64};

use super::jars::Jars;
use super::unset::Unset;
use super::{date, sign};
use crate::cookies::Cookie;
use crate::pace::Random;
use crate::plan::{Asking, Source, Unsure, Work, needed_for};
use crate::units::{Instant, Nanos};

/// The values of all users of a shard, a row for each.
pub(super) struct Table {
    sources: Box<[Source]>,
    /// Which values are made for each request, in the order in which they are.
    wanted: Box<[Box<[u16]>]>,
    /// Values that are captured, and whether a user keeps them for its next scenario.
    captured: Box<[(u16, bool)]>,
    unset: Unset,
    /// Values that are the same for everybody as long as the second is the same.
    shared: Box<[Option<Shared>]>,
    cells: Vec<Vec<u8>>,
    /// Requests of each user so far.
    counts: Vec<u64>,
    /// What a value is made from, in one piece.
    scratch: Vec<u8>,
    /// Where requests are signed.
    desk: sign::Desk,
    random: Random,
    /// Random numbers drawn so far.
    drawn: u64,
    /// Unix time at the origin of the clock.
    epoch: Nanos,
    /// The cookies of users, if they keep any.
    jars: Option<Jars>,
}

/// A value as it is within one second.
#[derive(Clone)]
struct Shared {
    /// Of Unix time.
    second: u64,
    value: Vec<u8>,
}

/// The values of one user.
pub(super) struct Row<'a>(&'a [Vec<u8>]);

impl Row<'_> {
    /// No values.
    pub(super) const EMPTY: Self = Self(&[]);
}

impl Values for Row<'_> {
    fn value(&self, number: u16) -> &[u8] {
        self.0.get(usize::from(number)).map_or(&[], Vec::as_slice)
    }
}

impl Table {
    /// The values of `work`, of which users may lack what is `unsure`; nobody has any yet.
    pub(super) fn new(
        (work, unsure): (&Work, &Arc<Unsure>),
        is_open: bool,
        random: Random,
    ) -> Self {
        let sources: Box<[Source]> =
            work.variables().iter().map(|variable| variable.source.clone()).collect();
        let wanted = work.requests().iter().map(Asking::values);
        let captured = (0..).zip(&sources).zip(work.kept());
        let captured = captured.filter(|((_, source), _)| **source == Source::Captured);
        Self {
            wanted: wanted.map(|values| made_for(values, &sources)).collect(),
            captured: captured.map(|((number, _), kept)| (number, kept)).collect(),
            unset: Unset::new(Arc::clone(unsure), work.variables().len()),
            shared: shared(&sources),
            sources,
            cells: Vec::new(),
            counts: Vec::new(),
            scratch: Vec::new(),
            desk: sign::Desk::default(),
            random,
            drawn: 0,
            epoch: work.epoch(),
            jars: Jars::of(work, is_open),
        }
    }

    /// Room for one user more.
    pub(super) fn grow(&mut self) {
        self.counts.push(0);
        self.unset.grow();
        if let Some(jars) = &mut self.jars {
            jars.grow();
        }
        self.cells.extend(self.sources.iter().map(|_| Vec::new()));
    }

    /// The values of the user with this number.
    pub(super) fn row(&self, user: u32) -> Row<'_> {
        let from = user as usize * self.sources.len();
        Row(self.cells.get(from..from + self.sources.len()).unwrap_or_default())
    }

    /// Where the value with this `number` of a user is.
    pub(super) fn cell(&mut self, user: u32, number: u16) -> Option<&mut Vec<u8>> {
        self.cells.get_mut(user as usize * self.sources.len() + usize::from(number))
    }

    /// `user` has captured the value with this `number`.
    pub(super) fn captured(&mut self, user: u32, number: u16) {
        self.unset.set(user, number, true);
    }

    /// What users have not captured yet.
    pub(super) const fn unset(&self) -> &Unset {
        &self.unset
    }

    /// Forgets what a user has captured, and what it does not keep beyond a scenario; all of it if
    /// the user is `new`.
    pub(super) fn forget(&mut self, user: u32, new: bool) {
        if let Some(jars) = &mut self.jars {
            jars.begin(user);
        }
        let from = user as usize * self.sources.len();
        for (number, kept) in &self.captured {
            if *kept && !new {
                continue;
            }
            self.unset.set(user, *number, false);
            if let Some(cell) = self.cells.get_mut(from + usize::from(*number)) {
                cell.clear();
            }
        }
    }

    /// Takes in the cookies that a response to the request with this index sets, at `now`.
    pub(super) fn keep_cookies<'a>(
        &mut self,
        (user, request): (u32, u16),
        now: Instant,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        let now = self.unix(now);
        let from = user as usize * self.sources.len();
        let row = self.cells.get(from..from + self.sources.len()).unwrap_or_default();
        if let Some(jars) = &mut self.jars {
            jars.keep((user, request), &Row(row), now, fields);
        }
    }

    /// The cookies that all users have, each with the value that was set last.
    pub(super) fn cookies(&self) -> Vec<Cookie> {
        self.jars.as_ref().map(Jars::all).unwrap_or_default()
    }

    /// The Unix time at `now`.
    fn unix(&self, now: Instant) -> Nanos {
        Nanos::new(now.since_origin()) + self.epoch
    }

    /// Chooses the cookies of a user for the request with this index, at `now`.
    pub(super) fn choose_cookies(&mut self, (user, request): (u32, u16), now: Instant) {
        let unix = self.unix(now);
        let from = user as usize * self.sources.len();
        let to = from + self.sources.len();
        // They are the last of all values.
        let Some(jars) = &mut self.jars else { return };
        let Some(cell) = to.checked_sub(1).and_then(|last| self.cells.get_mut(last)) else {
            return;
        };
        let mut cookies = core::mem::take(cell);
        cookies.clear();
        let row = self.cells.get(from..to).unwrap_or_default();
        jars.write((user, request), &Row(row), unix, &mut cookies);
        if let Some(cell) = self.cells.get_mut(to - 1) {
            *cell = cookies;
        }
    }

    /// Makes the values that a user has for the request with this index, at `now`.
    pub(super) fn make(&mut self, user: u32, request: u16, now: Instant) {
        let Some(wanted) = self.wanted.get(usize::from(request)) else { return };
        let from = user as usize * self.sources.len();
        let Some(count) = self.counts.get_mut(user as usize) else { return };
        let ordinal = *count;
        *count += 1;
        let unix = self.unix(now).get();
        let second = unix / 1_000_000_000;
        for &number in wanted {
            let index = usize::from(number);
            let Some(source) = self.sources.get(index) else { continue };
            let cells = self.cells.get_mut(from..).unwrap_or_default();
            let Some((row, [cell, ..])) = cells.split_at_mut_checked(index) else { continue };
            cell.clear();
            let mut shared = self.shared.get_mut(index).and_then(Option::as_mut);
            if let Some(known) = shared.as_deref().filter(|known| known.second == second) {
                cell.extend_from_slice(&known.value);
                continue;
            }
            let mut draw = || {
                self.drawn += 1;
                self.random.at(self.drawn)
            };
            match source {
                // Cookies come last.
                Source::Captured | Source::Fed { .. } | Source::Cookies => {}
                Source::Sequence => write_integer(ordinal.into(), cell),
                Source::Seconds => write_integer(second.into(), cell),
                Source::Milliseconds => write_integer((unix / 1_000_000).into(), cell),
                Source::Random { from, to } => {
                    let span = i128::from(*to) - i128::from(*from) + 1;
                    write_integer(i128::from(*from) + within(draw(), span), cell);
                }
                Source::Choice(options) => {
                    let count = i128::try_from(options.len()).unwrap_or_default();
                    let chosen = usize::try_from(within(draw(), count)).unwrap_or_default();
                    cell.extend_from_slice(options.get(chosen).map_or(&[], Vec::as_slice));
                }
                Source::Uuid => write_uuid([draw(), draw()], cell),
                Source::Date(parts) => date::write(parts, unix, cell),
                Source::Base64(text) => {
                    self.scratch.clear();
                    text.fill(&Row(row), &mut self.scratch);
                    write_base64(&self.scratch, cell);
                }
                Source::Sha256(text) => self.desk.digest(text, &Row(row), cell),
                Source::Signature(signing) => self.desk.sign(signing, &Row(row), cell),
            }
            if let Some(shared) = &mut shared {
                shared.second = second;
                shared.value.clone_from(cell);
            }
        }
        if self.jars.is_some() {
            self.choose_cookies((user, request), now);
        }
    }
}

/// The numbers of all that is made for a request with these `values`: what a value is made from
/// comes before it. A capture is there already, and so is what comes from a row.
fn made_for(values: Vec<u16>, sources: &[Source]) -> Box<[u16]> {
    let is_made = |number: &u16| {
        let source = sources.get(usize::from(*number));
        !matches!(source, Some(Source::Captured | Source::Fed { .. }))
    };
    needed_for(values, sources).into_iter().filter(is_made).collect()
}

/// Room for each value that is the same for everybody within a second.
fn shared(sources: &[Source]) -> Box<[Option<Shared>]> {
    let mut all: Vec<Option<Shared>> = Vec::with_capacity(sources.len());
    for source in sources {
        let from = source.ingredients();
        let lasting = |number: &u16| matches!(all.get(usize::from(*number)), Some(Some(_)));
        let lasts = source.lasts_a_second() && from.iter().all(lasting);
        all.push(lasts.then(|| Shared { second: u64::MAX, value: Vec::new() }));
    }
    all.into()
}

/// A number from 0 to `span` − 1, by all bits of `random`; `span` is at most 2⁶⁴.
fn within(random: u64, span: i128) -> i128 {
    let scaled = u128::from(random).saturating_mul(span.unsigned_abs()) >> u64::BITS;
    i128::try_from(scaled).unwrap_or_default()
}

/// Appends `number` in decimal digits.
pub(super) fn write_integer(number: i128, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    let at = out.len();
    let mut rest = number.unsigned_abs();
    // All that a machine counts in has 64 bits; dividing more costs many times as much.
    let mut small = loop {
        match u64::try_from(rest) {
            Ok(small) => break small,
            Err(_) => out.push(digit(rest % 10)),
        }
        rest /= 10;
    };
    loop {
        out.push(digit(small % 10));
        small /= 10;
        if small == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(at..) {
        digits.reverse();
    }
}

fn digit(value: impl TryInto<u8>) -> u8 {
    b'0' + value.try_into().unwrap_or_default()
}

/// Appends a random UUID, of version 4 (RFC 9562 section 5.4).
fn write_uuid([high, low]: [u64; 2], out: &mut Vec<u8>) {
    const HYPHENS: [usize; 4] = [4, 6, 8, 10];
    let high = high & !0xF000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let bytes = (u128::from(high) << u64::BITS | u128::from(low)).to_be_bytes();
    for (at, byte) in bytes.into_iter().enumerate() {
        if HYPHENS.contains(&at) {
            out.push(b'-');
        }
        for digit in [byte >> 4, byte & 15] {
            out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;
    use crate::plan::{Asking, DatePart, ExpectedStatus, Scenario, Step, Variable};
    use pummel_proto_http::{Escape, Request, Slot, Text};

    #[test]
    fn integers_are_written_in_full() {
        for number in [
            0,
            7,
            10,
            -1,
            1234,
            i128::from(i64::MIN),
            i128::from(u64::MAX),
            i128::from(u64::MAX) + 1,
            i128::MIN,
        ] {
            let mut out = b"x".to_vec();
            write_integer(number, &mut out);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }

    #[test]
    fn random_numbers_reach_both_ends_and_no_farther() {
        assert_eq!((within(0, 6), within(u64::MAX, 6)), (0, 5));
        let span = i128::from(i64::MAX) - i128::from(i64::MIN) + 1;
        assert_eq!(within(u64::MAX, span), span - 1);
        assert_eq!(within(u64::MAX, 1), 0);
    }

    #[test]
    fn what_lasts_a_second_is_made_once_in_it_and_what_it_is_made_from_comes_first() {
        let slot = |value| {
            let mut text = Text::from("at ");
            text.push_slot(Slot { value, escape: Escape::Plain });
            text
        };
        let hour = vec![DatePart::Hour, DatePart::Second];
        let sources = [
            Source::Captured,
            Source::Date(hour),
            Source::Base64(slot(1)),
            Source::Sequence,
            Source::Base64(slot(3)),
            Source::Base64(slot(2)),
        ];
        assert_eq!(*made_for(vec![0, 4, 5], &sources), [1, 2, 3, 4, 5]);
        let lasting = |shared: &Option<Shared>| shared.is_some();
        let all: Vec<bool> = shared(&sources).iter().map(lasting).collect();
        assert_eq!(all, [false, true, true, false, false, true]);

        let request = Request::builder("GET", "h", "/").unwrap().field("A", slot(2)).unwrap();
        let asking = Asking::new(String::new(), request.build(), ExpectedStatus::default());
        let scenario = Scenario {
            name: String::new(),
            weight: NonZeroU32::MIN,
            steps: vec![Step::Request(0)],
        };
        let variables = sources.map(|source| Variable { name: String::new(), source });
        let work = Work::new(vec![asking], vec![scenario]).unwrap();
        let work = work.with_variables(variables.to_vec(), Nanos::ZERO).unwrap();
        let mut table = Table::new((&work, &Arc::default()), false, Random::new(1, 1));
        (0..2).for_each(|_| table.grow());
        for (user, nanos, expected) in [
            (0, 7_200_000_000_000, "YXQgMDIwMA=="),
            (1, 7_200_999_999_999, "YXQgMDIwMA=="),
            (1, 7_201_000_000_000, "YXQgMDIwMQ=="),
        ] {
            table.make(user, 0, Instant::from_origin(nanos));
            assert_eq!(table.row(user).value(2), expected.as_bytes());
        }
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        let of = |numbers| {
            let mut out = Vec::new();
            write_uuid(numbers, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of([0, 0]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(of([u64::MAX, u64::MAX]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(of([0x0123_4567_89AB_CDEF, 5]), "01234567-89ab-4def-8000-000000000005");
    }
}
