//! What has to be done at Stripe because of a decision: cancelling, capturing, refunding. Done by the worker, and by
//! the function that wrote the job where somebody waits for it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::stripe_deadline;
use crate::db::{self, Db, FinishedJob, JobRetry};
use crate::domain::{ClaimedJob, Fact, JobKind, PaymentStatus};
use crate::error::Error;
use crate::stripe::{NewRefund, PaymentIntent, Stripe, StripeError};

/// How long a claimed job belongs to its worker; longer than [`JOB_TIME`] and the statement that ends it.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long one job may take.
const JOB_TIME: Duration = Duration::from_secs(14);

/// What one invocation of the worker did.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub struct WorkDone {
    /// Jobs that ended well.
    pub succeeded: u32,
    /// Jobs that were given back, or have failed for good.
    pub unsuccessful: u32,
}

/// Works until shortly before `deadline`: says that it lives, does what is due, pauses, and again.
///
/// # Errors
/// [`Error::DatabaseUnavailable`] when jobs cannot be claimed. A job that fails does not stop the others.
pub async fn work(
    db: &Db,
    stripe: &Stripe,
    worker: &str,
    pause: Duration,
    deadline: Instant,
) -> Result<WorkDone, Error> {
    let stop_claiming = deadline.checked_sub(JOB_TIME).unwrap_or(deadline);
    let mut done = WorkDone::default();
    loop {
        let next_pass = Instant::now() + pause;
        db::beat(db, worker).await?;
        while Instant::now() < stop_claiming
            && let Some(job) = db::claim_job(db, worker, LEASE).await?
        {
            match perform(db, stripe, &job, Instant::now() + JOB_TIME).await {
                Ok(_) => done.succeeded += 1,
                Err(_) => done.unsuccessful += 1,
            }
        }
        if next_pass >= stop_claiming {
            return Ok(done);
        }
        sleep_until(next_pass).await;
    }
}

/// Does a claimed job at Stripe and records what came of it, or gives it back.
///
/// # Errors
/// Stripe's or the database's; the job is then done again later, or marked failed where that makes no sense.
pub async fn perform(
    db: &Db,
    stripe: &Stripe,
    job: &ClaimedJob,
    deadline: Instant,
) -> Result<FinishedJob, Error> {
    match at_stripe(stripe, job, stripe_deadline(deadline)).await {
        Ok(fact) => {
            let finished = db::finish_job(db, job, &fact).await?;
            tracing::info!(
                job_id = %job.id, kind = job.kind.as_str(), reservation_id = %job.reservation_id,
                decision = finished.decision.as_str(), was_fenced = finished.was_fenced, "job.finished"
            );
            Ok(finished)
        }
        Err((error, retry)) => {
            let error = Error::from(error);
            let has_failed = db::retry_job(db, job, &error.to_string(), retry).await?;
            if has_failed {
                tracing::error!(
                    job_id = %job.id, kind = job.kind.as_str(), reservation_id = %job.reservation_id, error = %error,
                    "job.failed"
                );
            } else {
                tracing::warn!(job_id = %job.id, kind = job.kind.as_str(), error = %error, "job.retried");
            }
            Err(error)
        }
    }
}

/// Asks Stripe to do the job, and says what is so afterwards.
async fn at_stripe(
    stripe: &Stripe,
    job: &ClaimedJob,
    deadline: Instant,
) -> Result<Fact, (StripeError, JobRetry)> {
    let key = job.idempotency_key();
    let intent_id = job.payment_intent_id.as_str();
    let asked = match job.kind {
        JobKind::CancelPaymentIntent => {
            stripe.cancel_payment_intent(intent_id, &key, deadline).await.map(|intent| ended(&intent))
        }
        JobKind::CapturePaymentIntent => stripe
            .capture_payment_intent(intent_id, job.amount_minor, &key, deadline)
            .await
            .map(|intent| ended(&intent)),
        JobKind::RefundPayment => {
            let new = NewRefund {
                payment_intent_id: intent_id,
                amount_minor: job.amount_minor,
                reservation_id: Some(job.reservation_id),
                job_id: job.id,
            };
            stripe.create_refund(&new, &key, deadline).await.map(|refund| Some(refund.fact()))
        }
    };
    match asked {
        Ok(Some(fact)) => Ok(fact),
        Ok(None) => Err((unsettled(), JobRetry::Later)),
        Err(error @ StripeError::Unavailable { .. }) => Err((error, JobRetry::Later)),
        Err(error) => {
            // The refusal, or the stored failure, may only mean that it is done already: look.
            let fact = already_done(stripe, job, deadline).await.map_err(|error| match error {
                StripeError::Refused { .. } => (error, JobRetry::Never),
                _ => (error, JobRetry::Later),
            })?;
            let retry = match (&error, job.kind) {
                (StripeError::StoredFailure { .. }, _) => JobRetry::WithNewKey,
                // A payment that is being processed cannot be cancelled yet; a refund that we have not heard of leaves
                // less to refund. Stripe's answer is stored under the key, so that takes another one.
                (_, JobKind::CancelPaymentIntent | JobKind::RefundPayment) => JobRetry::WithNewKey,
                (_, JobKind::CapturePaymentIntent) => JobRetry::Never,
            };
            fact.ok_or((error, retry))
        }
    }
}

/// What Stripe says of the object of a job that it would not do (again), if the job is done.
async fn already_done(
    stripe: &Stripe,
    job: &ClaimedJob,
    deadline: Instant,
) -> Result<Option<Fact>, StripeError> {
    match job.kind {
        JobKind::CancelPaymentIntent | JobKind::CapturePaymentIntent => {
            Ok(ended(&stripe.payment_intent(&job.payment_intent_id, deadline).await?))
        }
        JobKind::RefundPayment => {
            let refunds = stripe.refunds_of(&job.payment_intent_id, deadline).await?;
            let job_id = job.id.to_string();
            let is_this = |refund: &&crate::stripe::Refund| {
                refund.metadata.get("job_id") == Some(&job_id)
                    && !matches!(refund.status.as_deref(), Some("failed" | "canceled"))
            };
            Ok(refunds.iter().find(is_this).map(crate::stripe::Refund::fact))
        }
    }
}

/// What an intent says, once nothing can change it any more.
fn ended(intent: &PaymentIntent) -> Option<Fact> {
    matches!(intent.known_status(), Some(PaymentStatus::Succeeded | PaymentStatus::Canceled))
        .then(|| intent.fact())
        .flatten()
}

fn unsettled() -> StripeError {
    StripeError::Unavailable {
        reason: "the intent is neither paid nor cancelled yet".to_owned(),
        retry_after: None,
    }
}
