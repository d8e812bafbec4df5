//! A second deployment.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use stack::Deployment;

use super::setup::status;
use crate::demo::scene::Scene;

/// A frontend that the first deployment does not know.
const ORIGIN: &str = "https://shop.example";

pub(super) async fn a_parameter_changes(scene: &mut Scene, deployment: &mut Deployment) -> Result<()> {
    scene.story.chapter("The stack is updated: another frontend, another level of logs");
    ensure!(!may_call(scene).await?, "{ORIGIN} may call before it was allowed");
    let started = Instant::now();
    deployment.update(&[("CorsAllowOrigins", ORIGIN), ("LogLevel", "DEBUG")]).await?;
    let status = status(deployment).await?;
    scene.story.line("sam", "deploys two parameters that differ", None, &status, started.elapsed());
    ensure!(may_call(scene).await?, "{ORIGIN} may not call after it was allowed");

    let started = Instant::now();
    let name = ["lambda", "get-function-configuration", "--function-name", "kitloop-local-reserve-gear:live"];
    let live = deployment.aws(&name).await?;
    let (version, level) = (live.get("Version"), live.pointer("/Environment/Variables/LOG_LEVEL"));
    ensure!(level == Some(&json!("DEBUG")), "the live version logs from {level:?} on");
    let version = version.and_then(Value::as_str).context("the live version has no number")?;
    ensure!(version == "2", "version {version} is live");
    scene.story.line("operator", "asks which version is live", None, "version 2", started.elapsed());

    let jana = scene.jana.clone();
    let (_, booking) = scene.bookings.first().cloned().context("nobody has reserved anything yet")?;
    let question = json!({ "reservation_id": booking.id });
    let answer = scene.call(&jana, "asks again whether it is hers", "confirm_reservation", &question).await?;
    answer.expect(200, "confirmed").map(drop)
}

/// Whether a page of the origin may call, as its browser asks before.
async fn may_call(scene: &mut Scene) -> Result<bool> {
    let started = Instant::now();
    // At the function's own URL, because ministack answers for an HTTP API by itself here.
    let url = scene.file.functions.get("reserve_gear").context("reserve_gear has no URL of its own")?;
    let request = scene.http.request(Method::OPTIONS, url).header("origin", ORIGIN);
    let answer = request.header("access-control-request-method", "POST").send().await?;
    let allowed = answer.headers().get("access-control-allow-origin").is_some_and(|origin| origin == ORIGIN);
    let word = if allowed { "allowed" } else { "origin_not_allowed" };
    let what = format!("asks for {ORIGIN} whether it may call");
    scene.story.line("browser", &what, Some(answer.status().as_u16()), word, started.elapsed());
    Ok(allowed)
}
