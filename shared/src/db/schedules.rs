//! `kitloop.expire_holds`, and the log of scheduled runs.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Db;
use super::row::Columns;
use crate::error::Error;

/// What one batch of the sweep did.
#[derive(Debug, Clone, Copy)]
pub struct ExpiredHolds {
    /// Holds that had lapsed.
    pub expired: i32,
    /// Authorisations that nobody answered.
    pub released: i32,
}

/// Expires at most `limit` lapsed holds and releases at most as many unanswered authorisations.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn expire_holds(db: &Db, limit: i32) -> Result<ExpiredHolds, Error> {
    let row =
        db.row("select expired, released from kitloop.expire_holds($1)", &[(&limit, Type::INT4)]).await?;
    Ok(ExpiredHolds { expired: row.column("expired")?, released: row.column("released")? })
}

/// Says that a scheduled run begins; returns its id.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn start_cron_run(db: &Db, name: &str) -> Result<Uuid, Error> {
    let row = db.row("select kitloop.start_cron_run($1) as id", &[(&name, Type::TEXT)]).await?;
    row.column("id")
}

/// Says how a scheduled run ended: with a result, or with an error.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn finish_cron_run(
    db: &Db,
    id: Uuid,
    result: &serde_json::Value,
    error: Option<&str>,
) -> Result<(), Error> {
    db.rows(
        "select kitloop.finish_cron_run($1, $2, $3)",
        &[(&id, Type::UUID), (result, Type::JSONB), (&error, Type::TEXT)],
    )
    .await
    .map(drop)
}
