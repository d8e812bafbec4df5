//! `POST /cancel_reservation`: parse, cancel or say what that would mean, answer.

use kitloop::app::cancel;
use kitloop::boot::App;
use kitloop::db::CancellationRequest;
use kitloop::domain::{Currency, ReservationId, ReservationStatus};
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

const ENDPOINT: Endpoint = Endpoint {
    name: "cancel_reservation",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};

/// In characters.
const LONGEST_REASON: usize = 500;

#[derive(serde::Serialize)]
struct CancellationAnswer {
    reservation_id: ReservationId,
    status: ReservationStatus,
    refund_minor: i64,
    refund_percent: i32,
    currency: Currency,
}

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, cancel_reservation).await
}

async fn cancel_reservation(app: &App, call: &Call) -> Result<Answer, Error> {
    let actor = call.caller()?.actor();
    let mut fields = call.json()?;
    let reservation_id = fields.uuid("reservation_id");
    let reason = fields.optional_text("reason", LONGEST_REASON);
    let is_preview = fields.optional_bool("preview").unwrap_or_default();
    let reservation_id = ReservationId(fields.finish(|| reservation_id)?);

    let request = CancellationRequest { actor, reservation_id, note: reason.as_deref(), is_preview };
    let cancelled = cancel::cancel(&app.db, &request).await?;
    Answer::ok(CancellationAnswer {
        reservation_id,
        status: ReservationStatus::Cancelled,
        refund_minor: cancelled.refund_minor,
        refund_percent: cancelled.refund_percent,
        currency: cancelled.currency,
    })
}

#[cfg(test)]
mod tests;
