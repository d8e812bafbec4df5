//! The worker: does what decisions left to be done, at Stripe (`intents`) and by e-mail (`emails`), and what customers pay
//! for (`paid_jobs`).

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{Instrument as _, Span};

use super::{emails, intents, paid_jobs, schedule};
use crate::db::{self, Db, JobOutcome, JobRetry};
use crate::domain::{ClaimedJob, JobClaim};
use crate::email::Email;
use crate::error::Error;
use crate::stripe::Stripe;
use crate::telemetry::caught;

/// The name of the run in `cron_runs`, and whose heartbeat the worker's is, however many invocations it has.
const FUNCTION: &str = "run_jobs";
/// How long a job belongs to a request that does it at once; longer than a request takes.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long one job may take, with recording it; less than any lease.
const JOB_TIME: Duration = Duration::from_secs(14);

/// What one invocation of the worker did.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub struct WorkDone {
    /// Jobs that ended well.
    pub succeeded: u32,
    /// Jobs that were given back, or have failed for good.
    pub unsuccessful: u32,
}

/// What the worker works with.
#[derive(Clone, Copy)]
pub struct Worker<'a> {
    /// The database.
    pub db: &'a Db,
    /// Where money moves.
    pub stripe: &'a Stripe,
    /// How people are told; `None`: they are not.
    pub email: Option<&'a Email>,
    /// Whose claims these are: Lambda's id of the invocation.
    pub name: &'a str,
    /// How long a claimed job belongs to it.
    pub lease: Duration,
}

impl Worker<'_> {
    /// Works until shortly before `deadline`: says that it lives, does what is due for at most `beat_interval`, and
    /// again. Logs the run, also when it fails.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] when jobs cannot be claimed. A job that fails does not stop the others.
    pub async fn work(&self, beat_interval: Duration, deadline: Instant) -> Result<WorkDone, Error> {
        let stop_claiming = deadline.checked_sub(JOB_TIME).unwrap_or(deadline);
        schedule::run(self.db, FUNCTION, async |_| {
            let mut done = WorkDone::default();
            loop {
                db::beat(self.db, FUNCTION).await?;
                let next_beat = Instant::now() + beat_interval;
                while Instant::now() < next_beat.min(stop_claiming)
                    && let Some(job) = db::claim_job(self.db, self.name, self.lease).await?
                {
                    match self.perform(&job, deadline.min(Instant::now() + JOB_TIME)).await {
                        Ok(JobOutcome::Finished) => done.succeeded += 1,
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

    /// Does a claimed job and records what came of it, or gives it back, also when it panics.
    ///
    /// # Errors
    /// Those of whoever does it, already logged.
    pub async fn perform(&self, job: &ClaimedJob, deadline: Instant) -> Result<JobOutcome, Error> {
        match caught(self.attempt(job, deadline)).await {
            Some(outcome) => outcome,
            None => {
                let error = Error::Panicked.code();
                let giving_back = give_back(self.db, job.claim(), &error, JobRetry::Later);
                giving_back.instrument(span_of(job.claim())).await
            }
        }
    }

    async fn attempt(&self, job: &ClaimedJob, deadline: Instant) -> Result<JobOutcome, Error> {
        match job {
            ClaimedJob::Intent(job) => {
                Ok(intents::perform(self.db, self.stripe, job, deadline).await?.outcome)
            }
            ClaimedJob::Email(job) => emails::perform(self.db, self.email, job, deadline).await,
            ClaimedJob::Paid(job) => paid_jobs::perform(self.db, job, deadline).await,
            ClaimedJob::Unreadable { claim, error } => {
                let giving_back = async {
                    tracing::error!(error, "job.unreadable");
                    give_back(self.db, claim, &"unreadable", JobRetry::Later).await
                };
                giving_back.instrument(span_of(claim)).await
            }
        }
    }
}

/// What everything that is logged about a job says, at whatever level lines are asked for.
pub(super) fn span_of(claim: &JobClaim) -> Span {
    let JobClaim { id, kind, reservation_id, .. } = claim;
    tracing::error_span!("job", job_id = %id, kind, reservation_id = reservation_id.map(display))
}

/// Notes an error, so that the job is done again, or never.
///
/// # Errors
/// [`Error::DatabaseUnavailable`]; the lease then runs out and the job is done again all the same.
pub(super) async fn give_back(
    db: &Db,
    claim: &JobClaim,
    error: &impl Display,
    retry: JobRetry,
) -> Result<JobOutcome, Error> {
    let outcome = db::retry_job(db, claim, &error.to_string(), retry)
        .await
        .inspect_err(|unrecorded| tracing::error!(%error, %unrecorded, "job.unrecorded"))?;
    match outcome {
        JobOutcome::Failed => tracing::error!(%error, "job.failed"),
        _ => tracing::warn!(%error, "job.retried"),
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, JobKind, ReservationId};
    use crate::telemetry::testing::Recorder;

    #[test]
    fn a_job_that_failed_is_named_at_every_level() {
        let (recorder, _guard) = Recorder::filtered(Some("warn"));
        let (job_id, reservation_id) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        let claim = JobClaim {
            id: JobId(job_id),
            kind: JobKind::RefundPayment.as_str().to_owned(),
            fencing_token: 1,
            generation: 1,
            is_key_old: false,
            reservation_id: Some(ReservationId(reservation_id)),
        };
        span_of(&claim).in_scope(|| tracing::error!("job.failed"));
        let expected = serde_json::json!({
            "job_id": job_id, "kind": "refund_payment", "reservation_id": reservation_id,
        });
        assert_eq!(recorder.lines()[0]["context"], expected);
    }
}
