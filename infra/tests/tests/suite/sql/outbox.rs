//! What becomes of an e-mail: sent, off, tried again, given up, or nowhere to go.

use anyhow::{Result, bail};
use kitloop::db::{self, EmailDelivery, JobOutcome, JobRetry};
use kitloop::domain::{ClaimedJob, EmailJob, PaymentStatus};
use serde_json::json;

use super::jobs::end_pauses;
use super::notifications::{log, open};
use super::shop::{LEASE, Shop};

/// The next due job, which is an e-mail.
async fn claim_email(shop: &Shop) -> Result<EmailJob> {
    match db::claim_job(&shop.db, "worker", LEASE).await? {
        Some(ClaimedJob::Email(job)) => Ok(*job),
        other => bail!("not an e-mail: {other:?}"),
    }
}

#[tokio::test]
async fn who_has_no_address_is_not_written_to() -> Result<()> {
    let shop = Shop::open().await?;
    shop.confirmed("pi_1").await?;
    assert_eq!(log(&shop).await?, ["confirmation no_address"]);
    assert_eq!(shop.jobs().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_gone_meanwhile_is_not_written_to_either() -> Result<()> {
    let (shop, hold) = open().await?;
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    shop.database.execute("update public.customers set email = null", &[]).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(log(&shop).await?, ["confirmation no_address"]);
    assert_eq!(shop.jobs().await?, ["send_email obsolete"]);
    Ok(())
}

/// A confirmation that waits to be sent.
async fn with_mail_due() -> Result<Shop> {
    let (shop, hold) = open().await?;
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    Ok(shop)
}

#[tokio::test]
async fn what_was_sent_is_logged_with_its_id_and_what_is_off_as_off() -> Result<()> {
    for (delivery, logged) in [
        (EmailDelivery::Sent { message_id: Some("msg_1".to_owned()) }, json!(["sent", "msg_1", true])),
        (EmailDelivery::Sent { message_id: None }, json!(["sent", null, true])),
        (EmailDelivery::Off, json!(["off", null, false])),
    ] {
        let shop = with_mail_due().await?;
        let job = claim_email(&shop).await?;
        assert_eq!(db::finish_email(&shop.db, &job, &delivery).await?, JobOutcome::Finished);
        assert_eq!(db::finish_email(&shop.db, &job, &EmailDelivery::Off).await?, JobOutcome::Fenced);
        let sql =
            "select jsonb_build_array(status, message_id, sent_at is not null) from public.notification_logs";
        assert_eq!(shop.database.value::<serde_json::Value>(sql, &[]).await?, logged);
        assert_eq!(shop.jobs().await?, ["send_email succeeded"]);
    }
    Ok(())
}

#[tokio::test]
async fn an_email_is_tried_again_for_as_long_as_resend_remembers_it() -> Result<()> {
    let shop = with_mail_due().await?;
    shop.database.execute("update public.jobs set max_attempts = 1", &[]).await?;
    for (hours, outcome) in [(0, JobOutcome::Retried), (22, JobOutcome::Retried), (1, JobOutcome::Failed)] {
        let sql = "update public.jobs set created_at = created_at - make_interval(hours => $1)";
        shop.database.execute(sql, &[&hours]).await?;
        end_pauses(&shop).await?;
        if outcome == JobOutcome::Failed {
            break;
        }
        let job = claim_email(&shop).await?;
        assert_eq!(db::retry_job(&shop.db, &job.claim, "unavailable", JobRetry::Later).await?, outcome);
    }
    // It may have gone out in the last attempt.
    assert!(db::claim_job(&shop.db, "worker", LEASE).await?.is_none());
    assert_eq!(log(&shop).await?, ["confirmation failed"]);
    let sql = "select status || ': ' || last_error from public.jobs";
    assert_eq!(shop.database.value::<String>(sql, &[]).await?, "failed: unavailable");
    Ok(())
}

#[tokio::test]
async fn an_email_that_fails_after_a_day_is_given_up() -> Result<()> {
    let shop = with_mail_due().await?;
    let sql = "update public.jobs set created_at = created_at - interval '23 hours'";
    shop.database.execute(sql, &[]).await?;
    let job = claim_email(&shop).await?;
    let outcome = db::retry_job(&shop.db, &job.claim, "unavailable", JobRetry::Later).await?;
    assert_eq!(outcome, JobOutcome::Failed, "it was never tried before, so it was tried once");
    let sql = "select status || ': ' || last_error from public.notification_logs";
    assert_eq!(shop.database.value::<String>(sql, &[]).await?, "failed: unavailable");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_resend_refuses_for_good_is_given_up_at_once() -> Result<()> {
    let shop = with_mail_due().await?;
    let job = claim_email(&shop).await?;
    let outcome = db::retry_job(&shop.db, &job.claim, "no such address", JobRetry::Never).await?;
    assert_eq!(outcome, JobOutcome::Failed);
    assert_eq!(log(&shop).await?, ["confirmation failed"]);
    Ok(())
}
