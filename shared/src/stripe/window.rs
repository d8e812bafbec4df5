//! What Stripe has of a span of time, page by page: for those who compare it with what they know.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::checkout::CheckoutSession;
use super::event::Event;
use super::objects::{Dispute, PaymentIntent, Refund};
use super::pages::Page;
use super::transport::Parameters;
use super::{Stripe, StripeError};
use crate::domain::Period;
use crate::error::without_values;

impl Stripe {
    /// Events that nobody took, or not yet: <https://docs.stripe.com/api/events/list>. Stripe keeps events for thirty
    /// days.
    ///
    /// # Errors
    /// See [`StripeError`], here and below.
    pub async fn undelivered_events(
        &self,
        window: Period,
        after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<Event>, StripeError> {
        let mut filter = created_within(window);
        filter.push(("delivery_success", "false".to_owned()));
        let page = self.page("/v1/events", filter, after, deadline).await?;
        Ok(readable(page, |document| Event::from_document(document).map_err(|error| error.to_string())))
    }

    /// Intents made in the window, with their charges: <https://docs.stripe.com/api/payment_intents/list>.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn payment_intents_within(
        &self,
        window: Period,
        after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<PaymentIntent>, StripeError> {
        let mut filter = created_within(window);
        filter.push(("expand[]", "data.latest_charge".to_owned()));
        self.readable_page("/v1/payment_intents", filter, after, deadline).await
    }

    /// Checkout Sessions made in the window: <https://docs.stripe.com/api/checkout/sessions/list>.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn checkout_sessions_within(
        &self,
        window: Period,
        after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<CheckoutSession>, StripeError> {
        self.readable_page("/v1/checkout/sessions", created_within(window), after, deadline).await
    }

    /// Refunds made in the window: <https://docs.stripe.com/api/refunds/list>.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn refunds_within(
        &self,
        window: Period,
        after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<Refund>, StripeError> {
        self.readable_page("/v1/refunds", created_within(window), after, deadline).await
    }

    /// Disputes opened in the window: <https://docs.stripe.com/api/disputes/list>.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn disputes_within(
        &self,
        window: Period,
        after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<Dispute>, StripeError> {
        self.readable_page("/v1/disputes", created_within(window), after, deadline).await
    }

    async fn readable_page<T: DeserializeOwned>(
        &self,
        path: &'static str,
        filter: Parameters<'_>,
        after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<T>, StripeError> {
        let page = self.page(path, filter, after, deadline).await?;
        Ok(readable(page, |object| serde_json::from_value(object).map_err(|error| without_values(&error))))
    }
}

/// What of a page can be read. The rest is logged, and must not keep the others from being compared, on this page and on
/// all that come after it.
fn readable<T>(page: Page<Value>, read: impl Fn(Value) -> Result<T, String>) -> Page<T> {
    let read = |object: Value| {
        let object_id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        read(object).inspect_err(|error| tracing::error!(object_id, error, "stripe.unreadable")).ok()
    };
    Page { items: page.items.into_iter().filter_map(read).collect(), next: page.next }
}

/// Stripe counts in whole seconds, so the window's last one is asked for, too.
fn created_within(window: Period) -> Parameters<'static> {
    vec![
        ("created[gte]", window.start().as_second().to_string()),
        ("created[lte]", window.end().as_second().to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::testing::capture;

    #[test]
    fn an_object_that_cannot_be_read_keeps_no_other_from_being_compared() {
        let items = vec![
            json!({"id": "re_1", "amount": 5, "currency": "czk"}),
            json!({"id": "re_2", "amount": "private", "currency": "czk"}),
            json!({"id": "re_3", "amount": 7, "currency": "czk"}),
        ];
        let lines = capture(|| {
            let page = Page { items, next: Some("re_3".to_owned()) };
            let page: Page<Refund> = readable(page, |object| {
                serde_json::from_value(object).map_err(|error| without_values(&error))
            });
            let ids: Vec<&str> = page.items.iter().map(|refund| refund.id.as_str()).collect();
            assert_eq!((ids.as_slice(), page.next.as_deref()), (&["re_1", "re_3"][..], Some("re_3")));
        });
        let told = lines.first().map(|line| (&line["message"], &line["context"]));
        assert_eq!(
            told,
            Some((&json!("stripe.unreadable"), &json!({"object_id": "re_2", "error": "expected i64"})))
        );
    }
}
