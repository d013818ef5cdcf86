//! Files that make no sense, each class of mistake once, and files that do.

use proptest::prelude::*;

use super::tree::Value;
use super::*;

/// What is said of a file with that text.
#[track_caller]
fn said(name: &str, text: &str) -> String {
    from_text(name, text).unwrap_err()
}

#[test]
fn both_languages_give_the_same_tree() {
    let toml = from_text(
        "a.toml",
        "# a comment\nurl = \"http://h\"\nrate = 1_000\nx = 1.5\nheaders = ['A: b', \"C: ä\"]\n\
         json = true\nload.stages = [{ duration = \"1s\", target = 0x10 }]\n",
    );
    let json = from_text(
        "a.json",
        "{\"url\": \"http:\\/\\/h\", \"rate\": 1000, \"x\": 15e-1, \"headers\": [\"A: b\", \
         \"C: \\u00e4\"],\n\"json\": true, \"load\": {\"stages\": [{\"duration\": \"1s\", \
         \"target\": 16}]}}",
    );
    let (toml, json) = (toml.unwrap().root, json.unwrap().root);
    assert_eq!(toml.shown(), json.shown());
    assert_eq!(
        toml.shown(),
        "{ url = \"http://h\", rate = 1000, x = 1.5, headers = [\"A: b\", \"C: ä\"], json = true, \
         load = { stages = [{ duration = \"1s\", target = 16 }] } }"
    );
}

#[test]
fn each_value_knows_its_path_and_its_place() {
    let text = "[load]\nrate = 5\n[[load.stages]]\n[[load.stages]]\ntarget = 9\n";
    let file = from_text("a.toml", text).unwrap();
    let load = file.root.any_table().unwrap().get("load").unwrap();
    let stages = load.any_table().unwrap().get("stages").unwrap().list().unwrap();
    let target = stages[1].any_table().unwrap().get("target").unwrap();
    assert_eq!(target.path, "load.stages[1].target");
    assert_eq!(&text[target.span.clone()], "9");
    assert_eq!(file.line(&target.span), "a.toml:5");
}

#[test]
fn what_is_no_toml_is_said_to_be_none_with_its_place() {
    // The rest of the line is the library's.
    for (text, place) in [
        ("url = \n", "1:7"),
        ("url = http", "1:7"),
        ("a = 1\nb = [1, 2", "2:10"),
        ("a = 1\na = 2", "2:1"),
        ("[a]\n[b]\n[a]", "3:2"),
        ("a = \"x", "1:7"),
        ("a = 1 b = 2", "1:9"),
    ] {
        let said = said("a.toml", text);
        let begin = format!("a.toml:{place}: this is no TOML: ");
        assert!(said.starts_with(&begin) && !said.contains('\n'), "{text:?}: {said}");
    }
    let said = said("a.toml", "d = 2026-01-01");
    assert_eq!(said, "a.toml:1:5: no key takes a date; write a text in quotes");
}

#[test]
fn what_is_no_json_is_said_to_be_none_with_its_place() {
    for (text, expected) in [
        ("", "a.json:1:1: this is no JSON: EOF while parsing a value"),
        ("{\n  \"a\": 1,\n}", "a.json:3:1: this is no JSON: trailing comma"),
        ("{\"a\": 1 // no\n}", "a.json:1:9: this is no JSON: expected `,` or `}`"),
        ("{'a': 1}", "a.json:1:2: this is no JSON: key must be a string"),
        ("{\"a\": 0x1}", "a.json:1:8: this is no JSON: expected `,` or `}`"),
        ("{\"a\": 1} {}", "a.json:1:10: this is no JSON: trailing characters"),
        ("{\"a\": [1 2]}", "a.json:1:10: this is no JSON: expected `,` or `]`"),
        ("{\"a\": 1, \"a\": 2}", "a.json:1:10: \"a\" stands here twice; give it once"),
        ("[1]", "a.json:1:1: the file is a list, and a table is wanted; write for example"),
    ] {
        let said = said("a.json", text);
        assert!(said.starts_with(expected), "{text:?}: {said}");
    }
    let deep = format!("{{\"a\": {}", "[".repeat(100_000));
    assert!(said("a.json", &deep).contains("recursion limit"));
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(said("a.toml", &deep).contains("is no TOML"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let read = |path: &str| File::read(path.into(), &|_| None).unwrap_err().error.to_string();
    let said = read("a.yaml");
    assert!(said.starts_with("--config \"a.yaml\" is neither TOML nor JSON; give"), "{said}");
    let said = read("/no/such.toml");
    assert!(
        said.starts_with("cannot read configuration file \"/no/such.toml\": No such"),
        "{said}"
    );
    assert!(read("/.toml").contains("is neither TOML"), "a name alone has no ending");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, b"a = 1\nb = \"\xff\"").unwrap();
    let said = read(path.to_str().unwrap());
    assert!(said.ends_with("a.toml:2:6: this is no UTF-8; save the file as that"), "{said}");
    fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
    assert!(File::read(path.clone(), &|_| None).is_ok());
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(read(path.to_str().unwrap()).contains("more than 1 MiB"));
}

#[test]
fn a_mark_at_the_beginning_is_no_text() {
    assert!(from_text("a.json", "\u{feff}{}").is_ok());
    assert!(from_text("a.toml", "\u{feff}rate = 1").is_ok());
}

#[test]
fn variables_are_filled_in_and_shown_as_they_were_written() {
    let file = from_text("a.toml", "url = \"http://${SET}/$${x}\"\nrate = \"${N:-5}\"").unwrap();
    let url = file.root.any_table().unwrap().get("url").unwrap();
    assert_eq!(url.value, Value::Text("http://its value/${x}".into()));
    assert_eq!(url.shown(), "\"http://${SET}/$${x}\"");
    let rate = file.root.any_table().unwrap().get("rate").unwrap();
    assert_eq!((rate.integer(), rate.rate()), (Ok(5), Ok("5".to_owned())));
    let said = said("a.json", "{\"a\":\n [\"b\", \"${UNSET}\"]}");
    assert_eq!(
        said,
        "a.json:2:8: a[1]: the variable UNSET is not set; set it, or write ${UNSET:-default}"
    );
}

#[test]
fn a_text_that_was_written_as_one_is_no_number_and_no_switch() {
    let file = from_text("a.toml", "a = \"5\"\nb = \"true\"\nc = \"${SET}\"").unwrap();
    let table = file.root.any_table().unwrap();
    let said = |result: Result<(), Fault>| result.unwrap_err().what;
    assert_eq!(
        said(table.get("a").unwrap().integer().map(drop)),
        "a is the text \"5\", and a whole number from 0 on is wanted; write for example 64"
    );
    assert_eq!(
        said(table.get("b").unwrap().boolean().map(drop)),
        "b is the text \"true\", and true or false is wanted; write true, without quotes"
    );
    // The value of a variable may be a secret.
    assert!(said(table.get("c").unwrap().boolean().map(drop)).contains("the text \"${SET}\""));
}

#[test]
fn a_path_has_strange_keys_in_quotes_and_long_ones_by_their_beginning() {
    let long = "x".repeat(1_000);
    let said = said("a.toml", &format!("\"a\\nb\".{long} = \"${{UNSET}}\""));
    assert!(said.contains(r#": "a\nb"."xxx"#) && said.contains("xxx…\": the variable"), "{said}");
    assert!(said.len() < 300, "{said}");
}

#[test]
fn an_unknown_key_is_told_from_those_that_there_are() {
    let unknown = |text: &str, known: &[&str]| {
        from_text("a.toml", text).unwrap().root.table(known).unwrap_err().what
    };
    assert_eq!(unknown("ratte = 1", &["rate"]), "unknown key \"ratte\"; did you mean \"rate\"?");
    assert_eq!(unknown("xyzzy = 1", &["a", "b"]), "unknown key \"xyzzy\"; there are a, b");
    let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    assert_eq!(unknown("xyzzy = 1", &many), "unknown key \"xyzzy\"; `pummel schema` has them all");
}

proptest! {
    #[test]
    fn whatever_a_file_holds_it_is_read_or_refused_in_a_line(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        json in any::<bool>(),
    ) {
        check_any(&bytes, json);
    }

    #[test]
    fn whatever_looks_like_a_file_is_read_or_refused_in_a_line(
        words in proptest::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", "[[", "]]", ":", ",", "=", "\"", "'", "\n", "\r\n", " ", "rate",
                "load", "stages", ".", "1", "-", "0x", "e9", "${", "$", "${SET}", "null", "true",
                "\\u", "ä", "\u{1F600}", "//", "#", "\t", "1979-05-27", "\"a\"", "\0",
            ]),
            0..40,
        ),
        json in any::<bool>(),
    ) {
        check_any(words.concat().as_bytes(), json);
    }
}

/// Reads the bytes as a file, and checks that a refusal has a place in it.
#[track_caller]
fn check_any(bytes: &[u8], json: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(if json { "a.json" } else { "a.toml" });
    fs::write(&path, bytes).unwrap();
    let Err(failure) = File::read(path.clone(), &|_| Some("x".into())) else { return };
    let said = failure.error.to_string();
    assert!(said.starts_with(&format!("{}:", path.display())), "{said}");
    assert!(failure.excerpt.is_some(), "{said}");
}
