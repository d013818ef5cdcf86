//! JSON as a tree.
//!
//! One library says whether the text is JSON, to the letter; the other one, which takes more than
//! that, knows where each value stands.

use core::ops::Range;

use jsonc_parser::ast::{Object, Value as Found};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::fault::Fault;
use super::tree::{Entry, Node, Table, Value};

/// Reads a document. Its depth is bounded by the libraries.
pub(super) fn read(text: &str) -> Result<Node, Fault> {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let at = offset(text, error.line(), error.column());
        // It ends with the place, which stands before it here.
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        return Err(Fault::new(at..at + 1, format!("this is no JSON: {said}")));
    }
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let parsed = parsed.map_err(|error| {
        let Range { start, end } = error.range().start..error.range().end;
        Fault::new(start..end, format!("this is no JSON: {}", error.kind()))
    })?;
    match parsed.value {
        Some(value) => node(value),
        None => Err(Fault::new(0..0, "this is no JSON: the file is empty".to_owned())),
    }
}

/// The byte at a line and a column that are counted from 1, the column in bytes; a column of 0 is
/// the end of the line before.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len);
    (before.sum::<usize>() + column).saturating_sub(1)
}

fn node(from: Found<'_>) -> Result<Node, Fault> {
    let span = from.range().start..from.range().end;
    let value = match from {
        Found::NullKeyword(_) => Value::Null,
        Found::BooleanLit(literal) => Value::Bool(literal.value),
        Found::StringLit(literal) => Value::Text(literal.value.into_owned()),
        Found::NumberLit(literal) => match literal.value.parse() {
            Ok(number) => Value::Integer(number),
            // An exponent, a fraction, or more digits than any number that is used has.
            Err(_) => Value::Float(literal.value.parse().unwrap_or(f64::INFINITY)),
        },
        Found::Array(array) => {
            let items = array.elements.into_iter().map(node);
            Value::List(items.collect::<Result<_, Fault>>()?)
        }
        Found::Object(object) => Value::Table(table(object)?),
    };
    Ok(Node::new(value, span))
}

fn table(from: Object<'_>) -> Result<Table, Fault> {
    let entry = |property: jsonc_parser::ast::ObjectProp<'_>| {
        let span = property.name.range();
        let span = span.start..span.end;
        Ok(Entry { key: property.name.into_string(), span, node: node(property.value)? })
    };
    Table::new(from.properties.into_iter().map(entry).collect::<Result<_, Fault>>()?)
}
