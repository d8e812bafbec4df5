//! `kitloop.apply_stripe_event` and `kitloop.fail_stripe_event`.

use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::Db;
use super::row::{Columns, parsed};
use crate::domain::{Decision, Fact, ReservationId};
use crate::error::Error;

/// What an event meant.
#[derive(Debug)]
pub struct AppliedEvent {
    /// What it meant.
    pub decision: Decision,
    /// The reservation it was about, if any.
    pub reservation_id: Option<ReservationId>,
}

impl AppliedEvent {
    /// From the columns `decision` and `reservation_id`.
    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        let reservation_id: Option<Uuid> = row.column("reservation_id")?;
        Ok(Self {
            decision: parsed(row, "decision", Decision::parse)?,
            reservation_id: reservation_id.map(ReservationId),
        })
    }
}

/// Logs an event, decides and applies it, once.
///
/// # Errors
/// [`Error::DatabaseUnavailable`] and [`Error::Database`]; nothing of it was kept then.
pub async fn apply_stripe_event(
    db: &Db,
    event_id: &str,
    event_type: &str,
    payload: &serde_json::Value,
    fact: Option<&Fact>,
) -> Result<AppliedEvent, Error> {
    let row = db
        .row(
            "select decision, reservation_id from kitloop.apply_stripe_event($1, $2, $3, $4)",
            &[
                (&event_id, Type::TEXT),
                (&event_type, Type::TEXT),
                (payload, Type::JSONB),
                (&fact.map(Json), Type::JSONB),
            ],
        )
        .await?;
    AppliedEvent::of(&row)
}

/// Marks an event failed, unless it is already processed.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn fail_stripe_event(
    db: &Db,
    event_id: &str,
    event_type: &str,
    payload: &serde_json::Value,
    error: &str,
) -> Result<(), Error> {
    db.rows(
        "select kitloop.fail_stripe_event($1, $2, $3, $4)",
        &[(&event_id, Type::TEXT), (&event_type, Type::TEXT), (payload, Type::JSONB), (&error, Type::TEXT)],
    )
    .await
    .map(drop)
}
