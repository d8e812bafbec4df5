//! The provider cancels: all of the money goes back, however late it is.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{HttpCall, Shop, Token, sample};
use uuid::Uuid;

use super::{HOUR, answer, assert_cancelled, cancel_call, stored};

#[tokio::test]
async fn the_sample_sends_all_back_even_after_the_start() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    shop.move_start(reservation_id, -HOUR).await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("cancel_reservation/staff_cancels.json", &replacements)?;
    let reply = answer(&shop, &sample.by(shop.staff_id)?).await?;
    assert_cancelled(&reply, reservation_id, sample::AMOUNT_MINOR, 100);
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    assert_eq!(
        stored(&shop, reservation_id).await?,
        json!(["cancelled", "provider", "succeeded", sample::AMOUNT_MINOR, sample::AMOUNT_MINOR, 0])
    );
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_admin_cancels_on_behalf_of_any_provider() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.move_start(reservation_id, HOUR).await?;
    let admin = Token::of(Uuid::new_v4()).with("app_metadata", json!({"role": "admin"})).encode()?;
    let reply = answer(&shop, &cancel_call(reservation_id, shop.staff_id)?.bearer(&admin)).await?;
    assert_cancelled(&reply, reservation_id, sample::AMOUNT_MINOR, 100);
    Ok(())
}

#[tokio::test]
async fn what_was_paid_at_the_counter_is_owed_there() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.paid_at_the_counter().await?;
    let reply = answer(&shop, &cancel_call(reservation_id, shop.staff_id)?).await?;
    assert_cancelled(&reply, reservation_id, sample::AMOUNT_MINOR, 100);
    shop.work_off().await?;
    assert_eq!((shop.count("refunds").await?, shop.refunds().await?.len()), (0, 0));
    let sql = "select to_jsonb(kitloop.owed_minor(p)) from public.payments p";
    assert_eq!(shop.database.value::<Value>(sql, &[]).await?, json!(sample::AMOUNT_MINOR));
    shop.database.assert_consistent().await
}
