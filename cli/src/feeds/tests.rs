//! Files as they are and as they should not be.

use core::fmt::Write;
use std::fs;

use proptest::prelude::*;
use pummel_engine::judge::{Extractor, Path as JsonPath};

use super::records::RECORD_MAX;
use super::*;

const CSV: Format = Format::Csv(Dialect { delimiter: b',', quote: b'"', comment: None });

/// All records of a text of which so much is read at once, with the line of each.
fn records(text: &str, format: Format, portion: usize) -> Result<Vec<(u64, Vec<String>)>, Fault> {
    let from = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let mut records = Records::new(from, format, portion);
    let mut all = Vec::new();
    while records.next()? {
        let field = |index| String::from_utf8(records.field(index).unwrap().to_vec()).unwrap();
        assert_eq!(records.field(records.count()), None);
        all.push((records.fault("").line, (0..records.count()).map(field).collect()));
    }
    assert!(!records.next()?, "it stays at its end");
    Ok(all)
}

/// The fields of each record, whatever is read at once.
#[track_caller]
fn check(text: &str, format: Format, expected: &[(u64, &[&str])]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(line, fields)| (*line, fields.iter().map(|&field| field.to_owned()).collect()))
        .collect();
    for portion in [3, 4, 5, 7, PORTION] {
        assert_eq!(records(text, format, portion).unwrap(), expected, "{portion} of {text:?}");
    }
}

#[track_caller]
fn refuse(text: &str, format: Format, line: u64, what: &str) {
    for portion in [3, 4, 5, 7, PORTION] {
        let fault = records(text, format, portion).unwrap_err();
        assert_eq!(fault.line, line, "{portion} of {text:?}: {}", fault.what);
        assert!(fault.what.contains(what), "{}", fault.what);
    }
}

#[test]
fn a_line_is_what_stands_before_its_end_and_a_blank_one_is_none() {
    check("a\nb c\r\n\n\nd", Format::Lines, &[(1, &["a"]), (2, &["b c"]), (5, &["d"])]);
    check("\u{feff}a\n", Format::Lines, &[(1, &["a"])]);
    check("", Format::Lines, &[]);
    check("\n\r\n", Format::Json, &[]);
}

#[test]
fn a_row_of_csv_is_read_as_rfc_4180_has_it() {
    check("a,b\n1,\"x, y\"\n", CSV, &[(1, &["a", "b"]), (2, &["1", "x, y"])]);
    check("a,b\r\n1,\r\n\r\n,2", CSV, &[(1, &["a", "b"]), (2, &["1", ""]), (4, &["", "2"])]);
    check("\"say \"\"x\"\"\nagain\",2\n3", CSV, &[(1, &["say \"x\"\nagain", "2"]), (3, &["3"])]);
    check("\u{feff}\"a\"", CSV, &[(1, &["a"])]);
    check("\"a\"\"\"", CSV, &[(1, &["a\""])]);
    check("\n\n", CSV, &[]);
    let other = Format::Csv(Dialect { delimiter: b';', quote: b'\'', comment: Some(b'#') });
    check("#x\na;'b;c'\n# y\n1;\"2", other, &[(1, &["a", "b;c"]), (3, &["1", "\"2"])]);
    check("a\n#the end", other, &[(1, &["a"])]);
}

#[test]
fn what_is_no_text_or_has_no_end_is_refused_with_its_line() {
    refuse("a\nb\n\0", Format::Lines, 3, "is no text");
    refuse("a,b\n1,\"2\n3,4\n", CSV, 2, "has a quote that is never closed");
    refuse("a,\"", CSV, 1, "has a quote that is never closed");
    let long = format!("a\n{}", "x".repeat(RECORD_MAX + 1));
    for format in [Format::Lines, CSV] {
        let fault = records(&long, format, PORTION).unwrap_err();
        assert_eq!(fault.line, 2);
        assert!(fault.what.contains("longer than 1 MiB"), "{}", fault.what);
    }
}

/// The rows of a file with this text, and the folder that it lies in.
fn rows(
    (name, text): (&str, &str),
    format: Format,
    columns: Vec<Column>,
    course: Course,
) -> Result<FileRows, Fault> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let (source, _) = Source::open(&path, format, (format == CSV, true))?;
    FileRows::check(source, columns, course, name.to_owned())
}

/// The first rows of a run, as texts.
fn first(rows: &FileRows, count: usize) -> Vec<Vec<String>> {
    let mut reading = rows.reading().unwrap();
    let mut all = Vec::new();
    while all.len() < count && reading.next().unwrap() {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        all.push(reading.values().map(text).collect());
    }
    all
}

/// So many rows with their numbers and what stands behind those, below a header.
fn numbered(header: &str, rows: u32, behind: &str) -> String {
    let mut text = format!("{header}\n");
    (0..rows).for_each(|row| writeln!(text, "{row}{behind}").unwrap());
    text
}

fn course(order: Order, repeat: bool) -> Course {
    Course { order, repeat, seed: 7 }
}

fn at(path: &str) -> Column {
    let capture = Capture::new(Extractor::Json(JsonPath::parse(path).unwrap()), 0);
    Column::At(capture, path.to_owned())
}

#[test]
fn quotes_that_mean_nothing_are_refused_with_their_line() {
    let refused = |text: &str, line, what: &str| refuse(text, CSV, line, what);
    refused("a,b\n1,5\"\n", 2, "has a quote amid a field");
    refused("a, \"b\"\n", 1, "has a quote amid a field");
    refused("a\n\"b\"c\n", 2, "has text behind a closing quote");
    refused("a\n\"b\nc\" \n", 2, "has text behind a closing quote");
    refused("a\n1\n\n\"b", 4, "has a quote that is never closed");
    let dialect = Dialect { delimiter: b';', quote: b'\'', comment: Some(b'#') };
    let format = Format::Csv(dialect);
    check(
        "# it's\n5\"; 'a'';'\r\n",
        Format::Csv(Dialect { quote: b'|', ..dialect }),
        &[(1, &["5\"", " 'a''", "'"])],
    );
    check("#'\nx;'y;z'\n", format, &[(1, &["x", "y;z"])]);
    check("\"\",\"a\"\"\"\n,\"\r\n\"\n", CSV, &[(1, &["", "a\""]), (2, &["", "\r\n"])]);
}

#[test]
fn columns_are_fields_lines_and_what_is_at_a_path() {
    let once = course(Order::Sequential, false);
    let csv = ("u.csv", "id,name\n1,Jo\n2,\"Ann, B\"\n");
    let both = vec![Column::Field(1), Column::Field(0)];
    let found = first(&rows(csv, CSV, both, once).unwrap(), 9);
    assert_eq!(found, [["Jo", "1"], ["Ann, B", "2"]]);
    let json = ("u.json", "{\"a\":{\"b\":\"x\\ny\"}}\n{\"a\":{\"b\":[1, 2]}}\n");
    let found = rows(json, Format::Json, vec![at("$.a.b"), Column::Field(0)], once).unwrap();
    let found = first(&found, 9);
    assert_eq!(found[0], ["x\ny", "{\"a\":{\"b\":\"x\\ny\"}}"]);
    assert_eq!(found[1][0], "[1, 2]");
}

#[test]
fn a_file_that_is_held_and_one_that_is_not_have_the_same_rows() {
    let filler = "x".repeat(60);
    let text = numbered("id,x", 20_000, &format!(",{filler}"));
    assert!(text.len() as u64 > HELD_MAX);
    for order in [Order::Sequential, Order::Shuffled] {
        let all = rows(("u.csv", &text), CSV, vec![Column::Field(0)], course(order, true)).unwrap();
        assert!(all.source.held.is_none());
        let found = first(&all, 40_000);
        for pass in found.chunks(20_000) {
            let mut numbers: Vec<u32> = pass.iter().map(|row| row[0].parse().unwrap()).collect();
            assert_eq!(numbers.is_sorted(), order == Order::Sequential);
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..20_000));
        }
    }
}

#[test]
fn an_order_ends_or_begins_again_as_it_should() {
    let text = numbered("n", 50, "");
    let of = |order, repeat| {
        let columns = vec![Column::Field(0)];
        let rows = rows(("n.csv", &text), CSV, columns, course(order, repeat)).unwrap();
        first(&rows, 1_000).into_iter().map(|row| row[0].parse().unwrap()).collect::<Vec<u32>>()
    };
    assert!(of(Order::Sequential, false).into_iter().eq(0..50));
    assert!(of(Order::Sequential, true).into_iter().eq((0..1_000).map(|n| n % 50)));
    let mut once = of(Order::Shuffled, false);
    assert!(!once.is_sorted());
    once.sort_unstable();
    assert!(once.into_iter().eq(0..50));
    let again = of(Order::Shuffled, true);
    assert_ne!(again[..50], again[50..100], "each time another order");
    let random = of(Order::Random, true);
    assert_eq!(random.len(), 1_000);
    assert!((0..50).all(|n| random.iter().filter(|&&other| other == n).count() > 3));
    assert_eq!(random, of(Order::Random, true), "one seed, one order");
}

#[test]
fn a_file_is_looked_at_before_the_run() {
    let once = course(Order::Sequential, true);
    let said = |file, format, columns| rows(file, format, columns, once).unwrap_err();
    let fault = said(("u.csv", "a,b\n1,2\n3\n"), CSV, vec![Column::Field(0)]);
    assert_eq!(fault.line, 3);
    assert!(fault.what.starts_with("has 1 field, and 2 are wanted"), "{}", fault.what);
    let fault = said(("u.json", "{}\n\n{\"a\":1]\n"), Format::Json, vec![Column::Field(0)]);
    assert_eq!(fault.line, 3);
    assert!(fault.what.starts_with("is no JSON at column 7"), "{}", fault.what);
    let fault = said(("u.json", "{\"a\":1}\n{\"b\":1}\n"), Format::Json, vec![at("$.a")]);
    assert_eq!(fault.line, 2);
    assert!(fault.what.starts_with("has no value at $.a"), "{}", fault.what);
    for (text, format) in [("", Format::Lines), ("\n\n", Format::Json), ("a,b\n", CSV)] {
        let fault = said(("u", text), format, vec![Column::Field(0)]);
        assert!(fault.what.starts_with("has no row"), "{}", fault.what);
    }
    let none = Source::open(Path::new("/dev/null"), CSV, (false, true)).unwrap_err();
    assert!(none.what.contains("is no file that can be read again"), "{}", none.what);
    let gone = Source::open(Path::new("/no/such/file"), CSV, (false, true)).unwrap_err();
    assert!(gone.what.starts_with("cannot be read"), "{}", gone.what);
    assert_eq!((gone.place("f"), none.place("f")), ("f".to_owned(), "f".to_owned()));
}

proptest! {
    #[test]
    fn what_is_written_as_csv_is_read_back(
        table in prop::collection::vec(prop::collection::vec("[a\",\r\n é]{0,6}", 3..4), 1..20),
        portion in 1_usize..40,
        ending in prop::sample::select(&["\n", "\r\n"][..]),
        last in any::<bool>(),
    ) {
        let field = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
        let row = |row: &Vec<String>| row.iter().map(field).collect::<Vec<_>>().join(",");
        let mut text = table.iter().map(row).collect::<Vec<_>>().join(ending);
        if last {
            text += ending;
        }
        let read = records(&text, CSV, portion).unwrap();
        prop_assert_eq!(read.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>(), table);
    }

    #[test]
    fn any_bytes_are_read_or_refused(text: String, portion in 1_usize..40) {
        // A zero byte is seen with all that is read at once, before what stands in front of it.
        let text = text.replace('\0', "\"");
        for format in [Format::Lines, Format::Json, CSV] {
            let read = records(&text, format, portion);
            prop_assert_eq!(read, records(&text, format, PORTION));
        }
    }
}
