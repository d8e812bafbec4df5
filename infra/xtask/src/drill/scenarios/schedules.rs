//! What a clock should call, and does not.

use anyhow::{Result, ensure};

use crate::drill::stage::Stage;

pub(super) async fn the_sweep_does_not_run(stage: &mut Stage<'_>) -> Result<()> {
    let script = "scheduled cleanup_reservation_holds
        set_schedule cleanup-reservation-holds DISABLED
        aws sqs send-message --queue-url \"$(output UndeliveredEventsUrl)\" --message-body '{\"event\": \"sweep\"}'";
    stage.fate("lets the sweep run, and then no more", script).await?;
    let silence = "update public.cron_runs
        set started_at = started_at - interval '20 minutes', finished_at = finished_at - interval '20 minutes'
        where name = 'cleanup_reservation_holds'";
    let runs = stage.database("time", "twenty minutes pass", silence).await?;
    ensure!(runs > 0, "the sweep has never run");
    let jana = stage.scene.jana.clone();
    let (booking, _, _) = stage.scene.begin_paying(&jana, "drill: not swept", "Ice axe", 1).await?;
    stage.scene.let_hold_lapse(&booking).await?;
    stage.part_is("sweep", "down").await?;
    let printed = stage.operator("schedules").await?;
    for text in [r#""ok": false"#, r#"{\"event\": \"sweep\"}"#] {
        stage.must_print(&printed, text)?;
    }

    stage.operator("run-schedules").await?;
    stage.scene.must_be(&booking, "expired").await?;
    stage.operator("schedules-run").await?;
    stage.part_is("sweep", "ok").await?;
    let left = stage.fate(
        "gives up no other event",
        "aws sqs receive-message --queue-url \"$(output UndeliveredEventsUrl)\"",
    );
    ensure!(left.await?.trim().is_empty(), "an event is still in the queue");
    Ok(())
}
