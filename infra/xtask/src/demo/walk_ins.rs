//! Booking for somebody who stands at the counter.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::scene::{Booking, Scene};

/// Staff books in somebody else's name and takes cash.
pub(super) async fn staff_books_for_a_walk_in(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Somebody at the counter books without an account and pays cash");
    let (eva, tent) = (scene.eva.clone(), scene.gear("Three-season tent")?);
    let start = Timestamp::now().checked_add(SignedDuration::from_hours(24 * 700))?;
    let body = json!({
        "provider_id": scene.file.provider_id,
        "gear_id": tent.id,
        "start_date": start.to_string(),
        "end_date": start.checked_add(SignedDuration::from_hours(24))?.to_string(),
        "customer": {"name": "Ludmila Procházková", "email": "ludmila@example.com", "phone": "+420 601 234 567"},
    });
    let answer =
        scene.call(&eva, "books a tent for Ludmila", "reserve_gear", &body).await?.expect(201, "hold")?;
    let booking = Booking {
        id: answer.text("reservation_id")?,
        provider: scene.file.provider_id.to_string(),
        customer: "Ludmila",
        amount_minor: answer.minor("amount_total_minor")?,
        currency: answer.text("currency")?,
    };
    let confirm = json!({"reservation_id": booking.id, "action": "confirm"});
    scene.call(&eva, "takes the cash", "confirm_reservation", &confirm).await?.expect(200, "confirmed")?;
    scene.bookings.push(("walk-in", booking));
    Ok(())
}
