//! The demo: the built-in target and a run against it, in each of the protocols that it offers.

use serde_json::{Value, json};

use super::{check_refusal, pummel};

/// The report of a short demo.
fn demo(flags: &[&str]) -> Value {
    let words = ["demo", "-t", "200ms", "-c", "3", "--json"].into_iter();
    let outcome = tests::run(&mut pummel(words.chain(flags.iter().copied()))).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let counts = &report["counts"];
    assert!(counts["ok"].as_u64() > Some(0), "{counts}");
    assert_eq!(counts["ok"], counts["scheduled"], "{counts} {}", report["errors"]);
    assert_eq!(report["connections"]["opened"], 3, "{}", report["connections"]);
    report
}

#[test]
fn a_demo_in_the_clear_speaks_http1() {
    let report = demo(&[]);
    assert_eq!(report["plan"]["protocol"], "http/1.1");
    assert!(report["tls"].is_null() && report["plan"]["tls"].is_null(), "{report}");
}

#[test]
fn a_demo_of_http2_has_several_streams_in_the_clear() {
    let report = demo(&["--http2"]);
    assert_eq!(
        (&report["plan"]["protocol"], &report["plan"]["streams"]),
        (&json!("h2"), &json!(10))
    );
    assert!(report["tls"].is_null(), "{report}");
}

#[test]
fn a_demo_over_tls_verifies_its_target() {
    for (flags, alpn) in
        [(["--tls"].as_slice(), "http/1.1"), (["--tls", "--http2"].as_slice(), "h2")]
    {
        let report = demo(flags);
        assert_eq!(report["plan"]["protocol"], alpn);
        assert_eq!(report["plan"]["tls"]["verify"], true);
        let [kind] = &report["tls"]["kinds"].as_array().unwrap()[..] else {
            unreachable!("handshakes of one kind: {report}");
        };
        assert_eq!((&kind["alpn"], &kind["count"]), (&json!(alpn), &json!(3)));
    }
}

#[test]
fn a_demo_that_makes_no_sense_is_refused() {
    for (flags, word) in [(["demo", "-c", "0"], "-c 0"), (["demo", "-t", "soon"], "\"soon\"")] {
        check_refusal(&tests::run(&mut pummel(flags)).unwrap(), 2, &[word]);
    }
}
