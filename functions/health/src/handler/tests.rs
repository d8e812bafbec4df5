//! `/health` and `/ready`, with parts away one by one.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stripe_stand_in::FaultKind;
use test_support::door::{self, ensure_problem};
use test_support::{CRON_SECRET, HttpCall, JWT_SECRET, Reply, TestApp};

use super::handle;

/// An application with some settings changed, and a worker that lives.
async fn start_with(changes: &[(&'static str, String)]) -> Result<TestApp> {
    let test = TestApp::start_with(changes).await?;
    test.database.execute("select kitloop.beat('worker')", &[]).await?;
    Ok(test)
}

async fn get(test: &TestApp, path: &str) -> Result<Reply> {
    Reply::read(handle(&test.app, HttpCall::new("GET", path).request()?).await)
}

/// Fails unless the product is not ready because of these parts, and of no others.
async fn assert_down(test: &TestApp, down: &[&str]) -> Result<()> {
    let reply = get(test, "/ready").await?;
    assert_eq!((reply.status, reply.at("/status")), (503, &json!("unavailable")), "{}", reply.body);
    let parts = reply.at("/parts").as_object().cloned().unwrap_or_default();
    let found: Vec<&str> =
        parts.iter().filter(|(_, status)| **status == json!("down")).map(|(part, _)| part.as_str()).collect();
    assert_eq!(found, down);
    Ok(())
}

fn assert_has_no_secret(reply: &Reply) {
    let text = format!("{} {:?}", reply.body, reply.headers);
    for secret in
        ["hunter2", "kitloop_app", "sk_test", "whsec", CRON_SECRET, JWT_SECRET, "127.0.0.1", "refused"]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn the_sample_says_alive_with_everything_else_away() -> Result<()> {
    let test =
        start_with(&[test_support::database_away(), ("STRIPE_API_BASE", "http://127.0.0.1:1".to_owned())])
            .await?;
    let sample = HttpCall::sample("health/health.json", &[])?;
    let reply = Reply::read(handle(&test.app, sample.request()?).await)?;
    assert_eq!((reply.status, reply.at("/status")), (200, &json!("ok")), "{}", reply.body);
    assert_eq!(reply.at("/environment"), &json!("test"));
    assert_eq!(reply.at("/version"), &json!(env!("CARGO_PKG_VERSION")));
    let timestamp: Timestamp = serde_json::from_value(reply.at("/timestamp").clone())?;
    assert!(Timestamp::now().duration_since(timestamp) < SignedDuration::from_mins(1));
    assert_eq!(reply.at("/configured"), &json!({"stripe_api": true, "guard": false}));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_has_no_secret(&reply);
    Ok(())
}

#[tokio::test]
async fn a_function_url_and_a_stage_find_health_too() -> Result<()> {
    let test = start_with(&[]).await?;
    for path in ["/", "/health", "/staging/health", "/health/"] {
        assert_eq!(get(&test, path).await?.at("/status"), &json!("ok"), "{path}");
    }
    let reply = get(&test, "/metrics").await?;
    ensure_problem(&reply, 404, "not_found", "/metrics")
}

#[tokio::test]
async fn the_sample_is_ready_when_every_part_is() -> Result<()> {
    let test = start_with(&[]).await?;
    let sample = HttpCall::sample("health/ready.json", &[])?;
    let reply = Reply::read(handle(&test.app, sample.request()?).await)?;
    let parts = json!({
        "database": "ok", "migrations": "ok", "worker": "ok", "sweep": "ok", "guard": "off", "stripe": "ok",
    });
    assert_eq!((reply.status, reply.at("/status")), (200, &json!("ready")), "{}", reply.body);
    assert_eq!(reply.at("/parts"), &parts);
    assert_eq!(reply.at("/configured"), &Value::Null);
    assert_has_no_secret(&reply);
    Ok(())
}

#[tokio::test]
async fn without_the_database_it_is_not_ready() -> Result<()> {
    let test = start_with(&[test_support::database_away()]).await?;
    assert_down(&test, &["database", "migrations", "sweep", "worker"]).await?;
    assert_has_no_secret(&get(&test, "/ready").await?);
    Ok(())
}

#[tokio::test]
async fn a_sweep_that_stopped_is_visible_and_customers_are_served_all_the_same() -> Result<()> {
    let test = start_with(&[]).await?;
    let sql = "insert into public.cron_runs (name, status, finished_at)
        values ('cleanup_reservation_holds', 'succeeded', now() - interval '16 minutes')";
    test.database.execute(sql, &[]).await?;
    let reply = get(&test, "/ready").await?;
    assert_eq!((reply.status, reply.at("/parts/sweep")), (200, &json!("down")), "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn without_a_worker_that_beats_it_is_not_ready() -> Result<()> {
    let test = start_with(&[]).await?;
    test.database
        .execute("update public.worker_heartbeats set beat_at = now() - interval '61 seconds'", &[])
        .await?;
    assert_down(&test, &["worker"]).await?;
    test.database.execute("delete from public.worker_heartbeats", &[]).await?;
    assert_down(&test, &["worker"]).await?;
    test.database.execute("select kitloop.beat('worker')", &[]).await?;
    assert_eq!(get(&test, "/ready").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_sweep_that_is_overdue_shows_and_does_not_stop_anything() -> Result<()> {
    let test = start_with(&[]).await?;
    let swept = "insert into public.cron_runs (name, status, started_at, finished_at)
        values ('cleanup_reservation_holds', $1, now() - make_interval(mins => $2), now() - make_interval(mins => $2))";
    for (status, minutes_ago, sweep) in
        [("succeeded", 16, "down"), ("failed", 1, "down"), ("succeeded", 14, "ok")]
    {
        test.database.execute(swept, &[&status, &minutes_ago]).await?;
        let reply = get(&test, "/ready").await?;
        assert_eq!((reply.status, reply.at("/parts/sweep")), (200, &json!(sweep)), "{status} {minutes_ago}");
    }
    Ok(())
}

#[tokio::test]
async fn with_an_older_schema_it_is_not_ready() -> Result<()> {
    let test = start_with(&[]).await?;
    let newest = "delete from public._sqlx_migrations where version = (select max(version) from public._sqlx_migrations)";
    test.database.execute(newest, &[]).await?;
    assert_down(&test, &["migrations"]).await
}

#[tokio::test]
async fn without_stripe_it_is_not_ready() -> Result<()> {
    let test = start_with(&[("STRIPE_API_BASE", "http://127.0.0.1:1".to_owned())]).await?;
    assert_down(&test, &["stripe"]).await?;
    assert_has_no_secret(&get(&test, "/ready").await?);
    Ok(())
}

#[tokio::test]
async fn with_a_key_that_stripe_does_not_take_it_is_not_ready() -> Result<()> {
    let test = start_with(&[]).await?;
    test.stripe.admin().fail_next("GET", "/v1", 1, FaultKind::status(401)).await?;
    assert_down(&test, &["stripe"]).await
}

#[tokio::test]
async fn stripe_is_not_asked_at_every_probe() -> Result<()> {
    let test = start_with(&[]).await?;
    for _ in 0..5 {
        assert_eq!(get(&test, "/ready").await?.status, 200);
    }
    assert_eq!(test.stripe.admin().requests().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn without_its_guard_it_is_ready_and_says_so() -> Result<()> {
    let away = [
        ("GUARD_TABLE", "kitloop-guard"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let test = start_with(&away).await?;
    let reply = get(&test, "/ready").await?;
    assert_eq!((reply.status, reply.at("/parts/guard")), (200, &json!("down")));
    Ok(())
}

#[tokio::test]
async fn with_its_guard_it_says_so() -> Result<()> {
    let test = TestApp::start_guarded(100_000, 100_000).await?;
    assert_eq!(get(&test, "/ready").await?.at("/parts/guard"), &json!("ok"));
    assert_eq!(get(&test, "/health").await?.at("/configured/guard"), &json!(true));
    Ok(())
}

#[tokio::test]
async fn probes_are_limited_per_address() -> Result<()> {
    let test = TestApp::start_guarded(100_000, 3).await?;
    let address = door::own_address();
    let call = || Ok(HttpCall::new("GET", "/health").from_address(&address));
    door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await.map(drop)
}

#[tokio::test]
async fn only_get_is_known_and_preflights_need_nothing_else() -> Result<()> {
    let test =
        start_with(&[test_support::database_away(), ("PUBLIC_ORIGIN_ALLOWLIST", door::ORIGIN.to_owned())])
            .await?;
    door::refuses_other_methods("/health", "GET", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights("/ready", "GET", async |request| handle(&test.app, request).await).await
}
