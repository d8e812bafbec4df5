//! Starting to pay: one payment intent per reservation, however often and from wherever it is asked for.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{at_stripe, upstream_deadline};
use crate::db::{self, Db, PaymentStep, StartedPayment};
use crate::domain::{Actor, CaptureMethod, Money, PaymentStatus, ReservationId};
use crate::error::Error;
use crate::stripe::{NewPaymentIntent, PaymentIntent, Stripe, StripeError};

/// How long one caller may take to create the intent before another may try: the timeout of the functions.
const CLAIM: Duration = Duration::from_secs(15);

/// How many intents of one payment a call goes through before it gives up: a spent one, one that is spent as soon as it
/// is made, and one more.
const ATTEMPTS: usize = 3;

/// A payment that the customer's browser can confirm.
#[derive(Debug)]
pub struct PayablePayment {
    /// At Stripe.
    pub payment_intent_id: String,
    /// For the browser; read from Stripe each time and never stored.
    pub client_secret: SecretString,
    /// What is to be paid.
    pub amount: Money,
    /// When the money is taken.
    pub capture_method: CaptureMethod,
    /// When the hold lapses.
    pub reserved_until: Timestamp,
}

/// Creates the reservation's payment intent, or finds the one there is.
///
/// # Errors
/// The refusals of [`db::start_payment`] and [`db::record_payment_intent`]; [`Error::StripeUnavailable`],
/// [`Error::StripeRefused`], [`Error::DatabaseUnavailable`].
pub async fn start_payment(
    db: &Db,
    stripe: &Stripe,
    actor: Actor,
    reservation_id: ReservationId,
    deadline: Instant,
) -> Result<PayablePayment, Error> {
    let deadline = upstream_deadline(deadline);
    let mut spent = None;
    for _ in 0..ATTEMPTS {
        let payment = db::start_payment(db, actor, reservation_id, CLAIM, spent).await?;
        let intent = match &payment.step {
            PaymentStep::Retrieve(id) => Some(stripe.payment_intent(id, deadline).await?),
            PaymentStep::Create => create(db, stripe, reservation_id, &payment, deadline).await?,
        };
        match intent {
            Some(intent) if intent.known_status() != Some(PaymentStatus::Canceled) => {
                return payable(payment, intent);
            }
            _ => spent = Some((payment.payment_id, payment.generation)),
        }
    }
    Err(Error::StripeUnavailable("every intent of the payment is spent".to_owned()))
}

/// Creates the intent that the caller has the claim for, and records it. `None`: the idempotency key is spent, since
/// Stripe stored a failure under it, and no intent came of it.
async fn create(
    db: &Db,
    stripe: &Stripe,
    reservation_id: ReservationId,
    payment: &StartedPayment,
    deadline: Instant,
) -> Result<Option<PaymentIntent>, Error> {
    let new = NewPaymentIntent {
        amount: payment.amount,
        capture_method: payment.capture_method,
        reservation_id,
        provider_id: payment.provider_id,
        payment_id: payment.payment_id,
        generation: payment.generation,
    };
    let created = match stripe.create_payment_intent(&new, &payment.idempotency_key(), deadline).await {
        Err(StripeError::StoredFailure { .. }) => find_created(stripe, payment, deadline).await,
        created => created.map(Some),
    };
    match created {
        Ok(Some(intent)) => {
            db::record_payment_intent(db, payment, &intent.id).await?;
            Ok(Some(intent))
        }
        Ok(None) => Ok(None),
        Err(error) => {
            if let Err(error) = db::release_payment_claim(db, payment).await {
                tracing::warn!(error = %error, "payment.claim_not_released");
            }
            Err(error.into())
        }
    }
}

/// Looks for an intent that was created although Stripe answered with a failure.
async fn find_created(
    stripe: &Stripe,
    payment: &StartedPayment,
    deadline: Instant,
) -> Result<Option<PaymentIntent>, StripeError> {
    let (payment_id, generation) = (payment.payment_id.to_string(), payment.generation.to_string());
    let is_ours = |intent: &PaymentIntent| {
        intent.metadata.get("payment_id") == Some(&payment_id)
            && intent.metadata.get("generation") == Some(&generation)
    };
    stripe.find_payment_intent_since(at_stripe(payment.created_at), is_ours, deadline).await
}

fn payable(payment: StartedPayment, intent: PaymentIntent) -> Result<PayablePayment, Error> {
    let client_secret = intent
        .client_secret
        .ok_or_else(|| Error::StripeUnavailable("an intent without client_secret".to_owned()))?;
    Ok(PayablePayment {
        payment_intent_id: intent.id,
        client_secret,
        amount: payment.amount,
        capture_method: payment.capture_method,
        reserved_until: payment.reserved_until,
    })
}
