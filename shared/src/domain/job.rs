//! Work that follows from a decision (at Stripe, or an e-mail), and work that customers pay for.

use serde_json::Value;
use uuid::Uuid;

use super::{JobId, Notification, ProviderId, RefundId, ReservationId, text_enum};

text_enum! {
    /// What a job does that follows from a decision.
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
    /// What is to be done, as SQL spells it; part of the idempotency key.
    pub kind: String,
    /// Grows with each claim: an older holder may not finish the job.
    pub fencing_token: i64,
    /// Part of the idempotency key; grows when a key is spent.
    pub generation: i32,
    /// Whether Stripe may have forgotten the idempotency key: then it does not keep anything from being done twice.
    pub is_key_old: bool,
    /// What it is about, if it is about one.
    pub reservation_id: Option<ReservationId>,
}

impl JobClaim {
    /// The idempotency key of what the job does elsewhere: `{job id}:{operation}:{generation}`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}:{}", self.id, self.kind, self.generation)
    }
}

/// A job that was claimed.
#[derive(Debug, Clone)]
pub enum ClaimedJob {
    /// Something is to be done at Stripe.
    Intent(IntentJob),
    /// Somebody is to be told.
    Email(Box<EmailJob>),
    /// A customer pays for it.
    Paid(PaidJob),
    /// What is stored of it makes no sense to this version.
    Unreadable {
        /// Who may give it back.
        claim: JobClaim,
        /// Why.
        error: String,
    },
}

impl ClaimedJob {
    /// Who may do it.
    #[must_use]
    pub const fn claim(&self) -> &JobClaim {
        match self {
            Self::Intent(job) => &job.claim,
            Self::Email(job) => &job.claim,
            Self::Paid(job) => &job.claim,
            Self::Unreadable { claim, .. } => claim,
        }
    }
}

/// Something to be done at Stripe.
#[derive(Debug, Clone)]
pub struct IntentJob {
    /// Who may do it.
    pub claim: JobClaim,
    /// The reservation that the intent pays for.
    pub reservation_id: ReservationId,
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

/// Something that a customer pays for with credits.
#[derive(Debug, Clone)]
pub struct PaidJob {
    /// Who may do it, and of which kind it is.
    pub claim: JobClaim,
    /// Who wants it.
    pub user_id: Uuid,
    /// For which shop, if it is for one.
    pub provider_id: Option<ProviderId>,
    /// What exactly, as its kind defines.
    pub input: Value,
}

/// One member of what a kind of paid job takes as its input.
#[derive(Debug, Clone, Copy)]
pub struct JobInput {
    /// Its name.
    pub name: &'static str,
    /// What may stand there.
    pub rule: JobInputRule,
}

/// What may stand in a member of a paid job's input.
#[derive(Debug, Clone, Copy)]
pub enum JobInputRule {
    /// One of these texts; required.
    Choice(&'static [&'static str]),
    /// A shop the caller works for, if given.
    Provider,
    /// An instant, if given: RFC 3339 with an offset.
    Instant,
    /// The same, later than the member of this name where both are given.
    InstantAfter(&'static str),
}
