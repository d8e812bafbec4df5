//! One operation is one statement: counted where PostgreSQL counts them.

use anyhow::{Context, Result};
use kitloop::db::{self, Confirmation, JobRetry, TopupRequest};
use kitloop::domain::{ConfirmationAction, Contact, Currency, Fact, Money, PaymentStatus};
use serde_json::json;
use test_support::{Gear, Provider, TestDatabase, actor, in_days, reserve};
use uuid::Uuid;

use super::paid_jobs;
use super::shop::{LEASE, Shop, refused};

/// Counts the statements that the login role of the functions has sent to this database.
struct Statements<'a> {
    database: &'a TestDatabase,
    before: i64,
}

impl<'a> Statements<'a> {
    async fn count(database: &'a TestDatabase) -> Result<Self> {
        database.admin.batch_execute("create extension pg_stat_statements").await?;
        Ok(Self { database, before: 0 })
    }

    /// Fails unless there was one more since the last time.
    async fn expect_one(&mut self, operation: &str) -> Result<()> {
        let calls = self.calls().await?;
        assert_eq!(calls - self.before, 1, "{operation}");
        self.before = calls;
        Ok(())
    }

    /// Forgets what went before.
    async fn start(&mut self) -> Result<()> {
        self.before = self.calls().await?;
        Ok(())
    }

    async fn calls(&self) -> Result<i64> {
        let sql = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements
            where userid = 'kitloop_app'::regrole
                and dbid = (select oid from pg_database where datname = current_database())";
        self.database.value(sql, &[]).await
    }
}

#[tokio::test]
async fn taking_a_hold_and_paying_for_it_is_one_statement_per_operation() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(9)).await?;
    let mut statements = Statements::count(&shop.database).await?;
    // The first statement of a connection may come with what a pooler sets up.
    db::readiness(&shop.db).await?;
    statements.start().await?;
    db::readiness(&shop.db).await?;
    statements.expect_one("readiness").await?;

    let hold = shop.hold().await?;
    statements.expect_one("reserve_gear").await?;
    let too_many = test_support::booking(shop.provider, shop.gear, 99)?;
    refused(reserve(&shop.db, Uuid::new_v4(), &too_many).await)?;
    statements.expect_one("a refused reserve_gear").await?;
    let payment = db::start_payment(&shop.db, actor(hold.customer), hold.id, LEASE, None).await?;
    statements.expect_one("start_payment").await?;
    db::release_payment_claim(&shop.db, &payment).await?;
    statements.expect_one("release_payment_claim").await?;
    db::record_payment_intent(&shop.db, &payment, "pi_1").await?;
    statements.expect_one("record_payment_intent").await?;
    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::RequiresCapture));
    db::settle_payment_intent(&shop.db, &fact).await?;
    statements.expect_one("settle_payment_intent").await?;
    let confirmation = shop.answer(shop.staff, &hold, ConfirmationAction::Confirm, None).await?;
    statements.expect_one("confirm_reservation").await?;
    let Confirmation::Capture(job) = confirmation else { anyhow::bail!("{confirmation:?}") };
    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    db::finish_job(&shop.db, &job, &fact).await?;
    statements.expect_one("finish_job").await?;
    shop.hear(&fact).await?;
    statements.expect_one("apply_stripe_event").await?;
    db::fail_stripe_event(&shop.db, "evt_1", "test.event", &json!({}), "error").await?;
    statements.expect_one("fail_stripe_event").await
}

#[tokio::test]
async fn the_worker_and_the_sweep_send_one_statement_per_operation() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.database.lapse(hold.id.0).await?;
    let mut statements = Statements::count(&shop.database).await?;
    db::beat(&shop.db, "worker").await?;
    statements.start().await?;

    let run = db::start_cron_run(&shop.db, "sweep").await?;
    statements.expect_one("start_cron_run").await?;
    db::expire_holds(&shop.db, 10).await?;
    statements.expect_one("expire_holds").await?;
    db::finish_cron_run(&shop.db, run, &json!({}), None).await?;
    statements.expect_one("finish_cron_run").await?;
    db::beat(&shop.db, "worker").await?;
    statements.expect_one("beat").await?;
    let job = shop.claim("worker").await?.context("no job")?;
    statements.expect_one("claim_job").await?;
    db::retry_job(&shop.db, &job.claim, "unavailable", JobRetry::Later).await?;
    statements.expect_one("retry_job").await?;
    assert!(shop.claim("worker").await?.is_none());
    statements.expect_one("claim_job with nothing to do").await
}

#[tokio::test]
async fn buying_credits_and_asking_about_them_is_one_statement_per_operation() -> Result<()> {
    let database = TestDatabase::create().await?;
    let db = database.db()?;
    let mut statements = Statements::count(&database).await?;
    db::readiness(&db).await?;
    statements.start().await?;

    let request = TopupRequest {
        caller: "user",
        idempotency_key: "key",
        request_hash: "hash",
        user_id: Uuid::new_v4(),
        profile: &Contact::default(),
        credits: 25,
        credit_price: Money { amount_minor: 100, currency: Currency::parse("EUR").context("no currency")? },
    };
    let topup = db::start_topup(&db, &request).await?;
    statements.expect_one("start_topup").await?;
    let topup = db::spend_checkout_key(&db, topup).await?;
    statements.expect_one("spend_checkout_key").await?;
    assert_eq!(topup.idempotency_key(), format!("{}:checkout:2", topup.topup_id));
    assert_eq!(db::record_checkout_session(&db, topup.topup_id, "cs_1").await?, "cs_1");
    statements.expect_one("record_checkout_session").await?;
    let before = in_days(1);
    assert_eq!(db::open_checkout_sessions(&db, before, None, 2).await?, ["cs_1"]);
    statements.expect_one("open_checkout_sessions").await
}

#[tokio::test]
async fn what_operators_see_and_do_is_one_statement_each() -> Result<()> {
    let shop = Shop::open().await?;
    let db = &shop.db;
    db::fail_stripe_event(db, "evt_1", "test.event", &json!({}), "error").await?;
    let mut statements = Statements::count(&shop.database).await?;
    db::readiness(db).await?;
    statements.start().await?;

    db::ops_metrics(db, 60, &json!({"sweep": 900})).await?;
    statements.expect_one("ops_metrics").await?;
    db::ops_webhook_events(db, &db::EventFilter::default(), None, 1).await?;
    statements.expect_one("ops_webhook_events").await?;
    db::ops_dead_letters(db, None, None, 1).await?;
    statements.expect_one("ops_dead_letters").await?;
    db::ops_audit(db, &db::AuditFilter::default(), None, 1).await?;
    statements.expect_one("ops_audit").await?;
    db::ops_counts(db, None).await?;
    statements.expect_one("ops_counts").await?;
    db::ops_reservation_stats(db, None, 1).await?;
    statements.expect_one("ops_reservation_stats").await?;
    db::check_consistency(db).await?;
    statements.expect_one("check_consistency").await?;
    db::ops_repair(db, "Ada", 1).await?;
    statements.expect_one("ops_repair").await?;
    db::request_event_replay(db, "evt_1", "Ada").await?;
    statements.expect_one("request_event_replay").await?;
    assert!(db::replay_dead_letter(db, Uuid::nil(), "Ada").await.is_err(), "there is none");
    statements.expect_one("replay_dead_letter").await
}

#[tokio::test]
async fn what_customers_pay_for_is_one_statement_per_operation() -> Result<()> {
    let shop = Shop::open().await?;
    let user = paid_jobs::user_with(&shop, 2).await?;
    let mut statements = Statements::count(&shop.database).await?;
    db::readiness(&shop.db).await?;
    statements.start().await?;

    paid_jobs::ask(&shop, user, "key", None).await?;
    statements.expect_one("create_job").await?;
    paid_jobs::ask(&shop, user, "key", None).await?;
    statements.expect_one("a repeated create_job").await?;
    let job = paid_jobs::claimed(&shop).await?;
    statements.expect_one("claim_job").await?;
    db::get_job(&shop.db, user, job.claim.id).await?;
    statements.expect_one("get_job").await?;
    paid_jobs::exported(&shop, user, None, 1).await?;
    statements.expect_one("export_reservations").await?;
    db::finish_paid_job(&shop.db, &job, &json!({})).await?;
    statements.expect_one("finish_paid_job").await
}
