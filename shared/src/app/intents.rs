//! What has to be done at Stripe because of a decision: cancelling, capturing, refunding. Done by the worker, and by
//! the function that wrote the job where somebody waits for it.

use tokio::time::Instant;
use tracing::Instrument as _;

use super::jobs::{give_back, span_of};
use super::upstream_deadline;
use crate::db::{self, Db, FinishedJob, JobOutcome, JobRetry};
use crate::domain::{Fact, IntentJob, IntentStep, PaymentStatus};
use crate::error::Error;
use crate::stripe::{NewRefund, PaymentIntent, Refund, Stripe, StripeError};

/// Does a claimed job at Stripe and records what came of it, or gives it back.
///
/// # Errors
/// Stripe's or the database's; the job is then done again later, or marked failed where that makes no sense.
pub(super) async fn perform(
    db: &Db,
    stripe: &Stripe,
    job: &IntentJob,
    deadline: Instant,
) -> Result<FinishedJob, Error> {
    async {
        match at_stripe(stripe, job, upstream_deadline(deadline)).await {
            Ok(facts) => record(db, job, &facts).await,
            Err((error, retry)) => {
                give_back(db, &job.claim, &error, retry).await?;
                Err(error.into())
            }
        }
    }
    .instrument(span_of(&job.claim))
    .await
}

/// Applies what Stripe said; the first fact decides about the job. If that fails, the lease runs out and the next worker
/// hears the same from Stripe.
async fn record(db: &Db, job: &IntentJob, facts: &Facts) -> Result<FinishedJob, Error> {
    let unrecorded = |error: &Error| tracing::error!(%error, "job.unrecorded");
    let finished = db::finish_job(db, job, &facts.first).await.inspect_err(unrecorded)?;
    for fact in &facts.others {
        db::finish_job(db, job, fact).await.inspect_err(unrecorded)?;
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
    job: &IntentJob,
    deadline: Instant,
) -> Result<Facts, (StripeError, JobRetry)> {
    match made_before(stripe, job, deadline).await {
        Ok(Some(fact)) => return Ok(Facts { first: fact, others: Vec::new() }),
        Ok(None) => {}
        Err(error) => return Err((error, JobRetry::Later)),
    }
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
                let retry = retry_after_refusal(&error, job.step);
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
fn retry_after_refusal(error: &StripeError, step: IntentStep) -> JobRetry {
    match (error, step) {
        (StripeError::StoredFailure { .. }, _) => JobRetry::WithNewKey,
        // A payment that is being processed cannot be cancelled yet; a refund that we have not heard of leaves less to
        // refund.
        (_, IntentStep::Cancel | IntentStep::Refund { .. }) => JobRetry::WithNewKey,
        (_, IntentStep::Capture { .. }) => JobRetry::Never,
    }
}

/// One request; `None` if Stripe took it and the intent is not at its end yet.
async fn ask(stripe: &Stripe, job: &IntentJob, deadline: Instant) -> Result<Option<Fact>, StripeError> {
    let key = job.claim.idempotency_key();
    let intent_id = job.payment_intent_id.as_str();
    match job.step {
        IntentStep::Cancel => Ok(ended(&stripe.cancel_payment_intent(intent_id, &key, deadline).await?)),
        IntentStep::Capture { amount_minor } => {
            Ok(ended(&stripe.capture_payment_intent(intent_id, amount_minor, &key, deadline).await?))
        }
        IntentStep::Refund { amount_minor, refund_id } => {
            let new = NewRefund {
                payment_intent_id: intent_id,
                amount_minor,
                reservation_id: job.reservation_id,
                refund_id,
            };
            Ok(Some(stripe.create_refund(&new, &key, deadline).await?.fact()))
        }
    }
}

/// What Stripe says of the object of a job that it would not do (again): the intent at its end, or all refunds there are,
/// of which some may have been made elsewhere. The job's own comes first, so that a job that is done is not given up over
/// another one.
async fn already_done(
    stripe: &Stripe,
    job: &IntentJob,
    deadline: Instant,
) -> Result<Option<Facts>, StripeError> {
    let intent_id = job.payment_intent_id.as_str();
    match job.step {
        IntentStep::Cancel | IntentStep::Capture { .. } => {
            Ok(Facts::new(ended(&stripe.payment_intent(intent_id, deadline).await?)))
        }
        IntentStep::Refund { refund_id, .. } => {
            let mut refunds = stripe.refunds_of(intent_id, deadline).await?;
            refunds.sort_by_key(|refund| !refund.is_ours(refund_id));
            Ok(Facts::new(refunds.iter().map(Refund::fact)))
        }
    }
}

/// The refund of a job whose idempotency key Stripe may have forgotten, if it was made all the same: asking for it under
/// that key would make another one.
async fn made_before(
    stripe: &Stripe,
    job: &IntentJob,
    deadline: Instant,
) -> Result<Option<Fact>, StripeError> {
    let IntentStep::Refund { refund_id, .. } = job.step else { return Ok(None) };
    if !job.claim.is_key_old {
        return Ok(None);
    }
    let refunds = stripe.refunds_of(&job.payment_intent_id, deadline).await?;
    Ok(refunds.iter().find(|refund| refund.is_ours(refund_id)).map(Refund::fact))
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
