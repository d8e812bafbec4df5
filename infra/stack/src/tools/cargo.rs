//! Cargo subcommands.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{on_path, run_to_end};
use crate::paths;
use crate::progress::Step;

/// A subcommand of cargo and the version to install where it is missing.
#[derive(Clone, Copy, Debug)]
pub struct CargoTool {
    crate_name: &'static str,
    version: &'static str,
}

impl CargoTool {
    /// Runs the tests.
    pub const NEXTEST: Self = Self { crate_name: "cargo-nextest", version: "0.9.143" };
    /// Bans, licences and sources of dependencies.
    pub const DENY: Self = Self { crate_name: "cargo-deny", version: "0.20.2" };
    /// Dependencies nobody uses.
    pub const MACHETE: Self = Self { crate_name: "cargo-machete", version: "0.9.2" };
}

/// The subcommand's program from the PATH, else built once into `target/tools`.
pub async fn cargo_tool(tool: CargoTool) -> Result<PathBuf> {
    let CargoTool { crate_name, version } = tool;
    let root = paths::tools().join("cargo");
    let installed = root.join("bin").join(crate_name);
    if let Some(program) = on_path(crate_name).or_else(|| installed.exists().then(|| installed.clone())) {
        return Ok(program);
    }
    let step = Step::begin(format!("Building {crate_name} {version}"));
    // Unoptimised: it builds in a third of the time and is fast enough for this workspace.
    let mut install = Command::new("cargo");
    install
        .args(["install", "--quiet", "--locked", "--debug", "--version", version, crate_name, "--root"])
        .arg(&root)
        .arg("--target-dir")
        .arg(paths::tools().join("build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    run_to_end(install).await.with_context(|| format!("cannot install {crate_name}"))?;
    step.done();
    Ok(installed)
}
