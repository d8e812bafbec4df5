//! Making a reservation firm, or declining it.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{intents, upstream_deadline};
use crate::db::{self, Confirmation, ConfirmationRequest, Db};
use crate::domain::{PaymentStatus, ReservationStatus};
use crate::error::{Code, Error, Refusal};
use crate::stripe::{Stripe, StripeError};

/// Where a reservation stands after it was confirmed or declined.
#[derive(Debug, Clone, Copy)]
pub struct Confirmed {
    /// Its state.
    pub status: ReservationStatus,
    /// When it was paid; `None` while the money is only authorised.
    pub paid_at: Option<Timestamp>,
}

/// Confirms or declines; exactly once, whatever the webhook does meanwhile.
///
/// # Errors
/// The refusals of [`db::confirm_reservation`]; `payment_required` when the intent is not paid, `cancelled_conflict`
/// or `reservation_over` when it was paid too late; [`Error::StripeUnavailable`], [`Error::DatabaseUnavailable`].
pub async fn confirm(
    db: &Db,
    stripe: &Stripe,
    request: &ConfirmationRequest<'_>,
    deadline: Instant,
) -> Result<Confirmed, Error> {
    match db::confirm_reservation(db, request).await? {
        Confirmation::Answered { status, paid_at } => Ok(Confirmed { status, paid_at }),
        Confirmation::LookUp(intent_id) => look_up(db, stripe, request, &intent_id, deadline).await,
        Confirmation::Capture(job) => {
            let finished = intents::perform(db, stripe, &job, deadline).await?;
            stands(finished.status, finished.paid_at)
        }
    }
}

/// "I have paid": the intent is read from Stripe, and what it says is applied as if the webhook had brought it.
async fn look_up(
    db: &Db,
    stripe: &Stripe,
    request: &ConfirmationRequest<'_>,
    intent_id: &str,
    deadline: Instant,
) -> Result<Confirmed, Error> {
    let intent = match stripe.payment_intent(intent_id, upstream_deadline(deadline)).await {
        Err(StripeError::Refused { status: 404, .. }) => {
            return Err(Refusal::of(Code::PaymentIntentMismatch).into());
        }
        intent => intent?,
    };
    let is_paid =
        matches!(intent.known_status(), Some(PaymentStatus::Succeeded | PaymentStatus::RequiresCapture));
    let Some(fact) = intent.fact().filter(|_| is_paid) else {
        return Err(Refusal::of(Code::PaymentRequired).into());
    };
    let settled = db::settle_payment_intent(db, &fact).await?;
    match settled.filter(|settled| settled.reservation_id == request.reservation_id) {
        None => Err(Refusal::of(Code::PaymentIntentMismatch).into()),
        Some(settled) if settled.is_conflict => Err(Refusal::of(Code::CancelledConflict).into()),
        Some(settled) => stands(settled.status, settled.paid_at),
    }
}

/// The answer for a reservation in this state.
fn stands(status: ReservationStatus, paid_at: Option<Timestamp>) -> Result<Confirmed, Error> {
    match status {
        ReservationStatus::Authorized
        | ReservationStatus::Confirmed
        | ReservationStatus::Active
        | ReservationStatus::Completed => Ok(Confirmed { status, paid_at }),
        ReservationStatus::Cancelled | ReservationStatus::NoShow => {
            Err(Refusal::of(Code::ReservationOver).into())
        }
        // Money of the wrong amount goes back, and the right amount is still owed.
        ReservationStatus::Hold | ReservationStatus::Expired => {
            Err(Refusal::of(Code::PaymentRequired).into())
        }
    }
}
