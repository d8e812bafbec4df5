//! Telling people: an e-mail that was written down with the decision it is about is sent, once.

use tokio::time::Instant;
use tracing::Instrument as _;

use super::jobs::{give_back, span_of};
use super::upstream_deadline;
use crate::db::{self, Db, EmailDelivery, JobOutcome, JobRetry};
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
        let delivery = match email {
            None => EmailDelivery::Off,
            Some(email) => match send(email, job, deadline).await {
                Ok(delivery) => delivery,
                Err((error, retry)) => return give_back(db, &job.claim, &error, retry).await,
            },
        };
        let outcome = db::finish_email(db, job, &delivery).await?;
        tracing::info!(
            notification = job.notification.kind.as_str(),
            delivery = delivery.as_str(),
            "email.finished"
        );
        Ok(outcome)
    };
    sending.instrument(span_of(&job.claim)).await
}

async fn send(
    email: &Email,
    job: &EmailJob,
    deadline: Instant,
) -> Result<EmailDelivery, (EmailError, JobRetry)> {
    match email.send(&job.notification, &job.claim.idempotency_key(), upstream_deadline(deadline)).await {
        Ok(message_id) => Ok(EmailDelivery::Sent { message_id: Some(message_id) }),
        // An attempt whose answer was lost did send it, before what it tells of changed.
        Err(EmailError::Refused { name, .. }) if name == "invalid_idempotent_request" => {
            Ok(EmailDelivery::Sent { message_id: None })
        }
        Err(error @ (EmailError::Unavailable { .. } | EmailError::KeyRefused { .. })) => {
            Err((error, JobRetry::Later))
        }
        Err(error @ EmailError::Refused { .. }) => Err((error, JobRetry::Never)),
    }
}
