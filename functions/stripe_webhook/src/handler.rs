//! `POST /stripe_webhook`: verify the signature over the raw bytes, apply the event, answer with the decision.

use std::sync::Arc;

use kitloop::app::webhook;
use kitloop::boot::App;
use kitloop::clock;
use kitloop::domain::Decision;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::{Code, Error, Refusal};
use kitloop::http::{Answer, Call, Origins, WEBHOOK_BODY_LIMIT};
use kitloop::stripe::{self, Event, SignatureError, VerifiedPayload};
use lambda_http::{Body, Request, Response};

/// Good signatures are never limited, whatever Stripe sends at once; bad ones are.
const ENDPOINT: Endpoint = Endpoint {
    name: "stripe_webhook",
    methods: &["POST"],
    origins: Origins::None,
    body_limit: WEBHOOK_BODY_LIMIT,
    caller: CallerRule::None,
    rate_limit: RateLimit::Off,
};

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, stripe_webhook).await
}

async fn stripe_webhook(app: &App, call: &Call) -> Result<Answer, Error> {
    let payload = verify(app, call).await?;
    let event = Event::parse(&payload).map_err(|error| {
        tracing::error!(error = %error, "stripe_webhook.unreadable");
        Refusal::new(Code::MalformedBody, "The event cannot be read.")
    })?;

    let decision = webhook::apply(&app.db, &event).await?.decision;
    let status = if decision == Decision::CancelledConflict { 409 } else { 200 };
    Answer::new(status, serde_json::json!({"received": true, "decision": decision}))
}

async fn verify<'a>(app: &App, call: &'a Call) -> Result<VerifiedPayload<'a>, Error> {
    let signature = call.header("stripe-signature");
    let check =
        async |secrets: Arc<Vec<_>>| stripe::verify(call.raw_body(), signature, &secrets, clock::now());
    match app.config.webhook_secrets.try_with(check, SignatureError::is_mismatch).await {
        Ok(payload) => Ok(payload),
        Err(error) => {
            door::penalise(app, ENDPOINT.name, call).await?;
            Err(Refusal::new(Code::InvalidSignature, format!("The signature does not hold: {error}.")).into())
        }
    }
}

#[cfg(test)]
mod tests;
