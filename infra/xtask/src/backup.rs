//! `cargo xtask backup`, `restore` and `verify-backup`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use jiff::Timestamp;
use stack::backup::{self, Address, Existing, Manifest};

use crate::cli::{BackupArguments, Database, RestoreArguments};

pub(crate) async fn dump(arguments: BackupArguments) -> Result<()> {
    let file = arguments.out.unwrap_or_else(default_file);
    let manifest = backup::dump(&address(arguments.database), &file).await?;
    println!("{}", table(&manifest));
    println!("{} and {}", file.display(), Manifest::path(&file).display());
    Ok(())
}

pub(crate) async fn restore(arguments: RestoreArguments) -> Result<()> {
    let existing = if arguments.force { Existing::Replace } else { Existing::Refuse };
    let manifest = backup::restore(&arguments.file, &address(arguments.database), existing).await?;
    println!("{}", table(&manifest));
    println!("the database holds what it held at {}", manifest.created_at);
    Ok(())
}

pub(crate) async fn verify(file: &Path) -> Result<()> {
    let manifest = backup::verify(file).await?;
    println!("{}", table(&manifest));
    println!(
        "the backup of {} can be restored: every table came out the same, every invariant holds",
        manifest.created_at
    );
    Ok(())
}

/// In the folder we are in, named by the time.
fn default_file() -> PathBuf {
    PathBuf::from(format!("kitloop-{}.dump", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")))
}

fn address(database: Database) -> Address {
    Address { url: database.database_url, authority: database.database_ca_file }
}

fn table(manifest: &Manifest) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["table", "rows", "checksum"]);
    for (name, fingerprint) in &manifest.tables {
        table.add_row([name.clone(), fingerprint.rows.to_string(), fingerprint.checksum.clone()]);
    }
    table.add_row(["all".to_owned(), manifest.rows().to_string(), String::new()]);
    table
}
