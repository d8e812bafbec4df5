//! The reconciliation: every hour by schedule (EventBridge), or for a window by hand: `{from, to}` as an event, or as
//! `POST /reconcile_payments` with the secret of schedules.

use kitloop::app::reconcile;
use kitloop::boot::App;
use kitloop::clock;
use kitloop::domain::{Period, PeriodError};
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{self, Answer, Call, Fields, JSON_BODY_LIMIT, Origins, deadline};
use lambda_http::LambdaEvent;
use serde_json::{Value, json};

const ENDPOINT: Endpoint = Endpoint {
    name: "reconcile_payments",
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
        return Ok(http::into_event(door::answer(app, &ENDPOINT, request, reconcile_payments).await));
    }
    let deadline = deadline::of(Some(&event.context), app.config.function_timeout);
    let window = read_window(Fields::of_event(&event.payload))?;
    Ok(json!(reconcile::reconcile(&app.db, app.stripe()?, window, deadline).await?))
}

async fn reconcile_payments(app: &App, call: &Call) -> Result<Answer, Error> {
    let window = if call.raw_body().is_empty() { None } else { read_window(call.json()?)? };
    Answer::ok(reconcile::reconcile(&app.db, app.stripe()?, window, call.deadline()).await?)
}

/// The window that was asked for: from and to, or neither.
fn read_window(mut fields: Fields) -> Result<Option<Period>, Error> {
    if !fields.has("from") && !fields.has("to") {
        return Ok(None);
    }
    let (from, to) = (fields.timestamp("from"), fields.timestamp("to"));
    if to.is_some_and(|to| to > clock::now()) {
        fields.reject("to", "must not be in the future");
    }
    let window = from.zip(to).and_then(|(from, to)| {
        Period::new(from, to).inspect_err(|error| fields.reject("to", reason(*error))).ok()
    });
    fields.finish(|| window.map(Some))
}

fn reason(error: PeriodError) -> &'static str {
    match error {
        PeriodError::EmptyOrReversed => "must be after from",
        PeriodError::TooLong => "must be at most 366 days after from",
    }
}

#[cfg(test)]
mod tests;
