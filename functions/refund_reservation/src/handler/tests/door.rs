//! What is refused before anybody looks at the reservation.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, TestApp, sample};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, refund_call, stored};

#[tokio::test]
async fn a_token_that_does_not_hold_refunds_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    assert_eq!(stored(&shop).await?, json!([]));
    let handle = async |request| handle(&shop.app, request).await;
    door::accepts_the_previous_secret(&call, shop.staff_id, 202, handle).await?;
    assert_eq!(shop.count("refunds").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_read_refunds_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 50_000)?;
    door::refuses_unreadable_bodies(&call, async |request| handle(&shop.app, request).await).await?;
    assert_eq!(stored(&shop).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn all_wrong_fields_are_named_in_one_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("refund_reservation/all_fields_wrong.json", &replacements)?;
    let call = refund_call(&shop, reservation_id, 50_000)?;
    let with = |changes: &Value| call.clone().patch(changes);
    for (call, fields) in [
        (sample.by(shop.staff_id)?, vec!["amount_minor", "offline", "reason", "reservation_id"]),
        (HttpCall::post(PATH, &json!({})).by(shop.staff_id)?, vec!["reason", "reservation_id"]),
        (with(&json!({"amount_minor": 0}))?, vec!["amount_minor"]),
        (with(&json!({"amount_minor": -1}))?, vec!["amount_minor"]),
        (with(&json!({"amount_minor": 100_000_000}))?, vec!["amount_minor"]),
        (with(&json!({"amount_minor": 500.5}))?, vec!["amount_minor"]),
        (with(&json!({"amount_minor": "50000"}))?, vec!["amount_minor"]),
        (with(&json!({"reason": "x".repeat(501)}))?, vec!["reason"]),
        (with(&json!({"idempotency_key": "k".repeat(256)}))?, vec!["idempotency_key"]),
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 400, "invalid_request", &call.body_text()?)?;
        assert_eq!(reply.invalid_fields(), fields);
    }
    assert_eq!(stored(&shop).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn only_post_refunds_and_preflights_need_nothing_else() -> Result<()> {
    let test = TestApp::start_with(&[test_support::database_away()]).await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("refund_reservation/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_the_caller_may_try_again() -> Result<()> {
    let away = [test_support::database_away()];
    let shop = Shop::open_with(TestApp::start_with(&away).await?, &Provider::default()).await?;
    let reply = answer(&shop, &refund_call(&shop, Uuid::new_v4(), 50_000)?).await?;
    ensure_problem(&reply, 503, "database_unavailable", "away")?;
    assert_eq!(reply.header("retry-after"), Some("2"));
    Ok(())
}

#[tokio::test]
async fn the_caller_does_not_wait_for_stripe() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let asked_before = shop.stripe.admin().requests().await?.len();
    assert_eq!(answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?.status, 202);
    assert_eq!(shop.stripe.admin().requests().await?.len(), asked_before);
    Ok(())
}

#[tokio::test]
async fn one_caller_is_limited() -> Result<()> {
    let test = TestApp::start_guarded(3, 100_000).await?;
    let caller = Uuid::new_v4();
    let call = || HttpCall::post(PATH, &json!({})).by(caller);
    let reply = door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await?;
    assert_eq!(reply.header("ratelimit-remaining"), Some("0"));
    Ok(())
}
