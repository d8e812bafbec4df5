//! Stripe's test cards: <https://docs.stripe.com/testing#cards>.

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::charges;
use crate::state::{State, new_id, now};
use crate::table::Record;

/// How a test card behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Accepted,
    /// Refused by the issuer with this decline code.
    Declined(&'static str),
    /// The cardholder has to prove who they are first.
    AuthenticationRequired,
}

/// A card that somebody typed in.
#[derive(Debug, Clone)]
pub(crate) struct PaymentMethod {
    id: String,
    created: i64,
    pub(crate) behaviour: Behaviour,
    brand: &'static str,
    last4: &'static str,
}

impl Record for PaymentMethod {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

/// The id of the card that the parameter names: one of Stripe's test cards, which makes a new one, or one made before.
pub(crate) fn resolve(state: &mut State, given: &str) -> Result<String, ApiError> {
    let (behaviour, brand, last4) = match given {
        "pm_card_visa" => (Behaviour::Accepted, "visa", "4242"),
        "pm_card_mastercard" => (Behaviour::Accepted, "mastercard", "4444"),
        "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => {
            (Behaviour::Declined("generic_decline"), "visa", "0002")
        }
        "pm_card_chargeDeclinedInsufficientFunds" | "pm_card_visa_chargeDeclinedInsufficientFunds" => {
            (Behaviour::Declined("insufficient_funds"), "visa", "9995")
        }
        "pm_card_authenticationRequired" => (Behaviour::AuthenticationRequired, "visa", "3184"),
        id if state.payment_methods.get(id).is_some() => return Ok(id.to_owned()),
        unknown => return Err(ApiError::no_such("PaymentMethod", unknown, "payment_method")),
    };
    let method = PaymentMethod { id: new_id("pm"), created: now(), behaviour, brand, last4 };
    let id = method.id.clone();
    state.payment_methods.insert(method);
    Ok(id)
}

pub(crate) fn retrieve(state: &State, id: &str) -> Result<Value, ApiError> {
    let found = state.payment_methods.get(id).map(PaymentMethod::render);
    found.ok_or_else(|| ApiError::not_found("PaymentMethod", id, "payment_method"))
}

impl PaymentMethod {
    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id, "object": "payment_method", "type": "card", "created": self.created, "customer": null,
            "livemode": false, "metadata": {}, "billing_details": charges::billing_details(),
            "card": {
                "brand": self.brand, "checks": charges::checks(), "country": "US", "exp_month": 12,
                "exp_year": 2034, "fingerprint": "F1ngerpr1ntOfACard", "funding": "credit", "generated_from": null,
                "last4": self.last4, "networks": { "available": [self.brand], "preferred": null },
                "three_d_secure_usage": { "supported": true }, "wallet": null,
            },
        })
    }

    /// `payment_method_details` of a charge.
    pub(crate) fn details(&self, capture_before: Option<i64>) -> Value {
        let mut card = json!({
            "brand": self.brand, "checks": charges::checks(), "country": "US", "exp_month": 12, "exp_year": 2034,
            "fingerprint": "F1ngerpr1ntOfACard", "funding": "credit", "installments": null, "last4": self.last4,
            "mandate": null, "network": self.brand, "three_d_secure": null, "wallet": null,
        });
        if let (Some(until), Some(members)) = (capture_before, card.as_object_mut()) {
            members.insert("capture_before".to_owned(), json!(until));
        }
        json!({ "type": "card", "card": card })
    }
}
