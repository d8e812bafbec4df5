//! Sending money of a reservation back.

use crate::db::{self, Db, RefundRequest, Refunding};
use crate::error::Error;

/// Decides on a refund; the worker makes it at Stripe. Repeated with the same key, the first answer.
///
/// # Errors
/// The refusals of [`db::refund_reservation`]; [`Error::DatabaseUnavailable`].
pub async fn refund(db: &Db, request: &RefundRequest<'_>) -> Result<Refunding, Error> {
    let refunding = db::refund_reservation(db, request).await?;
    tracing::info!(
        reservation_id = %request.reservation_id,
        refund_id = %refunding.refund_id,
        amount_minor = refunding.amount_minor,
        is_offline = request.is_offline,
        replayed = refunding.replayed,
        "reservation.refunding"
    );
    Ok(refunding)
}
