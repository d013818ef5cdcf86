//! A live bar for a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pummel_engine::coordinator::Tick;
use pummel_engine::units::Nanos;

use super::{View, Whole, words};

/// Redraws per second at most; ticks may come faster.
const REDRAWS: u8 = 10;

/// The bar counts milliseconds where time bounds the run, else requests.
pub(super) struct Bar {
    bar: ProgressBar,
    whole: Whole,
}

impl Bar {
    pub(super) fn new(whole: Whole) -> Self {
        let stop = whole.0;
        let length = match (stop.limit.duration(), stop.limit.requests()) {
            (Some(length), _) => millis(stop.warmup + length),
            (None, Some(count)) => count.get(),
            (None, None) => 0,
        };
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
        let bar = ProgressBar::with_draw_target(Some(length), target);
        // The template is a constant; were it wrong, the default style would serve.
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {wide_msg}") {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        Self { bar, whole }
    }
}

impl View for Bar {
    fn tick(&mut self, tick: &Tick) {
        let stop = self.whole.0;
        let elapsed = tick.elapsed.as_secs_f64();
        let (position, prefix) = match stop.limit.duration() {
            Some(length) => {
                let total = (stop.warmup + length).as_secs_f64();
                (millis(tick.elapsed), format!("{elapsed:.1}/{total:.1} s"))
            }
            None => (tick.ledger.accounted(), format!("{elapsed:.1} s")),
        };
        self.bar.set_prefix(prefix);
        self.bar.set_message(words(tick));
        self.bar.set_position(position);
    }

    fn draining(&mut self) {
        self.bar.set_message("waiting for the last answers");
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(span: Nanos) -> u64 {
    span.get() / 1_000_000
}
