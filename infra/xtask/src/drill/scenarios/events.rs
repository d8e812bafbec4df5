//! Stripe's events that fail, or never come.

use anyhow::{Result, ensure};
use serde_json::Value;
use stripe_stand_in::EventAction;

use crate::drill::stage::Stage;

const SUCCEEDED: &str = "payment_intent.succeeded";

/// As after a deployment whose functions and schema do not fit.
pub(super) async fn one_fails(stage: &mut Stage<'_>) -> Result<()> {
    let obstacle =
        "alter table public.reservations add constraint obstacle check (status <> 'confirmed') not valid";
    stage.database("fate", "lets the webhook's operation fail", obstacle).await?;
    let jana = stage.scene.jana.clone();
    let (booking, intent, _) = stage.scene.begin_paying(&jana, "drill: failed", "Ice axe", 1).await?;
    // Delivered once, by hand, so that no further delivery comes before the operator.
    stage.scene.stripe.add_event_fault(SUCCEEDED, EventAction::Lose).await?;
    stage.scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    let status = stage.deliver_once(SUCCEEDED, &stage.scene.file.stripe_webhook_secret).await?;
    ensure!(status == 500, "the webhook answers {status}");
    let metrics = stage.ops("metrics").await?;
    let failed = metrics.get("webhook_failed_last_hour").and_then(Value::as_i64);
    ensure!(failed == Some(1), "webhook_failed_last_hour: {failed:?}");
    stage.scene.must_be(&booking, "hold").await?;

    let printed = stage.operator("failed-events").await?;
    stage.must_print(&printed, SUCCEEDED)?;
    let mend = "alter table public.reservations drop constraint obstacle";
    stage.database("developer", "mends the cause", mend).await?;
    let printed = stage.operator("replay-events").await?;
    stage.must_print(&printed, r#""decision": "confirmed""#)?;
    stage.scene.must_be(&booking, "confirmed").await?;
    stage.operator("no-failed-events").await.map(drop)
}

pub(super) async fn one_never_comes(stage: &mut Stage<'_>) -> Result<()> {
    let tomas = stage.scene.tomas.clone();
    let (booking, intent, _) = stage.scene.begin_paying(&tomas, "drill: lost", "Ice axe", 1).await?;
    stage.scene.stripe.add_event_fault(SUCCEEDED, EventAction::Lose).await?;
    stage.scene.pay(&tomas, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    stage.scene.must_be(&booking, "hold").await?;
    let printed = stage.operator("reconcile").await?;
    stage.must_print(&printed, r#""mended_count": 1"#)?;
    stage.scene.must_be(&booking, "confirmed").await
}
