//! The customer paid after the hold had lapsed.

use anyhow::Result;
use serde_json::json;
use test_support::Shop;
use test_support::door::ensure_problem;
use uuid::Uuid;

use super::{answer, assert_stands, customer_call, job, stored};

#[tokio::test]
async fn without_a_payment_a_lapsed_hold_is_gone() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    shop.database.lapse(reservation_id).await?;
    let call = customer_call(&shop, reservation_id)?;
    ensure_problem(&answer(&shop, &call).await?, 410, "hold_expired", "lapsed")?;
    shop.database.execute("update public.reservations set status = 'expired'", &[]).await?;
    ensure_problem(&answer(&shop, &call).await?, 410, "hold_expired", "swept")?;
    Ok(())
}

#[tokio::test]
async fn a_late_payment_takes_the_stock_again_while_it_is_free() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    shop.database.lapse(reservation_id).await?;
    shop.database.execute("update public.reservations set status = 'expired'", &[]).await?;
    let reply = answer(&shop, &customer_call(&shop, reservation_id)?).await?;
    assert_stands(&reply, reservation_id, "confirmed", true);
    assert!(shop.hold_by(Uuid::new_v4()).await.is_err(), "the stock is taken");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_late_payment_whose_stock_is_gone_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    shop.database.lapse(reservation_id).await?;
    shop.hold_by(Uuid::new_v4()).await?;
    let call = customer_call(&shop, reservation_id)?;
    for _ in 0..2 {
        ensure_problem(&answer(&shop, &call).await?, 409, "cancelled_conflict", "gone")?;
    }
    assert_eq!(stored(&shop, reservation_id).await?, json!(["cancelled", "conflict", false, "succeeded"]));
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_declined_reservation_is_over_for_its_customer() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    let decline = "update public.reservations set status = 'cancelled', cancel_reason = 'declined'";
    shop.database.execute(decline, &[]).await?;
    let reply = answer(&shop, &customer_call(&shop, reservation_id)?).await?;
    ensure_problem(&reply, 409, "reservation_over", "declined")?;
    let untouched = json!(["cancelled", "declined", false, "requires_payment_method"]);
    assert_eq!(stored(&shop, reservation_id).await?, untouched);
    Ok(())
}
