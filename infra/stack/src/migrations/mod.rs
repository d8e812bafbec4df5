//! The migrations of `migrations/`: up, down, status, and a new pair of files.

mod create;
mod session;
mod status;

use anyhow::{Context, Result, bail};
use sqlx::migrate::{Migrate, Migrator};

/// A connection that migrations are run over.
pub use sqlx::PgConnection as Connection;

pub use create::create;
pub use session::connect;
pub use status::{MigrationState, MigrationStatus, status};

use crate::paths;

/// Runs every migration that the database does not have yet; returns how many it was.
///
/// # Errors
/// As [`up_to`].
pub async fn up(connection: &mut Connection) -> Result<usize> {
    up_to(connection, None).await
}

/// Runs what the database does not have yet up to a version, or all of it; returns how many migrations it was. While
/// somebody else migrates the same database, it waits.
///
/// # Errors
/// When a migration fails, or when what was run before is not what is in the folder now.
pub async fn up_to(connection: &mut Connection, version: Option<i64>) -> Result<usize> {
    connection.lock().await?;
    let outcome = run_pending(connection, version).await;
    connection.unlock().await?;
    outcome
}

async fn run_pending(connection: &mut Connection, target: Option<i64>) -> Result<usize> {
    let pending = status::known(connection).await?.into_iter().filter(|migration| {
        migration.applied_at.is_none() && target.is_none_or(|target| migration.version <= target)
    });
    let count = pending.count();
    let migrator = migrator().await?;
    let run = match target {
        Some(version) => migrator.run_to(version, &mut *connection).await,
        None => migrator.run(&mut *connection).await,
    };
    run.context("a migration failed")?;
    Ok(count)
}

/// Undoes everything after `version`, or the last migration alone; returns the version the database is at.
///
/// # Errors
/// As [`up_to`], or when the database was never at that version.
pub async fn down(connection: &mut Connection, version: Option<i64>) -> Result<i64> {
    connection.lock().await?;
    let outcome = undo_after(connection, version).await;
    connection.unlock().await?;
    outcome
}

async fn undo_after(connection: &mut Connection, version: Option<i64>) -> Result<i64> {
    let known = status::known(connection).await?;
    let applied: Vec<i64> = known.iter().filter(|it| it.applied_at.is_some()).map(|it| it.version).collect();
    let target = match version {
        Some(0) => 0,
        Some(version) if applied.contains(&version) => version,
        Some(version) => bail!("the database is not at or after version {version}"),
        None => applied.iter().rev().nth(1).copied().unwrap_or(0),
    };
    migrator().await?.undo(&mut *connection, target).await.context("undoing a migration failed")?;
    Ok(target)
}

/// What the first migration does: the schema `kitloop` with its extension, the roles and what they may use.
pub(crate) async fn foundation() -> Result<String> {
    let migrator = migrator().await?;
    let first = migrator.iter().find(|migration| migration.migration_type.is_up_migration());
    Ok(first.context("there are no migrations")?.sql.as_str().to_owned())
}

/// The files, to be run under the lock that is taken here: the migrator would keep its own when a migration fails.
async fn migrator() -> Result<Migrator> {
    let folder = paths::migrations();
    let folder_name = folder.display().to_string();
    let migrator = Migrator::new(folder).await;
    let mut migrator = migrator.with_context(|| format!("cannot read the migrations in {folder_name}"))?;
    migrator.set_locking(false);
    Ok(migrator)
}
