//! Where a database answers, and who logs in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};

/// A role and its password, which is random for every run.
#[derive(Clone)]
pub struct Login {
    /// The role's name.
    pub role: &'static str,
    /// Hexadecimal, so that it needs no escaping in a URL.
    pub password: String,
}

/// An address where PostgreSQL, or a pooler in front of it, answers over TLS.
#[derive(Clone)]
pub struct Endpoint {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The PEM file of the authority that issued the server's certificate.
    pub authority: PathBuf,
}

impl Endpoint {
    /// The URL under which this login reaches the database.
    pub fn url(&self, login: &Login, database: &str) -> String {
        let Login { role, password } = login;
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Connects, with the server's certificate verified.
    pub(crate) async fn connect(&self, login: &Login, database: &str) -> Result<PgConnection> {
        let options = verified(self.url(login, database).parse()?, Some(&self.authority));
        options.connect().await.with_context(|| format!("cannot connect to {database} as {}", login.role))
    }
}

/// The options with the server's certificate verified if its authority is known.
pub(crate) fn verified(options: PgConnectOptions, authority: Option<&Path>) -> PgConnectOptions {
    match authority {
        Some(file) => options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(file),
        None => options,
    }
}
