//! What nobody calls: the schedules of the stack.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stack::{Deployment, wait_for};

use crate::demo::scene::{Booking, Scene};

/// A schedule of one minute fires within it, and ministack looks at its schedules every ten seconds.
const PATIENCE: Duration = Duration::from_secs(100);
/// How much of a log line is shown.
const SHOWN: usize = 150;
/// The group that the sweep logs to.
const SWEEP_LOGS: &str = "/aws/lambda/kitloop-local-cleanup-reservation-holds";

pub(super) async fn a_schedule_fires(scene: &mut Scene, deployment: &Deployment) -> Result<()> {
    scene.story.chapter("A hold lapses; the stack's own schedule has it swept");
    let jana = scene.jana.clone();
    let (booking, _, _) = scene.begin_paying(&jana, "swept", "Snowshoes", 9).await?;
    scene.let_hold_lapse(&booking).await?;
    hasten(scene, deployment).await?;
    let started = Instant::now();
    wait_until_expired(scene, &booking).await?;
    scene.story.line("schedule", "fires, and the sweep ends the hold", None, "expired", started.elapsed());

    let started = Instant::now();
    let lines = logged(deployment).await?;
    let count = format!("{} lines", lines.len());
    scene.story.line("operator", "reads its log in CloudWatch", None, &count, started.elapsed());
    for line in &lines {
        scene.story.note(&line.chars().take(SHOWN).collect::<String>());
    }
    let operator = scene.operator();
    // The worker, too, has a schedule of its own, and with it a heartbeat.
    scene.look(&operator, "asks whether every part is ready", "ready").await?.expect(200, "ready")?;
    nothing_is_undelivered(deployment).await
}

/// Lets the schedule of the sweep fire every minute instead of every five: the same object, changed as an operator may.
async fn hasten(scene: &mut Scene, deployment: &Deployment) -> Result<()> {
    let started = Instant::now();
    let name = deployment.resource("CleanupReservationHoldsFunctionSchedule").await?;
    let schedule = deployment.aws(&["scheduler", "get-schedule", "--name", &name]).await?;
    let every = schedule.get("ScheduleExpression").and_then(Value::as_str).unwrap_or_default();
    ensure!(every == "rate(5 minutes)", "the sweep's schedule is {every}");
    let part = |field| schedule.get(field).cloned().with_context(|| format!("the schedule has no {field}"));
    let hastened = json!({
        "Name": name,
        "ScheduleExpression": "rate(1 minute)",
        "FlexibleTimeWindow": part("FlexibleTimeWindow")?,
        "Target": part("Target")?,
        "Description": part("Description")?,
    });
    let hastened = hastened.to_string();
    deployment.aws(&["scheduler", "update-schedule", "--cli-input-json", &hastened]).await?;
    let what = "shortens rate(5 minutes), only so that nobody waits";
    scene.story.line("operator", what, None, "rate(1 minute)", started.elapsed());
    Ok(())
}

async fn wait_until_expired(scene: &mut Scene, booking: &Booking) -> Result<()> {
    let database = &mut scene.database;
    let query = "select r.id::text from public.reservations r where r.id = $1::uuid and r.status = 'expired'";
    let expired = async || -> Result<String> {
        Ok(sqlx::query_scalar(query).bind(&booking.id).fetch_one(&mut *database).await?)
    };
    wait_for("the sweep by its schedule", PATIENCE, expired, || Ok(())).await.map(drop)
}

/// What the last run of the sweep logged, when it has ended.
async fn logged(deployment: &Deployment) -> Result<Vec<String>> {
    let ended = async || {
        let filter =
            ["logs", "filter-log-events", "--log-group-name", SWEEP_LOGS, "--query", "events[].message"];
        let events = deployment.aws(&filter).await?;
        let messages = events.as_array().into_iter().flatten().filter_map(Value::as_str);
        let lines: Vec<String> = messages.map(str::to_owned).collect();
        ensure!(lines.last().is_some_and(|line| line.starts_with("REPORT ")), "no run has been reported yet");
        let start = lines.iter().rposition(|line| line.starts_with("START ")).context("no run began")?;
        Ok(lines.into_iter().skip(start).collect())
    };
    wait_for("the log of the sweep", PATIENCE, ended, || Ok(())).await
}

/// No event of a schedule may have been given up.
async fn nothing_is_undelivered(deployment: &Deployment) -> Result<()> {
    let url = deployment.outputs.get("UndeliveredEventsUrl")?;
    let ask = ["sqs", "get-queue-attributes", "--attribute-names", "All", "--queue-url", url];
    let attributes = deployment.aws(&ask).await?;
    let waiting = attributes.pointer("/Attributes/ApproximateNumberOfMessages").and_then(Value::as_str);
    ensure!(waiting == Some("0"), "events of schedules wait in the dead-letter queue: {attributes}");
    Ok(())
}
