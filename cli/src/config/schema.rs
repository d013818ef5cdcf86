//! The JSON Schema of configuration files, from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{KEYS, Key, Kind, Standing};

/// The schema, in draft 2020-12.
pub(crate) fn document() -> Value {
    let mut schema = section(KEYS);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".into(), "pummel".into());
        schema.insert("description".into(), "A run of pummel: pummel.toml or pummel.json".into());
        schema.insert("allOf".into(), exclusions());
    }
    schema
}

/// A table with these keys and no others.
fn section(keys: &'static [Key]) -> Value {
    let mut properties = Map::new();
    for key in keys {
        properties.insert(key.name.into(), property(key, key.doc.to_owned()));
        for alias in key.aliases {
            properties.insert((*alias).into(), property(key, format!("The same as {}", key.name)));
        }
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn property(key: &Key, description: String) -> Value {
    let mut schema = kind(key.kind);
    if let Some(schema) = schema.as_object_mut() {
        let note = match key.standing {
            Standing::Used => String::new(),
            Standing::Anyway => "; what is done in any case".to_owned(),
            Standing::NotYet => "; has no effect yet".to_owned(),
            Standing::Missing(_) => "; not supported yet".to_owned(),
        };
        schema.insert("description".into(), (description + &note).into());
    }
    schema
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Target | Kind::Path => json!({ "type": "string" }),
        Kind::Range => json!({ "type": "string", "pattern": "^[0-9]+-[0-9]+$" }),
        Kind::Integer => {
            // A text is one into which a variable of the environment is filled.
            json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, filled()] })
        }
        Kind::Bool => json!({ "anyOf": [{ "type": "boolean" }, filled()] }),
        Kind::Duration | Kind::Millis | Kind::Rate => {
            json!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string" }] })
        }
        Kind::List => json!({ "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "string" }
        ] }),
        Kind::Statuses => {
            let one = json!({ "type": ["integer", "string"] });
            json!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
        }
        Kind::Section(keys) => section(keys),
        Kind::Sections(keys) => json!({ "type": "array", "items": section(keys) }),
        Kind::Table => json!({ "type": "object" }),
        Kind::Tables => json!({ "type": "array", "items": { "type": "object" } }),
    }
}

fn filled() -> Value {
    json!({ "type": "string", "pattern": r"\$\{" })
}

/// Pairs of keys that do not go together.
fn exclusions() -> Value {
    let pairs = KEYS.iter().flat_map(|key| {
        let later = key.rivals.iter().filter(|rival| key.name < **rival);
        later.map(|rival| json!({ "not": { "required": [key.name, rival] } }))
    });
    Value::Array(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;
    use crate::config::settings::default;
    use std::fmt::Write;
    use std::{env, fs};

    /// The list of keys in the documentation.
    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIG.md");

    /// The line in the document below which everything is made from the table.
    const GENERATED: &str = "<!-- Made from cli/src/config/keys/table.rs. -->\n";

    #[test]
    fn the_documentation_has_the_keys_that_there_are() {
        let document = fs::read_to_string(DOCUMENT).unwrap();
        let (prose, _) = document.split_once(GENERATED).unwrap();
        let expected = format!("{prose}{GENERATED}{}", tables());
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(DOCUMENT, expected).unwrap();
            return;
        }
        assert!(
            document == expected,
            "docs/CONFIG.md is not what the table of keys says; run this test with UPDATE_DOCS=1"
        );
    }

    fn tables() -> String {
        let standing = |key: &&Key, wanted: fn(Standing) -> bool| wanted(key.standing);
        let of = |wanted: fn(Standing) -> bool| KEYS.iter().filter(move |k| standing(k, wanted));
        let mut text = String::from("\n| key | value | default | what |\n|---|---|---|---|\n");
        for key in of(|it| it == Standing::Used) {
            let default = key.flag.and_then(default).unwrap_or_default();
            let (name, what) = (name(key), what(key));
            writeln!(text, "| {name} | {} | {default} | {what} |", value(key)).unwrap();
        }
        text += "\n## Keys of sections\n\n| key | value | what |\n|---|---|---|\n";
        for key in KEYS {
            below(key.name, key, &mut text);
        }
        for (title, wanted) in [
            ("Keys of what is done in any case", (|it| it == Standing::Anyway) as fn(_) -> _),
            ("Keys that have no effect yet", |it| it == Standing::NotYet),
            ("Keys that are refused", |it| matches!(it, Standing::Missing(_))),
        ] {
            write!(text, "\n## {title}\n\n| key | value | what |\n|---|---|---|\n").unwrap();
            for key in of(wanted) {
                writeln!(text, "| {} | {} | {} |", name(key), value(key), what(key)).unwrap();
            }
        }
        text
    }

    /// Rows of what stands below the key at `path`.
    fn below(path: &str, key: &Key, text: &mut String) {
        let (keys, path) = match key.kind {
            Kind::Section(keys) => (keys, path.to_owned()),
            Kind::Sections(keys) => (keys, format!("{path}[]")),
            _ => return,
        };
        for key in keys {
            let path = format!("{path}.{}", key.name);
            if !matches!(key.kind, Kind::Section(_)) {
                writeln!(text, "| `{path}` | {} | {} |", value(key), what(key)).unwrap();
            }
            below(&path, key, text);
        }
    }

    fn name(key: &Key) -> String {
        let aliases = key.aliases.iter().map(|alias| format!(", `{alias}`"));
        format!("`{}`{}", key.name, aliases.collect::<String>())
    }

    fn what(key: &Key) -> String {
        key.doc.replace('|', "\\|")
    }

    fn value(key: &Key) -> &'static str {
        match key.kind {
            Kind::Text | Kind::Target => "text",
            Kind::Path => "path",
            Kind::Range => "range",
            Kind::Integer => "whole number",
            Kind::Bool => "switch",
            Kind::Duration => "duration",
            Kind::Millis => "duration, bare in ms",
            Kind::Rate => "rate",
            Kind::List => "list of texts",
            Kind::Statuses => "list of statuses",
            Kind::Section(_) | Kind::Table => "table",
            Kind::Sections(_) | Kind::Tables => "list of tables",
        }
    }

    #[test]
    fn the_schema_has_every_name_and_no_others() {
        let schema = document();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        let properties = schema["properties"].as_object().unwrap();
        let mut names = keys::names(KEYS);
        names.sort_unstable();
        let mut known: Vec<&str> = properties.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(known, names);
        let stage = &properties["load"]["properties"]["stages"]["items"];
        assert_eq!(stage["additionalProperties"], false);
        assert!(stage["properties"]["target"].is_object());
    }

    #[test]
    fn each_pair_that_does_not_go_together_is_excluded_once() {
        let schema = document();
        let pairs = schema["allOf"].as_array().unwrap();
        assert_eq!(pairs.len() * 2, KEYS.iter().map(|key| key.rivals.len()).sum::<usize>());
        let rates = json!({ "not": { "required": ["rate", "rpm"] } });
        assert_eq!(pairs.iter().filter(|pair| **pair == rates).count(), 1);
    }
}
