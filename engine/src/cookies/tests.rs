//! What is kept, and what of it is sent: section by section of RFC 6265.

use proptest::prelude::*;

use super::matching::{default_path, domain_matches, is_address, path_matches};
use super::*;

const NOW: Nanos = Nanos::from_secs(1_000_000_000);

fn place<'a>(host: &'a str, path: &'a str) -> Place<'a> {
    Place { host: host.as_bytes(), path: path.as_bytes(), secure: false }
}

/// What is sent to `place`.
fn sent(jar: &Jar, place: Place<'_>, now: Nanos) -> String {
    let mut out = Vec::new();
    jar.write(place, now, &mut out);
    String::from_utf8(out).unwrap()
}

/// A jar into which `host` has put these lines, answering a request for `/a/b`.
fn filled(host: &str, lines: &[&str]) -> Jar {
    let mut jar = Jar::default();
    for line in lines {
        jar.store(line.as_bytes(), place(host, "/a/b"), NOW);
    }
    jar
}

/// Checks what goes back to the same place.
#[track_caller]
fn check(lines: &[&str], expected: &str) {
    let jar = filled("www.example.org", lines);
    assert_eq!(sent(&jar, place("www.example.org", "/a/b"), NOW), expected, "{lines:?}");
}

#[test]
fn a_line_is_a_name_a_value_and_attributes() {
    check(&["a=1"], "a=1");
    check(&["  a \t=  1 2 ; Secured; x=y"], "a=1 2");
    check(&["a=\"q\"; HttpOnly"], "a=\"q\"");
    check(&["a=b=c"], "a=b=c");
    check(&["a="], "a=");
    check(&["=1", "a", "", ";", " = ; Path=/"], "");
    check(&["a=\u{1}b", "a=1; Path=/\u{7f}"], "");
    check(&["a=1; path=/x", "a=2; PATH=/a"], "a=2");
}

#[test]
fn a_cookie_replaces_the_one_of_its_name_domain_and_path() {
    check(&["a=1", "b=2", "a=3"], "a=3; b=2");
    check(&["a=1", "a=2; Path=/"], "a=1; a=2");
    check(&["a=1", "A=2"], "a=1; A=2");
    check(&["a=1", "a=2; Domain=www.example.org"], "a=2");
}

#[test]
fn a_cookie_ends_when_it_says() {
    check(&["a=1", "a=2; Max-Age=0"], "");
    check(&["a=1", "a=2; Max-Age=-5"], "");
    check(&["a=1; Max-Age=x"], "a=1");
    check(&["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "");
    check(&["a=1; Expires=never"], "a=1");
    check(&["a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "a=1");
    let mut jar = filled("h.x", &["a=1; Max-Age=10", "b=2; Max-Age=99999999999999999999", "c=3"]);
    let after = |seconds| NOW + Nanos::from_secs(seconds);
    assert_eq!(sent(&jar, place("h.x", "/a"), after(9)), "a=1; b=2; c=3");
    assert_eq!(sent(&jar, place("h.x", "/a"), after(10)), "b=2; c=3");
    jar.store(b"d=4", place("h.x", "/a/b"), after(10));
    assert_eq!(jar.cookies().count(), 3, "what is over is thrown away");
}

#[test]
fn a_cookie_is_for_its_host_or_for_its_domain() {
    let jar = filled("www.example.org", &["a=1", "b=2; Domain=.Example.ORG"]);
    assert_eq!(sent(&jar, place("www.example.org", "/a"), NOW), "a=1; b=2");
    assert_eq!(sent(&jar, place("example.org", "/a"), NOW), "b=2");
    assert_eq!(sent(&jar, place("x.www.example.org", "/a"), NOW), "b=2");
    assert_eq!(sent(&jar, place("badexample.org", "/a"), NOW), "");
    // Of another host, of everybody, of those above.
    check(&["a=1; Domain=other.org", "b=2; Domain=org", "c=3; Domain=x.www.example.org"], "");
    let jar = filled("localhost", &["a=1; Domain=localhost"]);
    assert_eq!(sent(&jar, place("localhost", "/a"), NOW), "a=1");
    let jar = filled("127.0.0.1", &["a=1; Domain=0.0.1", "b=2; Domain=127.0.0.1", "c=3"]);
    assert_eq!(sent(&jar, place("127.0.0.1", "/a"), NOW), "b=2; c=3");
}

#[test]
fn hosts_and_paths_match_where_they_end_with_a_part() {
    assert!(domain_matches(b"a.b", b"a.b") && domain_matches(b"x.a.b", b"a.b"));
    assert!(!domain_matches(b"xa.b", b"a.b") && !domain_matches(b"b", b"a.b"));
    assert!(!domain_matches(b"1.2.3.4", b"3.4") && !domain_matches(b"a.", b""));
    assert!(is_address(b"[::1]") && is_address(b"1.2.3.4") && !is_address(b"1.2.3.a"));
    for (path, prefix, expected) in [
        ("/", "/", true),
        ("/a", "/", true),
        ("/a/b", "/a", true),
        ("/a/b", "/a/", true),
        ("/ab", "/a", false),
        ("/", "/a", false),
    ] {
        assert_eq!(path_matches(path.as_bytes(), prefix.as_bytes()), expected, "{path} {prefix}");
    }
    for (path, expected) in [
        ("", "/"),
        ("x", "/"),
        ("x/y", "/"),
        ("/", "/"),
        ("/x", "/"),
        ("/x/", "/x"),
        ("/x/y", "/x"),
    ] {
        assert_eq!(default_path(path.as_bytes()), expected.as_bytes(), "{path}");
    }
}

#[test]
fn a_secure_cookie_is_for_secured_connections() {
    let jar = filled("h.x", &["a=1; Secure", "b=2"]);
    assert_eq!(sent(&jar, place("h.x", "/a"), NOW), "b=2");
    assert_eq!(sent(&jar, Place { secure: true, ..place("h.x", "/a") }, NOW), "a=1; b=2");
}

#[test]
fn longer_paths_come_first_and_then_older_cookies() {
    check(
        &["a=1; Path=/", "b=2; Path=/a/b", "c=3; Path=/", "d=4", "a=5; Path=/"],
        "b=2; d=4; a=5; c=3",
    );
}

#[test]
fn a_jar_is_bounded() {
    let mut jar = Jar::default();
    for n in 0..COOKIES_MAX + 2 {
        jar.store(format!("n{n}=1").as_bytes(), place("h.x", "/"), NOW);
    }
    assert_eq!(jar.cookies().count(), COOKIES_MAX);
    let said = sent(&jar, place("h.x", "/"), NOW);
    assert!(said.starts_with("n2=1; n3=1; "), "{said}");
    let long = |len: usize| format!("{}=1", "x".repeat(len));
    jar.reset(&[]);
    jar.store(long(COOKIE_BYTES_MAX).as_bytes(), place("h.x", "/"), NOW);
    let path = format!("a=1; Path=/{}", "x".repeat(COOKIE_BYTES_MAX));
    jar.store(path.as_bytes(), place("h.x", "/"), NOW);
    assert_eq!(jar.cookies().count(), 0);
    jar.store(long(COOKIE_BYTES_MAX - 1).as_bytes(), place("h.x", "/"), NOW);
    assert_eq!(jar.cookies().count(), 1);
}

proptest! {
    #[test]
    fn no_line_breaks_a_jar(lines: Vec<Vec<u8>>, host in "[a-z.]{0,9}", path in "/[a-z/]{0,9}") {
        let mut jar = Jar::default();
        for line in &lines {
            jar.store(line, place(&host, &path), NOW);
        }
        let mut out = Vec::new();
        jar.write(place(&host, &path), NOW, &mut out);
        prop_assert!(jar.cookies().count() <= COOKIES_MAX);
        prop_assert!(!out.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
}
