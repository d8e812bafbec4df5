//! Tools that come as Python packages, each set in a virtual environment of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::{find_or_install, install};
use crate::command::{on_path, run_to_end};
use crate::paths;
use crate::progress::Step;

/// Stand-ins for AWS.
pub struct Emulators {
    /// The Lambda runtime API and function URLs.
    pub cargo_lambda: PathBuf,
    /// DynamoDB and the rest of AWS; not without Python.
    pub ministack: Option<PathBuf>,
}

/// Programs that people deploy with.
pub struct DeploymentTools {
    /// Builds and deploys templates.
    pub sam: PathBuf,
    /// The command line of AWS.
    pub aws: PathBuf,
}

/// Programs that read our files and find fault.
pub struct Checkers {
    /// `sam validate`.
    pub sam: PathBuf,
    /// For CloudFormation templates: whether they are right.
    pub cfn_lint: PathBuf,
    /// For CloudFormation templates: whether they are safe.
    pub checkov: PathBuf,
    /// For migrations.
    pub squawk: PathBuf,
    /// For TOML files.
    pub taplo: PathBuf,
    /// For spelling.
    pub typos: PathBuf,
}

impl Checkers {
    /// AWS's runtime interface emulator, which comes with the SAM command line: it starts a program as Lambda does.
    pub fn runtime_emulator(&self) -> Result<PathBuf> {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let emulator = format!("site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}");
        let environment = self.sam.parent().and_then(Path::parent).context("sam is in no environment")?;
        let pythons = fs::read_dir(environment.join("lib"))?;
        let found = pythons.flatten().map(|python| python.path().join(&emulator)).find(|path| path.exists());
        let found = found.with_context(|| format!("{} has no {emulator}", environment.display()))?;
        // The package does not mark it as a program.
        fs::set_permissions(&found, fs::Permissions::from_mode(0o755))?;
        Ok(found)
    }
}

/// Installs the stand-ins for AWS if they are not there yet. Without Python, a cargo-lambda on the PATH will do.
pub async fn emulators() -> Result<Emulators> {
    match environment("emulators", include_str!("emulators.txt")).await {
        Ok(programs) => Ok(Emulators {
            cargo_lambda: programs.join("cargo-lambda"),
            ministack: Some(programs.join("ministack")),
        }),
        Err(error) => {
            let cargo_lambda = on_path("cargo-lambda").ok_or(error)?;
            eprintln!("  Python packages cannot be installed: DynamoDB is missing, so rate limits are off.");
            Ok(Emulators { cargo_lambda, ministack: None })
        }
    }
}

/// Installs the checkers if they are not there yet.
pub async fn checkers() -> Result<Checkers> {
    let programs = environment("checkers", include_str!("checkers.txt")).await?;
    // Alone, because its boto3 and that of SAM exclude each other.
    let checkov = environment("checkov", include_str!("checkov.txt")).await?;
    let program = |name| programs.join(name);
    Ok(Checkers {
        sam: program("sam"),
        cfn_lint: program("cfn-lint"),
        checkov: checkov.join("checkov"),
        squawk: program("squawk"),
        taplo: program("taplo"),
        typos: program("typos"),
    })
}

/// Installs what people deploy with if it is not there yet.
pub async fn deployment_tools() -> Result<DeploymentTools> {
    let programs = environment("checkers", include_str!("checkers.txt")).await?;
    // Alone, because it wants the botocore of its day, and SAM one of its own.
    let aws = environment("aws", include_str!("aws.txt")).await?;
    Ok(DeploymentTools { sam: programs.join("sam"), aws: aws.join("aws") })
}

/// The programs' folder of a virtual environment that has these requirements, made anew when they changed.
pub(super) async fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = paths::tools().join(name);
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|before| before == requirements) {
        return Ok(folder.join("bin"));
    }
    let packages: Vec<&str> = requirements.lines().filter(|line| !line.starts_with('#')).collect();
    let step = Step::begin(format!("Installing {}", packages.join(", ")));
    create(&folder).await?;
    let file = folder.join("requirements.txt");
    fs::write(&file, requirements)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&file);
    run_to_end(pip)
        .await
        .with_context(|| format!("cannot install the Python packages in {}", file.display()))?;
    fs::rename(&file, &installed)?;
    step.done();
    Ok(folder.join("bin"))
}

/// Makes an empty virtual environment; Debian's Python needs a package of its own for that.
async fn create(folder: &Path) -> Result<()> {
    find_or_install("python3", || on_path("python3")).await?;
    if venv(folder).await.is_err() {
        install("python3-venv").await?;
        venv(folder).await?;
    }
    Ok(())
}

async fn venv(folder: &Path) -> Result<String> {
    let mut command = Command::new("python3");
    command.args(["-m", "venv", "--clear"]).arg(folder);
    run_to_end(command).await
}
