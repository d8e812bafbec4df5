//! A version that should not have been deployed.

use anyhow::{Result, ensure};

use crate::drill::stage::Stage;

const LIVE_VERSION: &str = "live_version \"kitloop-$ENVIRONMENT-stripe-webhook\"";

/// What a gradual deployment leaves that has gone back: a version that is the newest, and not live.
const NEVER_LIVE: &str = "name=kitloop-$ENVIRONMENT-stripe-webhook
    good=$(live_version \"$name\")
    restart stripe-webhook
    make_live \"$name\" \"$good\"";

pub(super) async fn is_rolled_back(stage: &mut Stage<'_>) -> Result<()> {
    let good = live_version(stage).await?;
    stage.fate("deploys a version that is rolled back at once", NEVER_LIVE).await?;
    ensure!(live_version(stage).await? == good, "the version that nobody wants is live");
    stage.know("VERSIONS", &stage.file("versions"))?;
    stage.operator("note-versions").await?;
    stage.fate("deploys a new version", "restart stripe-webhook").await?;
    let newest = live_version(stage).await?;
    ensure!(newest == good + 2, "version {newest} follows {good}");
    stage.operator("roll-back").await?;
    ensure!(live_version(stage).await? == good, "the webhook was not rolled back");
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
