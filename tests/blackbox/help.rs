//! The help: a contract, changed on purpose only.

use super::pummel;

#[test]
fn the_help_is_what_it_was() {
    let outcome = tests::run(&mut pummel(["--help"])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for line in outcome.stdout.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    insta::assert_snapshot!(outcome.stdout);
}

#[test]
fn the_version_goes_to_standard_output() {
    let outcome = tests::run(&mut pummel(["--version"])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(outcome.stdout, format!("pummel {}\n", env!("CARGO_PKG_VERSION")));
}
