//! What comes too late, or twice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use stack::wait_for;

use super::scene::{Booking, Intent, Scene, Window, Wish};
use super::story::decision;

pub(super) async fn a_lapsed_hold_is_swept(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("A hold lapses; the sweep ends it and its payment intent");
    let (booking, _, _) = begin_paying(scene, "swept", "Snowshoes", 9).await?;
    scene.let_hold_lapse(&booking).await?;
    let schedule = scene.schedule();
    let sweep = scene.call(&schedule, "sweeps", "cleanup_reservation_holds", &json!({})).await?;
    sweep.expect(200, "1 expired")?;
    scene.must_be(&booking, "expired").await?;
    scene.payment_becomes(&booking, "canceled").await
}

pub(super) async fn late_money_finds_its_stock_free(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Money comes after the hold has lapsed; the stock is still free");
    let (booking, intent, _) = begin_paying(scene, "late, stock free", "Dry suit", 2).await?;
    scene.let_hold_lapse(&booking).await?;
    let jana = scene.jana.clone();
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    scene.webhook(&booking, "payment_intent.succeeded", &["confirmed"]).await?;
    scene.must_be(&booking, "confirmed").await
}

pub(super) async fn late_money_finds_its_stock_gone(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Money comes after the hold has lapsed; somebody else has the stock");
    let (booking, intent, window) = begin_paying(scene, "late, stock gone", "Pack raft", 3).await?;
    scene.let_hold_lapse(&booking).await?;
    let (jana, tomas) = (scene.jana.clone(), scene.tomas.clone());
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

/// Jana reserves gear and starts to pay for it, but does not go on.
async fn begin_paying(
    scene: &mut Scene,
    chapter: &'static str,
    gear: &str,
    quantity: i32,
) -> Result<(Booking, Intent, Window)> {
    let (jana, window) = (scene.jana.clone(), scene.window()?);
    let gear = scene.gear(gear)?;
    let provider = scene.file.provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&gear, quantity)], window: &window };
    let what = format!("reserves {quantity} × {}", gear.name);
    let booking = scene.reserve(chapter, &jana, &what, &wish).await?;
    let intent = scene.start_payment(&jana, &booking).await?;
    Ok((booking, intent, window))
}
