//! A line every few seconds, and one at the end, for a pipe or a log.

use pummel_engine::coordinator::Tick;
use pummel_engine::units::Nanos;

use super::{Course, View, words};
use crate::output::stderr;

/// The first line comes early: somebody wants to see that the run has begun.
const FIRST: Nanos = Nanos::from_secs(1);

/// Time between lines.
const EVERY: Nanos = Nanos::from_secs(5);

pub(super) struct Lines {
    course: Course,
    due: Nanos,
    /// What is said at the end, because something was seen since the last line.
    unsaid: Option<String>,
}

impl Lines {
    pub(super) fn new(course: Course) -> Self {
        Self { course, due: FIRST, unsaid: None }
    }

    fn compose(&self, tick: &Tick) -> String {
        format!("{}  {}", self.course.place(tick), words(tick))
    }

    /// The line for this tick, if one is due.
    fn line(&mut self, tick: &Tick) -> Option<String> {
        let line = self.compose(tick);
        if tick.elapsed < self.due {
            self.unsaid = Some(line);
            return None;
        }
        self.unsaid = None;
        let periods = tick.elapsed.get() / EVERY.get();
        self.due = EVERY.saturating_mul(periods + 1);
        Some(line)
    }
}

impl View for Lines {
    fn tick(&mut self, tick: &Tick) {
        if let Some(line) = self.line(tick) {
            stderr::line(&line);
        }
    }

    fn draining(&mut self) {
        self.course.draining = true;
    }

    fn finished(&mut self, whole: &Tick) {
        self.course.draining = false;
        if self.unsaid.is_some() {
            self.unsaid = Some(self.compose(whole));
        }
    }

    fn say(&mut self, text: &str) {
        stderr::line(text);
    }

    fn end(&mut self) {
        if let Some(line) = self.unsaid.take() {
            stderr::line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{course, tick};
    use super::*;

    #[test]
    fn a_line_comes_after_one_second_and_then_at_every_fifth() {
        let mut lines = Lines::new(course(10_000));
        let mut shown = Vec::new();
        for tenth in 0..130 {
            shown.extend(lines.line(&tick(tenth * 100)));
        }
        assert_eq!(shown.len(), 3);
        let words = "12.3k/s  1 error  2 timeouts  p50 900 µs  p99 2.00 ms";
        assert_eq!(shown[1], format!("5.0 s of 10 s  {words}"));
        assert_eq!(lines.unsaid, Some(format!("13 s, draining  {words}")));
    }

    #[test]
    fn a_run_too_short_for_a_line_gets_one_at_its_end() {
        let mut lines = Lines::new(course(700));
        assert_eq!(lines.line(&tick(500)), None);
        assert!(lines.unsaid.as_ref().unwrap().starts_with("0.5 s of 0.7 s  "));
        assert_eq!(lines.line(&tick(800)), None);
        lines.finished(&tick(700));
        assert!(lines.unsaid.as_ref().unwrap().starts_with("0.7 s of 0.7 s  "));
        assert!(lines.line(&tick(1_000)).is_some());
        lines.finished(&tick(700));
        assert_eq!(lines.unsaid, None);
    }
}
