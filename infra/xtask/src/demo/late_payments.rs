//! What comes too late, or twice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use stack::wait_for;

use super::scene::{Scene, Wish};
use super::story::decision;

pub(super) async fn a_lapsed_hold_is_swept(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("A hold lapses; the sweep ends it and its payment intent");
    let jana = scene.jana.clone();
    let (booking, _, _) = scene.begin_paying(&jana, "swept", "Snowshoes", 9).await?;
    scene.let_hold_lapse(&booking).await?;
    let schedule = scene.schedule();
    let sweep = scene.call(&schedule, "sweeps", "cleanup_reservation_holds", &json!({})).await?;
    sweep.expect(200, "1 expired")?;
    scene.must_be(&booking, "expired").await?;
    scene.payment_becomes(&booking, "canceled").await
}

pub(super) async fn late_money_finds_its_stock_free(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Money comes after the hold has lapsed; the stock is still free");
    let jana = scene.jana.clone();
    let (booking, intent, _) = scene.begin_paying(&jana, "late, stock free", "Dry suit", 2).await?;
    scene.let_hold_lapse(&booking).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    scene.webhook(&booking, "payment_intent.succeeded", &["confirmed"]).await?;
    scene.must_be(&booking, "confirmed").await
}

pub(super) async fn late_money_finds_its_stock_gone(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Money comes after the hold has lapsed; somebody else has the stock");
    let (jana, tomas) = (scene.jana.clone(), scene.tomas.clone());
    let (booking, intent, window) = scene.begin_paying(&jana, "late, stock gone", "Pack raft", 3).await?;
    scene.let_hold_lapse(&booking).await?;
    let rafts = scene.gear("Pack raft")?;
    let provider = scene.file.provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&rafts, 3)], window: &window };
    scene.reserve("took the stock", &tomas, "reserves the same 3 pack rafts", &wish).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    scene.webhook(&booking, "payment_intent.succeeded", &["cancelled_conflict"]).await?;
    scene.must_be(&booking, "cancelled").await?;
    scene.money_goes_back(&booking).await
}

pub(super) async fn an_event_that_comes_twice_changes_nothing(scene: &mut Scene, event: &str) -> Result<()> {
    scene.story.chapter("Stripe delivers the first event once more");
    let started = Instant::now();
    scene.stripe.resend_event(event).await?;
    let stripe = &scene.stripe;
    let replayed = async || {
        let deliveries = stripe.deliveries().await?;
        let mut replays = deliveries.into_iter().filter(|delivery| delivery.event_id == event).skip(1);
        let replay =
            replays.find(|delivery| decision(&delivery.answer) == "replay" && delivery.status == Some(200));
        replay.map(drop).context("no replay yet")
    };
    wait_for("the replay", Duration::from_secs(10), replayed, || Ok(())).await?;
    scene.story.line("Stripe", "delivers payment_intent.succeeded", Some(200), "replay", started.elapsed());
    Ok(())
}
