//! What is refused before anybody reads the event, and events that cannot be read.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, StripeEvent, TestApp, WEBHOOK_SECRET, sign};

use super::super::handle;
use super::{PATH, Payment, answer, deliver};

/// Any body, with a good signature.
fn signed(body: &str) -> Result<HttpCall> {
    let signature = sign(body, WEBHOOK_SECRET, Timestamp::now())?;
    Ok(HttpCall::new("POST", PATH).header("stripe-signature", &signature).body(body))
}

/// An event of so many bytes.
fn event_of_size(bytes: usize) -> StripeEvent {
    let bare = StripeEvent::new("customer.created", json!({"object": "customer", "description": ""}));
    let padding = bytes - bare.payload.to_string().len();
    bare.with("description", json!("x".repeat(padding)))
}

#[tokio::test]
async fn a_webhook_of_300_kib_is_refused_and_one_at_the_limit_is_read() -> Result<()> {
    let shop = Shop::open().await?;
    for size in [256 * 1024 + 1, 300 * 1024] {
        let call = event_of_size(size).call()?;
        assert_eq!(call.body_text()?.len(), size);
        ensure_problem(&answer(&shop, &call).await?, 413, "body_too_large", "too large")?;
    }
    assert_eq!(shop.count("stripe_webhook_events").await?, 0);
    deliver(&shop, &event_of_size(256 * 1024), 200, "ignored").await
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_malformed() -> Result<()> {
    let shop = Shop::open().await?;
    let nested = format!("{{\"id\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let without_type = json!({"id": "evt_1", "created": 1, "data": {"object": {}}}).to_string();
    for body in ["", "{", "[]", "null", "{}", &nested, &without_type] {
        let reply = answer(&shop, &signed(body)?).await?;
        ensure_problem(&reply, 400, "malformed_body", &body[..body.len().min(40)])?;
    }
    let bytes = HttpCall::new("POST", PATH).bytes(b"{\"id\": \"\xff\"}");
    let reply = answer(&shop, &bytes.header("stripe-signature", "t=1,v1=00")).await?;
    ensure_problem(&reply, 400, "invalid_signature", "not UTF-8")?;
    assert_eq!(shop.count("stripe_webhook_events").await?, 0);
    Ok(())
}

#[tokio::test]
async fn only_post_delivers_and_browsers_are_not_served() -> Result<()> {
    let away = test_support::database_away();
    let test = TestApp::start_with(&[away]).await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let preflight = HttpCall::new("OPTIONS", PATH).header("origin", door::ORIGIN);
    let reply = Reply::read(handle(&test.app, preflight.request()?).await)?;
    assert_eq!((reply.status, reply.header("allow")), (204, Some("POST, OPTIONS")));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_stripe_is_told_to_try_again() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    let payment = Payment::start(&shop).await?;
    let reply = answer(&shop, &payment.event("payment_intent_succeeded")?.call()?).await?;
    ensure_problem(&reply, 503, "database_unavailable", "away")?;
    assert!(reply.header("retry-after").is_some());
    assert!(!reply.body.to_string().contains("hunter2"));
    assert_eq!(shop.database.status(payment.reservation_id).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn bad_signatures_are_limited_per_address_and_good_ones_never() -> Result<()> {
    let test = TestApp::start_guarded(100_000, 3).await?;
    let shop = Shop::open_with(test, &Provider::default()).await?;
    let address = door::own_address();
    let event = StripeEvent::new("customer.created", json!({"object": "customer"}));
    let bad = || {
        let call = event.call()?.from_address(&address).header("x-forwarded-for", &door::own_address());
        Ok(call.header("stripe-signature", "t=1,v1=00"))
    };
    door::limits_the_rate(3, bad, async |request| handle(&shop.app, request).await).await?;
    assert_eq!(shop.count("stripe_webhook_events").await?, 0);

    for _ in 0..10 {
        let event = StripeEvent::new("customer.created", json!({"object": "customer"}));
        let reply = answer(&shop, &event.call()?.from_address(&address)).await?;
        assert_eq!((reply.status, reply.at("/decision")), (200, &json!("ignored")));
    }
    assert_eq!(shop.count("stripe_webhook_events").await?, 10);
    Ok(())
}
