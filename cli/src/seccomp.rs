//! Profiles of system calls for containers: the one of an engine, with the calls of `io_uring`
//! beside those that it allows.
//!
//! A profile is known by its rules, wherever it stands: in a file of its own, in the configuration
//! of a container that runs (`config.json`), or in what `crictl inspect` prints.

use anyhow::{Result, bail, ensure};
use pummel_tuning::setting::RING_CALLS;
use serde_json::{Map, Value, json};

/// Where a profile may stand in a document.
const PLACES: [&str; 3] = ["", "/linux/seccomp", "/info/runtimeSpec/linux/seccomp"];

/// What allows a call.
const ALLOW: &str = "SCMP_ACT_ALLOW";

/// A profile that allows rings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    /// The document.
    pub(crate) document: Value,
    /// Whether rules of it hold under conditions only, which Docker, Podman and CRI-O know.
    pub(crate) conditional: bool,
}

/// The profile in `text`, with the calls of `io_uring` allowed; everything else stays as it is.
///
/// # Errors
/// If it is no JSON, or has no profile.
pub(crate) fn admit(text: &str) -> Result<Profile> {
    let document: Value = serde_json::from_str(text)?;
    let is_profile = |value: &&Value| value.get("defaultAction").is_some_and(Value::is_string);
    let found = PLACES.iter().filter_map(|place| document.pointer(place)).find(is_profile);
    let Some(Value::Object(profile)) = found else {
        bail!("it has no defaultAction, and so is no profile; give the one of the engine");
    };
    let mut profile = profile.clone();
    let rules = match profile.get("syscalls") {
        Some(Value::Array(rules)) => rules.as_slice(),
        _ => bail!("its syscalls are no list, and so it is no profile; give the one of the engine"),
    };
    ensure!(rules.iter().all(Value::is_object), "its syscalls are not all rules");
    let conditional = rules.iter().filter_map(Value::as_object).any(is_conditional);
    let mut kept: Vec<Value> = rules.iter().filter_map(without).collect();
    kept.push(json!({ "names": RING_CALLS, "action": ALLOW }));
    profile.insert("syscalls".to_owned(), Value::Array(kept));
    Ok(Profile { document: Value::Object(profile), conditional })
}

/// Whether a rule holds for some architectures, capabilities or kernels only.
fn is_conditional(rule: &Map<String, Value>) -> bool {
    ["includes", "excludes"].iter().any(|key| {
        rule.get(*key).and_then(Value::as_object).is_some_and(|conditions| !conditions.is_empty())
    })
}

/// A rule without the calls of `io_uring`, so that no other rule contradicts the new one; `None`
/// if it was about nothing else.
fn without(rule: &Value) -> Option<Value> {
    let is_ring = |name: &Value| name.as_str().is_some_and(|name| RING_CALLS.contains(&name));
    let mut rule = rule.clone();
    // An old form names a single call.
    if rule.get("name").is_some_and(is_ring) {
        return None;
    }
    if let Some(Value::Array(names)) = rule.get_mut("names") {
        let before = names.len();
        names.retain(|name| !is_ring(name));
        if names.is_empty() && before > 0 {
            return None;
        }
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A profile as engines ship them, but shorter.
    const SAMPLE: &str = include_str!("../../tuning/testdata/seccomp-profile.json");

    /// What each call leads to: its name, the action, and the rest of its rule.
    fn verdicts(profile: &Value) -> BTreeSet<(String, String)> {
        let rules = profile["syscalls"].as_array().unwrap().iter();
        let of_rule = |rule: &Value| {
            let mut rest = rule.clone();
            let names = rest.as_object_mut().unwrap().remove("names").unwrap();
            let names: Vec<String> = serde_json::from_value(names).unwrap();
            names.into_iter().map(|name| (name, rest.to_string())).collect::<Vec<_>>()
        };
        rules.flat_map(of_rule).collect()
    }

    #[test]
    fn the_profile_of_an_engine_gains_exactly_the_three_calls() {
        let before: Value = serde_json::from_str(SAMPLE).unwrap();
        let Profile { document: after, conditional } = admit(SAMPLE).unwrap();
        assert!(conditional);
        let (old, new) = (verdicts(&before), verdicts(&after));
        assert_eq!(old.difference(&new).count(), 0, "nothing is lost");
        let gained: Vec<&(String, String)> = new.difference(&old).collect();
        let names: BTreeSet<&str> = gained.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, BTreeSet::from(RING_CALLS));
        assert_eq!(gained.len(), RING_CALLS.len());
        assert!(gained.iter().all(|(_, rest)| rest == r#"{"action":"SCMP_ACT_ALLOW"}"#));
        let others = |mut profile: Value| {
            profile.as_object_mut().unwrap().remove("syscalls").unwrap();
            profile
        };
        assert_eq!(others(after.clone()), others(before));
        assert_eq!(admit(&after.to_string()).unwrap().document, after, "once is enough");
    }

    #[test]
    fn a_rule_that_forbids_rings_is_taken_back_and_the_rest_of_it_is_not() {
        let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["io_uring_setup", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["io_uring_enter"], "action": "SCMP_ACT_KILL"},
            {"name": "io_uring_register", "action": "SCMP_ACT_ERRNO"},
            {"names": [], "action": "SCMP_ACT_ERRNO"}
        ]}"#;
        let expected = json!([
            {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": [], "action": "SCMP_ACT_ERRNO"},
            {"names": RING_CALLS, "action": "SCMP_ACT_ALLOW"},
        ]);
        let Profile { document, conditional } = admit(text).unwrap();
        assert_eq!(document["syscalls"], expected);
        assert!(!conditional);
    }

    #[test]
    fn a_profile_is_found_in_what_describes_a_container() {
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []});
        let expected = admit(&profile.to_string()).unwrap();
        for document in [
            json!({"ociVersion": "1.0", "linux": {"seccomp": profile}}),
            json!({"status": {}, "info": {"runtimeSpec": {"linux": {"seccomp": profile}}}}),
        ] {
            assert_eq!(admit(&document.to_string()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        for (text, said) in [
            ("", "EOF"),
            ("[]", "no defaultAction"),
            ("{}", "no defaultAction"),
            (r#"{"defaultAction": 1, "syscalls": []}"#, "no defaultAction"),
            (r#"{"defaultAction": "x"}"#, "syscalls are no list"),
            (r#"{"defaultAction": "x", "syscalls": {}}"#, "syscalls are no list"),
            (r#"{"defaultAction": "x", "syscalls": [1]}"#, "not all rules"),
        ] {
            let error = admit(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
