//! The worker's calls: `kitloop.claim_job`, those that end or give back a job, and `kitloop.beat`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::Db;
use super::reservations::seconds;
use super::row::{Columns, parsed};
use crate::domain::{
    ClaimedJob, Decision, EmailJob, Fact, IntentJob, IntentStep, JobClaim, JobId, JobKind, Notification,
    PaidJob, ProviderId, RefundId, ReservationId, ReservationStatus,
};
use crate::error::Error;

/// Claims the next due job for `lease`; `None` when there is none.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn claim_job(db: &Db, worker: &str, lease: Duration) -> Result<Option<ClaimedJob>, Error> {
    loop {
        match claim_or_tidy(db, worker, lease).await? {
            Claimed::Job(job) => return Ok(Some(job)),
            Claimed::Nothing => return Ok(None),
            Claimed::Ended => {}
        }
    }
}

enum Claimed {
    Job(ClaimedJob),
    /// No job is due.
    Nothing,
    /// Jobs were ended that needed no work, and more may be due.
    Ended,
}

async fn claim_or_tidy(db: &Db, worker: &str, lease: Duration) -> Result<Claimed, Error> {
    let rows = db
        .rows(
            "select job_id, kind, fencing_token, generation, reservation_id, payment_intent_id, amount_minor,
                refund_id, notification, user_id, provider_id, input, is_key_old
            from kitloop.claim_job($1, $2)",
            &[(&worker, Type::TEXT), (&seconds(lease), Type::INT4)],
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(Claimed::Nothing) };
    let Some(job_id) = row.column("job_id")? else { return Ok(Claimed::Ended) };
    let claim = JobClaim {
        id: JobId(job_id),
        kind: row.column("kind")?,
        fencing_token: row.column("fencing_token")?,
        generation: row.column("generation")?,
        is_key_old: row.column("is_key_old")?,
        reservation_id: row.column::<Option<Uuid>>("reservation_id")?.map(ReservationId),
    };
    Ok(Claimed::Job(particulars(row, claim.clone()).unwrap_or_else(|error| {
        // It must not stop the worker from claiming others.
        ClaimedJob::Unreadable { claim, error: error.to_string() }
    })))
}

/// What a claimed job is about.
fn particulars(row: &Row, claim: JobClaim) -> Result<ClaimedJob, Error> {
    let step = match JobKind::parse(&claim.kind) {
        Some(JobKind::CancelPaymentIntent) => IntentStep::Cancel,
        Some(JobKind::CapturePaymentIntent) => {
            IntentStep::Capture { amount_minor: row.column("amount_minor")? }
        }
        Some(JobKind::RefundPayment) => IntentStep::Refund {
            amount_minor: row.column("amount_minor")?,
            refund_id: RefundId(row.column("refund_id")?),
        },
        Some(JobKind::SendEmail) => {
            let Json(notification): Json<Notification> = row.column("notification")?;
            return Ok(ClaimedJob::Email(Box::new(EmailJob { claim, notification })));
        }
        None => {
            return Ok(ClaimedJob::Paid(PaidJob {
                claim,
                user_id: row.column("user_id")?,
                provider_id: row.column::<Option<Uuid>>("provider_id")?.map(ProviderId),
                input: row.column("input")?,
            }));
        }
    };
    Ok(ClaimedJob::Intent(IntentJob {
        claim,
        reservation_id: ReservationId(row.column("reservation_id")?),
        payment_intent_id: row.column("payment_intent_id")?,
        step,
    }))
}

/// How a job stands after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// Done.
    Finished,
    /// To be done again, later.
    Retried,
    /// Given up: a person has to look.
    Failed,
    /// Somebody else had taken it over meanwhile.
    Fenced,
}

impl JobOutcome {
    fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "finished" => Ok(Self::Finished),
            "retried" => Ok(Self::Retried),
            "failed" => Ok(Self::Failed),
            "fenced" => Ok(Self::Fenced),
            _ => Err(Error::Database(format!("unknown outcome {text}"))),
        }
    }
}

/// What came of a job.
#[derive(Debug)]
pub struct FinishedJob {
    /// How it stands.
    pub outcome: JobOutcome,
    /// What Stripe's answer meant.
    pub decision: Decision,
    /// Where the reservation stands now.
    pub status: ReservationStatus,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

/// Applies what Stripe answered and ends the job, unless its reason still holds.
///
/// # Errors
/// [`Error::DatabaseUnavailable`]; the lease then runs out and the job is done again, under the same key at Stripe.
pub async fn finish_job(db: &Db, job: &IntentJob, fact: &Fact) -> Result<FinishedJob, Error> {
    let row = db
        .row(
            "select outcome, decision, status, paid_at from kitloop.finish_job($1, $2, $3)",
            &[
                (&job.claim.id.0, Type::UUID),
                (&job.claim.fencing_token, Type::INT8),
                (&Json(fact), Type::JSONB),
            ],
        )
        .await?;
    Ok(FinishedJob {
        outcome: JobOutcome::parse(row.column("outcome")?)?,
        decision: parsed(&row, "decision", Decision::parse)?,
        status: parsed(&row, "status", ReservationStatus::parse)?,
        paid_at: row.column("paid_at")?,
    })
}

/// What became of an e-mail.
#[derive(Debug)]
pub enum EmailDelivery {
    /// It went out.
    Sent {
        /// Resend's id, unless the answer that told it was lost.
        message_id: Option<String>,
    },
    /// No e-mail is sent here.
    Off,
}

impl EmailDelivery {
    /// As SQL and logs spell it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Off => "off",
        }
    }
}

/// Records what became of an e-mail.
///
/// # Errors
/// [`Error::DatabaseUnavailable`]; the lease then runs out and it is sent again, under the same key at Resend.
pub async fn finish_email(db: &Db, job: &EmailJob, delivery: &EmailDelivery) -> Result<JobOutcome, Error> {
    let message_id = match delivery {
        EmailDelivery::Sent { message_id } => message_id.as_deref(),
        EmailDelivery::Off => None,
    };
    let row = db
        .row(
            "select outcome from kitloop.finish_email($1, $2, $3, $4)",
            &[
                (&job.claim.id.0, Type::UUID),
                (&job.claim.fencing_token, Type::INT8),
                (&delivery.as_str(), Type::TEXT),
                (&message_id, Type::TEXT),
            ],
        )
        .await?;
    JobOutcome::parse(row.column("outcome")?)
}

/// Records the result of a paid job, whose credits are spent with that.
///
/// # Errors
/// [`Error::DatabaseUnavailable`]; the lease then runs out and the job is done again.
pub async fn finish_paid_job(db: &Db, job: &PaidJob, result: &Value) -> Result<JobOutcome, Error> {
    let row = db
        .row(
            "select outcome from kitloop.finish_paid_job($1, $2, $3)",
            &[(&job.claim.id.0, Type::UUID), (&job.claim.fencing_token, Type::INT8), (&result, Type::JSONB)],
        )
        .await?;
    JobOutcome::parse(row.column("outcome")?)
}

/// How a job goes on after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobRetry {
    /// Again, later, with the same key at Stripe.
    Later,
    /// Again, later, with a new key: the old one is spent.
    WithNewKey,
    /// Not at all: a person has to look.
    Never,
}

/// Gives a job back after an error.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn retry_job(db: &Db, claim: &JobClaim, error: &str, retry: JobRetry) -> Result<JobOutcome, Error> {
    let row = db
        .row(
            "select outcome from kitloop.retry_job($1, $2, $3, $4, $5)",
            &[
                (&claim.id.0, Type::UUID),
                (&claim.fencing_token, Type::INT8),
                (&error, Type::TEXT),
                (&(retry == JobRetry::Never), Type::BOOL),
                (&(retry == JobRetry::WithNewKey), Type::BOOL),
            ],
        )
        .await?;
    JobOutcome::parse(row.column("outcome")?)
}

/// Says that the worker lives.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn beat(db: &Db, worker: &str) -> Result<(), Error> {
    db.rows("select kitloop.beat($1)", &[(&worker, Type::TEXT)]).await.map(drop)
}
