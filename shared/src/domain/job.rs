//! Work at Stripe that follows from a decision.

use super::{JobId, PaymentId, ReservationId, text_enum};

text_enum! {
    /// What a job does.
    JobKind {
        /// Calls off an intent, or releases what was authorised.
        CancelPaymentIntent = "cancel_payment_intent",
        /// Takes authorised money.
        CapturePaymentIntent = "capture_payment_intent",
        /// Sends captured money back.
        RefundPayment = "refund_payment",
    }
}

/// A job that the holder of `fencing_token` may do, once.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Its id, part of the idempotency key at Stripe.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// Grows with each claim: an older holder may not finish the job.
    pub fencing_token: i64,
    /// Part of the idempotency key at Stripe; grows when a key is spent.
    pub generation: i32,
    /// Whose money it is about.
    pub payment_id: PaymentId,
    /// At Stripe.
    pub payment_intent_id: String,
    /// What to capture or refund, in minor units.
    pub amount_minor: i64,
    /// What it was paid for.
    pub reservation_id: ReservationId,
}

impl ClaimedJob {
    /// The idempotency key of what the job does at Stripe: `{job id}:{operation}:{generation}`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}:{}", self.id, self.kind.as_str(), self.generation)
    }
}
