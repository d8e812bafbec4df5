//! A version that should not have been deployed.

use anyhow::{Result, ensure};

use crate::drill::stage::Stage;

/// The function that earlier scenarios gave a second version.
const LIVE_VERSION: &str = "aws lambda get-alias --function-name \"kitloop-$ENVIRONMENT-stripe-webhook\" --name live \
    --query FunctionVersion --output text";

pub(super) async fn is_rolled_back(stage: &mut Stage<'_>) -> Result<()> {
    let newest = live_version(stage).await?;
    ensure!(newest > 1, "the webhook has one version only");
    stage.know("BEFORE", &stage.began_at())?;
    stage.operator("roll-back").await?;
    ensure!(live_version(stage).await? == 1, "the webhook was not rolled back");
    answers(stage).await?;
    stage.operator("roll-forward").await?;
    ensure!(live_version(stage).await? == newest, "the webhook was not rolled forward");
    answers(stage).await?;

    stage.operator("migrate-down").await?;
    stage.part_is("migrations", "down").await?;
    let printed = stage.operator("migrate").await?;
    stage.must_print(&printed, "1 migrations run")?;
    stage.part_is("migrations", "ok").await
}

async fn live_version(stage: &Stage<'_>) -> Result<u32> {
    let version = stage.fate("looks at the webhook's version", LIVE_VERSION).await?;
    stage.scene.story.note(&format!("stripe-webhook is live in version {}", version.trim()));
    Ok(version.trim().parse()?)
}

/// Fails unless the version that is live now takes events.
async fn answers(stage: &Stage<'_>) -> Result<()> {
    let secret = &stage.scene.file.stripe_webhook_secret;
    let status = stage.deliver_once("payment_intent.succeeded", secret).await?;
    ensure!(status == 200, "the webhook answers {status}");
    Ok(())
}
