//! Who may run the sweep over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use kitloop::boot::App;
use kitloop::config::{Config, Needs};
use serde_json::{Value, json};
use test_support::door::{self, ensure_problem};
use test_support::{CRON_SECRET, HttpCall, Provider, Reply, Shop, TestApp, Token, invocation, settings};

use super::super::handle;
use super::answer;

const PATH: &str = "/cleanup_reservation_holds";

fn sample() -> Result<HttpCall> {
    HttpCall::sample("cleanup_reservation_holds/http.json", &[])
}

/// A shop with one hold that has lapsed.
async fn open_with_a_lapsed_hold() -> Result<Shop> {
    let shop = Shop::open().await?;
    shop.database.lapse(shop.hold().await?).await?;
    Ok(shop)
}

#[tokio::test]
async fn the_current_and_the_previous_secret_run_the_sweep() -> Result<()> {
    for secret in ["test-cron-secret", "previous-test-cron-secret"] {
        let shop = open_with_a_lapsed_hold().await?;
        let reply = answer(&shop, &sample()?.bearer(secret)).await?;
        assert_eq!((reply.status, reply.at("/deleted_count")), (200, &json!(1)), "{}", reply.body);
        assert_eq!(reply.header("x-correlation-id"), Some("sample-cleanup-reservation-holds"));
        let run_id: String = shop.database.value("select id::text from public.cron_runs", &[]).await?;
        assert_eq!(reply.at("/cron_run_id"), &json!(run_id));
    }
    Ok(())
}

#[tokio::test]
async fn anything_else_does_not() -> Result<()> {
    let shop = open_with_a_lapsed_hold().await?;
    let admin = Token::of(shop.staff_id).with("app_metadata", json!({"role": "admin"})).encode()?;
    for call in [
        HttpCall::sample("cleanup_reservation_holds/http_without_secret.json", &[])?,
        sample()?,
        sample()?.bearer(""),
        sample()?.bearer(&CRON_SECRET[1..]),
        sample()?.bearer("test-cron-secret-and-more"),
        sample()?.bearer("test-cron-secret,previous-test-cron-secret"),
        sample()?.bearer(&admin),
        sample()?.header("authorization", "Basic test-cron-secret"),
        sample()?.header("authorization", "test-cron-secret"),
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 401, "unauthenticated", &call.event["headers"]["authorization"].to_string())?;
        assert!(reply.header("www-authenticate").is_some());
    }
    assert_eq!(shop.count("cron_runs").await?, 0);
    assert_eq!(shop.database.value::<String>("select status from public.reservations", &[]).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn without_a_secret_in_the_settings_it_is_closed_over_http() -> Result<()> {
    let shop = open_with_a_lapsed_hold().await?;
    let mut settings: BTreeMap<&str, String> = settings(&shop.database, &shop.stripe)?;
    settings.remove("CRON_SECRET");
    let config = Config::from_lookup(Needs::SCHEDULE, &|name| settings.get(name).cloned())?;
    let app = App::new(config)?;
    for secret in ["", "test-cron-secret"] {
        let event = invocation(sample()?.bearer(secret).event, Duration::from_secs(15));
        let reply = Reply::read_event(&handle(&app, event).await?)?;
        ensure_problem(&reply, 401, "unauthenticated", "closed")?;
    }
    assert_eq!(shop.count("cron_runs").await?, 0);

    // The schedule itself comes through IAM.
    let done = handle(&app, invocation(json!({"source": "aws.scheduler"}), Duration::from_secs(15))).await?;
    assert_eq!(done["deleted_count"], json!(1));
    Ok(())
}

#[tokio::test]
async fn a_request_that_poses_as_a_schedule_needs_the_secret() -> Result<()> {
    let shop = open_with_a_lapsed_hold().await?;
    let posing =
        HttpCall::post(PATH, &json!({"source": "aws.scheduler"})).set("/source", "aws.scheduler".into());
    ensure_problem(&answer(&shop, &posing).await?, 401, "unauthenticated", "posing")?;
    // A request of a kind that is not known fails; it does not pass as a schedule.
    let rest_api =
        json!({"httpMethod": "POST", "requestContext": {"stage": "dev"}, "source": "aws.scheduler"});
    for payload in [rest_api, json!({"requestContext": null})] {
        assert!(handle(&shop.app, invocation(payload, Duration::from_secs(15))).await.is_err());
    }
    assert_eq!(shop.count("cron_runs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn only_post_runs_it() -> Result<()> {
    let shop = open_with_a_lapsed_hold().await?;
    for method in ["GET", "PUT", "DELETE"] {
        let reply = answer(&shop, &HttpCall::new(method, PATH).bearer("test-cron-secret")).await?;
        ensure_problem(&reply, 405, "method_not_allowed", method)?;
        assert_eq!(reply.header("allow"), Some("POST, OPTIONS"));
    }
    let reply = answer(&shop, &HttpCall::new("OPTIONS", PATH)).await?;
    assert_eq!((reply.status, &reply.body), (204, &Value::Null));
    let huge = "x".repeat(64 * 1024 + 1);
    let reply = answer(&shop, &sample()?.bearer("test-cron-secret").body(&huge)).await?;
    ensure_problem(&reply, 413, "body_too_large", "huge")?;
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
