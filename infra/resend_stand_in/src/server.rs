//! The way of a request: who calls, what under which key, the answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State as Extension;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::email::Email;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::state::State;

/// Longer keys are refused.
const LONGEST_KEY: usize = 256;

/// What all requests share.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    /// The state. Never keep it across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A request that panicked must not take the others with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Extended = Extension<Arc<Shared>>;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/emails", post(send).fallback(async || Refusal::method_not_allowed()))
        .route("/_admin/emails", get(emails))
        .route("/_admin/faults", post(add_fault))
        .fallback(async || Refusal::not_found())
        .with_state(shared)
}

async fn send(Extension(shared): Extended, headers: HeaderMap, body: Bytes) -> Response {
    if !headers.contains_key(header::USER_AGENT) {
        return without_user_agent();
    }
    match accept(&shared, &headers, &body) {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Resend's front turns such requests away: <https://resend.com/docs/api-reference/introduction#user-agent>.
fn without_user_agent() -> Response {
    (StatusCode::FORBIDDEN, "error code: 1010").into_response()
}

fn accept(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Json<Value>, Refusal> {
    authorise(headers)?;
    let key = idempotency_key(headers)?;
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Err(Refusal::unreadable());
    };
    let id = shared.state().send(members, key)?;
    Ok(Json(json!({ "id": id })))
}

/// Any key of Resend's form may send.
fn authorise(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(Refusal::missing_api_key)?;
    match key.strip_prefix("re_") {
        Some(secret) if !secret.is_empty() => Ok(()),
        _ => Err(Refusal::invalid_api_key()),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    key.map(|key| Some(key.to_owned())).ok_or_else(Refusal::invalid_idempotency_key)
}

async fn emails(Extension(shared): Extended) -> Json<Vec<Email>> {
    Json(shared.state().emails().to_vec())
}

async fn add_fault(Extension(shared): Extended, Json(fault): Json<Fault>) -> StatusCode {
    shared.state().add_fault(fault);
    StatusCode::NO_CONTENT
}
