//! HOW SURE: what a series of measurements says, and how far it can be trusted.
//!
//! Pure functions on slices and small values: no clock, no input or output, no knowledge of a plan
//! or of a histogram. The caller reads the numbers from its records and asks here.
//!
//! | file | question |
//! |---|---|
//! | [`order`] | between which ranks does a quantile lie, and how many samples does it need? |
//! | [`sections`] | how wide is that interval when neighbouring requests resemble each other? |
//! | [`mser`] | where does the warm-up end? |
//! | [`trend`] | does the backlog grow, that is, is the target overloaded? |
//! | [`arrivals`] | did requests start as a Poisson process would have them? |
//! | [`windows`] | which ten seconds were the worst? |
//!
//! All intervals and tests are for 95 % unless they say otherwise. What cannot be answered (too few
//! values, one that is not a number) is `None` or `Unknown`, never a guess.

pub mod arrivals;
pub mod mser;
pub mod order;
pub mod sections;
#[cfg(test)]
mod seeded;
pub mod trend;
pub mod windows;

/// Two-sided 95 % point of the normal distribution, to the digits that the field uses.
const Z: f64 = 1.96;

/// A count as a real number.
#[expect(clippy::cast_precision_loss, reason = "exact to 2⁵³, which no run's counts reach")]
const fn real(count: u64) -> f64 {
    count as f64
}

/// A length as a real number.
const fn length(of: usize) -> f64 {
    real(of as u64)
}

/// A non-negative real number without its fraction; what is larger than any count is the largest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates at both ends, and callers bound the result"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}
