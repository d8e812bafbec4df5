//! Taking a timed hold on gear.

use tokio::time::Instant;

use crate::db::{self, Db, ReserveRequest, Reserved};
use crate::error::Error;
use crate::guard::Guard;

const OPERATION: &str = "reserve_gear";

/// Takes the hold, or gives the stored answer to the same request.
///
/// The guard only turns a repetition away while the first is under way, sparing the database its wait; without it, the
/// repetition waits for the first answer on the idempotency row.
///
/// # Errors
/// The refusals of [`db::reserve_gear`], `request_in_flight`; [`Error::DatabaseUnavailable`].
pub async fn reserve(
    db: &Db,
    guard: &Guard,
    request: &ReserveRequest<'_>,
    deadline: Instant,
) -> Result<Reserved, Error> {
    let work = db::reserve_gear(db, request);
    guard.exclusively(OPERATION, request.caller, request.idempotency_key, deadline, work).await
}
