//! Layers over each other, and errors in the words of where a value was set.

use std::fs;

use super::*;
use crate::args::{self, typed};
use pummel_engine::plan::{Load, Order, Shape, Trust};
use pummel_engine::units::Rate;

/// What is around a test: a folder with that file, and these variables.
struct World {
    around: Surroundings,
    folder: tempfile::TempDir,
}

impl World {
    fn new(file: &str, text: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file), text).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let around =
            Surroundings { folder: folder.path().to_owned(), variables: variables.collect() };
        Self { around, folder }
    }

    /// What is said of a run with these words: the line without the folder, and the excerpt.
    fn refusal(&self, words: &str) -> (String, Option<String>) {
        let typed = typed(words);
        let failure = match Settings::gather(&typed, &self.around) {
            Ok(settings) => settings.understand().map(drop).unwrap_err(),
            Err(failure) => failure,
        };
        (self.plain(&crate::output::stderr::once(&failure.error)), failure.excerpt)
    }

    fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// The rows of what is in effect, without defaults.
fn effective(world: &World, words: &str) -> Vec<String> {
    let typed = typed(words);
    let settings = Settings::gather(&typed, &world.around).unwrap();
    let set = settings.shown().into_iter().filter(|row| row.origin != "default");
    set.map(|row| world.plain(&format!("{} <{}>", row.setting, row.origin))).collect()
}

#[track_caller]
fn refused(toml: &str, words: &str, expected: &str) {
    let (said, excerpt) = World::new("pummel.toml", toml, &[]).refusal(words);
    assert_eq!(said, expected, "{toml}");
    assert!(excerpt.is_some(), "{said}");
}

const URL: &str = "url = \"http://h\"\n";

#[test]
fn a_higher_layer_replaces_what_a_lower_one_sets() {
    let world = World::new(
        "pummel.toml",
        "url = \"http://h\"\nrate = 1\nconnections = 1\nduration = 1\n\
         headers = [\"A: 1\", \"B: 1\"]",
        &[("PUMMEL_RATE", "2"), ("PUMMEL_CONNECTIONS", "2"), ("PUMMEL_TIMEOUT", "2s")],
    );
    assert_eq!(
        effective(&world, "p -q 3 -H C:3"),
        [
            "url = \"http://h\" <pummel.toml:1>",
            "connections = 2 <PUMMEL_CONNECTIONS>",
            "rate = \"3\" <--rate>",
            "duration = 1 <pummel.toml:4>",
            "timeout = \"2s\" <PUMMEL_TIMEOUT>",
            "headers = [\"C:3\"] <--header>",
        ]
    );
    let typed = typed("p -q 3 -H C:3");
    let args = Settings::gather(&typed, &world.around).unwrap().args;
    assert_eq!((args.load.rate.as_deref(), args.load.connections), (Some("3"), Some(2)));
    assert_eq!(args.request.header, ["C:3"]);
    assert_eq!(args.load.duration.as_deref(), Some("1"));
}

#[test]
fn what_replaces_another_key_does_so_across_layers() {
    let load = "url = \"http://h\"\n[load]\nrate = 5\nstages = [{ duration = 1, target = 9 }]";
    let world = World::new("pummel.toml", load, &[]);
    assert_eq!(effective(&world, "p --rpm 7")[1], "rpm = \"7\" <--rpm>");
    assert!(effective(&world, "p")[1].starts_with("load = { rate = 5, stages = [{ duration = 1,"));
    let world = World::new("pummel.toml", load, &[("PUMMEL_RATE", "7")]);
    assert_eq!(effective(&world, "p").len(), 2);
    assert_eq!(effective(&world, "p")[1], "rate = \"7\" <PUMMEL_RATE>");
    // A ramp goes with a rate and gives way to stages.
    let world = World::new("pummel.toml", "url = \"http://h\"\nrate = 5\nramp = \"1s\"", &[]);
    assert_eq!(effective(&world, "p -q 7").len(), 3);
    assert_eq!(effective(&world, "p --stage 1s:5").len(), 2);
    // A switch that is off takes nothing away but itself.
    let world = World::new(
        "pummel.toml",
        "ipv4 = true\njson = true",
        &[("PUMMEL_IPV6", "0"), ("PUMMEL_JSON", "false")],
    );
    let rows = effective(&world, "p");
    assert_eq!(rows[..2], ["ipv4 = true <pummel.toml:1>", "ipv6 = false <PUMMEL_IPV6>"]);
    assert_eq!(rows[2], "json = false <PUMMEL_JSON>");
    assert!(!Settings::gather(&typed("p"), &world.around).unwrap().args.output.json);
}

#[test]
fn an_error_is_said_in_the_words_of_the_file() {
    for (toml, expected) in [
        (
            "rate = 0",
            "pummel.toml:2:8: rate: \"0\" would send nothing; give more than zero, or leave it out \
             to go flat out",
        ),
        ("connections = 0", "pummel.toml:2:1: connections 0 opens no connection; give at least 1"),
        ("max_tasks = 0", "pummel.toml:2:1: max_tasks 0 opens no connection; give at least 1"),
        (
            "headers = [\"A: b\", \"nope\"]",
            "pummel.toml:2:20: header \"nope\" has no colon; write headers \"Name: value\"",
        ),
        (
            "method = \"GE T\"",
            "pummel.toml:2:10: the method \"GE T\" is not a token, like GET or POST",
        ),
        (
            "streams = 10000\nhttp2 = true",
            "pummel.toml:2:1: streams 10000 is out of bounds; give 1 to 4096",
        ),
        (
            "connections = 9999999999",
            "pummel.toml:2:15: connections: \"9999999999\" is too large a \
          number; give less",
        ),
        (
            "http2 = true\npipeline = 8",
            "pummel.toml:3:1: pipeline is for HTTP/1.1, and HTTP/2 has streams; give streams 8 \
             instead",
        ),
        (
            "reactor = \"x\"",
            "pummel.toml:2:11: reactor \"x\" is unknown; give auto, uring or epoll",
        ),
        ("ramp = 1", "pummel.toml:2:1: ramp rises to rate; give that, too"),
        ("data_file = \"\"", "pummel.toml:2:1: data_file needs a value; write data_file <FILE>"),
        (
            "status = [200, \"6xx\"]",
            "pummel.toml:2:16: status: \"6xx\": there is no such status; \
          give 200 to 599",
        ),
    ] {
        refused(&format!("{URL}{toml}"), "p", expected);
    }
    refused(
        "url = \"ftp://h\"",
        "p",
        "pummel.toml:1:7: target \"ftp://h\": unknown scheme \"ftp\"; \
             supported: http, https, h2c, h2, unix",
    );
    refused(
        "url = \"\"",
        "p",
        "pummel.toml:1:7: url is empty; write for example \
             \"http://localhost:8080/\"",
    );
}

#[test]
fn files_that_a_file_names_lie_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("urls", "https://h/1\nhttps://h/2\n");
    write("lines", "a\nb\nc\n");
    write("part", "x");
    let config = |toml: &str, words: &str| {
        write("p.toml", toml);
        let line = format!("p --config {}/p.toml {words}", folder.path().display());
        let typed = typed(line.trim_end());
        let around = World::new("other", "", &[]).around;
        let settings = Settings::gather(&typed, &around).map_err(|it| it.error.to_string())?;
        let config = settings.understand().map_err(|it| it.error.to_string())?;
        Ok::<_, String>((config.work.requests().len(), config.wire.tls.is_some()))
    };
    // What is for https stays beside a file whose URLs are.
    let urls = "url = \"urls\"\nurls_from_file = true\ninsecure = true\n";
    assert_eq!(config(urls, ""), Ok((2, true)));
    assert_eq!(config(&format!("{urls}data_lines = \"lines\"\n"), ""), Ok((6, true)));
    assert_eq!(config("url = \"h\"\nform = [\"a=@part\", \"b=@x\"]", "-F a=b"), Ok((1, false)));
    assert_eq!(config("url = \"h\"\nform = [\"a=@part\"]", ""), Ok((1, false)));
    let said = config("url = \"h\"\nform = [\"a=b\", \"a=@x\"]", "").unwrap_err();
    assert!(
        said.contains("p.toml:2:16: form \"a=@") && said.contains("cannot read file"),
        "{said}"
    );
    let said = config("url = \"no\"\nurls_from_file = true", "").unwrap_err();
    assert!(said.contains("p.toml:2:1: urls_from_file: cannot read"), "{said}");
    // Patterns are the affair of those who have one.
    assert_eq!(config("url = \"h\"\nmax_repeat = 3\ndump_urls = 5", ""), Ok((1, false)));
    let pattern = "url = \"h2://h/[0-9]\"\nrand_regex_url = true\nrequests = 9\ninsecure = true\n";
    assert_eq!(config(pattern, ""), Ok((9, true)));
    for (toml, flag) in [
        ("urls_from_file = true", "urls_from_file"),
        ("rand_regex_url = true", "rand_regex_url"),
        ("data_lines = \"lines\"", "data_lines"),
    ] {
        let toml = format!("url = \"h\"\n{toml}\n[[targets]]\npath = \"/\"\n");
        let said = config(&toml, "").unwrap_err();
        let expected = format!("p.toml:2:1: {flag} and targets do not go together; give one of");
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn an_error_about_what_was_typed_is_not_the_files() {
    let world = World::new("pummel.toml", "url = \"http://h\"\nrate = 5", &[]);
    let (said, excerpt) = world.refusal("p -c 0");
    assert_eq!((said.as_str(), excerpt), ("-c 0 opens no connection; give at least 1", None));
    // What was typed keeps its name beside what was not.
    refused(
        &format!("{URL}pipeline = 8"),
        "p --http-version 1.0",
        "pummel.toml:2:1: pipeline and HTTP/1.0 do not go together; leave pipeline out",
    );
    refused(
        "url = \"https://h\"\ninsecure = true",
        "p --cacert x",
        "pummel.toml:2:1: insecure verifies nothing, so --cacert has no use; give one of them",
    );
}

#[test]
fn an_error_about_a_variable_names_it() {
    for (name, value, expected) in [
        (
            "PUMMEL_RATE",
            "x",
            "PUMMEL_RATE: \"x\" is no rate; write for example 5000, 5k, 1.5M, \
         300/m or 10/h",
        ),
        ("PUMMEL_CONNECTIONS", "0", "PUMMEL_CONNECTIONS 0 opens no connection; give at least 1"),
        ("PUMMEL_JSON", "yes", "PUMMEL_JSON \"yes\" is neither true nor false; set one of them"),
        ("PUMMEL_HTTP3", "1", "PUMMEL_HTTP3: HTTP/3 is not supported yet; unset it"),
        (
            "PUMMEL_HEADERS",
            "A: b\nnope",
            "header \"nope\" has no colon; write PUMMEL_HEADERS \
         \"Name: value\"",
        ),
        ("PUMMEL_RAMP", "1s", "PUMMEL_RAMP rises to --rate; give that, too"),
    ] {
        let world = World::new("other", "", &[(name, value)]);
        assert_eq!(world.refusal("p http://h"), (expected.to_owned(), None));
    }
    let world = World::new("other", "", &[("PUMMEL_RATE", "5"), ("PUMMEL_RPM", "5")]);
    let said = world.refusal("p http://h").0;
    assert_eq!(said, "PUMMEL_RATE and PUMMEL_RPM do not go together; set one of them");
}

#[test]
fn what_makes_no_sense_by_itself_is_refused_with_its_place() {
    for (toml, expected) in [
        ("ratte = 5", "pummel.toml:2:1: unknown key \"ratte\"; did you mean \"rate\"?"),
        (
            "connections = \"many\"",
            "pummel.toml:2:15: connections is the text \"many\", and a whole number from 0 on is \
             wanted; write for example 64",
        ),
        (
            "connections = -1",
            "pummel.toml:2:15: connections is -1, and a whole number from 0 on is wanted; write \
             for example 64",
        ),
        (
            "http_version = 2",
            "pummel.toml:2:16: http_version is 2, and a text is wanted; write \
          \"2\"",
        ),
        (
            "json = 1",
            "pummel.toml:2:8: json is 1, and true or false is wanted; write true, without \
          quotes",
        ),
        (
            "rate = [5]",
            "pummel.toml:2:8: rate is a list, and a number or a text is wanted; write for \
          example 5000 or \"5k\"",
        ),
        ("headers = [5]", "pummel.toml:2:12: headers[0] is 5, and a text is wanted; write \"5\""),
        ("rate = 5\nrpm = 5", "pummel.toml:3:1: rpm and rate do not go together; give one of them"),
        (
            "max_tasks = 5\nconcurrency = 5",
            "pummel.toml:3:1: concurrency and max_tasks are the same; \
          give one of them",
        ),
        (
            "metrics_range = \"30-10\"",
            "pummel.toml:2:17: metrics_range is no range of seconds; \
          write for example \"10-30\"",
        ),
        (
            "fps = \"x\"",
            "pummel.toml:2:7: fps is the text \"x\", and a whole number from 0 on is \
          wanted; write for example 64",
        ),
        (
            "sinks.otel.pfad = \"x\"",
            "pummel.toml:2:12: unknown key \"pfad\" in sinks.otel; there are \
          path",
        ),
        ("http3 = true", "pummel.toml:2:1: HTTP/3 is not supported yet; leave http3 out"),
    ] {
        refused(&format!("{URL}{toml}"), "p", expected);
    }
}

#[test]
fn a_load_in_stages_rises_from_one_to_the_next() {
    let stages = |toml: &str, words: &str| {
        let world = World::new("pummel.toml", &format!("{URL}{toml}"), &[]);
        let typed = typed(words);
        let config = Settings::gather(&typed, &world.around).unwrap().understand().unwrap();
        let Load::Open { timetable, .. } = config.load else { panic!("no schedule") };
        let Shape::Stages(stages) = timetable.shape else { panic!("no stages") };
        let second = |rate: Option<Rate>| rate.map_or(0.0, Rate::per_second);
        let all = stages.all().iter();
        all.map(|it| (it.length.as_secs_f64(), second(it.from), second(it.to))).collect::<Vec<_>>()
    };
    let ramp = "[load]\nrate = 100\n[[load.stages]]\nduration = \"60s\"\ntarget = 300\n\
                [[load.stages]]\nduration = 120\nrpm = 6000\n[[load.stages]]\nduration = \"1m\"\n\
                rate = \"1k\"";
    let expected = [(60.0, 100.0, 300.0), (120.0, 300.0, 100.0), (60.0, 100.0, 1000.0)];
    assert_eq!(stages(ramp, "p"), expected);
    // From nothing, if it does not say where from.
    assert_eq!(stages("[[load.stages]]\nduration = 1\ntarget = 5", "p"), [(1.0, 0.0, 5.0)]);
    // The last rate is held for the rest of a longer window.
    assert_eq!(stages(ramp, "p -t 1h"), expected);
    let constant = |toml: &str| {
        let world = World::new("pummel.toml", &format!("{URL}{toml}"), &[]);
        let typed = typed("p");
        let settings = Settings::gather(&typed, &world.around).unwrap();
        settings.args.load.rate.unwrap()
    };
    assert_eq!(constant("[load]\nrate = 100"), "100");
    assert_eq!(constant("load = { rpm = 100 }"), "100/m");
}

#[test]
fn a_load_that_says_nothing_or_too_much_is_refused() {
    for (toml, expected) in [
        ("load = {}", "2:8: load has neither rate nor stages; give one of them, or leave it out"),
        (
            "load = { rate = 1, rpm = 2 }",
            "2:20: load: rate and rpm do not go together; give one of them",
        ),
        (
            "load.stages = [{ duration = 1, rate = 1, target = 2 }]",
            "2:42: load.stages[0]: rate and target do not go together; give one of them",
        ),
        (
            "load.stages = [{ duration = 1 }]",
            "2:16: load.stages[0] has no target; give one, for example target = 500",
        ),
        (
            "load.stages = [{ target = 1 }]",
            "2:16: load.stages[0] has no duration; give one, for example duration = \"10s\"",
        ),
        (
            "load.stages = [{ duration = 0, target = 1 }]",
            "2:29: load.stages[0].duration: \"0\" is no time at all; give more than zero",
        ),
        (
            "load = { rate = \"5 k\" }",
            "2:17: load.rate: \"5 k\" is no rate; write for example 5000, 5k, 1.5M, 300/m or 10/h",
        ),
        (
            "load.stages = [{ duration = 1, target = 0 }]",
            "2:1: the last load ends at 0, and its last rate is what a schedule goes on with; let \
             it end above 0, or leave it out",
        ),
        (
            "load.stages = [{ duration = 1, targe = 1 }]",
            "2:32: unknown key \"targe\" in load.stages[0]; did you mean \"target\"?",
        ),
        (
            "rate = 5\nload = { rate = 5 }",
            "3:1: load and rate do not go together; give one of them",
        ),
    ] {
        refused(&format!("{URL}{toml}"), "p", &format!("pummel.toml:{expected}"));
    }
}

/// What is remarked on, without the place of the file.
fn remarks(world: &World, words: &str) -> Vec<String> {
    let typed = typed(words);
    let settings = Settings::gather(&typed, &world.around).unwrap();
    let config = settings.understand().unwrap();
    settings.remarks.iter().chain(&config.remarks).map(|said| world.plain(said)).collect()
}

#[test]
fn what_has_no_effect_is_said_in_a_line() {
    let found = "settings come from pummel.toml";
    let toml = "url = \"h\"\nfps = 5\nno_charts = true\nsummary = false\nkeep_tmp = false\n\
                http3 = false\n[sinks.otel]\npath = \"x\"";
    let world = World::new("pummel.toml", toml, &[("PUMMEL_TIME_UNIT", "ms"), ("PUMMEL_FPS", "")]);
    let idle = "pummel.toml: fps, summary and sinks have no effect yet";
    assert_eq!(remarks(&world, "p"), [found, idle, "PUMMEL_TIME_UNIT has no effect yet"]);
    let toml = "url = \"h\"\nrate = 5\nlatency_correction = true\nstreams = 5";
    let world = World::new("pummel.toml", toml, &[("PUMMEL_RATTE", "5"), ("PUMMELRATE", "5")]);
    let said = remarks(&world, "p");
    assert_eq!(said[1], "\"PUMMEL_RATTE\" sets nothing; did you mean PUMMEL_RATE?");
    assert!(
        said[2].starts_with("pummel.toml:4:1: streams is for HTTP/2 and is ignored; give http2")
    );
    assert!(said[3].starts_with("pummel.toml:3:1: latency_correction changes nothing"), "{said:?}");
}

#[test]
fn what_is_for_https_is_left_aside_in_the_clear_and_used_elsewhere() {
    let toml = "url = \"http://h\"\ninsecure = true\nalpn = [\"h2\"]\ntls_min = \"1.2\"";
    let world = World::new("pummel.toml", toml, &[]);
    let aside = "insecure, alpn and tls_min are left aside: the target is in the clear";
    assert_eq!(remarks(&world, "p")[1], aside);
    let named = world.folder.path().join("pummel.toml").display().to_string();
    assert_eq!(remarks(&world, &format!("p http://x --config {named}")), [aside]);
    let typed = typed(&format!("p -u https://h --config {named}"));
    let settings = Settings::gather(&typed, &world.around).unwrap();
    assert!(settings.args.tls.insecure && settings.remarks.is_empty());
}

#[test]
fn what_is_for_another_kind_of_load_is_left_aside() {
    let said = |toml: &str, words: &str| {
        let world = World::new("pummel.toml", &format!("{URL}{toml}"), &[]);
        let typed = typed(words);
        let settings = Settings::gather(&typed, &world.around).unwrap();
        let config = settings.understand().unwrap();
        let said = settings.remarks.iter().chain(&config.remarks).skip(1);
        said.cloned().collect::<Vec<_>>()
    };
    let joining = "spawn_rate = 5\nspawn_interval = 100";
    let aside = "spawn_rate and spawn_interval are left aside: connections join in without a \
                 schedule only";
    assert_eq!(said(&format!("rate = 5\n{joining}"), "p"), [aside]);
    assert_eq!(said(joining, "p --stage 1s:5"), [aside]);
    assert_eq!(said(joining, "p"), [""; 0]);
    let correction = "latency_correction = true";
    assert_eq!(said(correction, "p"), ["latency_correction is left aside: there is no schedule"]);
    assert!(said(correction, "p -q 5")[0].contains("latency_correction changes nothing"));
    let bursts = "burst_rate = 5\nburst_delay = \"1s\"";
    let aside = "burst_rate and burst_delay are left aside: a rate says how many requests start";
    assert_eq!(said(&format!("{bursts}\nload = {{ rate = 5 }}"), "p"), [aside]);
    assert_eq!(said(&format!("rate = 5\n{bursts}"), "p"), [aside]);
    // What replaces them in a higher layer needs no word.
    assert_eq!(said(bursts, "p -q 5"), [""; 0]);
    assert!(said(&format!("{bursts}\n{joining}"), "p")[0].starts_with("spawn_rate and"));
}

#[test]
fn what_a_variable_holds_is_not_said() {
    let toml = format!("{URL}headers = [\"A: b\", \"${{TOKEN}}\"]");
    let world = World::new("pummel.toml", &toml, &[("TOKEN", "secret")]);
    let said = world.refusal("p").0;
    assert!(said.starts_with("pummel.toml:2:20: header \"${TOKEN}\" has no colon"), "{said}");
}

#[test]
fn what_was_typed_is_not_looked_for_in_the_file() {
    let world = World::new("pummel.toml", &format!("{URL}accept = \"x\""), &[]);
    let (said, excerpt) = world.refusal("p -q x");
    assert!(said.starts_with("--rate: \"x\" is no rate") && excerpt.is_none(), "{said}");
}

#[test]
fn what_the_documentation_has_as_files_makes_sense() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIG.md"));
    let text = text.unwrap();
    let blocks = text.split("```toml\n").skip(1);
    let files: Vec<&str> = blocks.filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert!(!files.is_empty());
    for file in files {
        let world = World::new("pummel.toml", file, &[]);
        let typed = typed("p");
        Settings::gather(&typed, &world.around).unwrap().understand().unwrap();
    }
}

#[test]
fn a_file_is_looked_for_where_no_target_was_typed() {
    let world = World::new("strest.json", "{\"url\": \"http://strest.json\"}", &[]);
    for name in ["strest.toml", "pummel.json", "pummel.toml"] {
        let text = if name.ends_with("json") {
            format!("{{\"url\": \"http://{name}\"}}")
        } else {
            format!("url = \"http://{name}\"")
        };
        fs::write(world.folder.path().join(name), text).unwrap();
        assert_eq!(effective(&world, "p -c 5")[0], format!("url = \"http://{name}\" <{name}:1>"));
    }
    // A file that makes no sense is not read.
    fs::write(world.folder.path().join("pummel.toml"), "=").unwrap();
    assert_eq!(effective(&world, "p http://typed"), ["url = \"http://typed\" <URL>"]);
    assert_eq!(effective(&world, "p -u http://typed"), ["url = \"http://typed\" <--url>"]);
    let named = world.folder.path().join("strest.toml");
    let words = format!("p http://typed --config {}", named.display());
    assert_eq!(effective(&world, &words), ["url = \"http://typed\" <URL>"]);
    let typed = typed(&words);
    assert!(Settings::gather(&typed, &world.around).unwrap().remarks.is_empty());
}

#[test]
fn what_happens_later_is_not_the_files() {
    let world = World::new("pummel.toml", &format!("{URL}rate = 5"), &[]);
    let typed = typed("p");
    let settings = Settings::gather(&typed, &world.around).unwrap();
    let failure = settings.explain(Failure::impossible(anyhow!("lost at --rate \"5\"")));
    assert_eq!((failure.code, failure.excerpt), (Code::Impossible, None));
    assert_eq!(failure.error.to_string(), "lost at --rate \"5\"");
}

#[test]
fn a_file_without_a_target_says_so() {
    let world = World::new("pummel.toml", "rate = 5", &[]);
    let (said, _) = world.refusal("p -c 5");
    assert_eq!(said, "pummel.toml: no target; give url there, or a URL on the command line");
    assert!(World::new("other", "", &[]).refusal("p").0.starts_with("no target; try `pummel"));
}

#[test]
fn paths_of_a_file_begin_at_its_folder_and_others_where_they_were_typed() {
    let toml = "url = \"unix:./a.sock:/p\"\ndata_file = \"body\"\nunix_socket = \"/abs.sock\"";
    let world = World::new("pummel.toml", toml, &[("PUMMEL_CACERT", "root.pem")]);
    let folder = world.folder.path();
    let typed = typed("p");
    let args = Settings::gather(&typed, &world.around).unwrap().args;
    assert_eq!(args.request.data_file.unwrap(), folder.join("body"));
    assert_eq!(args.wire.unix_socket.unwrap(), Path::new("/abs.sock"));
    let target = args.target.url.unwrap();
    assert_eq!(target, format!("unix:{}:/p", folder.join("./a.sock").display()));
    let world = World::new("other", "", &[("PUMMEL_DATA_FILE", "body")]);
    let typed = args::typed("p http://h");
    let args = Settings::gather(&typed, &world.around).unwrap().args;
    assert_eq!(args.request.data_file.unwrap(), Path::new("body"));
}

/// What is said of a file that was `begun` and is `edited`, by a run with these words; nothing if
/// all of the edit may be taken over.
fn edited(begun: &str, edited: &str, words: &str) -> Option<String> {
    let world = World::new("pummel.toml", &format!("{URL}{begun}"), &[]);
    let typed = typed(words);
    let outline = Settings::gather(&typed, &world.around).unwrap().outline().unwrap();
    fs::write(world.folder.path().join("pummel.toml"), format!("{URL}{edited}")).unwrap();
    let after = Settings::gather(&typed, &world.around).unwrap();
    let failure = after.ensure_steady(&outline).err()?;
    Some(world.plain(&failure.error.to_string()))
}

#[test]
fn an_edit_of_the_load_may_be_taken_over_and_no_other() {
    for (begun, after) in [
        ("rate = 5", "# faster\nrate = 6"),
        ("rate = 5", "stage = \"1s:5\""),
        ("rpm = 5\nramp = 1", "[load]\nrate = 6"),
        ("connections = 5", "concurrency = 6\nwatch_transition = 3"),
        ("timeout = 2\naccept = \"a\"", "accept = \"a\"\ntimeout = 2"),
        ("headers = [\"A: b\"]", "headers = [\n  \"A: b\",\n]"),
        ("seed = 3", "seed = 3\ninsecure = false"),
        ("[scenario]\nweight = 1\nsteps = [{}]", "[scenario]\nweight = 2\nsteps = [ {} ]"),
        ("targets = [{ path = \"/a\" }]", "targets = [{ weight = 3, path = \"/a\" }]"),
    ] {
        assert_eq!(edited(begun, after, "p --watch"), None, "{after}");
    }
    let stays = "cannot change while the run goes on; put it back, or restart";
    for (begun, after, said) in [
        ("", "timeout = 3", "pummel.toml:2:1: timeout"),
        ("timeout = 3", "\ntimeout = 4", "pummel.toml:3:1: timeout"),
        ("duration = 3\nrate = 5", "rate = 6\nduration = 4", "pummel.toml:3:1: duration"),
        ("burst_delay = 1", "burst_delay = 2", "pummel.toml:2:1: burst_delay"),
        ("timeout = 3", "", "pummel.toml: timeout is gone, and"),
        ("json = true", "", "pummel.toml: json is gone, and"),
        ("", "json = true", "pummel.toml:2:1: json"),
        (
            "[scenario]\nsteps = [{}]",
            "[scenario]\nsteps = [{}, {}]",
            "pummel.toml:3:9: scenario.steps",
        ),
        (
            "[scenarios.a]\nsteps = [{}]",
            "[scenarios.b]\nsteps = [{}]",
            "pummel.toml:3:9: scenarios.b.steps",
        ),
        (
            "targets = [{ path = \"/\" }, { path = \"/b\" }]",
            "targets = [{ path = \"/\" }]",
            "pummel.toml: targets[1].path is gone, and",
        ),
    ] {
        let expected = format!("{said} {stays}");
        assert_eq!(edited(begun, after, "p --watch"), Some(expected), "{after}");
    }
    // What is typed wins, so that the file has nothing to say.
    assert_eq!(edited("timeout = 3", "timeout = 4", "p --watch --timeout 5"), None);
}

#[test]
fn a_file_is_needed_to_be_watched() {
    let (said, _) = World::new("other", "", &[]).refusal("p h --watch");
    assert!(said.starts_with("--watch looks for edits of a file, and there is none"), "{said}");
    let world = World::new("pummel.toml", &format!("{URL}watch = true\nwatch_transition = 2"), &[]);
    let typed = typed("p");
    let config = Settings::gather(&typed, &world.around).unwrap().understand().unwrap();
    assert_eq!(config.watch, Some(Nanos::from_secs(2)));
    refused(
        "url = \"http://h\"\nwatch_transition = \"soon\"",
        "p",
        "pummel.toml:2:20: watch_transition: \"soon\" is no duration; write for example 10, \
         1.5s, 250ms or 1m30s",
    );
}

#[test]
fn what_is_said_of_https_is_for_those_servers_that_speak_it() {
    let targets = |second: &str| {
        format!(
            "insecure = true\n[[targets]]\nurl = \"http://h/\"\n[[targets]]\nurl = \"{second}\"\n"
        )
    };
    let world = World::new("pummel.toml", &targets("https://g/"), &[]);
    let config = Settings::gather(&typed("p"), &world.around).unwrap().understand().unwrap();
    let trusts = config.others.iter().map(|other| other.tls.as_ref().map(|tls| &tls.trust));
    assert_eq!(trusts.collect::<Vec<_>>(), [Some(&Trust::Anybody)]);
    assert!(config.wire.tls.is_none());
    let world = World::new("pummel.toml", &targets("http://g/"), &[]);
    // Where all are in the clear, a flag is refused, and what the file says is left aside.
    assert!(Settings::gather(&typed("p"), &world.around).unwrap().understand().is_ok());
    let (said, _) = world.refusal("p -k");
    assert!(said.contains("--insecure is for https"), "{said}");
}

/// A file with two scenarios that have these keys.
fn two(a: &str, b: &str) -> String {
    let steps = "steps = [{ path = \"/\" }]";
    format!("{URL}[scenarios.a]\n{steps}\n{a}\n[scenarios.b]\n{steps}\n{b}\n")
}

/// The same with targets.
fn targets(a: &str, b: &str) -> String {
    format!("{URL}[[targets]]\npath = \"/\"\n{a}\n[[targets]]\npath = \"/b\"\n{b}\n")
}

#[test]
fn rates_of_scenarios_make_a_schedule_that_has_their_sum() {
    let understood = |toml: &str, words: &str| {
        let world = World::new("pummel.toml", toml, &[]);
        let typed = typed(words);
        let settings = Settings::gather(&typed, &world.around).unwrap();
        let config = settings.understand().unwrap();
        let weights = config.work.scenarios().iter().map(|scenario| scenario.weight.get());
        let weights = weights.collect::<Vec<_>>();
        let timetable = config.load.timetable().unwrap().clone();
        (timetable, config.work.order(), weights, settings.remarks)
    };
    for toml in [two("rate = 100", "rate = \"3k/m\""), targets("rate = 100.0", "rate = 50")] {
        let (timetable, order, weights, remarks) = understood(&toml, "p");
        let rate = timetable.only_rate().unwrap().per_second();
        assert_eq!((rate, order, weights), (150.0, Order::InProportion, vec![2, 1]));
        assert!(remarks.iter().all(|it| it.starts_with("settings come from")), "{remarks:?}");
    }
    let rated = two("rate = 2", "rate = 1");
    assert_eq!(understood(&rated, "p --arrivals poisson").1, Order::ByWeight);
    // What is about a rate is about their sum; what needs no schedule is left aside.
    let Shape::Stages(stages) = understood(&rated, "p --ramp 2s").0.shape else { panic!() };
    assert_eq!(stages.all()[0].to.map(Rate::per_second), Some(3.0));
    let (.., remarks) = understood(&format!("spawn_rate = 1\n{rated}"), "p");
    assert!(remarks.iter().any(|it| it.contains("spawn_rate")), "{remarks:?}");
}

#[test]
fn rates_of_scenarios_that_make_no_sense_are_said_with_their_place() {
    let rated = two("rate = 2", "rate = 1");
    for (toml, words, expected) in [
        (
            two("rate = 2", ""),
            "p",
            "pummel.toml:5:1: scenarios.b has no rate, and others have; give each of them one, or \
             none",
        ),
        (
            two("rate = 2\nweight = 1", "rate = 1"),
            "p",
            "pummel.toml:5:10: scenarios.a.weight and rate do not go together; a rate says how \
             often it begins",
        ),
        (
            targets("rate = 2", "rate = 0"),
            "p",
            "pummel.toml:7:8: targets[1].rate: \"0\" would send nothing; give more than zero, or \
             leave it out to go flat out",
        ),
        (
            two("rate = \"600M\"", "rate = \"600M\""),
            "p",
            "pummel.toml:7:8: scenarios.b.rate makes the sum of all more than 1000000000 per \
             second; give less",
        ),
        (
            format!("rate = 5\n{rated}"),
            "p",
            "pummel.toml:1:1: rate and rate of each scenario or target do not go together; give \
             one of them",
        ),
        (
            rated.clone(),
            "p -q 5",
            "--rate and rate of each scenario or target do not go together; give one of them",
        ),
        (
            rated.clone(),
            "p --stage 1s:5",
            "--stage and rate of each scenario or target do not go together; each stage says its \
             own rate",
        ),
        (
            rated,
            "p --burst-delay 1s",
            "bursts and rate of each scenario or target do not go together; --burst-delay says \
             how many there are",
        ),
    ] {
        assert_eq!(World::new("pummel.toml", &toml, &[]).refusal(words).0, expected, "{toml}");
    }
}
