//! Many spend the same credits at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use kitloop::app::jobs::{LEASE, Worker};
use kitloop::config::StripeConfig;
use kitloop::db::{self, CreatedJob, Db, JobRequest};
use kitloop::domain::Contact;
use kitloop::error::{Code, Error};
use kitloop::network::Network;
use kitloop::stripe::Stripe;
use kitloop_tests::{is_refusal, race};
use serde_json::json;
use test_support::TestDatabase;
use tokio::time::Instant;
use uuid::Uuid;

const CALLERS: usize = 50;

async fn ask(db: &Db, user: Uuid, key: &str, credits: i64) -> Result<CreatedJob, Error> {
    let request = JobRequest {
        caller: &format!("user:{user}"),
        idempotency_key: key,
        request_hash: "hash",
        user_id: user,
        profile: &Contact::default(),
        kind: "reservation_export",
        credits,
        max_attempts: 5,
        provider_id: None,
        input: &json!({"format": "csv"}),
    };
    db::create_job(db, &request).await
}

async fn count(database: &TestDatabase, what: &str) -> Result<i64> {
    database.value(&format!("select count(*) from public.{what}"), &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_jobs_for_the_last_credits_as_many_are_made_as_are_paid_for() -> Result<()> {
    // What a job costs, how many of them seven credits pay for, and what is left.
    for (credits, paid, left) in [(1, 7, 0), (2, 3, 1)] {
        let database = TestDatabase::create().await?;
        let user = database.user_with_credits(7).await?;
        let outcomes = race(&database, CALLERS, |caller, db| async move {
            ask(&db, user, &format!("key-{caller}"), credits).await
        })
        .await?;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), paid, "{outcomes:#?}");
        let refused = outcomes.iter().filter(|outcome| is_refusal(outcome, Code::InsufficientCredits));
        assert_eq!(refused.count(), CALLERS - paid, "{outcomes:#?}");
        assert_eq!(database.balance(user).await?, left);
        assert_eq!(count(&database, "jobs").await?, i64::try_from(paid)?);
        database.assert_consistent().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_raced_fifty_times_makes_one_job_and_holds_its_credits_once() -> Result<()> {
    let database = TestDatabase::create().await?;
    let user = database.user_with_credits(7).await?;
    let outcomes =
        race(&database, CALLERS, |_, db| async move { ask(&db, user, "one-key", 2).await }).await?;
    let answers = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(answers.iter().filter(|job| !job.replayed).count(), 1);
    let ids: Vec<_> = answers.iter().map(|job| job.answer.get("job_id")).collect();
    assert!(ids.iter().all(|id| id.is_some() && Some(id) == ids.first()), "{ids:?}");
    assert_eq!((database.balance(user).await?, count(&database, "jobs").await?), (5, 1));
    database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_do_each_of_forty_jobs_once() -> Result<()> {
    const JOBS: i64 = 40;
    let database = TestDatabase::create().await?;
    let user = database.user_with_credits(JOBS).await?;
    let db = database.db()?;
    for job in 0..JOBS {
        ask(&db, user, &format!("key-{job}"), 1).await?;
    }
    let stripe = Arc::new(stripe_that_is_away()?);
    let outcomes = race(&database, 8, |_, db| {
        let stripe = Arc::clone(&stripe);
        async move {
            let worker = Worker { db: &db, stripe: &stripe, email: None, name: "racer", lease: LEASE };
            let mut done = 0;
            while let Some(job) = db::claim_job(worker.db, worker.name, worker.lease).await? {
                worker.perform(&job, Instant::now() + LEASE).await?;
                done += 1;
            }
            Ok(done)
        }
    })
    .await?;
    let done = outcomes.into_iter().collect::<Result<Vec<i64>, _>>()?;
    assert_eq!(done.iter().sum::<i64>(), JOBS, "{done:?}");
    let succeeded = "jobs where status = 'succeeded' and attempts = 1";
    assert_eq!(count(&database, succeeded).await?, JOBS);
    assert_eq!(count(&database, "credit_ledger where entry_type = 'consume'").await?, JOBS);
    assert_eq!(database.balance(user).await?, 0);
    database.assert_consistent().await
}

/// Exports need none.
fn stripe_that_is_away() -> Result<Stripe> {
    let config = StripeConfig {
        api_base: "http://127.0.0.1:9".to_owned(),
        secret_key: "sk_test_kitloop".to_owned().into(),
        attempt_timeout: Duration::from_secs(5),
    };
    Ok(Stripe::new(config, &Network::default())?)
}
