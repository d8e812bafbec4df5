//! The stack's life: SAM builds and deploys it, CloudFormation deletes it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::shell::Shell;
use crate::command::run_to_end;
use crate::functions;
use crate::ministack::REGION;
use crate::progress::Step;
use crate::wait::wait_for;

/// The stack, and the parameter `Environment`.
pub(super) const STACK: &str = "kitloop-local";
/// The environment: part of every name, and of the path of every secret.
pub(super) const ENVIRONMENT: &str = "local";

/// The instruction set of this machine, as the template's parameter has it: the functions run here.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// Compiles the functions of the project's template for this machine, and leaves what is to be deployed in the folder.
///
/// # Errors
/// When a function does not compile.
pub(super) async fn build(shell: &Shell, folder: &Path) -> Result<()> {
    let step = Step::begin_aloud("Building the functions as `sam build` does");
    // SAM builds one function after the other, silently. This pass shows its progress and compiles on all processors;
    // SAM's then finds everything compiled.
    let mut together = unoptimised(shell.command("cargo"));
    together.args(["lambda", "build"]);
    for name in functions::names()? {
        together.args(["--bin", &name]);
    }
    functions::run_cargo(together).await?;
    let mut build = unoptimised(shell.command("sam"));
    build.args(["build", "--parameter-overrides"]).arg(format!("Architecture={ARCHITECTURE}"));
    build.arg("--build-dir").arg(folder);
    run_to_end(build).await.context("sam build")?;
    step.done();
    Ok(())
}

/// Without optimisation, which takes minutes, and with the compiler's own linker: what is built runs here.
fn unoptimised(mut command: Command) -> Command {
    let target = format!("{}_UNKNOWN_LINUX_GNU", std::env::consts::ARCH.to_uppercase());
    command
        .env("SAM_BUILD_MODE", "debug")
        .env("CARGO_LAMBDA_COMPILER", "cargo")
        // No symbols: every deployment zips all programs.
        .env(format!("CARGO_TARGET_{target}_RUSTFLAGS"), "-Cstrip=symbols")
        // cargo-lambda would have rustup install a target that is there.
        .env("RUSTUP", "/nonexistent/rustup");
    command
}

/// Deploys what was built, with these parameters beside those that this place needs; returns what SAM printed.
///
/// # Errors
/// When CloudFormation does not reach the state that the template describes.
pub(super) async fn deploy(shell: &Shell, folder: &Path, parameters: &[(&str, &str)]) -> Result<String> {
    let mut deploy = shell.command("sam");
    deploy
        .args(["deploy", "--stack-name", STACK, "--region", REGION, "--resolve-s3"])
        .args(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
        .args(["--no-confirm-changeset", "--no-progressbar", "--template-file"])
        .arg(folder.join("template.yaml"))
        .arg("--parameter-overrides")
        .args([format!("Environment={ENVIRONMENT}"), format!("Architecture={ARCHITECTURE}")])
        // ministack has no CodeDeploy, nests no stacks, and computes no metrics from others.
        .args(["GradualDeployment=false", "Monitoring=false"])
        .args(parameters.iter().map(|(name, value)| format!("{name}=\"{value}\"")));
    run_to_end(deploy).await.context("sam deploy")
}

/// Deletes the stack, and waits until it is gone. CloudFormation is asked, because `sam delete` understands the addresses
/// of the nested templates only where they are AWS's own.
///
/// # Errors
/// When a resource cannot be deleted.
pub(super) async fn delete(shell: &Shell) -> Result<()> {
    shell.aws(&["cloudformation", "delete-stack", "--stack-name", STACK]).await?;
    let describe = ["cloudformation", "describe-stacks", "--stack-name", STACK];
    let gone = async || match shell.aws(&describe).await {
        Err(error) if format!("{error:#}").contains("does not exist") => Ok(()),
        Err(error) => Err(error),
        Ok(stacks) => bail!("{stacks}"),
    };
    wait_for("the deletion of the stack", DELETION_DEADLINE, gone, || Ok(())).await
}

/// How long the resources of the stack may take to go.
const DELETION_DEADLINE: Duration = Duration::from_secs(120);
