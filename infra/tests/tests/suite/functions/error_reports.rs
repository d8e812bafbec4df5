//! What reaches Sentry of the functions' failures, and what waiting for it costs.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use sentry_stand_in::{Fault, SentryStandIn};
use serde_json::{Value, json};
use stack::{CheckedLogs, LogCheck, paths};
use test_support::{Gear, HttpCall, Provider, WEBHOOK_SECRET, database_away, sign, wait_until};
use uuid::Uuid;

use super::lambda::Function;
use super::product::{Product, Shop, scheduled_event};

/// What an answer may wait for Sentry.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// What a busy machine may add to the quickest of several answers.
const BUSY: Duration = Duration::from_millis(40);
/// How many answers the quickest is taken of.
const ANSWERS: usize = 10;
/// Longer than an attempt to reach Sentry may take.
const LONG_FREEZE: Duration = Duration::from_millis(2_500);
/// What must not get to Sentry, or into a log, although the database says it.
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

    /// How long the quickest of several failures takes.
    async fn quickest_failure(&self, reserve: &Function) -> Result<Duration> {
        let mut quickest = Duration::MAX;
        for _ in 0..ANSWERS {
            quickest = quickest.min(self.fail(reserve).await?);
        }
        Ok(quickest)
    }

    /// Waits for so many events at Sentry.
    async fn reported(&self, count: usize) -> Result<Vec<Value>> {
        wait_until("Sentry has the reports", async || Ok(self.sentry.events().len() >= count)).await?;
        ensure!(self.sentry.complaints().is_empty(), "{:?}", self.sentry.complaints());
        Ok(self.sentry.events())
    }
}

/// Fails unless all that was written are lines in order, with nothing of anybody.
fn assert_clean(output: &str) {
    let mut check = LogCheck::default();
    for private in PRIVATE.iter().chain(&["hunter2"]) {
        check.forbid(private, private);
    }
    let mut checked = CheckedLogs::default();
    check.text("output", output, &mut checked);
    assert!(checked.lines > 0, "nothing was written");
    assert_eq!(checked.findings, Vec::<String>::new(), "{output}");
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
    assert_eq!(event["fingerprint"], json!(["request.answered", "reserve_gear", "internal_error"]));
    assert_eq!((&event["level"], &event["environment"]), (&json!("error"), &json!("test")));
    let value = event["exception"]["values"][0]["value"].as_str().context("no cause")?;
    assert!(value.contains("23514") && value.contains("[filtered]"), "{value}");
    for private in PRIVATE {
        assert!(!event.to_string().contains(private), "{private}: {event}");
    }
    assert!(reserve.output()?.contains("23514"));
    assert_clean(&reserve.output()?);
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

/// An empty DSN is how the template says that there is none.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_dsn_turns_reports_off_and_nothing_else() -> Result<()> {
    let mut broken = Broken::open().await?;
    broken.product.settings.insert("SENTRY_DSN", String::new());
    let silent = broken.product.run("reserve_gear").await?;
    broken.fail(&silent).await?;
    broken.fail(&silent).await?;
    let output = silent.output()?;
    assert!(output.contains("request.answered") && !output.contains("sentry."), "{output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentry_that_hangs_delays_an_answer_by_a_moment() -> Result<()> {
    let mut broken = Broken::open().await?;
    let dsn = broken.product.settings.remove("SENTRY_DSN").context("no DSN")?;
    let silent = broken.product.run("reserve_gear").await?;
    let without = broken.quickest_failure(&silent).await?;
    silent.kill();

    broken.sentry.set_fault(Some(Fault::Hang));
    broken.product.settings.insert("SENTRY_DSN", dsn);
    let mut reserve = broken.product.run("reserve_gear").await?;
    let took = broken.quickest_failure(&reserve).await?;
    assert!(took < without + LONGEST_WAIT + BUSY, "{took:?} instead of {without:?}");
    assert!(broken.sentry.attempts() > 0, "nothing was waited for");
    // After two attempts Sentry is left alone, and what it misses is counted.
    wait_until("Sentry is given up", async || {
        broken.fail(&reserve).await?;
        Ok(reserve.output()?.contains("no answer in time"))
    })
    .await?;
    wait_until("the rest is dropped", async || {
        broken.fail(&reserve).await?;
        Ok(reserve.output()?.contains("sentry.dropped"))
    })
    .await?;
    assert_eq!(broken.sentry.attempts(), 2);
    reserve.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_got_no_answer_is_sent_once_more() -> Result<()> {
    let broken = Broken::open().await?;
    broken.sentry.set_fault(Some(Fault::Hang));
    let reserve = broken.product.run("reserve_gear").await?;
    broken.fail_as(&reserve, "at-last").await?;
    wait_until("it was sent", async || Ok(broken.sentry.attempts() == 1)).await?;
    broken.sentry.set_fault(None);
    assert_eq!(broken.reported(1).await?[0]["tags"]["correlation_id"], "at-last");
    assert!(!reserve.output()?.contains("sentry."));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_arrive_though_the_sandbox_is_frozen_on_the_way() -> Result<()> {
    let broken = Broken::open().await?;
    // Longer than an answer waits, so that each freeze finds a report on its way.
    broken.sentry.set_fault(Some(Fault::Delay(LONGEST_WAIT * 4)));
    let reserve = broken.product.run("reserve_gear").await?;
    for id in ["before-a-freeze", "between-freezes", "after-freezes"] {
        broken.fail_as(&reserve, id).await?;
        reserve.freeze(LONG_FREEZE).await?;
    }
    let events = broken.reported(3).await?;
    let ids: Vec<&Value> = events.iter().map(|event| &event["tags"]["correlation_id"]).collect();
    assert_eq!(ids, ["before-a-freeze", "between-freezes", "after-freezes"]);
    assert!(!reserve.output()?.contains("sentry."), "{}", reserve.output()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_says_itself_is_reported_too() -> Result<()> {
    let broken = Broken::open().await?;
    let webhook = broken.product.run("stripe_webhook").await?;
    let body = json!({"id": "evt_1", "note": PRIVATE}).to_string();
    let signature = sign(&body, WEBHOOK_SECRET, Timestamp::now())?;
    let call = HttpCall::new("POST", "/stripe_webhook").header("stripe-signature", &signature).body(&body);
    let reply = webhook.call(&call).await?;
    assert_eq!((reply.status, reply.error()), (400, "malformed_body"));
    let event = &broken.reported(1).await?[0];
    assert_eq!(event["fingerprint"], json!(["stripe_webhook.unreadable", "stripe_webhook", "none"]));
    assert_eq!(event["exception"]["values"][0]["value"], "not an event: missing field `type`");
    assert_clean(&webhook.output()?);
    Ok(())
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
    assert_eq!(events[0]["fingerprint"], json!(["event.failed", "publish_metrics", "database_unavailable"]));
    assert_eq!(events[0]["tags"]["function"], "publish_metrics");
    assert!(!events[0].to_string().contains("hunter2"));
    assert_clean(&publish.output()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_can_read_is_answered_told_of_and_reported() -> Result<()> {
    let broken = Broken::open().await?;
    let health = broken.product.run("health").await?;
    let answer = health.address.invoke(&json!({"requestContext": {"stage": "dev"}})).await?;
    assert_eq!(answer["statusCode"], 500);
    let events = broken.reported(1).await?;
    assert_eq!(events[0]["fingerprint"], json!(["request.answered", "health", "internal_error"]));
    assert_eq!(health.output()?.matches("request.answered").count(), 1);
    assert_clean(&health.output()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_reported_before_the_process_ends() -> Result<()> {
    let sentry = SentryStandIn::start().await?;
    let mut start = Command::new(paths::programs().join("health"));
    start.env_clear().env("SENTRY_DSN", sentry.dsn()).env("ENVIRONMENT", "staging");
    let ended = tokio::task::spawn_blocking(move || start.output()).await??;
    assert_eq!(ended.status.code(), Some(1));
    assert_clean(&String::from_utf8(ended.stdout)?);
    assert_eq!(String::from_utf8(ended.stderr)?, "");
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
