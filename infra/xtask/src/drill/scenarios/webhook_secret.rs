//! Stripe signs with another secret.

use anyhow::{Result, ensure};
use uuid::Uuid;

use crate::drill::stage::Stage;

/// A signing secret as Stripe makes them.
pub(super) fn new_signing_secret() -> String {
    format!("whsec_{}", Uuid::new_v4().simple())
}

pub(super) async fn changes(stage: &mut Stage<'_>) -> Result<()> {
    let (new, old) = (new_signing_secret(), stage.scene.file.stripe_webhook_secret.clone());
    let url = stage.webhook_url()?.to_owned();
    stage.scene.stripe.set_webhook_endpoint(&url, &new).await?;
    let jana = stage.scene.jana.clone();
    let (booking, intent, _) = stage.scene.begin_paying(&jana, "drill: new secret", "Ice axe", 1).await?;
    stage.scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    stage.delivery_answered(&intent.id, 400).await?;
    stage.scene.must_be(&booking, "hold").await?;

    stage.operator_types("rotate-webhook-secret", &format!("{new}\n")).await?;
    stage.becomes(&booking, "confirmed").await?;
    let printed = stage.operator("webhook-secret-works").await?;
    stage.must_print(&printed, "payment_intent.succeeded")?;
    // Both count until the old one is taken away.
    ensure!(stage.deliver_once("payment_intent.succeeded", &old).await? == 200, "the old secret is refused");
    stage.operator("settle-webhook-secret").await?;
    let refused = stage.deliver_once("payment_intent.succeeded", &old).await?;
    ensure!(refused == 400, "the old secret is answered with {refused}");
    ensure!(stage.deliver_once("payment_intent.succeeded", &new).await? == 200, "the new secret is refused");
    stage.scene.file.stripe_webhook_secret = new;
    Ok(())
}
