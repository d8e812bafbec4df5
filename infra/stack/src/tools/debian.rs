//! Debian packages.

use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::geteuid;

use crate::command::{on_path, run_to_end};
use crate::progress::Step;

/// What `find` finds, if necessary after installing the package.
pub(crate) async fn find_or_install<T>(package: &str, find: impl Fn() -> Option<T>) -> Result<T> {
    if let Some(found) = find() {
        return Ok(found);
    }
    install(package).await?;
    find().ok_or_else(|| anyhow!("{package} was installed, but its programs are not where they should be"))
}

/// Installs a package, as root.
///
/// # Errors
/// When it cannot be installed; if only because we may not, with the command for somebody who may.
pub(crate) async fn install(package: &str) -> Result<()> {
    if !geteuid().is_root() || on_path("apt-get").is_none() {
        bail!("{package} is missing; install it, for example with: sudo apt-get install {package}");
    }
    let step = Step::begin(format!("Installing the Debian package {package}"));
    // Without package lists, as in a fresh image, the first attempt cannot know the package.
    if apt_get(&["install", package]).await.is_err() {
        apt_get(&["update"]).await.context("cannot read the package lists")?;
        apt_get(&["install", package]).await.with_context(|| format!("cannot install {package}"))?;
    }
    step.done();
    Ok(())
}

async fn apt_get(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["--yes", "--no-install-recommends"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    run_to_end(command).await
}
