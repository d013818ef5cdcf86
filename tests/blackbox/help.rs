//! The help: a contract, changed on purpose only.

use super::pummel;

#[test]
fn the_help_is_what_it_was() {
    let outcome = tests::run(&mut pummel(["--help"])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(outcome.stdout);
}

#[test]
fn the_version_goes_to_standard_output() {
    let outcome = tests::run(&mut pummel(["--version"])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    // `under-test` is the name of this package's copy; its version is the program's.
    assert_eq!(outcome.stdout, format!("pummel {}\n", env!("CARGO_PKG_VERSION")));
}
