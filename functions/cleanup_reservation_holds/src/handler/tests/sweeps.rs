//! What is swept, and what is not.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use stripe_stand_in::FaultKind;
use test_support::{Gear, Shop, booking, reserve};
use uuid::Uuid;

use super::{run, run_for};

/// Writes so many holds that have lapsed, of a day each, far enough apart to need one piece of gear.
async fn insert_lapsed_holds(shop: &Shop, count: i32) -> Result<()> {
    let gear_id = Gear::of(1).insert(&shop.database, shop.provider_id).await?;
    let sql = "with customer as (
            insert into public.customers (user_id) values ($3) returning id
        ), held as (
            insert into public.reservations (provider_id, customer_id, period, reserved_until, amount_total_minor, currency)
            select $1, customer.id, tstzrange(now() + make_interval(days => n), now() + make_interval(days => n + 1), '[)'),
                now() - make_interval(secs => n), 50000, 'CZK'
            from customer, generate_series(1, $4) n
            returning id, period
        )
        insert into public.reservation_lines (reservation_id, gear_id, quantity, unit_price_minor, blocked, blocks_until)
        select id, $2, 1, 50000, period, now() from held";
    shop.database.execute(sql, &[&shop.provider_id, &gear_id, &Uuid::new_v4(), &count]).await.map(drop)
}

/// How many reservations are in a state.
async fn count_in(shop: &Shop, status: &str) -> Result<i64> {
    shop.database.value("select count(*) from public.reservations where status = $1", &[&status]).await
}

/// An authorised reservation whose customer has waited so many hours, with its card's window ending in so many.
async fn insert_authorised(shop: &Shop, waited_hours: i32, window_hours: i32) -> Result<Uuid> {
    let gear_id = Gear::of(1).insert(&shop.database, shop.provider_id).await?;
    let booking = booking(shop.provider_id, gear_id, 1)?;
    let hold = reserve(&shop.database.db()?, shop.customer_id, &booking).await?;
    let id = hold.reservation_id.0;
    let payment = "insert into public.payments (reservation_id, payment_intent_id, status, capture_method, amount_minor,
            currency, authorized_at, capture_before)
        values ($1::uuid, 'pi_' || $1::uuid::text, 'requires_capture', 'manual', 50000, 'CZK',
            now() - make_interval(hours => $2), now() + make_interval(hours => $3))";
    shop.database.execute(payment, &[&id, &waited_hours, &window_hours]).await?;
    shop.database
        .execute("update public.reservations set status = 'authorized' where id = $1", &[&id])
        .await?;
    Ok(id)
}

#[tokio::test]
async fn a_lapsed_hold_expires_and_its_history_stays() -> Result<()> {
    let shop = Shop::open().await?;
    let lapsed = shop.hold().await?;
    shop.database.lapse(lapsed).await?;
    let live = shop.hold_by(Uuid::new_v4()).await?;
    let done = run(&shop).await??;
    assert_eq!((&done["deleted_count"], &done["released_count"]), (&json!(1), &json!(0)));
    assert_eq!(shop.database.status(lapsed).await?, "expired");
    assert_eq!(shop.database.status(live).await?, "hold");
    let sql = "select blocks_until is null from public.reservation_lines where reservation_id = $1";
    assert!(shop.database.value::<bool>(sql, &[&lapsed]).await?);

    // Run again, nothing is left to do.
    let done = run(&shop).await??;
    assert_eq!((&done["deleted_count"], &done["is_partial"]), (&json!(0), &json!(false)));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_open_intent_of_an_expired_hold_is_called_off_by_a_job() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    shop.database.lapse(reservation_id).await?;
    // Even with Stripe away: the sweep does not call it.
    shop.stripe.admin().fail_next("POST", "/v1", 1000, FaultKind::Hang).await?;
    assert_eq!(run(&shop).await??["deleted_count"], json!(1));
    let sql = "select p.payment_intent_id from public.jobs j join public.payments p on p.id = j.payment_id
        where j.kind = 'cancel_payment_intent' and j.status = 'queued'";
    assert_eq!(shop.database.value::<String>(sql, &[]).await?, intent_id);
    assert_eq!(shop.database.status(reservation_id).await?, "expired");
    Ok(())
}

#[tokio::test]
async fn only_holds_expire() -> Result<()> {
    let shop = Shop::open().await?;
    for columns in ["status = 'confirmed'", "status = 'cancelled', cancel_reason = 'customer'"] {
        let id = insert_authorised(&shop, 0, 100).await?;
        shop.database
            .execute(&format!("update public.reservations set {columns} where id = $1"), &[&id])
            .await?;
        shop.database.lapse(id).await?;
    }
    let done = run(&shop).await??;
    assert_eq!((&done["deleted_count"], &done["released_count"]), (&json!(0), &json!(0)));
    assert_eq!((count_in(&shop, "confirmed").await?, count_in(&shop, "cancelled").await?), (1, 1));
    Ok(())
}

#[tokio::test]
async fn an_authorisation_that_nobody_answers_is_released_in_time() -> Result<()> {
    let shop = Shop::open().await?;
    let answered_in_time = insert_authorised(&shop, 23, 100).await?;
    let waited_a_day = insert_authorised(&shop, 25, 100).await?;
    let window_ends = insert_authorised(&shop, 1, 11).await?;
    let being_captured = insert_authorised(&shop, 25, 100).await?;
    let capture = "update public.payments set status = 'capturing' where reservation_id = $1";
    shop.database.execute(capture, &[&being_captured]).await?;

    let done = run(&shop).await??;
    assert_eq!((&done["deleted_count"], &done["released_count"]), (&json!(0), &json!(2)));
    for (id, status) in [
        (answered_in_time, "authorized"),
        (waited_a_day, "cancelled"),
        (window_ends, "cancelled"),
        (being_captured, "authorized"),
    ] {
        assert_eq!(shop.database.status(id).await?, status);
    }
    let sql = "select jsonb_agg(distinct cancel_reason) from public.reservations where status = 'cancelled'";
    assert_eq!(shop.database.value::<Value>(sql, &[]).await?, json!(["unanswered"]));
    let jobs = shop.jobs().await?;
    assert!(jobs.len() == 2 && jobs.iter().all(|(kind, _)| kind == "cancel_payment_intent"), "{jobs:?}");
    Ok(())
}

#[tokio::test]
async fn more_holds_than_a_batch_expire_in_one_run() -> Result<()> {
    let shop = Shop::open().await?;
    insert_lapsed_holds(&shop, 450).await?;
    let done = run(&shop).await??;
    assert_eq!((&done["deleted_count"], &done["is_partial"]), (&json!(450), &json!(false)));
    assert_eq!(count_in(&shop, "expired").await?, 450);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn when_time_runs_out_the_run_stops_after_a_batch_and_the_next_one_goes_on() -> Result<()> {
    let shop = Shop::open().await?;
    insert_lapsed_holds(&shop, 250).await?;
    let done = run_for(&shop, Duration::from_secs(2)).await??;
    assert_eq!((&done["deleted_count"], &done["is_partial"]), (&json!(200), &json!(true)));
    assert_eq!(count_in(&shop, "hold").await?, 50);
    let done = run(&shop).await??;
    assert_eq!((&done["deleted_count"], &done["is_partial"]), (&json!(50), &json!(false)));
    Ok(())
}

#[tokio::test]
async fn a_hold_that_is_being_paid_right_now_is_left_for_the_next_run() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    shop.database.lapse(reservation_id).await?;
    shop.database.execute("begin", &[]).await?;
    shop.database.execute("select from public.reservations for update", &[]).await?;
    assert_eq!(run(&shop).await??["deleted_count"], json!(0));
    shop.database.execute("rollback", &[]).await?;
    assert_eq!(run(&shop).await??["deleted_count"], json!(1));
    Ok(())
}
