//! What operators see and do. Reading is one SQL operation each; what writes is written down with the operator's name.

use serde::Serialize;
use serde_json::{Value, json};

use super::{expire, ready, reconcile, webhook};
use crate::db::{self, AppliedEvent, Db, Violation};
use crate::error::Error;
use crate::stripe::Event;

/// The reconciliation runs every hour; past this its schedule is stale.
const RECONCILIATION_SILENCE: jiff::SignedDuration = jiff::SignedDuration::from_hours(3);
/// How many payments one repair mends.
const REPAIRED_AT_ONCE: i32 = 100;

/// Whether the promises hold.
#[derive(Debug, Serialize)]
pub struct Consistency {
    /// Whether all of them do.
    pub consistent: bool,
    /// Those that do not.
    pub violations: Vec<Violation>,
}

/// How the product is doing: queue, worker, schedules, holds, events.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn metrics(db: &Db) -> Result<Value, Error> {
    let schedules = json!({
        expire::RUN_NAME: ready::SWEEP_SILENCE.as_secs(),
        reconcile::RUN_NAME: RECONCILIATION_SILENCE.as_secs(),
    });
    let worker_silence = i32::try_from(ready::WORKER_SILENCE.as_secs()).unwrap_or(i32::MAX);
    db::ops_metrics(db, worker_silence, &schedules).await
}

/// Computes the promises.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn consistency(db: &Db) -> Result<Consistency, Error> {
    let violations = db::check_consistency(db).await?;
    Ok(Consistency { consistent: violations.is_empty(), violations })
}

/// Has money moved that should move and for which nothing is under way; the other violations are for a person.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn repair(db: &Db, operator: &str) -> Result<Value, Error> {
    db::ops_repair(db, operator, REPAIRED_AT_ONCE).await
}

/// Runs a logged event again, by the webhook's own path; one that is processed only answers that it was.
///
/// # Errors
/// `event_not_found`; those of [`webhook::apply`].
pub async fn replay_event(db: &Db, event_id: &str, operator: &str) -> Result<AppliedEvent, Error> {
    let payload = db::request_event_replay(db, event_id, operator).await?;
    let event = Event::from_log(payload).map_err(|error| Error::Internal(error.to_string()))?;
    webhook::apply(db, &event).await
}
