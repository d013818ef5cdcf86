//! ROWS FROM FILES: a file is read once before the run, so that what is wrong with it is said
//! before anything is sent, and then again by a thread of its own, which deals its rows to the
//! shards.
//!
//! | file | what it knows |
//! |---|---|
//! | `records` | a file's records, one after the other |
//! | `order` | which row comes next, if not the next |
//! | `reading` | the rows of one run, in their order |

mod order;
mod reading;
mod records;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use pummel_engine::feed::{Dealer, Rows};
use pummel_engine::judge::{Capture, Content, Missed, Response};
use pummel_engine::reactor::thread::{keep_off, set_low_priority};
use pummel_engine::units::Nanos;
use serde::de::IgnoredAny;

pub(crate) use order::{Order, key};
pub(crate) use records::{Dialect, Fault, Format};

use self::reading::Reading;
use self::records::{Input, Records};
use crate::args::Quoted;

/// Files up to this size are held in memory.
const HELD_MAX: u64 = 1 << 20;

/// How much of a file is looked at before the run, unless an index of it is needed: reading takes
/// less than a second. What comes behind it is checked when its turn comes.
const CHECKED_MAX: u64 = 256 << 20;

/// Most rows of an index: 8 bytes each.
const INDEX_MAX: usize = 4 << 20;

/// Bytes that are read at once in the order of the file.
const PORTION: usize = 64 * 1024;

/// As much as the coordinator's: it gets its share of a saturated CPU, a small one.
const NICENESS: i32 = 10;

/// A file as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) format: Format,
    file: Arc<File>,
    /// All of it, if that is not much.
    held: Option<Arc<[u8]>>,
    /// Where the first row begins.
    first: u64,
    /// Fields of a row.
    pub(crate) fields: usize,
}

/// A value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    /// The field with this number; of a line, the line.
    Field(usize),
    /// What is at a path into JSON.
    At(Capture, String),
}

/// Which rows are dealt, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) order: Order,
    /// Whether the first comes behind the last.
    pub(crate) repeat: bool,
    /// What all that is random about it comes from.
    pub(crate) seed: u64,
}

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct FileRows {
    source: Source,
    columns: Vec<Column>,
    course: Course,
    /// Where each row begins, unless they come in the order of the file.
    index: Arc<[u64]>,
    trouble: Arc<Mutex<Option<String>>>,
    name: String,
}

impl Source {
    /// Opens the file at `path`. `header` says whether its first record is none, but has the names
    /// of fields, which are returned; two of one name are a fault if the names are `wanted`.
    pub(crate) fn open(
        path: &Path,
        format: Format,
        (header, wanted): (bool, bool),
    ) -> Result<(Self, Vec<String>), Fault> {
        let start = |what: String| Fault { line: 0, what };
        let unreadable = |error: io::Error| start(format!("cannot be read: {error}"));
        // Opening a pipe would wait for whoever writes to it.
        let about = fs::metadata(path).map_err(unreadable)?;
        if !about.is_file() {
            return Err(start("is no file that can be read again and again; give one".to_owned()));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let mut held = None;
        if about.len() <= HELD_MAX {
            let mut bytes = Vec::new();
            (&mut file).take(HELD_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
            held = Some(bytes.into());
        }
        let file = Arc::new(file);
        let mut source = Self { format, file, held, first: 0, fields: 0 };
        let mut records = source.records(PORTION)?;
        let mut names = Vec::new();
        if header && records.next()? {
            let texts = (0..records.count()).filter_map(|index| records.field(index));
            names.extend(texts.map(|name| String::from_utf8_lossy(name).trim().to_owned()));
            if let Some(twice) = twice(&names).filter(|_| wanted) {
                return Err(records.fault(format!(
                    "names two columns {}; rename one, or give all of them `names`",
                    Quoted(twice)
                )));
            }
            source.first = records.position();
        }
        if !records.next()? {
            let behind = if header { " behind the header" } else { "" };
            return Err(start(format!("has no row{behind}; give it at least one")));
        }
        source.fields = if header { names.len() } else { records.count() };
        Ok((source, names))
    }

    /// Has `each` look at the values in `columns` of row after row, as far as a file is looked at
    /// before a run.
    ///
    /// # Errors
    /// What is wrong with the file, or what `each` says of a row.
    pub(crate) fn look(
        &self,
        columns: Vec<Column>,
        mut each: impl FnMut(&[Vec<u8>]) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let mut records = self.records(PORTION)?;
        records.pass_header(self)?;
        let mut row = Row::new(columns, self.fields);
        while records.position() <= CHECKED_MAX && records.next()? {
            row.read(&records, self.format)?;
            each(&row.values).map_err(|what| records.fault(what))?;
        }
        Ok(())
    }

    /// Its records, from the beginning.
    fn records(&self, portion: usize) -> Result<Records, Fault> {
        let from: Box<dyn Input> = match &self.held {
            Some(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
            None => Box::new(Shared { file: Arc::clone(&self.file), at: 0 }),
        };
        let mut records = Records::new(from, self.format, portion);
        records.go_to(0)?;
        Ok(records)
    }
}

/// A name that two have, if there is one; columns without names are nobody's.
pub(crate) fn twice(names: &[String]) -> Option<&str> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !name.is_empty() && !seen.insert(*name)).map(String::as_str)
}

/// A file that several read, each at a place of its own.
struct Shared {
    file: Arc<File>,
    at: u64,
}

impl Read for Shared {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl io::Seek for Shared {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let io::SeekFrom::Start(at) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.at = at;
        Ok(at)
    }
}

impl FileRows {
    /// The rows of `source` with these `columns`, called `name` in errors, once it was looked at.
    pub(crate) fn check(
        source: Source,
        columns: Vec<Column>,
        course: Course,
        name: String,
    ) -> Result<Self, Fault> {
        let indexed = course.order != Order::Sequential;
        let mut records = source.records(PORTION)?;
        records.pass_header(&source)?;
        let (mut index, mut row) = (Vec::new(), Row::new(columns.clone(), source.fields));
        while records.next()? {
            row.read(&records, source.format)?;
            if indexed {
                if index.len() == INDEX_MAX {
                    let what = "is beyond the rows that can be shuffled or drawn, which are \
                                4,194,304; give fewer, or order = \"sequential\"";
                    return Err(records.fault(what));
                }
                index.push(records.begins());
            } else if records.position() > CHECKED_MAX {
                break;
            }
        }
        let (index, trouble) = (index.into(), Arc::default());
        Ok(Self { source, columns, course, index, trouble, name })
    }

    /// The rows of one run, from the first on.
    fn reading(&self) -> Result<Reading, Fault> {
        let row = Row::new(self.columns.clone(), self.source.fields);
        Reading::new(&self.source, row, self.course, Arc::clone(&self.index))
    }
}

impl Rows for FileRows {
    fn begin(&self, dealer: Dealer, cpus: &[usize]) -> io::Result<()> {
        let place = |fault: Fault| format!("{}: {}", fault.place(&self.name), fault.what);
        let reading = self.reading().map_err(|fault| io::Error::other(place(fault)))?;
        let (cpus, trouble, name) = (cpus.to_vec(), Arc::clone(&self.trouble), self.name.clone());
        let body = move || {
            set_low_priority(NICENESS);
            keep_off(&cpus);
            if let Err(fault) = reading.deal(dealer) {
                let said = format!("{}: {}", fault.place(&name), fault.what);
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
            }
        };
        // Nobody waits for it: it ends soon after the last shard.
        thread::Builder::new().name("feed".to_owned()).spawn(body).map(drop)
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The values of one row, read from its record.
struct Row {
    columns: Vec<Column>,
    /// Fields that each record must have.
    fields: usize,
    values: Vec<Vec<u8>>,
}

impl Row {
    fn new(columns: Vec<Column>, fields: usize) -> Self {
        let values = columns.iter().map(|_| Vec::new()).collect();
        Self { columns, fields, values }
    }

    /// Takes the values out of the record at hand.
    fn read(&mut self, records: &Records, format: Format) -> Result<(), Fault> {
        if records.count() != self.fields {
            let (has, wanted) = (records.count(), self.fields);
            return Err(records.fault(format!(
                "has {has} {}, and {wanted} are wanted; look at its delimiters and quotes",
                if has == 1 { "field" } else { "fields" }
            )));
        }
        let line = records.field(0).unwrap_or_default();
        if format == Format::Json {
            if core::str::from_utf8(line).is_err() {
                return Err(records.fault("is no JSON, since it is no UTF-8; write it as UTF-8"));
            }
            serde_json::from_slice::<IgnoredAny>(line).map_err(|error| {
                let column = error.column();
                records.fault(format!("is no JSON at column {column}; write a value per line"))
            })?;
        }
        for (column, value) in self.columns.iter_mut().zip(&mut self.values) {
            match column {
                Column::Field(index) => {
                    value.clear();
                    value.extend_from_slice(records.field(*index).unwrap_or_default());
                }
                Column::At(path, shown) => {
                    let (none, whole) = (core::iter::empty::<(&[u8], &[u8])>(), line.len() as u64);
                    let document = Response {
                        status: 200,
                        fields: none,
                        body: Ok(Content { bytes: line, is_cut: false }),
                        body_len: whole,
                        took: Nanos::ZERO,
                    };
                    path.take(&document, value).map_err(|missed| {
                        records.fault(match missed {
                            Missed::TooLong => format!("has too long a value at {shown}"),
                            Missed::TooDeep => format!("is nested too deeply for {shown}"),
                            _ => format!("has no value at {shown}"),
                        })
                    })?;
                }
            }
        }
        Ok(())
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests;
