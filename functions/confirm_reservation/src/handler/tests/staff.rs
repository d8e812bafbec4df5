//! Staff confirms: paid offline, or captured.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, sample};

use super::{answer, assert_stands, authorized, job, staff_call, stored};

#[tokio::test]
async fn the_sample_confirms_an_offline_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample =
        HttpCall::sample("confirm_reservation/staff_confirms.json", &replacements)?.by(shop.staff_id)?;
    let reply = answer(&shop, &sample).await?;
    assert_stands(&reply, reservation_id, "confirmed", true);
    assert_eq!(stored(&shop, reservation_id).await?, json!(["confirmed", null, true, "succeeded"]));
    let sql = "select jsonb_build_array(actor, action, reservation_id) from public.audit_logs";
    let audited: Value = shop.database.value(sql, &[]).await?;
    assert_eq!(audited, json!([format!("user:{}", shop.staff_id), "reservation_offline", reservation_id]));

    // Twice is once.
    let again = answer(&shop, &sample).await?;
    assert_eq!((again.status, &again.body), (200, &reply.body));
    assert_eq!(shop.count("audit_logs").await?, 1);
    assert!(shop.jobs().await?.is_empty());
    assert!(shop.stripe.admin().requests().await?.is_empty());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_offline_payment_calls_the_open_intent_off() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_with_intent().await?;
    let reply = answer(&shop, &staff_call(&shop, reservation_id, "confirm")?).await?;
    assert_stands(&reply, reservation_id, "confirmed", true);
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    let superseded: bool =
        shop.database.value("select superseded from public.payments where method = 'card'", &[]).await?;
    assert!(superseded);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_authorisation_is_captured() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = authorized(&shop).await?;
    let reply = answer(&shop, &staff_call(&shop, reservation_id, "confirm")?).await?;
    assert_stands(&reply, reservation_id, "confirmed", true);
    assert_eq!(stored(&shop, reservation_id).await?, json!(["confirmed", null, true, "succeeded"]));
    assert_eq!(shop.intents().await?, [(intent_id.clone(), "succeeded".to_owned())]);
    assert_eq!(shop.jobs().await?, [job("capture_payment_intent", "succeeded")]);

    let job_id: String = shop.database.value("select id::text from public.jobs", &[]).await?;
    let again = answer(&shop, &staff_call(&shop, reservation_id, "confirm")?).await?;
    assert_eq!(again.body, reply.body);
    let requests = shop.stripe.admin().requests().await?;
    let captures: Vec<_> = requests.iter().filter(|request| request.path.ends_with("/capture")).collect();
    assert_eq!(captures.len(), 1);
    assert_eq!(captures[0].idempotency_key, Some(format!("{job_id}:capture_payment_intent:1")));
    assert_eq!(captures[0].params["amount_to_capture"], json!(sample::AMOUNT_MINOR.to_string()));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_authorisation_that_the_bank_took_back_cannot_be_captured() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = authorized(&shop).await?;
    shop.stripe.admin().expire_authorisation(&intent_id).await?;
    let reply = answer(&shop, &staff_call(&shop, reservation_id, "confirm")?).await?;
    ensure_problem(&reply, 409, "reservation_over", "taken back")?;
    assert_eq!(
        stored(&shop, reservation_id).await?,
        json!(["cancelled", "payment_canceled", false, "canceled"])
    );
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn while_somebody_captures_nobody_else_captures_or_declines() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, _) = authorized(&shop).await?;
    shop.database.execute("update public.payments set status = 'capturing'", &[]).await?;
    for action in ["confirm", "decline"] {
        let reply = answer(&shop, &staff_call(&shop, reservation_id, action)?).await?;
        ensure_problem(&reply, 409, "capture_in_progress", action)?;
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(stored(&shop, reservation_id).await?, json!(["authorized", null, false, "capturing"]));
    assert!(shop.jobs().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_lapsed_hold_cannot_be_confirmed_whether_swept_or_not() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    shop.database.lapse(reservation_id).await?;
    let call = staff_call(&shop, reservation_id, "confirm")?;
    ensure_problem(&answer(&shop, &call).await?, 410, "hold_expired", "lapsed")?;
    shop.database.execute("update public.reservations set status = 'expired'", &[]).await?;
    ensure_problem(&answer(&shop, &call).await?, 410, "hold_expired", "swept")?;
    assert_eq!(stored(&shop, reservation_id).await?, json!(["expired", null, false, null]));
    Ok(())
}
