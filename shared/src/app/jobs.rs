//! What has to be done at Stripe because of a decision: cancelling, capturing, refunding. Done by the worker, and by
//! the function that wrote the job where somebody waits for it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::{schedule, stripe_deadline};
use crate::db::{self, Db, FinishedJob, JobOutcome, JobRetry};
use crate::domain::{ClaimedJob, Fact, JobKind, PaymentStatus};
use crate::error::Error;
use crate::stripe::{NewRefund, PaymentIntent, Stripe, StripeError};

/// The name of the run in `cron_runs`, and whose heartbeat the worker's is, however many invocations it has.
const FUNCTION: &str = "run_jobs";
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

/// Works until shortly before `deadline`: says that it lives, does what is due for at most `beat_interval`, and again.
/// Logs the run, also when it fails.
///
/// # Errors
/// [`Error::DatabaseUnavailable`] when jobs cannot be claimed. A job that fails does not stop the others.
pub async fn work(
    db: &Db,
    stripe: &Stripe,
    worker: &str,
    beat_interval: Duration,
    deadline: Instant,
) -> Result<WorkDone, Error> {
    let stop_claiming = deadline.checked_sub(JOB_TIME).unwrap_or(deadline);
    schedule::run(db, FUNCTION, async |_| {
        let mut done = WorkDone::default();
        loop {
            db::beat(db, FUNCTION).await?;
            let next_beat = Instant::now() + beat_interval;
            while Instant::now() < next_beat.min(stop_claiming)
                && let Some(job) = db::claim_job(db, worker, LEASE).await?
            {
                match perform(db, stripe, &job, Instant::now() + JOB_TIME).await {
                    Ok(finished) if finished.outcome == JobOutcome::Finished => done.succeeded += 1,
                    _ => done.unsuccessful += 1,
                }
            }
            if next_beat >= stop_claiming {
                return Ok(done);
            }
            sleep_until(next_beat).await;
        }
    })
    .await
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
    let span = tracing::info_span!("job", job_id = %job.id, kind = job.kind.as_str(), reservation_id = %job.reservation_id);
    async {
        match at_stripe(stripe, job, stripe_deadline(deadline)).await {
            Ok(facts) => record(db, job, &facts).await,
            Err((error, retry)) => Err(give_back(db, job, error.into(), retry).await),
        }
    }
    .instrument(span)
    .await
}

/// Applies what Stripe said. If that fails, the lease runs out and the next worker hears the same from Stripe.
async fn record(db: &Db, job: &ClaimedJob, facts: &Facts) -> Result<FinishedJob, Error> {
    let unrecorded = |error: &Error| tracing::error!(%error, "job.unrecorded");
    let mut finished = db::finish_job(db, job, &facts.first).await.inspect_err(unrecorded)?;
    for fact in &facts.others {
        finished = db::finish_job(db, job, fact).await.inspect_err(unrecorded)?;
    }
    let decision = finished.decision.as_str();
    match finished.outcome {
        JobOutcome::Finished => tracing::info!(decision, "job.finished"),
        JobOutcome::Fenced => tracing::info!(decision, "job.fenced"),
        JobOutcome::Retried => tracing::warn!(decision, "job.retried"),
        JobOutcome::Failed => tracing::error!(decision, "job.failed"),
    }
    Ok(finished)
}

/// Notes an error, so that the job is done again, or never. Returns the error that the caller has to hear of.
async fn give_back(db: &Db, job: &ClaimedJob, error: Error, retry: JobRetry) -> Error {
    match db::retry_job(db, job, &error.to_string(), retry).await {
        Ok(JobOutcome::Failed) => tracing::error!(%error, "job.failed"),
        Ok(_) => tracing::warn!(%error, "job.retried"),
        Err(unrecorded) => {
            tracing::error!(%error, %unrecorded, "job.unrecorded");
            return unrecorded;
        }
    }
    error
}

/// What is so at Stripe, of which there is at least one thing to say.
struct Facts {
    first: Fact,
    others: Vec<Fact>,
}

impl Facts {
    fn new(facts: impl IntoIterator<Item = Fact>) -> Option<Self> {
        let mut facts = facts.into_iter();
        Some(Self { first: facts.next()?, others: facts.collect() })
    }
}

/// Has the job done at Stripe, and says what is so afterwards; else the error, and how to go on.
async fn at_stripe(
    stripe: &Stripe,
    job: &ClaimedJob,
    deadline: Instant,
) -> Result<Facts, (StripeError, JobRetry)> {
    match ask(stripe, job, deadline).await {
        Ok(Some(fact)) => Ok(Facts { first: fact, others: Vec::new() }),
        // The same key would get the same stored answer: look at the intent itself.
        Ok(None) => match already_done(stripe, job, deadline).await {
            Ok(facts) => facts.ok_or((unsettled(), JobRetry::Later)),
            Err(error) => Err((error, JobRetry::Later)),
        },
        Err(error) if is_passing(&error) => Err((error, JobRetry::Later)),
        // The refusal, or the stored failure, may only mean that it is done already: look.
        Err(error) => match already_done(stripe, job, deadline).await {
            Ok(Some(facts)) => Ok(facts),
            Ok(None) => {
                let retry = retry_after_refusal(&error, job.kind);
                Err((error, retry))
            }
            Err(error) if is_passing(&error) => Err((error, JobRetry::Later)),
            Err(error) => Err((error, JobRetry::Never)),
        },
    }
}

/// Whether the same request may do better a little later: Stripe is away, or our key is being replaced.
fn is_passing(error: &StripeError) -> bool {
    matches!(error, StripeError::Unavailable { .. } | StripeError::Refused { status: 401 | 403, .. })
}

/// Stripe stores its answer under the key, so that trying again takes another one.
fn retry_after_refusal(error: &StripeError, kind: JobKind) -> JobRetry {
    match (error, kind) {
        (StripeError::StoredFailure { .. }, _) => JobRetry::WithNewKey,
        // A payment that is being processed cannot be cancelled yet; a refund that we have not heard of leaves less to
        // refund.
        (_, JobKind::CancelPaymentIntent | JobKind::RefundPayment) => JobRetry::WithNewKey,
        (_, JobKind::CapturePaymentIntent) => JobRetry::Never,
    }
}

/// One request; `None` if Stripe took it and the intent is not at its end yet.
async fn ask(stripe: &Stripe, job: &ClaimedJob, deadline: Instant) -> Result<Option<Fact>, StripeError> {
    let key = job.idempotency_key();
    let intent_id = job.payment_intent_id.as_str();
    match job.kind {
        JobKind::CancelPaymentIntent => {
            Ok(ended(&stripe.cancel_payment_intent(intent_id, &key, deadline).await?))
        }
        JobKind::CapturePaymentIntent => {
            Ok(ended(&stripe.capture_payment_intent(intent_id, job.amount_minor, &key, deadline).await?))
        }
        JobKind::RefundPayment => {
            let new = NewRefund {
                payment_intent_id: intent_id,
                amount_minor: job.amount_minor,
                reservation_id: Some(job.reservation_id),
                job_id: job.id,
            };
            let refund = stripe.create_refund(&new, &key, deadline).await?;
            Ok(Some(refund.fact(intent_id)))
        }
    }
}

/// What Stripe says of the object of a job that it would not do (again): the intent at its end, or all refunds there are,
/// of which some may have been made elsewhere. They decide whether the job is done.
async fn already_done(
    stripe: &Stripe,
    job: &ClaimedJob,
    deadline: Instant,
) -> Result<Option<Facts>, StripeError> {
    let intent_id = job.payment_intent_id.as_str();
    match job.kind {
        JobKind::CancelPaymentIntent | JobKind::CapturePaymentIntent => {
            Ok(Facts::new(ended(&stripe.payment_intent(intent_id, deadline).await?)))
        }
        JobKind::RefundPayment => {
            let refunds = stripe.refunds_of(intent_id, deadline).await?;
            Ok(Facts::new(refunds.iter().map(|refund| refund.fact(intent_id))))
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
