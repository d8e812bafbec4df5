//! What is cancelled before its money is there: the payment is called off, or goes back when it lands.

use anyhow::Result;
use serde_json::json;
use stripe_stand_in::Outcome;
use test_support::door::ensure_problem;
use test_support::{Shop, sample};

use super::{answer, cancel_call, cancelled_by_customer, job, stored};

#[tokio::test]
async fn a_hold_is_cancelled_and_its_stock_is_free() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    assert_eq!(cancelled_by_customer(&shop, reservation_id).await?, (0, 100));
    assert_eq!(
        stored(&shop, reservation_id).await?,
        json!(["cancelled", "customer", null, null, null, null])
    );
    assert!(shop.jobs().await?.is_empty());
    shop.hold().await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_open_intent_is_called_off() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    assert_eq!(cancelled_by_customer(&shop, reservation_id).await?, (0, 100));
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    shop.work_off().await?;
    assert_eq!(shop.intents().await?, [(intent_id, "canceled".to_owned())]);
    assert_eq!(stored(&shop, reservation_id).await?, json!(["cancelled", "customer", "canceled", 0, 0, 0]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_authorisation_is_released() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    assert_eq!(shop.database.status(reservation_id).await?, "authorized");
    assert_eq!(cancelled_by_customer(&shop, reservation_id).await?, (0, 100));
    shop.database.assert_consistent().await?;
    shop.work_off().await?;
    assert_eq!(shop.intents().await?, [(intent_id, "canceled".to_owned())]);
    assert_eq!(stored(&shop, reservation_id).await?, json!(["cancelled", "customer", "canceled", 0, 0, 0]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_that_was_being_processed_goes_back_when_it_lands() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.processing().await?;
    assert_eq!(stored(&shop, reservation_id).await?, json!(["hold", null, "processing", 0, 0, 0]));
    assert_eq!(cancelled_by_customer(&shop, reservation_id).await?, (0, 100));
    // Stripe does not cancel it in this state: the worker keeps asking.
    assert_eq!(shop.work_off().await?.succeeded, 0);
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);

    shop.stripe.admin().settle_payment(&intent_id, Outcome::Succeed).await?;
    shop.hear_of(&intent_id).await?;
    shop.make_jobs_due().await?;
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    assert_eq!(
        stored(&shop, reservation_id).await?,
        json!(["cancelled", "customer", "succeeded", sample::AMOUNT_MINOR, sample::AMOUNT_MINOR, 0])
    );
    let ended = [job("cancel_payment_intent", "obsolete"), job("refund_payment", "succeeded")];
    assert_eq!(shop.jobs().await?, ended);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn while_the_money_is_being_captured_nobody_cancels() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.database.execute("update public.payments set status = 'capturing'", &[]).await?;
    for user_id in [shop.customer_id, shop.staff_id] {
        let reply = answer(&shop, &cancel_call(reservation_id, user_id)?).await?;
        ensure_problem(&reply, 409, "capture_in_progress", "capturing")?;
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(stored(&shop, reservation_id).await?, json!(["authorized", null, "capturing", 0, 0, 0]));
    assert!(shop.jobs().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_lapsed_may_be_cancelled_all_the_same() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    shop.database.lapse(reservation_id).await?;
    kitloop::db::expire_holds(&shop.app.db, 10).await?;
    assert_eq!(cancelled_by_customer(&shop, reservation_id).await?, (0, 100));
    // There is one job for the intent, whoever wanted it cancelled.
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    // Money that comes now would have found its stock free, but nobody wants it any more.
    shop.pay_with(&intent_id, "pm_card_visa").await?;
    shop.work_off().await?;
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    assert_eq!(shop.database.status(reservation_id).await?, "cancelled");
    shop.database.assert_consistent().await
}
