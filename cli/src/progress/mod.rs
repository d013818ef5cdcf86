//! Progress: an observer on a thread of its own, which shows a run on standard error while it
//! lasts.
//!
//! It reads from a bounded queue that the engine never waits for: a slow terminal loses ticks, not
//! requests. Nor does the report wait for long: a standard error that takes nothing any more (a
//! full pipe, a terminal under Ctrl-S) loses the display.

mod bar;
mod lines;

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use pummel_engine::coordinator::{Event, Observers, Tick};
use pummel_engine::plan::{Plan, Stop};
use pummel_engine::units::Nanos;

use crate::config;
use crate::output::stderr;

/// The end of a run, as far as it is known beforehand.
#[derive(Clone, Copy, Debug)]
struct Whole(Stop);

/// A view of a run; several exist.
trait View {
    /// Numbers of the moment.
    fn tick(&mut self, tick: &Tick);
    /// Nothing starts any more.
    fn draining(&mut self);
    /// The run is over; leaves the terminal as it was.
    fn end(&mut self);
}

/// Longest wait for the display to go: far more than it takes where standard error is read.
const PATIENCE: Duration = Duration::from_millis(500);

/// A running display. The channel is disconnected when it is gone.
pub(crate) struct Progress(Receiver<Infallible>);

impl Progress {
    /// Shows the run of `plan` from its start on.
    pub(crate) fn watch(plan: &Plan, form: config::Progress, observers: &mut Observers) -> Self {
        let events = observers.add();
        let whole = Whole(plan.stop);
        let connections = plan.connections.get();
        let live = form == config::Progress::Live && io::stderr().is_terminal();
        let (running, gone) = mpsc::channel();
        let display = move || {
            let _running = running;
            let mut view: Box<dyn View> = if live {
                Box::new(bar::Bar::new(whole))
            } else {
                Box::new(lines::Lines::new(whole))
            };
            for event in events {
                match event {
                    Event::Started { refused: 0, .. } | Event::Finished(_) => {}
                    Event::Started { refused, .. } => stderr::line(&format!(
                        "{refused} of {connections} connections could not be opened; retrying"
                    )),
                    Event::Tick(tick) => view.tick(&tick),
                    Event::Draining => view.draining(),
                }
            }
            view.end();
        };
        // A machine that has no thread left for a display can still run.
        let _ = thread::Builder::new().name("progress".to_owned()).spawn(display);
        Self(gone)
    }

    /// Waits until the display is gone, but not for ever. The engine has closed the queue by then.
    pub(crate) fn end(self) {
        // Disconnected, or the time is over. A display that panicked has said so itself.
        let _ = self.0.recv_timeout(PATIENCE);
    }
}

/// The numbers of a moment in words: `12.3k/s  p50 1.02 ms  p99 4.56 ms  0 errors`.
fn words(tick: &Tick) -> String {
    let rate = tick.rate_per_second;
    let rate = if rate < 10_000.0 { format!("{rate:.0}") } else { format!("{:.1}k", rate / 1e3) };
    let errors = tick.ledger.errors + tick.ledger.timeouts;
    let failed = match tick.ledger.failed {
        0 => String::new(),
        count => format!("  {count} failed"),
    };
    let warming = if tick.warming_up { "  warming up" } else { "" };
    // A tick without a response has no quantiles.
    let quantiles = match tick.p99 {
        Nanos::ZERO => "p50 n/a  p99 n/a".to_owned(),
        p99 => format!("p50 {}  p99 {p99}", tick.p50),
    };
    format!("{rate}/s  {quantiles}  {errors} errors{failed}{warming}")
}
