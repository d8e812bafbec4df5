//! What of the folder a database has, and whether it is still the same.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use sqlx::migrate::Migration;

use super::{Connection, migrator};

/// One migration, of the folder or of the database.
pub struct MigrationStatus {
    /// `YYYYMMDDhhmmss`.
    pub version: i64,
    /// What it is about, from the file's name.
    pub description: String,
    /// When it was run in this database, as `YYYY-MM-DD hh:mm:ss` in UTC.
    pub applied_at: Option<String>,
    /// How file and database agree.
    pub state: MigrationState,
}

/// How the file of a migration and what was run in the database agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// It has not been run.
    Pending,
    /// It was run as it stands in the file.
    Applied,
    /// The file was changed after it was run.
    Changed,
    /// It was run, but there is no such file.
    Missing,
}

impl MigrationStatus {
    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}_{}.up.sql", self.version, self.description.replace(' ', "_"))
    }
}

/// What the migrator noted in the database.
struct Applied {
    at: String,
    description: String,
    checksum: Vec<u8>,
}

/// Every migration in order; the database is only read.
///
/// # Errors
/// When the folder or the database cannot be read.
pub async fn status(connection: &mut Connection) -> Result<Vec<MigrationStatus>> {
    let migrator = migrator().await?;
    let mut applied = applied(connection).await?;
    let files = migrator.iter().filter(|migration| migration.migration_type.is_up_migration());
    let mut all: Vec<MigrationStatus> =
        files.map(|migration| compare(migration, applied.remove(&migration.version))).collect();
    all.extend(applied.into_iter().map(|(version, Applied { at, description, .. })| MigrationStatus {
        version,
        description,
        applied_at: Some(at),
        state: MigrationState::Missing,
    }));
    all.sort_by_key(|migration| migration.version);
    Ok(all)
}

/// The same, if the database was made by the files as they are.
pub(super) async fn known(connection: &mut Connection) -> Result<Vec<MigrationStatus>> {
    let all = status(connection).await?;
    for migration in &all {
        let file = migration.file();
        match migration.state {
            MigrationState::Changed => bail!(
                "migrations/{file} was changed after it was run in this database (the checksum differs): \
                 put back what it was, and write a new migration"
            ),
            MigrationState::Missing => bail!(
                "the database has the migration {file}, which is not in migrations/: use the version of the \
                 project that has it"
            ),
            MigrationState::Pending | MigrationState::Applied => {}
        }
    }
    Ok(all)
}

fn compare(migration: &Migration, applied: Option<Applied>) -> MigrationStatus {
    let state = match &applied {
        None => MigrationState::Pending,
        Some(applied) if applied.checksum == migration.checksum.as_ref() => MigrationState::Applied,
        Some(_) => MigrationState::Changed,
    };
    MigrationStatus {
        version: migration.version,
        description: migration.description.to_string(),
        applied_at: applied.map(|applied| applied.at),
        state,
    }
}

async fn applied(connection: &mut Connection) -> Result<BTreeMap<i64, Applied>> {
    let exists = "select to_regclass('public._sqlx_migrations') is not null";
    if !sqlx::query_scalar(exists).fetch_one(&mut *connection).await? {
        return Ok(BTreeMap::new());
    }
    let sql = "select version, description, checksum,
            to_char(installed_on at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
        from public._sqlx_migrations where success";
    let rows: Vec<(i64, String, Vec<u8>, String)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let noted = rows.into_iter();
    Ok(noted
        .map(|(version, description, checksum, at)| (version, Applied { at, description, checksum }))
        .collect())
}
