//! Proving that a backup can be restored.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Address, Existing, Manifest, restore};
use crate::postgres::Postgres;
use crate::progress::Step;
use crate::run::Run;
use crate::tools;

const SCRATCH_DATABASE: &str = "restored";

/// Restores a backup into a cluster of its own, which goes afterwards, compares every table with the manifest, and
/// computes the promises of `kitloop.check_consistency()`.
///
/// # Errors
/// When it cannot be restored, when a table came out different, or when a promise is broken in the data.
pub async fn verify(file: &Path) -> Result<Manifest> {
    let programs = tools::postgres().await?;
    let step = Step::begin("Starting a scratch cluster");
    let run = Run::start()?;
    let postgres = Postgres::start(&run, &programs, None).await?;
    postgres.create_database(SCRATCH_DATABASE).await?;
    step.done();
    let Postgres { endpoint, owner, .. } = &postgres;
    let scratch =
        Address { url: endpoint.url(owner, SCRATCH_DATABASE), authority: Some(endpoint.authority.clone()) };
    let manifest = restore(file, &scratch, Existing::Refuse).await?;
    ensure_consistent(&scratch).await?;
    Ok(manifest)
}

async fn ensure_consistent(database: &Address) -> Result<()> {
    let step = Step::begin("Checking the invariants");
    let mut connection = database.connect().await?;
    let sql = "select violation || ': ' || details from kitloop.check_consistency()";
    let broken: Vec<String> =
        sqlx::query_scalar(sql).fetch_all(&mut connection).await.context("cannot check the invariants")?;
    ensure!(
        broken.is_empty(),
        "the backup is a faithful copy, but its data break promises:\n{}",
        broken.join("\n")
    );
    step.done();
    Ok(())
}
