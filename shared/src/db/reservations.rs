//! `kitloop.reserve_gear` and `kitloop.confirm_reservation`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::Db;
use super::error::{from_outcome, refusal_with};
use super::row::{Columns, parsed};
use crate::domain::{
    Actor, Booking, ConfirmationAction, Contact, Currency, GearId, IntentJob, IntentStep, JobClaim, JobId,
    JobKind, ReservationId, ReservationStatus,
};
use crate::error::{Code, Error, InvalidField};

/// A booking, with who asks and under which idempotency key.
#[derive(Debug)]
pub struct ReserveRequest<'a> {
    /// Whose idempotency key it is.
    pub caller: &'a str,
    /// The key.
    pub idempotency_key: &'a str,
    /// Of the request's body: another body under the same key is refused.
    pub request_hash: &'a str,
    /// Who asks.
    pub actor: Actor,
    /// What the verified token says of them.
    pub profile: &'a Contact,
    /// What they ask for.
    pub booking: &'a Booking,
}

/// A hold that was taken, now or by an earlier request with the same key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reserved {
    /// The new reservation.
    pub reservation_id: ReservationId,
    /// `hold`.
    pub status: ReservationStatus,
    /// When the hold lapses.
    pub reserved_until: Timestamp,
    /// The price, in minor units.
    pub amount_total_minor: i64,
    /// Of which currency.
    pub currency: Currency,
    /// What is held.
    pub lines: Vec<ReservedLine>,
    /// Whether this is the stored answer to an earlier request.
    #[serde(skip)]
    pub replayed: bool,
}

/// One item of a hold.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReservedLine {
    /// Which item.
    pub gear_id: GearId,
    /// How many of it.
    pub quantity: i32,
    /// For one piece and one day, in minor units.
    pub unit_price_minor: i64,
}

/// Takes a hold.
///
/// # Errors
/// The refusals of `kitloop.reserve_gear`; [`Error::DatabaseUnavailable`].
pub async fn reserve_gear(db: &Db, request: &ReserveRequest<'_>) -> Result<Reserved, Error> {
    let booking = request.booking;
    let gear_ids: Vec<Uuid> = booking.lines.iter().map(|line| line.gear_id.0).collect();
    let quantities: Vec<i32> = booking.lines.iter().map(|line| line.quantity).collect();
    let row = db
        .row(
            "select outcome, replayed, answer from kitloop.reserve_gear(
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            &[
                (&request.caller, Type::TEXT),
                (&request.idempotency_key, Type::TEXT),
                (&request.request_hash, Type::TEXT),
                (&request.actor.user_id, Type::UUID),
                (&Json(request.profile), Type::JSONB),
                (&request.actor.is_admin, Type::BOOL),
                (&booking.provider_id.0, Type::UUID),
                (&gear_ids, Type::UUID_ARRAY),
                (&quantities, Type::INT4_ARRAY),
                (&booking.period.start(), Type::TIMESTAMPTZ),
                (&booking.period.end(), Type::TIMESTAMPTZ),
                (&booking.walk_in.as_ref().map(Json), Type::JSONB),
                (&booking.notes, Type::TEXT),
                (&booking.amount_total_minor, Type::INT8),
            ],
        )
        .await?;
    let outcome: &str = row.column("outcome")?;
    if outcome != "reserved" {
        return Err(reservation_refusal(outcome, row.column("answer")?));
    }
    let Json(mut reserved): Json<Reserved> = row.column("answer")?;
    reserved.replayed = row.column("replayed")?;
    Ok(reserved)
}

/// A refusal with what the database knows about it, and the field that is wrong where it is the period.
fn reservation_refusal(outcome: &str, answer: Option<serde_json::Value>) -> Error {
    let refusal = match refusal_with(outcome, answer) {
        Ok(refusal) => refusal,
        Err(error) => return error,
    };
    let field = match refusal.code {
        Code::LeadTimeTooShort | Code::BeyondHorizon => Some("start_date"),
        Code::DurationTooShort | Code::DurationTooLong => Some("end_date"),
        _ => None,
    };
    let reason = refusal.code.sentence().to_owned();
    let invalid_fields = field.map(|field| InvalidField { field: field.to_owned(), reason });
    refusal.with_fields(invalid_fields.into_iter().collect()).into()
}

/// What is asked of a reservation that may become firm.
#[derive(Debug)]
pub struct ConfirmationRequest<'a> {
    /// Who asks.
    pub actor: Actor,
    /// Of which reservation.
    pub reservation_id: ReservationId,
    /// Confirm or decline.
    pub action: ConfirmationAction,
    /// The intent that the caller says is paid.
    pub payment_intent_id: Option<&'a str>,
    /// Who captures, if capturing is what is to be done.
    pub worker: &'a str,
    /// After this a worker takes the capture over.
    pub lease: Duration,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Confirmation {
    /// Nothing: this is the answer.
    Answered {
        /// Where the reservation stands.
        status: ReservationStatus,
        /// When it was paid.
        paid_at: Option<Timestamp>,
    },
    /// Ask Stripe for this intent, then settle it.
    LookUp(String),
    /// Capture: the caller holds the job.
    Capture(IntentJob),
}

/// Confirms or declines, or says what has to be asked of Stripe first.
///
/// # Errors
/// The refusals of `kitloop.confirm_reservation`; [`Error::DatabaseUnavailable`].
pub async fn confirm_reservation(db: &Db, request: &ConfirmationRequest<'_>) -> Result<Confirmation, Error> {
    let row = db
        .row(
            "select outcome, status, paid_at, payment_intent_id, amount_minor, job_id, fencing_token, generation
            from kitloop.confirm_reservation($1, $2, $3, $4, $5, $6, $7)",
            &[
                (&request.actor.user_id, Type::UUID),
                (&request.actor.is_admin, Type::BOOL),
                (&request.reservation_id.0, Type::UUID),
                (&request.action.as_str(), Type::TEXT),
                (&request.payment_intent_id, Type::TEXT),
                (&request.worker, Type::TEXT),
                (&seconds(request.lease), Type::INT4),
            ],
        )
        .await?;
    match row.column::<&str>("outcome")? {
        "answered" => Ok(Confirmation::Answered {
            status: parsed(&row, "status", ReservationStatus::parse)?,
            paid_at: row.column("paid_at")?,
        }),
        "look_up" => Ok(Confirmation::LookUp(row.column("payment_intent_id")?)),
        "capture" => Ok(Confirmation::Capture(IntentJob {
            claim: JobClaim {
                is_key_old: false,
                id: JobId(row.column("job_id")?),
                kind: JobKind::CapturePaymentIntent.as_str().to_owned(),
                fencing_token: row.column("fencing_token")?,
                generation: row.column("generation")?,
                reservation_id: Some(request.reservation_id),
            },
            reservation_id: request.reservation_id,
            payment_intent_id: row.column("payment_intent_id")?,
            step: IntentStep::Capture { amount_minor: row.column("amount_minor")? },
        })),
        outcome => Err(from_outcome(outcome)),
    }
}

/// Whole seconds for a lease, as SQL takes them.
pub(super) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
