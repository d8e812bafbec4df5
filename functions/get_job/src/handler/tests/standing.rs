//! How a job stands: waiting, under way, tried in vain, given up, asked for again.

use std::time::Duration;

use anyhow::Result;
use kitloop::db;
use serde_json::json;
use test_support::{HttpCall, Shop};

use super::{answer, standing};

/// A kind that no version knows: each attempt fails.
const UNKNOWN: &str = "reservation_import";

#[tokio::test]
async fn a_job_is_told_of_from_waiting_to_done() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let input = json!({"format": "csv"});
    let job_id = shop.database.paid_job(user_id, "reservation_export", None, &input).await?;
    let mut document = json!({
        "job_id": job_id, "kind": "reservation_export", "status": "queued", "credits_held": 1, "attempts": 0,
        "idempotent_replay": false,
    });
    let query = format!("job_id={job_id}");
    let sample = HttpCall::sample("get_job/own_job.json", &[])?.set("/rawQueryString", query.into());
    let queued = answer(&shop, &sample.by(user_id)?).await?;
    assert_eq!((queued.status, &queued.body), (200, &document));

    db::claim_job(&shop.app.db, "a worker that dies", Duration::from_secs(300)).await?;
    document["status"] = json!("running");
    document["attempts"] = json!(1);
    assert_eq!(standing(&shop, job_id, user_id).await?.body, document);

    shop.make_jobs_due().await?;
    shop.work_off().await?;
    let done = standing(&shop, job_id, user_id).await?;
    document["status"] = json!("succeeded");
    document["attempts"] = json!(2);
    document["credits_held"] = json!(0);
    document["result"] = done.at("/result").clone();
    assert_eq!(done.body, document);
    Ok(())
}

#[tokio::test]
async fn what_went_wrong_is_told_while_it_is_tried_and_when_it_is_given_up() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let job_id = shop.database.paid_job(user_id, UNKNOWN, None, &json!({})).await?;
    shop.work_off().await?;
    let told = ["/status", "/attempts", "/credits_held", "/last_error"];
    let tried = standing(&shop, job_id, user_id).await?;
    assert_eq!(
        told.map(|member| tried.at(member).clone()),
        [json!("queued"), json!(1), json!(1), json!("unknown_kind")]
    );

    shop.database.execute("update public.jobs set attempts = max_attempts - 1", &[]).await?;
    shop.make_jobs_due().await?;
    shop.work_off().await?;
    let failed = standing(&shop, job_id, user_id).await?;
    assert_eq!(
        told.map(|member| failed.at(member).clone()),
        [json!("failed"), json!(5), json!(0), json!("unknown_kind")]
    );
    assert!(failed.body.get("result").is_none(), "{}", failed.body);
    Ok(())
}

#[tokio::test]
async fn an_error_is_forgotten_once_the_job_is_done() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let job_id = shop.database.paid_job(user_id, UNKNOWN, None, &json!({"format": "csv"})).await?;
    shop.work_off().await?;
    // As if a version that knows the kind were deployed meanwhile.
    shop.database.execute("update public.jobs set kind = 'reservation_export'", &[]).await?;
    shop.make_jobs_due().await?;
    shop.work_off().await?;
    let done = standing(&shop, job_id, user_id).await?;
    assert_eq!((done.at("/status"), done.body.get("last_error")), (&json!("succeeded"), None));
    Ok(())
}

#[tokio::test]
async fn a_request_that_was_made_again_is_seen_in_its_job() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(2).await?;
    let (kind, input) = ("reservation_export", json!({"format": "csv"}));
    let other = shop.database.paid_job(user_id, kind, None, &input).await?;
    let made = shop.database.paid_job_under("a", user_id, kind, None, &input).await?;
    let job_id = serde_json::from_value(made.answer["job_id"].clone())?;
    let replayed = async |job_id| standing(&shop, job_id, user_id).await;
    assert_eq!(replayed(job_id).await?.at("/idempotent_replay"), &json!(false));
    assert!(shop.database.paid_job_under("a", user_id, kind, None, &input).await?.replayed);
    assert_eq!(replayed(job_id).await?.at("/idempotent_replay"), &json!(true));
    assert_eq!(replayed(other).await?.at("/idempotent_replay"), &json!(false));
    Ok(())
}
