//! The record of arrivals: one row per request, for a client's numbers to be compared with, request
//! by request. It is kept in memory while the server serves, and written to a file at the end.
//!
//! ```text
//!  shard,sequence,connection,arrived_ns,planned_ns,replied_ns
//!  0,1,0,81234567890123,81234568890123,81234568891377
//! ```
//!
//! Rows of a shard stand in the order of arrival, shards one after the other. Sequence counts the
//! requests of a shard from 1, as faults do; connection counts its connections from 0. Moments are
//! nanoseconds of `CLOCK_MONOTONIC`: *arrived*, when the complete request was seen; *planned*, when
//! the model says that the reply begins to leave, which on a pipelined connection may have to wait
//! for others; *replied*, when its beginning was handed over. A request that gets no answer on
//! purpose has no moment planned, and one whose answer never left has none replied: the field is
//! empty.

use std::io::{self, BufRead, Write};

use pummel_engine::units::Instant;

/// Most rows of a server; what comes after them is only counted.
pub(super) const ROWS_MAX: u32 = 10_000_000;

/// Rows that memory is taken for at a time: 512 KiB. They are not written to before they are
/// needed, so that the kernel finds the memory page by page and never stalls for long.
const CHUNK: usize = 16 * 1024;

/// A moment that does not exist, for the fields of a row: the boot of the machine.
const NEVER: Instant = Instant::from_origin(0);

/// The first line of the file.
const HEADER: &str = "shard,sequence,connection,arrived_ns,planned_ns,replied_ns";

/// One request. 32 bytes.
#[derive(Clone, Copy, Debug)]
struct Row {
    arrived: Instant,
    planned: Instant,
    replied: Instant,
    connection: u32,
    /// The next request of the same connection, by sequence; 0: there is none yet.
    next: u32,
}

/// The requests of one connection whose answers have not left, by sequence; 0: there are none.
///
/// They are a list through the rows, because answers leave in the order of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unanswered {
    first: u32,
    last: u32,
}

/// What arrived at one shard.
#[derive(Debug)]
pub(super) struct Record {
    /// All but the last are full.
    chunks: Vec<Vec<Row>>,
    len: u32,
    len_max: u32,
}

impl Record {
    /// An empty one for at most `len_max` rows.
    pub(super) fn new(len_max: u32) -> Self {
        let mut chunks = Vec::with_capacity((len_max as usize).div_ceil(CHUNK));
        chunks.push(Vec::with_capacity(CHUNK));
        Self { chunks, len: 0, len_max }
    }

    /// Notes a request of the connection `connection`, and that its answer is to leave at
    /// `planned`, if it is to leave at all. Returns `false` if there is no room for it.
    ///
    /// Allocates once in 16,384 times.
    pub(super) fn arrived(
        &mut self,
        of: &mut Unanswered,
        connection: u32,
        arrived: Instant,
        planned: Option<Instant>,
    ) -> bool {
        if self.len >= self.len_max {
            return false;
        }
        let planned = planned.unwrap_or(NEVER);
        let row = Row { arrived, planned, replied: NEVER, connection, next: 0 };
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(row),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(row);
                self.chunks.push(chunk);
            }
        }
        self.len += 1;
        let sequence = self.len;
        match self.row(of.last) {
            Some(last) => last.next = sequence,
            None => of.first = sequence,
        }
        of.last = sequence;
        true
    }

    /// Notes that the next `count` answers of a connection leave at `at`.
    pub(super) fn replied(&mut self, of: &mut Unanswered, count: usize, at: Instant) {
        for _ in 0..count {
            // None is left where the record was full when it arrived.
            let Some(row) = self.row(of.first) else { return };
            row.replied = at;
            of.first = row.next;
            if of.first == 0 {
                *of = Unanswered::default();
            }
        }
    }

    /// The row of this sequence, which counts from 1.
    fn row(&mut self, sequence: u32) -> Option<&mut Row> {
        let place = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }

    /// Number of rows.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.len)
    }

    /// Writes the rows as those of the shard `shard`.
    fn write(&self, shard: usize, to: &mut impl Write) -> io::Result<()> {
        for (sequence, row) in (1_u32..).zip(self.chunks.iter().flatten()) {
            write!(to, "{shard},{sequence},{},{}", row.connection, row.arrived.since_origin())?;
            for moment in [row.planned, row.replied] {
                match moment {
                    NEVER => write!(to, ",")?,
                    moment => write!(to, ",{}", moment.since_origin())?,
                }
            }
            writeln!(to)?;
        }
        Ok(())
    }
}

/// Writes the records of all shards, in their order.
///
/// # Errors
/// If `to` does not take them.
pub(super) fn write<'a>(
    records: impl Iterator<Item = &'a Record>,
    to: impl Write,
) -> io::Result<()> {
    let mut to = io::BufWriter::with_capacity(1 << 20, to);
    writeln!(to, "{HEADER}")?;
    for (shard, record) in records.enumerate() {
        record.write(shard, &mut to)?;
    }
    to.flush()
}

/// A row as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) shard: u32,
    /// Number of the request on its shard, from 1.
    pub(crate) sequence: u32,
    /// Number of the connection on its shard, from 0.
    pub(crate) connection: u32,
    pub(crate) arrived: Instant,
    /// When its answer was to leave; `None` if never.
    pub(crate) planned: Option<Instant>,
    /// When it left; `None` if never.
    pub(crate) replied: Option<Instant>,
}

/// Reads a record that [`write`] wrote.
///
/// # Errors
/// If it cannot be read, or is none: with the number of the line.
pub(crate) fn read(from: impl BufRead) -> io::Result<Vec<Arrival>> {
    let wrong = |line: usize| {
        let text = format!("line {line} is none of a record of arrivals; write it anew");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut lines = (1..).zip(from.lines());
    let header = lines.next().map(|(_, header)| header).transpose()?;
    if header.as_deref() != Some(HEADER) {
        return Err(wrong(1));
    }
    let mut rows = Vec::new();
    for (number, line) in lines {
        if rows.len() >= ROWS_MAX as usize {
            return Err(wrong(number));
        }
        rows.push(arrival(&line?).ok_or_else(|| wrong(number))?);
    }
    Ok(rows)
}

fn arrival(line: &str) -> Option<Arrival> {
    let mut fields = line.split(',');
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (shard, sequence, connection) = (number()?, number()?, number()?);
    let arrived = Instant::from_origin(fields.next()?.parse().ok()?);
    let mut moment = || match fields.next()? {
        "" => Some(None),
        text => text.parse().ok().map(|n| Some(Instant::from_origin(n))),
    };
    let (planned, replied) = (moment()?, moment()?);
    let whole = fields.next().is_none();
    whole.then_some(Arrival { shard, sequence, connection, arrived, planned, replied })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(n: u64) -> Instant {
        Instant::from_origin(n)
    }

    fn written(records: &[Record]) -> String {
        let mut bytes = Vec::new();
        write(records.iter(), &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_row_says_when_it_arrived_and_when_its_answer_was_to_leave_and_left() {
        let mut record = Record::new(10);
        let (mut one, mut other) = (Unanswered::default(), Unanswered::default());
        assert!(record.arrived(&mut one, 0, at(100), Some(at(150))));
        assert!(record.arrived(&mut other, 1, at(110), None));
        assert!(record.arrived(&mut one, 0, at(120), Some(at(130))));
        record.replied(&mut one, 2, at(151));
        assert_eq!(
            written(&[record, Record::new(1)]),
            "shard,sequence,connection,arrived_ns,planned_ns,replied_ns\n\
             0,1,0,100,150,151\n0,2,1,110,,\n0,3,0,120,130,151\n"
        );
    }

    #[test]
    fn what_there_is_no_room_for_is_refused_and_its_answer_marks_no_other_row() {
        let mut record = Record::new(2);
        let mut of = Unanswered::default();
        for n in 1..=4 {
            assert_eq!(record.arrived(&mut of, 0, at(n), Some(at(n))), n <= 2);
        }
        record.replied(&mut of, 1, at(10));
        record.replied(&mut of, 3, at(20));
        record.replied(&mut of, 1, at(30));
        assert_eq!(record.len(), 2);
        assert!(written(&[record]).ends_with("\n0,1,0,1,1,10\n0,2,0,2,2,20\n"));
    }

    #[test]
    fn what_is_no_record_is_refused_with_the_line() {
        for (text, line) in [
            ("", 1),
            ("shard,sequence\n", 1),
            (&format!("{HEADER}\n0,1,0,5,5,5\n\n"), 3),
            (&format!("{HEADER}\n0,1,0,5,5\n"), 2),
            (&format!("{HEADER}\n0,1,0,,5,5\n"), 2),
            (&format!("{HEADER}\n0,1,0,5,5,5,5\n"), 2),
            (&format!("{HEADER}\n0,-1,0,5,5,5\n"), 2),
            (&format!("{HEADER}\n0,1,0,5,x,5\n"), 2),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line} ")), "{text:?}: {error}");
        }
    }

    #[test]
    fn rows_beyond_one_chunk_are_found_again() {
        let mut record = Record::new(ROWS_MAX);
        let mut of = Unanswered::default();
        let count = CHUNK as u64 * 2 + 5;
        for n in 1..=count {
            record.arrived(&mut of, 0, at(n), Some(at(n)));
        }
        record.replied(&mut of, CHUNK * 2 + 4, at(count));
        let rows = read(written(&[record]).as_bytes()).unwrap();
        assert_eq!(rows.len() as u64, count);
        assert!(rows.iter().all(|row| row.arrived == at(u64::from(row.sequence))));
        assert_eq!(rows.iter().filter(|row| row.replied.is_none()).count(), 1);
        assert_eq!(rows.last().unwrap().replied, None);
    }

    proptest! {
        /// Against the plainest model: a queue per connection of rows by their place.
        #[test]
        fn what_is_read_is_what_was_noted(
            steps in prop::collection::vec((0..4_u32, 0..4_usize, prop::bool::ANY), 0..200),
        ) {
            let mut record = Record::new(60);
            let mut of = [Unanswered::default(); 4];
            let mut waiting: [std::collections::VecDeque<usize>; 4] = Default::default();
            let mut expected: Vec<Arrival> = Vec::new();
            for (now, (connection, count, silent)) in (1_000_u64..).zip(steps) {
                let mine = &mut of[connection as usize];
                let queue = &mut waiting[connection as usize];
                if count == 0 {
                    let planned = (!silent).then_some(at(now + 7));
                    if record.arrived(mine, connection, at(now), planned) {
                        queue.push_back(expected.len());
                        let sequence = u32::try_from(expected.len() + 1).unwrap();
                        let (shard, arrived, replied) = (0, at(now), None);
                        expected.push(
                            Arrival { shard, sequence, connection, arrived, planned, replied },
                        );
                    }
                } else {
                    record.replied(mine, count, at(now));
                    for place in queue.drain(..count.min(queue.len())) {
                        expected[place].replied = Some(at(now));
                    }
                }
            }
            prop_assert_eq!(read(written(&[record]).as_bytes()).unwrap(), expected);
        }
    }
}
