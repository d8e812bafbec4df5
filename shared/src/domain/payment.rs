//! Money: what Stripe says (a [`Fact`]) and what it means for a reservation (a [`Decision`]).

use jiff::Timestamp;
use uuid::Uuid;

use super::credits::CheckoutSessionFact;
use super::plan::SubscriptionFact;
use super::text_enum;

text_enum! {
    /// Stripe's statuses of a payment intent: <https://docs.stripe.com/payments/paymentintents/lifecycle>.
    PaymentStatus {
        /// Nothing paid yet, or the last card was declined.
        RequiresPaymentMethod = "requires_payment_method",
        /// A card is attached and has to be confirmed.
        RequiresConfirmation = "requires_confirmation",
        /// The bank wants to see the customer.
        RequiresAction = "requires_action",
        /// The bank takes its time.
        Processing = "processing",
        /// Authorised; to be captured or released.
        RequiresCapture = "requires_capture",
        /// Paid.
        Succeeded = "succeeded",
        /// Called off.
        Canceled = "canceled",
    }
}

text_enum! {
    /// Stripe's statuses of a refund: <https://docs.stripe.com/api/refunds/object#refund_object-status>.
    RefundStatus {
        /// On its way.
        Pending = "pending",
        /// The customer has to do something to get it.
        RequiresAction = "requires_action",
        /// Arrived, or as good as; it may still fail.
        Succeeded = "succeeded",
        /// Did not arrive.
        Failed = "failed",
        /// Called off.
        Canceled = "canceled",
    }
}

text_enum! {
    /// What an event turned out to mean.
    Decision {
        /// The reservation is firm.
        Confirmed = "confirmed",
        /// It was firm before.
        AlreadyConfirmed = "already_confirmed",
        /// The money is authorised; the provider has to answer.
        Authorized = "authorized",
        /// Paid too late and the stock is gone: the money goes back.
        CancelledConflict = "cancelled_conflict",
        /// A card was declined; the hold stays until it lapses, another card may work.
        PaymentFailed = "payment_failed",
        /// The intent was called off.
        PaymentCanceled = "payment_canceled",
        /// The bank takes its time.
        Processing = "processing",
        /// The bank wants to see the customer.
        RequiresAction = "requires_action",
        /// All money went back.
        Refunded = "refunded",
        /// Some money went back.
        PartiallyRefunded = "partially_refunded",
        /// Money that should have gone back did not.
        RefundFailed = "refund_failed",
        /// The cardholder disputes the charge.
        Disputed = "disputed",
        /// Money for a reservation that is over: it goes back.
        RefundLatePayment = "refund_late_payment",
        /// Money beyond the one payment of a reservation: it goes back.
        DuplicatePayment = "duplicate_payment",
        /// Not the amount or currency that was asked for: not confirmed, it goes back.
        AmountMismatch = "amount_mismatch",
        /// Credits were bought and are there.
        CreditsGranted = "credits_granted",
        /// The plan of a shop is another, or pays again, or does not any more.
        PlanUpdated = "plan_updated",
        /// Not about anything of ours.
        Unmatched = "unmatched",
        /// Older than what is known.
        Stale = "stale",
        /// Of a kind that means nothing to us.
        Ignored = "ignored",
        /// Decided on before.
        Replay = "replay",
    }
}

/// Something that Stripe says is so, in the words of our SQL functions.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// About a payment intent.
    PaymentIntent(PaymentIntentFact),
    /// About a refund.
    Refund(RefundFact),
    /// About a charge.
    Charge(ChargeFact),
    /// About a dispute.
    Dispute(DisputeFact),
    /// About a shop's subscription.
    Subscription(SubscriptionFact),
    /// About a Checkout Session.
    CheckoutSession(CheckoutSessionFact),
}

/// The state of a payment intent.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PaymentIntentFact {
    /// Stripe's id.
    pub payment_intent_id: String,
    /// Its status.
    pub status: PaymentStatus,
    /// What was asked for, in minor units.
    pub amount_minor: i64,
    /// What came in, in minor units.
    pub amount_received_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// `automatic` or `manual`.
    pub capture_method: Option<String>,
    /// Until when an authorisation can be captured.
    pub capture_before: Option<Timestamp>,
    /// From the metadata.
    pub reservation_id: Option<Uuid>,
    /// From the metadata.
    pub provider_id: Option<Uuid>,
    /// From the metadata.
    pub payment_id: Option<Uuid>,
    /// From the metadata.
    pub generation: Option<i32>,
    /// When it was so; `None` is now.
    pub at: Option<Timestamp>,
}

/// The state of a refund.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RefundFact {
    /// Stripe's id.
    pub stripe_refund_id: String,
    /// Ours, from the metadata; `None` if it was made by somebody else.
    pub refund_id: Option<Uuid>,
    /// The intent whose money goes back.
    pub payment_intent_id: Option<String>,
    /// In minor units.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// Stripe's status.
    pub status: RefundStatus,
}

/// What an event about a charge says.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ChargeFact {
    /// The intent of the charge.
    pub payment_intent_id: Option<String>,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Whether it was captured; one that was not and is "refunded" was released.
    pub captured: bool,
    /// Whether all of it went back.
    pub refunded: bool,
    /// Until when it can be captured, if it is not.
    pub capture_before: Option<Timestamp>,
}

/// The state of a dispute.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DisputeFact {
    /// Stripe's id.
    pub dispute_id: String,
    /// The intent that is disputed.
    pub payment_intent_id: Option<String>,
    /// What is disputed, in minor units.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// Stripe's status.
    pub status: String,
    /// Stripe's word for why, such as `fraudulent`.
    pub reason: Option<String>,
    /// Until when the provider may answer.
    pub evidence_due_by: Option<Timestamp>,
    /// When it was so; `None` is now.
    pub at: Option<Timestamp>,
}
