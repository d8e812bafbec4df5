//! The one line at the end of each invocation, with its metrics; it is written whatever level is asked for.

use std::fmt::Display;
use std::time::Duration;

use super::embedded::TARGET;
use super::meter::Spent;
use super::metrics::{self, Kind, Outcome};
use crate::clock::milliseconds;

/// The code of what did not fail.
pub const ANSWERED: &str = "answered";

/// How an invocation ended.
pub struct Ending<'a> {
    /// The function's name.
    pub function: &'a str,
    /// How the metrics sort it.
    pub outcome: Outcome,
    /// The code of the refusal or failure, or [`ANSWERED`].
    pub code: &'static str,
    /// What went wrong, if we failed.
    pub error: Option<&'a dyn Display>,
    /// Whether it panicked, which has a line and a report of its own.
    pub panicked: bool,
    /// How long it took.
    pub duration: Duration,
    /// What of that went into waiting for others.
    pub spent: Spent,
}

/// The line, at this level. Macros of `tracing` want the level and the names spelt out.
macro_rules! line {
    ($level:ident, $ending:expr, $kind:expr, $status:expr, $message:literal) => {{
        let Ending { function, outcome, code, error, panicked, duration, spent } = $ending;
        let metrics = metrics::invocation($kind, function, *outcome, code, *duration, spent).to_string();
        tracing::$level!(
            target: TARGET,
            metrics,
            function,
            status = $status,
            outcome = outcome.as_str(),
            code,
            error = error.map(tracing::field::display),
            panicked = panicked.then_some(true),
            duration_ms = milliseconds(*duration),
            database_ms = milliseconds(spent.database.time),
            database_round_trips = spent.database.count,
            stripe_ms = milliseconds(spent.stripe.time),
            email_ms = (spent.email.count > 0).then(|| milliseconds(spent.email.time)),
            $message
        );
    }};
}

impl Ending<'_> {
    /// Tells of a request that was answered with `status`.
    pub fn tell_request(&self, status: u16) {
        match self.outcome {
            Outcome::Failed => line!(error, self, Kind::Request, status, "request.answered"),
            _ => line!(info, self, Kind::Request, status, "request.answered"),
        }
    }

    /// Tells of an event that nobody waits for an answer to.
    pub fn tell_event(&self) {
        match self.outcome {
            Outcome::Failed => line!(error, self, Kind::Run, None::<u16>, "event.failed"),
            _ => line!(info, self, Kind::Run, None::<u16>, "event.handled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::meter::Calls;
    use crate::telemetry::testing::Recorder;

    /// What is written of the end of an invocation by a process that only logs errors.
    fn told(outcome: Outcome, error: Option<&dyn Display>, status: Option<u16>) -> Value {
        let (recorder, _guard) = Recorder::filtered(Some("error"));
        let calls = |count, ms| Calls { count, time: Duration::from_millis(ms) };
        let spent = Spent { database: calls(2, 5), stripe: calls(1, 30), ..Spent::default() };
        let duration = Duration::from_millis(40);
        let code = "some_code";
        let span = tracing::error_span!("request", correlation_id = "abc");
        let function = "reserve_gear";
        let ending = Ending { function, outcome, code, error, panicked: false, duration, spent };
        span.in_scope(|| match status {
            Some(status) => ending.tell_request(status),
            None => ending.tell_event(),
        });
        let lines = recorder.lines();
        assert_eq!(lines.len(), 1);
        lines[0].clone()
    }

    #[test]
    fn a_request_has_one_line_with_its_metrics_at_every_level() {
        let line = told(Outcome::Ok, None, Some(201));
        assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("request.answered")));
        assert_eq!(
            line["context"],
            json!({
                "function": "reserve_gear", "status": 201, "outcome": "ok", "code": "some_code",
                "duration_ms": 40, "database_ms": 5, "database_round_trips": 2, "stripe_ms": 30,
                "correlation_id": "abc",
            })
        );
        assert_eq!((&line["Requests"], &line["StripeDuration"]), (&json!(1), &json!(30)));
    }

    #[test]
    fn a_failure_is_an_error_with_its_cause() {
        let line = told(Outcome::Failed, Some(&"the disk is full"), Some(500));
        assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("request.answered")));
        assert_eq!(line["context"]["error"], "the disk is full");
        let line = told(Outcome::Failed, Some(&"the disk is full"), None);
        assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("event.failed")));
    }

    #[test]
    fn an_event_has_no_status() {
        let line = told(Outcome::Ok, None, None);
        assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("event.handled")));
        assert!(line["context"].get("status").is_none());
        assert_eq!(line["Requests"], 1);
    }
}
