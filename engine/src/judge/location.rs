//! Where a redirect leads: the field Location (RFC 9110 section 10.2.2), resolved against the URL
//! that was asked for (RFC 3986 section 5.2); and URLs that values make.

/// Longest Location that is followed; also longest path and query that come of one.
pub const LOCATION_BYTES_MAX: usize = 8 * 1024;

/// To which server a redirect leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads<'a> {
    /// To the one that was asked.
    Here,
    /// To the one of this name.
    There(Authority<'a>),
}

/// A server, as a URL names it.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// Whether the scheme is `https`, and not `http`.
    pub secured: bool,
    /// The host; an IPv6 address in its brackets.
    pub host: &'a [u8],
    /// The port, said or not.
    pub port: u16,
}

impl PartialEq for Authority<'_> {
    /// Hosts are the same in any case.
    fn eq(&self, other: &Self) -> bool {
        (self.secured, self.port) == (other.secured, other.port)
            && self.host.eq_ignore_ascii_case(other.host)
    }
}

impl Eq for Authority<'_> {}

impl<'a> Authority<'a> {
    /// The server that `text` names, which is `host` or `host:port`; `None` if it names none, or a
    /// user, too.
    #[must_use]
    pub fn parse(text: &'a [u8], secured: bool) -> Option<Self> {
        // A colon within brackets belongs to the address.
        let bracket = text.iter().rposition(|&byte| byte == b']').unwrap_or(0);
        let colon = text.iter().skip(bracket).position(|&byte| byte == b':');
        let (host, port) = match colon.map(|at| at + bracket) {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?),
            None => (text, &[][..]),
        };
        let port = match port {
            [] if secured => 443,
            [] => 80,
            digits if digits.iter().all(u8::is_ascii_digit) => {
                core::str::from_utf8(digits).ok()?.parse().ok()?
            }
            _ => return None,
        };
        let is_host = |byte: &u8| byte.is_ascii_graphic() && *byte != b'@';
        let named = !host.is_empty() && host.iter().all(is_host);
        named.then_some(Self { secured, host, port })
    }
}

/// Reads a URL that begins with `base`, behind which stands the `rest` of its path and query, if
/// any. Puts path and query into `target` as they are, and returns the server that is named; what
/// goes without saying may be left out, and a fragment is. `None` if the scheme is none of HTTP, it
/// names no server or a user, or is longer than [`LOCATION_BYTES_MAX`], as it stands or read.
///
/// O(bytes); allocates nothing but room in `target`.
pub fn locate<'a>(base: &'a [u8], rest: &[u8], target: &mut Vec<u8>) -> Option<Authority<'a>> {
    target.clear();
    if base.len() + rest.len() > LOCATION_BYTES_MAX {
        return None;
    }
    let text = base.split(|&byte| byte == b'#').next()?.trim_ascii();
    let (secured, text) = match text.windows(3).position(|three| three == b"://") {
        // A colon and two slashes may also stand in a path or query.
        Some(at) if !text.iter().take(at).any(|byte| b"/?".contains(byte)) => {
            let (word, text) = (text.get(..at)?, text.get(at + 3..)?);
            let is = |words: [&[u8]; 2]| words.iter().any(|it| word.eq_ignore_ascii_case(it));
            let secured = is([b"https", b"h2"]);
            (secured || is([b"http", b"h2c"])).then_some((secured, text))?
        }
        _ => (false, text),
    };
    let end = text.iter().position(|byte| b"/?".contains(byte)).unwrap_or(text.len());
    let (authority, path) = text.split_at_checked(end)?;
    if !path.starts_with(b"/") {
        target.push(b'/');
    }
    target.extend_from_slice(path);
    if !rest.is_empty() && !rest.starts_with(b"?") {
        while target.last() == Some(&b'/') {
            target.pop();
        }
        if !rest.starts_with(b"/") {
            target.push(b'/');
        }
    }
    target.extend_from_slice(rest);
    Authority::parse(authority, secured).filter(|_| target.len() <= LOCATION_BYTES_MAX)
}

/// Resolves `location` against a URL whose scheme is `https` if `secured`, and whose path and query
/// are `base`. Puts path and query into `target`, and returns to which server they belong; a
/// fragment is left out. `None` if it is of another scheme, names no server or a user, or is longer
/// than [`LOCATION_BYTES_MAX`], as it stands or resolved.
///
/// O(bytes); allocates nothing but room in `target`.
pub fn resolve<'a>(
    location: &'a [u8],
    (secured, base): (bool, &[u8]),
    target: &mut Vec<u8>,
) -> Option<Leads<'a>> {
    target.clear();
    if location.len() > LOCATION_BYTES_MAX {
        return None;
    }
    // Blanks stand around it, and may stand before its fragment.
    let text = location.split(|&byte| byte == b'#').next()?.trim_ascii();
    let (secured, rest, absolute) = match scheme(text) {
        None => (secured, text, false),
        Some((word, rest)) if word.eq_ignore_ascii_case(b"http") => (false, rest, true),
        Some((word, rest)) if word.eq_ignore_ascii_case(b"https") => (true, rest, true),
        Some(_) => return None,
    };
    let leads = match rest.strip_prefix(b"//") {
        Some(rest) => {
            let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end)?;
            append(path, b"/", target);
            Leads::There(Authority::parse(authority, secured)?)
        }
        // A URL of these schemes has a server.
        None if absolute => return None,
        None => {
            append(rest, base, target);
            Leads::Here
        }
    };
    (target.len() <= LOCATION_BYTES_MAX).then_some(leads)
}

/// What stands before the first colon, if it is a scheme, and what stands behind.
fn scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| b":/?".contains(byte))?;
    let (word, rest) = text.split_at_checked(end)?;
    let rest = rest.strip_prefix(b":")?;
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let is_scheme = word.first().is_some_and(u8::is_ascii_alphabetic) && word.iter().all(is_letter);
    is_scheme.then_some((word, rest))
}

/// A path, and the query with its question mark.
fn parts(text: &[u8]) -> (&[u8], &[u8]) {
    let query = text.iter().position(|&byte| byte == b'?').unwrap_or(text.len());
    text.split_at_checked(query).unwrap_or((text, &[]))
}

/// Appends the path and the query of a reference without a server (RFC 3986 section 5.2.2).
fn append(reference: &[u8], base: &[u8], target: &mut Vec<u8>) {
    let (path, query) = parts(reference);
    // The whole server has no path (RFC 9110 section 7.1).
    let (base_path, base_query) = if base.starts_with(b"/") { parts(base) } else { parts(b"/") };
    match path {
        [] => {
            target.extend_from_slice(base_path);
            target.extend_from_slice(if query.is_empty() { base_query } else { query });
            return;
        }
        [b'/', ..] => target.extend_from_slice(path),
        _ => {
            let folder = base_path.iter().rposition(|&byte| byte == b'/').unwrap_or_default();
            target.extend_from_slice(base_path.get(..=folder).unwrap_or_default());
            target.extend_from_slice(path);
        }
    }
    remove_dots(target);
    target.extend_from_slice(query);
}

/// Takes the segments `.` and `..` out of a path (RFC 3986 section 5.2.4), where it stands.
fn remove_dots(path: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        // Each segment begins with its slash.
        let rest = path.get(read + 1..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'/').map_or(path.len(), |at| read + 1 + at);
        let segment = path.get(read..end).unwrap_or_default();
        let up = segment == b"/..";
        if up || segment == b"/." {
            if up {
                let kept = path.get(..write).unwrap_or_default();
                write = kept.iter().rposition(|&byte| byte == b'/').unwrap_or_default();
            }
            if end == path.len()
                && let Some(slash) = path.get_mut(write)
            {
                *slash = b'/';
                write += 1;
            }
        } else {
            path.copy_within(read..end, write);
            write += end - read;
        }
        read = end;
    }
    path.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where `location` leads from this path of `http`: `here` or a server, and the target.
    fn from(base: &str, location: &str) -> Option<(String, String)> {
        let mut target = b"what was there before".to_vec();
        let leads = resolve(location.as_bytes(), (false, base.as_bytes()), &mut target)?;
        let leads = match leads {
            Leads::Here => "here".to_owned(),
            Leads::There(Authority { secured, host, port }) => {
                let scheme = if secured { "https" } else { "http" };
                format!("{scheme}://{}:{port}", String::from_utf8_lossy(host))
            }
        };
        Some((leads, String::from_utf8(target).unwrap()))
    }

    #[test]
    fn a_reference_is_resolved_as_the_rfc_has_it() {
        // RFC 3986 section 5.4, of the base http://a/b/c/d;p?q.
        for (reference, expected) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g#s/../x", "/b/c/g"),
        ] {
            let expected = Some(("here".to_owned(), expected.to_owned()));
            assert_eq!(from("/b/c/d;p?q", reference), expected, "{reference}");
        }
        let of_server = from("*", "g").unwrap();
        assert_eq!(of_server, ("here".to_owned(), "/g".to_owned()));
    }

    #[test]
    fn a_url_names_its_server() {
        for (location, leads, target) in [
            ("http://h/x?y#z", "http://h:80", "/x?y"),
            ("HTTPS://H", "https://H:443", "/"),
            ("//h:8?q", "http://h:8", "/?q"),
            ("//g", "http://g:80", "/"),
            ("https://[::1]:9/../a", "https://[::1]:9", "/a"),
            ("http://[::1]", "http://[::1]:80", "/"),
            (" http://h:/ ", "http://h:80", "/"),
            ("http://h/x@y", "http://h:80", "/x@y"),
        ] {
            assert_eq!(from("/b", location), Some((leads.to_owned(), target.to_owned())));
        }
        for location in [
            "ftp://h/",
            "mailto:x@y",
            "javascript:alert(1)",
            "http:",
            "http:x",
            "http:/x",
            "http://",
            "http:///x",
            "//",
            "http://h:x/",
            "http://h:+1/",
            "http://h:65536/",
            "http://user@h/",
            "http://user:pass@h:80/",
            "http://h h/",
            "//h\u{7f}/",
        ] {
            assert_eq!(from("/b", location), None, "{location}");
        }
        let of = |text| Authority::parse(text, true);
        assert!(of(b"Host") == of(b"host:443") && of(b"host") != of(b"host:80"));
    }

    #[test]
    fn a_location_is_no_longer_than_its_bound_as_it_stands_or_resolved() {
        let of = |len: usize| "x".repeat(len);
        let fits = from("/", &of(LOCATION_BYTES_MAX - 1)).unwrap();
        assert_eq!(fits.1.len(), LOCATION_BYTES_MAX);
        assert_eq!(from("/", &of(LOCATION_BYTES_MAX)), None);
        assert_eq!(from(&format!("/{}", of(9_000)), ""), None);
    }

    #[test]
    fn a_url_of_values_is_taken_as_users_write_them() {
        let of = |base: &str, rest: &str| {
            let mut target = b"what was there before".to_vec();
            let Authority { secured, host, port } =
                locate(base.as_bytes(), rest.as_bytes(), &mut target)?;
            let host = String::from_utf8_lossy(host);
            let scheme = if secured { "https" } else { "http" };
            Some((format!("{scheme}://{host}:{port}"), String::from_utf8(target).unwrap()))
        };
        for (base, rest, server, target) in [
            ("http://h:8", "/a/../b//c?d", "http://h:8", "/a/../b//c?d"),
            ("h", "", "http://h:80", "/"),
            ("h:8/x", "", "http://h:8", "/x"),
            ("HTTPS://h/x/?y", "", "https://h:443", "/x/?y"),
            ("https://h/x/", "/y", "https://h:443", "/x/y"),
            ("https://h/x//", "y", "https://h:443", "/x/y"),
            ("h/x", "?y=z", "http://h:80", "/x?y=z"),
            ("h?y", "", "http://h:80", "/?y"),
            ("h", "?y", "http://h:80", "/?y"),
            (" h2://h/x#y ", "", "https://h:443", "/x"),
            ("h2c://h", "/", "http://h:80", "/"),
            ("h/x://y", "", "http://h:80", "/x://y"),
            ("http://[::1]:9", "/", "http://[::1]:9", "/"),
        ] {
            let expected = Some((server.to_owned(), target.to_owned()));
            assert_eq!(of(base, rest), expected, "{base} {rest}");
        }
        let long = "x".repeat(LOCATION_BYTES_MAX);
        for base in ["", "http://", "ftp://h/", "/x", "h:x", "h:65536", "u@h", "h h", "://h"] {
            assert_eq!(of(base, ""), None, "{base}");
        }
        assert!(of("h", &long).is_none() && of(&format!("h/{long}"), "").is_none());
        assert!(of(&long, "/").is_none() && of(&format!("http://{long}"), "").is_none());
        let fits = of("h", long.get(1..).unwrap()).unwrap();
        assert_eq!(fits.1.len(), LOCATION_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn whatever_is_said_a_target_is_a_path_without_dots_and_is_resolved_to_itself(
            base in "/[a-c./?]{0,9}",
            location in prop::collection::vec(any::<u8>(), 0..20),
            dots in "[a./?:]{0,12}",
        ) {
            for location in [&location[..], dots.as_bytes()] {
                let mut target = Vec::new();
                if resolve(location, (true, base.as_bytes()), &mut target).is_none() {
                    continue;
                }
                prop_assert!(target.starts_with(b"/"), "{:?}", target);
                let (path, _) = parts(&target);
                let dots = |segment: &[u8]| matches!(segment, b"." | b"..");
                // Without a path, that of the base stands as it is.
                let own = location.trim_ascii();
                if own.first().is_some_and(|first| !b"?#".contains(first)) {
                    prop_assert!(!path.split(|&byte| byte == b'/').any(dots), "{:?}", target);
                    let mut again = Vec::new();
                    let rooted = [b"http://h", &target[..]].concat();
                    let leads = resolve(&rooted, (true, base.as_bytes()), &mut again);
                    prop_assert!(leads.is_some() && again == target, "{:?}", again);
                }
            }
        }
    }
}
