//! The functions of the product: their names are the folders of `functions/`.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::progress::Step;

/// The names of all functions, in order.
pub fn names() -> Result<Vec<String>> {
    let folder = paths::root().join("functions");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Builds the programs of all functions (dev profile).
pub async fn build() -> Result<()> {
    let step = Step::begin("Building the functions");
    let mut command = Command::new("cargo");
    command.arg("build").current_dir(paths::root());
    for name in names()? {
        command.args(["--package", &name]);
    }
    // Cargo shows its own progress.
    let status = tokio::process::Command::from(command).kill_on_drop(true).status().await?;
    if !status.success() {
        bail!("the functions do not build");
    }
    step.done();
    Ok(())
}
