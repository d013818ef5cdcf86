//! The streams of a connection that are not over, in the order of their identifiers.
//!
//! ```text
//!          ┌── content to come ──► Asking ──┐
//!  HEADERS ┤                                ├──► Answering ──► over
//!          └────────────────────────────────┘      ▲   │ its window is used up
//!                                                  └───▼
//!                                                 Blocked
//! ```
//!
//! A client gives identifiers out in ascending order, so a queue with them is sorted. One that is
//! over leaves a gap, which goes with what is before it, or when there are more gaps than streams.

use std::collections::VecDeque;

use pummel_engine::units::Instant;

use super::super::record::Unanswered;
use super::heads::Ask;
use super::replies::What;

/// Gaps that are tolerated, however few streams there are.
const GAPS_MIN: usize = 64;

/// What a stream is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its request is not complete.
    Asking(Ask),
    /// Its answer is in one of the queues, or is withheld for ever.
    Answering,
    /// The rest of its answer waits for the window to be opened.
    Blocked,
    /// A gap.
    Over,
}

/// One stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) stage: Stage,
    /// What it gets, and when; of no meaning while it asks.
    pub(super) what: What,
    pub(super) due: Instant,
    /// Bytes of the body that have left; `None` before the head has.
    pub(super) sent: Option<u32>,
    /// What may be sent on it. Negative where the peer has closed a window that was used.
    pub(super) window: i64,
    /// What has arrived of the window it was given.
    pub(super) received: u32,
    /// Content that its request has promised and that is still to come.
    pub(super) promised: Option<u64>,
    /// Its row in the record of arrivals, if there is one.
    pub(super) row: Unanswered,
}

impl Stream {
    /// A stream that `ask` has opened.
    pub(super) fn new(id: u32, ask: Ask, window: u32) -> Self {
        Self {
            id,
            stage: Stage::Asking(ask),
            what: What::Nothing,
            due: Instant::from_origin(0),
            sent: None,
            window: window.into(),
            received: 0,
            promised: ask.length,
            row: Unanswered::default(),
        }
    }
}

/// The streams of one connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Ascending. The first one is never a gap.
    queue: VecDeque<Stream>,
    gaps: usize,
}

impl Streams {
    /// How many are not over.
    pub(super) fn open(&self) -> usize {
        self.queue.len() - self.gaps
    }

    /// Opens a stream; its identifier is above all before it.
    pub(super) fn push(&mut self, stream: Stream) {
        debug_assert!(self.queue.back().is_none_or(|last| last.id < stream.id));
        self.queue.push_back(stream);
    }

    /// The stream with this identifier, if it is not over. O(1) while the client leaves none out.
    pub(super) fn find(&mut self, id: u32) -> Option<&mut Stream> {
        let place = self.place(id)?;
        self.queue.get_mut(place).filter(|stream| stream.stage != Stage::Over)
    }

    fn place(&self, id: u32) -> Option<usize> {
        let ahead = id.checked_sub(self.queue.front()?.id)?;
        let guess = ahead as usize / 2;
        if self.queue.get(guess).is_some_and(|stream| stream.id == id) {
            return Some(guess);
        }
        self.queue.binary_search_by_key(&id, |stream| stream.id).ok()
    }

    /// Ends a stream; returns whether there was one to end.
    pub(super) fn end(&mut self, id: u32) -> bool {
        let Some(stream) = self.find(id) else { return false };
        stream.stage = Stage::Over;
        self.gaps += 1;
        while self.queue.front().is_some_and(|first| first.stage == Stage::Over) {
            self.queue.pop_front();
            self.gaps -= 1;
        }
        if self.gaps > GAPS_MIN + self.open() {
            self.queue.retain(|stream| stream.stage != Stage::Over);
            self.gaps = 0;
        }
        true
    }

    /// All that are not over.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.queue.iter_mut().filter(|stream| stream.stage != Stage::Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn stream(id: u32) -> Stream {
        Stream::new(id, Ask::default(), 10)
    }

    #[test]
    fn a_stream_is_found_until_it_is_over() {
        let mut streams = Streams::default();
        for id in [1, 3, 5, 11] {
            streams.push(stream(id));
        }
        assert!(streams.end(3) && !streams.end(3) && !streams.end(7));
        assert_eq!(streams.open(), 3);
        assert_eq!(streams.find(5).unwrap().id, 5);
        assert_eq!(streams.find(11).unwrap().id, 11);
        assert!(streams.find(3).is_none() && streams.find(0).is_none());
        assert!(streams.end(1) && streams.end(5) && streams.end(11));
        assert_eq!((streams.open(), streams.queue.len()), (0, 0));
    }

    #[test]
    fn one_that_never_ends_does_not_keep_the_others() {
        let mut streams = Streams::default();
        streams.push(stream(1));
        for id in 1..10_000 {
            streams.push(stream(2 * id + 1));
            assert!(streams.end(2 * id + 1));
            assert!(streams.queue.len() <= GAPS_MIN + 3);
        }
        assert_eq!(streams.find(1).unwrap().id, 1);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_holds(
            steps in prop::collection::vec((0..4_u32, 0..40_u32), 0..300),
        ) {
            let (mut streams, mut model, mut next) = (Streams::default(), BTreeSet::new(), 1);
            for (step, number) in steps {
                if step == 0 {
                    next += 2 * (number / 20);
                    streams.push(stream(next));
                    model.insert(next);
                    next += 2;
                } else {
                    let id = next.saturating_sub(number);
                    prop_assert_eq!(streams.find(id).is_some(), model.contains(&id));
                    prop_assert_eq!(streams.end(id), model.remove(&id));
                }
                let held: Vec<u32> = streams.iter_mut().map(|stream| stream.id).collect();
                prop_assert_eq!(held.len(), streams.open());
                prop_assert_eq!(held, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
