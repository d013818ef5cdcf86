//! Words of other tools: what flags that pummel has not are called here, and which words are read
//! here as something else than they were written for.

use std::ffi::OsStr;

use super::{Quoted, Typed};

/// Flags of wrk, wrk2, oha, hey, h2load, vegeta and curl that there are none of here, with what
/// there is instead.
const INSTEAD: [(&[&str], &str); 28] = [
    (&["--latency", "--latencies", "--print-latencies"], "percentiles are always printed"),
    (&["--u-latency", "--u_latency"], "service times are always printed"),
    (&["--threads", "--worker-threads", "--cpus"], "CPUs are --cores LIST, threads --shards N"),
    (&["--clients", "--vus", "--users", "--workers", "--max-workers"], "it is --connections N"),
    (&["--concurrent", "--num-connections"], "it is --connections N"),
    (&["--qps", "--rps", "--query-per-second"], "it is --rate N"),
    (&["--time", "--duration-seconds", "-z"], "it is --duration TIME, or -t"),
    (&["--num", "--number", "--iterations", "--count"], "it is --requests N, or -n"),
    (&["--max-concurrent-streams"], "it is --streams N"),
    (&["--warm-up-time", "--warm-up"], "it is --warmup TIME"),
    (&["--targets", "--input-file"], "it is --urls-from-file"),
    (&["--body"], "it is --data TEXT, or --data-file FILE"),
    (&["--data-binary", "--data-raw", "--data-ascii"], "it is --data TEXT, or --data-file FILE"),
    (&["--request"], "it is --method METHOD, or -X"),
    (&["--head"], "it is --method HEAD"),
    (&["--user"], "it is --basic-auth USER:PASSWORD"),
    (&["--user-agent"], "it is --header \"User-Agent: …\""),
    (&["--cookie"], "it is --header \"Cookie: …\", or --cookies-load FILE"),
    (&["--compressed"], "it is --compression"),
    (&["--location", "--follow", "--redirects"], "it is --redirect N"),
    (&["--max-time", "--request-timeout"], "it is --timeout TIME"),
    (&["--resolve"], "it is --connect-to HOST:PORT:HOST:PORT"),
    (&["--root-certs", "--ca-cert", "--ca"], "it is --cacert FILE"),
    (&["--laddr", "--local-address", "--interface"], "it is --source-ip ADDRESS"),
    (&["--npn-list"], "it is --alpn LIST"),
    (&["--h1", "--http1", "--http1.1"], "HTTP/1.1 is spoken unless --http2 is given"),
    (&["--h2c", "--http2-prior-knowledge"], "it is a URL of h2c://"),
    (&["--format"], "it is --json"),
];

/// Most that a wrk would be told to start threads; more is meant as seconds.
const THREADS_MAX: u32 = 16;

/// What there is instead of `word`, which is a flag that there is not.
pub(super) fn instead(word: &str) -> Option<&'static str> {
    let flag = word.split('=').next().unwrap_or(word);
    let named = |(names, _): &&(&[&str], &'static str)| names.contains(&flag);
    INSTEAD.iter().find(named).map(|(_, said)| *said)
}

/// What is told of words that were taken for what they are here, and look like what they are in
/// wrk: `-d 30s`, `-t 4` and `-T 2s`.
pub(crate) fn mistaken(typed: &Typed) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(body) = short(typed, "data")
        && looks_like_duration(body)
        && !typed.gives("method")
    {
        said.push(format!(
            "-d {} is the body of the requests, and no duration, which is -t; if it is meant, \
             -X POST says so",
            Quoted(body)
        ));
    }
    if let Some(seconds) = short(typed, "duration")
        && typed.gives("connections")
        && seconds.parse().is_ok_and(|number: u32| (1..=THREADS_MAX).contains(&number))
    {
        said.push(format!(
            "-t {seconds} is a duration, and no number of threads, which is --shards; if it is \
             meant, -t {seconds}s says so"
        ));
    }
    if let Some(media) = short(typed, "content-type")
        && looks_like_duration(media)
    {
        let media = Quoted(media);
        said.push(format!("-T {media} is the Content-Type, and no timeout, which is --timeout"));
    }
    said
}

/// The value of a flag that was given once, and by its short name.
fn short<'t>(typed: &'t Typed, flag: &str) -> Option<&'t str> {
    let [value] = typed.values(flag)? else { return None };
    let in_full = format!("--{flag}");
    let is_long = |word: &OsStr| word.to_str().is_some_and(|word| word.starts_with(&in_full));
    value.to_str().filter(|_| !typed.any_word(is_long))
}

/// Digits, with a unit of time or without.
fn looks_like_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    unit.len() < text.len() && ["", "ms", "s", "m", "h"].contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::super::{flags, typed};
    use super::*;

    #[test]
    fn what_is_named_instead_is_there_and_what_it_replaces_is_not() {
        let all = flags();
        let is_flag = |word: &str| {
            let name = word.trim_start_matches('-');
            let short = word.strip_prefix('-').filter(|rest| rest.len() == 1);
            all.iter().any(|flag| {
                flag.long == name
                    || flag.aliases.iter().any(|alias| alias == name)
                    || short.is_some_and(|one| one.chars().all(|it| flag.short.contains(&it)))
            })
        };
        for (names, said) in INSTEAD {
            for name in names {
                assert!(!is_flag(name), "{name} is a flag");
            }
            let words = said.split([' ', ',']).filter(|word| word.starts_with('-'));
            for word in words {
                assert!(is_flag(word), "{word} is none");
            }
        }
        assert_eq!(instead("--threads=4"), Some("CPUs are --cores LIST, threads --shards N"));
        assert_eq!(instead("--thread"), None);
    }

    #[test]
    fn words_that_mean_something_else_in_wrk_are_told_of() {
        let said = |line: &str| mistaken(&typed(line)).join("|");
        let body = "-d \"30s\" is the body of the requests, and no duration, which is -t; if it \
                    is meant, -X POST says so";
        let time = "-t 4 is a duration, and no number of threads, which is --shards; if it is \
                    meant, -t 4s says so";
        assert_eq!(said("p -t4 -c100 -d30s -R2000 x"), format!("{body}|{time}"));
        assert_eq!(said("p -d 30s x"), body);
        let media = "-T \"2s\" is the Content-Type, and no timeout, which is --timeout";
        assert_eq!(said("p -T 2s x"), media);
        assert_eq!(said("p -t 4 -c 100 x"), time);
        for line in [
            "p x -t 4",
            "p x -t 4s -c 100",
            "p x -t 30 -c 100",
            "p x --duration 4 -c 100",
            "p x -d 30s -X PUT",
            "p x --data 30s",
            "p x --content-type 2s",
            "p x -T text/plain",
            "p x -d s",
            "p x -d 5x",
            "p x -d a=30s",
        ] {
            assert_eq!(said(line), "", "{line}");
        }
        for body in ["1", "250ms", "1m", "2h"] {
            assert!(said(&format!("p x -d {body}")).contains(body), "{body}");
        }
    }
}
