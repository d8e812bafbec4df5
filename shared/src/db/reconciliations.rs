//! `kitloop.start_reconciliation` and what goes with it: comparing with Stripe, resumably.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::error::from_outcome;
use super::reservations::seconds;
use super::row::{Columns, parsed};
use super::{AppliedEvent, Db};
use crate::domain::{Fact, Finding, Mending, PaymentId, Period, ReconciliationPhase, ReservationId};
use crate::error::Error;

/// A reconciliation under way, and where it stands.
#[derive(Debug, Clone)]
pub struct Reconciliation {
    /// Its id.
    pub id: Uuid,
    /// Of which time.
    pub window: Period,
    /// What is looked at next.
    pub phase: ReconciliationPhase,
    /// After which object of it.
    pub cursor: Option<String>,
}

/// Starts a reconciliation of a window, or goes on with one that was not finished; without a window, from where the last
/// one ended.
///
/// # Errors
/// `already_running`; [`Error::DatabaseUnavailable`].
pub async fn start_reconciliation(
    db: &Db,
    window: Option<Period>,
    lease: Duration,
) -> Result<Reconciliation, Error> {
    let row = db
        .row(
            "select outcome, id, from_at, to_at, phase, cursor from kitloop.start_reconciliation($1, $2, $3)",
            &[
                (&window.map(Period::start), Type::TIMESTAMPTZ),
                (&window.map(Period::end), Type::TIMESTAMPTZ),
                (&seconds(lease), Type::INT4),
            ],
        )
        .await?;
    match row.column::<&str>("outcome")? {
        "started" => Ok(Reconciliation {
            id: row.column("id")?,
            window: Period::new(row.column("from_at")?, row.column("to_at")?)
                .map_err(|error| Error::Database(format!("window: {error}")))?,
            phase: parsed(&row, "phase", ReconciliationPhase::parse)?,
            cursor: row.column("cursor")?,
        }),
        outcome => Err(from_outcome(outcome)),
    }
}

/// Notes where a reconciliation stands, and how many objects more were looked at; `is_released` when this invocation
/// ends and another may go on.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn advance_reconciliation(
    db: &Db,
    run: &Reconciliation,
    examined: usize,
    is_released: bool,
) -> Result<(), Error> {
    db.rows(
        "select kitloop.advance_reconciliation($1, $2, $3, $4, $5)",
        &[
            (&run.id, Type::UUID),
            (&run.phase.as_str(), Type::TEXT),
            (&run.cursor, Type::TEXT),
            (&i64::try_from(examined).unwrap_or(i64::MAX), Type::INT8),
            (&is_released, Type::BOOL),
        ],
    )
    .await
    .map(drop)
}

/// Writes down what differed, and what was done about it.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn record_finding(db: &Db, run_id: Uuid, finding: &Finding) -> Result<(), Error> {
    db.rows(
        "select kitloop.record_finding($1, $2, $3, $4, $5, $6)",
        &[
            (&run_id, Type::UUID),
            (&finding.object_id, Type::TEXT),
            (&finding.difference, Type::TEXT),
            (&finding.decision, Type::TEXT),
            (&finding.reservation_id.map(|id| id.0), Type::UUID),
            (&finding.is_mended, Type::BOOL),
        ],
    )
    .await
    .map(drop)
}

/// What a reconciliation found so far.
#[derive(Debug, Serialize)]
pub struct ReconciliationReport {
    /// Objects of Stripe's that were looked at.
    pub examined_count: i64,
    /// Of those, and of our payments, how many were not as they should be.
    pub found_count: i64,
    /// Of those, how many are now.
    pub mended_count: i64,
    /// The first hundred.
    pub findings: Vec<Finding>,
}

/// What a reconciliation found so far.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn reconciliation_report(db: &Db, run_id: Uuid) -> Result<ReconciliationReport, Error> {
    let sql = "select examined, found, mended, findings from kitloop.reconciliation_report($1)";
    let row = db.row(sql, &[(&run_id, Type::UUID)]).await?;
    let Json(findings): Json<Vec<Finding>> = row.column("findings")?;
    Ok(ReconciliationReport {
        examined_count: row.column("examined")?,
        found_count: row.column("found")?,
        mended_count: row.column("mended")?,
        findings,
    })
}

/// Which of these events took no effect here yet.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn missing_events(db: &Db, event_ids: &[&str]) -> Result<Vec<String>, Error> {
    let sql = "select event_id from kitloop.missing_events($1) missing (event_id)";
    let rows = db.rows(sql, &[(&event_ids, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| row.column("event_id")).collect()
}

/// How what Stripe says differs from what is known here: the positions in `facts` and what is different.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn differences(db: &Db, facts: &[Fact]) -> Result<Vec<(usize, String)>, Error> {
    let sql = "select fact_position, difference from kitloop.differences($1)";
    let rows = db.rows(sql, &[(&Json(facts), Type::JSONB)]).await?;
    rows.iter()
        .map(|row| {
            let position: i64 = row.column("fact_position")?;
            let index = usize::try_from(position - 1).map_err(|_| Error::Database("position".to_owned()))?;
            Ok((index, row.column("difference")?))
        })
        .collect()
}

/// Applies what Stripe said when it was asked.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn settle_fact(db: &Db, fact: &Fact) -> Result<AppliedEvent, Error> {
    let sql = "select decision, reservation_id from kitloop.settle_fact($1)";
    AppliedEvent::of(&db.row(sql, &[(&Json(fact), Type::JSONB)]).await?)
}

/// Intents that are still open here although they began before a time, after `cursor`, at most `limit`.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn open_payment_intents(
    db: &Db,
    before: Timestamp,
    cursor: Option<&str>,
    limit: i32,
) -> Result<Vec<String>, Error> {
    let sql = "select open.id from kitloop.open_payment_intents($1, $2, $3) open (id)";
    ids(db, sql, before, cursor, limit).await
}

/// Sessions of top-ups that are still open here although they began before a time, after `cursor`, at most `limit`.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn open_checkout_sessions(
    db: &Db,
    before: Timestamp,
    cursor: Option<&str>,
    limit: i32,
) -> Result<Vec<String>, Error> {
    let sql = "select open.id from kitloop.open_checkout_sessions($1, $2, $3) open (id)";
    ids(db, sql, before, cursor, limit).await
}

async fn ids(
    db: &Db,
    sql: &str,
    before: Timestamp,
    cursor: Option<&str>,
    limit: i32,
) -> Result<Vec<String>, Error> {
    let parameters =
        &[(&before as _, Type::TIMESTAMPTZ), (&cursor as _, Type::TEXT), (&limit as _, Type::INT4)];
    let rows = db.rows(sql, parameters).await?;
    rows.iter().map(|row| row.column("id")).collect()
}

/// A payment whose money should move and for which nothing was under way.
#[derive(Debug)]
pub struct MendedPayment {
    /// Which.
    pub payment_id: PaymentId,
    /// What it was paid for.
    pub reservation_id: ReservationId,
    /// What was done about it.
    pub mending: Mending,
}

/// Has money moved that should move and for which nothing is under way, of at most `limit` payments.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn mend_money(db: &Db, limit: i32) -> Result<Vec<MendedPayment>, Error> {
    let sql = "select payment_id, reservation_id, decision from kitloop.mend_money($1)";
    let rows = db.rows(sql, &[(&limit, Type::INT4)]).await?;
    rows.iter()
        .map(|row| {
            Ok(MendedPayment {
                payment_id: PaymentId(row.column("payment_id")?),
                reservation_id: ReservationId(row.column("reservation_id")?),
                mending: parsed(row, "decision", Mending::parse)?,
            })
        })
        .collect()
}
