//! Stripe's official clients, which drive the stand-in unchanged in a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::find_or_install;
use super::python::environment;
use crate::command::{on_path, run_to_end};
use crate::paths;
use crate::progress::Step;

/// Where Stripe's clients are installed.
pub struct StripeClients {
    /// A Python that has the package `stripe`.
    pub python: PathBuf,
    /// A folder whose `node_modules` have Stripe's client and its published OpenAPI.
    pub node: PathBuf,
}

/// Installs the clients that infra/stripe_stand_in/clients names, if they are not there yet.
pub async fn stripe_clients() -> Result<StripeClients> {
    let wanted = paths::root().join("infra/stripe_stand_in/clients");
    let requirements = fs::read_to_string(wanted.join("requirements.txt"))
        .with_context(|| format!("cannot read {}", wanted.join("requirements.txt").display()))?;
    let python = environment("stripe-python", &requirements).await?.join("python");
    Ok(StripeClients { python, node: node_packages(&wanted).await? })
}

async fn node_packages(wanted: &Path) -> Result<PathBuf> {
    let folder = paths::tools().join("stripe-node");
    let lock =
        fs::read_to_string(wanted.join("package-lock.json")).context("cannot read package-lock.json")?;
    let installed = folder.join("installed.json");
    if fs::read_to_string(&installed).is_ok_and(|before| before == lock) {
        return Ok(folder);
    }
    find_or_install("npm", || on_path("npm")).await?;
    let step = Step::begin("Installing Stripe's client for Node");
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(wanted.join(file), folder.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
    run_to_end(npm).await.context("cannot install Stripe's client for Node")?;
    fs::write(&installed, lock)?;
    step.done();
    Ok(folder)
}
