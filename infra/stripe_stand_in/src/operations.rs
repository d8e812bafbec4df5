//! Which path and method is which operation.

use serde_json::Value;

use crate::answer::Answer;
use crate::api_error::ApiError;
use crate::call::Call;
use crate::state::{Cause, State};
use crate::{
    cancellation, charges, checkout_sessions, confirmation, disputes, events, expand, payment_intents,
    payment_methods, refunds,
};

/// Executes a request.
pub(crate) fn execute(state: &mut State, call: &Call) -> Answer {
    state.cause =
        Some(Cause { request_id: call.request_id.clone(), idempotency_key: call.idempotency_key.clone() });
    let result = expand::check(&call.params).and_then(|()| dispatch(state, call));
    state.cause = None;
    let mut answer = match result {
        Ok(mut body) => {
            expand::apply(state, &call.params, &mut body);
            Answer::ok(&body)
        }
        Err(error) => Answer::error(&error),
    };
    answer.original_request = Some(call.request_id.clone());
    answer
}

fn dispatch(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    match (call.method.as_str(), segments.as_slice()) {
        ("POST", ["v1", "payment_intents"]) => payment_intents::create(state, params),
        ("GET", ["v1", "payment_intents"]) => payment_intents::list(state, params),
        ("GET", ["v1", "payment_intents", id]) => payment_intents::retrieve(state, params, id),
        ("POST", ["v1", "payment_intents", id]) => payment_intents::update(state, params, id),
        ("POST", ["v1", "payment_intents", id, "confirm"]) => confirmation::confirm(state, params, id),
        ("POST", ["v1", "payment_intents", id, "capture"]) => confirmation::capture(state, params, id),
        ("POST", ["v1", "payment_intents", id, "cancel"]) => cancellation::cancel(state, params, id),
        ("POST", ["v1", "checkout", "sessions"]) => checkout_sessions::create(state, params),
        ("GET", ["v1", "checkout", "sessions"]) => checkout_sessions::list(state, params),
        ("GET", ["v1", "checkout", "sessions", id]) => checkout_sessions::retrieve(state, params, id),
        ("POST", ["v1", "checkout", "sessions", id, "expire"]) => {
            checkout_sessions::expire(state, params, id)
        }
        ("GET", ["v1", "payment_methods", id]) => payment_methods::retrieve(state, id),
        ("POST", ["v1", "refunds"]) => refunds::create(state, params),
        ("GET", ["v1", "refunds"]) => refunds::list(state, params),
        ("GET", ["v1", "refunds", id]) => refunds::retrieve(state, params, id),
        ("POST", ["v1", "refunds", id]) => refunds::update(state, params, id),
        ("GET", ["v1", "charges"]) => charges::list(state, params),
        ("GET", ["v1", "charges", id]) => charges::retrieve(state, params, id),
        ("GET", ["v1", "disputes"]) => disputes::list(state, params),
        ("GET", ["v1", "disputes", id]) => disputes::retrieve(state, params, id),
        ("GET", ["v1", "events"]) => events::list(state, params),
        ("GET", ["v1", "events", id]) => events::retrieve(state, params, id),
        (method, _) => Err(ApiError::unrecognised_url(method, &call.path)),
    }
}
