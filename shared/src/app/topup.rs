//! Buying credits by Stripe's Checkout. They are granted when Stripe says that they are paid, by its webhook.

use tokio::time::Instant;

use super::upstream_deadline;
use crate::db::{self, Db, StartedTopup, TopupRequest};
use crate::domain::Money;
use crate::error::{Code, Error, Refusal};
use crate::stripe::{CheckoutSession, NewCheckoutSession, Stripe};

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
    let topup = db::start_topup(db, request).await?;
    let session = match &topup.checkout_session_id {
        Some(id) => stripe.checkout_session(id, deadline).await?,
        None => {
            let new = NewCheckoutSession {
                topup_id: topup.topup_id,
                credits: topup.credits,
                // As it was when the top-up began, whatever a credit costs by now.
                credit_price: topup.credit_price(),
                success_url,
                cancel_url,
            };
            create(db, stripe, &new, deadline).await?
        }
    };
    open(topup, session)
}

/// Makes the session and notes it. If that fails, the same request finds the same session by its key at Stripe.
async fn create(
    db: &Db,
    stripe: &Stripe,
    new: &NewCheckoutSession<'_>,
    deadline: Instant,
) -> Result<CheckoutSession, Error> {
    let key = format!("{}:checkout:1", new.topup_id);
    let session = stripe.create_checkout_session(new, &key, deadline).await?;
    db::record_checkout_session(db, new.topup_id, &session.id).await?;
    Ok(session)
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
