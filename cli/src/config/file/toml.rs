//! TOML as a tree.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::tree::{Entry, Node, Table, Value};

/// Reads a document. Its depth is bounded by the library.
pub(super) fn read(text: &str) -> Result<Node, Fault> {
    let root = DeTable::parse(text).map_err(|error| {
        // An error without a place is about the end.
        let span = error.span().unwrap_or(text.len()..text.len());
        Fault::new(span, format!("this is no TOML: {}", error.message()))
    })?;
    Ok(Node::new(Value::Table(table(root.into_inner())?), 0..text.len()))
}

fn table(from: DeTable<'_>) -> Result<Table, Fault> {
    let entry = |(key, value): (Spanned<_>, Spanned<_>)| {
        let (span, key): (_, std::borrow::Cow<'_, str>) = (key.span(), key.into_inner());
        Ok(Entry { key: key.into_owned(), span, node: node(value)? })
    };
    Table::new(from.into_iter().map(entry).collect::<Result<_, Fault>>()?)
}

fn node(from: Spanned<DeValue<'_>>) -> Result<Node, Fault> {
    let span = from.span();
    let value = match from.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(number) => Value::Integer(
            i128::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| beyond(&span, "larger than any that is used; give less"))?,
        ),
        DeValue::Float(number) => Value::Float(
            number.as_str().parse().map_err(|_| beyond(&span, "none that can be used"))?,
        ),
        DeValue::Datetime(_) => {
            let said = "no key takes a date; write a text in quotes".to_owned();
            return Err(Fault::new(span, said));
        }
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(node).collect::<Result<_, Fault>>()?)
        }
        DeValue::Table(entries) => Value::Table(table(entries)?),
    };
    Ok(Node::new(value, span))
}

fn beyond(span: &Range<usize>, what: &str) -> Fault {
    Fault::new(span.clone(), format!("this number is {what}"))
}
