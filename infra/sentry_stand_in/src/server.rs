//! The way of an envelope: who sends it, whether it is in order, the answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State as Extension};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::{PROJECT, PUBLIC_KEY, envelope};

/// How it fails when told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never answers.
    Hang,
    /// It accepts after so long.
    Delay(Duration),
    /// It answers with this status.
    Status(u16),
    /// It answers 429 with `Retry-After` in seconds.
    RetryAfter(u32),
    /// It accepts, and asks in `X-Sentry-Rate-Limits` for no more errors for so many seconds.
    Limit(u32),
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) events: Vec<Value>,
    pub(crate) attempts: usize,
    pub(crate) complaints: Vec<String>,
    pub(crate) fault: Option<Fault>,
}

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

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/api/{project}/envelope/", post(take)).with_state(shared)
}

async fn take(
    Extension(shared): Extension<Arc<Shared>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = {
        let mut state = shared.state();
        state.attempts += 1;
        state.fault
    };
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            accept(&shared, &project, &headers, &body)
        }
        Some(Fault::Status(status)) => refuse(status, "a failure made to order"),
        Some(Fault::RetryAfter(seconds)) => {
            ([("retry-after", seconds.to_string())], refuse(429, "rate limited")).into_response()
        }
        Some(Fault::Limit(seconds)) => {
            let limit = [("x-sentry-rate-limits", format!("{seconds}:error:key:made_to_order"))];
            (limit, accept(&shared, &project, &headers, &body)).into_response()
        }
        None => accept(&shared, &project, &headers, &body),
    }
}

fn accept(shared: &Shared, project: &str, headers: &HeaderMap, body: &[u8]) -> Response {
    let complain = |status, problem: String| {
        shared.state().complaints.push(problem.clone());
        refuse(status, &problem)
    };
    if let Err(problem) = authorise(project, headers) {
        return complain(403, problem);
    }
    match envelope::event(body) {
        Ok(event) => {
            let answer = Json(json!({"id": event.get("event_id")}));
            shared.state().events.push(event);
            answer.into_response()
        }
        Err(problem) => complain(400, problem),
    }
}

/// See <https://develop.sentry.dev/sdk/foundations/transport/authentication/>.
fn authorise(project: &str, headers: &HeaderMap) -> Result<(), String> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = header("x-sentry-auth").and_then(|value| value.strip_prefix("Sentry "));
    let pairs = || credentials.unwrap_or_default().split(',').filter_map(|pair| pair.trim().split_once('='));
    let value = |name: &str| pairs().find(|(known, _)| *known == name).map(|(_, value)| value);
    for (name, expected) in [("sentry_version", "7"), ("sentry_key", PUBLIC_KEY)] {
        if value(name) != Some(expected) {
            return Err(format!("{name} is not {expected}"));
        }
    }
    if value("sentry_client").is_none() || header("user-agent").is_none() {
        return Err("the client does not name itself".to_owned());
    }
    if header("content-type") != Some("application/x-sentry-envelope") {
        return Err("the content is no envelope".to_owned());
    }
    if project == PROJECT { Ok(()) } else { Err(format!("there is no project {project}")) }
}

fn refuse(status: u16, problem: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"detail": problem}))).into_response()
}
