//! What operators see and do: the `kitloop.ops_…` operations, `kitloop.check_consistency`,
//! `kitloop.request_event_replay` and `kitloop.replay_dead_letter`. The documents are composed in SQL, for people to read.

use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::Db;
use super::error::from_outcome;
use super::row::Columns;
use crate::error::{Code, Error, InvalidField, Refusal};

/// Which of Stripe's events; what is `None` does not matter.
#[derive(Debug, Default)]
pub struct EventFilter {
    /// `processed`, `ignored` or `failed`.
    pub status: Option<&'static str>,
    /// Such as `payment_intent.succeeded`.
    pub event_type: Option<String>,
    /// What they were about.
    pub reservation_id: Option<Uuid>,
}

/// Which entries of the audit log; what is `None` does not matter.
#[derive(Debug, Default)]
pub struct AuditFilter {
    /// What was done.
    pub action: Option<String>,
    /// With what.
    pub reservation_id: Option<Uuid>,
}

/// A job that was given up and is queued again.
#[derive(Debug, Serialize)]
pub struct ReplayedJob {
    /// Which job.
    pub job_id: Uuid,
    /// What it does, such as `refund_payment`.
    pub kind: String,
}

/// A promise that does not hold.
#[derive(Debug, Serialize)]
pub struct Violation {
    /// Which promise.
    pub violation: String,
    /// Where, by ids and amounts.
    pub details: Value,
}

/// How the product is doing. `worker_silence` (seconds) is when a worker is taken for dead, `schedules` says the same of
/// the last success of each schedule, by name.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn ops_metrics(db: &Db, worker_silence: i32, schedules: &Value) -> Result<Value, Error> {
    let sql = "select kitloop.ops_metrics($1, $2) as document";
    db.row(sql, &[(&worker_silence, Type::INT4), (schedules, Type::JSONB)]).await?.column("document")
}

/// A page of Stripe's events, newest first, after the one that `cursor` names.
///
/// # Errors
/// `invalid_request` for a cursor that names none; [`Error::DatabaseUnavailable`].
pub async fn ops_webhook_events(
    db: &Db,
    filter: &EventFilter,
    cursor: Option<&str>,
    limit: i32,
) -> Result<Value, Error> {
    let sql = "select kitloop.ops_webhook_events($1, $2, $3, $4, $5) as document";
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
        (&filter.status, Type::TEXT),
        (&filter.event_type, Type::TEXT),
        (&filter.reservation_id, Type::UUID),
        (&cursor, Type::TEXT),
        (&limit, Type::INT4),
    ];
    document(db, sql, parameters).await?.ok_or_else(unknown_cursor)
}

/// A page of dead letters, newest first, after the one that `cursor` names: those that wait for somebody, those that
/// were replayed, or both.
///
/// # Errors
/// `invalid_request` for a cursor that names none; [`Error::DatabaseUnavailable`].
pub async fn ops_dead_letters(
    db: &Db,
    is_open: Option<bool>,
    cursor: Option<Uuid>,
    limit: i32,
) -> Result<Value, Error> {
    let sql = "select kitloop.ops_dead_letters($1, $2, $3) as document";
    let parameters: &[(&(dyn ToSql + Sync), Type)] =
        &[(&is_open, Type::BOOL), (&cursor, Type::UUID), (&limit, Type::INT4)];
    document(db, sql, parameters).await?.ok_or_else(unknown_cursor)
}

/// A page of the audit log, newest first, before the entry that `cursor` names.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn ops_audit(
    db: &Db,
    filter: &AuditFilter,
    cursor: Option<i64>,
    limit: i32,
) -> Result<Value, Error> {
    let sql = "select kitloop.ops_audit($1, $2, $3, $4) as document";
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
        (&filter.action, Type::TEXT),
        (&filter.reservation_id, Type::UUID),
        (&cursor, Type::INT8),
        (&limit, Type::INT4),
    ];
    db.row(sql, parameters).await?.column("document")
}

/// How many of everything there are, of one provider where given.
///
/// # Errors
/// `provider_not_found`; [`Error::DatabaseUnavailable`].
pub async fn ops_counts(db: &Db, provider_id: Option<Uuid>) -> Result<Value, Error> {
    let sql = "select kitloop.ops_counts($1) as document";
    document(db, sql, &[(&provider_id, Type::UUID)]).await?.ok_or_else(unknown_provider)
}

/// What became of the reservations of the last `days` days, of one provider where given.
///
/// # Errors
/// `provider_not_found`; [`Error::DatabaseUnavailable`].
pub async fn ops_reservation_stats(db: &Db, provider_id: Option<Uuid>, days: i32) -> Result<Value, Error> {
    let sql = "select kitloop.ops_reservation_stats($1, $2) as document";
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[(&provider_id, Type::UUID), (&days, Type::INT4)];
    document(db, sql, parameters).await?.ok_or_else(unknown_provider)
}

/// The promises that do not hold; empty when all of them do.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn check_consistency(db: &Db) -> Result<Vec<Violation>, Error> {
    let rows = db.rows("select violation, details from kitloop.check_consistency()", &[]).await?;
    rows.iter()
        .map(|row| Ok(Violation { violation: row.column("violation")?, details: row.column("details")? }))
        .collect()
}

/// Has money moved that should move and for which nothing is under way, of at most `limit` payments, and notes who
/// wanted it.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn ops_repair(db: &Db, operator: &str, limit: i32) -> Result<Value, Error> {
    let sql = "select kitloop.ops_repair($1, $2) as document";
    db.row(sql, &[(&operator, Type::TEXT), (&limit, Type::INT4)]).await?.column("document")
}

/// Notes who has an event run again, counts it, and gives the event back as it was logged.
///
/// # Errors
/// `event_not_found`; [`Error::DatabaseUnavailable`].
pub async fn request_event_replay(db: &Db, event_id: &str, operator: &str) -> Result<Value, Error> {
    let sql = "select outcome, payload from kitloop.request_event_replay($1, $2)";
    let row = db.row(sql, &[(&event_id, Type::TEXT), (&operator, Type::TEXT)]).await?;
    match row.column("outcome")? {
        "requested" => row.column("payload"),
        outcome => Err(from_outcome(outcome)),
    }
}

/// Queues a job that was given up, and notes who wanted it.
///
/// # Errors
/// `dead_letter_not_found`, `already_replayed`, `job_obsolete`; [`Error::DatabaseUnavailable`].
pub async fn replay_dead_letter(db: &Db, dead_letter_id: Uuid, operator: &str) -> Result<ReplayedJob, Error> {
    let sql = "select outcome, job_id, kind from kitloop.replay_dead_letter($1, $2)";
    let row = db.row(sql, &[(&dead_letter_id, Type::UUID), (&operator, Type::TEXT)]).await?;
    match row.column("outcome")? {
        "replayed" => Ok(ReplayedJob { job_id: row.column("job_id")?, kind: row.column("kind")? }),
        outcome => Err(from_outcome(outcome)),
    }
}

async fn document(
    db: &Db,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Option<Value>, Error> {
    db.row(sql, parameters).await?.column("document")
}

fn unknown_provider() -> Error {
    Refusal::of(Code::ProviderNotFound).into()
}

fn unknown_cursor() -> Error {
    let field = InvalidField { field: "cursor".to_owned(), reason: "names no item of this list".to_owned() };
    Refusal::of(Code::InvalidRequest).with_fields(vec![field]).into()
}
