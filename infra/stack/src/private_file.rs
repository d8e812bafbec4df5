//! Files that hold secrets: nobody but their owner can read them, at any moment.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Writes a new file that is private from the start, in place of one that may be there with other rights.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let write = || {
        fs::remove_file(path).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A private file that is there as long as this value: what it tells is true no longer.
pub struct PrivateFile {
    /// Where it is.
    pub path: PathBuf,
    text: String,
}

impl PrivateFile {
    /// Writes it.
    pub fn write(path: PathBuf, text: String) -> Result<Self> {
        write_private(&path, &text)?;
        Ok(Self { path, text })
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // Another run may have written its own over it.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_all_could_read_becomes_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stack.json");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, "secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret");
    }

    #[test]
    fn a_file_goes_with_its_run_unless_another_wrote_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stack.json");
        let mine = PrivateFile::write(path.clone(), "mine".to_owned()).unwrap();
        let other = PrivateFile::write(path.clone(), "other".to_owned()).unwrap();
        drop(mine);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }
}
