//! Bodies of JSON: a table or a list of the file, whose texts may be templates.
//!
//! A text that is nothing but one value which is a number, or is called JSON itself, stands without
//! quotes.

use pummel_proto_http::{Escape, Text};

use super::template::{Scope, Variables};
use crate::config::file::{Fault, Node, Value};

/// `node` as JSON.
///
/// # Errors
/// A template that is not understood, or a number that JSON has none for.
pub(super) fn json(node: &Node, variables: &mut Variables, scope: &Scope) -> Result<Text, Fault> {
    let mut out = Text::default();
    write(node, variables, scope, &mut out)?;
    Ok(out)
}

fn write(
    node: &Node,
    variables: &mut Variables,
    scope: &Scope,
    out: &mut Text,
) -> Result<(), Fault> {
    match &node.value {
        Value::Null => out.push("null"),
        Value::Bool(value) => out.push(value.to_string()),
        Value::Integer(value) => out.push(value.to_string()),
        Value::Float(value) if value.is_finite() => out.push(value.to_string()),
        Value::Float(_) => return Err(node.fault("is a number that JSON has not")),
        Value::Text(text) => {
            let quote = if scope.stands_bare(text) { "" } else { "\"" };
            let value = variables.compile(text, [Escape::Json; 2], scope);
            out.push(quote);
            out.append(&value.map_err(|said| node.fault(&said))?);
            out.push(quote);
        }
        Value::List(items) => {
            out.push("[");
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(",");
                }
                write(item, variables, scope, out)?;
            }
            out.push("]");
        }
        Value::Table(table) => {
            out.push("{");
            for (at, entry) in table.entries().enumerate() {
                if at > 0 {
                    out.push(",");
                }
                out.push("\"");
                out.push_value(entry.key.as_bytes(), Escape::Json);
                out.push("\":");
                write(&entry.node, variables, scope, out)?;
            }
            out.push("}");
        }
    }
    Ok(())
}
