//! `kitloop.readiness`.

use jiff::{SignedDuration, Timestamp};

use super::Db;
use super::row::Columns;
use crate::error::Error;

/// What the database says of itself and of the worker.
#[derive(Debug, Clone, Copy)]
pub struct Readiness {
    /// The newest migration that was applied; `None` if none was, by our command line.
    pub schema_version: Option<i64>,
    /// How long ago a worker last said that it lives, by the database's clock.
    pub since_worker_beat: Option<SignedDuration>,
    /// How long ago the sweep last ran to its end.
    pub since_sweep: Option<SignedDuration>,
}

/// Asks the database whether it is there and up to date.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn readiness(db: &Db) -> Result<Readiness, Error> {
    let row = db
        .row("select schema_version, worker_beat_at, swept_at, checked_at from kitloop.readiness()", &[])
        .await?;
    let checked_at: Timestamp = row.column("checked_at")?;
    let beat_at: Option<Timestamp> = row.column("worker_beat_at")?;
    let swept_at: Option<Timestamp> = row.column("swept_at")?;
    Ok(Readiness {
        schema_version: row.column("schema_version")?,
        since_worker_beat: beat_at.map(|beat_at| checked_at.duration_since(beat_at)),
        since_sweep: swept_at.map(|swept_at| checked_at.duration_since(swept_at)),
    })
}
