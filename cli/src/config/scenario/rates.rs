//! Rates of scenarios and targets: the run has their sum, and each of them its share of it.

use core::num::NonZeroU32;

use pummel_engine::units::{Nanos, Rate};

use super::{Part, scenarios};
use crate::config::file::{Fault, Node};
use crate::config::rate;

/// The finest period that is common to rates which have no exact one.
const PERIOD: u64 = 1_000_000_000_000_000_000;

/// The rates of all scenarios or targets of a file.
#[derive(Debug)]
pub(in crate::config) struct Rates {
    pub(in crate::config) sum: Rate,
    /// The share of each, in their order.
    pub(super) weights: Vec<NonZeroU32>,
}

/// The rates that a file gives its scenarios or targets; `None` if it gives them none.
///
/// # Errors
/// If only some have one, or one makes no sense.
pub(in crate::config) fn rates(root: &Node) -> Result<Option<Rates>, Fault> {
    let targets = Part(root).get("targets")?.map(Node::list).transpose()?.unwrap_or_default();
    let mut all: Vec<(&Node, Rate)> = Vec::new();
    let mut without = None;
    for part in scenarios(root)?.into_iter().chain(targets.iter().map(Part)) {
        let Some(node) = part.get("rate")? else {
            without = without.or(Some(part.0));
            continue;
        };
        if let Some(weight) = part.get("weight")? {
            let said = "and rate do not go together; a rate says how often it begins";
            return Err(weight.fault(said));
        }
        let parsed = rate::parse(&node.rate()?).map_err(|reason| node.because(&reason))?;
        all.push((node, parsed));
    }
    match (all.last(), without) {
        (None, _) => Ok(None),
        (Some(_), Some(part)) => {
            Err(part.fault("has no rate, and others have; give each of them one, or none"))
        }
        (Some(&(last, _)), None) => {
            let rates: Vec<Rate> = all.iter().map(|&(_, rate)| rate).collect();
            let sum = sum(&rates).ok_or_else(|| {
                let most = Rate::MAX_PER_SECOND;
                last.fault(&format!("makes the sum of all more than {most} per second; give less"))
            });
            Ok(Some(Rates { sum: sum?, weights: weights(&rates) }))
        }
    }
}

/// The rates as counts in one period of nanoseconds: exactly, unless that were too long.
fn counts(rates: &[Rate]) -> (Vec<u128>, u64) {
    let common = rates.iter().try_fold(1_u64, |all, rate| {
        let period = rate.period().get();
        let factor = u128::from(period) / rate::gcd(all.into(), period.into());
        all.checked_mul(u64::try_from(factor).ok()?)
    });
    let period = common.unwrap_or(PERIOD);
    let count = |rate: &Rate| {
        let [count, own] = [rate.count(), rate.period()].map(|n| u128::from(n.get()));
        // Of 64 bits each; what is rounded is less than one in the finest period.
        ((count * u128::from(period) + own / 2) / own).max(1)
    };
    (rates.iter().map(count).collect(), period)
}

/// All of them together, if that is no more than a rate can be.
fn sum(rates: &[Rate]) -> Option<Rate> {
    let (counts, period) = counts(rates);
    let sum: u128 = counts.iter().sum();
    let common = rate::gcd(sum, period.into());
    let period = u64::try_from(u128::from(period) / common).ok()?;
    Rate::new(u64::try_from(sum / common).ok()?, Nanos::new(period))
}

/// Their shares: exactly, if 32 bits hold them.
fn weights(rates: &[Rate]) -> Vec<NonZeroU32> {
    let (counts, _) = counts(rates);
    let common = counts.iter().copied().fold(0, rate::gcd);
    let most = counts.iter().max().map_or(1, |most| most / common);
    let scale = most.div_ceil(u128::from(u32::MAX));
    let weights = counts.into_iter().map(|count| {
        let weight = u32::try_from(count / common / scale).unwrap_or(u32::MAX);
        NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN)
    });
    weights.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> (f64, Vec<u32>) {
        let rates: Vec<Rate> = texts.iter().map(|text| rate::parse(text).unwrap()).collect();
        let weights = weights(&rates).into_iter().map(NonZeroU32::get).collect();
        (sum(&rates).unwrap().per_second(), weights)
    }

    #[test]
    fn rates_are_added_exactly_and_their_shares_are_in_lowest_terms() {
        assert_eq!(of(&["100"]), (100.0, vec![1]));
        assert_eq!(of(&["100", "50", "300"]), (450.0, vec![2, 1, 6]));
        assert_eq!(of(&["0.1", "10k"]), (10_000.1, vec![1, 100_000]));
        assert_eq!(of(&["7/h", "1/m", "2"]), (2.0 + 1.0 / 60.0 + 7.0 / 3600.0, vec![7, 60, 7200]));
        assert_eq!(of(&["1/h", "900M"]).1, [1, 4_291_390_728]);
    }

    #[test]
    fn what_has_no_common_period_is_rounded_in_the_finest() {
        let (sum, weights) = of(&["0.3333333333", "7/h", "1"]);
        assert!((sum - (4.0 / 3.0 + 7.0 / 3600.0)).abs() < 1e-9, "{sum}");
        let share = |n: usize| f64::from(weights[n]) / f64::from(weights[2]);
        assert!((share(0) - 1.0 / 3.0).abs() < 1e-8 && (share(1) - 7.0 / 3600.0).abs() < 1e-8);
    }

    #[test]
    fn a_sum_that_is_too_high_is_none() {
        let rate = |text: &str| rate::parse(text).unwrap();
        assert!(sum(&[rate("600M"), rate("400M")]).is_some());
        assert!(sum(&[rate("600M"), rate("401M")]).is_none());
    }
}
