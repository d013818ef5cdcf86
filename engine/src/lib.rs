//! The load engine of pummel: a plan in, events and a report out.
