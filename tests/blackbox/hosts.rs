//! Several hosts in a run, as each of them sees it.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Answer, Authority, Outcome, Recorder, Wanted};

use super::{check_refusal, pummel};

/// Runs with these words, and a file that says `toml`.
fn run(toml: &str, words: &str) -> (Outcome, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hosts.toml"), toml).unwrap();
    let file = if toml.is_empty() { "" } else { "--config hosts.toml" };
    let words = words.split_whitespace().chain(file.split_whitespace());
    let mut command = pummel(words.chain(["--json"]));
    command.current_dir(folder.path());
    (tests::run(&mut command).unwrap(), folder)
}

#[track_caller]
fn report(toml: &str, words: &str) -> Value {
    let (outcome, _folder) = run(toml, words);
    assert!(outcome.went_well(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// A port of loopback at which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn urls_of_a_file_may_lead_to_several_hosts_some_of_them_secured() {
    let authority = Authority::new("root").unwrap();
    let wanted = Wanted { host: "localhost", years: (2000, 2100) };
    let issued = authority.issue("server", wanted).unwrap();
    let root = authority.root().display().to_string();
    for flags in ["", "--http2"] {
        let clear = [Recorder::new().unwrap(), Recorder::new().unwrap()];
        let secured = Recorder::answering(Some(&issued), |_| Answer::Status(200)).unwrap();
        let port = secured.target().replace("127.0.0.1", "localhost");
        let origins = [
            format!("http://{}", clear[0].target()),
            format!("https://{port}"),
            format!("http://{}", clear[1].target()),
        ];
        let lines = origins.iter().flat_map(|origin| [1, 2].map(|n| format!("{origin}/{n}\n")));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("urls");
        fs::write(&file, lines.collect::<String>()).unwrap();
        let words = format!(
            "{} --urls-from-file -c 2 -n 120 --shards 1 --cacert {root} -4 {flags}",
            file.display()
        );
        let report = report("", &words);
        assert_eq!(report["counts"]["ok"], 120, "{flags}");
        for (number, (recorder, origin)) in
            [&clear[0], &secured, &clear[1]].into_iter().zip(&origins).enumerate()
        {
            let asked = recorder.asked();
            let host = origin.split_once("://").unwrap().1;
            assert_eq!(asked.len(), 40, "{origin}");
            assert!(asked.iter().all(|asked| asked.field("host") == Some(host)), "{asked:?}");
            assert!(asked.iter().all(|asked| asked.path == "/1" || asked.path == "/2"));
            let told = &report["origins"][number];
            assert_eq!(told["url"], format!("{origin}/"));
            assert_eq!(
                (&told["requests"], &told["connections"]["opened"]),
                (&40.into(), &2.into())
            );
            assert_eq!(told["sni"], if number == 1 { "localhost".into() } else { Value::Null });
            assert_eq!(report["steps"][number]["name"], *origin);
            assert_eq!(report["steps"][number]["ok"], 40);
        }
    }
}

#[test]
fn targets_of_several_hosts_have_numbers_of_their_own() {
    let hosts = [Recorder::new().unwrap(), Recorder::new().unwrap()];
    let target = |n: usize, weight: u32| {
        let url = hosts[n].target();
        format!("[[targets]]\nname = \"{n}\"\nurl = \"http://{url}/x\"\nweight = {weight}\n")
    };
    let report = report(&(target(0, 3) + &target(1, 1)), "-q 400 -t 500ms -c 4 --shards 2");
    let asked = hosts.each_ref().map(|host| host.asked().len() as u64);
    assert_eq!(asked.iter().sum::<u64>(), 200);
    assert!(asked[0] > 2 * asked[1] && asked[1] > 20, "{asked:?}");
    for (number, count) in asked.into_iter().enumerate() {
        assert_eq!(report["steps"][number]["ok"], count);
        assert_eq!(report["origins"][number]["connections"]["opened"], 4);
    }
    assert_eq!(report["connections"]["opened"], 8);
}

#[test]
fn a_scenario_carries_a_value_from_one_host_to_another_whose_name_is_a_variable() {
    let [first, second] = [Recorder::new().unwrap(), Recorder::new().unwrap()];
    let (host, port) =
        second.target().rsplit_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).unwrap();
    let toml = format!(
        "[scenario]\nbase_url = \"http://{}\"\nvars = {{ host = \"{host}\", port = \"{port}\" }}\n\
         [[scenario.steps]]\npath = \"/a\"\ncapture.said = {{ regex = \"o(.)\" }}\n\
         [[scenario.steps]]\nurl = \"http://{{{{host}}}}:{{{{port}}}}/b/{{{{said}}}}\"\n",
        first.target()
    );
    let report = report(&toml, "-c 2 -n 20 --shards 1");
    assert_eq!(report["counts"]["ok"], 20);
    let second = second.asked();
    assert!(second.len() >= 9 && second.iter().all(|asked| asked.path == "/b/k"), "{second:?}");
    assert_eq!(first.asked().len() + second.len(), 20);
}

#[test]
fn a_host_at_which_nobody_listens_is_named_before_anything_is_sent() {
    let (recorder, nobody) = (Recorder::new().unwrap(), nobody());
    let toml = format!(
        "[[targets]]\nurl = \"http://{}/\"\n[[targets]]\nurl = \"http://{nobody}/\"\n",
        recorder.target()
    );
    let (outcome, _folder) = run(&toml, "-c 2 -n 20");
    let name = format!("for http://{nobody}/");
    check_refusal(&outcome, 1, &["cannot connect to", &name, "nothing was sent"]);
    assert!(recorder.asked().is_empty());
}

#[test]
fn a_detour_is_for_the_host_that_it_names() {
    let hosts = [Recorder::new().unwrap(), Recorder::new().unwrap()];
    let port = |n: usize| hosts[n].target().rsplit_once(':').unwrap().1.to_owned();
    let toml = "targets = [{ url = \"http://one.example/1\" }, { url = \"http://two.example/2\" }]";
    let words = format!(
        "-n 40 -c 2 --connect-to one.example:80:127.0.0.1:{} \
         --connect-to two.example:80:127.0.0.1:{}",
        port(0),
        port(1)
    );
    let report = report(toml, &words);
    assert_eq!(report["counts"]["ok"], 40);
    for (host, name) in hosts.iter().zip(["one.example", "two.example"]) {
        let asked = host.asked();
        assert!(!asked.is_empty());
        assert!(asked.iter().all(|asked| asked.field("host") == Some(name)), "{asked:?}");
    }
}
