//! The way of a report to Sentry, also through a sandbox that is frozen on the way.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::awake::{Attempt, while_awake};
use super::{Reporter, limits};
use crate::config::SentryConfig;
use crate::network::{self, Network};

/// How long one attempt may take, not counting the time that the sandbox was frozen.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long Sentry is left alone after it failed: else every failure of ours would wait for it.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How often a report that gets no answer is sent. The first connection may have died while the sandbox was frozen.
const CHANCES: u32 = 2;
/// How often a report is sent at most, if freezes keep coming between.
const MOST_ATTEMPTS: u32 = 6;
/// The answers are an id, or say in a sentence what is wrong.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024;
const CLIENT: &str = concat!("kitloop/", env!("CARGO_PKG_VERSION"));

/// Takes reports to Sentry, one after the other.
pub(super) struct Courier {
    config: SentryConfig,
    network: Network,
    silent_until: Instant,
}

/// Why a report did not arrive.
enum Failure {
    /// Sentry did not take it, and would not another time.
    Refused(String),
    /// There was no answer.
    NoAnswer(String),
}

impl Courier {
    pub(super) fn new(config: SentryConfig, network: Network) -> Self {
        Self { config, network, silent_until: Instant::now() }
    }

    pub(super) async fn work(mut self, mut reports: mpsc::Receiver<Vec<u8>>, reporter: &Reporter) {
        while let Some(envelope) = reports.recv().await {
            if self.deliver(&envelope).await {
                reporter.end_one();
            } else {
                reporter.drop_one();
            }
        }
    }

    /// Whether Sentry has the report. An attempt that was under way while the sandbox was frozen says nothing of Sentry:
    /// it is made again.
    async fn deliver(&mut self, envelope: &[u8]) -> bool {
        let mut chances = CHANCES;
        for _ in 0..MOST_ATTEMPTS {
            // Also between attempts: Sentry may have asked for silence in an answer that broke off.
            if Instant::now() < self.silent_until {
                return false;
            }
            let Attempt { output, froze } = while_awake(ATTEMPT_TIMEOUT, self.send(envelope.to_vec())).await;
            let no_answer = || Err(Failure::NoAnswer("no answer in time".to_owned()));
            let failure = match output.unwrap_or_else(no_answer) {
                Ok(()) => return true,
                Err(failure) => failure,
            };
            chances = if froze { chances } else { chances.saturating_sub(1) };
            match failure {
                Failure::NoAnswer(_) if chances > 0 => {}
                Failure::NoAnswer(reason) | Failure::Refused(reason) => {
                    // Not an error, which would be reported.
                    tracing::warn!(reason, "sentry.unavailable");
                    self.silent_until = self.silent_until.max(Instant::now() + PAUSE_AFTER_FAILURE);
                    return false;
                }
            }
        }
        false
    }

    /// Sends one report, and notes for how long no other must follow.
    async fn send(&mut self, envelope: Vec<u8>) -> Result<(), Failure> {
        let SentryConfig { endpoint, public_key } = &self.config;
        let credentials = format!("Sentry sentry_version=7, sentry_key={public_key}, sentry_client={CLIENT}");
        let request = self
            .network
            .client()
            .map_err(Failure::Refused)?
            .post(endpoint)
            .header("X-Sentry-Auth", credentials)
            .header("User-Agent", CLIENT)
            .header("Content-Type", "application/x-sentry-envelope")
            .body(envelope);
        let no_answer = |error| Failure::NoAnswer(network::failure_of(&error).to_owned());
        let answer = request.send().await.map_err(no_answer)?;
        let status = answer.status();
        // Before the body, which may never come.
        if let Some(pause) = limits::asked_pause(status, answer.headers()) {
            self.silent_until = self.silent_until.max(Instant::now() + pause);
        }
        // Read to its end, so that the connection can be used again.
        let _ = network::read_body(answer, LARGEST_ANSWER_BYTES).await;
        if status.is_success() {
            Ok(())
        } else {
            Err(Failure::Refused(format!("status {}", status.as_u16())))
        }
    }
}
