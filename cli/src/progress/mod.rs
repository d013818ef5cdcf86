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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use pummel_engine::coordinator::{Control, Event, Observers, Tick};
use pummel_engine::plan::{Plan, Stop};
use pummel_engine::reactor::thread::keep_off;
use pummel_engine::record::Quantile;
use pummel_engine::report::Report;
use pummel_engine::units::Nanos;

use crate::config;
use crate::output::{self, counted, stderr};

/// What an interruption is answered with. The engine gives an interrupted run this one second.
const STOPPING: &str =
    "stopping: waiting up to 1 s for last answers; Ctrl-C again quits without a report";

/// How far a run is, and how far it goes as far as that is known beforehand.
#[derive(Clone, Copy, Debug)]
struct Course {
    stop: Stop,
    /// Whether the window is over.
    draining: bool,
}

impl Course {
    /// Where in the run a tick lies: `5.0 s of 10 s`, or `11 s, draining`.
    fn place(&self, tick: &Tick) -> String {
        let total = self.stop.limit.duration().map(|length| self.stop.warmup + length);
        let elapsed = seconds(tick.elapsed);
        if self.draining || total.is_some_and(|total| tick.elapsed > total) {
            return format!("{elapsed}, draining");
        }
        let total = total.map_or(String::new(), |total| format!(" of {}", seconds(total)));
        let warming = if tick.warming_up { ", warming up" } else { "" };
        format!("{elapsed}{total}{warming}")
    }
}

/// With tenths where they matter.
fn seconds(span: Nanos) -> String {
    let seconds = span.as_secs_f64();
    let decimals = usize::from(seconds < 9.95);
    format!("{seconds:.decimals$} s")
}

/// A view of a run; several exist.
trait View {
    /// Numbers of the moment.
    fn tick(&mut self, tick: &Tick);
    /// Nothing starts any more.
    fn draining(&mut self);
    /// Numbers of the whole run, which is over.
    fn finished(&mut self, _whole: &Tick) {}
    /// Says a line that stays.
    fn say(&mut self, text: &str);
    /// The run is over; leaves the terminal as it was.
    fn end(&mut self);
}

/// Longest wait for the display to go: far more than it takes where standard error is read.
const PATIENCE: Duration = Duration::from_millis(500);

/// A running display. The channel is disconnected when it is gone.
pub(crate) struct Progress(Receiver<Infallible>);

impl Progress {
    /// Shows the run of `plan` from its start on, whether it was interrupted by `control`, and what
    /// is `told` meanwhile.
    pub(crate) fn watch(
        plan: &Plan,
        form: config::Progress,
        observers: &mut Observers,
        control: &Control,
        told: Option<Receiver<String>>,
    ) -> Self {
        let events = observers.add();
        let course = Course { stop: plan.stop, draining: false };
        let servers = u32::try_from(plan.servers()).unwrap_or(u32::MAX);
        let connections = plan.connections.get().saturating_mul(servers);
        let scenarios = plan.work.scenarios().iter().map(|scenario| scenario.name.clone());
        let scenarios = scenarios.collect();
        let interrupted = Some(control.stop_flag());
        let live = form == config::Progress::Live && io::stderr().is_terminal();
        let (running, gone) = mpsc::channel();
        let cpus = plan.cores.cpus().to_vec();
        let display = move || {
            keep_off(&cpus);
            let _running = running;
            let view: Box<dyn View> = if live {
                Box::new(bar::Bar::new(course))
            } else {
                Box::new(lines::Lines::new(course))
            };
            let display =
                Display { view, connections, scenarios, interrupted, told, warning: None };
            display.show(events);
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

/// The body of the display's thread.
struct Display {
    view: Box<dyn View>,
    connections: u32,
    /// Names of the scenarios, for what is said of their weights.
    scenarios: Vec<String>,
    /// Set by an interruption; gone once that has been answered.
    interrupted: Option<Arc<AtomicBool>>,
    /// What others have to say, who must not write beside the view.
    told: Option<Receiver<String>>,
    /// Said when the view is gone.
    warning: Option<String>,
}

impl Display {
    fn show(mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.event(&event);
        }
        self.view.end();
        if let Some(warning) = self.warning {
            stderr::line(&warning);
        }
    }

    fn event(&mut self, event: &Event) {
        // An interruption leads to a drain: it is answered then at the latest.
        if self.interrupted.take_if(|flag| flag.load(Ordering::Relaxed)).is_some() {
            self.view.say(STOPPING);
        }
        for text in self.told.iter().flat_map(Receiver::try_iter) {
            self.view.say(&text);
        }
        match event {
            Event::Started { refused: 0, .. } => {}
            Event::Started { refused, .. } => self.view.say(&format!(
                "{refused} of {} connections could not be opened; retrying",
                self.connections
            )),
            Event::Tick(tick) => self.view.tick(tick),
            Event::Changed(all) => {
                for changed in &**all {
                    self.view.say(&output::changes::sentence(changed, &self.scenarios));
                }
            }
            Event::Draining => self.view.draining(),
            Event::Finished(report) => {
                self.view.finished(&whole(report));
                self.warning = output::warning(report);
            }
        }
    }
}

/// The whole run as one tick: the last of the others does not know yet what has happened since.
fn whole(report: &Report) -> Tick {
    let totals = &report.totals;
    let latency = totals.latency.all();
    Tick {
        elapsed: report.plan.stop.warmup + report.window,
        warming_up: false,
        ledger: totals.ledger,
        troubles: totals.errors.total(),
        starved: totals.starved(),
        rate_per_second: report.achieved_per_second(),
        p50: latency.quantile(Quantile::P50).lo,
        p99: latency.quantile(Quantile::P99).lo,
    }
}

/// The numbers of a moment in words, with the counts of the report:
/// `12.3k/s  0 errors  p50 1.02 ms  p99 4.56 ms`. What matters most comes first: a narrow terminal
/// cuts the end off.
fn words(tick: &Tick) -> String {
    let achieved = match tick.rate_per_second {
        rate if rate < 10_000.0 => output::per_time(rate),
        rate => format!("{:.1}k/s", rate / 1e3),
    };
    let ledger = tick.ledger;
    let of_connections = tick.troubles.saturating_sub(ledger.errors + ledger.timeouts);
    let mut words = vec![achieved, counted(ledger.errors, "error")];
    // Zeros are left out where they are the rule.
    if ledger.failed > 0 {
        words.push(format!("{} failed", ledger.failed));
    }
    if ledger.timeouts > 0 {
        words.push(counted(ledger.timeouts, "timeout"));
    }
    if of_connections > 0 {
        words.push(counted(of_connections, "connection trouble"));
    }
    if tick.starved > 0 {
        words.push(format!("{} starved", tick.starved));
    }
    // A tick without a response has no quantiles.
    words.push(match tick.p99 {
        Nanos::ZERO => "p50 n/a  p99 n/a".to_owned(),
        p99 => format!("p50 {}  p99 {p99}", tick.p50),
    });
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    use pummel_engine::plan::Limit;
    use pummel_engine::record::Ledger;

    /// A run of so many milliseconds.
    pub(super) fn course(millis: u64) -> Course {
        let limit = Limit::Duration(Nanos::from_millis(millis));
        let stop = Stop { warmup: Nanos::ZERO, limit, drain: Nanos::ZERO };
        Course { stop, draining: false }
    }

    /// A tick so many milliseconds after the barrier, with one error and two timeouts.
    pub(super) fn tick(millis: u64) -> Tick {
        Tick {
            elapsed: Nanos::from_millis(millis),
            warming_up: false,
            ledger: Ledger { timeouts: 2, errors: 1, ..Ledger::default() },
            troubles: 3,
            starved: 0,
            rate_per_second: 12_345.0,
            p50: Nanos::from_micros(900),
            p99: Nanos::from_millis(2),
        }
    }

    /// Keeps what it is told to say.
    struct Said(Rc<RefCell<Vec<String>>>);

    impl View for Said {
        fn tick(&mut self, _: &Tick) {}
        fn draining(&mut self) {}
        fn say(&mut self, text: &str) {
            self.0.borrow_mut().push(text.to_owned());
        }
        fn end(&mut self) {}
    }

    #[test]
    fn an_interruption_is_answered_once() {
        let said = Rc::default();
        let control = Control::default();
        let mut display = Display {
            view: Box::new(Said(Rc::clone(&said))),
            connections: 1,
            scenarios: Vec::new(),
            told: None,
            interrupted: Some(control.stop_flag()),
            warning: None,
        };
        display.event(&Event::Tick(tick(500)));
        assert!(said.borrow().is_empty());
        control.stop();
        for event in [Event::Draining, Event::Tick(tick(1_000))] {
            display.event(&event);
        }
        assert_eq!(*said.borrow(), [STOPPING]);
    }

    #[test]
    fn counts_stand_where_a_narrow_terminal_does_not_cut_them() {
        let mut tick = tick(9_900);
        tick.ledger.failed = 3;
        tick.troubles = 7;
        let words = words(&tick);
        assert!(words.contains("1 error  3 failed  2 timeouts  4 connection troubles"), "{words}");
        let before = course(10_000).place(&tick).len() + " ---------- ".len();
        assert!(before + words.find("  4 connection").unwrap() <= 70, "{words}");
    }

    #[test]
    fn a_place_has_tenths_below_ten_seconds_and_knows_the_drain() {
        let mut course = course(3_000);
        assert_eq!(course.place(&tick(400)), "0.4 s of 3.0 s");
        assert_eq!(course.place(&tick(5_000)), "5.0 s, draining");
        course.draining = true;
        assert_eq!(course.place(&tick(400)), "0.4 s, draining");
        course.stop.limit = Limit::Requests(std::num::NonZeroU64::MIN);
        course.draining = false;
        assert_eq!(course.place(&tick(12_345)), "12 s");
    }
}
