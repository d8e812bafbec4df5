//! What reaches Sentry of the functions' failures, and what waiting for it costs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sentry_stand_in::{Fault, SentryStandIn};
use serde_json::{Value, json};
use stack::paths;
use test_support::{Gear, HttpCall, Provider, database_away, wait_until};
use uuid::Uuid;

use super::lambda::Function;
use super::product::{Product, Shop, scheduled_event};

/// What an answer may wait for Sentry.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// What a busy machine may add; far less than the two seconds that an attempt to reach Sentry may take.
const BUSY: Duration = Duration::from_millis(400);
/// What must not get to Sentry although the database says it.
const PRIVATE: &[&str] = &["ema@example.com", "777 123 456", "sk_test_51abc"];

/// A product whose reservations all fail, in words of the database that nobody else should read.
struct Broken {
    shop: Shop,
    sentry: SentryStandIn,
    product: Product,
}

impl Broken {
    async fn open() -> Result<Self> {
        let (mut product, sentry) = (Product::start().await?, SentryStandIn::start().await?);
        product.settings.insert("SENTRY_DSN", sentry.dsn());
        let shop = product.open_shop(&Provider::default(), &Gear::of(9)).await?;
        let obstacle = format!(
            "alter table public.reservations add constraint \"of {}\" check (false) not valid",
            PRIVATE.join(" and ")
        );
        product.database.execute(&obstacle, &[]).await?;
        Ok(Self { shop, sentry, product })
    }

    /// A reservation that fails; returns how long that took.
    async fn fail(&self, reserve: &Function) -> Result<Duration> {
        self.fail_as(reserve, "a-failure").await
    }

    async fn fail_as(&self, reserve: &Function, correlation_id: &str) -> Result<Duration> {
        let call = self.shop.reserve(Uuid::new_v4())?.header("x-correlation-id", correlation_id);
        let started = Instant::now();
        let reply = reserve.call(&call).await?;
        ensure!((reply.status, reply.error()) == (500, "internal_error"), "{reply:?}");
        Ok(started.elapsed())
    }

    /// Waits for so many events at Sentry.
    async fn reported(&self, count: usize) -> Result<Vec<Value>> {
        wait_until("Sentry has the reports", async || Ok(self.sentry.events().len() >= count)).await?;
        ensure!(self.sentry.complaints().is_empty(), "{:?}", self.sentry.complaints());
        Ok(self.sentry.events())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_reported_with_its_code_and_without_a_person() -> Result<()> {
    let broken = Broken::open().await?;
    let reserve = broken.product.run("reserve_gear").await?;
    broken.fail_as(&reserve, "abc-1").await?;
    let events = broken.reported(1).await?;
    let event = &events[0];
    assert_eq!(
        event["tags"],
        json!({"function": "reserve_gear", "code": "internal_error", "correlation_id": "abc-1"})
    );
    assert_eq!(event["fingerprint"], json!(["request.answered", "internal_error"]));
    assert_eq!((&event["level"], &event["environment"]), (&json!("error"), &json!("test")));
    let value = event["exception"]["values"][0]["value"].as_str().context("no cause")?;
    assert!(value.contains("23514") && value.contains("[filtered]"), "{value}");
    for private in PRIVATE {
        assert!(!event.to_string().contains(private), "{private}: {event}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_not_reported() -> Result<()> {
    let broken = Broken::open().await?;
    let reserve = broken.product.run("reserve_gear").await?;
    assert_eq!(reserve.call(&HttpCall::post("/reserve_gear", &json!({}))).await?.status, 401);
    let malformed = HttpCall::post("/reserve_gear", &json!({})).by(Uuid::new_v4())?;
    assert_eq!(reserve.call(&malformed).await?.status, 400);
    // Reports keep their order: whatever was refused would have come before this.
    broken.fail_as(&reserve, "the-only-one").await?;
    let events = broken.reported(1).await?;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["tags"]["correlation_id"], "the-only-one");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_dsn_nothing_is_sent() -> Result<()> {
    let mut broken = Broken::open().await?;
    broken.product.settings.remove("SENTRY_DSN");
    let silent = broken.product.run("reserve_gear").await?;
    broken.fail_as(&silent, "nobody-hears").await?;
    silent.kill();
    broken.product.settings.insert("SENTRY_DSN", broken.sentry.dsn());
    let reserve = broken.product.run("reserve_gear").await?;
    broken.fail_as(&reserve, "somebody-does").await?;
    assert_eq!(broken.reported(1).await?[0]["tags"]["correlation_id"], "somebody-does");
    assert_eq!(broken.sentry.attempts(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentry_that_hangs_delays_an_answer_by_a_moment() -> Result<()> {
    let mut broken = Broken::open().await?;
    let dsn = broken.product.settings.remove("SENTRY_DSN").context("no DSN")?;
    let silent = broken.product.run("reserve_gear").await?;
    let mut without = Duration::ZERO;
    for _ in 0..5 {
        without = without.max(broken.fail(&silent).await?);
    }
    silent.kill();

    broken.sentry.set_fault(Some(Fault::Hang));
    broken.product.settings.insert("SENTRY_DSN", dsn);
    let mut reserve = broken.product.run("reserve_gear").await?;
    for _ in 0..5 {
        let took = broken.fail(&reserve).await?;
        assert!(took < without + LONGEST_WAIT + BUSY, "{took:?} instead of {without:?}");
    }
    assert_eq!(broken.sentry.attempts(), 1, "nothing was waited for");
    // After one attempt Sentry is left alone, and what it misses is counted.
    wait_until("the rest is dropped", async || {
        broken.fail(&reserve).await?;
        Ok(reserve.output()?.contains("sentry.dropped"))
    })
    .await?;
    assert!(reserve.output()?.contains("no answer in time"));
    assert_eq!(broken.sentry.attempts(), 1);
    reserve.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn sentrys_limits_are_kept() -> Result<()> {
    for (fault, accepted) in [(Fault::RetryAfter(3_600), 0), (Fault::Limit(3_600), 1)] {
        let broken = Broken::open().await?;
        broken.sentry.set_fault(Some(fault));
        let reserve = broken.product.run("reserve_gear").await?;
        wait_until("reports are dropped", async || {
            broken.fail(&reserve).await?;
            Ok(reserve.output()?.contains("sentry.dropped"))
        })
        .await?;
        broken.fail(&reserve).await?;
        assert_eq!((broken.sentry.attempts(), broken.sentry.events().len()), (1, accepted), "{fault:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_fails_is_reported() -> Result<()> {
    let mut broken = Broken::open().await?;
    broken.product.settings.extend([database_away()]);
    let publish = broken.product.run("publish_metrics").await?;
    publish.address.invoke(&scheduled_event("publish_metrics")?).await?;
    let events = broken.reported(1).await?;
    assert_eq!(events[0]["fingerprint"], json!(["event.failed", "database_unavailable"]));
    assert_eq!(events[0]["tags"]["function"], "publish_metrics");
    assert!(!events[0].to_string().contains("hunter2"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_reported_before_the_process_ends() -> Result<()> {
    let sentry = SentryStandIn::start().await?;
    let mut start = Command::new(paths::programs().join("health"));
    start.env_clear().env("SENTRY_DSN", sentry.dsn()).env("ENVIRONMENT", "staging");
    let status =
        tokio::task::spawn_blocking(move || start.stdout(Stdio::null()).stderr(Stdio::null()).status());
    assert!(!status.await??.success());
    let events = sentry.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(
        events[0]["exception"]["values"],
        json!([{"type": "boot.bad_setting", "value": "is missing"}])
    );
    assert_eq!(events[0]["extra"], json!({"setting": "DATABASE_URL"}));
    assert_eq!(
        (&events[0]["environment"], &events[0]["tags"]["function"]),
        (&json!("staging"), &json!("health"))
    );
    Ok(())
}
