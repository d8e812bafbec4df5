//! Metrics, counts and statistics.

use anyhow::Result;
use kitloop::app::expire;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{Provider, Shop, StripeEvent};
use uuid::Uuid;

use super::{answer, deliver, failed_event, get, see};

/// A payment of a new hold that Stripe tells of, by a sample event.
async fn hear_of_payment(shop: &Shop, sample: &str) -> Result<Uuid> {
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    let event = StripeEvent::sample(sample, &intent_id, reservation_id, shop.provider_id)?;
    // The samples of one type have one id.
    assert!(deliver(shop, &event.renamed(&format!("evt_{reservation_id}"))).await?);
    Ok(reservation_id)
}

/// More of the item than any test needs.
async fn stock_up(shop: &Shop) -> Result<()> {
    shop.database.execute("update public.gear_items set quantity_total = 9", &[]).await.map(drop)
}

#[tokio::test]
async fn an_empty_product_has_figures_too() -> Result<()> {
    let shop = Shop::open().await?;
    let mut metrics = see(&shop, "/ops/metrics").await?;
    assert!(metrics["checked_at"].take().is_string());
    let never = json!({"ok": false, "last_status": null, "last_started_at": null, "last_succeeded_at": null});
    assert_eq!(
        metrics,
        json!({
            "checked_at": null, "worker_ok": false, "worker_last_heartbeat": null,
            "queue_depth": {"queued": 0, "running": 0, "due": 0}, "recovered_last_summary": null,
            "jobs_failed_last_hour": 0, "webhook_failed_last_hour": 0, "dead_letters_last_24h": 0,
            "holds": {"open": 0, "created_last_24h": 0, "expired_last_24h": 0, "conversion_last_24h": null},
            "payments": {"succeeded_last_24h": 0, "failed_last_24h": 0, "success_rate_last_24h": null},
            "cron": {"cleanup_reservation_holds": never, "reconcile_payments": never},
        })
    );
    Ok(())
}

#[tokio::test]
async fn a_worker_is_well_while_it_beats() -> Result<()> {
    let shop = Shop::open().await?;
    for (seconds, is_ok) in [(50, true), (70, false)] {
        let sql = format!(
            "insert into public.worker_heartbeats values ('w', clock_timestamp() - interval '{seconds} seconds')
            on conflict (worker) do update set beat_at = excluded.beat_at"
        );
        shop.database.execute(&sql, &[]).await?;
        let metrics = see(&shop, "/ops/metrics").await?;
        assert_eq!(metrics["worker_ok"], is_ok, "silent for {seconds} s");
        assert!(metrics["worker_last_heartbeat"].is_string());
    }
    Ok(())
}

#[tokio::test]
async fn a_schedule_is_well_while_its_runs_succeed_in_time() -> Result<()> {
    let shop = Shop::open().await?;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    expire::expire_holds(&shop.app.db, deadline).await?;
    let sweep =
        async || anyhow::Ok(see(&shop, "/ops/metrics").await?["cron"]["cleanup_reservation_holds"].take());
    assert_eq!((&sweep().await?["ok"], &sweep().await?["last_status"]), (&json!(true), &json!("succeeded")));
    shop.database
        .execute("insert into public.cron_runs (name) values ('cleanup_reservation_holds')", &[])
        .await?;
    assert_eq!((&sweep().await?["ok"], &sweep().await?["last_status"]), (&json!(true), &json!("running")));
    let sql = "update public.cron_runs set finished_at = finished_at - interval '16 minutes'";
    shop.database.execute(sql, &[]).await?;
    assert_eq!(sweep().await?["ok"], false);

    let sql = "insert into public.cron_runs (name, status, finished_at, result)
        values ('reconcile_payments', 'succeeded', now(), '{\"mended_count\": 2, \"findings\": [{}]}')";
    shop.database.execute(sql, &[]).await?;
    let metrics = see(&shop, "/ops/metrics").await?;
    assert_eq!(metrics["recovered_last_summary"]["mended_count"], 2);
    assert!(metrics["recovered_last_summary"].get("findings").is_none());
    assert_eq!(metrics["cron"]["reconcile_payments"]["ok"], true);
    Ok(())
}

#[tokio::test]
async fn what_failed_lately_is_counted() -> Result<()> {
    let shop = Shop::open().await?;
    stock_up(&shop).await?;
    failed_event(&shop).await?;
    let reservation_id = shop.hold_with_intent().await?.0;
    shop.database.lapse(reservation_id).await?;
    shop.database.execute("select kitloop.expire_holds(10)", &[]).await?;
    let figures = async || {
        let metrics = see(&shop, "/ops/metrics").await?;
        let names = ["webhook_failed_last_hour", "jobs_failed_last_hour", "dead_letters_last_24h"];
        anyhow::Ok((metrics["queue_depth"]["queued"].clone(), names.map(|name| metrics[name].clone())))
    };
    assert_eq!(figures().await?, (json!(1), [1, 0, 0].map(Value::from)));
    shop.database.execute("select kitloop.fail_job(id, 'gone') from public.jobs", &[]).await?;
    assert_eq!(figures().await?, (json!(0), [1, 1, 1].map(Value::from)));
    let earlier = "update public.job_dead_letters set died_at = died_at - interval '2 hours'";
    shop.database.execute(earlier, &[]).await?;
    let earlier = "update public.stripe_webhook_events set created_at = created_at - interval '2 hours'";
    shop.database.execute(earlier, &[]).await?;
    assert_eq!(figures().await?, (json!(0), [0, 0, 1].map(Value::from)));
    Ok(())
}

#[tokio::test]
async fn holds_and_payments_are_figured_out() -> Result<()> {
    let shop = Shop::open().await?;
    stock_up(&shop).await?;
    let lapsed = shop.hold().await?;
    shop.database.lapse(lapsed).await?;
    shop.database.execute("select kitloop.expire_holds(10)", &[]).await?;
    for _ in 0..2 {
        hear_of_payment(&shop, "payment_intent_succeeded").await?;
    }
    hear_of_payment(&shop, "payment_intent_payment_failed").await?;
    let metrics = see(&shop, "/ops/metrics").await?;
    assert_eq!(
        metrics["holds"],
        json!({"open": 1, "created_last_24h": 4, "expired_last_24h": 1, "conversion_last_24h": 0.6667})
    );
    assert_eq!(
        metrics["payments"],
        json!({"succeeded_last_24h": 2, "failed_last_24h": 1, "success_rate_last_24h": 0.6667})
    );
    Ok(())
}

#[tokio::test]
async fn counts_and_statistics_are_of_one_provider_or_of_all() -> Result<()> {
    let shop = Shop::open().await?;
    stock_up(&shop).await?;
    let other = Provider::default().insert(&shop.database).await?;
    shop.hold().await?;
    hear_of_payment(&shop, "payment_intent_succeeded").await?;
    for query in [String::new(), format!("?provider_id={}", shop.provider_id)] {
        let counts = see(&shop, &format!("/ops/counts{query}")).await?;
        assert_eq!(counts["reservations"], json!({"hold": 1, "confirmed": 1}), "{query}");
        assert_eq!((&counts["gear_items"], &counts["customers"]), (&json!(1), &json!(1)), "{query}");
        assert_eq!((&counts["payments"], &counts["refunds"]), (&json!({"succeeded": 1}), &json!({})));
        let stats = see(&shop, &format!("/ops/reservation-stats{query}")).await?;
        assert_eq!(
            (&stats["created"], &stats["paid"], &stats["conversion"]),
            (&json!(2), &json!(1), &json!(1.0))
        );
        assert_eq!(stats["by_status"], json!({"hold": 1, "confirmed": 1}), "{query}");
    }
    let counts = see(&shop, &format!("/ops/counts?provider_id={other}")).await?;
    assert_eq!((&counts["reservations"], &counts["gear_items"]), (&json!({}), &json!(0)));
    let stats = see(&shop, &format!("/ops/reservation-stats?provider_id={other}&days=1")).await?;
    assert_eq!(
        (&stats["created"], &stats["conversion"], &stats["days"]),
        (&json!(0), &json!(null), &json!(1))
    );
    for path in ["counts", "reservation-stats"] {
        let reply = answer(&shop, &get(&format!("/ops/{path}?provider_id={}", Uuid::new_v4()))).await?;
        ensure_problem(&reply, 404, "provider_not_found", path)?;
    }
    Ok(())
}
