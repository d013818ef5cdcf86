//! Settings from files, from the environment and from flags.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Outcome, Server};

use super::{check_refusal, pummel};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The program with these arguments, in the folder.
fn pummel_in<'a>(folder: &Path, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = pummel(args);
    command.current_dir(folder);
    command
}

fn run(mut command: Command) -> Outcome {
    tests::run(&mut command).unwrap()
}

/// The report of a run that went well.
#[track_caller]
fn report(outcome: &Outcome) -> Value {
    assert!(outcome.went_well(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn flags_win_over_the_environment_and_that_over_a_file() {
    let server = Server::answering(OK).unwrap();
    let text = format!(
        "url = \"http://{}\"\nrequests = 3\nconnections = 1\nseed = 3\njson = true\n",
        server.target()
    );
    let folder = folder(&[("pummel.toml", &text)]);
    let with = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut command = pummel_in(folder.path(), flags.iter().copied());
        command.envs(variables.iter().copied());
        let report = report(&run(command));
        (report["counts"]["ok"].as_u64().unwrap(), report["plan"]["seed"].as_u64().unwrap())
    };
    assert_eq!(with(&[], &[]), (3, 3));
    assert_eq!(with(&[("PUMMEL_REQUESTS", "5")], &[]), (5, 3));
    assert_eq!(with(&[("PUMMEL_REQUESTS", "5"), ("PUMMEL_SEED", "5")], &["-n", "7"]), (7, 5));
    assert_eq!(with(&[], &["--seed", "7"]), (3, 7));
    assert_eq!(server.requests(), 3 + 5 + 7 + 3);
}

#[test]
fn the_first_file_that_is_there_is_read_unless_a_target_is_typed() {
    let server = Server::answering(OK).unwrap();
    let file = |requests: u32, json: bool| {
        let (url, n) = (format!("http://{}", server.target()), requests);
        if json {
            format!("{{\"url\": \"{url}\", \"requests\": {n}, \"connections\": 1, \"json\": true}}")
        } else {
            format!("url = \"{url}\"\nrequests = {n}\nconnections = 1\njson = true\n")
        }
    };
    let folder = folder(&[]);
    for (name, requests) in
        [("strest.json", 1), ("strest.toml", 2), ("pummel.json", 3), ("pummel.toml", 4)]
    {
        let text = file(requests, name.ends_with("json"));
        fs::write(folder.path().join(name), text).unwrap();
        let outcome = run(pummel_in(folder.path(), []));
        assert_eq!(report(&outcome)["counts"]["ok"], requests, "{name}");
        assert!(outcome.stderr.contains(&format!("settings come from {name}\n")), "{outcome:?}");
    }
    fs::write(folder.path().join("pummel.toml"), "this makes no sense").unwrap();
    let target = server.target();
    let outcome = run(pummel_in(folder.path(), [&target, "-n", "9", "-c", "1", "--json"]));
    assert_eq!(report(&outcome)["counts"]["ok"], 9);
    let outcome = run(pummel_in(folder.path(), ["--config", "strest.json"]));
    assert_eq!(report(&outcome)["counts"]["ok"], 1);
    assert_eq!(run(pummel_in(folder.path(), [])).code, Some(2));
}

#[test]
fn a_mistake_is_a_line_with_its_place_and_the_place_below_it() {
    let folder = folder(&[("pummel.toml", "url = \"http://h\"\n\nratte = 5000 # a slip\n")]);
    let outcome = run(pummel_in(folder.path(), []));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(outcome.stderr, @r#"
    pummel: pummel.toml:3:1: unknown key "ratte"; did you mean "rate"?
      |
    3 | ratte = 5000 # a slip
      | ^^^^^
    "#);
    let file = "{\n  \"url\": \"http://h\",\n  \"headers\": [\"A: b\", \"no colon\"]\n}";
    fs::write(folder.path().join("a.json"), file).unwrap();
    let outcome = run(pummel_in(folder.path(), ["--config", "a.json"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(outcome.stderr, @r#"
    pummel: a.json:3:23: header "no colon" has no colon; write headers "Name: value"
      |
    3 |   "headers": ["A: b", "no colon"]
      |                       ^^^^^^^^^^
    "#);
}

#[test]
fn what_this_machine_cannot_do_is_said_in_the_words_of_the_file() {
    let folder = folder(&[("pummel.toml", "url = \"http://h\"\nconcurrency = 4000000000\n")]);
    let outcome = run(pummel_in(folder.path(), []));
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let said = "pummel.toml:2:1: concurrency 4000000000 needs ";
    assert!(outcome.stderr.contains(said) && !outcome.stderr.contains("-c "), "{outcome:?}");
}

#[test]
fn paths_of_a_file_begin_at_its_folder_and_flags_where_they_are_typed() {
    let text = "url = \"http://h\"\ndata_file = \"body\"\n";
    let folder = folder(&[("sub/pummel.toml", text), ("sub/body", "x"), ("other", "y")]);
    let check = |args: &[&str]| {
        let named = ["config", "--config", "sub/pummel.toml"];
        run(pummel_in(folder.path(), named.into_iter().chain(args.iter().copied())))
    };
    assert_eq!(check(&[]).code, Some(0), "{:?}", check(&[]));
    assert_eq!(check(&["-D", "other"]).code, Some(0));
    assert_eq!(check(&["-D", "body"]).code, Some(2));
    fs::remove_file(folder.path().join("sub/body")).unwrap();
    let outcome = check(&[]);
    assert_eq!(outcome.code, Some(2));
    let said = "sub/pummel.toml:2:13: cannot read body file \"sub/body\": No such file";
    assert!(outcome.stderr.contains(said), "{outcome:?}");
}

#[test]
fn settings_are_shown_with_where_they_come_from_and_are_a_file_themselves() {
    let text = "url = \"http://${HOST_OF_TEST}/\"\nconcurrency = 5\nheaders = [\"A: b\"]\n";
    let folder = folder(&[("pummel.toml", text)]);
    let mut command = pummel_in(folder.path(), ["config", "--show", "-q", "5k", "--json"]);
    command.env("HOST_OF_TEST", "secret.example").env("PUMMEL_TIMEOUT", "2s");
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for (setting, origin) in [
        ("url = \"http://${HOST_OF_TEST}/\"", "pummel.toml:1"),
        ("connections = 5", "pummel.toml:2"),
        ("headers = [\"A: b\"]", "pummel.toml:3"),
        ("timeout = \"2s\"", "PUMMEL_TIMEOUT"),
        ("rate = \"5k\"", "--rate"),
        ("json = true", "--json"),
        ("# warmup = 0s", "default"),
    ] {
        let mut lines = outcome.stdout.lines();
        let line = lines.find(|line| line.starts_with(setting)).unwrap();
        assert!(line.ends_with(&format!(" # {origin}")), "{line}");
    }
    assert!(!outcome.stdout.contains("secret.example"), "{outcome:?}");
    fs::write(folder.path().join("shown.toml"), &outcome.stdout).unwrap();
    let mut command = pummel_in(folder.path(), ["config", "--config", "shown.toml"]);
    command.env("HOST_OF_TEST", "secret.example");
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr, "pummel: the settings make sense; --show prints them\n");
}

#[test]
fn the_schema_is_one_document() {
    let outcome = run(pummel(["schema"]));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let schema: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(schema["properties"]["rate"]["anyOf"][0]["type"], "number");
}

/// Files that make no sense, and how the line about each begins behind the file's name.
const WRONG: &[(&str, &str)] = &[
    ("url = \"http://h\"\nrate = true", "2:8: rate is true, and a number or a text is"),
    ("url = \"http://h\"\nconnections = \"many\"", "2:15: connections is the text \"many\""),
    ("url = \"http://h\"\nheaders = 5", "2:11: headers"),
    ("url = \"http://h\"\nratte = 5", "2:1: unknown key \"ratte\"; did you mean \"rate\"?"),
    ("url = \"http://h\"\nrate = 5\nrpm = 5", "3:1: rpm and rate do not go together"),
    ("url = \"http://h\"\nrate = 5\n[load]\nrate = 5", "3:2: load and rate do not go together"),
    ("url = \"http://h\"\n[load]\n", "2:1: load has neither rate nor stages"),
    (
        "url = \"http://h\"\nload = { stages = [{ duration = 1, target = 5, rpm = 5 }] }",
        "2:48: load.stages[0]: target and rpm do not go together",
    ),
    ("url = \"http://h\"\ndata = \"x\"\ndata_file = \"y\"", "3:1: data_file and data do not"),
    ("url = \"http://h\"\ndata = \"x\"\ndata_lines = \"y\"", "3:1: data_lines and data do not"),
    ("url = \"http://h\"\nform = [\"a=b\"]\ndata = \"x\"", "3:1: data and form do not go"),
    (
        "url = \"http://h\"\nurls_from_file = true\nrand_regex_url = true",
        "3:1: rand_regex_url and urls_from_file do not go together",
    ),
    ("url = \"http://h\"\nipv4 = true\nipv6 = true", "3:1: ipv6 and ipv4 do not go together"),
    (
        "url = \"http://h\"\naws_sigv4 = \"aws:amz:x:s3\"\nform = [\"a=b\"]\nbasic_auth = \"a:b\"",
        "2:1: aws_sigv4 and form do not go together",
    ),
    ("url = \"http://h\"\naws_sigv4 = \"aws:amz:x:s3\"", "2:1: aws_sigv4 signs with ACCESS"),
    ("url = \"http://h\"\naws_sigv4 = \"s3\"\nbasic_auth = \"a:b\"", "2:13: aws_sigv4 \"s3\" is"),
    ("url = \"http://h\"\naws_session = \"T\"", "2:1: aws_session is for aws_sigv4"),
    ("url = \"http://h/[a\"\nrand_regex_url = true", "2:1: rand_regex_url: \"http://h/[a\" is no"),
    ("url = \"urls\"\nurls_from_file = true", "2:1: urls_from_file: cannot read"),
    ("url = \"http://h\"\nrate = 5\nrpm = 5", "3:1: rpm and rate do not go together"),
    ("url = \"http://h\"\nrpm = 5\n[load]\nrate = 5", "3:2: load and rpm do not go together"),
    ("url = \"http://h\"\n[load]\nrate = 5\nrpm = 5", "4:1: load: rate and rpm do not go"),
    (
        "url = \"http://h\"\n[[load.stages]]\nduration = 1\nrate = 5\nrpm = 5",
        "5:1: load.stages[0]: rate and rpm do not go together",
    ),
    ("url = \"http://h/{{usr}}\"", "1:7: target \"http://h/{{usr}}\": {{usr}} is unknown"),
    ("url = \"http://h\"\ndata = \"{{usr}}\"", "2:1: data: {{usr}} is unknown"),
    (
        "url = \"http://h\"\nheaders = [\"A: 1\", \"B: {{usr}}\"]",
        "2:20: header \"B: {{usr}}\": {{usr}} is unknown",
    ),
    (
        "url = \"http://h\"\nform = [\"a=1\", \"b={{usr}}\"]",
        "2:16: form \"b={{usr}}\": {{usr}} is unknown",
    ),
    (
        "url = \"http://h\"\n[feeds.u]\nfile = \"none.csv\"\n[[targets]]\npath = \"/{{u}}\"",
        "3:8: feeds.u.file names a file that cannot be used: none.csv: it cannot be read: No such",
    ),
    (
        "url = \"http://h\"\n[[scenario.steps]]\n[[scenario.steps]]\nurl = \"ftp://h\"",
        "4:7: scenario.steps[1].url: target \"ftp://h\": unknown scheme \"ftp\"; supported",
    ),
    ("url = \"http://h\"\ndata_file = \"none\"", "2:13: cannot read body file"),
    ("url = \"http://h\"\nform = [\"a=@none\"]", "2:9: form \"a=@none\": cannot read file"),
    (
        "scenario = { steps = [{ path = \"/\" }] }",
        "1:12: scenario leads nowhere; give it a base_url, or url beside it",
    ),
    (
        "[scenario]\nbase_url = \"http://h\"\n[[scenario.steps]]\npath = \"/{{usr}}\"",
        "4:8: scenario.steps[0].path: {{usr}} is unknown",
    ),
    (
        "[scenario]\nbase_url = \"http://h\"\n[[scenario.steps]]\n\
         checks = [{ body_matches = \"(\" }]",
        "4:28: scenario.steps[0].checks[0].body_matches: ",
    ),
    (
        "[scenario]\nbase_url = \"http://h\"\n[[scenario.steps]]\n\
         capture = { t = { json = \"$.a[\" } }",
        "4:26: scenario.steps[0].capture.t.json: ",
    ),
    (
        "[scenario]\nbase_url = \"http://h\"\n[[scenario.steps]]\ndata_file = \"{{seq}}\"",
        "4:13: scenario.steps[0].data_file has a file that varies; files are opened before",
    ),
    (
        "[scenario]\nbase_url = \"http://h\"\n[[scenario.steps]]\ndata_file = \"none\"",
        "4:13: scenario.steps[0].data_file: cannot read body file \"none\": No such file",
    ),
    (
        "[scenario]\nbase_url = \"http://h\"\n[[scenario.steps]]\npath = \"/{{now(%Q)}}\"",
        "4:8: scenario.steps[0].path: %Q means nothing in a date",
    ),
    (
        "[scenario]\nbase_url = \"http://h\"\n[[scenario.steps]]\n\
         form = [\"a=@{{uuid}}.png\"]",
        "4:9: scenario.steps[0].form[0]: \"a=@{{uuid}}.png\" has a file that varies; files are",
    ),
];

/// Variables that make no sense, or no sense together, beside a good target.
const ODD: &[(&[&str], &str)] = &[
    (&["RATE=5", "RPM=5"], "PUMMEL_RATE and PUMMEL_RPM do not go together; set one of them"),
    (&["DATA=x", "DATA_FILE=y"], "PUMMEL_DATA and PUMMEL_DATA_FILE do not go together"),
    (&["DATA_FILE=x", "DATA_LINES=y"], "PUMMEL_DATA_FILE and PUMMEL_DATA_LINES do not go"),
    (&["FORM=a=b", "DATA=x"], "PUMMEL_DATA and PUMMEL_FORM do not go together"),
    (&["FORM=a=b", "DATA_FILE=x"], "PUMMEL_DATA_FILE and PUMMEL_FORM do not go together"),
    (&["FORM=a=b", "DATA_LINES=x"], "PUMMEL_DATA_LINES and PUMMEL_FORM do not go together"),
    (
        &["RAND_REGEX_URL=1", "URLS_FROM_FILE=1"],
        "PUMMEL_RAND_REGEX_URL and PUMMEL_URLS_FROM_FILE do not go together",
    ),
    (
        &["FORM=a=b", "AWS_SIGV4=aws:amz:x:s3", "BASIC_AUTH=a:b"],
        "PUMMEL_AWS_SIGV4 and PUMMEL_FORM do not go together",
    ),
    (&["AWS_SIGV4=aws:amz:x:s3"], "PUMMEL_AWS_SIGV4 signs with ACCESS:SECRET"),
    (&["AWS_SESSION=T"], "PUMMEL_AWS_SESSION is for --aws-sigv4"),
    (&["CONNECTIONS=x"], "PUMMEL_CONNECTIONS: \"x\" is no whole number"),
    (&["TIMEOUT=x"], "PUMMEL_TIMEOUT: \"x\" is no duration"),
    (&["INSECURE=maybe"], "PUMMEL_INSECURE \"maybe\" is neither true nor false"),
    (&["DATA={{usr}}"], "PUMMEL_DATA: {{usr}} is unknown"),
    (&["HEADERS=X: {{usr}}"], "header \"X: {{usr}}\": {{usr}} is unknown"),
    (&["DATA_FILE=/no/such"], "cannot read body file \"/no/such\": No such file"),
    (&["COOKIES_LOAD=/no/such"], "PUMMEL_COOKIES_LOAD: cannot read \"/no/such\": No such file"),
];

#[test]
fn variables_that_make_no_sense_are_refused_by_their_names() {
    for (variables, said) in ODD {
        let mut command = pummel(["http://127.0.0.1:1/"]);
        for (name, value) in variables.iter().filter_map(|it| it.split_once('=')) {
            command.env(format!("PUMMEL_{name}"), value);
        }
        check_refusal(&tests::run(&mut command).unwrap(), 2, &[said]);
    }
}

#[test]
fn a_file_that_makes_no_sense_is_refused_with_its_place() {
    for (toml, said) in WRONG {
        let folder = folder(&[("pummel.toml", toml)]);
        let outcome = run(pummel_in(folder.path(), []));
        assert_eq!(outcome.code, Some(2), "{toml}: {outcome:?}");
        let mut lines = outcome.stderr.lines().filter(|line| line.starts_with("pummel: "));
        let line = lines.find(|line| line.starts_with("pummel: pummel.toml:")).unwrap_or_default();
        assert!(
            line.starts_with(&format!("pummel: pummel.toml:{said}")),
            "{toml}:\n{}\nexpected {said}",
            outcome.stderr
        );
    }
}
