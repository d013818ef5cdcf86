//! WHEN: the intended start of every slot, as pure arithmetic on the plan.
//!
//! It depends on the slot's number and the plan alone, never on responses, so that a stalled target
//! cannot slow the schedule and hide its stall (coordinated omission). Source: docs/MEASUREMENT.md,
//! "Open loop".

mod constant;

pub use constant::Constant;
