//! Events as AWS delivers them, over a real database.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, TestApp};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/credits";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// A user asks for their credits.
fn get(query: &str, user_id: Uuid) -> Result<HttpCall> {
    HttpCall::new("GET", PATH).set("/rawQueryString", query.into()).by(user_id)
}

/// A user who has had so many corrections of one credit.
async fn user_with_entries(shop: &Shop, count: usize) -> Result<Uuid> {
    let user_id = Uuid::new_v4();
    shop.database.execute("insert into public.customers (user_id) values ($1)", &[&user_id]).await?;
    for key in 0..count {
        let sql = "select kitloop.adjust_credits('Ada', $1, 1, 'a gift', $2)";
        shop.database.execute(sql, &[&user_id, &format!("{user_id}-{key}")]).await?;
    }
    Ok(user_id)
}

#[tokio::test]
async fn whoever_never_had_credits_has_none() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("credits/first_page.json", &[])?.by(Uuid::new_v4())?;
    let reply = answer(&shop, &sample).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.body, json!({"balance": 0, "entries": [], "next_cursor": null}));
    Ok(())
}

#[tokio::test]
async fn the_entries_come_in_pages_newest_first_and_the_balance_with_each() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = user_with_entries(&shop, 5).await?;
    user_with_entries(&shop, 2).await?;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = answer(&shop, &get(&format!("limit=2&cursor={cursor}"), user_id)?).await?.body;
        assert_eq!(page["balance"], 5);
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        ids.extend(entries.iter().filter_map(|entry| entry["entry_id"].as_i64()));
        match page["next_cursor"].as_i64() {
            Some(next) => cursor = next.to_string(),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted_by(|one, next| one > next), "{ids:?}");
    let entry = answer(&shop, &get("limit=1", user_id)?).await?.body["entries"][0].clone();
    assert_eq!(
        ["amount", "entry_type", "reason", "job_id"].map(|member| entry[member].clone()),
        [json!(1), json!("adjustment"), json!("a gift"), Value::Null]
    );
    Ok(())
}

#[tokio::test]
async fn nobody_sees_the_credits_of_others() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = user_with_entries(&shop, 1).await?;
    let other = answer(&shop, &get("", Uuid::new_v4())?).await?;
    assert_eq!(other.at("/entries"), &json!([]));
    let call = get("", user_id)?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    door::accepts_the_previous_secret(&call, user_id, 200, async |request| handle(&shop.app, request).await)
        .await
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    for (query, fields) in [
        ("limit=0", vec!["limit"]),
        ("limit=101", vec!["limit"]),
        ("cursor=first&limit=x", vec!["cursor", "limit"]),
        ("cursor=-1", vec!["cursor"]),
        ("cursor=99999999999999999999", vec!["cursor"]),
    ] {
        let reply = answer(&shop, &get(query, Uuid::new_v4())?).await?;
        ensure_problem(&reply, 400, "invalid_request", query)?;
        assert_eq!(reply.invalid_fields(), fields, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn only_get_is_answered_and_preflights_need_nothing_else() -> Result<()> {
    let test = TestApp::start_with(&[test_support::database_away()]).await?;
    door::refuses_other_methods(PATH, "GET", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "GET", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("credits/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    let shop = Shop::open_with(test, &Provider::default()).await?;
    let away = answer(&shop, &get("", Uuid::new_v4())?).await?;
    ensure_problem(&away, 503, "database_unavailable", "away")
}

#[tokio::test]
async fn one_caller_is_limited() -> Result<()> {
    let test = TestApp::start_guarded(3, 100_000).await?;
    let caller = Uuid::new_v4();
    let call = || get("", caller);
    door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await.map(drop)
}
