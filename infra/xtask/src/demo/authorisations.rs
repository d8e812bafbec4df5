//! A provider that authorises first and decides afterwards.

use anyhow::Result;
use serde_json::json;

use super::scene::{Booking, Scene, Wish};

pub(super) async fn the_shop_captures_an_authorisation(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("The guides' office confirms: the authorised money is captured");
    let booking = authorise(scene, "captured by the shop").await?;
    let eva = scene.eva.clone();
    let request = json!({ "reservation_id": booking.id, "action": "confirm" });
    let answer =
        scene.call(&eva, "confirms", "confirm_reservation", &request).await?.expect(200, "confirmed")?;
    answer.text("paid_at")?;
    // Eva's answer and Stripe's event race to confirm; it happens once.
    scene.webhook(&booking, "payment_intent.succeeded", &["confirmed", "already_confirmed"]).await?;
    Ok(())
}

pub(super) async fn the_shop_declines_an_authorisation(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("The guides' office declines: the authorisation is released");
    let booking = authorise(scene, "declined by the shop").await?;
    let eva = scene.eva.clone();
    let request = json!({ "reservation_id": booking.id, "action": "decline" });
    scene.call(&eva, "declines", "confirm_reservation", &request).await?.expect(200, "cancelled")?;
    scene.payment_becomes(&booking, "canceled").await
}

async fn authorise(scene: &mut Scene, chapter: &'static str) -> Result<Booking> {
    let (jana, window) = (scene.jana.clone(), scene.window()?);
    let splitboard = scene.gear("Splitboard")?;
    let provider = scene.file.manual_provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&splitboard, 1)], window: &window };
    let booking = scene.reserve(chapter, &jana, "reserves a splitboard", &wish).await?;
    let intent = scene.start_payment(&jana, &booking).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "requires_capture")?;
    scene.webhook(&booking, "payment_intent.amount_capturable_updated", &["authorized"]).await?;
    Ok(booking)
}
