//! Payments that are started.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use test_support::{HttpCall, Shop, sample};
use uuid::Uuid;

use super::{answer, assert_offers_the_only_intent, call, creations, payment};

async fn reserved_until(shop: &Shop, reservation_id: Uuid) -> Result<Timestamp> {
    shop.database
        .value("select reserved_until from public.reservations where id = $1", &[&reservation_id])
        .await
}

/// Lets a hold have only so little time left.
async fn leave_minutes(shop: &Shop, reservation_id: Uuid, minutes: i32) -> Result<()> {
    let sql = "update public.reservations set reserved_until = clock_timestamp() + make_interval(mins => $2)
        where id = $1";
    shop.database.execute(sql, &[&reservation_id, &minutes]).await.map(drop)
}

#[tokio::test]
async fn the_sample_starts_a_payment_of_the_stored_price() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let call = HttpCall::sample("create_payment_intent/customer_pays.json", &replacements)?;
    let reply = answer(&shop, &call.by(shop.customer_id)?).await?;
    let intent_id = assert_offers_the_only_intent(&shop, reservation_id, &reply).await?;
    let answered = json!({
        "reservation_id": reservation_id, "payment_intent_id": intent_id, "amount_minor": sample::AMOUNT_MINOR,
        "currency": "CZK", "capture_method": "automatic", "client_secret": reply.at("/client_secret"),
        "reserved_until": reserved_until(&shop, reservation_id).await?,
    });
    assert_eq!(reply.body, answered);

    let intent = shop.stripe_get(&format!("payment_intents/{intent_id}")).await?;
    assert_eq!(reply.at("/client_secret"), &intent["client_secret"]);
    assert_eq!((&intent["amount"], &intent["currency"]), (&json!(sample::AMOUNT_MINOR), &json!("czk")));
    assert_eq!(intent["payment_method_types"], json!(["card"]));
    assert_eq!(intent["metadata"]["reservation_id"], json!(reservation_id));
    assert_eq!(intent["metadata"]["provider_id"], json!(shop.provider_id));
    Ok(())
}

#[tokio::test]
async fn the_key_at_stripe_is_the_payments_and_the_client_secret_is_never_stored() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let reply = answer(&shop, &call(&shop, reservation_id)?).await?;
    assert_offers_the_only_intent(&shop, reservation_id, &reply).await?;
    let payment_id: Uuid = shop.database.value("select id from public.payments", &[]).await?;
    let keys: Vec<_> = creations(&shop).await?.into_iter().map(|request| request.idempotency_key).collect();
    assert_eq!(keys, [Some(format!("{payment_id}:create:1"))]);

    let sql = "select jsonb_agg(p)::text || (select jsonb_agg(r)::text from public.reservations r) from public.payments p";
    let rows: String = shop.database.value(sql, &[]).await?;
    assert!(!rows.contains("_secret_"), "{rows}");
    Ok(())
}

#[tokio::test]
async fn asking_again_gives_the_same_intent_and_extends_the_hold_only_once() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    leave_minutes(&shop, reservation_id, 1).await?;
    let first = answer(&shop, &call(&shop, reservation_id)?).await?;
    let left = reserved_until(&shop, reservation_id).await?.duration_since(Timestamp::now());
    assert!(left > SignedDuration::from_mins(9) && left <= SignedDuration::from_mins(10), "{left:?}");

    leave_minutes(&shop, reservation_id, 1).await?;
    let again = answer(&shop, &call(&shop, reservation_id)?).await?;
    let intent_id = assert_offers_the_only_intent(&shop, reservation_id, &again).await?;
    assert_eq!(first.at("/payment_intent_id"), &json!(intent_id));
    assert_eq!(first.at("/client_secret"), again.at("/client_secret"));
    assert_eq!(creations(&shop).await?.len(), 1);
    let left = reserved_until(&shop, reservation_id).await?.duration_since(Timestamp::now());
    assert!(left <= SignedDuration::from_mins(1), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn a_hold_with_more_time_left_is_not_cut_short() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let before = reserved_until(&shop, reservation_id).await?;
    answer(&shop, &call(&shop, reservation_id)?).await?;
    assert_eq!(reserved_until(&shop, reservation_id).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_captures_by_hand_gets_an_intent_for_that() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let reservation_id = shop.hold().await?;
    let reply = answer(&shop, &call(&shop, reservation_id)?).await?;
    let intent_id = assert_offers_the_only_intent(&shop, reservation_id, &reply).await?;
    assert_eq!(reply.at("/capture_method"), &json!("manual"));
    let intent = shop.stripe_get(&format!("payment_intents/{intent_id}")).await?;
    assert_eq!(intent["capture_method"], json!("manual"));
    Ok(())
}

#[tokio::test]
async fn staff_may_start_the_payment_of_a_customer() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let reply = answer(&shop, &call(&shop, reservation_id)?.by(shop.staff_id)?).await?;
    assert_offers_the_only_intent(&shop, reservation_id, &reply).await.map(drop)
}

#[tokio::test]
async fn an_intent_that_was_cancelled_at_stripe_is_replaced_by_another_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, cancelled) = shop.hold_with_intent().await?;
    shop.stripe_post(&format!("payment_intents/{cancelled}/cancel"), &[]).await?;
    let reply = answer(&shop, &call(&shop, reservation_id)?).await?;
    let intent_id = assert_offers_the_only_intent(&shop, reservation_id, &reply).await?;
    assert_ne!(intent_id, cancelled);
    let expected = json!(["requires_payment_method", intent_id, 1]);
    assert_eq!(payment(&shop, reservation_id).await?, expected);
    let sql = "select j.kind from public.jobs j join public.payments p on p.id = j.payment_id
        where p.payment_intent_id = $1 and p.superseded";
    assert_eq!(shop.database.value::<String>(sql, &[&cancelled]).await?, "cancel_payment_intent");
    let keys: Vec<_> =
        creations(&shop).await?.into_iter().filter_map(|request| request.idempotency_key).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    Ok(())
}
