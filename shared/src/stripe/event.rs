//! A webhook event, typed as far as we act on it: <https://docs.stripe.com/api/events/object>.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::checkout::CheckoutSession;
use super::objects::{Charge, Dispute, PaymentIntent, Refund, Subscription};
use super::signature::VerifiedPayload;
use crate::error::without_values;

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
    /// The event for the log, without secrets and without what says who paid: neither is ever stored.
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
    /// A shop's subscription to its plan.
    Subscription(Subscription),
    /// A Checkout Session.
    CheckoutSession(CheckoutSession),
    /// Something that we do not act on.
    Other,
    /// An object that we act on, in a shape that we do not know: which, and what is wrong with it.
    Unreadable(String),
}

/// A verified payload that is not JSON, or without what every event has. Says why, and nothing of the payload.
#[derive(Debug, thiserror::Error)]
#[error("not an event: {0}")]
pub struct EventError(String);

/// What an event's payload is stripped of, wherever it stands: with the first a browser may pay, the others are the
/// payer's name, addresses and card, also as the evidence of a dispute has them.
const PRIVATE_MEMBERS: [&str; 11] = [
    "client_secret",
    "billing_details",
    "card",
    "customer_details",
    "customer_email",
    "evidence",
    "instructions_email",
    "payment_method_details",
    "receipt_email",
    "receipt_url",
    "shipping",
];

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
    /// If it is no event.
    pub fn parse(payload: &VerifiedPayload<'_>) -> Result<Self, EventError> {
        Self::from_document(serde_json::from_slice(payload.bytes()).map_err(|error| malformed(&error))?)
    }

    /// Reads an event as it was logged: verified when it came, and without the private members since.
    ///
    /// # Errors
    /// If it is no event.
    pub fn from_log(payload: Value) -> Result<Self, EventError> {
        Self::from_document(payload)
    }

    /// Reads an event that Stripe sent, or answered when it was asked.
    pub(super) fn from_document(mut document: Value) -> Result<Self, EventError> {
        let envelope = Envelope::deserialize(&document).map_err(|error| malformed(&error))?;
        let created =
            Timestamp::from_second(envelope.created).map_err(|error| EventError(error.to_string()))?;
        let object = EventObject::parse(envelope.data.object);
        remove_private_members(&mut document);
        Ok(Self { id: envelope.id, event_type: envelope.event_type, created, object, payload: document })
    }
}

fn malformed(error: &serde_json::Error) -> EventError {
    EventError(without_values(error))
}

impl EventObject {
    fn parse(object: Value) -> Self {
        let name = object.get("object").and_then(Value::as_str).unwrap_or_default().to_owned();
        let read = match name.as_str() {
            "payment_intent" => typed(object, Self::PaymentIntent),
            "charge" => typed(object, Self::Charge),
            "refund" => typed(object, Self::Refund),
            "dispute" => typed(object, Self::Dispute),
            "subscription" => typed(object, Self::Subscription),
            "checkout.session" => typed(object, Self::CheckoutSession),
            _ => Ok(Self::Other),
        };
        read.unwrap_or_else(|reason| Self::Unreadable(format!("{name}: {reason}")))
    }
}

fn typed<T: DeserializeOwned>(object: Value, known: fn(T) -> EventObject) -> Result<EventObject, String> {
    serde_json::from_value(object).map(known).map_err(|error| without_values(&error))
}

fn remove_private_members(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !PRIVATE_MEMBERS.contains(&name.as_str()));
            members.values_mut().for_each(remove_private_members);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_private_members),
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
        let charge = r#"{"object": "charge", "id": "ch_1", "refunded": null}"#;
        assert!(matches!(of(charge), EventObject::Charge(_)));
        let refund = r#"{"object": "refund", "id": "re_1", "amount": 5, "currency": "czk"}"#;
        assert!(matches!(of(refund), EventObject::Refund(_)));
        let dispute = r#"{"object": "dispute", "id": "du_1", "amount": 5, "currency": "czk"}"#;
        assert!(matches!(of(dispute), EventObject::Dispute(_)));
        let subscription = r#"{"object": "subscription", "id": "sub_1", "status": "active", "items": null}"#;
        assert!(matches!(of(subscription), EventObject::Subscription(_)));
        let session = r#"{"object": "checkout.session", "id": "cs_1", "currency": null}"#;
        assert!(matches!(of(session), EventObject::CheckoutSession(_)));
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
    fn who_paid_is_not_kept_and_what_the_card_says_of_time_is_read_all_the_same() {
        let object = r#"{"object": "payment_intent", "id": "pi_1", "amount": 5, "currency": "czk",
            "receipt_email": "ema@private.example", "shipping": {"name": "private"}, "latest_charge": {
                "id": "ch_1", "amount": 5, "currency": "czk", "billing_details": {"name": "private"},
                "payment_method_details": {"card": {"capture_before": 1700000600, "last4": "private"}}}}"#;
        let event = parse(&event_about(object)).unwrap();
        assert!(!event.payload.to_string().contains("private"), "{}", event.payload);
        assert_eq!(event.payload["data"]["object"]["latest_charge"]["id"], "ch_1");
        let EventObject::PaymentIntent(intent) = event.object else { panic!("{:?}", event.object) };
        assert_eq!(intent.capture_before().map(Timestamp::as_second), Some(1_700_000_600));
    }

    #[test]
    fn whom_a_dispute_or_a_declined_card_is_about_is_not_kept() {
        for object in [
            r#"{"object": "dispute", "id": "du_1", "amount": 5, "currency": "czk", "evidence": {
                "customer_name": "private", "customer_purchase_ip": "private", "billing_address": "private"}}"#,
            r#"{"object": "payment_intent", "id": "pi_1", "amount": 5, "currency": "czk", "last_payment_error": {
                "payment_method": {"id": "pm_1", "card": {"last4": "private", "fingerprint": "private"}}}}"#,
            r#"{"object": "refund", "id": "re_1", "amount": 5, "currency": "czk", "instructions_email": "private"}"#,
        ] {
            let event = parse(&event_about(object)).unwrap();
            assert!(!event.payload.to_string().contains("private"), "{}", event.payload);
        }
    }

    #[test]
    fn an_unreadable_object_is_named_without_its_content() {
        let object = r#"{"object": "refund", "id": "re_1", "amount": "private words", "currency": "czk"}"#;
        let EventObject::Unreadable(reason) = parse(&event_about(object)).unwrap().object else {
            panic!("an amount that is none was read");
        };
        assert!(reason.contains("refund") && reason.contains("expected i64"), "{reason}");
        assert!(!reason.contains("private"), "{reason}");
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in ["", "nonsense", "[]", "{}", r#"{"id": "evt_1"}"#, "{\"id\": \"\u{fffd}"] {
            assert!(matches!(parse(body), Err(EventError(_))), "{body}");
        }
        assert!(matches!(
            parse(r#"{"id": "evt_1", "type": "x", "created": 99999999999999, "data": {"object": {}}}"#),
            Err(EventError(_))
        ));
    }
}
