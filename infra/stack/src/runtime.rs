//! The Lambda runtime API and function URLs, as `cargo lambda watch` gives them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::daemon::Daemon;
use crate::functions;
use crate::net::port_or_free;
use crate::run::Run;

/// A running runtime API.
pub struct Runtime {
    /// Its address, without a slash at the end.
    pub url: String,
    _daemon: Daemon,
}

impl Runtime {
    /// Starts it, on a free port unless told which.
    pub async fn start(run: &Run, cargo_lambda: &Path, port: Option<u16>) -> Result<Self> {
        let port = port_or_free(port)?;
        let project = run.subfolder("runtime")?;
        fs::write(project.join("Cargo.toml"), manifest(&functions::names()?))?;
        let mut command = Command::new(cargo_lambda);
        command
            .args(["lambda", "watch", "--only-lambda-apis", "--disable-cors"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .current_dir(&project);
        let mut daemon = Daemon::start(run, "cargo lambda", &mut command, &run.folder().join("runtime.log"))?;
        daemon.ready_at(port).await?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), _daemon: daemon })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` is set to in the processes of this function.
    pub fn api(&self, function: &str) -> String {
        format!("{}/.rt/{function}", self.url)
    }

    /// The function's URL.
    pub fn function_url(&self, function: &str) -> String {
        format!("{}/lambda-url/{function}/", self.url)
    }

    /// Where an event that is not HTTP is sent, as EventBridge and direct invocations do.
    pub fn invocation_url(&self, function: &str) -> String {
        format!("{}/2015-03-31/functions/{function}/invocations", self.url)
    }
}

/// The project that the runtime asks cargo about, to know the names of functions: one that is quick to read and never
/// broken, with binaries that nobody builds.
fn manifest(functions: &[String]) -> String {
    let binaries = functions.iter().map(|name| format!("[[bin]]\nname = \"{name}\"\npath = \"{name}.rs\"\n"));
    format!(
        "[package]\nname = \"functions\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n{}",
        binaries.collect::<String>()
    )
}
