//! Checks and captures on responses, whole and cut.

use super::*;
use core::cell::Cell;
use core::iter::Copied;
use core::slice;
use proptest::prelude::*;

const FIELDS: &[(&[u8], &[u8])] = &[
    (b"Content-Type", b"application/json; charset=utf-8"),
    (b"X-Twice", b"one"),
    (b"set-cookie", b"id=first; Path=/"),
    (b"x-twice", b"two"),
    (b"Set-Cookie", b" other = a=b "),
    (b"SET-COOKIE", b"id=\"last\";HttpOnly"),
    (b"Set-Cookie", b"broken"),
    (b"X-Empty", b""),
];

const BODY: &str = r#"{"user":
    {"id":42,"name":"A\u00e9","ok":true,"not":false,"none":null,"tags":["x",{"y":1}]},
    "token":"<t>abc-123</t>"}"#;

type Lines<'a> = Copied<slice::Iter<'a, (&'a [u8], &'a [u8])>>;

/// A response with this beginning of a body.
fn response_of(body: &[u8], body_len: usize) -> Response<'_, Lines<'_>> {
    let took = Nanos::from_millis(20);
    let content = Content { bytes: body, is_cut: body_len > body.len() };
    let (body, body_len) = (Ok(content), body_len as u64);
    Response { status: 201, fields: FIELDS.iter().copied(), body, body_len, took }
}

/// The response, of which `kept` bytes of the body are kept.
fn response(kept: usize) -> Response<'static, Lines<'static>> {
    response_of(&BODY.as_bytes()[..kept], BODY.len())
}

fn token(name: &str) -> Token {
    Token::parse(name).unwrap()
}

fn marker(text: &str) -> Marker {
    Marker::new(text).unwrap()
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn field(name: &str, value: FieldTest) -> Test {
    Test::Field { name: token(name), value }
}

fn json(path: &str, scalar: Scalar) -> Test {
    Test::Json { path: Path::parse(path).unwrap(), value: JsonTest::Equals(scalar) }
}

fn there(path: &str) -> Test {
    Test::Json { path: Path::parse(path).unwrap(), value: JsonTest::Present }
}

fn number(text: &str) -> Scalar {
    Scalar::Number(Number::parse(text).unwrap())
}

fn contains(text: &str) -> Test {
    Test::Body(BodyTest::Contains(marker(text)))
}

fn matches(text: &str) -> Test {
    Test::Body(BodyTest::Matches(pattern(text)))
}

/// Whether the test holds when so much of the body is kept.
fn holds(test: &Test, kept: usize) -> Result<bool, Unjudged> {
    Check::new("c", test.clone()).holds(&response(kept))
}

#[track_caller]
fn check(test: &Test, expected: bool) {
    assert_eq!(holds(test, BODY.len()), Ok(expected), "{test:?}");
}

#[test]
fn a_status_size_or_time_is_within_bounds_or_not() {
    check(&Test::Status(ExpectedStatus::new([200..=201])), true);
    check(&Test::Status(ExpectedStatus::new([200..=200])), false);
    let length = BODY.len() as u64;
    for (least, most, expected) in
        [(length, length, true), (0, length - 1, false), (length + 1, u64::MAX, false)]
    {
        let test = Test::Size(Sizes::new(least, most).unwrap());
        check(&test, expected);
        assert_eq!(holds(&test, 0), Ok(expected), "it is the size that counts, not what is kept");
    }
    check(&Test::Time(Nanos::from_millis(20)), false);
    check(&Test::Time(Nanos::new(20_000_001)), true);
}

#[test]
fn of_several_fields_with_a_name_one_is_enough() {
    check(&field("x-empty", FieldTest::Present), true);
    check(&field("x-absent", FieldTest::Present), false);
    check(&field("x-empt", FieldTest::Present), false);
    for (value, expected) in [("one", true), ("two", true), ("on", false), ("ONE", false)] {
        check(&field("X-TWICE", FieldTest::Equals(value.as_bytes().into())), expected);
    }
    check(&field("content-type", FieldTest::Contains(marker("charset"))), true);
    check(&field("content-type", FieldTest::Contains(marker("text/"))), false);
    check(&field("x-twice", FieldTest::Matches(pattern("^tw."))), true);
    check(&field("x-twice", FieldTest::Matches(pattern("^w"))), false);
    check(&field("x-absent", FieldTest::Matches(pattern(""))), false);
}

#[test]
fn a_body_holds_a_text_a_match_or_a_value() {
    check(&contains("abc-123</t>\"}"), true);
    check(&contains("abc-124"), false);
    check(&matches(r"<t>[a-z]+-\d+</t>"), true);
    check(&matches(r"^\d"), false);
    for (path, scalar, expected) in [
        ("$.user.id", number("42"), true),
        ("$.user.id", number("4.2e1"), true),
        ("$.user.id", number("43"), false),
        ("$.user.id", Scalar::Text("42".into()), false),
        ("$.user.name", Scalar::Text("A\u{e9}".into()), true),
        ("$.user.name", Scalar::Text("A".into()), false),
        ("$.user.ok", Scalar::Bool(true), true),
        ("$.user.ok", Scalar::Bool(false), false),
        ("$.user.not", Scalar::Bool(false), true),
        ("$.user.not", Scalar::Bool(true), false),
        ("$.user.none", Scalar::Null, true),
        ("$.user.ok", Scalar::Null, false),
        ("$.user.tags[0]", Scalar::Text("x".into()), true),
        ("$.user.tags[2]", Scalar::Text("x".into()), false),
        ("$.user.tags", Scalar::Text("x".into()), false),
        ("$.nobody", Scalar::Null, false),
    ] {
        check(&json(path, scalar), expected);
    }
    check(&there("user.tags[1]"), true);
    check(&there("user.none"), true);
    check(&there("user.tags[2]"), false);
}

#[test]
fn what_cannot_be_told_has_a_reason() {
    let test = json("$.a", Scalar::Null);
    let of = |body: &[u8]| Check::new("c", test.clone()).holds(&response_of(body, body.len()));
    assert_eq!(of(b"<html>"), Err(Unjudged::NotJson));
    assert_eq!(of(b""), Err(Unjudged::NotJson));
    assert_eq!(of(b"{\"a\":null"), Err(Unjudged::NotJson));
    let deep = ["{\"b\":", &"[".repeat(600)].concat();
    assert_eq!(of(deep.as_bytes()), Err(Unjudged::TooDeep));
    assert_eq!(of(b"{\"a\":null}"), Ok(true));
}

#[test]
fn a_body_that_cannot_be_decoded_is_a_reason_for_those_who_look_at_it() {
    let size = Test::Size(Sizes::new(9, 9).unwrap());
    for (undecoded, check, capture) in [
        (Undecoded::Strange, Unjudged::Encoding, Missed::Encoding),
        (Undecoded::Broken, Unjudged::NotDecoded, Missed::NotDecoded),
    ] {
        let coded = Response { body: Err(undecoded), ..response_of(b"123456789", 9) };
        let holds = |test: Test| Check::new("c", test).holds(&coded);
        assert_eq!(holds(json("$.a", Scalar::Null)), Err(check));
        assert_eq!(holds(Test::Body(BodyTest::Contains(marker("1")))), Err(check));
        assert_eq!(holds(size.clone()), Ok(true), "what came is measured");
        for source in [at("$.a"), between("1", "3"), grouped("1", Group::Number(0))] {
            let taken = Capture::new(source, 0).take(&coded, &mut Vec::new());
            assert_eq!(taken, Err(capture));
        }
        assert_eq!((undecoded.name(), check.name()), (check.name(), capture.name()));
    }
}

#[test]
fn a_part_of_the_body_decides_if_the_rest_can_change_nothing() {
    let at = |text: &str| BODY.find(text).unwrap();
    let id = json("$.user.id", number("42"));
    assert_eq!(holds(&id, at(",\"name")), Err(Unjudged::BodyCut));
    assert_eq!(holds(&id, at("\"name")), Ok(true));
    let absent = there("$.user.absent");
    assert_eq!(holds(&absent, at("},")), Err(Unjudged::BodyCut));
    assert_eq!(holds(&absent, at(",\n")), Ok(false));

    let contained = contains("abc");
    assert_eq!(holds(&contained, at("abc") + 3), Ok(true));
    assert_eq!(holds(&contained, at("abc") + 2), Err(Unjudged::BodyCut));
    // The end of what is kept is no end of a word, and of the body neither.
    for expression in [r"abc\b", "abc$", "abc"] {
        let test = matches(expression);
        assert_eq!(holds(&test, at("abc") + 3), Err(Unjudged::BodyCut), "{expression}");
    }
    assert_eq!(holds(&matches(r"abc\b"), at("abc") + 7), Ok(true));
    assert_eq!(holds(&matches("abc$"), at("abc") + 7), Err(Unjudged::BodyCut));
}

#[test]
fn needs_are_those_of_all() {
    let checks = [
        Check::new("s", Test::Status(ExpectedStatus::default())),
        Check::new("f", field("a", FieldTest::Present)),
        Check::new("b", contains("x")),
        Check::new("j", there("$")),
        Check::new("t", Test::Time(Nanos::ZERO)),
        Check::new("z", Test::Size(Sizes::new(0, 1).unwrap())),
    ];
    let needs = checks.each_ref().map(Check::needs);
    let (no, fields, body) = (Needs::NOTHING, Needs::FIELDS, Needs::BODY);
    assert_eq!(needs, [no, fields, body, body, no, no]);
    assert_eq!(checks[1].name(), "f");

    let captures = extractors().map(|(from, ..)| Capture::new(from, 3));
    let needs = captures.each_ref().map(Capture::needs);
    assert_eq!(needs, [no, fields, fields, body, body, body]);
    assert_eq!(captures[0].variable(), 3);
    assert_eq!(Needs::of(&checks[..2], &captures[..2]), fields);
    assert_eq!(Needs::of(&[], &captures[2..4]), Needs { fields: true, body: true });
    assert_eq!(Needs::of(&checks[..1], &captures[..1]), no);
}

fn grouped(expression: &str, group: Group<'_>) -> Extractor {
    Extractor::Pattern(Grouped::new(pattern(expression), group).unwrap())
}

fn between(before: &str, after: &str) -> Extractor {
    Extractor::Between { before: marker(before), after: marker(after) }
}

fn at(path: &str) -> Extractor {
    Extractor::Json(Path::parse(path).unwrap())
}

/// One of each kind, with what it takes from the response.
fn extractors() -> [(Extractor, &'static str); 6] {
    [
        (Extractor::Status, "201"),
        (Extractor::Field(token("x-twice")), "one"),
        (Extractor::Cookie(token("id")), "\"last\""),
        (at("$.user.name"), "A\u{e9}"),
        (grouped(r"<t>([a-z]+)-(?<n>\d+)</t>", Group::Name("n")), "123"),
        (between("<t>", "</t>"), "abc-123"),
    ]
}

/// What is taken from the response when so much of the body is kept.
fn taken(source: Extractor, kept: usize) -> Result<String, Missed> {
    let mut out = b"what was there".to_vec();
    let result = Capture::new(source, 0).take(&response(kept), &mut out);
    assert!(result.is_ok() || out.is_empty());
    result.map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn a_capture_takes_what_is_there() {
    for (source, expected) in extractors() {
        assert_eq!(taken(source.clone(), BODY.len()).as_deref(), Ok(expected), "{source:?}");
    }
    for (source, expected) in [
        (Extractor::Field(token("x-empty")), ""),
        (Extractor::Cookie(token("other")), "a=b"),
        (at("$.user.id"), "42"),
        (at("$.user.ok"), "true"),
        (at("$.user.none"), "null"),
        (at("$.user.tags"), r#"["x",{"y":1}]"#),
        (grouped(r"([a-z]+)-(\d+)", Group::Number(0)), "abc-123"),
        (grouped(r"([a-z]+)-(\d+)", Group::Number(1)), "abc"),
        (between("{", "\""), ""),
    ] {
        assert_eq!(taken(source.clone(), BODY.len()).as_deref(), Ok(expected), "{source:?}");
    }
}

#[test]
fn what_is_not_there_is_missed_for_a_reason() {
    for (source, reason) in [
        (Extractor::Field(token("x-absent")), Missed::NoField),
        (Extractor::Cookie(token("ID")), Missed::NoCookie),
        (Extractor::Cookie(token("broken")), Missed::NoCookie),
        (at("$.user.tags[2]"), Missed::NoValue),
        (at("$.token[0]"), Missed::NoValue),
        (grouped(r"xyz(\d)", Group::Number(1)), Missed::NoMatch),
        (grouped(r"abc(\D\D)?", Group::Number(1)), Missed::NoMatch),
        (between("<t>", "<t>"), Missed::NoMarker),
        (between("</t>", "abc"), Missed::NoMarker),
        (between("absent", "</t>"), Missed::NoMarker),
    ] {
        assert_eq!(taken(source.clone(), BODY.len()), Err(reason), "{source:?}");
    }
}

#[test]
fn nothing_is_captured_that_the_rest_of_a_cut_body_could_change() {
    let end = |text: &str| BODY.find(text).unwrap() + text.len();
    let group = || grouped("<t>([a-z]+)", Group::Number(1));
    for (source, kept, expected) in [
        (at("$.user.id"), end("42"), Err(Missed::BodyCut)),
        (at("$.user.id"), end("42,"), Ok("42")),
        (at("$.user.zip"), end("\"y\":1}]}"), Ok("")),
        (group(), end("abc"), Err(Missed::BodyCut)),
        (group(), end("abc-12"), Err(Missed::BodyCut)),
        (group(), end("abc-123<"), Ok("abc")),
        (group(), 5, Err(Missed::BodyCut)),
        (between("<t>", "</t>"), end("</t"), Err(Missed::BodyCut)),
        (between("<t>", "</t>"), end("</t>"), Ok("abc-123")),
        (Extractor::Status, 0, Ok("201")),
    ] {
        let expected = match expected {
            Ok("") => Err(Missed::NoValue),
            other => other.map(String::from),
        };
        assert_eq!(taken(source.clone(), kept), expected, "{source:?} of {kept}");
    }
}

/// What a capture of a source takes from a body, and its reason if there is nothing.
fn taken_from(source: Extractor, body: &[u8]) -> Result<Vec<u8>, Missed> {
    let mut out = Vec::new();
    let whole = response_of(body, body.len());
    Capture::new(source, 0).take(&whole, &mut out).map(|()| out)
}

#[test]
fn values_have_a_longest_length() {
    for (length, expected) in
        [(VALUE_BYTES_MAX, Ok(VALUE_BYTES_MAX)), (VALUE_BYTES_MAX + 1, Err(Missed::TooLong))]
    {
        let text = "x".repeat(length);
        let body = format!("{{\"a\":\"{text}\"}}");
        for source in [at("$.a"), between(":\"", "\"}"), grouped("x+", Group::Number(0))] {
            let taken = taken_from(source, body.as_bytes()).map(|value| value.len());
            assert_eq!(taken, expected, "{length}");
        }
    }
}

#[test]
fn a_broken_document_gives_no_value() {
    let broken = |body: &str| taken_from(at("$.a"), body.as_bytes());
    assert_eq!(broken("<html>"), Err(Missed::NotJson));
    assert_eq!(broken("{\"a\":\"x\\q\"}"), Err(Missed::NotJson));
    let deep = ["{\"b\":", &"[".repeat(600)].concat();
    assert_eq!(broken(&deep), Err(Missed::TooDeep));
    let mut out = Vec::new();
    let body = b"{\"a\":\"before \\q\"}";
    let whole = response_of(body, body.len());
    let _ = Capture::new(at("$.a"), 0).take(&whole, &mut out);
    assert!(out.is_empty(), "nothing of a value that is broken further on");
}

#[test]
fn what_cannot_be_looked_for_is_refused_in_one_line() {
    let texts = [
        Pattern::parse("a(b").unwrap_err(),
        Pattern::parse("é(").unwrap_err(),
        Pattern::parse("a\n(b").unwrap_err(),
        Pattern::parse("a{100}{100}{100}").unwrap_err(),
        Grouped::new(pattern("a(b)"), Group::Number(2)).unwrap_err(),
        Grouped::new(pattern("a(b)"), Group::Name("n")).unwrap_err(),
        Marker::new("").unwrap_err(),
        Token::parse("a b").unwrap_err(),
        Token::parse("").unwrap_err(),
        Number::parse("1.").unwrap_err(),
        Sizes::new(2, 1).unwrap_err(),
    ]
    .map(|error| error.to_string());
    let meant = r"put \ before each of .+*?()[]{}|^$\ that is meant as it stands";
    let named = "can be no name: names consist of letters, digits and !#$%&'*+-.^_`|~; write for \
                 example X-Request-Id";
    let expected = [
        format!("`a(b` is no regular expression: character 2: unclosed group; {meant}"),
        format!("`é(` is no regular expression: character 2: unclosed group; {meant}"),
        format!("`a\n(b` is no regular expression: unclosed group; {meant}"),
        "`a{100}{100}{100}` takes more than the 4194304 bytes that a regular expression may; \
         repeat less in it, for example .* instead of .{0,5000}"
            .into(),
        "`a(b)` has no group 2: its groups are 0 to 1; put what is to be captured in parentheses"
            .into(),
        "`a(b)` has no group n: its groups are 0 to 1; put what is to be captured in parentheses"
            .into(),
        "there is nothing to search for in an empty text; write at least one character".into(),
        format!("`a b` {named}"),
        format!("`` {named}"),
        "`1.` is no number in JSON; write for example 42 or -1.5e3".into(),
        "no size is from 2 to 1 bytes; give the smaller number first".into(),
    ];
    for (text, expected) in texts.iter().zip(&expected) {
        assert_eq!(text, expected);
    }
}

#[test]
fn reasons_have_names_of_their_own() {
    let mut names: Vec<&str> = Missed::ALL.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Missed::ALL.len());
    for (at, reason) in Unjudged::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, at);
        assert!(names.contains(&reason.name()), "the same reason has the same name in both sets");
    }
    assert_eq!(Missed::TooDeep.to_string(), "the body is nested more than 512 deep");
    assert_eq!(Missed::TooLong.to_string(), "the value is longer than 65536 bytes");
}

#[test]
fn looking_at_a_response_allocates_nothing() {
    let checks = [
        Check::new("s", Test::Status(ExpectedStatus::default())),
        Check::new("f", field("x-twice", FieldTest::Matches(pattern("t[a-z]o")))),
        Check::new("b", contains("abc")),
        Check::new("m", matches(r"\w+-\d+")),
        Check::new("j", json("$.user.name", Scalar::Text("A\u{e9}".into()))),
    ];
    let mut captures = extractors().map(|(source, _)| Capture::new(source, 0));
    let (mut out, good) = (Vec::with_capacity(100), Cell::new(0));
    let mut look = || {
        let response = response(BODY.len());
        good.set(good.get() + checks.iter().filter(|c| c.holds(&response) == Ok(true)).count());
        good.set(
            good.get()
                + captures.iter_mut().filter_map(|c| c.take(&response, &mut out).ok()).count(),
        );
    };
    // What the expressions need for searching is made now.
    look();
    let measured = allocation_counter::measure(|| (0..100).for_each(|_| look()));
    assert_eq!((measured.count_total, good.get()), (0, 101 * 11));
}

proptest! {
    // What is kept of a body decides nothing that all of it decides otherwise.
    #[test]
    fn a_part_of_the_body_is_never_wrong(
        body in "[ab ]{0,14}",
        kept in any::<prop::sample::Index>(),
        expression in "[ab]{1,2}[+*?]?(\\$|\\\\b)?|\\^?b",
        text in "[ab]{1,3}",
    ) {
        let kept = kept.index(body.len() + 1);
        let part = |kept: usize| response_of(&body.as_bytes()[..kept], body.len());
        for test in [matches(&expression), contains(&text)] {
            let check = Check::new("c", test);
            let (told, whole) = (check.holds(&part(kept)), check.holds(&part(body.len())));
            let open = told == Err(Unjudged::BodyCut) && kept < body.len();
            prop_assert!(told == whole || open, "{:?} {:?}", told, whole);
        }
        let first = |rest: &str| rest.find(&text).map(|at| rest[..at].to_owned());
        let expected = body.split_once(' ').and_then(|(_, rest)| first(rest));
        let mut out = Vec::new();
        let mut capture = Capture::new(between(" ", &text), 0);
        match capture.take(&part(kept), &mut out) {
            Ok(()) => prop_assert_eq!(Some(String::from_utf8(out).unwrap()), expected),
            Err(Missed::BodyCut) => prop_assert!(kept < body.len()),
            Err(missed) => prop_assert_eq!((missed, expected), (Missed::NoMarker, None)),
        }
    }
}
