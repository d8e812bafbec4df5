//! What the customer does on the page of a Checkout Session, and what comes of it.
//! <https://docs.stripe.com/payments/checkout/fulfill-orders>

use serde_json::{Map, Value, json};

use crate::api_error::ApiError;
use crate::charges;
use crate::checkout_sessions::{CheckoutSession, Status, change, find};
use crate::confirmation;
use crate::params::Params;
use crate::payment_intents::{self, Status as IntentStatus};
use crate::protocol::CheckoutPayment;
use crate::state::{State, now};

/// The customer types in a card and pays. Whatever the card does, a session that is not paid stays open.
pub(crate) fn pay(state: &mut State, id: &str, payment: &CheckoutPayment) -> Result<Value, ApiError> {
    let session = find(state, id)?;
    if session.status != Status::Open || session.expires_at <= now() {
        let message = "This Checkout Session is over: it is paid, or it has expired.";
        return Err(ApiError::unexpected_session(message));
    }
    let intent = intent_of(state, id)?;
    payment_intents::change(state, &intent, |intent| intent.takes_time = payment.unpaid)?;
    confirmation::confirm_with(state, &intent, Some(&payment.card), None)?;
    follow(state, &intent, payment)?;
    find(state, id).map(CheckoutSession::render)
}

/// The session's payment intent, which is made for the first attempt and serves all of them.
fn intent_of(state: &mut State, id: &str) -> Result<String, ApiError> {
    let session = find(state, id)?;
    if let Some(intent) = &session.payment_intent {
        return Ok(intent.clone());
    }
    let form = json!({
        "amount": session.amount_total.to_string(), "currency": session.currency,
        "metadata": session.payment_metadata, "payment_method_types": session.payment_method_types,
    });
    let params = Params(form.as_object().cloned().unwrap_or_default());
    let made = payment_intents::create(state, &params)?;
    let intent = made.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    payment_intents::change(state, &intent, |intent| intent.checkout_session = Some(id.to_owned()))?;
    change(state, id, |session| session.payment_intent = Some(intent.clone()))?;
    Ok(intent)
}

/// The cardholder proves who they are, or does not; a session that this pays is complete.
pub(crate) fn authenticate(state: &mut State, intent: &str, succeeds: bool) -> Result<Value, ApiError> {
    let authenticated = confirmation::authenticate(state, intent, succeeds)?;
    follow(state, intent, &CheckoutPayment::default())?;
    Ok(authenticated)
}

/// A payment that was processing arrives, or does not, which the session is told of.
pub(crate) fn settle(state: &mut State, intent: &str, succeeds: bool) -> Result<Value, ApiError> {
    let settled = confirmation::settle(state, intent, succeeds)?;
    follow(state, intent, &CheckoutPayment::default())?;
    Ok(settled)
}

/// Brings the session of an intent, if it has one, to where the intent is.
fn follow(state: &mut State, intent: &str, told: &CheckoutPayment) -> Result<(), ApiError> {
    let intent = payment_intents::find(state, intent)?;
    let Some(id) = intent.checkout_session.clone() else {
        return Ok(());
    };
    let paid = intent.status == IntentStatus::Succeeded;
    let event = match (find(state, &id)?.status, intent.status) {
        (Status::Open, IntentStatus::Succeeded | IntentStatus::Processing) => "checkout.session.completed",
        (Status::Complete, IntentStatus::Succeeded) => "checkout.session.async_payment_succeeded",
        (Status::Complete, IntentStatus::RequiresPaymentMethod) => "checkout.session.async_payment_failed",
        _ => return Ok(()),
    };
    let rendered = change(state, &id, |session| {
        session.status = Status::Complete;
        session.paid = paid;
        session.customer_details.get_or_insert_with(customer_details);
    })?;
    state.emit(event, as_told(rendered, told));
    Ok(())
}

/// Who paid, as typed in on the page.
fn customer_details() -> Value {
    let address = charges::billing_details().get("address").cloned();
    json!({
        "address": address, "email": "karla.platici@example.com", "name": "Karla Platící", "phone": null,
        "tax_exempt": "none", "tax_ids": [],
    })
}

/// The session as its event tells of it: not always the truth, if a test wants so.
fn as_told(mut session: Value, told: &CheckoutPayment) -> Value {
    let claims = [
        ("amount_total", told.told_amount_minor.map(Value::from)),
        ("currency", told.told_currency.clone().map(Value::from)),
    ];
    let claims = claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    if let Some(members) = session.as_object_mut() {
        members.extend(claims.collect::<Map<_, _>>());
    }
    session
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::{checkout_sessions, form};

    #[test]
    fn nobody_pays_on_a_page_whose_time_is_over() -> anyhow::Result<()> {
        let mut state = State::new(unbounded_channel().0);
        let encoded = "mode=payment&success_url=https://shop.example/&line_items[0][quantity]=1\
            &line_items[0][price_data][currency]=czk&line_items[0][price_data][unit_amount]=1500\
            &line_items[0][price_data][product_data][name]=Credits";
        let failed = |error: ApiError| anyhow::anyhow!("{error:?}");
        let params = Params(form::parse(encoded.as_bytes()).map_err(failed)?);
        let made = checkout_sessions::create(&mut state, &params).map_err(failed)?;
        let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
        let payment = CheckoutPayment { card: "pm_card_visa".to_owned(), ..CheckoutPayment::default() };
        change(&mut state, id, |session| session.expires_at = now() - 1).map_err(failed)?;
        assert!(pay(&mut state, id, &payment).is_err());
        assert_eq!((state.payment_intents.len(), state.events.len()), (0, 0));
        change(&mut state, id, |session| session.expires_at = now() + 60).map_err(failed)?;
        assert!(pay(&mut state, id, &payment).is_ok());
        Ok(())
    }
}
