//! Remembers for a moment that the table failed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the table is left alone after a failure.
const OPEN_FOR: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failed_at: Mutex<Option<Instant>>,
}

impl Breaker {
    pub(super) fn is_closed(&self, now: Instant) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_none_or(|failed_at| now.saturating_duration_since(failed_at) >= OPEN_FOR)
    }

    pub(super) fn open(&self, now: Instant) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_the_table_is_left_alone_for_a_moment() {
        let breaker = Breaker::default();
        let now = Instant::now();
        assert!(breaker.is_closed(now));
        breaker.open(now);
        assert!(!breaker.is_closed(now + Duration::from_secs(4)));
        assert!(breaker.is_closed(now + OPEN_FOR));
    }
}
