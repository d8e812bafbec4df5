//! What the business talks about, as types that cannot hold an invalid state. No I/O, and no use of other modules.

mod actor;
mod alarm;
mod credits;
mod ids;
mod job;
mod money;
mod notification;
mod payment;
mod period;
mod plan;
mod reconciliation;
mod reservation;

pub use actor::Actor;
pub use alarm::Alarm;
pub use credits::CheckoutSessionFact;
pub use ids::{GearId, JobId, PaymentId, ProviderId, RefundId, ReservationId, TopupId};
pub use job::{
    ClaimedJob, EmailJob, IntentJob, IntentStep, JobClaim, JobInput, JobInputRule, JobKind, PaidJob,
};
pub use money::{CaptureMethod, Currency, Money};
pub use notification::{DisputeNotice, Notification, NotificationKind, NotificationLine};
pub use payment::{
    ChargeFact, Decision, DisputeFact, Fact, PaymentIntentFact, PaymentStatus, RefundFact, RefundStatus,
};
pub use period::{MAX_PERIOD, Period, PeriodError};
pub use plan::{SubscriptionFact, SubscriptionStatus};
pub use reconciliation::{Finding, Mending, ReconciliationPhase};
pub use reservation::{Booking, BookingLine, CancelReason, ConfirmationAction, Contact, ReservationStatus};

/// Declares an enum whose variants have one spelling in Rust, SQL and JSON.
macro_rules! text_enum {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// As SQL and JSON spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The variant of that spelling.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
use text_enum;
