//! One request to Stripe, repeated as long as that is right, safe and in time.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::retry;
use crate::clock::milliseconds;
use crate::config::{Secret, StripeConfig};
use crate::error::Error;
use crate::network::{self, Network};
use crate::telemetry::meter;

/// The version of the API that this client speaks, whatever the account's default is: it is the one of the published
/// specification that the tests check our requests against.
pub const API_VERSION: &str = "2022-11-15";

/// No answer that we ask for is larger; a page of 100 expanded intents is about 0.6 MB.
const LARGEST_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Parameters of a request in Stripe's form encoding, such as `("metadata[reservation_id]", "…")`.
pub(super) type Parameters<'a> = Vec<(&'a str, String)>;

/// Why Stripe did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// No answer, none in time, or a failure on Stripe's side: worth another try with the same idempotency key.
    #[error("{reason}")]
    Unavailable {
        /// What happened at the last attempt.
        reason: String,
        /// When Stripe asked to be called again.
        retry_after: Option<Duration>,
    },
    /// A failure on Stripe's side that is stored for this idempotency key: it comes again for ever, so look the
    /// object up and then take another key.
    #[error("a stored failure (status {status})")]
    StoredFailure {
        /// The stored status, 500 or above.
        status: u16,
    },
    /// Stripe understood the request and refused it.
    #[error("status {status}, code {}, request {}", code.as_deref().unwrap_or("none"), request_id.as_deref().unwrap_or("none"))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's code, such as `resource_missing`, or its type where there is no code:
        /// <https://docs.stripe.com/error-codes>.
        code: Option<String>,
        /// Stripe's id of the request, by which its log shows what we sent and why it was refused:
        /// <https://docs.stripe.com/api/request_ids>.
        request_id: Option<String>,
    },
}

impl StripeError {
    /// Whether Stripe did not take the key: <https://docs.stripe.com/api/errors>.
    const fn is_bad_key(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }
}

impl From<StripeError> for Error {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::Refused { .. } => Self::StripeRefused(error.to_string()),
            StripeError::Unavailable { .. } | StripeError::StoredFailure { .. } => {
                Self::StripeUnavailable(error.to_string())
            }
        }
    }
}

/// One request, ready to be sent any number of times.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    /// The query of a GET, the form of a POST.
    pub(super) parameters: Parameters<'a>,
    /// Every POST has one, which is what makes repeating it safe.
    pub(super) idempotency_key: Option<&'a str>,
}

/// The connection pool with what every request carries.
#[derive(Clone)]
pub(super) struct Transport {
    network: Network,
    api_base: String,
    secret_key: Secret,
    attempt_timeout: Duration,
}

/// What an attempt came to.
enum Attempt<T> {
    Done(T),
    Final(StripeError),
    Repeatable(StripeError),
}

impl Transport {
    pub(super) fn new(config: StripeConfig, network: Network) -> Result<Self, Error> {
        let StripeConfig { api_base, secret_key, attempt_timeout } = config;
        let base = reqwest::Url::parse(&api_base)
            .map_err(|error| Error::Internal(format!("Stripe's address: {error}")))?;
        if !matches!(base.scheme(), "https" | "http") {
            return Err(Error::Internal("Stripe's address is not an HTTP address".to_owned()));
        }
        let api_base = api_base.trim_end_matches('/').to_owned();
        Ok(Self { network, api_base, secret_key, attempt_timeout })
    }

    /// Sends the request until it has an answer that would not change, or the deadline is too near for another try.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<T, StripeError> {
        let _call = meter::stripe();
        let send = |key| self.send_with(key, request, deadline);
        self.secret_key.try_with(send, StripeError::is_bad_key).await
    }

    async fn send_with<T: DeserializeOwned>(
        &self,
        key: Arc<SecretString>,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<T, StripeError> {
        let mut attempt = 0_u32;
        loop {
            let error = match self.attempt(&key, request, deadline).await {
                Attempt::Done(object) => return Ok(object),
                Attempt::Final(error) => return Err(error),
                Attempt::Repeatable(error) => error,
            };
            let asked = match &error {
                StripeError::Unavailable { retry_after, .. } => *retry_after,
                _ => None,
            };
            match retry::pause(attempt, asked, Instant::now(), deadline) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        key: &SecretString,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Attempt<T> {
        let started = Instant::now();
        let limit = deadline.min(started + self.attempt_timeout);
        let exchange = tokio::time::timeout_at(limit, self.exchange(key, request));
        let answer = match exchange.await {
            Err(_) => Err(unavailable("no answer in time")),
            Ok(answer) => answer,
        };
        let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
        let elapsed_ms = milliseconds(started.elapsed());
        tracing::debug!(method = %request.method, path = %request.path, status, elapsed_ms, "stripe.called");
        match answer {
            Ok(answer) => answer.judge(),
            Err(error) => Attempt::Repeatable(error),
        }
    }

    async fn exchange(&self, key: &SecretString, request: &Request<'_>) -> Result<Answer, StripeError> {
        let client = self.network.client().map_err(|_| unavailable("the TLS library cannot be set up"))?;
        let mut builder = client
            .request(request.method.clone(), format!("{}{}", self.api_base, request.path))
            .bearer_auth(key.expose_secret())
            .header("Stripe-Version", API_VERSION);
        builder = match request.method {
            Method::GET => builder.query(&request.parameters),
            _ => builder.form(&request.parameters),
        };
        if let Some(key) = request.idempotency_key {
            builder = builder.header("Idempotency-Key", key);
        }
        let response = builder.send().await.map_err(|error| unavailable(network::failure_of(&error)))?;
        Answer::read(response).await
    }
}

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetails,
}

#[derive(Deserialize)]
struct ErrorDetails {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    code: Option<String>,
}

impl Answer {
    async fn read(response: reqwest::Response) -> Result<Self, StripeError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = network::read_body(response, LARGEST_ANSWER_BYTES).await.map_err(unavailable)?;
        Ok(Self { status, headers, body })
    }

    fn judge<T: DeserializeOwned>(self) -> Attempt<T> {
        if self.status.is_success() {
            return match serde_json::from_slice(&self.body) {
                Ok(object) => Attempt::Done(object),
                // Something between us and Stripe answered; what Stripe did, the next attempt finds out.
                Err(_) => Attempt::Repeatable(unavailable("the answer is not what Stripe sends")),
            };
        }
        if self.status.is_server_error() && retry::is_replayed(&self.headers) {
            return Attempt::Final(StripeError::StoredFailure { status: self.status.as_u16() });
        }
        let repeatable = retry::worth_repeating(self.status, &self.headers);
        match (self.refusal(), repeatable) {
            (error, true) => Attempt::Repeatable(error),
            (error @ StripeError::Refused { .. }, false) => Attempt::Final(error),
            // A client error that is not in Stripe's words came from something in between.
            (error, false) if self.status.is_client_error() => Attempt::Repeatable(error),
            (error, false) => Attempt::Final(error),
        }
    }

    fn refusal(&self) -> StripeError {
        let transient = self.status.is_server_error()
            || matches!(self.status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS);
        match serde_json::from_slice::<ErrorBody>(&self.body) {
            Ok(ErrorBody { error }) if !transient => StripeError::Refused {
                status: self.status.as_u16(),
                // A reused idempotency key has a type of its own, and no code.
                code: error.code.or(error.kind),
                request_id: self.request_id(),
            },
            _ => StripeError::Unavailable {
                reason: format!("status {}", self.status.as_u16()),
                retry_after: retry::retry_after(&self.headers),
            },
        }
    }
    fn request_id(&self) -> Option<String> {
        Some(self.headers.get("request-id")?.to_str().ok()?.to_owned())
    }
}

fn unavailable(reason: &str) -> StripeError {
    StripeError::Unavailable { reason: reason.to_owned(), retry_after: None }
}
