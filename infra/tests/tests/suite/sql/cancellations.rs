//! Cancelling: when, by whom, and what becomes of the money.

use anyhow::{Context, Result};
use kitloop::domain::{ConfirmationAction, Decision, Fact, PaymentStatus, RefundStatus};
use kitloop::error::Code;
use kitloop::{db, domain::JobKind};
use test_support::{Gear, Provider, actor};
use uuid::Uuid;

use super::shop::{LEASE, Shop, refused};

const HOUR: i32 = 3600;

#[tokio::test]
async fn a_customer_gets_back_what_the_policy_says_and_the_shop_keeps_the_rest() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for (index, (seconds, percent, refund, kept)) in [
        (24 * HOUR + 30, 100, 50_000, 0),
        (24 * HOUR - 30, 50, 25_000, 25_000),
        (2 * HOUR + 30, 50, 25_000, 25_000),
        (2 * HOUR - 30, 0, 0, 50_000),
        (-30, 0, 0, 50_000),
    ]
    .into_iter()
    .enumerate()
    {
        let hold = shop.confirmed(&format!("pi_{index}")).await?;
        shop.starts_in(&hold, seconds).await?;
        let cancelled = shop.cancel_by(hold.customer, &hold).await?;
        let said = (cancelled.refund_percent, cancelled.refund_minor, cancelled.currency.as_str());
        assert_eq!(said, (percent, refund, "CZK"), "{seconds} s before the start");
        assert_eq!(shop.state(&hold).await?, "cancelled: customer");
        assert_eq!(shop.books(&hold).await?, [refund, kept, 0]);
    }
    let note = "select count(*) from public.reservations where cancel_note = 'the snow is gone'";
    assert_eq!(shop.database.value::<i64>(note, &[]).await?, 5);
    assert_eq!(shop.jobs().await?, ["refund_payment queued"; 3], "nothing is refunded where nothing is due");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_provider_gives_everything_back_however_late() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.starts_in(&hold, -HOUR).await?;
    let cancelled = shop.cancel_by(shop.staff, &hold).await?;
    assert_eq!((cancelled.refund_percent, cancelled.refund_minor), (100, 50_000));
    assert_eq!(shop.state(&hold).await?, "cancelled: provider");
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 0]);
    let audited =
        "select actor || ' ' || details::text from public.audit_logs where action = 'reservation_cancel'";
    let wanted = format!(r#"user:{} {{"refund_minor": 50000, "refund_percent": 100}}"#, shop.staff);
    assert_eq!(shop.database.value::<String>(audited, &[]).await?, wanted);
    Ok(())
}

#[tokio::test]
async fn no_more_goes_back_than_earlier_refunds_left() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for (intent_id, refunded, seconds, refund, kept) in [
        ("pi_1", 30_000, 25 * HOUR, 20_000, 0),
        ("pi_2", 30_000, 3 * HOUR, 20_000, 0),
        ("pi_3", 10_000, 3 * HOUR, 25_000, 15_000),
        ("pi_4", 10_000, HOUR, 0, 40_000),
        ("pi_5", 50_000, 25 * HOUR, 0, 0),
    ] {
        let hold = shop.confirmed(intent_id).await?;
        shop.refund(&hold, refunded).await?;
        shop.starts_in(&hold, seconds).await?;
        let cancelled = shop.cancel_by(hold.customer, &hold).await?;
        assert_eq!(cancelled.refund_minor, refund, "{intent_id}");
        assert_eq!(shop.books(&hold).await?, [refunded + refund, kept, 0], "{intent_id}");
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn before_payment_the_intent_is_called_off() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let unpaid = shop.hold().await?;
    let cancelled = shop.cancel_by(unpaid.customer, &unpaid).await?;
    assert_eq!((cancelled.refund_minor, cancelled.refund_percent), (0, 100));
    assert_eq!(shop.jobs().await?, Vec::<String>::new());

    let started = shop.hold().await?;
    shop.start_payment(&started, "pi_1").await?;
    shop.cancel_by(started.customer, &started).await?;
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);

    let starting = shop.hold().await?;
    let payment = db::start_payment(&shop.db, actor(starting.customer), starting.id, LEASE, None).await?;
    shop.cancel_by(starting.customer, &starting).await?;
    let recorded = db::record_payment_intent(&shop.db, &payment, "pi_2").await;
    assert_eq!(refused(recorded)?, Code::ReservationOver);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"; 2], "nobody may pay it any more");
    for hold in [&unpaid, &started, &starting] {
        assert_eq!(shop.state(hold).await?, "cancelled: customer");
        let blocks = "select blocks_until is null from public.reservation_lines where reservation_id = $1";
        assert!(shop.database.value::<bool>(blocks, &[&hold.id.0]).await?, "its gear is free");
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_authorisation_is_released_and_not_refunded() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::default()).await?;
    let hold = shop.authorized("pi_1").await?;
    shop.starts_in(&hold, HOUR).await?;
    let cancelled = shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!((cancelled.refund_minor, cancelled.refund_percent), (0, 100), "nothing is kept of it");
    let job = shop.claim("worker").await?.context("no job is due")?;
    assert_eq!(job.claim.kind, JobKind::CancelPaymentIntent.as_str());
    let canceled = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Canceled));
    db::finish_job(&shop.db, &job, &canceled).await?;
    assert_eq!(shop.payments(&hold).await?, ["canceled"]);
    assert_eq!(shop.state(&hold).await?, "cancelled: customer");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_lands_after_a_cancellation_goes_back_in_full_and_once() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Processing).await?, Decision::Processing);
    shop.starts_in(&hold, HOUR).await?;
    shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::RefundLatePayment);
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::Stale);
    assert_eq!(shop.refunds().await?, ["50000 pending"]);
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 0]);
    let finished = shop.make_refund("re_1", RefundStatus::Succeeded).await?;
    assert_eq!(finished.decision, Decision::Refunded);
    assert!(shop.claim("worker").await?.is_none(), "the intent is not there to be called off any more");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_lapsed_hold_that_was_cancelled_is_not_revived_by_late_money() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.database.lapse(hold.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::RefundLatePayment);
    assert_eq!(shop.state(&hold).await?, "cancelled: customer");
    assert_eq!(shop.refunds().await?, ["50000 pending"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn while_a_capture_is_under_way_nobody_cancels() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::default()).await?;
    let hold = shop.authorized("pi_1").await?;
    shop.start_capture(&hold).await?;
    for user_id in [hold.customer, shop.staff] {
        assert_eq!(refused(shop.cancel_by(user_id, &hold).await)?, Code::CaptureInProgress);
    }
    assert_eq!(shop.state(&hold).await?, "authorized");
    Ok(())
}

#[tokio::test]
async fn what_was_paid_at_the_counter_is_owed_until_it_is_handed_back_there() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.paid_at_the_counter().await?;
    shop.starts_in(&hold, 3 * HOUR).await?;
    let cancelled = shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!(cancelled.refund_minor, 25_000);
    assert_eq!(shop.jobs().await?, Vec::<String>::new(), "Stripe has nothing to do with it");
    assert_eq!(shop.owed(&hold).await?, 25_000);
    shop.database.assert_consistent().await?;
    assert!(db::mend_money(&shop.db, 10).await?.is_empty());
    shop.refund_offline(&hold, 25_000).await?;
    assert_eq!(shop.owed(&hold).await?, 0);
    assert_eq!(shop.books(&hold).await?, [25_000, 25_000, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_is_over_is_not_cancelled_and_nothing_changes() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let twice = shop.confirmed("pi_1").await?;
    shop.cancel_by(twice.customer, &twice).await?;
    let mut wanted = vec![(twice, Code::AlreadyCancelled)];
    for (intent_id, steps, code) in [
        ("pi_2", &["active"] as &[&str], Code::RentalStarted),
        ("pi_3", &["active", "completed"], Code::ReservationOver),
        ("pi_4", &["no_show"], Code::ReservationOver),
        ("pi_5", &[], Code::ReservationOver),
    ] {
        let hold = shop.confirmed(intent_id).await?;
        shop.starts_in(&hold, -24 * HOUR - 1).await?;
        for status in steps {
            let sql = "update public.reservations set status = $2 where id = $1";
            shop.database.execute(sql, &[&hold.id.0, status]).await?;
        }
        wanted.push((hold, code));
    }
    let before = shop.rows().await?;
    for (hold, code) in wanted {
        for user_id in [hold.customer, shop.staff] {
            assert_eq!(refused(shop.cancel_by(user_id, &hold).await)?, code);
            assert_eq!(refused(shop.preview_by(user_id, &hold).await)?, code);
        }
    }
    assert_eq!(shop.rows().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_preview_says_the_same_and_changes_nothing() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(9)).await?;
    let authorized = shop.authorized("pi_1").await?;
    let paid = shop.confirmed("pi_2").await?;
    shop.starts_in(&paid, 3 * HOUR).await?;
    let before = shop.rows().await?;
    let unpaid_share = shop.preview_by(authorized.customer, &authorized).await?;
    let by_customer = shop.preview_by(paid.customer, &paid).await?;
    let by_staff = shop.preview_by(shop.staff, &paid).await?;
    assert_eq!(shop.rows().await?, before);
    assert_eq!((unpaid_share.refund_minor, unpaid_share.refund_percent), (0, 100));
    assert_eq!((by_customer.refund_minor, by_customer.refund_percent), (25_000, 50));
    assert_eq!((by_staff.refund_minor, by_staff.refund_percent), (50_000, 100));
    let cancelled = shop.cancel_by(paid.customer, &paid).await?;
    assert_eq!(cancelled.refund_minor, by_customer.refund_minor);
    Ok(())
}

#[tokio::test]
async fn strangers_do_not_learn_that_a_reservation_exists() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(2)).await?;
    let hold = shop.confirmed("pi_1").await?;
    let other_customer = shop.hold().await?.customer;
    let rival = Provider::default().insert(&shop.database).await?;
    let rivals_staff = Uuid::new_v4();
    shop.database.add_member(rival, rivals_staff, "owner").await?;
    let before = shop.rows().await?;
    for user_id in [Uuid::new_v4(), other_customer, rivals_staff] {
        assert_eq!(refused(shop.cancel_by(user_id, &hold).await)?, Code::ReservationNotFound);
        assert_eq!(refused(shop.preview_by(user_id, &hold).await)?, Code::ReservationNotFound);
    }
    assert_eq!(shop.rows().await?, before);
    Ok(())
}

#[tokio::test]
async fn paid_and_cancelled_at_once_all_of_the_money_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.database.admin.batch_execute("begin; select from public.payments for update").await?;
    let confirming = async {
        shop.until_somebody_waits().await?;
        shop.database.admin.batch_execute("commit").await?;
        anyhow::Ok(())
    };
    let (webhook, paid) = (shop.database.db()?, shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    let paid = Fact::PaymentIntent(paid);
    let (settled, cancelled, ()) = tokio::try_join!(
        async { Ok(db::settle_payment_intent(&webhook, &paid).await?) },
        async { Ok(shop.cancel_by(hold.customer, &hold).await?) },
        confirming
    )?;
    // Whichever came first: all of the money goes back.
    assert!(settled.is_some());
    assert_eq!(cancelled.refund_percent, 100);
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_decline_after_a_cancellation_and_the_other_way_round_is_refused() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(2)).await?;
    let cancelled = shop.authorized("pi_1").await?;
    shop.cancel_by(cancelled.customer, &cancelled).await?;
    let declining = shop.answer(shop.staff, &cancelled, ConfirmationAction::Decline, None).await;
    assert_eq!(refused(declining)?, Code::ReservationOver);
    let declined = shop.authorized("pi_2").await?;
    shop.answer(shop.staff, &declined, ConfirmationAction::Decline, None).await?;
    assert_eq!(refused(shop.cancel_by(declined.customer, &declined).await)?, Code::AlreadyCancelled);
    Ok(())
}
