//! Checkout Sessions, for one payment of what is priced in the request: <https://docs.stripe.com/api/checkout/sessions>.
//!
//! A session has no payment intent before somebody tries to pay, as since version 2022-08-01 of the API:
//! <https://docs.stripe.com/changelog/2022-08-01/deferred-paymentintent-checkout-session>.

use std::collections::BTreeMap;

use reqwest::Url;
use serde_json::{Value, json};

use crate::amounts;
use crate::api_error::ApiError;
use crate::cancellation;
use crate::lists;
use crate::params::{Kind, Params, Rule, optional, required};
use crate::payment_intents;
use crate::state::{State, new_id, now};
use crate::table::Record;

const PRICE: &[Rule] = &[
    required("currency", Kind::Text(3)),
    required(
        "product_data",
        Kind::Object(&[required("name", Kind::Text(5000)), optional("description", Kind::Text(40_000))]),
    ),
    required("unit_amount", Kind::Integer),
];

const LINE_ITEM: &[Rule] =
    &[required("price_data", Kind::Object(PRICE)), required("quantity", Kind::Integer)];

const CREATE: &[Rule] = &[
    optional("cancel_url", Kind::Text(5000)),
    optional("client_reference_id", Kind::Text(200)),
    lists::EXPAND,
    optional("expires_at", Kind::Integer),
    required("line_items", Kind::ObjectList(LINE_ITEM)),
    optional("metadata", Kind::Metadata),
    required("mode", Kind::OneOf(&["payment"])),
    optional("payment_intent_data", Kind::Object(&[optional("metadata", Kind::Metadata)])),
    optional("payment_method_types", Kind::TextList),
    required("success_url", Kind::Text(5000)),
];

const LIST: &[Rule] = &[
    optional("payment_intent", Kind::Text(5000)),
    optional("status", Kind::OneOf(&["complete", "expired", "open"])),
];

const MOST_LINE_ITEMS: usize = 100;
const SHORTEST_LIFE_SECONDS: i64 = 30 * 60;
const LONGEST_LIFE_SECONDS: i64 = 24 * 60 * 60;

/// <https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-status>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    /// The customer is done. Whether the money is there, [`CheckoutSession::paid`] says.
    Complete,
    Expired,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// A Checkout Session, in the currency's minor units.
#[derive(Debug, Clone)]
pub(crate) struct CheckoutSession {
    pub(crate) id: String,
    pub(crate) amount_total: i64,
    pub(crate) currency: String,
    pub(crate) status: Status,
    pub(crate) paid: bool,
    pub(crate) payment_intent: Option<String>,
    /// What the payment intent gets, unlike the session's own.
    pub(crate) payment_metadata: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    client_reference_id: Option<String>,
    pub(crate) payment_method_types: Vec<String>,
    pub(crate) customer_details: Option<Value>,
    success_url: String,
    cancel_url: Option<String>,
    pub(crate) expires_at: i64,
    created: i64,
}

impl Record for CheckoutSession {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl CheckoutSession {
    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let (amount_total, currency) = total_of(&params.objects("line_items"))?;
        check_url(params, "success_url")?;
        check_url(params, "cancel_url")?;
        let created = now();
        let (mut metadata, mut payment_metadata) = (BTreeMap::new(), BTreeMap::new());
        params.apply_metadata(&mut metadata);
        params.object("payment_intent_data").apply_metadata(&mut payment_metadata);
        Ok(Self {
            id: new_id("cs_test"),
            amount_total,
            currency,
            status: Status::Open,
            paid: false,
            payment_intent: None,
            payment_metadata,
            metadata,
            client_reference_id: params.owned("client_reference_id"),
            payment_method_types: payment_intents::payment_method_types(params, false)?,
            customer_details: None,
            success_url: params.owned("success_url").unwrap_or_default(),
            cancel_url: params.owned("cancel_url"),
            expires_at: expiry(params, created)?,
            created,
        })
    }

    /// The page on which the customer pays; there is none once the session is over.
    fn url(&self) -> Option<String> {
        (self.status == Status::Open).then(|| format!("https://checkout.stripe.com/c/pay/{}", self.id))
    }

    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id, "object": "checkout.session", "after_expiration": null, "allow_promotion_codes": null,
            "amount_subtotal": self.amount_total, "amount_total": self.amount_total,
            "automatic_tax": { "enabled": false, "status": null }, "billing_address_collection": null,
            "cancel_url": self.cancel_url, "client_reference_id": self.client_reference_id, "consent": null,
            "consent_collection": null, "created": self.created, "currency": self.currency,
            "currency_conversion": null, "custom_fields": [],
            "custom_text": { "shipping_address": null, "submit": null }, "customer": null,
            "customer_creation": "if_required", "customer_details": self.customer_details,
            "customer_email": null, "expires_at": self.expires_at, "invoice": null, "invoice_creation": null,
            "livemode": false, "locale": null, "metadata": self.metadata, "mode": "payment",
            "payment_intent": self.payment_intent, "payment_link": null,
            "payment_method_collection": "if_required", "payment_method_options": {},
            "payment_method_types": self.payment_method_types,
            "payment_status": if self.paid { "paid" } else { "unpaid" },
            "phone_number_collection": { "enabled": false }, "recovered_from": null, "setup_intent": null,
            "shipping_address_collection": null, "shipping_cost": null, "shipping_details": null,
            "shipping_options": [], "status": self.status.as_str(), "submit_type": null, "subscription": null,
            "success_url": self.success_url,
            "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 }, "url": self.url(),
        })
    }
}

/// What the line items cost together, which has to be an amount that can be charged.
fn total_of(items: &[Params]) -> Result<(i64, String), ApiError> {
    if items.len() > MOST_LINE_ITEMS {
        let message = format!("You can have up to {MOST_LINE_ITEMS} line items.");
        return Err(ApiError::invalid("parameter_invalid", "line_items", message));
    }
    let mut total: i64 = 0;
    let mut common: Option<String> = None;
    for (position, item) in items.iter().enumerate() {
        let price = item.object("price_data");
        let currency = amounts::currency(price.text("currency").unwrap_or_default())?;
        if common.as_ref().is_some_and(|common| *common != currency) {
            let param = format!("line_items[{position}][price_data][currency]");
            let message = "All line items must have the same currency.";
            return Err(ApiError::invalid("parameter_invalid", &param, message));
        }
        let quantity = item.integer("quantity").unwrap_or_default();
        amounts::positive(quantity, &format!("line_items[{position}][quantity]"))?;
        let unit_amount = price.integer("unit_amount").unwrap_or_default();
        if unit_amount < 0 {
            let param = format!("line_items[{position}][price_data][unit_amount]");
            let message = "This value must be greater than or equal to 0.";
            return Err(ApiError::invalid("parameter_invalid_integer", &param, message));
        }
        // What overflows is above every maximum.
        total = total.saturating_add(unit_amount.saturating_mul(quantity));
        common = Some(currency);
    }
    let currency = common.ok_or_else(|| ApiError::missing("line_items"))?;
    amounts::chargeable(total, &currency, "line_items")?;
    Ok((total, currency))
}

fn check_url(params: &Params, param: &str) -> Result<(), ApiError> {
    let is_page = |url: &str| Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
    if params.text(param).is_none_or(is_page) {
        return Ok(());
    }
    Err(ApiError::invalid("url_invalid", param, "Not a valid URL"))
}

/// When the session ends unless it is paid, in seconds since 1970.
fn expiry(params: &Params, created: i64) -> Result<i64, ApiError> {
    let Some(expires_at) = params.integer("expires_at") else {
        return Ok(created + LONGEST_LIFE_SECONDS);
    };
    let limit = match expires_at.saturating_sub(created) {
        ..SHORTEST_LIFE_SECONDS => "at least 30 minutes",
        LONGEST_LIFE_SECONDS.. => "less than 24 hours",
        _ => return Ok(expires_at),
    };
    let message = format!("The `expires_at` timestamp must be {limit} from Checkout Session creation.");
    Err(ApiError::malformed("expires_at", message))
}

pub(crate) fn create(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    params.check(CREATE)?;
    let session = CheckoutSession::from_params(params)?;
    let rendered = session.render();
    state.checkout_sessions.insert(session);
    Ok(rendered)
}

pub(crate) fn find<'a>(state: &'a State, id: &str) -> Result<&'a CheckoutSession, ApiError> {
    let session = state.checkout_sessions.get(id);
    session.ok_or_else(|| ApiError::not_found("checkout.session", id, "session"))
}

/// Changes a session that exists and answers with what it is then.
pub(crate) fn change(
    state: &mut State,
    id: &str,
    change: impl FnOnce(&mut CheckoutSession),
) -> Result<Value, ApiError> {
    let session = state.checkout_sessions.get_mut(id);
    let session = session.ok_or_else(|| ApiError::not_found("checkout.session", id, "session"))?;
    change(session);
    Ok(session.render())
}

pub(crate) fn retrieve(state: &State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(&[lists::EXPAND])?;
    find(state, id).map(CheckoutSession::render)
}

pub(crate) fn list(state: &State, params: &Params) -> Result<Value, ApiError> {
    lists::check(params, LIST)?;
    let (intent, status) = (params.text("payment_intent"), params.text("status"));
    let passes = |session: &CheckoutSession| {
        intent.is_none_or(|id| session.payment_intent.as_deref() == Some(id))
            && status.is_none_or(|wanted| session.status.as_str() == wanted)
    };
    lists::page(&state.checkout_sessions, params, "/v1/checkout/sessions", passes, CheckoutSession::render)
}

/// Closes the page, and cancels what somebody tried to pay there. <https://docs.stripe.com/api/checkout/sessions/expire>
pub(crate) fn expire(state: &mut State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(&[lists::EXPAND])?;
    let session = find(state, id)?;
    if session.status != Status::Open {
        let status = session.status.as_str();
        return Err(ApiError::unexpected_session(format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. \
             This Checkout Session has a status of `{status}`."
        )));
    }
    if let Some(intent) = session.payment_intent.clone() {
        cancellation::cancel_for(state, &intent, Some("automatic".to_owned()))?;
    }
    let rendered = change(state, id, |session| session.status = Status::Expired)?;
    state.emit("checkout.session.expired", rendered.clone());
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lives_from_half_an_hour_to_less_than_a_day() {
        for (expires_at, is_taken) in [(2_799, false), (2_800, true), (87_399, true), (87_400, false)] {
            let Value::Object(members) = json!({ "expires_at": expires_at.to_string() }) else {
                unreachable!();
            };
            let expiry = expiry(&Params(members), 1_000).ok();
            assert_eq!(expiry, is_taken.then_some(expires_at), "{expires_at}");
        }
        assert_eq!(expiry(&Params::default(), 1_000).ok(), Some(87_400));
    }
}
