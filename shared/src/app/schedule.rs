//! The log of scheduled runs: what began is written before, how it ended after, also when it failed. A run that died
//! stays `running` there.

use serde::Serialize;
use uuid::Uuid;

use crate::db::{self, Db};
use crate::error::Error;

/// Does `work` as a run of the scheduled function `name`; it gets the run's id.
///
/// # Errors
/// What `work` fails with; [`Error::DatabaseUnavailable`] if the run cannot be logged.
pub(super) async fn run<T: Serialize>(
    db: &Db,
    name: &str,
    work: impl AsyncFnOnce(Uuid) -> Result<T, Error>,
) -> Result<T, Error> {
    let run_id = db::start_cron_run(db, name).await?;
    let outcome = work(run_id).await;
    let result = outcome.as_ref().map_or(serde_json::Value::Null, |result| serde_json::json!(result));
    let error = outcome.as_ref().err().map(ToString::to_string);
    let logged = db::finish_cron_run(db, run_id, &result, error.as_deref()).await;
    outcome.and_then(|result| logged.map(|()| result))
}
