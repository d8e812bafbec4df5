//! CloudWatch's embedded metric format: members of a log line, and directives that say which of them are metrics.
//! See <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use serde_json::{Map, Number, Value, json};

use super::sandbox::sandbox;
use crate::clock;

/// The namespace of all our metrics.
const NAMESPACE: &str = "Kitloop";
/// Lines with this target carry metrics.
pub(super) const TARGET: &str = "kitloop_metrics";
/// The field of such a line that holds them, as JSON text.
pub(super) const FIELD: &str = "metrics";
/// The dimension that every metric has: several environments may share an account.
const ENVIRONMENT: &str = "Environment";

/// A unit that CloudWatch knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// So many.
    Count,
    /// A duration.
    Milliseconds,
    /// A longer one.
    Seconds,
    /// A share, from 0 to 100.
    Percent,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Percent => "Percent",
        }
    }
}

/// A number that a metric may have.
pub(super) trait Measurable {
    /// `None` for what JSON has no number for.
    fn number(self) -> Option<Number>;
}

impl Measurable for u64 {
    fn number(self) -> Option<Number> {
        Some(self.into())
    }
}

impl Measurable for f64 {
    fn number(self) -> Option<Number> {
        Number::from_f64(self)
    }
}

/// A metric and its value.
pub(super) struct Measure {
    name: &'static str,
    unit: Unit,
    value: Option<Number>,
}

impl Measure {
    pub(super) fn new(name: &'static str, unit: Unit, value: impl Measurable) -> Self {
        Self { name, unit, value: value.number() }
    }
}

/// Metrics that are told apart in the same ways.
pub(super) struct Directive<'a> {
    /// Each set of dimensions, beside the environment.
    pub(super) sets: &'a [&'a [&'a str]],
    pub(super) measures: &'a [Measure],
}

/// The members of a line that carries these metrics.
pub(super) fn embedded(dimensions: &[(&str, &str)], directives: &[Directive<'_>]) -> Value {
    let mut members = Map::new();
    members.insert(ENVIRONMENT.to_owned(), environment().into());
    members.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    for Measure { name, value, .. } in directives.iter().flat_map(|directive| directive.measures) {
        members.extend(value.clone().map(|value| ((*name).to_owned(), Value::Number(value))));
    }
    let directives: Vec<Value> = directives.iter().filter_map(directive).collect();
    let metadata = json!({"Timestamp": clock::now().as_millisecond(), "CloudWatchMetrics": directives});
    members.insert("_aws".to_owned(), metadata);
    Value::Object(members)
}

/// A dimension's value must not be empty.
fn environment() -> &'static str {
    Some(sandbox().environment.as_str()).filter(|name| !name.is_empty()).unwrap_or("unknown")
}

fn directive(directive: &Directive<'_>) -> Option<Value> {
    let measured = directive.measures.iter().filter(|measure| measure.value.is_some());
    let metrics: Vec<Value> =
        measured.map(|measure| json!({"Name": measure.name, "Unit": measure.unit.as_str()})).collect();
    let dimensions: Vec<Vec<&str>> =
        directive.sets.iter().map(|set| [&[ENVIRONMENT], *set].concat()).collect();
    (!metrics.is_empty())
        .then(|| json!({"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}))
}

/// The members that go to the top of the line, where CloudWatch looks for them.
pub(super) fn members(field: Option<Value>) -> Map<String, Value> {
    let text = field.as_ref().and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}
