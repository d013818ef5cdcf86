//! What the benches share: the target, and the arguments and result of a bare request loop.
//!
//! A bare loop is a program that does one thing, answer after answer, and reports one line of
//! JSON: the floor below any load generator (`floor`), and the same loop on other runtimes
//! (`runtimes`). Reading them side by side shows what our own engine costs.

pub mod bare_loop;
pub mod clock;
#[cfg(feature = "runtimes")]
pub mod exchange;
pub mod target;
