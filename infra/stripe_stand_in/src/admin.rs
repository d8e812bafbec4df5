//! The admin API under `/_admin/`: what Stripe's dashboard, cardholders and banks would do, and failures to order.

use std::sync::Arc;

use axum::extract::{Path, State as Extension};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::money::{self, IntentMoney};
use crate::protocol::{
    CheckoutPayment, Delivery, DisputeStatus, EventFault, Fault, LoggedRequest, NewDispute, RefundStatus,
    Switches, WebhookEndpoint,
};
use crate::server::Shared;
use crate::state::State;
use crate::{cancellation, checkout_page, disputes, events, refunds};

type Extended = Extension<Arc<Shared>>;

/// How something that was open ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well for the merchant: authenticated, arrived, won.
    Succeed,
    /// Badly: not authenticated, did not arrive, lost.
    Fail,
}

/// The body of a call that ends something.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
}

/// The body of a call that moves something on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Progress<S> {
    pub(crate) status: S,
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_admin/webhook_endpoint", put(set_webhook_endpoint).delete(remove_webhook_endpoint))
        .route("/_admin/switches", put(set_switches))
        .route("/_admin/faults", post(add_fault).delete(clear_faults))
        .route("/_admin/event_faults", post(add_event_fault))
        .route("/_admin/revoked_keys", post(revoke_key))
        .route("/_admin/idempotency_keys", delete(forget_idempotency_keys))
        .route("/_admin/requests", get(requests))
        .route("/_admin/conflicting_keys", get(conflicting_keys))
        .route("/_admin/log", delete(reset_log))
        .route("/_admin/money", get(money))
        .route("/_admin/deliveries", get(deliveries))
        .route("/_admin/events/{id}/resend", post(resend_event))
        .route("/_admin/checkout_sessions/{id}/payment", post(pay_checkout))
        .route("/_admin/payment_intents/{id}/authentication", post(end_authentication))
        .route("/_admin/payment_intents/{id}/settlement", post(settle_payment))
        .route("/_admin/payment_intents/{id}/expiry", post(expire_authorisation))
        .route("/_admin/refunds/{id}/status", put(move_refund))
        .route("/_admin/disputes", post(open_dispute))
        .route("/_admin/disputes/{id}/status", put(update_dispute))
        .route("/_admin/disputes/{id}/closing", post(close_dispute))
}

async fn set_webhook_endpoint(
    Extension(shared): Extended,
    Json(endpoint): Json<WebhookEndpoint>,
) -> StatusCode {
    shared.state().webhook_endpoint = Some(endpoint);
    StatusCode::NO_CONTENT
}

async fn remove_webhook_endpoint(Extension(shared): Extended) -> StatusCode {
    shared.state().webhook_endpoint = None;
    StatusCode::NO_CONTENT
}

async fn set_switches(Extension(shared): Extended, Json(switches): Json<Switches>) -> StatusCode {
    shared.state().switches = switches;
    StatusCode::NO_CONTENT
}

async fn add_fault(Extension(shared): Extended, Json(fault): Json<Fault>) -> StatusCode {
    shared.state().faults.add(fault);
    StatusCode::NO_CONTENT
}

async fn add_event_fault(Extension(shared): Extended, Json(fault): Json<EventFault>) -> StatusCode {
    shared.state().event_faults.add(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(Extension(shared): Extended) -> StatusCode {
    let mut state = shared.state();
    state.faults.clear();
    state.event_faults.clear();
    StatusCode::NO_CONTENT
}

async fn revoke_key(Extension(shared): Extended, Json(key): Json<String>) -> StatusCode {
    shared.state().revoked_keys.insert(key);
    StatusCode::NO_CONTENT
}

async fn forget_idempotency_keys(Extension(shared): Extended) -> StatusCode {
    shared.state().keys.forget();
    StatusCode::NO_CONTENT
}

async fn requests(Extension(shared): Extended) -> Json<Vec<LoggedRequest>> {
    Json(shared.state().requests.all())
}

async fn conflicting_keys(Extension(shared): Extended) -> Json<Vec<String>> {
    Json(shared.state().requests.conflicting_keys())
}

async fn reset_log(Extension(shared): Extended) -> StatusCode {
    shared.state().reset_log();
    StatusCode::NO_CONTENT
}

async fn money(Extension(shared): Extended) -> Json<Vec<IntentMoney>> {
    Json(money::of_all_intents(&shared.state()))
}

async fn deliveries(Extension(shared): Extended) -> Json<Vec<Delivery>> {
    Json(shared.state().deliveries.all().to_vec())
}

async fn resend_event(Extension(shared): Extended, Path(id): Path<String>) -> Response {
    act(&shared, |state| events::resend(state, &id))
}

async fn pay_checkout(
    Extension(shared): Extended,
    Path(id): Path<String>,
    Json(payment): Json<CheckoutPayment>,
) -> Response {
    act(&shared, |state| checkout_page::pay(state, &id, &payment))
}

async fn end_authentication(
    Extension(shared): Extended,
    Path(id): Path<String>,
    Json(ending): Json<Ending>,
) -> Response {
    act(&shared, |state| checkout_page::authenticate(state, &id, ending.outcome == Outcome::Succeed))
}

async fn settle_payment(
    Extension(shared): Extended,
    Path(id): Path<String>,
    Json(ending): Json<Ending>,
) -> Response {
    act(&shared, |state| checkout_page::settle(state, &id, ending.outcome == Outcome::Succeed))
}

async fn expire_authorisation(Extension(shared): Extended, Path(id): Path<String>) -> Response {
    act(&shared, |state| cancellation::expire(state, &id))
}

async fn move_refund(
    Extension(shared): Extended,
    Path(id): Path<String>,
    Json(progress): Json<Progress<RefundStatus>>,
) -> Response {
    act(&shared, |state| refunds::move_to(state, &id, progress.status))
}

async fn open_dispute(Extension(shared): Extended, Json(new): Json<NewDispute>) -> Response {
    act(&shared, |state| disputes::open(state, new))
}

async fn update_dispute(
    Extension(shared): Extended,
    Path(id): Path<String>,
    Json(progress): Json<Progress<DisputeStatus>>,
) -> Response {
    act(&shared, |state| disputes::update(state, &id, progress.status))
}

async fn close_dispute(
    Extension(shared): Extended,
    Path(id): Path<String>,
    Json(ending): Json<Ending>,
) -> Response {
    act(&shared, |state| disputes::close(state, &id, ending.outcome == Outcome::Succeed))
}

/// Answers with the object as it is after the action, or with an error in Stripe's words.
fn act(shared: &Shared, action: impl FnOnce(&mut State) -> Result<Value, ApiError>) -> Response {
    match action(&mut shared.state()) {
        Ok(object) => Json(object).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(error.body())).into_response()
        }
    }
}
