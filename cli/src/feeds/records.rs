//! The records of a file, one after the other: lines, JSON by line, or rows of CSV.
//!
//! The file may be of any size: what is held of it is a portion and the record at hand. A record
//! may stand on several lines in CSV, where what is in quotes may hold line breaks. Blank lines are
//! no records.

use std::io::{self, Read, Seek, SeekFrom};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// Longest record. A quote that is never closed makes one of the rest of the file.
pub(super) const RECORD_MAX: usize = 1 << 20;

/// Most fields of a record.
const FIELDS_MAX: usize = 65_535;

/// What some editors begin a file with.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A record is a line.
    Lines,
    /// A record is a line that is a value of JSON.
    Json,
    Csv(Dialect),
}

/// How CSV is written; beside RFC 4180.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Stands between fields.
    pub(crate) delimiter: u8,
    /// Stands around fields that have one of these in them, and twice for itself.
    pub(crate) quote: u8,
    /// What a line begins with that is none.
    pub(crate) comment: Option<u8>,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line, from 1; 0 if it is the file that is wrong.
    pub(crate) line: u64,
    /// The rest of a sentence that begins with that place.
    pub(crate) what: String,
}

impl Fault {
    /// `FILE:LINE`, or the file that is called `name` as a whole.
    pub(crate) fn place(&self, name: &str) -> String {
        if self.line == 0 { name.to_owned() } else { format!("{name}:{}", self.line) }
    }
}

/// Where in a row of CSV a reader is that goes by RFC 4180 to the letter. What reads the fields
/// makes something of any bytes, and what it makes of these is not what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the row.
    Row,
    /// Before a field.
    Field,
    /// In a field without quotes, or in a comment.
    Plain,
    Comment,
    /// Within quotes.
    Quoted,
    /// Behind a quote that closes, or is the first of two.
    Closed,
}

impl Place {
    /// Where the reader is behind `byte`.
    fn behind(self, byte: u8, dialect: Dialect) -> Result<Self, &'static str> {
        let Dialect { delimiter, quote, comment } = dialect;
        match (self, byte) {
            (Self::Quoted, byte) if byte != quote => Ok(Self::Quoted),
            (Self::Comment, byte) if byte != b'\n' => Ok(Self::Comment),
            (Self::Quoted, _) => Ok(Self::Closed),
            (_, b'\n') => Ok(Self::Row),
            // It ends a row, or stands for itself in a field.
            (_, b'\r') => Ok(self),
            (Self::Row, byte) if Some(byte) == comment => Ok(Self::Comment),
            (_, byte) if byte == delimiter => Ok(Self::Field),
            (Self::Row | Self::Field | Self::Closed, byte) if byte == quote => Ok(Self::Quoted),
            (Self::Plain, byte) if byte == quote => Err(AMID),
            (Self::Closed, _) => Err(BEHIND),
            _ => Ok(Self::Plain),
        }
    }
}

const AMID: &str = "has a quote amid a field; put all of the field in quotes and write that quote \
                    twice, or give another `quote`";

const BEHIND: &str = "has text behind a closing quote; write a quote within quotes twice";

/// What a file is read from.
pub(super) trait Input: Read + Seek + Send {}

impl<T: Read + Seek + Send> Input for T {}

/// Reads records.
pub(super) struct Records {
    from: Box<dyn Input>,
    format: Format,
    csv: Reader,
    place: Place,
    /// Bytes that are asked for at once.
    portion: usize,
    /// What has been read, from `used` on not yet understood.
    buffer: Vec<u8>,
    used: usize,
    /// Where in the file the buffer begins.
    offset: u64,
    ended: bool,
    /// Line breaks that were passed, but for those that the reader of CSV has counted.
    lines: u64,
    /// The record: its fields one behind the other, and where each ends; what lies behind the last
    /// of them is of no meaning.
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    /// Where it begins.
    begins: u64,
    line: u64,
}

impl Records {
    /// The records of `from`, from its beginning on, of which so much is read at once.
    pub(super) fn new(from: Box<dyn Input>, format: Format, portion: usize) -> Self {
        let mut csv = ReaderBuilder::new();
        if let Format::Csv(Dialect { delimiter, quote, comment }) = format {
            csv.delimiter(delimiter).quote(quote).comment(comment);
        }
        Self {
            from,
            format,
            csv: csv.build(),
            place: Place::Row,
            // The mark at the beginning is seen whole.
            portion: portion.max(MARK.len()),
            buffer: Vec::new(),
            used: 0,
            offset: 0,
            ended: false,
            lines: 0,
            fields: Vec::new(),
            ends: Vec::new(),
            count: 0,
            begins: 0,
            line: 1,
        }
    }

    /// Goes on with the record that begins at `offset`. Lines are not counted any more.
    pub(super) fn go_to(&mut self, offset: u64) -> Result<(), Fault> {
        let sought = self.from.seek(SeekFrom::Start(offset));
        sought.map_err(|error| self.unreadable(&error))?;
        self.buffer.clear();
        (self.used, self.offset, self.ended) = (0, offset, false);
        self.csv.reset();
        Ok(())
    }

    /// Passes the header of `source`, if it has one.
    pub(super) fn pass_header(&mut self, source: &super::Source) -> Result<(), Fault> {
        if source.first > 0 { self.next().map(drop) } else { Ok(()) }
    }

    /// Goes on to the next record; `false` if there is none.
    pub(super) fn next(&mut self) -> Result<bool, Fault> {
        self.count = 0;
        if !self.skip_breaks()? {
            return Ok(false);
        }
        (self.begins, self.line) = (self.position(), self.line_now());
        self.place = Place::Row;
        match self.format {
            Format::Lines | Format::Json => self.next_line(),
            Format::Csv(_) => self.next_row(),
        }
    }

    /// The fields of the record; of a line, that alone.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A field of the record.
    pub(super) fn field(&self, index: usize) -> Option<&[u8]> {
        let ends = self.ends.get(..self.count)?;
        let from = index.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
        self.fields.get(from..*ends.get(index)?)
    }

    /// Where the record begins, in bytes.
    pub(super) fn begins(&self) -> u64 {
        self.begins
    }

    /// Where the next one begins, or line breaks before it.
    pub(super) fn position(&self) -> u64 {
        self.offset + self.used as u64
    }

    /// Something that is wrong with the record.
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { line: self.line, what: what.into() }
    }

    fn line_now(&self) -> u64 {
        self.lines + self.csv.line()
    }

    fn unreadable(&self, error: &io::Error) -> Fault {
        Fault { line: self.line_now(), what: format!("cannot be read: {error}") }
    }

    /// Reads more; `false` if there is no more.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.ended {
            return Ok(false);
        }
        self.offset += self.used as u64;
        self.buffer.drain(..self.used);
        self.used = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + self.portion, 0);
        let read = loop {
            match self.from.read(self.buffer.get_mut(before..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(before + read.as_ref().map_or(0, |read| *read));
        let read = read.map_err(|error| self.unreadable(&error))?;
        self.ended = read == 0;
        let fresh = self.buffer.get(before..).unwrap_or_default();
        if fresh.contains(&0) {
            let text = self.buffer.iter().take_while(|byte| **byte != 0);
            let line = self.line_now() + text.filter(|byte| **byte == b'\n').count() as u64;
            let what = "is no text: there is a zero byte; give a text file in UTF-8".to_owned();
            return Err(Fault { line, what });
        }
        if self.offset == 0 && before == 0 && self.buffer.starts_with(MARK) {
            self.used = MARK.len();
        }
        Ok(!self.ended)
    }

    /// Passes line breaks; `false` if nothing comes behind them.
    fn skip_breaks(&mut self) -> Result<bool, Fault> {
        loop {
            match self.buffer.get(self.used).copied() {
                Some(b'\n') => self.lines += 1,
                Some(b'\r') => {}
                Some(_) => return Ok(true),
                None if self.fill()? => continue,
                None => return Ok(false),
            }
            self.used += 1;
        }
    }

    fn next_line(&mut self) -> Result<bool, Fault> {
        let mut searched = 0;
        let length = loop {
            let rest = self.buffer.get(self.used..).unwrap_or_default();
            let found = rest.iter().skip(searched).position(|byte| *byte == b'\n');
            let length = found.map_or(rest.len(), |at| searched + at);
            if length > RECORD_MAX {
                return Err(self.too_long());
            }
            searched = rest.len();
            if found.is_some() || !self.fill()? {
                break length;
            }
        };
        let line = self.buffer.get(self.used..self.used + length).unwrap_or_default();
        self.fields.clear();
        self.fields.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        self.used += length;
        self.ends.clear();
        self.ends.push(self.fields.len());
        self.count = 1;
        Ok(true)
    }

    fn next_row(&mut self) -> Result<bool, Fault> {
        // What stands behind the end of the file: a line break that ends the last record, unless it
        // is within quotes; and then nothing.
        let mut behind: Option<&[u8]> = None;
        let mut length = 0;
        loop {
            if self.fields.len() == length {
                self.fields.resize((2 * length).max(256), 0);
            }
            if self.ends.len() == self.count {
                self.ends.resize((2 * self.count).max(16), 0);
            }
            let input = behind.unwrap_or(self.buffer.get(self.used..).unwrap_or_default());
            let fields = self.fields.get_mut(length..).unwrap_or_default();
            let ends = self.ends.get_mut(self.count..).unwrap_or_default();
            let (result, read, written, ended) = self.csv.read_record(input, fields, ends);
            length += written;
            self.count += ended;
            if behind.is_none() {
                self.pass(read, matches!(result, ReadRecordResult::Record))?;
            }
            match &mut behind {
                Some(rest) => *rest = rest.get(read..).unwrap_or_default(),
                None => self.used += read,
            }
            if length > RECORD_MAX || self.count > FIELDS_MAX {
                return Err(self.too_long());
            }
            match (result, behind) {
                (ReadRecordResult::Record, _) => break,
                (ReadRecordResult::End, _) => return Ok(false),
                (ReadRecordResult::InputEmpty, None) if self.fill()? => {}
                (ReadRecordResult::InputEmpty, None) => behind = Some(b"\n"),
                (ReadRecordResult::InputEmpty, Some(_)) => {
                    // Within quotes even the line break was none.
                    let (result, ..) = self.csv.read_record(b"", &mut [0; 8], &mut [0; 8]);
                    if result == ReadRecordResult::End {
                        return Ok(false);
                    }
                    return Err(self.fault("has a quote that is never closed; close it"));
                }
                (ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull, _) => {}
            }
        }
        Ok(true)
    }

    /// Looks at so many bytes of a row which the reader of fields has passed; at the `last` ones of
    /// it, too.
    fn pass(&mut self, count: usize, last: bool) -> Result<(), Fault> {
        let Format::Csv(dialect) = self.format else { return Ok(()) };
        let bytes = self.buffer.get(self.used..self.used + count).unwrap_or_default();
        // A row without quotes, as nearly all are, is right whatever else is in it.
        if last && self.place == Place::Row && !bytes.contains(&dialect.quote) {
            return Ok(());
        }
        let end = bytes.iter().try_fold(self.place, |place, byte| place.behind(*byte, dialect));
        self.place = end.map_err(|what| self.fault(what))?;
        Ok(())
    }

    fn too_long(&self) -> Fault {
        self.fault(
            "is longer than 1 MiB; is it no such file, or a quote never closed? look at it, and \
             at `format`",
        )
    }
}
