//! The wall clock, and durations in the unit of our logs.

use std::time::Duration;

use jiff::Timestamp;

/// What time it is. What stock, state or money depend on is decided by the database's clock instead.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Whole milliseconds, saturating.
#[must_use]
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
