//! One value out of a JSON document, without reading the rest of it.
//!
//! Nothing is built. A cursor walks over the bytes: into what the path leads through, and past what
//! it does not, looking there for quotes and brackets only. It stops at the value, and what comes
//! after that is not looked at. So a document counts as JSON as far as it was walked over, and of
//! members with the same name the first one counts.
//!
//! Linear in the bytes that are walked over, without recursion: depth is a number.

use super::decimal::Decimal;
use super::nesting::end_of_nested;
use super::path::{Path, Step};

/// A value, as it stands in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'d> {
    /// What stands between the quotes of a string.
    Text(Text<'d>),
    /// A number, in its notation.
    Number(&'d [u8]),
    /// True or false, as it is written.
    Bool(&'d [u8]),
    /// Null, as it is written.
    Null(&'d [u8]),
    /// An object or a list, from bracket to bracket.
    Nested(&'d [u8]),
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The path leads nowhere: the document is another one.
    Nowhere,
    /// What was walked over is no JSON.
    NotJson,
    /// The document ends in the middle.
    Ended,
    /// It is nested too deeply.
    TooDeep,
}

/// Finds what `path` leads to in `document`, of which more follows if it `is_cut`.
pub(super) fn find<'d>(document: &'d [u8], is_cut: bool, path: &Path) -> Result<Value<'d>, Fault> {
    let mut cursor = Cursor { document, at: 0 };
    cursor.skip_space();
    for step in path.steps() {
        match step {
            Step::Member(name) => cursor.enter_member(name.as_bytes())?,
            Step::Element(index) => cursor.enter_element(*index)?,
        }
    }
    let value = cursor.take_value()?;
    let is_open = matches!(value, Value::Number(_) | Value::Bool(_) | Value::Null(_));
    if is_open && cursor.at == document.len() && (is_cut || !path.steps().is_empty()) {
        return Err(Fault::Ended);
    }
    // What begins like a number or a word may be any text.
    if is_open && path.steps().is_empty() {
        cursor.skip_space();
        if cursor.peek().is_some() {
            return Err(Fault::NotJson);
        }
    }
    Ok(value)
}

/// A place in a document.
struct Cursor<'d> {
    document: &'d [u8],
    at: usize,
}

impl<'d> Cursor<'d> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.document.get(self.at).copied()
    }

    /// The byte here, and on to the next.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn rest(&self) -> &'d [u8] {
        self.document.get(self.at..).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &'d [u8] {
        self.document.get(start..self.at).unwrap_or_default()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes into an object or a list, which begins with `open`, up to its first entry.
    fn enter(&mut self, open: u8, close: u8) -> Result<(), Fault> {
        match self.next() {
            Some(byte) if byte == open => {}
            Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                return Err(Fault::Nowhere);
            }
            other => return Err(unexpected(other)),
        }
        self.skip_space();
        if self.peek() == Some(close) { Err(Fault::Nowhere) } else { Ok(()) }
    }

    /// Goes past an entry's end, up to the next one.
    fn pass_comma(&mut self, close: u8) -> Result<(), Fault> {
        self.skip_space();
        match self.next() {
            Some(b',') => {}
            Some(byte) if byte == close => return Err(Fault::Nowhere),
            other => return Err(unexpected(other)),
        }
        self.skip_space();
        Ok(())
    }

    /// Goes into an object, up to the value of the member with this name.
    fn enter_member(&mut self, name: &[u8]) -> Result<(), Fault> {
        self.enter(b'{', b'}')?;
        loop {
            self.expect(b'"')?;
            let key = self.take_text()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            if key.equals(name) {
                return Ok(());
            }
            self.skip_value()?;
            self.pass_comma(b'}')?;
        }
    }

    /// Goes into a list, up to its element with this index.
    fn enter_element(&mut self, index: u32) -> Result<(), Fault> {
        self.enter(b'[', b']')?;
        for _ in 0..index {
            self.skip_value()?;
            self.pass_comma(b']')?;
        }
        Ok(())
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        match self.next() {
            Some(next) if next == byte => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Takes a value, and looks whether it is one.
    fn take_value(&mut self) -> Result<Value<'d>, Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                return Ok(Value::Text(self.take_text()?));
            }
            Some(b'{' | b'[') => {
                self.skip_value()?;
                return Ok(Value::Nested(self.since(start)));
            }
            _ => self.skip_value()?,
        }
        match self.since(start) {
            word @ (b"true" | b"false") => Ok(Value::Bool(word)),
            word @ b"null" => Ok(Value::Null(word)),
            number if Decimal::parse(number).is_some() => Ok(Value::Number(number)),
            _ if self.peek().is_none() => Err(Fault::Ended),
            _ => Err(Fault::NotJson),
        }
    }

    /// Goes past a value, without a look at what numbers and words say.
    #[inline]
    fn skip_value(&mut self) -> Result<(), Fault> {
        match self.next() {
            Some(b'"') => self.take_text().map(|_| ()),
            Some(b'{' | b'[') => {
                self.at += end_of_nested(self.rest())?;
                Ok(())
            }
            Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                let rest = self.rest();
                let delimits =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                self.at += rest.iter().position(delimits).unwrap_or(rest.len());
                Ok(())
            }
            other => Err(unexpected(other)),
        }
    }

    /// Takes a string that has begun, and its closing quote.
    #[inline]
    fn take_text(&mut self) -> Result<Text<'d>, Fault> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += find_string_end(self.rest()).ok_or(Fault::Ended)?;
            if self.next() == Some(b'"') {
                let between = self.document.get(start..self.at - 1).unwrap_or_default();
                return Ok(Text { between, escaped });
            }
            // Whatever is escaped is no end.
            escaped = true;
            self.next().ok_or(Fault::Ended)?;
        }
    }
}

/// The fault of another byte than the one that belongs there.
const fn unexpected(byte: Option<u8>) -> Fault {
    if byte.is_none() { Fault::Ended } else { Fault::NotJson }
}

/// Where the first quote or backslash is, searched for in eight bytes at a time.
#[inline]
fn find_string_end(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marks = marked(word, b'"') | marked(word, b'\\');
        if marks != 0 {
            return Some(8 * number + marks.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(8 * words.len() + at)
}

/// Sets the highest bit of the first byte of `word` that is this one; what is set behind it means
/// nothing.
#[inline]
const fn marked(word: u64, byte: u8) -> u64 {
    const LOW_BITS: u64 = 0x0101_0101_0101_0101;
    let zero = word ^ (LOW_BITS * byte as u64);
    zero.wrapping_sub(LOW_BITS) & !zero & (LOW_BITS << 7)
}

/// What stands between the quotes of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'d> {
    pub(super) between: &'d [u8],
    /// Whether anything in it is escaped.
    escaped: bool,
}

impl Text<'_> {
    /// Whether it says the same as `text`.
    #[inline]
    pub(super) fn equals(self, text: &[u8]) -> bool {
        if self.escaped { self.equals_unescaped(text) } else { self.between == text }
    }

    #[cold]
    fn equals_unescaped(self, text: &[u8]) -> bool {
        let mut left = Some(text);
        let read = self.unescape(|piece| left = left.and_then(|left| left.strip_prefix(piece)));
        read.is_ok() && left == Some(&[])
    }

    /// Hands over what it says, piece by piece (RFC 8259 section 7). Half of a surrogate pair,
    /// which is no character, becomes U+FFFD.
    pub(super) fn unescape(self, mut piece: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut rest = self.between;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let (plain, escape) = rest.split_at(at);
            piece(plain);
            let Some((&[_, kind], after)) = escape.split_first_chunk() else {
                return Err(Fault::NotJson);
            };
            rest = after;
            let plain = match kind {
                b'"' | b'\\' | b'/' => kind,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let character = take_character(&mut rest)?;
                    piece(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                _ => return Err(Fault::NotJson),
            };
            piece(&[plain]);
        }
        piece(rest);
        Ok(())
    }
}

/// Takes the digits behind a `\u`, and the other half of the pair if they are the first.
fn take_character(rest: &mut &[u8]) -> Result<char, Fault> {
    let first = take_unit(rest)?;
    let mut after = *rest;
    if (0xd800..0xdc00).contains(&first)
        && let Some(digits) = after.strip_prefix(b"\\u")
    {
        after = digits;
        let second = take_unit(&mut after)?;
        if (0xdc00..0xe000).contains(&second) {
            *rest = after;
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
    Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Takes four hexadecimal digits.
fn take_unit(rest: &mut &[u8]) -> Result<u32, Fault> {
    let (digits, after) = rest.split_first_chunk::<4>().ok_or(Fault::NotJson)?;
    *rest = after;
    digits.iter().try_fold(0, |unit, digit| {
        let value = char::from(*digit).to_digit(16).ok_or(Fault::NotJson)?;
        Ok(unit << 4 | value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;
    use proptest::prelude::*;
    use serde_json::Value as Reference;

    fn find_in<'d>(document: &'d str, path: &str) -> Result<Value<'d>, Fault> {
        find(document.as_bytes(), false, &Path::parse(path).unwrap())
    }

    /// The value at `path`, as it stands there, strings without their quotes.
    #[track_caller]
    fn check(document: &str, path: &str, expected: Result<&str, Fault>) {
        let found = find_in(document, path).map(|value| match value {
            Value::Text(text) => text.between,
            Value::Number(text) | Value::Bool(text) | Value::Null(text) | Value::Nested(text) => {
                text
            }
        });
        assert_eq!(found, expected.map(str::as_bytes), "{path} in {document}");
    }

    #[test]
    fn a_path_leads_to_its_value() {
        let document = r#" { "a" : {"b":[ {"c d":{"e":"x\"y"}} , -1.5e3 ]},"n":null,
            "t":true,"f":false, "\u0061b": [[],{} ,[ 1 ,2]], "": 7 , "last":"end" } "#;
        for (path, expected) in [
            ("$.a.b[0]['c d'].e", r#"x\"y"#),
            ("a.b[0]", r#"{"c d":{"e":"x\"y"}}"#),
            ("a.b[1]", "-1.5e3"),
            ("n", "null"),
            ("t", "true"),
            ("f", "false"),
            ("ab[0]", "[]"),
            ("ab[1]", "{}"),
            ("ab[2][1]", "2"),
            ("['']", "7"),
            ("last", "end"),
            ("$", document.trim()),
        ] {
            check(document, path, Ok(expected));
        }
        for path in ["b", "a.c", "a[0]", "a.b.c", "a.b[2]", "n.a", "t[0]", "ab[0][0]", "ab[1].a"] {
            check(document, path, Err(Fault::Nowhere));
        }
        check(r#"{"a":1,"a":2}"#, "a", Ok("1"));
    }

    #[test]
    fn a_document_may_be_a_single_value() {
        for (document, expected) in [
            ("42", Ok("42")),
            (" true\n", Ok("true")),
            ("\"a\"", Ok("a")),
            ("42 items", Err(Fault::NotJson)),
            ("truely ", Err(Fault::NotJson)),
            ("<html>", Err(Fault::NotJson)),
            ("OK", Err(Fault::NotJson)),
            ("", Err(Fault::Ended)),
            ("tru", Err(Fault::Ended)),
            ("\"a", Err(Fault::Ended)),
        ] {
            check(document, "$", expected);
        }
        check("<html>", "a", Err(Fault::NotJson));
        check("42", "a", Err(Fault::Nowhere));
        // Of a body that goes on, nobody knows what a number at its end would become.
        let root = Path::parse("$").unwrap();
        assert_eq!(find(b"42", true, &root), Err(Fault::Ended));
        assert_eq!(find(b"42 ", true, &root), Ok(Value::Number(b"42")));
    }

    #[test]
    fn what_is_walked_over_must_be_json() {
        for document in [
            "{a:1}",
            "{'a':1}",
            "{\"b\" 1,\"a\":1}",
            "{\"b\":1 \"a\":1}",
            "{\"b\":1,}",
            "{\"b\":,\"a\":1}",
            "{,\"a\":1}",
            "{\"b\":1],\"a\":1}",
            "{\"a\":01}",
            "{\"a\":nul }",
            "{\"a\":}",
            "{\"a\":+1}",
        ] {
            check(document, "a", Err(Fault::NotJson));
        }
        for document in ["{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"b\":[1,", "{\"b\":\"\\\""] {
            check(document, "a", Err(Fault::Ended));
        }
        check("[1,]", "[1]", Err(Fault::NotJson));
        check("[1", "[1]", Err(Fault::Ended));
        check("{\"a\":1}}}}", "a", Ok("1"));
    }

    #[test]
    fn nesting_is_followed_to_a_depth_and_no_further() {
        let nested = |depth: usize| {
            let (open, close) = ("[{\"x\":".repeat(depth / 2), "}]".repeat(depth / 2));
            format!("{{\"b\":{open}0{close},\"a\":1}}")
        };
        check(&nested(512), "a", Ok("1"));
        check(&nested(514), "a", Err(Fault::TooDeep));
        check(&"[".repeat(1 << 20), "$", Err(Fault::TooDeep));
        check(&"[".repeat(1 << 20), "[0]", Err(Fault::TooDeep));
    }

    fn unescaped(between: &str) -> Result<String, Fault> {
        let (mut out, text) = (Vec::new(), Text { between: between.as_bytes(), escaped: true });
        text.unescape(|piece| out.extend_from_slice(piece))?;
        assert!(text.equals(&out));
        assert!(!text.equals(&[&out[..], b"x"].concat()));
        assert!(out.is_empty() || !text.equals(&out[1..]));
        Ok(String::from_utf8(out).unwrap())
    }

    // RFC 8259 section 7.
    #[test]
    fn strings_say_what_their_escapes_stand_for() {
        for (between, expected) in [
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"a\u0041\u00e9\u20AC!", "aA\u{e9}\u{20ac}!"),
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"\udbff\udfff", "\u{10ffff}"),
            (r"\ud83d", "\u{fffd}"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\ude00\ud83d\u0041", "\u{fffd}\u{fffd}A"),
            (r"\ud83d\n", "\u{fffd}\n"),
        ] {
            assert_eq!(unescaped(between).as_deref(), Ok(expected), "{between}");
        }
        for between in [r"\x", r"\u12", r"\u12g4", r"\ud83d\u12", r"\u+123", r"\U0041"] {
            assert_eq!(unescaped(between), Err(Fault::NotJson), "{between}");
        }
    }

    #[test]
    fn words_find_what_bytes_find() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                for filler in [b'a', b' ', 0, 0x7f, 0x80, 0xff, byte ^ 1, byte ^ 0x20] {
                    let mut bytes = [filler; 20];
                    bytes[at] = byte;
                    let ends = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                    assert_eq!(find_string_end(&bytes), ends, "{byte:x} in {filler:x}");
                }
            }
        }
    }

    fn names() -> impl Strategy<Value = String> {
        const ODD: [&str; 12] =
            ["", "a", "b", "c d", "\"", "\\", "]", "é", "\u{1f600}", "\n", "key", "a/b"];
        prop_oneof![prop::sample::select(&ODD[..]).prop_map(String::from), ".{0,10}"]
    }

    fn documents() -> impl Strategy<Value = Reference> {
        let leaf = prop_oneof![
            Just(Reference::Null),
            any::<bool>().prop_map(Reference::from),
            any::<i64>().prop_map(Reference::from),
            (-1e9..1e9).prop_map(Reference::from),
            ".{0,40}".prop_map(Reference::from),
            names().prop_map(Reference::from),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Reference::from),
                prop::collection::vec((names(), inner), 0..6)
                    .prop_map(|members| Reference::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Writes documents as servers might, with spaces and escapes that nobody asked for.
    struct Writer {
        out: Vec<u8>,
        seed: u64,
    }

    impl Writer {
        /// One of `count`, another one each time.
        fn choice(&mut self, count: u64) -> u64 {
            self.seed =
                self.seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767);
            (self.seed >> 33) % count
        }

        fn space(&mut self) {
            for _ in 0..self.choice(3) {
                let space = b" \n\t\r"[usize::try_from(self.choice(4)).unwrap()];
                self.out.push(space);
            }
        }

        fn text(&mut self, text: &str) {
            self.out.push(b'"');
            for character in text.chars() {
                if self.choice(5) == 0 {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.out.extend(format!("\\u{unit:04x}").bytes());
                    }
                } else {
                    let quoted = serde_json::to_string(&character).unwrap();
                    self.out.extend(&quoted.as_bytes()[1..quoted.len() - 1]);
                }
            }
            self.out.push(b'"');
        }

        fn value(&mut self, value: &Reference) {
            self.space();
            match value {
                Reference::String(text) => self.text(text),
                Reference::Array(elements) => {
                    self.out.push(b'[');
                    for (at, element) in elements.iter().enumerate() {
                        self.out.extend((at > 0).then_some(b','));
                        self.value(element);
                    }
                    self.space();
                    self.out.push(b']');
                }
                Reference::Object(members) => {
                    self.out.push(b'{');
                    for (at, (name, member)) in members.iter().enumerate() {
                        self.out.extend((at > 0).then_some(b','));
                        self.space();
                        self.text(name);
                        self.space();
                        self.out.push(b':');
                        self.value(member);
                    }
                    self.space();
                    self.out.push(b'}');
                }
                other => self.out.extend(other.to_string().bytes()),
            }
            self.space();
        }
    }

    fn written(value: &Reference, seed: u64) -> Vec<u8> {
        let mut writer = Writer { out: Vec::new(), seed };
        writer.value(value);
        writer.out
    }

    /// A path, most of the time one that leads somewhere, and what it leads to.
    fn way<'v>(root: &'v Reference, choices: &[(u8, bool)]) -> (String, Option<&'v Reference>) {
        let (mut path, mut here) = (String::from("$"), Some(root));
        for (choice, astray) in choices {
            let choice = usize::from(*choice);
            match here {
                Some(Reference::Array(elements)) if !elements.is_empty() || *astray => {
                    let index = if *astray { choice } else { choice % elements.len() };
                    write!(path, "[{index}]").unwrap();
                    here = elements.get(index);
                }
                Some(Reference::Object(members)) if !members.is_empty() && !*astray => {
                    let (name, member) = members.iter().nth(choice % members.len()).unwrap();
                    let name = name.replace('\\', "\\\\").replace('\'', "\\'");
                    write!(path, "['{name}']").unwrap();
                    here = Some(member);
                }
                Some(value) if *astray => {
                    path += ".astray";
                    here = value.get("astray");
                }
                _ => break,
            }
        }
        (path, here)
    }

    /// What a value says, as `serde_json` reads it.
    fn meaning(value: Value<'_>) -> Reference {
        match value {
            Value::Text(text) => {
                let mut out = Vec::new();
                text.unescape(|piece| out.extend_from_slice(piece)).unwrap();
                assert!(text.equals(&out));
                Reference::from(String::from_utf8(out).unwrap())
            }
            Value::Number(text) | Value::Bool(text) | Value::Null(text) | Value::Nested(text) => {
                serde_json::from_slice(text).unwrap()
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_is_the_one_that_serde_json_finds(
            document in documents(),
            seed in any::<u64>(),
            choices in prop::collection::vec((any::<u8>(), prop::bool::weighted(0.1)), 0..6),
        ) {
            let text = written(&document, seed);
            let read: Reference = serde_json::from_slice(&text).unwrap();
            let (path, expected) = way(&read, &choices);
            let found = find(&text, false, &Path::parse(&path).unwrap());
            prop_assert_eq!(found.map(meaning), expected.cloned().ok_or(Fault::Nowhere));
        }

        // A document that goes on has the value, or has it not, or nobody can tell yet.
        #[test]
        fn the_beginning_of_a_document_tells_nothing_wrong(
            document in documents(),
            seed in any::<u64>(),
            choices in prop::collection::vec((any::<u8>(), prop::bool::weighted(0.1)), 0..6),
        ) {
            let text = written(&document, seed);
            let (path, _) = way(&document, &choices);
            let path = Path::parse(&path).unwrap();
            let whole = find(&text, false, &path);
            let mut known = false;
            for end in 0..text.len() {
                let told = find(&text[..end], true, &path);
                prop_assert!(told == whole || (told == Err(Fault::Ended) && !known), "{:?}", told);
                known |= told == whole;
                let _ = find(&text[..end], false, &path);
            }
        }

        #[test]
        fn any_bytes_are_looked_through_without_a_fault(
            document in documents(),
            seed in any::<u64>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            choices in prop::collection::vec((any::<u8>(), prop::bool::weighted(0.1)), 0..6),
        ) {
            let mut text = written(&document, seed);
            for (at, byte) in changes.into_iter().filter(|_| !text.is_empty()).collect::<Vec<_>>() {
                let at = at.index(text.len());
                text[at] = byte;
            }
            let (path, _) = way(&document, &choices);
            let path = Path::parse(&path).unwrap();
            for bytes in [&text[..], &bytes] {
                for is_cut in [false, true] {
                    if let Ok(Value::Text(text)) = find(bytes, is_cut, &path) {
                        let _ = text.unescape(|_| {});
                        text.equals(b"");
                    }
                }
            }
        }
    }
}
