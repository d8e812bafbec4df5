//! Putting a backup into a database.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use sqlx::migrate::Migrate;

use super::contents::Contents;
use super::fingerprint::{self, begin_snapshot};
use super::script::{self, Piece};
use super::{Address, Manifest};
use crate::command::run_to_end;
use crate::migrations;
use crate::progress::Step;
use crate::tools;

/// What is done about data that the database holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The restore is refused.
    Refuse,
    /// The schema `kitloop` and the tables of the schema `public` are replaced.
    Replace,
}

/// Puts a backup into a database, in one transaction, and compares every table with the manifest. Nobody can migrate
/// meanwhile.
///
/// # Errors
/// When the backup is damaged, when the database holds data that may not be replaced, or when a statement fails: then the
/// database is as it was. When a table came out different, naming it.
pub async fn restore(file: &Path, target: &Address, existing: Existing) -> Result<Manifest> {
    let manifest = Manifest::of(file)?;
    let programs = tools::postgres().await?;
    let mut list = Command::new(programs.program("pg_restore"));
    list.arg("--list").arg(file);
    let contents = Contents::sort(&run_to_end(list).await.context("cannot read the backup")?);

    let mut pieces = vec![Piece::Sql("set statement_timeout = 0;\n".to_owned())];
    if existing == Existing::Refuse {
        pieces.push(Piece::Sql(include_str!("refuse_data.sql").to_owned()));
    }
    pieces.extend([
        Piece::Sql(include_str!("clear.sql").to_owned()),
        Piece::Sql(migrations::foundation().await?),
        Piece::Entries(contents.objects),
        Piece::Sql(include_str!("close.sql").to_owned()),
        Piece::Entries(contents.grants),
    ]);
    let mut connection = target.connect().await?;
    connection.lock().await?;
    let step = Step::begin("Restoring the database");
    script::run(target, &programs, file, &pieces).await?;
    step.done();
    connection.unlock().await?;

    begin_snapshot(&mut connection).await?;
    manifest.ensure_same(&fingerprint::take(&mut connection, "Comparing the rows").await?)?;
    Ok(manifest)
}
