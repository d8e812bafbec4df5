//! Every metric that there is, for whoever checks that what an alarm or a dashboard asks for is emitted.

use std::time::Duration;

use serde_json::Value;

use super::Unit;
use super::meter::{Calls, Spent};
use super::metrics::{self, Gauge, Kind, Outcome};

/// A metric as CloudWatch tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// The names of its dimensions, the environment's included.
    pub dimensions: Vec<String>,
}

/// The figures of the product; a test of `app::gauges` holds this to what is published.
const GAUGES: &[&str] = &[
    "DeadLettersLast24h",
    "HoldConversionLast24h",
    "HoldsExpiredLast24h",
    "HoldsOpen",
    "JobsDue",
    "JobsFailedLastHour",
    "JobsQueued",
    "PaymentSuccessRateLast24h",
    "PaymentsFailedLast24h",
    "PaymentsSucceededLast24h",
    "SchedulesStale",
    "WebhookFailedLastHour",
    "WorkerHeartbeatAge",
];

/// Every metric of the functions, read from one line of each kind.
#[must_use]
pub fn catalogue() -> Vec<Metric> {
    let gauge = |name: &&'static str| Gauge { name, unit: Unit::Count, value: 0.0 };
    let gauges: Vec<Gauge> = GAUGES.iter().map(gauge).collect();
    let lines = [
        invocation(Kind::Request),
        invocation(Kind::Run),
        metrics::decided("", ""),
        metrics::opened(""),
        metrics::started("", Duration::ZERO),
        metrics::gauged(&gauges),
    ];
    lines.iter().flat_map(metrics_of).collect()
}

/// The metrics of an invocation that called everybody.
fn invocation(kind: Kind) -> Value {
    let calls = Calls { count: 1, time: Duration::ZERO };
    let spent = Spent { database: calls, stripe: calls, email: calls };
    metrics::invocation(kind, "", Outcome::Ok, "", Duration::ZERO, &spent)
}

/// Each metric of a line by each set of its dimensions.
fn metrics_of(line: &Value) -> Vec<Metric> {
    let directives = line.pointer("/_aws/CloudWatchMetrics").and_then(Value::as_array);
    directives.into_iter().flatten().flat_map(metrics_of_directive).collect()
}

fn metrics_of_directive(directive: &Value) -> Vec<Metric> {
    let list = |name| directive.get(name).and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let sets = list("Dimensions").map(|set| set.as_array().into_iter().flatten().filter_map(text).collect());
    let sets: Vec<Vec<String>> = sets.collect();
    list("Metrics")
        .filter_map(|metric| text(metric.get("Name")?))
        .flat_map(|name| {
            sets.iter().map(move |dimensions| Metric { name: name.clone(), dimensions: dimensions.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(name: &str, dimensions: &[&str]) -> bool {
        catalogue().iter().any(|metric| metric.name == name && metric.dimensions.iter().eq(dimensions.iter()))
    }

    #[test]
    fn a_metric_is_known_by_each_set_of_its_dimensions() {
        assert!(has("Requests", &["Environment"]));
        assert!(has("Requests", &["Environment", "Function", "Outcome"]));
        assert!(has("StripeDuration", &["Environment", "Function"]));
        assert!(has("EmailDuration", &["Environment", "Function"]));
        assert!(has("Answers", &["Environment", "Function", "Code"]));
        assert!(has("Decisions", &["Environment", "Function", "Decision"]));
        assert!(has("GuardOpen", &["Environment", "Function"]));
        assert!(has("InitDuration", &["Environment", "Function"]));
        assert!(has("JobsDue", &["Environment"]));
    }

    #[test]
    fn what_nobody_emits_is_not_in_it() {
        assert!(!has("Answers", &["Environment"]));
        assert!(!has("GuardOpen", &["Environment"]));
        assert!(!has("Request", &["Environment"]));
        assert!(!has("Duration", &["Environment", "Function", "Outcome"]));
    }
}
