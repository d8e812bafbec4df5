//! Cancelling: when, by whom, and what becomes of the money.

use anyhow::{Context, Result};
use kitloop::domain::{ConfirmationAction, Decision, Fact, PaymentIntentFact, PaymentStatus, RefundStatus};
use kitloop::error::Code;
use kitloop::{db, domain::JobKind};
use test_support::{Gear, Provider, actor};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::shop::{LEASE, Shop, refused};

const HOUR: i32 = 3600;

async fn set_policy(shop: &Shop, policy: &str) -> Result<()> {
    let sql = "update public.providers set cancellation_policy = $1::text::jsonb";
    shop.database.execute(sql, &[&policy]).await.map(drop)
}

#[tokio::test]
async fn the_first_step_of_the_policy_that_is_early_enough_decides_to_the_instant() -> Result<()> {
    let shop = Shop::open().await?;
    let usual = r#"[{"hours_before": 24, "refund_percent": 100}, {"hours_before": 2, "refund_percent": 50}]"#;
    let in_halves =
        r#"[{"hours_before": 1.5, "refund_percent": 80.0}, {"hours_before": 0, "refund_percent": 5}]"#;
    for (policy, ahead, percent) in [
        (usual, "1000 hours", 100),
        (usual, "24 hours", 100),
        (usual, "24 hours -1 microsecond", 50),
        (usual, "2 hours", 50),
        (usual, "2 hours -1 microsecond", 0),
        (usual, "-1 hour", 0),
        ("[]", "1000 hours", 0),
        (r#"[{"hours_before": 48, "refund_percent": 75}]"#, "48 hours", 75),
        (r#"[{"hours_before": 48, "refund_percent": 75}]"#, "48 hours -1 microsecond", 0),
        (in_halves, "90 minutes", 80),
        (in_halves, "90 minutes -1 microsecond", 5),
        (in_halves, "0", 5),
        (in_halves, "-1 microsecond", 0),
    ] {
        let sql = "select kitloop.refund_percent($1::text::jsonb, now() + $2::text::interval, now())";
        let found: i32 = shop.database.value(sql, &[&policy, &ahead]).await?;
        assert_eq!(found, percent, "{ahead} ahead of the start under {policy}");
    }
    Ok(())
}

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
async fn a_share_is_rounded_up_to_what_the_currency_has() -> Result<()> {
    let shop = Shop::open().await?;
    for (amount_minor, percent, currency, share_minor) in [
        (33_333_i64, 50_i32, "CZK", 16_667),
        (1, 1, "CZK", 1),
        (999, 50, "JPY", 500),
        (12_350, 50, "KWD", 6_180),
        (12_340, 33, "KWD", 4_080),
        (150_000, 33, "ISK", 49_500),
        (150_100, 33, "ISK", 49_600),
        (100, 1, "UGX", 100),
        (99_999_999, 100, "CZK", 99_999_999),
        (12_340, 0, "KWD", 0),
    ] {
        let sql = "select kitloop.share_minor($1, $2, $3)";
        let found: i64 = shop.database.value(sql, &[&amount_minor, &percent, &currency]).await?;
        assert_eq!(found, share_minor, "{percent} % of {currency} {amount_minor}");
    }
    Ok(())
}

#[tokio::test]
async fn half_of_an_odd_amount_in_thousandths_ends_in_zero() -> Result<()> {
    let gear = Gear { day_price_minor: 12_350, ..Gear::default() };
    let shop = Shop::open_with(&Provider { currency: "KWD", ..Provider::default() }, &gear).await?;
    let hold = shop.hold().await?;
    let paid = shop.intent(&hold, "pi_1", PaymentStatus::Succeeded);
    shop.hear(&Fact::PaymentIntent(PaymentIntentFact { currency: "KWD".to_owned(), ..paid })).await?;
    shop.starts_in(&hold, 3 * HOUR).await?;
    let cancelled = shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!((cancelled.refund_minor, cancelled.currency.as_str()), (6_180, "KWD"));
    assert_eq!(shop.books(&hold).await?, [6_180, 6_170, 0]);
    shop.database.assert_consistent().await
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
    assert_eq!(job.claim.kind, JobKind::CancelPaymentIntent);
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
async fn the_table_refuses_a_policy_that_is_none() -> Result<()> {
    let shop = Shop::open().await?;
    let steps = |steps: &[(&str, &str)]| {
        let steps: Vec<String> = steps
            .iter()
            .map(|(hours, percent)| format!(r#"{{"hours_before": {hours}, "refund_percent": {percent}}}"#))
            .collect();
        format!("[{}]", steps.join(", "))
    };
    let eleven: Vec<(String, String)> =
        (0..11).map(|i| ((20 - i).to_string(), (90 - i).to_string())).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|(h, p)| (h.as_str(), p.as_str())).collect();
    for wrong in [
        steps(&[("24", "50"), ("2", "100")]),
        steps(&[("2", "100"), ("24", "50")]),
        steps(&[("24", "100"), ("24", "50")]),
        steps(&[("-1", "100")]),
        steps(&[("8761", "100")]),
        steps(&[("24", "101")]),
        steps(&[("24", "-1")]),
        steps(&[("24", "33.3")]),
        steps(&[("\"24\"", "100")]),
        steps(&[("24", "\"100\"")]),
        steps(&[("null", "100")]),
        steps(&[("[24, 2]", "100")]),
        steps(&eleven),
        format!("[{}]", steps(&[("24", "100")])),
        "[{}]".to_owned(),
        "[1]".to_owned(),
        "[null]".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        "100".to_owned(),
        r#"[{"refund_percent": 50}]"#.to_owned(),
    ] {
        let sql = "update public.providers set cancellation_policy = $1::text::jsonb";
        let error = shop.database.admin.execute(sql, &[&wrong]).await.err().with_context(|| wrong.clone())?;
        assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION), "{wrong}");
    }
    for right in [steps(&eleven[1..]), steps(&[("24", "100"), ("2.5", "100")]), "[]".to_owned()] {
        set_policy(&shop, &right).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_of_the_providers_own_holds_from_the_moment_it_is_set() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(3)).await?;
    for (intent_id, policy, percent) in [
        ("pi_1", "[]", 0),
        ("pi_2", r#"[{"hours_before": 0, "refund_percent": 90}]"#, 90),
        ("pi_3", r#"[{"hours_before": 8760, "refund_percent": 90}]"#, 0),
    ] {
        let hold = shop.confirmed(intent_id).await?;
        set_policy(&shop, policy).await?;
        assert_eq!(shop.cancel_by(hold.customer, &hold).await?.refund_percent, percent, "{policy}");
    }
    shop.database.assert_consistent().await
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
