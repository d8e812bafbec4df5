//! `POST /refund_reservation`: parse, decide on the refund, answer. The worker makes it.

use kitloop::app::refund;
use kitloop::boot::App;
use kitloop::db::RefundRequest;
use kitloop::domain::ReservationId;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

const ENDPOINT: Endpoint = Endpoint {
    name: "refund_reservation",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};

/// In characters.
const LONGEST_REASON: usize = 500;
/// Stripe takes at most eight digits: <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>.
const LARGEST_AMOUNT_MINOR: i64 = 99_999_999;

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, refund_reservation).await
}

async fn refund_reservation(app: &App, call: &Call) -> Result<Answer, Error> {
    let caller = call.caller()?;
    let mut fields = call.json()?;
    let request_hash = fields.hash();
    let idempotency_key = fields.optional_idempotency_key();
    let reservation_id = fields.uuid("reservation_id");
    let amount_minor = fields.optional_integer("amount_minor", 1..=LARGEST_AMOUNT_MINOR);
    let reason = fields.text("reason", LONGEST_REASON);
    let is_offline = fields.optional_bool("offline").unwrap_or_default();
    let (reservation_id, reason) = fields.finish(|| Some((reservation_id?, reason?)))?;

    let request = RefundRequest {
        caller: &caller.key(),
        idempotency_key: idempotency_key.as_deref(),
        request_hash: &request_hash,
        actor: caller.actor(),
        reservation_id: ReservationId(reservation_id),
        amount_minor,
        note: &reason,
        is_offline,
    };
    let refunding = refund::refund(&app.db, &request).await?;
    Ok(Answer::accepted(&refunding)?.with_header("idempotent-replayed", refunding.replayed.to_string()))
}

#[cfg(test)]
mod tests;
