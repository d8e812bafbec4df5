//! Disputes: <https://docs.stripe.com/api/disputes>. A cardholder opens them, so an admin call does.

use serde_json::{Value, json};

use crate::amounts;
use crate::api_error::ApiError;
use crate::charges::Charge;
use crate::lists;
use crate::params::{Kind, Params, Rule, optional};
use crate::protocol::{DisputeStatus, NewDispute};
use crate::state::{State, new_id, now};
use crate::table::Record;

/// How long there is to answer.
const DAYS_TO_ANSWER: i64 = 9;

const LIST: &[Rule] = &[optional("charge", Kind::Text(5000)), optional("payment_intent", Kind::Text(5000))];

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
    pub(crate) payment_intent: String,
    pub(crate) amount: i64,
    currency: String,
    reason: String,
    pub(crate) status: DisputeStatus,
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
            "is_charge_refundable": !self.status.holds_money(), "livemode": false, "metadata": {},
            "payment_intent": self.payment_intent, "reason": self.reason, "status": self.status,
        })
    }
}

/// The cardholder disputes a captured charge, or the bank inquires about it.
pub(crate) fn open(state: &mut State, new: NewDispute) -> Result<Value, ApiError> {
    let charge = state.charges.get(&new.charge).filter(|charge| charge.captured);
    let charge = charge.ok_or_else(|| ApiError::no_such("charge", &new.charge, "charge"))?;
    if open_dispute_of(state, charge).is_some() {
        let message = format!("Charge {} is in dispute already.", charge.id);
        return Err(ApiError::refused("charge_disputed", message));
    }
    let amount = new.amount_minor.unwrap_or(charge.refundable());
    amounts::positive(amount, "amount_minor")?;
    if amount > charge.amount_captured {
        let message = format!("A dispute is about {} at most.", charge.amount_captured);
        return Err(ApiError::invalid("amount_too_large", "amount_minor", message));
    }
    let dispute = Dispute {
        id: new_id("du"),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        amount,
        currency: charge.currency.clone(),
        reason: new.reason.unwrap_or_else(|| "fraudulent".to_owned()),
        status: if new.inquiry { DisputeStatus::WarningNeedsResponse } else { DisputeStatus::NeedsResponse },
        created: now(),
    };
    Ok(record(state, dispute))
}

fn record(state: &mut State, dispute: Dispute) -> Value {
    if let Some(charge) = state.charges.get_mut(&dispute.charge) {
        charge.disputed = true;
    }
    let (rendered, holds_money) = (dispute.render(), dispute.status.holds_money());
    state.disputes.insert(dispute);
    state.emit("charge.dispute.created", rendered.clone());
    if holds_money {
        state.emit("charge.dispute.funds_withdrawn", rendered.clone());
    }
    rendered
}

/// The bank has our answer, or turns its inquiry into a dispute, which withdraws the money.
/// <https://docs.stripe.com/disputes/how-disputes-work>
pub(crate) fn update(state: &mut State, id: &str, status: DisputeStatus) -> Result<Value, ApiError> {
    if status.is_final() {
        return Err(ApiError::refused("dispute_unexpected_state", "That is the end of a dispute: close it."));
    }
    let Moved { before, after, withdraws, .. } = move_to(state, id, status)?;
    state.emit_change("charge.dispute.updated", after.clone(), changed_members(&before, &after));
    if withdraws {
        state.emit("charge.dispute.funds_withdrawn", after.clone());
    }
    Ok(after)
}

/// The bank decides; an inquiry can only be dropped, since losing it is to make it a dispute.
pub(crate) fn close(state: &mut State, id: &str, won: bool) -> Result<Value, ApiError> {
    let dispute = state.disputes.get(id).ok_or_else(|| ApiError::not_found("dispute", id, "dispute"))?;
    let status = match (won, dispute.status.is_inquiry()) {
        (true, true) => DisputeStatus::WarningClosed,
        (true, false) => DisputeStatus::Won,
        (false, _) => DisputeStatus::Lost,
    };
    let Moved { after, reinstates, .. } = move_to(state, id, status)?;
    if reinstates {
        state.emit("charge.dispute.funds_reinstated", after.clone());
    }
    state.emit("charge.dispute.closed", after.clone());
    Ok(after)
}

/// A dispute before and after a change, as rendered, and what the change does to the money.
struct Moved {
    before: Value,
    after: Value,
    withdraws: bool,
    reinstates: bool,
}

fn move_to(state: &mut State, id: &str, status: DisputeStatus) -> Result<Moved, ApiError> {
    let dispute = state.disputes.get_mut(id).ok_or_else(|| ApiError::not_found("dispute", id, "dispute"))?;
    if !dispute.status.can_become(status) {
        let message = "This dispute cannot change in that way.";
        return Err(ApiError::refused("dispute_unexpected_state", message));
    }
    let (before, held) = (dispute.render(), dispute.status.holds_money());
    dispute.status = status;
    let holds = status.holds_money();
    Ok(Moved { before, after: dispute.render(), withdraws: !held && holds, reinstates: held && !holds })
}

/// The members that were something else before, as `previous_attributes` has them.
fn changed_members(before: &Value, after: &Value) -> Value {
    let members = before.as_object().into_iter().flatten();
    members
        .filter(|(name, value)| after.get(name.as_str()) != Some(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

impl DisputeStatus {
    /// A formal dispute withdraws the money at once and keeps it unless it is won; an inquiry leaves it with us.
    pub(crate) const fn holds_money(self) -> bool {
        matches!(self, Self::NeedsResponse | Self::UnderReview | Self::Lost)
    }

    const fn is_inquiry(self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed)
    }

    const fn is_final(self) -> bool {
        matches!(self, Self::Won | Self::Lost | Self::WarningClosed)
    }

    const fn can_become(self, next: Self) -> bool {
        match self {
            Self::WarningNeedsResponse => {
                matches!(next, Self::WarningUnderReview | Self::NeedsResponse | Self::WarningClosed)
            }
            Self::WarningUnderReview => matches!(next, Self::NeedsResponse | Self::WarningClosed),
            Self::NeedsResponse => matches!(next, Self::UnderReview | Self::Won | Self::Lost),
            Self::UnderReview => matches!(next, Self::Won | Self::Lost),
            Self::Won | Self::Lost | Self::WarningClosed => false,
        }
    }
}

fn of_charge<'a>(state: &'a State, charge: &'a Charge) -> impl Iterator<Item = &'a Dispute> {
    // Most charges have none, and need not be looked for.
    let disputes = charge.disputed.then(|| state.disputes.newest_first());
    disputes.into_iter().flatten().filter(|dispute| dispute.charge == charge.id)
}

fn open_dispute_of<'a>(state: &'a State, charge: &'a Charge) -> Option<&'a Dispute> {
    of_charge(state, charge).find(|dispute| !dispute.status.is_final())
}

/// Whether a dispute keeps the charge's money from being refunded. <https://docs.stripe.com/disputes>
pub(crate) fn hold_money_of(state: &State, charge: &Charge) -> bool {
    of_charge(state, charge).any(|dispute| dispute.status.holds_money())
}

/// A full refund resolves an inquiry. <https://docs.stripe.com/disputes>
pub(crate) fn resolve_inquiry_of(state: &mut State, charge_id: &str) {
    let charge = state.charges.get(charge_id).filter(|charge| charge.refundable() == 0);
    let inquiry = charge.and_then(|charge| open_dispute_of(state, charge)).map(|dispute| dispute.id.clone());
    if let Some(id) = inquiry {
        // An inquiry that is open can always be closed.
        let _ = close(state, &id, true);
    }
}

pub(crate) fn list(state: &State, params: &Params) -> Result<Value, ApiError> {
    lists::check(params, LIST)?;
    let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
    let passes = |dispute: &Dispute| {
        charge.is_none_or(|id| dispute.charge == id) && intent.is_none_or(|id| dispute.payment_intent == id)
    };
    lists::page(&state.disputes, params, "/v1/disputes", passes, Dispute::render)
}

pub(crate) fn retrieve(state: &State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(&[lists::EXPAND])?;
    state.disputes.get(id).map(Dispute::render).ok_or_else(|| ApiError::not_found("dispute", id, "dispute"))
}
