//! The log of runs; runs that meet, run out of time or fail.

use std::time::Duration;

use anyhow::Result;
use kitloop::error::Error;
use serde_json::{Value, json};
use stripe_stand_in::{FaultKind, StatusFault};
use test_support::door::ensure_problem;
use test_support::{Provider, Shop, TestApp, sample_event};

use super::{answer, logged_runs, run, run_with, until_now, window_call};

#[tokio::test]
async fn a_run_is_logged_with_what_it_did() -> Result<()> {
    let shop = Shop::open().await?;
    shop.hold_paid_at_stripe().await?;
    let done = run(&shop).await??;
    let sql = "select jsonb_build_array(id, status, result) from public.cron_runs";
    let logged: Value = shop.database.value(sql, &[]).await?;
    assert_eq!(logged, json!([done["cron_run_id"], "succeeded", done]));
    let id: String = shop.database.value("select id::text from public.reconciliations", &[]).await?;
    assert_eq!(done["reconciliation_id"], json!(id));
    Ok(())
}

#[tokio::test]
async fn while_another_is_at_it_nobody_else_begins() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    // An invocation that died a moment ago, or is slow.
    let other = "select outcome from kitloop.start_reconciliation(
        clock_timestamp() - interval '1 day', clock_timestamp(), 60)";
    assert_eq!(shop.database.value::<String>(other, &[]).await?, "started");
    let refused = run(&shop).await?;
    assert!(matches!(refused, Err(Error::Refused(refusal)) if refusal.code.as_str() == "already_running"));
    let reply = answer(&shop, &window_call(&json!({}))).await?;
    ensure_problem(&reply, 409, "already_running", "over HTTP")?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    assert_eq!(logged_runs(&shop).await?, json!([["failed", false, true], ["failed", false, true]]));

    // Its lease runs out, and its work is taken over.
    let lapse = "update public.reconciliations set lease_until = clock_timestamp() - interval '1 second'";
    shop.database.execute(lapse, &[]).await?;
    assert_eq!(run(&shop).await??["is_partial"], json!(false));
    assert_eq!(shop.count("reconciliations").await?, 1);
    Ok(())
}

#[tokio::test]
async fn when_time_runs_out_the_next_run_goes_on() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    let schedule = sample_event("reconcile_payments/schedule.json")?;
    let first = run_with(&shop, schedule, Duration::from_secs(7)).await??;
    assert_eq!((&first["is_partial"], &first["examined_count"]), (&json!(true), &json!(0)), "{first:#}");
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    let second = run(&shop).await??;
    assert_eq!(second["reconciliation_id"], first["reconciliation_id"]);
    assert_eq!(second["is_partial"], json!(false));
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    Ok(())
}

/// A failure on Stripe's side that it says not to repeat, so that the test need not wait.
fn final_failure() -> FaultKind {
    FaultKind::Status(StatusFault { status: 500, should_retry: Some(false), ..StatusFault::default() })
}

#[tokio::test]
async fn with_stripe_away_the_schedule_hears_of_it_and_the_next_run_goes_on() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    let admin = shop.stripe.admin();
    for path in ["/v1/events", "/v1/payment_intents", "/v1/checkout/sessions", "/v1/refunds", "/v1/disputes"]
    {
        admin.fail_next("GET", path, 10, final_failure()).await?;
        assert!(matches!(run(&shop).await?, Err(Error::StripeUnavailable(_))), "{path}");
        admin.clear_faults().await?;
    }
    admin.fail_next("GET", "/v1/disputes", 10, final_failure()).await?;
    let reply = answer(&shop, &window_call(&json!({}))).await?;
    ensure_problem(&reply, 503, "stripe_unavailable", "over HTTP")?;
    admin.clear_faults().await?;

    let done = run(&shop).await??;
    assert_eq!(done["is_partial"], json!(false));
    assert_eq!(shop.count("reconciliations").await?, 1, "it went on with the page that failed");
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_page_that_is_gone_at_stripe_keeps_nobody_waiting_for_ever() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    // It stopped after an event that Stripe does not keep any more.
    let stopped = "insert into public.reconciliations (from_at, to_at, is_by_hand, cursor)
        values (clock_timestamp() - interval '1 day', clock_timestamp(), false, 'evt_gone')";
    shop.database.execute(stopped, &[]).await?;
    assert!(matches!(run(&shop).await?, Err(Error::StripeRefused(_))));
    assert_eq!(run(&shop).await??["is_partial"], json!(false));
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_the_schedule_hears_of_it() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    assert!(matches!(run(&shop).await?, Err(Error::DatabaseUnavailable(_))));
    let reply = answer(&shop, &window_call(&until_now())).await?;
    ensure_problem(&reply, 503, "database_unavailable", "over HTTP")?;
    assert!(!reply.body.to_string().contains("hunter2"));
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}
