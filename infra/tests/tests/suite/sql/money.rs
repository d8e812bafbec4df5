//! What happens in the shop to money that has come in: cancellations, refunds, disputes, and the work that follows.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kitloop::db::{self, CancellationRequest, Cancelled, FinishedJob, RefundRequest, Refunding};
use kitloop::domain::{ConfirmationAction, DisputeFact, Fact, IntentJob, IntentStep, RefundStatus};
use kitloop::error::Error;
use test_support::actor;
use tokio_postgres::types::FromSqlOwned;
use uuid::Uuid;

use super::shop::{Hold, Shop, refund_of};

impl Shop {
    /// A hold that staff takes cash for.
    pub(super) async fn paid_at_the_counter(&self) -> Result<Hold> {
        let hold = self.hold().await?;
        self.answer(self.staff, &hold, ConfirmationAction::Confirm, None).await?;
        Ok(hold)
    }

    /// Somebody cancels.
    pub(super) async fn cancel_by(&self, user_id: Uuid, hold: &Hold) -> Result<Cancelled, Error> {
        db::cancel_reservation(&self.db, &cancellation(user_id, hold)).await
    }

    /// Somebody wants to know what cancelling would mean.
    pub(super) async fn preview_by(&self, user_id: Uuid, hold: &Hold) -> Result<Cancelled, Error> {
        let request = CancellationRequest { is_preview: true, ..cancellation(user_id, hold) };
        db::cancel_reservation(&self.db, &request).await
    }

    /// Staff sends so much back by card.
    pub(super) async fn refund(&self, hold: &Hold, amount_minor: i64) -> Result<Refunding, Error> {
        db::refund_reservation(&self.db, &self.refund_request(hold, amount_minor)).await
    }

    /// Staff hands so much over at the counter.
    pub(super) async fn refund_offline(&self, hold: &Hold, amount_minor: i64) -> Result<Refunding, Error> {
        let request = RefundRequest { is_offline: true, ..self.refund_request(hold, amount_minor) };
        db::refund_reservation(&self.db, &request).await
    }

    /// A request of staff's for a refund by card, without a key.
    pub(super) fn refund_request(&self, hold: &Hold, amount_minor: i64) -> RefundRequest<'static> {
        RefundRequest {
            caller: "user:staff",
            idempotency_key: None,
            request_hash: "hash",
            actor: actor(self.staff),
            reservation_id: hold.id,
            amount_minor: Some(amount_minor),
            note: "a torn ski skin",
            is_offline: false,
        }
    }

    /// Moves a rental of one day to where it starts so many seconds from now.
    pub(super) async fn starts_in(&self, hold: &Hold, seconds: i32) -> Result<()> {
        let period = "update public.reservations set period = tstzrange(
                clock_timestamp() + make_interval(secs => $2),
                clock_timestamp() + make_interval(secs => $2) + interval '1 day')
            where id = $1";
        self.database.execute(period, &[&hold.id.0, &f64::from(seconds)]).await?;
        let lines = "update public.reservation_lines l set blocked = r.period from public.reservations r
            where r.id = l.reservation_id and r.id = $1";
        self.database.execute(lines, &[&hold.id.0]).await.map(drop)
    }

    /// The next due refund, claimed, with its amount.
    pub(super) async fn claim_refund(&self) -> Result<(IntentJob, i64)> {
        let job = self.claim("worker").await?.context("no job is due")?;
        let IntentStep::Refund { amount_minor, .. } = job.step else {
            anyhow::bail!("not a refund: {job:?}")
        };
        Ok((job, amount_minor))
    }

    /// Stripe makes the next due refund under this id, and says how it fares.
    pub(super) async fn make_refund(&self, id: &str, status: RefundStatus) -> Result<FinishedJob> {
        let (job, _) = self.claim_refund().await?;
        Ok(db::finish_job(&self.db, &job, &refund_of(&job, id, status)?).await?)
    }

    /// What the one payment of a reservation says.
    pub(super) async fn of_payment<T: FromSqlOwned>(&self, hold: &Hold, expression: &str) -> Result<T> {
        let sql = format!(
            "select {expression} from public.payments p where reservation_id = $1 and not superseded"
        );
        self.database.value(&sql, &[&hold.id.0]).await
    }

    /// What became of the one payment's money: credited, kept, lost, in minor units.
    pub(super) async fn books(&self, hold: &Hold) -> Result<[i64; 3]> {
        let columns = "array[credited_minor, kept_minor, lost_minor]";
        let books: Vec<i64> = self.of_payment(hold, columns).await?;
        books.try_into().map_err(|books| anyhow::anyhow!("{books:?}"))
    }

    /// What the one payment's customer is owed.
    pub(super) async fn owed(&self, hold: &Hold) -> Result<i64> {
        self.of_payment(hold, "kitloop.owed_minor(p)").await
    }

    /// Every refund as `amount status`, oldest first.
    pub(super) async fn refunds(&self) -> Result<Vec<String>> {
        let sql = "select coalesce(array_agg(amount_minor || ' ' || status order by created_at, id), '{}')
            from public.refunds";
        self.database.value(sql, &[]).await
    }

    /// Every row of every table, for seeing that nothing has changed.
    pub(super) async fn rows(&self) -> Result<String> {
        let sql = "select string_agg(
                query_to_xml(format('select t::text as r from public.%I t order by 1', relname), true, false, '')::text,
                '' order by relname)
            from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'";
        self.database.value(sql, &[]).await
    }

    /// Fails unless these are the kinds of the promises that are broken.
    pub(super) async fn ensure_only_broken(&self, kinds: &[&str]) -> Result<()> {
        let broken = self.database.violations().await?;
        let found: Vec<&str> = broken.iter().filter_map(|one| Some(one.split_once(':')?.0)).collect();
        ensure!(found == kinds, "broken are {broken:#?}, not {kinds:?}");
        Ok(())
    }

    /// Gives the shop and its customers addresses, so that they are written to.
    pub(super) async fn give_addresses(&self) -> Result<()> {
        self.database.execute("update public.providers set contact_email = 'shop@example.com'", &[]).await?;
        let customers = "update public.customers set email = 'eva@example.com', name = 'Eva'";
        self.database.execute(customers, &[]).await.map(drop)
    }
}

fn cancellation(user_id: Uuid, hold: &Hold) -> CancellationRequest<'static> {
    CancellationRequest {
        actor: actor(user_id),
        reservation_id: hold.id,
        note: Some("the snow is gone"),
        is_preview: false,
    }
}

/// What Stripe says of a dispute of CZK, so many seconds after some beginning.
pub(super) fn dispute(id: &str, intent_id: &str, amount_minor: i64, status: &str, at: i64) -> DisputeFact {
    DisputeFact {
        dispute_id: id.to_owned(),
        payment_intent_id: Some(intent_id.to_owned()),
        amount_minor,
        currency: "CZK".to_owned(),
        status: status.to_owned(),
        reason: Some("fraudulent".to_owned()),
        evidence_due_by: Timestamp::from_second(2_000_000_000).ok(),
        at: Timestamp::from_second(1_700_000_000 + at).ok(),
    }
}

/// The same, as a fact.
pub(super) fn disputed(id: &str, intent_id: &str, amount_minor: i64, status: &str, at: i64) -> Fact {
    Fact::Dispute(dispute(id, intent_id, amount_minor, status, at))
}
