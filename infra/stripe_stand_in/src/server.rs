//! The way of a request: log, fault, key, execution, answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as Extension};
use axum::http::{Response, StatusCode, header};

use crate::answer::Answer;
use crate::api_error::ApiError;
use crate::call::Call;
use crate::idempotency::Claim;
use crate::operations;
use crate::protocol::{FaultKind, StatusFault};
use crate::state::State;

/// Larger requests are refused.
const LARGEST_BODY_BYTES: usize = 1024 * 1024;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) http: reqwest::Client,
}

impl Shared {
    pub(crate) fn new(state: State) -> anyhow::Result<Self> {
        // Receivers are local: a proxy of the environment could not reach them.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { state: Mutex::new(state), http })
    }

    /// The state. Never keep it across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A request that panicked must not take the others with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers any request for Stripe.
pub(crate) async fn handle(Extension(shared): Extension<Arc<Shared>>, request: Request) -> Response<Body> {
    // What was begun is finished even if the caller goes away, as with Stripe.
    match tokio::spawn(respond(shared, request)).await {
        Ok(Some(response)) => response,
        Ok(None) => std::future::pending().await,
        Err(_) => status_only(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The answer, or nothing if there is to be none.
async fn respond(shared: Arc<Shared>, request: Request) -> Option<Response<Body>> {
    let (parts, body) = request.into_parts();
    let mut call = Call::new(parts.method, &parts.uri, &parts.headers);
    let body = to_bytes(body, LARGEST_BODY_BYTES).await.unwrap_or_else(|_| Bytes::new());
    let readable = call.read_params(&parts.uri, &parts.headers, &body);
    let fault = admit(&mut shared.state(), &call, readable);
    let answer = match fault {
        Err(error) => Answer::error(&error),
        Ok(None) => execute_once(&shared, &call),
        Ok(Some(FaultKind::Hang)) => return None,
        Ok(Some(FaultKind::HangAfter)) => {
            execute_once(&shared, &call);
            return None;
        }
        Ok(Some(FaultKind::Slow { delay_ms })) => execute_slowly(&shared, &call, delay_ms).await,
        Ok(Some(FaultKind::Status(fault))) => answer_with_status(&shared, &call, fault),
        Ok(Some(FaultKind::Html { with_work })) => {
            return Some(spoil(&shared, &call, with_work, bad_gateway_page()));
        }
        Ok(Some(FaultKind::Nonsense { with_work })) => {
            return Some(spoil(&shared, &call, with_work, half_an_object()));
        }
    };
    shared.state().requests.end(&call.request_id, answer.status, answer.is_replay);
    Some(answer.into_response(&call))
}

/// Logs the request, checks who calls, and looks for a fault that is made to order.
fn admit(
    state: &mut State,
    call: &Call,
    readable: Result<(), ApiError>,
) -> Result<Option<FaultKind>, ApiError> {
    state.requests.begin(call);
    readable?;
    let client_secret_of =
        |id: &str| state.payment_intents.get(id).map(|intent| intent.client_secret.clone());
    call.authorise(&state.revoked_keys, client_secret_of)?;
    Ok(state.faults.take(call.method.as_str(), &call.path))
}

fn execute_once(shared: &Shared, call: &Call) -> Answer {
    let mut state = shared.state();
    match state.keys.claim(call) {
        Claim::Answer(answer) => answer,
        Claim::Execute => complete(&mut state, call),
    }
}

fn complete(state: &mut State, call: &Call) -> Answer {
    let answer = operations::execute(state, call);
    state.keys.finish(call, &answer);
    answer
}

/// Holds the key for a while before the work, so that others meet it in use.
async fn execute_slowly(shared: &Shared, call: &Call, delay_ms: u64) -> Answer {
    let claim = shared.state().keys.claim(call);
    if let Claim::Answer(answer) = claim {
        return answer;
    }
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    complete(&mut shared.state(), call)
}

fn answer_with_status(shared: &Shared, call: &Call, fault: StatusFault) -> Answer {
    let mut state = shared.state();
    if let Claim::Answer(answer) = state.keys.claim(call) {
        return answer;
    }
    if fault.with_work {
        operations::execute(&mut state, call);
    }
    let answer = Answer {
        stored: fault.stored.unwrap_or(fault.status >= 500),
        should_retry: fault.should_retry,
        retry_after: fault.retry_after,
        original_request: Some(call.request_id.clone()),
        ..Answer::error(&ApiError::made_to_order(fault.status))
    };
    state.keys.finish(call, &answer);
    answer
}

/// Answers with something that is not Stripe's, whatever happened behind it.
fn spoil(shared: &Shared, call: &Call, with_work: bool, response: Response<Body>) -> Response<Body> {
    if with_work {
        execute_once(shared, call);
    }
    shared.state().requests.end(&call.request_id, response.status().as_u16(), false);
    response
}

fn bad_gateway_page() -> Response<Body> {
    let page =
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
    with_content_type("text/html", page, StatusCode::BAD_GATEWAY)
}

fn half_an_object() -> Response<Body> {
    with_content_type("application/json", "{\"id\": \"pi_", StatusCode::OK)
}

fn with_content_type(content_type: &'static str, body: &'static str, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
