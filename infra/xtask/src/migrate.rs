//! `cargo xtask migrate`.

use anyhow::Result;
use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use stack::migrations::{self, MigrationStatus};

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
    table.load_style(UTF8_BORDERS_ONLY).set_header(["version", "migration", "state"]);
    for MigrationStatus { version, description, applied } in migrations {
        let state = if *applied { "applied" } else { "pending" };
        table.add_row([version.to_string(), description.clone(), state.to_owned()]);
    }
    table
}
