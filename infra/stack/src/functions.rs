//! The functions of the product: their names are the folders of `functions/`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::{paths, tools};

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
    let names = names()?;
    let packages = names.iter().flat_map(|name| ["--package", name]);
    build_by_cargo("Building the functions", packages).await
}

/// Builds the programs of all functions, and all tests, at once: two builds of different scope would build what they
/// share twice, with different features.
pub async fn build_with_tests() -> Result<()> {
    build_by_cargo("Building the functions and all tests", ["--workspace", "--bins", "--tests"]).await
}

async fn build_by_cargo<'a>(what: &str, scope: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let step = Step::begin_aloud(what);
    let mut command = Command::new("cargo");
    command.arg("build").args(scope).current_dir(paths::root());
    run_cargo(command).await?;
    step.done();
    Ok(())
}

/// A function as it is deployed, for the processor of this machine.
pub struct ReleaseBuild {
    /// Its name.
    pub name: String,
    /// The program that Lambda starts, `bootstrap`.
    pub program: PathBuf,
    /// What is uploaded: the program, zipped.
    pub archive: PathBuf,
}

/// Builds all functions as `sam build` does.
pub async fn build_release() -> Result<Vec<ReleaseBuild>> {
    let cargo_lambda = tools::emulators().await?.cargo_lambda;
    let step = Step::begin_aloud("Building the functions for deployment");
    let names = names()?;
    // One pass compiles and leaves the programs, the other zips them.
    for format in ["binary", "zip"] {
        run_cargo(release_build(&cargo_lambda, &names, format)?).await?;
    }
    step.done();
    let folder = paths::target().join("lambda");
    let built = |name: String| ReleaseBuild {
        program: folder.join(&name).join("bootstrap"),
        archive: folder.join(&name).join("bootstrap.zip"),
        name,
    };
    Ok(names.into_iter().map(built).collect())
}

fn release_build(cargo_lambda: &Path, names: &[String], format: &str) -> Result<Command> {
    let mut command = Command::new(cargo_lambda);
    command
        .args(["lambda", "build", "--release", "--skip-target-check", "--output-format", format])
        .env("PATH", with_folder_of(cargo_lambda)?)
        .current_dir(paths::root());
    for name in names {
        command.args(["--bin", name]);
    }
    Ok(command)
}

/// The PATH, with the programs beside this one first: cargo-lambda finds its linker there.
fn with_folder_of(program: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folder = program.parent().map(Path::to_path_buf);
    Ok(std::env::join_paths(folder.into_iter().chain(std::env::split_paths(&path)))?)
}

/// Runs a build that shows its own progress.
pub(crate) async fn run_cargo(command: Command) -> Result<()> {
    let status = tokio::process::Command::from(command).kill_on_drop(true).status().await?;
    if !status.success() {
        bail!("the build failed");
    }
    Ok(())
}
