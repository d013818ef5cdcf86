//! Wall time, read here and nowhere else: for dates in reports, and values that tell the time.

use std::time::SystemTime;

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
