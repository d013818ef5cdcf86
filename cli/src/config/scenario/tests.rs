//! What sections of a file make of requests, and what is said of those that make no sense.

use pummel_engine::plan::Step;
use pummel_proto_http::{Rendering, Values};

use super::*;
use crate::args::words;
use crate::config::file::from_text;
use crate::config::target::TargetUrl;

/// Values that are called by their numbers.
struct Numbered;

impl Values for Numbered {
    fn value(&self, number: u16) -> &[u8] {
        [&b"V0"[..], b"V1", b"V2"].get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// The work of a file beside these words.
fn work_of(toml: &str, line: &str) -> Result<Work, String> {
    all_of(toml, line).map(|(work, _)| work)
}

/// The same, with the servers that it leads to.
fn all_of(toml: &str, line: &str) -> Result<(Work, Vec<TargetUrl>), String> {
    let file = from_text("p.toml", toml)?;
    let args = words(line).run;
    let base = base(&file.root).map_err(|fault| file.remark(&fault))?;
    let url = args.target.any().map(str::to_owned).or(base).unwrap();
    let target = crate::config::urls::aim_alone(&url).unwrap();
    let common = Common::understand(&args).map_err(|error| error.to_string())?;
    let work = work(&file, &common, &target, Nanos::ZERO);
    work.map_err(|fault| file.remark(&fault)).map(Option::unwrap)
}

/// The requests of a file, as HTTP/1.1 without the fields that are always there.
fn requests(toml: &str, line: &str) -> Vec<String> {
    let work = work_of(toml, line).unwrap();
    let requests = work.requests().iter().map(|asking| {
        let mut out = Vec::new();
        asking.request.serial(&Rendering::default()).fill(&Numbered, &mut out);
        let text = String::from_utf8(out).unwrap();
        let usual = ["Host: h:1", "Accept: */*"];
        let lines = text.split("\r\n");
        let kept = lines.filter(|it| !usual.contains(it) && !it.starts_with("User-Agent: pummel"));
        kept.collect::<Vec<_>>().join("|")
    });
    requests.collect()
}

const FLOW: &str = r#"
[scenario]
base_url = "http://h:1/api/"
method = "put"
headers = ["X-All: {{user}}"]
data = "all"
vars = { user = "a b", id = 5 }

[[scenario.steps]]
name = "first"
path = "login?u={{user}}&n={{seq}}"
headers = ["X-Own: {{uuid}}"]
think_time = "250ms"

[[scenario.steps]]
url = "http://h:1/x/{{step}}"
method = "post"
json = { who = "{{user}}", id = "{{id}}", n = "{{seq}}", two = "{{user}} {{id}}", list = [1, true] }
vars = { user = "\"c\"" }
assert_status = 201

[[scenario.steps]]
"#;

#[test]
fn a_value_that_nothing_captures_before_is_refused_with_both_places() {
    let of = |steps: &str| {
        let toml = format!("[scenario]\nbase_url = \"http://h:1\"\nsteps = [\n{steps}]\n");
        work_of(&toml, "p").map(|_| ())
    };
    let (takes, has) = ("{ capture.t = { status = true } },\n", "{ path = \"/{{t}}\" },\n");
    let refused = |steps: &str, said: &str| assert_eq!(of(steps).unwrap_err(), said);
    refused(
        &format!("{has}{takes}"),
        "p.toml:4:1: scenario.steps[0] has {{t}}, which is not captured before: scenario.steps[1] \
         does that, at p.toml:5, and no way leads from there to here; capture it \
         earlier",
    );
    refused(
        "{ headers = [\"A: {{base64(t)}}\"], capture.t = { status = true } },\n",
        "p.toml:4:1: scenario.steps[0] has {{t}}, which is not captured before: only its own \
         response tells it; capture it earlier",
    );
    refused(
        &format!("{{}},\n{{ if = \"{{{{t}}}} == 'x'\" }},\n{takes}"),
        "p.toml:5:8: scenario.steps[1].if has {{t}}, which is not captured before: \
         scenario.steps[2] does that, at p.toml:6, and no way leads from there to here; capture \
         it earlier",
    );
    for steps in [
        format!("{takes}{has}"),
        format!("{{ repeat = 2, steps = [{has}{takes}] }},\n"),
        format!("{{}},\n{{ if = \"{{{{t}}}}\" }},\n{takes}"),
        format!("{has}{{ once = true, steps = [{takes}] }},\n"),
        format!("{{}},\n{{ if = \"status == 200\", steps = [{takes}] }},\n{has}"),
    ] {
        assert_eq!(of(&steps), Ok(()), "{steps}");
    }
}

#[test]
fn a_capture_that_vars_around_it_hide_is_refused_with_both_places() {
    let of = |toml: &str| {
        let toml = format!("[scenario]\nbase_url = \"http://h:1\"\n{toml}");
        work_of(&toml, "p").map(|_| ())
    };
    let takes = "capture.t = { status = true }";
    for (toml, said) in [
        (
            format!("vars = {{ t = \"a\" }}\nsteps = [{{ steps = [{{ {takes} }}] }}]"),
            "p.toml:4:35: scenario.steps[0].steps[0].capture.t is hidden by scenario.vars.t, at \
             p.toml:3, which goes before it; give one of them another name",
        ),
        (
            format!("steps = [\n{{ vars = {{ t = 1 }}, steps = [{{}},\n{{ {takes} }}] }}]"),
            "p.toml:5:15: scenario.steps[0].steps[1].capture.t is hidden by \
             scenario.steps[0].vars.t, at p.toml:4, which goes before it; give one of them \
             another name",
        ),
        (
            format!("steps = [\n{{ vars = {{ t = 1 }}, {takes} }}]"),
            "p.toml:4:33: scenario.steps[0].capture.t is hidden by scenario.steps[0].vars.t, at \
             p.toml:4, which goes before it; give one of them another name",
        ),
    ] {
        assert_eq!(of(&toml).unwrap_err(), said);
    }
    // Elsewhere it is seen.
    let apart = format!("steps = [{{ {takes} }}, {{ path = \"/{{{{t}}}}\", vars = {{ t = 1 }} }}]");
    assert_eq!(of(&apart), Ok(()));
}

#[test]
fn a_step_may_lead_to_another_server_and_its_host_may_be_a_variable() {
    let toml = r#"
        [scenario]
        base_url = "http://{{name}}:1/api"
        vars = { name = "h", root = "https://g/v1", port = "8" }
        steps = [
            { path = "/a" },
            { url = "{{root}}/b?c={{seq}}" },
            { url = "http://{{name}}:{{port}}" },
            { url = "http://H:1/d", vars = { name = "x" } },
            { url = "http://{{name}}/e", vars = { name = "x" } },
        ]
    "#;
    let (work, servers) = all_of(toml, "p").unwrap();
    let servers: Vec<_> = servers.iter().map(TargetUrl::origin).collect();
    assert_eq!(servers, ["http://h:1", "https://g", "http://h:8", "http://x"]);
    let asked = work.requests().iter().map(|asking| {
        let text = String::from_utf8(asking.request.render_h1()).unwrap();
        let mut lines = text.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned());
        (asking.origin, lines.next().unwrap(), lines.next().unwrap())
    });
    let expected = [
        (0, "/api/a", "h:1"),
        (1, "/v1/b?c=", "g"),
        (2, "/", "h:8"),
        (0, "/d", "H:1"),
        (3, "/e", "x"),
    ];
    let expected = expected.map(|(n, path, host)| (n, path.to_owned(), host.to_owned()));
    assert_eq!(asked.collect::<Vec<_>>(), expected);
    let (_, servers) =
        all_of("[scenario]\nbase_url = \"h\"\nsteps = [{ url = \"g\" }]", "p").unwrap();
    assert_eq!(servers.len(), 1, "who asks nobody there needs no connection");
}

#[test]
fn steps_add_to_what_goes_for_their_scenario() {
    let [first, second, third] = &requests(FLOW, "p -H A:b")[..] else { panic!("three") };
    assert_eq!(
        first,
        "PUT /api/login?u=a%20b&n=V0 HTTP/1.1|A: b|X-All: a b|X-Own: V1|Content-Length: 3||all"
    );
    let json = r#"{"who":"\"c\"","id":5,"n":V0,"two":"\"c\" 5","list":[1,true]}"#;
    assert_eq!(
        *second,
        format!(
            "POST /x/2 HTTP/1.1|A: b|X-All: \"c\"|Content-Type: application/json|\
             Content-Length: {}||{json}",
            json.len()
        )
    );
    assert_eq!(third, "PUT /api/ HTTP/1.1|A: b|X-All: a b|Content-Length: 3||all");
}

#[test]
fn steps_are_done_in_order_with_their_pauses() {
    let work = work_of(FLOW, "p -s 2xx").unwrap();
    let [scenario] = work.scenarios() else { panic!("one") };
    let pause = Step::Think(Nanos::from_millis(250));
    let [a, b, c] = [0, 1, 2].map(Step::Request);
    assert_eq!(scenario.steps, [a, pause, b, c]);
    assert_eq!(work.rows(), ["first", "POST /x/2", "PUT /api/"]);
    let holds = |at: usize, status| work.requests()[at].expected.holds(status);
    assert!(holds(0, 204) && holds(1, 201) && !holds(1, 204));
}

#[test]
fn a_url_on_the_command_line_takes_the_place_of_the_base() {
    let toml = "[scenario]\nbase_url = \"http://far/a\"\n[[scenario.steps]]\npath = \"/p\"\n";
    assert_eq!(requests(toml, "p http://h:1/near"), ["GET /near/p HTTP/1.1||"]);
    assert_eq!(requests(toml, "p http://h:1"), ["GET /p HTTP/1.1||"]);
}

#[test]
fn scenarios_and_targets_are_chosen_by_weight() {
    let toml = "[scenarios.buy]\nweight = 3\nbase_url = \"http://h:1\"\n\
                steps = [{ path = \"/b\" }]\n\
                [scenarios.look]\nsteps = [{ path = \"/l\" }]\n";
    let work = work_of(toml, "p").unwrap();
    let of = |scenario: &Scenario| (scenario.name.clone(), scenario.weight.get());
    let all: Vec<_> = work.scenarios().iter().map(of).collect();
    assert_eq!(all, [("buy".to_owned(), 3), ("look".to_owned(), 1)]);
    assert_eq!(work.rows(), ["buy: GET /b", "look: GET /l"]);

    let toml = "[[targets]]\nurl = \"http://h:1/a?b\"\nweight = 9\n\
                [[targets]]\npath = \"/c\"\nname = \"c\"\nmethod = \"delete\"\n";
    let work = work_of(toml, "p").unwrap();
    assert_eq!(work.rows(), ["GET /a?b", "c"]);
    assert_eq!(work.scenarios()[0].weight.get(), 9);
    assert_eq!(requests(toml, "p")[1], "DELETE /c HTTP/1.1||");
}

#[test]
fn a_form_of_a_step_is_as_long_as_its_values_make_it_and_its_files_are_beside_the_file() {
    let toml = "[scenario]\nbase_url = \"http://h:1\"\nform = [\"all=1\"]\n\
                basic_auth = \"a:{{p}}\"\nvars = { p = \"b\" }\n\
                [[scenario.steps]]\nform = [\"n={{seq}}\", \"who={{p}}\"]\n\
                [[scenario.steps]]\npath = \"/own\"\ndata = \"x\"\n[[scenario.steps]]\n";
    let [own, data, all] = &requests(toml, "p -F common=1 -a c:d")[..] else { panic!("three") };
    let fields = "Authorization: Basic YTpi|";
    let (head, body) = own.split_once("||").unwrap();
    let (kind, length) = head
        .strip_prefix(&format!(
            "POST / HTTP/1.1|{fields}Content-Type: multipart/form-data; boundary="
        ))
        .and_then(|rest| rest.split_once("|Content-Length: "))
        .unwrap();
    let lines = body.replace('|', "\r\n");
    let expected = format!(
        "--{kind}\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nV0\r\n\
         --{kind}\r\nContent-Disposition: form-data; name=\"who\"\r\n\r\nb\r\n--{kind}--\r\n"
    );
    assert_eq!((lines.as_str(), length), (expected.as_str(), &*expected.len().to_string()));
    assert_eq!(*data, format!("POST /own HTTP/1.1|{fields}Content-Length: 1||x"));
    assert!(all.contains("name=\"all\"") && !all.contains("common"), "{all}");
    // What goes for all is the last resort, and a field of a step is nearer.
    let toml = "[[targets]]\nurl = \"http://h:1/\"\nheaders = [\"Authorization: me\"]\n\
                [[targets]]\npath = \"/b\"\n";
    let [first, second] = &requests(toml, "p -F common=1 -a c:d")[..] else { panic!("two") };
    assert!(
        first.contains("|Authorization: me|")
            && !first.contains("Basic")
            && first.contains("name=\"common\""),
        "{first}"
    );
    assert!(second.contains("|Authorization: Basic Yzpk|"), "{second}");
}

#[test]
fn what_makes_no_sense_in_a_form_or_for_a_user_is_said_with_its_place() {
    let scenario = |of_all: &str, of_step: &str| {
        format!("[scenario]\nbase_url = \"http://h:1\"\n{of_all}\n[[scenario.steps]]\n{of_step}\n")
    };
    for (toml, said) in [
        (
            scenario("", "form = [\"a=b\"]\ndata = \"x\""),
            "p.toml:6:8: scenario.steps[0].data and form do not go together; give one of them",
        ),
        (
            scenario("", "form = []"),
            "p.toml:5:8: scenario.steps[0].form is empty; write for example [\"name=value\"]",
        ),
        (
            scenario("", "form = [\"a\"]"),
            "p.toml:5:9: scenario.steps[0].form[0]: \"a\" is no part of a form; write NAME=",
        ),
        (
            scenario("", "form = [\"{{seq}}=1\"]"),
            "p.toml:5:9: scenario.steps[0].form[0]: \"{{seq}}=1\" has a name that varies; only",
        ),
        (
            scenario("", "form = [\"a=@{{seq}}\"]"),
            "p.toml:5:9: scenario.steps[0].form[0]: \"a=@{{seq}}\" has a file that varies; files",
        ),
        (
            scenario("", "data_file = \"/no/such\""),
            "p.toml:5:13: scenario.steps[0].data_file: cannot read body file \"/no/such\": No such",
        ),
        (
            scenario("", "form = [\"a={{sq}}\"]"),
            "p.toml:5:9: scenario.steps[0].form[0]: {{sq}} is unknown; did you mean seq?",
        ),
        (
            scenario("", "form = [\"a=@/no/such\"]"),
            "p.toml:5:9: scenario.steps[0].form[0]: cannot read file \"/no/such\": No such file",
        ),
        (
            scenario("", "form = [\"a=1\"]\nheaders = [\"Content-Type: text/plain\"]"),
            "p.toml:5:8: scenario.steps[0].form: a form writes Content-Type itself, with its",
        ),
        (
            scenario("basic_auth = \"a\"", ""),
            "p.toml:3:14: scenario.basic_auth: there is no colon between user and password; write",
        ),
        (
            scenario("basic_auth = \"a{{seq}}\"", ""),
            "p.toml:3:14: scenario.basic_auth has no colon between user and password; write",
        ),
        (
            scenario("basic_auth = \"a:b\"", "headers = [\"Authorization: x\"]"),
            "p.toml:3:14: scenario.basic_auth and a header Authorization do not go together; give",
        ),
    ] {
        let found = work_of(&toml, "p").unwrap_err();
        assert!(found.starts_with(said), "{found}\nexpected {said}");
    }
}

/// A scenario of one step with these keys.
fn step(rest: &str) -> String {
    format!("[scenario]\nbase_url = \"http://h:1\"\n[[scenario.steps]]\n{rest}\n")
}

#[track_caller]
fn refused(toml: &str, said: &str) {
    let found = work_of(toml, "p").unwrap_err();
    assert!(found.starts_with(said), "{found}\nexpected {said}");
}

#[test]
fn steps_find_out_about_responses() {
    let toml = step(
        "assert_body_contains = \"ok\"\nchecks = [{ json = \"$.a[0]\", equals = 5 }, \
         { name = \"quick\", time = \"20ms\" }]\ncapture = { token = { json = \"$.t\" }, \
         id = { regex = \"id=(.)\" } }\n[[scenario.steps]]\nheaders = [\"A: {{token}}\"]",
    );
    let work = work_of(&toml, "p").unwrap();
    let names = work.looked_for().into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(
        names,
        [
            "body contains \"ok\"",
            "json \"$.a[0]\" equals 5",
            "quick",
            "capture token",
            "capture id"
        ]
    );
    assert_eq!(work.requests()[1].request.values(), [0]);
}

#[test]
fn looking_that_makes_no_sense_is_said_with_its_place() {
    for (rest, said) in [
        (
            "checks = [{}]",
            "p.toml:4:11: scenario.steps[0].checks[0] looks at one of status, header",
        ),
        ("checks = [{ size = 1, time = 1 }]", "p.toml:4:11: scenario.steps[0].checks[0] looks at"),
        (
            "checks = [{ body_matches = \"a(\" }]",
            "p.toml:4:28: scenario.steps[0].checks[0].body_matches: ",
        ),
        ("checks = [{ json = \"$.a[\" }]", "p.toml:4:20: scenario.steps[0].checks[0].json: "),
        ("checks = [{ header = \"a b\" }]", "p.toml:4:22: scenario.steps[0].checks[0].header: "),
        ("checks = [{ size = \"9-1\" }]", "p.toml:4:20: scenario.steps[0].checks[0].size: "),
        (
            "checks = [{ size = 1, equals = 2 }]",
            "p.toml:4:32: scenario.steps[0].checks[0].equals does not go with size; leave",
        ),
        (
            "checks = [{ json = \"a\", equals = [1] }]",
            "p.toml:4:34: scenario.steps[0].checks[0].equals has parts; compare a text",
        ),
        (
            "capture = { t = { jsn = \"a\" } }",
            "p.toml:4:19: unknown key \"jsn\" in scenario.steps[0].capture.t; did you mean",
        ),
        (
            "capture = { t = { regex = \"a(b)\", group = 2 } }",
            "p.toml:4:27: scenario.steps[0].capture.t.regex: ",
        ),
        (
            "capture = { t = { between = [\"a\"] } }",
            "p.toml:4:29: scenario.steps[0].capture.t.between has two texts: what stands before",
        ),
    ] {
        refused(&step(rest), said);
    }
}

#[test]
fn what_makes_no_sense_is_said_with_its_place() {
    for (toml, said) in [
        (
            "[scenario]\nbase_url = \"http://h:1\"\n".to_owned(),
            "p.toml:1:1: scenario has no steps; give at least one, as [[scenario.steps]]",
        ),
        (
            "[scenario]\nbase_url = \"http://h:1\"\nsteps = []\n".to_owned(),
            "p.toml:3:9: scenario.steps is empty; give at least one step",
        ),
        (
            step("pth = \"/\""),
            "p.toml:4:1: unknown key \"pth\" in scenario.steps[0]; did you mean \"path\"?",
        ),
        (
            step("path = \"/{{usr}}\"\nvars = { user = \"x\" }"),
            "p.toml:4:8: scenario.steps[0].path: {{usr}} is unknown; did you mean user?",
        ),
        (
            step("path = \"/\"\nurl = \"http://h:1/\""),
            "p.toml:5:7: scenario.steps[0].url and path do not go together; give one of them",
        ),
        (
            step("data = \"x\"\njson = {}"),
            "p.toml:4:8: scenario.steps[0].data and json do not go together; give one of them",
        ),
        (
            step("url = \"http://h:{{random(1,99)}}/\""),
            "p.toml:4:7: scenario.steps[0].url: its host may be one of 99 and more, and 64 is the \
             most that values make; give fewer, or the rows of a feed",
        ),
        (
            step("url = \"ftp://h/\""),
            "p.toml:4:7: scenario.steps[0].url: target \"ftp://h/\": unknown scheme \"ftp\"; su",
        ),
        (
            step("headers = [\"X\"]"),
            "p.toml:4:12: scenario.steps[0].headers[0] has no colon; write \"Name: value\"",
        ),
        (
            step("headers = [\"{{uuid}}: x\"]"),
            "p.toml:4:12: scenario.steps[0].headers[0] has a name that varies; only values may",
        ),
        (
            step("path = \"/ \""),
            "p.toml:4:8: scenario.steps[0].path: ' ' cannot stand in a URL as it is; write %20",
        ),
        (step("think_time = \"soon\""), "p.toml:4:14: scenario.steps[0].think_time: \"soon\""),
        (
            step("assert_status = 99"),
            "p.toml:4:17: scenario.steps[0].assert_status: \"99\": there is no such status",
        ),
        (
            "targets = []\nscenario = { base_url = \"http://h:1\", steps = [{}] }\n".to_owned(),
            "p.toml:1:11: targets does not go with scenarios; give one of them",
        ),
        (
            "[[targets]]\nurl = \"http://h:1\"\nweight = 0\n".to_owned(),
            "p.toml:3:10: targets[0].weight is \"0\"; give a whole number from 1 on",
        ),
        (
            "[scenario]\nbase_url = \"http://h:1\"\nschema_version = 2\nsteps = [{}]\n".to_owned(),
            "p.toml:3:18: scenario.schema_version is of another version of scenarios; there is \
             1 only",
        ),
    ] {
        refused(&toml, said);
    }
}

/// The steps of a scenario whose `steps` are this list, in short.
#[track_caller]
fn steps(list: &str) -> Vec<String> {
    let toml = format!("[scenario]\nbase_url = \"http://h:1\"\nsteps = {list}\n");
    let work = work_of(&toml, "p").unwrap();
    let short = |step: &Step| match *step {
        Step::Request(index) => work.requests()[usize::from(index)].name.clone(),
        Step::Think(span) => format!("think {span}"),
        Step::Jump(to) => format!("jump {to}"),
        Step::Unless { condition, to } => format!("unless {condition} {to}"),
        Step::Chance { weight, of, to } => format!("chance {weight}/{of} {to}"),
        Step::Loop(counter) => format!("loop {counter}"),
        Step::Again { counter, most, to } => format!("again {counter} {most} {to}"),
        Step::Once { mark, to } => format!("once {mark} {to}"),
        Step::Mark(mark) => format!("mark {mark}"),
        Step::Enter(group) => format!("enter {}", work.logic().groups[usize::from(group)]),
        Step::Leave => "leave".to_owned(),
        Step::GiveUp => "give up".to_owned(),
    };
    work.scenarios()[0].steps.iter().map(short).collect()
}

#[test]
fn blocks_become_steps_that_lead_to_places() {
    for (list, expected) in [
        (
            r#"[{ name = "a", repeat = 3, think_time = "1s" }]"#,
            &["loop 0", "a", "think 1.00 s", "again 0 3 1"][..],
        ),
        (
            r#"[{ repeat = 2, steps = [{ name = "a" }, { name = "b", repeat = 3 }] },
                { name = "c", repeat = 4 }]"#,
            &[
                "loop 0",
                "a",
                "loop 1",
                "b",
                "again 1 3 3",
                "again 0 2 1",
                "loop 0",
                "c",
                "again 0 4 7",
            ],
        ),
        (
            r#"[{ name = "a" }, { if = "status == 200", steps = [{ name = "b" }],
                  else = [{ name = "c" }] }, { if = "status == 1", name = "d" }]"#,
            &["a", "unless 0 4", "b", "jump 5", "c", "unless 1 7", "d"],
        ),
        (
            r#"[{ name = "a" }, { while = "status == 202", max = 9, name = "b" }, { name = "c" }]"#,
            &["a", "loop 0", "unless 0 7", "b", "again 0 9 2", "unless 0 7", "give up", "c"],
        ),
        (
            r#"[{ once = true, group = "in", steps = [{ name = "a" }] }, { name = "b" }]"#,
            &["enter in", "once 0 4", "a", "mark 0", "leave", "b"],
        ),
        (
            r#"[{ random = [{ weight = 5, name = "a" }, { weight = 3, steps = [{ name = "b" }] },
                  { name = "c", repeat = 2 }] }]"#,
            &[
                "chance 5/9 3",
                "a",
                "jump 9",
                "chance 3/4 6",
                "b",
                "jump 9",
                "loop 0",
                "c",
                "again 0 2 7",
            ],
        ),
    ] {
        assert_eq!(steps(list), expected, "{list}");
    }
    let once = r#"[{ name = "a" }, { once = false, name = "b" }]"#;
    assert_eq!(steps(once), ["a", "b"]);
}

#[test]
fn names_of_a_block_go_for_its_steps_and_steps_are_counted_as_they_stand() {
    let toml = "[scenario]\nbase_url = \"http://h:1\"\nvars = { a = 1, b = 2 }\n\
                [[scenario.steps]]\nrepeat = 2\nvars = { b = 3 }\n\
                steps = [{ path = \"/{{a}}/{{b}}/{{step}}\" }, { path = \"/{{step}}\" }]\n\
                [[scenario.steps]]\npath = \"/{{b}}/{{step}}\"\n";
    let all = ["GET /1/3/1 HTTP/1.1||", "GET /2 HTTP/1.1||", "GET /2/3 HTTP/1.1||"];
    assert_eq!(requests(toml, "p"), all);
}

#[test]
fn groups_and_scenarios_are_flows_by_their_names() {
    let steps = "steps = [{ group = \"pay\", steps = [{ path = \"/b\" }] }, { path = \"/c\" }]\n";
    let toml =
        format!("[scenarios.buy]\nbase_url = \"http://h:1\"\n{steps}[scenarios.look]\n{steps}");
    let work = work_of(&toml, "p").unwrap();
    let flows: Vec<_> = work.flows().iter().map(|flow| (flow.group, flow.name)).collect();
    let expected = [(false, "buy"), (false, "look"), (true, "buy: pay"), (true, "look: pay")];
    assert_eq!(flows, expected);
    let alone = "[scenario]\nbase_url = \"http://h:1\"\nsteps = [{ path = \"/\" }]\n";
    assert!(work_of(alone, "p").unwrap().flows().is_empty());
}

#[test]
fn blocks_that_make_no_sense_are_named_with_their_place() {
    let deep = |levels| {
        let (open, shut) = ("{ repeat = 2, steps = [".repeat(levels), "] }".repeat(levels));
        format!("[{open}{{ path = \"/\" }}{shut}]")
    };
    assert!(steps(&deep(7)).len() > 7);
    let deepest = deep(8);
    for (list, said) in [
        (
            "[{ repeat = 0 }]",
            "p.toml:3:21: scenario.steps[0].repeat is no number of passes; give 1",
        ),
        ("[{ repeat = 2, if = \"status\" }]", ".repeat and if do not go together; put one into"),
        ("[{ else = [{}] }]", "scenario.steps[0].else goes with if; leave it out"),
        ("[{ repeat = 2, max = 3 }]", ".max goes with while; leave it out"),
        ("[{ weight = 2 }]", ".weight is for what random chooses from; leave it out"),
        ("[{ random = [] }]", ".random is empty; give at least two steps"),
        (
            "[{ random = [{ weight = 0 }] }]",
            "random[0].weight is \"0\"; give a whole number from 1 on",
        ),
        ("[{ steps = [] }]", "scenario.steps[0].steps is empty; give at least one step"),
        (
            "[{ steps = [{}], path = \"/\" }]",
            ".path is for a request; put it into one of the steps",
        ),
        ("[{ random = [{}, {}], path = \"/\" }]", ".path is for a request; put it into one of the"),
        ("[{ random = [{}, {}], steps = [{}] }]", ".steps and random do not go together"),
        ("[{ steps = [{ pth = \"/\" }] }]", "unknown key \"pth\" in scenario.steps[0].steps[0]"),
        (
            "[{ if = \"status\" }]",
            "a request before it pauses, repeats or ends, and here it may not",
        ),
        ("[{ once = true }]", "scenario.steps cannot be done: whichever way is taken"),
        ("[{}, { while = \"stats == 2\" }]", ".while is not understood: \"stats\" is no value"),
        ("[{}, { while = \"{{x}}\" }]", ".while is not understood: {{x}} is unknown"),
        (&deepest, ".steps is within more than 8 blocks"),
    ] {
        let toml = format!("[scenario]\nbase_url = \"http://h:1\"\nsteps = {list}\n");
        let error = work_of(&toml, "p").unwrap_err();
        assert!(error.contains(said), "{list}: {error}");
    }
}

#[test]
fn a_feed_is_told_whatever_it_is_called_and_a_weight_is_not() {
    let toml = "[feeds.weight]\nfile = \"a\"\n[feeds.rate]\nfile = \"b\"\n\
                [[targets]]\nurl = \"http://h\"\nweight = 2\n";
    let file = from_text("p.toml", toml).unwrap();
    let paths: Vec<String> = written(&file.root).unwrap().into_iter().map(|it| it.0).collect();
    assert_eq!(paths, ["targets[0].url", "feeds.weight", "feeds.rate"]);
}
