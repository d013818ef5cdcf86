//! Looks for edits of the configuration file while a run goes on, on a thread of its own, and has
//! the run take them over.
//!
//! It asks for the file's metadata now and then: this sees a file that is written again, another
//! one that is put in its place, and one behind a link or on another machine, all alike. An edit
//! counts when two looks have found the same, so that a file is not read while it is written.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use pummel_engine::coordinator::Control;
use pummel_engine::plan::{CHANGES_MAX, Change, Plan};
use pummel_engine::reactor::thread::{keep_off, set_low_priority};

use crate::args::Typed;
use crate::config::{self, Outline, Settings, Surroundings};
use crate::exit::Failure;
use crate::output::stderr;

/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(100);

/// As much as the coordinator's.
const NICENESS: i32 = 10;

/// Most edits of a run: each may change three things.
const EDITS_MAX: usize = CHANGES_MAX / 3;

/// What is said behind an edit that cannot be taken over.
const KEPT: &str = "the run goes on as it was";

/// A file under watch, until it is let go.
pub(crate) struct Edits {
    /// Never sent to; the thread ends when it is gone.
    _running: Sender<Infallible>,
}

/// What edits are understood with.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) typed: Typed,
    pub(crate) around: Surroundings,
    /// What the run was begun with.
    pub(crate) outline: Outline,
}

/// The outside of a file, by which an edit is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Takes edits over.
struct Editor {
    source: Source,
    plan: Plan,
    control: Control,
    /// The load that the run has, as far as it was asked for.
    last: Change,
    made: usize,
}

impl Edits {
    /// Begins to look, away from the shards, and tells `control` what becomes of the load of
    /// `plan`. What the user should know of edits comes out of the queue.
    ///
    /// `None` where there is no thread left for it.
    pub(crate) fn start(
        source: Source,
        plan: &Plan,
        last: Change,
        control: &Control,
    ) -> Option<(Self, Receiver<String>)> {
        let (running, end) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (plan, control) = (plan.clone(), control.clone());
        let body = move || {
            set_low_priority(NICENESS);
            keep_off(plan.cores.cpus());
            Editor { source, plan, control, last, made: 0 }.until(&end, &tell);
        };
        // Nobody waits for it: a file may be far away.
        thread::Builder::new().name("edits".to_owned()).spawn(body).ok()?;
        Some((Self { _running: running }, told))
    }
}

impl Editor {
    /// Looks until nobody holds the other end of `end` any more.
    fn until(mut self, end: &Receiver<Infallible>, tell: &Sender<String>) {
        let (mut before, mut taken) = (None, None);
        while end.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
            let seen = self.look();
            let settled = before == Some(seen);
            before = Some(seen);
            if !settled || taken == Some(seen) {
                continue;
            }
            // The first time it is what the run began with, if nobody was quick.
            let first = taken.replace(seen).is_none();
            let said = match self.take_over() {
                Ok(true) => None,
                Ok(false) if first => None,
                Ok(false) => Some(format!(
                    "{}: nothing of the load is different",
                    self.source.outline.file().display()
                )),
                Err(failure) => Some(format!("{}; {KEPT}", stderr::once(&failure.error))),
            };
            // If nobody listens any more, the run is over.
            let _over = said.map(|said| tell.send(said));
        }
    }

    fn look(&self) -> Option<Stamp> {
        let found = fs::metadata(self.source.outline.file()).ok()?;
        Some(Stamp {
            place: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// Reads the file, and has the run take over what is different; says whether anything is.
    fn take_over(&mut self) -> Result<bool, Failure> {
        let Source { typed, around, outline } = &self.source;
        let named = outline.file().display();
        if !outline.file().exists() {
            return Err(Failure::usage(anyhow!("{named} is gone")));
        }
        let settings = Settings::gather(typed, around)?;
        settings.ensure_steady(outline)?;
        let config = settings.understand()?;
        let change = config::change(&self.plan, &config)
            .map_err(|error| settings.explain(Failure::usage(error)))?;
        // How quickly is no matter where there is nowhere to go.
        if change == (Change { transition: change.transition, ..self.last.clone() }) {
            return Ok(false);
        }
        if self.made == EDITS_MAX {
            let said = anyhow!("{named}: a run takes no more than {EDITS_MAX} edits");
            return Err(Failure::usage(said));
        }
        self.made += 1;
        self.last = change.clone();
        self.control.change(change);
        Ok(true)
    }
}
