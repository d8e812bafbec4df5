//! `POST /confirm_reservation`: parse, confirm or decline, answer.

use jiff::Timestamp;
use kitloop::app::{confirm, jobs};
use kitloop::boot::App;
use kitloop::db::ConfirmationRequest;
use kitloop::domain::{ConfirmationAction, ReservationId, ReservationStatus};
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

const ENDPOINT: Endpoint = Endpoint {
    name: "confirm_reservation",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};

#[derive(serde::Serialize)]
struct ConfirmationAnswer {
    reservation_id: ReservationId,
    status: ReservationStatus,
    paid_at: Option<Timestamp>,
}

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, confirm_reservation).await
}

async fn confirm_reservation(app: &App, call: &Call) -> Result<Answer, Error> {
    let actor = call.caller()?.actor();
    let mut fields = call.json()?;
    let reservation_id = fields.uuid("reservation_id");
    let action = fields.optional_choice("action", &["confirm", "decline"]);
    let payment_intent_id = fields.optional_text("payment_intent_id", 255);
    let reservation_id = ReservationId(fields.finish(|| reservation_id)?);

    let request = ConfirmationRequest {
        actor,
        reservation_id,
        action: action.and_then(ConfirmationAction::parse).unwrap_or(ConfirmationAction::Confirm),
        payment_intent_id: payment_intent_id.as_deref(),
        worker: call.invocation_id(),
        lease: jobs::LEASE,
    };
    let confirmed = confirm::confirm(&app.db, app.stripe()?, &request, call.deadline()).await?;
    Answer::ok(ConfirmationAnswer { reservation_id, status: confirmed.status, paid_at: confirmed.paid_at })
}

#[cfg(test)]
mod tests;
