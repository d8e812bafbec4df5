//! Lists in pages, newest first.

use anyhow::Result;
use serde_json::json;
use test_support::{HttpCall, Shop, StripeEvent};
use uuid::Uuid;

use super::{answer, deliver, each, failed_event, pages, post, see};

/// An event that nothing is done about, logged under this id.
async fn ignored_event(shop: &Shop, id: &str) -> Result<()> {
    let event = StripeEvent::new("customer.created", json!({"object": "customer", "id": "cus_1"}));
    assert!(deliver(shop, &event.renamed(id)).await?);
    Ok(())
}

#[tokio::test]
async fn events_come_in_pages_newest_first_each_once() -> Result<()> {
    let shop = Shop::open().await?;
    for id in ["evt_c", "evt_a", "evt_b"] {
        ignored_event(&shop, id).await?;
    }
    let ids = pages(&shop, "/ops/webhook-events?limit=2", "id").await?;
    assert_eq!(json!(ids), json!([["evt_b", "evt_a"], ["evt_c"]]));
    let at_once = pages(&shop, "/ops/webhook-events?limit=3", "id").await?;
    assert_eq!(json!(at_once), json!([["evt_b", "evt_a", "evt_c"]]), "a full last page has none after it");
    // Of the same instant: the ids decide, and still each comes once.
    shop.database.execute("update public.stripe_webhook_events set created_at = now()", &[]).await?;
    let ids = pages(&shop, "/ops/webhook-events?limit=1", "id").await?;
    assert_eq!(json!(ids), json!([["evt_c"], ["evt_b"], ["evt_a"]]));
    Ok(())
}

#[tokio::test]
async fn failed_events_are_told_from_the_others() -> Result<()> {
    let shop = Shop::open().await?;
    let failed = failed_event(&shop).await?;
    ignored_event(&shop, "evt_ignored").await?;
    let sample = HttpCall::sample("ops/failed_events.json", &[])?.bearer(test_support::ADMIN_TOKEN);
    let page = answer(&shop, &sample).await?.body;
    assert_eq!(each(&page, "id")?, [failed.id()]);
    assert!(page["items"][0]["last_error"].as_str().is_some_and(|error| error.contains("23514")), "{page}");
    assert_eq!(page["items"][0]["object_id"], failed.payload["data"]["object"]["id"]);
    assert!(page["items"][0].get("payload").is_none());

    for (query, ids) in [
        ("status=ignored", vec!["evt_ignored"]),
        ("status=processed", vec![]),
        ("type=customer.created", vec!["evt_ignored"]),
        ("status=failed&type=customer.created", vec![]),
        ("", vec!["evt_ignored", failed.id()]),
    ] {
        assert_eq!(each(&see(&shop, &format!("/ops/webhook-events?{query}")).await?, "id")?, ids, "{query}");
    }
    answer(&shop, &post(&format!("/ops/webhook-events/{}/replay", failed.id()), "Ada")).await?;
    let reservation: Uuid = shop.database.value("select id from public.reservations", &[]).await?;
    let page = see(&shop, &format!("/ops/webhook-events?reservation_id={reservation}")).await?;
    assert_eq!(each(&page, "id")?, [failed.id()]);
    Ok(())
}

#[tokio::test]
async fn addresses_in_error_messages_are_masked() -> Result<()> {
    let shop = Shop::open().await?;
    failed_event(&shop).await?;
    let sql =
        "update public.stripe_webhook_events set last_error = 'no mailbox <ema.mala@private.example> there'";
    shop.database.execute(sql, &[]).await?;
    let page = see(&shop, "/ops/webhook-events").await?;
    assert_eq!(each(&page, "last_error")?, ["no mailbox <***> there"]);
    Ok(())
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what() -> Result<()> {
    let shop = Shop::open().await?;
    let failed = failed_event(&shop).await?;
    answer(&shop, &post("/ops/consistency", "Ada")).await?;
    for operator in ["Bob", "Eve"] {
        answer(&shop, &post(&format!("/ops/webhook-events/{}/replay", failed.id()), operator)).await?;
    }
    let actors = pages(&shop, "/ops/audit?limit=2", "actor").await?;
    assert_eq!(json!(actors), json!([["operator:Eve", "operator:Bob"], ["operator:Ada"]]));
    let page = see(&shop, "/ops/audit?action=consistency_repair").await?;
    assert_eq!(each(&page, "actor")?, ["operator:Ada"]);
    let reservation: Uuid = shop.database.value("select id from public.reservations", &[]).await?;
    let page = see(&shop, &format!("/ops/audit?reservation_id={reservation}")).await?;
    assert_eq!(each(&page, "actor")?, ["operator:Eve"], "only then it was known what the event is about");
    Ok(())
}
