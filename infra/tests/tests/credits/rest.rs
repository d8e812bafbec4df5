//! The end of a sequence: what is open at the bank ends, nothing more is delivered, and what runs by schedule in life runs
//! until nothing is left to do.

use anyhow::{Context, Result, bail};
use kitloop_tests::Sandboxes;
use serde_json::Value;
use stripe_stand_in::{RefundStatus, Switches};

use super::acts::{do_a_job, reconcile};
use super::outside::outcome;
use super::shop::{Shop, text, window};

/// How often jobs may be given back before the worker has done them all.
const MOST_ROUNDS: u32 = 20;

pub(super) async fn come_to_rest(shop: &mut Shop<'_>) -> Result<()> {
    shop.note("the end".to_owned());
    shop.sandboxes = Sandboxes::default();
    let admin = shop.stand_in.admin();
    admin.clear_faults().await?;
    admin.set_switches(Switches::default()).await?;
    the_bank_ends(shop).await.context("the bank")?;
    shop.end_pauses().await?;
    let reconciled = reconcile(shop.db.clone(), shop.stripe.clone(), Some(window()?)).await;
    reconciled.context("the reconciliation at the end")?;
    work_off(shop).await
}

/// What is open there comes to an end, which nobody is told of.
async fn the_bank_ends(shop: &Shop<'_>) -> Result<()> {
    let (admin, says_yes) = (shop.stand_in.admin(), shop.rules.bank_says_yes);
    for intent in shop.intents_in("processing") {
        admin.settle_payment(&intent, outcome(says_yes)).await?;
    }
    for refund in shop.stripe_list("refunds").await? {
        if matches!(text(&refund, "/status"), "pending" | "requires_action") {
            admin.move_refund(text(&refund, "/id"), RefundStatus::Succeeded).await?;
        }
    }
    for dispute in shop.stripe_list("disputes").await? {
        let status = text(&dispute, "/status");
        if !matches!(status, "won" | "lost" | "warning_closed") {
            let is_won = says_yes || status.starts_with("warning");
            admin.close_dispute(text(&dispute, "/id"), outcome(is_won)).await?;
        }
    }
    Ok(())
}

/// The worker works until no job is left, not even one that is to be done later.
async fn work_off(shop: &Shop<'_>) -> Result<()> {
    for _ in 0..MOST_ROUNDS {
        shop.end_pauses().await?;
        while do_a_job(&shop.db, &shop.stripe).await? {}
        let sql = "select count(*) from public.jobs where status in ('queued', 'running')";
        if shop.market.database.value::<i64>(sql, &[]).await? == 0 {
            return Ok(());
        }
    }
    let sql = "select jsonb_agg(to_jsonb(j)) from public.jobs j where j.status in ('queued', 'running')";
    let jobs: Value = shop.market.database.value(sql, &[]).await?;
    bail!("jobs that never end: {jobs:#}")
}
