//! The log of events: each has its effect once, and what failed runs again.

use anyhow::Result;
use kitloop::db::{self, AppliedEvent};
use kitloop::domain::{Decision, Fact, PaymentStatus};
use kitloop::error::Error;
use serde_json::json;

use super::shop::Shop;

/// Delivers one event.
async fn deliver(shop: &Shop, event_id: &str, fact: Option<&Fact>) -> Result<AppliedEvent, Error> {
    db::apply_stripe_event(&shop.db, event_id, "test.event", &json!({"id": event_id}), fact).await
}

/// The log's entry of an event: status, decision, attempts, replays, error.
async fn entry(shop: &Shop, event_id: &str) -> Result<String> {
    let sql = "select concat_ws(' ', status, coalesce(decision, '-'), attempts, replay_count,
            (last_replayed_at is not null)::text, last_error)
        from public.stripe_webhook_events where id = $1";
    shop.database.value(sql, &[&event_id]).await
}

#[tokio::test]
async fn an_event_has_its_effect_once_and_its_replays_are_counted() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    assert_eq!(deliver(&shop, "evt_1", Some(&fact)).await?.decision, Decision::Confirmed);
    assert_eq!(entry(&shop, "evt_1").await?, "processed confirmed 1 0 false");
    for _ in 0..2 {
        let replay = deliver(&shop, "evt_1", Some(&fact)).await?;
        assert_eq!((replay.decision, replay.reservation_id), (Decision::Replay, Some(hold.id)));
    }
    assert_eq!(entry(&shop, "evt_1").await?, "processed confirmed 1 2 true");
    assert_eq!(deliver(&shop, "evt_2", Some(&fact)).await?.decision, Decision::AlreadyConfirmed);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_event_that_means_nothing_to_us_is_logged() -> Result<()> {
    let shop = Shop::open().await?;
    assert_eq!(deliver(&shop, "evt_1", None).await?.decision, Decision::Ignored);
    assert_eq!(entry(&shop, "evt_1").await?, "ignored ignored 1 0 false");
    assert_eq!(deliver(&shop, "evt_1", None).await?.decision, Decision::Replay);
    Ok(())
}

#[tokio::test]
async fn an_event_that_failed_runs_again() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    db::fail_stripe_event(&shop.db, "evt_1", "test.event", &json!({}), "57014: too slow").await?;
    assert_eq!(entry(&shop, "evt_1").await?, "failed - 1 0 false 57014: too slow");
    db::fail_stripe_event(&shop.db, "evt_1", "test.event", &json!({}), "08006: away").await?;
    assert_eq!(entry(&shop, "evt_1").await?, "failed - 2 0 false 08006: away");
    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    assert_eq!(deliver(&shop, "evt_1", Some(&fact)).await?.decision, Decision::Confirmed);
    assert_eq!(entry(&shop, "evt_1").await?, "processed confirmed 3 0 false");
    Ok(())
}

#[tokio::test]
async fn a_processed_event_cannot_be_marked_failed() -> Result<()> {
    let shop = Shop::open().await?;
    for (event_id, fact) in [
        (
            "evt_1",
            Some(Fact::PaymentIntent(shop.intent(&shop.hold().await?, "pi_1", PaymentStatus::Succeeded))),
        ),
        ("evt_2", None),
    ] {
        deliver(&shop, event_id, fact.as_ref()).await?;
        let before = entry(&shop, event_id).await?;
        db::fail_stripe_event(&shop.db, event_id, "test.event", &json!({}), "too late").await?;
        assert_eq!(entry(&shop, event_id).await?, before);
    }
    Ok(())
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_leaves_nothing_behind() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let mut intent = shop.intent(&hold, "pi_1", PaymentStatus::Succeeded);
    // No payment of ours has a capture method like this: the constraint on the table refuses the row.
    intent.capture_method = Some("surprise".to_owned());
    let outcome = deliver(&shop, "evt_1", Some(&Fact::PaymentIntent(intent))).await;
    assert!(matches!(outcome, Err(Error::Database(_))), "{outcome:?}");
    assert_eq!(
        shop.database.value::<i64>("select count(*) from public.stripe_webhook_events", &[]).await?,
        0
    );
    assert_eq!(shop.state(&hold).await?, "hold");
    Ok(())
}
