//! Two sessions at the same time, one of which may have to wait for the other, and time that passes between them.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};
use test_support::{Gear, Provider, TestDatabase, in_days, wait_until};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use uuid::Uuid;

/// A shop with some pieces of one item, seen with the eyes of a superuser.
pub(super) struct Scenario {
    pub(super) database: TestDatabase,
    provider: Uuid,
    pub(super) gear: Uuid,
    pub(super) staff: Uuid,
}

/// A call that may be waiting for a lock.
pub(super) struct Pending {
    answer: JoinHandle<Result<Answer>>,
    backend: i32,
}

impl Scenario {
    /// A shop with one piece.
    pub(super) async fn open(database: TestDatabase) -> Result<Self> {
        Self::open_with(database, &Gear::default()).await
    }

    pub(super) async fn open_with(database: TestDatabase, gear: &Gear) -> Result<Self> {
        let provider = Provider::default().insert(&database).await?;
        let gear = gear.insert(&database, provider).await?;
        let staff = Uuid::new_v4();
        database.add_member(provider, staff, "staff").await?;
        Ok(Self { database, provider, gear, staff })
    }

    /// What an operation answers.
    pub(super) async fn ask(&self, sql: &str) -> Result<Answer> {
        ask(&self.database.admin, sql).await
    }

    /// A call of a new customer for one piece, for a day.
    pub(super) fn reserve(&self) -> String {
        self.reserve_by(Uuid::new_v4(), &Uuid::new_v4().to_string(), 30, 31)
    }

    /// A call under this key, from one day to another, counted from today.
    pub(super) fn reserve_by(&self, user: Uuid, key: &str, from_day: i64, to_day: i64) -> String {
        format!(
            "kitloop.reserve_gear('user:{user}', '{key}', 'hash', '{user}', '{{}}', false, '{}', array['{}']::uuid[],
            array[1], '{}', '{}', null, null, null)",
            self.provider,
            self.gear,
            in_days(from_day),
            in_days(to_day),
        )
    }

    /// A new customer's hold.
    pub(super) async fn hold(&self) -> Result<Hold> {
        let customer = Uuid::new_v4();
        let answer = self.ask(&self.reserve_by(customer, "hold", 30, 31)).await?;
        let id = answer.text("/answer/reservation_id").parse()?;
        Ok(Hold { id, customer, staff: self.staff, provider: self.provider })
    }

    /// A hold that is about to lapse, but has not yet.
    pub(super) async fn hold_about_to_lapse(&self) -> Result<Hold> {
        let hold = self.hold().await?;
        let soon = "update public.reservations set reserved_until = clock_timestamp() + interval '1500 ms' where id = $1";
        self.database.execute(soon, &[&hold.id]).await?;
        Ok(hold)
    }

    /// Waits until every hold that is about to lapse has done so, as far as `observer` can see.
    pub(super) async fn wait_for_lapse(&self, observer: &Client) -> Result<()> {
        let sql =
            "select coalesce(bool_and(reserved_until <= clock_timestamp()), true) from public.reservations";
        wait_until("the hold lapses", async || Ok(observer.query_one(sql, &[]).await?.try_get(0)?)).await
    }

    /// Begins a transaction in a session of its own.
    pub(super) async fn begin(&self) -> Result<Client> {
        let session = self.database.session().await?;
        session.batch_execute("begin").await?;
        Ok(session)
    }

    /// Calls in a session of its own, and comes back when the call is answered or waits for a lock.
    pub(super) async fn start(&self, sql: &str) -> Result<Pending> {
        let session = Arc::new(self.database.session().await?);
        let backend: i32 = session.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
        let sql = sql.to_owned();
        let answer = tokio::spawn(async move { ask(&session, &sql).await });
        let waits = "select cardinality(pg_blocking_pids($1)) > 0";
        wait_until("the call is answered or waits", async || {
            Ok(answer.is_finished() || self.database.value(waits, &[&backend]).await?)
        })
        .await?;
        Ok(Pending { answer, backend })
    }

    /// Whether nothing is promised twice and no money is lost.
    pub(super) async fn is_consistent(&self) -> Result<bool> {
        Ok(self.database.violations().await?.is_empty())
    }
}

impl Pending {
    pub(super) async fn answer(self) -> Result<Answer> {
        let Self { answer, backend } = self;
        answer.await.map_err(|error| anyhow::anyhow!("the call in backend {backend} died: {error}"))?
    }
}

/// The answer of an operation, asked in this session.
pub(super) async fn ask(session: &Client, operation: &str) -> Result<Answer> {
    let row = session.query_one(&format!("select to_jsonb(o) from {operation} o"), &[]).await?;
    Ok(Answer(row.try_get(0)?))
}

/// What an operation answered: its columns, by JSON pointer.
pub(super) struct Answer(Value);

impl Answer {
    pub(super) fn outcome(&self) -> &str {
        self.text("/outcome")
    }

    pub(super) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer).and_then(Value::as_i64)
    }
}

/// A reservation that is not paid yet.
pub(super) struct Hold {
    pub(super) id: Uuid,
    customer: Uuid,
    staff: Uuid,
    provider: Uuid,
}

impl Hold {
    /// The customer starts to pay.
    pub(super) fn start_payment(&self) -> String {
        format!("kitloop.start_payment('{}', false, '{}', 15, null, null)", self.customer, self.id)
    }

    /// The customer has paid, says Stripe in an event.
    pub(super) fn paid(&self, event_id: &str) -> String {
        self.paid_by("pi_1", event_id)
    }

    /// The same of this intent.
    pub(super) fn paid_by(&self, intent_id: &str, event_id: &str) -> String {
        let fact = json!({
            "kind": "payment_intent", "payment_intent_id": intent_id, "status": "succeeded", "amount_minor": 50_000,
            "amount_received_minor": 50_000, "currency": "CZK", "capture_method": "automatic",
            "reservation_id": self.id, "provider_id": self.provider, "at": Timestamp::now(),
        });
        format!("kitloop.apply_stripe_event('{event_id}', 'payment_intent.succeeded', '{{}}', '{fact}')")
    }

    /// Staff sends so much back by card.
    pub(super) fn refund(&self, amount_minor: i64) -> String {
        format!(
            "kitloop.refund_reservation('user:staff', null, 'hash', '{}', false, '{}', {amount_minor}, 'why', false)",
            self.staff, self.id
        )
    }

    /// The customer cancels.
    pub(super) fn cancel(&self) -> String {
        format!("kitloop.cancel_reservation('{}', false, '{}', null, false)", self.customer, self.id)
    }

    /// Staff confirms, or declines.
    pub(super) fn answer(&self, action: &str) -> String {
        format!(
            "kitloop.confirm_reservation('{}', false, '{}', '{action}', null, 'worker', 30)",
            self.staff, self.id
        )
    }
}
