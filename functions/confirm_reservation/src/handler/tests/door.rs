//! What is refused before anybody looks at the reservation, and callers who may not see it.

use anyhow::Result;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, TestApp, Token, sample};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, assert_stands, customer_call, staff_call, stored};

#[tokio::test]
async fn a_token_that_does_not_hold_confirms_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = staff_call(&shop, reservation_id, "confirm")?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    assert_eq!(stored(&shop, reservation_id).await?, json!(["hold", null, false, null]));
    let handle = async |request| handle(&shop.app, request).await;
    door::accepts_the_previous_secret(&call, shop.staff_id, 200, handle).await?;
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_read_confirms_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = staff_call(&shop, reservation_id, "confirm")?;
    door::refuses_unreadable_bodies(&call, async |request| handle(&shop.app, request).await).await?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn all_wrong_fields_are_named_in_one_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample =
        HttpCall::sample("confirm_reservation/unknown_action.json", &replacements)?.by(shop.staff_id)?;
    let wrong = json!({"reservation_id": 1, "action": ["confirm"], "payment_intent_id": "p".repeat(256)});
    for (call, fields) in [
        (sample, vec!["action"]),
        (staff_call(&shop, reservation_id, "Confirm")?, vec!["action"]),
        (HttpCall::post(PATH, &json!({})).by(shop.staff_id)?, vec!["reservation_id"]),
        (
            HttpCall::post(PATH, &wrong).by(shop.staff_id)?,
            vec!["action", "payment_intent_id", "reservation_id"],
        ),
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 400, "invalid_request", &call.body_text()?)?;
        assert_eq!(reply.invalid_fields(), fields);
    }
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn only_post_confirms_and_preflights_need_nothing_else() -> Result<()> {
    let away = [test_support::database_away(), ("STRIPE_API_BASE", "http://127.0.0.1:1".to_owned())];
    let test = TestApp::start_with(&away).await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("confirm_reservation/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    Ok(())
}

#[tokio::test]
async fn another_customers_reservation_is_not_found_by_anybody_but_staff() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let other_provider = Provider::default().insert(&shop.database).await?;
    let other_staff = Uuid::new_v4();
    shop.database.add_member(other_provider, other_staff, "owner").await?;
    let is_admin = json!({"role": "admin"});
    let would_be_admin = Token::of(Uuid::new_v4()).with("user_metadata", is_admin.clone());
    for action in ["confirm", "decline"] {
        let call = staff_call(&shop, reservation_id, action)?;
        for call in [
            call.clone().by(Uuid::new_v4())?,
            call.clone().by(other_staff)?,
            call.clone().bearer(&would_be_admin.encode()?),
            call.patch(&json!({"reservation_id": Uuid::new_v4()}))?,
        ] {
            ensure_problem(&answer(&shop, &call).await?, 404, "reservation_not_found", action)?;
        }
    }
    assert_eq!(stored(&shop, reservation_id).await?, json!(["hold", null, false, null]));
    assert!(shop.stripe.admin().requests().await?.is_empty());

    let admin = Token::of(Uuid::new_v4()).with("app_metadata", is_admin).encode()?;
    let reply = answer(&shop, &customer_call(&shop, reservation_id)?.bearer(&admin)).await?;
    assert_stands(&reply, reservation_id, "confirmed", true);
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
