//! Refunds: <https://docs.stripe.com/api/refunds>. The sum of those that did not fail is never above the charge.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::amounts;
use crate::api_error::ApiError;
use crate::charges::Charge;
use crate::disputes;
use crate::lists;
use crate::params::{Kind, Params, Rule, optional};
use crate::protocol::RefundStatus;
use crate::state::{State, new_id, now};
use crate::table::Record;

const CREATE: &[Rule] = &[
    optional("amount", Kind::Integer),
    optional("charge", Kind::Text(5000)),
    lists::EXPAND,
    optional("metadata", Kind::Metadata),
    optional("payment_intent", Kind::Text(5000)),
    optional("reason", Kind::OneOf(&["duplicate", "fraudulent", "requested_by_customer"])),
];

const UPDATE: &[Rule] = &[lists::EXPAND, optional("metadata", Kind::Metadata)];

const LIST: &[Rule] = &[optional("charge", Kind::Text(5000)), optional("payment_intent", Kind::Text(5000))];

/// A refund, in the currency's minor units.
#[derive(Debug, Clone)]
pub(crate) struct Refund {
    id: String,
    charge: String,
    payment_intent: String,
    amount: i64,
    currency: String,
    status: RefundStatus,
    reason: Option<String>,
    metadata: BTreeMap<String, String>,
    created: i64,
}

impl Record for Refund {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl Refund {
    pub(crate) fn render(&self) -> Value {
        let mut rendered = json!({
            "id": self.id, "object": "refund", "amount": self.amount, "balance_transaction": null,
            "charge": self.charge, "created": self.created, "currency": self.currency, "metadata": self.metadata,
            "payment_intent": self.payment_intent, "reason": self.reason, "receipt_number": null,
            "source_transfer_reversal": null, "status": self.status, "transfer_reversal": null,
        });
        if let (RefundStatus::Failed, Some(members)) = (self.status, rendered.as_object_mut()) {
            members.insert("failure_reason".to_owned(), json!("expired_or_canceled_card"));
        }
        rendered
    }
}

pub(crate) fn create(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    params.check(CREATE)?;
    let charge = charge_to_refund(state, params)?;
    if disputes::hold_money_of(state, charge) {
        return Err(ApiError::refused(
            "charge_disputed",
            format!("Charge {} has been charged back.", charge.id),
        ));
    }
    let left = charge.refundable();
    if left == 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(ApiError::refused("charge_already_refunded", message));
    }
    let amount = params.integer("amount").unwrap_or(left);
    amounts::positive(amount, "amount")?;
    if amount > left {
        let message =
            format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
        return Err(ApiError::refused("amount_too_large", message).with("param", json!("amount")));
    }
    let mut metadata = BTreeMap::new();
    params.apply_metadata(&mut metadata);
    let refund = Refund {
        id: new_id("re"),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        amount,
        currency: charge.currency.clone(),
        status: if state.switches.refunds_pending { RefundStatus::Pending } else { RefundStatus::Succeeded },
        reason: params.owned("reason"),
        metadata,
        created: now(),
    };
    Ok(record(state, refund))
}

fn record(state: &mut State, refund: Refund) -> Value {
    let rendered = refund.render();
    let charge = refund.charge.clone();
    if let Some(charge) = state.charges.get_mut(&charge) {
        let before = json!({ "amount_refunded": charge.amount_refunded, "refunded": false });
        charge.amount_refunded += refund.amount;
        let charge = charge.render();
        state.emit_change("charge.refunded", charge, before);
    }
    state.refunds.insert(refund);
    state.emit("refund.created", rendered.clone());
    disputes::resolve_inquiry_of(state, &charge);
    rendered
}

fn charge_to_refund<'a>(state: &'a State, params: &Params) -> Result<&'a Charge, ApiError> {
    let charge = match (params.text("charge"), params.text("payment_intent")) {
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: charge, payment_intent.";
            return Err(ApiError::invalid("parameter_invalid", "charge", message));
        }
        (Some(id), None) => state.charges.get(id).ok_or_else(|| ApiError::no_such("charge", id, "charge"))?,
        (None, Some(id)) => {
            let intent = state.payment_intents.get(id);
            let intent = intent.ok_or_else(|| ApiError::no_such("payment_intent", id, "payment_intent"))?;
            let charge = intent.latest_charge.as_deref().and_then(|charge| state.charges.get(charge));
            let charge = charge.filter(|charge| charge.captured);
            charge.ok_or_else(|| {
                let message =
                    format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
                ApiError::unexpected_state(message, intent.render())
            })?
        }
        (None, None) => return Err(ApiError::missing("payment_intent")),
    };
    if charge.captured {
        return Ok(charge);
    }
    let message = format!("Charge {} was never captured; cancel its PaymentIntent.", charge.id);
    Err(ApiError::refused("charge_not_refundable", message))
}

pub(crate) fn retrieve(state: &State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(&[lists::EXPAND])?;
    state.refunds.get(id).map(Refund::render).ok_or_else(|| ApiError::not_found("refund", id, "id"))
}

pub(crate) fn update(state: &mut State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(UPDATE)?;
    let refund = state.refunds.get_mut(id).ok_or_else(|| ApiError::not_found("refund", id, "id"))?;
    params.apply_metadata(&mut refund.metadata);
    Ok(refund.render())
}

pub(crate) fn list(state: &State, params: &Params) -> Result<Value, ApiError> {
    lists::check(params, LIST)?;
    let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
    let passes = |refund: &Refund| {
        charge.is_none_or(|id| refund.charge == id) && intent.is_none_or(|id| refund.payment_intent == id)
    };
    lists::page(&state.refunds, params, "/v1/refunds", passes, Refund::render)
}

/// The refunds of a charge as its expanded list.
pub(crate) fn of_charge(state: &State, charge: &str) -> Value {
    let refunds = state.refunds.newest_first().filter(|refund| refund.charge == charge);
    let data: Vec<Value> = refunds.map(Refund::render).collect();
    let url = format!("/v1/charges/{charge}/refunds");
    json!({ "object": "list", "url": url, "has_more": false, "data": data })
}

/// The bank moves a refund on. One that fails, also after it had succeeded, or is cancelled brings the money back to us.
/// <https://docs.stripe.com/refunds#failed-refunds>
pub(crate) fn move_to(state: &mut State, id: &str, status: RefundStatus) -> Result<Value, ApiError> {
    let refund = state.refunds.get_mut(id).ok_or_else(|| ApiError::not_found("refund", id, "id"))?;
    if !can_follow(refund.status, status) {
        return Err(ApiError::refused("refund_unexpected_state", "This refund cannot change in that way."));
    }
    let before = json!({ "status": refund.status });
    refund.status = status;
    let (charge, amount, rendered) = (refund.charge.clone(), refund.amount, refund.render());
    let comes_back = matches!(status, RefundStatus::Failed | RefundStatus::Canceled);
    if let Some(charge) = state.charges.get_mut(&charge).filter(|_| comes_back) {
        charge.amount_refunded -= amount;
    }
    state.emit_change("refund.updated", rendered.clone(), before.clone());
    state.emit_change("charge.refund.updated", rendered.clone(), before);
    if status == RefundStatus::Failed {
        state.emit("refund.failed", rendered.clone());
    }
    Ok(rendered)
}

const fn can_follow(before: RefundStatus, after: RefundStatus) -> bool {
    use RefundStatus::{Canceled, Failed, Pending, RequiresAction, Succeeded};
    match before {
        Pending => matches!(after, RequiresAction | Succeeded | Failed | Canceled),
        RequiresAction => matches!(after, Pending | Succeeded | Failed | Canceled),
        Succeeded => matches!(after, Failed),
        Failed | Canceled => false,
    }
}
