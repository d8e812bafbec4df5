//! Looking, without anything wrong.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use uuid::Uuid;

use crate::drill::stage::Stage;

pub(super) async fn sit_down(stage: &mut Stage<'_>) -> Result<()> {
    stage.is_ready().await?;
    stage.operator("start").await.map(drop)
}

pub(super) async fn find_a_request(stage: &mut Stage<'_>) -> Result<()> {
    let correlation_id = format!("drill-{}", Uuid::new_v4());
    let url = format!("{}/reserve_gear", stage.scene.file.base_url);
    let request = stage.scene.http.post(url).header("x-correlation-id", &correlation_id).json(&json!({}));
    let response = request.send().await?;
    ensure!(response.status() == 401, "without a token: {}", response.status());
    let told = response.headers().get("x-correlation-id").context("the answer has no correlation id")?;
    ensure!(told == correlation_id.as_str(), "another correlation id: {told:?}");
    stage.know("CORRELATION_ID", &correlation_id)?;
    let printed = stage.operator("find-request").await?;
    for text in ["request.answered", "reserve-gear", "unauthenticated", &correlation_id] {
        stage.must_print(&printed, text)?;
    }
    // The capture that Stripe refused was one.
    let errors = stage.operator("recent-errors").await?;
    stage.must_print(&errors, "confirm-reservation")
}
