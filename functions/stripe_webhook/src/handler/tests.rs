//! Events as Stripe signs them and AWS delivers them, over a real database.

mod door;
mod event_log;
mod intents;
mod late;
mod mismatches;
mod plans;
mod refunds_and_disputes;
mod signatures;
mod topups;

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{HttpCall, Reply, Shop, StripeEvent};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/stripe_webhook";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// Delivers an event; fails unless it is answered with this status and decision.
async fn deliver(shop: &Shop, event: &StripeEvent, status: u16, decision: &str) -> Result<()> {
    let reply = answer(shop, &event.call()?).await?;
    assert_eq!(reply.status, status, "{}", reply.body);
    assert_eq!(reply.body, json!({"received": true, "decision": decision}));
    Ok(())
}

/// A hold whose payment was started, and what Stripe may say about it.
struct Payment {
    reservation_id: Uuid,
    intent_id: String,
    provider_id: Uuid,
}

impl Payment {
    async fn start(shop: &Shop) -> Result<Self> {
        let (reservation_id, intent_id) = shop.hold_with_intent().await?;
        Ok(Self { reservation_id, intent_id, provider_id: shop.provider_id })
    }

    /// One that the webhook has confirmed.
    async fn confirmed(shop: &Shop) -> Result<Self> {
        let payment = Self::start(shop).await?;
        deliver(shop, &payment.event("payment_intent_succeeded")?, 200, "confirmed").await?;
        Ok(payment)
    }

    /// One that the webhook has authorised.
    async fn authorized(shop: &Shop) -> Result<Self> {
        let payment = Self::start(shop).await?;
        let event = payment.event("payment_intent_amount_capturable_updated")?;
        deliver(shop, &event, 200, "authorized").await?;
        Ok(payment)
    }

    /// A sample event about this payment.
    fn event(&self, sample: &str) -> Result<StripeEvent> {
        StripeEvent::sample(sample, &self.intent_id, self.reservation_id, self.provider_id)
    }

    /// A sample event about another intent for the same reservation.
    fn event_of(&self, other_intent: &str, sample: &str) -> Result<StripeEvent> {
        StripeEvent::sample(sample, other_intent, self.reservation_id, self.provider_id)
    }

    /// What is stored: (reservation's status, cancel_reason, whether paid, payment's status, captured).
    async fn stored(&self, shop: &Shop) -> Result<Value> {
        let sql = "select jsonb_build_array(r.status, r.cancel_reason, r.paid_at is not null, p.status, p.captured_minor)
            from public.payments p
            join public.reservations r on r.id = p.reservation_id
            where p.payment_intent_id = $1";
        shop.database.value(sql, &[&self.intent_id]).await
    }
}

/// What the log says of an event: (status, decision, attempts, replays).
async fn logged(shop: &Shop, event: &StripeEvent) -> Result<Value> {
    let sql = "select jsonb_build_array(status, decision, attempts, replay_count)
        from public.stripe_webhook_events where id = $1";
    shop.database.value(sql, &[&event.id()]).await
}

/// A job of this kind in this status, as [`Shop::jobs`] tells it.
fn job(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}
