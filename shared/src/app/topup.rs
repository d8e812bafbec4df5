//! Buying credits by Stripe's Checkout. They are granted when Stripe says that they are paid, by its webhook.

use tokio::time::Instant;

use super::{at_stripe, upstream_deadline};
use crate::db::{self, Db, StartedTopup, TopupRequest};
use crate::domain::Money;
use crate::error::{Code, Error, Refusal};
use crate::stripe::{CheckoutSession, NewCheckoutSession, Stripe, StripeError};

/// How many idempotency keys of one top-up a call tries before it gives up.
const ATTEMPTS: usize = 3;

/// A session that the customer's browser is to be sent to.
#[derive(Debug)]
pub struct Checkout {
    /// Stripe's id of it.
    pub session_id: String,
    /// Where to.
    pub url: String,
    /// How many credits it is for.
    pub credits: i64,
    /// What they cost together.
    pub amount: Money,
    /// Whether an earlier request with the same key began it.
    pub replayed: bool,
}

/// Makes the session of a top-up, or finds the one there is.
///
/// # Errors
/// The refusals of [`db::start_topup`], `already_paid`, `checkout_expired`; [`Error::StripeUnavailable`],
/// [`Error::StripeRefused`], [`Error::DatabaseUnavailable`].
pub async fn start_checkout(
    db: &Db,
    stripe: &Stripe,
    request: &TopupRequest<'_>,
    (success_url, cancel_url): (&str, &str),
    deadline: Instant,
) -> Result<Checkout, Error> {
    let deadline = upstream_deadline(deadline);
    let mut topup = db::start_topup(db, request).await?;
    let new = NewCheckoutSession {
        topup_id: topup.topup_id,
        credits: topup.credits,
        // As it was when the top-up began, whatever a credit costs by now.
        credit_price: topup.credit_price(),
        success_url,
        cancel_url,
    };
    for _ in 0..ATTEMPTS {
        let session = match &topup.checkout_session_id {
            Some(id) => Some(stripe.checkout_session(id, deadline).await?),
            None => create(db, stripe, &topup, &new, deadline).await?,
        };
        match session {
            Some(session) => return open(topup, session),
            None => topup = db::spend_checkout_key(db, topup).await?,
        }
    }
    Err(Error::StripeUnavailable("every idempotency key of the top-up is spent".to_owned()))
}

/// Makes the session, or finds the one that was made, and notes it. If that fails, the same request finds the same session
/// by its key at Stripe. `None`: the key is spent, since Stripe stored a failure under it, and no session came of it.
async fn create(
    db: &Db,
    stripe: &Stripe,
    topup: &StartedTopup,
    new: &NewCheckoutSession<'_>,
    deadline: Instant,
) -> Result<Option<CheckoutSession>, Error> {
    let Some(session) = made(stripe, topup, new, deadline).await? else { return Ok(None) };
    let session_id = db::record_checkout_session(db, topup.topup_id, &session.id).await?;
    if session_id == session.id {
        return Ok(Some(session));
    }
    // Somebody else noted another one first: paying this one would grant nothing.
    Ok(Some(stripe.checkout_session(&session_id, deadline).await?))
}

async fn made(
    stripe: &Stripe,
    topup: &StartedTopup,
    new: &NewCheckoutSession<'_>,
    deadline: Instant,
) -> Result<Option<CheckoutSession>, StripeError> {
    let find = || stripe.find_checkout_session_since(at_stripe(topup.created_at), topup.topup_id, deadline);
    if topup.is_key_old
        && let Some(session) = find().await?
    {
        return Ok(Some(session));
    }
    match stripe.create_checkout_session(new, &topup.idempotency_key(), deadline).await {
        Err(StripeError::StoredFailure { .. }) => find().await,
        made => made.map(Some),
    }
}

fn open(topup: StartedTopup, session: CheckoutSession) -> Result<Checkout, Error> {
    let url = session.url.ok_or_else(|| match session.status.as_deref() {
        Some("expired") => Refusal::of(Code::CheckoutExpired),
        _ => Refusal::new(Code::AlreadyPaid, "These credits have been paid for already."),
    })?;
    Ok(Checkout {
        session_id: session.id,
        url,
        credits: topup.credits,
        amount: topup.amount,
        replayed: topup.replayed,
    })
}
