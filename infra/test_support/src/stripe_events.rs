//! Webhooks as Stripe sends them.

use anyhow::Result;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::{HttpCall, sample};

/// The signing secret that test applications expect.
pub const WEBHOOK_SECRET: &str = "whsec_test";

/// The `Stripe-Signature` of a payload: <https://docs.stripe.com/webhooks#verify-manually>.
///
/// # Errors
/// Never: a secret may have any length.
pub fn sign(payload: &str, secret: &str, at: Timestamp) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{}.{payload}", at.as_second()).as_bytes());
    Ok(format!("t={},v1={}", at.as_second(), hex::encode(mac.finalize().into_bytes())))
}

/// An event to be sent.
#[derive(Debug, Clone)]
pub struct StripeEvent {
    /// The whole event.
    pub payload: Value,
}

impl StripeEvent {
    /// An event of a type about an object, under a new id.
    #[must_use]
    pub fn new(event_type: &str, object: Value) -> Self {
        let id = format!("evt_{}", Uuid::new_v4().simple());
        Self {
            payload: json!({
                "id": id, "object": "event", "api_version": "2025-01-27.acacia",
                "created": Timestamp::now().as_second(), "livemode": false, "type": event_type,
                "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null}, "data": {"object": object},
            }),
        }
    }

    /// An event about a payment intent that was made for a reservation.
    #[must_use]
    pub fn of_intent(
        event_type: &str,
        intent_id: &str,
        status: &str,
        amount_minor: i64,
        reservation_id: Uuid,
        provider_id: Uuid,
    ) -> Self {
        let received = if status == "succeeded" { amount_minor } else { 0 };
        let object = json!({
            "id": intent_id, "object": "payment_intent", "status": status, "amount": amount_minor,
            "amount_received": received, "amount_capturable": 0, "currency": "czk", "capture_method": "automatic",
            "latest_charge": null, "last_payment_error": null, "created": Timestamp::now().as_second(),
            "metadata": {"reservation_id": reservation_id, "provider_id": provider_id},
        });
        Self::new(event_type, object)
    }

    /// A sample event of `events/stripe_webhook/`, such as `payment_intent_succeeded`, about this intent, reservation
    /// and provider.
    ///
    /// # Errors
    /// If there is no such sample.
    pub fn sample(name: &str, intent_id: &str, reservation_id: Uuid, provider_id: Uuid) -> Result<Self> {
        let replacements = [
            (sample::PAYMENT_INTENT, intent_id),
            (sample::RESERVATION, &reservation_id.to_string()),
            (sample::PROVIDER, &provider_id.to_string()),
        ];
        let call = HttpCall::sample(&format!("stripe_webhook/{name}.json"), &replacements)?;
        Ok(Self { payload: serde_json::from_str(&call.body_text()?)? })
    }

    /// Under another id, as another event.
    #[must_use]
    pub fn renamed(mut self, id: &str) -> Self {
        if let Some(members) = self.payload.as_object_mut() {
            members.insert("id".to_owned(), id.into());
        }
        self
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.payload.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// With another member of the object the event is about.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Self {
        if let Some(object) = self.payload.pointer_mut("/data/object").and_then(Value::as_object_mut) {
            object.insert(member.to_owned(), value);
        }
        self
    }

    /// As of another time, in seconds since 1970.
    #[must_use]
    pub fn at(mut self, created: i64) -> Self {
        if let Some(members) = self.payload.as_object_mut() {
            members.insert("created".to_owned(), created.into());
        }
        self
    }

    /// As the webhook function gets it, signed now with the current secret.
    ///
    /// # Errors
    /// Never.
    pub fn call(&self) -> Result<HttpCall> {
        let body = self.payload.to_string();
        let signature = sign(&body, WEBHOOK_SECRET, Timestamp::now())?;
        Ok(HttpCall::new("POST", "/stripe_webhook")
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", &signature)
            .body(&body))
    }
}
