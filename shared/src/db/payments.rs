//! `kitloop.start_payment`, `kitloop.record_payment_intent` and `kitloop.settle_payment_intent`.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::Db;
use super::error::from_outcome;
use super::reservations::seconds;
use super::row::{Columns, parsed};
use crate::domain::{
    Actor, CaptureMethod, Currency, Fact, Money, PaymentId, ProviderId, ReservationId, ReservationStatus,
};
use crate::error::Error;

/// The one payment of a reservation, and what is to be done at Stripe.
#[derive(Debug)]
pub struct StartedPayment {
    /// What is to be done.
    pub step: PaymentStep,
    /// The payment.
    pub payment_id: PaymentId,
    /// Which of its intents this is about.
    pub generation: i32,
    /// Who is paid.
    pub provider_id: ProviderId,
    /// What is to be paid.
    pub amount: Money,
    /// When the money is taken.
    pub capture_method: CaptureMethod,
    /// When the hold lapses.
    pub reserved_until: Timestamp,
    /// When the payment was started first.
    pub created_at: Timestamp,
}

/// What is to be done at Stripe.
#[derive(Debug)]
pub enum PaymentStep {
    /// Create the intent: the caller has the claim.
    Create,
    /// Read this intent.
    Retrieve(String),
}

impl StartedPayment {
    /// The idempotency key of creating the intent at Stripe: `{payment id}:create:{generation}`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}:create:{}", self.payment_id, self.generation)
    }
}

/// Claims the creation of the intent for `claim`, or finds the intent.
///
/// `spent`: a payment and generation whose intent is cancelled or whose idempotency key is spent; the next one starts.
///
/// # Errors
/// The refusals of `kitloop.start_payment`; [`Error::DatabaseUnavailable`].
pub async fn start_payment(
    db: &Db,
    actor: Actor,
    reservation_id: ReservationId,
    claim: Duration,
    spent: Option<(PaymentId, i32)>,
) -> Result<StartedPayment, Error> {
    let row = db
        .row(
            "select outcome, payment_id, generation, payment_intent_id, provider_id, amount_minor, currency,
                capture_method, reserved_until, created_at
            from kitloop.start_payment($1, $2, $3, $4, $5, $6)",
            &[
                (&actor.user_id, Type::UUID),
                (&actor.is_admin, Type::BOOL),
                (&reservation_id.0, Type::UUID),
                (&seconds(claim), Type::INT4),
                (&spent.map(|(payment_id, _)| payment_id.0), Type::UUID),
                (&spent.map(|(_, generation)| generation), Type::INT4),
            ],
        )
        .await?;
    let step = match row.column::<&str>("outcome")? {
        "create" => PaymentStep::Create,
        "retrieve" => PaymentStep::Retrieve(row.column("payment_intent_id")?),
        outcome => return Err(from_outcome(outcome)),
    };
    Ok(StartedPayment {
        step,
        payment_id: PaymentId(row.column("payment_id")?),
        generation: row.column("generation")?,
        provider_id: ProviderId(row.column("provider_id")?),
        amount: Money {
            amount_minor: row.column("amount_minor")?,
            currency: parsed(&row, "currency", Currency::parse)?,
        },
        capture_method: parsed(&row, "capture_method", CaptureMethod::parse)?,
        reserved_until: row.column("reserved_until")?,
        created_at: row.column("created_at")?,
    })
}

/// Records the intent that Stripe created for a claim.
///
/// # Errors
/// The refusals of `kitloop.record_payment_intent`; [`Error::DatabaseUnavailable`].
pub async fn record_payment_intent(db: &Db, payment: &StartedPayment, intent_id: &str) -> Result<(), Error> {
    match record(db, payment, Some(intent_id)).await?.as_str() {
        "recorded" => Ok(()),
        outcome => Err(from_outcome(outcome)),
    }
}

/// Gives a claim back after Stripe failed, so that the next caller need not wait for it to lapse.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn release_payment_claim(db: &Db, payment: &StartedPayment) -> Result<(), Error> {
    record(db, payment, None).await.map(drop)
}

async fn record(db: &Db, payment: &StartedPayment, intent_id: Option<&str>) -> Result<String, Error> {
    let row = db
        .row(
            "select outcome from kitloop.record_payment_intent($1, $2, $3)",
            &[
                (&payment.payment_id.0, Type::UUID),
                (&payment.generation, Type::INT4),
                (&intent_id, Type::TEXT),
            ],
        )
        .await?;
    row.column("outcome")
}

/// Where the reservation of a fact stands, once it is applied.
#[derive(Debug)]
pub struct SettledReservation {
    /// The reservation.
    pub reservation_id: ReservationId,
    /// Its state.
    pub status: ReservationStatus,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// Whether it was cancelled because its stock was gone when the money came.
    pub is_conflict: bool,
}

/// Applies what Stripe said when it was asked; `None` if it is about no reservation of ours.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn settle_payment_intent(db: &Db, fact: &Fact) -> Result<Option<SettledReservation>, Error> {
    let row = db
        .row(
            "select reservation_id, status, paid_at, cancel_reason from kitloop.settle_payment_intent($1)",
            &[(&Json(fact), Type::JSONB)],
        )
        .await?;
    let Some(id) = row.column::<Option<Uuid>>("reservation_id")? else { return Ok(None) };
    Ok(Some(SettledReservation {
        reservation_id: ReservationId(id),
        status: parsed(&row, "status", ReservationStatus::parse)?,
        paid_at: row.column("paid_at")?,
        is_conflict: row.column::<Option<&str>>("cancel_reason")? == Some("conflict"),
    }))
}
