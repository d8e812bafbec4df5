//! The schedule's event, over a real database and a Stripe that fails when told to.

mod faults;
mod leases;
mod paid_jobs;
mod work;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use kitloop::app::jobs::Worker;
use kitloop::db;
use kitloop::error::Error;
use serde_json::Value;
use stripe_stand_in::LoggedRequest;
use test_support::{Shop, invocation, sample_event};
use uuid::Uuid;

use super::handle;

/// A job takes up to fourteen seconds, so this is one look for work, or two.
const ONE_PASS: Duration = Duration::from_millis(14_100);

/// What the function gives back when its schedule invokes it for one pass.
async fn work(shop: &Shop) -> Result<Result<Value, Error>> {
    work_for(shop, ONE_PASS).await
}

/// The same in an invocation that lasts so long.
async fn work_for(shop: &Shop, remaining: Duration) -> Result<Result<Value, Error>> {
    let schedule = sample_event("run_jobs/schedule.json")?;
    Ok(handle(&shop.app, invocation(schedule, remaining)).await)
}

/// A worker of that name.
fn worker<'a>(shop: &'a Shop, name: &'a str) -> Result<Worker<'a>> {
    let (stripe, email) = (shop.app.stripe()?, shop.app.email());
    Ok(Worker { db: &shop.app.db, stripe, email, name, lease: shop.app.config.job_stale_after })
}

/// A hold that lapsed with an open intent, whose cancelling is due: the reservation and the intent.
async fn due_cancellation(shop: &Shop) -> Result<(Uuid, String)> {
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    shop.database.lapse(reservation_id).await?;
    db::expire_holds(&shop.app.db, 10).await?;
    Ok((reservation_id, intent_id))
}

/// A payment that came when its stock was gone, whose refund is due: the reservation and the intent.
async fn due_refund(shop: &Shop) -> Result<(Uuid, String)> {
    let (reservation_id, intent_id) = shop.hold_paid_at_stripe().await?;
    shop.database.lapse(reservation_id).await?;
    shop.hold_by(Uuid::new_v4()).await?;
    let outcome = shop.confirm_by(shop.customer_id, reservation_id).await;
    assert!(matches!(outcome, Err(Error::Refused(refusal)) if refusal.code.as_str() == "cancelled_conflict"));
    Ok((reservation_id, intent_id))
}

/// When the only open job is due, in seconds from now.
async fn due_in(shop: &Shop) -> Result<i64> {
    let run_after: Timestamp =
        shop.database.value("select run_after from public.jobs where status = 'queued'", &[]).await?;
    Ok(run_after.duration_since(Timestamp::now()).as_secs())
}

/// What is stored of the only job: (kind, status, attempts, generation).
async fn stored_job(shop: &Shop) -> Result<Value> {
    shop.database
        .value("select jsonb_build_array(kind, status, attempts, generation) from public.jobs", &[])
        .await
}

/// The requests that reached Stripe under the idempotency key of a job.
async fn job_requests(shop: &Shop) -> Result<Vec<LoggedRequest>> {
    let mut requests = shop.stripe.admin().requests().await?;
    let is_jobs = |key: &str| !key.contains(":create:");
    requests.retain(|request| request.idempotency_key.as_deref().is_some_and(is_jobs));
    Ok(requests)
}

/// Fails if an idempotency key was used with another request, which Stripe refuses.
async fn assert_keys_are_never_reused(shop: &Shop) -> Result<()> {
    let mut bodies = HashMap::new();
    for request in shop.stripe.admin().requests().await? {
        let Some(key) = request.idempotency_key else { continue };
        let body = (request.method, request.path, request.params.to_string());
        assert_eq!(bodies.entry(key.clone()).or_insert(body.clone()), &body, "{key}");
    }
    Ok(())
}

/// A job of this kind in this status, as [`Shop::jobs`] tells it.
fn job(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}
