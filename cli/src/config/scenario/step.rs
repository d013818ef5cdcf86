//! Steps of scenarios, and the requests that they make.

use pummel_engine::plan::{Asking, ExpectedStatus, Step, Variable};
use pummel_proto_http::{Escape, Request, RequestBuilder, Text};

use super::template::{Name, Scope, Variables};
use super::{Part, body, look};
use crate::args::{Quoted, RunArgs};
use crate::config::file::{Fault, Node};
use crate::config::request;
use crate::config::target::{self, TargetUrl};

/// Keys of a step.
const STEP: [&str; 13] = [
    "name",
    "method",
    "url",
    "path",
    "headers",
    "data",
    "json",
    "assert_status",
    "assert_body_contains",
    "checks",
    "capture",
    "think_time",
    "vars",
];

/// Keys of a target, which is a step that is chosen by weight.
const TARGET: [&str; 9] =
    ["name", "weight", "method", "url", "path", "headers", "data", "json", "assert_status"];

/// Puts the requests of a file together.
pub(super) struct Builder<'a> {
    args: &'a RunArgs,
    target: &'a TargetUrl,
    variables: Variables,
    requests: Vec<Asking>,
}

/// What a step is a part of.
struct Around<'n> {
    /// Its scenario, if it has one.
    scenario: Option<Part<'n>>,
    /// What the scenario is called.
    name: &'n str,
    scope: Scope,
}

impl<'a> Builder<'a> {
    pub(super) fn new(args: &'a RunArgs, target: &'a TargetUrl) -> Self {
        Self { args, target, variables: Variables::default(), requests: Vec::new() }
    }

    pub(super) fn into_parts(self) -> (Vec<Asking>, Vec<Variable>) {
        (self.requests, self.variables.into_all())
    }

    /// The steps of a scenario.
    pub(super) fn steps(
        &mut self,
        scenario: Part<'_>,
        name: &str,
        steps: &[Node],
    ) -> Result<Vec<Step>, Fault> {
        let mut all = Vec::new();
        let common = names(scenario.get("vars")?)?;
        for node in steps {
            node.table(&STEP)?;
            for name in look::captured(Part(node))? {
                self.variables.captured(name).map_err(|said| node.fault(&said))?;
            }
        }
        for (at, node) in steps.iter().enumerate() {
            let step = Part(node);
            let mut names = common.clone();
            names.extend(self::names(step.get("vars")?)?);
            let scope = Scope { names, step: at + 1 };
            let around = Around { scenario: Some(scenario), name, scope };
            all.push(self.request(step, &around)?);
            if let Some(pause) = step.get("think_time")? {
                let span = pause.span_of_time()?;
                let span = crate::config::duration::parse(&span);
                all.push(Step::Think(span.map_err(|reason| pause.because(&reason))?));
            }
        }
        Ok(all)
    }

    /// The only step of a target that is chosen by weight.
    pub(super) fn target(&mut self, node: &Node) -> Result<Vec<Step>, Fault> {
        node.table(&TARGET)?;
        let around =
            Around { scenario: None, name: "", scope: Scope { names: Vec::new(), step: 1 } };
        Ok(vec![self.request(Part(node), &around)?])
    }

    /// The step that asks for what `step` says.
    fn request(&mut self, step: Part<'_>, around: &Around<'_>) -> Result<Step, Fault> {
        let path = self.path(step, around)?;
        let (body, is_json) = self.body(step, around)?;
        let inherited = around.scenario.map(|part| part.text("method")).transpose()?.flatten();
        let method = step.text("method")?.or(inherited).or(self.args.request.method.as_deref());
        let method = request::method(method, body.is_some());
        let name = match step.text("name")? {
            Some(name) => name.to_owned(),
            None => format!("{method} {}", String::from_utf8_lossy(path.literal())),
        };
        let authority = self.args.wire.host.as_deref().unwrap_or(&self.target.authority);
        let refused = |error| step.0.because(&request::reason(error));
        let mut builder = Request::builder(&method, authority, path).map_err(refused)?;
        builder = builder.scheme(self.target.scheme);
        builder = request::common_fields(&self.args.request, builder)
            .map_err(|reason| step.0.because(&reason))?;
        let lists = [around.scenario.map(|part| part.get("headers")), Some(step.get("headers"))];
        for list in lists.into_iter().flatten() {
            for line in list?.map(Node::items).unwrap_or_default() {
                builder = self.field(line, &around.scope, builder)?;
            }
        }
        if is_json && !builder.has_field("Content-Type") {
            let typed = builder.field("Content-Type", "application/json");
            builder = typed.map_err(|error| step.0.because(&request::reason(error)))?;
        }
        if let Some(body) = body {
            builder = builder.body(body);
        }
        let request = builder.build();
        let expected = self.expected(step)?;
        let name = match around.name {
            "" => name,
            scenario => format!("{scenario}: {name}"),
        };
        let checks = look::checks(step)?;
        let captures = look::captures(step, |name| self.variables.captured(name))?;
        self.requests.push(Asking { name, request, expected, checks, captures });
        let index = u16::try_from(self.requests.len() - 1);
        index.map(Step::Request).map_err(|_| step.0.fault("is one step too many"))
    }

    /// Path and query: of the step's own URL, or its path behind that of the target.
    fn path(&mut self, step: Part<'_>, around: &Around<'_>) -> Result<Text, Fault> {
        let (node, path) = match (step.get("url")?, step.get("path")?) {
            (Some(url), Some(_)) => {
                return Err(url.fault("and path do not go together; give one of them"));
            }
            (Some(url), None) => (url, self.path_of(url)?),
            (None, Some(path)) => {
                let behind = path.text()?;
                let base = self.target.path.trim_end_matches('/');
                let slash = if behind.starts_with('/') { "" } else { "/" };
                (path, format!("{base}{slash}{behind}"))
            }
            (None, None) => (step.0, self.target.path.clone()),
        };
        let text = self.variables.compile(&path, Escape::Component, &around.scope);
        let text = text.map_err(|said| node.fault(&said))?;
        let escaped = target::ensure_escaped(&String::from_utf8_lossy(text.literal()));
        escaped.map(|()| text).map_err(|reason| node.because(&reason))
    }

    /// What of a step's own URL is asked for, if it leads to the target.
    fn path_of(&self, node: &Node) -> Result<String, Fault> {
        let url = node.text()?;
        let origin = super::origin(url);
        if origin.contains("{{") {
            return Err(node.fault("has a host that varies, which is not supported yet; name one"));
        }
        let parsed = target::parse(origin).map_err(|reason| node.because(&reason))?;
        let (own, to) = (&parsed, self.target);
        if (own.scheme, &own.host, own.port) != (to.scheme, &to.host, to.port) {
            let (own, to) = (Quoted(&own.authority), Quoted(&to.authority));
            return Err(node.fault(&format!(
                "leads to {own}, and the run to {to}; several hosts are not supported yet"
            )));
        }
        let path = url.get(origin.len()..).unwrap_or_default();
        let path = path.split_once('#').map_or(path, |(path, _)| path);
        Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
    }

    /// The body, if there is one, and whether it is known to be JSON.
    fn body(&mut self, step: Part<'_>, around: &Around<'_>) -> Result<(Option<Text>, bool), Fault> {
        for part in [Some(step), around.scenario].into_iter().flatten() {
            match (part.get("data")?, part.get("json")?) {
                (Some(data), Some(_)) => {
                    return Err(data.fault("and json do not go together; give one of them"));
                }
                (Some(data), None) => {
                    let text = self.variables.compile(data.text()?, Escape::Plain, &around.scope);
                    return text.map(|text| (Some(text), false)).map_err(|said| data.fault(&said));
                }
                (None, Some(json)) => {
                    let body = body::json(json, &mut self.variables, &around.scope)?;
                    return Ok((Some(body), true));
                }
                (None, None) => {}
            }
        }
        let common = request::body(&self.args.request);
        Ok((common.map_err(|reason| step.0.because(&reason))?.map(Text::from), false))
    }

    /// Adds the field of a line `Name: value`.
    fn field(
        &mut self,
        line: &Node,
        scope: &Scope,
        builder: RequestBuilder,
    ) -> Result<RequestBuilder, Fault> {
        let typed = line.text()?;
        let Some((name, value)) = typed.split_once(':') else {
            return Err(line.fault("has no colon; write \"Name: value\""));
        };
        let mut compile = |text: &str| {
            self.variables.compile(text, Escape::Plain, scope).map_err(|said| line.fault(&said))
        };
        let (name, value) = (compile(name)?, compile(value)?);
        let Some(name) = name.constant() else {
            return Err(line.fault("has a name that varies; only values may"));
        };
        let name = String::from_utf8_lossy(name).trim().to_owned();
        builder.field(&name, value).map_err(|error| line.because(&request::reason(error)))
    }

    fn expected(&self, step: Part<'_>) -> Result<ExpectedStatus, Fault> {
        let Some(node) = step.get("assert_status")? else {
            let common = request::expected(&self.args.request.status);
            return common.map_err(|reason| step.0.because(&reason));
        };
        let lists = node
            .items()
            .iter()
            .map(|item| item.scalar("a status or a text", "for example 200 or \"2xx\""));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        request::expected(&lists).map_err(|reason| node.because(&reason))
    }
}

/// What is named in `vars`.
fn names(vars: Option<&Node>) -> Result<Vec<Name>, Fault> {
    let Some(vars) = vars else { return Ok(Vec::new()) };
    let entries = vars.any_table()?.entries();
    entries
        .map(|entry| {
            let meaning = entry.node.scalar("a text or a number", "one, in quotes")?;
            let is_number = entry.node.text().is_err();
            Ok(Name { word: entry.key.clone(), meaning, is_number })
        })
        .collect()
}
