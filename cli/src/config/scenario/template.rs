//! `{{name}}` in a text: what is known now is folded into it, the rest becomes places for values.

use pummel_engine::plan::{Source, Variable};
use pummel_proto_http::{Escape, Slot, Text};

use crate::args::Quoted;
use crate::config::keys::nearest;
use crate::config::proxy::base64;

/// What may stand between braces beside names of variables, for errors.
const FUNCTIONS: [&str; 10] = [
    "seq",
    "step",
    "timestamp_ms",
    "timestamp_s",
    "uuid",
    "random",
    "choice",
    "env",
    "base64",
    "raw",
];

/// How deep variables may refer to variables.
const DEPTH_MAX: usize = 16;

/// The values of a run that are made anew for each request, each once.
#[derive(Debug, Default)]
pub(super) struct Variables {
    all: Vec<Variable>,
}

/// What names mean in a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// Later ones hide earlier ones.
    pub(super) names: Vec<Name>,
    /// The number of the step, from 1.
    pub(super) step: usize,
}

/// A name with what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) word: String,
    pub(super) meaning: String,
    /// Whether that is a number, and not a text.
    pub(super) is_number: bool,
}

impl Scope {
    fn find(&self, name: &str) -> Option<&Name> {
        self.names.iter().rev().find(|known| known.word == name)
    }

    /// Whether `text` is nothing but one value, and that a number.
    pub(super) fn is_number(&self, text: &str) -> bool {
        let expression = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let Some(expression) = expression.map(str::trim) else { return false };
        if let Some(name) = self.find(expression) {
            return name.is_number || self.is_number(&name.meaning) && name.meaning != text;
        }
        let numbers = ["seq", "step", "timestamp_ms", "timestamp_s"];
        numbers.contains(&expression) || matches!(call(expression), Some(("random", _)))
    }
}

/// A part of an expression that has been understood.
enum Part {
    Known(Vec<u8>),
    Made(u16),
    /// What a variable stands for, which is a template itself.
    Nested(String),
}

impl Variables {
    pub(super) fn into_all(self) -> Vec<Variable> {
        self.all
    }

    /// The number of the value that is captured under this name.
    pub(super) fn captured(&mut self, name: &str) -> Result<u16, String> {
        self.number(name, Source::Captured)
    }

    /// The number of the value that is called `name`, and made so.
    fn number(&mut self, name: &str, source: Source) -> Result<u16, String> {
        if let Some(at) = self.all.iter().position(|known| known.name == name) {
            return u16::try_from(at).map_err(|_| TOO_MANY.to_owned());
        }
        let at = u16::try_from(self.all.len()).map_err(|_| TOO_MANY.to_owned())?;
        self.all.push(Variable { name: name.to_owned(), source });
        Ok(at)
    }

    /// Understands `template`, whose values are written with `escape`.
    ///
    /// # Errors
    /// The rest of a sentence that begins with where the template stands.
    pub(super) fn compile(
        &mut self,
        template: &str,
        escape: Escape,
        scope: &Scope,
    ) -> Result<Text, String> {
        let mut text = Text::default();
        self.append(template, [Escape::Plain, escape], (scope, DEPTH_MAX), &mut text)?;
        Ok(text)
    }

    /// The same, where what is no value is escaped, too.
    ///
    /// # Errors
    /// The same.
    pub(super) fn compile_all(
        &mut self,
        template: &str,
        escape: Escape,
        scope: &Scope,
    ) -> Result<Text, String> {
        let mut text = Text::default();
        self.append(template, [escape; 2], (scope, DEPTH_MAX), &mut text)?;
        Ok(text)
    }

    /// Appends `template` to `text`: what stands in it for itself with the first escape, values
    /// with the second.
    fn append(
        &mut self,
        template: &str,
        [literal, escape]: [Escape; 2],
        (scope, depth): (&Scope, usize),
        text: &mut Text,
    ) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err("its variables refer to each other for ever; break the circle".to_owned());
        };
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((expression, behind)) = after.split_once("}}") else {
                return Err(format!("{} has no }}}} behind it", Quoted(&format!("{{{{{after}"))));
            };
            text.push_value(before.as_bytes(), literal);
            let (expression, escape) = match call(expression.trim()) {
                Some(("raw", inner)) => (inner, Escape::Plain),
                _ => (expression.trim(), escape),
            };
            match self.understand(expression, scope)? {
                Part::Known(value) => text.push_value(&value, escape),
                Part::Made(value) => text.push_slot(Slot { value, escape }),
                Part::Nested(nested) => {
                    self.append(&nested, [escape; 2], (scope, depth), text)?;
                }
            }
            rest = behind;
        }
        text.push_value(rest.as_bytes(), literal);
        Ok(())
    }

    fn understand(&mut self, expression: &str, scope: &Scope) -> Result<Part, String> {
        if let Some(name) = scope.find(expression) {
            return Ok(Part::Nested(name.meaning.clone()));
        }
        if let Some(at) = self
            .all
            .iter()
            .position(|known| known.name == expression && matches!(known.source, Source::Captured))
        {
            return u16::try_from(at).map(Part::Made).map_err(|_| TOO_MANY.to_owned());
        }
        let made = |source| (expression.to_owned(), source);
        let (name, source) = match expression {
            "step" => return Ok(Part::Known(scope.step.to_string().into_bytes())),
            "seq" => made(Source::Sequence),
            "timestamp_ms" => made(Source::Milliseconds),
            "timestamp_s" => made(Source::Seconds),
            "uuid" => made(Source::Uuid),
            _ => match call(expression) {
                Some(("random", arguments)) => made(random(arguments)?),
                Some(("choice", arguments)) => made(choice(arguments)?),
                Some(("env", name)) => {
                    let value = std::env::var_os(name).ok_or_else(|| {
                        format!("{{{{{expression}}}}}: the environment has no {}", Quoted(name))
                    })?;
                    return Ok(Part::Known(value.into_encoded_bytes()));
                }
                Some(("base64", text)) => {
                    return Ok(Part::Known(base64(unquoted(text).as_bytes()).into_bytes()));
                }
                _ => return Err(unknown(expression, scope)),
            },
        };
        self.number(&name, source).map(Part::Made)
    }
}

const TOO_MANY: &str = "has more values than 65,536";

/// `name(arguments)`.
fn call(expression: &str) -> Option<(&str, &str)> {
    let (name, rest) = expression.split_once('(')?;
    Some((name.trim(), rest.strip_suffix(')')?.trim()))
}

/// A text without the quotes around it, if it has some.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let within = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

fn random(arguments: &str) -> Result<Source, String> {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let bounds = arguments.split_once(',').and_then(|(a, b)| number(a).zip(number(b)));
    match bounds {
        Some((from, to)) if from <= to => Ok(Source::Random { from, to }),
        Some((from, to)) => Err(format!("random({from},{to}) has no number in it; swap them")),
        None => Err(format!(
            "random({}) is not understood; write for example random(1,100)",
            Quoted(arguments)
        )),
    }
}

fn choice(arguments: &str) -> Result<Source, String> {
    let options: Vec<Vec<u8>> =
        arguments.split(',').map(|option| unquoted(option).as_bytes().to_vec()).collect();
    if arguments.is_empty() {
        return Err("choice() has nothing to choose from; write for example choice(a,b)".to_owned());
    }
    Ok(Source::Choice(options))
}

fn unknown(expression: &str, scope: &Scope) -> String {
    let names = scope.names.iter().map(|known| known.word.as_str());
    let known: Vec<&str> = names.chain(FUNCTIONS).collect();
    let word = expression.split_once('(').map_or(expression, |(word, _)| word);
    let remedy = match nearest(word, &known) {
        Some(near) => format!("did you mean {near}?"),
        None => "name it in vars".to_owned(),
    };
    let shown: String = expression.chars().take(64).collect();
    format!("{{{{{shown}}}}} is unknown; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_proto_http::Values;

    struct Named<'v>(&'v [Variable]);

    impl Values for Named<'_> {
        fn value(&self, number: u16) -> &[u8] {
            self.0[usize::from(number)].name.as_bytes()
        }
    }

    fn scope() -> Scope {
        let names = [("user", "jo e"), ("deep", "{{user}}-{{seq}}"), ("user", "Jo \"e\"")];
        Scope { names: names.map(|(name, meaning)| text(name, meaning)).to_vec(), step: 3 }
    }

    fn text(name: &str, meaning: &str) -> Name {
        Name { word: name.to_owned(), meaning: meaning.to_owned(), is_number: false }
    }

    /// The template with each value that is made shown by its name.
    fn shown(template: &str, escape: Escape) -> Result<String, String> {
        let mut variables = Variables::default();
        let text = variables.compile(template, escape, &scope())?;
        let all = variables.into_all();
        let mut out = Vec::new();
        text.fill(&Named(&all), &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_known_is_folded_and_escaped() {
        assert_eq!(shown("a{{user}}b", Escape::Plain).unwrap(), "aJo \"e\"b");
        assert_eq!(shown("{{ user }}/{{step}}", Escape::Component).unwrap(), "Jo%20%22e%22/3");
        assert_eq!(shown("{{user}}", Escape::Json).unwrap(), "Jo \\\"e\\\"");
        assert_eq!(shown("{{raw(user)}}", Escape::Component).unwrap(), "Jo \"e\"");
        assert_eq!(shown("{{base64('a b')}}", Escape::Plain).unwrap(), "YSBi");
        let mut variables = Variables::default();
        let text = variables.compile("{{user}}{{step}}", Escape::Plain, &scope()).unwrap();
        assert!(text.is_constant() && variables.into_all().is_empty());
    }

    #[test]
    fn what_is_made_has_one_number_however_often_it_stands_there() {
        let mut variables = Variables::default();
        let text = variables.compile("{{seq}} {{uuid}} {{seq}}", Escape::Plain, &scope()).unwrap();
        assert_eq!(text.values().collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(shown("{{deep}}", Escape::Plain).unwrap(), "Jo \"e\"-seq");
        assert_eq!(shown("{{deep}}", Escape::Component).unwrap(), "Jo%20%22e%22-seq");
    }

    #[test]
    fn what_is_not_understood_is_named_with_a_remedy() {
        let scope_of =
            |name: &str, meaning: &str| Scope { names: vec![text(name, meaning)], step: 1 };
        for (template, said) in [
            ("{{usr}}", "{{usr}} is unknown; did you mean user?"),
            ("{{xyzzy}}", "{{xyzzy}} is unknown; name it in vars"),
            ("{{rndom(1,2)}}", "{{rndom(1,2)}} is unknown; did you mean random?"),
            ("{{user", "\"{{user\" has no }} behind it"),
            ("{{random(5,1)}}", "random(5,1) has no number in it; swap them"),
            ("{{random(x)}}", "random(\"x\") is not understood; write for example random(1,100)"),
            ("{{choice()}}", "choice() has nothing to choose from; write for example choice(a,b)"),
            (
                "{{env(NOT_SET_AT_ALL)}}",
                "{{env(NOT_SET_AT_ALL)}}: the environment has no \"NOT_SET_AT_ALL\"",
            ),
        ] {
            assert_eq!(shown(template, Escape::Plain).unwrap_err(), said);
        }
        let circle = Variables::default().compile("{{a}}", Escape::Plain, &scope_of("a", "x{{a}}"));
        assert!(circle.unwrap_err().contains("refer to each other for ever"));
    }
}
