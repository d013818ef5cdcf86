//! Scenarios and targets with rates of their own.

use std::collections::BTreeMap;

use tests::{Answer, Recorder};

use super::scenarios::{PROTOCOLS, Peer};

/// How many requests there were for each path.
fn by_path(recorder: &Recorder) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    for asked in recorder.asked() {
        *all.entry(asked.path).or_insert(0) += 1;
    }
    all
}

#[test]
fn each_scenario_and_each_target_has_the_rate_that_it_was_given() {
    let targets = "[[targets]]\npath = \"/a\"\nrate = 300\n[[targets]]\npath = \"/b\"\n\
                   rate = \"6k/m\"\n";
    let scenarios = "[scenarios.a]\nrate = 300\nsteps = [{ path = \"/a\" }]\n\
                     [scenarios.b]\nrate = 100\nsteps = [{ path = \"/b\" }, { path = \"/c\" }]\n";
    for protocol in PROTOCOLS {
        for (toml, more) in [(targets, 0), (scenarios, 50)] {
            let peer = Peer::new(protocol, |_| Answer::Status(200));
            let report = peer.report(toml, "-c 4 -t 500ms");
            assert_eq!(report["plan"]["rate_per_s"], 400.0, "{protocol:?}");
            let seen = by_path(&peer.recorder);
            assert_eq!((seen["/a"], seen["/b"]), (150, 50), "{protocol:?}");
            assert_eq!(seen.get("/c").copied().unwrap_or_default(), more, "{protocol:?}");
        }
    }
}
