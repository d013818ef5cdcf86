//! `{{name}}` in a text: what is known now is folded into it, the rest becomes places for values.

use anyhow::{Error, Result};
use pummel_engine::plan::{Source, Variable};
use pummel_proto_http::{Escape, Slot, Text, write_base64};

use super::date;
use crate::args::Quoted;
use crate::config::feeds::Feeds;
use crate::config::keys::nearest;
use crate::config::target;

/// What may stand between braces beside names of variables, for errors.
pub(crate) const FUNCTIONS: [&str; 13] = [
    "seq",
    "step",
    "timestamp_ms",
    "timestamp_s",
    "now",
    "uuid",
    "random",
    "choice",
    "env",
    "base64",
    "encode",
    "json",
    "raw",
];

/// How deep variables may refer to variables, and functions to functions; a variable takes two.
const DEPTH_MAX: usize = 32;

/// The values of a run that are made anew for each request, each once.
#[derive(Debug, Default)]
pub(in crate::config) struct Variables {
    all: Vec<Variable>,
    feeds: Feeds,
}

/// What names mean in a step.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Scope {
    /// Later ones hide earlier ones.
    pub(super) names: Vec<Name>,
    /// The number of the step, from 1; 0 where there are no steps, and so no names.
    pub(super) step: usize,
}

/// What templates mean at one place: there are these values in the run, and these names there.
pub(in crate::config) struct Meaning<'v> {
    pub(in crate::config) variables: &'v mut Variables,
    pub(in crate::config) scope: &'v Scope,
}

impl Meaning<'_> {
    /// A template in a body or in the value of a field.
    ///
    /// # Errors
    /// If it is not understood.
    pub(in crate::config) fn text(&mut self, template: &str) -> Result<Text> {
        let text = self.variables.compile(template, [Escape::Plain; 2], self.scope);
        text.map_err(Error::msg)
    }

    /// A template that is a path with its query.
    ///
    /// # Errors
    /// The same, or if it has what cannot stand in a URL.
    pub(in crate::config) fn path(&mut self, template: &str) -> Result<Text> {
        let escapes = [Escape::Plain, Escape::Component];
        let text = self.variables.compile(template, escapes, self.scope).map_err(Error::msg)?;
        target::ensure_escaped(&String::from_utf8_lossy(text.literal()))?;
        Ok(text)
    }

    /// What a template stands for, if that is known before the run.
    ///
    /// # Errors
    /// If it is not understood.
    pub(in crate::config) fn known(&mut self, template: &str) -> Result<Option<String>> {
        let text = self.text(template)?;
        Ok(text.constant().map(|text| String::from_utf8_lossy(text).into_owned()))
    }
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

    /// Whether `text` is nothing but one value, and that a number, or one that is JSON itself.
    pub(super) fn stands_bare(&self, text: &str) -> bool {
        let mut text = text;
        // Names that lead nowhere in so many steps go in a circle, which is said elsewhere.
        for _ in 0..DEPTH_MAX {
            let inner = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
            let Some(expression) = inner.map(str::trim) else { return false };
            let Some(name) = self.find(expression) else {
                let numbers = ["seq", "step", "timestamp_ms", "timestamp_s"];
                return numbers.contains(&expression)
                    || matches!(call(expression), Some(("random" | "json", _)));
            };
            if name.is_number {
                return true;
            }
            text = &name.meaning;
        }
        false
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
    /// None yet; rows come from `feeds`.
    pub(in crate::config) fn new(feeds: Feeds) -> Self {
        Self { all: Vec::new(), feeds }
    }

    pub(in crate::config) fn into_parts(self) -> (Vec<Variable>, Feeds) {
        (self.all, self.feeds)
    }

    #[cfg(test)]
    pub(in crate::config) fn into_all(self) -> Vec<Variable> {
        self.all
    }

    /// The number of the value that is captured under this name.
    pub(super) fn captured(&mut self, name: &str) -> Result<u16, String> {
        self.number(name, Source::Captured)
    }

    /// Whether the value with this number is there between requests: it was captured, or is of the
    /// user's row.
    pub(super) fn lasts(&self, number: u16) -> bool {
        let source = self.all.get(usize::from(number)).map(|variable| &variable.source);
        matches!(source, Some(Source::Captured | Source::Fed { .. }))
    }

    /// The number of the value that is called `name`, and made so.
    fn number(&mut self, name: &str, source: Source) -> Result<u16, String> {
        let same = |known: &Variable| known.name == name && known.source == source;
        match self.all.iter().position(same) {
            Some(at) => u16::try_from(at).map_err(|_| TOO_MANY.to_owned()),
            None => self.own(name, source),
        }
    }

    /// The number of a value that nobody else has.
    ///
    /// # Errors
    /// If there are too many.
    pub(in crate::config) fn own(&mut self, name: &str, source: Source) -> Result<u16, String> {
        let at = u16::try_from(self.all.len()).map_err(|_| TOO_MANY.to_owned())?;
        self.all.push(Variable { name: name.to_owned(), source });
        Ok(at)
    }

    /// The number of `text`, which `template` stands for, in base 64.
    ///
    /// # Errors
    /// If there are too many values.
    pub(super) fn coded(&mut self, template: &str, text: Text) -> Result<u16, String> {
        self.number(template, Source::Base64(text))
    }

    /// The number of the date in this format.
    ///
    /// # Errors
    /// If there is no such format, or there are too many values.
    pub(in crate::config) fn date(&mut self, format: &str) -> Result<u16, String> {
        self.number(&format!("now({format})"), Source::Date(date::parts(format)?))
    }

    /// Understands `template`: what stands in it for itself is written with the first escape,
    /// values with the second.
    ///
    /// # Errors
    /// The rest of a sentence that begins with where the template stands.
    pub(super) fn compile(
        &mut self,
        template: &str,
        escapes: [Escape; 2],
        scope: &Scope,
    ) -> Result<Text, String> {
        let mut text = Text::default();
        self.append(template, escapes, (scope, DEPTH_MAX), &mut text)?;
        Ok(text)
    }

    /// Appends `template` to `text`.
    fn append(
        &mut self,
        template: &str,
        [literal, escape]: [Escape; 2],
        (scope, depth): (&Scope, usize),
        text: &mut Text,
    ) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else { return Err(TOO_DEEP.to_owned()) };
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((expression, behind)) = after.split_once("}}") else {
                return Err(format!("{} has no }}}} behind it", Quoted(&format!("{{{{{after}"))));
            };
            text.push_value(before.as_bytes(), literal);
            self.append_value(expression.trim(), escape, (scope, depth), text)?;
            rest = behind;
        }
        text.push_value(rest.as_bytes(), literal);
        Ok(())
    }

    /// Appends what stands between braces to `text`.
    fn append_value(
        &mut self,
        expression: &str,
        escape: Escape,
        (scope, depth): (&Scope, usize),
        text: &mut Text,
    ) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else { return Err(TOO_DEEP.to_owned()) };
        let within = match call(expression) {
            Some(("raw" | "json", inner)) => Some((inner, Escape::Plain)),
            Some(("encode", arguments)) => Some(encoding(arguments)?),
            _ => None,
        };
        if let Some((inner, escape)) = within {
            if let Some(literal) = quoted(inner)? {
                text.push_value(literal.as_bytes(), escape);
                return Ok(());
            }
            return self.append_value(inner, escape, (scope, depth), text);
        }
        match self.understand(expression, (scope, depth))? {
            Part::Known(value) => text.push_value(&value, escape),
            Part::Made(value) => text.push_slot(Slot { value, escape }),
            Part::Nested(nested) => self.append(&nested, [escape; 2], (scope, depth), text)?,
        }
        Ok(())
    }

    fn understand(
        &mut self,
        expression: &str,
        (scope, depth): (&Scope, usize),
    ) -> Result<Part, String> {
        if let Some(name) = scope.find(expression) {
            return Ok(Part::Nested(name.meaning.clone()));
        }
        if let Some(at) = self.capture(expression) {
            return u16::try_from(at).map(Part::Made).map_err(|_| TOO_MANY.to_owned());
        }
        if let Some(found) = self.feeds.find(expression) {
            let (feed, column) = found?;
            return self.number(expression, Source::Fed { feed, column }).map(Part::Made);
        }
        let source = match (expression, call(expression)) {
            ("step", _) => return Ok(Part::Known(scope.step.max(1).to_string().into_bytes())),
            ("seq", _) => Source::Sequence,
            ("timestamp_ms", _) => Source::Milliseconds,
            ("timestamp_s", _) => Source::Seconds,
            ("uuid", _) => Source::Uuid,
            ("now", _) => Source::Date(date::parts("")?),
            (_, Some(("now", format))) => Source::Date(date::parts(unquoted(format)?)?),
            (_, Some(("random", arguments))) => random(arguments)?,
            (_, Some(("choice", arguments))) => choice(arguments)?,
            (_, Some(("env", name))) => {
                let value = std::env::var_os(name).ok_or_else(|| {
                    format!("{{{{{expression}}}}}: the environment has no {}", Quoted(name))
                })?;
                return Ok(Part::Known(value.into_encoded_bytes()));
            }
            (_, Some(("base64", argument))) => {
                let text = self.argument(argument, (scope, depth))?;
                match text.constant() {
                    Some(known) => {
                        let mut coded = Vec::new();
                        write_base64(known, &mut coded);
                        return Ok(Part::Known(coded));
                    }
                    None => Source::Base64(text),
                }
            }
            _ => return Err(self.unknown(expression, scope)),
        };
        self.number(expression, source).map(Part::Made)
    }

    /// Where the capture with this name is, if there is one.
    fn capture(&self, name: &str) -> Option<usize> {
        let is = |known: &Variable| known.name == name && known.source == Source::Captured;
        self.all.iter().position(is)
    }

    /// What a function is given: a text between quotes, a value, or what could be neither a name
    /// nor a call, which stands for itself.
    fn argument(&mut self, typed: &str, within: (&Scope, usize)) -> Result<Text, String> {
        let mut text = Text::default();
        if let Some(literal) = quoted(typed)? {
            text.push(literal);
            return Ok(text);
        }
        let could_be_name = typed.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        let could_be_name = could_be_name || self.feeds.has(typed);
        if could_be_name || call(typed).is_some() {
            self.append_value(typed, Escape::Plain, within, &mut text)?;
        } else {
            text.push(typed);
        }
        Ok(text)
    }

    fn unknown(&self, expression: &str, scope: &Scope) -> String {
        let names = scope.names.iter().map(|known| known.word.as_str());
        let known: Vec<&str> = names.chain(self.feeds.names()).chain(FUNCTIONS).collect();
        let word = expression.split_once(['(', '.', '[']).map_or(expression, |(word, _)| word);
        let remedy = match nearest(word, &known) {
            Some(near) => format!("did you mean {near}?"),
            None if scope.step == 0 => NAMELESS.to_owned(),
            None => "name it in vars".to_owned(),
        };
        let shown: String = expression.chars().take(64).collect();
        format!("{{{{{shown}}}}} is unknown; {remedy}")
    }
}

const TOO_MANY: &str = "has more values than 65,536";

/// What to do about an unknown name where none is known.
const NAMELESS: &str = "write a value like {{seq}} or {{uuid}}, or {{raw('{{')}} for the braces \
                        themselves";

const TOO_DEEP: &str = "its variables refer to each other for ever; break the circle";

/// What is encoded, and how: the arguments of `encode`.
fn encoding(arguments: &str) -> Result<(&str, Escape), String> {
    let Some((inner, how)) = arguments.rsplit_once(',') else {
        return Ok((arguments, Escape::Component));
    };
    let escape = match unquoted(how) {
        Ok("component") => Escape::Component,
        Ok("path") => Escape::Path,
        Ok("query") => Escape::Query,
        Ok("form") => Escape::Form,
        Ok("none") => Escape::Plain,
        // A comma may stand in a text that is all there is.
        _ if matches!(quoted(arguments), Ok(Some(_))) => {
            return Ok((arguments, Escape::Component));
        }
        other => {
            return Err(format!(
                "encode(…, {}) is unknown; write component, path, query, form or none",
                Quoted(other?)
            ));
        }
    };
    Ok((inner.trim(), escape))
}

/// `name(arguments)`.
fn call(expression: &str) -> Option<(&str, &str)> {
    let (name, rest) = expression.split_once('(')?;
    Some((name.trim(), rest.strip_suffix(')')?.trim()))
}

/// A text without the quotes around it, if it has some.
fn unquoted(text: &str) -> Result<&str, String> {
    Ok(quoted(text)?.unwrap_or(text.trim()))
}

/// What stands between quotes, if `text` begins with one.
fn quoted(text: &str) -> Result<Option<&str>, String> {
    let text = text.trim();
    let Some(quote) = text.chars().next().filter(|letter| matches!(letter, '"' | '\'')) else {
        return Ok(None);
    };
    let within = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let within = within.ok_or_else(|| {
        format!("{} begins with a quote that is never closed; close it", Quoted(text))
    });
    within.map(Some)
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
    let options = arguments.split(',').map(|option| Ok(unquoted(option)?.as_bytes().to_vec()));
    let options = options.collect::<Result<Vec<_>, String>>()?;
    if arguments.is_empty() {
        return Err("choice() has nothing to choose from; write for example choice(a,b)".to_owned());
    }
    Ok(Source::Choice(options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_proto_http::Values;

    const PLAIN: [Escape; 2] = [Escape::Plain; 2];

    struct Named<'v>(&'v [Variable]);

    impl Values for Named<'_> {
        fn value(&self, number: u16) -> &[u8] {
            self.0[usize::from(number)].name.as_bytes()
        }
    }

    fn scope() -> Scope {
        let names = [("user", "jo e"), ("deep", "{{user}}-{{seq}}"), ("user", "Jo \"e\"")];
        Scope { names: names.map(|(name, meaning)| text_of(name, meaning)).to_vec(), step: 3 }
    }

    fn text_of(name: &str, meaning: &str) -> Name {
        Name { word: name.to_owned(), meaning: meaning.to_owned(), is_number: false }
    }

    /// The template with each value that is made shown by its name.
    fn shown(template: &str, escape: Escape) -> Result<String, String> {
        let mut variables = Variables::default();
        let text = variables.compile(template, [Escape::Plain, escape], &scope())?;
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
        assert_eq!(shown("{{raw('{{')}} {{raw(\"a'b\")}}", Escape::Json).unwrap(), "{{ a'b");
        assert_eq!(shown("{{encode('a, b')}}", Escape::Plain).unwrap(), "a%2C%20b");
        assert_eq!(shown("{{encode('a b', 'form')}}", Escape::Plain).unwrap(), "a+b");
        assert_eq!(shown("{{base64(a:b)}}", Escape::Plain).unwrap(), "YTpi");
        assert_eq!(shown("{{base64(user)}}", Escape::Component).unwrap(), "Sm8gImUi");
        let mut variables = Variables::default();
        let text = variables.compile("{{user}}{{step}}", PLAIN, &scope()).unwrap();
        assert!(text.is_constant() && variables.into_all().is_empty());
    }

    #[test]
    fn what_is_made_has_one_number_however_often_it_stands_there() {
        let mut variables = Variables::default();
        let text = variables.compile("{{seq}} {{uuid}} {{seq}}", PLAIN, &scope()).unwrap();
        assert_eq!(text.values().collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(shown("{{deep}}", Escape::Plain).unwrap(), "Jo \"e\"-seq");
        assert_eq!(shown("{{deep}}", Escape::Component).unwrap(), "Jo%20%22e%22-seq");
    }

    #[test]
    fn a_value_is_encoded_as_is_said_wherever_it_stands() {
        for (how, expected) in [
            ("component", "Jo%20%22e%22"),
            ("path", "Jo%20%22e%22"),
            ("form", "Jo+%22e%22"),
            ("'none'", "Jo \"e\""),
        ] {
            for escape in [Escape::Plain, Escape::Json, Escape::Component] {
                let template = format!("{{{{ encode(user, {how}) }}}}");
                assert_eq!(shown(&template, escape).unwrap(), expected);
            }
        }
        assert_eq!(shown("{{encode(user)}}", Escape::Json).unwrap(), "Jo%20%22e%22");
        let mut variables = Variables::default();
        let text = variables.compile("{{encode(deep,form)}}", PLAIN, &scope()).unwrap();
        assert_eq!((text.literal(), text.values().count()), (&b"Jo+%22e%22-"[..], 1));
    }

    #[test]
    fn what_is_only_known_later_is_made_from_what_comes_before_it() {
        let mut variables = Variables::default();
        variables.captured("token").unwrap();
        let template = "{{base64(deep)}}{{base64(token)}}{{base64(random(1, 9))}}{{base64(deep)}}";
        let text = variables.compile(template, PLAIN, &scope()).unwrap();
        assert_eq!(text.values().collect::<Vec<_>>(), [2, 3, 5, 2]);
        let all = variables.into_all();
        let from = |at: usize| all[at].source.ingredients();
        assert_eq!([from(2), from(3), from(5)], [[1], [0], [4]]);
        let other = Scope { names: vec![text_of("deep", "{{uuid}}")], step: 1 };
        let mut variables = Variables { all, feeds: Feeds::default() };
        let text = variables.compile("{{base64(deep)}}", PLAIN, &other).unwrap();
        assert_eq!(text.values().collect::<Vec<_>>(), [7], "the same words, another meaning");
    }

    #[test]
    fn numbers_and_what_is_json_itself_stand_without_quotes() {
        let names = [("a", "{{b}}"), ("b", "{{a}}"), ("n", "{{seq}}"), ("o", "{{json(user)}}")];
        let scope = Scope { names: names.map(|(a, b)| text_of(a, b)).to_vec(), step: 1 };
        for (text, bare) in [
            ("{{seq}}", true),
            (" {{ random(1,2) }} ", true),
            ("{{json(user)}}", true),
            ("{{n}}", true),
            ("{{o}}", true),
            ("{{user}}", false),
            ("{{raw(user)}}", false),
            ("{{seq}}{{seq}}", false),
            ("x{{seq}}", false),
            ("{{a}}", false),
        ] {
            assert_eq!(scope.stands_bare(text), bare, "{text}");
        }
        let circle = Variables::default().compile("{{a}}", PLAIN, &scope);
        assert!(circle.unwrap_err().contains("refer to each other for ever"));
    }

    #[test]
    fn dates_are_understood_at_load() {
        let mut variables = Variables::default();
        variables.compile("{{now}} {{now(%F)}} {{now('%H')}}", PLAIN, &scope()).unwrap();
        let all = variables.into_all();
        let date = |at: usize| all[at].source.clone();
        assert_eq!(date(0), Source::Date(date::parts("%FT%TZ").unwrap()));
        assert_eq!(date(1), Source::Date(date::parts("%Y-%m-%d").unwrap()));
        assert_eq!(date(2), Source::Date(date::parts("%H").unwrap()));
    }

    #[test]
    fn what_is_not_understood_is_named_with_a_remedy() {
        let scope_of =
            |name: &str, meaning: &str| Scope { names: vec![text_of(name, meaning)], step: 1 };
        for (template, said) in [
            ("{{usr}}", "{{usr}} is unknown; did you mean user?"),
            ("{{xyzzy}}", "{{xyzzy}} is unknown; name it in vars"),
            ("{{rndom(1,2)}}", "{{rndom(1,2)}} is unknown; did you mean random?"),
            ("{{user", "\"{{user\" has no }} behind it"),
            ("{{random(5,1)}}", "random(5,1) has no number in it; swap them"),
            ("{{random(x)}}", "random(\"x\") is not understood; write for example random(1,100)"),
            (
                "{{encode(user, url)}}",
                "encode(…, \"url\") is unknown; write component, path, query, form or none",
            ),
            ("{{base64(usr)}}", "{{usr}} is unknown; did you mean user?"),
            ("{{base64('abc)}}", "\"'abc\" begins with a quote that is never closed; close it"),
            ("{{raw(\"abc)}}", "\"\\\"abc\" begins with a quote that is never closed; close it"),
            ("{{choice('a,b',c)}}", "\"'a\" begins with a quote that is never closed; close it"),
            (
                "{{now(%Q)}}",
                "%Q means nothing in a date; write %Y %m %d %H %M %S, %3f, %j, %a %b or %%",
            ),
            ("{{choice()}}", "choice() has nothing to choose from; write for example choice(a,b)"),
            (
                "{{env(NOT_SET_AT_ALL)}}",
                "{{env(NOT_SET_AT_ALL)}}: the environment has no \"NOT_SET_AT_ALL\"",
            ),
        ] {
            assert_eq!(shown(template, Escape::Plain).unwrap_err(), said);
        }
        let circle = Variables::default().compile("{{a}}", PLAIN, &scope_of("a", "x{{a}}"));
        assert!(circle.unwrap_err().contains("refer to each other for ever"));
    }
}
