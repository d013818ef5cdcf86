//! The one place where the benches read the time.

use std::time::Instant;

/// Returns the present moment of the monotonic clock. Costs one vDSO call.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the benches run beside the engine, not in it")]
pub fn now() -> Instant {
    Instant::now()
}
