//! What must be true once all workers have died and all jobs have ended: as Stripe, Resend and the ledger have it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::{Shop, sample};

use crate::chores::{CANCELLATIONS, Chores, JOBS, LEFT, POISON, POISON_KIND, REFUND_MINOR, REFUNDS};

/// Else it was no test.
pub(crate) async fn ensure_workers_died_at_work(shop: &Shop) -> Result<()> {
    for (case, is_killed) in [("killed", true), ("frozen", false)] {
        let sql = "select count(*) from watch.lapses where is_killed = $1";
        let jobs: i64 = shop.database.value(sql, &[&is_killed]).await?;
        ensure!(jobs > 0, "no worker was {case} in the middle of a job");
    }
    Ok(())
}

/// Every job has succeeded, and the poison has failed and waits for a person; each once, and nobody did a job that was
/// somebody else's. What a worker did at Stripe counts even when its job was somebody else's by then, who finds it done:
/// such a job is obsolete.
pub(crate) async fn ensure_every_job_ended_once(shop: &Shop) -> Result<()> {
    let ends = "select count(*) from public.jobs j
        where (
                j.status = case when j.kind = $1 then 'failed' else 'succeeded' end
                or (j.status = 'obsolete' and j.payment_id is not null)
            )
            and (select count(*) from public.job_dead_letters l where l.job_id = j.id) = (j.kind = $1)::integer
            and 1 = (
                select count(*) from watch.moves m
                where m.job_id = j.id and m.after in ('succeeded', 'failed', 'obsolete')
            )";
    let ended: i64 = shop.database.value(ends, &[&POISON_KIND]).await?;
    ensure!(ended == JOBS, "{ended} of {JOBS} jobs ended once and well");
    let claims =
        "select coalesce(jsonb_agg(jsonb_build_array(j.kind, j.attempts, c.lapsed, c.given_back)), '[]')
        from public.jobs j,
        lateral (select
            (select count(*) from watch.lapses l where l.job_id = j.id) as lapsed,
            (select count(*) from watch.moves m
                where m.job_id = j.id and m.before = 'running' and m.after = 'queued') as given_back
        ) c
        where j.fencing_token > 1 + c.lapsed + c.given_back";
    let stolen: Value = shop.database.value(claims, &[]).await?;
    ensure!(stolen == serde_json::json!([]), "claimed from who had them: {stolen}");
    Ok(())
}

/// Each refund is one at Stripe, and each intent is called off.
pub(crate) async fn ensure_money_moved_once(shop: &Shop) -> Result<()> {
    let conflicting = shop.stripe.conflicting_keys();
    ensure!(conflicting.is_empty(), "keys used for two requests: {conflicting:?}");
    let sql = "select jsonb_object_agg(r.id, r.stripe_refund_id) from public.refunds r where r.status = 'succeeded'";
    let ours: Value = shop.database.value(sql, &[]).await?;
    let mut made = 0;
    let money = shop.stripe.money();
    for intent in money.iter().filter(|intent| intent.captured_minor > 0) {
        ensure!(intent.captured_minor == sample::AMOUNT_MINOR, "{intent:?}");
        let page = shop.stripe_get(&format!("refunds?limit=100&payment_intent={}", intent.id)).await?;
        for refund in page.get("data").and_then(Value::as_array).context("not a list")? {
            let ours_of_it =
                refund.pointer("/metadata/refund_id").and_then(Value::as_str).context("not ours")?;
            ensure!(ours.get(ours_of_it) == refund.get("id"), "made twice, or unknown: {refund}");
            made += 1;
        }
    }
    ensure!(made == REFUNDS, "{made} refunds at Stripe");
    let refunded: i64 = money.iter().map(|intent| intent.refunded_minor).sum();
    ensure!(refunded == REFUNDS * REFUND_MINOR, "{refunded} went back");
    let canceled = money.iter().filter(|intent| intent.status == "canceled").count();
    ensure!(i64::try_from(canceled)? == CANCELLATIONS, "{canceled} intents are called off");
    Ok(())
}

/// Each e-mail is one at Resend, under the key of its job.
pub(crate) async fn ensure_people_were_told_once(shop: &Shop) -> Result<()> {
    let sql = "select array_agg(j.id || ':send_email:1' order by j.id) from public.jobs j
        join public.notification_logs n on n.id = j.notification_id and n.status = 'sent'";
    let mut expected: Vec<String> = shop.database.value(sql, &[]).await?;
    let emails = shop.resend.emails();
    let mut sent: Vec<String> = emails.into_iter().filter_map(|email| email.idempotency_key).collect();
    expected.sort_unstable();
    sent.sort_unstable();
    ensure!(sent == expected, "{} e-mails for {} jobs", sent.len(), expected.len());
    ensure!(sent.len() == shop.resend.emails().len(), "e-mails without a key");
    Ok(())
}

/// One credit for each export, and none for the poison.
pub(crate) async fn ensure_credits_were_spent_once(chores: &Chores) -> Result<()> {
    let entries = "select jsonb_object_agg(t.entry_type, t.entries) from (
            select entry_type, count(*) as entries from public.credit_ledger where job_id is not null
            group by entry_type
        ) t";
    let entered: Value = chores.shop.database.value(entries, &[]).await?;
    let paid = "select count(*) from public.jobs where customer_id is not null";
    let paid: i64 = chores.shop.database.value(paid, &[]).await?;
    let expected = serde_json::json!({"hold": paid, "consume": paid - POISON, "release": POISON});
    ensure!(entered == expected, "{entered} is not {expected}");
    let mut left = 0;
    for payer in &chores.payers {
        left += chores.shop.database.balance(*payer).await?;
    }
    let expected = i64::try_from(chores.payers.len())? * LEFT + POISON;
    ensure!(left == expected, "{left} credits are left of {expected}");
    Ok(())
}
