//! Money that is handed over at the counter.

use anyhow::Result;
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, sample};

use super::{answer, assert_refunding, counter_call, owed, refund_call, stored};

#[tokio::test]
async fn the_sample_is_done_at_once() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.paid_at_the_counter().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("refund_reservation/at_the_counter.json", &replacements)?;
    let reply = answer(&shop, &sample.by(shop.staff_id)?).await?;
    assert_refunding(&reply, "succeeded", 50_000);
    assert_eq!(stored(&shop).await?, json!([[50_000, "succeeded", "requested", true]]));
    assert!(shop.jobs().await?.is_empty());
    assert!(shop.stripe.admin().requests().await?.is_empty());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_was_paid_at_the_counter_does_not_go_to_a_card() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.paid_at_the_counter().await?;
    let reply = answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?;
    ensure_problem(&reply, 409, "paid_offline", "to a card")?;
    assert_eq!(stored(&shop).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn what_was_paid_by_card_may_be_handed_over_and_counts() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    assert_refunding(
        &answer(&shop, &counter_call(&shop, reservation_id, 200_000)?).await?,
        "succeeded",
        200_000,
    );
    let reply = answer(&shop, &refund_call(&shop, reservation_id, 50_001)?).await?;
    ensure_problem(&reply, 409, "refund_exceeds_payment", "beyond what was handed over")?;
    assert_eq!(reply.at("/refundable_minor"), &json!(50_000));
    assert_refunding(&answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?, "pending", 50_000);
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 50_000);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_a_cancellation_owes_is_settled_at_the_counter() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.paid_at_the_counter().await?;
    let cancelled = "select outcome from kitloop.cancel_reservation($1, false, $2, null, false)";
    let outcome: String = shop.database.value(cancelled, &[&shop.staff_id, &reservation_id]).await?;
    assert_eq!((outcome.as_str(), owed(&shop).await?), ("cancelled", sample::AMOUNT_MINOR));

    let reply = answer(&shop, &counter_call(&shop, reservation_id, json!(null))?).await?;
    assert_refunding(&reply, "succeeded", sample::AMOUNT_MINOR);
    assert_eq!(owed(&shop).await?, 0);
    // The credit note is the cancellation's; handing the money over is none.
    assert_eq!(shop.count("credit_notes").await?, 1);
    let reply = answer(&shop, &counter_call(&shop, reservation_id, json!(null))?).await?;
    ensure_problem(&reply, 409, "already_refunded", "twice")?;
    shop.database.assert_consistent().await
}
