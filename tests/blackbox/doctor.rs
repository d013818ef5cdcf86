//! What is said of the machine. What it is depends on the machine, and is not judged here; what is
//! found on machines that were recorded is judged in tuning/src/advice/tests.rs.

use std::fs;
use std::io::{self, Write};
use std::process::Command;

use serde_json::Value;

use super::{check_refusal, pummel};

/// More connections than any process may have files: the kernel's own bound is lower.
const TOO_MANY: &str = "http://127.0.0.1:1/ -c 4000000000";

#[test]
fn a_doctor_names_what_bounds_a_load_and_on_request_what_can_be_had() {
    let outcome = tests::run(&mut pummel(["doctor"])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for label in [
        "Kernel",
        "CPUs",
        "Quota",
        "Governor",
        "Clock",
        "Memory",
        "Open files",
        "Ports",
        "io_uring",
    ] {
        let is = |line: &str| line.starts_with(label) && line.len() > 13;
        assert!(outcome.stdout.lines().any(is), "{label}: {outcome:?}");
    }
    for line in outcome.stdout.lines() {
        let long = line.split_whitespace().count() > 2 && line.chars().count() > 100;
        assert!(!long, "{line}");
    }
    assert!(!outcome.stdout.contains("Calibration"), "{outcome:?}");
    let outcome = tests::run(&mut pummel(["doctor", "--calibrate"])).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for word in ["Calibration", "floor", "ceiling"] {
        assert!(outcome.stdout.contains(word), "{outcome:?}");
    }
}

#[test]
fn a_run_that_cannot_be_done_here_is_named_with_its_numbers_and_what_helps() {
    let outcome = tests::run(&mut pummel(["doctor", "--for", TOO_MANY])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    for words in ["Run          http://127.0.0.1:1/", "4000000000 connections need", "try"] {
        assert!(outcome.stdout.contains(words), "{words}: {outcome:?}");
    }
    let grave = |line: &str| line.starts_with("impossible   4000000000 connections");
    assert!(outcome.stdout.lines().any(grave), "{outcome:?}");
}

#[test]
fn a_doctor_speaks_json() {
    let outcome = tests::run(&mut pummel(["doctor", "--json", "--for", TOO_MANY])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["for"], TOO_MANY);
    let host = &document["host"];
    assert!(host["cpus_allowed"].is_string() && host["io_uring"].is_boolean(), "{host}");
    assert!(document["settings"]["net.ipv4.ip_local_port_range"].is_string(), "{document}");
    let findings = document["findings"].as_array().unwrap();
    let ports = findings.iter().find(|finding| finding["code"] == "local_ports").unwrap();
    assert_eq!((&ports["severity"], &ports["value"]), (&"impossible".into(), &4e9.into()));
    assert!(ports["limit"].as_f64() < Some(65_536.0), "{ports}");
    assert!(ports["cures"].as_array().unwrap().iter().all(|cure| cure["how"].is_string()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (words, said) in [
        (["--for", "h --nonsense"], "--nonsense"),
        (["--for", "h 'x"], "a quote is not closed"),
        (["--for", "demo"], "it is a command; give a target and flags"),
        (["--for", "h -c 0"], "-c 0"),
        (["--yes", "--json"], "--yes is about what is changed; give --apply, too"),
        (["--revert", "--only=busy"], "--only is about what is changed; give --apply, too"),
        (["--apply", "--json"], "--json"),
        (
            ["--apply", "--only=nothing"],
            "--only \"nothing\" is no finding; give some of open_files",
        ),
    ] {
        let words = ["doctor"].into_iter().chain(words);
        check_refusal(&tests::run(&mut pummel(words)).unwrap(), 2, &[said]);
    }
    let folder = tempfile::tempdir().unwrap();
    let undo = folder.path().join("none");
    let words = ["doctor", "--revert", "--undo", undo.to_str().unwrap()];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    check_refusal(&outcome, 1, &["the undo file", "No such file"]);
}

/// Changes that are the network namespace's own.
const ONLY: &str = "local_ports,accept_queue";
const RUN: &str = "http://127.0.0.1:1/ -c 70000";

#[test]
fn nothing_is_changed_unless_that_is_said_twice() {
    let before = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let words = ["doctor", "--apply", "--for", RUN, "--only", ONLY];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("/proc/sys/net/core/somaxconn = 70000\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("nothing was changed"), "{outcome:?}");
    assert_eq!(fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap(), before);
}

/// In a network namespace of its own: shows all settings of it, changes them, shows them, sets them
/// back, shows them. A namespace that is none of its own is left alone.
const SCRIPT: &str = r#"
[ "$(readlink /proc/self/ns/net)" != "$OUTSIDE" ] || exit 9
show() {
    grep -r . /proc/sys/net/ipv4 /proc/sys/net/core 2>/dev/null | grep -v fastopen_key | sort
}
show > "$FOLDER/before"
"$PUMMEL" doctor --for "$RUN" --only "$ONLY" --apply --yes --undo "$FOLDER/undo" || exit 8
show > "$FOLDER/changed"
MORE="${RUN%70000}80000"
"$PUMMEL" doctor --for "$MORE" --only "$ONLY" --apply --yes --undo "$FOLDER/undo" && exit 7
"$PUMMEL" doctor --revert --undo "$FOLDER/undo" || exit 6
show > "$FOLDER/after"
"$PUMMEL" doctor --revert --undo "$FOLDER/undo" && exit 5
"$PUMMEL" doctor --for "$RUN" --only "$ONLY" --apply --yes --undo /proc/none/undo && exit 4
show > "$FOLDER/last"
"#;

#[test]
fn what_was_changed_is_set_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let outside = fs::read_link("/proc/self/ns/net").unwrap();
    let root = rustix::process::geteuid().is_root();
    let flags: &[&str] = if root { &["-n"] } else { &["-r", "-n"] };
    let isolated = Command::new("unshare").args(flags).arg("true").output();
    if !isolated.is_ok_and(|output| output.status.success()) {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!(root && ci), "root has no network namespaces, and CI=true");
        // Not by a macro, whose words the harness would keep to itself.
        writeln!(io::stderr(), "left out: there are no network namespaces for this user").unwrap();
        return;
    }
    let mut command = Command::new("unshare");
    command.args(flags).args(["sh", "-c", SCRIPT]).env("FOLDER", folder.path());
    command.env("PUMMEL", env!("CARGO_BIN_EXE_under-test")).env("OUTSIDE", outside);
    let outcome = tests::run(command.env("RUN", RUN).env("ONLY", ONLY)).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let [before, changed, after] = ["before", "changed", "after"]
        .map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    let is_other = |line: &&str| !before.lines().any(|old| old == *line);
    let others: Vec<&str> = changed.lines().filter(is_other).collect();
    let expected = ["/proc/sys/net/core/somaxconn:70000", "ip_local_port_range:1024\t65535"];
    assert_eq!(others.len(), expected.len(), "{others:?}");
    for (line, end) in others.iter().zip(expected) {
        assert!(line.ends_with(end), "{others:?}");
    }
    assert_eq!(after, before);
    let last = fs::read_to_string(folder.path().join("last")).unwrap();
    assert_eq!(last, before, "nothing is changed that could not be set back");
    assert!(!folder.path().join("undo").exists());
    assert!(outcome.stdout.contains("somaxconn = 70000 (was "), "{outcome:?}");
    assert!(outcome.stderr.contains("revert them first"), "{outcome:?}");
    assert!(outcome.stderr.contains("undo: No such file"), "{outcome:?}");
    assert!(outcome.stderr.contains("/proc/none/undo: "), "{outcome:?}");
}

#[test]
fn a_name_is_looked_up_and_the_way_to_it_is_told() {
    let way = |line: &str| {
        let outcome = tests::run(&mut pummel(["doctor", "--json", "--for", line])).unwrap();
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        (outcome.code, document["way"].clone())
    };
    let (_, local) = way("http://localhost:1/ -c 2 --ipv4");
    assert_eq!((&local["to"], &local["from"][0]), (&"127.0.0.1".into(), &"127.0.0.1".into()));
    assert_eq!((&local["interface"], &local["this_machine"]), (&"lo".into(), &true.into()));
    let (_, named) = way("http://127.0.0.1:1/ -c 2 --source-ip 127.0.0.2");
    assert_eq!(named["from"], serde_json::json!(["127.0.0.2"]));
    let (_, later) = way("http://localhost:1/ -c 2 --no-pre-lookup");
    assert_eq!(later, Value::Null);
    // A name that nobody can have: the run would not begin.
    let (code, lost) = way("http://name.invalid:1/ -c 2");
    assert!(lost["error"].is_string() && lost["to"].is_null(), "{lost}");
    assert_eq!(code, Some(1));
    let words = ["doctor", "--for", "http://127.0.0.1:1/ -c 2"];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    let said = "Way          to 127.0.0.1 from 127.0.0.1 by lo, which is this machine";
    assert!(outcome.stdout.lines().any(|line| line == said), "{outcome:?}");
    assert!(!outcome.stdout.contains("ethtool"), "nothing leaves by a card: {outcome:?}");
}

/// A profile as engines ship them, but shorter.
const PROFILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../tuning/testdata/seccomp-profile.json");
const RULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tuning/drop-in/seccomp-io-uring.json");

/// What is printed of a profile, and that once more.
#[test]
fn the_profile_of_an_engine_gets_the_calls_of_rings_and_nothing_else() {
    let outcome = tests::run(&mut pummel(["doctor", "--seccomp", PROFILE])).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("crictl inspect"), "it has conditions: {outcome:?}");
    let made: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let mut expected: Value = serde_json::from_str(&fs::read_to_string(PROFILE).unwrap()).unwrap();
    let rule: Value = serde_json::from_str(&fs::read_to_string(RULE).unwrap()).unwrap();
    expected["syscalls"].as_array_mut().unwrap().push(rule);
    assert_eq!(made, expected);
    let again = Command::new("sh")
        .args(["-c", r#""$PUMMEL" doctor --seccomp - < "$PROFILE""#])
        .env("PUMMEL", env!("CARGO_BIN_EXE_under-test"))
        .env("PROFILE", PROFILE)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&again.stdout), outcome.stdout);
    // The way of the guide for those who have no pummel at hand.
    let filter = ["--slurpfile", "ring", RULE, ".syscalls += $ring", PROFILE];
    if let Ok(merged) = Command::new("jq").args(filter).output() {
        let merged: Value = serde_json::from_slice(&merged.stdout).unwrap();
        assert_eq!(merged, expected);
    }
}

#[test]
fn what_is_no_profile_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.json");
    for (text, said) in [("{}", "no defaultAction"), ("{", "EOF"), ("[1", "EOF")] {
        fs::write(&file, text).unwrap();
        let outcome = tests::run(&mut pummel(["doctor", "--seccomp", file.to_str().unwrap()]));
        check_refusal(&outcome.unwrap(), 2, &["--seccomp", "profile.json", said]);
    }
    let outcome = tests::run(&mut pummel(["doctor", "--seccomp", "/none", "--json"])).unwrap();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let outcome = tests::run(&mut pummel(["doctor", "--seccomp", "/none"])).unwrap();
    check_refusal(&outcome, 2, &["--seccomp \"/none\"", "No such file"]);
}

/// Nobody in particular: what is not for him is unknown, and no reason to fail.
#[test]
fn a_doctor_needs_no_privileges() {
    if !rustix::process::geteuid().is_root() {
        // Then the other tests have shown it.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("pummel");
    fs::copy(env!("CARGO_BIN_EXE_under-test"), &program).unwrap();
    let open = |path: &std::path::Path| {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    open(folder.path());
    open(&program);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    command.args(["doctor", "--json", "--for", TOO_MANY]).current_dir("/");
    let outcome = tests::run(&mut command).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""), "{outcome:?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let ports = findings.iter().find(|finding| finding["code"] == "local_ports").unwrap();
    let how = ports["cures"][0]["how"].as_str().unwrap();
    assert!(how.starts_with("sudo sysctl"), "{ports}");
    // He may change nothing, and nothing is.
    let before = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let undo = folder.path().join("undo");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    command.args(["doctor", "--apply", "--yes", "--for", RUN, "--only", ONLY, "--undo"]);
    let outcome = tests::run(command.arg(&undo).current_dir("/")).unwrap();
    check_refusal(&outcome, 1, &["Permission denied"]);
    assert_eq!(fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap(), before);
    assert!(!undo.exists());
}

/// The first step of the first cure of a finding, in what a doctor printed; nothing if there is no
/// such finding.
fn cure(printed: &str, code: &str) -> Option<Vec<String>> {
    let document: Value = serde_json::from_str(printed).unwrap();
    let findings = document["findings"].as_array().unwrap().clone();
    let found = findings.into_iter().find(|finding| finding["code"] == code)?;
    let steps = found["cures"][0]["steps"].as_array().unwrap().clone();
    Some(steps.iter().map(|step| step.as_str().unwrap().to_owned()).collect())
}

/// What is advised is done, in a namespace and in processes that are of the test's own, and the
/// finding is gone.
#[test]
fn what_helps_helps_if_it_is_done_in_its_order() {
    let isolated = Command::new("unshare").args(["-n", "true"]).output();
    let root = rustix::process::geteuid().is_root();
    if !(root && isolated.is_ok_and(|output| output.status.success())) {
        writeln!(io::stderr(), "left out: this user has no network namespaces").unwrap();
        return;
    }
    let outside = fs::read_link("/proc/self/ns/net").unwrap();
    // More than all ports of one address, and more files than the process may have.
    let doctor = |host: &str, before: &str, flags: &str| {
        let script = format!(
            "[ \"$(readlink /proc/self/ns/net)\" != \"$OUTSIDE\" ] || exit 9\n\
             ip link set lo up || exit 8\nulimit -n 500 || exit 7\n{before}\n\
             exec \"$PUMMEL\" doctor --json --for \"http://{host}:1/ -c 70000 {flags}\""
        );
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", &script]).env("OUTSIDE", &outside);
        command.env("PUMMEL", env!("CARGO_BIN_EXE_under-test"));
        let outcome = tests::run(&mut command).unwrap();
        assert_ne!(outcome.stdout, "", "{outcome:?}");
        outcome.stdout
    };
    let four = "127.0.0.1";
    let ill = doctor(four, "", "");
    let files = cure(&ill, "open_files").unwrap();
    let [shell, place] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(place, "run in the same shell");
    let ports = cure(&ill, "local_ports").unwrap();
    let [range, addresses] = ports.as_slice() else { panic!("{ports:?}") };
    assert_eq!(addresses, "--source-ip 127.0.0.1,127.0.0.2");
    let queue = cure(&ill, "accept_queue").unwrap();
    // Not every administrator may raise the limit of a process.
    let script = format!("ulimit -n 500; {shell}");
    let may = Command::new("sh").args(["-c", &script]).output().unwrap().status.success();
    let done = [range, &queue[0], shell].map(|step| format!("{step} > /dev/null || exit 6"));
    let done = done[..if may { 3 } else { 2 }].join("\n");
    let well = doctor(four, &done, addresses);
    assert_eq!(cure(&well, "local_ports"), None, "{well}");
    assert_eq!(cure(&well, "accept_queue"), None, "{well}");
    assert_eq!(cure(&well, "open_files").is_none(), may, "{well}");
    // The first step alone is not enough.
    assert!(cure(&doctor(four, &done, ""), "local_ports").is_some());
    // The loopback address of IPv6 has no neighbours: one is added first.
    let six = "[::1]";
    let ill = doctor(six, "", "");
    let steps = cure(&ill, "local_ports").unwrap();
    let [range, add, addresses] = steps.as_slice() else { panic!("{steps:?}") };
    let done = [range, add].map(|step| format!("{step} > /dev/null || exit 6")).join("\n");
    let well = doctor(six, &done, addresses);
    assert_eq!(cure(&well, "local_ports"), None, "{well}");
}
