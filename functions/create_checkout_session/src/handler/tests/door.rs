//! What is refused before anybody asks Stripe.

use anyhow::Result;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, TestApp};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, buy, sessions};

#[tokio::test]
async fn a_token_that_does_not_hold_buys_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let call = buy(user_id, "a")?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    door::refuses_unreadable_bodies(&call, async |request| handle(&shop.app, request).await).await?;
    assert!(sessions(&shop).await?.is_empty());
    door::accepts_the_previous_secret(&call, user_id, 200, async |request| handle(&shop.app, request).await)
        .await
}

#[tokio::test]
async fn all_wrong_fields_are_named_in_one_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("create_checkout_session/all_fields_wrong.json", &[])?.by(Uuid::new_v4())?;
    let reply = answer(&shop, &sample).await?;
    ensure_problem(&reply, 400, "invalid_request", "all")?;
    let mut named = reply.invalid_fields();
    named.sort_unstable();
    assert_eq!(named, ["cancel_url", "credits", "idempotency_key", "success_url"]);
    for credits in
        [json!(0), json!(-1), json!(1_000_000_000), json!(10_001), json!(2.5), json!("25"), json!(null)]
    {
        let call = buy(Uuid::new_v4(), "a")?.patch(&json!({"credits": credits}))?;
        let reply = answer(&shop, &call).await?;
        ensure_problem(&reply, 400, "invalid_request", &credits.to_string())?;
        assert_eq!(reply.invalid_fields(), ["credits"], "{credits}");
    }
    assert_eq!((sessions(&shop).await?.len(), shop.count("credit_topups").await?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn nobody_is_sent_to_a_page_that_is_not_ours() -> Result<()> {
    let shop = Shop::open().await?;
    for url in
        ["https://evil.example/", "https://shop.example.evil.example/", "https://shop.example@evil.example/"]
    {
        for field in ["success_url", "cancel_url"] {
            let reply = answer(&shop, &buy(Uuid::new_v4(), "a")?.patch(&json!({field: url}))?).await?;
            ensure_problem(&reply, 400, "invalid_request", url)?;
            assert_eq!(reply.invalid_fields(), [field], "{url}");
        }
    }
    assert!(sessions(&shop).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn only_post_buys_and_preflights_need_nothing_else() -> Result<()> {
    let test = TestApp::start_with(&[test_support::database_away()]).await?;
    door::refuses_other_methods(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "POST", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("create_checkout_session/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    let shop = Shop::open_with(test, &Provider::default()).await?;
    let away = answer(&shop, &buy(Uuid::new_v4(), "a")?).await?;
    ensure_problem(&away, 503, "database_unavailable", "away")
}

#[tokio::test]
async fn one_caller_is_limited() -> Result<()> {
    let test = TestApp::start_guarded(3, 100_000).await?;
    let caller = Uuid::new_v4();
    let call = || HttpCall::post(PATH, &json!({})).by(caller);
    door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await.map(drop)
}
