//! A process of the worker, and what may happen to it.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use stack::paths;
use tempfile::TempDir;
use test_support::{Shop, email_settings, settings};
use tokio::time::timeout;

use crate::lambda::Lambda;

/// How long a process may take to ask for its event, on a machine that has much else to do.
const START: Duration = Duration::from_secs(60);

/// A process that works until it is killed, at the latest when this is dropped.
pub(crate) struct Worker {
    /// Whose claims its claims are.
    pub(crate) name: String,
    child: Child,
}

impl Worker {
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn stop(&self) -> Result<()> {
        self.send(Signal::STOP)
    }

    pub(crate) fn go_on(&self) -> Result<()> {
        self.send(Signal::CONT)
    }

    fn send(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("not a process id")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What starts workers over one shop.
pub(crate) struct Workshop {
    lambda: Lambda,
    settings: BTreeMap<&'static str, String>,
    /// Of what they write.
    folder: TempDir,
}

impl Workshop {
    pub(crate) async fn of(shop: &Shop) -> Result<Self> {
        let mut settings = settings(&shop.database, &shop.stripe)?;
        settings.extend(email_settings(&shop.resend));
        Ok(Self { lambda: Lambda::start().await?, settings, folder: tempfile::tempdir()? })
    }

    /// Starts a process under this name, and waits until it is at work.
    pub(crate) async fn start(&self, name: String) -> Result<Worker> {
        let (api, has_begun) = self.lambda.expect(&name);
        let output = self.folder.path().join(&name);
        let stdout = File::create(&output)?;
        let child = Command::new(paths::programs().join("run_jobs"))
            .env_clear()
            .envs(&self.settings)
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .env("AWS_LAMBDA_FUNCTION_NAME", "run_jobs")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/run_jobs")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .stdin(Stdio::null())
            .stderr(stdout.try_clone()?)
            .stdout(stdout)
            .spawn()
            .context("cannot start run_jobs; is it built?")?;
        let worker = Worker { name, child };
        let written = || std::fs::read_to_string(&output).unwrap_or_default();
        timeout(START, has_begun).await.with_context(written)?.with_context(written)?;
        Ok(worker)
    }
}
