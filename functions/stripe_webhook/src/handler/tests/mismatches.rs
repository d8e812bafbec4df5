//! Money that is not what was asked for, or for nothing of ours.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{Provider, Shop, StripeEvent};
use uuid::Uuid;

use super::{Payment, deliver, job, logged};

/// An intent that nobody here made.
const OTHER_INTENT: &str = "pi_other";

#[tokio::test]
async fn another_amount_or_currency_confirms_nothing_and_goes_back() -> Result<()> {
    for changes in [
        json!({"amount": 1, "amount_received": 1}),
        json!({"amount_received": 249_999}),
        json!({"amount": 250_001, "amount_received": 250_001}),
        json!({"currency": "eur"}),
    ] {
        let shop = Shop::open().await?;
        let payment = Payment::start(&shop).await?;
        let event = changes
            .as_object()
            .into_iter()
            .flatten()
            .fold(payment.event("payment_intent_succeeded")?, |event, (member, value)| {
                event.with(member, value.clone())
            });
        deliver(&shop, &event, 200, "amount_mismatch").await?;
        assert_eq!(shop.database.status(payment.reservation_id).await?, "hold", "{changes}");
        assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
        shop.database.assert_consistent().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_authorisation_of_another_amount_is_released() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_amount_capturable_updated")?;
    let event = event.with("amount", json!(1)).with("amount_capturable", json!(1));
    deliver(&shop, &event, 200, "amount_mismatch").await?;
    assert_eq!(shop.database.status(payment.reservation_id).await?, "hold");
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    Ok(())
}

#[tokio::test]
async fn after_money_of_another_amount_the_right_amount_can_be_paid() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_succeeded")?.with("amount_received", json!(1));
    deliver(&shop, &event, 200, "amount_mismatch").await?;
    let second = shop.start_payment(payment.reservation_id).await?;
    assert_ne!(second, payment.intent_id);
    let event = payment.event_of(&second, "payment_intent_succeeded")?.renamed("evt_right");
    deliver(&shop, &event, 200, "confirmed").await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn without_metadata_an_unknown_intent_is_nothing_of_ours() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event_of(OTHER_INTENT, "without_metadata")?;
    deliver(&shop, &event, 200, "unmatched").await?;
    assert_eq!(logged(&shop, &event).await?, json!(["ignored", "unmatched", 1, 0]));
    assert_eq!(shop.database.status(payment.reservation_id).await?, "hold");
    assert!(shop.jobs().await?.is_empty());

    // Our own intent is known by its id, whatever became of its metadata.
    deliver(&shop, &payment.event("without_metadata")?.renamed("evt_ours"), 200, "confirmed").await
}

#[tokio::test]
async fn metadata_that_names_no_reservation_of_that_provider_matches_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let other_provider = Provider::default().insert(&shop.database).await?;
    let metadata =
        |reservation: Value, provider: Value| json!({"reservation_id": reservation, "provider_id": provider});
    let (reservation_id, provider_id) = (json!(payment.reservation_id), json!(shop.provider_id));
    for (index, metadata) in [
        metadata(reservation_id.clone(), json!(other_provider)),
        metadata(json!(Uuid::new_v4()), provider_id.clone()),
        metadata(json!("42"), provider_id),
        json!({"reservation_id": reservation_id}),
    ]
    .into_iter()
    .enumerate()
    {
        let event = payment.event_of(OTHER_INTENT, "payment_intent_succeeded")?;
        let event = event.with("metadata", metadata).renamed(&format!("evt_{index}"));
        deliver(&shop, &event, 200, "unmatched").await?;
    }
    assert_eq!(shop.database.status(payment.reservation_id).await?, "hold");
    assert_eq!(shop.count("payments").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_second_intent_that_is_paid_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::confirmed(&shop).await?;
    let event = payment.event_of(OTHER_INTENT, "payment_intent_succeeded")?.renamed("evt_second");
    deliver(&shop, &event, 200, "duplicate_payment").await?;
    assert_eq!(payment.stored(&shop).await?, json!(["confirmed", null, true, "succeeded", 250_000]));
    let sql = "select p.payment_intent_id from public.jobs j join public.payments p on p.id = j.payment_id
        where j.kind = 'refund_payment' and p.superseded";
    assert_eq!(shop.database.value::<String>(sql, &[]).await?, OTHER_INTENT);
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_second_intent_of_another_amount_does_not_take_the_place_of_the_first() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event_of(OTHER_INTENT, "payment_intent_succeeded")?.with("amount_received", json!(1));
    deliver(&shop, &event.renamed("evt_other"), 200, "amount_mismatch").await?;
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "confirmed").await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn of_two_intents_the_one_that_is_paid_first_counts() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let other = payment.event_of(OTHER_INTENT, "payment_intent_succeeded")?.renamed("evt_other");
    deliver(&shop, &other, 200, "confirmed").await?;
    assert_eq!(shop.jobs().await?, [job("cancel_payment_intent", "queued")]);
    deliver(&shop, &payment.event("payment_intent_succeeded")?, 200, "duplicate_payment").await?;
    assert_eq!(shop.database.status(payment.reservation_id).await?, "confirmed");
    assert!(shop.jobs().await?.contains(&job("refund_payment", "queued")));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_by_an_intent_that_nobody_started_counts_by_its_metadata() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let sample = "payment_intent_succeeded";
    let event = StripeEvent::sample(sample, OTHER_INTENT, reservation_id, shop.provider_id)?;
    deliver(&shop, &event, 200, "confirmed").await?;
    assert_eq!(
        (shop.count("payments").await?, shop.database.status(reservation_id).await?),
        (1, "confirmed".to_owned())
    );
    shop.database.assert_consistent().await
}
