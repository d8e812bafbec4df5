//! What never arrived is found and takes effect.

use anyhow::Result;
use serde_json::json;
use stripe_stand_in::Outcome;
use test_support::{Shop, sample};

use super::{findings, run};

#[tokio::test]
async fn money_that_nobody_heard_of_is_found_by_the_schedule() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_paid_at_stripe().await?;
    assert_eq!(shop.database.status(reservation_id).await?, "hold");
    let done = run(&shop).await??;
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    let mended = json!(["undelivered_event", "confirmed", true]);
    assert!(findings(&done).contains(&mended), "{done:#}");
    let finding =
        done["findings"].as_array().and_then(|all| all.iter().find(|it| it["decision"] == "confirmed"));
    assert_eq!(finding.map(|it| &it["reservation_id"]), Some(&json!(reservation_id)));
    assert_eq!(done["is_partial"], json!(false));
    shop.database.assert_consistent().await?;

    // Once mended, it does not differ any more, and nothing moves twice.
    let again = run(&shop).await??;
    assert_eq!((&again["found_count"], &again["mended_count"]), (&json!(0), &json!(0)), "{again:#}");
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 0);
    assert_eq!(shop.count("orders").await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn refunds_and_disputes_that_nobody_heard_of_are_booked() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    shop.stripe_post("refunds", &[("payment_intent", &intent_id), ("amount", "100000")]).await?;
    let dispute_id = shop.dispute_at_stripe(&intent_id).await?;
    shop.stripe.admin().close_dispute(&dispute_id, Outcome::Fail).await?;

    let done = run(&shop).await??;
    let sql = "select jsonb_build_array(p.credited_minor, p.lost_minor, p.disputed, r.disputed)
        from public.payments p join public.reservations r on r.id = p.reservation_id where r.id = $1";
    let booked: serde_json::Value = shop.database.value(sql, &[&reservation_id]).await?;
    assert_eq!(booked, json!([sample::AMOUNT_MINOR, 150_000, true, true]), "{done:#}");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_that_should_move_and_does_not_is_sent_on_its_way_again() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let cancel = "select outcome from kitloop.cancel_reservation($1, false, $2, null, false)";
    shop.database.value::<String>(cancel, &[&shop.customer_id, &reservation_id]).await?;
    // A person gave the job up.
    shop.database.execute("select kitloop.fail_job(id, 'given up') from public.jobs", &[]).await?;
    assert_eq!(shop.database.violations().await?.len(), 1);

    let done = run(&shop).await??;
    assert!(findings(&done).contains(&json!(["money_not_moving", "refund_resent", true])), "{done:#}");
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn more_money_than_one_statement_mends_is_mended_in_one_run() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let stuck = "with booked as (
            insert into public.reservations (
                provider_id, customer_id, status, period, reserved_until, amount_total_minor, currency, cancel_reason
            )
            select r.provider_id, r.customer_id, 'cancelled', r.period, r.reserved_until, 100, r.currency, 'customer'
            from public.reservations r, generate_series(1, 101)
            where r.id = $1
            returning *
        ), paid as (
            insert into public.payments (
                reservation_id, payment_intent_id, status, capture_method, amount_minor, currency, captured_minor,
                credited_minor
            )
            select b.id, 'pi_' || b.id, 'succeeded', 'automatic', 100, b.currency, 100, 100 from booked b
            returning *
        )
        insert into public.refunds (payment_id, amount_minor, currency, status, reason)
        select p.id, 100, p.currency, 'failed', 'cancellation' from paid p";
    shop.database.execute(stuck, &[&reservation_id]).await?;
    let done = run(&shop).await??;
    assert_eq!((&done["mended_count"], &done["is_partial"]), (&json!(101), &json!(false)));
    Ok(())
}
