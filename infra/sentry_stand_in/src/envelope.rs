//! The form of an envelope: <https://develop.sentry.dev/sdk/foundations/transport/envelopes/>.

use serde_json::Value;
use uuid::Uuid;

/// The event in an envelope.
pub(crate) fn event(body: &[u8]) -> Result<Value, String> {
    let (headers, rest) = line(body).ok_or("no headers")?;
    let headers = object(headers, "the headers")?;
    let (item, rest) = line(rest).ok_or("no item")?;
    let item = object(item, "the item's headers")?;
    if item.get("type").and_then(Value::as_str) != Some("event") {
        return Err(format!("an item that is no event: {item}"));
    }
    let length = item.get("length").and_then(Value::as_u64).ok_or("an item without a length")?;
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    let payload = rest.get(..length).ok_or("an item that is shorter than its length")?;
    if !matches!(rest.get(length..), Some(b"" | b"\n")) {
        return Err("something behind the item".to_owned());
    }
    let event = object(payload, "the event")?;
    check(&headers, &event)?;
    Ok(event)
}

/// See <https://develop.sentry.dev/sdk/foundations/transport/event-payloads/#required-attributes>.
fn check(headers: &Value, event: &Value) -> Result<(), String> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let id = text("event_id").filter(|id| id.len() == 32 && Uuid::try_parse(id).is_ok());
    if id.is_none() || headers.get("event_id") != event.get("event_id") {
        return Err("no event_id of 32 hexadecimal digits, the same in the headers".to_owned());
    }
    for name in ["timestamp", "platform"] {
        if text(name).is_none() {
            return Err(format!("no {name}"));
        }
    }
    let levels = ["fatal", "error", "warning", "info", "debug"];
    if !text("level").is_some_and(|level| levels.contains(&level)) {
        return Err("no level".to_owned());
    }
    let tags = event.get("tags").and_then(Value::as_object);
    let is_tag = |value: &Value| value.is_null() || value.as_str().is_some_and(|text| text.len() <= 200);
    if !tags.is_none_or(|tags| tags.values().all(is_tag)) {
        return Err("tags are texts of at most 200 characters".to_owned());
    }
    Ok(())
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn object(bytes: &[u8], what: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("{what}: {error}"))?;
    if value.is_object() { Ok(value) } else { Err(format!("{what}: not an object")) }
}
