//! Errors, reported to Sentry in the background. An answer never waits longer for that than [`flush`] is told; what is not
//! sent by then goes on during the next invocation.

mod awake;
mod courier;
mod envelope;
mod limits;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use self::courier::Courier;
use crate::config::SentryConfig;
use crate::network::Network;
use crate::telemetry::panics;

/// How many reports may wait. Whoever fails so often fails for few reasons.
const QUEUE_LENGTH: usize = 32;

static REPORTER: OnceLock<Reporter> = OnceLock::new();

struct Reporter {
    queue: mpsc::Sender<Vec<u8>>,
    /// How many reports are neither sent nor dropped.
    pending: watch::Sender<usize>,
    dropped: AtomicU64,
}

/// Reports every error from now on. The first call counts.
pub fn start(config: SentryConfig, network: &Network) {
    let (reporter, reports) = Reporter::new();
    if REPORTER.set(reporter).is_ok()
        && let Some(reporter) = REPORTER.get()
    {
        tokio::spawn(Courier::new(config, network.clone()).work(reports, reporter));
    }
}

/// Waits until everything is reported, at most so long, and says how much was given up since the last time.
pub async fn flush(limit: Duration) {
    let Some(reporter) = REPORTER.get() else { return };
    let mut pending = reporter.pending.subscribe();
    // Both ends of the wait are fine.
    let _ = timeout(limit, pending.wait_for(|count| *count == 0)).await;
    let count = reporter.dropped.swap(0, Ordering::Relaxed);
    if count > 0 {
        tracing::warn!(count, "sentry.dropped");
    }
}

/// Reports a line at the level of errors, by its fields; a panic only once, by the line that says where it was.
pub(super) fn report(target: &str, fields: &Map<String, Value>) {
    if let Some(reporter) = REPORTER.get() {
        reporter.report(target, fields);
    }
}

impl Reporter {
    fn new() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (queue, reports) = mpsc::channel(QUEUE_LENGTH);
        (Self { queue, pending: watch::Sender::new(0), dropped: AtomicU64::new(0) }, reports)
    }

    fn report(&self, target: &str, fields: &Map<String, Value>) {
        if !fields.contains_key(panics::PANICKED) {
            self.enqueue(envelope::envelope(target, fields));
        }
    }

    fn enqueue(&self, envelope: Vec<u8>) {
        self.pending.send_modify(|count| *count = count.saturating_add(1));
        if self.queue.try_send(envelope).is_err() {
            self.drop_one();
        }
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.end_one();
    }

    fn end_one(&self) {
        self.pending.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_panic_that_was_caught_is_reported_once() {
        let (reporter, _reports) = Reporter::new();
        for line in [
            json!({"message": "panic", "location": "shared/src/clock.rs:3:9"}),
            json!({"message": "request.answered", "error": "internal: panic", "panicked": true}),
        ] {
            reporter.report("kitloop", line.as_object().unwrap());
        }
        assert_eq!(*reporter.pending.borrow(), 1);
    }

    #[test]
    fn what_the_queue_has_no_room_for_is_dropped_and_counted() {
        let (reporter, _reports) = Reporter::new();
        for _ in 0..QUEUE_LENGTH + 2 {
            reporter.enqueue(Vec::new());
        }
        assert_eq!(reporter.dropped.load(Ordering::Relaxed), 2);
        assert_eq!(*reporter.pending.borrow(), QUEUE_LENGTH);
    }
}
