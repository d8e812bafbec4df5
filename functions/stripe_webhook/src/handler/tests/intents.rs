//! What each event of a payment intent means, and in which order they may come.

use anyhow::Result;
use serde_json::json;
use test_support::Shop;

use super::{Payment, deliver, job, logged};

#[tokio::test]
async fn succeeded_confirms() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_succeeded")?;
    deliver(&shop, &event, 200, "confirmed").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
    assert_eq!(logged(&shop, &event).await?, json!(["processed", "confirmed", 1, 0]));

    // The charge's own event, and another one that says the same, change nothing.
    deliver(&shop, &payment.event("charge_succeeded")?, 200, "ignored").await?;
    deliver(&shop, &event.renamed("evt_other"), 200, "already_confirmed").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
    assert!(shop.jobs().await?.is_empty());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_charge_alone_never_confirms() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    for sample in ["charge_succeeded_uncaptured", "charge_succeeded"] {
        deliver(&shop, &payment.event(sample)?, 200, "ignored").await?;
    }
    let untouched = json!(["hold", null, false, "requires_payment_method", 0]);
    assert_eq!(payment.stored(&shop).await?, untouched);
    Ok(())
}

#[tokio::test]
async fn an_uncaptured_charge_says_until_when_it_can_be_captured() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let payment = Payment::authorized(&shop).await?;
    let event = payment.event("charge_succeeded_uncaptured")?;
    let details = &event.payload["data"]["object"]["payment_method_details"]["card"]["capture_before"];
    let expected = details.as_i64().unwrap_or_default();
    deliver(&shop, &event, 200, "ignored").await?;
    let sql = "select extract(epoch from capture_before)::bigint from public.payments";
    assert_eq!(shop.database.value::<i64>(sql, &[]).await?, expected);
    assert_eq!(payment.stored(&shop).await?, json!(["authorized", null, false, "requires_capture", 0]));
    Ok(())
}

#[tokio::test]
async fn capturable_authorises_and_succeeded_then_confirms() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let payment = Payment::authorized(&shop).await?;
    assert_eq!(payment.stored(&shop).await?, json!(["authorized", null, false, "requires_capture", 0]));
    let again = payment.event("payment_intent_amount_capturable_updated")?.renamed("evt_again");
    deliver(&shop, &again, 200, "authorized").await?;
    deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "confirmed").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));

    // What was sent before the capture and arrives after it, is old.
    deliver(&shop, &again.renamed("evt_late"), 200, "stale").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_declined_card_keeps_the_hold_and_another_card_works() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    deliver(&shop, &payment.event("payment_intent_payment_failed")?, 200, "payment_failed").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["hold", null, false, "requires_payment_method", 0]));
    deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "confirmed").await?;
    assert_eq!(shop.database.status(payment.reservation_id).await?, "confirmed");
    Ok(())
}

#[tokio::test]
async fn what_is_under_way_is_noted_and_moves_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    for status in ["requires_action", "processing"] {
        deliver(&shop, &payment.event(&format!("payment_intent_{status}"))?, 200, status).await?;
        assert_eq!(payment.stored(&shop).await?, json!(["hold", null, false, status, 0]));
    }
    Ok(())
}

#[tokio::test]
async fn older_news_of_an_open_payment_is_stale() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let mut older = payment.event("payment_intent_requires_action")?;
    let newer = payment.event("payment_intent_processing")?;
    older.payload["created"] = json!(newer.payload["created"].as_i64().unwrap_or_default() - 1);
    deliver(&shop, &newer, 200, "processing").await?;
    deliver(&shop, &older, 200, "stale").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["hold", null, false, "processing", 0]));
    Ok(())
}

#[tokio::test]
async fn canceled_ends_a_hold_and_an_authorisation() -> Result<()> {
    for manual in [false, true] {
        let shop = if manual { Shop::open_manual().await? } else { Shop::open().await? };
        let payment = if manual { Payment::authorized(&shop).await? } else { Payment::start(&shop).await? };
        let event = payment.event("payment_intent_canceled")?;
        deliver(&shop, &event, 200, "payment_canceled").await?;
        let over = json!(["cancelled", "payment_canceled", false, "canceled", 0]);
        assert_eq!(payment.stored(&shop).await?, over);
        deliver(&shop, &event.renamed("evt_again"), 200, "payment_canceled").await?;
        assert_eq!(payment.stored(&shop).await?, over);
        shop.hold().await?;
        assert!(shop.jobs().await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn nothing_moves_an_intent_that_has_ended() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    for sample in [
        "payment_intent_canceled",
        "payment_intent_payment_failed",
        "payment_intent_processing",
        "payment_intent_requires_action",
        "payment_intent_amount_capturable_updated",
    ] {
        deliver(&shop, &payment.event(sample)?, 200, "stale").await?;
    }
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_event_that_overtakes_the_answer_of_the_creation_finds_its_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    // As it is between the creation at Stripe and our recording of it.
    shop.database.execute("update public.payments set payment_intent_id = null", &[]).await?;
    let metadata =
        shop.stripe_get(&format!("payment_intents/{}", payment.intent_id)).await?["metadata"].take();
    let event = payment.event("payment_intent_succeeded")?.with("metadata", metadata);
    deliver(&shop, &event, 200, "confirmed").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
    assert_eq!(shop.count("payments").await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn cash_at_the_counter_and_then_the_card_is_one_too_many() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let offline =
        "select outcome from kitloop.confirm_reservation($1, false, $2, 'confirm', null, 'function', 30)";
    shop.database.execute(offline, &[&shop.staff_id, &payment.reservation_id]).await?;
    deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "duplicate_payment").await?;
    assert_eq!(shop.database.status(payment.reservation_id).await?, "confirmed");
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued"), job("refund_payment", "queued")]);
    shop.database.assert_consistent().await
}
