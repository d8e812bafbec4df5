//! A Stripe that hangs, throttles, breaks or talks nonsense, and a database that is away. Whatever happens, the same
//! call works afterwards, and there is one intent.

use anyhow::Result;
use serde_json::json;
use stripe_stand_in::{FaultKind, StatusFault};
use test_support::door::ensure_problem;
use test_support::{Provider, Reply, Shop, TestApp};

use super::{answer, assert_offers_the_only_intent, call, open_impatient, payment};

/// Longer than any function tries.
const ALWAYS: u32 = 1000;

fn ensure_away(reply: &Reply, code: &str) -> Result<()> {
    ensure_problem(reply, 503, code, "away")?;
    assert_eq!(reply.header("retry-after"), Some("2"));
    let text = reply.body.to_string().to_lowercase();
    for upstream in
        ["unknown error", "rate limit", "html", "gateway", "api_error", "127.0.0.1", "sk_test", "pi_"]
    {
        assert!(!text.contains(upstream), "{upstream} in {text}");
    }
    Ok(())
}

/// Fails unless a Stripe that fails in this way, so many times, is answered with 503, and with an intent once it is
/// well again.
async fn assert_recovers_from(kind: FaultKind, times: u32) -> Result<()> {
    let shop = open_impatient().await?;
    let reservation_id = shop.hold().await?;
    let call = call(&shop, reservation_id)?;
    shop.stripe.admin().fail_next("POST", "/v1/payment_intents", times, kind).await?;
    ensure_away(&answer(&shop, &call).await?, "stripe_unavailable")?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");

    shop.stripe.admin().clear_faults().await?;
    let reply = answer(&shop, &call).await?;
    let intent_id = assert_offers_the_only_intent(&shop, reservation_id, &reply).await?;
    assert_eq!(payment(&shop, reservation_id).await?, json!(["requires_payment_method", intent_id, 1]));
    assert_eq!(shop.intents().await?.len(), 1);
    shop.database.assert_consistent().await
}

/// Fails unless a Stripe that fails in this way, once, is not noticed by the caller.
async fn assert_survives(kind: FaultKind, generation: i32) -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = call(&shop, reservation_id)?;
    shop.stripe.admin().fail_next("POST", "/v1/payment_intents", 1, kind).await?;
    let reply = answer(&shop, &call).await?;
    let intent_id = assert_offers_the_only_intent(&shop, reservation_id, &reply).await?;
    assert_eq!(
        payment(&shop, reservation_id).await?,
        json!(["requires_payment_method", intent_id, generation])
    );
    let again = answer(&shop, &call).await?;
    assert_eq!(again.at("/payment_intent_id"), &json!(intent_id));
    assert_eq!(shop.intents().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn stripe_that_hangs_is_away() -> Result<()> {
    assert_recovers_from(FaultKind::Hang, ALWAYS).await
}

#[tokio::test]
async fn stripe_that_hangs_after_the_work_gives_the_intent_to_the_next_call() -> Result<()> {
    assert_recovers_from(FaultKind::HangAfter, 1).await
}

#[tokio::test]
async fn stripe_that_throttles_for_longer_than_there_is_time_is_away() -> Result<()> {
    let throttled = StatusFault { status: 429, retry_after: Some(30), ..StatusFault::default() };
    assert_recovers_from(FaultKind::Status(throttled), 1).await
}

#[tokio::test]
async fn stripe_that_breaks_each_time_is_away() -> Result<()> {
    assert_recovers_from(FaultKind::passing_status(500), ALWAYS).await
}

#[tokio::test]
async fn a_page_of_a_gateway_is_no_answer_of_stripes() -> Result<()> {
    assert_recovers_from(FaultKind::Html { with_work: false }, ALWAYS).await
}

#[tokio::test]
async fn nonsense_is_no_answer_of_stripes_whatever_work_is_behind_it() -> Result<()> {
    assert_recovers_from(FaultKind::Nonsense { with_work: true }, ALWAYS).await
}

#[tokio::test]
async fn a_passing_failure_is_not_noticed() -> Result<()> {
    for kind in [
        FaultKind::status(429),
        FaultKind::passing_status(503),
        FaultKind::Html { with_work: true },
        FaultKind::Nonsense { with_work: false },
    ] {
        assert_survives(kind, 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stored_failure_without_an_intent_takes_the_next_generation() -> Result<()> {
    assert_survives(FaultKind::status(500), 2).await
}

#[tokio::test]
async fn a_stored_failure_behind_which_an_intent_was_made_finds_it() -> Result<()> {
    let with_work = StatusFault { status: 500, with_work: true, ..StatusFault::default() };
    assert_survives(FaultKind::Status(with_work), 1).await
}

#[tokio::test]
async fn what_stripe_refuses_is_told_without_its_words() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = call(&shop, reservation_id)?;
    shop.stripe.admin().fail_next("POST", "/v1/payment_intents", 1, FaultKind::status(400)).await?;
    let reply = answer(&shop, &call).await?;
    ensure_problem(&reply, 502, "stripe_refused", "refused")?;
    assert!(!reply.body.to_string().contains("made to order"), "{}", reply.body);
    let reply = answer(&shop, &call).await?;
    assert_offers_the_only_intent(&shop, reservation_id, &reply).await.map(drop)
}

#[tokio::test]
async fn an_intent_that_cannot_be_read_again_is_away_and_stays_the_one() -> Result<()> {
    let shop = open_impatient().await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    let call = call(&shop, reservation_id)?;
    shop.stripe.admin().fail_next("GET", "/v1/payment_intents", ALWAYS, FaultKind::Hang).await?;
    ensure_away(&answer(&shop, &call).await?, "stripe_unavailable")?;
    shop.stripe.admin().clear_faults().await?;
    let reply = answer(&shop, &call).await?;
    assert_eq!(assert_offers_the_only_intent(&shop, reservation_id, &reply).await?, intent_id);
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_stripe_is_not_even_called() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    let reservation_id = shop.hold().await?;
    ensure_away(&answer(&shop, &call(&shop, reservation_id)?).await?, "database_unavailable")?;
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}
