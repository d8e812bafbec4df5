//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use stack::Options;

/// Builds, runs, tests and checks Kitloop.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start the product and play its main job through, from hold to paid and everything that comes between
    Demo,
    /// Keep the whole product running here, with seeded data and its schedules firing
    Up(Options),
    /// Deploy the product with SAM to an AWS on this machine, use it there, update it and delete it
    DeployLocal,
    /// Deploy the product in the same way, break it, and get it right again by what docs/runbook.md says
    Drill,
    /// Run all tests against real servers, started for the run
    Test(TestArguments),
    /// Look for everything that can be found without running the product
    Check,
    /// Look at the settings in the environment
    Env {
        #[command(subcommand)]
        action: EnvAction,
    },
    /// Change the schema of the database in DATABASE_URL
    Migrate(MigrateArguments),
    /// Write the database in `DATABASE_URL` to a file, and beside it what each table held
    Backup(BackupArguments),
    /// Put a backup into the database in `DATABASE_URL`
    Restore(RestoreArguments),
    /// Restore a backup into a scratch cluster, compare every table, and check the invariants
    VerifyBackup {
        /// The backup, with its manifest beside it
        file: PathBuf,
    },
    /// Build the functions for deployment; print how large they are and how long they take to start
    Measure(MeasureArguments),
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
pub(crate) struct MeasureArguments {
    /// How often each function is started
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) starts: u16,
}

#[derive(Subcommand)]
pub(crate) enum EnvAction {
    /// Name every setting that is missing or malformed
    Check,
}

#[derive(Args)]
pub(crate) struct MigrateArguments {
    #[command(subcommand)]
    pub(crate) action: MigrateAction,
}

/// The database of a migration or a backup.
#[derive(Args)]
pub(crate) struct Database {
    /// Direct or session connection as the owner of the schema, not through a transaction pooler
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// PEM file of the authority that issued the database's certificate
    #[arg(long, env = "DATABASE_CA_FILE")]
    pub(crate) database_ca_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BackupArguments {
    /// The file to write; without it kitloop-TIME.dump in this folder
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) database: Database,
}

#[derive(Args)]
pub(crate) struct RestoreArguments {
    /// The backup, with its manifest beside it
    pub(crate) file: PathBuf,
    /// Replace what the schemas kitloop and public hold; without it a database that holds data is refused
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) database: Database,
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
    /// List the migrations, when the database got them, and whether their files are still the same
    Status(Database),
    /// Write a new pair of migration files
    Create {
        /// What it is about, such as `add_waiting_list`
        name: String,
    },
}
