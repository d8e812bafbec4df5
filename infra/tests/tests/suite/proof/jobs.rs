//! A job has one worker at a time, and is done only while its reason holds.

use anyhow::Result;
use kitloop_tests::{Mistake, Promise};
use test_support::TestDatabase;

use super::scenario::{Scenario, ask};

const CLAIM: &str = "kitloop.claim_job('worker', 30)";

/// A refund that is due: the piece was gone when the money came.
async fn open_with_refund_due(database: TestDatabase) -> Result<Scenario> {
    let scenario = Scenario::open(database).await?;
    let hold = scenario.hold().await?;
    scenario.database.lapse(hold.id).await?;
    scenario.ask(&scenario.reserve()).await?;
    scenario.ask(&hold.paid("evt_late")).await?;
    Ok(scenario)
}

/// Two workers look for work at the same time: one finds the job.
struct OneWorkerPerJob;

impl Promise for OneWorkerPerJob {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = open_with_refund_due(database).await?;
        let first = scenario.begin().await?;
        ask(&first, CLAIM).await?;
        let count = "(select count(*) as claimed from kitloop.claim_job('other worker', 30))";
        let second = scenario.start(count).await?;
        first.batch_execute("commit").await?;
        Ok(second.answer().await?.number("/claimed") == Some(0))
    }
}

/// A worker that lost its lease to another cannot end the job.
struct TheOldWorkerIsFenced;

impl Promise for TheOldWorkerIsFenced {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = open_with_refund_due(database).await?;
        let old = scenario.ask(CLAIM).await?;
        scenario.database.execute("update public.jobs set lease_until = clock_timestamp()", &[]).await?;
        scenario.ask(CLAIM).await?;
        let give_back = format!(
            "kitloop.retry_job('{}', {}, 'late', false, false)",
            old.text("/job_id"),
            old.number("/fencing_token").unwrap_or_default(),
        );
        scenario.ask(&give_back).await?;
        Ok(scenario.database.value::<String>("select status from public.jobs", &[]).await? == "running")
    }
}

/// Money that somebody has sent back by hand is not sent back again.
struct NoRefundWithoutReason;

impl Promise for NoRefundWithoutReason {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = open_with_refund_due(database).await?;
        let by_hand = "kitloop.settle_fact(jsonb_build_object(
                'kind', 'refund', 'stripe_refund_id', 're_by_hand', 'payment_intent_id', p.payment_intent_id,
                'amount_minor', p.captured_minor, 'currency', p.currency, 'status', 'succeeded'))
            from public.payments p";
        scenario.database.admin.batch_execute(&format!("select {by_hand}")).await?;
        let claimed =
            scenario.ask("(select count(*) as claimed from kitloop.claim_job('worker', 30))").await?;
        Ok(claimed.number("/claimed") == Some(0))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claiming_without_a_lock_gives_one_job_to_two_workers() -> Result<()> {
    let mistake = Mistake::of("claim_job").writing("", "for update skip locked");
    mistake.breaks(OneWorkerPerJob).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fencing_token_the_old_worker_takes_the_job_from_the_new_one() -> Result<()> {
    let mistake = Mistake::of("retry_job").writing("", "j.fencing_token = p_fencing_token and ");
    mistake.breaks(TheOldWorkerIsFenced).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_reason_is_not_checked_again_refunds_twice() -> Result<()> {
    let mistake =
        Mistake::of("claim_job").writing("elsif false then", "elsif not kitloop.job_still_holds(v_job) then");
    mistake.breaks(NoRefundWithoutReason).await
}
