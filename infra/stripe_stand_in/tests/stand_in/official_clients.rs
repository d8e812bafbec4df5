//! Stripe's own clients, unchanged but for the address.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use serde_json::json;
use stripe_stand_in::StandIn;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Api, Receiver, SECRET, tool};

/// Runs a program with this input, and fails with what it says if it fails.
pub(crate) async fn run(command: &mut Command, input: &str) -> anyhow::Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command
        .spawn()
        .with_context(|| format!("start {command:?}; `cargo xtask test` installs what is missing"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?} failed:\n{said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// Webhooks of a paid intent and its dispute, and of a Checkout Session, one per line.
async fn webhooks(stand_in: &StandIn) -> anyhow::Result<String> {
    let receiver = Receiver::start(stand_in).await?;
    let (api, admin) = (Api::of(stand_in), stand_in.admin());
    let paid = api.paid_intent(&[("description", "kajak – Ř")]).await?;
    admin.open_dispute(paid.text("/latest_charge")).await?;
    let session = api.checkout(&[]).await?;
    admin.complete_checkout(&session.id(), "pm_card_visa").await?;
    let received = receiver.wait_for(9).await?;
    let lines = received.iter().map(|webhook| {
        json!({"body": webhook.body, "signature": webhook.signature, "secret": SECRET}).to_string()
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn the_python_client_drives_it_unchanged() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let input = webhooks(&stand_in).await?;
    let python = tool("stripe-python/bin/python")?;
    run(Command::new(python).arg(script("official_client.py")).arg(stand_in.base_url()), &input).await?;
    Ok(())
}

#[tokio::test]
async fn the_node_client_drives_it_unchanged() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let input = webhooks(&stand_in).await?;
    let modules = tool("stripe-node/node_modules")?;
    let mut node = Command::new("node");
    node.arg(script("official_client.mjs")).arg(stand_in.base_url()).arg(modules);
    run(&mut node, &input).await?;
    Ok(())
}
