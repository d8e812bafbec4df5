//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Builds, runs, tests and checks Kitloop.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run all tests against real servers, started for the run
    Test(TestArguments),
    /// Change the schema of the database in DATABASE_URL
    Migrate(MigrateArguments),
}

#[derive(Args)]
pub(crate) struct TestArguments {
    /// Run the database tests through the transaction pooler (without ARGS they run both ways)
    #[arg(long)]
    pub(crate) pooler: bool,
    /// Only start the servers and write their addresses to target/local/test.env, until interrupted
    #[arg(long)]
    pub(crate) servers: bool,
    /// What to pass on to cargo nextest, such as a test's name or `-p kitloop`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Args)]
pub(crate) struct MigrateArguments {
    #[command(subcommand)]
    pub(crate) action: MigrateAction,
}

/// The database of a migration.
#[derive(Args)]
pub(crate) struct Database {
    /// Direct or session connection as the owner of the schema, not through a transaction pooler
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// PEM file of the authority that issued the database's certificate
    #[arg(long, env = "DATABASE_CA_FILE")]
    pub(crate) database_ca_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum MigrateAction {
    /// Run every migration that the database does not have yet
    Up(Database),
    /// Undo everything after VERSION, or only the last migration
    Down {
        /// The version to go back to; 0 undoes everything
        version: Option<i64>,
        #[command(flatten)]
        database: Database,
    },
    /// List the migrations and which of them the database has
    Status(Database),
    /// Make an empty pair of migration files
    Create {
        /// What it is about, such as `add_waiting_list`
        name: String,
    },
}
