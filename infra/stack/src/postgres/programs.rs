//! Finding PostgreSQL's server programs, which Debian keeps off the PATH.

use std::path::{Path, PathBuf};

/// The folder of one PostgreSQL installation's programs.
#[derive(Clone, Debug)]
pub struct PostgresPrograms {
    folder: PathBuf,
}

impl PostgresPrograms {
    /// The installation on the PATH, else the newest one under /usr/lib/postgresql.
    pub fn find() -> Option<Self> {
        on_path().or_else(newest_of_debian).map(|folder| Self { folder })
    }

    /// The full path of a program of this installation.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether an extension that has to be preloaded comes with this installation.
    pub(crate) fn has_library(&self, name: &str) -> bool {
        self.folder.parent().is_some_and(|home| home.join("lib").join(format!("{name}.so")).exists())
    }
}

/// The real folder behind the `postgres` on the PATH, which is often a link.
fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter_map(|folder| folder.join("postgres").canonicalize().ok())
        .filter_map(|program| program.parent().map(Path::to_path_buf))
        .find(|folder| is_complete(folder))
}

fn newest_of_debian() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| is_complete(folder))
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder)
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|name| folder.join(name).exists())
}
