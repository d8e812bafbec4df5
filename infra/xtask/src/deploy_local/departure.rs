//! The stack goes; what must not be lost stays.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use stack::Deployment;

use crate::demo::scene::Scene;

pub(super) async fn the_stack_is_deleted(scene: &mut Scene, deployment: &Deployment) -> Result<()> {
    scene.story.chapter("The stack is deleted; the guard table and the queue stay");
    let started = Instant::now();
    deployment.delete().await?;
    scene.story.line("operator", "deletes the stack", None, "deleted", started.elapsed());

    let started = Instant::now();
    let functions =
        deployment.aws(&["lambda", "list-functions", "--query", "Functions[].FunctionName"]).await?;
    ensure!(functions == json!([]), "these functions are still there: {functions}");
    let health = scene.http.get(format!("{}/health", scene.file.base_url)).send().await?.status();
    ensure!(health == 404, "the HTTP API still answers with {health}");
    scene.story.line(
        "operator",
        "looks for functions and the HTTP API",
        Some(404),
        "gone",
        started.elapsed(),
    );

    let started = Instant::now();
    let table = deployment.outputs.get("GuardTableName")?;
    let table = deployment.aws(&["dynamodb", "describe-table", "--table-name", table]).await?;
    let status = table.pointer("/Table/TableStatus").and_then(Value::as_str).unwrap_or_default();
    ensure!(status == "ACTIVE", "the guard table is {status}");
    scene.story.line("operator", "looks for the guard table", None, status, started.elapsed());
    let started = Instant::now();
    let url = deployment.outputs.get("UndeliveredEventsUrl")?;
    deployment.aws(&["sqs", "get-queue-attributes", "--queue-url", url]).await?;
    scene.story.line("operator", "looks for the dead-letter queue", None, "there", started.elapsed());
    Ok(())
}
