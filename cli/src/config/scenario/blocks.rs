//! Blocks of steps: what repeats, what depends, what is chosen. They become steps that lead to
//! places, as the engine takes them.

use pummel_engine::plan::{MARKS_MAX, Step};

use super::Part;
use super::condition::condition;
use super::step::{Around, Builder, REQUEST, names};
use super::template::{Name, Scope};
use crate::config::file::{Fault, Node};

/// Keys that make a step more than a request, or a block.
pub(super) const BLOCK: [&str; 10] =
    ["steps", "group", "if", "else", "repeat", "while", "max", "once", "random", "weight"];

/// Those of which a step has one at most.
const WAYS: [&str; 5] = ["if", "repeat", "while", "once", "random"];

/// Most blocks within each other.
const DEPTH_MAX: usize = 8;

/// Most passes of a `while`, unless it says how many.
const PASSES_MAX: u32 = 1_000;

/// The steps of a scenario, one after the other.
pub(super) struct Blocks<'b, 'a, 'n> {
    pub(super) builder: &'b mut Builder<'a>,
    pub(super) scenario: Part<'n>,
    /// What the scenario is called.
    pub(super) name: &'n str,
    pub(super) steps: Vec<Step>,
    /// Requests so far.
    pub(super) requests: usize,
    /// Loops around.
    pub(super) loops: u8,
}

impl Blocks<'_, '_, '_> {
    /// Adds these steps; `known` are the names that mean something in all of them.
    pub(super) fn list(&mut self, node: &Node, known: &[Name], depth: usize) -> Result<(), Fault> {
        let depth = depth + 1;
        if depth > DEPTH_MAX {
            return Err(node.fault(&format!("is within more than {DEPTH_MAX} blocks")));
        }
        let steps = node.list()?;
        if steps.is_empty() {
            return Err(node.fault("is empty; give at least one step"));
        }
        for step in steps {
            if let Some(weight) = Part(step).get("weight")? {
                return Err(weight.fault("is for what random chooses from; leave it out"));
            }
            self.step(step, known, depth)?;
        }
        Ok(())
    }

    fn step(&mut self, node: &Node, known: &[Name], depth: usize) -> Result<(), Fault> {
        let step = Part(node);
        let mut known = known.to_vec();
        known.extend(names(step.get("vars")?)?);
        let Some(group) = step.get("group")? else { return self.way(step, &known, depth) };
        let name = match (self.name, group.text()?) {
            (_, "") => return Err(group.fault("is empty; give a name")),
            ("", group) => group.to_owned(),
            (scenario, group) => format!("{scenario}: {group}"),
        };
        let group = self.builder.group(name).map_err(|said| group.fault(said))?;
        self.steps.push(Step::Enter(group));
        self.way(step, &known, depth)?;
        self.steps.push(Step::Leave);
        Ok(())
    }

    /// Adds a step as it depends, repeats or chooses.
    fn way(&mut self, step: Part<'_>, known: &[Name], depth: usize) -> Result<(), Fault> {
        let mut ways = Vec::new();
        for key in WAYS {
            ways.extend(step.get(key)?.map(|node| (key, node)));
        }
        if let [(first, _), (_, second), ..] = ways[..] {
            let said =
                format!("and {first} do not go together; put one into the steps of the other");
            return Err(second.fault(&said));
        }
        let way = ways.first().copied();
        for (key, of) in [("else", "if"), ("max", "while")] {
            if let Some(node) = step.get(key)?
                && way.is_none_or(|(way, _)| way != of)
            {
                return Err(node.fault(&format!("goes with {of}; leave it out")));
            }
        }
        match way {
            None => self.body(step, known, depth),
            Some(("if", node)) => self.either(step, node, known, depth),
            Some(("repeat", node)) => {
                let most = count(node)?;
                self.repeat(most, |blocks| blocks.body(step, known, depth))
            }
            Some(("while", node)) => self.again(step, node, known, depth),
            Some(("once", node)) => {
                if node.boolean()? {
                    self.once(step, node, known, depth)
                } else {
                    self.body(step, known, depth)
                }
            }
            Some((_, node)) => self.any(step, node, known, depth),
        }
    }

    /// Adds what a step does: its request with the pause behind it, or the steps in it.
    fn body(&mut self, step: Part<'_>, known: &[Name], depth: usize) -> Result<(), Fault> {
        if let Some(steps) = step.get("steps")? {
            no_request(step, "steps")?;
            return self.list(steps, known, depth);
        }
        self.requests += 1;
        let scope = Scope { names: known.to_vec(), step: self.requests };
        let around = Around { scenario: Some(self.scenario), name: self.name, scope };
        let request = self.builder.request(step, &around)?;
        self.steps.push(request);
        if let Some(pause) = step.get("think_time")? {
            let span = pause.span_of_time()?;
            let span = crate::config::duration::parse(&span);
            self.steps.push(Step::Think(span.map_err(|reason| pause.because(&reason))?));
        }
        Ok(())
    }

    fn either(
        &mut self,
        step: Part<'_>,
        node: &Node,
        known: &[Name],
        depth: usize,
    ) -> Result<(), Fault> {
        let condition = self.condition(node, known)?;
        let unless = self.later();
        self.body(step, known, depth)?;
        match step.get("else")? {
            None => self.settle(unless, node, |to| Step::Unless { condition, to }),
            Some(other) => {
                let end = self.later();
                self.settle(unless, node, |to| Step::Unless { condition, to })?;
                self.list(other, known, depth)?;
                self.settle(end, node, Step::Jump)
            }
        }
    }

    /// Adds as many passes of `body`.
    fn repeat(
        &mut self,
        most: u32,
        body: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let counter = self.loops;
        self.loops += 1;
        self.steps.push(Step::Loop(counter));
        let to = self.steps.len();
        body(self)?;
        // What is beyond a `u16` is refused with the number of steps.
        let to = u16::try_from(to).unwrap_or(u16::MAX);
        self.steps.push(Step::Again { counter, most, to });
        self.loops -= 1;
        Ok(())
    }

    fn again(
        &mut self,
        step: Part<'_>,
        node: &Node,
        known: &[Name],
        depth: usize,
    ) -> Result<(), Fault> {
        let most = step.get("max")?.map_or(Ok(PASSES_MAX), count)?;
        let condition = self.condition(node, known)?;
        let mut leave = 0;
        self.repeat(most, |blocks| {
            leave = blocks.later();
            blocks.body(step, known, depth)
        })?;
        let late = self.later();
        self.steps.push(Step::GiveUp);
        for unless in [leave, late] {
            self.settle(unless, node, |to| Step::Unless { condition, to })?;
        }
        Ok(())
    }

    fn once(
        &mut self,
        step: Part<'_>,
        node: &Node,
        known: &[Name],
        depth: usize,
    ) -> Result<(), Fault> {
        let mark = self.builder.mark().ok_or_else(|| {
            node.fault(&format!("is one too many; a run has at most {MARKS_MAX}"))
        })?;
        let once = self.later();
        self.body(step, known, depth)?;
        self.steps.push(Step::Mark(mark));
        self.settle(once, node, |to| Step::Once { mark, to })
    }

    /// Adds one of several steps by weight.
    fn any(
        &mut self,
        step: Part<'_>,
        node: &Node,
        known: &[Name],
        depth: usize,
    ) -> Result<(), Fault> {
        no_request(step, "random")?;
        if let Some(steps) = step.get("steps")? {
            return Err(steps.fault("and random do not go together; put them into it"));
        }
        if depth + 1 > DEPTH_MAX {
            return Err(node.fault(&format!("is within more than {DEPTH_MAX} blocks")));
        }
        let options = node.list()?;
        let mut weights = Vec::new();
        for option in options {
            weights.push(super::weight(Part(option))?.get());
        }
        let sum = weights.iter().try_fold(0_u32, |sum, &weight| sum.checked_add(weight));
        let mut left = sum.ok_or_else(|| node.fault("has weights that are too large together"))?;
        let Some((last, others)) = options.split_last() else {
            return Err(node.fault("is empty; give at least two steps"));
        };
        let mut ends = Vec::new();
        for (option, weight) in others.iter().zip(weights) {
            let chance = self.later();
            self.step(option, known, depth + 1)?;
            ends.push(self.later());
            self.settle(chance, node, |to| Step::Chance { weight, of: left, to })?;
            left -= weight;
        }
        self.step(last, known, depth + 1)?;
        ends.into_iter().try_for_each(|end| self.settle(end, node, Step::Jump))
    }

    fn condition(&mut self, node: &Node, known: &[Name]) -> Result<u16, Fault> {
        let scope = Scope { names: known.to_vec(), step: self.requests + 1 };
        let condition = condition(node, &mut self.builder.variables, &scope)?;
        self.builder.condition(condition, node).map_err(|said| node.fault(said))
    }

    /// Leaves room for a step that leads to where it is not known yet; returns its number.
    fn later(&mut self) -> usize {
        self.steps.push(Step::GiveUp);
        self.steps.len() - 1
    }

    /// The step with this number leads to here.
    fn settle(
        &mut self,
        number: usize,
        node: &Node,
        step: impl FnOnce(u16) -> Step,
    ) -> Result<(), Fault> {
        let here = u16::try_from(self.steps.len());
        let here = here.map_err(|_| node.fault("has more steps before it than there may be"))?;
        let step = step(here);
        self.steps.get_mut(number).into_iter().for_each(|place| *place = step);
        Ok(())
    }
}

/// All steps of a list, with those within them, in their order.
pub(super) fn all(steps: &[Node]) -> Result<Vec<&Node>, Fault> {
    let (mut all, mut open) = (Vec::new(), steps.iter().rev().collect::<Vec<_>>());
    while let Some(node) = open.pop() {
        all.push(node);
        for key in ["random", "else", "steps"] {
            if let Some(list) = Part(node).get(key)? {
                open.extend(list.list()?.iter().rev());
            }
        }
    }
    Ok(all)
}

fn count(node: &Node) -> Result<u32, Fault> {
    let count = u32::try_from(node.integer()?).ok().filter(|&count| count > 0);
    count.ok_or_else(|| node.fault("is no number of passes; give 1 to 4294967295"))
}

/// Refuses what is for requests in a block.
fn no_request(block: Part<'_>, kind: &str) -> Result<(), Fault> {
    for key in REQUEST.into_iter().filter(|&key| key != "vars") {
        if let Some(node) = block.get(key)? {
            let said = format!("is for a request; put it into one of the {kind}");
            return Err(node.fault(&said));
        }
    }
    Ok(())
}
