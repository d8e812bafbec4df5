//! Every secret is known to somebody who should not know it.

use anyhow::{Result, ensure};
use serde_json::json;
use stack::wait_for;
use uuid::Uuid;

use super::webhook_secret::new_signing_secret;
use crate::drill::stage::{PATIENCE, Stage};

pub(super) async fn all_leaked(stage: &mut Stage<'_>) -> Result<()> {
    admin_token(stage).await?;
    cron_secret(stage).await?;
    webhook_secret(stage).await?;
    stripe_key(stage).await?;
    replaced(stage, "leaked-resend-key", "resend_api_key", "re_drill").await?;
    replaced(stage, "leaked-alert-webhook", "monitor_alert_webhook_url", "http://127.0.0.1:9/drill").await?;
    jwt_secret(stage).await?;
    database_password(stage).await
}

/// Of what others check: fails unless it is stored.
async fn replaced(stage: &mut Stage<'_>, block: &str, name: &str, value: &str) -> Result<()> {
    stage.operator_types(block, &format!("{value}\n")).await?;
    ensure!(stage.secret(name).await? == value, "{name} is another one");
    Ok(())
}

/// What a call with this token in the header is answered with.
async fn status(stage: &Stage<'_>, path: &str, token: &str) -> Result<u16> {
    let (method, path) = path.split_once(' ').unwrap_or(("GET", path));
    let url = format!("{}/{path}", stage.scene.file.base_url);
    let request = stage.scene.http.request(method.parse()?, url).bearer_auth(token).json(&json!({}));
    Ok(request.send().await?.status().as_u16())
}

/// Fails unless the new token opens, and the old one does not.
async fn changed(stage: &Stage<'_>, path: &str, old: &str, new: &str) -> Result<()> {
    ensure!(old != new, "the secret of {path} has not changed");
    let (opened, refused) = (status(stage, path, new).await?, status(stage, path, old).await?);
    ensure!(
        (opened, refused) == (200, 401),
        "{path}: {opened} with the new secret, {refused} with the old one"
    );
    stage.scene.story.note(&format!("{path}: 200 with the new one, 401 with the old one"));
    Ok(())
}

async fn admin_token(stage: &mut Stage<'_>) -> Result<()> {
    stage.operator("leaked-admin-token").await?;
    let new = stage.secret("admin_token").await?;
    changed(stage, "GET ops/metrics", &stage.scene.file.admin_token, &new).await?;
    stage.scene.file.admin_token = new;
    Ok(())
}

async fn cron_secret(stage: &mut Stage<'_>) -> Result<()> {
    stage.operator("leaked-cron-secret").await?;
    let new = stage.secret("cron_secret").await?;
    changed(stage, "POST cleanup_reservation_holds", &stage.scene.file.cron_secret, &new).await?;
    stage.scene.file.cron_secret = new;
    Ok(())
}

async fn webhook_secret(stage: &mut Stage<'_>) -> Result<()> {
    let (new, old) = (new_signing_secret(), stage.scene.file.stripe_webhook_secret.clone());
    let url = stage.webhook_url()?.to_owned();
    stage.scene.stripe.set_webhook_endpoint(&url, &new).await?;
    stage.operator_types("leaked-webhook-secret", &format!("{new}\n")).await?;
    let event = "payment_intent.succeeded";
    let statuses = (stage.deliver_once(event, &new).await?, stage.deliver_once(event, &old).await?);
    ensure!(statuses == (200, 400), "the new and the old secret are answered with {statuses:?}");
    stage.scene.file.stripe_webhook_secret = new;
    Ok(())
}

async fn stripe_key(stage: &mut Stage<'_>) -> Result<()> {
    let old = stage.secret("stripe_secret_key").await?;
    stage.scene.stripe.revoke_key(&old).await?;
    stage.part_becomes("stripe", "down").await?;
    let new = format!("sk_test_{}", Uuid::new_v4().simple());
    stage.operator_types("leaked-stripe-key", &format!("{new}\n")).await?;
    stage.part_becomes("stripe", "ok").await?;
    let jana = stage.scene.jana.clone();
    stage.scene.begin_paying(&jana, "drill: new key", "Ice axe", 1).await.map(drop)
}

/// The tokens of everybody who is signed in are worth nothing; for what is left of the drill they are made good again.
async fn jwt_secret(stage: &mut Stage<'_>) -> Result<()> {
    let old = stage.secret("supabase_jwt_secret").await?;
    let jana = stage.scene.file.users.customer.token.clone();
    ensure!(status(stage, "POST reserve_gear", &jana).await? == 400, "Jana is not signed in");
    stage.operator_types("leaked-jwt-secret", &format!("{}\n", Uuid::new_v4())).await?;
    ensure!(status(stage, "POST reserve_gear", &jana).await? == 401, "Jana is still signed in");
    stage.scene.story.note("tokens that the old one signed are refused");
    stage.store("supabase_jwt_secret", &old).await?;
    let signed_in = async || {
        ensure!(status(stage, "POST reserve_gear", &jana).await? == 400, "Jana is not signed in");
        Ok(())
    };
    wait_for("the old tokens", PATIENCE, signed_in, || Ok(())).await
}

async fn database_password(stage: &mut Stage<'_>) -> Result<()> {
    // Which the owners have on Supabase and RDS.
    let grant = "grant pg_signal_backend to kitloop_owner";
    stage.database("host", "lets the owner end connections", grant).await?;
    let old = stage.secret("database_url").await?;
    stage.operator("leaked-database-password").await?;
    let new = stage.secret("database_url").await?;
    ensure!(old != new, "the password has not changed");
    stage.part_becomes("database", "ok").await?;
    stage.know("OLD_URL", &old)?;
    let refusal =
        stage.fate("tries the old password", "DATABASE_URL=$OLD_URL sql <<<'select 1;' 2>&1 || true");
    stage.must_print(&refusal.await?, "authentication failed")?;
    let jana = stage.scene.jana.clone();
    stage.scene.begin_paying(&jana, "drill: new password", "Ice axe", 1).await.map(drop)
}
