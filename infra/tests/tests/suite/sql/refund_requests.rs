//! Refunds that staff asks for: what is refused, what is made, and what Stripe says of it in any order.

use std::sync::Arc;

use anyhow::Result;
use kitloop::db::{self, JobOutcome, JobRetry, RefundRequest};
use kitloop::domain::{Decision, Fact, PaymentIntentFact, PaymentStatus, RefundStatus};
use kitloop::error::{Code, Error};
use kitloop_tests::race;
use serde_json::json;
use test_support::{Gear, Provider, actor};
use uuid::Uuid;

use super::jobs::end_leases;
use super::money::disputed;
use super::shop::{Shop, admin, refund_of, refused};

#[tokio::test]
async fn what_cannot_be_refunded_is_refused_and_nothing_changes() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(9)).await?;
    let unpaid = shop.hold().await?;
    let authorized = shop.authorized("pi_2").await?;
    let paid = shop.confirmed("pi_3").await?;
    let refunded = shop.confirmed("pi_4").await?;
    shop.refund(&refunded, 50_000).await?;
    let in_dispute = shop.confirmed("pi_5").await?;
    shop.hear(&disputed("du_1", "pi_5", 50_000, "needs_response", 0)).await?;
    let taken_back = shop.confirmed("pi_6").await?;
    shop.hear(&disputed("du_2", "pi_6", 50_000, "lost", 0)).await?;
    let offline = shop.paid_at_the_counter().await?;
    let before = shop.rows().await?;
    for (hold, amount_minor, code) in [
        (&unpaid, 1, Code::NotPaid),
        (&authorized, 1, Code::NotPaid),
        (&paid, 50_001, Code::RefundExceedsPayment),
        (&paid, i64::MAX, Code::RefundExceedsPayment),
        (&paid, 0, Code::InvalidRefundAmount),
        (&paid, -1, Code::InvalidRefundAmount),
        (&refunded, 1, Code::AlreadyRefunded),
        (&in_dispute, 1, Code::PaymentDisputed),
        (&taken_back, 1, Code::AlreadyRefunded),
        (&offline, 1, Code::PaidOffline),
    ] {
        let outcome = shop.refund(hold, amount_minor).await;
        assert_eq!(refused(outcome)?, code, "{amount_minor}");
    }
    for (hold, amount_minor, code) in [
        (&unpaid, 1, Code::NotPaid),
        (&paid, 50_001, Code::RefundExceedsPayment),
        (&offline, 50_001, Code::RefundExceedsPayment),
        (&offline, 0, Code::InvalidRefundAmount),
        (&in_dispute, 1, Code::PaymentDisputed),
    ] {
        assert_eq!(
            refused(shop.refund_offline(hold, amount_minor).await)?,
            code,
            "{amount_minor} at the counter"
        );
    }
    for (user_id, code) in [(paid.customer, Code::Forbidden), (Uuid::new_v4(), Code::ReservationNotFound)] {
        let request = RefundRequest { actor: actor(user_id), ..shop.refund_request(&paid, 1) };
        assert_eq!(refused(db::refund_reservation(&shop.db, &request).await)?, code);
    }
    assert_eq!(shop.rows().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_refusal_says_what_is_left_and_which_amounts_there_are() -> Result<()> {
    let gear = Gear { day_price_minor: 12_350, ..Gear::default() };
    let shop = Shop::open_with(&Provider { currency: "KWD", ..Provider::default() }, &gear).await?;
    let hold = shop.hold().await?;
    let paid = shop.intent(&hold, "pi_1", PaymentStatus::Succeeded);
    shop.hear(&Fact::PaymentIntent(PaymentIntentFact { currency: "KWD".to_owned(), ..paid })).await?;
    shop.refund(&hold, 2_350).await?;
    for amount_minor in [10_001, 9_999] {
        let Err(Error::Refused(refusal)) = shop.refund(&hold, amount_minor).await else {
            anyhow::bail!("{amount_minor} was refunded")
        };
        let details = json!({"refundable_minor": 10_000, "currency": "KWD", "step_minor": 10});
        assert_eq!(serde_json::Value::Object(refusal.details.clone()), details, "{:?}", refusal.code);
    }
    let rest = RefundRequest { amount_minor: None, ..shop.refund_request(&hold, 0) };
    assert_eq!(db::refund_reservation(&shop.db, &rest).await?.amount_minor, 10_000, "all that is left");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_is_written_once_with_its_job_and_carried_out() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    let refunding = shop.refund(&hold, 20_000).await?;
    assert_eq!((refunding.amount_minor, refunding.status), (20_000, RefundStatus::Pending));
    let by_admin = RefundRequest { actor: admin(), ..shop.refund_request(&hold, 1_000) };
    db::refund_reservation(&shop.db, &by_admin).await?;
    let (job, amount_minor) = shop.claim_refund().await?;
    assert_eq!(amount_minor, 20_000);
    db::finish_job(&shop.db, &job, &refund_of(&job, "re_1", RefundStatus::Succeeded)?).await?;
    assert_eq!(shop.refunds().await?, ["20000 succeeded", "1000 pending"]);
    assert_eq!(shop.books(&hold).await?, [21_000, 0, 0]);
    assert_eq!(shop.state(&hold).await?, "confirmed");
    let written = "select reason || ': ' || note from public.refunds limit 1";
    assert_eq!(shop.database.value::<String>(written, &[]).await?, "requested: a torn ski skin");
    let audited =
        "select details ->> 'refund_id' from public.audit_logs where action = 'reservation_refund' limit 1";
    assert_eq!(shop.database.value::<String>(audited, &[]).await?, refunding.refund_id.to_string());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_same_request_under_its_key_is_one_refund() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    let request = RefundRequest { idempotency_key: Some("one-key"), ..shop.refund_request(&hold, 10_000) };
    let first = db::refund_reservation(&shop.db, &request).await?;
    let again = db::refund_reservation(&shop.db, &request).await?;
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!((first.refund_id, again.amount_minor), (again.refund_id, 10_000));
    let other = RefundRequest { request_hash: "other", ..request };
    assert_eq!(refused(db::refund_reservation(&shop.db, &other).await)?, Code::IdempotencyKeyReused);
    let of_somebody_else = RefundRequest { caller: "user:other", idempotency_key: Some("one-key"), ..other };
    assert!(!db::refund_reservation(&shop.db, &of_somebody_else).await?.replayed);
    let too_much = RefundRequest { idempotency_key: Some("two"), ..shop.refund_request(&hold, 99_999) };
    for _ in 0..2 {
        let refusal = db::refund_reservation(&shop.db, &too_much).await;
        assert_eq!(refused(refusal)?, Code::RefundExceedsPayment, "a refusal is an answer too");
    }
    assert_eq!(shop.refunds().await?, ["10000 pending"; 2]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_refunds_at_once_send_back_no_more_than_came_in() -> Result<()> {
    const CALLERS: usize = 30;
    let shop = Arc::new(Shop::open().await?);
    let hold = shop.confirmed("pi_1").await?;
    let outcomes = race(&shop.database, CALLERS, |_, db| {
        let (shop, hold) = (Arc::clone(&shop), hold.clone());
        async move { db::refund_reservation(&db, &shop.refund_request(&hold, 2_000)).await }
    })
    .await?;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 25);
    for refusal in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(refused(refusal)?, Code::AlreadyRefunded);
    }
    assert_eq!(shop.refunds().await?, ["2000 pending"; 25]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_handed_over_at_the_counter_is_a_refund_at_once() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(2)).await?;
    let by_card = shop.confirmed("pi_1").await?;
    let in_cash = shop.paid_at_the_counter().await?;
    for hold in [&by_card, &in_cash] {
        let refunding = shop.refund_offline(hold, 20_000).await?;
        assert_eq!((refunding.amount_minor, refunding.status), (20_000, RefundStatus::Succeeded));
        assert_eq!(shop.books(hold).await?, [20_000, 0, 0]);
        assert_eq!(refused(shop.refund_offline(hold, 30_001).await)?, Code::RefundExceedsPayment);
    }
    assert_eq!(shop.jobs().await?, Vec::<String>::new());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_the_shop_kept_can_still_be_given_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.starts_in(&hold, 3 * 3600).await?;
    shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!(shop.books(&hold).await?, [25_000, 25_000, 0]);
    shop.refund(&hold, 10_000).await?;
    assert_eq!(shop.books(&hold).await?, [35_000, 15_000, 0]);
    assert_eq!(refused(shop.refund(&hold, 15_001).await)?, Code::RefundExceedsPayment);
    shop.refund_offline(&hold, 15_000).await?;
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_that_was_given_up_counts_when_stripe_made_it_after_all() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    let (job, _) = shop.claim_refund().await?;
    let outcome = db::retry_job(&shop.db, &job.claim, "refused", JobRetry::Never).await?;
    assert_eq!(outcome, JobOutcome::Failed);
    assert_eq!(shop.refunds().await?, ["20000 canceled"]);
    assert_eq!(shop.owed(&hold).await?, 20_000);
    shop.ensure_only_broken(&["refund_owed"]).await?;
    let made = refund_of(&job, "re_1", RefundStatus::Succeeded)?;
    for _ in 0..2 {
        assert_eq!(shop.hear(&made).await?, Decision::PartiallyRefunded);
    }
    assert_eq!(shop.refunds().await?, ["20000 succeeded"], "and it is one row");
    assert_eq!(shop.books(&hold).await?, [20_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn after_three_failures_the_money_is_owed_until_staff_hands_it_over() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    for attempt in 1..=3 {
        let (job, amount_minor) = shop.claim_refund().await?;
        assert_eq!(amount_minor, 20_000);
        for status in [RefundStatus::Succeeded, RefundStatus::Failed, RefundStatus::Failed] {
            shop.hear(&refund_of(&job, &format!("re_{attempt}"), status)?).await?;
        }
    }
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.refunds().await?, ["20000 failed"; 3]);
    shop.ensure_only_broken(&["refund_owed"]).await?;
    let told = "select status from public.notification_logs where kind = 'refund_failed'";
    assert_eq!(shop.database.value::<String>(told, &[]).await?, "no_address");
    shop.refund_offline(&hold, 20_000).await?;
    assert_eq!(shop.books(&hold).await?, [20_000, 0, 0], "it is the same money");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_of_a_second_payment_that_fails_for_good_can_be_handed_over_too() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    assert_eq!(shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded).await?, Decision::DuplicatePayment);
    let (job, _) = shop.claim_refund().await?;
    db::retry_job(&shop.db, &job.claim, "refused", JobRetry::Never).await?;
    shop.ensure_only_broken(&["refund_owed"]).await?;
    shop.refund_offline(&hold, 50_000).await?;
    assert_eq!(shop.books(&hold).await?, [0, 0, 0], "the one payment is untouched");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_job_that_fails_holds_the_reservation_before_the_money() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    let (job, _) = shop.claim_refund().await?;
    // Somebody has the reservation and is about to go on to its payment.
    shop.database.admin.batch_execute("begin; select from public.reservations for update").await?;
    let going_on = async {
        shop.until_somebody_waits().await?;
        shop.database.admin.batch_execute("select from public.payments for update nowait; commit").await?;
        anyhow::Ok(())
    };
    let failing = async { Ok(db::retry_job(&shop.db, &job.claim, "refused", JobRetry::Never).await?) };
    let (outcome, ()) = tokio::try_join!(failing, going_on)?;
    assert_eq!(outcome, JobOutcome::Failed);
    Ok(())
}

#[tokio::test]
async fn a_job_whose_workers_all_died_is_given_up_without_waiting_for_its_reservation() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    shop.claim_refund().await?;
    shop.database.execute("update public.jobs set max_attempts = 1", &[]).await?;
    end_leases(&shop).await?;
    shop.database.admin.batch_execute("begin; select from public.reservations for update").await?;
    assert!(shop.claim("worker").await?.is_none());
    shop.database.admin.batch_execute("commit").await?;
    assert_eq!(shop.jobs().await?, ["refund_payment running"], "it is looked at again later");
    end_leases(&shop).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.jobs().await?, ["refund_payment failed"]);
    shop.ensure_only_broken(&["refund_owed"]).await
}
