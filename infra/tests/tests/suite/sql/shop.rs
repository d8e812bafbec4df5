//! What these tests share: a shop with one item, its customers, and what Stripe says of their money.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp};
use kitloop::db::{self, Confirmation, ConfirmationRequest, Db, StartedPayment};
use kitloop::domain::{
    Actor, Booking, BookingLine, ClaimedJob, ConfirmationAction, Decision, Fact, GearId, IntentJob,
    IntentStep, PaymentIntentFact, PaymentStatus, Period, RefundFact, RefundStatus, ReservationId,
};
use kitloop::error::{Code, Error};
use serde_json::json;
use test_support::{Gear, Provider, TestDatabase, actor, booking, in_days, reserve, wait_until};
use uuid::Uuid;

/// How long claims and leases last in tests: longer than any test.
pub(super) const LEASE: Duration = Duration::from_secs(600);

/// A provider with one item and one member of staff, in a database of its own.
pub(super) struct Shop {
    pub(super) database: TestDatabase,
    pub(super) db: Db,
    pub(super) provider: Uuid,
    pub(super) gear: Uuid,
    pub(super) staff: Uuid,
}

/// A hold that a customer of the shop took.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) id: ReservationId,
    pub(super) customer: Uuid,
    pub(super) amount_minor: i64,
}

impl Shop {
    /// The default provider with one piece of gear.
    pub(super) async fn open() -> Result<Self> {
        Self::open_with(&Provider::default(), &Gear::default()).await
    }

    pub(super) async fn open_with(provider: &Provider, gear: &Gear) -> Result<Self> {
        let database = TestDatabase::create().await?;
        let db = database.db()?;
        let provider = provider.insert(&database).await?;
        let gear = gear.insert(&database, provider).await?;
        let staff = Uuid::new_v4();
        database.add_member(provider, staff, "staff").await?;
        Ok(Self { database, db, provider, gear, staff })
    }

    /// A booking of one piece for the given hours, counted from thirty days ahead.
    pub(super) fn booking_for(&self, from_hour: i64, to_hour: i64) -> Result<Booking> {
        let period = Period::new(hours_ahead(from_hour)?, hours_ahead(to_hour)?)?;
        Ok(Booking { period, ..booking(self.provider, self.gear, 1)? })
    }

    /// A new customer takes a hold on one piece for a day.
    pub(super) async fn hold(&self) -> Result<Hold> {
        let customer = Uuid::new_v4();
        let reserved = reserve(&self.db, customer, &booking(self.provider, self.gear, 1)?).await?;
        Ok(Hold { id: reserved.reservation_id, customer, amount_minor: reserved.amount_total_minor })
    }

    /// The customer of a hold starts to pay, and the intent is recorded.
    pub(super) async fn start_payment(&self, hold: &Hold, intent_id: &str) -> Result<StartedPayment> {
        let payment = db::start_payment(&self.db, actor(hold.customer), hold.id, LEASE, None).await?;
        db::record_payment_intent(&self.db, &payment, intent_id).await?;
        Ok(payment)
    }

    /// What Stripe says of an intent that was made for a hold, without anything out of the ordinary.
    pub(super) fn intent(&self, hold: &Hold, intent_id: &str, status: PaymentStatus) -> PaymentIntentFact {
        let amount_received_minor = if status == PaymentStatus::Succeeded { hold.amount_minor } else { 0 };
        PaymentIntentFact {
            payment_intent_id: intent_id.to_owned(),
            status,
            amount_minor: hold.amount_minor,
            amount_received_minor,
            currency: "CZK".to_owned(),
            capture_method: None,
            capture_before: None,
            reservation_id: Some(hold.id.0),
            provider_id: Some(self.provider),
            payment_id: None,
            generation: None,
            at: None,
        }
    }

    /// Stripe says so, in an event of its own.
    pub(super) async fn hear(&self, fact: &Fact) -> Result<Decision> {
        let event_id = format!("evt_{}", Uuid::new_v4().simple());
        Ok(db::apply_stripe_event(&self.db, &event_id, "test.event", &json!({}), Some(fact)).await?.decision)
    }

    /// Stripe says that an intent of a hold has this status.
    pub(super) async fn hear_of(
        &self,
        hold: &Hold,
        intent_id: &str,
        status: PaymentStatus,
    ) -> Result<Decision> {
        self.hear(&Fact::PaymentIntent(self.intent(hold, intent_id, status))).await
    }

    /// A hold with its payment authorised.
    pub(super) async fn authorized(&self, intent_id: &str) -> Result<Hold> {
        let hold = self.hold().await?;
        self.start_payment(&hold, intent_id).await?;
        assert_eq!(
            self.hear_of(&hold, intent_id, PaymentStatus::RequiresCapture).await?,
            Decision::Authorized
        );
        Ok(hold)
    }

    /// A hold with its payment captured.
    pub(super) async fn confirmed(&self, intent_id: &str) -> Result<Hold> {
        let hold = self.hold().await?;
        self.start_payment(&hold, intent_id).await?;
        assert_eq!(self.hear_of(&hold, intent_id, PaymentStatus::Succeeded).await?, Decision::Confirmed);
        Ok(hold)
    }

    /// Somebody confirms or declines.
    pub(super) async fn answer(
        &self,
        user_id: Uuid,
        hold: &Hold,
        action: ConfirmationAction,
        payment_intent_id: Option<&str>,
    ) -> Result<Confirmation, Error> {
        let request = ConfirmationRequest {
            actor: actor(user_id),
            reservation_id: hold.id,
            action,
            payment_intent_id,
            worker: "function",
            lease: LEASE,
        };
        db::confirm_reservation(&self.db, &request).await
    }

    /// Staff confirms an authorised reservation: the capture is theirs to do.
    pub(super) async fn start_capture(&self, hold: &Hold) -> Result<IntentJob> {
        match self.answer(self.staff, hold, ConfirmationAction::Confirm, None).await? {
            Confirmation::Capture(job) => Ok(job),
            other => bail!("not a capture: {other:?}"),
        }
    }

    /// The next due job, claimed. Nobody here has an e-mail address, so all of them are about intents.
    pub(super) async fn claim(&self, worker: &str) -> Result<Option<IntentJob>> {
        match db::claim_job(&self.db, worker, LEASE).await? {
            Some(ClaimedJob::Intent(job)) => Ok(Some(job)),
            Some(job) => bail!("not about an intent: {job:?}"),
            None => Ok(None),
        }
    }

    /// The state of a reservation, with the reason if it was cancelled: `cancelled: declined`.
    pub(super) async fn state(&self, hold: &Hold) -> Result<String> {
        let sql = "select concat_ws(': ', status, cancel_reason) from public.reservations where id = $1";
        self.database.value(sql, &[&hold.id.0]).await
    }

    /// Every job as `kind status`, oldest first.
    pub(super) async fn jobs(&self) -> Result<Vec<String>> {
        let sql = "select coalesce(array_agg(kind || ' ' || status order by created_at, id), '{}') from public.jobs";
        self.database.value(sql, &[]).await
    }

    /// The states of the payments of a reservation, oldest first, as Stripe spells them; `(superseded)` follows where
    /// another payment took its place.
    pub(super) async fn payments(&self, hold: &Hold) -> Result<Vec<String>> {
        let sql = "select coalesce(array_agg(
                status || case when superseded then ' (superseded)' else '' end order by created_at, id), '{}')
            from public.payments where reservation_id = $1";
        self.database.value(sql, &[&hold.id.0]).await
    }

    /// Waits until somebody waits for a lock that the superuser's open transaction holds.
    pub(super) async fn until_somebody_waits(&self) -> Result<()> {
        wait_until("somebody waiting for the superuser", || async {
            let sql = "select exists (
                select from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid)))";
            self.database.value::<bool>(sql, &[]).await
        })
        .await
    }

    /// Lets the hold lapse and somebody else take the gear.
    pub(super) async fn lose(&self, hold: &Hold) -> Result<Hold> {
        self.database.lapse(hold.id.0).await?;
        self.hold().await
    }
}

/// What Stripe says of a refund that somebody made there.
pub(super) fn refund(
    stripe_refund_id: &str,
    intent_id: &str,
    amount_minor: i64,
    status: RefundStatus,
) -> RefundFact {
    RefundFact {
        stripe_refund_id: stripe_refund_id.to_owned(),
        refund_id: None,
        payment_intent_id: Some(intent_id.to_owned()),
        amount_minor,
        currency: "CZK".to_owned(),
        status,
    }
}

/// What Stripe says of the refund that a job made there.
pub(super) fn refund_of(job: &IntentJob, stripe_refund_id: &str, status: RefundStatus) -> Result<Fact> {
    let IntentStep::Refund { amount_minor, refund_id } = job.step else { bail!("not a refund: {job:?}") };
    let fact = refund(stripe_refund_id, &job.payment_intent_id, amount_minor, status);
    Ok(Fact::Refund(RefundFact { refund_id: Some(refund_id.0), ..fact }))
}

/// Full hours from thirty days ahead.
pub(super) fn hours_ahead(hours: i64) -> Result<Timestamp> {
    Ok(in_days(30).checked_add(SignedDuration::from_hours(hours))?)
}

/// A booking of several items, with quantities.
pub(super) fn booking_of(provider: Uuid, lines: &[(Uuid, i32)]) -> Result<Booking> {
    let lines =
        lines.iter().map(|&(gear, quantity)| BookingLine { gear_id: GearId(gear), quantity }).collect();
    Ok(Booking { lines, ..booking(provider, Uuid::nil(), 1)? })
}

/// Somebody who runs the platform.
pub(super) fn admin() -> Actor {
    Actor { user_id: Uuid::new_v4(), is_admin: true }
}

/// The code of a refusal.
pub(super) fn refused<T: Debug>(outcome: Result<T, Error>) -> Result<Code> {
    match outcome {
        Err(Error::Refused(refusal)) => Ok(refusal.code),
        other => bail!("not refused: {other:?}"),
    }
}
