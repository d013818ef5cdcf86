//! The times of scenarios and groups: when a user began them, and what it paused since.
//!
//! A flow begins with its first request, when that was intended to start, and ends with its last
//! response. A user is in its scenario, and in the groups around its step: a stack.

use crate::plan::Work;
use crate::record::{FlowEnd, Recorder};
use crate::units::{Instant, Nanos};

/// The flows that all users of a shard are in.
pub(super) struct Laps {
    /// The flow of each scenario, then of each group; empty where no times are kept.
    flows: Box<[u16]>,
    scenarios: usize,
    /// Flows that a user may be in at once.
    most: usize,
    table: Vec<Lap>,
}

/// A flow that a user is in.
#[derive(Clone, Copy)]
struct Lap {
    flow: u16,
    begun: Instant,
    /// What the user had paused before.
    paused: Nanos,
}

/// How far a user is in its flows.
#[derive(Clone, Copy, Default)]
pub(super) struct Track {
    /// Flows that it is in, from the outermost on.
    open: u8,
    /// Those of them whose first request has started.
    begun: u8,
    /// What it has paused before the request under way, in its scenario.
    paused: Nanos,
}

impl Track {
    /// The next request comes after a pause.
    pub(super) fn pause(&mut self, span: Nanos) {
        self.paused += span;
    }
}

impl Laps {
    /// The flows of `work`.
    pub(super) fn new(work: &Work) -> Self {
        let flows = if work.flows().is_empty() { Vec::new() } else { work.flow_of_each() };
        let most = if flows.is_empty() { 0 } else { 1 + work.nested_groups() };
        let scenarios = work.scenarios().len();
        Self { flows: flows.into(), scenarios, most, table: Vec::new() }
    }

    /// Room for one user more.
    pub(super) fn grow(&mut self) {
        let lap = Lap { flow: 0, begun: Instant::from_origin(0), paused: Nanos::ZERO };
        self.table.extend((0..self.most).map(|_| lap));
    }

    /// A user begins a scenario.
    pub(super) fn begin(&mut self, user: u32, scenario: u16) -> Track {
        let mut track = Track::default();
        self.open(user, &mut track, usize::from(scenario));
        track
    }

    /// A user begins a group.
    pub(super) fn enter(&mut self, user: u32, track: &mut Track, group: u16) {
        self.open(user, track, self.scenarios + usize::from(group));
    }

    fn open(&mut self, user: u32, track: &mut Track, index: usize) {
        let Some(&flow) = self.flows.get(index) else { return };
        if let Some(lap) = self.lap(user, track.open) {
            lap.flow = flow;
            track.open += 1;
        }
    }

    /// A request starts that was intended to at `intended`: what had no request yet begins.
    #[inline]
    pub(super) fn start(
        &mut self,
        user: u32,
        track: &mut Track,
        intended: Instant,
        recorder: &mut Recorder,
    ) {
        while track.begun < track.open {
            if let Some(lap) = self.lap(user, track.begun) {
                (lap.begun, lap.paused) = (intended, track.paused);
                recorder.flow_begun(lap.flow, intended);
            }
            track.begun += 1;
        }
    }

    /// What a user began last ends so, `now`; if that was with a response, it was the last one.
    pub(super) fn leave(
        &mut self,
        user: u32,
        track: &mut Track,
        (now, how): (Instant, FlowEnd),
        recorder: &mut Recorder,
    ) {
        let Some(place) = track.open.checked_sub(1) else { return };
        track.open = place;
        if track.begun <= place {
            return;
        }
        track.begun = place;
        if let Some(lap) = self.lap(user, place) {
            let paused = track.paused.saturating_sub(lap.paused);
            let took = now.since(lap.begun).saturating_sub(paused);
            recorder.flow_ended(lap.flow, lap.begun, took, how);
        }
    }

    /// All that a user is in ends so.
    #[inline]
    pub(super) fn end(
        &mut self,
        user: u32,
        track: &mut Track,
        how: (Instant, FlowEnd),
        recorder: &mut Recorder,
    ) {
        while track.open > 0 {
            self.leave(user, track, how, recorder);
        }
    }

    fn lap(&mut self, user: u32, place: u8) -> Option<&mut Lap> {
        let place = Some(usize::from(place)).filter(|&place| place < self.most)?;
        self.table.get_mut(user as usize * self.most + place)
    }
}
