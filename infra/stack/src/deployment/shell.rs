//! What an operator's terminal has: the programs to deploy with, and an environment in which they reach the account on
//! this machine and nothing else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::run_to_end;
use crate::ministack::REGION;
use crate::net::LOOPBACK_HOSTS;
use crate::paths;
use crate::run::Run;
use crate::tools::DeploymentTools;

/// A terminal, without what the developer has set for a cloud of their own.
pub(super) struct Shell {
    variables: BTreeMap<String, OsString>,
}

impl Shell {
    /// One whose programs take the endpoint for AWS.
    pub(super) fn open(
        run: &Run,
        tools: &DeploymentTools,
        cargo_lambda: &Path,
        endpoint: &str,
    ) -> Result<Self> {
        // These alone: beside them are a `python3` and a `pip` that nobody asked for.
        let programs = run.subfolder("bin")?;
        for (name, program) in [("sam", &*tools.sam), ("cargo-lambda", cargo_lambda)] {
            symlink(program, programs.join(name)).with_context(|| format!("cannot link {name}"))?;
        }
        write_program(&programs.join("aws"), &aws_script(&tools.aws))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path)))?;
        let mut variables = BTreeMap::from([("PATH".to_owned(), path)]);
        let nowhere = "/dev/null";
        for (name, value) in [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", nowhere),
            ("AWS_SHARED_CREDENTIALS_FILE", nowhere),
            ("SAM_CLI_TELEMETRY", "0"),
            ("NO_PROXY", LOOPBACK_HOSTS),
            ("no_proxy", LOOPBACK_HOSTS),
        ] {
            variables.insert(name.to_owned(), value.into());
        }
        Ok(Self { variables })
    }

    /// The variables that are set in it.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, OsString)> {
        self.variables.iter().map(|(name, value)| (name.clone(), value.clone()))
    }

    /// A program of this terminal, at the root of the project.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // A profile or an endpoint of the developer's would lead to another account.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.envs(&self.variables).current_dir(paths::root());
        command
    }

    /// What the command line of AWS answers; null where it has nothing to say.
    ///
    /// # Errors
    /// When AWS refuses.
    pub(super) async fn aws(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command("aws");
        command.args(["--output", "json"]).args(arguments);
        let printed = run_to_end(command).await.with_context(|| format!("aws {}", arguments.join(" ")))?;
        if printed.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&printed).with_context(|| format!("aws printed no JSON: {printed}"))
    }
}

/// The command line of AWS, which asks SQS at a host of the cloud whatever `AWS_ENDPOINT_URL` says, unless it is told.
fn aws_script(program: &Path) -> String {
    format!("#!/bin/sh\nexec '{}' --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"\n", program.display())
}

fn write_program(path: &Path, script: &str) -> Result<()> {
    fs::write(path, script)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", path.display()))
}
