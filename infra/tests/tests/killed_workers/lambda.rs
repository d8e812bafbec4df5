//! Lambda's runtime API (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), as far as one invocation needs
//! it that never ends by itself. Each process has its own path below, and its name is the id of its invocation.

use std::collections::HashMap;
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use test_support::sample_event;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long an invocation may take; longer than any test.
const TIME: Duration = Duration::from_secs(300);

/// Who waits for a process of that name to take its event.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

/// A running runtime API; it stops when dropped.
pub(crate) struct Lambda {
    base: String,
    waiting: Waiting,
    server: JoinHandle<std::io::Result<()>>,
}

impl Lambda {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base = listener.local_addr()?.to_string();
        let waiting = Waiting::default();
        let router = Router::new()
            .route("/{worker}/2018-06-01/runtime/invocation/next", get(next))
            .fallback(async || StatusCode::ACCEPTED)
            .with_state(Arc::clone(&waiting));
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { base, waiting, server })
    }

    /// Where a process of this name asks for its event, and what tells that it has.
    pub(crate) fn expect(&self, worker: &str) -> (String, oneshot::Receiver<()>) {
        let (taken, has_taken) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(worker.to_owned(), taken);
        (format!("http://{}/{worker}", self.base), has_taken)
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The schedule's event for who asks first, and nothing ever after.
async fn next(State(waiting): State<Waiting>, Path(worker): Path<String>) -> Response {
    let taken = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
    let Some(taken) = taken else { return pending().await };
    let Ok(event) = sample_event("run_jobs/schedule.json") else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + TIME;
    let headers = [
        ("lambda-runtime-aws-request-id", worker),
        ("lambda-runtime-deadline-ms", ends.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:run_jobs".to_owned(),
        ),
    ];
    // Nobody may be waiting any more, when the test has failed.
    let _ = taken.send(());
    (headers, Json(event)).into_response()
}
