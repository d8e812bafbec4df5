//! A reservation: what is asked for, and the states of its life.

use super::{GearId, Period, ProviderId, text_enum};

text_enum! {
    /// Where a reservation stands.
    ReservationStatus {
        /// Held for a few minutes; blocks its stock until `reserved_until`.
        Hold = "hold",
        /// The money is authorised; the provider has to answer.
        Authorized = "authorized",
        /// Firm.
        Confirmed = "confirmed",
        /// The gear is out.
        Active = "active",
        /// The gear is back.
        Completed = "completed",
        /// Nobody paid in time; a late payment may still revive it.
        Expired = "expired",
        /// Called off.
        Cancelled = "cancelled",
        /// The customer did not come.
        NoShow = "no_show",
    }
}

text_enum! {
    /// Why a reservation was cancelled, or by whom.
    CancelReason {
        /// Its customer did not want it any more.
        Customer = "customer",
        /// The provider called it off.
        Provider = "provider",
        /// The provider turned it down while its money was only authorised.
        Declined = "declined",
        /// The provider did not answer while its money was authorised.
        Unanswered = "unanswered",
        /// Its payment was called off at Stripe.
        PaymentCanceled = "payment_canceled",
        /// Its payment came when the stock was gone.
        Conflict = "conflict",
    }
}

text_enum! {
    /// What the caller of `confirm_reservation` wants.
    ConfirmationAction {
        /// Make it firm.
        Confirm = "confirm",
        /// Turn it down (staff only).
        Decline = "decline",
    }
}

/// What is to be booked.
#[derive(Debug, Clone)]
pub struct Booking {
    /// Where.
    pub provider_id: ProviderId,
    /// What; two lines of one item are added up.
    pub lines: Vec<BookingLine>,
    /// For when.
    pub period: Period,
    /// For whom, when staff books for somebody who has no account.
    pub walk_in: Option<Contact>,
    /// For the shop to read.
    pub notes: Option<String>,
    /// The price that staff sets instead of the computed one, in minor units; ignored for customers.
    pub amount_total_minor: Option<i64>,
}

/// One item of a booking.
#[derive(Debug, Clone, Copy)]
pub struct BookingLine {
    /// Which item.
    pub gear_id: GearId,
    /// How many of it.
    pub quantity: i32,
}

/// How to reach a person.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Contact {
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Their telephone number.
    pub phone: Option<String>,
}
