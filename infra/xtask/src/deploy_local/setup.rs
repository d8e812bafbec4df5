//! From nothing to a deployed stack.

use std::time::Instant;

use anyhow::Result;
use stack::{Account, Deployment};

use crate::demo::story::Story;

pub(super) async fn deploy(story: &mut Story) -> Result<Deployment> {
    let account = Account::open().await?;
    account.build().await?;

    story.chapter("An operator stores the secrets and migrates the database");
    let started = Instant::now();
    let names = account.store_secrets().await?;
    let stored = format!("{} SecureStrings", names.len());
    story.line("operator", "stores the secrets in the Parameter Store", None, &stored, started.elapsed());
    for name in &names {
        story.note(name);
    }
    let started = Instant::now();
    let count = account.migrate().await?;
    let run = format!("{count} migrations");
    story.line("operator", "migrates the database, before any function", None, &run, started.elapsed());

    story.chapter("SAM deploys the stack");
    let started = Instant::now();
    let deployment = Deployment::first(account).await?;
    story.line("sam", "deploys what it has built", None, &status(&deployment).await?, started.elapsed());
    story.note(&format!("the HTTP API answers at {}", deployment.file.base_url));
    for (name, url) in &deployment.file.functions {
        story.note(&format!("{name} answers at {url}"));
    }
    Ok(deployment)
}

/// What CloudFormation says of the stack.
pub(super) async fn status(deployment: &Deployment) -> Result<String> {
    let describe = ["cloudformation", "describe-stacks", "--stack-name", "kitloop-local"];
    let described = deployment.aws(&describe).await?;
    let status = described.pointer("/Stacks/0/StackStatus").and_then(|status| status.as_str());
    Ok(status.unwrap_or_default().to_owned())
}
