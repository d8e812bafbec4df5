//! What customers ask of jobs that they pay for: `kitloop.create_job`, `kitloop.get_job`; and what such jobs read.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql, Type};
use uuid::Uuid;

use super::Db;
use super::error::refusal_with;
use super::row::Columns;
use crate::domain::{Contact, JobId, ProviderId};
use crate::error::{Code, Error, Refusal};

/// A request for a paid job.
#[derive(Debug, Clone)]
pub struct JobRequest<'a> {
    /// Whose idempotency key it is.
    pub caller: &'a str,
    /// The same key is the same job.
    pub idempotency_key: &'a str,
    /// Of the request's content.
    pub request_hash: &'a str,
    /// Who pays.
    pub user_id: Uuid,
    /// What the token says of them.
    pub profile: &'a Contact,
    /// What is to be done.
    pub kind: &'a str,
    /// What it costs.
    pub credits: i64,
    /// How often it is tried.
    pub max_attempts: i32,
    /// For which shop, if it is for one.
    pub provider_id: Option<ProviderId>,
    /// What exactly, as the kind defines.
    pub input: &'a Value,
}

/// A paid job that was accepted.
#[derive(Debug)]
pub struct CreatedJob {
    /// Where it stood when it was made.
    pub answer: Value,
    /// Whether an earlier request had made it.
    pub replayed: bool,
}

/// Holds the credits of a job and makes it, or finds the one that the same request made.
///
/// # Errors
/// `provider_not_found`, `forbidden`, `insufficient_credits`, `idempotency_key_reused`, `request_in_flight`;
/// [`Error::DatabaseUnavailable`].
pub async fn create_job(db: &Db, request: &JobRequest<'_>) -> Result<CreatedJob, Error> {
    let sql =
        "select outcome, replayed, answer from kitloop.create_job($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let provider_id = request.provider_id.map(|id| id.0);
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
        (&request.caller, Type::TEXT),
        (&request.idempotency_key, Type::TEXT),
        (&request.request_hash, Type::TEXT),
        (&request.user_id, Type::UUID),
        (&Json(request.profile), Type::JSONB),
        (&request.kind, Type::TEXT),
        (&request.credits, Type::INT8),
        (&request.max_attempts, Type::INT4),
        (&provider_id, Type::UUID),
        (&request.input, Type::JSONB),
    ];
    let row = db.row(sql, parameters).await?;
    match row.column("outcome")? {
        "created" => Ok(CreatedJob { answer: row.column("answer")?, replayed: row.column("replayed")? }),
        outcome => Err(refusal_with(outcome, row.column("answer")?)?.into()),
    }
}

/// Where a user's own paid job stands.
///
/// # Errors
/// `job_not_found`; [`Error::DatabaseUnavailable`].
pub async fn get_job(db: &Db, user_id: Uuid, job_id: JobId) -> Result<Value, Error> {
    let sql = "select kitloop.get_job($1, $2) as document";
    let row = db.row(sql, &[(&user_id, Type::UUID), (&job_id.0, Type::UUID)]).await?;
    let document: Option<Value> = row.column("document")?;
    document.ok_or_else(|| Refusal::of(Code::JobNotFound).into())
}

/// Which reservations are to be exported.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The job that exports them, for the audit log.
    pub job_id: JobId,
    /// For whom.
    pub user_id: Uuid,
    /// Of which shop; without one, the user's own.
    pub provider_id: Option<ProviderId>,
    /// Those that end later.
    pub from: Option<Timestamp>,
    /// Those that start earlier.
    pub to: Option<Timestamp>,
    /// How many at most.
    pub limit: i32,
}

/// The reservations asked for as documents, by start; amounts are in minor units.
///
/// # Errors
/// `forbidden` for who does not work at the shop (any more), `export_too_large`; [`Error::DatabaseUnavailable`].
pub async fn export_reservations(db: &Db, request: &ExportRequest) -> Result<Vec<Value>, Error> {
    let sql = "select outcome, reservations from kitloop.export_reservations($1, $2, $3, $4, $5, $6)";
    let provider_id = request.provider_id.map(|id| id.0);
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
        (&request.job_id.0, Type::UUID),
        (&request.user_id, Type::UUID),
        (&provider_id, Type::UUID),
        (&request.from, Type::TIMESTAMPTZ),
        (&request.to, Type::TIMESTAMPTZ),
        (&request.limit, Type::INT4),
    ];
    let row = db.row(sql, parameters).await?;
    match row.column("outcome")? {
        "exported" => {
            let Json(reservations): Json<Vec<Value>> = row.column("reservations")?;
            Ok(reservations)
        }
        outcome => Err(refusal_with(outcome, None)?.into()),
    }
}
