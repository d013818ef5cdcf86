//! Whether a value has been captured where it is used, as far as the ways through the scenarios
//! tell.
//!
//! A capture that finds nothing ends its scenario, so that whoever has come by one has its value.

use std::collections::BTreeSet;

use super::work::{Source, Work};
use super::{Scenario, Step};

/// What uses a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The request with this index.
    Request(u16),
    /// The condition with this index, which compares it.
    Condition(u16),
}

/// A value that is never there where it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncaptured {
    /// What uses it.
    pub at: Use,
    /// Its number among the variables.
    pub value: u16,
    /// The request that captures it, of the same scenario if there is one: no way leads from there
    /// to here.
    pub by: Option<u16>,
}

/// The captured values that may not be there where they are used, since a way leads there without
/// their captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsure {
    /// Of each request.
    pub requests: Vec<Vec<u16>>,
    /// Of each condition.
    pub conditions: Vec<Vec<u16>>,
}

/// The numbers of `values`, and of all that they are made from.
pub(crate) fn needed_for(values: Vec<u16>, sources: &[Source]) -> BTreeSet<u16> {
    let mut all: BTreeSet<u16> = values.into_iter().collect();
    let mut below = u16::MAX;
    while let Some(&number) = all.range(..=below).next_back() {
        let source = sources.get(usize::from(number));
        all.extend(source.map(Source::ingredients).unwrap_or_default());
        let Some(next) = number.checked_sub(1) else { break };
        below = next;
    }
    all
}

impl Work {
    /// The values that may not be there where they are used; empty where nothing is captured.
    /// O(steps) for each value of a scenario.
    #[must_use]
    pub fn unsure(&self) -> Unsure {
        if !self.variables().iter().any(|variable| variable.source == Source::Captured) {
            return Unsure::default();
        }
        let used = self.captured_values();
        let none = |all: &Vec<Vec<u16>>| vec![Vec::new(); all.len()];
        let mut unsure =
            Unsure { requests: none(&used.requests), conditions: none(&used.conditions) };
        for scenario in self.scenarios() {
            for value in used.of_scenario(scenario) {
                let captured = self.captured_before(scenario, value);
                for place in used.lacking(scenario, value, &captured) {
                    let values = match place {
                        Use::Request(index) => unsure.requests.get_mut(usize::from(index)),
                        Use::Condition(index) => unsure.conditions.get_mut(usize::from(index)),
                    };
                    values.into_iter().filter(|all| !all.contains(&value)).for_each(|all| {
                        all.push(value);
                    });
                }
            }
        }
        unsure
    }

    /// The first value that can never be there where it is used: no way leads there on which it is
    /// captured. O(steps) for each value of a scenario, and for each loop around.
    #[must_use]
    pub fn never_captured(&self) -> Option<Uncaptured> {
        let (used, kept) = (self.captured_values(), self.kept());
        self.scenarios().iter().find_map(|scenario| {
            used.of_scenario(scenario).into_iter().find_map(|value| {
                // Another scenario may leave it with the user.
                if kept.get(usize::from(value)) == Some(&true) {
                    return None;
                }
                let captured = self.capturable_before(scenario, value);
                let at = used.lacking(scenario, value, &captured).next()?;
                let by = self.captor(scenario, value);
                Some(Uncaptured { at, value, by })
            })
        })
    }

    /// The captured values that each request and each condition has.
    fn captured_values(&self) -> Unsure {
        let sources: Vec<Source> =
            self.variables().iter().map(|variable| variable.source.clone()).collect();
        let is_captured =
            |number: &u16| sources.get(usize::from(*number)) == Some(&Source::Captured);
        let only = |values: BTreeSet<u16>| values.into_iter().filter(is_captured).collect();
        let requests = self.requests().iter();
        let conditions = self.logic().conditions.iter();
        Unsure {
            requests: requests.map(|asking| only(needed_for(asking.values(), &sources))).collect(),
            conditions: conditions.map(|it| only(it.compared().collect())).collect(),
        }
    }

    /// A request that captures `value`, of this scenario if it has one.
    fn captor(&self, scenario: &Scenario, value: u16) -> Option<u16> {
        let others = self.scenarios().iter().flat_map(|other| &other.steps);
        let mut steps = scenario.steps.iter().chain(others);
        steps.find_map(|step| match step {
            Step::Request(index) if self.captures(*step, value) => Some(*index),
            _ => None,
        })
    }

    fn captures(&self, step: Step, value: u16) -> bool {
        let Step::Request(index) = step else { return false };
        let asking = self.requests().get(usize::from(index));
        asking.is_some_and(|asking| asking.captures.iter().any(|it| it.variable() == value))
    }

    /// Of each place, whether `value` is captured on every way to it; none where no way leads.
    fn captured_before(&self, scenario: &Scenario, value: u16) -> Vec<Option<bool>> {
        let mut places = vec![None; scenario.steps.len() + 1];
        places.first_mut().into_iter().for_each(|first| *first = Some(false));
        for (at, step) in scenario.steps.iter().enumerate() {
            let Some(before) = places.get(at).copied().flatten() else { continue };
            let behind = before || self.captures(*step, value);
            // A further pass knows what the first did; whoever comes by a block that was gone
            // through once has what is captured in it.
            let to = step.target();
            let to = to.filter(|_| !matches!(step, Step::Again { .. } | Step::Once { .. }));
            for place in [next(*step, at), to.map(usize::from)].into_iter().flatten() {
                if let Some(place) = places.get_mut(place) {
                    *place = Some(place.unwrap_or(true) && behind);
                }
            }
        }
        places
    }

    /// Of each place, whether `value` is captured on any way to it.
    fn capturable_before(&self, scenario: &Scenario, value: u16) -> Vec<Option<bool>> {
        let mut places = vec![Some(false); scenario.steps.len() + 1];
        // Each time round, what a loop captures gets to its beginning.
        let mut is_new = true;
        while core::mem::take(&mut is_new) {
            for (at, step) in scenario.steps.iter().enumerate() {
                let before = places.get(at).copied().flatten() == Some(true);
                if !before && !self.captures(*step, value) {
                    continue;
                }
                let to = step.target().map(usize::from);
                for place in [next(*step, at), to].into_iter().flatten() {
                    let known = places.get_mut(place).map(|place| place.replace(true));
                    is_new |= known == Some(Some(false));
                }
            }
        }
        places
    }
}

/// The place behind a step, if it leads there.
fn next(step: Step, at: usize) -> Option<usize> {
    (!matches!(step, Step::Jump(_) | Step::GiveUp)).then_some(at + 1)
}

impl Unsure {
    /// Whether all values are sure.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.requests.iter().chain(&self.conditions).all(Vec::is_empty)
    }
}

/// What has values, and which: all of them here.
impl Unsure {
    fn of(&self, step: Step) -> Option<(Use, &[u16])> {
        let (place, values) = match step {
            Step::Request(index) => (Use::Request(index), self.requests.get(usize::from(index))),
            Step::Unless { condition: index, .. } => {
                (Use::Condition(index), self.conditions.get(usize::from(index)))
            }
            _ => return None,
        };
        values.map(|values| (place, &values[..]))
    }

    /// The values of a scenario, each once.
    fn of_scenario(&self, scenario: &Scenario) -> BTreeSet<u16> {
        let steps = scenario.steps.iter().filter_map(|step| self.of(*step));
        steps.flat_map(|(_, values)| values.iter().copied()).collect()
    }

    /// What has `value` at a place where it is not `captured`.
    fn lacking(
        &self,
        scenario: &Scenario,
        value: u16,
        captured: &[Option<bool>],
    ) -> impl Iterator<Item = Use> {
        let steps = scenario.steps.iter().zip(captured);
        steps.filter_map(move |(step, captured)| {
            let (place, values) = self.of(*step)?;
            (*captured == Some(false) && values.contains(&value)).then_some(place)
        })
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;
    use crate::judge::{Capture, Claim, Condition, Extractor, Operand, Term};
    use crate::plan::{Asking, ExpectedStatus, Logic, Variable};
    use crate::units::Nanos;
    use pummel_proto_http::{Escape, Request, Slot, Text};

    /// Request 0 has the value, request 1 captures it, request 2 does neither; condition 0 looks
    /// at the status, condition 1 compares the value, condition 2 asks whether it is there first.
    fn work(steps: &[Step]) -> Work {
        let mut text = Text::from("/");
        text.push_slot(Slot { value: 0, escape: Escape::Plain });
        let of = |path: Text| {
            let request = Request::builder("GET", "h", path).unwrap().build();
            Asking::new(String::new(), request, ExpectedStatus::default())
        };
        let mut capturing = of(Text::from("/"));
        capturing.captures.push(Capture::new(Extractor::Status, 0));
        let requests = vec![of(text), capturing, of(Text::from("/"))];
        let term = |claim| Term { claim, negated: false };
        let value = Operand::Value(0);
        let here = term(Claim::Present(value.clone()));
        let same = term(Claim::Same(value, Operand::Status));
        let status = term(Claim::Present(Operand::Status));
        let conditions = [vec![status], vec![same.clone()], vec![here, same]];
        let conditions = conditions.map(|terms| Condition(vec![terms])).to_vec();
        let logic = Logic { conditions, groups: Vec::new() };
        let (name, weight) = (String::new(), NonZeroU32::MIN);
        let scenario = Scenario { name, weight, steps: steps.to_vec() };
        let work = Work::with_logic(requests, vec![scenario], logic).unwrap();
        let variable = Variable { name: "v".to_owned(), source: Source::Captured };
        work.with_variables(vec![variable], Nanos::ZERO).unwrap()
    }

    const USE: Step = Step::Request(0);
    const CAPTURE: Step = Step::Request(1);
    const OTHER: Step = Step::Request(2);

    fn unless(to: u16) -> Step {
        Step::Unless { condition: 0, to }
    }

    #[track_caller]
    fn check(steps: &[Step], unsure: bool, never: bool) {
        let work = work(steps);
        assert_eq!(!work.unsure().requests[0].is_empty(), unsure, "{steps:?}");
        let (at, by) = (Use::Request(0), steps.contains(&CAPTURE).then_some(1));
        let expected = never.then_some(Uncaptured { at, value: 0, by });
        assert_eq!(work.never_captured(), expected, "{steps:?}");
    }

    #[test]
    fn what_every_way_captures_is_sure_and_what_none_does_is_never_there() {
        let again = |to| Step::Again { counter: 0, most: 2, to };
        check(&[CAPTURE, USE], false, false);
        check(&[USE, CAPTURE], true, true);
        check(&[USE], true, true);
        check(&[OTHER, OTHER], false, false);
        // A branch, and one on either side.
        check(&[OTHER, unless(3), CAPTURE, USE], true, false);
        check(&[OTHER, unless(4), CAPTURE, Step::Jump(5), CAPTURE, USE], false, false);
        check(&[OTHER, unless(4), CAPTURE, Step::Jump(5), USE], true, true);
        // A loop: in its first pass it is not there.
        check(&[OTHER, Step::Loop(0), USE, CAPTURE, again(2)], true, false);
        check(&[OTHER, Step::Loop(0), CAPTURE, USE, again(2)], false, false);
        check(&[OTHER, Step::Loop(0), unless(5), CAPTURE, again(2), USE], true, false);
    }

    #[test]
    fn what_is_captured_once_is_there_for_who_comes_by() {
        let once = |to| Step::Once { mark: 0, to };
        check(&[once(3), CAPTURE, Step::Mark(0), USE], false, false);
        // Before the block it is there from the second time on.
        check(&[USE, once(4), CAPTURE, Step::Mark(0)], true, false);
    }

    #[test]
    fn a_condition_that_compares_is_one_that_uses_and_one_that_asks_first_is_not() {
        let on = |condition| {
            let work = work(&[OTHER, Step::Unless { condition, to: 3 }, CAPTURE]);
            let never = work.never_captured().map(|found| (found.at, found.by));
            (!work.unsure().conditions[usize::from(condition)].is_empty(), never)
        };
        assert_eq!(on(1), (true, Some((Use::Condition(1), Some(1)))));
        assert_eq!([on(0), on(2)], [(false, None), (false, None)]);
    }
}
