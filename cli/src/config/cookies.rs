//! Cookies of virtual users: whether they keep any, and those that they begin with.
//!
//! The file is the one of Netscape's, as curl reads and writes it: a cookie per line, in seven
//! columns between tabulators.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pummel_engine::cookies::{COOKIE_BYTES_MAX, COOKIES_MAX, Cookie};
use pummel_engine::plan::{Cookies, Until};
use pummel_engine::units::Nanos;

use super::input;
use crate::args::{Quoted, RequestArgs};

/// What curl writes before a cookie that scripts must not see; any other `#` begins a comment.
pub(crate) const HTTP_ONLY: &str = "#HttpOnly_";

/// The columns of a line, as errors name them.
const COLUMNS: [&str; 7] = ["domain", "subdomains", "path", "secure", "expiry", "name", "value"];

/// What was asked for, and where it is to be saved.
pub(super) fn understand(args: &RequestArgs) -> Result<Option<(Cookies, Option<PathBuf>)>> {
    let files = [("--cookies-load", &args.cookies_load), ("--cookies-save", &args.cookies_save)];
    let named = files.iter().find(|(_, file)| file.is_some()).map(|(flag, _)| *flag);
    let until = match (args.cookies.as_deref(), named) {
        (Some("off"), Some(flag)) => {
            bail!("{flag} and --cookies off do not go together; give one of them")
        }
        (None | Some("off"), None) => return Ok(None),
        (None | Some("on"), _) => Until::End,
        (Some("iteration"), _) => Until::Scenario,
        (Some(other), _) => {
            bail!("--cookies {} is unknown; give off, on or iteration", Quoted(other))
        }
    };
    let loaded = args.cookies_load.as_deref().map(load).transpose()?.unwrap_or_default();
    ensure!(
        args.cookies_save.as_deref().is_none_or(|path| !input::is_stdin(path)),
        "--cookies-save - is no file, and standard output has the report; give a name"
    );
    let cookies = Cookies { until, loaded, told: args.cookies_save.is_some() };
    Ok(Some((cookies, args.cookies_save.clone())))
}

fn load(path: &Path) -> Result<Vec<Cookie>> {
    let name = path.display().to_string();
    let bytes = input::read(path)
        .with_context(|| format!("--cookies-load: cannot read {}", Quoted(&name)))?;
    let cookies =
        parse(&bytes).map_err(|(line, said)| anyhow!("--cookies-load: {name}:{line}: {said}"))?;
    // Of those that replace each other, the last.
    let cookies = Cookie::last_of_each(cookies);
    ensure!(
        cookies.len() <= COOKIES_MAX,
        "--cookies-load: {} has {} cookies, and a user keeps {COOKIES_MAX} at most; leave out some",
        Quoted(&name),
        cookies.len()
    );
    Ok(cookies)
}

/// The cookies of a file; an error comes with the number of its line.
fn parse(bytes: &[u8]) -> Result<Vec<Cookie>, (usize, String)> {
    let mut cookies = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let http_only = line.starts_with(HTTP_ONLY.as_bytes());
        let line = line.strip_prefix(HTTP_ONLY.as_bytes()).unwrap_or(line);
        if line.trim_ascii().is_empty() || (line.starts_with(b"#") && !http_only) {
            continue;
        }
        cookies.push(cookie(line, http_only).map_err(|said| (number, said))?);
    }
    Ok(cookies)
}

fn cookie(line: &[u8], http_only: bool) -> Result<Cookie, String> {
    let mut columns: Vec<&[u8]> = line.split(|&byte| byte == b'\t').collect();
    // An empty value is left out together with the tabulator before it by some.
    if columns.len() + 1 == COLUMNS.len() {
        columns.push(b"");
    }
    let [domain, below, path, secure, expiry, name, value] = columns[..] else {
        let count = columns.len();
        return Err(format!(
            "a cookie has the 7 columns {} between tabulators, and this line {count}",
            COLUMNS.join(", ")
        ));
    };
    let shown = |text: &[u8]| Quoted(&String::from_utf8_lossy(text)).to_string();
    let switch = |column: &[u8], at: usize| match column {
        b"TRUE" => Ok(true),
        b"FALSE" => Ok(false),
        other => {
            let which = COLUMNS.get(at).unwrap_or(&"");
            Err(format!("{which} is {}; write TRUE or FALSE", shown(other)))
        }
    };
    let seconds = std::str::from_utf8(expiry).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = seconds.ok_or_else(|| {
        format!("expiry is {}; write seconds of Unix time, 0 for none", shown(expiry))
    })?;
    let domain = domain.strip_prefix(b".").unwrap_or(domain);
    if domain.is_empty() || name.is_empty() {
        return Err("domain and name must not be empty".to_owned());
    }
    if !path.starts_with(b"/") {
        return Err(format!("path is {}; write one that begins with /", shown(path)));
    }
    let odd = |text: &[u8]| text.iter().any(u8::is_ascii_control) || text.contains(&b';');
    if odd(name) || odd(value) || odd(domain) || name.len() + value.len() > COOKIE_BYTES_MAX {
        return Err(format!(
            "a name and a value have at most {COOKIE_BYTES_MAX} bytes together, and neither \
             semicolons nor control characters"
        ));
    }
    Ok(Cookie {
        name: name.to_vec(),
        value: value.to_vec(),
        domain: domain.to_ascii_lowercase(),
        host_only: !switch(below, 1)?,
        path: path.to_vec(),
        secure: switch(secure, 3)?,
        http_only,
        expires: (seconds > 0).then(|| Nanos::from_secs(1).saturating_mul(seconds)),
        set: Nanos::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_curls_is_read_line_by_line() {
        let text = "# Netscape HTTP Cookie File\n\n#HttpOnly_.Example.org\tTRUE\t/\tTRUE\t\
                    1700000000\ta\t1=2\r\nlocalhost\tFALSE\t/x\tFALSE\t0\tb\t\n\
                    h\tFALSE\t/\tFALSE\t0\tc";
        let cookies = parse(text.as_bytes()).unwrap();
        let cookie = |domain: &str, name: &str, value: &str| Cookie {
            name: name.into(),
            value: value.into(),
            domain: domain.into(),
            host_only: true,
            path: b"/".to_vec(),
            secure: false,
            http_only: false,
            expires: None,
            set: Nanos::ZERO,
        };
        let first = Cookie {
            host_only: false,
            secure: true,
            http_only: true,
            expires: Some(Nanos::from_secs(1_700_000_000)),
            ..cookie("example.org", "a", "1=2")
        };
        let second = Cookie { path: b"/x".to_vec(), ..cookie("localhost", "b", "") };
        assert_eq!(cookies, [first, second, cookie("h", "c", "")]);
        assert_eq!(parse(b""), Ok(Vec::new()));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        for (line, said) in [
            ("h FALSE / FALSE 0 a b", "a cookie has the 7 columns domain, subdomains, path"),
            ("h\tno\t/\tFALSE\t0\ta\tb", "subdomains is \"no\"; write TRUE or FALSE"),
            ("h\tFALSE\t/\t1\t0\ta\tb", "secure is \"1\"; write TRUE or FALSE"),
            ("h\tFALSE\t/\tFALSE\t-1\ta\tb", "expiry is \"-1\"; write seconds of Unix time"),
            ("h\tFALSE\tx\tFALSE\t0\ta\tb", "path is \"x\"; write one that begins with /"),
            ("\tFALSE\t/\tFALSE\t0\ta\tb", "domain and name must not be empty"),
            ("h\tFALSE\t/\tFALSE\t0\ta\tb;c", "a name and a value have at most 4096 bytes"),
        ] {
            let (number, found) = parse(format!("# one\n{line}\n").as_bytes()).unwrap_err();
            assert!(number == 2 && found.starts_with(said), "{number}: {found}");
        }
    }

    #[test]
    fn what_is_asked_for_goes_together_or_is_refused() {
        let of = |line: &str| {
            let args = crate::args::words(line).run;
            understand(&args.request).map_err(|error| format!("{error:#}"))
        };
        assert!(of("p h").unwrap().is_none() && of("p h --cookies off").unwrap().is_none());
        let until = |line: &str| of(line).unwrap().unwrap().0.until;
        assert_eq!(until("p h --cookies on"), Until::End);
        assert_eq!(until("p h --cookies iteration"), Until::Scenario);
        let (cookies, save) = of("p h --cookies-save x").unwrap().unwrap();
        assert!(cookies.told && cookies.until == Until::End && save == Some("x".into()));
        for (line, said) in [
            ("p h --cookies maybe", "--cookies \"maybe\" is unknown; give off, on or iteration"),
            ("p h --cookies off --cookies-save x", "--cookies-save and --cookies off do not go"),
            ("p h --cookies-load /no/such", "--cookies-load: cannot read \"/no/such\": No such"),
        ] {
            let found = of(line).unwrap_err();
            assert!(found.starts_with(said), "{found}");
        }
    }
}
