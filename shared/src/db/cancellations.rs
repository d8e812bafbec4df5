//! `kitloop.cancel_reservation` and `kitloop.refund_reservation`.

use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, Type};

use super::Db;
use super::error::{from_outcome, refusal_with};
use super::row::{Columns, parsed};
use crate::domain::{Actor, Currency, RefundId, RefundStatus, ReservationId};
use crate::error::Error;

/// What is asked when a reservation is to be cancelled.
#[derive(Debug)]
pub struct CancellationRequest<'a> {
    /// Who asks: the customer, or staff on behalf of the provider.
    pub actor: Actor,
    /// Of which reservation.
    pub reservation_id: ReservationId,
    /// What they say of it.
    pub note: Option<&'a str>,
    /// Whether they only want to know what would happen.
    pub is_preview: bool,
}

/// A reservation that is cancelled, or would be.
#[derive(Debug, Clone, Copy)]
pub struct Cancelled {
    /// What goes back of the money that came in, in minor units.
    pub refund_minor: i64,
    /// Which share that is by the policy, before it is capped at what is left.
    pub refund_percent: i32,
    /// Of which currency.
    pub currency: Currency,
}

/// Cancels, or says what that would mean.
///
/// # Errors
/// The refusals of `kitloop.cancel_reservation`; [`Error::DatabaseUnavailable`].
pub async fn cancel_reservation(db: &Db, request: &CancellationRequest<'_>) -> Result<Cancelled, Error> {
    let row = db
        .row(
            "select outcome, refund_minor, refund_percent, currency
            from kitloop.cancel_reservation($1, $2, $3, $4, $5)",
            &[
                (&request.actor.user_id, Type::UUID),
                (&request.actor.is_admin, Type::BOOL),
                (&request.reservation_id.0, Type::UUID),
                (&request.note, Type::TEXT),
                (&request.is_preview, Type::BOOL),
            ],
        )
        .await?;
    match row.column::<&str>("outcome")? {
        "cancelled" => Ok(Cancelled {
            refund_minor: row.column("refund_minor")?,
            refund_percent: row.column("refund_percent")?,
            currency: parsed(&row, "currency", Currency::parse)?,
        }),
        outcome => Err(from_outcome(outcome)),
    }
}

/// What is asked when money is to go back.
#[derive(Debug)]
pub struct RefundRequest<'a> {
    /// Whose idempotency key it is.
    pub caller: &'a str,
    /// The key; without one every request is another refund.
    pub idempotency_key: Option<&'a str>,
    /// Of the request's body: another body under the same key is refused.
    pub request_hash: &'a str,
    /// Who asks.
    pub actor: Actor,
    /// Of which reservation.
    pub reservation_id: ReservationId,
    /// How much, in minor units; `None` is all that is left.
    pub amount_minor: Option<i64>,
    /// Why.
    pub note: &'a str,
    /// Whether it was handed over at the counter.
    pub is_offline: bool,
}

/// A refund that was decided on, now or by an earlier request with the same key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refunding {
    /// The new refund.
    pub refund_id: RefundId,
    /// `pending`, or `succeeded` when it was handed over at the counter.
    pub status: RefundStatus,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Of which currency.
    pub currency: Currency,
    /// Whether this is the stored answer to an earlier request.
    #[serde(skip)]
    pub replayed: bool,
}

/// Decides on a refund, which a job then carries out.
///
/// # Errors
/// The refusals of `kitloop.refund_reservation`; [`Error::DatabaseUnavailable`].
pub async fn refund_reservation(db: &Db, request: &RefundRequest<'_>) -> Result<Refunding, Error> {
    let row = db
        .row(
            "select outcome, replayed, answer from kitloop.refund_reservation($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                (&request.caller, Type::TEXT),
                (&request.idempotency_key, Type::TEXT),
                (&request.request_hash, Type::TEXT),
                (&request.actor.user_id, Type::UUID),
                (&request.actor.is_admin, Type::BOOL),
                (&request.reservation_id.0, Type::UUID),
                (&request.amount_minor, Type::INT8),
                (&request.note, Type::TEXT),
                (&request.is_offline, Type::BOOL),
            ],
        )
        .await?;
    match row.column::<&str>("outcome")? {
        "refunding" => {
            let Json(mut refunding): Json<Refunding> = row.column("answer")?;
            refunding.replayed = row.column("replayed")?;
            Ok(refunding)
        }
        outcome => Err(refusal_with(outcome, row.column("answer")?)?.into()),
    }
}
