//! What a function needs so that people can run it: an end, a log that ends, and a voice when nobody listens.

use serde_norway::Value;

use super::monitoring::counts;
use super::template::{Function, Template, at, children, reference, text};

/// How long a function may take: said, and said to itself as well.
pub(super) fn timeout(function: &Function<'_>) -> Option<String> {
    let Some(timeout) = function.property("Timeout") else {
        return Some(format!("{} has no Timeout", function.id));
    };
    let variables = function.variables();
    let told = variables.into_iter().find(|(name, _)| *name == "FUNCTION_TIMEOUT_SECONDS");
    // Variables are text: CloudFormation makes text of numbers, and not everything that reads templates does.
    let is_told = told.is_some_and(|(_, value)| value.as_str().map(str::parse) == timeout.as_u64().map(Ok));
    (!is_told).then(|| format!("{}: FUNCTION_TIMEOUT_SECONDS is not its Timeout", function.id))
}

/// A log group of the template, so that it goes with the stack, with a day on which its lines go.
pub(super) fn log_group(function: &Function<'_>) -> Option<String> {
    let config = function.property("LoggingConfig");
    let group = config.and_then(|config| reference(config.get("LogGroup")?));
    let resource = group.and_then(|id| function.template.resource(id));
    let is_kept_for_days = resource.is_some_and(|group| {
        text(group, &["Type"]) == Some("AWS::Logs::LogGroup")
            && at(group, &["Properties", "RetentionInDays"]).is_some()
    });
    (!is_kept_for_days).then(|| format!("{} has no log group with RetentionInDays", function.id))
}

/// Queues for what an asynchronous function did not take, from Lambda and from each source of its events.
pub(super) fn dead_letter_queues(function: &Function<'_>) -> Vec<String> {
    let events = function.asynchronous_events();
    let has_no_queue = !events.is_empty() && function.property("DeadLetterQueue").is_none();
    let of_function = has_no_queue.then(|| format!("{} has no DeadLetterQueue", function.id));
    let silent = events
        .into_iter()
        .filter(|(_, event)| !is_persistent(event))
        .filter(|(_, event)| at(event, &["Properties", "DeadLetterConfig"]).is_none())
        .map(|(name, _)| format!("{}: event {name} has no DeadLetterConfig", function.id));
    of_function.into_iter().chain(silent).collect()
}

/// A topic goes on for 23 days until Lambda takes an event:
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>.
fn is_persistent(event: &Value) -> bool {
    text(event, &["Type"]) == Some("SNS")
}

/// Alarms that count a function's errors, and where it has a URL of its own, whom Lambda turns away there.
pub(super) fn watches(function: &Function<'_>, alarms: &Template) -> Vec<String> {
    let name = function.property("FunctionName");
    let is_public = function.property("FunctionUrlConfig").is_some();
    [("Errors", "errors", true), ("Throttles", "throttles", is_public)]
        .into_iter()
        .filter(|(metric, _, is_due)| *is_due && !name.is_some_and(|name| counts(alarms, metric, name)))
        .map(|(_, what, _)| format!("{}: no alarm counts its {what}", function.id))
        .collect()
}

/// A function that nobody waits for switches to a new version at once: too few of its runs would be the new one's for
/// any alarm to see.
pub(super) fn switch(function: &Function<'_>) -> Option<String> {
    let is_asynchronous = !function.asynchronous_events().is_empty();
    let preference = function.property("DeploymentPreference");
    let is_at_once = preference.and_then(|it| it.get("Enabled")?.as_bool()) == Some(false);
    (is_asynchronous && !is_at_once).then(|| format!("{} does not switch at once", function.id))
}

/// An alarm on the errors of an asynchronous function, which exists in every deployment and tells somebody.
pub(super) fn alarm(function: &Function<'_>, alarms: &Template) -> Option<String> {
    let is_asynchronous = !function.asynchronous_events().is_empty();
    let name = function.property("FunctionName");
    let has_alarm = (alarms.resources("AWS::CloudWatch::Alarm").into_iter())
        .any(|(_, alarm)| name.is_some_and(|name| is_on_errors(alarm, name)));
    (is_asynchronous && !has_alarm).then(|| format!("{} has no alarm on its errors", function.id))
}

fn is_on_errors(alarm: &Value, function_name: &Value) -> bool {
    let dimensions = at(alarm, &["Properties", "Dimensions"]).map(children).unwrap_or_default();
    let is_its_own = dimensions.into_iter().any(|it| it.get("Value") == Some(function_name));
    let tells =
        at(alarm, &["Properties", "AlarmActions"]).is_some_and(|actions| !children(actions).is_empty());
    let is_always_there = alarm.get("Condition").is_none();
    is_its_own && text(alarm, &["Properties", "MetricName"]) == Some("Errors") && tells && is_always_there
}
