//! Who may do a job: the holder of its lease, and only the newest one.

use anyhow::{Context, Result};
use kitloop::app::jobs;
use kitloop::db::{self, Confirmation, JobOutcome};
use serde_json::json;
use test_support::{Shop, confirmation};

use super::{assert_keys_are_never_reused, due_refund, job, job_requests, stored_job, work, worker};

#[tokio::test]
async fn a_capture_whose_function_died_is_taken_over_when_its_lease_runs_out() -> Result<()> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let request = confirmation(shop.staff_id, reservation_id);
    let claimed = db::confirm_reservation(&shop.app.db, &request).await?;
    assert!(matches!(claimed, Confirmation::Capture(_)), "{claimed:?}");
    assert_eq!(work(&shop).await??, json!({"succeeded": 0, "unsuccessful": 0}), "the lease holds");

    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await??, json!({"succeeded": 1, "unsuccessful": 0}));
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    assert_eq!(shop.intents().await?, [(intent_id, "succeeded".to_owned())]);
    assert_eq!(shop.jobs().await?, [job("capture_payment_intent", "succeeded")]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_worker_that_comes_back_late_may_not_end_the_job_but_what_it_did_counts() -> Result<()> {
    let shop = Shop::open().await?;
    due_refund(&shop).await?;
    let late = db::claim_job(&shop.app.db, "late", jobs::LEASE).await?.context("no job")?;
    shop.make_jobs_due().await?;
    let newer = db::claim_job(&shop.app.db, "newer", jobs::LEASE).await?.context("no job")?;

    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    assert_eq!(worker(&shop, "late")?.perform(&late, deadline).await?, JobOutcome::Fenced);
    assert_eq!(stored_job(&shop).await?, json!(["refund_payment", "running", 2, 1]));
    assert_eq!(shop.count("refunds").await?, 1);

    // The newer one uses the same key, so that nothing is done twice.
    assert_eq!(worker(&shop, "newer")?.perform(&newer, deadline).await?, JobOutcome::Finished);
    assert_eq!((shop.refunds().await?.len(), shop.count("refunds").await?), (1, 1));
    assert_keys_are_never_reused(&shop).await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn two_workers_at_once_do_each_job_once() -> Result<()> {
    let shop = Shop::open().await?;
    due_refund(&shop).await?;
    let (one, other) = tokio::join!(work(&shop), work(&shop));
    let done =
        one??["succeeded"].as_i64().unwrap_or_default() + other??["succeeded"].as_i64().unwrap_or_default();
    assert_eq!((done, shop.refunds().await?.len(), job_requests(&shop).await?.len()), (1, 1, 1));
    Ok(())
}
