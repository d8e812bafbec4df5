//! Work that follows from a decision: at Stripe, or an e-mail.

use super::{JobId, Notification, RefundId, ReservationId, text_enum};

text_enum! {
    /// What a job does.
    JobKind {
        /// Calls off an intent, or releases what was authorised.
        CancelPaymentIntent = "cancel_payment_intent",
        /// Takes authorised money.
        CapturePaymentIntent = "capture_payment_intent",
        /// Sends captured money back.
        RefundPayment = "refund_payment",
        /// Tells somebody.
        SendEmail = "send_email",
    }
}

/// The right to do a job, once: whoever holds the newest token has it.
#[derive(Debug, Clone)]
pub struct JobClaim {
    /// The job, part of the idempotency key.
    pub id: JobId,
    /// What is to be done, part of the idempotency key.
    pub kind: JobKind,
    /// Grows with each claim: an older holder may not finish the job.
    pub fencing_token: i64,
    /// Part of the idempotency key; grows when a key is spent.
    pub generation: i32,
    /// Whether Stripe may have forgotten the idempotency key: then it does not keep anything from being done twice.
    pub is_key_old: bool,
    /// What it is about.
    pub reservation_id: ReservationId,
}

impl JobClaim {
    /// The idempotency key of what the job does elsewhere: `{job id}:{operation}:{generation}`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}:{}", self.id, self.kind.as_str(), self.generation)
    }
}

/// A job that was claimed.
#[derive(Debug, Clone)]
pub enum ClaimedJob {
    /// Something is to be done at Stripe.
    Intent(IntentJob),
    /// Somebody is to be told.
    Email(Box<EmailJob>),
}

/// Something to be done at Stripe.
#[derive(Debug, Clone)]
pub struct IntentJob {
    /// Who may do it.
    pub claim: JobClaim,
    /// The intent, at Stripe.
    pub payment_intent_id: String,
    /// What is to be done with it.
    pub step: IntentStep,
}

/// What is to be done with an intent. Amounts are in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentStep {
    /// Call it off, or release what was authorised.
    Cancel,
    /// Take authorised money.
    Capture {
        /// How much.
        amount_minor: i64,
    },
    /// Send captured money back.
    Refund {
        /// How much.
        amount_minor: i64,
        /// Our refund, which Stripe keeps in the metadata of its own.
        refund_id: RefundId,
    },
}

/// Somebody to be told.
#[derive(Debug, Clone)]
pub struct EmailJob {
    /// Who may do it.
    pub claim: JobClaim,
    /// What they are told.
    pub notification: Notification,
}
