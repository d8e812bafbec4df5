//! The client for Resend: one attempt to send one message. Trying again is the job queue's business.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::message::Message;
use crate::clock::milliseconds;
use crate::config::{EmailConfig, Secret};
use crate::domain::Notification;
use crate::error::Error;
use crate::network::{self, Network};
use crate::telemetry::meter;

/// The answers are an id or an error, a few hundred bytes.
const LARGEST_ANSWER_BYTES: usize = 64 * 1024;
/// Requests that do not name themselves are turned away: <https://resend.com/docs/api-reference/introduction#user-agent>.
const USER_AGENT: &str = concat!("kitloop/", env!("CARGO_PKG_VERSION"));
/// No name of an error is longer.
const LONGEST_NAME: usize = 64;

/// Why a message was not sent. Never holds an address, the key, or what Resend wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// No answer, none in time, a failure on Resend's side, or too many messages: worth another try with the same
    /// idempotency key.
    #[error("{reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// The key, or the sender's domain, does not hold; both are for us to mend: worth another try as well.
    #[error("status {status}")]
    KeyRefused {
        /// The HTTP status, 401 or 403.
        status: u16,
    },
    /// Resend understood the request and refused it for good: <https://resend.com/docs/api-reference/errors>.
    ///
    /// `invalid_idempotent_request` means that another message went out under this idempotency key.
    #[error("status {status}, {name}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Resend's name of the error, such as `validation_error`.
        name: String,
    },
}

impl EmailError {
    const fn is_bad_key(&self) -> bool {
        matches!(self, Self::KeyRefused { .. })
    }
}

/// The client; cheap to clone.
#[derive(Clone)]
pub struct Email {
    network: Network,
    endpoint: String,
    api_key: Secret,
    from: String,
    attempt_timeout: Duration,
}

/// <https://resend.com/docs/api-reference/emails/send-email>.
#[derive(Serialize)]
struct Request<'a> {
    from: &'a str,
    to: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    subject: &'a str,
    html: &'a str,
    text: &'a str,
}

#[derive(Deserialize)]
struct Sent {
    id: String,
}

#[derive(Deserialize)]
struct Refusal {
    name: String,
}

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Email {
    /// Makes the client, without calling anybody.
    ///
    /// # Errors
    /// If the API's base is not an HTTP address.
    pub fn new(config: EmailConfig, network: &Network) -> Result<Self, Error> {
        let EmailConfig { api_base, api_key, from, attempt_timeout } = config;
        let endpoint = format!("{}/emails", api_base.trim_end_matches('/'));
        let url = reqwest::Url::parse(&endpoint)
            .map_err(|error| Error::Internal(format!("Resend's address: {error}")))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Error::Internal("Resend's address is not an HTTP address".to_owned()));
        }
        Ok(Self { network: network.clone(), endpoint, api_key, from, attempt_timeout })
    }

    /// Sends what tells of `notification`, in one attempt (two if the key was replaced meanwhile) that ends at the deadline or sooner, and returns Resend's id of
    /// the message. For a day Resend sends nothing twice under one idempotency key (1 to 256 characters):
    /// <https://resend.com/docs/dashboard/emails/idempotency-keys>.
    ///
    /// # Errors
    /// See [`EmailError`].
    pub async fn send(
        &self,
        notification: &Notification,
        idempotency_key: &str,
        deadline: Instant,
    ) -> Result<String, EmailError> {
        let _call = meter::email();
        let message = Message::of(notification).map_err(|_| unavailable("the message cannot be rendered"))?;
        let send = |key| self.send_with(key, notification, &message, idempotency_key, deadline);
        self.api_key.try_with(send, EmailError::is_bad_key).await
    }

    async fn send_with(
        &self,
        key: Arc<SecretString>,
        notification: &Notification,
        message: &Message<'_>,
        idempotency_key: &str,
        deadline: Instant,
    ) -> Result<String, EmailError> {
        let started = Instant::now();
        let limit = deadline.min(started + self.attempt_timeout);
        let exchange = self.exchange(&key, &notification.to, message, idempotency_key);
        let answer =
            timeout_at(limit, exchange).await.unwrap_or_else(|_| Err(unavailable("no answer in time")));
        let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
        let elapsed_ms = milliseconds(started.elapsed());
        tracing::debug!(kind = notification.kind.as_str(), status, elapsed_ms, "resend.called");
        answer?.judge()
    }

    async fn exchange(
        &self,
        key: &SecretString,
        to: &str,
        message: &Message<'_>,
        idempotency_key: &str,
    ) -> Result<Answer, EmailError> {
        let Message { subject, reply_to, html, text } = message;
        let client = self.network.client().map_err(|_| unavailable("the TLS library cannot be set up"))?;
        let request = client
            .post(&self.endpoint)
            .bearer_auth(key.expose_secret())
            .header("User-Agent", USER_AGENT)
            .header("Idempotency-Key", idempotency_key)
            .json(&Request { from: &self.from, to: [to], reply_to: *reply_to, subject, html, text });
        let response = request.send().await.map_err(|error| unavailable(network::failure_of(&error)))?;
        let status = response.status();
        let body = network::read_body(response, LARGEST_ANSWER_BYTES).await.map_err(unavailable)?;
        Ok(Answer { status, body })
    }
}

impl Answer {
    fn judge(&self) -> Result<String, EmailError> {
        if self.status.is_success() {
            // Something between us and Resend answered; what Resend did, the next attempt finds out.
            let sent: Sent = serde_json::from_slice(&self.body)
                .map_err(|_| unavailable("the answer is not what Resend sends"))?;
            return Ok(sent.id);
        }
        let status = self.status.as_u16();
        if matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(EmailError::KeyRefused { status });
        }
        match self.refusal() {
            Some(name) if self.is_final(&name) => Err(EmailError::Refused { status, name }),
            // A refusal that is not in Resend's words came from something in between.
            _ => Err(unavailable(&format!("status {status}"))),
        }
    }

    fn is_final(&self, name: &str) -> bool {
        let is_passing = match self.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            // Our own attempt before this one has not ended yet.
            StatusCode::CONFLICT => name == "concurrent_idempotent_requests",
            _ => false,
        };
        self.status.is_client_error() && !is_passing
    }

    /// Resend's name of the error; nothing else of the body is worth keeping, and may quote what we sent.
    fn refusal(&self) -> Option<String> {
        let Refusal { name } = serde_json::from_slice(&self.body).ok()?;
        let is_name = (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_name.then_some(name)
    }
}

fn unavailable(reason: &str) -> EmailError {
    EmailError::Unavailable { reason: reason.to_owned() }
}
