//! The load in words, as reports call it.

use core::cmp::Ordering;

use pummel_engine::plan::{
    Arrivals, Cookies, Load, OnFull, Pacing, Plan, Shape, Spawn, Stage, Stages, Timetable, Until,
};
use pummel_engine::report::Report;
use pummel_engine::units::{Nanos, Rate};

use super::{counted, per_time, wire};

/// The name of the loop.
pub(super) const fn model(load: &Load) -> &'static str {
    match load {
        Load::Closed { .. } => "closed",
        Load::Open { .. } => "open",
    }
}

/// Scenarios of the window that were gone through to their ends, per second; `None` where each is
/// one request, or where there are too many to tell.
#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
pub(super) fn scenarios_per_second(report: &Report) -> Option<f64> {
    let flows = report.plan.work.flows().into_iter().zip(&report.totals.flows);
    let scenarios = flows.filter(|(flow, _)| !flow.group).map(|(_, flow)| flow.completed);
    let completed = scenarios.reduce(|sum, more| sum + more)?;
    let window = report.window;
    Some(if window == Nanos::ZERO { 0.0 } else { completed as f64 / window.as_secs_f64() })
}

/// The name of the arrivals, as a flag and in JSON.
pub(super) const fn arrivals(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Constant => "constant",
        Arrivals::Poisson => "poisson",
        Arrivals::UniformJitter => "uniform-jitter",
    }
}

/// The name of what becomes of a slot that finds no free connection.
pub(super) const fn on_full(on_full: OnFull) -> &'static str {
    match on_full {
        OnFull::Queue => "queue",
        OnFull::Drop => "drop",
        OnFull::Grow { .. } => "grow",
    }
}

/// The name of whether users keep cookies, as a flag has it.
pub(super) fn cookies(cookies: Option<&Cookies>) -> &'static str {
    match cookies.map(|cookies| cookies.until) {
        None => "off",
        Some(Until::End) => "on",
        Some(Until::Scenario) => "iteration",
    }
}

/// The name of a way to wait.
pub(super) const fn pacing(pacing: Pacing) -> &'static str {
    match pacing {
        Pacing::Sleep => "sleep",
        Pacing::Hybrid => "hybrid",
        Pacing::Spin => "spin",
    }
}

/// The stages of a timetable that has any, beside one rate for ever.
pub(super) fn stages(timetable: &Timetable) -> Option<&[Stage]> {
    match &timetable.shape {
        Shape::Stages(stages) => Some(stages.all()).filter(|_| !is_for_ever(stages)),
        Shape::Bursts { .. } => None,
    }
}

fn is_for_ever(stages: &Stages) -> bool {
    stages.only_rate().is_some() && stages.all().iter().all(|stage| stage.length == Nanos::MAX)
}

/// What is to be said of the load, the most important first.
pub(super) fn parts(plan: &Plan) -> Vec<String> {
    let most = match plan.load {
        Load::Open { on_full: OnFull::Grow { most }, .. } => most,
        _ => plan.connections,
    };
    let each = if plan.servers() > 1 { " to each host" } else { "" };
    let connections = match most.cmp(&plan.connections) {
        Ordering::Greater => format!("{} to {most} connections{each}", plan.connections),
        _ => counted(u64::from(plan.connections.get()), "connection") + each,
    };
    let pipeline = Some(plan.load.pipeline().get()).filter(|&depth| depth > 1);
    let (flow, policy) = match &plan.load {
        Load::Closed { spawn, .. } => ("closed loop".to_owned(), spawn.map(joining)),
        Load::Open { timetable, on_full, .. } => {
            let drops = (*on_full == OnFull::Drop).then(|| "drops when none is free".to_owned());
            (flow(timetable), drops)
        }
    };
    let deadline = plan.timeouts.deadline.map(|deadline| format!("deadline {deadline}"));
    // A closed loop waits for nothing but answers.
    let pacing = plan.load.is_open().then(|| format!("{} pacing", pacing(plan.pacing)));
    let pipeline = pipeline.map(|depth| format!("pipeline {depth}"));
    let begin = [Some(flow), Some(connections), policy, pipeline];
    let end = [deadline, pacing, Some(format!("seed {}", plan.seed))];
    let (begin, end) = (begin.into_iter().flatten(), end.into_iter().flatten());
    begin.chain(wire::parts(plan)).chain(end).collect()
}

fn joining(Spawn { count, every }: Spawn) -> String {
    format!("{count} more every {every}")
}

fn flow(timetable: &Timetable) -> String {
    let scatter = match timetable.arrivals {
        Arrivals::Constant => None,
        scattered => Some(format!("{} arrivals", arrivals(scattered))),
    };
    match &timetable.shape {
        Shape::Bursts { count, every } => format!("open loop in bursts of {count} every {every}"),
        Shape::Stages(all) if is_for_ever(all) => {
            let scatter = scatter.map_or(String::new(), |scatter| format!(", {scatter}"));
            let rate = all.only_rate().map_or(0.0, Rate::per_second);
            format!("open loop{scatter} at {}", per_time(rate))
        }
        Shape::Stages(all) => {
            let scatter = scatter.map_or(String::new(), |scatter| format!(", {scatter}"));
            let stages = counted(all.all().len() as u64, "stage");
            format!("open loop in {stages}{scatter}, {}", range(all))
        }
    }
}

/// From the lowest rate to the highest.
pub(super) fn range(stages: &Stages) -> String {
    let ends = stages.all().iter().flat_map(|stage| [stage.from, stage.to]);
    let rates: Vec<f64> = ends.map(|rate| rate.map_or(0.0, Rate::per_second)).collect();
    let low = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let high = rates.iter().copied().fold(0.0, f64::max);
    if low < high {
        format!("{} to {}", per_time(low), per_time(high))
    } else {
        format!("all at {}", per_time(high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::{NonZeroU8, NonZeroU32, NonZeroU64};

    fn rate(per_second: u64) -> Option<Rate> {
        Rate::new(per_second, Nanos::from_secs(1))
    }

    fn staged(stages: &[(u64, u64)], arrivals: Arrivals) -> Timetable {
        let length = Nanos::from_secs(1);
        let stage = |&(from, to)| Stage { length, from: rate(from), to: rate(to) };
        let stages = Stages::new(stages.iter().map(stage).collect()).unwrap();
        Timetable { shape: Shape::Stages(stages), arrivals }
    }

    #[test]
    fn a_schedule_is_told_by_its_form_and_its_rates() {
        let constant = Timetable::constant(rate(700).unwrap());
        let poisson = Timetable { arrivals: Arrivals::Poisson, ..constant.clone() };
        let count = NonZeroU64::new(10).unwrap();
        let shape = Shape::Bursts { count, every: Nanos::from_millis(250) };
        let bursts = Timetable { shape, arrivals: Arrivals::Constant };
        let rise = staged(&[(1_000, 1_000), (1_000, 5_000), (5_000, 5_000)], Arrivals::Constant);
        let pause = staged(&[(100, 100), (0, 0), (100, 100)], Arrivals::UniformJitter);
        for (timetable, told) in [
            (constant, "open loop at 700/s"),
            (poisson, "open loop, poisson arrivals at 700/s"),
            (bursts, "open loop in bursts of 10 every 250 ms"),
            (rise, "open loop in 3 stages, 1000/s to 5000/s"),
            (pause, "open loop in 3 stages, uniform-jitter arrivals, 0/s to 100/s"),
            (staged(&[(5, 5)], Arrivals::Constant), "open loop in 1 stage, all at 5.00/s"),
        ] {
            assert_eq!(flow(&timetable), told);
        }
    }

    #[test]
    fn connections_are_told_with_how_many_they_become() {
        let count = NonZeroU32::new(5).unwrap();
        let spawn = Spawn { count, every: Nanos::from_millis(100) };
        assert_eq!(joining(spawn), "5 more every 100 ms");
        let timetable = Timetable::constant(rate(7).unwrap());
        let pipeline = NonZeroU8::MIN;
        let most = NonZeroU32::new(640).unwrap();
        let with = |on_full| {
            let timetable = timetable.clone();
            let load = Load::Open { timetable, pipeline, on_full };
            parts(&super::super::tests::plan(load)).join(", ")
        };
        let beginning = "open loop at 7.00/s, 64";
        assert_eq!(with(OnFull::Queue), format!("{beginning} connections, sleep pacing, seed 7"));
        let drops =
            format!("{beginning} connections, drops when none is free, sleep pacing, seed 7");
        assert_eq!(with(OnFull::Drop), drops);
        assert_eq!(
            with(OnFull::Grow { most }),
            format!("{beginning} to 640 connections, sleep pacing, seed 7")
        );
    }
}
