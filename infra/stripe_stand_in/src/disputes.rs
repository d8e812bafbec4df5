//! Disputes: <https://docs.stripe.com/api/disputes>. A cardholder opens them, so an admin call does.

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::lists;
use crate::params::Params;
use crate::state::{State, new_id, now};
use crate::table::Record;

/// How long there is to answer.
const DAYS_TO_ANSWER: i64 = 9;

const EVIDENCE: &[&str] = &[
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

/// A dispute, in the currency's minor units.
#[derive(Debug, Clone)]
pub(crate) struct Dispute {
    id: String,
    charge: String,
    payment_intent: String,
    amount: i64,
    currency: String,
    status: &'static str,
    created: i64,
}

impl Record for Dispute {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl Dispute {
    pub(crate) fn render(&self) -> Value {
        let evidence: serde_json::Map<_, _> =
            EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        json!({
            "id": self.id, "object": "dispute", "amount": self.amount, "balance_transactions": [],
            "charge": self.charge, "created": self.created, "currency": self.currency, "evidence": evidence,
            "evidence_details": {
                "due_by": self.created + DAYS_TO_ANSWER * 24 * 60 * 60, "has_evidence": false, "past_due": false,
                "submission_count": 0,
            },
            "is_charge_refundable": false, "livemode": false, "metadata": {},
            "payment_intent": self.payment_intent, "reason": "fraudulent", "status": self.status,
        })
    }
}

/// The cardholder disputes the whole charge.
pub(crate) fn open(state: &mut State, charge_id: &str) -> Result<Value, ApiError> {
    let charge = state.charges.get_mut(charge_id).filter(|charge| charge.captured);
    let charge = charge.ok_or_else(|| ApiError::no_such("charge", charge_id, "charge"))?;
    charge.disputed = true;
    let dispute = Dispute {
        id: new_id("du"),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        amount: charge.amount_captured,
        currency: charge.currency.clone(),
        status: "needs_response",
        created: now(),
    };
    let rendered = dispute.render();
    state.disputes.insert(dispute);
    state.emit("charge.dispute.created", rendered.clone());
    Ok(rendered)
}

/// The bank decides.
pub(crate) fn close(state: &mut State, id: &str, won: bool) -> Result<Value, ApiError> {
    let dispute = state.disputes.get_mut(id).ok_or_else(|| ApiError::not_found("dispute", id, "dispute"))?;
    dispute.status = if won { "won" } else { "lost" };
    let rendered = dispute.render();
    state.emit("charge.dispute.closed", rendered.clone());
    Ok(rendered)
}

pub(crate) fn retrieve(state: &State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(&[lists::EXPAND])?;
    state.disputes.get(id).map(Dispute::render).ok_or_else(|| ApiError::not_found("dispute", id, "dispute"))
}
