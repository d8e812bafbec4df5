//! The sweep: lapsed holds are marked expired, unanswered authorisations released. Housekeeping, since a hold stops
//! blocking the moment it lapses.

use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::schedule;
use crate::db::{self, Db};
use crate::error::Error;

/// The name of the run in `cron_runs`.
pub(super) const RUN_NAME: &str = "cleanup_reservation_holds";
/// Few enough to stay far below the statement timeout.
const BATCH: i32 = 200;

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct Sweep {
    /// Its entry in the log of runs.
    pub cron_run_id: Uuid,
    /// Holds expired.
    pub deleted_count: i64,
    /// Authorisations released because nobody answered them.
    pub released_count: i64,
    /// Whether time ran out with work left; the next run goes on.
    pub is_partial: bool,
}

/// Sweeps batch by batch until nothing is left or the time is up, and logs the run, also when it fails.
///
/// # Errors
/// [`Error::DatabaseUnavailable`]; the batches before are kept.
pub async fn expire_holds(db: &Db, deadline: Instant) -> Result<Sweep, Error> {
    schedule::run(db, RUN_NAME, async |cron_run_id| {
        let mut sweep = Sweep { cron_run_id, deleted_count: 0, released_count: 0, is_partial: false };
        run_batches(db, &mut sweep, deadline).await?;
        Ok(sweep)
    })
    .await
}

async fn run_batches(db: &Db, sweep: &mut Sweep, deadline: Instant) -> Result<(), Error> {
    loop {
        let batch = db::expire_holds(db, BATCH).await?;
        sweep.deleted_count += i64::from(batch.expired);
        sweep.released_count += i64::from(batch.released);
        if batch.expired < BATCH && batch.released < BATCH {
            return Ok(());
        }
        if Instant::now() + super::TIME_TO_RECORD > deadline {
            sweep.is_partial = true;
            return Ok(());
        }
    }
}
