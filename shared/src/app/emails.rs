//! Telling people: an e-mail that was written down with the decision it is about is sent, once.

use tokio::time::Instant;
use tracing::Instrument as _;

use super::TIME_TO_RECORD;
use super::jobs::{give_back, span_of};
use crate::db::{self, Db, JobOutcome, JobRetry};
use crate::domain::EmailJob;
use crate::email::{Email, EmailError};
use crate::error::Error;

/// Sends the e-mail and records that, or gives the job back. Where e-mail is off, that is what is recorded.
///
/// # Errors
/// [`Error::DatabaseUnavailable`], after which the same e-mail is sent again, under the same idempotency key.
pub(super) async fn perform(
    db: &Db,
    email: Option<&Email>,
    job: &EmailJob,
    deadline: Instant,
) -> Result<JobOutcome, Error> {
    let sending = async {
        let message_id = match email {
            None => None,
            Some(email) => match send(email, job, deadline).await {
                Ok(message_id) => Some(message_id),
                Err((error, retry)) => return give_back(db, &job.claim, &error, retry).await,
            },
        };
        let outcome = db::finish_email(db, job, message_id.as_deref()).await?;
        let notification = job.notification.kind.as_str();
        tracing::info!(notification, is_sent = message_id.is_some(), "email.finished");
        Ok(outcome)
    };
    sending.instrument(span_of(&job.claim)).await
}

async fn send(email: &Email, job: &EmailJob, deadline: Instant) -> Result<String, (EmailError, JobRetry)> {
    let deadline = deadline.checked_sub(TIME_TO_RECORD).unwrap_or(deadline);
    email.send(&job.notification, &job.claim.idempotency_key(), deadline).await.map_err(|error| {
        let retry = match &error {
            EmailError::Unavailable { .. } => JobRetry::Later,
            EmailError::Refused { .. } => JobRetry::Never,
        };
        (error, retry)
    })
}
