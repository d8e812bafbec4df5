//! The metrics, each as members of a log line, so that one stream serves both. Dimensions are few and bounded: never a
//! user, a reservation or an address. A new dimension value is a new metric to pay for.

use std::time::Duration;

use serde_json::Value;

use super::embedded::{Directive, Measure, TARGET, Unit, embedded};
use super::meter::{Calls, Spent};
use super::sandbox::sandbox;
use crate::clock::milliseconds;

/// A request, for each function and for all of them.
const REQUEST: &[&[&str]] = &[&[], &["Function"]];
/// How many ended how. What they took is not told apart by that.
const REQUEST_OUTCOME: &[&[&str]] = &[&["Outcome"], &["Function", "Outcome"]];
/// A run of a schedule. Not for all functions together: a worker that works for a minute is no slow request.
const RUN_OUTCOME: &[&[&str]] = &[&["Function", "Outcome"]];
const BY_FUNCTION: &[&[&str]] = &[&["Function"]];
const BY_CODE: &[&[&str]] = &[&["Function", "Code"]];
const BY_DECISION: &[&[&str]] = &[&["Function"], &["Function", "Decision"]];
/// What the whole product has once.
const OVERALL: &[&[&str]] = &[&[]];

/// What an invocation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Run,
}

/// How the metrics sort what an invocation ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, whatever the answer's status is: the 409 of a webhook and the 503 of a readiness check are answers.
    Ok,
    /// It was refused: "no, because …".
    Refused,
    /// We failed.
    Failed,
}

impl Outcome {
    /// Every one there is.
    pub const ALL: &'static [Self] = &[Self::Ok, Self::Refused, Self::Failed];

    /// Its name as a dimension's value and in log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The state of the product at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// The metric's name.
    pub name: &'static str,
    /// What the value counts.
    pub unit: Unit,
    /// The value; one that is not finite is left out.
    pub value: f64,
}

/// The metrics of an invocation of `function`, for its one line.
pub(super) fn invocation(
    kind: Kind,
    function: &str,
    outcome: Outcome,
    code: &str,
    duration: Duration,
    spent: &Spent,
) -> Value {
    let requests = || Measure::new("Requests", Unit::Count, 1);
    let mut measures = vec![
        requests(),
        Measure::new("Duration", Unit::Milliseconds, milliseconds(duration)),
        Measure::new("DatabaseRoundTrips", Unit::Count, spent.database.count),
    ];
    // No call is no call of 0 ms, which would hide the slow ones.
    let took = |name, calls: Calls| {
        (calls.count > 0).then(|| Measure::new(name, Unit::Milliseconds, milliseconds(calls.time)))
    };
    measures.extend(took("DatabaseDuration", spent.database));
    measures.extend(took("StripeDuration", spent.stripe));
    measures.extend(took("EmailDuration", spent.email));
    let answers = [Measure::new("Answers", Unit::Count, 1)];
    let (sets, outcome_sets) = match kind {
        Kind::Request => (REQUEST, REQUEST_OUTCOME),
        Kind::Run => (BY_FUNCTION, RUN_OUTCOME),
    };
    embedded(
        &[("Function", function), ("Outcome", outcome.as_str()), ("Code", code)],
        &[
            Directive { sets, measures: &measures },
            Directive { sets: outcome_sets, measures: &[requests()] },
            Directive { sets: BY_CODE, measures: &answers },
        ],
    )
}

/// One more event that came to `decision`: in the webhook, or where operators or the reconciliation had it run again.
pub fn decision(decision: &str) {
    emit(&decided(sandbox().function, decision));
}

pub(super) fn decided(function: &str, decision: &str) -> Value {
    let measures = [Measure::new("Decisions", Unit::Count, 1)];
    let dimensions = [("Function", function), ("Decision", decision)];
    embedded(&dimensions, &[Directive { sets: BY_DECISION, measures: &measures }])
}

/// `function` went on without the guard.
pub fn guard_open(function: &str) {
    emit(&opened(function));
}

pub(super) fn opened(function: &str) -> Value {
    let measures = [Measure::new("GuardOpen", Unit::Count, 1)];
    embedded(&[("Function", function)], &[Directive { sets: BY_FUNCTION, measures: &measures }])
}

/// This sandbox is ready, after a start that took so long.
pub fn cold_start(init: Duration) {
    let function = sandbox().function;
    let (metrics, init_ms) = (started(function, init).to_string(), milliseconds(init));
    tracing::info!(target: TARGET, metrics, function, init_ms, "boot.ready");
}

pub(super) fn started(function: &str, init: Duration) -> Value {
    let measures = [
        Measure::new("ColdStarts", Unit::Count, 1),
        Measure::new("InitDuration", Unit::Milliseconds, milliseconds(init)),
    ];
    embedded(&[("Function", function)], &[Directive { sets: BY_FUNCTION, measures: &measures }])
}

/// How the product is doing, which belongs to no function.
pub fn gauges(gauges: &[Gauge]) {
    emit(&gauged(gauges));
}

pub(super) fn gauged(gauges: &[Gauge]) -> Value {
    let measures: Vec<Measure> =
        gauges.iter().map(|gauge| Measure::new(gauge.name, gauge.unit, gauge.value)).collect();
    embedded(&[], &[Directive { sets: OVERALL, measures: &measures }])
}

fn emit(metrics: &Value) {
    let metrics = metrics.to_string();
    // The field's name is a constant, `FIELD`; the macro wants it spelt out.
    tracing::info!(target: TARGET, metrics, "metrics");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::testing::capture;

    fn directives(line: &Value) -> &Vec<Value> {
        line["_aws"]["CloudWatchMetrics"].as_array().unwrap()
    }

    fn names(directive: &Value) -> Vec<&str> {
        let metrics = directive["Metrics"].as_array().unwrap();
        metrics.iter().map(|metric| metric["Name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_request_counts_for_its_function_its_outcome_and_the_whole() {
        let calls = Calls { count: 2, time: Duration::from_millis(7) };
        let spent = Spent { database: calls, ..Spent::default() };
        let took = Duration::from_millis(12);
        let line = invocation(Kind::Request, "reserve_gear", Outcome::Refused, "hold_expired", took, &spent);
        let [request, outcome, answer] = directives(&line).as_slice() else { panic!("{line}") };
        assert_eq!(request["Dimensions"], json!([["Environment"], ["Environment", "Function"]]));
        assert_eq!(names(request), ["Requests", "Duration", "DatabaseRoundTrips", "DatabaseDuration"]);
        let sets = json!([["Environment", "Outcome"], ["Environment", "Function", "Outcome"]]);
        assert_eq!((&outcome["Dimensions"], names(outcome)), (&sets, vec!["Requests"]));
        assert_eq!(answer["Dimensions"], json!([["Environment", "Function", "Code"]]));
        assert_eq!(names(answer), ["Answers"]);
        for (member, value) in [
            ("Function", json!("reserve_gear")),
            ("Outcome", json!("refused")),
            ("Code", json!("hold_expired")),
            ("Requests", json!(1)),
            ("Duration", json!(12)),
            ("DatabaseRoundTrips", json!(2)),
            ("DatabaseDuration", json!(7)),
            ("Answers", json!(1)),
        ] {
            assert_eq!(line[member], value, "{member}");
        }
    }

    #[test]
    fn the_run_of_a_schedule_is_no_request_of_the_whole() {
        let line =
            invocation(Kind::Run, "run_jobs", Outcome::Ok, "answered", Duration::ZERO, &Spent::default());
        let [run, outcome, _] = directives(&line).as_slice() else { panic!("{line}") };
        assert_eq!(run["Dimensions"], json!([["Environment", "Function"]]));
        assert_eq!(names(run), ["Requests", "Duration", "DatabaseRoundTrips"]);
        assert_eq!(outcome["Dimensions"], json!([["Environment", "Function", "Outcome"]]));
    }

    #[test]
    fn only_services_that_were_called_have_a_duration() {
        let calls = Calls { count: 1, time: Duration::from_millis(7) };
        let spent = Spent { email: calls, ..Spent::default() };
        let line = invocation(Kind::Run, "run_jobs", Outcome::Ok, "answered", Duration::ZERO, &spent);
        let expected = ["Requests", "Duration", "DatabaseRoundTrips", "EmailDuration"];
        assert_eq!((names(&directives(&line)[0]), &line["EmailDuration"]), (expected.to_vec(), &json!(7)));
    }

    #[test]
    fn a_decision_is_counted_for_whoever_runs_here() {
        crate::telemetry::set_sandbox("reconcile_payments", "test");
        let lines = capture(|| decision("confirmed"));
        let line = lines.first().unwrap();
        assert_eq!(
            (&line["Function"], &line["Decision"], &line["Decisions"]),
            (&json!("reconcile_payments"), &json!("confirmed"), &json!(1))
        );
    }

    #[test]
    fn a_start_says_how_long_it_took() {
        let lines = capture(|| cold_start(Duration::from_millis(11)));
        let line = lines.first().unwrap();
        assert_eq!(line["message"], "boot.ready");
        assert_eq!((&line["ColdStarts"], &line["InitDuration"]), (&json!(1), &json!(11)));
        assert_eq!(line["context"]["init_ms"], 11);
        assert_eq!(directives(line)[0]["Dimensions"], json!([["Environment", "Function"]]));
    }

    #[test]
    fn gauges_belong_to_the_environment_and_may_have_fractions() {
        let gauge = |name, value| Gauge { name, unit: Unit::Percent, value };
        let lines = capture(|| gauges(&[gauge("Share", 66.67), gauge("Nothing", f64::NAN)]));
        let line = lines.first().unwrap();
        assert_eq!(line["Share"], 66.67);
        assert!(line.get("Nothing").is_none());
        let directive = &directives(line)[0];
        assert_eq!(directive["Dimensions"], json!([["Environment"]]));
        assert_eq!(directive["Metrics"], json!([{"Name": "Share", "Unit": "Percent"}]));
    }
}
