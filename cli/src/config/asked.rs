//! What is asked for where there is no scenario: one request, or several in turn, as many as the
//! URLs and the bodies make.

use core::num::NonZeroU32;

use anyhow::{Context, Error, Result, anyhow};
use pummel_engine::plan::{Asking, STEPS_MAX, Scenario, Step, Work};

use super::feeds::Feeds;
use super::request::{self, Body, Common};
use super::roam::{Gathered, Refusal};
use super::scenario::{Meaning, Scope, Variables};
use super::servers::Servers;
use super::settings::epoch;
use super::target::TargetUrl;
use super::urls::{Aim, Place, Urls};
use crate::args::Quoted;

/// What was typed.
pub(super) struct Asked {
    pub(super) work: Work,
    /// The feeds, and which of them it has values of.
    pub(super) feeds: Feeds,
    /// Where its requests lead, by the numbers of the servers, as far as that is known.
    pub(super) servers: Vec<TargetUrl>,
    /// What the user should know of it.
    pub(super) remark: Option<String>,
}

/// What was typed, to which values come from `feeds`.
///
/// # Errors
/// What makes no sense.
pub(super) fn work(common: &Common<'_>, urls: &Urls, feeds: Feeds) -> Result<Asked, Refusal> {
    let (mut variables, scope) = (Variables::new(feeds), Scope::default());
    let mut meaning = Meaning { variables: &mut variables, scope: &scope };
    let bodies = common.body.bodies(&mut meaning)?;
    let (places, of_bodies) = (urls.places.len(), bodies.len());
    let count = round(places, of_bodies);
    if count > STEPS_MAX {
        return Err(Refusal::Reason(anyhow!(
            "{places} URLs and {of_bodies} bodies of --data-lines, both in turn, make {count} \
             requests, and a run has {STEPS_MAX} at most; give as many of one as of the other"
        )));
    }
    let pairs = urls.places.iter().cycle().zip(bodies.iter().cycle()).take(count);
    let requests =
        pairs.map(|(place, body)| asking(common, (urls, place), body.as_ref(), &mut meaning));
    let requests: Vec<Asking> = requests.collect::<Result<_>>()?;
    let (variables, feeds) = variables.into_parts();
    let mut servers = Servers::default();
    urls.servers.iter().try_for_each(|server| servers.number(server).map(drop))?;
    let mut gathered = Gathered::default();
    for url in requests.iter().filter_map(|asking| asking.url.as_ref()) {
        gathered.add(&url.base, (&variables, &feeds), &mut servers)?;
    }
    let servers = servers.into_all();
    let scenario = |step| {
        let (name, weight) = (String::new(), NonZeroU32::MIN);
        Scenario { name, weight, steps: vec![step] }
    };
    let steps = (0..).take(count).map(Step::Request);
    let work = Work::new(requests, steps.map(scenario).collect()).map_err(Error::new)?;
    let work = if count == 1 { work } else { work.in_turn() };
    let work = work.with_variables(variables, epoch()).map_err(Error::new)?;
    let remark = (count > 1).then(|| remark((places, servers.len()), of_bodies));
    Ok(Asked { work, feeds, servers, remark })
}

/// The request for what stands at a place, with this body.
fn asking(
    common: &Common<'_>,
    (urls, place): (&Urls, &Place),
    body: Option<&Body>,
    meaning: &mut Meaning<'_>,
) -> Result<Asking> {
    let args = common.args;
    let typed = args.target.any().filter(|_| !args.target.urls_from_file);
    let target = |template: &str| format!("target {}", Quoted(typed.unwrap_or(template)));
    let (origin, aim, path, url) = match place {
        Place::At(origin, path) => {
            let server = urls.servers.get(usize::from(*origin)).context("no server")?;
            // A path without values was looked at with its URL.
            let text = if path.contains("{{") {
                meaning.path(path).with_context(|| target(path))?
            } else {
                path.into()
            };
            (*origin, Aim::At(server.clone()), text, None)
        }
        Place::Made(made) => {
            let (path, url) = made.place(meaning).with_context(|| target(&made.to_string()))?;
            (0, Aim::Made(made.clone()), path, Some(url))
        }
    };
    let mut request = request::build(args, (&aim, path), body, meaning)?;
    if let Some(signer) = &common.signer {
        request = signer.sign(request, meaning.variables)?;
    }
    // Those of one name are one to the report.
    let name = match &aim {
        _ if !urls.are_apart => String::new(),
        Aim::At(server) => server.origin(),
        Aim::Made(made) => made.to_string(),
    };
    let asking = Asking::new(name, request, common.expected.clone());
    Ok(Asking { origin, url, redirects: common.redirects, ..asking })
}

/// The least number of requests in which `paths` and `bodies` come round together.
fn round(paths: usize, bodies: usize) -> usize {
    let (mut divisor, mut rest) = (paths, bodies);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (paths / divisor.max(1)).saturating_mul(bodies)
}

fn remark((paths, hosts): (usize, usize), bodies: usize) -> String {
    let of = if hosts > 1 { format!(" of {hosts} hosts") } else { String::new() };
    match (paths, bodies) {
        (paths, 1) => format!("{paths} URLs{of} are asked for in turn"),
        (1, bodies) => format!("{bodies} bodies are sent in turn"),
        (paths, bodies) => {
            format!("{paths} URLs{of} are asked for in turn, and {bodies} bodies are sent in turn")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::words;
    use crate::config::urls;
    use pummel_engine::plan::Order;
    use std::fs;

    /// The work of this line, in which `URLS` and `BODIES` are files of these texts.
    fn work_of(line: &str, texts: [&str; 2]) -> Result<Work, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (name, text) in ["URLS", "BODIES"].into_iter().zip(texts) {
            fs::write(path(name), text).unwrap();
        }
        let line = line.replace("URLS", &path("URLS")).replace("BODIES", &path("BODIES"));
        let args = words(&line).run;
        let common = Common::understand(&args).unwrap();
        let urls = urls::understand(&args).unwrap();
        let work = work(&common, &urls, Feeds::default());
        work.map(|asked| asked.work).map_err(|refusal| match refusal {
            Refusal::Reason(error) => format!("{error:#}"),
            Refusal::Row(fault) => panic!("{fault:?}"),
        })
    }

    /// Method, path and body of each request, in the order of the scenarios.
    fn asked(line: &str, texts: [&str; 2]) -> Vec<String> {
        let work = work_of(line, texts).unwrap();
        assert!(work.order() == Order::InTurn && work.rows().is_empty());
        asked_of(&work)
    }

    /// The same of this work, with values that are empty.
    fn asked_of(work: &Work) -> Vec<String> {
        let of = |scenario: &Scenario| {
            let [Step::Request(index)] = scenario.steps[..] else { panic!("one step") };
            let text = work.requests()[usize::from(index)].request.render_h1();
            let text = String::from_utf8(text).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            format!("{} {body}", head.split_once(" HTTP/").unwrap().0)
        };
        work.scenarios().iter().map(of).collect()
    }

    #[test]
    fn urls_and_bodies_are_paired_until_both_come_round_together() {
        let urls = "h/1\nh/2\nh/3\n";
        assert_eq!(asked("p URLS --urls-from-file", [urls, ""]), ["GET /1 ", "GET /2 ", "GET /3 "]);
        assert_eq!(asked("p h -Z BODIES", ["", "a\n\nb\r\n"]), ["POST / a", "POST / ", "POST / b"]);
        assert_eq!(
            asked("p URLS --urls-from-file -X put -Z BODIES", ["h/1\nh/2", "a\nb\nc"]),
            ["PUT /1 a", "PUT /2 b", "PUT /1 c", "PUT /2 a", "PUT /1 b", "PUT /2 c"]
        );
        assert_eq!(
            asked("p URLS --urls-from-file -d x", ["h/1\nh/2", ""]),
            ["POST /1 x", "POST /2 x"]
        );
        assert_eq!((round(4, 6), round(1, 1), round(5, 5), round(7, 1)), (12, 1, 5, 7));
    }

    #[test]
    fn values_are_made_for_what_was_typed_and_a_request_without_any_is_constant() {
        let work = work_of("p h/{a}?{b} -H a:{b} -d {}", ["", ""]).unwrap();
        let request = &work.first().unwrap().request;
        assert!(work.is_single() && work.variables().is_empty() && request.is_constant());
        assert_eq!(asked_of(&work), ["POST /{a}?{b} {}"]);
        let line = "p h/{{seq}}/{{step}} -H a:{{uuid}} -d {{seq}}{{raw('{{')}}x";
        let work = work_of(line, ["", ""]).unwrap();
        assert!(!work.first().unwrap().request.is_constant());
        let names: Vec<_> = work.variables().iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["seq", "uuid"]);
        assert_eq!(asked_of(&work), ["POST //1 {{x"]);
        let work = work_of("p URLS --urls-from-file", ["h/{{seq}}\nh/a", ""]).unwrap();
        assert_eq!(asked_of(&work), ["GET / ", "GET /a "]);
        assert_eq!(work.variables().len(), 1);
    }

    #[test]
    fn a_value_that_is_none_is_named_with_where_it_was_typed() {
        for (line, said) in [
            ("p h/{{usr}}", "target \"h/{{usr}}\": {{usr}} is unknown; write a value like {{seq"),
            ("p h -d {{seqq}}", "--data: {{seqq}} is unknown; did you mean seq?"),
            ("p h -H a:{{seq", "header \"a:{{seq\": \"{{seq\" has no }} behind it"),
            ("p h -A {{x}}", "--accept \"{{x}}\": {{x}} is unknown; write a value like {{seq}}"),
            ("p h -F a={{x}}", "--form \"a={{x}}\": {{x}} is unknown; write a value like {{seq}}"),
            ("p h -F a=@{{seq}}", "--form: \"a=@{{seq}}\" has a file that varies"),
        ] {
            let found = work_of(line, ["", ""]).unwrap_err();
            assert!(found.starts_with(said), "{found}\nexpected {said}");
        }
    }

    #[test]
    fn one_of_several_is_as_good_as_one() {
        let work = work_of("p URLS --urls-from-file -Z BODIES", ["h/1", "a\n"]).unwrap();
        assert!(work.is_single() && work.method() == Some("POST"));
    }

    #[test]
    fn pairs_beyond_what_a_run_can_have_are_refused_with_their_numbers() {
        let urls: String =
            (0..401).flat_map(|n| ["h/".to_owned(), n.to_string(), "\n".to_owned()]).collect();
        let bodies = "x\n".repeat(400);
        let said = work_of("p URLS --urls-from-file -Z BODIES", [&urls, &bodies]).unwrap_err();
        assert_eq!(
            said,
            "401 URLs and 400 bodies of --data-lines, both in turn, make 160400 requests, and a \
             run has 65535 at most; give as many of one as of the other"
        );
    }
}
