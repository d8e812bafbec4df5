//! The migrations of `migrations/`: up, down, status, and a new pair of files.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use sqlx::ConnectOptions;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::postgres::PgConnectOptions;

/// A connection that migrations are run over.
pub use sqlx::PgConnection as Connection;

use crate::paths;
use crate::postgres::verified;

/// One migration and whether the database has it.
pub struct MigrationStatus {
    /// `YYYYMMDDhhmmss`.
    pub version: i64,
    /// What it is about, from the file's name.
    pub description: String,
    /// Whether it was run in this database.
    pub applied: bool,
}

/// Connects to the database of a URL; with the authority's file, its certificate is verified.
///
/// It must be a direct or a session connection: migrations take a session lock, which a transaction pooler loses.
pub async fn connect(url: &str, authority: Option<&Path>) -> Result<Connection> {
    let options = PgConnectOptions::from_str(url).context("DATABASE_URL is not a PostgreSQL URL")?;
    verified(options, authority).connect().await.context("cannot connect to the database of DATABASE_URL")
}

/// Runs every migration that the database does not have yet; returns how many it was.
pub async fn up(connection: &mut Connection) -> Result<usize> {
    let pending = status(connection).await?.iter().filter(|migration| !migration.applied).count();
    migrator().await?.run(&mut *connection).await.context("a migration failed")?;
    Ok(pending)
}

/// Undoes everything after `version`, or the last migration alone; returns the version the database is at.
pub async fn down(connection: &mut Connection, version: Option<i64>) -> Result<i64> {
    let applied: Vec<i64> =
        status(connection).await?.iter().filter(|migration| migration.applied).map(|m| m.version).collect();
    let target = match version {
        Some(0) => 0,
        Some(version) if applied.contains(&version) => version,
        Some(version) => bail!("the database is not at or after version {version}"),
        None => applied.iter().rev().nth(1).copied().unwrap_or(0),
    };
    migrator().await?.undo(&mut *connection, target).await.context("undoing a migration failed")?;
    Ok(target)
}

/// Every migration in order.
pub async fn status(connection: &mut Connection) -> Result<Vec<MigrationStatus>> {
    let migrator = migrator().await?;
    connection.ensure_migrations_table(&migrator.table_name).await?;
    let applied: HashSet<i64> = connection
        .list_applied_migrations(&migrator.table_name)
        .await?
        .iter()
        .map(|migration| migration.version)
        .collect();
    let files = migrator.iter().filter(|migration| migration.migration_type.is_up_migration());
    Ok(files
        .map(|migration| MigrationStatus {
            version: migration.version,
            description: migration.description.to_string(),
            applied: applied.contains(&migration.version),
        })
        .collect())
}

/// Makes an empty pair of migration files with the time as its version; returns the two paths.
pub fn create(name: &str) -> Result<[PathBuf; 2]> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        bail!("a migration's name is made of a-z, 0-9 and _, like add_waiting_list");
    }
    let version = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S");
    let files = ["up", "down"].map(|way| paths::migrations().join(format!("{version}_{name}.{way}.sql")));
    for file in &files {
        fs::write(file, "").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(files)
}

async fn migrator() -> Result<Migrator> {
    let folder = paths::migrations();
    let folder_name = folder.display().to_string();
    Migrator::new(folder).await.with_context(|| format!("cannot read the migrations in {folder_name}"))
}
