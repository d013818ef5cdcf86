//! A scenario: steps, some of which lead elsewhere than to the next.
//!
//! Blocks of a file (a loop, a choice) are gone here: what is left is a list of steps with places
//! to go on at, as a user can be led through without memory but a few numbers.
//!
//! ```text
//!  if c { a } else { b }     Unless c → else · a · Jump → end · else: b · end:
//!  repeat n { a }            Loop · top: a · Again n → top
//!  while c { a }, at most n  Loop · top: Unless c → end · a · Again n → top · Unless c → end
//!                            · GiveUp · end:
//!  w of a, v of b            Chance w of w + v → second · a · Jump → end · second: b · end:
//!  once { a }                Once → end · a · Mark · end:
//!  group { a }               Enter · a · Leave
//! ```

use core::num::NonZeroU32;

use super::work::{STEPS_MAX, WorkError};
use crate::judge::Condition;
use crate::units::Nanos;

/// Most blocks of a run that are gone through once: a user keeps a bit for each.
pub const MARKS_MAX: u8 = 64;

/// Most groups that are within each other, and most loops.
pub const NESTED_MAX: u8 = 16;

/// A way through requests, which a virtual user goes from the first step to the last.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What the report calls it.
    pub name: String,
    /// How often it is chosen, compared with the others.
    pub weight: NonZeroU32,
    /// Its steps. Whichever way is taken, the first that is no way only is a request.
    pub steps: Vec<Step>,
}

/// What a virtual user does. Places are numbers of steps, and one more for the end; all but that of
/// [`Again`](Self::Again) lie ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asks for the request with this index, and waits for the response.
    Request(u16),
    /// Does nothing for so long.
    Think(Nanos),
    /// Goes on at this place.
    Jump(u16),
    /// Goes on there unless the condition holds.
    Unless {
        /// Its index.
        condition: u16,
        /// Where to go on.
        to: u16,
    },
    /// Goes on at the next step with a probability of `weight` / `of`, or else there.
    Chance {
        /// The share of the next step.
        weight: u32,
        /// All shares; no less.
        of: u32,
        /// Where to go on.
        to: u16,
    },
    /// A loop begins, whose passes this counts.
    Loop(u8),
    /// A pass is over: goes on there if it was not the last.
    Again {
        /// What counts them.
        counter: u8,
        /// How many there may be.
        most: u32,
        /// Where to go on.
        to: u16,
    },
    /// Goes on there if the user has this mark.
    Once {
        /// Its number.
        mark: u8,
        /// Where to go on.
        to: u16,
    },
    /// Gives the user a mark, for good.
    Mark(u8),
    /// The group with this index begins.
    Enter(u16),
    /// The group that began last ends.
    Leave,
    /// Ends the scenario before its time: a loop has gone on for too long.
    GiveUp,
}

/// What steps of all scenarios name by index.
#[derive(Clone, Debug, Default)]
pub struct Logic {
    /// What ways depend on.
    pub conditions: Vec<Condition>,
    /// The names of groups: parts of scenarios whose time is taken.
    pub groups: Vec<String>,
}

impl Step {
    /// The place to which it may lead beside the next step.
    pub(super) const fn target(self) -> Option<u16> {
        match self {
            Self::Jump(to)
            | Self::Unless { to, .. }
            | Self::Chance { to, .. }
            | Self::Again { to, .. }
            | Self::Once { to, .. } => Some(to),
            _ => None,
        }
    }
}

impl Scenario {
    /// Checks that it can be gone through: each step and each index that it names is there, and it
    /// makes a request before it pauses, repeats anything or ends. O(steps).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, requests: usize, logic: &Logic) -> Result<(), WorkError> {
        let steps = &self.steps;
        if steps.len() > STEPS_MAX {
            return Err(WorkError::Steps(steps.len()));
        }
        for step in steps {
            match *step {
                Step::Request(index) if usize::from(index) >= requests => {
                    return Err(WorkError::Missing(index));
                }
                Step::Unless { condition, .. }
                    if usize::from(condition) >= logic.conditions.len() =>
                {
                    return Err(WorkError::Condition(condition));
                }
                Step::Enter(group) if usize::from(group) >= logic.groups.len() => {
                    return Err(WorkError::Group(group));
                }
                Step::Once { mark, .. } | Step::Mark(mark) if mark >= MARKS_MAX => {
                    return Err(WorkError::Marks);
                }
                Step::Loop(counter) | Step::Again { counter, .. } if counter >= NESTED_MAX => {
                    return Err(WorkError::Nested);
                }
                _ => {}
            }
        }
        self.check_places()?;
        self.check_beginning()
    }

    /// All places are there, in the same group, ahead but for loops; these make requests.
    fn check_places(&self) -> Result<(), WorkError> {
        // Of each place: groups around it, and requests before it.
        let mut places = vec![(0_u8, 0_usize)];
        for step in &self.steps {
            let (mut groups, mut requests) = places.last().copied().unwrap_or_default();
            match step {
                Step::Enter(_) if groups == NESTED_MAX => return Err(WorkError::Nested),
                Step::Enter(_) => groups += 1,
                Step::Leave => groups = groups.checked_sub(1).ok_or(WorkError::Leave)?,
                Step::Request(_) => requests += 1,
                _ => {}
            }
            places.push((groups, requests));
        }
        if places.last().is_some_and(|&(groups, _)| groups > 0) {
            return Err(WorkError::Leave);
        }
        for (at, (step, &(groups, requests))) in self.steps.iter().zip(&places).enumerate() {
            let Some(to) = step.target() else { continue };
            let back = matches!(step, Step::Again { .. });
            let place = places.get(usize::from(to)).copied();
            let place = place.filter(|_| back == (usize::from(to) <= at));
            match place {
                Some((others, _)) if others != groups => return Err(WorkError::Place(to)),
                Some((_, before)) if back && before == requests => return Err(WorkError::Idle),
                Some(_) => {}
                None => return Err(WorkError::Place(to)),
            }
        }
        Ok(())
    }

    /// No way leads to anything but a request first.
    fn check_beginning(&self) -> Result<(), WorkError> {
        let mut reached = vec![false; self.steps.len() + 1];
        reached.first_mut().into_iter().for_each(|first| *first = true);
        // What leads to a place without a request stands before it.
        for (at, step) in self.steps.iter().enumerate() {
            if reached.get(at) != Some(&true) {
                continue;
            }
            if matches!(step, Step::Think(_) | Step::Again { .. } | Step::GiveUp) {
                return Err(WorkError::Beginning);
            }
            let next = (!matches!(step, Step::Request(_) | Step::Jump(_))).then_some(at + 1);
            for place in [step.target().map(usize::from), next].into_iter().flatten() {
                reached.get_mut(place).into_iter().for_each(|place| *place = true);
            }
        }
        if reached.last() == Some(&true) { Err(WorkError::Beginning) } else { Ok(()) }
    }

    /// Takes the pauses out, and all passes of loops but the first.
    pub(super) fn shorten(&mut self) {
        for (step, behind) in self.steps.iter_mut().zip(1..) {
            match step {
                Step::Think(span) => *span = Nanos::ZERO,
                Step::Again { most, .. } => *most = 1,
                Step::GiveUp => *step = Step::Jump(behind),
                _ => {}
            }
        }
    }

    /// Whether there is more to it than one request.
    pub(super) fn is_flow(&self) -> bool {
        self.steps.iter().filter(|step| !matches!(step, Step::Think(_))).count() > 1
    }

    /// How many groups are within each other.
    pub(super) fn nested_groups(&self) -> usize {
        let depths = self.steps.iter().scan(0_usize, |depth, step| {
            match step {
                Step::Enter(_) => *depth += 1,
                Step::Leave => *depth = depth.saturating_sub(1),
                _ => {}
            }
            Some(*depth)
        });
        depths.max().unwrap_or_default()
    }

    /// The requests within blocks that are gone through once.
    pub(super) fn once(&self) -> impl Iterator<Item = u16> + '_ {
        let blocks = self.steps.iter().enumerate().filter_map(|(at, step)| match step {
            Step::Once { to, .. } => self.steps.get(at..usize::from(*to)),
            _ => None,
        });
        blocks.flatten().filter_map(|step| match step {
            Step::Request(index) => Some(*index),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Claim, Operand, Term};

    const THINK: Step = Step::Think(Nanos::from_millis(1));
    const ASK: Step = Step::Request(0);

    /// One condition and one group.
    fn logic() -> Logic {
        let claim = Claim::Present(Operand::Status);
        let condition = Condition(vec![vec![Term { claim, negated: false }]]);
        Logic { conditions: vec![condition], groups: vec!["g".to_owned()] }
    }

    /// With them, and one request.
    fn checked(steps: &[Step]) -> Result<(), WorkError> {
        let (name, weight) = (String::new(), NonZeroU32::MIN);
        Scenario { name, weight, steps: steps.to_vec() }.check(1, &logic())
    }

    fn unless(to: u16) -> Step {
        Step::Unless { condition: 0, to }
    }

    fn again(to: u16) -> Step {
        Step::Again { counter: 0, most: 2, to }
    }

    #[test]
    fn each_way_through_a_scenario_begins_with_a_request() {
        let (once, chance) =
            (|to| Step::Once { mark: 0, to }, |to| Step::Chance { weight: 1, of: 2, to });
        for steps in [
            &[ASK, THINK][..],
            &[Step::Enter(0), ASK, Step::Leave],
            &[once(3), ASK, Step::Mark(0), ASK],
            &[unless(3), ASK, Step::Jump(4), ASK],
            &[chance(3), ASK, Step::Jump(5), chance(5), ASK, ASK],
            &[Step::Loop(0), ASK, again(1)],
            &[ASK, Step::Loop(0), unless(6), ASK, again(2), Step::GiveUp],
            // A pass may make no request as long as there was one before.
            &[ASK, Step::Loop(0), unless(4), ASK, again(2)],
        ] {
            assert_eq!(checked(steps), Ok(()), "{steps:?}");
        }
        for steps in [
            &[][..],
            &[THINK, ASK],
            &[once(3), ASK, Step::Mark(0)],
            &[unless(2), ASK],
            &[unless(2), ASK, THINK, ASK],
            &[Step::Loop(0), unless(3), ASK, again(1), ASK],
            &[Step::Loop(0), unless(5), ASK, again(1), Step::GiveUp],
        ] {
            assert_eq!(checked(steps), Err(WorkError::Beginning), "{steps:?}");
        }
    }

    #[test]
    fn what_is_shortened_pauses_and_repeats_nothing() {
        let steps = vec![ASK, THINK, Step::Loop(0), unless(7), ASK, again(3), Step::GiveUp, ASK];
        let (name, weight) = (String::new(), NonZeroU32::MIN);
        let mut scenario = Scenario { name, weight, steps };
        scenario.shorten();
        let (pause, once) = (Step::Think(Nanos::ZERO), Step::Again { counter: 0, most: 1, to: 3 });
        let jump = Step::Jump(7);
        assert_eq!(scenario.steps, [ASK, pause, Step::Loop(0), unless(7), ASK, once, jump, ASK]);
        assert_eq!(scenario.check(1, &logic()), Ok(()));
    }

    #[test]
    fn a_scenario_that_leads_nowhere_is_refused() {
        for (steps, error) in [
            (&[Step::Request(1)][..], WorkError::Missing(1)),
            (&[ASK, Step::Unless { condition: 1, to: 2 }], WorkError::Condition(1)),
            (&[Step::Enter(1), ASK, Step::Leave], WorkError::Group(1)),
            (&[Step::Once { mark: MARKS_MAX, to: 1 }, ASK], WorkError::Marks),
            (&[Step::Loop(NESTED_MAX), ASK], WorkError::Nested),
            (&[ASK, Step::Jump(3)], WorkError::Place(3)),
            (&[ASK, Step::Jump(0)], WorkError::Place(0)),
            (&[ASK, Step::Jump(1)], WorkError::Place(1)),
            (&[ASK, again(2), ASK], WorkError::Place(2)),
            (&[ASK, Step::Loop(0), THINK, again(2)], WorkError::Idle),
            (&[ASK, again(1)], WorkError::Idle),
            (&[ASK, Step::Enter(0)], WorkError::Leave),
            (&[ASK, Step::Leave], WorkError::Leave),
            (&[ASK, unless(4), Step::Enter(0), ASK, Step::Leave], WorkError::Place(4)),
        ] {
            assert_eq!(checked(steps), Err(error), "{steps:?}");
        }
        let deep = usize::from(NESTED_MAX);
        let of = |deep| [vec![Step::Enter(0); deep], vec![ASK], vec![Step::Leave; deep]].concat();
        assert_eq!(checked(&of(deep)), Ok(()));
        assert_eq!(checked(&of(deep + 1)), Err(WorkError::Nested));
    }
}
