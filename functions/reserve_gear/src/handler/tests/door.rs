//! What is refused before anybody looks at the booking.

use anyhow::Result;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Reply, Shop, TestApp, in_days};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, good_call};

async fn assert_nothing_was_written(shop: &Shop) -> Result<()> {
    for table in ["reservations", "reservation_lines", "customers", "idempotency_keys"] {
        assert_eq!(shop.count(table).await?, 0, "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_does_not_hold_reserves_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let handle = async |request| handle(&shop.app, request).await;
    door::refuses_bad_tokens(&good_call(&shop)?, handle).await?;
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn the_sample_without_a_token_is_asked_for_one() -> Result<()> {
    let shop = Shop::open().await?;
    let reply = answer(&shop, &HttpCall::sample("reserve_gear/without_token.json", &[])?).await?;
    ensure_problem(&reply, 401, "unauthenticated", "no token")?;
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn a_token_signed_with_the_previous_secret_reserves() -> Result<()> {
    let shop = Shop::open().await?;
    let handle = async |request| handle(&shop.app, request).await;
    door::accepts_the_previous_secret(&good_call(&shop)?, shop.customer_id, 201, handle).await?;
    assert_eq!(shop.count("reservations").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_read_reserves_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let handle = async |request| handle(&shop.app, request).await;
    door::refuses_unreadable_bodies(&good_call(&shop)?, handle).await?;
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn the_samples_that_cannot_be_read_are_told_so() -> Result<()> {
    let shop = Shop::open().await?;
    for sample in ["malformed_body", "non_utf8_body"] {
        let call = HttpCall::sample(&format!("reserve_gear/{sample}.json"), &[])?;
        let reply = answer(&shop, &call.by(shop.customer_id)?).await?;
        ensure_problem(&reply, 400, "malformed_body", sample)?;
    }
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn only_post_reserves() -> Result<()> {
    let shop = Shop::open().await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&shop.app, request).await).await?;
    let reply = answer(&shop, &HttpCall::sample("reserve_gear/wrong_method.json", &[])?).await?;
    ensure_problem(&reply, 405, "method_not_allowed", "the sample")?;
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn preflights_are_answered_with_everything_else_away() -> Result<()> {
    let away = [
        test_support::database_away(),
        ("SUPABASE_JWKS_URL", "http://127.0.0.1:1/keys".to_owned()),
        ("STRIPE_API_BASE", "http://127.0.0.1:1".to_owned()),
    ];
    let test = TestApp::start_with(&away).await?;
    door::answers_preflights(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("reserve_gear/options_preflight.json", &[])?;
    let reply = Reply::read(handle(&test.app, sample.request()?).await)?;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some("http://localhost:5173"));
    Ok(())
}

#[tokio::test]
async fn a_page_of_another_origin_reserves_nothing_even_with_a_good_token() -> Result<()> {
    let shop = Shop::open().await?;
    let reply = answer(&shop, &good_call(&shop)?.header("origin", "https://evil.example")).await?;
    ensure_problem(&reply, 403, "origin_not_allowed", "foreign")?;
    assert_nothing_was_written(&shop).await?;

    let reply = answer(&shop, &good_call(&shop)?.header("origin", door::ORIGIN)).await?;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (201, Some(door::ORIGIN)));
    Ok(())
}

#[tokio::test]
async fn a_sane_correlation_id_comes_back_and_any_other_is_replaced() -> Result<()> {
    let shop = Shop::open().await?;
    let refused = good_call(&shop)?.patch(&json!({"quantity": 0}))?;
    let longest = "x".repeat(64);
    for sane in ["sample-1_a.B", &longest] {
        let reply = answer(&shop, &refused.clone().header("x-correlation-id", sane)).await?;
        ensure_problem(&reply, 400, "invalid_request", sane)?;
        assert_eq!(reply.header("x-correlation-id"), Some(sane));
    }
    for insane in ["", "a b", "a\"b", &"x".repeat(65)] {
        let reply = answer(&shop, &refused.clone().header("x-correlation-id", insane)).await?;
        ensure_problem(&reply, 400, "invalid_request", insane)?;
        assert_ne!(reply.header("x-correlation-id"), Some(insane));
    }
    let reply = answer(&shop, &good_call(&shop)?.header("x-correlation-id", "on-success")).await?;
    assert_eq!((reply.status, reply.header("x-correlation-id")), (201, Some("on-success")));
    Ok(())
}

/// A request that is counted, and refused for its fields.
fn counted_call(user_id: Uuid, address: &str, forwarded_for: &str) -> Result<HttpCall> {
    let call = HttpCall::post(PATH, &json!({"start_date": in_days(1)})).by(user_id)?;
    Ok(call.from_address(address).header("x-forwarded-for", forwarded_for))
}

#[tokio::test]
async fn one_caller_is_limited_from_however_many_addresses() -> Result<()> {
    let test = TestApp::start_guarded(3, 100_000).await?;
    let caller = Uuid::new_v4();
    let call = || counted_call(caller, &door::own_address(), "192.0.2.1");
    let reply = door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await?;
    assert_eq!(reply.header("ratelimit-limit"), Some("3"));
    assert_eq!(reply.header("ratelimit-remaining"), Some("0"));
    assert!(reply.header("ratelimit-reset").is_some());

    let other = counted_call(Uuid::new_v4(), &door::own_address(), "192.0.2.1")?;
    let reply = Reply::read(handle(&test.app, other.request()?).await)?;
    assert_eq!(reply.refusal(), (400, "invalid_request"));
    assert_eq!(reply.header("ratelimit-remaining"), Some("2"));
    Ok(())
}

#[tokio::test]
async fn one_address_is_limited_for_however_many_callers_and_whatever_it_claims_to_be() -> Result<()> {
    let test = TestApp::start_guarded(100_000, 3).await?;
    let address = door::own_address();
    let call = || counted_call(Uuid::new_v4(), &address, &door::own_address());
    let reply = door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await?;
    assert_eq!(reply.header("ratelimit-limit"), Some("3"));

    // Whoever has no good token is counted, too.
    let address = door::own_address();
    let stranger = || Ok(HttpCall::post(PATH, &json!({})).from_address(&address));
    door::limits_the_rate(3, stranger, async |request| handle(&test.app, request).await).await?;
    Ok(())
}
