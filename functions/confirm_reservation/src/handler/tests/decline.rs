//! Staff declines.

use anyhow::Result;
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, sample};

use super::{answer, assert_stands, authorized, customer_call, job, staff_call, stored};

#[tokio::test]
async fn the_sample_declines_a_hold_and_frees_its_stock() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample =
        HttpCall::sample("confirm_reservation/staff_declines.json", &replacements)?.by(shop.staff_id)?;
    for _ in 0..2 {
        assert_stands(&answer(&shop, &sample).await?, reservation_id, "cancelled", false);
    }
    assert_eq!(stored(&shop, reservation_id).await?, json!(["cancelled", "declined", false, null]));
    assert_eq!(shop.count("audit_logs").await?, 1);
    shop.hold().await.map(drop)
}

#[tokio::test]
async fn declining_an_authorisation_releases_it() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = authorized(&shop).await?;
    let reply = answer(&shop, &staff_call(&shop, reservation_id, "decline")?).await?;
    assert_stands(&reply, reservation_id, "cancelled", false);
    assert_eq!(
        stored(&shop, reservation_id).await?,
        json!(["cancelled", "declined", false, "requires_capture"])
    );
    // The release itself is the worker's.
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    assert_eq!(shop.intents().await?, [(intent_id, "requires_capture".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn a_customer_may_not_decline() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = customer_call(&shop, reservation_id)?.patch(&json!({"action": "decline"}))?;
    ensure_problem(&answer(&shop, &call).await?, 403, "forbidden", "the customer")?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn what_is_paid_or_over_cannot_be_declined() -> Result<()> {
    for (columns, status, code) in [
        ("status = 'confirmed'", 409, "already_paid"),
        ("status = 'expired'", 410, "hold_expired"),
        ("status = 'cancelled', cancel_reason = 'customer'", 409, "reservation_over"),
        ("status = 'cancelled', cancel_reason = 'conflict'", 409, "cancelled_conflict"),
    ] {
        let shop = Shop::open().await?;
        let reservation_id = shop.hold().await?;
        shop.database.execute(&format!("update public.reservations set {columns}"), &[]).await?;
        let before = stored(&shop, reservation_id).await?;
        let reply = answer(&shop, &staff_call(&shop, reservation_id, "decline")?).await?;
        ensure_problem(&reply, status, code, columns)?;
        assert_eq!(stored(&shop, reservation_id).await?, before);
        assert_eq!(shop.count("audit_logs").await?, 0);
    }
    Ok(())
}
