//! `POST /create_payment_intent`: parse, start the payment, answer with what the browser needs to confirm it.

use jiff::Timestamp;
use kitloop::app::pay;
use kitloop::boot::App;
use kitloop::domain::{CaptureMethod, Currency, ReservationId};
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};
use secrecy::ExposeSecret;

const ENDPOINT: Endpoint = Endpoint {
    name: "create_payment_intent",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::PAYMENTS,
};

#[derive(serde::Serialize)]
struct PaymentAnswer<'a> {
    reservation_id: ReservationId,
    payment_intent_id: &'a str,
    client_secret: &'a str,
    amount_minor: i64,
    currency: Currency,
    capture_method: CaptureMethod,
    reserved_until: Timestamp,
}

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, create_payment_intent).await
}

async fn create_payment_intent(app: &App, call: &Call) -> Result<Answer, Error> {
    let actor = call.caller()?.actor();
    let mut fields = call.json()?;
    let reservation_id = fields.uuid("reservation_id");
    let reservation_id = ReservationId(fields.finish(|| reservation_id)?);

    let payment = pay::start_payment(&app.db, app.stripe()?, actor, reservation_id, call.deadline()).await?;
    Answer::ok(PaymentAnswer {
        reservation_id,
        payment_intent_id: &payment.payment_intent_id,
        client_secret: payment.client_secret.expose_secret(),
        amount_minor: payment.amount.amount_minor,
        currency: payment.amount.currency,
        capture_method: payment.capture_method,
        reserved_until: payment.reserved_until,
    })
}

#[cfg(test)]
mod tests;
