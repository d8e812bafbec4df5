//! Charges: what an attempt to pay came to. <https://docs.stripe.com/api/charges>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::lists;
use crate::params::{Kind, Params, Rule, optional};
use crate::payment_intents::PaymentIntent;
use crate::payment_methods::PaymentMethod;
use crate::state::{State, new_id, now};
use crate::table::Record;

/// How long an authorisation of a card holds: <https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>.
const AUTHORISATION_SECONDS: i64 = 7 * 24 * 60 * 60;

const LIST: &[Rule] = &[optional("payment_intent", Kind::Text(5000))];

/// A charge. Amounts in the currency's minor units.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) payment_intent: String,
    pub(crate) amount: i64,
    pub(crate) amount_captured: i64,
    pub(crate) amount_refunded: i64,
    pub(crate) currency: String,
    pub(crate) captured: bool,
    /// An authorisation that was given back without being captured.
    pub(crate) released: bool,
    pub(crate) disputed: bool,
    pub(crate) failure: Option<Failure>,
    payment_method: String,
    payment_method_details: Value,
    metadata: BTreeMap<String, String>,
    description: Option<String>,
    receipt_email: Option<String>,
    created: i64,
}

/// Why the issuer refused a charge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
}

impl Record for Charge {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl Charge {
    /// An attempt to pay the intent with the card: captured at once unless the intent says otherwise.
    pub(crate) fn new(intent: &PaymentIntent, card: &PaymentMethod, failure: Option<Failure>) -> Self {
        let captured = failure.is_none() && !intent.is_captured_manually();
        let created = now();
        let capture_before = (failure.is_none() && !captured).then_some(created + AUTHORISATION_SECONDS);
        Self {
            id: new_id("ch"),
            payment_intent: intent.id.clone(),
            amount: intent.amount,
            amount_captured: if captured { intent.amount } else { 0 },
            amount_refunded: 0,
            currency: intent.currency.clone(),
            captured,
            released: false,
            disputed: false,
            failure,
            payment_method: card.id().to_owned(),
            payment_method_details: card.details(capture_before),
            metadata: intent.metadata.clone(),
            description: intent.description.clone(),
            receipt_email: intent.receipt_email.clone(),
            created,
        }
    }

    /// What can still be sent back.
    pub(crate) fn refundable(&self) -> i64 {
        self.amount_captured - self.amount_refunded
    }

    fn is_refunded(&self) -> bool {
        self.released || (self.captured && self.refundable() == 0)
    }

    fn outcome(&self) -> Value {
        match self.failure {
            None => json!({
                "type": "authorized", "network_status": "approved_by_network", "reason": null,
                "risk_level": "normal", "risk_score": 12, "seller_message": "Payment complete.",
            }),
            Some(failure) => json!({
                "type": "issuer_declined", "network_status": "declined_by_network", "reason": failure.decline_code,
                "risk_level": "normal", "risk_score": 12,
                "seller_message": "The bank did not return any further details with this decline.",
            }),
        }
    }

    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id, "object": "charge", "amount": self.amount, "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded, "application": null, "application_fee": null,
            "application_fee_amount": null, "balance_transaction": null, "billing_details": billing_details(),
            "calculated_statement_descriptor": "KITLOOP", "captured": self.captured, "created": self.created,
            "currency": self.currency, "customer": null, "description": self.description,
            "disputed": self.disputed, "failure_balance_transaction": null,
            "failure_code": self.failure.map(|_| "card_declined"),
            "failure_message": self.failure.map(|failure| failure.message), "fraud_details": {}, "invoice": null,
            "livemode": false, "metadata": self.metadata, "on_behalf_of": null, "outcome": self.outcome(),
            "paid": self.failure.is_none(), "payment_intent": self.payment_intent,
            "payment_method": self.payment_method, "payment_method_details": self.payment_method_details,
            "radar_options": {}, "receipt_email": self.receipt_email, "receipt_number": null,
            "receipt_url": null, "refunded": self.is_refunded(), "review": null, "shipping": null,
            "source": null, "source_transfer": null, "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": if self.failure.is_none() { "succeeded" } else { "failed" },
            "transfer_data": null, "transfer_group": null,
        })
    }
}

pub(crate) fn billing_details() -> Value {
    let address = json!({
        "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
    });
    json!({ "address": address, "email": null, "name": null, "phone": null })
}

pub(crate) fn checks() -> Value {
    json!({ "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" })
}

pub(crate) fn retrieve(state: &State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(&[lists::EXPAND])?;
    state.charges.get(id).map(Charge::render).ok_or_else(|| ApiError::not_found("charge", id, "id"))
}

pub(crate) fn list(state: &State, params: &Params) -> Result<Value, ApiError> {
    lists::check(params, LIST)?;
    let intent = params.text("payment_intent");
    let passes = |charge: &Charge| intent.is_none_or(|intent| charge.payment_intent == intent);
    lists::page(&state.charges, params, "/v1/charges", passes, Charge::render)
}
