//! What somebody is to be told by e-mail.

use std::fmt;

use serde::Deserialize;

use super::{CancelReason, Currency, Money, ReservationId, text_enum};

text_enum! {
    /// What happened.
    NotificationKind {
        /// To the customer: the booking is firm.
        Confirmation = "confirmation",
        /// To the customer: the booking is cancelled, and what comes of its money.
        Cancellation = "cancellation",
        /// To the customer: the provider turned the request down, or did not answer it in time.
        Declined = "declined",
        /// To the customer: the payment came too late and the gear was gone.
        ConflictApology = "conflict_apology",
        /// To the provider: the same.
        ConflictNotice = "conflict_notice",
        /// To the provider: a bank asks about a payment, which may become a dispute.
        InquiryOpened = "inquiry_opened",
        /// To the provider: a cardholder disputes a payment.
        DisputeOpened = "dispute_opened",
        /// To the provider: how that ended.
        DisputeClosed = "dispute_closed",
        /// To the provider: money that should have gone back did not.
        RefundFailed = "refund_failed",
    }
}

impl NotificationKind {
    /// Whether the customer is told; else the provider is.
    #[must_use]
    pub const fn is_for_customer(self) -> bool {
        match self {
            Self::Confirmation | Self::Cancellation | Self::Declined | Self::ConflictApology => true,
            Self::ConflictNotice
            | Self::InquiryOpened
            | Self::DisputeOpened
            | Self::DisputeClosed
            | Self::RefundFailed => false,
        }
    }
}

/// One message, with all that it says. Amounts are in minor units of `currency`; times are texts on the provider's wall
/// clock, such as `2027-02-10 09:00`.
#[derive(Clone, Deserialize)]
pub struct Notification {
    /// What happened.
    pub kind: NotificationKind,
    /// The address of whoever is told.
    pub to: String,
    /// The shop.
    pub provider_name: String,
    /// Where the shop takes questions.
    pub contact_email: Option<String>,
    /// Who booked, where that is known.
    pub customer_name: Option<String>,
    /// What it is about.
    pub reservation_id: ReservationId,
    /// When the rental starts.
    pub starts_at: String,
    /// When it ends.
    pub ends_at: String,
    /// The provider's zone, such as `Europe/Prague`.
    pub time_zone: String,
    /// What was booked.
    pub lines: Vec<NotificationLine>,
    /// The price of it all.
    pub amount_total_minor: i64,
    /// Of every amount here but the dispute's.
    pub currency: Currency,
    /// The number of the receipt, once there is one.
    pub order_number: Option<i64>,
    /// The tax in the price, where there is any.
    pub tax_minor: Option<i64>,
    /// What came in.
    pub paid_minor: i64,
    /// What of it goes back, or went back, in whatever way, without what the bank took; `owed_minor` is part of it.
    pub refund_minor: i64,
    /// What of it the provider keeps.
    pub kept_minor: i64,
    /// Why the reservation was cancelled, if it was.
    pub cancel_reason: Option<CancelReason>,
    /// What whoever cancelled wanted to say.
    pub cancel_note: Option<String>,
    /// What the provider has to hand back itself: it was paid without a card, or the card did not take it.
    pub owed_minor: i64,
    /// The dispute it is about.
    pub dispute: Option<DisputeNotice>,
}

/// One item that was booked.
#[derive(Debug, Clone, Deserialize)]
pub struct NotificationLine {
    /// What the provider calls it.
    pub name: String,
    /// How many pieces.
    pub quantity: i32,
}

/// A dispute, as Stripe tells of it: <https://docs.stripe.com/api/disputes/object>.
#[derive(Debug, Clone, Deserialize)]
pub struct DisputeNotice {
    /// In minor units of its own currency.
    pub amount_minor: i64,
    /// Of its amount.
    pub currency: Currency,
    /// Stripe's status, such as `needs_response` or `lost`.
    pub status: String,
    /// Stripe's reason, such as `product_not_received`.
    pub reason: Option<String>,
    /// Until when Stripe takes evidence, on the provider's wall clock.
    pub evidence_due_by: Option<String>,
}

impl Notification {
    /// An amount of the reservation's currency.
    #[must_use]
    pub const fn money(&self, amount_minor: i64) -> Money {
        Money { amount_minor, currency: self.currency }
    }
}

impl DisputeNotice {
    /// What is disputed.
    #[must_use]
    pub const fn amount(&self) -> Money {
        Money { amount_minor: self.amount_minor, currency: self.currency }
    }
}

/// Without the names, the address and the note, which no log may hold.
impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification")
            .field("kind", &self.kind)
            .field("reservation_id", &self.reservation_id)
            .finish_non_exhaustive()
    }
}
