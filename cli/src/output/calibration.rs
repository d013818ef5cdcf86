//! The calibration in a report: what this machine can do at best, and how far the run was from it.

use std::io::{self, Write};

use pummel_engine::report::Report;
use serde::Serialize;

use super::per_time;
use crate::calibrate::{Calibration, Floor, Headroom};

/// The calibration as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    floor_p50_ns: Option<u64>,
    floor_p99_ns: Option<u64>,
    ceiling_per_s: f64,
    /// The ceiling over the achieved rate.
    headroom_rate: Option<f64>,
    /// The p50 over that of the floor.
    headroom_latency: Option<f64>,
    /// Whether the run was so near to either that the client may be what was measured.
    marked: bool,
}

impl Document {
    pub(super) fn of(calibration: &Calibration, report: &Report) -> Self {
        let headroom = calibration.headroom(report);
        Self {
            floor_p50_ns: calibration.floor.map(|floor| floor.p50.get()),
            floor_p99_ns: calibration.floor.map(|floor| floor.p99.get()),
            ceiling_per_s: calibration.ceiling_per_second,
            headroom_rate: headroom.rate,
            headroom_latency: headroom.latency,
            marked: headroom.is_small(),
        }
    }
}

/// Writes the block of the calibration, if there was one.
pub(super) fn write(
    calibration: Option<&Calibration>,
    report: &Report,
    to: &mut dyn Write,
) -> io::Result<()> {
    let Some(calibration) = calibration else { return Ok(()) };
    writeln!(to)?;
    best(calibration, to)?;
    let headroom = calibration.headroom(report);
    writeln!(to, "  headroom     {}", distances(headroom))?;
    if headroom.is_small() {
        let what =
            "within twice of the best: these numbers are the client's as much as the server's";
        writeln!(to, "  *            {what}")?;
    }
    Ok(())
}

/// What this machine can do at best.
pub(crate) fn best(calibration: &Calibration, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "Calibration: the same load against a target that does nothing")?;
    match calibration.floor {
        Some(Floor { p50, p99 }) => writeln!(to, "  floor        {p50} at p50, {p99} at p99")?,
        None => writeln!(to, "  floor        n/a: not enough answers")?,
    }
    writeln!(to, "  ceiling      {}", per_time(calibration.ceiling_per_second))
}

fn distances(headroom: Headroom) -> String {
    let times = |name: &str, of: Option<f64>| match of {
        Some(times) => format!("{name} × {times:.1}"),
        None => format!("{name} n/a"),
    };
    format!("{}, {}", times("rate", headroom.rate), times("latency", headroom.latency))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{closed, environment, paper, sample, verdict};
    use super::super::{Environment, json, text};
    use super::*;
    use pummel_engine::units::Nanos;

    /// A calibration for the sample, which has a p50 of 500 µs and 50 responses per second.
    fn calibrated(floor: Option<u64>, ceiling: f64) -> Environment {
        let floor = floor
            .map(|p50| Floor { p50: Nanos::from_micros(p50), p99: Nanos::from_micros(2 * p50) });
        let calibration = Some(Calibration { floor, ceiling_per_second: ceiling });
        Environment { calibration, ..environment() }
    }

    fn printed(environment: &Environment) -> (String, serde_json::Value) {
        let (mut words, mut document) = (Vec::new(), Vec::new());
        let report = sample(closed());
        let verdict = verdict(&report);
        text::write(&paper(&report, &verdict), environment, &mut words).unwrap();
        json::write(&paper(&report, &verdict), environment, &mut document).unwrap();
        (String::from_utf8(words).unwrap(), serde_json::from_slice(&document).unwrap())
    }

    #[test]
    fn a_run_that_was_not_calibrated_says_nothing_of_it() {
        let (words, document) = printed(&environment());
        assert!(!words.contains("Calibration"));
        assert!(document["calibration"].is_null());
    }

    #[test]
    fn a_run_far_from_the_best_has_room_and_no_mark() {
        let (words, document) = printed(&calibrated(Some(100), 500.0));
        assert!(words.contains("floor        100 µs at p50, 200 µs at p99"), "{words}");
        assert!(words.contains("ceiling      500/s"), "{words}");
        assert!(words.contains("headroom     rate × 10.0, latency × 5."), "{words}");
        assert!(!words.contains("within twice"), "{words}");
        let found = &document["calibration"];
        assert_eq!(found["floor_p50_ns"], 100_000);
        assert_eq!(found["floor_p99_ns"], 200_000);
        assert_eq!(found["ceiling_per_s"], 500.0);
        assert_eq!(found["headroom_rate"], 10.0);
        assert_eq!(found["marked"], false);
    }

    #[test]
    fn a_run_near_the_best_in_either_way_is_marked() {
        for (floor, ceiling) in [(300, 500.0), (100, 90.0)] {
            let (words, document) = printed(&calibrated(Some(floor), ceiling));
            assert!(words.contains("within twice of the best"), "{words}");
            assert_eq!(document["calibration"]["marked"], true);
        }
        for line in printed(&calibrated(Some(300), 90.0)).0.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn what_was_not_answered_has_no_floor() {
        let (words, document) = printed(&calibrated(None, 0.0));
        assert!(words.contains("floor        n/a"), "{words}");
        assert!(document["calibration"]["headroom_latency"].is_null());
    }
}
