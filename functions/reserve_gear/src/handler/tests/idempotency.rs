//! The same request again: the first answer, whatever happened since.

use std::time::Duration;

use anyhow::{Context, Result};
use kitloop::guard::Claim;
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{HttpCall, Provider, Shop, TestApp};
use tokio::time::Instant;
use uuid::Uuid;

use super::{answer, good_call};

/// The same request, with its key in the header as well as, or instead of, the body.
fn with_header(call: &HttpCall, header: &str, field: Option<&str>) -> Result<HttpCall> {
    Ok(call.clone().patch(&json!({"idempotency_key": field}))?.header("idempotency-key", header))
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let call = good_call(&shop)?;
    let first = answer(&shop, &call).await?;
    let again = answer(&shop, &call).await?;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(again.body, first.body);
    assert_eq!(first.header("idempotent-replayed"), Some("false"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(shop.count("reservations").await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_key_may_come_in_the_header_the_field_or_both_if_they_agree() -> Result<()> {
    let shop = Shop::open().await?;
    let call = good_call(&shop)?;
    let first = answer(&shop, &with_header(&call, "a-key", None)?).await?;
    assert_eq!(first.status, 201, "{}", first.body);
    for same in [
        with_header(&call, "a-key", Some("a-key"))?,
        call.clone().patch(&json!({"idempotency_key": "a-key"}))?,
    ] {
        assert_eq!(answer(&shop, &same).await?.body, first.body);
    }
    for (header, field) in [("a-key", Some("b-key")), ("", None), ("a b", None)] {
        let reply = answer(&shop, &with_header(&call, header, field)?).await?;
        ensure_problem(&reply, 400, "invalid_request", header)?;
        assert_eq!(reply.invalid_fields(), ["idempotency_key"]);
    }
    assert_eq!(shop.count("reservations").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_key_with_another_body_is_refused_and_of_another_caller_is_another_key() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.execute("update public.gear_items set quantity_total = 2", &[]).await?;
    let call = good_call(&shop)?;
    assert_eq!(answer(&shop, &call).await?.status, 201);
    let reply = answer(&shop, &call.clone().patch(&json!({"notes": "another body"}))?).await?;
    ensure_problem(&reply, 422, "idempotency_key_reused", "another body")?;
    assert_eq!(shop.count("reservations").await?, 1);

    let reply = answer(&shop, &call.by(Uuid::new_v4())?).await?;
    assert_eq!((reply.status, reply.header("idempotent-replayed")), (201, Some("false")));
    assert_eq!(shop.count("reservations").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() -> Result<()> {
    let shop = Shop::open().await?;
    let in_the_way = shop.hold_by(Uuid::new_v4()).await?;
    let call = good_call(&shop)?;
    let first = answer(&shop, &call).await?;
    ensure_problem(&first, 409, "insufficient_availability", "first")?;
    shop.database.lapse(in_the_way).await?;
    let again = answer(&shop, &call).await?;
    ensure_problem(&again, 409, "insufficient_availability", "again")?;
    assert_eq!(again.at("/lines"), first.at("/lines"));
    assert_eq!(answer(&shop, &good_call(&shop)?).await?.status, 201, "a new key decides anew");
    Ok(())
}

#[tokio::test]
async fn a_request_whose_first_run_does_not_end_is_in_flight() -> Result<()> {
    let shop = Shop::open().await?;
    let key = Uuid::new_v4().to_string();
    let first_run = "insert into public.idempotency_keys (caller, operation, key, request_hash)
        values ($1, 'reserve_gear', $2, 'hash')";
    shop.database.execute("begin", &[]).await?;
    shop.database.execute(first_run, &[&format!("user:{}", shop.customer_id), &key]).await?;
    let call = good_call(&shop)?.patch(&json!({"idempotency_key": key}))?;
    let reply = answer(&shop, &call).await?;
    ensure_problem(&reply, 409, "request_in_flight", "while the first one runs")?;
    assert_eq!(reply.header("retry-after"), Some("1"));

    shop.database.execute("rollback", &[]).await?;
    assert_eq!(answer(&shop, &call).await?.status, 201);
    assert_eq!(shop.count("reservations").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_claim_of_the_guards_turns_a_repetition_away_until_it_is_given_back() -> Result<()> {
    let test = TestApp::start_guarded(100_000, 100_000).await?;
    let shop = Shop::open_with(test, &Provider::default()).await?;
    let key = Uuid::new_v4().to_string();
    let caller = format!("user:{}", shop.customer_id);
    let until = Instant::now() + Duration::from_secs(15);
    let Claim::Taken(lease) = shop.app.guard.claim("reserve_gear", &caller, &key, until).await else {
        anyhow::bail!("the claim was not free");
    };
    let call = good_call(&shop)?.patch(&json!({"idempotency_key": key}))?;
    let reply = answer(&shop, &call).await?;
    ensure_problem(&reply, 409, "request_in_flight", "claimed")?;
    let seconds: u64 = reply.header("retry-after").context("no Retry-After")?.parse()?;
    assert_eq!((seconds, shop.count("idempotency_keys").await?), (1, 0));

    shop.app.guard.release(lease).await;
    assert_eq!(answer(&shop, &call).await?.status, 201);
    let again = answer(&shop, &call).await?;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    Ok(())
}
