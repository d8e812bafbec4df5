//! An error of ours as Sentry takes it: <https://develop.sentry.dev/sdk/foundations/transport/envelopes/> around
//! <https://develop.sentry.dev/sdk/foundations/transport/event-payloads/>. Why by hand:
//! docs/adr/0008.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock;
use crate::telemetry::sandbox;
use crate::telemetry::scrub::scrub;

/// The version that made the error.
const RELEASE: &str = concat!("kitloop@", env!("CARGO_PKG_VERSION"));
/// What a line may say of the circumstances. Whatever is not named here stays here.
const EXTRA: &[&str] = &[
    "status",
    "duration_ms",
    "database_ms",
    "database_round_trips",
    "stripe_ms",
    "location",
    "setting",
    "kind",
    "requestId",
];
/// Where a line says what went wrong.
const CAUSES: &[&str] = &["error", "reason", "problem", "decision"];

/// The envelope of a line's fields, logged by the module `target`.
pub(super) fn envelope(target: &str, fields: &Map<String, Value>) -> Vec<u8> {
    let id = Uuid::new_v4().simple().to_string();
    let event = event(&id, target, fields).to_string();
    let header = json!({"event_id": id, "sent_at": clock::now().to_string()});
    let item = json!({"type": "event", "length": event.len(), "content_type": "application/json"});
    format!("{header}\n{item}\n{event}\n").into_bytes()
}

fn event(id: &str, target: &str, fields: &Map<String, Value>) -> Value {
    let text = |name: &str| Some(scrub(fields.get(name)?.as_str()?));
    let message = text("message").unwrap_or_default();
    let function = text("function").unwrap_or_else(|| sandbox().function.to_owned());
    let code = text("code");
    // What has no code, such as a job, may be of a kind. A panic has a place, and is the same one in every function.
    let sort = code.clone().or_else(|| text("kind")).unwrap_or_else(|| "none".to_owned());
    let fingerprint = match text("location") {
        Some(location) => json!([message, location]),
        None => json!([message, function, sort]),
    };
    let cause = CAUSES.iter().find_map(|name| text(name));
    let extra: Map<String, Value> =
        EXTRA.iter().filter_map(|name| Some(((*name).to_owned(), scrubbed(fields.get(*name)?)))).collect();
    json!({
        "event_id": id,
        "timestamp": clock::now().to_string(),
        "platform": "native",
        "level": "error",
        "logger": target,
        "release": RELEASE,
        "environment": sandbox().environment,
        "fingerprint": fingerprint,
        "exception": {"values": [{"type": message, "value": cause}]},
        "tags": {
            "function": function,
            "code": code,
            "correlation_id": text("correlation_id"),
        },
        "extra": extra,
    })
}

fn scrubbed(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| scrub(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(fields: Value) -> Value {
        let text = String::from_utf8(envelope("kitloop::door", fields.as_object().unwrap())).unwrap();
        let [header, item, event] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let [header, item, parsed]: [Value; 3] =
            [header, item, event].map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(header["event_id"], parsed["event_id"]);
        assert_eq!((&item["type"], &item["length"]), (&json!("event"), &json!(event.len())));
        parsed
    }

    #[test]
    fn an_event_says_what_failed_where_and_nothing_else() {
        let event = reported(json!({
            "message": "request.answered", "function": "reserve_gear", "code": "internal_error",
            "correlation_id": "abc", "error": "database: of ema@example.com", "status": 500,
            "caller": "0123456789abcdef", "metrics": "{}", "note": "Ema",
        }));
        assert_eq!(event["fingerprint"], json!(["request.answered", "reserve_gear", "internal_error"]));
        let exception = json!({"type": "request.answered", "value": "database: of [filtered]"});
        assert_eq!(event["exception"]["values"], json!([exception]));
        assert_eq!(
            event["tags"],
            json!({"function": "reserve_gear", "code": "internal_error", "correlation_id": "abc"})
        );
        assert_eq!(event["extra"], json!({"status": 500}));
        assert_eq!(event["release"], concat!("kitloop@", env!("CARGO_PKG_VERSION")));
        assert!(!event.to_string().contains("Ema") && !event.to_string().contains("0123456789abcdef"));
    }

    #[test]
    fn whoever_calls_chooses_the_correlation_id_and_may_put_anything_there() {
        let event = reported(json!({"message": "told", "correlation_id": "sk_test_x"}));
        assert_eq!(event["tags"]["correlation_id"], "[filtered]");
        assert_eq!(event["fingerprint"], json!(["told", "unknown", "none"]));
    }

    #[test]
    fn panics_are_told_apart_by_their_place_whoever_runs_into_them() {
        for function in ["ops", "reserve_gear"] {
            let event = reported(json!({
                "message": "panic", "reason": "index 3", "location": "shared/src/clock.rs:3:9", "function": function,
            }));
            assert_eq!(event["fingerprint"], json!(["panic", "shared/src/clock.rs:3:9"]));
            assert_eq!(event["exception"]["values"][0]["value"], "index 3");
        }
    }

    #[test]
    fn jobs_that_fail_are_told_apart_by_their_kind() {
        let event =
            reported(json!({"message": "job.failed", "kind": "refund_payment", "decision": "refund_failed"}));
        assert_eq!(event["fingerprint"], json!(["job.failed", "unknown", "refund_payment"]));
        assert_eq!(event["exception"]["values"][0]["value"], "refund_failed");
    }
}
