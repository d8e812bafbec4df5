//! Refunds that somebody makes at Stripe without us, and what Stripe says of ours before we know that it has them.

use std::sync::Arc;

use anyhow::Result;
use kitloop::db::{self, JobOutcome, JobRetry};
use kitloop::domain::{Decision, Fact, RefundStatus};
use kitloop::error::Code;
use kitloop_tests::race;
use serde_json::json;

use super::jobs::{end_leases, end_pauses};
use super::shop::{Shop, refund, refund_of, refused};

/// Stripe says that somebody refunded there, without us.
fn elsewhere(id: &str, amount_minor: i64, status: RefundStatus) -> Fact {
    Fact::Refund(refund(id, "pi_1", amount_minor, status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_made_elsewhere_meanwhile_take_from_those_that_were_not_sent() -> Result<()> {
    const CALLERS: usize = 40;
    let shop = Arc::new(Shop::open().await?);
    let hold = shop.confirmed("pi_1").await?;
    let outcomes = race(&shop.database, CALLERS, |caller, db| {
        let (shop, hold) = (Arc::clone(&shop), hold.clone());
        async move {
            if caller % 4 > 0 {
                return db::refund_reservation(&db, &shop.refund_request(&hold, 2_000)).await.map(drop);
            }
            let fact = elsewhere(&format!("re_{caller}"), 3_000, RefundStatus::Succeeded);
            let event_id = format!("evt_{caller}");
            db::apply_stripe_event(&db, &event_id, "test.event", &json!({}), Some(&fact)).await.map(drop)
        }
    })
    .await?;
    for refusal in outcomes.into_iter().filter(Result::is_err) {
        assert!(matches!(refused(refusal)?, Code::AlreadyRefunded | Code::RefundExceedsPayment));
    }
    let good: i64 = shop.of_payment(&hold, "kitloop.refunded_minor(p.id)").await?;
    assert_eq!(good, 50_000, "30,000 elsewhere, and of ours what was left");
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 0]);
    let mut made = 30_000;
    while let Some(job) = shop.claim("worker").await? {
        let fact = refund_of(&job, &format!("re_{}", job.claim.id), RefundStatus::Succeeded)?;
        if let Fact::Refund(refund) = &fact {
            made += refund.amount_minor;
        }
        db::finish_job(&shop.db, &job, &fact).await?;
    }
    assert_eq!(made, 50_000);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_elsewhere_before_ours_was_claimed_shrinks_it() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 50_000).await?;
    shop.hear(&elsewhere("re_other", 20_000, RefundStatus::Succeeded)).await?;
    let (job, amount_minor) = shop.claim_refund().await?;
    assert_eq!((amount_minor, job.claim.generation), (30_000, 2), "another amount needs another key");
    db::finish_job(&shop.db, &job, &refund_of(&job, "re_1", RefundStatus::Succeeded)?).await?;
    assert_eq!(shop.refunds().await?, ["30000 succeeded", "20000 succeeded"]);
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_elsewhere_while_ours_is_on_its_way_shrinks_what_stripe_then_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 50_000).await?;
    let (refused_job, _) = shop.claim_refund().await?;
    shop.hear(&elsewhere("re_other", 20_000, RefundStatus::Pending)).await?;
    let outcome = db::retry_job(&shop.db, &refused_job.claim, "too much", JobRetry::WithNewKey).await?;
    assert_eq!(outcome, JobOutcome::Retried);
    end_pauses(&shop).await?;
    let (job, amount_minor) = shop.claim_refund().await?;
    assert_eq!(amount_minor, 30_000);
    assert_ne!(job.claim.idempotency_key(), refused_job.claim.idempotency_key());
    db::finish_job(&shop.db, &job, &refund_of(&job, "re_1", RefundStatus::Succeeded)?).await?;
    assert_eq!(shop.refunds().await?, ["30000 succeeded", "20000 pending"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn refunds_elsewhere_take_the_newest_of_ours_first_and_call_off_what_is_covered() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    for amount_minor in [10_000, 30_000, 10_000] {
        shop.refund(&hold, amount_minor).await?;
    }
    shop.hear(&elsewhere("re_other", 15_000, RefundStatus::Succeeded)).await?;
    assert_eq!(
        shop.refunds().await?,
        ["10000 pending", "25000 pending", "10000 canceled", "15000 succeeded"]
    );
    shop.hear(&elsewhere("re_rest", 35_000, RefundStatus::Succeeded)).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.jobs().await?, ["refund_payment obsolete"; 3]);
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_stripe_says_before_the_job_is_finished_is_the_same_refund() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    let (job, _) = shop.claim_refund().await?;
    for (status, decision) in [
        (RefundStatus::Pending, Decision::PartiallyRefunded),
        (RefundStatus::Succeeded, Decision::PartiallyRefunded),
        (RefundStatus::Succeeded, Decision::PartiallyRefunded),
        (RefundStatus::RequiresAction, Decision::Stale),
    ] {
        assert_eq!(shop.hear(&refund_of(&job, "re_1", status)?).await?, decision, "{status:?}");
    }
    let finished = db::finish_job(&shop.db, &job, &refund_of(&job, "re_1", RefundStatus::Pending)?).await?;
    assert_eq!((finished.outcome, finished.decision), (JobOutcome::Finished, Decision::Stale));
    assert_eq!(shop.refunds().await?, ["20000 succeeded"]);
    assert_eq!(shop.books(&hold).await?, [20_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_worker_that_died_after_stripe_made_its_refund_has_nothing_left_to_do() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    let (job, _) = shop.claim_refund().await?;
    shop.hear(&refund_of(&job, "re_1", RefundStatus::Pending)?).await?;
    end_leases(&shop).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.jobs().await?, ["refund_payment obsolete"]);
    shop.database.assert_consistent().await
}
