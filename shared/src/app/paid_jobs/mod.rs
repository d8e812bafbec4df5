//! Jobs that customers pay for with credits. A kind of job is a file here and a line in [`KINDS`]; everything else (paying,
//! trying again, giving up) is the same for all of them.

mod reservation_export;

use std::pin::Pin;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::jobs::{give_back, span_of};
use super::upstream_deadline;
use crate::db::{self, Db, JobOutcome, JobRetry};
use crate::domain::{JobInput, PaidJob};
use crate::error::Error;

/// Every kind there is.
pub const KINDS: &[PaidJobKind] = &[reservation_export::KIND];

/// A kind of job that customers pay for.
#[derive(Debug)]
pub struct PaidJobKind {
    /// As requests, SQL and logs spell it.
    pub name: &'static str,
    /// What a job costs, in credits.
    pub credits: i64,
    /// How often it is tried.
    pub max_attempts: i32,
    /// What it is told. Nothing else of a request's input reaches it.
    pub input: &'static [JobInput],
    perform: Perform,
}

/// Does a job and gives back its result. A refusal is final; after any other error it is done again, later. It may be done
/// more than once, or twice at a time when a worker is thought dead and is not, so what it does elsewhere needs a key.
type Perform = for<'a> fn(&'a Db, &'a PaidJob) -> Work<'a>;
type Work<'a> = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + 'a>>;

impl PaidJobKind {
    /// The kind of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}

/// Does the job and records its result, or gives it back.
///
/// # Errors
/// [`Error::DatabaseUnavailable`] when it cannot be given back: the lease then runs out and the job is done again.
pub(super) async fn perform(db: &Db, job: &PaidJob, deadline: Instant) -> Result<JobOutcome, Error> {
    let work = async {
        let Some(kind) = PaidJobKind::of(&job.claim.kind) else {
            // During a deployment a newer version may know it.
            return give_back(db, &job.claim, &"unknown_kind", JobRetry::Later).await;
        };
        match attempt(db, job, kind, upstream_deadline(deadline)).await {
            Ok(outcome) => {
                tracing::info!(?outcome, "paid_job.finished");
                Ok(outcome)
            }
            Err(error) => {
                tracing::warn!(%error, "paid_job.unsuccessful");
                let retry =
                    if matches!(error, Error::Refused(_)) { JobRetry::Never } else { JobRetry::Later };
                // The customer reads it, too. If the result was recorded after all, this is too late to count.
                give_back(db, &job.claim, &error.code(), retry).await
            }
        }
    };
    work.instrument(span_of(&job.claim)).await
}

async fn attempt(db: &Db, job: &PaidJob, kind: &PaidJobKind, deadline: Instant) -> Result<JobOutcome, Error> {
    let work = timeout_at(deadline, (kind.perform)(db, job));
    let result = work.await.unwrap_or(Err(Error::OutOfTime))?;
    db::finish_paid_job(db, job, &result).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_a_price() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..index].iter().all(|other| other.name != kind.name), "{}", kind.name);
            assert!(kind.credits > 0 && kind.max_attempts > 0, "{}", kind.name);
        }
    }
}
