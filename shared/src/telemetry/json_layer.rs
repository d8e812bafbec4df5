//! One event, one line: `{"timestamp", "level", "message", "context": {…}}`.
//!
//! Timestamp and level stand at the top because Lambda's level filter looks for them there; the fields of the event
//! and of the spans around it go into `context`, inner ones winning.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::scrub::scrub;
use super::{embedded, is_ours, sentry};
use crate::clock;

/// The fields of texts that others may have had a part in: the database, for one, quotes what it was given.
const QUOTING: &[&str] = &["error", "problem", "reason", "unrecorded"];

/// Takes a whole line, its newline included.
type Write = Arc<dyn Fn(&str) + Send + Sync>;

pub(super) struct JsonLayer {
    write: Write,
}

impl JsonLayer {
    pub(super) fn new(write: Write) -> Self {
        Self { write }
    }
}

/// The fields of a span, kept with it until the events inside it are written.
#[derive(Default)]
struct SpanFields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = LogFields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = LogFields::default();
        values.record(&mut fields);
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(SpanFields(known)) = extensions.get_mut() {
            known.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut all = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                all.extend(fields.clone());
            }
        }
        let mut fields = LogFields::default();
        event.record(&mut fields);
        all.extend(fields.0);
        let metadata = event.metadata();
        if *metadata.level() == Level::ERROR && is_ours(metadata.target()) {
            sentry::report(metadata.target(), &all);
        }
        (self.write)(&line(metadata, all));
    }
}

fn line(metadata: &tracing::Metadata<'_>, mut context: Map<String, Value>) -> String {
    let mut line = Map::new();
    line.insert("timestamp".into(), format!("{:.3}", clock::now()).into());
    line.insert("level".into(), metadata.level().as_str().into());
    line.insert("message".into(), context.remove("message").unwrap_or_default());
    if metadata.target() == embedded::TARGET {
        line.extend(embedded::members(context.remove(embedded::FIELD)));
    }
    line.insert("context".into(), Value::Object(context));
    let mut text = Value::Object(line).to_string();
    text.push('\n');
    text
}

/// Turns the typed fields of tracing into JSON.
#[derive(Default)]
struct LogFields(Map<String, Value>);

impl LogFields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn insert_text(&mut self, field: &Field, text: String) {
        let text = if QUOTING.contains(&field.name()) { scrub(&text) } else { text };
        self.insert(field, text);
    }
}

impl Visit for LogFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.insert_text(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert_text(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::testing::capture;

    #[test]
    fn a_line_has_timestamp_level_message_and_context_and_nothing_else() {
        let lines = capture(|| tracing::warn!(code = "hold_expired", attempt = 2_u64, "refused"));
        let line = lines.first().unwrap().as_object().unwrap();
        let mut members: Vec<&str> = line.keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["context", "level", "message", "timestamp"]);
        assert!(line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "refused");
        assert_eq!(line["context"], serde_json::json!({"code": "hold_expired", "attempt": 2}));
    }

    #[test]
    fn the_fields_of_the_spans_around_it_are_in_its_context() {
        let lines = capture(|| {
            let outer = tracing::info_span!("outer", correlation_id = "abc", caller = tracing::field::Empty);
            let _in_outer = outer.enter();
            outer.record("caller", "digest");
            tracing::info_span!("inner", function = "health").in_scope(|| tracing::info!("done"));
            tracing::info!(correlation_id = "nearer", "again");
        });
        let context = |index: usize| lines[index]["context"].clone();
        assert_eq!(
            context(0),
            serde_json::json!({"correlation_id": "abc", "caller": "digest", "function": "health"})
        );
        assert_eq!(context(1), serde_json::json!({"correlation_id": "nearer", "caller": "digest"}));
    }

    #[test]
    fn what_others_say_is_scrubbed_whatever_type_it_has() {
        let cause = std::io::Error::other("of ema@example.com");
        let lines = capture(|| {
            tracing::info!(error = "of ema@example.com", reason = %cause, problem = ?"of ema@example.com", "told");
            let cause: &(dyn std::error::Error + 'static) = &cause;
            tracing::info!(error = cause, note = "ours@kept", "told");
        });
        let said = "of [filtered]";
        let quoted = "\"of [filtered]\"";
        assert_eq!(
            lines[0]["context"],
            serde_json::json!({"error": said, "reason": said, "problem": quoted})
        );
        assert_eq!(lines[1]["context"], serde_json::json!({"error": said, "note": "ours@kept"}));
    }

    #[test]
    fn a_newline_in_a_value_cannot_forge_a_line() {
        let lines = capture(|| tracing::info!(value = "a\n{\"level\":\"ERROR\"}", "seen"));
        assert_eq!(lines.len(), 1);
    }
}
