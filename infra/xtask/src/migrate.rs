//! `cargo xtask migrate`.

use anyhow::Result;
use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use stack::migrations::{self, MigrationState, MigrationStatus};

use crate::cli::{Database, MigrateAction, MigrateArguments};

pub(crate) async fn run(arguments: MigrateArguments) -> Result<()> {
    match arguments.action {
        MigrateAction::Up(database) => {
            let count = migrations::up(&mut connect(&database).await?).await?;
            println!("{count} migrations run");
        }
        MigrateAction::Down { version, database } => {
            let version = migrations::down(&mut connect(&database).await?, version).await?;
            println!("the database is at version {version}");
        }
        MigrateAction::Status(database) => {
            println!("{}", table(&migrations::status(&mut connect(&database).await?).await?));
        }
        MigrateAction::Create { name } => {
            for file in migrations::create(&name)? {
                println!("{}", file.display());
            }
        }
    }
    Ok(())
}

async fn connect(database: &Database) -> Result<migrations::Connection> {
    migrations::connect(&database.database_url, database.database_ca_file.as_deref()).await
}

fn table(migrations: &[MigrationStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["version", "migration", "applied at (UTC)", "checksum"]);
    for MigrationStatus { version, description, applied_at, state } in migrations {
        let applied_at = applied_at.clone().unwrap_or_else(|| "pending".to_owned());
        let checksum = match state {
            MigrationState::Pending => "",
            MigrationState::Applied => "ok",
            MigrationState::Changed => "the file was changed",
            MigrationState::Missing => "there is no such file",
        };
        table.add_row([version.to_string(), description.clone(), applied_at, checksum.to_owned()]);
    }
    table
}
