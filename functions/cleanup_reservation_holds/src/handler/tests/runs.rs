//! The log of runs, kept also when a run fails.

use anyhow::Result;
use kitloop::error::Error;
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{CRON_SECRET, HttpCall, Provider, Shop, TestApp};

use super::{answer, logged_run, run};

#[tokio::test]
async fn a_run_is_logged_with_what_it_did() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.lapse(shop.hold().await?).await?;
    let done = run(&shop).await??;
    assert_eq!(logged_run(&shop).await?, json!(["succeeded", done, null]));
    let run_id: String = shop.database.value("select id::text from public.cron_runs", &[]).await?;
    assert_eq!(done["cron_run_id"], json!(run_id));
    Ok(())
}

#[tokio::test]
async fn a_run_that_fails_is_logged_and_its_schedule_hears_of_it() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.lapse(shop.hold().await?).await?;
    let obstacle =
        "alter table public.reservations add constraint obstacle check (status <> 'expired') not valid";
    shop.database.execute(obstacle, &[]).await?;
    assert!(matches!(run(&shop).await?, Err(Error::Database(_))));
    let logged = logged_run(&shop).await?;
    assert_eq!((&logged[0], &logged[1]), (&json!("failed"), &json!(null)));
    assert!(logged[2].as_str().is_some_and(|error| error.contains("23514")), "{logged}");

    let call = HttpCall::sample("cleanup_reservation_holds/http.json", &[])?.bearer(CRON_SECRET);
    let reply = answer(&shop, &call).await?;
    ensure_problem(&reply, 500, "internal_error", "over HTTP")?;
    assert!(!reply.body.to_string().contains("obstacle"), "{}", reply.body);
    assert_eq!(shop.count("cron_runs").await?, 2);

    shop.database.execute("alter table public.reservations drop constraint obstacle", &[]).await?;
    assert_eq!(run(&shop).await??["deleted_count"], json!(1));
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_the_schedule_hears_of_it() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    assert!(matches!(run(&shop).await?, Err(Error::DatabaseUnavailable(_))));
    let call = HttpCall::sample("cleanup_reservation_holds/http.json", &[])?.bearer(CRON_SECRET);
    let reply = answer(&shop, &call).await?;
    ensure_problem(&reply, 503, "database_unavailable", "over HTTP")?;
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert!(!reply.body.to_string().contains("hunter2"));
    Ok(())
}
