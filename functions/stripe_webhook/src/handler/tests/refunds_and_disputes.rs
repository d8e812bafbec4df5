//! Refunds, charges and disputes: none of them moves a reservation.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{Shop, StripeEvent};

use super::{Payment, deliver, logged};

/// What is known of refunds: (status, amount) of each, by id.
async fn refunds(shop: &Shop) -> Result<Value> {
    let sql = "select coalesce(jsonb_agg(jsonb_build_array(status, amount_minor) order by stripe_refund_id), '[]') from public.refunds";
    shop.database.value(sql, &[]).await
}

async fn is_disputed(shop: &Shop) -> Result<bool> {
    shop.database.value("select disputed from public.payments", &[]).await
}

/// A refund event of a part of the money, under an id of its own.
fn part(payment: &Payment, sample: &str, refund_id: &str, amount_minor: i64) -> Result<StripeEvent> {
    let event = payment.event(sample)?.with("id", json!(refund_id)).with("amount", json!(amount_minor));
    Ok(event.renamed(&format!("evt_{sample}_{refund_id}")))
}

#[tokio::test]
async fn a_refund_goes_from_pending_to_succeeded_to_failed() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    deliver(&shop, &payment.event("refund_created")?, 200, "refunded").await?;
    assert_eq!(refunds(&shop).await?, json!([["pending", 250_000]]));
    deliver(&shop, &payment.event("refund_updated")?, 200, "refunded").await?;
    assert_eq!(refunds(&shop).await?, json!([["succeeded", 250_000]]));
    deliver(&shop, &payment.event("refund_failed")?, 200, "refund_failed").await?;
    assert_eq!(refunds(&shop).await?, json!([["failed", 250_000]]));
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
    let violations = shop.database.violations().await?;
    assert!(matches!(violations.as_slice(), [one] if one.starts_with("refund_owed")), "{violations:?}");
    Ok(())
}

#[tokio::test]
async fn older_news_of_a_refund_is_stale() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    deliver(&shop, &payment.event("refund_failed")?, 200, "refund_failed").await?;
    deliver(&shop, &payment.event("refund_updated")?, 200, "stale").await?;
    deliver(&shop, &payment.event("refund_created")?, 200, "stale").await?;
    assert_eq!(refunds(&shop).await?, json!([["failed", 250_000]]));
    Ok(())
}

#[tokio::test]
async fn parts_add_up_to_all() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    let first = part(&payment, "refund_updated", "re_1", 100_000)?;
    deliver(&shop, &first, 200, "partially_refunded").await?;
    deliver(&shop, &first, 200, "replay").await?;
    deliver(&shop, &part(&payment, "refund_failed", "re_2", 150_000)?, 200, "refund_failed").await?;
    deliver(&shop, &part(&payment, "refund_created", "re_3", 150_000)?, 200, "refunded").await?;
    let known = json!([["succeeded", 100_000], ["failed", 150_000], ["pending", 150_000]]);
    assert_eq!(refunds(&shop).await?, known);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_charges_own_event_tells_all_from_part_and_writes_no_refund() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    deliver(&shop, &payment.event("charge_refunded_in_part")?, 200, "partially_refunded").await?;
    deliver(&shop, &payment.event("charge_refunded")?, 200, "refunded").await?;
    assert_eq!(refunds(&shop).await?, json!([]));
    assert_eq!(shop.database.status(payment.reservation_id).await?, "confirmed");
    Ok(())
}

#[tokio::test]
async fn a_released_authorisation_is_no_refund() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let payment = Payment::authorized(&shop).await?;
    let released = payment.event("charge_refunded")?.with("captured", json!(false));
    deliver(&shop, &released, 200, "ignored").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["authorized", null, false, "requires_capture", 0]));
    Ok(())
}

#[tokio::test]
async fn money_that_should_have_gone_back_and_did_not_is_sent_again() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let cancel = "update public.reservations set status = 'cancelled', cancel_reason = 'customer'";
    shop.database.execute(cancel, &[]).await?;
    deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "refund_late_payment").await?;
    for attempt in 1..=3_i64 {
        // The worker made the refund, and later the bank sends it back.
        let ours = "select id::text from public.refunds where status = 'pending'";
        let ours: String = shop.database.value(ours, &[]).await?;
        shop.database
            .execute("update public.jobs set status = 'succeeded' where status = 'queued'", &[])
            .await?;
        let failed = part(&payment, "refund_failed", &format!("re_{attempt}"), 250_000)?
            .with("metadata", json!({"refund_id": ours}));
        deliver(&shop, &failed, 200, "refund_failed").await?;
        assert_eq!(shop.count("jobs").await?, (attempt + 1).min(3), "twice more at most");
    }
    Ok(())
}

#[tokio::test]
async fn a_dispute_marks_the_payment_until_it_is_won() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    for (sample, disputed) in [
        ("charge_dispute_created", true),
        ("charge_dispute_funds_withdrawn", true),
        ("charge_dispute_updated", true),
        ("charge_dispute_closed", false),
    ] {
        let event = payment.event(sample)?;
        deliver(&shop, &event, 200, "disputed").await?;
        assert_eq!(is_disputed(&shop).await?, disputed, "{sample}");
        assert_eq!(logged(&shop, &event).await?, json!(["processed", "disputed", 1, 0]));
    }
    let lost = payment.event("charge_dispute_closed")?.with("status", json!("lost")).renamed("evt_lost");
    deliver(&shop, &lost, 200, "disputed").await?;
    assert!(is_disputed(&shop).await?);

    // What was sent before its end and arrives after it, is old.
    let late = payment.event("charge_dispute_updated")?.renamed("evt_late");
    deliver(&shop, &late, 200, "stale").await?;
    assert_eq!(shop.database.status(payment.reservation_id).await?, "confirmed");
    Ok(())
}

#[tokio::test]
async fn what_is_about_no_payment_of_ours_is_unmatched() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    for sample in ["refund_created", "charge_refunded", "charge_dispute_created"] {
        for (intent, id) in [(json!("pi_other"), "other"), (Value::Null, "none")] {
            let event = payment.event(sample)?.with("payment_intent", intent);
            let event = event.renamed(&format!("evt_{sample}_{id}"));
            deliver(&shop, &event, 200, "unmatched").await?;
            assert_eq!(logged(&shop, &event).await?, json!(["ignored", "unmatched", 1, 0]));
        }
    }
    assert_eq!(refunds(&shop).await?, json!([]));
    assert!(!is_disputed(&shop).await?);
    Ok(())
}
