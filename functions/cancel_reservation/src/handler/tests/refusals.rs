//! What cannot be cancelled stays as it is.

use anyhow::Result;
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{Provider, Shop, Token, sample};
use uuid::Uuid;

use super::{HOUR, answer, cancel_call, cancelled_by_customer, stored};

#[tokio::test]
async fn cancelling_twice_sends_the_money_back_once() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    cancelled_by_customer(&shop, reservation_id).await?;
    let before = stored(&shop, reservation_id).await?;
    for user_id in [shop.customer_id, shop.staff_id] {
        let reply = answer(&shop, &cancel_call(reservation_id, user_id)?).await?;
        ensure_problem(&reply, 409, "already_cancelled", "twice")?;
    }
    assert_eq!(stored(&shop, reservation_id).await?, before);
    shop.work_off().await?;
    assert_eq!((shop.count("refunds").await?, shop.refunds().await?.len()), (1, 1));
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn two_who_cancel_at_once_are_one_cancellation() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    shop.move_start(reservation_id, 3 * HOUR).await?;
    let (customer, staff) =
        (cancel_call(reservation_id, shop.customer_id)?, cancel_call(reservation_id, shop.staff_id)?);
    let (one, other) = tokio::join!(answer(&shop, &customer), answer(&shop, &staff));
    let mut statuses = [one?.status, other?.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    shop.work_off().await?;
    let credited: i64 = shop.database.value("select credited_minor from public.payments", &[]).await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, credited);
    assert_eq!(shop.count("refunds").await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_rental_that_began_or_is_over_cannot_be_cancelled() -> Result<()> {
    for (transitions, code) in [
        (&["active"][..], "rental_started"),
        (&["active", "completed"], "reservation_over"),
        (&["no_show"], "reservation_over"),
    ] {
        let shop = Shop::open().await?;
        let (reservation_id, _) = shop.paid().await?;
        for status in transitions {
            let set = "update public.reservations set status = $1";
            shop.database.execute(set, &[status]).await?;
        }
        let before = stored(&shop, reservation_id).await?;
        for user_id in [shop.customer_id, shop.staff_id] {
            let reply = answer(&shop, &cancel_call(reservation_id, user_id)?).await?;
            ensure_problem(&reply, 409, code, transitions[0])?;
        }
        assert_eq!(stored(&shop, reservation_id).await?, before);
        assert!(shop.jobs().await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn what_was_never_fetched_is_over_when_its_time_is() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.move_start(reservation_id, -24 * HOUR - 1).await?;
    let reply = answer(&shop, &cancel_call(reservation_id, shop.customer_id)?).await?;
    ensure_problem(&reply, 409, "reservation_over", "yesterday's")?;
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    Ok(())
}

#[tokio::test]
async fn another_customers_reservation_is_not_found_by_anybody_but_staff() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let other_provider = Provider::default().insert(&shop.database).await?;
    let other_staff = Uuid::new_v4();
    shop.database.add_member(other_provider, other_staff, "owner").await?;
    let would_be_admin =
        Token::of(Uuid::new_v4()).with("user_metadata", json!({"role": "admin"})).encode()?;
    let call = cancel_call(reservation_id, shop.customer_id)?;
    for call in [
        call.clone().by(Uuid::new_v4())?,
        call.clone().by(other_staff)?,
        call.clone().bearer(&would_be_admin),
        call.patch(&json!({"reservation_id": Uuid::new_v4()}))?,
    ] {
        ensure_problem(&answer(&shop, &call).await?, 404, "reservation_not_found", "a stranger")?;
    }
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    assert!(shop.jobs().await?.is_empty());
    Ok(())
}
