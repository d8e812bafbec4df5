//! While the bank has the money, nothing is sent back; what it keeps is booked.

use anyhow::Result;
use serde_json::json;
use stripe_stand_in::Outcome;
use test_support::door::ensure_problem;
use test_support::{Shop, sample};

use super::{answer, assert_refunding, job, refund_call, stored};

#[tokio::test]
async fn a_refund_during_a_dispute_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let dispute_id = shop.dispute(&intent_id).await?;
    for amount_minor in [json!(50_000), json!(null)] {
        let reply = answer(&shop, &refund_call(&shop, reservation_id, amount_minor)?).await?;
        ensure_problem(&reply, 409, "payment_disputed", "in dispute")?;
    }
    assert_eq!(stored(&shop).await?, json!([]));

    shop.stripe.admin().close_dispute(&dispute_id, Outcome::Succeed).await?;
    shop.hear_of_dispute(&dispute_id).await?;
    let reply = answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?;
    assert_refunding(&reply, "pending", 50_000);
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 50_000);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_the_bank_kept_cannot_be_refunded() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let dispute_id = shop.dispute(&intent_id).await?;
    shop.stripe.admin().close_dispute(&dispute_id, Outcome::Fail).await?;
    shop.hear_of_dispute(&dispute_id).await?;
    let reply = answer(&shop, &refund_call(&shop, reservation_id, 1)?).await?;
    ensure_problem(&reply, 409, "already_refunded", "lost")?;
    let credited: i64 = shop.database.value("select credited_minor from public.payments", &[]).await?;
    assert_eq!(credited, sample::AMOUNT_MINOR);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_that_was_asked_for_before_the_dispute_waits_for_its_end() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?;
    let dispute_id = shop.dispute(&intent_id).await?;
    shop.work_off().await?;
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 0);

    shop.stripe.admin().close_dispute(&dispute_id, Outcome::Succeed).await?;
    shop.hear_of_dispute(&dispute_id).await?;
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 50_000);
    shop.database.assert_consistent().await
}
