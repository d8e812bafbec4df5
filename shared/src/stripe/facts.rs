//! From Stripe's words to ours: what an event or an object says that concerns reservations.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Charge, Dispute, Event, EventObject, PaymentIntent, Refund, Subscription};
use crate::domain::{
    ChargeFact, DisputeFact, Fact, PaymentIntentFact, PaymentStatus, RefundFact, RefundId, RefundStatus,
    SubscriptionFact, SubscriptionStatus,
};

impl Event {
    /// What the event says; `None` when it is of a type that we do not act on.
    #[must_use]
    pub fn fact(&self) -> Option<Fact> {
        match &self.object {
            EventObject::PaymentIntent(intent) => {
                let status = status_after(&self.event_type, intent)?;
                Some(intent.fact_with(status, Some(self.created)))
            }
            EventObject::Charge(charge) => charge.fact(&self.event_type),
            EventObject::Refund(refund) => Some(refund.fact()),
            EventObject::Dispute(dispute) => Some(dispute.fact_at(Some(self.created))),
            EventObject::Subscription(subscription) => subscription.fact_at(self.created),
            EventObject::CheckoutSession(session) => Some(session.fact_of(Some(&self.id))),
            EventObject::Other | EventObject::Unreadable(_) => None,
        }
    }
}

/// The status that an event about an intent stands for: <https://docs.stripe.com/api/events/types>. The type says it,
/// not the object: an event may carry the object as it was a moment later.
fn status_after(event_type: &str, intent: &PaymentIntent) -> Option<PaymentStatus> {
    match event_type {
        "payment_intent.succeeded" => Some(PaymentStatus::Succeeded),
        "payment_intent.payment_failed" => Some(PaymentStatus::RequiresPaymentMethod),
        "payment_intent.canceled" => Some(PaymentStatus::Canceled),
        "payment_intent.processing" => Some(PaymentStatus::Processing),
        "payment_intent.requires_action" => Some(PaymentStatus::RequiresAction),
        // Also sent when a capture takes the capturable amount back to nothing.
        "payment_intent.amount_capturable_updated" => intent.known_status(),
        _ => None,
    }
}

impl PaymentIntent {
    /// The status, if it is one that we know.
    #[must_use]
    pub fn known_status(&self) -> Option<PaymentStatus> {
        PaymentStatus::parse(self.status.as_deref()?)
    }

    /// What the intent, just read from Stripe, says; `None` for a status that we do not know.
    #[must_use]
    pub fn fact(&self) -> Option<Fact> {
        Some(self.fact_with(self.known_status()?, None))
    }

    fn fact_with(&self, status: PaymentStatus, at: Option<Timestamp>) -> Fact {
        // A view of the intent without the field means all of it; Stripe itself always sends it.
        let received = self.amount_received.unwrap_or(self.amount);
        Fact::PaymentIntent(PaymentIntentFact {
            payment_intent_id: self.id.clone(),
            status,
            amount_minor: self.amount,
            amount_received_minor: if status == PaymentStatus::Succeeded { received } else { 0 },
            currency: self.currency.clone(),
            capture_method: self.capture_method.as_deref().map(|method| match method {
                "manual" => "manual".to_owned(),
                _ => "automatic".to_owned(),
            }),
            capture_before: self.capture_before(),
            reservation_id: self.metadata_value("reservation_id"),
            provider_id: self.metadata_value("provider_id"),
            payment_id: self.metadata_value("payment_id"),
            generation: self.metadata_value("generation"),
            at,
        })
    }

    fn metadata_value<T: FromStr>(&self, name: &str) -> Option<T> {
        value_of(&self.metadata, name)
    }
}

fn value_of<T: FromStr>(metadata: &BTreeMap<String, String>, name: &str) -> Option<T> {
    metadata.get(name)?.parse().ok()
}

impl Charge {
    fn fact(&self, event_type: &str) -> Option<Fact> {
        matches!(event_type, "charge.succeeded" | "charge.refunded").then(|| {
            Fact::Charge(ChargeFact {
                payment_intent_id: self.payment_intent.clone(),
                event_type: event_type.to_owned(),
                captured: self.captured.unwrap_or(true),
                refunded: self.refunded,
                capture_before: self.capture_before,
            })
        })
    }
}

impl Refund {
    /// Whether it was made for this refund of ours.
    #[must_use]
    pub fn is_ours(&self, refund_id: RefundId) -> bool {
        value_of(&self.metadata, "refund_id") == Some(refund_id.0)
    }

    /// What the refund says.
    #[must_use]
    pub fn fact(&self) -> Fact {
        Fact::Refund(RefundFact {
            stripe_refund_id: self.id.clone(),
            refund_id: value_of(&self.metadata, "refund_id"),
            payment_intent_id: self.payment_intent.clone(),
            amount_minor: self.amount,
            currency: self.currency.clone(),
            status: self.status.as_deref().and_then(RefundStatus::parse).unwrap_or(RefundStatus::Pending),
        })
    }
}

impl Dispute {
    /// What the dispute, just read from Stripe, says.
    #[must_use]
    pub fn fact(&self) -> Fact {
        self.fact_at(None)
    }

    fn fact_at(&self, at: Option<Timestamp>) -> Fact {
        Fact::Dispute(DisputeFact {
            dispute_id: self.id.clone(),
            payment_intent_id: self.payment_intent.clone(),
            amount_minor: self.amount,
            currency: self.currency.clone(),
            status: self.status.clone().unwrap_or_else(|| "needs_response".to_owned()),
            reason: self.reason.clone(),
            evidence_due_by: self.evidence_due_by,
            at,
        })
    }
}

impl Subscription {
    /// `None` for a status that we do not know.
    fn fact_at(&self, at: Timestamp) -> Option<Fact> {
        Some(Fact::Subscription(SubscriptionFact {
            subscription_id: self.id.clone(),
            provider_id: value_of(&self.metadata, "provider_id"),
            plan: self.plan.clone(),
            status: SubscriptionStatus::parse(&self.status)?,
            at,
        }))
    }
}
