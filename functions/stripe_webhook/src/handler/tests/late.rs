//! Payments that come after the hold lapsed, or after all was over.

use anyhow::Result;
use serde_json::json;
use test_support::Shop;
use uuid::Uuid;

use super::{Payment, deliver, job, logged};

#[tokio::test]
async fn a_late_payment_takes_the_stock_again_while_it_is_free() -> Result<()> {
    for sweep in [false, true] {
        let shop = Shop::open().await?;
        let payment = Payment::start(&shop).await?;
        shop.database.lapse(payment.reservation_id).await?;
        if sweep {
            shop.database.execute("update public.reservations set status = 'expired'", &[]).await?;
        }
        deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "confirmed").await?;
        assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
        assert!(shop.hold_by(Uuid::new_v4()).await.is_err(), "the stock is taken");
        shop.database.assert_consistent().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_late_payment_whose_stock_is_gone_is_a_conflict_once_and_a_replay_after() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    shop.database.lapse(payment.reservation_id).await?;
    let winner = shop.hold_by(Uuid::new_v4()).await?;
    let event = payment.event("payment_intent_succeeded")?;
    deliver(&shop, &event, 409, "cancelled_conflict").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["cancelled", "conflict", false, "succeeded", 250_000]));
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    assert_eq!(logged(&shop, &event).await?, json!(["processed", "cancelled_conflict", 1, 0]));

    deliver(&shop, &event, 200, "replay").await?;
    deliver(&shop, &event, 200, "replay").await?;
    assert_eq!(logged(&shop, &event).await?, json!(["processed", "cancelled_conflict", 1, 2]));
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    assert_eq!(shop.database.status(winner).await?, "hold");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_late_authorisation_whose_stock_is_gone_is_released() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let payment = Payment::start(&shop).await?;
    shop.database.lapse(payment.reservation_id).await?;
    shop.hold_by(Uuid::new_v4()).await?;
    let event = payment.event("payment_intent_amount_capturable_updated")?;
    deliver(&shop, &event, 409, "cancelled_conflict").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["cancelled", "conflict", false, "requires_capture", 0]));
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    Ok(())
}

#[tokio::test]
async fn a_late_payment_for_gear_that_is_not_rented_out_any_more_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    shop.database.lapse(payment.reservation_id).await?;
    shop.database.execute("update public.gear_items set archived_at = now()", &[]).await?;
    deliver(&shop, &payment.event("payment_intent_succeeded")?, 409, "cancelled_conflict").await?;
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    Ok(())
}

#[tokio::test]
async fn money_for_a_reservation_that_is_over_goes_back() -> Result<()> {
    for reason in ["customer", "provider", "declined", "unanswered"] {
        let shop = Shop::open().await?;
        let payment = Payment::start(&shop).await?;
        let cancel = "update public.reservations set status = 'cancelled', cancel_reason = $1";
        shop.database.execute(cancel, &[&reason]).await?;
        deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "refund_late_payment").await?;
        assert_eq!(payment.stored(&shop).await?, json!(["cancelled", reason, false, "succeeded", 250_000]));
        assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
        shop.database.assert_consistent().await?;
    }
    Ok(())
}
