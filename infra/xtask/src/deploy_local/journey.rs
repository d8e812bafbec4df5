//! The main job, and who looks at it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::demo::bookings;
use crate::demo::scene::Scene;

pub(super) async fn through_the_http_api(scene: &mut Scene) -> Result<()> {
    bookings::two_lines_are_paid_and_confirmed(scene).await?;
    bookings::what_is_taken_is_refused_to_the_next(scene).await
}

pub(super) async fn at_the_functions_own_urls(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Functions answer at their own URLs, too, and operators see how things are");
    let (jana, tomas) = (scene.jana.clone(), scene.tomas.clone());
    let (_, booking) = scene.bookings.first().cloned().context("nobody has reserved anything yet")?;
    let url = scene.file.functions.get("confirm_reservation").cloned();
    let url = url.context("confirm_reservation has no URL of its own")?;
    let question = json!({ "reservation_id": booking.id });
    scene
        .call_at(&jana, "asks at the function's URL whether it is hers", &url, &question)
        .await?
        .expect(200, "confirmed")?;
    scene
        .call_at(&tomas, "asks for Jana's reservation", &url, &question)
        .await?
        .expect(404, "reservation_not_found")?;

    let operator = scene.operator();
    scene.look(&operator, "asks whether it is alive", "health").await?.expect(200, "ok")?;
    let metrics = scene.look(&operator, "looks at the metrics", "ops/metrics").await?;
    ensure!(metrics.status == 200, "the metrics are not shown: {}", metrics.body);
    let number = |pointer| metrics.body.pointer(pointer).and_then(Value::as_i64);
    let (open, failed) = (number("/holds/open"), number("/webhook_failed_last_hour"));
    ensure!((open, failed) == (Some(1), Some(0)), "one hold is open and no webhook failed: {}", metrics.body);
    scene.story.note("one hold is open, no webhook has failed");
    Ok(())
}
