//! Making a backup.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tempfile::NamedTempFile;

use super::fingerprint::{self, begin_snapshot};
use super::{Address, Manifest};
use crate::command::run_to_end;
use crate::migrations::{self, Connection};
use crate::postgres::PostgresPrograms;
use crate::progress::Step;
use crate::tools;

/// Writes a dump in PostgreSQL's custom format and, beside it, its manifest. Only who wrote them can read them.
///
/// # Errors
/// When one of the files is there already, or the database cannot be read; then nothing is left behind.
pub async fn dump(source: &Address, file: &Path) -> Result<Manifest> {
    for path in [file.to_owned(), Manifest::path(file)] {
        ensure!(!path.exists(), "{} is there already", path.display());
    }
    let programs = tools::postgres().await?;
    let mut connection = source.connect().await?;
    begin_snapshot(&mut connection).await?;
    let created_at = Timestamp::now();
    let dump = private_file_beside(file)?;
    write_dump(source, &programs, &mut connection, dump.path()).await?;
    let tables = fingerprint::take(&mut connection, "Counting and hashing the rows").await?;
    let manifest =
        Manifest::describe(created_at, schema_version(&mut connection).await?, dump.path(), tables)?;

    let text = private_file_beside(file)?;
    serde_json::to_writer_pretty(text.as_file(), &manifest)?;
    keep(dump, file)?;
    keep(text, &Manifest::path(file))?;
    Ok(manifest)
}

/// Runs `pg_dump` over the snapshot of the connection's transaction.
async fn write_dump(
    source: &Address,
    programs: &PostgresPrograms,
    connection: &mut Connection,
    file: &Path,
) -> Result<()> {
    let step = Step::begin("Dumping the database");
    let snapshot: String = sqlx::query_scalar("select pg_export_snapshot()").fetch_one(connection).await?;
    let mut command = source.command(programs, "pg_dump")?;
    command
        .args(["--format=custom", "--no-owner", "--no-password", "--schema=kitloop", "--schema=public"])
        .arg(format!("--snapshot={snapshot}"))
        .arg("--file")
        .arg(file);
    run_to_end(command).await.context("cannot dump the database")?;
    step.done();
    Ok(())
}

async fn schema_version(connection: &mut Connection) -> Result<Option<i64>> {
    let migrations = migrations::status(connection).await?;
    Ok(migrations.iter().rev().find(|migration| migration.applied_at.is_some()).map(|it| it.version))
}

/// A file in the same folder that nobody else can read, and that goes unless it is kept.
fn private_file_beside(file: &Path) -> Result<NamedTempFile> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    NamedTempFile::new_in(&folder).with_context(|| format!("cannot write into {}", folder.display()))
}

fn keep(written: NamedTempFile, path: &Path) -> Result<()> {
    written.as_file().sync_all()?;
    written.persist_noclobber(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
