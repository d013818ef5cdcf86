//! The sections `feeds.NAME`: files of rows, and what `{{NAME…}}` means in a template.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pummel_engine::feed::Feed;
use pummel_engine::judge::{Capture, Extractor, Path as JsonPath};

use super::file::{Fault, Node};
use super::keys::nearest;
use crate::args::Quoted;
use crate::feeds::{self, Column, Course, Dialect, FileRows, Format, Order, Source};

/// Keys of a feed.
const FEED: [&str; 9] =
    ["file", "format", "order", "repeat", "delimiter", "quote", "comment", "header", "names"];

/// Names of columns, as many as are listed in an error.
const LISTED_MAX: usize = 8;

/// The feeds of a file, of which nothing was read but the beginning.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    all: Vec<Declared>,
    /// Those that a template has named, in that order.
    used: Vec<usize>,
}

/// A feed, and the columns of it that templates have named.
#[derive(Debug)]
struct Declared {
    name: String,
    /// Where its file is named.
    node: Node,
    shown: String,
    source: Source,
    course: Course,
    names: Vec<String>,
    columns: Vec<(String, Column)>,
}

impl Feeds {
    /// Reads the section `feeds` of a file whose relative paths begin at `folder`; what is random
    /// about them comes from `seed`.
    ///
    /// # Errors
    /// What makes no sense, and a file that cannot be read.
    pub(super) fn read(root: &Node, folder: &Path, seed: u64) -> Result<Self, Fault> {
        let Some(section) = root.any_table()?.get("feeds") else { return Ok(Self::default()) };
        let mut all = Vec::new();
        for entry in section.any_table()?.entries() {
            if let Some(said) = unfit(&entry.key) {
                return Err(entry.node.fault(said));
            }
            all.push(Declared::read(&entry.key, &entry.node, (folder, seed))?);
        }
        Ok(Self { all, used: Vec::new() })
    }

    /// What `expression` means, if it begins with the name of a feed: the number of the feed, and
    /// that of the column.
    pub(super) fn find(&mut self, expression: &str) -> Option<Result<(u16, u16), String>> {
        let (name, rest) =
            expression.split_at(expression.find(['.', '[']).unwrap_or(expression.len()));
        let at = self.all.iter().position(|feed| feed.name == name)?;
        let column = self.all.get_mut(at)?.column(expression, rest);
        Some(column.and_then(|column| {
            let feed = self.used.iter().position(|&used| used == at).unwrap_or_else(|| {
                self.used.push(at);
                self.used.len() - 1
            });
            u16::try_from(feed).map(|feed| (feed, column)).map_err(|_| TOO_MANY.to_owned())
        }))
    }

    /// Whether `expression` begins with the name of one.
    pub(super) fn has(&self, expression: &str) -> bool {
        let name = expression.split(['.', '[']).next();
        self.names().any(|known| Some(known) == name)
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|feed| feed.name.as_str())
    }

    /// Has `each` look at the rows of the feed with this number, as far as its file is looked at
    /// before a run: the values of the columns that templates have named so far.
    ///
    /// # Errors
    /// What is wrong with the file, or what `each` says of a row.
    pub(super) fn look(
        &self,
        number: u16,
        each: impl FnMut(&[Vec<u8>]) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let at = self.used.get(usize::from(number));
        let Some(feed) = at.and_then(|&at| self.all.get(at)) else { return Ok(()) };
        let columns = feed.columns.iter().map(|(_, column)| column.clone()).collect();
        let looked = feed.source.look(columns, each);
        looked.map_err(|fault| wrong(&feed.node, &feed.shown, &fault))
    }

    /// Those that templates have named, by number; their files have been looked at.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub(super) fn into_used(self) -> Result<Vec<Feed>, Fault> {
        let mut all: Vec<Option<Declared>> = self.all.into_iter().map(Some).collect();
        let used = self.used.into_iter().filter_map(|at| all.get_mut(at)?.take());
        used.map(Declared::check).collect()
    }
}

const TOO_MANY: &str = "has more columns and feeds than 65,536";

/// Why a feed cannot have this name, if so.
fn unfit(name: &str) -> Option<&'static str> {
    let plain = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    if !name.chars().all(plain) || name.is_empty() {
        return Some("has a name that no template could have; give letters, digits, _ and - only");
    }
    let known = super::scenario::FUNCTIONS.contains(&name);
    known.then_some("has the name of a value that there is anyway; choose another")
}

impl Declared {
    fn read(name: &str, node: &Node, around: (&Path, u64)) -> Result<Self, Fault> {
        let (folder, seed) = around;
        let table = node.table(&FEED)?;
        let Some(file) = table.get("file") else {
            return Err(node.fault("has no file; give one, for example file = \"users.csv\""));
        };
        let typed = file.text()?;
        let path = folder.join(typed);
        let format = format(node, typed)?;
        let names = table.get("names").map(texts).transpose()?;
        let header = match table.get("header") {
            Some(header) if !matches!(format, Format::Csv(_)) => {
                return Err(header.fault("goes with CSV only; leave it out"));
            }
            Some(header) => header.boolean()?,
            None => matches!(format, Format::Csv(_)) && names.is_none(),
        };
        let course = course(node, feeds::key(seed, name))?;
        let opened = Source::open(&path, format, (header, names.is_none()));
        let (source, found) = opened.map_err(|fault| wrong(file, typed, &fault))?;
        if let (Some(names), Some(at)) = (&names, table.get("names"))
            && names.len() != source.fields
        {
            let (has, fields) = (names.len(), source.fields);
            return Err(at.fault(&format!(
                "has {has} names, and the rows of {} have {fields} fields; name each",
                Quoted(typed)
            )));
        }
        if let (Some(twice), Some(at)) =
            (names.as_deref().and_then(feeds::twice), table.get("names"))
        {
            return Err(at.fault(&format!("names two columns {}; rename one", Quoted(twice))));
        }
        let names = names.unwrap_or(found);
        Ok(Self {
            name: name.to_owned(),
            node: file.clone(),
            shown: typed.to_owned(),
            source,
            course,
            names,
            columns: Vec::new(),
        })
    }

    /// The number of the column that `rest` says, of the `expression` that begins with the feed.
    fn column(&mut self, expression: &str, rest: &str) -> Result<u16, String> {
        let known = self.columns.iter().position(|(known, _)| known == expression);
        let at = known.unwrap_or(self.columns.len());
        if known.is_none() {
            let column = self.understand(expression, rest)?;
            self.columns.push((expression.to_owned(), column));
        }
        u16::try_from(at).map_err(|_| TOO_MANY.to_owned())
    }

    fn understand(&self, expression: &str, rest: &str) -> Result<Column, String> {
        let (name, fields) = (&self.name, self.source.fields);
        let said = |what: String| format!("{{{{{expression}}}}}: {what}");
        match self.source.format {
            Format::Lines | Format::Json if rest.is_empty() => Ok(Column::Field(0)),
            Format::Lines => Err(said(format!(
                "the feed {name} has lines and no columns; write {{{{{name}}}}}, or set its format"
            ))),
            Format::Json => {
                let path = JsonPath::parse(rest).map_err(|error| said(error.to_string()))?;
                Ok(Column::At(Capture::new(Extractor::Json(path), 0), format!("${rest}")))
            }
            Format::Csv(_) if rest.is_empty() && fields == 1 => Ok(Column::Field(0)),
            Format::Csv(_) if rest.is_empty() => {
                Err(said(format!("the feed {name} has {fields} columns; {}", self.choices())))
            }
            Format::Csv(_) => self.field(rest).map(Column::Field).map_err(said),
        }
    }

    /// The field of CSV that `rest` names: `.name`, `['name']` or `[0]`.
    fn field(&self, rest: &str) -> Result<usize, String> {
        let (name, fields) = (&self.name, self.source.fields);
        let bracket = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(index) = bracket.and_then(|index| index.trim().parse::<usize>().ok()) {
            return if index < fields {
                Ok(index)
            } else {
                Err(format!("the feed {name} has {fields} columns, and the first is [0]"))
            };
        }
        let quoted =
            |text: &'_ str, quote| Some(text.strip_prefix(quote)?.strip_suffix(quote)?.to_owned());
        let word = match bracket.map(str::trim) {
            Some(text) => quoted(text, '\'').or_else(|| quoted(text, '"')),
            None => rest.strip_prefix('.').map(|word| word.trim().to_owned()),
        };
        let Some(word) = word else {
            return Err(format!("a column is {name}.word, {name}['two words'] or {name}[0]"));
        };
        self.names.iter().position(|known| *known == word).ok_or_else(|| {
            let shown = Quoted(&word).to_string();
            format!("the feed {name} has no column {shown}; {}", self.nearest(&word))
        })
    }

    fn nearest(&self, word: &str) -> String {
        let known: Vec<&str> = self.names.iter().map(String::as_str).collect();
        match nearest(word, &known) {
            Some(near) => format!("did you mean {near}?"),
            None => self.choices(),
        }
    }

    /// What may be written instead.
    fn choices(&self) -> String {
        let name = &self.name;
        if self.names.is_empty() {
            return format!("write {{{{{name}[0]}}}} for the first, or give it names");
        }
        let more = if self.names.len() > LISTED_MAX { ", …" } else { "" };
        let listed: Vec<&str> = self.names.iter().take(LISTED_MAX).map(String::as_str).collect();
        format!("there are {}{more}", listed.join(", "))
    }

    /// Looks at the file.
    fn check(self) -> Result<Feed, Fault> {
        let columns: Vec<Column> = self.columns.into_iter().map(|(_, column)| column).collect();
        let count = u16::try_from(columns.len()).map_err(|_| self.node.fault(TOO_MANY))?;
        let rows = FileRows::check(self.source, columns, self.course, self.shown.clone());
        let rows = rows.map_err(|fault| wrong(&self.node, &self.shown, &fault))?;
        Ok(Feed { name: self.name, columns: count, rows: Arc::new(rows) })
    }
}

/// What is wrong with the file that `node` names.
fn wrong(node: &Node, shown: &str, fault: &feeds::Fault) -> Fault {
    let place = PathBuf::from(shown).display().to_string();
    node.fault(&format!(
        "names a file that cannot be used: {}: it {}",
        fault.place(&place),
        fault.what
    ))
}

fn texts(list: &Node) -> Result<Vec<String>, Fault> {
    list.list()?.iter().map(|item| Ok(item.text()?.to_owned())).collect()
}

/// How the file is written: as is said, or as its name ends.
fn format(node: &Node, file: &str) -> Result<Format, Fault> {
    let table = node.any_table()?;
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let word = match table.get("format") {
        Some(format) => format.text()?,
        None => match ending.as_str() {
            "csv" | "tsv" => "csv",
            "json" | "jsonl" | "ndjson" => "json",
            _ => "lines",
        },
    };
    let csv = match word {
        "csv" => true,
        "json" | "lines" => false,
        _ => {
            let at = table.get("format").unwrap_or(node);
            return Err(at.fault(&format!(
                "is {}; there are \"csv\", \"json\" (a value per line) and \"lines\"",
                Quoted(word)
            )));
        }
    };
    for key in ["delimiter", "quote", "comment", "names"] {
        if let Some(given) = table.get(key).filter(|_| !csv) {
            return Err(given.fault("goes with CSV only; leave it out, or give format = \"csv\""));
        }
    }
    if !csv {
        return Ok(if word == "json" { Format::Json } else { Format::Lines });
    }
    let usual = if ending == "tsv" { b'\t' } else { b',' };
    let delimiter = sign(table.get("delimiter"))?.unwrap_or(usual);
    let quote = sign(table.get("quote"))?.unwrap_or(b'"');
    let comment = sign(table.get("comment"))?;
    if delimiter == quote || comment == Some(quote) || comment == Some(delimiter) {
        return Err(node.fault("has one sign for two purposes; give different ones"));
    }
    Ok(Format::Csv(Dialect { delimiter, quote, comment }))
}

/// A key that is one character, and no line break.
fn sign(node: Option<&Node>) -> Result<Option<u8>, Fault> {
    let Some(node) = node else { return Ok(None) };
    match node.text()?.as_bytes() {
        [sign] if sign.is_ascii() && !b"\r\n\0".contains(sign) => Ok(Some(*sign)),
        _ => {
            let shown = node.shown();
            Err(node.fault(&format!("is {shown}; give one character, for example \";\"")))
        }
    }
}

/// Which rows come when.
fn course(node: &Node, seed: u64) -> Result<Course, Fault> {
    let table = node.any_table()?;
    let word = table.get("order").map(Node::text).transpose()?.unwrap_or("sequential");
    let repeat = table.get("repeat").map(Node::boolean).transpose()?;
    let at = |key: &str| table.get(key).unwrap_or(node);
    let (order, repeat) = match (word, repeat) {
        ("sequential", repeat) => (Order::Sequential, repeat.unwrap_or(true)),
        ("shuffled", repeat) => (Order::Shuffled, repeat.unwrap_or(true)),
        ("random", Some(false)) => {
            let said = "and order = \"random\" do not go together, since rows may come again; give \
                        order = \"shuffled\"";
            return Err(at("repeat").fault(said));
        }
        ("random", _) => (Order::Random, true),
        ("unique", Some(true)) => {
            let said = "and order = \"unique\" do not go together; leave one of them out";
            return Err(at("repeat").fault(said));
        }
        ("unique", _) => (Order::Sequential, false),
        (other, _) => {
            return Err(at("order").fault(&format!(
                "is {}; there are \"sequential\", \"shuffled\", \"random\" and \"unique\"",
                Quoted(other)
            )));
        }
    };
    Ok(Course { order, repeat, seed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::from_text;
    use std::fs;
    use tempfile::TempDir;

    const USERS: &str = "id,name,full name\n7,Jo,Jo B\n8,Ann,Ann C\n";

    /// A folder with `users.csv`, `words.txt` and `docs.jsonl`.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("users.csv", USERS),
            ("users.tsv", "a\tb\n1\t2\n"),
            ("words.txt", "one\ntwo\n"),
            ("docs.jsonl", "{\"a\":{\"b\":1}}\n"),
            ("semi.dat", "#c\nx;'y;z'\n"),
            ("one.csv", "n\n1\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// What expressions mean beside the section `[feeds.f]` with these keys, by number of feed and
    /// column; the first thing that is wrong.
    fn found(keys: &str, expressions: &[&str]) -> Result<Vec<(u16, u16)>, String> {
        let folder = folder();
        let file = from_text("p.toml", &format!("[feeds.f]\n{keys}\n"))?;
        let said = |fault: Fault| file.remark(&fault);
        let mut feeds = Feeds::read(&file.root, folder.path(), 1).map_err(said)?;
        let all = expressions.iter().map(|expression| feeds.find(expression).unwrap());
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let used = feeds.into_used().map_err(said)?;
        let columns = all.iter().map(|(_, column)| column + 1).max().unwrap_or(0);
        assert_eq!(used.first().map_or(0, |feed| feed.columns), columns);
        Ok(all)
    }

    #[track_caller]
    fn check(keys: &str, expressions: &[&str], expected: &[u16]) {
        let expected: Vec<_> = expected.iter().map(|&column| (0, column)).collect();
        assert_eq!(found(keys, expressions).as_deref(), Ok(&expected[..]));
    }

    #[track_caller]
    fn refuse(keys: &str, expressions: &[&str], said: &str) {
        let error = found(keys, expressions).unwrap_err();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn columns_are_kept_in_the_order_in_which_they_are_named_and_no_others_are() {
        let users = "file = \"users.csv\"";
        check(users, &["f.name", "f[0]", "f['full name']", "f.name"], &[0, 1, 2, 0]);
        check(users, &["f.full name"], &[0]);
        check(users, &[], &[]);
        check("file = \"users.tsv\"", &["f.b", "f[0]"], &[0, 1]);
        check("file = \"one.csv\"", &["f", "f.n"], &[0, 1]);
        check("file = \"words.txt\"", &["f"], &[0]);
        check("file = \"docs.jsonl\"", &["f.a.b", "f", "f['a']"], &[0, 1, 2]);
        let other = "file = \"semi.dat\"\nformat = \"csv\"\ndelimiter = \";\"\nquote = \"'\"\n\
                     comment = \"#\"\n";
        check(&format!("{other}header = false"), &["f[1]"], &[0]);
        check(&format!("{other}names = [\"p\", \"q\"]"), &["f.q"], &[0]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_place_and_remedy() {
        let users = "file = \"users.csv\"";
        refuse("", &[], "p.toml:1:1: feeds.f has no file; give one");
        refuse(
            "file = \"u.csv\"",
            &[],
            "p.toml:2:8: feeds.f.file names a file that cannot be used",
        );
        refuse("fil = \"u.csv\"", &[], "did you mean \"file\"?");
        refuse(users, &["f.nmae"], "the feed f has no column \"nmae\"; did you mean name?");
        refuse(users, &["f.xyzzy"], "there are id, name, full name");
        refuse(users, &["f[3]"], "the feed f has 3 columns, and the first is [0]");
        refuse(users, &["f"], "{{f}}: the feed f has 3 columns; there are id, name, full name");
        refuse(users, &["f[x]"], "a column is f.word");
        refuse("file = \"words.txt\"", &["f.a"], "the feed f has lines and no columns");
        refuse("file = \"docs.jsonl\"", &["f.a["], "the bracket is not closed");
        refuse("file = \"docs.jsonl\"", &["f.c"], "docs.jsonl:1: it has no value at $.c");
        let plain = "file = \"users.csv\"\nheader = false";
        refuse(plain, &["f.id"], "has no column \"id\"; write {{f[0]}} for the first");
        for (key, said) in [
            ("format = \"xml\"", "is \"xml\"; there are \"csv\""),
            ("order = \"any\"", "is \"any\"; there are \"sequential\""),
            ("order = \"random\"\nrepeat = false", "do not go together, since rows may come again"),
            ("order = \"unique\"\nrepeat = true", "do not go together; leave one of them out"),
            ("delimiter = \";;\"", "give one character"),
            ("quote = \",\"", "has one sign for two purposes"),
            ("names = [\"a\"]", "has 1 names, and the rows of \"users.csv\" have 3 fields"),
            ("format = \"lines\"\nnames = [\"a\"]", "goes with CSV only"),
            ("format = \"json\"\nheader = true", "goes with CSV only"),
        ] {
            refuse(&format!("{users}\n{key}"), &[], said);
        }
    }

    #[test]
    fn a_name_that_no_template_could_have_is_refused() {
        for (name, said) in [("\"a b\"", "no template could have"), ("uuid", "choose another")] {
            let file = from_text("p.toml", &format!("[feeds.{name}]\nfile = \"x\"\n")).unwrap();
            let fault = Feeds::read(&file.root, Path::new(""), 1).unwrap_err();
            assert!(file.remark(&fault).contains(said), "{}", file.remark(&fault));
        }
    }
}
