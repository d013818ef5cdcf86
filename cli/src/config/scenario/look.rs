//! What steps look for in responses: checks, and values for later steps.

use pummel_engine::judge::{
    BodyTest, Capture, Check, Extractor, FieldTest, Group, Grouped, JsonTest, Marker, Number, Path,
    Pattern, RuleError, Scalar, Sizes, Test, Token,
};

use super::Part;
use crate::config::file::{Fault, Node, Value};
use crate::config::request;

/// Keys of a check: what is looked at.
const SUBJECTS: [&str; 7] =
    ["status", "header", "body_contains", "body_matches", "json", "size", "time"];

/// Keys of a check: what it has to be like.
const TESTS: [&str; 3] = ["equals", "contains", "matches"];

/// Keys of a capture.
const SOURCES: [&str; 7] = ["status", "header", "cookie", "json", "regex", "group", "between"];

/// The checks of a step.
pub(super) fn checks(step: Part<'_>) -> Result<Vec<Check>, Fault> {
    let mut all = Vec::new();
    if let Some(node) = step.get("assert_body_contains")? {
        let marker = Marker::new(node.text()?).map_err(|error| refused(node, &error))?;
        let name = format!("body contains {}", node.shown());
        all.push(Check::new(name, Test::Body(BodyTest::Contains(marker))));
    }
    for node in step.get("checks")?.map(Node::list).transpose()?.unwrap_or_default() {
        all.push(check(node)?);
    }
    Ok(all)
}

fn check(node: &Node) -> Result<Check, Fault> {
    let known: Vec<&str> = ["name"].into_iter().chain(SUBJECTS).chain(TESTS).collect();
    let table = node.table(&known)?;
    let mut subjects = table.entries().filter(|entry| SUBJECTS.contains(&entry.key.as_str()));
    let (subject, more) = (subjects.next(), subjects.next());
    let (Some(subject), None) = (subject, more) else {
        return Err(node.fault(&format!("looks at one of {}; give one", SUBJECTS.join(", "))));
    };
    let mut tests = table.entries().filter(|entry| TESTS.contains(&entry.key.as_str()));
    let test = tests.next();
    if let Some(second) = tests.next() {
        return Err(second.node.fault("is one test too many; give a check of its own"));
    }
    let of = &subject.node;
    let wanted = test.map(|test| (test.key.as_str(), &test.node));
    let built = match subject.key.as_str() {
        "status" => {
            let lists = of.items().iter();
            let lists = lists.map(|one| one.scalar("a status or a text", "for example 200"));
            let lists = lists.collect::<Result<Vec<_>, _>>()?;
            Test::Status(request::expected(&lists).map_err(|reason| of.because(&reason))?)
        }
        "header" => {
            let name = Token::parse(of.text()?).map_err(|error| refused(of, &error))?;
            Test::Field { name, value: field(wanted)? }
        }
        "body_contains" => Test::Body(BodyTest::Contains(marker(of)?)),
        "body_matches" => Test::Body(BodyTest::Matches(pattern(of)?)),
        "json" => {
            let path = Path::parse(of.text()?).map_err(|error| refused(of, &error))?;
            let value = match wanted {
                None => JsonTest::Present,
                Some(("equals", node)) => JsonTest::Equals(scalar(node)?),
                Some((_, node)) => return Err(node.fault("is for fields and bodies; use equals")),
            };
            Test::Json { path, value }
        }
        "size" => Test::Size(sizes(of)?),
        _ => Test::Time(of.duration()?),
    };
    if let Some((key, node)) = wanted
        && !matches!(built, Test::Field { .. } | Test::Json { .. })
    {
        let said = format!("does not go with {}; leave {key} out", subject.key);
        return Err(node.fault(&said));
    }
    let name = if let Some(name) = table.get("name") {
        name.text()?.to_owned()
    } else {
        let test = wanted.map(|(key, node)| format!(" {key} {}", node.shown()));
        format!("{} {}{}", subject.key, of.shown(), test.unwrap_or_default())
    };
    Ok(Check::new(name, built))
}

fn field(wanted: Option<(&str, &Node)>) -> Result<FieldTest, Fault> {
    Ok(match wanted {
        None => FieldTest::Present,
        Some(("equals", node)) => {
            FieldTest::Equals(node.scalar("a text", "one, in quotes")?.into_bytes().into())
        }
        Some(("contains", node)) => FieldTest::Contains(marker(node)?),
        Some((_, node)) => FieldTest::Matches(pattern(node)?),
    })
}

fn marker(node: &Node) -> Result<Marker, Fault> {
    Marker::new(node.text()?).map_err(|error| refused(node, &error))
}

fn pattern(node: &Node) -> Result<Pattern, Fault> {
    Pattern::parse(node.text()?).map_err(|error| refused(node, &error))
}

fn scalar(node: &Node) -> Result<Scalar, Fault> {
    let number = |text: &str| Number::parse(text).map_err(|error| refused(node, &error));
    Ok(match &node.value {
        Value::Null => Scalar::Null,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Integer(value) => Scalar::Number(number(&value.to_string())?),
        Value::Float(value) => Scalar::Number(number(&value.to_string())?),
        Value::Text(text) => Scalar::Text(text.as_str().into()),
        Value::List(_) | Value::Table(_) => {
            return Err(node.fault("has parts; compare a text, a number, true, false or null"));
        }
    })
}

/// `N`, `FROM-TO`, `FROM-` or `-TO`, in bytes.
fn sizes(node: &Node) -> Result<Sizes, Fault> {
    let typed = node.scalar("a number or a text", "for example \"1-2000\"")?;
    let number = |text: &str, default: u64| match text.trim() {
        "" => Some(default),
        digits => digits.parse().ok(),
    };
    let bounds = match typed.split_once('-') {
        None => typed.parse().ok().map(|size| (size, size)),
        Some(("", "")) => None,
        Some((from, to)) => number(from, 0).zip(number(to, u64::MAX)),
    };
    let Some((from, to)) = bounds else {
        return Err(node.fault("is no size in bytes; write for example 13, \"1-2000\" or \"1-\""));
    };
    Sizes::new(from, to).map_err(|error| refused(node, &error))
}

/// The names of what a step captures.
pub(super) fn captured(step: Part<'_>) -> Result<Vec<&str>, Fault> {
    let Some(node) = step.get("capture")? else { return Ok(Vec::new()) };
    Ok(node.any_table()?.entries().map(|entry| entry.key.as_str()).collect())
}

/// The captures of a step; `number` is told a name, and tells the number of its variable.
pub(super) fn captures(
    step: Part<'_>,
    mut number: impl FnMut(&str) -> Result<u16, String>,
) -> Result<Vec<Capture>, Fault> {
    let Some(node) = step.get("capture")? else { return Ok(Vec::new()) };
    let entries = node.any_table()?.entries();
    entries
        .map(|entry| {
            let from = extractor(&entry.node)?;
            let into = number(&entry.key).map_err(|said| entry.node.fault(&said))?;
            Ok(Capture::new(from, into))
        })
        .collect()
}

fn extractor(node: &Node) -> Result<Extractor, Fault> {
    let table = node.table(&SOURCES)?;
    let mut sources = table.entries().filter(|entry| entry.key != "group");
    let (Some(source), None) = (sources.next(), sources.next()) else {
        let known = SOURCES.into_iter().filter(|&key| key != "group").collect::<Vec<_>>();
        return Err(node.fault(&format!("comes from one of {}; give one", known.join(", "))));
    };
    let of = &source.node;
    if let Some(group) = table.get("group").filter(|_| source.key != "regex") {
        return Err(group.fault("is for a regex; leave it out"));
    }
    Ok(match source.key.as_str() {
        "status" => {
            of.boolean()?;
            Extractor::Status
        }
        "header" => {
            Extractor::Field(Token::parse(of.text()?).map_err(|error| refused(of, &error))?)
        }
        "cookie" => {
            Extractor::Cookie(Token::parse(of.text()?).map_err(|error| refused(of, &error))?)
        }
        "json" => Extractor::Json(Path::parse(of.text()?).map_err(|error| refused(of, &error))?),
        "regex" => {
            let pattern = pattern(of)?;
            let some = usize::from(pattern.groups() > 0);
            let group = match table.get("group") {
                None => Group::Number(some),
                Some(node) => match &node.value {
                    Value::Text(name) => Group::Name(name),
                    _ => Group::Number(usize::try_from(node.integer()?).unwrap_or(usize::MAX)),
                },
            };
            Extractor::Pattern(Grouped::new(pattern, group).map_err(|error| refused(of, &error))?)
        }
        _ => match of.list()? {
            [before, after] => {
                Extractor::Between { before: marker(before)?, after: marker(after)? }
            }
            _ => return Err(of.fault("has two texts: what stands before, and what behind")),
        },
    })
}

fn refused(node: &Node, error: &RuleError) -> Fault {
    node.because(&anyhow::anyhow!("{error}"))
}
