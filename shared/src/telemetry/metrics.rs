//! Metrics in CloudWatch's embedded metric format, as members of a log line of our own shape, so that one stream
//! serves both. Dimensions are few and bounded: never a user, a reservation or an address.
//! See <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::{self, milliseconds};

/// The namespace of all our metrics.
const NAMESPACE: &str = "Kitloop";
/// Lines with this target carry metrics.
pub(super) const TARGET: &str = "kitloop_metrics";
/// The field of such a line that holds them, as JSON text.
pub(super) const FIELD: &str = "metrics";

/// What the metrics of this process are told apart by from those of other environments in the same account.
static ENVIRONMENT: OnceLock<String> = OnceLock::new();

/// Names the environment in every metric from now on; the first call counts.
pub fn set_environment(environment: &str) {
    // A second call would be of the same sandbox, and so of the same environment.
    let _ = ENVIRONMENT.set(environment.to_owned());
}

/// A unit that CloudWatch knows.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Count,
    Milliseconds,
}

struct Measure {
    name: &'static str,
    unit: Unit,
    value: u64,
}

/// One more request to `function` that ended with `outcome` (`ok`, `refused` or `failed`) after `duration`.
pub fn request(function: &str, outcome: &'static str, duration: Duration) {
    let measures = [
        Measure { name: "Requests", unit: Unit::Count, value: 1 },
        Measure { name: "Duration", unit: Unit::Milliseconds, value: milliseconds(duration) },
    ];
    emit(function, Some(("Outcome", outcome)), &measures);
}

/// One more event that `function` answered with `decision`, one of the webhook's.
pub fn decision(function: &str, decision: &str) {
    emit(function, Some(("Decision", decision)), &[count("Decisions", 1)]);
}

/// `function` went on without the guard.
pub fn guard_open(function: &str) {
    emit(function, None, &[count("GuardOpen", 1)]);
}

fn count(name: &'static str, value: u64) -> Measure {
    Measure { name, unit: Unit::Count, value }
}

fn emit(function: &str, dimension: Option<(&'static str, &str)>, measures: &[Measure]) {
    let metrics = embedded(function, dimension, measures).to_string();
    // The target's name and the field's are constants above; the macro wants them spelt out.
    tracing::info!(target: TARGET, metrics, "metrics");
}

fn embedded(function: &str, dimension: Option<(&'static str, &str)>, measures: &[Measure]) -> Value {
    let mut dimensions = vec![json!(["Environment", "Function"])];
    let mut members = Map::new();
    members.insert("Environment".into(), ENVIRONMENT.get().map_or("unknown", String::as_str).into());
    members.insert("Function".into(), function.into());
    if let Some((name, value)) = dimension {
        dimensions.push(json!(["Environment", "Function", name]));
        members.insert(name.into(), value.into());
    }
    let definitions: Vec<Value> =
        measures.iter().map(|measure| json!({"Name": measure.name, "Unit": unit(measure.unit)})).collect();
    members.extend(measures.iter().map(|measure| (measure.name.to_owned(), measure.value.into())));
    members.insert(
        "_aws".into(),
        json!({
            "Timestamp": clock::now().as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": definitions}],
        }),
    );
    Value::Object(members)
}

const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "Count",
        Unit::Milliseconds => "Milliseconds",
    }
}

/// The members that go to the top of the line, where CloudWatch looks for them.
pub(super) fn members(field: Option<Value>) -> Map<String, Value> {
    let text = field.as_ref().and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::capture;

    #[test]
    fn a_metric_line_is_a_log_line_with_an_embedded_metric() {
        set_environment("staging");
        let lines = capture(|| request("reserve_gear", "ok", Duration::from_millis(12)));
        let line = lines.first().unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["context"], json!({}));
        assert_eq!(line["Environment"], "staging");
        assert_eq!(line["Function"], "reserve_gear");
        assert_eq!(line["Outcome"], "ok");
        assert_eq!(line["Requests"], 1);
        assert_eq!(line["Duration"], 12);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Kitloop");
        assert_eq!(
            directive["Dimensions"],
            json!([["Environment", "Function"], ["Environment", "Function", "Outcome"]])
        );
        assert_eq!(directive["Metrics"][1], json!({"Name": "Duration", "Unit": "Milliseconds"}));
    }
}
