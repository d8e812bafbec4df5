//! Who may reconcile over HTTP.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::{self, ensure_problem};
use test_support::{CRON_SECRET, HttpCall, Provider, Shop, TestApp, Token};

use super::{PATH, answer, window_call};

fn sample() -> Result<HttpCall> {
    HttpCall::sample("reconcile_payments/http.json", &[])
}

#[tokio::test]
async fn the_current_and_the_previous_secret_reconcile() -> Result<()> {
    let shop = Shop::open().await?;
    for secret in [CRON_SECRET, &format!("previous-{CRON_SECRET}")] {
        let reply = answer(&shop, &sample()?.bearer(secret)).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("x-correlation-id"), Some("sample-reconcile-payments"));
    }
    Ok(())
}

#[tokio::test]
async fn anything_else_does_not() -> Result<()> {
    let shop = Shop::open().await?;
    let admin = Token::of(shop.staff_id).with("app_metadata", json!({"role": "admin"})).encode()?;
    for call in [
        HttpCall::sample("reconcile_payments/http_without_secret.json", &[])?,
        sample()?,
        sample()?.bearer(""),
        sample()?.bearer(&CRON_SECRET[1..]),
        sample()?.bearer(&admin),
        HttpCall::post(PATH, &json!({"source": "aws.scheduler"})).set("/source", "aws.scheduler".into()),
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 401, "unauthenticated", &call.event["headers"]["authorization"].to_string())?;
        assert!(reply.header("www-authenticate").is_some());
    }
    assert_eq!((shop.count("cron_runs").await?, shop.count("reconciliations").await?), (0, 0));
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn only_post_runs_it() -> Result<()> {
    let shop = Shop::open().await?;
    for method in ["GET", "PUT", "DELETE"] {
        let reply = answer(&shop, &HttpCall::new(method, PATH).bearer(CRON_SECRET)).await?;
        ensure_problem(&reply, 405, "method_not_allowed", method)?;
        assert_eq!(reply.header("allow"), Some("POST, OPTIONS"));
    }
    let reply = answer(&shop, &HttpCall::new("OPTIONS", PATH)).await?;
    assert_eq!((reply.status, &reply.body), (204, &Value::Null));
    let plain = window_call(&json!({})).header("content-type", "text/plain");
    ensure_problem(&answer(&shop, &plain).await?, 415, "unsupported_media_type", "plain text")?;
    let huge = window_call(&json!({})).body(&"x".repeat(64 * 1024 + 1));
    ensure_problem(&answer(&shop, &huge).await?, 413, "body_too_large", "huge")?;
    assert_eq!(shop.count("cron_runs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn guessing_the_secret_is_limited_per_address() -> Result<()> {
    let test = TestApp::start_guarded(100_000, 3).await?;
    let shop = Shop::open_with(test, &Provider::default()).await?;
    let address = door::own_address();
    let guess = async || answer(&shop, &sample()?.bearer("guess").from_address(&address)).await;
    door::limits_guesses(3, guess).await
}
