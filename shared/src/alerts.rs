//! The client for whoever is told of alarms: an incoming webhook, as Slack, Mattermost, Google Chat and others have it.

use std::time::Duration;

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::config::{AlertConfig, Secret};
use crate::domain::Alarm;
use crate::network::{self, Network};

/// In characters; chats cut longer messages off, or refuse them.
const LONGEST_REASON: usize = 2_000;

/// Why nobody was told. Never holds the address, which is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// No answer, or none in time.
    #[error("{0}")]
    Unavailable(&'static str),
    /// An answer, but not that it was taken.
    #[error("status {0}")]
    Refused(u16),
}

impl AlertError {
    /// Whether the address may not hold any more: another one could have taken its place.
    fn is_of_the_address(&self) -> bool {
        let gone = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::GONE];
        matches!(self, Self::Refused(status) if gone.iter().any(|gone| gone.as_u16() == *status))
    }
}

/// The client; cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    network: Network,
    url: Secret,
    attempt_timeout: Duration,
}

/// Chats read `text`; the rest is for programs.
#[derive(Serialize)]
struct Alert<'a> {
    text: &'a str,
    alarm: &'a str,
    description: Option<&'a str>,
    state: Option<&'a str>,
    reason: &'a str,
    at: &'a str,
    environment: &'a str,
}

impl Alerts {
    /// Makes the client, without calling anybody.
    #[must_use]
    pub fn new(config: AlertConfig, network: &Network) -> Self {
        let AlertConfig { url, attempt_timeout } = config;
        Self { network: network.clone(), url, attempt_timeout }
    }

    /// Tells of `alarm`, in one attempt that ends at the deadline or sooner, and in another if the address was refused and
    /// has been replaced.
    ///
    /// # Errors
    /// See [`AlertError`].
    pub async fn tell(&self, environment: &str, alarm: &Alarm, deadline: Instant) -> Result<(), AlertError> {
        let reason: String = alarm.reason.chars().take(LONGEST_REASON).collect();
        let text = text_of(environment, alarm, &reason);
        let alert = Alert {
            text: &text,
            alarm: &alarm.name,
            description: alarm.description.as_deref(),
            state: alarm.state.as_deref(),
            reason: &reason,
            at: &alarm.at,
            environment,
        };
        let attempt = async |url| self.attempt(url, &alert, deadline).await;
        self.url.try_with(attempt, AlertError::is_of_the_address).await
    }

    async fn attempt(
        &self,
        url: std::sync::Arc<SecretString>,
        alert: &Alert<'_>,
        deadline: Instant,
    ) -> Result<(), AlertError> {
        let client =
            self.network.client().map_err(|_| AlertError::Unavailable("the TLS library cannot be set up"))?;
        let request = client.post(url.expose_secret()).json(alert).send();
        let limit = deadline.min(Instant::now() + self.attempt_timeout);
        let response = timeout_at(limit, request)
            .await
            .map_err(|_| AlertError::Unavailable("no answer in time"))?
            .map_err(|error| AlertError::Unavailable(network::failure_of(&error)))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(AlertError::Refused(status.as_u16())) }
    }
}

fn text_of(environment: &str, alarm: &Alarm, reason: &str) -> String {
    let state = alarm.state.as_deref().map(|state| format!("{state}: ")).unwrap_or_default();
    let first = format!("[{environment}] {state}{}", alarm.name);
    let lines = [Some(first.as_str()), alarm.description.as_deref(), Some(reason)];
    lines.into_iter().flatten().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm() -> Alarm {
        Alarm {
            name: "kitloop-staging-errors".to_owned(),
            description: Some("Too many requests fail.".to_owned()),
            state: Some("ALARM".to_owned()),
            reason: "5.0 was greater than the threshold.".to_owned(),
            at: "2026-11-21T12:00:00Z".to_owned(),
        }
    }

    #[test]
    fn the_text_says_where_what_and_why_on_lines_of_their_own() {
        let expected = "[staging] ALARM: kitloop-staging-errors\nToo many requests fail.\n\
                        5.0 was greater than the threshold.";
        assert_eq!(text_of("staging", &alarm(), &alarm().reason), expected);
        let message = Alarm { state: None, description: None, name: "Hello".to_owned(), ..alarm() };
        assert_eq!(text_of("staging", &message, "there"), "[staging] Hello\nthere");
    }

    #[tokio::test]
    async fn an_attempt_ends_long_before_the_invocation() {
        let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", hanging.local_addr().unwrap());
        let config = AlertConfig { url: url.into(), attempt_timeout: Duration::from_millis(50) };
        let alerts = Alerts::new(config, &Network::default());
        let (started, minutes) = (Instant::now(), Duration::from_secs(600));
        let told = alerts.tell("staging", &alarm(), started + minutes).await;
        assert_eq!(told, Err(AlertError::Unavailable("no answer in time")));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }

    #[test]
    fn only_a_refusal_of_the_address_asks_for_another_one() {
        assert!(AlertError::Refused(404).is_of_the_address());
        assert!(!AlertError::Refused(500).is_of_the_address());
        assert!(!AlertError::Unavailable("no connection").is_of_the_address());
    }
}
