//! Where a database is, for our own connection and for PostgreSQL's programs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result};
use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::migrations::{self, Connection};
use crate::postgres::{PostgresPrograms, verified};

/// What would lead libpq elsewhere than the variables set here.
const OVERRIDES: [&str; 4] = ["PGHOSTADDR", "PGSERVICE", "PGOPTIONS", "PGREQUIRESSL"];

/// A database, reached as the owner of its tables over a direct or a session connection.
pub struct Address {
    /// `postgresql://owner:password@host/database`.
    pub url: String,
    /// The PEM file of the authority that issued the server's certificate, which is verified with it.
    pub authority: Option<PathBuf>,
}

impl Address {
    /// A connection of ours.
    pub(super) async fn connect(&self) -> Result<Connection> {
        migrations::connect(&self.url, self.authority.as_deref()).await
    }

    /// One of PostgreSQL's programs, told by its environment where to connect: everybody on the machine can read a
    /// command line.
    pub(super) fn command(&self, programs: &PostgresPrograms, name: &str) -> Result<Command> {
        let mut command = Command::new(programs.program(name));
        for name in OVERRIDES {
            command.env_remove(name);
        }
        command.envs(self.environment()?);
        Ok(command)
    }

    fn environment(&self) -> Result<Vec<(&'static str, OsString)>> {
        let options =
            PgConnectOptions::from_str(&self.url).context("DATABASE_URL is not a PostgreSQL URL")?;
        let options = verified(options, self.authority.as_deref());
        let host = options.get_socket().map_or_else(|| options.get_host().into(), |it| it.clone().into());
        let mut environment = vec![
            ("PGHOST", host),
            ("PGPORT", options.get_port().to_string().into()),
            ("PGUSER", options.get_username().into()),
            ("PGDATABASE", options.get_database().unwrap_or(options.get_username()).into()),
            ("PGSSLMODE", ssl_mode(options.get_ssl_mode()).into()),
        ];
        if let Some(authority) = &self.authority {
            environment.push(("PGSSLROOTCERT", authority.clone().into()));
        }
        // Without one in the URL, libpq looks where the driver looks: PGPASSWORD, and the password file.
        if let Some(password) = options.to_url_lossy().password() {
            let password = percent_decode_str(password).decode_utf8().context("the password is not UTF-8")?;
            environment.push(("PGPASSWORD", password.into_owned().into()));
        }
        Ok(environment)
    }
}

/// libpq's name of a mode.
fn ssl_mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_everything_by_their_environment() {
        let url = "postgresql://owner:p%40ss+w%2Frd@db.example:6543/shop?sslmode=require".to_owned();
        let address = Address { url, authority: Some("/etc/ca.pem".into()) };
        let environment = address.environment().unwrap();
        for (name, value) in [
            ("PGHOST", "db.example"),
            ("PGPORT", "6543"),
            ("PGUSER", "owner"),
            ("PGDATABASE", "shop"),
            ("PGPASSWORD", "p@ss+w/rd"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/etc/ca.pem"),
        ] {
            assert!(environment.contains(&(name, value.into())), "{name}: {environment:?}");
        }
    }
}
