//! URLs whose host is made of values, as each of the hosts sees it.

use std::fs;

use serde_json::{Value, json};
use tests::{Answer, Asked, Authority, Outcome, Recorder, Wanted};

use super::{check_refusal, pummel};

/// Runs with a file that says `toml`, beside `sites.csv` with this text, and these words.
fn run((toml, sites): (&str, &str), words: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("roams.toml"), toml).unwrap();
    fs::write(folder.path().join("sites.csv"), sites).unwrap();
    let file: &[&str] = if toml.is_empty() { &[] } else { &["--config", "roams.toml"] };
    let words = words.iter().chain(file).copied();
    tests::run(pummel(words).current_dir(folder.path())).unwrap()
}

#[track_caller]
fn report(files: (&str, &str), words: &str) -> Value {
    let words: Vec<&str> = words.split_whitespace().chain(["--json"]).collect();
    let outcome = run(files, &words);
    assert!(outcome.went_well(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn two() -> [Recorder; 2] {
    [Recorder::new().unwrap(), Recorder::new().unwrap()]
}

fn paths(recorder: &Recorder) -> Vec<String> {
    recorder.asked().into_iter().map(|asked| asked.path).collect()
}

#[test]
fn each_host_of_a_choice_is_asked_under_its_own_name_over_each_protocol() {
    for flags in ["", "--http2"] {
        let hosts = two();
        let [one, other] = hosts.each_ref().map(Recorder::target);
        let url = format!("http://{{{{choice({one},{other})}}}}/a?n={{{{seq}}}}");
        let line = format!("{url} -c 2 -n 80 --shards 1 -d hello -a me:secret {flags}");
        let report = report(("", ""), &line);
        assert_eq!(report["counts"]["ok"], 80);
        assert_eq!((&report["redirects"], &report["other_host"]), (&Value::Null, &Value::Null));
        for (number, (host, name)) in hosts.iter().zip([&one, &other]).enumerate() {
            let asked = host.asked();
            assert!(asked.len() > 15, "{}", asked.len());
            assert_eq!(report["origins"][number]["requests"], asked.len());
            assert_eq!(report["origins"][number]["url"], format!("http://{name}/"));
            for asked in asked {
                assert_eq!(asked.field("host"), Some(name.as_str()));
                assert!(asked.path.starts_with("/a?n=") && asked.text() == "hello", "{asked:?}");
                assert!(asked.field("authorization").is_some());
            }
        }
    }
}

#[test]
fn rows_of_a_feed_name_hosts_and_each_gets_its_own() {
    let hosts = two();
    let [one, other] = hosts.each_ref().map(Recorder::target);
    let sites =
        format!("url,page\nhttp://{one}/x/,1\nhttp://{other},2\nhttp://{one}/y,3\n{other}/z#f,4\n");
    let feed = "[feeds.sites]\nfile = \"sites.csv\"\n";
    let scenario = "[[scenario.steps]]\nurl = \"{{sites.url}}/{{sites.page}}\"\n\
                    [[scenario.steps]]\nurl = \"{{sites.url}}\"\n";
    let told = report((&format!("{scenario}{feed}"), &sites), "-c 1 -n 8 --shards 1");
    assert_eq!(told["counts"]["ok"], 8);
    assert_eq!(paths(&hosts[0]), ["/x/1", "/x/", "/y/3", "/y"]);
    assert_eq!(paths(&hosts[1]), ["/2", "/", "/z/4", "/z"]);
    let names = [&told["steps"][0]["name"], &told["steps"][1]["name"]];
    assert_eq!(names, ["GET {{sites.url}}/{{sites.page}}", "GET {{sites.url}}"]);
    // The same for what is not of a scenario, and for paths behind such a URL.
    for toml in [
        format!("url = \"{{{{sites.url}}}}/more\"\n{feed}"),
        format!("url = \"{{{{sites.url}}}}\"\n{feed}[[scenario.steps]]\npath = \"/more\"\n"),
        format!(
            "{feed}[scenario]\nbase_url = \"{{{{sites.url}}}}\"\nsteps = [{{ path = \"more\" }}]"
        ),
        format!("{feed}[[targets]]\nurl = \"{{{{sites.url}}}}/more\"\n"),
    ] {
        let before = hosts.each_ref().map(|host| host.asked().len());
        let told = report((&toml, &sites), "-c 1 -n 4 --shards 1");
        assert_eq!(told["counts"]["ok"], 4, "{toml}");
        assert_eq!(paths(&hosts[0])[before[0]..], ["/x/more", "/y/more"], "{toml}");
        assert_eq!(paths(&hosts[1])[before[1]..], ["/more", "/z/more"], "{toml}");
    }
}

#[test]
fn scheme_and_port_may_be_values_too() {
    let authority = Authority::new("root").unwrap();
    let issued = authority.issue("server", Wanted { host: "localhost", years: (2000, 2100) });
    let secured = Recorder::answering(Some(&issued.unwrap()), |_| Answer::Status(200)).unwrap();
    let clear = Recorder::new().unwrap();
    let port = |host: &Recorder| host.target().rsplit_once(':').unwrap().1.to_owned();
    let sites = format!("scheme,port\nhttps,{}\nhttp,{}\n", port(&secured), port(&clear));
    let toml = "url = \"{{sites.scheme}}://localhost:{{sites.port}}/a\"\n\
                [feeds.sites]\nfile = \"sites.csv\"\n";
    let root = authority.root().display().to_string();
    let line = format!("-c 2 -n 20 --shards 1 -4 --cacert {root}");
    let report = report((toml, &sites), &line);
    assert_eq!(
        (&report["counts"]["ok"], &report["origins"][0]["sni"]),
        (&json!(20), &json!("localhost"))
    );
    assert_eq!((secured.asked().len(), clear.asked().len()), (10, 10));
}

#[test]
fn a_host_that_nobody_named_is_not_asked_but_counted_and_told_with_the_remedy() {
    let [named, unnamed] = two();
    let to = format!("X-To: http://{}/there", unnamed.target());
    let field: &'static str = to.leak();
    let (name, value) = field.split_once(": ").unwrap();
    let fields: &'static [_] = vec![(name, value)].leak();
    let login =
        Recorder::answering(None, move |_: &Asked| Answer::Said(200, fields, b"ok")).unwrap();
    let toml = format!(
        "url = \"http://{}/\"\n[[scenario.steps]]\npath = \"/login\"\n\
         capture.to = {{ header = \"X-To\" }}\n[[scenario.steps]]\nurl = \"{{{{to}}}}\"\n\
         [[scenario.steps]]\nurl = \"http://{}/last\"\n",
        login.target(),
        named.target()
    );
    let line = "-c 1 --shards 1 -n";
    let told = report((&toml, ""), &format!("{line} 10"));
    assert_eq!((&told["counts"]["ok"], &told["counts"]["errors"]), (&json!(5), &json!(5)));
    assert_eq!(told["errors"]["url_other_host"], 5);
    assert_eq!(told["other_host"], format!("http://{}", unnamed.target()));
    assert!(unnamed.asked().is_empty() && named.asked().is_empty());
    let words = format!("{line} 10");
    let outcome = run((&toml, ""), &words.split(' ').collect::<Vec<_>>());
    let host = format!("http://{}", unnamed.target());
    let remedy = format!("5 led by values to another host; --allow-host {host} allows it");
    assert!(outcome.stdout.contains(&remedy), "{outcome:?}");
    let told = report((&toml, ""), &format!("{line} 15 --allow-host {host}"));
    assert_eq!((&told["counts"]["ok"], &told["other_host"]), (&json!(15), &Value::Null));
    assert_eq!(
        (paths(&unnamed), paths(&named)),
        (vec!["/there".to_owned(); 5], vec!["/last".to_owned(); 5])
    );
}

/// A server that says of each request in `X-Next` where the next one goes.
fn naming(next: &str) -> Recorder {
    let next: &'static str = next.to_owned().leak();
    let fields: &'static [_] = vec![("X-Next", next)].leak();
    Recorder::answering(None, move |_: &Asked| Answer::Said(200, fields, b"ok")).unwrap()
}

#[test]
fn a_host_that_a_response_chose_is_told_no_secrets() {
    let there = Recorder::new().unwrap();
    let here = naming(&format!("http://{}/steal", there.target()));
    let toml = "[[scenario.steps]]\npath = \"/a\"\ncapture.next = { header = \"X-Next\" }\n\
                [[scenario.steps]]\nurl = \"{{next}}\"\nheaders = [\"X-A: 1\"]\n";
    let [url, allowed] = [&here, &there].map(|host| format!("http://{}", host.target()));
    let words = format!("{url} -c 1 -n 4 --shards 1 -a me:secret --allow-host {allowed} -H");
    let words: Vec<&str> = words.split(' ').chain(["Cookie: s=1"]).collect();
    let outcome = run((toml, ""), &words);
    assert!(outcome.went_well(), "{outcome:?}");
    let of = |host: &Recorder| {
        let told = |asked: &Asked| ["authorization", "cookie"].map(|it| asked.field(it).is_some());
        host.asked().iter().map(|asked| (asked.path.clone(), told(asked))).collect::<Vec<_>>()
    };
    assert_eq!(of(&here), vec![("/a".to_owned(), [true; 2]); 2]);
    assert_eq!(of(&there), vec![("/steal".to_owned(), [false; 2]); 2]);
    assert!(there.asked().iter().all(|asked| asked.field("x-a") == Some("1")));
}

#[test]
fn where_values_and_redirects_lead_elsewhere_the_remedy_is_told_once() {
    let here = naming("http://b.example/x");
    let lost = Recorder::answering(None, |_: &Asked| {
        Answer::Said(302, &[("Location", "http://a.example/")], b"")
    });
    let lost = lost.unwrap();
    let toml = format!(
        "redirect = 1\n[[scenario.steps]]\npath = \"/a\"\n\
         capture.next = {{ header = \"X-Next\" }}\n\
         [[scenario.steps]]\nurl = \"http://{}/\"\n[[scenario.steps]]\nurl = \"{{{{next}}}}\"\n",
        lost.target()
    );
    let words = format!("http://{} -c 1 -n 6 --shards 1", here.target());
    let outcome = run((&toml, ""), &words.split(' ').collect::<Vec<_>>());
    assert!(outcome.stdout.contains("2 not followed: another host\n"), "{outcome:?}");
    assert!(outcome.stdout.contains("2 led by values to another host\n"), "{outcome:?}");
    let remedy = "--allow-host http://a.example allows one that values or redirects led to\n";
    assert!(outcome.stdout.contains(remedy), "{outcome:?}");
}

#[test]
fn in_an_open_loop_each_slot_has_its_outcome() {
    let host = Recorder::new().unwrap();
    let toml = format!(
        "rate = 200\nduration = \"500ms\"\n[[targets]]\nurl = \"http://{}/a\"\n\
         [[targets]]\nname = \"away\"\nurl = \"http://{{{{uuid}}}}.example/b\"\n",
        host.target()
    );
    let report = report((&toml, ""), "-c 2 --shards 2");
    let count = |name: &str| usize::try_from(report["counts"][name].as_u64().unwrap()).unwrap();
    let [ok, errors] = ["ok", "errors"].map(count);
    assert_eq!((&report["counts"]["scheduled"], ok + errors), (&json!(100), 100));
    assert_eq!(report["errors"], json!({ "url_other_host": errors }));
    assert_eq!(
        (paths(&host), &report["steps"][1]["errors"]),
        (vec!["/a".to_owned(); ok], &json!(errors))
    );
    assert!(errors > 20, "{errors}");
    let other = report["other_host"].as_str().unwrap();
    assert!(other.starts_with("http://") && other.ends_with(".example"), "{other}");
}

#[test]
fn urls_of_a_file_may_roam_beside_others() {
    let hosts = two();
    let [one, other] = hosts.each_ref().map(Recorder::target);
    let lines = format!("http://{one}/a\nhttp://{{{{choice({one},{other})}}}}/b\n");
    let report = report(("", &lines), "sites.csv --urls-from-file -c 1 -n 40 --shards 1");
    assert_eq!(report["counts"]["ok"], 40);
    let all = [paths(&hosts[0]), paths(&hosts[1])];
    let count = |path: &str| all.iter().flatten().filter(|asked| *asked == path).count();
    assert_eq!((count("/a"), count("/b")), (20, 20));
    assert!(!all[1].is_empty() && all[1].iter().all(|path| path == "/b"));
    let name = &report["steps"][1]["name"];
    assert_eq!(*name, format!("http://{{{{choice({one},{other})}}}}/b"));
}

#[test]
fn a_try_sends_one_where_its_values_lead_and_says_where_one_cannot_go() {
    let host = Recorder::new().unwrap();
    let url = format!("http://{{{{choice({0},{0})}}}}/x", host.target());
    let outcome = run(("", ""), &[&url, "--dry-run", "--host", "virtual.example"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("> GET /x HTTP/1.1"), "{outcome:?}");
    assert!(outcome.stdout.contains("> Host: virtual.example"), "{outcome:?}");
    let allowed = format!("http://{}", host.target());
    let outcome = run(("", ""), &["http://x{{seq}}/", "--dry-run", "--allow-host", &allowed]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("url_other_host"), "{outcome:?}");
    assert_eq!(host.asked().len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused_at_its_place() {
    let of = |toml: &str, words: &str| {
        let words: Vec<&str> = words.split_whitespace().collect();
        run((toml, "url\nhttp://h/\nftp://g/\n"), &words)
    };
    let feed = "[feeds.sites]\nfile = \"sites.csv\"\n";
    for (toml, said) in [
        (
            format!("url = \"{{{{sites.url}}}}\"\n{feed}"),
            "roams.toml:3:8: feeds.sites.file names a file that cannot be used: sites.csv:3: it \
             has a host that cannot be asked: target \"ftp://g\": unknown scheme",
        ),
        (
            format!("[[scenario.steps]]\nurl = \"{{{{sites.url}}}}\"\n{feed}"),
            "roams.toml:4:8: feeds.sites.file names a file that cannot be used: sites.csv:3",
        ),
        (
            "[[scenario.steps]]\nurl = \"http://h:{{random(1,65)}}/\"\n".to_owned(),
            "roams.toml:2:7: scenario.steps[0].url: its host may be one of 65 and more",
        ),
    ] {
        let outcome = of(&toml, "");
        assert!(outcome.code == Some(2) && outcome.stderr.contains(said), "{outcome:?}");
    }
    let refused = |toml: &str, words: &str, said: &[&str]| check_refusal(&of(toml, words), 2, said);
    let step = "[[scenario.steps]]\nurl = \"http://{{seq}}/\"\n";
    refused(step, "", &["only known while it runs", "--allow-host http://localhost:8080"]);
    let signed = "http://{{choice(a,b)}}/ --aws-sigv4 aws:amz:r:s -a key:secret";
    refused("", signed, &["--aws-sigv4", "made of values"]);
    refused("", "h --allow-host http://g", &["--allow-host", "give --redirect or a URL"]);
}
