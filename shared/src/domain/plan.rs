//! The plan of a shop, which it pays the platform for.

use jiff::Timestamp;
use uuid::Uuid;

use super::text_enum;

text_enum! {
    /// Stripe's statuses of a subscription:
    /// <https://docs.stripe.com/api/subscriptions/object#subscription_object-status>.
    SubscriptionStatus {
        /// The first payment has not been made yet.
        Incomplete = "incomplete",
        /// It never was.
        IncompleteExpired = "incomplete_expired",
        /// Nothing is to be paid yet.
        Trialing = "trialing",
        /// Paid.
        Active = "active",
        /// A payment is late.
        PastDue = "past_due",
        /// It has ended.
        Canceled = "canceled",
        /// Late for so long that Stripe has stopped asking.
        Unpaid = "unpaid",
        /// A trial ended without a card.
        Paused = "paused",
    }
}

/// The state of a shop's subscription.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SubscriptionFact {
    /// Stripe's id.
    pub subscription_id: String,
    /// Whose it is, from the metadata.
    pub provider_id: Option<Uuid>,
    /// The plan's name, where Stripe tells it.
    pub plan: Option<String>,
    /// Its status.
    pub status: SubscriptionStatus,
    /// When it was so, to the second.
    pub at: Timestamp,
}
