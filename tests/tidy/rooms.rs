//! Who may know whom within the engine.

use crate::sources::{self, names};
use crate::{Finding, check};

/// The rooms of the engine, and the rooms that each of them may name. `lib.rs` names all.
const ROOMS: &[(&str, &[&str])] = &[
    ("units", &[]),
    // Numbers and bytes; whoever deals them knows the plan.
    ("feed", &[]),
    // The reactor's errors carry spans; it knows nothing else of ours.
    ("reactor", &["units"]),
    // The kind of the reactor is a part of the plan, and so is where it connects to.
    ("plan", &["cookies", "feed", "judge", "units", "reactor"]),
    ("pace", &["plan", "units"]),
    // The operating system's error numbers are causes.
    ("record", &["units", "reactor"]),
    // What is asked of it stands in the plan; what came of it is counted.
    ("tls", &["plan", "record", "units"]),
    ("judge", &["units"]),
    ("cookies", &["units"]),
    ("shard", &["cookies", "feed", "judge", "plan", "pace", "record", "reactor", "tls", "units"]),
    // Numbers in, numbers out: whoever asks adapts its records.
    ("statistics", &["units"]),
    // It names the address that could not be reached.
    ("error", &["reactor", "record"]),
    // What the timetable holds in the window is the offered rate.
    ("report", &["cookies", "coordinator", "pace", "plan", "reactor", "record", "units"]),
    // It judges what the report holds, and decides nothing about the run.
    ("verdict", &["pace", "plan", "reactor", "record", "report", "statistics", "units"]),
    (
        "coordinator",
        &["cookies", "error", "feed", "plan", "reactor", "record", "report", "shard", "units"],
    ),
];

#[test]
fn each_room_of_the_engine_knows_only_those_that_it_needs() {
    let mut findings = Vec::new();
    for source in sources::files("engine/src", "rs") {
        let place = source.path.trim_start_matches("engine/src/").trim_end_matches(".rs");
        let room = place.split('/').next().unwrap_or_default();
        let Some((_, known)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        for (line, code) in source.code() {
            for (other, _) in ROOMS.iter().filter(|(other, _)| *other != room) {
                if names(&code, &format!("crate::{other}")) && !known.contains(other) {
                    let what = format!("`{room}` names `{other}`");
                    findings.push(Finding { path: source.path.clone(), line, what });
                }
            }
        }
    }
    check(
        "each room of the engine knows only those that it needs",
        &findings,
        "turn the arrow round, or change the table here and in docs/ARCHITECTURE.md, with a reason",
    );
}

#[test]
fn every_room_of_the_engine_has_its_rule() {
    let sources = sources::files("engine/src", "rs");
    let lib = sources.iter().find(|source| source.path == "engine/src/lib.rs").unwrap();
    let declared = lib.code().filter_map(|(line, code)| {
        let name = code.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')?;
        let known = ROOMS.iter().any(|(room, _)| *room == name);
        (!known).then(|| Finding {
            path: lib.path.clone(),
            line,
            what: format!("room `{name}` has no rule"),
        })
    });
    check(
        "every room of the engine has a rule about whom it may know",
        &declared.collect::<Vec<_>>(),
        "add a row in tests/tidy/rooms.rs",
    );
}
