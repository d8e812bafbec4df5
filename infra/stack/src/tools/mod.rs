//! Installs what the machine lacks: Debian packages as root, everything else into `target/tools`.

mod cargo;
mod debian;
mod python;
mod stripe_clients;

use std::path::PathBuf;

use anyhow::Result;

use crate::pgbouncer::PgBouncer;
use crate::postgres::PostgresPrograms;

pub use cargo::{CargoTool, cargo_tool};
pub use python::{Checkers, DeploymentTools, Emulators, checkers, deployment_tools, emulators};
pub use stripe_clients::{StripeClients, stripe_clients};

/// PostgreSQL's programs, installed if there are none.
pub async fn postgres() -> Result<PostgresPrograms> {
    debian::find_or_install("postgresql", PostgresPrograms::find).await
}

/// PgBouncer's program, installed if there is none.
pub async fn pgbouncer() -> Result<PathBuf> {
    debian::find_or_install("pgbouncer", PgBouncer::program).await
}
