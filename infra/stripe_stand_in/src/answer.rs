//! An answer in Stripe's form.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::call::Call;
use crate::events::API_VERSION;

/// What is answered, and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As JSON; text, because stored answers are many.
    pub(crate) body: String,
    /// Whether the idempotency key keeps it.
    pub(crate) stored: bool,
    pub(crate) should_retry: Option<bool>,
    pub(crate) retry_after: Option<u64>,
    /// The request that this is the answer to; another one for a replay.
    pub(crate) original_request: Option<String>,
    pub(crate) is_replay: bool,
}

impl Answer {
    pub(crate) fn ok(body: &Value) -> Self {
        Self {
            status: 200,
            body: body.to_string(),
            stored: true,
            should_retry: None,
            retry_after: None,
            original_request: None,
            is_replay: false,
        }
    }

    pub(crate) fn error(error: &ApiError) -> Self {
        Self { status: error.status, stored: error.executed, ..Self::ok(&error.body()) }
    }

    /// The same answer, given again. A stored failure will not change, and Stripe says so.
    pub(crate) fn replayed(&self) -> Self {
        let should_retry = if self.status >= 500 { Some(false) } else { None };
        Self { is_replay: true, should_retry, retry_after: None, ..self.clone() }
    }

    pub(crate) fn into_response(self, call: &Call) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let version = call.stripe_version.as_deref().unwrap_or(API_VERSION);
        let headers = [
            ("content-type", Some("application/json".to_owned())),
            ("request-id", Some(call.request_id.clone())),
            ("stripe-version", Some(version.to_owned())),
            ("idempotency-key", call.idempotency_key.clone()),
            ("original-request", self.original_request.filter(|_| self.is_replay)),
            ("idempotent-replayed", self.is_replay.then(|| "true".to_owned())),
            ("stripe-should-retry", self.should_retry.map(|yes| yes.to_string())),
            (header::RETRY_AFTER.as_str(), self.retry_after.map(|seconds| seconds.to_string())),
        ];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok())
                && let Ok(name) = HeaderName::try_from(name)
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
