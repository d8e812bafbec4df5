//! Stripe's objects, as far as we read them. Only what an object says of money is required: everything else may be
//! absent or null, so that a new API version or a restricted view never makes an event unreadable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// A PaymentIntent: <https://docs.stripe.com/api/payment_intents/object>.
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentIntent {
    /// Stripe's id, `pi_…`.
    pub id: String,
    /// Stripe's status, such as `requires_capture` or `succeeded`.
    #[serde(default)]
    pub status: Option<String>,
    /// The amount to be collected, in minor units.
    pub amount: i64,
    /// What was collected, in minor units.
    #[serde(default)]
    pub amount_received: Option<i64>,
    /// ISO 4217, upper case.
    #[serde(deserialize_with = "upper_case")]
    pub currency: String,
    /// `automatic`, `automatic_async` or `manual`.
    #[serde(default)]
    pub capture_method: Option<String>,
    /// What we attached when we made it, or nothing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: BTreeMap<String, String>,
    /// The charge of the last attempt to pay.
    #[serde(default)]
    pub latest_charge: Option<Expandable<Charge>>,
    /// With it a browser may pay this intent: never stored, never logged.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret: Option<SecretString>,
}

impl PaymentIntent {
    /// Until when an authorisation can be captured, if the charge is expanded and Stripe says so.
    #[must_use]
    pub fn capture_before(&self) -> Option<Timestamp> {
        match self.latest_charge.as_ref()? {
            Expandable::Object(charge) => charge.capture_before,
            Expandable::Id(_) => None,
        }
    }
}

/// A field that Stripe sends as an id, or as the whole object when asked to expand it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Expandable<T> {
    /// The id alone.
    Id(String),
    /// The object itself.
    Object(Box<T>),
}

/// A Charge: <https://docs.stripe.com/api/charges/object>.
#[derive(Debug, Clone, Deserialize)]
pub struct Charge {
    /// The intent it belongs to.
    #[serde(default, deserialize_with = "id_of")]
    pub payment_intent: Option<String>,
    /// Whether it was captured.
    #[serde(default)]
    pub captured: Option<bool>,
    /// Whether all of it went back; true also for an authorisation that was released.
    #[serde(default, deserialize_with = "null_as_default")]
    pub refunded: bool,
    /// Until when it can be captured; only for manual capture.
    #[serde(default, rename = "payment_method_details", deserialize_with = "capture_before")]
    pub capture_before: Option<Timestamp>,
}

/// A Refund: <https://docs.stripe.com/api/refunds/object>.
#[derive(Debug, Clone, Deserialize)]
pub struct Refund {
    /// Stripe's id, `re_…`.
    pub id: String,
    /// The intent whose money goes back.
    #[serde(default, deserialize_with = "id_of")]
    pub payment_intent: Option<String>,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217, upper case.
    #[serde(deserialize_with = "upper_case")]
    pub currency: String,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    #[serde(default)]
    pub status: Option<String>,
    /// What we attached when we made it, or nothing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: BTreeMap<String, String>,
}

/// A Dispute: <https://docs.stripe.com/api/disputes/object>.
#[derive(Debug, Clone, Deserialize)]
pub struct Dispute {
    /// Stripe's id, `du_…` or `dp_…`.
    pub id: String,
    /// The intent it is about.
    #[serde(default, deserialize_with = "id_of")]
    pub payment_intent: Option<String>,
    /// What is disputed, in minor units.
    pub amount: i64,
    /// ISO 4217, upper case.
    #[serde(deserialize_with = "upper_case")]
    pub currency: String,
    /// Such as `needs_response`, `won` or `lost`.
    #[serde(default)]
    pub status: Option<String>,
    /// Such as `fraudulent`.
    #[serde(default)]
    pub reason: Option<String>,
    /// Until when it can be answered.
    #[serde(default, rename = "evidence_details", deserialize_with = "due_by")]
    pub evidence_due_by: Option<Timestamp>,
}

/// A Subscription, as far as it says which plan a shop has: <https://docs.stripe.com/api/subscriptions/object>.
#[derive(Debug, Clone, Deserialize)]
pub struct Subscription {
    /// Stripe's id, `sub_…`.
    pub id: String,
    /// Such as `active`, `past_due` or `canceled`.
    pub status: String,
    /// What whoever sold the subscription attached: `provider_id` says whose it is.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: BTreeMap<String, String>,
    /// The plan's name: the lookup key of the first price, else its id.
    #[serde(default, rename = "items", deserialize_with = "plan_of")]
    pub plan: Option<String>,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

pub(super) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

fn upper_case<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(String::deserialize(from)?.to_ascii_uppercase())
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

fn unix_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Option::<i64>::deserialize(from)?
        .map(Timestamp::from_second)
        .transpose()
        .map_err(serde::de::Error::custom)
}

pub(super) fn id_of<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Expandable<Identified>>::deserialize(from)?.map(|field| match field {
        Expandable::Id(id) => id,
        Expandable::Object(object) => object.id,
    }))
}

fn plan_of<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Items {
        #[serde(default)]
        data: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        price: Price,
    }
    #[derive(Deserialize)]
    struct Price {
        id: String,
        #[serde(default)]
        lookup_key: Option<String>,
    }
    let items = Option::<Items>::deserialize(from)?;
    let first = items.and_then(|items| items.data.into_iter().next());
    Ok(first.map(|Item { price: Price { id, lookup_key } }| lookup_key.unwrap_or(id)))
}

fn due_by<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Details {
        #[serde(default, deserialize_with = "unix_time")]
        due_by: Option<Timestamp>,
    }
    Ok(Option::<Details>::deserialize(from)?.and_then(|details| details.due_by))
}

fn capture_before<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Details {
        #[serde(default)]
        card: Option<Card>,
    }
    #[derive(Deserialize)]
    struct Card {
        #[serde(default, deserialize_with = "unix_time")]
        capture_before: Option<Timestamp>,
    }
    let details = Option::<Details>::deserialize(from)?;
    Ok(details.and_then(|details| details.card).and_then(|card| card.capture_before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_absent_fields_are_defaults() -> Result<(), serde_json::Error> {
        let intent: PaymentIntent = serde_json::from_str(
            r#"{"id": "pi_1", "amount": 1500, "currency": "czk", "metadata": null, "amount_received": null}"#,
        )?;
        assert_eq!(intent.currency, "CZK");
        assert_eq!(intent.amount_received, None);
        assert!(intent.metadata.is_empty() && intent.status.is_none() && intent.latest_charge.is_none());
        Ok(())
    }

    #[test]
    fn an_expanded_charge_tells_until_when_it_can_be_captured() -> Result<(), serde_json::Error> {
        let intent: PaymentIntent = serde_json::from_str(
            r#"{"id": "pi_1", "amount": 1500, "currency": "czk", "latest_charge": {
                "id": "ch_1", "payment_intent": {"id": "pi_1"},
                "payment_method_details": {"card": {"capture_before": 1700000000}}}}"#,
        )?;
        assert_eq!(intent.capture_before().map(Timestamp::as_second), Some(1_700_000_000));
        Ok(())
    }

    #[test]
    fn a_client_secret_does_not_show_in_debug_output() -> Result<(), serde_json::Error> {
        let intent: PaymentIntent = serde_json::from_str(
            r#"{"id": "pi_1", "amount": 1, "currency": "eur", "client_secret": "pi_1_secret_x"}"#,
        )?;
        assert!(!format!("{intent:?}").contains("secret_x"));
        Ok(())
    }
}
