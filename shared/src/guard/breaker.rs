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
    pub(super) fn is_closed(&self) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_none_or(|failed_at| failed_at.elapsed() >= OPEN_FOR)
    }

    pub(super) fn open(&self) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_table_is_left_alone_for_a_moment() {
        let breaker = Breaker::default();
        assert!(breaker.is_closed());
        breaker.open();
        assert!(!breaker.is_closed());
        tokio::time::advance(OPEN_FOR).await;
        assert!(breaker.is_closed());
    }
}
