//! Paying a PaymentIntent: confirmation, authentication, settlement, capture.
//! <https://docs.stripe.com/payments/paymentintents/lifecycle>

use serde_json::{Value, json};

use crate::amounts;
use crate::api_error::ApiError;
use crate::charges::{Charge, Failure};
use crate::lists;
use crate::params::{Kind, Params, Rule, optional};
use crate::payment_intents::{PaymentIntent, Status, change, find};
use crate::payment_methods::{self, Behaviour, PaymentMethod};
use crate::state::State;

const CONFIRM: &[Rule] = &[
    optional("client_secret", Kind::Text(5000)),
    lists::EXPAND,
    optional("key", Kind::Text(500)),
    optional("payment_method", Kind::Text(5000)),
    optional("return_url", Kind::Text(5000)),
    optional("use_stripe_sdk", Kind::Boolean),
];

const CAPTURE: &[Rule] =
    &[optional("amount_to_capture", Kind::Integer), lists::EXPAND, optional("metadata", Kind::Metadata)];

const DECLINED: &str = "Your card was declined.";

pub(crate) fn confirm(state: &mut State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(CONFIRM)?;
    find(state, id)?.check_is_ours()?;
    confirm_with(state, id, params.text("payment_method"), params.text("return_url"))
}

/// Confirms an intent with the card given, or the one it has.
pub(crate) fn confirm_with(
    state: &mut State,
    id: &str,
    payment_method: Option<&str>,
    return_url: Option<&str>,
) -> Result<Value, ApiError> {
    let intent = find(state, id)?;
    if !intent.status.is_open() {
        return Err(intent.unexpected("confirmed"));
    }
    let takes_time = intent.takes_time || state.switches.payments_processing;
    let card = match (payment_method, intent.payment_method.clone()) {
        (Some(given), _) => payment_methods::resolve(state, given)?,
        (None, Some(attached)) => attached,
        (None, None) => {
            let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
            return Err(ApiError::unexpected_state(message, intent.render()));
        }
    };
    let behaviour = state.payment_methods.get(&card).map(|card| card.behaviour);
    change(state, id, |intent| {
        intent.payment_method = Some(card);
        intent.next_action = None;
    })?;
    match behaviour {
        Some(Behaviour::Declined(decline_code)) => {
            let error = decline(state, id, Failure { decline_code, message: DECLINED })?;
            Err(error.with("payment_intent", find(state, id)?.render()))
        }
        Some(Behaviour::AuthenticationRequired) => require_action(state, id, return_url),
        _ if takes_time => process(state, id),
        _ => pay(state, id),
    }
}

fn require_action(state: &mut State, id: &str, return_url: Option<&str>) -> Result<Value, ApiError> {
    let next_action = match return_url {
        Some(url) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": { "return_url": url, "url": format!("https://hooks.stripe.com/3d_secure/{id}") },
        }),
        None => json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } }),
    };
    let rendered = change(state, id, |intent| {
        intent.status = Status::RequiresAction;
        intent.next_action = Some(next_action);
    })?;
    state.emit("payment_intent.requires_action", rendered.clone());
    Ok(rendered)
}

fn process(state: &mut State, id: &str) -> Result<Value, ApiError> {
    let rendered = change(state, id, |intent| intent.status = Status::Processing)?;
    state.emit("payment_intent.processing", rendered.clone());
    Ok(rendered)
}

/// The issuer said yes: the money is taken, or authorised for manual capture.
fn pay(state: &mut State, id: &str) -> Result<Value, ApiError> {
    let charge = new_charge(state, id, None)?;
    let rendered = change(state, id, |intent| {
        intent.latest_charge = Some(charge.id.clone());
        intent.last_payment_error = None;
        intent.next_action = None;
        if charge.captured {
            intent.status = Status::Succeeded;
            intent.amount_received = charge.amount;
        } else {
            intent.status = Status::RequiresCapture;
            intent.amount_capturable = charge.amount;
        }
    })?;
    let intent_event =
        if charge.captured { "payment_intent.succeeded" } else { "payment_intent.amount_capturable_updated" };
    state.emit("charge.succeeded", charge.render());
    state.charges.insert(charge);
    state.emit(intent_event, rendered.clone());
    Ok(rendered)
}

/// The issuer said no: the charge failed, and the intent waits for another card.
fn decline(state: &mut State, id: &str, failure: Failure) -> Result<ApiError, ApiError> {
    let charge = new_charge(state, id, Some(failure))?;
    let card = card_of(state, id)?.render();
    let error = ApiError::card("card_declined", failure.message)
        .with("charge", json!(charge.id))
        .with("decline_code", json!(failure.decline_code))
        .with("payment_method", card);
    state.emit("charge.failed", charge.render());
    fail(state, id, &error, Some(charge.id.clone()))?;
    state.charges.insert(charge);
    Ok(error)
}

fn fail(state: &mut State, id: &str, error: &ApiError, charge: Option<String>) -> Result<Value, ApiError> {
    let rendered = change(state, id, |intent| {
        intent.status = Status::RequiresPaymentMethod;
        intent.payment_method = None;
        intent.next_action = None;
        intent.last_payment_error = Some(error.inner());
        intent.latest_charge = charge.or(intent.latest_charge.take());
    })?;
    state.emit("payment_intent.payment_failed", rendered.clone());
    Ok(rendered)
}

fn card_of<'a>(state: &'a State, id: &str) -> Result<&'a PaymentMethod, ApiError> {
    let intent = find(state, id)?;
    let card = intent.payment_method.as_deref().and_then(|card| state.payment_methods.get(card));
    card.ok_or_else(|| intent.unexpected("charged"))
}

fn new_charge(state: &State, id: &str, failure: Option<Failure>) -> Result<Charge, ApiError> {
    Ok(Charge::new(find(state, id)?, card_of(state, id)?, failure))
}

/// The cardholder proves who they are, or does not.
pub(crate) fn authenticate(state: &mut State, id: &str, succeeds: bool) -> Result<Value, ApiError> {
    let intent = find(state, id)?;
    if intent.status != Status::RequiresAction {
        return Err(intent.unexpected("authenticated"));
    }
    if succeeds {
        return pay(state, id);
    }
    let message = "We are unable to authenticate your payment method.";
    let card = card_of(state, id)?.render();
    let error = ApiError::card("payment_intent_authentication_failure", message).with("payment_method", card);
    fail(state, id, &error, None)
}

/// A payment that was processing arrives, or does not.
pub(crate) fn settle(state: &mut State, id: &str, succeeds: bool) -> Result<Value, ApiError> {
    let intent = find(state, id)?;
    if intent.status != Status::Processing {
        return Err(intent.unexpected("settled"));
    }
    if succeeds {
        return pay(state, id);
    }
    decline(state, id, Failure { decline_code: "generic_decline", message: DECLINED })?;
    find(state, id).map(PaymentIntent::render)
}

pub(crate) fn capture(state: &mut State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(CAPTURE)?;
    let intent = find(state, id)?;
    if intent.status != Status::RequiresCapture {
        return Err(intent.unexpected("captured"));
    }
    let amount = params.integer("amount_to_capture").unwrap_or(intent.amount_capturable);
    amounts::positive(amount, "amount_to_capture")?;
    if amount > intent.amount_capturable {
        let message = format!("The capture amount cannot exceed {}.", intent.amount_capturable);
        return Err(ApiError::refused("amount_too_large", message).with("param", json!("amount_to_capture")));
    }
    let charge = intent.latest_charge.clone().unwrap_or_default();
    let rendered = change(state, id, |intent| {
        intent.status = Status::Succeeded;
        intent.amount_received = amount;
        intent.amount_capturable = 0;
        params.apply_metadata(&mut intent.metadata);
    })?;
    if let Some(charge) = state.charges.get_mut(&charge) {
        charge.captured = true;
        charge.amount_captured = amount;
        let charge = charge.render();
        state.emit_change("charge.captured", charge, json!({ "captured": false, "amount_captured": 0 }));
    }
    state.emit("payment_intent.succeeded", rendered.clone());
    Ok(rendered)
}
