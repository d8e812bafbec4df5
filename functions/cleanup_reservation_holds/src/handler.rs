//! The sweep: by schedule (EventBridge), or `POST /cleanup_reservation_holds` with the secret of schedules.

use kitloop::app::expire;
use kitloop::boot::App;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{self, Answer, Call, JSON_BODY_LIMIT, Origins, deadline};
use lambda_http::LambdaEvent;
use serde_json::{Value, json};

const ENDPOINT: Endpoint = Endpoint {
    name: "cleanup_reservation_holds",
    methods: &["POST"],
    origins: Origins::None,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::CronSecret,
    rate_limit: RateLimit::STANDARD,
};

/// Handles one event. Only IAM lets an event without an HTTP context in, so that one is trusted; it fails as an error,
/// so that retries and alarms see it.
pub(crate) async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<Value, Error> {
    if let Some(request) = http::from_event(&event)? {
        return Ok(http::into_event(door::answer(app, &ENDPOINT, request, cleanup_reservation_holds).await));
    }
    let deadline = deadline::of(Some(&event.context), app.config.function_timeout);
    Ok(json!(expire::expire_holds(&app.db, deadline).await?))
}

async fn cleanup_reservation_holds(app: &App, call: &Call) -> Result<Answer, Error> {
    Answer::ok(expire::expire_holds(&app.db, call.deadline()).await?)
}

#[cfg(test)]
mod tests;
