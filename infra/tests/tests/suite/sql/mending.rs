//! Money that should move and does not: reconciliation sets it going again, or says that a person has to look.

use anyhow::Result;
use kitloop::db::{self, JobRetry};
use kitloop::domain::{Fact, IntentStep, Mending, PaymentStatus, RefundStatus};
use test_support::{Gear, Provider};

use super::shop::{Shop, refund_of};

/// What was mended, as (payment's intent, what was done).
async fn mended(shop: &Shop, limit: i32) -> Result<Vec<(String, Mending)>> {
    let mut all = Vec::new();
    for payment in db::mend_money(&shop.db, limit).await? {
        let sql = "select payment_intent_id from public.payments where id = $1";
        all.push((shop.database.value::<String>(sql, &[&payment.payment_id.0]).await?, payment.mending));
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(all)
}

#[tokio::test]
async fn money_that_should_move_and_does_not_is_set_going_again() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let refunded = shop.confirmed("pi_1").await?;
    shop.refund(&refunded, 20_000).await?;
    let unpaid = shop.hold().await?;
    shop.start_payment(&unpaid, "pi_2").await?;
    shop.cancel_by(unpaid.customer, &unpaid).await?;
    assert_eq!(mended(&shop, 10).await?, [], "it is under way");
    while let Some(job) = shop.claim("worker").await? {
        db::retry_job(&shop.db, &job.claim, "refused", JobRetry::Never).await?;
    }
    let wanted = [("pi_1".to_owned(), Mending::RefundResent), ("pi_2".to_owned(), Mending::CancelResent)];
    assert_eq!(mended(&shop, 10).await?, wanted);
    assert_eq!(mended(&shop, 10).await?, [], "now it is under way");
    while let Some(job) = shop.claim("worker").await? {
        let fact = match job.step {
            IntentStep::Cancel => Fact::PaymentIntent(shop.intent(&unpaid, "pi_2", PaymentStatus::Canceled)),
            _ => refund_of(&job, "re_1", RefundStatus::Succeeded)?,
        };
        db::finish_job(&shop.db, &job, &fact).await?;
    }
    assert_eq!(shop.refunds().await?, ["20000 canceled", "20000 succeeded"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn where_a_person_has_to_look_reconciliation_says_so_and_does_nothing() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    for attempt in 1..=3 {
        shop.make_refund(&format!("re_{attempt}"), RefundStatus::Failed).await?;
    }
    let in_cash = shop.paid_at_the_counter().await?;
    shop.cancel_by(shop.staff, &in_cash).await?;
    for _ in 0..2 {
        assert_eq!(mended(&shop, 10).await?, [("pi_1".to_owned(), Mending::Owed)]);
    }
    assert!(shop.claim("worker").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_person_does_not_keep_other_money_from_moving() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for number in 1..=4 {
        let hold = shop.confirmed(&format!("pi_{number}")).await?;
        shop.refund(&hold, 20_000).await?;
        let attempts = if number == 4 { 1 } else { 3 };
        for attempt in 1..=attempts {
            let (job, _) = shop.claim_refund().await?;
            if number == 4 {
                db::retry_job(&shop.db, &job.claim, "refused", JobRetry::Never).await?;
            } else {
                let failed = refund_of(&job, &format!("re_{number}_{attempt}"), RefundStatus::Failed)?;
                db::finish_job(&shop.db, &job, &failed).await?;
            }
        }
    }
    assert_eq!(mended(&shop, 1).await?, [("pi_4".to_owned(), Mending::RefundResent)]);
    Ok(())
}

#[tokio::test]
async fn a_refund_that_was_given_up_and_made_again_counts_once_when_it_arrives_after_all() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    let (given_up, _) = shop.claim_refund().await?;
    db::retry_job(&shop.db, &given_up.claim, "no answer", JobRetry::Never).await?;
    assert_eq!(mended(&shop, 10).await?, [("pi_1".to_owned(), Mending::RefundResent)]);
    shop.hear(&refund_of(&given_up, "re_1", RefundStatus::Succeeded)?).await?;
    assert_eq!(shop.refunds().await?, ["20000 succeeded", "20000 canceled"]);
    assert!(shop.claim("worker").await?.is_none(), "the customer gets it once");
    assert_eq!(shop.books(&hold).await?, [20_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_cancellation_adds_to_what_is_owed_from_before() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 10_000).await?;
    for attempt in 1..=3 {
        shop.make_refund(&format!("re_{attempt}"), RefundStatus::Failed).await?;
    }
    shop.starts_in(&hold, 3 * 3600).await?;
    shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!(shop.books(&hold).await?, [35_000, 15_000, 0]);
    shop.make_refund("re_4", RefundStatus::Succeeded).await?;
    assert_eq!(shop.owed(&hold).await?, 10_000);
    shop.refund_offline(&hold, 10_000).await?;
    assert_eq!(shop.books(&hold).await?, [35_000, 15_000, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_staff_asks_for_by_card_may_be_what_is_owed_already() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    for attempt in 1..=3 {
        shop.make_refund(&format!("re_{attempt}"), RefundStatus::Failed).await?;
    }
    shop.refund(&hold, 20_000).await?;
    shop.make_refund("re_4", RefundStatus::Succeeded).await?;
    assert_eq!(shop.books(&hold).await?, [20_000, 0, 0], "it is the same money");
    shop.database.assert_consistent().await
}
