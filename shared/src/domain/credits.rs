//! Credits, which customers buy and pay jobs with.

use uuid::Uuid;

/// What Stripe says of a Checkout Session.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CheckoutSessionFact {
    /// Stripe's id.
    pub checkout_session_id: String,
    /// Our top-up, from the metadata.
    pub topup_id: Option<Uuid>,
    /// `open`, `complete` or `expired`.
    pub status: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: Option<String>,
    /// In minor units.
    pub amount_minor: Option<i64>,
    /// ISO 4217, upper case.
    pub currency: Option<String>,
    /// The intent that paid.
    pub payment_intent_id: Option<String>,
    /// The event that says so; none if Stripe was asked.
    pub event_id: Option<String>,
}
