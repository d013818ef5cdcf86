//! The guide of this crate and its drop-in files, made from the table of settings: what people read
//! and what the program says cannot drift apart.
//!
//! `UPDATE_DOCS=1 cargo test -p pummel-tuning` writes them anew; without it, a difference fails.

use core::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use crate::advice::codes;
use crate::setting::{Choice, Group, Place, RING_CALLS, SETTINGS, Setting, WAKE_UP_MICROS};

/// The guide; its text ends where the tables begin.
const GUIDE: &str = "README.md";
const GENERATED: &str = "<!-- From here on made from src/setting/table.rs. -->\n";

const GROUPS: [(Group, &str); 7] = [
    (Group::Connections, "Connections"),
    (Group::Tcp, "TCP"),
    (Group::Queues, "Queues of packets"),
    (Group::Cpus, "CPUs"),
    (Group::Memory, "Memory"),
    (Group::Ring, "io_uring"),
    (Group::Cards, "Network cards"),
];

fn of_group(group: Group) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.group == group)
}

/// The settings as the guide has them: a table to look at, and below it what there is to know.
fn guide() -> String {
    let mut text = String::new();
    for (group, title) in GROUPS {
        writeln!(text, "\n## {title}\n").unwrap();
        text +=
            "| setting | default | throughput | latency | since Linux |\n|---|---|---|---|---|\n";
        for Setting { key, default, throughput, latency, since, .. } in of_group(group) {
            writeln!(text, "| `{key}` | {default} | {throughput} | {latency} | {since} |").unwrap();
        }
        for setting in of_group(group) {
            let Setting { key, what, risk, source, throughput, latency, .. } = setting;
            write!(text, "\n**`{key}`**: {what}\nRisk: {risk}\n").unwrap();
            write!(text, "Check: `{}`.", setting.check()).unwrap();
            let command = match (setting.place, throughput.value().or(latency.value())) {
                (Place::Tool { set, .. }, _) => Some(set.to_owned()),
                (_, value) => value.map(|value| setting.command(value)),
            };
            if let Some(command) = command {
                write!(text, " Set: `{command}`. Undo: {}.", setting.undo()).unwrap();
            }
            writeln!(text, " Source: {source}.").unwrap();
        }
    }
    text
}

/// A line of `sysctl.d`; with a hash before it, a proposal.
fn sysctls(of: fn(&Setting) -> Choice, before: &str) -> String {
    let mut text = String::new();
    for setting in SETTINGS.iter().filter(|setting| setting.place == Place::Sysctl) {
        let choice = of(setting);
        let Some(value) = choice.value() else { continue };
        let Setting { key, what, default, risk, .. } = setting;
        let more =
            if matches!(choice, Choice::AtLeast(_)) { " A larger value is as good." } else { "" };
        for line in wrapped(&format!("{what} By default: {default}. Risk: {risk}{more}")) {
            writeln!(text, "# {line}").unwrap();
        }
        // A dash: a kernel without it is no reason to fail.
        writeln!(text, "{before}-{key} = {value}\n").unwrap();
    }
    text.trim_end().to_owned() + "\n"
}

/// `text` in lines of at most 97 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().unwrap();
        if last.chars().count() + word.chars().count() + 1 > 97 {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            *last += word;
        }
    }
    lines
}

fn sysctl_conf() -> String {
    let latency = |setting: &Setting| match setting.throughput {
        Choice::Keep => setting.latency,
        Choice::Set(_) | Choice::AtLeast(_) => Choice::Keep,
    };
    format!(
        "# Settings of a machine that does nothing but send load: copy to /etc/sysctl.d, then\n\
         # `sysctl --system`. Keep your own values where they are larger, and that is as good.\n\
         # Once the file is removed, they are what they were after a restart.\n\n\
         {}\n# For studies of latency only; take the hashes away.\n\n{}",
        sysctls(|setting| setting.throughput, ""),
        sysctls(latency, "#")
    )
}

fn limits_conf() -> String {
    let mut text =
        "# Limits of a user that sends load: copy to /etc/security/limits.d/99-pummel.conf, then\n\
         # log in anew. Units of systemd do not read it: see pummel.slice.\n"
            .to_owned();
    for setting in SETTINGS {
        let Place::Limit(item, _) = setting.place else { continue };
        let value = setting.throughput.value().unwrap();
        for kind in ["soft", "hard"] {
            writeln!(text, "* {kind} {item} {value}").unwrap();
        }
    }
    text
}

fn slice() -> String {
    let value = |key| Setting::of(key).unwrap().throughput.value().unwrap();
    format!(
        "# A slice for load generators: copy to /etc/systemd/system/pummel.slice, then\n\
         #     systemd-run --slice=pummel -p LimitNOFILE={} -p LimitMEMLOCK={}K -t pummel URL\n\
         # AllowedCPUs are to leave out those of the target, whose slice has the others.\n\
         [Unit]\nDescription=Load generators\n\n\
         [Slice]\nCPUWeight=10000\n#AllowedCPUs=2-7\n\
         #CPUQuota= is not set: who has used it up is stopped\nMemorySwapMax=0\nTasksMax=4096\n",
        value("nofile"),
        value("memlock")
    )
}

/// A rule for a container's profile, with nothing else in it.
fn seccomp() -> String {
    let names: Vec<String> = RING_CALLS.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{{\n  \"names\": [{}],\n  \"action\": \"SCMP_ACT_ALLOW\"\n}}\n", names.join(", "))
}

fn tuned() -> String {
    let mut text = format!(
        "# A profile of tuned: copy to /etc/tuned/pummel/tuned.conf, then `tuned-adm profile \
         pummel`.\n# `tuned-adm profile` with the name of before takes it back.\n\
         [main]\nsummary=Sends load, and nothing else\n\
         include=latency-performance\n\n\
         [cpu]\ngovernor=performance\nforce_latency={WAKE_UP_MICROS}\n\n\
         [vm]\ntransparent_hugepages=madvise\n\n[sysctl]\n"
    );
    for setting in SETTINGS.iter().filter(|setting| setting.place == Place::Sysctl) {
        let Some(value) = setting.throughput.value().or(setting.latency.value()) else { continue };
        writeln!(text, "{} = {value}", setting.key).unwrap();
    }
    text
}

/// Compares a file of this crate with what it should be, or writes it.
#[track_caller]
fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, expected).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(path).unwrap() == expected,
        "tuning/{name} is not what the table of settings says; run this test with UPDATE_DOCS=1"
    );
}

#[test]
fn the_guide_has_the_settings_that_there_are() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(GUIDE)).unwrap();
    let (prose, _) = document.split_once(GENERATED).unwrap();
    check(GUIDE, &format!("{prose}{GENERATED}{}", guide()));
    for code in codes() {
        assert!(prose.contains(&format!("`{code}`")), "the guide does not speak of {code}");
    }
}

#[test]
fn drop_in_files_set_what_the_table_recommends() {
    check("drop-in/99-pummel.conf", &sysctl_conf());
    check("drop-in/limits.conf", &limits_conf());
    check("drop-in/pummel.slice", &slice());
    check("drop-in/seccomp-io-uring.json", &seccomp());
    check("drop-in/tuned.conf", &tuned());
}

#[test]
fn drop_in_files_name_settings_of_files_only_and_no_line_is_too_long() {
    for text in [sysctl_conf(), limits_conf(), slice(), tuned()] {
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(!text.contains('…') && text.ends_with('\n'), "{text}");
    }
    let lines = sysctl_conf();
    let set = lines.lines().filter_map(|line| line.strip_prefix('-')?.split_once(" = "));
    let keys: Vec<&str> = set.map(|(key, _)| key).collect();
    assert!(keys.contains(&"net.ipv4.ip_local_port_range"), "{keys:?}");
    for key in keys {
        assert!(Setting::of(key).unwrap().path().unwrap().starts_with("/proc/sys/"), "{key}");
    }
}
