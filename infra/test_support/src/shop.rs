//! A shop that is open: an application, a provider with one item, its staff, a customer, and the customer's browser.

use std::time::Duration;

use anyhow::{Context, Result};
use kitloop::app::pay;
use kitloop::boot::App;
use kitloop::domain::{Booking, ReservationId};
use resend_stand_in::ResendStandIn;
use serde_json::Value;
use stripe_stand_in::StandIn;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Gear, Provider, TestApp, TestDatabase, actor, booking, reserve, sample};

/// Everything that a test of a function is about.
pub struct Shop {
    /// The application, as a function's sandbox has it.
    pub app: App,
    /// Its database.
    pub database: TestDatabase,
    /// Its Stripe.
    pub stripe: StandIn,
    /// Its e-mail.
    pub resend: ResendStandIn,
    /// Who rents out.
    pub provider_id: Uuid,
    /// Its only item: one piece, at the price of the sample events a day.
    pub gear_id: Uuid,
    /// A user who works there.
    pub staff_id: Uuid,
    /// A user who rents there.
    pub customer_id: Uuid,
}

impl Shop {
    /// One that captures at once.
    ///
    /// # Errors
    /// If a server is not there.
    pub async fn open() -> Result<Self> {
        Self::open_with(TestApp::start().await?, &Provider::default()).await
    }

    /// One that authorises first.
    ///
    /// # Errors
    /// If a server is not there.
    pub async fn open_manual() -> Result<Self> {
        Self::open_with(TestApp::start().await?, &Provider::manual()).await
    }

    /// One over this application, with these rules.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn open_with(test: TestApp, provider: &Provider) -> Result<Self> {
        let TestApp { app, database, stripe, resend } = test;
        let provider_id = provider.insert(&database).await?;
        let gear = Gear { day_price_minor: sample::AMOUNT_MINOR, ..Gear::default() };
        let gear_id = gear.insert(&database, provider_id).await?;
        let (staff_id, customer_id) = (Uuid::new_v4(), Uuid::new_v4());
        database.add_member(provider_id, staff_id, "staff").await?;
        Ok(Self { app, database, stripe, resend, provider_id, gear_id, staff_id, customer_id })
    }

    /// A booking of the item for a day, thirty days ahead.
    ///
    /// # Errors
    /// Never, in this century.
    pub fn booking(&self) -> Result<Booking> {
        booking(self.provider_id, self.gear_id, 1)
    }

    /// A hold of the customer's.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn hold(&self) -> Result<Uuid> {
        self.hold_by(self.customer_id).await
    }

    /// The same hold of somebody else's.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn hold_by(&self, user_id: Uuid) -> Result<Uuid> {
        Ok(reserve(&self.database.db()?, user_id, &self.booking()?).await?.reservation_id.0)
    }

    /// Starts paying for a hold of the customer's; returns the intent's id.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn start_payment(&self, reservation_id: Uuid) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(15);
        let (db, stripe, customer) = (self.database.db()?, self.app.stripe()?, actor(self.customer_id));
        let payment = pay::start_payment(&db, stripe, customer, ReservationId(reservation_id), deadline);
        Ok(payment.await?.payment_intent_id)
    }

    /// A hold whose payment has been started: the reservation and the intent.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn hold_with_intent(&self) -> Result<(Uuid, String)> {
        let reservation_id = self.hold().await?;
        Ok((reservation_id, self.start_payment(reservation_id).await?))
    }

    /// A hold whose intent is paid at Stripe, or authorised, which nobody here knows yet.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn hold_paid_at_stripe(&self) -> Result<(Uuid, String)> {
        let (reservation_id, intent_id) = self.hold_with_intent().await?;
        self.pay_with(&intent_id, "pm_card_visa").await?;
        Ok((reservation_id, intent_id))
    }

    /// What the customer's browser does with an intent: pays it with one of Stripe's test cards.
    ///
    /// # Errors
    /// If Stripe does not answer; a declined card is no error.
    pub async fn pay_with(&self, intent_id: &str, card: &str) -> Result<Value> {
        self.stripe_post(&format!("payment_intents/{intent_id}/confirm"), &[("payment_method", card)]).await
    }

    /// Any call to Stripe, under `/v1/`, as its dashboard would make it.
    ///
    /// # Errors
    /// If Stripe does not answer.
    pub async fn stripe_post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value> {
        let url = format!("{}/v1/{path}", self.stripe.base_url());
        let request = http()?.post(url).bearer_auth("sk_test_kitloop").form(form);
        Ok(request.send().await?.json().await?)
    }

    /// Any object of Stripe's, under `/v1/`.
    ///
    /// # Errors
    /// If Stripe does not answer.
    pub async fn stripe_get(&self, path: &str) -> Result<Value> {
        let url = format!("{}/v1/{path}", self.stripe.base_url());
        Ok(http()?.get(url).bearer_auth("sk_test_kitloop").send().await?.json().await?)
    }

    /// Every intent at Stripe, newest first, as (id, status).
    ///
    /// # Errors
    /// If Stripe does not answer.
    pub async fn intents(&self) -> Result<Vec<(String, String)>> {
        self.listed("payment_intents").await
    }

    /// Every refund at Stripe, newest first, as (id, status).
    ///
    /// # Errors
    /// If Stripe does not answer.
    pub async fn refunds(&self) -> Result<Vec<(String, String)>> {
        self.listed("refunds").await
    }

    async fn listed(&self, collection: &str) -> Result<Vec<(String, String)>> {
        let page = self.stripe_get(collection).await?;
        let objects = page.get("data").and_then(Value::as_array).context("not a list")?;
        Ok(objects.iter().map(|object| (text(object, "id"), text(object, "status"))).collect())
    }

    /// The jobs that have been written, oldest first, as (kind, status).
    ///
    /// # Errors
    /// If the database is away.
    pub async fn jobs(&self) -> Result<Vec<(String, String)>> {
        let sql = "select kind, status from public.jobs order by created_at";
        let rows = self.database.admin.query(sql, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// If there is no such table.
    pub async fn count(&self, table: &str) -> Result<i64> {
        self.database.value(&format!("select count(*) from public.{table}"), &[]).await
    }
}

/// Stripe is local here: a proxy of the environment could not reach it.
fn http() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

fn text(object: &Value, member: &str) -> String {
    object.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}
