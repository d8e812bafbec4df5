//! What is left to do at Stripe: claimed by a lease, fenced, tried again, and dropped when its reason is gone.

use std::time::Duration;

use anyhow::{Context, Result};
use kitloop::db::{self, JobOutcome, JobRetry};
use kitloop::domain::{
    ConfirmationAction, Decision, Fact, IntentJob, IntentStep, JobKind, PaymentStatus, RefundStatus,
    ReservationStatus,
};
use test_support::{Gear, Provider};

use super::shop::{Hold, Shop, refund, refund_of};

/// A hold that was paid too late, with the refund to be done.
async fn refund_due(shop: &Shop) -> Result<Hold> {
    let late = shop.hold().await?;
    shop.lose(&late).await?;
    assert_eq!(shop.hear_of(&late, "pi_1", PaymentStatus::Succeeded).await?, Decision::CancelledConflict);
    Ok(late)
}

async fn claimed(shop: &Shop, worker: &str) -> Result<IntentJob> {
    shop.claim(worker).await?.context("no job is due")
}

/// How much a job refunds.
fn refunded_by(job: &IntentJob) -> Option<i64> {
    match job.step {
        IntentStep::Refund { amount_minor, .. } => Some(amount_minor),
        IntentStep::Cancel | IntentStep::Capture { .. } => None,
    }
}

/// Lets the lease of every running job run out.
pub(super) async fn end_leases(shop: &Shop) -> Result<()> {
    let sql = "update public.jobs set lease_until = clock_timestamp() - interval '1 second' where status = 'running'";
    shop.database.execute(sql, &[]).await.map(drop)
}

/// Makes every waiting job due.
pub(super) async fn end_pauses(shop: &Shop) -> Result<()> {
    shop.database.execute("update public.jobs set run_after = clock_timestamp()", &[]).await.map(drop)
}

#[tokio::test]
async fn a_job_is_claimed_done_and_over() -> Result<()> {
    let shop = Shop::open().await?;
    let late = refund_due(&shop).await?;
    let job = claimed(&shop, "worker").await?;
    assert_eq!(
        (job.claim.kind.as_str(), job.payment_intent_id.as_str(), refunded_by(&job), job.reservation_id),
        (JobKind::RefundPayment.as_str(), "pi_1", Some(late.amount_minor), late.id)
    );
    assert_eq!(job.claim.idempotency_key(), format!("{}:refund_payment:1", job.claim.id));
    assert!(shop.claim("other").await?.is_none());
    let finished = db::finish_job(&shop.db, &job, &refund_of(&job, "re_1", RefundStatus::Succeeded)?).await?;
    assert_eq!((finished.decision, finished.status), (Decision::Refunded, ReservationStatus::Cancelled));
    assert_eq!(finished.outcome, JobOutcome::Finished);
    assert_eq!(shop.jobs().await?, ["refund_payment succeeded"]);
    assert!(shop.claim("worker").await?.is_none());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_is_fenced_but_what_stripe_said_counts() -> Result<()> {
    let shop = Shop::open().await?;
    refund_due(&shop).await?;
    let lost = claimed(&shop, "slow").await?;
    end_leases(&shop).await?;
    let taken_over = claimed(&shop, "quick").await?;
    assert_eq!(taken_over.claim.id, lost.claim.id);
    assert!(taken_over.claim.fencing_token > lost.claim.fencing_token);
    assert_eq!(
        taken_over.claim.idempotency_key(),
        lost.claim.idempotency_key(),
        "at Stripe it is one refund"
    );

    let outcome = db::retry_job(&shop.db, &lost.claim, "timeout", JobRetry::Never).await?;
    assert_eq!(outcome, JobOutcome::Fenced);
    assert_eq!(shop.jobs().await?, ["refund_payment running"], "the slow one may not fail it");
    let finished =
        db::finish_job(&shop.db, &lost, &refund_of(&lost, "re_1", RefundStatus::Succeeded)?).await?;
    assert_eq!(finished.outcome, JobOutcome::Fenced);
    assert_eq!(finished.decision, Decision::Refunded);
    assert_eq!(shop.jobs().await?, ["refund_payment running"], "nor finish it");
    let finished =
        db::finish_job(&shop.db, &taken_over, &refund_of(&taken_over, "re_1", RefundStatus::Succeeded)?)
            .await?;
    assert_eq!(finished.outcome, JobOutcome::Finished);
    assert_eq!(shop.database.value::<i64>("select count(*) from public.refunds", &[]).await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn whoever_ends_a_job_locks_the_money_that_it_is_about_first() -> Result<()> {
    let shop = Shop::open().await?;
    refund_due(&shop).await?;
    for ending in [true, false] {
        let job = claimed(&shop, "worker").await?;
        shop.database.admin.batch_execute("begin; select from public.payments for update").await?;
        let db = shop.db.clone();
        let fact = refund_of(&job, "re_1", RefundStatus::Succeeded)?;
        let ends = tokio::spawn(async move {
            if ending {
                return db::retry_job(&db, &job.claim, "unavailable", JobRetry::Later).await;
            }
            db::finish_job(&db, &job, &fact).await.map(|finished| finished.outcome)
        });
        shop.until_somebody_waits().await?;
        // Whoever holds the money may go on to the job: locked the other way round, the two would wait for each other.
        shop.database.admin.batch_execute("select from public.jobs for update nowait; commit").await?;
        ends.await??;
        end_pauses(&shop).await?;
    }
    assert_eq!(shop.jobs().await?, ["refund_payment succeeded"]);
    Ok(())
}

#[tokio::test]
async fn a_refund_that_failed_at_stripe_is_made_again_with_a_new_key() -> Result<()> {
    let shop = Shop::open().await?;
    let late = refund_due(&shop).await?;
    let job = claimed(&shop, "worker").await?;
    let finished = db::finish_job(&shop.db, &job, &refund_of(&job, "re_1", RefundStatus::Failed)?).await?;
    assert_eq!((finished.outcome, finished.decision), (JobOutcome::Finished, Decision::RefundFailed));
    let again = claimed(&shop, "worker").await?;
    assert_ne!(again.claim.idempotency_key(), job.claim.idempotency_key());
    assert_eq!(refunded_by(&again), Some(late.amount_minor));
    Ok(())
}

#[tokio::test]
async fn a_refund_that_fails_after_it_succeeded_is_made_again_twice_at_most() -> Result<()> {
    let shop = Shop::open().await?;
    refund_due(&shop).await?;
    for attempt in 1..=3 {
        let job = claimed(&shop, "worker").await?;
        let said = |status| refund_of(&job, &format!("re_{attempt}"), status);
        let finished = db::finish_job(&shop.db, &job, &said(RefundStatus::Succeeded)?).await?;
        assert_eq!(finished.outcome, JobOutcome::Finished);
        shop.database.assert_consistent().await?;
        assert_eq!(shop.hear(&said(RefundStatus::Failed)?).await?, Decision::RefundFailed);
    }
    assert!(shop.claim("worker").await?.is_none(), "a person has to look");
    assert_eq!(shop.jobs().await?, ["refund_payment succeeded"; 3]);
    let violations = shop.database.violations().await?;
    assert!(matches!(violations.as_slice(), [one] if one.starts_with("refund_owed")), "{violations:?}");
    Ok(())
}

#[tokio::test]
async fn a_job_whose_reason_is_gone_is_dropped() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let revived = shop.hold().await?;
    shop.start_payment(&revived, "pi_2").await?;
    shop.database.lapse(revived.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);
    assert_eq!(shop.hear_of(&revived, "pi_2", PaymentStatus::RequiresCapture).await?, Decision::Authorized);
    assert!(shop.claim("worker").await?.is_none(), "the authorised money is wanted now");
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent obsolete"]);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_wanted_again_while_it_is_dropped_is_not_lost() -> Result<()> {
    let shop = Shop::open().await?;
    let late = shop.hold().await?;
    shop.start_payment(&late, "pi_1").await?;
    shop.database.lapse(late.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    shop.hold().await?;
    // A worker has looked at the job, and is about to find that there is no reason for it.
    shop.database.admin.batch_execute("begin; select from public.jobs for update").await?;
    let fact = Fact::PaymentIntent(shop.intent(&late, "pi_1", PaymentStatus::RequiresCapture));
    let dropping = async {
        shop.until_somebody_waits().await?;
        shop.database.admin.batch_execute("update public.jobs set status = 'obsolete'; commit").await?;
        anyhow::Ok(())
    };
    let (decision, ()) = tokio::try_join!(shop.hear(&fact), dropping)?;
    assert_eq!(decision, Decision::CancelledConflict);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent obsolete", "cancel_payment_intent queued"]);
    Ok(())
}

#[tokio::test]
async fn a_refund_that_somebody_made_by_hand_is_not_made_again() -> Result<()> {
    let shop = Shop::open().await?;
    let late = refund_due(&shop).await?;
    let by_hand =
        |id: &str, amount_minor| Fact::Refund(refund(id, "pi_1", amount_minor, RefundStatus::Succeeded));
    shop.hear(&by_hand("re_by_hand", late.amount_minor - 1)).await?;
    let job = claimed(&shop, "worker").await?;
    assert_eq!(refunded_by(&job), Some(1), "only what is missing");
    assert_eq!(job.claim.generation, 2, "another amount needs another key");
    end_leases(&shop).await?;
    shop.hear(&by_hand("re_2", 1)).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.jobs().await?, ["refund_payment obsolete"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_job_is_tried_again_after_a_growing_pause() -> Result<()> {
    let shop = Shop::open().await?;
    refund_due(&shop).await?;
    let pause = "select run_after - clock_timestamp() between make_interval(secs => $1::integer / 2 - 1)
            and make_interval(secs => $1)
        from public.jobs";
    for longest in [10, 30, 90, 270, 810, 900, 900] {
        let job = claimed(&shop, "worker").await?;
        let outcome = db::retry_job(&shop.db, &job.claim, "stripe unavailable", JobRetry::Later).await?;
        assert_eq!(outcome, JobOutcome::Retried);
        assert!(shop.database.value::<bool>(pause, &[&longest]).await?, "half to all of {longest} s");
        assert!(shop.claim("worker").await?.is_none(), "it is not due yet");
        end_pauses(&shop).await?;
    }
    // However long Stripe is away, attempts are left for what it may refuse afterwards.
    let sql = "select status || ' ' || last_error || ' ' || attempts || ' ' || generation from public.jobs";
    assert_eq!(shop.database.value::<String>(sql, &[]).await?, "queued stripe unavailable 6 1");
    Ok(())
}

#[tokio::test]
async fn a_spent_key_is_not_used_again() -> Result<()> {
    let shop = Shop::open().await?;
    refund_due(&shop).await?;
    let job = claimed(&shop, "worker").await?;
    db::retry_job(&shop.db, &job.claim, "stored failure", JobRetry::WithNewKey).await?;
    end_pauses(&shop).await?;
    let again = claimed(&shop, "worker").await?;
    assert_eq!(again.claim.idempotency_key(), format!("{}:refund_payment:2", job.claim.id));
    Ok(())
}

#[tokio::test]
async fn a_job_that_stripe_refuses_again_and_again_fails_in_the_end() -> Result<()> {
    let shop = Shop::open().await?;
    refund_due(&shop).await?;
    shop.database.execute("update public.jobs set max_attempts = 2", &[]).await?;
    for outcome in [JobOutcome::Retried, JobOutcome::Failed] {
        let job = claimed(&shop, "worker").await?;
        assert_eq!(db::retry_job(&shop.db, &job.claim, "refused", JobRetry::WithNewKey).await?, outcome);
        end_pauses(&shop).await?;
    }
    assert_eq!(shop.jobs().await?, ["refund_payment failed"]);
    let violations = shop.database.violations().await?;
    assert!(
        matches!(violations.as_slice(), [one] if one.starts_with("refund_owed")),
        "money that nobody sends back is a broken promise: {violations:?}"
    );
    Ok(())
}

#[tokio::test]
async fn money_that_has_to_go_back_waits_for_stripe_for_ever_but_a_capture_does_not() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(2)).await?;
    let declined = shop.authorized("pi_1").await?;
    shop.answer(shop.staff, &declined, ConfirmationAction::Decline, None).await?;
    let release = claimed(&shop, "worker").await?;
    let captured = shop.authorized("pi_2").await?;
    let capture = shop.start_capture(&captured).await?;
    shop.database.execute("update public.jobs set max_attempts = 1", &[]).await?;
    for (job, outcome) in [(&release, JobOutcome::Retried), (&capture, JobOutcome::Failed)] {
        assert_eq!(db::retry_job(&shop.db, &job.claim, "unavailable", JobRetry::Later).await?, outcome);
    }
    Ok(())
}

#[tokio::test]
async fn a_job_whose_workers_all_died_fails_in_the_end() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::default()).await?;
    let hold = shop.authorized("pi_1").await?;
    shop.start_capture(&hold).await?;
    shop.database.execute("update public.jobs set max_attempts = 2", &[]).await?;
    end_leases(&shop).await?;
    let taken_over = claimed(&shop, "worker").await?;
    assert_eq!(taken_over.claim.kind, JobKind::CapturePaymentIntent.as_str());
    end_leases(&shop).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.jobs().await?, ["capture_payment_intent failed"]);
    assert_eq!(shop.payments(&hold).await?, ["requires_capture"], "it may be captured or declined again");
    shop.start_capture(&hold).await?;
    Ok(())
}

#[tokio::test]
async fn a_payment_has_one_open_job_of_a_kind() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.database.lapse(hold.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    shop.hold().await?;
    let decision = shop.hear_of(&hold, "pi_1", PaymentStatus::RequiresCapture).await?;
    assert_eq!(decision, Decision::CancelledConflict);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);
    Ok(())
}

#[tokio::test]
async fn the_longest_waiting_job_goes_first_and_what_is_not_due_waits() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for (intent_id, minutes) in [("pi_1", 1), ("pi_2", 2), ("pi_3", -1)] {
        let hold = shop.hold().await?;
        shop.start_payment(&hold, intent_id).await?;
        shop.answer(shop.staff, &hold, ConfirmationAction::Decline, None).await?;
        let sql = "update public.jobs set run_after = clock_timestamp() - make_interval(mins => $2)
            where payment_id = (select id from public.payments where payment_intent_id = $1)";
        shop.database.execute(sql, &[&intent_id, &minutes]).await?;
    }
    for intent_id in ["pi_2", "pi_1"] {
        assert_eq!(claimed(&shop, "worker").await?.payment_intent_id, intent_id);
    }
    assert!(shop.claim("worker").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_worker_says_that_it_lives() -> Result<()> {
    let shop = Shop::open().await?;
    assert!(db::readiness(&shop.db).await?.since_worker_beat.is_none());
    db::beat(&shop.db, "worker").await?;
    shop.database
        .execute("update public.worker_heartbeats set beat_at = beat_at - interval '1 hour'", &[])
        .await?;
    let silence = db::readiness(&shop.db).await?.since_worker_beat.context("no beat")?;
    assert!(silence.as_secs() >= 3600);
    db::beat(&shop.db, "worker").await?;
    let silence = db::readiness(&shop.db).await?.since_worker_beat.context("no beat")?;
    assert!(silence.unsigned_abs() < Duration::from_secs(60));
    Ok(())
}
