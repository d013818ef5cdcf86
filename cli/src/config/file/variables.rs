//! Variables of the environment within texts: `${NAME}`, `${NAME:-what stands if it is not set}`.

use std::ffi::OsString;

/// Fills variables into `text`; `None` if there is nothing to fill in. `$${` stands for `${`.
///
/// # Errors
/// A reason that names the variable, or what is no name of one.
pub(super) fn fill(
    text: &str,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = after;
            continue;
        }
        filled.push_str(before);
        let (inner, after) = after.split_once('}').ok_or("${ without }; write $${ for itself")?;
        filled.push_str(&value(inner, variable)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(Some(filled))
}

/// What stands for `NAME` or `NAME:-default`.
fn value(inner: &str, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<String, String> {
    let (name, default) =
        inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "${{{}}} names no variable; write ${{NAME}}, or $${{ for itself",
            shortened(inner)
        ));
    }
    // As in a shell, an empty variable gives way to a default.
    let set = variable(name).filter(|value| default.is_none() || !value.is_empty());
    match (set, default) {
        (Some(value), _) => {
            value.into_string().map_err(|_| format!("the variable {name} is no UTF-8; set it anew"))
        }
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let name = shortened(name);
            Err(format!("the variable {name} is not set; set it, or write ${{{name}:-default}}"))
        }
    }
}

/// As much of a name as a reader needs to recognise it.
fn shortened(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn look(name: &str) -> Option<OsString> {
        match name {
            "A" => Some("one".into()),
            "_b2" => Some("${A}".into()),
            "EMPTY" => Some(OsString::new()),
            "BROKEN" => Some(OsString::from_vec(vec![0xFF])),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in_once_and_a_default_stands_for_a_missing_one() {
        for (text, filled) in [
            ("${A}", "one"),
            ("x${A}y${A}z", "xoneyonez"),
            // What comes out of a variable is not looked at again.
            ("${_b2}", "${A}"),
            ("${NONE:-two}", "two"),
            ("${NONE:-}", ""),
            ("${A:-two}", "one"),
            ("${EMPTY:-two}", "two"),
            ("${EMPTY}", ""),
            ("$${A} ${A}", "${A} one"),
            ("$$${A}", "$${A}"),
        ] {
            assert_eq!(fill(text, &look).unwrap().as_deref(), Some(filled), "{text}");
        }
    }

    #[test]
    fn a_dollar_without_a_brace_is_a_dollar() {
        for text in ["", "$", "$$", "$A", "5$ {A}", "}"] {
            assert_eq!(fill(text, &look), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_named() {
        for (text, words) in [
            ("${NONE}", "the variable NONE is not set; set it, or write ${NONE:-default}"),
            ("${A", "${ without }; write $${ for itself"),
            ("${}", "${} names no variable"),
            ("${1}", "${1} names no variable; write ${NAME}, or $${ for itself"),
            ("${A B}", "${A B} names no variable"),
            ("${BROKEN}", "the variable BROKEN is no UTF-8"),
        ] {
            let said = fill(text, &look).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
