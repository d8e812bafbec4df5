//! A webhook event, typed as far as we act on it: <https://docs.stripe.com/api/events/object>.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::objects::{Charge, Dispute, PaymentIntent, Refund};
use super::signature::VerifiedPayload;

/// An event that Stripe really sent.
#[derive(Debug, Clone)]
pub struct Event {
    /// Stripe's id, `evt_…`.
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub event_type: String,
    /// When it happened; events arrive in any order.
    pub created: Timestamp,
    /// What it is about.
    pub object: EventObject,
    /// The whole event for the log, without client secrets, which are never stored.
    pub payload: Value,
}

/// The object of an event. Which one it is, the object itself says: the types of one object's events are many.
#[derive(Debug, Clone)]
pub enum EventObject {
    /// A payment intent.
    PaymentIntent(PaymentIntent),
    /// A charge.
    Charge(Charge),
    /// A refund.
    Refund(Refund),
    /// A dispute.
    Dispute(Dispute),
    /// Something that we do not act on.
    Other,
}

/// Why a verified payload is not an event that we can read. Never contains the payload.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or without what every event has.
    #[error("not an event: {0}")]
    Malformed(String),
    /// An object that we know, in a shape that we do not.
    #[error("unreadable {object} in event {event_id}: {reason}")]
    UnreadableObject {
        /// The event's id.
        event_id: String,
        /// Stripe's name of the object.
        object: String,
        /// The field and what is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    created: i64,
    data: EnvelopeData,
}

#[derive(Deserialize)]
struct EnvelopeData {
    object: Value,
}

impl Event {
    /// Reads the event.
    ///
    /// # Errors
    /// If it is no event, or one of a known object that cannot be read.
    pub fn parse(payload: &VerifiedPayload<'_>) -> Result<Self, EventError> {
        let malformed = |error: serde_json::Error| EventError::Malformed(without_values(&error));
        let mut document: Value = serde_json::from_slice(payload.bytes()).map_err(malformed)?;
        let envelope = Envelope::deserialize(&document).map_err(malformed)?;
        let created = Timestamp::from_second(envelope.created)
            .map_err(|error| EventError::Malformed(error.to_string()))?;
        let object = EventObject::parse(envelope.data.object, &envelope.id)?;
        remove_client_secrets(&mut document);
        Ok(Self { id: envelope.id, event_type: envelope.event_type, created, object, payload: document })
    }
}

impl EventObject {
    fn parse(object: Value, event_id: &str) -> Result<Self, EventError> {
        let name = object.get("object").and_then(Value::as_str).unwrap_or_default().to_owned();
        let read = Unread { object, name: &name, event_id };
        Ok(match name.as_str() {
            "payment_intent" => Self::PaymentIntent(read.into_object()?),
            "charge" => Self::Charge(read.into_object()?),
            "refund" => Self::Refund(read.into_object()?),
            "dispute" => Self::Dispute(read.into_object()?),
            _ => Self::Other,
        })
    }
}

struct Unread<'a> {
    object: Value,
    name: &'a str,
    event_id: &'a str,
}

impl Unread<'_> {
    fn into_object<T: DeserializeOwned>(self) -> Result<T, EventError> {
        serde_json::from_value(self.object).map_err(|error| EventError::UnreadableObject {
            event_id: self.event_id.to_owned(),
            object: self.name.to_owned(),
            reason: without_values(&error),
        })
    }
}

/// serde's messages quote what they found; only the part that names the expectation may go to a log.
fn without_values(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if error.is_data() => message,
        None => format!("malformed JSON at line {} column {}", error.line(), error.column()),
    }
}

fn remove_client_secrets(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("client_secret");
            members.values_mut().for_each(remove_client_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_client_secrets),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::signature;
    use super::*;

    fn parse(body: &str) -> Result<Event, EventError> {
        Event::parse(&signature::verified_for_tests(body.as_bytes()))
    }

    fn event_about(object: &str) -> String {
        format!(
            r#"{{"id": "evt_1", "type": "some.type", "created": 1700000000, "data": {{"object": {object}}}}}"#
        )
    }

    #[test]
    fn the_object_says_what_the_event_is_about() {
        let of = |object: &str| parse(&event_about(object)).unwrap().object;
        let intent = r#"{"object": "payment_intent", "id": "pi_1", "amount": 5, "currency": "czk"}"#;
        assert!(matches!(of(intent), EventObject::PaymentIntent(_)));
        let charge = r#"{"object": "charge", "id": "ch_1", "amount": 5, "currency": "czk", "refunds": null}"#;
        assert!(matches!(of(charge), EventObject::Charge(_)));
        let refund = r#"{"object": "refund", "id": "re_1", "amount": 5, "currency": "czk"}"#;
        assert!(matches!(of(refund), EventObject::Refund(_)));
        let dispute = r#"{"object": "dispute", "id": "du_1", "amount": 5, "charge": "ch_1"}"#;
        assert!(matches!(of(dispute), EventObject::Dispute(_)));
        assert!(matches!(of(r#"{"object": "customer"}"#), EventObject::Other));
        assert!(matches!(of("{}"), EventObject::Other));
    }

    #[test]
    fn client_secrets_are_not_kept() {
        let object = r#"{"object": "payment_intent", "id": "pi_1", "amount": 5, "currency": "czk",
            "client_secret": "pi_1_secret_x", "nested": [{"client_secret": "y"}]}"#;
        let event = parse(&event_about(object)).unwrap();
        assert!(!event.payload.to_string().contains("secret"));
    }

    #[test]
    fn an_unreadable_object_is_named_without_its_content() {
        let object = r#"{"object": "charge", "id": "ch_1", "amount": "private words", "currency": "czk"}"#;
        let error = parse(&event_about(object)).unwrap_err().to_string();
        assert!(
            error.contains("charge") && error.contains("evt_1") && error.contains("expected i64"),
            "{error}"
        );
        assert!(!error.contains("private"), "{error}");
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in ["", "nonsense", "[]", "{}", r#"{"id": "evt_1"}"#, "{\"id\": \"\u{fffd}"] {
            assert!(matches!(parse(body), Err(EventError::Malformed(_))), "{body}");
        }
        assert!(matches!(
            parse(r#"{"id": "evt_1", "type": "x", "created": 99999999999999, "data": {"object": {}}}"#),
            Err(EventError::Malformed(_))
        ));
    }
}
