//! All kinds of requests as a server sees them: URLs of a file and of a pattern, bodies of lines,
//! forms, who asks and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::thread;

use tests::{Answer, Asked, Recorder};

use super::scenarios::{PROTOCOLS, Peer, ok};
use super::{check_refusal, pummel};

/// How often each value of `of` is seen.
fn counts<K: Ord>(asked: &[Asked], of: impl Fn(&Asked) -> K) -> BTreeMap<K, u32> {
    let mut all = BTreeMap::new();
    for asked in asked {
        *all.entry(of(asked)).or_insert(0) += 1;
    }
    all
}

#[test]
fn urls_of_a_file_are_asked_for_in_turn() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("urls");
        let urls: Vec<String> = (0..40).map(|n| format!("{}/{n}?q={n}", peer.url())).collect();
        fs::write(&file, format!("\n  {}\n\n", urls.join(" \n"))).unwrap();
        let line = format!("{} --urls-from-file -c 4 -n 400 --shards 1", file.display());
        let (outcome, report) = peer.ask(&line);
        assert!(outcome.stderr.contains("40 URLs are asked for in turn"), "{outcome:?}");
        assert_eq!(report["counts"]["ok"], 400);
        assert_eq!(report["steps"].as_array().map(Vec::len), Some(0), "one name, no rows");
        let seen = counts(&peer.recorder.asked(), |asked| asked.path.clone());
        let expected = (0..40).map(|n| (format!("/{n}?q={n}"), 10)).collect();
        assert_eq!(seen, expected, "{protocol:?}");
    }
}

#[test]
fn as_many_urls_as_a_run_can_have_are_asked_for_one_after_the_other() {
    let recorder = Recorder::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("urls");
    let line = |n| [format!("http://{}/{n}", recorder.target()), "\n".to_owned()].concat();
    fs::write(&file, (0..65_535).map(line).collect::<String>()).unwrap();
    let line = format!("{} --urls-from-file -n 2000 -c 8 --shards 1", file.display());
    let outcome = tests::run(&mut pummel(line.split_whitespace())).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let seen: BTreeSet<String> = recorder.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(seen, (0..2000).map(|n| format!("/{n}")).collect());
}

#[test]
fn lines_of_a_file_are_bodies_in_turn() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lines");
        fs::write(&file, "{\"a\": 1}\r\n\nlonger than the others").unwrap();
        let line = format!("{} -Z {} -T text/x -c 2 -n 60 --shards 1", peer.url(), file.display());
        let (_, report) = peer.ask(&line);
        assert_eq!(report["counts"]["ok"], 60);
        let asked = peer.recorder.asked();
        let seen = counts(&asked, |asked| (asked.method.clone(), asked.text()));
        let body = |text: &str| (("POST".to_owned(), text.to_owned()), 20);
        let expected = ["", "longer than the others", "{\"a\": 1}"].map(body);
        assert_eq!(seen, expected.into(), "{protocol:?}");
        for asked in asked {
            assert_eq!(asked.field("content-length"), Some(&*asked.body.len().to_string()));
            assert_eq!(asked.field("content-type"), Some("text/x"));
        }
    }
}

#[test]
fn values_in_plain_flags_are_made_for_each_request() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let url = format!("{}/{{{{seq}}}}/{{a}}?u={{{{random(1,9)}}}}", peer.url());
        let line = format!("{url} -H X-Id:{{{{uuid}}}} -d {{\"n\":{{{{seq}}}}}} -c 1 --shards 1");
        let (_, report) = peer.ask(&format!("{line} -n 20"));
        assert_eq!(report["counts"]["ok"], 20);
        assert_eq!(report["plan"]["url"].as_str().map(|it| it.contains("{{seq}}")), Some(true));
        let asked = peer.recorder.asked();
        let mut ids = BTreeSet::new();
        for asked in &asked {
            let (n, rest) = asked.path.strip_prefix('/').unwrap().split_once('/').unwrap();
            let digit = rest.strip_prefix("{a}?u=").unwrap();
            assert!(("1"..="9").contains(&digit) && digit.len() == 1, "{asked:?}");
            assert_eq!(asked.text(), format!("{{\"n\":{n}}}"), "{protocol:?}");
            assert_eq!(asked.field("content-length"), Some(&*asked.body.len().to_string()));
            let id = asked.field("x-id").unwrap();
            assert!(id.len() == 36 && ids.insert(id.to_owned()), "{id}");
        }
        // A user has a stream, and counts its own requests.
        let of_users = counts(&asked, |asked| asked.path.split('/').nth(1).map(str::to_owned));
        let streams = if protocol.2 == "HTTP/2.0" { 4 } else { 1 };
        assert!(of_users.values().all(|count| *count <= streams), "{of_users:?}");
        assert_eq!(ids.len(), 20);
    }
}

#[test]
fn values_stand_in_the_host_and_in_forms_too() {
    let recorder = Recorder::new().unwrap();
    let host = recorder.target();
    let (name, port) = host.split_once(':').unwrap();
    let url = "{{env(SCHEME)}}://{{env(NAME)}}:{{env(PORT)}}/{{seq}}";
    let words = [url, "-F", "who={{choice(a,b)}}{{seq}}", "-c", "1", "-n", "3", "--shards", "1"];
    let mut command = pummel(words);
    command.env("SCHEME", "http").env("NAME", name).env("PORT", port);
    let outcome = tests::run(&mut command).unwrap();
    assert!(outcome.went_well(), "{outcome:?}");
    for (n, asked) in recorder.asked().iter().enumerate() {
        assert_eq!((asked.path.clone(), asked.field("host")), (format!("/{n}"), Some(&*host)));
        let text = asked.text();
        assert!([format!("a{n}\r\n"), format!("b{n}\r\n")].iter().any(|it| text.contains(it)));
    }
}

#[test]
fn rows_of_a_feed_stand_in_what_is_not_of_a_scenario() {
    let peer = Peer::new(PROTOCOLS[0], ok);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    fs::write(&file, "id,name\n1,a b\n2,c\n").unwrap();
    let feed = format!("[feeds.users]\nfile = '{}'\n", file.display());
    let toml = format!("data = '{{{{users.name}}}}'\nheaders = ['X: {{{{users.id}}}}']\n{feed}");
    let report = peer.report(&toml, "-c 1 -n 6 --shards 1");
    assert_eq!(report["feeds"][0]["rows"], 6);
    let seen = counts(&peer.recorder.asked(), |a| (a.field("x").unwrap().to_owned(), a.text()));
    let expected = [("1", "a b"), ("2", "c")].map(|(id, name)| ((id.into(), name.into()), 3));
    assert_eq!(seen, expected.into());
}

#[test]
fn a_large_file_is_sent_as_it_is() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("large");
        // No piece is like another, and the last one is short.
        let bytes: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).skip(1).collect();
        fs::write(&file, &bytes).unwrap();
        let line = format!("{} -D {} -X put -c 3 -n 9 --shards 1", peer.url(), file.display());
        let (_, report) = peer.ask(&line);
        assert_eq!(report["counts"]["ok"], 9, "{protocol:?}");
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 9);
        for asked in asked {
            assert_eq!(asked.field("content-length"), Some(&*bytes.len().to_string()));
            assert!(asked.method == "PUT" && asked.body == bytes, "{protocol:?}");
        }
    }
}

#[test]
fn a_step_sends_a_file_whose_path_is_known_before_the_run() {
    let peer = Peer::new(PROTOCOLS[0], ok);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small"), "of a few bytes").unwrap();
    fs::write(folder.path().join("large"), vec![b'x'; 1 << 20]).unwrap();
    let file = format!(
        "[scenario]\nvars = {{ folder = \"{}\" }}\n\
         [[scenario.steps]]\ndata_file = \"{{{{folder}}}}/small\"\n\
         [[scenario.steps]]\ndata_file = \"{{{{folder}}}}/large\"\nmethod = \"put\"\n",
        folder.path().display()
    );
    peer.report(&file, "-c 1 -n 4");
    let asked = peer.recorder.asked();
    let seen = asked.iter().map(|asked| (asked.method.as_str(), asked.body.len()));
    assert_eq!(seen.collect::<Vec<_>>(), [("POST", 14), ("PUT", 1 << 20)].repeat(2));
}

#[test]
fn a_file_that_is_cut_during_the_run_ends_it_without_numbers() {
    for protocol in PROTOCOLS {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(2 << 20).unwrap();
        let path = file.path().display().to_string();
        // As soon as it has been sent once.
        let cut = move |_: &Asked| {
            file.as_file().set_len(5).unwrap();
            Answer::Status(200)
        };
        let peer = Peer::new(protocol, cut);
        let (outcome, _) = peer.run(&format!("data_file = \"{path}\"\n"), "-c 1 -n 9");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
        let last = outcome.stderr.lines().last().unwrap();
        let said = format!("pummel: cannot read {path:?} as long as it was when the run began");
        assert!(last.starts_with(&said), "{outcome:?}");
    }
}

#[test]
fn a_form_is_a_text_and_a_file_between_boundaries() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pixel.png");
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        fs::write(&file, &bytes).unwrap();
        let part = format!("f=@{};type=image/png", file.display());
        let line = format!("{} -F a=b=c -F {part} -c 1 -n 3 -a jo:pass", peer.url());
        peer.ask(&line);
        for asked in peer.recorder.asked() {
            assert_eq!(asked.method, "POST");
            // `printf jo:pass | base64`
            assert_eq!(asked.field("authorization"), Some("Basic am86cGFzcw=="));
            assert!(asked.field("user-agent").unwrap().starts_with("pummel/"));
            let kind = asked.field("content-type").unwrap();
            let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
            let mut expected = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb=c\r\n\
                 --{boundary}\r\nContent-Disposition: form-data; name=\"f\"; \
                 filename=\"pixel.png\"\r\nContent-Type: image/png\r\n\r\n"
            )
            .into_bytes();
            expected.extend_from_slice(&bytes);
            expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            assert!(asked.body == expected, "{protocol:?}: {}", asked.body.len());
            assert_eq!(asked.field("content-length"), Some(&*expected.len().to_string()));
        }
        assert_eq!(peer.recorder.asked().len(), 3);
    }
}

#[test]
fn large_files_of_a_form_are_read_as_they_are_sent() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let folder = tempfile::tempdir().unwrap();
        let large = |name: &str, first: u32| {
            let path = folder.path().join(name);
            let bytes: Vec<u8> = (first..first + 300_000).flat_map(u32::to_le_bytes).collect();
            fs::write(&path, &bytes).unwrap();
            (format!("-F {name}=@{};filename=x", path.display()), bytes)
        };
        let ((one, first), (two, second)) = (large("one", 0), large("two", 7));
        let line = format!("{} {one} -F t=text {two} -c 2 -n 6 --shards 1", peer.url());
        peer.ask(&line);
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 6);
        for asked in asked {
            let kind = asked.field("content-type").unwrap();
            let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
            let head = |name: &str, rest: &str| {
                let head =
                    format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
                format!("{head}{rest}\r\n\r\n").into_bytes()
            };
            let file = "; filename=\"x\"\r\nContent-Type: application/octet-stream";
            let end = format!("--{boundary}--\r\n").into_bytes();
            let one = [head("one", file), first.clone(), b"\r\n".to_vec()].concat();
            let text = [head("t", ""), b"text\r\n".to_vec()].concat();
            let two = [head("two", file), second.clone(), b"\r\n".to_vec()].concat();
            let expected = [one, text, two, end].concat();
            assert!(asked.body == expected, "{protocol:?}: {}", asked.body.len());
            assert_eq!(asked.field("content-length"), Some(&*expected.len().to_string()));
        }
    }
}

#[test]
fn pipes_and_standard_input_are_read_once_with_a_word() {
    let recorder = Recorder::new().unwrap();
    let url = format!("http://{}", recorder.target());
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let pipe = pipe.to_str().unwrap();
    let writer = |text: &'static str| {
        let pipe = pipe.to_owned();
        thread::spawn(move || fs::write(pipe, text).unwrap())
    };
    let ends = ["-c", "1", "-n", "2", "--shards", "1"];
    let writing = writer("of a pipe");
    let words = [url.as_str(), "-D", pipe];
    let outcome = tests::run(&mut pummel(words.into_iter().chain(ends))).unwrap();
    writing.join().unwrap();
    assert!(outcome.went_well(), "{outcome:?}");
    let said = format!("pummel: --data-file: reading the pipe {pipe:?} until it is closed");
    assert_eq!(outcome.stderr.lines().next(), Some(&*said), "{outcome:?}");
    for (words, text) in [
        (vec![url.as_str(), "-D", "-"], "of standard input"),
        (vec![url.as_str(), "-Z", "-"], "one\ntwo\n"),
        (vec!["-", "--urls-from-file"], "URL/a\nURL/b\n"),
    ] {
        let file = folder.path().join("stdin");
        fs::write(&file, text.replace("URL", &url)).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" < \"$INPUT\"", env!("CARGO_BIN_EXE_under-test")]);
        let outcome = tests::run(shell.args(words).args(ends).env("INPUT", file)).unwrap();
        assert!(outcome.went_well(), "{outcome:?}");
        assert!(outcome.stderr.contains("reading standard input until it ends"), "{outcome:?}");
    }
    let seen: Vec<_> = recorder.asked().iter().map(|it| (it.path.clone(), it.text())).collect();
    let seen: Vec<_> = seen.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let twice = |text| [("/", text); 2];
    assert_eq!(seen[..4], [twice("of a pipe"), twice("of standard input")].concat());
    assert_eq!(seen[4..], [("/", "one"), ("/", "two"), ("/a", ""), ("/b", "")]);
    // Where it would be read again, nobody waits for it.
    let form = format!("f=@{pipe}");
    let outcome = tests::run(&mut pummel([&url, "-F", &form])).unwrap();
    check_refusal(&outcome, 2, &[pipe, "it is a pipe, which can be read only once", "give a file"]);
    let toml = format!("[[scenario.steps]]\ndata_file = {pipe:?}\n");
    let (outcome, _) = Peer::new(PROTOCOLS[0], ok).run(&toml, "");
    let line = outcome.stderr.lines().find(|line| line.contains("data_file")).unwrap();
    assert!(line.contains("it is a pipe, which can be read only once"), "{outcome:?}");
    let outcome = tests::run(&mut pummel(["-", "--urls-from-file", "-Z", "-"])).unwrap();
    check_refusal(&outcome, 2, &["--data-lines", "--urls-from-file", "both read standard input"]);
}

#[test]
fn whoever_is_authorized_sends_no_user_agent() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        peer.ask(&format!("{} --no-ua --authorized -c 1 -n 2", peer.url()));
        let asked = peer.recorder.asked();
        let named =
            asked.iter().flat_map(|asked| &asked.fields).any(|(name, _)| name == "user-agent");
        assert!(asked.len() == 2 && !named, "{asked:?}");
    }
}

#[test]
fn urls_that_a_pattern_makes_are_asked_for_as_they_are_printed() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let pattern = format!("{}/[a-z]{{3,}}/\\d{{1,2}}", peer.url().replace('.', "\\."));
        let line = format!("{pattern} --rand-regex-url --max-repeat 2 --seed 5");
        let words = line.split_whitespace().chain(["--dump-urls", "50"]);
        let printed = tests::run(&mut pummel(words)).unwrap();
        assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{printed:?}");
        let mut printed: Vec<&str> = printed.stdout.lines().collect();
        assert_eq!(printed.len(), 50);
        peer.ask(&format!("{line} -n 50 -c 2 --shards 1"));
        let https = ["https", "h2"].contains(&protocol.0);
        let origin = format!("http{}://{}", if https { "s" } else { "" }, peer.recorder.target());
        let asked = peer.recorder.asked();
        let mut asked: Vec<String> =
            asked.iter().map(|asked| format!("{origin}{}", asked.path)).collect();
        printed.sort_unstable();
        asked.sort_unstable();
        assert_eq!(asked, printed, "{protocol:?}");
        let lengths: BTreeSet<usize> = printed
            .iter()
            .map(|url| url.trim_start_matches(&origin).split('/').nth(1).unwrap().len())
            .collect();
        assert!(lengths.iter().all(|length| (3..=5).contains(length)), "{lengths:?}");
    }
}

#[test]
fn urls_that_cannot_be_asked_for_are_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("urls");
    let name = file.to_str().unwrap().to_owned();
    let check = |text: &str, words: &[&str]| {
        fs::write(&file, text).unwrap();
        let outcome = tests::run(&mut pummel([name.as_str(), "--urls-from-file"])).unwrap();
        check_refusal(&outcome, 2, &[&[name.as_str()], words].concat());
    };
    check("http://a/\n\nftp://a/\n", &["line 3 of", "unknown scheme \"ftp\""]);
    check("", &["has no URL", "one per line"]);
    check(&"http://a/\n".repeat(65_536), &["65536 URLs", "65535 at most", "give fewer"]);
    let args = ["http://h[0-9]{9}/", "--rand-regex-url"];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    check_refusal(&outcome, 2, &["--rand-regex-url", "many hosts", "1024", "give fewer"]);
}
