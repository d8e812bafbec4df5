//! The schedule's event, over a real database.

use std::time::Duration;

use anyhow::Result;
use kitloop::error::Error;
use serde_json::{Value, json};
use test_support::{Provider, Shop, TestApp, invocation, sample_event};
use uuid::Uuid;

use super::handle;

/// What the function gives back when its schedule invokes it.
async fn publish(shop: &Shop) -> Result<Result<Value, Error>> {
    let schedule = sample_event("publish_metrics/schedule.json")?;
    Ok(handle(&shop.app, invocation(schedule, Duration::from_secs(30))).await)
}

#[tokio::test]
async fn where_nothing_happened_yet_there_is_no_share_and_no_heartbeat() -> Result<()> {
    let shop = Shop::open().await?;
    assert_eq!(
        publish(&shop).await??,
        json!({
            "DeadLettersLast24h": 0.0, "HoldsExpiredLast24h": 0.0, "HoldsOpen": 0.0, "JobsDue": 0.0,
            "JobsFailedLastHour": 0.0, "JobsQueued": 0.0, "PaymentsFailedLast24h": 0.0,
            "PaymentsSucceededLast24h": 0.0, "SchedulesStale": 2.0, "WebhookFailedLastHour": 0.0,
        })
    );
    assert_eq!(shop.count("cron_runs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_happened_is_in_the_figures() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.execute("update public.gear_items set quantity_total = 9", &[]).await?;
    shop.paid().await?;
    shop.database.lapse(shop.hold_by(Uuid::new_v4()).await?).await?;
    shop.hold_by(Uuid::new_v4()).await?;
    for statement in [
        "insert into public.worker_heartbeats values ('run_jobs', clock_timestamp() - interval '90 seconds')",
        "insert into public.cron_runs (name, status, finished_at)
         values ('cleanup_reservation_holds', 'succeeded', clock_timestamp())",
        "insert into public.stripe_webhook_events (id, type, status, payload)
         values ('evt_0', 'payment_intent.payment_failed', 'failed', '{}')",
        "insert into public.stripe_webhook_events (id, type, status, decision, payload)
         select 'evt_' || n, 'payment_intent.succeeded', 'processed', 'confirmed', '{}' from generate_series(1, 3) n",
    ] {
        shop.database.execute(statement, &[]).await?;
    }
    let figures = publish(&shop).await??;
    let age = figures["WorkerHeartbeatAge"].as_f64().unwrap_or_default();
    assert!((90.0..120.0).contains(&age), "{figures}");
    for (name, value) in [
        ("HoldsOpen", 1.0),
        ("SchedulesStale", 1.0),
        ("WebhookFailedLastHour", 1.0),
        ("PaymentsFailedLast24h", 1.0),
        ("PaymentsSucceededLast24h", 3.0),
        ("PaymentSuccessRateLast24h", 75.0),
        ("HoldConversionLast24h", 100.0),
    ] {
        assert_eq!(figures[name], json!(value), "{name}: {figures}");
    }
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_the_schedule_hears_of_it() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    assert!(matches!(publish(&shop).await?, Err(Error::DatabaseUnavailable(_))));
    Ok(())
}
