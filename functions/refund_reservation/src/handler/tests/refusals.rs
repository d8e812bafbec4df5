//! What cannot be refunded, and who may not refund.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{Provider, Shop, TestApp, Token, sample};
use uuid::Uuid;

use super::{answer, counter_call, refund_call, stored};

#[tokio::test]
async fn more_than_was_captured_is_refused_with_what_is_left() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    for call in [
        refund_call(&shop, reservation_id, sample::AMOUNT_MINOR + 1)?,
        counter_call(&shop, reservation_id, sample::AMOUNT_MINOR + 1)?,
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 409, "refund_exceeds_payment", "a unit too much")?;
        assert_eq!(reply.at("/refundable_minor"), &json!(sample::AMOUNT_MINOR));
        assert_eq!(reply.at("/currency"), &json!("CZK"));
    }
    assert_eq!(stored(&shop).await?, json!([]));
    assert!(shop.jobs().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_went_back_already_does_not_go_back_again() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    answer(&shop, &refund_call(&shop, reservation_id, Value::Null)?).await?;
    for is_sent in [false, true] {
        for amount_minor in [json!(null), json!(1)] {
            let reply = answer(&shop, &refund_call(&shop, reservation_id, amount_minor)?).await?;
            ensure_problem(&reply, 409, "already_refunded", &format!("sent: {is_sent}"))?;
        }
        shop.work_off().await?;
    }
    assert_eq!(shop.count("refunds").await?, 1);
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    Ok(())
}

#[tokio::test]
async fn what_is_not_paid_cannot_be_refunded() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?;
    ensure_problem(&answer(&shop, &call).await?, 409, "not_paid", "a hold")?;
    shop.start_payment(reservation_id).await?;
    ensure_problem(&answer(&shop, &call).await?, 409, "not_paid", "an open intent")?;

    let shop = Shop::open_manual().await?;
    let (reservation_id, _) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?;
    ensure_problem(&answer(&shop, &call).await?, 409, "not_paid", "an authorisation")?;
    assert_eq!(shop.database.status(reservation_id).await?, "authorized");
    assert_eq!(stored(&shop).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn an_amount_that_the_currency_has_not_is_refused() -> Result<()> {
    let kuwait = Provider { currency: "KWD", ..Provider::default() };
    let shop = Shop::open_with(TestApp::start().await?, &kuwait).await?;
    let (reservation_id, _) = shop.paid().await?;
    let reply = answer(&shop, &refund_call(&shop, reservation_id, 12_345)?).await?;
    ensure_problem(&reply, 409, "invalid_refund_amount", "no such coin")?;
    assert_eq!(reply.at("/step_minor"), &json!(10));
    assert_eq!(answer(&shop, &refund_call(&shop, reservation_id, 12_350)?).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn a_customer_may_not_refund() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?.by(shop.customer_id)?;
    ensure_problem(&answer(&shop, &call).await?, 403, "forbidden", "the customer")?;
    assert_eq!(stored(&shop).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn the_reservation_of_another_shop_is_not_found() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let other_provider = Provider::default().insert(&shop.database).await?;
    let other_staff = Uuid::new_v4();
    shop.database.add_member(other_provider, other_staff, "owner").await?;
    let would_be_admin =
        Token::of(Uuid::new_v4()).with("user_metadata", json!({"role": "admin"})).encode()?;
    let call = refund_call(&shop, reservation_id, 50_000)?;
    for call in [
        call.clone().by(Uuid::new_v4())?,
        call.clone().by(other_staff)?,
        call.clone().bearer(&would_be_admin),
        call.patch(&json!({"reservation_id": Uuid::new_v4()}))?,
    ] {
        ensure_problem(&answer(&shop, &call).await?, 404, "reservation_not_found", "a stranger")?;
    }
    assert_eq!(stored(&shop).await?, json!([]));
    Ok(())
}
