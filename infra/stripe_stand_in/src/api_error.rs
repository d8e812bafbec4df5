//! Stripe's error bodies: <https://docs.stripe.com/api/errors>.

use serde_json::{Map, Value, json};

const INVALID_REQUEST: &str = "invalid_request_error";

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
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, code: None, message: message.into(), details: Map::new(), executed: false }
    }

    /// A parameter of the wrong shape, for which Stripe has no code.
    pub(crate) fn malformed(param: &str, message: impl Into<String>) -> Self {
        Self::new(400, INVALID_REQUEST, message).with("param", json!(param))
    }

    /// A request that fails Stripe's checks before anything is done.
    pub(crate) fn invalid(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self { code: Some(code), ..Self::malformed(param, message) }
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
        Self { code: Some(code), executed: true, ..Self::new(400, INVALID_REQUEST, message) }
    }

    /// A payment intent in a state that does not allow the operation; the intent is part of the answer.
    pub(crate) fn unexpected_state(message: impl Into<String>, payment_intent: Value) -> Self {
        Self::refused("payment_intent_unexpected_state", message).with("payment_intent", payment_intent)
    }

    /// A Checkout Session in a state that does not allow the operation, for which Stripe has no code.
    pub(crate) fn unexpected_session(message: impl Into<String>) -> Self {
        Self { executed: true, ..Self::new(400, INVALID_REQUEST, message) }
    }

    /// The issuer or the cardholder said no (402).
    pub(crate) fn card(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 402, kind: "card_error", ..Self::refused(code, message) }
    }

    /// No key, or none of ours (401).
    pub(crate) fn unauthorised(message: &str) -> Self {
        Self::new(401, INVALID_REQUEST, message)
    }

    /// A publishable key where a secret one is needed (403).
    pub(crate) fn secret_key_required() -> Self {
        let message = "This API call cannot be made with a publishable API key. Please use a secret API key.";
        Self { code: Some("secret_key_required"), ..Self::new(403, INVALID_REQUEST, message) }
    }

    /// The path and method mean nothing (404).
    pub(crate) fn unrecognised_url(method: &str, path: &str) -> Self {
        Self::new(404, INVALID_REQUEST, format!("Unrecognized request URL ({method}: {path})."))
    }

    /// The body is not a form (400).
    pub(crate) fn not_a_form() -> Self {
        let message =
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded).";
        Self::new(400, INVALID_REQUEST, message)
    }

    /// The idempotency key was used with another request (400).
    pub(crate) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        );
        Self::new(400, "idempotency_error", message)
    }

    /// The first request with this key is still being worked on (409).
    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key ({key}). \
             Please try again later."
        );
        Self { code: Some("idempotency_key_in_use"), ..Self::new(409, INVALID_REQUEST, message) }
    }

    /// A failure made to order.
    pub(crate) fn made_to_order(status: u16) -> Self {
        match status {
            429 => {
                let throttled = Self::new(status, INVALID_REQUEST, "Request rate limit exceeded.");
                Self { code: Some("rate_limit"), ..throttled }
            }
            500.. => Self::new(status, "api_error", "An unknown error occurred."),
            _ => Self::new(status, INVALID_REQUEST, "A failure made to order."),
        }
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
