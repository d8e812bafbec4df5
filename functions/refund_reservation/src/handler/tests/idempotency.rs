//! A repetition under the same key is no second refund.

use anyhow::Result;
use serde_json::json;
use test_support::Shop;
use test_support::door::ensure_problem;
use uuid::Uuid;

use super::{answer, assert_refunding, refund_call, stored};

#[tokio::test]
async fn the_same_key_gets_the_first_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?.header("idempotency-key", "loose-binding");
    let first = answer(&shop, &call).await?;
    assert_refunding(&first, "pending", 50_000);
    shop.work_off().await?;
    let again = answer(&shop, &call).await?;
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    // In the body it is the same key.
    let in_body = call.clone().without_header("idempotency-key");
    let in_body = in_body.patch(&json!({"idempotency_key": "loose-binding"}))?;
    assert_eq!(answer(&shop, &in_body).await?.body, first.body);
    assert_eq!(shop.count("refunds").await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn two_at_once_under_one_key_are_one_refund() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?.header("idempotency-key", "loose-binding");
    let (one, other) = tokio::join!(answer(&shop, &call), answer(&shop, &call));
    let (one, other) = (one?, other?);
    assert_eq!((one.status, &one.body), (202, &other.body));
    assert_eq!(stored(&shop).await?, json!([[50_000, "pending", "requested", false]]));
    Ok(())
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?.header("idempotency-key", "loose-binding");
    answer(&shop, &call).await?;
    let other = call.clone().patch(&json!({"amount_minor": 60_000}))?;
    ensure_problem(&answer(&shop, &other).await?, 422, "idempotency_key_reused", "another amount")?;
    // Somebody else's key of the same name is another key.
    let colleague = Uuid::new_v4();
    shop.database.add_member(shop.provider_id, colleague, "manager").await?;
    assert_refunding(&answer(&shop, &other.by(colleague)?).await?, "pending", 60_000);
    assert_eq!(shop.count("refunds").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_repeated_as_well() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?.header("idempotency-key", "too-early");
    let first = answer(&shop, &call).await?;
    ensure_problem(&first, 409, "not_paid", "unpaid")?;
    shop.confirm_by(shop.staff_id, reservation_id).await?;
    let again = answer(&shop, &call).await?;
    ensure_problem(&again, 409, "not_paid", "the stored answer")?;
    assert_eq!(stored(&shop).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn without_a_key_every_request_is_another_refund() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    for _ in 0..2 {
        let reply = answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?;
        assert_refunding(&reply, "pending", 50_000);
    }
    assert_eq!(shop.count("refunds").await?, 2);
    assert_eq!(shop.count("idempotency_keys").await?, 1, "the key of reserving");
    Ok(())
}
