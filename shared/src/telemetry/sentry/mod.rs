//! Errors, reported to Sentry in the background. An answer never waits longer for that than [`flush`] is told; what is not
//! sent by then goes on during the next invocation.

mod envelope;
mod limits;
mod scrub;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use crate::config::SentryConfig;
use crate::network::{self, Network};

/// How many reports may wait. Whoever fails so often fails for few reasons.
const QUEUE_LENGTH: usize = 32;
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long Sentry is left alone after it failed: else every failure of ours would wait for it.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// The answers are an id, or say in a sentence what is wrong.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024;
const CLIENT: &str = concat!("kitloop/", env!("CARGO_PKG_VERSION"));

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
        let courier = Courier { config, network: network.clone(), silent_until: Instant::now() };
        tokio::spawn(courier.work(reports, reporter));
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

/// Reports a line at the level of errors, by its fields.
pub(super) fn report(target: &str, fields: &Map<String, Value>) {
    if let Some(reporter) = REPORTER.get() {
        reporter.enqueue(envelope::envelope(target, fields));
    }
}

impl Reporter {
    fn new() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (queue, reports) = mpsc::channel(QUEUE_LENGTH);
        (Self { queue, pending: watch::Sender::new(0), dropped: AtomicU64::new(0) }, reports)
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

/// Takes reports to Sentry, one after the other.
struct Courier {
    config: SentryConfig,
    network: Network,
    silent_until: Instant,
}

impl Courier {
    async fn work(mut self, mut reports: mpsc::Receiver<Vec<u8>>, reporter: &Reporter) {
        while let Some(envelope) = reports.recv().await {
            if Instant::now() < self.silent_until {
                reporter.drop_one();
                continue;
            }
            let sent = timeout(ATTEMPT_TIMEOUT, self.send(envelope)).await;
            match sent.unwrap_or(Err("no answer in time".to_owned())) {
                Ok(None) => reporter.end_one(),
                Ok(Some(pause)) => {
                    self.silent_until = Instant::now() + pause;
                    reporter.end_one();
                }
                Err(reason) => {
                    // Not an error, which would be reported.
                    tracing::warn!(reason, "sentry.unavailable");
                    self.silent_until = self.silent_until.max(Instant::now() + PAUSE_AFTER_FAILURE);
                    reporter.drop_one();
                }
            }
        }
    }

    /// Sends one report; returns for how long no other must follow.
    async fn send(&mut self, envelope: Vec<u8>) -> Result<Option<Duration>, String> {
        let SentryConfig { endpoint, public_key } = &self.config;
        let credentials = format!("Sentry sentry_version=7, sentry_key={public_key}, sentry_client={CLIENT}");
        let request = self
            .network
            .client()?
            .post(endpoint)
            .header("X-Sentry-Auth", credentials)
            .header("User-Agent", CLIENT)
            .header("Content-Type", "application/x-sentry-envelope")
            .body(envelope);
        let answer = request.send().await.map_err(|error| network::failure_of(&error).to_owned())?;
        let status = answer.status();
        let pause = limits::asked_pause(status, answer.headers());
        // Read to its end, so that the connection can be used again.
        let _ = network::read_body(answer, LARGEST_ANSWER_BYTES).await;
        if status.is_success() {
            return Ok(pause);
        }
        self.silent_until = Instant::now() + pause.unwrap_or_default();
        Err(format!("status {}", status.as_u16()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
