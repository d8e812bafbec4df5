//! Reservations that cannot be paid for, or not by this caller.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Provider, Shop, Token};
use uuid::Uuid;

use super::{PATH, answer, call};

/// Fails unless paying for the reservation is refused like this, and Stripe hears nothing of it.
async fn assert_refused(shop: &Shop, reservation_id: Uuid, status: u16, code: &str) -> Result<()> {
    let before = shop.stripe.admin().requests().await?.len();
    let reply = answer(shop, &call(shop, reservation_id)?).await?;
    ensure_problem(&reply, status, code, code)?;
    assert_eq!(shop.stripe.admin().requests().await?.len(), before);
    Ok(())
}

async fn set_reservation(shop: &Shop, reservation_id: Uuid, columns: &str) -> Result<()> {
    let sql = format!("update public.reservations set {columns} where id = $1");
    shop.database.execute(&sql, &[&reservation_id]).await.map(drop)
}

#[tokio::test]
async fn another_customers_reservation_is_not_found() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let other_shop = Provider::default().insert(&shop.database).await?;
    let other_staff = Uuid::new_v4();
    shop.database.add_member(other_shop, other_staff, "owner").await?;
    let would_be_admin = Token::of(Uuid::new_v4()).with("user_metadata", json!({"role": "admin"}));
    let body = json!({"reservation_id": reservation_id});
    let unknown = json!({"reservation_id": Uuid::new_v4()});
    for call in [
        HttpCall::post(PATH, &body).by(Uuid::new_v4())?,
        HttpCall::post(PATH, &body).by(other_staff)?,
        HttpCall::post(PATH, &body).bearer(&would_be_admin.encode()?),
        HttpCall::post(PATH, &unknown).by(shop.customer_id)?,
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 404, "reservation_not_found", &call.body_text()?)?;
    }
    assert_eq!(shop.count("payments").await?, 0);
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_lapsed_hold_is_gone_whether_swept_or_not() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    shop.database.lapse(reservation_id).await?;
    assert_refused(&shop, reservation_id, 410, "hold_expired").await?;
    set_reservation(&shop, reservation_id, "status = 'expired'").await?;
    assert_refused(&shop, reservation_id, 410, "hold_expired").await?;
    assert_eq!(shop.count("payments").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_is_over_or_paid_or_free_is_told_apart() -> Result<()> {
    for (columns, code) in [
        ("status = 'cancelled', cancel_reason = 'customer'", "reservation_over"),
        ("status = 'cancelled', cancel_reason = 'conflict'", "cancelled_conflict"),
        ("status = 'authorized'", "already_paid"),
        ("status = 'confirmed'", "already_paid"),
        ("amount_total_minor = 0", "nothing_to_pay"),
    ] {
        let shop = Shop::open().await?;
        let reservation_id = shop.hold().await?;
        set_reservation(&shop, reservation_id, columns).await?;
        assert_refused(&shop, reservation_id, 409, code).await?;
        assert_eq!(shop.count("payments").await?, 0, "{code}");
    }
    Ok(())
}

#[tokio::test]
async fn while_another_caller_creates_the_intent_this_one_waits() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let claim =
        "insert into public.payments (reservation_id, capture_method, amount_minor, currency, claimed_until)
        values ($1, 'automatic', 250000, 'CZK', clock_timestamp() + interval '10 seconds')";
    shop.database.execute(claim, &[&reservation_id]).await?;
    let reply = answer(&shop, &call(&shop, reservation_id)?).await?;
    ensure_problem(&reply, 409, "payment_starting", "claimed")?;
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(shop.intents().await?.is_empty());

    // The other one died: its claim lapses, and the payment goes on.
    let lapse = "update public.payments set claimed_until = clock_timestamp() - interval '1 second'";
    shop.database.execute(lapse, &[]).await?;
    let reply = answer(&shop, &call(&shop, reservation_id)?).await?;
    assert_eq!((reply.status, shop.intents().await?.len()), (200, 1));
    let generation: Value = super::payment(&shop, reservation_id).await?;
    assert_eq!(generation[2], json!(1));
    Ok(())
}
