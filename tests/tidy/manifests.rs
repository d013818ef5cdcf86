//! Who depends on whom.

use std::fs;

use toml::{Table, Value};

use crate::{Finding, check, sources};

/// Members, with what they must not depend on, and why not.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    ("engine", &["clap", "indicatif", "ratatui", "crossterm"], "the engine has no front end"),
    ("engine", &["serde", "serde_json", "toml"], "the engine serialises nothing"),
    ("engine", &["anyhow"], "the engine's errors are enums"),
    ("engine", &["tokio", "hyper", "monoio", "glommio"], "shards have the reactor"),
    ("engine", &["pummel", "pummel-tuning"], "arrows point inwards"),
    ("cli", &["io-uring", "rustix", "nix", "libc"], "the engine meets the kernel"),
    ("tuning", &["pummel", "pummel-engine", "pummel-proto-http"], "it knows the machine only"),
];

/// All that the protocol may depend on.
const PROTOCOL: &[&str] = &["httparse", "memchr", "thiserror"];

/// The manifest of `member`, and the names that it depends on to be built.
fn manifest(member: &str) -> (String, Table) {
    let path = format!("{member}/Cargo.toml");
    let text = fs::read_to_string(sources::root().join(&path)).unwrap();
    (path, text.parse().unwrap())
}

fn dependencies(manifest: &Table) -> Vec<&String> {
    let table = manifest.get("dependencies").and_then(Value::as_table);
    table.map(|table| table.keys().collect()).unwrap_or_default()
}

#[test]
fn each_member_depends_only_on_what_it_may() {
    let mut findings = Vec::new();
    for (member, names, reason) in FORBIDDEN {
        let (path, manifest) = manifest(member);
        for name in dependencies(&manifest) {
            if names.contains(&name.as_str()) {
                let what = format!("depends on {name}, but {reason}");
                findings.push(Finding { path: path.clone(), line: 0, what });
            }
        }
    }
    let cure = "put it where it belongs: docs/ARCHITECTURE.md, \"Who may know whom\"";
    check("each member depends only on what it may", &findings, cure);
}

#[test]
fn the_protocol_depends_on_a_short_list() {
    let (path, manifest) = manifest("proto-http");
    let beyond = dependencies(&manifest).into_iter().filter(|name| {
        let listed = PROTOCOL.contains(&name.as_str());
        !listed
    });
    let findings = beyond.map(|name| Finding {
        path: path.clone(),
        line: 0,
        what: format!("depends on {name}"),
    });
    check(
        "the protocol depends on a short list of crates without IO",
        &findings.collect::<Vec<_>>(),
        "a crate that works in `no_std` may be added to the list in tests/tidy/manifests.rs",
    );
}

#[test]
fn every_member_obeys_the_lints_of_the_workspace() {
    let (_, workspace) = manifest(".");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let mut findings = Vec::new();
    for member in members.iter().filter_map(Value::as_str) {
        let (path, manifest) = manifest(member);
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints != Some(&Value::Boolean(true)) {
            let what = "lacks `[lints] workspace = true`".to_owned();
            findings.push(Finding { path, line: 0, what });
        }
    }
    let cure = "exceptions stand in the source: `#[expect(lint, reason = \"…\")]`";
    check("every member obeys the lints of the workspace", &findings, cure);
}

#[test]
fn versions_stand_in_the_workspace_only() {
    // The runtimes that pummel is compared with bring versions of their own.
    let mut findings = Vec::new();
    for member in ["proto-http", "engine", "cli", "tuning", "tests"] {
        let (path, manifest) = manifest(member);
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(kind).and_then(Value::as_table) else { continue };
            for (name, dependency) in table {
                let inherited = dependency.get("workspace") == Some(&Value::Boolean(true));
                if !inherited {
                    let what = format!("gives {name} a version of its own");
                    findings.push(Finding { path: path.clone(), line: 0, what });
                }
            }
        }
    }
    let cure = "name the version in the root's Cargo.toml, and inherit it";
    check("versions of dependencies stand in the workspace's manifest only", &findings, cure);
}
