//! The end of a sequence: what is open at the bank ends, nothing more is delivered, and what runs by schedule in life runs
//! until nothing is left to do.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use kitloop_tests::{Interruption, Sandboxes};
use serde_json::Value;
use stripe_stand_in::{Outcome, RefundStatus, Switches};

use super::acts::{do_a_job, reconcile};
use super::shop::{Shop, id_of, window};
use super::steps::Act;

/// How often jobs may be given back before the worker has done them all.
const MOST_ROUNDS: u32 = 20;
/// How long a job has, when nothing fails any more.
const TIME: Duration = Duration::from_secs(20);

pub(super) async fn come_to_rest(shop: &mut Shop<'_>) -> Result<()> {
    shop.note("the end".to_owned());
    shop.sandboxes = Sandboxes::default();
    let admin = shop.stand_in.admin();
    admin.clear_faults().await?;
    admin.set_switches(Switches::default()).await?;
    if shop.rules.holds_lapse {
        let sql = "update public.reservations set reserved_until = clock_timestamp() where status = 'hold'";
        shop.market.database.execute(sql, &[]).await?;
    }
    shop.end_pauses().await?;
    shop.act(Act::Sweep, Interruption::Nothing).await?;
    the_bank_ends(shop).await.context("the bank")?;
    for _ in 0..2 {
        let reconciled = reconcile(shop.db.clone(), shop.stripe.clone(), Some(window()?)).await;
        reconciled.context("the reconciliation at the end")?;
        work_off(shop).await?;
    }
    Ok(())
}

/// What is open there comes to an end, which nobody is told of.
async fn the_bank_ends(shop: &Shop<'_>) -> Result<()> {
    let (admin, says_yes) = (shop.stand_in.admin(), shop.rules.bank_says_yes);
    for _ in shop.intents_in("processing") {
        shop.settle(|intents| intents.first().cloned(), says_yes).await?;
    }
    for refund in shop.stripe_list("refunds").await? {
        if matches!(status_of(&refund), "pending" | "requires_action") {
            admin.move_refund(id_of(&refund), RefundStatus::Succeeded).await?;
        }
    }
    for dispute in shop.stripe_list("disputes").await? {
        if !matches!(status_of(&dispute), "won" | "lost" | "warning_closed") {
            let is_inquiry = status_of(&dispute).starts_with("warning");
            let outcome = if says_yes || is_inquiry { Outcome::Succeed } else { Outcome::Fail };
            admin.close_dispute(id_of(&dispute), outcome).await?;
        }
    }
    Ok(())
}

/// The worker works until no job is left, not even one that is to be done later.
async fn work_off(shop: &Shop<'_>) -> Result<()> {
    for _ in 0..MOST_ROUNDS {
        shop.end_pauses().await?;
        while do_a_job(&shop.db, &shop.stripe, TIME).await? {}
        let sql = "select count(*) from public.jobs where status in ('queued', 'running')";
        if shop.market.database.value::<i64>(sql, &[]).await? == 0 {
            return Ok(());
        }
    }
    let sql = "select jsonb_agg(to_jsonb(j)) from public.jobs j where j.status in ('queued', 'running')";
    let jobs: Value = shop.market.database.value(sql, &[]).await?;
    bail!("jobs that never end: {jobs:#}")
}

pub(super) fn status_of(object: &Value) -> &str {
    object.get("status").and_then(Value::as_str).unwrap_or_default()
}
