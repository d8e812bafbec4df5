//! Programs that run to their end: where they are, and what they said if they failed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where a program is on the PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

/// Runs the command to its end and returns what it printed; dropping the future kills it.
///
/// # Errors
/// When it cannot be started or fails, with what it wrote to standard error, or else to standard output.
pub(crate) async fn run_to_end(command: Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = if complaint.trim().is_empty() { printed.as_str() } else { complaint.as_ref() };
        bail!("{program} failed ({}):\n{}", output.status, complaint.trim_end());
    }
    Ok(printed)
}
