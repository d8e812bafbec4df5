//! What happens without anybody of the story calling: Stripe's webhooks, jobs, and time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use stack::wait_for;

use super::scene::{Booking, Scene};

/// How long a webhook, a job or Stripe's next attempt may take to show.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

impl Scene {
    /// Waits for Stripe's event of this type about the reservation to be decided in one of these ways; returns the
    /// event's id.
    pub(crate) async fn webhook(
        &mut self,
        booking: &Booking,
        event_type: &str,
        expected: &[&str],
    ) -> Result<String> {
        let query = "select id, decision from public.stripe_webhook_events
            where reservation_id = $1::uuid and type = $2 and status <> 'failed'";
        self.event_of(query, &booking.id, event_type, expected).await
    }

    /// The same of an event about something at Stripe that is for no reservation, by its id there.
    pub(crate) async fn webhook_about(
        &mut self,
        object_id: &str,
        event_type: &str,
        expected: &str,
    ) -> Result<String> {
        let query = "select id, decision from public.stripe_webhook_events
            where payload #>> '{data,object,id}' = $1 and type = $2 and status <> 'failed'";
        self.event_of(query, object_id, event_type, &[expected]).await
    }

    async fn event_of(
        &mut self,
        query: &'static str,
        id: &str,
        event_type: &str,
        expected: &[&str],
    ) -> Result<String> {
        let started = Instant::now();
        let what = format!("delivers {event_type}");
        let database = &mut self.database;
        let decided = async || -> Result<(String, String)> {
            Ok(sqlx::query_as(query).bind(id).bind(event_type).fetch_one(&mut *database).await?)
        };
        let (event, decision) = wait_for(&what, PATIENCE, decided, || Ok(())).await?;
        let status = self.status_of_delivery(&event).await?;
        self.story.line("Stripe", &what, Some(status), &decision, started.elapsed());
        ensure!(
            expected.contains(&decision.as_str()),
            "{event_type} was decided as {decision}, not {expected:?}"
        );
        Ok(event)
    }

    /// What the webhook's first delivery was answered with.
    async fn status_of_delivery(&self, event: &str) -> Result<u16> {
        let answered = async || {
            let deliveries = self.stripe.deliveries().await?;
            let first = deliveries.into_iter().find(|delivery| delivery.event_id == event);
            first.and_then(|delivery| delivery.status).context("no answer yet")
        };
        wait_for("the webhook's answer", PATIENCE, answered, || Ok(())).await
    }

    /// Waits until a job has brought a payment into this state.
    pub(crate) async fn payment_becomes(&mut self, booking: &Booking, status: &str) -> Result<()> {
        let query =
            "select p.status from public.payments p where p.reservation_id = $1::uuid and p.status = $2";
        self.eventually("worker", &format!("brings the payment to {status}"), query, booking, status).await
    }

    /// Waits until a job has sent the money back.
    pub(crate) async fn money_goes_back(&mut self, booking: &Booking) -> Result<()> {
        let query = "select f.status from public.refunds f join public.payments p on p.id = f.payment_id
            where p.reservation_id = $1::uuid and f.status = $2 and f.amount_minor = p.captured_minor";
        self.eventually("worker", "sends all of the money back", query, booking, "succeeded").await
    }

    /// Waits until a job has sent a part of the money back.
    pub(crate) async fn part_goes_back(&mut self, booking: &Booking) -> Result<()> {
        let query = "select f.status from public.refunds f join public.payments p on p.id = f.payment_id
            where p.reservation_id = $1::uuid and f.status = $2 and f.amount_minor < p.captured_minor";
        self.eventually("worker", "sends that part of the money back", query, booking, "succeeded").await
    }

    async fn eventually(
        &mut self,
        who: &str,
        what: &str,
        query: &'static str,
        booking: &Booking,
        status: &str,
    ) -> Result<()> {
        let started = Instant::now();
        let database = &mut self.database;
        let reached = async || -> Result<String> {
            Ok(sqlx::query_scalar(query).bind(&booking.id).bind(status).fetch_one(&mut *database).await?)
        };
        let status = wait_for(&format!("{who} {what}"), PATIENCE, reached, || Ok(())).await?;
        self.story.line(who, what, None, &status, started.elapsed());
        Ok(())
    }

    /// Moves the end of a hold into the past, as if nobody had done anything until then.
    pub(crate) async fn let_hold_lapse(&mut self, booking: &Booking) -> Result<()> {
        let started = Instant::now();
        let update = "update public.reservations set reserved_until = clock_timestamp() - interval '1 second'
            where id = $1::uuid and status = 'hold'";
        let done = sqlx::query(update).bind(&booking.id).execute(&mut self.database).await?;
        ensure!(done.rows_affected() == 1, "there is no hold to lapse");
        self.story.line("time", "passes; the hold lapses", None, "", started.elapsed());
        Ok(())
    }

    /// Moves a reservation to where it starts in so many hours.
    pub(crate) async fn let_start_come_near(&mut self, booking: &Booking, hours: i32) -> Result<()> {
        let started = Instant::now();
        let update = "with moved as (
                select r.id, lower(r.period) - clock_timestamp() - make_interval(hours => $2) as by
                from public.reservations r where r.id = $1::uuid
            ), reservation as (
                update public.reservations r
                set period = tstzrange(lower(r.period) - m.by, upper(r.period) - m.by, '[)')
                from moved m where r.id = m.id
            )
            update public.reservation_lines l
            set blocked = tstzrange(lower(l.blocked) - m.by, upper(l.blocked) - m.by, '[)')
            from moved m where l.reservation_id = m.id";
        sqlx::query(update).bind(&booking.id).bind(hours).execute(&mut self.database).await?;
        let what = format!("passes; the start is {hours} hours away");
        self.story.line("time", &what, None, "", started.elapsed());
        Ok(())
    }

    /// Fails unless the reservation is in this state.
    pub(crate) async fn must_be(&mut self, booking: &Booking, status: &str) -> Result<()> {
        let query = "select r.status from public.reservations r where r.id = $1::uuid";
        let is: String = sqlx::query_scalar(query).bind(&booking.id).fetch_one(&mut self.database).await?;
        ensure!(is == status, "the reservation is {is}, not {status}");
        Ok(())
    }
}
