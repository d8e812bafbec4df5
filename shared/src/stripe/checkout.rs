//! Checkout Sessions, by which credits are bought: <https://docs.stripe.com/api/checkout/sessions/object>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;
use uuid::Uuid;

use super::client::{Stripe, path};
use super::objects::{id_of, null_as_default};
use super::pages::Pages;
use super::transport::StripeError;
use crate::domain::{CheckoutSessionFact, Fact, Money, TopupId};

/// A Checkout Session, as far as it says what was paid.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutSession {
    /// Stripe's id, `cs_…`.
    pub id: String,
    /// Where the customer pays; none once it is complete or has expired.
    #[serde(default)]
    pub url: Option<String>,
    /// `open`, `complete` or `expired`.
    #[serde(default)]
    pub status: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`.
    #[serde(default)]
    pub payment_status: Option<String>,
    /// In minor units.
    #[serde(default)]
    pub amount_total: Option<i64>,
    /// ISO 4217, upper case.
    #[serde(default, deserialize_with = "optional_upper_case")]
    pub currency: Option<String>,
    /// The intent of the payment, once there is one.
    #[serde(default, deserialize_with = "id_of")]
    pub payment_intent: Option<String>,
    /// What we attached when we made it, or nothing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: BTreeMap<String, String>,
}

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewCheckoutSession<'a> {
    /// Ours; kept in the metadata of the session and of its intent.
    pub topup_id: TopupId,
    /// How many are bought.
    pub credits: i64,
    /// What one costs.
    pub credit_price: Money,
    /// Where Stripe sends the customer who has paid.
    pub success_url: &'a str,
    /// Where it sends one who has not.
    pub cancel_url: &'a str,
}

impl Stripe {
    /// Makes a session that a card can pay: <https://docs.stripe.com/api/checkout/sessions/create>.
    ///
    /// # Errors
    /// See [`StripeError`], here and below.
    pub async fn create_checkout_session(
        &self,
        new: &NewCheckoutSession<'_>,
        key: &str,
        deadline: Instant,
    ) -> Result<CheckoutSession, StripeError> {
        let Money { amount_minor, currency } = new.credit_price;
        let topup_id = new.topup_id.to_string();
        let parameters = vec![
            ("mode", "payment".to_owned()),
            ("payment_method_types[]", "card".to_owned()),
            ("line_items[0][quantity]", new.credits.to_string()),
            ("line_items[0][price_data][currency]", currency.as_str().to_ascii_lowercase()),
            ("line_items[0][price_data][unit_amount]", amount_minor.to_string()),
            ("line_items[0][price_data][product_data][name]", "Credits".to_owned()),
            ("success_url", new.success_url.to_owned()),
            ("cancel_url", new.cancel_url.to_owned()),
            ("client_reference_id", topup_id.clone()),
            ("metadata[topup_id]", topup_id.clone()),
            ("payment_intent_data[metadata][topup_id]", topup_id),
        ];
        self.post("/v1/checkout/sessions".to_owned(), parameters, key, deadline).await
    }

    /// Reads a session: <https://docs.stripe.com/api/checkout/sessions/retrieve>.
    ///
    /// # Errors
    /// `resource_missing` if there is none.
    pub async fn checkout_session(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<CheckoutSession, StripeError> {
        self.get(path("checkout/sessions", id, None), Vec::new(), deadline).await
    }

    /// The newest session of a top-up, of those made at or after a time:
    /// <https://docs.stripe.com/api/checkout/sessions/list>.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn find_checkout_session_since(
        &self,
        created_gte: Timestamp,
        topup_id: TopupId,
        deadline: Instant,
    ) -> Result<Option<CheckoutSession>, StripeError> {
        let filter = vec![("created[gte]", created_gte.as_second().to_string())];
        let is_wanted = |session: &CheckoutSession| session.topup_id() == Some(topup_id.0);
        Pages::new(self, "/v1/checkout/sessions", filter, deadline).find(is_wanted).await
    }
}

impl CheckoutSession {
    /// What the session, just read from Stripe, says.
    #[must_use]
    pub fn fact(&self) -> Fact {
        self.fact_of(None)
    }

    /// What the session says, in this event or when it was read.
    pub(super) fn fact_of(&self, event_id: Option<&str>) -> Fact {
        Fact::CheckoutSession(CheckoutSessionFact {
            checkout_session_id: self.id.clone(),
            topup_id: self.topup_id(),
            status: self.status.clone(),
            payment_status: self.payment_status.clone(),
            amount_minor: self.amount_total,
            currency: self.currency.clone(),
            payment_intent_id: self.payment_intent.clone(),
            event_id: event_id.map(str::to_owned),
        })
    }

    fn topup_id(&self) -> Option<Uuid> {
        self.metadata.get("topup_id")?.parse().ok()
    }
}

fn optional_upper_case<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(|currency| currency.to_ascii_uppercase()))
}
