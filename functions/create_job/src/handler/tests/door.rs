//! What is refused before anybody asks the database.

use anyhow::Result;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, TestApp};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, export};

#[tokio::test]
async fn a_token_that_does_not_hold_makes_no_job() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let call = export(user_id, "a")?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    door::refuses_unreadable_bodies(&call, async |request| handle(&shop.app, request).await).await?;
    assert_eq!((shop.count("jobs").await?, shop.database.balance(user_id).await?), (0, 1));
    door::accepts_the_previous_secret(&call, user_id, 202, async |request| handle(&shop.app, request).await)
        .await
}

#[tokio::test]
async fn an_input_of_a_mebibyte_is_too_large() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let input = json!({"format": "csv", "notes": "x".repeat(1024 * 1024)});
    let call = export(user_id, "a")?.patch(&json!({"input": input}))?;
    ensure_problem(&answer(&shop, &call).await?, 413, "body_too_large", "1 MiB")?;
    assert_eq!((shop.count("jobs").await?, shop.database.balance(user_id).await?), (0, 1));
    Ok(())
}

#[tokio::test]
async fn only_post_makes_jobs_and_preflights_need_nothing_else() -> Result<()> {
    let test = TestApp::start_with(&[test_support::database_away()]).await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("create_job/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    let shop = Shop::open_with(test, &Provider::default()).await?;
    let away = answer(&shop, &export(Uuid::new_v4(), "a")?).await?;
    ensure_problem(&away, 503, "database_unavailable", "away")
}

#[tokio::test]
async fn one_caller_is_limited() -> Result<()> {
    let test = TestApp::start_guarded(3, 100_000).await?;
    let caller = Uuid::new_v4();
    let call = || HttpCall::post(PATH, &json!({})).by(caller);
    door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await.map(drop)
}
