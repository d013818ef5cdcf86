//! Which URLs a run asks for: one, those of a file, or those that a pattern makes.
//!
//! They are known before the run, with all of their hosts, so that a shard makes nothing up.

use core::fmt;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pummel_engine::plan::{STEPS_MAX, Url};
use pummel_proto_http::{Scheme, Text};
use rand::TryRng;
use rand::distr::Distribution;
use rand_regex::Regex;
use regex_syntax::ParserBuilder;

use super::input;
use super::scenario::{self, Meaning, Scope, Variables};
use super::servers::Servers;
use super::target::{self, TargetUrl};
use crate::args::{Quoted, RunArgs};

/// How many repetitions `*`, `+` and `{n,}` of a pattern add at most, unless it is said.
const REPEAT: u32 = 4;

/// Longest URL that a pattern may make.
const URL_BYTES_MAX: usize = 8 * 1024;

/// What the word that names the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// A URL.
    Plain,
    /// A file of URLs.
    File,
    /// A pattern that makes URLs.
    Pattern,
}

/// Where a URL leads.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// To a server that is known now. Its path is a template.
    At(TargetUrl),
    /// To one that is made of values.
    Made(Made),
}

/// A URL whose server is made of values, as two templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// Scheme, host and port.
    base: String,
    /// The rest of path and query, which may be empty.
    rest: String,
}

/// What is asked for, as templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Path and query, at the server with this number.
    At(u16, String),
    /// A URL whose server is made of values.
    Made(Made),
}

/// The URLs of a run.
#[derive(Clone, Debug)]
pub(super) struct Urls {
    /// Where the first one leads. Its path is in its URL only if there is no other.
    pub(super) target: Aim,
    /// Where they lead, by the numbers of the servers, as far as that is known now.
    pub(super) servers: Vec<TargetUrl>,
    /// Each of them, in the order in which they are asked for; there is one at least.
    pub(super) places: Vec<Place>,
    /// Whether not all of them lead to one server.
    pub(super) are_apart: bool,
    /// What is to be printed instead of a run.
    pub(super) dump: Option<Vec<String>>,
}

impl Spelling {
    fn of(args: &RunArgs) -> Self {
        match (args.target.urls_from_file, args.target.rand_regex_url) {
            (true, _) => Self::File,
            (false, true) => Self::Pattern,
            (false, false) => Self::Plain,
        }
    }

    /// What secures connections to the target that is spelt so, if that can be seen.
    pub(super) fn scheme(self, typed: &str) -> Option<Scheme> {
        let of = |url: &str| Some(aim_alone(url).ok()?.scheme());
        match self {
            Self::Plain => of(typed),
            // What can be read only once is left to those who need all of it.
            Self::File if input::is_read_once(Path::new(typed)) => None,
            Self::File => {
                let text = fs::read_to_string(typed).ok()?;
                let schemes = || lines(&text).filter_map(|(_, line)| of(line));
                schemes().find(|scheme| *scheme == Scheme::Https).or_else(|| schemes().next())
            }
            Self::Pattern => {
                let clear = ["http://", "h2c://"].iter().any(|scheme| typed.starts_with(scheme));
                let plain = clear || !typed.contains("://");
                Some(if plain { Scheme::Http } else { Scheme::Https })
            }
        }
    }
}

impl Aim {
    /// What secures connections there, or may.
    fn scheme(&self) -> Scheme {
        match self {
            Self::At(server) => server.scheme,
            Self::Made(Made { base, .. }) => {
                let word = base.split_once("://").map(|(word, _)| word.to_ascii_lowercase());
                let clear = word.is_some_and(|word| ["http", "h2c"].contains(&&*word));
                if clear { Scheme::Http } else { Scheme::Https }
            }
        }
    }

    /// The same with `path` behind its own.
    pub(super) fn joined(&self, path: &str) -> Self {
        match self {
            Self::At(server) => {
                let path = target::joined(&server.path, path);
                let url = format!("{}{path}", server.origin());
                Self::At(TargetUrl { url, path, ..server.clone() })
            }
            Self::Made(Made { base, rest }) => {
                Self::Made(Made { base: base.clone(), rest: target::joined(rest, path) })
            }
        }
    }
}

impl Made {
    fn of(typed: &str) -> Self {
        let base = scenario::origin(typed).to_owned();
        Self { rest: behind(typed, &base).to_owned(), base }
    }

    /// The URL with the places of its values, and the path that stands for it where it is not made
    /// yet.
    ///
    /// # Errors
    /// If a template is not understood.
    pub(super) fn place(&self, meaning: &mut Meaning<'_>) -> Result<(Text, Url)> {
        let (base, rest) = (meaning.text(&self.base)?, meaning.path(&self.rest)?);
        let path = if self.rest.starts_with('/') { rest.clone() } else { Text::from("/") };
        Ok((path, Url { base, rest, home: None }))
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base, self.rest)
    }
}

/// What of a template follows on `base`, without its fragment.
fn behind<'t>(typed: &'t str, base: &str) -> &'t str {
    let rest = typed.get(base.len()..).unwrap_or_default();
    let end = scenario::veiled(rest).find('#').unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// Where a URL leads, in which values may stand anywhere.
pub(super) fn aim(typed: &str, meaning: &mut Meaning<'_>) -> Result<Aim> {
    let origin = scenario::origin(typed);
    // The path of a socket has no host before it.
    if !typed.contains("{{") || origin.eq_ignore_ascii_case("unix:") {
        return target::parse(typed).map(Aim::At);
    }
    let known = meaning.known(origin).with_context(|| format!("target {}", Quoted(typed)))?;
    let Some(known) = known else { return Ok(Aim::Made(Made::of(typed))) };
    let server = target::parse(&known)?;
    // A variable may stand for more than the host.
    let path = match behind(typed, origin) {
        "" => server.path.clone(),
        query if query.starts_with('?') => format!("{}{query}", server.path),
        path => target::joined(&server.path, path),
    };
    Ok(Aim::At(TargetUrl { url: format!("{}{path}", server.origin()), path, ..server }))
}

/// The same where no names are known: a server that has some is taken to be made of values.
pub(super) fn aim_alone(typed: &str) -> Result<Aim> {
    let (mut variables, scope) = (Variables::default(), Scope::default());
    let mut meaning = Meaning { variables: &mut variables, scope: &scope };
    let origin = scenario::origin(typed);
    if origin.contains("{{") && meaning.known(origin).is_err() {
        return Ok(Aim::Made(Made::of(typed)));
    }
    aim(typed, &mut meaning)
}

/// Understands what was typed as the target.
pub(super) fn understand(args: &RunArgs) -> Result<Urls> {
    let Some(typed) = args.target.any() else {
        bail!("no target; try `pummel http://localhost:8080/` or `pummel demo`");
    };
    let spelling = Spelling::of(args);
    for (flag, value) in
        [("--max-repeat", args.target.max_repeat), ("--dump-urls", args.target.dump_urls)]
    {
        ensure!(
            value.is_none() || spelling == Spelling::Pattern,
            "{flag} is for a pattern of URLs; give --rand-regex-url, too, or leave it out"
        );
    }
    match spelling {
        Spelling::Plain => {
            let mut all = Gathered::default();
            all.add(aim_alone(typed)?)?;
            all.into_urls(None).context("no URL")
        }
        Spelling::File => from_file(typed),
        Spelling::Pattern => from_pattern(typed, args),
    }
}

/// The lines of a text with something on them, and their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let all = text.lines().zip(1..).map(|(line, number)| (number, line.trim()));
    all.filter(|(_, line)| !line.is_empty())
}

fn from_file(name: &str) -> Result<Urls> {
    let file = Quoted(name);
    let bytes = input::read(Path::new(name));
    let bytes = bytes.with_context(|| format!("--urls-from-file: cannot read {file}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = before.filter(|&&byte| byte == b'\n').count() + 1;
        anyhow!("--urls-from-file: line {line} of {file} is no UTF-8; write other bytes as %XX")
    })?;
    let count = lines(&text).count();
    ensure!(count > 0, "--urls-from-file: {file} has no URL; write one per line");
    ensure!(
        count <= STEPS_MAX,
        "--urls-from-file: {file} has {count} URLs, and a run has {STEPS_MAX} at most; give fewer, \
         or --rand-regex-url with a pattern"
    );
    let at = |line: usize| format!("--urls-from-file: line {line} of {file}");
    let mut all = Gathered::default();
    for (number, line) in lines(&text) {
        let url = aim_alone(line).with_context(|| at(number))?;
        all.add(url).with_context(|| at(number))?;
    }
    all.into_urls(None).context("no URL")
}

fn from_pattern(typed: &str, args: &RunArgs) -> Result<Urls> {
    let pattern = Quoted(typed);
    let (repeat, dump) = (args.target.max_repeat.unwrap_or(REPEAT), args.target.dump_urls);
    let dump = dump.map(|count| count as usize);
    ensure!(
        dump.is_none_or(|count| (1..=STEPS_MAX).contains(&count)),
        "--dump-urls {} is more than a run has, or none; give 1 to {STEPS_MAX}",
        dump.unwrap_or_default()
    );
    let regex = regex(typed, repeat)?;
    let wanted = args.load.requests.and_then(|count| usize::try_from(count).ok());
    let count = dump.or(wanted).unwrap_or(STEPS_MAX).clamp(1, STEPS_MAX);
    let mut random = Drawn(args.machine.seed);
    let (mut all, mut printed) = (Gathered::default(), Vec::new());
    for _ in 0..count {
        let bytes: Vec<u8> = regex.sample(&mut random);
        let made = escaped(&bytes);
        let url = target::parse(&made);
        let url = url.with_context(|| {
            format!(
                "--rand-regex-url: {pattern} makes no URLs; write http:// before the host, and \
                     \\. for a dot in it"
            )
        })?;
        if dump.is_some() {
            printed.push(url.url.clone());
        }
        let added = all.add(Aim::At(url));
        added.with_context(|| format!("--rand-regex-url: {pattern} makes many hosts"))?;
    }
    all.into_urls(dump.map(|_| printed)).context("no URL")
}

/// What makes texts that `typed` describes.
fn regex(typed: &str, repeat: u32) -> Result<Regex> {
    let pattern = Quoted(typed);
    // What a pattern stands for is of ASCII, as a URL is: \w, \d and . too.
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(typed);
    let parsed = parsed.map_err(|error| {
        let reason = match &error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string().replace('\n', " "),
        };
        anyhow!("--rand-regex-url: {pattern} is no regular expression: {reason}; mend it")
    })?;
    let regex = Regex::with_hir(parsed, repeat).map_err(|_| {
        anyhow!(
            "--rand-regex-url: {pattern} has an anchor or a boundary, like ^, $ or \\b, which \
             makes nothing; leave it out"
        )
    })?;
    ensure!(
        regex.capacity() <= URL_BYTES_MAX,
        "--rand-regex-url: {pattern} makes URLs of up to {} bytes; {URL_BYTES_MAX} is the most, so \
         bound its repetitions, or give a smaller --max-repeat",
        regex.capacity()
    );
    Ok(regex)
}

/// URLs, and where they lead.
#[derive(Default)]
struct Gathered {
    first: Option<Aim>,
    servers: Servers,
    places: Vec<Place>,
}

impl Gathered {
    /// Takes one more.
    ///
    /// # Errors
    /// If it leads to one server too many.
    fn add(&mut self, url: Aim) -> Result<()> {
        self.places.push(match &url {
            Aim::At(server) => Place::At(self.servers.number(server)?, server.path.clone()),
            Aim::Made(made) => Place::Made(made.clone()),
        });
        self.first.get_or_insert(url);
        Ok(())
    }

    fn into_urls(self, dump: Option<Vec<String>>) -> Option<Urls> {
        let Self { first, servers, places } = self;
        let target = match first? {
            Aim::At(first) => {
                let only = Place::At(0, first.path.clone());
                let same = places.iter().all(|place| *place == only);
                Aim::At(if same { first } else { first.root() })
            }
            made @ Aim::Made(_) => made,
        };
        let servers = servers.into_all();
        let made = |place: &Place| matches!(place, Place::Made(_));
        let are_apart = servers.len() > 1 || (places.len() > 1 && places.iter().any(made));
        Some(Urls { target, servers, places, are_apart, dump })
    }
}

/// What a pattern made as a URL: whatever cannot stand in one is percent-encoded.
fn escaped(bytes: &[u8]) -> String {
    let mut url = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let is_escape = matches!(after, [high, low, ..]
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
        let stands = match byte {
            b'%' => is_escape,
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(&byte),
        };
        if stands {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.extend([byte >> 4, byte & 15].map(hexadecimal));
        }
    }
    url
}

fn hexadecimal(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Random numbers from a seed: the same for ever, whatever a library does.
struct Drawn(u64);

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // The higher half is the better one.
        self.try_next_u64().map(|all| u32::try_from(all >> 32).unwrap_or_default())
    }

    /// The generator of Steele, Lea and Flood that is called `SplitMix64`.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(mixed ^ mixed >> 31)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for part in to.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            part.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::words;

    fn of(line: &str) -> Result<Urls, String> {
        understand(&words(line).run).map_err(|error| crate::output::stderr::once(&error))
    }

    /// A file with this text.
    fn file(text: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    fn paths(urls: &Urls) -> Vec<&str> {
        fn path(place: &Place) -> &str {
            match place {
                Place::At(_, path) => path,
                Place::Made(made) => panic!("{made}"),
            }
        }
        urls.places.iter().map(path).collect()
    }

    fn target(urls: &Urls) -> &TargetUrl {
        let Aim::At(target) = &urls.target else { panic!("{:?}", urls.target) };
        target
    }

    fn of_file(text: impl AsRef<[u8]>) -> Result<Urls, String> {
        let file = file(text);
        let name = file.path().to_str().unwrap();
        let urls = of(&format!("p {name} --urls-from-file"));
        urls.map_err(|said| said.replace(name, "FILE"))
    }

    #[test]
    fn a_file_of_urls_is_read_line_by_line() {
        let urls =
            of_file("\n http://h:1/a?b \r\n\n\thttp://h:1/c#d\nh:1\nhttp://h:1/a?b").unwrap();
        assert_eq!(paths(&urls), ["/a?b", "/c", "/", "/a?b"]);
        assert_eq!(target(&urls).url, "http://h:1/");
        assert_eq!(target(&of_file("http://h:1/a").unwrap()).url, "http://h:1/a");
        assert_eq!(target(&of_file("unix:/s:/a\nunix:/s:/b").unwrap()).url, "unix:/s:/");
        assert_eq!(target(&of_file("https://h/\n").unwrap()).scheme, Scheme::Https);
    }

    #[test]
    fn urls_of_several_hosts_name_theirs_by_number() {
        let urls = of_file("http://h:1/a\nhttps://g/b\nh:1/c\nhttps://g:443/d").unwrap();
        let expected = [(0, "/a"), (1, "/b"), (0, "/c"), (1, "/d")];
        assert_eq!(urls.places, expected.map(|(server, path)| Place::At(server, path.to_owned())));
        let servers: Vec<_> = urls.servers.iter().map(TargetUrl::origin).collect();
        assert_eq!(servers, ["http://h:1", "https://g"]);
        assert_eq!(target(&urls).url, "http://h:1/");
        let urls = of("p http://[ab]c/ --rand-regex-url -n 50").unwrap();
        assert_eq!((urls.servers.len(), urls.places.len()), (2, 50));
        let said = of("p http://h[0-9]{9}/ --rand-regex-url").unwrap_err();
        assert!(said.contains("makes many hosts: \"http://h"), "{said}");
    }

    #[test]
    fn as_many_urls_as_a_run_can_have_are_read_and_not_one_more() {
        let many = |count: usize| "http://h/a\n".repeat(count);
        assert_eq!(of_file(many(STEPS_MAX)).unwrap().places.len(), 65_535);
        assert_eq!(
            of_file(many(STEPS_MAX + 1)).unwrap_err(),
            "--urls-from-file: \"FILE\" has 65536 URLs, and a run has 65535 at most; give fewer, \
             or --rand-regex-url with a pattern"
        );
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_line() {
        for (text, said) in [
            (&b"\n \n"[..], "--urls-from-file: \"FILE\" has no URL; write one per line"),
            (
                b"h/a\n\nh/a b",
                "--urls-from-file: line 3 of \"FILE\": target \"h/a b\": ' ' cannot stand in a URL \
                 as it is; write %20",
            ),
            (
                b"h/a\nh/\xFF",
                "--urls-from-file: line 2 of \"FILE\" is no UTF-8; write other bytes as %XX",
            ),
        ] {
            assert_eq!(of_file(text).unwrap_err(), said);
        }
        let said = of("p /no/such --urls-from-file").unwrap_err();
        assert!(said.starts_with("--urls-from-file: cannot read \"/no/such\": No such"), "{said}");
    }

    #[test]
    fn a_pattern_makes_urls_from_the_seed() {
        let made = |line: &str| of(&format!("p {line} --rand-regex-url")).unwrap();
        let urls = made(r"http://127\.0\.0\.1:1/[a-c]{2}/\d+\?q=(x|y) -n 500");
        assert_eq!((urls.places.len(), target(&urls).host.as_str()), (500, "127.0.0.1"));
        for path in paths(&urls) {
            let (begin, end) = path.split_at(4);
            assert!(begin.starts_with('/') && begin.ends_with('/'), "{path}");
            assert!(begin[1..3].bytes().all(|byte| (b'a'..=b'c').contains(&byte)), "{path}");
            let (digits, query) = end.split_once('?').unwrap();
            // One, and four more at most.
            assert!((1..=5).contains(&digits.len()), "{path}");
            assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{path}");
            assert!(["q=x", "q=y"].contains(&query), "{path}");
        }
        let again = made(r"http://127\.0\.0\.1:1/[a-c]{2}/\d+\?q=(x|y) -n 500 --seed 1");
        assert_eq!(again.places, urls.places);
        let other = made(r"http://127\.0\.0\.1:1/[a-c]{2}/\d+\?q=(x|y) -n 500 --seed 2");
        assert_ne!(other.places, urls.places);
        assert_eq!(made("http://h/[ab] --seed 9").places.len(), STEPS_MAX);
        let longest = |line: &str| paths(&made(line)).iter().map(|path| path.len()).max().unwrap();
        assert_eq!(longest("http://h/a* -n 200 --max-repeat 9"), 10);
        assert_eq!(longest("http://h/a* -n 200 --max-repeat 0"), 1);
    }

    #[test]
    fn what_a_pattern_makes_is_escaped_where_it_must_be() {
        assert_eq!(escaped(b"http://h/a b\xFF%41%4#{"), "http://h/a%20b%FF%41%254%23%7B");
        let urls = of(r"p http://h/.{20} --rand-regex-url -n 500").unwrap();
        assert!(paths(&urls).iter().all(|path| target::ensure_escaped(path).is_ok()));
        assert!(paths(&urls).iter().any(|path| path.contains('%')));
    }

    #[test]
    fn urls_are_printed_as_they_are_asked_for() {
        let dumped = of(r"p http://h/[a-z]{8} --rand-regex-url --dump-urls 3").unwrap();
        let asked = of(r"p http://h/[a-z]{8} --rand-regex-url -n 3").unwrap();
        let expected: Vec<_> = paths(&asked).iter().map(|path| format!("http://h{path}")).collect();
        assert_eq!((dumped.dump, asked.dump), (Some(expected), None));
    }

    #[test]
    fn a_pattern_that_makes_no_urls_is_refused() {
        for (line, said) in [
            ("p h --dump-urls 3", "--dump-urls is for a pattern of URLs; give --rand-regex-url"),
            ("p h --max-repeat 3", "--max-repeat is for a pattern of URLs"),
            ("p h/[ --rand-regex-url", "--rand-regex-url: \"h/[\" is no regular expression: uncl"),
            ("p h/a$ --rand-regex-url", "--rand-regex-url: \"h/a$\" has an anchor or a boundary"),
            (
                "p ftp://h/a --rand-regex-url",
                "--rand-regex-url: \"ftp://h/a\" makes no URLs; write",
            ),
            ("p h/a{9000} --rand-regex-url", "--rand-regex-url: \"h/a{9000}\" makes URLs of up to"),
            (
                "p h/a --rand-regex-url --dump-urls 65536",
                "--dump-urls 65536 is more than a run has, or none; give 1 to 65535",
            ),
            ("p h/a --rand-regex-url --dump-urls 0", "--dump-urls 0 is more than a run has, or no"),
        ] {
            let found = of(line).unwrap_err();
            assert!(found.starts_with(said), "{found}\nexpected {said}");
        }
    }

    #[test]
    fn what_secures_connections_is_seen_before_anything_else() {
        let list = file("\nhttps://h/a\nhttps://h/b");
        let name = list.path().to_str().unwrap();
        assert_eq!(Spelling::File.scheme(name), Some(Scheme::Https));
        assert_eq!(Spelling::File.scheme("/no/such"), None);
        assert_eq!(Spelling::Pattern.scheme("https://h/[ab"), Some(Scheme::Https));
        assert_eq!(Spelling::Pattern.scheme("h/[ab]"), Some(Scheme::Http));
        assert_eq!(Spelling::Plain.scheme("h2://h"), Some(Scheme::Https));
    }
}
