//! Scenarios that a try left out, since a feed had no row for them.

use pummel_engine::plan::{Step, Work};
use pummel_engine::report::Report;

/// What is said of the first scenario of a try that made no request, if there is one. Of a try that
/// came to its end: whatever way it takes, a scenario that has its row makes one.
pub(super) fn of(report: &Report) -> Option<String> {
    let own = report.exchanges.iter().filter(|exchange| !exchange.is_redirected);
    first(&report.plan.work, own.map(|exchange| exchange.request))
}

/// The same, where these requests were made.
fn first(work: &Work, made: impl Iterator<Item = u16>) -> Option<String> {
    let mut is_made = vec![false; work.requests().len()];
    made.for_each(|request| {
        if let Some(is_made) = is_made.get_mut(usize::from(request)) {
            *is_made = true;
        }
    });
    let request = |step: &Step| match step {
        Step::Request(request) => Some(usize::from(*request)),
        _ => None,
    };
    let made = |request: usize| is_made.get(request) == Some(&true);
    let mut all = work.scenarios().iter();
    let untried = all.find(|one| !one.steps.iter().filter_map(request).any(made))?;
    let begins = untried.steps.iter().find_map(request);
    let begins = begins.and_then(|begins| work.requests().get(begins));
    let said = match (untried.name.as_str(), begins) {
        ("", Some(begins)) => format!("the scenario that begins with {}", begins.name),
        (name, _) => format!("scenario {name}"),
    };
    Some(format!("a feed has no row for {said}"))
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use pummel_engine::plan::{Asking, ExpectedStatus, Scenario};
    use pummel_proto_http::Request;

    use super::*;

    #[test]
    fn a_scenario_is_tried_if_any_of_its_own_requests_was_made() {
        let requests = ["r0", "r1", "r2", "r3"].map(|name| {
            let request = Request::builder("GET", "h", "/").unwrap().build();
            Asking::new(name.to_owned(), request, ExpectedStatus::default())
        });
        let scenarios = [("a", 0..2), ("b", 2..3), ("", 3..4)].map(|(name, requests)| {
            let (name, weight) = (name.to_owned(), NonZeroU32::MIN);
            Scenario { name, weight, steps: requests.map(Step::Request).collect() }
        });
        let work = Work::new(requests.to_vec(), scenarios.to_vec()).unwrap();
        for (made, expected) in [
            (&[0, 1, 2, 3][..], None),
            (&[0, 2, 3], None),
            // As many requests as there are scenarios.
            (&[0, 1, 3], Some("a feed has no row for scenario b")),
            (&[0, 1, 2], Some("a feed has no row for the scenario that begins with r3")),
            (&[], Some("a feed has no row for scenario a")),
        ] {
            let said = first(&work, made.iter().copied());
            assert_eq!(said.as_deref(), expected, "{made:?}");
        }
    }
}
