//! Conditions in words: `{{name}} == 'x' and not status >= 500`.

use core::iter::Peekable;
use std::vec::IntoIter;

use pummel_engine::judge::{Claim, Condition, Number, Operand, Pattern, Relation, Term};
use pummel_proto_http::Escape;

use super::template::{Scope, Variables};
use crate::args::Quoted;
use crate::config::file::{Fault, Node};

/// What is written to compare, longer ones first.
const SIGNS: [(&str, Sign); 7] = [
    ("==", Sign { relation: Relation::Equal, negated: false }),
    ("!=", Sign { relation: Relation::Equal, negated: true }),
    ("<=", Sign { relation: Relation::AtMost, negated: false }),
    (">=", Sign { relation: Relation::AtLeast, negated: false }),
    ("<", Sign { relation: Relation::Less, negated: false }),
    (">", Sign { relation: Relation::Greater, negated: false }),
    ("=", Sign { relation: Relation::Equal, negated: false }),
];

/// What others write, and what is written here.
const ELSEWHERE: [(&str, &str); 5] =
    [("&&", "and"), ("||", "or"), ("!", "not"), ("=~", "matches"), ("contains", "matches")];

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    relation: Relation,
    negated: bool,
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq)]
enum Token<'t> {
    /// With its braces.
    Template(&'t str),
    Text(&'t str),
    Sign(&'t str, Sign),
    /// A number, or a word.
    Word(&'t str),
}

/// What a claim is about, and whether that is a number.
struct Side {
    operand: Operand,
    is_number: bool,
}

/// The condition that `node` is.
///
/// # Errors
/// What of it is not understood.
pub(super) fn condition(
    node: &Node,
    variables: &mut Variables,
    scope: &Scope,
) -> Result<Condition, Fault> {
    let read = tokens(node.text()?).and_then(|tokens| {
        let tokens = tokens.into_iter().peekable();
        Reader { tokens, variables, scope }.rows()
    });
    read.map(Condition).map_err(|said| node.fault(&format!("is not understood: {said}")))
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let (mut all, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (token, behind) = token(rest)?;
        all.push(token);
        rest = behind.trim_start();
    }
    Ok(all)
}

/// The first token of a text that is not empty, and what follows it.
fn token(text: &str) -> Result<(Token<'_>, &str), String> {
    if text.starts_with("{{") {
        let end = text.find("}}").map(|end| end + 2);
        let split = end.and_then(|end| text.split_at_checked(end));
        let (template, rest) =
            split.ok_or_else(|| format!("{} has no }}}} behind it", Quoted(text)))?;
        return Ok((Token::Template(template), rest));
    }
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            let split = rest.split_once(quote);
            let (quoted, rest) =
                split.ok_or_else(|| format!("{text} has no {quote} at its end"))?;
            return Ok((Token::Text(quoted), rest));
        }
    }
    for (typed, meant) in ELSEWHERE {
        let whole = typed != "!" || !text.starts_with("!=");
        if whole && text.starts_with(typed) {
            return Err(format!("{} is not known; write {meant}", Quoted(typed)));
        }
    }
    for (typed, sign) in SIGNS {
        if let Some(rest) = text.strip_prefix(typed) {
            if typed == "=" {
                return Err("one = is not known; write == to compare".to_owned());
            }
            return Ok((Token::Sign(typed, sign), rest));
        }
    }
    let end = text.find(|letter: char| letter.is_whitespace() || "<>=!'\"{".contains(letter));
    let (word, rest) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
    if word.contains(['(', ')']) {
        return Err(
            "there are no parentheses; and binds before or, so list what may hold, with or \
                    in between"
                .to_owned(),
        );
    }
    Ok((Token::Word(word), rest))
}

struct Reader<'t, 'v> {
    tokens: Peekable<IntoIter<Token<'t>>>,
    variables: &'v mut Variables,
    scope: &'v Scope,
}

impl Reader<'_, '_> {
    /// What may hold, of each of which all terms do.
    fn rows(mut self) -> Result<Vec<Vec<Term>>, String> {
        let (mut rows, mut row) = (Vec::new(), vec![self.term()?]);
        loop {
            match self.tokens.next() {
                None => break,
                Some(Token::Word("and")) => {}
                Some(Token::Word("or")) => rows.push(core::mem::take(&mut row)),
                Some(other) => {
                    return Err(format!("{} stands where and, or or the end would", other.shown()));
                }
            }
            row.push(self.term()?);
        }
        rows.push(row);
        Ok(rows)
    }

    fn term(&mut self) -> Result<Term, String> {
        let mut negated = false;
        while self.tokens.next_if_eq(&Token::Word("not")).is_some() {
            negated = !negated;
        }
        let one = self.side()?;
        let claim = match self.tokens.peek().cloned() {
            Some(Token::Sign(typed, sign)) => {
                self.tokens.next();
                negated ^= sign.negated;
                let other = self.side()?;
                compared(one, (typed, sign.relation), other)?
            }
            Some(Token::Word("matches")) => {
                self.tokens.next();
                let Some(Token::Text(pattern)) = self.tokens.next() else {
                    return Err("matches has a regular expression behind it, in quotes".to_owned());
                };
                let pattern = Pattern::parse(pattern).map_err(|error| error.to_string())?;
                Claim::Matches(one.operand, pattern)
            }
            _ => Claim::Present(one.operand),
        };
        Ok(Term { claim, negated })
    }

    /// A value, or something to compare it with.
    fn side(&mut self) -> Result<Side, String> {
        let known = |text: &str| Operand::Known(text.as_bytes().into());
        match self.tokens.next() {
            Some(Token::Template(template)) => self.value(template),
            Some(Token::Text(text)) => Ok(Side { operand: known(text), is_number: false }),
            Some(Token::Word("status")) => Ok(Side { operand: Operand::Status, is_number: false }),
            Some(Token::Word(word)) if Number::parse(word).is_ok() => {
                Ok(Side { operand: known(word), is_number: true })
            }
            Some(other) => Err(format!(
                "{} is no value; write {{{{name}}}}, status, a number, or a text in quotes",
                other.shown()
            )),
            None => Err("something is missing at its end; write for example {{name}} == 'x' or \
                         status == 200"
                .to_owned()),
        }
    }

    fn value(&mut self, template: &str) -> Result<Side, String> {
        let text = self.variables.compile(template, [Escape::Plain; 2], self.scope)?;
        if let Some(known) = text.constant() {
            let is_number = self.scope.stands_bare(template)
                && Number::parse(&String::from_utf8_lossy(known)).is_ok();
            return Ok(Side { operand: Operand::Known(known.into()), is_number });
        }
        let mut values = text.values();
        let (value, more) = (values.next(), values.next());
        match value.filter(|_| more.is_none() && text.literal().is_empty()) {
            Some(number) if self.variables.lasts(number) => {
                Ok(Side { operand: Operand::Value(number), is_number: false })
            }
            Some(_) => Err(format!(
                "{template} is made anew for each request; look at what was captured or is a \
                 column of a feed, and leave chance to random"
            )),
            None => Err(format!("{template} is put together; look at one value by itself")),
        }
    }
}

/// That `one` is to `other` as the sign says.
fn compared(one: Side, (typed, relation): (&str, Relation), other: Side) -> Result<Claim, String> {
    let numbers = relation != Relation::Equal || one.is_number || other.is_number;
    if !numbers {
        return Ok(Claim::Same(one.operand, other.operand));
    }
    for side in [&one, &other] {
        if let Operand::Known(known) = &side.operand {
            let text = String::from_utf8_lossy(known);
            Number::parse(&text).map_err(|_| {
                format!("{} is no number, and {typed} compares some", Quoted(&text))
            })?;
        }
    }
    Ok(Claim::Compared(one.operand, relation, other.operand))
}

impl Token<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("'{text}'"),
            Self::Template(text) | Self::Word(text) | Self::Sign(text, _) => {
                Quoted(text).to_string()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::Name;
    use super::*;
    use pummel_engine::plan::Variable;
    use pummel_proto_http::Values;

    /// Values by name.
    struct Given<'v>(&'v [Variable]);

    impl Values for Given<'_> {
        fn value(&self, number: u16) -> &[u8] {
            match self.0[usize::from(number)].name.as_str() {
                "token" => b"t1",
                "count" => b"12",
                _ => b"",
            }
        }
    }

    fn read(text: &str) -> Result<(Condition, Vec<Variable>), String> {
        let mut variables = Variables::default();
        for name in ["token", "count", "empty"] {
            variables.captured(name).unwrap();
        }
        let name = |(word, meaning, is_number): (&str, &str, bool)| Name {
            word: word.to_owned(),
            meaning: meaning.to_owned(),
            is_number,
        };
        let names = [("limit", "12.0", true), ("who", "t1", false), ("both", "{{token}}x", false)];
        let scope = Scope { names: names.map(name).to_vec(), step: 4 };
        let tokens = tokens(text)?.into_iter().peekable();
        let rows = Reader { tokens, variables: &mut variables, scope: &scope }.rows()?;
        Ok((Condition(rows), variables.into_all()))
    }

    #[track_caller]
    fn holds(text: &str) -> bool {
        let (condition, variables) = read(text).unwrap();
        condition.holds(&Given(&variables), 404)
    }

    #[test]
    fn conditions_mean_what_they_say() {
        for text in [
            "{{token}}",
            "not {{empty}}",
            "not not {{token}}",
            "{{token}} == 't1'",
            "{{token}}=={{who}}",
            "{{token}} != \"t2\"",
            "{{token}} matches '^t[0-9]$'",
            "{{count}} == 12",
            "{{count}} == {{limit}}",
            "{{count}} != '12.0'",
            "9 < {{count}} and {{count}} <= 12",
            "{{empty}} or {{count}}>=1.2e1",
            "status == 404",
            "status != 200 and status<500",
            "{{step}} == 4",
            "not {{token}} == 5",
            "{{token}} != 5",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "{{empty}}",
            "{{count}} == '12.0'",
            "{{token}} < 5",
            "{{token}} > 5",
            "{{empty}} == 0",
            "{{token}} and {{empty}} or status == 200",
            "{{empty}} and {{token}}",
        ] {
            assert!(!holds(text), "{text}");
        }
        // And binds before or.
        assert!(holds("{{token}} or {{empty}} and {{empty}}"));
    }

    #[test]
    fn what_is_not_understood_is_named_with_a_remedy() {
        for (text, said) in [
            ("", "something is missing at its end"),
            ("{{token}} ==", "something is missing at its end"),
            ("{{token}} = 'x'", "one = is not known; write == to compare"),
            ("{{token}} && {{count}}", "\"&&\" is not known; write and"),
            ("!{{token}}", "\"!\" is not known; write not"),
            ("{{token", "\"{{token\" has no }} behind it"),
            ("{{token}} == 'x", "'x has no ' at its end"),
            ("({{token}})", "there are no parentheses"),
            ("{{token}} == x", "\"x\" is no value; write {{name}}, status, a number"),
            ("{{token}} {{count}}", "\"{{count}}\" stands where and, or or the end would"),
            ("{{count}} < 'x'", "\"x\" is no number, and < compares some"),
            ("{{who}} > 1", "\"t1\" is no number, and > compares some"),
            ("{{tokn}}", "{{tokn}} is unknown"),
            ("{{seq}} == 0", "{{seq}} is made anew for each request"),
            ("{{random(1,2)}} == 1", "leave chance to random"),
            ("{{both}} == 'x'", "{{both}} is put together; look at one value by itself"),
            ("{{token}} matches x", "matches has a regular expression behind it, in quotes"),
            ("{{token}} matches '('", "is no regular expression"),
        ] {
            let error = read(text).map(|_| ()).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
