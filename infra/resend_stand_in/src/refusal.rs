//! Resend's errors: <https://resend.com/docs/api-reference/errors>.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused, as Resend says it.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    name: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: u16, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into() }
    }

    pub(crate) fn missing_api_key() -> Self {
        Self::new(401, "missing_api_key", "Missing API key in the authorization header.")
    }

    pub(crate) fn invalid_api_key() -> Self {
        Self::new(403, "invalid_api_key", "API key is invalid.")
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "not_found", "The requested endpoint does not exist.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "method_not_allowed", "Method is not allowed for the requested path.")
    }

    /// The body is no JSON object.
    pub(crate) fn unreadable() -> Self {
        Self::new(400, "validation_error", "We found an error with one or more fields in the request.")
    }

    pub(crate) fn invalid_idempotency_key() -> Self {
        Self::new(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
    }

    pub(crate) fn invalid_idempotent_request() -> Self {
        let message = "Same idempotency key used with a different request payload.";
        Self::new(409, "invalid_idempotent_request", message)
    }

    pub(crate) fn missing_field(field: &str) -> Self {
        Self::new(422, "missing_required_field", format!("Missing `{field}` field."))
    }

    pub(crate) fn invalid_field(field: &str, problem: &str) -> Self {
        Self::new(422, "validation_error", format!("Invalid `{field}` field. {problem}"))
    }

    /// A failure made to order.
    pub(crate) fn made_to_order(status: u16) -> Self {
        match status {
            429 => Self::new(status, "rate_limit_exceeded", "Too many requests. Please slow down."),
            500.. => Self::new(status, "internal_server_error", "An unexpected error occurred."),
            _ => Self::new(status, "validation_error", "A failure made to order."),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "statusCode": self.status, "name": self.name, "message": self.message });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            // Limits are per second: <https://resend.com/docs/api-reference/rate-limit>.
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
