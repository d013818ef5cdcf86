//! A live bar for a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pummel_engine::coordinator::Tick;
use pummel_engine::units::Nanos;

use super::{Course, View, words};
use crate::output::stderr;

/// Short, so that a line of 70 columns has room for the counts, which come first in the words.
const TEMPLATE: &str = "{prefix} {bar:10} {wide_msg}";

/// Redraws per second at most; ticks may come faster.
const REDRAWS: u8 = 10;

/// The bar counts milliseconds where time bounds the run, else requests.
pub(super) struct Bar {
    bar: ProgressBar,
    course: Course,
}

impl Bar {
    pub(super) fn new(course: Course) -> Self {
        let stop = course.stop;
        let length = match (stop.limit.duration(), stop.limit.requests()) {
            (Some(length), _) => millis(stop.warmup + length),
            (None, Some(count)) => count.get(),
            (None, None) => 0,
        };
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
        let bar = ProgressBar::with_draw_target(Some(length), target);
        // The template is a constant; were it wrong, the default style would serve.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        Self { bar, course }
    }
}

impl View for Bar {
    fn tick(&mut self, tick: &Tick) {
        let position = match self.course.stop.limit.duration() {
            Some(_) => millis(tick.elapsed),
            None => tick.ledger.accounted(),
        };
        self.bar.set_prefix(self.course.place(tick));
        self.bar.set_message(words(tick));
        self.bar.set_position(position);
    }

    fn draining(&mut self) {
        self.course.draining = true;
        self.bar.set_message("waiting for the last answers");
    }

    fn say(&mut self, text: &str) {
        self.bar.suspend(|| stderr::line(text));
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(span: Nanos) -> u64 {
    span.get() / 1_000_000
}
