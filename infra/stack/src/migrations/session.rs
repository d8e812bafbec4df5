//! The connection that migrations and backups need: one session at the server for as long as it is open.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};

use super::Connection;
use crate::postgres::verified;

/// Connects to the database of a URL; with the authority's file, its certificate is verified.
///
/// # Errors
/// When nobody answers, or when a transaction pooler does: it would lose the lock that keeps two migrations apart, and
/// the snapshot of a backup.
pub async fn connect(url: &str, authority: Option<&Path>) -> Result<Connection> {
    let options = PgConnectOptions::from_str(url).context("DATABASE_URL is not a PostgreSQL URL")?;
    // A start-up parameter that poolers refuse by its name, before they can be recognised.
    let options = verified(options, authority).extra_float_digits(None);
    let open = async || options.connect().await.context("cannot connect to the database of DATABASE_URL");
    let (mut connection, mut witness) = (open().await?, open().await?);
    ensure!(
        !share_sessions(&mut connection, &mut witness).await?,
        "DATABASE_URL is that of a transaction pooler; use a direct connection, or a pooler's port for sessions"
    );
    Ok(connection)
}

/// Whether two open connections use one server process in turn, which is what a transaction pooler is for.
async fn share_sessions(one: &mut Connection, other: &mut Connection) -> Result<bool> {
    let before = server_process(one).await?;
    // An open transaction keeps its process: if it is the one of before, `one` has to get another.
    sqlx::raw_sql("begin").execute(&mut *other).await?;
    let held = server_process(other).await?;
    let after = server_process(one).await?;
    sqlx::raw_sql("rollback").execute(&mut *other).await?;
    Ok(held == before || after != before)
}

/// Asked by the simple protocol, because prepared statements are what fails behind a pooler.
async fn server_process(connection: &mut Connection) -> Result<i32> {
    Ok(sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?.try_get(0)?)
}
