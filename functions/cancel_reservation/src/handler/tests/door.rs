//! What is refused before anybody looks at the reservation.

use anyhow::Result;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, TestApp, sample};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, cancel_call};

#[tokio::test]
async fn a_token_that_does_not_hold_cancels_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = cancel_call(reservation_id, shop.customer_id)?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    let handle = async |request| handle(&shop.app, request).await;
    door::accepts_the_previous_secret(&call, shop.customer_id, 200, handle).await?;
    assert_eq!(shop.database.status(reservation_id).await?, "cancelled");
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_read_cancels_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = cancel_call(reservation_id, shop.customer_id)?;
    door::refuses_unreadable_bodies(&call, async |request| handle(&shop.app, request).await).await?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn all_wrong_fields_are_named_in_one_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("cancel_reservation/all_fields_wrong.json", &replacements)?;
    let call = cancel_call(reservation_id, shop.customer_id)?;
    for (call, fields) in [
        (sample.by(shop.customer_id)?, vec!["preview", "reason", "reservation_id"]),
        (call.clone().patch(&json!({"reservation_id": null}))?, vec!["reservation_id"]),
        (call.clone().patch(&json!({"reason": "x".repeat(501)}))?, vec!["reason"]),
        (call.clone().patch(&json!({"reason": "nul\u{0}"}))?, vec!["reason"]),
        (call.clone().patch(&json!({"preview": 1}))?, vec!["preview"]),
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 400, "invalid_request", &call.body_text()?)?;
        assert_eq!(reply.invalid_fields(), fields);
    }
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    // Five hundred characters are as many as there may be, whatever their bytes.
    let longest = call.patch(&json!({"reason": "ž".repeat(500)}))?;
    assert_eq!(answer(&shop, &longest).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn only_post_cancels_and_preflights_need_nothing_else() -> Result<()> {
    let test = TestApp::start_with(&[test_support::database_away()]).await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("cancel_reservation/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_the_caller_may_try_again() -> Result<()> {
    let away = [test_support::database_away()];
    let shop = Shop::open_with(TestApp::start_with(&away).await?, &Provider::default()).await?;
    let reply = answer(&shop, &cancel_call(Uuid::new_v4(), shop.customer_id)?).await?;
    ensure_problem(&reply, 503, "database_unavailable", "away")?;
    assert_eq!(reply.header("retry-after"), Some("2"));
    Ok(())
}

#[tokio::test]
async fn stripe_is_not_needed_to_cancel() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let asked_before = shop.stripe.admin().requests().await?.len();
    assert_eq!(answer(&shop, &cancel_call(reservation_id, shop.customer_id)?).await?.status, 200);
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
