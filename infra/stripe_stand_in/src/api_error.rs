//! Stripe's error bodies: <https://docs.stripe.com/api/errors>.

use serde_json::{Map, Value, json};

/// Why a request was refused, as Stripe says it.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    /// `param`, `decline_code`, `charge`, `payment_intent` and what else belongs to some errors.
    details: Map<String, Value>,
    /// Whether execution had begun: only then does Stripe store the answer for the idempotency key.
    pub(crate) executed: bool,
}

impl ApiError {
    /// A request that fails Stripe's checks before anything is done.
    pub(crate) fn invalid(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: (!code.is_empty()).then_some(code),
            message: message.into(),
            details: Map::new(),
            executed: false,
        }
        .with("param", json!(param))
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid("parameter_missing", param, format!("Missing required param: {param}."))
    }

    pub(crate) fn unknown(param: &str) -> Self {
        Self::invalid("parameter_unknown", param, format!("Received unknown parameter: {param}"))
    }

    /// An object named in the path that does not exist (404).
    pub(crate) fn not_found(object: &str, id: &str, param: &str) -> Self {
        Self { status: 404, ..Self::no_such(object, id, param) }
    }

    /// An object named by a parameter that does not exist (400).
    pub(crate) fn no_such(object: &str, id: &str, param: &str) -> Self {
        Self::invalid("resource_missing", param, format!("No such {object}: '{id}'"))
    }

    /// A request that is well-formed, but impossible in the present state of things.
    pub(crate) fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self { details: Map::new(), executed: true, ..Self::invalid(code, "", message) }
    }

    /// A payment intent in a state that does not allow the operation; the intent is part of the answer.
    pub(crate) fn unexpected_state(message: impl Into<String>, payment_intent: Value) -> Self {
        Self::refused("payment_intent_unexpected_state", message).with("payment_intent", payment_intent)
    }

    /// The issuer or the cardholder said no (402).
    pub(crate) fn card(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 402, kind: "card_error", ..Self::refused(code, message) }
    }

    /// Not a key of ours (401), or one that may not do this (403).
    pub(crate) fn forbidden(status: u16, code: Option<&'static str>, message: &str) -> Self {
        Self { status, code, executed: false, ..Self::refused("", message) }
    }

    /// The path and method mean nothing (404).
    pub(crate) fn unrecognised_url(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self { status: 404, code: None, executed: false, ..Self::refused("", message) }
    }

    /// The idempotency key was used with another request.
    pub(crate) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        );
        Self { kind: "idempotency_error", code: None, executed: false, ..Self::refused("", message) }
    }

    /// The first request with this key is still being worked on (409).
    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key ({key}). \
             Please try again later."
        );
        Self { status: 409, executed: false, ..Self::refused("idempotency_key_in_use", message) }
    }

    /// A failure made to order.
    pub(crate) fn made_to_order(status: u16) -> Self {
        let (kind, code, message) = match status {
            429 => ("invalid_request_error", Some("rate_limit"), "Request rate limit exceeded."),
            500.. => ("api_error", None, "An unknown error occurred."),
            _ => ("invalid_request_error", None, "A failure made to order."),
        };
        Self { status, kind, code, ..Self::refused("", message) }
    }

    /// The same error with one more member.
    pub(crate) fn with(mut self, member: &str, value: Value) -> Self {
        self.details.insert(member.to_owned(), value);
        self
    }

    /// The `error` member alone, as in `last_payment_error`.
    pub(crate) fn inner(&self) -> Value {
        let mut error = self.details.clone();
        error.insert("type".to_owned(), json!(self.kind));
        error.insert("message".to_owned(), json!(self.message));
        if let Some(code) = self.code {
            error.insert("code".to_owned(), json!(code));
            error.insert("doc_url".to_owned(), json!(doc_url(code)));
        }
        Value::Object(error)
    }

    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.inner() })
    }
}

fn doc_url(code: &str) -> String {
    format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))
}
