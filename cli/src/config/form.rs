//! Forms of several parts (RFC 7578): texts, files, and a boundary that stands in none of them.
//!
//! Files are read once, before the run, but for large ones in forms without values, which are read
//! as they are sent.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use memchr::memmem;
use pummel_proto_http::{BodySource, Text};

use super::input;
use super::request::Content;
use super::scenario::Meaning;
use super::upload::{self, Held};
use crate::args::Quoted;

/// What a file is, unless it is said.
const UNKNOWN: &str = "application/octet-stream";

/// Boundaries that are tried. All of them stand in a body only if it was made for that.
const TRIES_MAX: u64 = 64;

/// What all of them begin with, and how long they are.
const BEGINNING: &str = "pummel-";
const BOUNDARY_BYTES: usize = BEGINNING.len() + 32;

/// Bytes of a large file that are looked through at once.
const PIECE: u64 = 1 << 20;

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
    content: Inner,
}

/// What a part holds, as it is sent.
#[derive(Clone, Debug)]
enum Inner {
    Text(Text),
    File(Held),
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
        let head = format!("form-data; name=\"{}\"\r\n", escaped(name));
        Self { head, content: Inner::Text(content) }
    }

    /// A part with the bytes of a file, whose path begins in `folder`.
    fn file(name: &str, file: &FileSpec<'_>, folder: &Path) -> Result<Self> {
        let (path, kind) = (folder.join(file.path), file.kind);
        let shown = path.display().to_string();
        let content = input::lasting(&path).and_then(|file| upload::read(file, &shown));
        let content = content
            .map_err(|error| anyhow!("cannot read file {}: {error}", Quoted(&shown)))
            .map(Inner::File)?;
        let own = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let (name, file) = (escaped(name), escaped(file.name.unwrap_or(&own)));
        let head =
            format!("form-data; name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {kind}\r\n");
        Ok(Self { head, content })
    }

    /// Which boundaries stand in it, a bit for each.
    fn boundaries(&self) -> u64 {
        let content = match &self.content {
            Inner::Text(text) => boundaries(text.literal()),
            Inner::File(Held::Here(bytes)) => boundaries(bytes),
            Inner::File(Held::Large(file)) => boundaries_of(file),
        };
        boundaries(self.head.as_bytes()) | content
    }

    /// Whether nothing of it varies, and so it can be read as it is sent.
    fn is_constant(&self) -> bool {
        match &self.content {
            Inner::Text(text) => text.is_constant(),
            Inner::File(_) => true,
        }
    }
}

/// Puts `parts` together: the field Content-Type, and the body. Its boundary stands in none of
/// them, and in none of the texts that values are made from.
pub(super) fn assemble(parts: &[Part], texts: &[&str]) -> Result<(String, Content)> {
    let known = parts.iter().map(Part::boundaries);
    let known = known.chain(texts.iter().map(|text| boundaries(text.as_bytes())));
    let known = known.fold(0, |all, one| all | one);
    let Some(boundary) = (0..TRIES_MAX).find(|n| known >> n & 1 == 0).map(boundary) else {
        bail!("the form holds every boundary that could hold it apart; change its parts");
    };
    let large = |part: &Part| matches!(part.content, Inner::File(Held::Large(_)));
    let stored = parts.iter().any(large) && parts.iter().all(Part::is_constant);
    // What has been put together since the last file that is read as it is sent.
    let (mut text, mut segments) = (Text::default(), Vec::new());
    for part in parts {
        text.push(format!("--{boundary}\r\nContent-Disposition: {}\r\n", part.head));
        match &part.content {
            Inner::Text(content) => text.append(content),
            Inner::File(Held::Here(bytes)) => text.push(bytes),
            Inner::File(Held::Large(file)) if stored => {
                let before = core::mem::take(&mut text);
                segments.push(Held::Here(before.literal().to_vec()));
                segments.push(Held::Large(file.clone()));
            }
            Inner::File(Held::Large(file)) => text.push(whole(file)?),
        }
        text.push("\r\n");
    }
    text.push(format!("--{boundary}--\r\n"));
    let kind = format!("multipart/form-data; boundary={boundary}");
    if !stored {
        return Ok((kind, Content::Here(text)));
    }
    segments.push(Held::Here(text.literal().to_vec()));
    Ok((kind, Content::Stored(upload::joined(segments))))
}

/// All that a large file holds, which stands beside what varies.
fn whole(file: &upload::Upload) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.length())?];
    file.read(0, &mut bytes);
    match file.failure() {
        Some(said) => bail!("{said}"),
        None => Ok(bytes),
    }
}

/// Which boundaries stand in `bytes`, a bit for each.
fn boundaries(bytes: &[u8]) -> u64 {
    let mut found = 0;
    for at in memmem::find_iter(bytes, BEGINNING) {
        let word = bytes.get(at..at + BOUNDARY_BYTES);
        let is = |n: &u64| Some(boundary(*n).as_bytes()) == word;
        found |= (0..TRIES_MAX).find(is).map_or(0, |n| 1 << n);
    }
    found
}

/// The same of a large file, piece by piece.
fn boundaries_of(file: &upload::Upload) -> u64 {
    let (mut found, mut from) = (0, 0);
    let mut piece = Vec::new();
    while from < file.length() {
        // A boundary may stand across two pieces.
        let to = file.length().min(from + PIECE + BOUNDARY_BYTES as u64);
        piece.resize(usize::try_from(to - from).unwrap_or_default(), 0);
        file.read(from, &mut piece);
        found |= boundaries(&piece);
        from += PIECE;
    }
    found
}

/// The boundary that is tried as the `n`-th: the same in each run, and like nothing else.
fn boundary(n: u64) -> String {
    let scattered = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let (high, low) = (scattered(n + 1), scattered(!n));
    format!("{BEGINNING}{high:016x}{low:016x}")
}

/// A name between quotes: what would end them or the line is percent-encoded, as browsers do.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_proto_http::{Escape, Slot};
    use std::fs;

    fn spec(typed: &str) -> Result<Spec<'_>, String> {
        Spec::parse(typed).map_err(|error| error.to_string())
    }

    fn bytes(content: &Content) -> Vec<u8> {
        match content {
            Content::Here(text) => text.literal().to_vec(),
            Content::Stored(stored) => {
                let mut out = Vec::new();
                stored.append(0, usize::try_from(stored.length()).unwrap(), &mut out);
                out
            }
        }
    }

    fn shown(content: &Content) -> String {
        String::from_utf8_lossy(&bytes(content)).into_owned()
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
        assert_eq!(bytes(&body), expected);
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
    fn a_large_file_is_read_as_it_is_sent_unless_values_stand_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let large = |name: &str, text: &str| {
            // The text stands across two pieces.
            let at = usize::try_from(PIECE).unwrap() - 20;
            let bytes = [&vec![b'x'; at], text.as_bytes(), &[b'y'; 99]].concat();
            fs::write(folder.path().join(name), &bytes).unwrap();
            let typed = FileSpec { path: name, kind: UNKNOWN, name: None };
            (Part::file("f", &typed, folder.path()).unwrap(), bytes)
        };
        let ((one, first), (two, second)) = (large("one", &boundary(0)), large("two", ""));
        let text = Part::text("t", Text::from("z"));
        let parts = [one, text.clone(), two];
        let (kind, body) = assemble(&parts, &[&boundary(1)]).unwrap();
        assert!(kind.ends_with(&boundary(2)) && matches!(body, Content::Stored(_)), "{kind}");
        let mut value = Text::default();
        value.push_slot(Slot { value: 0, escape: Escape::Plain });
        let [one, _, two] = parts;
        let (again, held) = assemble(&[one, Part::text("t", value), two], &[&boundary(1)]).unwrap();
        assert!(again == kind && matches!(held, Content::Here(_)));
        let (body, held) = (bytes(&body), bytes(&held));
        assert_eq!(body.len(), held.len() + 1, "the value is empty");
        let at = |bytes: &[u8], part: &[u8]| memmem::find(bytes, part).unwrap();
        assert!(
            at(&body, &first) < at(&body, b"z\r\n") && at(&body, b"z\r\n") < at(&body, &second)
        );
        assert_eq!(at(&body, &first), at(&held, &first));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let file = FileSpec { path: "/no/such", kind: UNKNOWN, name: None };
        let said = Part::file("a", &file, Path::new("d")).unwrap_err();
        assert!(format!("{said:#}").starts_with("cannot read file \"/no/such\": No such"));
    }
}
