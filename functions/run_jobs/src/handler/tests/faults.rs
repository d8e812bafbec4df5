//! Jobs that Stripe does not do at once.

use std::time::Duration;

use anyhow::{Context, Result};
use kitloop::app::jobs;
use kitloop::db;
use serde_json::json;
use stripe_stand_in::{FaultKind, StatusFault};
use test_support::Shop;
use tokio::time::Instant;

use super::{
    assert_keys_are_never_reused, due_cancellation, due_in, due_refund, job, job_requests, stored_job, work,
    worker,
};

/// A failure after which the client gives up at once.
fn final_failure() -> FaultKind {
    let fault =
        StatusFault { status: 503, stored: Some(false), should_retry: Some(false), ..StatusFault::default() };
    FaultKind::Status(fault)
}

#[tokio::test]
async fn a_job_that_failed_is_done_later_with_the_same_key() -> Result<()> {
    let shop = Shop::open().await?;
    due_refund(&shop).await?;
    let throttled = StatusFault { status: 429, retry_after: Some(60), ..StatusFault::default() };
    for (attempt, kind) in [final_failure(), FaultKind::Status(throttled)].into_iter().enumerate() {
        shop.stripe.admin().fail_next("POST", "/v1/refunds", 1, kind).await?;
        assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 1}));
        assert_eq!(stored_job(&shop).await?, json!(["refund_payment", "queued", attempt + 1, 1]));
        let (pause, longest) = (due_in(&shop).await?, 10 * 3_i64.pow(u32::try_from(attempt)?));
        assert!(pause >= longest / 2 - 2 && pause <= longest, "{pause} s after attempt {attempt}");
        // Not before its time.
        assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 0}));
        shop.make_jobs_due().await?;
    }
    assert_eq!(work(&shop).await??, json!({"succeeded": 1, "unsuccessful": 0}));
    let requests = job_requests(&shop).await?;
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.idempotency_key == requests[0].idempotency_key));
    assert_eq!(shop.refunds().await?.len(), 1);
    assert_keys_are_never_reused(&shop).await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn work_that_was_done_without_an_answer_is_not_done_twice() -> Result<()> {
    let shop = Shop::open().await?;
    due_refund(&shop).await?;
    shop.stripe.admin().fail_next("POST", "/v1/refunds", 1, FaultKind::HangAfter).await?;
    let claimed = db::claim_job(&shop.app.db, "a-worker", jobs::LEASE).await?.context("no job")?;
    let deadline = Instant::now() + Duration::from_secs(5);
    let outcome = worker(&shop, "worker")?.perform(&claimed, deadline).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(stored_job(&shop).await?, json!(["refund_payment", "queued", 1, 1]));
    let known = "select count(*) from public.refunds where stripe_refund_id is not null";
    assert_eq!(shop.database.value::<i64>(known, &[]).await?, 0);

    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await??["succeeded"], json!(1));
    assert_eq!((shop.refunds().await?.len(), shop.count("refunds").await?), (1, 1));
    let requests = job_requests(&shop).await?;
    assert!(requests.last().is_some_and(|request| request.replayed), "{requests:#?}");
    Ok(())
}

#[tokio::test]
async fn a_spent_key_is_followed_by_the_next_generation() -> Result<()> {
    let shop = Shop::open().await?;
    due_refund(&shop).await?;
    shop.stripe.admin().fail_next("POST", "/v1/refunds", 1, FaultKind::status(500)).await?;
    assert_eq!(work(&shop).await??["unsuccessful"], json!(1));
    assert_eq!(stored_job(&shop).await?, json!(["refund_payment", "queued", 1, 2]));
    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await??["succeeded"], json!(1));
    let keys: Vec<_> =
        job_requests(&shop).await?.into_iter().filter_map(|request| request.idempotency_key).collect();
    assert!(
        keys[0].ends_with(":refund_payment:1") && keys[keys.len() - 1].ends_with(":refund_payment:2"),
        "{keys:?}"
    );
    assert_eq!(shop.refunds().await?.len(), 1);
    assert_keys_are_never_reused(&shop).await
}

#[tokio::test]
async fn work_that_was_done_behind_a_stored_failure_is_found() -> Result<()> {
    for is_refund in [true, false] {
        let shop = Shop::open().await?;
        let path = if is_refund { "/v1/refunds" } else { "/v1/payment_intents" };
        if is_refund {
            due_refund(&shop).await?
        } else {
            due_cancellation(&shop).await?
        };
        let with_work = StatusFault { status: 500, with_work: true, ..StatusFault::default() };
        shop.stripe.admin().fail_next("POST", path, 1, FaultKind::Status(with_work)).await?;
        assert_eq!(work(&shop).await??, json!({"succeeded": 1, "unsuccessful": 0}));
        assert_eq!(shop.refunds().await?.len(), usize::from(is_refund));
        assert_keys_are_never_reused(&shop).await?;
        shop.database.assert_consistent().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refund_that_was_made_is_not_given_up_over_another_one() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    shop.refund(reservation_id, 100_000).await?;
    let unheard = StatusFault {
        status: 503,
        stored: Some(false),
        should_retry: Some(false),
        with_work: true,
        ..StatusFault::default()
    };
    shop.stripe.admin().fail_next("POST", "/v1/refunds", 1, FaultKind::Status(unheard)).await?;
    shop.work_off().await?;
    // Newer than ours, so that Stripe lists it first.
    shop.stripe_post("refunds", &[("payment_intent", &intent_id), ("amount", "50000")]).await?;
    let last_attempt = "update public.jobs set attempts = max_attempts - 1 where kind = 'refund_payment'";
    shop.database.execute(last_attempt, &[]).await?;
    shop.make_jobs_due().await?;
    shop.stripe.admin().fail_next("POST", "/v1/refunds", 1, FaultKind::status(500)).await?;
    shop.work_off().await?;

    let job = "select status from public.jobs where kind = 'refund_payment'";
    assert_eq!(shop.database.value::<String>(job, &[]).await?, "succeeded");
    let told = "select count(*) from public.notification_logs where kind = 'refund_failed'";
    assert_eq!(shop.database.value::<i64>(told, &[]).await?, 0);
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 150_000);
    assert_keys_are_never_reused(&shop).await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_stripe_refuses_is_asked_again_with_another_key_and_then_left_to_a_person() -> Result<()> {
    let shop = Shop::open().await?;
    due_refund(&shop).await?;
    let charges = shop.stripe_get("charges").await?;
    shop.stripe.admin().open_dispute(charges["data"][0]["id"].as_str().unwrap_or_default()).await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 1}));
    assert_eq!(stored_job(&shop).await?, json!(["refund_payment", "queued", 1, 2]));
    let error: String = shop.database.value("select last_error from public.jobs", &[]).await?;
    assert!(error.contains("charge_disputed"), "{error}");
    shop.database.assert_consistent().await?;

    shop.database.execute("update public.jobs set attempts = max_attempts - 1", &[]).await?;
    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 1}));
    assert_eq!(shop.jobs().await?, [job("refund_payment", "failed")]);
    // The money is still here without a booking, and that shows.
    assert_eq!(shop.database.violations().await?.len(), 1);
    assert_keys_are_never_reused(&shop).await
}

#[tokio::test]
async fn one_job_that_fails_does_not_stop_the_others() -> Result<()> {
    let shop = Shop::open().await?;
    due_cancellation(&shop).await?;
    due_refund(&shop).await?;
    shop.stripe.admin().fail_next("POST", "/v1/payment_intents", 1, final_failure()).await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 1, "unsuccessful": 1}));
    assert_eq!(
        shop.jobs().await?,
        [job("cancel_payment_intent", "queued"), job("refund_payment", "succeeded")]
    );
    Ok(())
}

#[tokio::test]
async fn while_stripe_is_only_away_there_is_always_another_attempt() -> Result<()> {
    let shop = Shop::open().await?;
    due_cancellation(&shop).await?;
    shop.database.execute("update public.jobs set attempts = max_attempts + 5", &[]).await?;
    shop.stripe.admin().fail_next("POST", "/v1/payment_intents", 1, final_failure()).await?;
    assert_eq!(work(&shop).await??["unsuccessful"], json!(1));
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await??["succeeded"], json!(1));
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "succeeded")]);
    Ok(())
}
