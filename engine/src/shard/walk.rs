//! How a user gets from one request of a scenario to the next: which way, and with which pauses.

use super::values::Row;
use crate::judge::Condition;
use crate::pace::Random;
use crate::plan::{Step, Unsure, Work};
use crate::units::Nanos;

/// Most steps from one request to the next: as many as a scenario may have. A loop whose passes
/// make no request goes round for no longer than that.
pub(super) const MOVES_MAX: u32 = 65_535;

/// The ways of all users of a shard.
pub(super) struct Walk {
    /// The steps of each scenario.
    scenarios: Box<[Box<[Step]>]>,
    conditions: Box<[Condition]>,
    /// Those that may compare what was not captured yet.
    unsure: Box<[bool]>,
    random: Random,
    /// Random numbers drawn so far.
    drawn: u64,
    /// Passes of the loops that each user is in.
    passes: Vec<u32>,
    /// Loops that a user may be in at once.
    loops: usize,
}

/// Where a user is.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) scenario: u16,
    /// The step behind the one under way.
    next: u16,
    /// The status of the last response; 0 before the first.
    pub(super) status: u16,
    /// The blocks that it has gone through once, a bit for each.
    marks: u64,
}

impl Place {
    /// The beginning of a scenario, for a user who has been elsewhere, or is `new`.
    pub(super) fn begin(self, scenario: u16, new: bool) -> Self {
        let marks = if new { 0 } else { self.marks };
        Self { scenario, marks, ..Self::default() }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A request.
    Request(u16),
    /// A pause, before anything else.
    Pause(Nanos),
    /// This condition was looked at, which may lack a value.
    Look(u16),
    /// A group begins.
    Enter(u16),
    /// The last one ends.
    Leave,
    /// Nothing: the scenario is over.
    End,
    /// Nothing: it went on for too long.
    GiveUp,
}

impl Walk {
    /// The ways through the scenarios of `work`, where conditions may lack values as `unsure` says.
    pub(super) fn new(work: &Work, unsure: &Unsure, random: Random) -> Self {
        let steps = || work.scenarios().iter().flat_map(|scenario| &scenario.steps);
        let counters = steps().map(|step| match step {
            Step::Loop(counter) | Step::Again { counter, .. } => usize::from(*counter) + 1,
            _ => 0,
        });
        Self {
            scenarios: work.scenarios().iter().map(|s| s.steps.clone().into()).collect(),
            conditions: work.logic().conditions.clone().into(),
            unsure: unsure.conditions.iter().map(|values| !values.is_empty()).collect(),
            random,
            drawn: 0,
            passes: Vec::new(),
            loops: counters.max().unwrap_or_default(),
        }
    }

    /// Room for one user more.
    pub(super) fn grow(&mut self) {
        self.passes.extend((0..self.loops).map(|_| 0));
    }

    /// What comes next for a user at `place`, which moves on; `moves` are left until a request.
    #[inline]
    pub(super) fn next(
        &mut self,
        user: u32,
        place: &mut Place,
        values: &Row<'_>,
        moves: &mut u32,
    ) -> Turn {
        let steps = self.scenarios.get(usize::from(place.scenario)).map_or(&[][..], |all| all);
        loop {
            let Some(step) = steps.get(usize::from(place.next)) else { return Turn::End };
            if *moves == 0 {
                return Turn::GiveUp;
            }
            *moves -= 1;
            place.next += 1;
            match *step {
                Step::Request(request) => return Turn::Request(request),
                Step::Think(span) => return Turn::Pause(span),
                Step::Enter(group) => return Turn::Enter(group),
                Step::Leave => return Turn::Leave,
                Step::GiveUp => return Turn::GiveUp,
                Step::Mark(mark) => place.marks |= 1 << mark,
                Step::Loop(counter) => {
                    if let Some(pass) = passes(&mut self.passes, self.loops, user, counter) {
                        *pass = 0;
                    }
                }
                Step::Jump(to) => place.next = to,
                Step::Again { counter, most, to } => {
                    let pass = passes(&mut self.passes, self.loops, user, counter);
                    let passed = pass.map_or(most, |pass| {
                        *pass = pass.saturating_add(1);
                        *pass
                    });
                    if passed < most {
                        place.next = to;
                    }
                }
                Step::Once { mark, to } => {
                    if place.marks >> mark & 1 == 1 {
                        place.next = to;
                    }
                }
                Step::Unless { condition, to } => {
                    let asked = self.conditions.get(usize::from(condition));
                    if !asked.is_some_and(|asked| asked.holds(values, place.status)) {
                        place.next = to;
                    }
                    if self.unsure.get(usize::from(condition)) == Some(&true) {
                        return Turn::Look(condition);
                    }
                }
                Step::Chance { weight, of, to } => {
                    self.drawn += 1;
                    let drawn = u128::from(self.random.at(self.drawn)) * u128::from(of);
                    if drawn >> u64::BITS >= u128::from(weight) {
                        place.next = to;
                    }
                }
            }
        }
    }
}

/// Where the passes of a loop are counted.
fn passes(all: &mut [u32], loops: usize, user: u32, counter: u8) -> Option<&mut u32> {
    all.get_mut(user as usize * loops + usize::from(counter))
}
