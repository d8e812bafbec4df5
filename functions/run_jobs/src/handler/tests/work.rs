//! Jobs that are done at Stripe, and jobs whose reason is gone.

use std::time::Duration;

use anyhow::Result;
use kitloop::error::Error;
use serde_json::{Value, json};
use test_support::{Provider, Shop, TestApp, sample};

use super::{assert_keys_are_never_reused, due_cancellation, due_refund, job, job_requests, work, work_for};

#[tokio::test]
async fn the_intent_of_an_expired_hold_is_cancelled() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = due_cancellation(&shop).await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 1, "unsuccessful": 0}));
    assert_eq!(shop.intents().await?, [(intent_id, "canceled".to_owned())]);
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "succeeded")]);
    assert_eq!(shop.database.status(reservation_id).await?, "expired");
    let status: String = shop.database.value("select status from public.payments", &[]).await?;
    assert_eq!(status, "canceled");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_whose_stock_was_gone_goes_back_once() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = due_refund(&shop).await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 1, "unsuccessful": 0}));
    assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 0}));
    let refunds = shop.stripe_get("refunds").await?;
    assert_eq!(refunds["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(refunds["data"][0]["amount"], json!(sample::AMOUNT_MINOR));
    assert_eq!(refunds["data"][0]["payment_intent"], json!(intent_id));
    assert_eq!(refunds["data"][0]["metadata"]["reservation_id"], json!(reservation_id));

    let sql = "select jsonb_build_array(stripe_refund_id, amount_minor, status) from public.refunds";
    let stored: Value = shop.database.value(sql, &[]).await?;
    assert_eq!(stored, json!([refunds["data"][0]["id"], sample::AMOUNT_MINOR, "succeeded"]));
    assert_eq!(shop.jobs().await?, [job("refund_payment", "succeeded")]);
    let job_id: String = shop.database.value("select id::text from public.jobs", &[]).await?;
    let requests = job_requests(&shop).await?;
    assert_eq!(requests[0].idempotency_key, Some(format!("{job_id}:refund_payment:1")));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn only_what_has_not_gone_back_yet_is_refunded() -> Result<()> {
    let shop = Shop::open().await?;
    let (_, intent_id) = due_refund(&shop).await?;
    shop.stripe_post("refunds", &[("payment_intent", &intent_id), ("amount", "100000")]).await?;
    // The worker learns of it when Stripe refuses to refund it all.
    assert_eq!(work(&shop).await??["unsuccessful"], json!(1));
    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await??["succeeded"], json!(1));
    let requests = job_requests(&shop).await?;
    let asked: Vec<_> = requests.iter().map(|request| &request.params["amount"]).collect();
    assert_eq!(asked, [&json!("250000"), &json!("150000")]);
    assert_keys_are_never_reused(&shop).await?;
    let charge = &shop.stripe_get("charges").await?["data"][0];
    assert_eq!(
        (&charge["amount_refunded"], &charge["refunded"]),
        (&json!(sample::AMOUNT_MINOR), &json!(true))
    );
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_authorisation_that_was_declined_is_released() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let decline = "update public.reservations set status = 'cancelled', cancel_reason = 'declined'";
    shop.database.execute(decline, &[]).await?;
    shop.database
        .execute("select kitloop.enqueue_job('cancel_payment_intent', id) from public.payments", &[])
        .await?;
    assert_eq!(work(&shop).await??["succeeded"], json!(1));
    assert_eq!(shop.intents().await?, [(intent_id, "canceled".to_owned())]);
    assert_eq!(shop.database.status(reservation_id).await?, "cancelled");
    let reason: String = shop.database.value("select cancel_reason from public.reservations", &[]).await?;
    assert_eq!(reason, "declined");
    Ok(())
}

#[tokio::test]
async fn a_job_whose_reason_is_gone_is_not_done() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = due_cancellation(&shop).await?;
    // Paid late, with its stock free: there is nothing to cancel any more.
    shop.pay_with(&intent_id, "pm_card_visa").await?;
    shop.confirm_by(shop.customer_id, reservation_id).await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 0}));
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "obsolete")]);
    assert!(job_requests(&shop).await?.is_empty());
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    Ok(())
}

#[tokio::test]
async fn an_authorisation_that_came_late_and_was_taken_is_not_released() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = due_cancellation(&shop).await?;
    shop.pay_with(&intent_id, "pm_card_visa").await?;
    shop.confirm_by(shop.customer_id, reservation_id).await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 0}));
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "obsolete")]);
    assert_eq!(shop.intents().await?, [(intent_id, "requires_capture".to_owned())]);
    assert_eq!(shop.database.status(reservation_id).await?, "authorized");
    Ok(())
}

#[tokio::test]
async fn an_intent_that_was_paid_before_it_could_be_cancelled_counts_as_a_late_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = due_cancellation(&shop).await?;
    shop.pay_with(&intent_id, "pm_card_visa").await?;
    assert_eq!(work(&shop).await??["succeeded"], json!(1));
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    assert_eq!(shop.intents().await?, [(intent_id, "succeeded".to_owned())]);
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "succeeded")]);
    assert_keys_are_never_reused(&shop).await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_worker_says_that_it_lives_also_when_there_is_nothing_to_do() -> Result<()> {
    let shop = Shop::open().await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 0}));
    let sql = "select count(*) from public.worker_heartbeats where beat_at > now() - interval '10 seconds'";
    assert_eq!(shop.database.value::<i64>(sql, &[]).await?, 1);
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn near_its_end_an_invocation_begins_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    due_cancellation(&shop).await?;
    assert_eq!(work_for(&shop, Duration::from_secs(13)).await??, json!({"succeeded": 0, "unsuccessful": 0}));
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    assert_eq!(shop.count("worker_heartbeats").await?, 1);
    assert!(job_requests(&shop).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_job_that_appears_during_an_invocation_is_done_in_it() -> Result<()> {
    let shop = Shop::open().await?;
    let working = async { work_for(&shop, Duration::from_millis(14_800)).await };
    let appearing = async {
        test_support::wait_until("a heartbeat", async || Ok(shop.count("worker_heartbeats").await? == 1))
            .await?;
        due_cancellation(&shop).await
    };
    let (done, appeared) = tokio::join!(working, appearing);
    appeared?;
    assert_eq!(done??, json!({"succeeded": 1, "unsuccessful": 0}));
    Ok(())
}

#[tokio::test]
async fn a_run_is_logged_with_what_it_did_also_when_it_fails() -> Result<()> {
    let shop = Shop::open().await?;
    due_cancellation(&shop).await?;
    let obstacle = "alter table public.jobs add constraint obstacle check (status <> 'running') not valid";
    shop.database.execute(obstacle, &[]).await?;
    assert!(matches!(work(&shop).await?, Err(Error::Database(_))));
    shop.database.execute("alter table public.jobs drop constraint obstacle", &[]).await?;
    let done = work(&shop).await??;

    let sql = "select jsonb_agg(jsonb_build_array(status, result, error is not null) order by started_at)
        from public.cron_runs where name = 'run_jobs' and finished_at is not null";
    let runs: Value = shop.database.value(sql, &[]).await?;
    assert_eq!(runs, json!([["failed", null, true], ["succeeded", done, false]]));
    assert_eq!(done["succeeded"], json!(1));
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_the_schedule_hears_of_it() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    assert!(matches!(work(&shop).await?, Err(Error::DatabaseUnavailable(_))));
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}
