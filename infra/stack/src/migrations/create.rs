//! A new pair of files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Writes a pair of migration files that come after all others; returns the two paths.
///
/// # Errors
/// When the name is none, or the folder cannot be written.
pub fn create(name: &str) -> Result<[PathBuf; 2]> {
    create_in(&paths::migrations(), name)
}

fn create_in(folder: &Path, name: &str) -> Result<[PathBuf; 2]> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        bail!("a migration's name is made of a-z, 0-9 and _, like add_waiting_list");
    }
    let now: i64 = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string().parse()?;
    // A clock that is behind, or a version that was made up, must not put the new one before what was run already.
    let version = newest(folder)?.map_or(now, |newest| now.max(newest + 1));
    let [up, down] = ["up", "down"].map(|way| folder.join(format!("{version}_{name}.{way}.sql")));
    let subject = name.replace('_', " ");
    write(&up, &format!("-- {subject}: why it is needed.\n--\n-- {UP_RULES}\n"))?;
    write(&down, &format!("-- Undoes: {subject}.\n--\n-- {DOWN_RULES}\n"))?;
    Ok([up, down])
}

const UP_RULES: &str =
    "Runs in one transaction while the functions of the last release work: migrations/README.md.";
const DOWN_RULES: &str = "Leaves exactly what was there before; a test compares.";

/// The highest version in the folder.
fn newest(folder: &Path) -> Result<Option<i64>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let versions = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.split_once('_')?.0.parse().ok()
    });
    Ok(versions.max())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_pair_comes_after_all_others_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("99991231235959_far_away.up.sql"), "").unwrap();
        let [up, down] = create_in(folder.path(), "add_waiting_list").unwrap();
        assert!(up.ends_with("99991231235960_add_waiting_list.up.sql"), "{}", up.display());
        assert!(down.ends_with("99991231235960_add_waiting_list.down.sql"), "{}", down.display());
        assert!(fs::read_to_string(up).unwrap().starts_with("-- add waiting list: "));
    }

    #[test]
    fn a_name_that_would_not_be_a_migration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "Add", "../up", "a b", "a-b"] {
            assert!(create_in(folder.path(), name).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
