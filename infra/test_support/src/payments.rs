//! What happens to the money of a shop's reservations, without any function: paid, captured, disputed, sent back.

use std::time::Duration;

use anyhow::{Context, Result};
use kitloop::app::confirm::{self, Confirmed};
use kitloop::app::jobs::{self, WorkDone, Worker};
use kitloop::db::{self, ConfirmationRequest, JobOutcome, RefundRequest, Refunding};
use kitloop::domain::{ConfirmationAction, ReservationId};
use kitloop::error::Error;
use kitloop::stripe::{Dispute, Refund};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Shop, actor};

/// How long anything here may take.
const TIME: Duration = Duration::from_secs(15);

/// A user confirms a reservation, or says that it is paid.
#[must_use]
pub fn confirmation(user_id: Uuid, reservation_id: Uuid) -> ConfirmationRequest<'static> {
    ConfirmationRequest {
        actor: actor(user_id),
        reservation_id: ReservationId(reservation_id),
        action: ConfirmationAction::Confirm,
        payment_intent_id: None,
        worker: "confirm_reservation",
        lease: jobs::LEASE,
    }
}

impl Shop {
    /// A reservation that the customer has paid by card, or authorised the money for, and its intent.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn paid(&self) -> Result<(Uuid, String)> {
        let (reservation_id, intent_id) = self.hold_paid_at_stripe().await?;
        self.hear_of(&intent_id).await?;
        Ok((reservation_id, intent_id))
    }

    /// A hold whose intent was paid at Stripe, or authorised, but is still being processed there.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn processing(&self) -> Result<(Uuid, String)> {
        let switches = stripe_stand_in::Switches { payments_processing: true, ..Default::default() };
        self.stripe.admin().set_switches(switches).await?;
        self.paid().await
    }

    /// A reservation that staff has taken cash for.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn paid_at_the_counter(&self) -> Result<Uuid> {
        let reservation_id = self.hold().await?;
        self.confirm_by(self.staff_id, reservation_id).await?;
        Ok(reservation_id)
    }

    /// Confirms a reservation, as the function of that name does.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn confirm_by(&self, user_id: Uuid, reservation_id: Uuid) -> Result<Confirmed, Error> {
        let request = confirmation(user_id, reservation_id);
        confirm::confirm(&self.app.db, self.app.stripe()?, &request, Instant::now() + TIME).await
    }

    /// Staff sends money of a reservation back, as the function of that name does.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn refund(&self, reservation_id: Uuid, amount_minor: i64) -> Result<Refunding, Error> {
        let request = RefundRequest {
            caller: "test",
            idempotency_key: None,
            request_hash: "hash",
            actor: actor(self.staff_id),
            reservation_id: ReservationId(reservation_id),
            amount_minor: Some(amount_minor),
            note: "a test",
            is_offline: false,
        };
        db::refund_reservation(&self.app.db, &request).await
    }

    /// What Stripe says of an intent takes effect, as if its webhook had come.
    ///
    /// # Errors
    /// If Stripe or the database is away.
    pub async fn hear_of(&self, intent_id: &str) -> Result<()> {
        let intent = self.app.stripe()?.payment_intent(intent_id, Instant::now() + TIME).await?;
        let fact = intent.fact().context("an intent in no state that we know")?;
        db::settle_payment_intent(&self.app.db, &fact).await?;
        Ok(())
    }

    /// What Stripe says of a refund takes effect, as if its webhook had come.
    ///
    /// # Errors
    /// If Stripe or the database is away.
    pub async fn hear_of_refund(&self, refund_id: &str) -> Result<()> {
        let refund: Refund = serde_json::from_value(self.stripe_get(&format!("refunds/{refund_id}")).await?)?;
        db::settle_fact(&self.app.db, &refund.fact()).await?;
        Ok(())
    }

    /// What Stripe says of a dispute takes effect, as if its webhook had come.
    ///
    /// # Errors
    /// If Stripe or the database is away.
    pub async fn hear_of_dispute(&self, dispute_id: &str) -> Result<()> {
        let dispute: Dispute =
            serde_json::from_value(self.stripe_get(&format!("disputes/{dispute_id}")).await?)?;
        db::settle_fact(&self.app.db, &dispute.fact()).await?;
        Ok(())
    }

    /// The cardholder disputes all that an intent captured, at Stripe, which nobody here knows yet; the dispute's id.
    ///
    /// # Errors
    /// If nothing was captured.
    pub async fn dispute_at_stripe(&self, intent_id: &str) -> Result<String> {
        let intent = self.stripe_get(&format!("payment_intents/{intent_id}")).await?;
        let charge = intent.get("latest_charge").and_then(Value::as_str).context("nothing was captured")?;
        let dispute = self.stripe.admin().open_dispute(charge).await?;
        Ok(dispute.get("id").and_then(Value::as_str).context("no dispute")?.to_owned())
    }

    /// The same, and its webhook has come.
    ///
    /// # Errors
    /// If nothing was captured.
    pub async fn dispute(&self, intent_id: &str) -> Result<String> {
        let dispute_id = self.dispute_at_stripe(intent_id).await?;
        self.hear_of_dispute(&dispute_id).await?;
        Ok(dispute_id)
    }

    /// Lets the worker do jobs until none is due.
    ///
    /// # Errors
    /// If the database is away. A job that fails is counted.
    pub async fn work_off(&self) -> Result<WorkDone> {
        let (db, email) = (&self.app.db, self.app.email());
        let worker = Worker { db, stripe: self.app.stripe()?, email, name: "worker", lease: jobs::LEASE };
        let mut done = WorkDone::default();
        while let Some(job) = db::claim_job(db, worker.name, jobs::LEASE).await? {
            match worker.perform(&job, Instant::now() + TIME).await {
                Ok(JobOutcome::Finished) => done.succeeded += 1,
                _ => done.unsuccessful += 1,
            }
        }
        Ok(done)
    }

    /// Lets every pause and lease of the jobs end.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn make_jobs_due(&self) -> Result<()> {
        let sql = "update public.jobs set run_after = clock_timestamp() - interval '1 second',
            lease_until = case status when 'running' then clock_timestamp() - interval '1 second' end
            where status in ('queued', 'running')";
        self.database.execute(sql, &[]).await.map(drop)
    }

    /// Moves a reservation to where its day begins in so many minutes, or began so many ago.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn move_start(&self, reservation_id: Uuid, minutes: i32) -> Result<()> {
        let period = "update public.reservations set period = tstzrange(
                clock_timestamp() + make_interval(mins => $2), clock_timestamp() + make_interval(mins => $2 + 1440), '[)'
            ) where id = $1";
        self.database.execute(period, &[&reservation_id, &minutes]).await?;
        let lines = "update public.reservation_lines l set blocked = r.period from public.reservations r
            where r.id = l.reservation_id and r.id = $1";
        self.database.execute(lines, &[&reservation_id]).await.map(drop)
    }

    /// What was sent back at Stripe of an intent, in minor units, refunds that did not fail together.
    ///
    /// # Errors
    /// If Stripe does not answer.
    pub async fn refunded_at_stripe(&self, intent_id: &str) -> Result<i64> {
        let page = self.stripe_get(&format!("refunds?payment_intent={intent_id}")).await?;
        let refunds = page.get("data").and_then(Value::as_array).context("not a list")?;
        let is_good = |refund: &&Value| {
            refund.get("status").is_some_and(|status| status != "failed" && status != "canceled")
        };
        Ok(refunds.iter().filter(is_good).filter_map(|refund| refund.get("amount")?.as_i64()).sum())
    }
}
