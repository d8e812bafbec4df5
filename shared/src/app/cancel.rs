//! Calling a reservation off.

use crate::db::{self, CancellationRequest, Cancelled, Db};
use crate::error::Error;

/// Cancels, or says what that would mean. What has to happen at Stripe is left to the worker, as a job written with the
/// decision: a customer who cancels need not wait for a bank.
///
/// # Errors
/// The refusals of [`db::cancel_reservation`]; [`Error::DatabaseUnavailable`].
pub async fn cancel(db: &Db, request: &CancellationRequest<'_>) -> Result<Cancelled, Error> {
    let cancelled = db::cancel_reservation(db, request).await?;
    if !request.is_preview {
        tracing::info!(
            reservation_id = %request.reservation_id,
            refund_minor = cancelled.refund_minor,
            refund_percent = cancelled.refund_percent,
            "reservation.cancelled"
        );
    }
    Ok(cancelled)
}
