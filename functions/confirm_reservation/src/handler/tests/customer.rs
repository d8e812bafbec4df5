//! The customer says "I have paid": the intent is looked up at Stripe.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{Gear, HttpCall, Shop, booking, reserve, sample};
use uuid::Uuid;

use super::{answer, assert_stands, customer_call, job, stored};

#[tokio::test]
async fn the_sample_confirms_what_is_paid_once() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_paid_at_stripe().await?;
    let replacements =
        [(sample::RESERVATION, &*reservation_id.to_string()), (sample::PAYMENT_INTENT, &*intent_id)];
    let sample = HttpCall::sample("confirm_reservation/customer_has_paid.json", &replacements)?;
    let sample = sample.by(shop.customer_id)?;
    let reply = answer(&shop, &sample).await?;
    assert_stands(&reply, reservation_id, "confirmed", true);
    assert_eq!(stored(&shop, reservation_id).await?, json!(["confirmed", null, true, "succeeded"]));

    let again = answer(&shop, &sample).await?;
    assert_eq!((again.status, &again.body), (200, &reply.body));
    assert!(shop.jobs().await?.is_empty());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_that_is_only_authorised_is_not_paid_yet() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    for _ in 0..2 {
        let reply = answer(&shop, &customer_call(&shop, reservation_id)?).await?;
        assert_stands(&reply, reservation_id, "authorized", false);
        assert_eq!(reply.at("/paid_at"), &Value::Null);
    }
    assert_eq!(stored(&shop, reservation_id).await?, json!(["authorized", null, false, "requires_capture"]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_is_not_paid_is_asked_for() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = customer_call(&shop, reservation_id)?;
    ensure_problem(&answer(&shop, &call).await?, 402, "payment_required", "no intent")?;

    let intent_id = shop.start_payment(reservation_id).await?;
    ensure_problem(&answer(&shop, &call).await?, 402, "payment_required", "no card")?;
    for card in ["pm_card_chargeDeclined", "pm_card_authenticationRequired"] {
        shop.pay_with(&intent_id, card).await?;
        ensure_problem(&answer(&shop, &call).await?, 402, "payment_required", card)?;
    }
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    shop.pay_with(&intent_id, "pm_card_visa").await?;
    assert_stands(&answer(&shop, &call).await?, reservation_id, "confirmed", true);
    Ok(())
}

#[tokio::test]
async fn an_intent_that_is_not_the_reservations_is_told_apart() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, own_intent) = shop.hold_with_intent().await?;
    let call = customer_call(&shop, reservation_id)?;
    for intent_id in ["pi_unknown", "../refunds", "", "pi_1?expand[]=x"] {
        let call = call.clone().patch(&json!({"payment_intent_id": intent_id}))?;
        ensure_problem(&answer(&shop, &call).await?, 409, "payment_intent_mismatch", intent_id)?;
    }
    assert_eq!(stored(&shop, reservation_id).await?, json!(["hold", null, false, "requires_payment_method"]));
    let looked_up = shop.stripe.admin().requests().await?;
    assert!(looked_up.iter().all(|request| request.method == "POST"), "{looked_up:#?}");

    shop.pay_with(&own_intent, "pm_card_visa").await?;
    let call = call.patch(&json!({"payment_intent_id": own_intent}))?;
    assert_stands(&answer(&shop, &call).await?, reservation_id, "confirmed", true);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_paid_intent_pays_for_theirs_and_not_for_this_one() -> Result<()> {
    let shop = Shop::open().await?;
    let (paid, foreign_intent) = shop.hold_paid_at_stripe().await?;
    let other_gear = Gear::of(1).insert(&shop.database, shop.provider_id).await?;
    let unpaid_booking = booking(shop.provider_id, other_gear, 1)?;
    let unpaid = reserve(&shop.database.db()?, shop.customer_id, &unpaid_booking).await?.reservation_id.0;

    let call = customer_call(&shop, unpaid)?.patch(&json!({"payment_intent_id": foreign_intent}))?;
    ensure_problem(&answer(&shop, &call).await?, 409, "payment_intent_mismatch", "foreign")?;
    assert_eq!(stored(&shop, unpaid).await?, json!(["hold", null, false, null]));
    // What was learnt on the way is true, so it counts: for the reservation that it is about.
    assert_eq!(stored(&shop, paid).await?, json!(["confirmed", null, true, "succeeded"]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_unknown_intent_is_no_payment_for_a_reservation_without_one() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    for intent_id in ["pi_unknown", "../refunds"] {
        let call = customer_call(&shop, reservation_id)?.patch(&json!({"payment_intent_id": intent_id}))?;
        ensure_problem(&answer(&shop, &call).await?, 409, "payment_intent_mismatch", intent_id)?;
    }
    let paths: Vec<String> =
        shop.stripe.admin().requests().await?.into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/payment_intents/pi_unknown", "/v1/payment_intents/_"]);
    assert_eq!(
        (shop.database.status(reservation_id).await?, shop.count("payments").await?),
        ("hold".to_owned(), 0)
    );
    Ok(())
}

#[tokio::test]
async fn money_of_another_amount_goes_back_and_the_right_amount_is_still_owed() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    shop.stripe_post(&format!("payment_intents/{intent_id}"), &[("amount", "1500")]).await?;
    shop.pay_with(&intent_id, "pm_card_visa").await?;
    let reply = answer(&shop, &customer_call(&shop, reservation_id)?).await?;
    ensure_problem(&reply, 402, "payment_required", "too little")?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_reservation_of_nobody_with_an_intent_is_not_looked_up() -> Result<()> {
    let shop = Shop::open().await?;
    let call = customer_call(&shop, Uuid::new_v4())?.patch(&json!({"payment_intent_id": "pi_1"}))?;
    ensure_problem(&answer(&shop, &call).await?, 404, "reservation_not_found", "unknown")?;
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}
