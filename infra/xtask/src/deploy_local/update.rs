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
    let before = live(deployment).await?;
    let started = Instant::now();
    deployment.update(&[("CorsAllowOrigins", ORIGIN), ("LogLevel", "DEBUG")]).await?;
    let status = status(deployment).await?;
    scene.story.line("sam", "deploys two parameters that differ", None, &status, started.elapsed());
    ensure!(may_call(scene).await?, "{ORIGIN} may not call after it was allowed");

    let started = Instant::now();
    let after = live(deployment).await?;
    ensure!(after.version > before.version, "version {} is still live", after.version);
    ensure!(after.log_level == "DEBUG", "the live version logs from {} on", after.log_level);
    let version = format!("version {}", after.version);
    scene.story.line("operator", "asks which version is live", None, &version, started.elapsed());

    let jana = scene.jana.clone();
    let (_, booking) = scene.bookings.first().cloned().context("nobody has reserved anything yet")?;
    let question = json!({ "reservation_id": booking.id });
    let answer = scene.call(&jana, "asks again whether it is hers", "confirm_reservation", &question).await?;
    answer.expect(200, "confirmed").map(drop)
}

/// The version of a function that callers reach.
struct Live {
    version: u64,
    log_level: String,
}

async fn live(deployment: &Deployment) -> Result<Live> {
    let ask = ["lambda", "get-function-configuration", "--function-name", "kitloop-local-reserve-gear:live"];
    let live = deployment.aws(&ask).await?;
    let text =
        |pointer| live.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer}"));
    Ok(Live {
        version: text("/Version")?.parse()?,
        log_level: text("/Environment/Variables/LOG_LEVEL")?.to_owned(),
    })
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
