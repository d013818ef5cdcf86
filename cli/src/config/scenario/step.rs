//! Steps of scenarios, and the requests that they make.

use core::ops::Range;
use std::path::Path;

use pummel_engine::judge::Condition;
use pummel_engine::plan::{
    Asking, ExpectedStatus, Logic, MARKS_MAX, Scenario, Step, Url, Variable, WorkError,
};
use pummel_proto_http::{Escape, RequestBuilder, Slot, Text};

use super::blocks::{self, BLOCK, Blocks};
use super::template::{Meaning, Name, Scope, Variables};
use super::{Part, body, look};
use crate::config::feeds::Feeds;
use crate::config::file::{Fault, Node};
use crate::config::form;
use crate::config::redirects;
use crate::config::request::{self, Body, Common};
use crate::config::roam::Gathered;
use crate::config::servers::Servers;
use crate::config::target::TargetUrl;
use crate::config::urls::{self, Aim};

/// Keys of a step that makes a request.
pub(super) const REQUEST: [&str; 16] = [
    "name",
    "method",
    "url",
    "path",
    "headers",
    "data",
    "data_file",
    "json",
    "form",
    "redirect",
    "assert_status",
    "assert_body_contains",
    "checks",
    "capture",
    "think_time",
    "vars",
];

/// Keys of a target, which is a step that is chosen by weight.
const TARGET: [&str; 13] = [
    "name",
    "weight",
    "rate",
    "method",
    "url",
    "path",
    "headers",
    "data",
    "data_file",
    "json",
    "form",
    "redirect",
    "assert_status",
];

/// Puts the requests of a file together.
pub(super) struct Builder<'a> {
    common: &'a Common<'a>,
    target: &'a Aim,
    /// Where paths begin.
    folder: &'a Path,
    pub(super) variables: Variables,
    requests: Vec<Asking>,
    places: Places,
    logic: Logic,
    /// Blocks that are gone through once, so far.
    marks: u8,
    servers: Servers,
    /// The requests whose servers are made of values, by number, and where that stands.
    made: Vec<(usize, Node)>,
}

/// What comes of all steps: requests, what leads through them, values with their feeds, and servers
/// beside the first.
pub(super) type Parts = (Vec<Asking>, Logic, (Vec<Variable>, Feeds), Vec<TargetUrl>);

/// Where requests and conditions stand, by their numbers: the path of each, and its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) requests: Vec<(String, Range<usize>)>,
    pub(super) conditions: Vec<(String, Range<usize>)>,
}

/// What a step is a part of.
pub(super) struct Around<'n> {
    /// Its scenario, if it has one.
    pub(super) scenario: Option<Part<'n>>,
    /// What the scenario is called.
    pub(super) name: &'n str,
    pub(super) scope: Scope,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        common: &'a Common<'a>,
        target: &'a Aim,
        folder: &'a Path,
        feeds: Feeds,
    ) -> Self {
        let (variables, requests, logic) = (Variables::new(feeds), Vec::new(), Logic::default());
        let (places, servers, made) = (Places::default(), Servers::default(), Vec::new());
        Self { common, target, folder, variables, requests, places, logic, marks: 0, servers, made }
    }

    /// What came of all steps, and where they stand.
    ///
    /// # Errors
    /// If values lead to what is no server.
    pub(super) fn into_parts(self) -> Result<(Parts, Places), Fault> {
        let Self { mut requests, places, logic, mut servers, .. } = self;
        let (variables, feeds) = self.variables.into_parts();
        let mut gathered = Gathered::default();
        for (index, node) in self.made {
            let url = requests.get_mut(index).and_then(|asking| asking.url.as_mut());
            let Some(Url { base, home, .. }) = url else { continue };
            let all = gathered.add(base, (&variables, &feeds), &mut servers);
            let all = all.map_err(|refusal| refusal.fault(&node))?;
            if let (false, Aim::At(target)) = (all, self.target) {
                let number = servers.number(target).map_err(|said| node.because(&said))?;
                *home = Some(number);
            }
        }
        Ok(((requests, logic, (variables, feeds), servers.into_all()), places))
    }

    /// Whether a scenario can be gone through; if not, why.
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), WorkError> {
        scenario.check(self.requests.len(), &self.logic)
    }

    /// The steps of a scenario, which it has in this list.
    pub(super) fn steps(
        &mut self,
        scenario: Part<'_>,
        name: &str,
        list: &Node,
    ) -> Result<Vec<Step>, Fault> {
        let known: Vec<&str> = REQUEST.into_iter().chain(BLOCK).collect();
        for node in blocks::all(list.list()?)? {
            node.table(&known)?;
            for name in look::captured(Part(node))? {
                self.variables.captured(name).map_err(|said| node.fault(&said))?;
            }
        }
        let common = names(scenario.get("vars")?)?;
        let (steps, requests, loops) = (Vec::new(), 0, 0);
        let mut blocks = Blocks { builder: self, scenario, name, steps, requests, loops };
        blocks.list(list, &common, 0)?;
        Ok(blocks.steps)
    }

    /// The number of one condition more, which stands at `node`.
    pub(super) fn condition(
        &mut self,
        condition: Condition,
        node: &Node,
    ) -> Result<u16, &'static str> {
        let number = u16::try_from(self.logic.conditions.len());
        self.logic.conditions.push(condition);
        self.places.conditions.push((node.path.clone(), node.span.clone()));
        number.map_err(|_| "is one condition too many")
    }

    /// The number of one group more.
    pub(super) fn group(&mut self, name: String) -> Result<u16, &'static str> {
        let number = u16::try_from(self.logic.groups.len());
        self.logic.groups.push(name);
        number.map_err(|_| "is one group too many")
    }

    /// A mark that nothing else gives, if there is one left.
    pub(super) fn mark(&mut self) -> Option<u8> {
        let mark = Some(self.marks).filter(|&mark| mark < MARKS_MAX)?;
        self.marks += 1;
        Some(mark)
    }

    /// The only step of a target that is chosen by weight.
    pub(super) fn target(&mut self, node: &Node) -> Result<Vec<Step>, Fault> {
        node.table(&TARGET)?;
        let around =
            Around { scenario: None, name: "", scope: Scope { names: Vec::new(), step: 1 } };
        Ok(vec![self.request(Part(node), &around)?])
    }

    /// The step that asks for what `step` says.
    pub(super) fn request(&mut self, step: Part<'_>, around: &Around<'_>) -> Result<Step, Fault> {
        let args = self.common.args;
        let (node, aim) = self.aim(step, around)?;
        let (path, url) = self.place(node, &aim, around)?;
        let body = self.body(step, around)?;
        let inherited = around.scenario.map(|part| part.text("method")).transpose()?.flatten();
        let method = step.text("method")?.or(inherited).or(args.request.method.as_deref());
        let method = request::method(method, body.is_some());
        let name = match (step.text("name")?, &aim) {
            (Some(name), _) => name.to_owned(),
            (None, Aim::Made(made)) => format!("{method} {made}"),
            (None, Aim::At(_)) => format!("{method} {}", String::from_utf8_lossy(path.literal())),
        };
        let begun = request::begin(&method, &aim, path, args.wire.host.as_deref());
        let mut builder = begun.map_err(|error| step.0.because(&request::reason(error)))?;
        builder = request::common_fields(&args.request, builder, &mut self.meaning(&around.scope))
            .map_err(|reason| step.0.because(&reason))?;
        let lists = [around.scenario.map(|part| part.get("headers")), Some(step.get("headers"))];
        for list in lists.into_iter().flatten() {
            for line in list?.map(Node::items).unwrap_or_default() {
                builder = self.field(line, &around.scope, builder)?;
            }
        }
        builder = self.authorize(builder, step, around)?;
        builder =
            request::compress(&args.request, builder).map_err(|reason| step.0.because(&reason))?;
        if let Some((node, body)) = body {
            builder = body.attach(builder).map_err(|reason| node.because(&reason))?;
        }
        let mut request = builder.build();
        if let Some(signer) = &self.common.signer {
            let signed = signer.sign(request, &mut self.variables);
            request = signed.map_err(|reason| step.0.because(&reason))?;
        }
        let redirects = self.redirects(step, around)?;
        let expected = self.expected(step)?;
        let name = match around.name {
            "" => name,
            scenario => format!("{scenario}: {name}"),
        };
        let checks = look::checks(step)?;
        let captures = look::captures(step, |name| self.variables.captured(name))?;
        let origin = match &aim {
            Aim::At(server) => self.servers.number(server).map_err(|said| step.0.because(&said))?,
            Aim::Made(_) => {
                self.made.push((self.requests.len(), node.clone()));
                0
            }
        };
        let asking = Asking { redirects, checks, captures, ..Asking::new(name, request, expected) };
        self.requests.push(Asking { origin, url, ..asking });
        self.places.requests.push((step.0.path.clone(), step.0.span.clone()));
        let index = u16::try_from(self.requests.len() - 1);
        index.map(Step::Request).map_err(|_| step.0.fault("is one step too many"))
    }

    /// Where the step's own URL leads, or its path behind that of the target; and where that is
    /// said.
    fn aim<'n>(&mut self, step: Part<'n>, around: &Around<'_>) -> Result<(&'n Node, Aim), Fault> {
        match (step.get("url")?, step.get("path")?) {
            (Some(url), Some(_)) => Err(url.fault("and path do not go together; give one of them")),
            (Some(url), None) => {
                let aim = urls::aim(url.text()?, &mut self.meaning(&around.scope));
                aim.map(|aim| (url, aim)).map_err(|reason| url.because(&reason))
            }
            (None, Some(path)) => Ok((path, self.target.joined(path.text()?))),
            (None, None) => Ok((step.0, self.target.clone())),
        }
    }

    /// Path and query that are asked for, and the URL if the server is made of values.
    fn place(
        &mut self,
        node: &Node,
        aim: &Aim,
        around: &Around<'_>,
    ) -> Result<(Text, Option<Url>), Fault> {
        let mut meaning = self.meaning(&around.scope);
        let place = match aim {
            Aim::At(server) => meaning.path(&server.path).map(|path| (path, None)),
            Aim::Made(made) => made.place(&mut meaning).map(|(path, url)| (path, Some(url))),
        };
        place.map_err(|reason| node.because(&reason))
    }

    /// What templates mean within `scope`.
    fn meaning<'m>(&'m mut self, scope: &'m Scope) -> Meaning<'m> {
        Meaning { variables: &mut self.variables, scope }
    }

    /// The body, if there is one, and where it comes from.
    fn body<'n>(
        &mut self,
        step: Part<'n>,
        around: &Around<'n>,
    ) -> Result<Option<(&'n Node, Body)>, Fault> {
        for part in [Some(step), around.scenario].into_iter().flatten() {
            let mut given = Vec::new();
            for key in ["data", "data_file", "json", "form"] {
                given.extend(part.get(key)?.map(|node| (key, node)));
            }
            let (key, node) = match given[..] {
                [] => continue,
                [one] => one,
                [(_, node), (other, _), ..] => {
                    let said = format!("and {other} do not go together; give one of them");
                    return Err(node.fault(&said));
                }
            };
            let scope = &around.scope;
            let body = match key {
                "json" => Body::json(body::json(node, &mut self.variables, scope)?),
                "form" => self.form(node, scope)?,
                "data_file" => {
                    let path = self.folder.join(self.known(node, node.text()?, scope)?);
                    Body::file(&path).map_err(|reason| node.because(&reason))?
                }
                _ => Body::new(self.compile(node, node.text()?, scope)?),
            };
            return Ok(Some((node, body)));
        }
        let common = self.common.body.bodies(&mut self.meaning(&around.scope));
        let common = common.map_err(|reason| step.0.because(&reason))?;
        Ok(common.into_iter().next().flatten().map(|body| (step.0, body)))
    }

    /// A template in a body or a field.
    fn compile(&mut self, node: &Node, template: &str, scope: &Scope) -> Result<Text, Fault> {
        self.meaning(scope).text(template).map_err(|said| node.because(&said))
    }

    /// A form, in whose texts there may be values.
    fn form(&mut self, node: &Node, scope: &Scope) -> Result<Body, Fault> {
        // What values are made from stands here, whatever they are.
        let mut texts: Vec<&str> = scope.names.iter().map(|name| name.meaning.as_str()).collect();
        let mut parts = Vec::new();
        if node.items().is_empty() {
            return Err(node.fault("is empty; write for example [\"name=value\"]"));
        }
        for item in node.items() {
            let typed = item.text()?;
            texts.push(typed);
            let part = form::Part::read(typed, self.folder, &mut self.meaning(scope));
            parts.push(part.map_err(|reason| item.because(&reason))?);
        }
        Body::form(&parts, &texts).map_err(|reason| node.because(&reason))
    }

    /// A path or a name of a file, in which may stand what is known before the run.
    fn known(&mut self, node: &Node, template: &str, scope: &Scope) -> Result<String, Fault> {
        let known = self.meaning(scope).known(template).map_err(|said| node.because(&said))?;
        known.ok_or_else(|| node.fault(form::FILE_VARIES))
    }

    /// Adds who asks: as the scenario says, or else as is said for all, unless a field does.
    fn authorize(
        &mut self,
        builder: RequestBuilder,
        step: Part<'_>,
        around: &Around<'_>,
    ) -> Result<RequestBuilder, Fault> {
        let Some(node) = around.scenario.map(|part| part.get("basic_auth")).transpose()?.flatten()
        else {
            let common = &self.common.args.request;
            return request::authorize(builder, common).map_err(|r| step.0.because(&r));
        };
        if self.common.signer.is_some() {
            return Err(node.fault("and aws_sigv4 do not go together; give one of them"));
        }
        if builder.has_field("Authorization") {
            return Err(node.fault("and a header Authorization do not go together; give one"));
        }
        let template = node.text()?;
        let pair = self.compile(node, template, &around.scope)?;
        if let Some(pair) = pair.constant() {
            let pair = String::from_utf8_lossy(pair);
            return request::authorize_as(builder, &pair).map_err(|reason| node.because(&reason));
        }
        if !pair.literal().contains(&b':') {
            return Err(node.fault("has no colon between user and password; write USER:PASSWORD"));
        }
        let value = self.variables.coded(template, pair).map_err(|said| node.fault(&said))?;
        let mut text = Text::from("Basic ");
        text.push_slot(Slot { value, escape: Escape::Plain });
        builder.field("Authorization", text).map_err(|error| node.because(&request::reason(error)))
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
        let name = self.compile(line, name, scope)?;
        let value = self.compile(line, value, scope)?;
        let Some(name) = name.constant() else {
            return Err(line.fault("has a name that varies; only values may"));
        };
        let name = String::from_utf8_lossy(name).trim().to_owned();
        builder.field(&name, value).map_err(|error| line.because(&request::reason(error)))
    }

    /// How many redirects are followed: as the step says, or its scenario, or as is said for all.
    fn redirects(&self, step: Part<'_>, around: &Around<'_>) -> Result<u8, Fault> {
        for part in [Some(step), around.scenario].into_iter().flatten() {
            if let Some(node) = part.get("redirect")? {
                let most = redirects::bounded(node.integer()?);
                return most.map_err(|reason| node.because(&reason));
            }
        }
        Ok(self.common.redirects)
    }

    fn expected(&self, step: Part<'_>) -> Result<ExpectedStatus, Fault> {
        let Some(node) = step.get("assert_status")? else {
            return Ok(self.common.expected.clone());
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
pub(super) fn names(vars: Option<&Node>) -> Result<Vec<Name>, Fault> {
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
