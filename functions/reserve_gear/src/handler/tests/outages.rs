//! Parts that are away: the caller hears when to come back, and nothing of the cause.

use anyhow::Result;
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{Provider, Reply, Shop, TestApp};

use super::{answer, good_call};

fn assert_says_to_come_back(reply: &Reply) -> Result<()> {
    ensure_problem(reply, 503, "database_unavailable", "away")?;
    assert_eq!(reply.header("retry-after"), Some("2"));
    let text = reply.body.to_string().to_lowercase();
    for secret in ["127.0.0.1", "kitloop_app", "refused", "postgres", "55p03", "terminat", "lock", "select"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_the_caller_is_told_to_come_back() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    assert_says_to_come_back(&answer(&shop, &good_call(&shop)?).await?)?;

    // What does not need it, is answered as ever.
    let reply = answer(&shop, &good_call(&shop)?.patch(&json!({"quantity": 0}))?).await?;
    ensure_problem(&reply, 400, "invalid_request", "needs no database")?;
    assert_eq!(shop.count("reservations").await?, 0);
    Ok(())
}

#[tokio::test]
async fn after_the_database_hung_up_the_next_call_reserves() -> Result<()> {
    let shop = Shop::open().await?;
    assert_eq!(answer(&shop, &good_call(&shop)?.patch(&json!({"notes": "connects"}))?).await?.status, 201);
    shop.database.execute("update public.gear_items set quantity_total = 2", &[]).await?;
    let hang_up = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
        where datname = current_database() and usename = 'kitloop_app'";
    assert!(shop.database.value::<i64>(hang_up, &[]).await? > 0);

    let call = good_call(&shop)?;
    let mut reply = answer(&shop, &call).await?;
    if reply.status == 503 {
        // The request found the connection dying; the caller comes back with the same key.
        assert_says_to_come_back(&reply)?;
        reply = answer(&shop, &call).await?;
    }
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(shop.count("reservations").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_too_slow_is_away() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.execute("begin", &[]).await?;
    shop.database.execute("select from public.gear_items for update", &[]).await?;
    let call = good_call(&shop)?;
    assert_says_to_come_back(&answer(&shop, &call).await?)?;
    shop.database.execute("rollback", &[]).await?;
    let reply = answer(&shop, &call).await?;
    assert_eq!((reply.status, reply.header("idempotent-replayed")), (201, Some("false")));
    assert_eq!(shop.count("reservations").await?, 1);
    Ok(())
}

#[tokio::test]
async fn with_the_guard_away_bookings_go_on() -> Result<()> {
    let away = [
        ("GUARD_TABLE", "kitloop-guard".to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("RATE_LIMIT_PER_CALLER", "1".to_owned()),
    ];
    let shop = Shop::open_with(TestApp::start_with(&away).await?, &Provider::default()).await?;
    let call = good_call(&shop)?;
    for replayed in ["false", "true", "true"] {
        let reply = answer(&shop, &call).await?;
        assert_eq!((reply.status, reply.header("idempotent-replayed")), (201, Some(replayed)));
    }
    assert_eq!(shop.count("reservations").await?, 1);
    Ok(())
}
