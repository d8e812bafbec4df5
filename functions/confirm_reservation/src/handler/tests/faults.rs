//! A Stripe that fails, and a database that is away. Whatever happens, nothing is confirmed that is not paid, and the
//! same call works afterwards.

use anyhow::Result;
use serde_json::json;
use stripe_stand_in::{Fault, FaultKind, RequestMatch, StatusFault};
use test_support::door::ensure_problem;
use test_support::{Provider, Reply, Shop, TestApp};

use super::{answer, assert_stands, authorized, customer_call, job, staff_call, stored};

/// Longer than any function tries.
const ALWAYS: u32 = 1000;

/// A shop whose function has five seconds, of which Stripe gets one.
async fn open_impatient(provider: Provider) -> Result<Shop> {
    let test = TestApp::start_with(&[("FUNCTION_TIMEOUT_SECONDS", "5".to_owned())]).await?;
    Shop::open_with(test, &provider).await
}

fn ensure_away(reply: &Reply, code: &str) -> Result<()> {
    ensure_problem(reply, 503, code, code)?;
    assert_eq!(reply.header("retry-after"), Some("2"));
    Ok(())
}

/// Makes every later capture fail in this way.
async fn break_captures(shop: &Shop, kind: FaultKind) -> Result<()> {
    let request = RequestMatch { path_suffix: Some("/capture".to_owned()), ..RequestMatch::default() };
    shop.stripe.admin().add_fault(&Fault { request, times: ALWAYS, kind }).await
}

#[tokio::test]
async fn stripe_away_while_a_payment_is_looked_up_confirms_nothing() -> Result<()> {
    let throttled = StatusFault { status: 429, retry_after: Some(30), ..StatusFault::default() };
    for kind in [
        FaultKind::Hang,
        FaultKind::Status(throttled),
        FaultKind::passing_status(500),
        FaultKind::Html { with_work: false },
        FaultKind::Nonsense { with_work: false },
    ] {
        let shop = open_impatient(Provider::default()).await?;
        let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
        shop.stripe.admin().fail_next("GET", "/v1/payment_intents", ALWAYS, kind).await?;
        let call = customer_call(&shop, reservation_id)?;
        ensure_away(&answer(&shop, &call).await?, "stripe_unavailable")?;
        let untouched = json!(["hold", null, false, "requires_payment_method"]);
        assert_eq!(stored(&shop, reservation_id).await?, untouched);

        shop.stripe.admin().clear_faults().await?;
        assert_stands(&answer(&shop, &call).await?, reservation_id, "confirmed", true);
    }
    Ok(())
}

#[tokio::test]
async fn a_capture_that_gets_no_answer_is_left_to_the_worker() -> Result<()> {
    for kind in [FaultKind::Hang, FaultKind::HangAfter] {
        let shop = open_impatient(Provider::manual()).await?;
        let (reservation_id, _) = authorized(&shop).await?;
        break_captures(&shop, kind).await?;
        let call = staff_call(&shop, reservation_id, "confirm")?;
        ensure_away(&answer(&shop, &call).await?, "stripe_unavailable")?;
        assert_eq!(stored(&shop, reservation_id).await?, json!(["authorized", null, false, "capturing"]));
        assert_eq!(shop.jobs().await?, [job("capture_payment_intent", "queued")]);
        ensure_problem(&answer(&shop, &call).await?, 409, "capture_in_progress", "meanwhile")?;
        shop.database.assert_consistent().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_capture_that_was_done_behind_a_stored_failure_is_found() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = authorized(&shop).await?;
    let with_work = StatusFault { status: 500, with_work: true, ..StatusFault::default() };
    break_captures(&shop, FaultKind::Status(with_work)).await?;
    let reply = answer(&shop, &staff_call(&shop, reservation_id, "confirm")?).await?;
    assert_stands(&reply, reservation_id, "confirmed", true);
    assert_eq!(shop.intents().await?, [(intent_id, "succeeded".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn a_capture_that_stripe_refuses_can_still_be_declined() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, _) = authorized(&shop).await?;
    break_captures(&shop, FaultKind::status(402)).await?;
    let reply = answer(&shop, &staff_call(&shop, reservation_id, "confirm")?).await?;
    ensure_problem(&reply, 502, "stripe_refused", "refused")?;
    assert_eq!(stored(&shop, reservation_id).await?, json!(["authorized", null, false, "requires_capture"]));
    assert_eq!(shop.jobs().await?, [job("capture_payment_intent", "failed")]);

    let reply = answer(&shop, &staff_call(&shop, reservation_id, "decline")?).await?;
    assert_stands(&reply, reservation_id, "cancelled", false);
    Ok(())
}

#[tokio::test]
async fn with_the_database_away_stripe_is_not_even_called() -> Result<()> {
    let away = test_support::database_away();
    let shop = Shop::open_with(TestApp::start_with(&[away]).await?, &Provider::default()).await?;
    let reservation_id = shop.hold().await?;
    for call in [customer_call(&shop, reservation_id)?, staff_call(&shop, reservation_id, "confirm")?] {
        ensure_away(&answer(&shop, &call).await?, "database_unavailable")?;
    }
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}
