//! `POST /reserve_gear`: parse, take the hold, answer.

use kitloop::app::reserve;
use kitloop::boot::App;
use kitloop::clock;
use kitloop::db::ReserveRequest;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

use crate::request::read_booking;

const ENDPOINT: Endpoint = Endpoint {
    name: "reserve_gear",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, reserve_gear).await
}

async fn reserve_gear(app: &App, call: &Call) -> Result<Answer, Error> {
    let caller = call.caller()?;
    let mut fields = call.json()?;
    let request_hash = fields.hash();
    let idempotency_key = fields.idempotency_key();
    let booking = read_booking(&mut fields, clock::now());
    let (idempotency_key, booking) = fields.finish(|| Some((idempotency_key?, booking?)))?;

    let request = ReserveRequest {
        caller: &caller.key(),
        idempotency_key: &idempotency_key,
        request_hash: &request_hash,
        actor: caller.actor(),
        profile: &caller.contact(),
        booking: &booking,
    };
    let reserved = reserve::reserve(&app.db, &app.guard, &request, call.deadline()).await?;
    Ok(Answer::created(&reserved)?.with_header("idempotent-replayed", reserved.replayed.to_string()))
}

#[cfg(test)]
mod tests;
