//! Sessions at Stripe.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stripe_stand_in::{FaultKind, StatusFault};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, wait_until};
use uuid::Uuid;

use super::{answer, buy, sessions};

#[tokio::test]
async fn a_session_is_made_for_the_servers_price_and_says_whose_it_is() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("create_checkout_session/customer_buys.json", &[])?.by(Uuid::new_v4())?;
    let sample = sample.patch(&json!({"currency": "CZK", "amount_minor": 1, "price": 1}))?;
    let reply = answer(&shop, &sample).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        (reply.at("/credits"), reply.at("/amount_minor"), reply.at("/currency")),
        (&json!(25), &json!(2500), &json!("EUR"))
    );
    let made = sessions(&shop).await?;
    let session = made.first().context("no session")?;
    assert_eq!((&session["id"], &session["url"]), (reply.at("/session_id"), reply.at("/url")));
    assert_eq!(
        ["amount_total", "currency", "mode", "payment_status"].map(|member| session[member].clone()),
        [json!(2500), json!("eur"), json!("payment"), json!("unpaid")]
    );
    let topup: Uuid = shop.database.value("select id from public.credit_topups", &[]).await?;
    assert_eq!(session["metadata"], json!({"topup_id": topup}));
    assert_eq!(shop.count("credit_ledger").await?, 0, "nothing is granted before it is paid");
    Ok(())
}

#[tokio::test]
async fn the_same_request_gets_the_same_session_and_another_under_its_key_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let first = answer(&shop, &buy(user_id, "a")?).await?;
    let again = answer(&shop, &buy(user_id, "a")?).await?;
    assert_eq!(first.body, again.body);
    let replayed = [&first, &again].map(|reply| reply.header("idempotent-replayed"));
    assert_eq!(replayed, [Some("false"), Some("true")]);
    let other = answer(&shop, &buy(user_id, "a")?.patch(&json!({"credits": 26}))?).await?;
    ensure_problem(&other, 422, "idempotency_key_reused", "another number")?;
    assert_eq!(answer(&shop, &buy(Uuid::new_v4(), "a")?).await?.status, 200, "keys are each caller's own");
    assert_eq!(sessions(&shop).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_session_that_stripe_made_without_our_hearing_of_it_is_found_again() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let first = answer(&shop, &buy(user_id, "a")?).await?;
    shop.database.execute("update public.credit_topups set checkout_session_id = null", &[]).await?;
    let again = answer(&shop, &buy(user_id, "a")?).await?;
    assert_eq!(first.at("/session_id"), again.at("/session_id"));
    assert_eq!(sessions(&shop).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn with_stripe_away_the_same_request_works_later() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let away = FaultKind::Html { with_work: false };
    shop.stripe.admin().fail_next("POST", "/v1/checkout/sessions", 100, away).await?;
    ensure_problem(&answer(&shop, &buy(user_id, "a")?).await?, 503, "stripe_unavailable", "away")?;
    shop.stripe.admin().clear_faults().await?;
    assert_eq!(answer(&shop, &buy(user_id, "a")?).await?.status, 200);
    assert_eq!(shop.count("credit_topups").await?, 1);
    Ok(())
}

/// (generation, session) of the only top-up.
async fn topup(shop: &Shop) -> Result<Value> {
    let sql = "select jsonb_build_array(generation, checkout_session_id) from public.credit_topups";
    shop.database.value(sql, &[]).await
}

fn stored_failure(with_work: bool) -> FaultKind {
    FaultKind::Status(StatusFault { status: 500, with_work, ..StatusFault::default() })
}

#[tokio::test]
async fn a_stored_failure_without_a_session_takes_the_next_key() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    shop.stripe.admin().fail_next("POST", "/v1/checkout/sessions", 1, stored_failure(false)).await?;
    let reply = answer(&shop, &buy(user_id, "a")?).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("idempotent-replayed"), Some("false"), "it is the first answer to this request");
    assert_eq!(topup(&shop).await?, json!([2, reply.at("/session_id")]));
    let again = answer(&shop, &buy(user_id, "a")?).await?;
    assert_eq!((&again.body, sessions(&shop).await?.len()), (&reply.body, 1));
    assert!(shop.stripe.admin().conflicting_keys().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_stored_failure_behind_which_a_session_was_made_finds_it() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    shop.stripe.admin().fail_next("POST", "/v1/checkout/sessions", 1, stored_failure(true)).await?;
    let reply = answer(&shop, &buy(user_id, "a")?).await?;
    assert_eq!((reply.status, sessions(&shop).await?.len()), (200, 1), "{}", reply.body);
    assert_eq!(topup(&shop).await?, json!([1, reply.at("/session_id")]));
    Ok(())
}

#[tokio::test]
async fn when_every_key_is_spent_the_same_request_works_later() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let admin = shop.stripe.admin();
    admin.fail_next("POST", "/v1/checkout/sessions", 100, stored_failure(false)).await?;
    ensure_problem(&answer(&shop, &buy(user_id, "a")?).await?, 503, "stripe_unavailable", "spent")?;
    admin.clear_faults().await?;
    admin.reset_log().await?;
    let reply = answer(&shop, &buy(user_id, "a")?).await?;
    let keys: Vec<_> =
        admin.requests().await?.into_iter().filter_map(|request| request.idempotency_key).collect();
    assert!(matches!(keys.as_slice(), [key] if key.ends_with(":checkout:4")), "{keys:?}");
    assert_eq!(topup(&shop).await?, json!([4, reply.at("/session_id")]));
    assert_eq!(sessions(&shop).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn without_a_list_to_look_at_no_other_key_is_taken() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let admin = shop.stripe.admin();
    admin.fail_next("POST", "/v1/checkout/sessions", 1, stored_failure(true)).await?;
    let away = StatusFault { status: 500, should_retry: Some(false), ..StatusFault::default() };
    admin.fail_next("GET", "/v1/checkout/sessions", 1, FaultKind::Status(away)).await?;
    ensure_problem(&answer(&shop, &buy(user_id, "a")?).await?, 503, "stripe_unavailable", "no list")?;
    assert_eq!(topup(&shop).await?, json!([1, null]));
    let reply = answer(&shop, &buy(user_id, "a")?).await?;
    assert_eq!(topup(&shop).await?, json!([1, reply.at("/session_id")]));
    assert_eq!(sessions(&shop).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn everybody_who_meets_the_same_stored_failure_gets_the_same_session() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    shop.stripe.admin().fail_next("POST", "/v1/checkout/sessions", 1, stored_failure(false)).await?;
    let call = buy(user_id, "a")?;
    let replies = tokio::join!(answer(&shop, &call), answer(&shop, &call), answer(&shop, &call));
    let replies = [replies.0?, replies.1?, replies.2?];
    let session_id = replies[0].at("/session_id");
    assert!(replies.iter().all(|reply| reply.at("/session_id") == session_id), "{replies:?}");
    assert_eq!((topup(&shop).await?, sessions(&shop).await?.len()), (json!([2, session_id]), 1));
    Ok(())
}

#[tokio::test]
async fn a_session_that_stripe_has_forgotten_the_key_of_is_not_made_again() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let first = answer(&shop, &buy(user_id, "a")?).await?;
    let days_ago = "update public.credit_topups
        set checkout_session_id = null, created_at = created_at - interval '1 day'";
    shop.database.execute(days_ago, &[]).await?;
    shop.stripe.admin().forget_idempotency_keys().await?;
    let again = answer(&shop, &buy(user_id, "a")?).await?;
    assert_eq!(again.at("/session_id"), first.at("/session_id"));
    assert_eq!((topup(&shop).await?, sessions(&shop).await?.len()), (json!([1, first.at("/session_id")]), 1));
    Ok(())
}

#[tokio::test]
async fn nobody_is_sent_to_a_session_that_is_not_the_top_ups() -> Result<()> {
    let shop = Shop::open().await?;
    let others = answer(&shop, &buy(Uuid::new_v4(), "a")?).await?;
    let session_id = others.at("/session_id").as_str().context("no session")?;
    shop.database.execute("update public.credit_topups set checkout_session_id = null", &[]).await?;
    let slow = FaultKind::Slow { delay_ms: 1_000 };
    shop.stripe.admin().fail_next("POST", "/v1/checkout/sessions", 1, slow).await?;
    let call = buy(Uuid::new_v4(), "a")?;
    let note = async {
        // While Stripe takes its time, somebody else notes another session, of an earlier key.
        wait_until("the top-up begins", async || Ok(shop.count("credit_topups").await? == 2)).await?;
        let sql = "update public.credit_topups set checkout_session_id = $1
            where created_at = (select max(created_at) from public.credit_topups)";
        shop.database.execute(sql, &[&session_id]).await
    };
    let (reply, noted) = tokio::join!(answer(&shop, &call), note);
    noted?;
    assert_eq!(reply?.at("/session_id"), others.at("/session_id"));
    assert_eq!(sessions(&shop).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_over_is_said_to_be() -> Result<()> {
    let shop = Shop::open().await?;
    let paid_by = Uuid::new_v4();
    let session = answer(&shop, &buy(paid_by, "a")?).await?.at("/session_id").clone();
    shop.stripe.admin().complete_checkout(text(&session), "pm_card_visa").await?;
    ensure_problem(&answer(&shop, &buy(paid_by, "a")?).await?, 409, "already_paid", "paid")?;

    let left_by = Uuid::new_v4();
    let session = answer(&shop, &buy(left_by, "a")?).await?.at("/session_id").clone();
    shop.stripe_post(&format!("checkout/sessions/{}/expire", text(&session)), &[]).await?;
    ensure_problem(&answer(&shop, &buy(left_by, "a")?).await?, 410, "checkout_expired", "left")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
