//! Reserving and paying at once.

use anyhow::{Context, Result};
use serde_json::json;

use super::scene::{Scene, Wish};
use super::story::money;

/// Returns the id of the event that confirmed it.
pub(crate) async fn two_lines_are_paid_and_confirmed(scene: &mut Scene) -> Result<String> {
    scene.story.chapter("A reservation of two lines is paid and confirmed");
    let (jana, window) = (scene.jana.clone(), scene.window()?);
    let (skis, boots) = (scene.gear("Touring skis")?, scene.gear("Touring boots")?);
    let provider = scene.file.provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&skis, 6), (&boots, 6)], window: &window };
    let booking = scene.reserve("paid", &jana, "reserves 6 touring skis and 6 pairs of boots", &wish).await?;
    scene.story.note(&format!("two days for {}", money(booking.amount_minor, &booking.currency)));
    let intent = scene.start_payment(&jana, &booking).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    let event = scene.webhook(&booking, "payment_intent.succeeded", &["confirmed"]).await?;
    let question = json!({ "reservation_id": booking.id });
    scene
        .call(&jana, "asks whether it is hers", "confirm_reservation", &question)
        .await?
        .expect(200, "confirmed")?;
    scene.first_window = Some(window);
    Ok(event)
}

/// Six of eight are taken: three do not fit, two do.
pub(crate) async fn what_is_taken_is_refused_to_the_next(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("The next customer is refused what is taken, and told so");
    let tomas = scene.tomas.clone();
    let skis = scene.gear("Touring skis")?;
    let provider = scene.file.provider_id.to_string();
    let window = scene.first_window.clone().context("nobody has reserved anything yet")?;
    let wish = Wish { provider: &provider, lines: &[(&skis, 3)], window: &window };
    let refusal = scene.ask(&tomas, "asks for 3 skis of the 2 that are left", &wish).await?;
    refusal.expect(409, "insufficient_availability")?;
    let wish = Wish { lines: &[(&skis, 2)], ..wish };
    scene.reserve("what was left", &tomas, "asks for 2", &wish).await?;
    Ok(())
}

pub(crate) async fn a_declined_card_keeps_the_hold(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("A declined card keeps its hold; another card works");
    let (tomas, window) = (scene.tomas.clone(), scene.window()?);
    let tent = scene.gear("Three-season tent")?;
    let provider = scene.file.provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&tent, 1)], window: &window };
    let booking = scene.reserve("declined card", &tomas, "reserves a tent", &wish).await?;
    let intent = scene.start_payment(&tomas, &booking).await?;
    scene.pay(&tomas, &intent, "pm_card_chargeDeclined").await?.expect(402, "card_declined")?;
    scene.webhook(&booking, "payment_intent.payment_failed", &["payment_failed"]).await?;
    scene.must_be(&booking, "hold").await?;
    scene.pay(&tomas, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    scene.webhook(&booking, "payment_intent.succeeded", &["confirmed"]).await?;
    Ok(())
}
