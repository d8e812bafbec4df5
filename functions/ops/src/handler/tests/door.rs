//! Who may see and do it.

use anyhow::Result;
use kitloop::boot::App;
use kitloop::config::{Config, Needs};
use serde_json::{Value, json};
use test_support::door::{self, ensure_problem};
use test_support::{ADMIN_TOKEN, CRON_SECRET, HttpCall, Provider, Reply, Shop, TestApp, Token, settings};

use super::{answer, get};
use crate::handler::handle;

const WITHOUT_TOKEN: &str = "ops/without_token.json";

#[tokio::test]
async fn the_current_and_the_previous_token_open_in_either_header() -> Result<()> {
    let shop = Shop::open().await?;
    for token in [ADMIN_TOKEN, &format!("previous-{ADMIN_TOKEN}")] {
        for call in [
            HttpCall::sample("ops/metrics.json", &[])?.bearer(token),
            HttpCall::sample("ops/metrics_by_header.json", &[])?.header("x-admin-token", token),
        ] {
            let reply = answer(&shop, &call).await?;
            assert_eq!(reply.status, 200, "{}", reply.body);
            assert_eq!(reply.header("x-correlation-id"), Some("sample-ops"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn anything_else_does_not() -> Result<()> {
    let shop = Shop::open().await?;
    let admin = Token::of(shop.staff_id).with("app_metadata", json!({"role": "admin"})).encode()?;
    let outside = HttpCall::sample(WITHOUT_TOKEN, &[])?;
    for (case, call) in [
        ("no token", outside.clone()),
        ("the sample's", HttpCall::sample("ops/metrics.json", &[])?),
        ("empty", outside.clone().bearer("")),
        ("cut short", outside.clone().bearer(&ADMIN_TOKEN[1..])),
        ("a user's", outside.clone().bearer(&admin)),
        ("the schedule's", outside.clone().bearer(CRON_SECRET)),
        ("another header's", outside.clone().header("x-admin-token", "guess")),
        ("in the query", outside.clone().set("/rawQueryString", format!("token={ADMIN_TOKEN}").into())),
        ("for nothing", HttpCall::new("GET", "/ops/nothing")),
    ] {
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 401, "unauthenticated", case)?;
        assert!(reply.header("www-authenticate").is_some(), "{case}");
    }
    let replay = HttpCall::sample("ops/replay_event.json", &[])?;
    ensure_problem(&answer(&shop, &replay).await?, 401, "unauthenticated", "a write")?;
    assert_eq!(shop.count("audit_logs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn without_a_configured_token_it_is_closed() -> Result<()> {
    let shop = Shop::open().await?;
    let mut settings = settings(&shop.database, &shop.stripe)?;
    settings.remove("ADMIN_TOKEN");
    let app = App::new(Config::from_lookup(Needs::OPERATIONS, &|name| settings.get(name).cloned())?)?;
    for token in ["", ADMIN_TOKEN] {
        let call = get("/ops/metrics").bearer(token).header("x-admin-token", token);
        let reply = Reply::read(handle(&app, call.request()?).await)?;
        ensure_problem(&reply, 401, "unauthenticated", "closed")?;
    }
    Ok(())
}

#[tokio::test]
async fn each_path_knows_its_methods() -> Result<()> {
    let shop = Shop::open().await?;
    for (method, path, allowed) in [
        ("POST", "/ops/metrics", "GET, OPTIONS"),
        ("DELETE", "/ops/webhook-events", "GET, OPTIONS"),
        ("GET", "/ops/webhook-events/evt_1/replay", "POST, OPTIONS"),
        ("PUT", "/ops/consistency", "GET, POST, OPTIONS"),
    ] {
        let reply = answer(&shop, &HttpCall::new(method, path).bearer(ADMIN_TOKEN)).await?;
        ensure_problem(&reply, 405, "method_not_allowed", path)?;
        assert_eq!(reply.header("allow"), Some(allowed), "{path}");
    }
    for path in ["/ops", "/ops/metric", "/ops/metrics/more", "/ops/webhook-events/evt_1", "/"] {
        ensure_problem(&answer(&shop, &get(path)).await?, 404, "not_found", path)?;
    }
    let reply = answer(&shop, &HttpCall::new("OPTIONS", "/ops/metrics")).await?;
    assert_eq!((reply.status, &reply.body), (204, &Value::Null));
    Ok(())
}

#[tokio::test]
async fn every_wrong_parameter_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    for (path, fields) in [
        (
            "/ops/webhook-events?status=lost&limit=0&reservation_id=1",
            vec!["limit", "reservation_id", "status"],
        ),
        ("/ops/webhook-events?limit=101", vec!["limit"]),
        ("/ops/webhook-events?limit=5&limit=6", vec!["limit"]),
        ("/ops/webhook-events?cursor=evt_nobody_knows", vec!["cursor"]),
        ("/ops/dead-letters?cursor=1&limit=ten", vec!["cursor", "limit"]),
        ("/ops/dead-letters?cursor=00000000-0000-4000-8000-000000000001", vec!["cursor"]),
        ("/ops/audit?cursor=x&reservation_id=y", vec!["cursor", "reservation_id"]),
        ("/ops/counts?provider_id=x", vec!["provider_id"]),
        ("/ops/reservation-stats?days=366&provider_id=x", vec!["days", "provider_id"]),
    ] {
        let reply = answer(&shop, &get(path)).await?;
        ensure_problem(&reply, 400, "invalid_request", path)?;
        assert_eq!(reply.invalid_fields(), fields, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn guessing_the_token_is_limited_per_address() -> Result<()> {
    let shop = Shop::open_with(TestApp::start_guarded(100_000, 3).await?, &Provider::default()).await?;
    let address = door::own_address();
    let guess = async || {
        let guess = HttpCall::sample(WITHOUT_TOKEN, &[])?.bearer("guess").from_address(&address);
        answer(&shop, &guess).await
    };
    door::limits_guesses(3, guess).await
}
