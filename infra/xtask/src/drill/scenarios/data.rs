//! Data are lost.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::demo::scene::Wish;
use crate::drill::stage::Stage;

/// So many runs at once each function may have.
const LIMITS: &str = "for name in $(functions); do
    aws lambda get-function-concurrency --function-name \"$name\" --query ReservedConcurrentExecutions --output text
done";

/// A call of what is stopped, by its name alone; what AWS says to it.
const CALL: &str = "aws lambda invoke --function-name \"kitloop-$ENVIRONMENT-health\" /dev/null 2>&1 || true";

pub(super) async fn are_lost(stage: &mut Stage<'_>) -> Result<()> {
    let backup = stage.file("kitloop.dump");
    stage.know("BACKUP", &backup)?;
    let printed = stage.operator("backup").await?;
    stage.must_print(&printed, "every table came out the same, every invariant holds")?;
    let before = stage.ops("counts").await?;

    stage.database("fate", "drops a table", "drop table public.reservation_lines cascade").await?;
    reserve(stage, 500, "internal_error").await?;
    stage.know("SCHEDULED", "run-jobs cleanup-reservation-holds reconcile-payments publish-metrics")?;
    // ministack limits functions, but not their versions: only a call of none is refused.
    stage
        .fate("stops the clocks", "for name in $SCHEDULED; do set_schedule \"$name\" DISABLED; done")
        .await?;
    stage.operator("stop").await?;
    let limits = stage.fate("counts the functions that may run", LIMITS).await?;
    ensure!(limits.lines().all(|limit| limit == "0"), "functions may run: {limits}");
    let refusal = stage.fate("calls a function that is stopped", CALL).await?;
    stage.must_print(&refusal, "TooManyRequestsException")?;
    stage.scene.story.note("the version that is live goes on here: of its limit this shows the number only");
    stage.operator("restore").await?;
    stage
        .fate("starts the clocks", "for name in $SCHEDULED; do set_schedule \"$name\" ENABLED; done")
        .await?;
    stage.operator("restored").await?;
    let after = stage.ops("counts").await?;
    ensure!(totals(&after) == totals(&before), "there were {before}, and now there are {after}");
    reserve(stage, 201, "hold").await?;
    stage.is_ready().await
}

/// How many of each there are, whatever their status: that goes on changing.
fn totals(counts: &Value) -> BTreeMap<&str, i64> {
    let total = |value: &Value| match value {
        Value::Object(by_status) => by_status.values().filter_map(Value::as_i64).sum(),
        value => value.as_i64().unwrap_or_default(),
    };
    counts.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), total(value))).collect()
}

/// Somebody reserves, and is answered so.
async fn reserve(stage: &mut Stage<'_>, status: u16, word: &str) -> Result<()> {
    let (tomas, window) = (stage.scene.tomas.clone(), stage.scene.window()?);
    let gear = stage.scene.gear("Ice axe")?;
    let provider = stage.scene.file.provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&gear, 1)], window: &window };
    stage.scene.ask(&tomas, "reserves an ice axe", &wish).await?.expect(status, word).map(drop)
}
