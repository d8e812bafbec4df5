//! What is refused before anybody looks at the reservation.

use anyhow::Result;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Reply, Shop, TestApp};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, call};

async fn assert_nothing_was_started(shop: &Shop) -> Result<()> {
    assert_eq!(shop.count("payments").await?, 0);
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_token_that_does_not_hold_starts_no_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let call = call(&shop, shop.hold().await?)?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    assert_nothing_was_started(&shop).await?;
    let handle = async |request| handle(&shop.app, request).await;
    door::accepts_the_previous_secret(&call, shop.customer_id, 200, handle).await
}

#[tokio::test]
async fn a_body_that_cannot_be_read_starts_no_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let call = call(&shop, shop.hold().await?)?;
    door::refuses_unreadable_bodies(&call, async |request| handle(&shop.app, request).await).await?;
    assert_nothing_was_started(&shop).await
}

#[tokio::test]
async fn a_reservation_id_that_is_none_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("create_payment_intent/malformed_reservation_id.json", &[])?;
    let mut calls = vec![sample.by(shop.customer_id)?];
    for wrong in [json!(null), json!(42), json!([]), json!({}), json!("")] {
        calls.push(HttpCall::post(PATH, &json!({"reservation_id": wrong})).by(shop.customer_id)?);
    }
    for call in calls {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 400, "invalid_request", &call.body_text()?)?;
        assert_eq!(reply.invalid_fields(), ["reservation_id"]);
    }
    assert_nothing_was_started(&shop).await
}

#[tokio::test]
async fn only_post_starts_payments_and_preflights_need_nothing_else() -> Result<()> {
    let away = [test_support::database_away(), ("STRIPE_API_BASE", "http://127.0.0.1:1".to_owned())];
    let test = TestApp::start_with(&away).await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("create_payment_intent/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    Ok(())
}

#[tokio::test]
async fn one_caller_who_tries_many_cards_is_limited() -> Result<()> {
    let test = TestApp::start_guarded(3, 100_000).await?;
    let caller = Uuid::new_v4();
    let call = || HttpCall::post(PATH, &json!({})).by(caller);
    let reply = door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await?;
    assert_eq!(reply.header("ratelimit-limit"), Some("3"));
    assert!(test.stripe.admin().requests().await?.is_empty());
    Ok(())
}
