//! The end of a PaymentIntent that nobody pays: cancelled by us, or expired at the bank.
//! <https://docs.stripe.com/api/payment_intents/cancel>

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::lists;
use crate::params::{Kind, Params, Rule, optional};
use crate::payment_intents::{Status, change, find};
use crate::state::{State, now};

const CANCEL: &[Rule] = &[
    optional(
        "cancellation_reason",
        Kind::OneOf(&["abandoned", "duplicate", "fraudulent", "requested_by_customer"]),
    ),
    lists::EXPAND,
];

pub(crate) fn cancel(state: &mut State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(CANCEL)?;
    let intent = find(state, id)?;
    intent.check_is_ours()?;
    if !intent.status.is_open() && intent.status != Status::RequiresCapture {
        return Err(intent.unexpected("canceled"));
    }
    cancel_for(state, id, params.owned("cancellation_reason"))
}

/// Cancels an intent; an authorisation is released, which shows as a refunded charge without a refund.
pub(crate) fn cancel_for(state: &mut State, id: &str, reason: Option<String>) -> Result<Value, ApiError> {
    let authorised = find(state, id)?.status == Status::RequiresCapture;
    let charge = find(state, id)?.latest_charge.clone().filter(|_| authorised);
    let rendered = change(state, id, |intent| {
        intent.status = Status::Canceled;
        intent.amount_capturable = 0;
        intent.canceled_at = Some(now());
        intent.cancellation_reason = reason;
        intent.next_action = None;
    })?;
    if let Some(charge) = charge.and_then(|charge| state.charges.get_mut(&charge)) {
        charge.released = true;
        charge.amount_refunded = charge.amount;
        let (charge, before) = (charge.render(), json!({ "amount_refunded": 0, "refunded": false }));
        state.emit_change("charge.refunded", charge, before);
    }
    state.emit("payment_intent.canceled", rendered.clone());
    Ok(rendered)
}

/// The bank gives an authorisation back because nobody captured it in time.
pub(crate) fn expire(state: &mut State, id: &str) -> Result<Value, ApiError> {
    let intent = find(state, id)?;
    if intent.status != Status::RequiresCapture {
        return Err(intent.unexpected("expired"));
    }
    cancel_for(state, id, Some("automatic".to_owned()))
}
