//! Checks that other programs do.

use std::path::{Path, PathBuf};

use stack::paths;
use stack::tools::Checkers;
use tokio::process::Command;

use super::{Findings, sources};

/// Whose rules a template is read by; nothing there is called.
const REGION: &str = "eu-central-1";

/// What is deployed, all of which has to be right and safe.
const TEMPLATES: [&str; 4] =
    ["template.yaml", "infra/alarms.yaml", "infra/dashboard.yaml", "infra/network.yaml"];

/// The programs that had to be installed first.
pub(super) struct Programs {
    pub(super) deny: PathBuf,
    pub(super) machete: PathBuf,
    pub(super) checkers: Checkers,
}

impl Programs {
    /// Advisories are left out: their database is not reachable from everywhere this runs.
    pub(super) async fn deny(&self) -> Findings {
        run(command(&self.deny, &["--log-level", "error", "check", "bans", "licenses", "sources"])).await
    }

    pub(super) async fn machete(&self) -> Findings {
        run(command(&self.machete, &["."])).await
    }

    /// Only the way up: the way down drops things, which is what it is for.
    pub(super) async fn squawk(&self) -> Findings {
        let migrations = sources::files(&paths::migrations(), ".up.sql")?;
        let mut squawk = command(&self.checkers.squawk, &["--config", ".squawk.toml"]);
        squawk.args(migrations.into_iter().map(|file| file.path));
        run(squawk).await
    }

    pub(super) async fn taplo(&self) -> Findings {
        run(command(&self.checkers.taplo, &["fmt", "--check"])).await
    }

    pub(super) async fn typos(&self) -> Findings {
        run(command(&self.checkers.typos, &["--config", "typos.toml"])).await
    }

    pub(super) async fn sam(&self) -> Findings {
        let mut sam =
            command(&self.checkers.sam, &["validate", "--lint", "--template-file", "template.yaml"]);
        sam.env("AWS_DEFAULT_REGION", REGION).env("SAM_CLI_TELEMETRY", "0");
        run(sam).await
    }

    pub(super) async fn cfn_lint(&self) -> Findings {
        let mut cfn_lint = command(&self.checkers.cfn_lint, &["--regions", REGION, "--"]);
        cfn_lint.args(TEMPLATES);
        run(cfn_lint).await
    }

    /// What it finds and we mean to keep so is skipped in the template itself, each time with the reason. A template
    /// that it cannot read is nothing to complain of to it, so it has to say that it looked.
    pub(super) async fn checkov(&self) -> Findings {
        let quiet = ["--framework", "cloudformation", "--compact", "--quiet", "--skip-download"];
        let mut checkov = command(&self.checkers.checkov, &quiet);
        checkov.arg("--file").args(TEMPLATES);
        let printed = output(checkov).await?;
        if printed.contains("Passed checks: ") {
            Ok(())
        } else {
            Err(format!("has checked nothing: {printed}"))
        }
    }
}

pub(super) async fn fmt() -> Findings {
    run(command(Path::new("cargo"), &["fmt", "--all", "--check"])).await
}

pub(super) async fn clippy() -> Findings {
    let arguments = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
    run(command(Path::new("cargo"), &arguments)).await
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(paths::root()).kill_on_drop(true);
    command
}

async fn run(command: Command) -> Findings {
    output(command).await.map(drop)
}

/// What a program printed, as the finding if it failed.
async fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().await.map_err(|error| format!("cannot be run: {error}"))?;
    let streams = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    if output.status.success() { Ok(streams.concat()) } else { Err(streams.concat()) }
}
