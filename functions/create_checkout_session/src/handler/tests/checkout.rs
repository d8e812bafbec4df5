//! Sessions at Stripe.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stripe_stand_in::FaultKind;
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop};
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
