//! The values that a user puts into requests.

use pummel_proto_http::Values;

use super::jars::Jars;
use crate::cookies::Cookie;
use crate::pace::Random;
use crate::plan::{Source, Work};
use crate::units::{Instant, Nanos};

/// The values of all users of a shard, a row for each.
pub(super) struct Table {
    sources: Box<[Source]>,
    /// Which values each request has.
    wanted: Box<[Box<[u16]>]>,
    cells: Vec<Vec<u8>>,
    /// Requests of each user so far.
    counts: Vec<u64>,
    random: Random,
    /// Random numbers drawn so far.
    drawn: u64,
    /// Unix time at the origin of the clock.
    epoch: Nanos,
    /// The cookies of users, if they keep any.
    jars: Option<Jars>,
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
    /// The values of `work`; nobody has any yet.
    pub(super) fn new(work: &Work, is_open: bool, random: Random) -> Self {
        let requests = work.requests().iter();
        Self {
            sources: work.variables().iter().map(|variable| variable.source.clone()).collect(),
            wanted: requests.map(|asking| asking.request.values().into()).collect(),
            cells: Vec::new(),
            counts: Vec::new(),
            random,
            drawn: 0,
            epoch: work.epoch(),
            jars: Jars::of(work, is_open),
        }
    }

    /// Room for one user more.
    pub(super) fn grow(&mut self) {
        self.counts.push(0);
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

    /// Forgets what a user has captured, and what it does not keep beyond a scenario.
    pub(super) fn forget(&mut self, user: u32) {
        if let Some(jars) = &mut self.jars {
            jars.begin(user);
        }
        let from = user as usize * self.sources.len();
        let cells = self.cells.iter_mut().skip(from);
        for (source, cell) in self.sources.iter().zip(cells) {
            if matches!(source, Source::Captured) {
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

    /// Makes the values that a user has for the request with this index, at `now`.
    pub(super) fn make(&mut self, user: u32, request: u16, now: Instant) {
        let Some(wanted) = self.wanted.get(usize::from(request)) else { return };
        let from = user as usize * self.sources.len();
        let Some(count) = self.counts.get_mut(user as usize) else { return };
        let ordinal = *count;
        *count += 1;
        let unix = self.unix(now).get();
        for &number in wanted {
            let Some(source) = self.sources.get(usize::from(number)) else { continue };
            let Some(cell) = self.cells.get_mut(from + usize::from(number)) else { continue };
            if matches!(source, Source::Captured) {
                continue;
            }
            cell.clear();
            if let (Source::Cookies, Some(jars)) = (source, &mut self.jars) {
                let mut cookies = core::mem::take(cell);
                let row = self.cells.get(from..from + self.sources.len()).unwrap_or_default();
                jars.write((user, request), &Row(row), Nanos::new(unix), &mut cookies);
                if let Some(cell) = self.cells.get_mut(from + usize::from(number)) {
                    *cell = cookies;
                }
                continue;
            }
            let mut draw = || {
                self.drawn += 1;
                self.random.at(self.drawn)
            };
            match source {
                Source::Captured | Source::Cookies => {}
                Source::Sequence => write_integer(ordinal.into(), cell),
                Source::Seconds => write_integer((unix / 1_000_000_000).into(), cell),
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
            }
        }
    }
}

/// A number from 0 to `span` − 1, by all bits of `random`; `span` is at most 2⁶⁴.
fn within(random: u64, span: i128) -> i128 {
    let scaled = u128::from(random).saturating_mul(span.unsigned_abs()) >> u64::BITS;
    i128::try_from(scaled).unwrap_or_default()
}

/// Appends `number` in decimal digits.
fn write_integer(number: i128, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    let (at, mut rest) = (out.len(), number.unsigned_abs());
    loop {
        out.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(at..) {
        digits.reverse();
    }
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
    use super::*;

    #[test]
    fn integers_are_written_in_full() {
        for number in [0, 7, 10, -1, 1234, i128::from(i64::MIN), i128::from(u64::MAX)] {
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
