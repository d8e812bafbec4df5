//! Comparing what is known here with what Stripe says.

use serde::{Deserialize, Serialize};

use super::{ReservationId, text_enum};

text_enum! {
    /// What a reconciliation looks at, in this order.
    ReconciliationPhase {
        /// Events that were not delivered.
        Events = "events",
        /// Intents made in the window.
        PaymentIntents = "payment_intents",
        /// Intents made before it that are still open here.
        OpenPayments = "open_payments",
        /// Checkout Sessions made in the window.
        CheckoutSessions = "checkout_sessions",
        /// Those of top-ups that began before it and are still open here.
        OpenTopups = "open_topups",
        /// Refunds made in the window.
        Refunds = "refunds",
        /// Disputes opened in the window.
        Disputes = "disputes",
        /// Our own payments whose money should move and does not.
        Owed = "owed",
        /// Nothing more.
        Done = "done",
    }
}

impl ReconciliationPhase {
    /// What is looked at after this.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Events => Self::PaymentIntents,
            Self::PaymentIntents => Self::OpenPayments,
            Self::OpenPayments => Self::CheckoutSessions,
            Self::CheckoutSessions => Self::OpenTopups,
            Self::OpenTopups => Self::Refunds,
            Self::Refunds => Self::Disputes,
            Self::Disputes => Self::Owed,
            Self::Owed | Self::Done => Self::Done,
        }
    }
}

text_enum! {
    /// What was done about a payment whose money should move and did not.
    Mending {
        /// Another refund was made of what is owed.
        RefundResent = "refund_resent",
        /// The intent is being cancelled again.
        CancelResent = "cancel_resent",
        /// Refunds failed too often: a person has to look.
        Owed = "owed",
        /// It had moved meanwhile.
        Settled = "settled",
    }
}

/// Something that was not as it should be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Stripe's id of the object, or ours of the payment.
    pub object_id: String,
    /// What was different, such as `undelivered_event` or `unknown_payment`.
    pub difference: String,
    /// What came of applying it.
    pub decision: Option<String>,
    /// Which reservation it is about, where there is one.
    pub reservation_id: Option<ReservationId>,
    /// Whether it is as it should be now.
    pub is_mended: bool,
}
