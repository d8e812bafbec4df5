//! What operators see of the functions' work, and do about it.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use test_support::{ADMIN_TOKEN, Gear, HttpCall, Provider, wait_until};
use uuid::Uuid;

use super::lambda::Function;
use super::product::{Product, start_payment};

/// What an operator sees there.
async fn see(ops: &Function, path: &str, query: &str) -> Result<Value> {
    let call = HttpCall::new("GET", path).set("/rawQueryString", query.into()).bearer(ADMIN_TOKEN);
    let reply = ops.call(&call).await?;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    Ok(reply.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_a_failed_event_and_has_it_run_again() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let reservation_id = product.hold(shop, customer).await?;
    // Something that should be impossible: the webhook's operation raises.
    let obstacle =
        "alter table public.reservations add constraint obstacle check (status <> 'confirmed') not valid";
    product.database.execute(obstacle, &[]).await?;
    let webhook = product.run_webhook().await?;
    let pay = product.run("create_payment_intent").await?;
    product.pay(&pay.call(&start_payment(reservation_id, customer)?).await?.body, "pm_card_visa").await?;

    let ops = product.run("ops").await?;
    wait_until("an event failed", async || {
        Ok(see(&ops, "/ops/metrics", "").await?["webhook_failed_last_hour"] == 1)
    })
    .await?;
    // So that no further delivery of Stripe's comes first.
    webhook.kill();
    product.database.execute("alter table public.reservations drop constraint obstacle", &[]).await?;

    let failed = see(&ops, "/ops/webhook-events", "status=failed&limit=1").await?;
    let event_id = failed.pointer("/items/0/id").and_then(Value::as_str).context("no failed event")?;
    let replay = HttpCall::new("POST", &format!("/ops/webhook-events/{event_id}/replay"))
        .bearer(ADMIN_TOKEN)
        .header("x-operator", "Ada");
    assert_eq!(ops.call(&replay).await?.body["decision"], "confirmed");
    assert_eq!(ops.call(&replay).await?.body["decision"], "replay");
    assert_eq!(product.database.status(reservation_id).await?, "confirmed");
    assert_eq!(see(&ops, "/ops/webhook-events", "status=failed").await?["items"], json!([]));
    assert_eq!(see(&ops, "/ops/consistency", "").await?, json!({"consistent": true, "violations": []}));
    let output = ops.output()?;
    assert!(!output.contains(ADMIN_TOKEN) && !output.contains("Ada"), "{output}");
    Ok(())
}
