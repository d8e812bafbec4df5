//! What a backup says about itself, in a file beside the dump.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fingerprint::Fingerprints;

/// The version of the manifest's shape.
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// When the snapshot was taken.
    pub created_at: Timestamp,
    /// The newest migration that the database had.
    pub schema_version: Option<i64>,
    /// The SHA-256 of the dump, in hexadecimal.
    pub dump_sha256: String,
    /// What each table held, by its name.
    pub tables: Fingerprints,
}

impl Manifest {
    pub(super) fn describe(
        created_at: Timestamp,
        schema_version: Option<i64>,
        dump: &Path,
        tables: Fingerprints,
    ) -> Result<Self> {
        Ok(Self { format: FORMAT, created_at, schema_version, dump_sha256: sha256(dump)?, tables })
    }

    /// Where the manifest of a dump is.
    pub fn path(dump: &Path) -> PathBuf {
        let mut name = OsString::from(dump);
        name.push(".json");
        name.into()
    }

    /// The manifest of a dump.
    ///
    /// # Errors
    /// When there is none, or when it is that of another dump.
    pub fn of(dump: &Path) -> Result<Self> {
        let path = Self::path(dump);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}, the manifest of the backup", path.display()))?;
        let manifest: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is no manifest", path.display()))?;
        ensure!(manifest.format == FORMAT, "{} is of another version of this program", path.display());
        let is_whole = sha256(dump)? == manifest.dump_sha256;
        ensure!(is_whole, "{} is damaged: it is not the file that its manifest describes", dump.display());
        Ok(manifest)
    }

    /// How many rows there are in all tables.
    pub fn rows(&self) -> i64 {
        self.tables.values().map(|table| table.rows).sum()
    }

    /// Fails unless these tables hold what the backup's held, naming those that do not.
    pub(super) fn ensure_same(&self, found: &Fingerprints) -> Result<()> {
        let names = self.tables.keys().chain(found.keys().filter(|name| !self.tables.contains_key(*name)));
        let differences: Vec<String> = names
            .filter(|name| self.tables.get(*name) != found.get(*name))
            .map(|name| {
                let rows = |tables: &Fingerprints| tables.get(name).map_or(-1, |table| table.rows);
                match (rows(&self.tables), rows(found)) {
                    (-1, _) => format!("{name} is not in the backup"),
                    (_, -1) => format!("{name} was not restored"),
                    (wanted, got) if wanted == got => format!("{name} has other contents in its {got} rows"),
                    (wanted, got) => format!("{name} has {got} rows instead of {wanted}"),
                }
            })
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        bail!("the database is not what was backed up:\n{}", differences.join("\n"))
    }
}

fn sha256(file: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut reader = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    io::copy(&mut reader, &mut HashWriter(&mut hasher))?;
    Ok(hex::encode(hasher.finalize()))
}

/// Hashes what is written to it.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
