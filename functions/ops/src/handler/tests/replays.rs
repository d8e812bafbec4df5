//! Events that an operator has run again.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, StripeEvent};

use super::{answer, audited, deliver, failed_event, post};

fn replay_path(event: &StripeEvent) -> String {
    format!("/ops/webhook-events/{}/replay", event.id())
}

/// What the log says of an event: (status, decision, attempts, replays, whether the replay has a time).
async fn logged(shop: &Shop, event: &StripeEvent) -> Result<Value> {
    let sql =
        "select jsonb_build_array(status, decision, attempts, replay_count, last_replayed_at is not null)
        from public.stripe_webhook_events where id = $1";
    shop.database.value(sql, &[&event.id()]).await
}

#[tokio::test]
async fn a_failed_event_takes_effect_when_it_is_replayed() -> Result<()> {
    let shop = Shop::open().await?;
    let event = failed_event(&shop).await?;
    assert_eq!(logged(&shop, &event).await?, json!(["failed", null, 1, 0, false]));

    let reply = answer(&shop, &post(&replay_path(&event), "Ada")).await?;
    assert_eq!((reply.status, reply.at("/decision")), (200, &json!("confirmed")), "{}", reply.body);
    assert_eq!(reply.at("/event_id"), event.id());
    assert_eq!(logged(&shop, &event).await?, json!(["processed", "confirmed", 2, 1, true]));
    let reservation_id = reply.at("/reservation_id").as_str().unwrap_or_default().parse()?;
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    let entry = json!(["operator:Ada", "webhook_event_replay", {"event_id": event.id(), "status": "failed"}]);
    assert_eq!(audited(&shop).await?, json!([entry]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_processed_event_answers_replay_and_is_counted_once() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    let event =
        StripeEvent::sample("payment_intent_succeeded", &intent_id, reservation_id, shop.provider_id)?;
    assert!(deliver(&shop, &event).await?);
    for replays in 1..=2 {
        let reply = answer(&shop, &post(&replay_path(&event), "Ada")).await?;
        assert_eq!((reply.status, reply.at("/decision")), (200, &json!("replay")));
        assert_eq!(reply.at("/reservation_id"), &json!(reservation_id));
        assert_eq!(logged(&shop, &event).await?, json!(["processed", "confirmed", 1, replays, true]));
    }
    assert_eq!(shop.count("audit_logs").await?, 2);
    Ok(())
}

#[tokio::test]
async fn an_event_that_fails_again_is_audited_and_counted_all_the_same() -> Result<()> {
    let shop = Shop::open().await?;
    let event = failed_event(&shop).await?;
    super::put_up_obstacle(&shop).await?;
    let reply = answer(&shop, &post(&replay_path(&event), "Ada")).await?;
    ensure_problem(&reply, 500, "internal_error", "it fails again")?;
    assert_eq!(logged(&shop, &event).await?, json!(["failed", null, 2, 1, true]));
    assert_eq!(shop.count("audit_logs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_event_that_never_came_cannot_be_replayed() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("ops/replay_event.json", &[])?.bearer(test_support::ADMIN_TOKEN);
    ensure_problem(&answer(&shop, &sample).await?, 404, "event_not_found", "unknown")?;
    assert_eq!(shop.count("audit_logs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn nobody_writes_without_a_name() -> Result<()> {
    let shop = Shop::open().await?;
    let event = failed_event(&shop).await?;
    let dead_letter = format!("/ops/dead-letters/{}/replay", uuid::Uuid::nil());
    for path in [replay_path(&event), "/ops/consistency".to_owned(), dead_letter] {
        for operator in ["", "   ", &"x".repeat(101), "A\tda", "Žofie"] {
            let reply = answer(&shop, &post(&path, operator)).await?;
            ensure_problem(&reply, 400, "invalid_request", operator)?;
            assert_eq!(reply.invalid_fields(), ["x-operator"]);
        }
        let nameless = post(&path, "Ada").without_header("x-operator");
        ensure_problem(&answer(&shop, &nameless).await?, 400, "invalid_request", "no name")?;
    }
    assert_eq!(logged(&shop, &event).await?, json!(["failed", null, 1, 0, false]));
    assert_eq!(shop.count("audit_logs").await?, 0);
    let longest = answer(&shop, &post(&replay_path(&event), &"x".repeat(100))).await?;
    assert_eq!(longest.status, 200, "{}", longest.body);
    Ok(())
}
