//! What Stripe has of a span of time, page by page: for those who compare it with what they know.

use tokio::time::Instant;

use super::event::Event;
use super::objects::{Dispute, PaymentIntent, Refund};
use super::pages::Page;
use super::transport::Parameters;
use super::{Stripe, StripeError};
use crate::domain::Period;

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
        let page: Page<serde_json::Value> = self.page("/v1/events", filter, after, deadline).await?;
        // What is no event at all cannot be applied, and must not keep the others from it.
        let items = page.items.into_iter().filter_map(|document| Event::from_document(document).ok());
        Ok(Page { items: items.collect(), next: page.next })
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
        self.page("/v1/payment_intents", filter, after, deadline).await
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
        self.page("/v1/refunds", created_within(window), after, deadline).await
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
        self.page("/v1/disputes", created_within(window), after, deadline).await
    }
}

/// Stripe counts in whole seconds, so the window's last one is asked for, too.
fn created_within(window: Period) -> Parameters<'static> {
    vec![
        ("created[gte]", window.start().as_second().to_string()),
        ("created[lte]", window.end().as_second().to_string()),
    ]
}
