//! Events, one at a time: each of them ends with one line, whatever happens to it.

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::{Body, LambdaEvent, Request, Response, service_fn};
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::BootError;
use crate::door;
use crate::error::{Code, Error, Refusal};
use crate::http;
use crate::http::response::{self, Problem};
use crate::telemetry::meter::{self, Spent};
use crate::telemetry::{self, ANSWERED, Ending, Outcome, caught};

/// How long an answer waits for errors to be reported; after it Lambda stops the sandbox until the next event.
const TIME_TO_REPORT: Duration = Duration::from_millis(50);

/// Answers HTTP events, one at a time, until the sandbox ends.
///
/// # Errors
/// [`BootError::Runtime`] if the runtime API fails.
pub async fn serve_http<A>(
    app: Arc<A>,
    handler: impl AsyncFn(&A, Request) -> Response<Body>,
) -> Result<(), BootError> {
    let serve = async |event: LambdaEvent<Value>| {
        let function = telemetry::sandbox().function;
        let span = tracing::error_span!("event", function, correlation_id = event.context.request_id);
        let answer = handle_request(app.as_ref(), &event, &handler).instrument(span).await;
        telemetry::sentry::flush(TIME_TO_REPORT).await;
        Ok::<Value, Infallible>(answer)
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(BootError::Runtime)
}

/// The handler's answer, which has its line from the door. What does not get there, or does not come back from there, is
/// answered and told of here.
async fn handle_request<A>(
    app: &A,
    event: &LambdaEvent<Value>,
    handler: &impl AsyncFn(&A, Request) -> Response<Body>,
) -> Value {
    let started = Instant::now();
    let work = async {
        let no_request = || Refusal::new(Code::InvalidRequest, "The event is no HTTP request.");
        let request = http::from_event(event)?.ok_or_else(no_request)?;
        Ok(http::into_event(handler(app, request).await))
    };
    match caught(work).await.unwrap_or(Err(Error::Panicked)) {
        Ok(answer) => answer,
        Err(error) => {
            let function = telemetry::sandbox().function;
            let outcome = door::conclude(function, Err(error), started.elapsed(), Spent::default());
            http::into_event(response::render(outcome, &event.context.request_id, Vec::new()))
        }
    }
}

/// Handles events of any shape, one at a time, until the sandbox ends. The invocation's id is the correlation id, unless
/// the event is HTTP and brings one. An error is logged and handed to the runtime,
/// so that retries and alarms see it.
///
/// # Errors
/// [`BootError::Runtime`] if the runtime API fails.
pub async fn serve_events<A>(
    app: Arc<A>,
    handler: impl AsyncFn(&A, LambdaEvent<Value>) -> Result<Value, Error>,
) -> Result<(), BootError> {
    let serve = async |event: LambdaEvent<Value>| {
        let function = telemetry::sandbox().function;
        let span = tracing::error_span!("event", function, correlation_id = event.context.request_id);
        let outcome = handle_event(app.as_ref(), event, &handler).instrument(span).await;
        telemetry::sentry::flush(TIME_TO_REPORT).await;
        outcome
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(BootError::Runtime)
}

async fn handle_event<A>(
    app: &A,
    event: LambdaEvent<Value>,
    handler: &impl AsyncFn(&A, LambdaEvent<Value>) -> Result<Value, Error>,
) -> Result<Value, Diagnostic> {
    let started = Instant::now();
    let is_http = http::is_http(&event);
    let (outcome, spent) = meter::measured(caught(handler(app, event))).await;
    let outcome = outcome.unwrap_or(Err(Error::Panicked));
    // A request that was answered has its line already, from the door.
    if !is_http || outcome.is_err() {
        conclude(&outcome, started.elapsed(), spent);
    }
    outcome.map_err(|error| Diagnostic {
        error_type: "kitloop::Error".to_owned(),
        error_message: error.to_string(),
    })
}

/// Says once how an event ended. Nobody reads a refusal here: it is as good as a failure.
fn conclude(outcome: &Result<Value, Error>, duration: Duration, spent: Spent) {
    let function = telemetry::sandbox().function;
    let error = outcome.as_ref().err();
    let code = error.map_or(ANSWERED, |error| Problem::of(error).code);
    let sorted = if error.is_some() { Outcome::Failed } else { Outcome::Ok };
    let panicked = matches!(error, Some(Error::Panicked));
    let error = error.map(|error| error as &dyn Display);
    Ending { function, outcome: sorted, code, error, panicked, duration, spent }.tell_event();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::boot::App;
    use crate::config::{Config, Needs};
    use crate::telemetry::testing::Recorder;

    /// The lines of an event with this payload and outcome.
    async fn told(payload: Value, outcome: Result<Value, Error>) -> Vec<Value> {
        let (recorder, _guard) = Recorder::start();
        let settings = [("DATABASE_URL", "postgres://kitloop_app@127.0.0.1/kitloop")];
        let value = |name: &str| Some(settings.iter().find(|(known, _)| *known == name)?.1.to_owned());
        let app = App::new(Config::from_lookup(Needs::DATABASE, &value).unwrap()).unwrap();
        let outcome = std::cell::RefCell::new(Some(outcome));
        let handler = async |_: &App, _| outcome.borrow_mut().take().unwrap();
        let event = LambdaEvent::new(payload, lambda_http::Context::default());
        let _ = handle_event(&app, event, &handler).await;
        recorder.lines()
    }

    #[tokio::test]
    async fn an_event_ends_with_one_line_unless_the_door_has_written_it() {
        let lines = told(json!({}), Ok(json!({}))).await;
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["message"], &lines[0]["Outcome"]), (&json!("event.handled"), &json!("ok")));
        assert!(told(json!({"requestContext": {}}), Ok(json!({}))).await.is_empty());
    }

    #[tokio::test]
    async fn an_event_that_panics_ends_with_its_line_too() {
        let (recorder, _guard) = Recorder::start();
        let handler = async |(): &(), _| panic!("a mistake");
        let event = LambdaEvent::new(json!({}), lambda_http::Context::default());
        let failure = handle_event(&(), event, &handler).await.unwrap_err();
        assert_eq!(failure.error_message, "internal: panic");
        let lines = recorder.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (&lines[0]["message"], &lines[0]["context"]["panicked"]),
            (&json!("event.failed"), &json!(true))
        );
    }

    #[tokio::test]
    async fn a_refusal_that_nobody_reads_is_a_failure() {
        let refusal = || Err(Refusal::of(Code::AlreadyRunning).into());
        for payload in [json!({}), json!({"requestContext": {}})] {
            let lines = told(payload, refusal()).await;
            assert_eq!(lines.len(), 1);
            assert_eq!((&lines[0]["level"], &lines[0]["message"]), (&json!("ERROR"), &json!("event.failed")));
            assert_eq!(
                (&lines[0]["Outcome"], &lines[0]["Code"]),
                (&json!("failed"), &json!("already_running"))
            );
        }
    }

    /// The answer to a request that is handled like this, and the lines about it.
    async fn answered(
        payload: Value,
        handler: impl AsyncFn(&(), Request) -> Response<Body>,
    ) -> (Value, Vec<Value>) {
        let (recorder, _guard) = Recorder::start();
        let event = LambdaEvent::new(payload, lambda_http::Context::default());
        let answer = handle_request(&(), &event, &handler).await;
        (answer, recorder.lines())
    }

    #[tokio::test]
    async fn an_event_that_is_no_request_is_answered_and_told_of() {
        let nobody = async |(): &(), _| -> Response<Body> { panic!("nothing to handle") };
        for (payload, status, code, level) in [
            (json!({"source": "aws.events"}), 400, "invalid_request", "INFO"),
            (json!({"requestContext": {"stage": "dev"}}), 500, "internal_error", "ERROR"),
        ] {
            let (answer, lines) = answered(payload, nobody).await;
            assert_eq!(answer["statusCode"], status);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!(
                (&lines[0]["message"], &lines[0]["level"]),
                (&json!("request.answered"), &json!(level))
            );
            assert_eq!((&lines[0]["Code"], &lines[0]["Requests"]), (&json!(code), &json!(1)));
        }
    }

    #[tokio::test]
    async fn a_request_that_panics_outside_the_door_is_answered_and_told_of() {
        let payload = crate::http::testing::event("POST", &[], "{}");
        let (answer, lines) = answered(payload, async |(): &(), _| panic!("a mistake")).await;
        assert_eq!(answer["statusCode"], 500);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(
            (&lines[0]["Outcome"], &lines[0]["context"]["panicked"]),
            (&json!("failed"), &json!(true))
        );
    }
}
