//! Forms of several parts (RFC 7578): texts, files, and a boundary that stands in none of them.
//!
//! Files are read once, before the run: it sends them from memory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pummel_proto_http::Text;

use super::scenario::Meaning;
use crate::args::Quoted;

/// What a file is, unless it is said.
const UNKNOWN: &str = "application/octet-stream";

/// Boundaries that are tried. All of them stand in a body only if it was made for that.
const TRIES_MAX: u64 = 64;

/// What is said of a file whose path or name is made anew for each request.
pub(super) const FILE_VARIES: &str =
    "has a file that varies; files are opened before the run, so name one";

/// A part as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spec<'t> {
    name: &'t str,
    value: Value<'t>,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value<'t> {
    Text(&'t str),
    File(FileSpec<'t>),
}

/// A file as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileSpec<'t> {
    path: &'t str,
    /// What it is.
    kind: &'t str,
    /// What it is called, unless that is its own name.
    name: Option<&'t str>,
}

/// A part as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its field lines.
    head: String,
    content: Text,
}

impl<'t> Spec<'t> {
    /// Understands `NAME=VALUE` or `NAME=@FILE`, behind which `;type=TYPE` and `;filename=NAME` may
    /// stand.
    fn parse(typed: &'t str) -> Result<Self> {
        let (name, value) =
            typed.split_once('=').filter(|(name, _)| !name.is_empty()).with_context(|| {
                format!("{} is no part of a form; write NAME=VALUE or NAME=@FILE", Quoted(typed))
            })?;
        let Some(file) = value.strip_prefix('@') else {
            return Ok(Self { name, value: Value::Text(value) });
        };
        let file = FileSpec::parse(file);
        let FileSpec { path, kind, .. } = file;
        ensure!(!path.is_empty(), "{} names no file; write NAME=@FILE", Quoted(typed));
        let visible = kind.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        ensure!(
            visible && kind.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()),
            "{} is no type of a file; write for example ;type=image/png",
            Quoted(kind)
        );
        Ok(Self { name, value: Value::File(file) })
    }
}

impl<'t> FileSpec<'t> {
    /// What stands behind `@`: a path, and what is said of the file.
    fn parse(typed: &'t str) -> Self {
        let (mut path, mut kind, mut name) = (typed, None, None);
        // Each is there once at most, so what stands before it may hold its words.
        loop {
            let found = [(";type=", &mut kind), (";filename=", &mut name)];
            let found = found.into_iter().filter(|(_, known)| known.is_none());
            let last = found.filter_map(|(word, place)| Some((path.rfind(word)?, word, place)));
            let Some((at, word, place)) = last.max_by_key(|(at, ..)| *at) else { break };
            *place = path.get(at + word.len()..);
            path = path.get(..at).unwrap_or_default();
        }
        Self { path, kind: kind.unwrap_or(UNKNOWN), name }
    }
}

impl Part {
    /// Understands what was typed, in whose texts there may be values, and reads the file that it
    /// names; its path begins in `folder`.
    pub(super) fn read(typed: &str, folder: &Path, meaning: &mut Meaning<'_>) -> Result<Self> {
        let Spec { name, value } = Spec::parse(typed)?;
        ensure!(!name.contains("{{"), "{} has a name that varies; only values may", Quoted(typed));
        match value {
            Value::Text(text) => Ok(Self::text(name, meaning.text(text)?)),
            Value::File(FileSpec { path, kind, name: called }) => {
                let varies = || format!("{} {FILE_VARIES}", Quoted(typed));
                let mut known = |text| meaning.known(text)?.with_context(varies);
                let (path, called) = (known(path)?, called.map(known).transpose()?);
                let file = FileSpec { path: &path, kind, name: called.as_deref() };
                Self::file(name, &file, folder)
            }
        }
    }

    /// A part with a text.
    fn text(name: &str, content: Text) -> Self {
        Self { head: format!("form-data; name=\"{}\"\r\n", escaped(name)), content }
    }

    /// A part with the bytes of a file, whose path begins in `folder`.
    fn file(name: &str, file: &FileSpec<'_>, folder: &Path) -> Result<Self> {
        let (path, kind) = (folder.join(file.path), file.kind);
        let shown = path.display().to_string();
        let bytes = fs::read(&path)
            .map_err(|error| anyhow!("cannot read file {}: {error}", Quoted(&shown)))?;
        let own = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let (name, file) = (escaped(name), escaped(file.name.unwrap_or(&own)));
        let head =
            format!("form-data; name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {kind}\r\n");
        Ok(Self { head, content: Text::from(bytes) })
    }
}

/// Puts `parts` together: the field Content-Type, and the body. Its boundary stands in none of
/// them, and in none of the texts that values are made from.
pub(super) fn assemble(parts: &[Part], texts: &[&str]) -> Result<(String, Text)> {
    let stands = |boundary: &String| {
        let within = |bytes: &[u8]| bytes.windows(boundary.len()).any(|w| w == boundary.as_bytes());
        let in_part = |part: &Part| within(part.head.as_bytes()) || within(part.content.literal());
        parts.iter().any(in_part) || texts.iter().any(|text| within(text.as_bytes()))
    };
    let Some(boundary) = (0..TRIES_MAX).map(boundary).find(|one| !stands(one)) else {
        bail!("the form holds every boundary that could hold it apart; change its parts");
    };
    let mut body = Text::default();
    for part in parts {
        body.push(format!("--{boundary}\r\nContent-Disposition: {}\r\n", part.head));
        body.append(&part.content);
        body.push("\r\n");
    }
    body.push(format!("--{boundary}--\r\n"));
    Ok((format!("multipart/form-data; boundary={boundary}"), body))
}

/// The boundary that is tried as the `n`-th: the same in each run, and like nothing else.
fn boundary(n: u64) -> String {
    let scattered = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let (high, low) = (scattered(n + 1), scattered(!n));
    format!("pummel-{high:016x}{low:016x}")
}

/// A name between quotes: what would end them or the line is percent-encoded, as browsers do.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(typed: &str) -> Result<Spec<'_>, String> {
        Spec::parse(typed).map_err(|error| error.to_string())
    }

    fn shown(text: &Text) -> String {
        String::from_utf8_lossy(text.literal()).into_owned()
    }

    #[test]
    fn a_part_is_a_text_or_a_file() {
        let text = |value| Value::Text(value);
        let named = |path, kind, name| Value::File(FileSpec { path, kind, name });
        let file = |path, kind| named(path, kind, None);
        for (typed, name, value) in [
            ("a=b", "a", text("b")),
            ("a=", "a", text("")),
            ("a=b=c;type=x", "a", text("b=c;type=x")),
            ("a=@f", "a", file("f", UNKNOWN)),
            ("a=@/f;g;type=image/png", "a", file("/f;g", "image/png")),
            ("a=@f;filename=x y.png", "a", named("f", UNKNOWN, Some("x y.png"))),
            ("a=@f;filename=x;type=a/b", "a", named("f", "a/b", Some("x"))),
            ("a=@f;type=a/b;filename=x", "a", named("f", "a/b", Some("x"))),
            ("a=@f;type=x/y;type=a/b", "a", file("f;type=x/y", "a/b")),
        ] {
            assert_eq!(spec(typed), Ok(Spec { name, value }));
        }
        for (typed, said) in [
            ("a", "\"a\" is no part of a form; write NAME=VALUE or NAME=@FILE"),
            ("=b", "\"=b\" is no part of a form; write NAME=VALUE or NAME=@FILE"),
            ("a=@", "\"a=@\" names no file; write NAME=@FILE"),
            ("a=@;type=a/b", "\"a=@;type=a/b\" names no file; write NAME=@FILE"),
            ("a=@f;type=", "\"\" is no type of a file; write for example ;type=image/png"),
            ("a=@f;type=a/\n", "\"a/\\n\" is no type of a file; write for example ;type=image/png"),
        ] {
            assert_eq!(spec(typed), Err(said.to_owned()));
        }
    }

    #[test]
    fn a_form_is_its_parts_between_boundaries() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a \"b\".bin");
        fs::write(&path, b"\x00\r\n\xFF").unwrap();
        let typed = FileSpec { path: "a \"b\".bin", kind: "image/png", name: None };
        let file = Part::file("f\n", &typed, folder.path()).unwrap();
        let renamed = FileSpec { name: Some("other.png"), ..typed };
        let renamed = Part::file("f", &renamed, folder.path()).unwrap();
        assert!(renamed.head.contains("filename=\"other.png\""), "{renamed:?}");
        let parts = [Part::text("a\"", Text::from("1")), file];
        let (kind, body) = assemble(&parts, &[]).unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert!((1..=70).contains(&boundary.len()));
        let expected = [
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"a%22\"\r\n\r\n1\r\n"),
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"f%0A\"; \
                 filename=\"a %22b%22.bin\"\r\nContent-Type: image/png\r\n\r\n"
            ),
        ];
        let mut expected = expected.concat().into_bytes();
        expected.extend_from_slice(b"\x00\r\n\xFF\r\n");
        expected.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        assert_eq!(body.literal(), expected);
    }

    #[test]
    fn the_boundary_stands_nowhere_else() {
        let with = |text: &str, texts: &[&str]| {
            let parts = [Part::text("a", Text::from(text))];
            assemble(&parts, texts).map(|(_, body)| shown(&body))
        };
        let [zero, one, two] = [0, 1, 2].map(boundary);
        assert!(with("x", &[]).unwrap().contains(&zero));
        let said = with(&format!("x{zero}"), &[&format!("choice({one},b)")]).unwrap();
        assert!(said.starts_with(&format!("--{two}\r\n")), "{said}");
        let all: Vec<String> = (0..TRIES_MAX).map(boundary).collect();
        assert!(with(&all.concat(), &[]).unwrap_err().to_string().ends_with("change its parts"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let file = FileSpec { path: "/no/such", kind: UNKNOWN, name: None };
        let said = Part::file("a", &file, Path::new("d")).unwrap_err();
        assert!(format!("{said:#}").starts_with("cannot read file \"/no/such\": No such"));
    }
}
