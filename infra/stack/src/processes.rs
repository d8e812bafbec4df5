//! The functions' processes: several of each, started again when one dies.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;

use crate::daemon::Daemon;
use crate::paths;
use crate::run::Run;
use crate::runtime::Runtime;
use crate::template::TemplateFunction;

/// How often dead processes are looked for; also the least time between two starts of one that dies at once.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Running processes of all functions; they stop when this is dropped.
pub(crate) struct Processes {
    slots: Arc<Mutex<Vec<Slot>>>,
    watcher: JoinHandle<()>,
}

/// One process that is to be running.
struct Slot {
    run: Run,
    function: String,
    environment: HashMap<String, String>,
    log: PathBuf,
    daemon: Daemon,
}

impl Processes {
    /// Starts `count` processes of each function.
    pub(crate) fn start(
        run: &Run,
        runtime: &Runtime,
        functions: &[TemplateFunction],
        settings: &HashMap<String, String>,
        count: usize,
    ) -> Result<Self> {
        let logs = paths::logs();
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let mut slots = Vec::new();
        for function in functions {
            let log = logs.join(format!("{}.log", function.name));
            fs::write(&log, "")?;
            let environment = environment(runtime, function, settings);
            for _ in 0..count {
                slots.push(Slot::start(run, &function.name, &environment, &log)?);
            }
        }
        let slots = Arc::new(Mutex::new(slots));
        let watcher = tokio::spawn(watch(Arc::clone(&slots)));
        Ok(Self { slots, watcher })
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.watcher.abort();
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Slot {
    fn start(run: &Run, function: &str, environment: &HashMap<String, String>, log: &Path) -> Result<Self> {
        let daemon = start_process(run, function, environment, log)?;
        Ok(Self {
            run: run.clone(),
            function: function.to_owned(),
            environment: environment.clone(),
            log: log.to_owned(),
            daemon,
        })
    }

    fn revive(&mut self) -> Result<()> {
        if let Some(status) = self.daemon.ended()? {
            eprintln!(
                "  {} ended ({status}) and is started again; see {}",
                self.function,
                self.log.display()
            );
            self.daemon = start_process(&self.run, &self.function, &self.environment, &self.log)?;
        }
        Ok(())
    }
}

fn start_process(
    run: &Run,
    function: &str,
    environment: &HashMap<String, String>,
    log: &Path,
) -> Result<Daemon> {
    let mut command = Command::new(paths::programs().join(function));
    // Nothing but these settings: what the developer happens to have set must not matter.
    command.env_clear().envs(environment).current_dir(run.folder());
    Daemon::start(run, function, &mut command, log)
}

/// The settings, and what Lambda adds to them.
fn environment(
    runtime: &Runtime,
    function: &TemplateFunction,
    settings: &HashMap<String, String>,
) -> HashMap<String, String> {
    let name = &function.name;
    let mut environment = settings.clone();
    environment.extend([
        ("AWS_LAMBDA_RUNTIME_API".to_owned(), runtime.api(name)),
        ("AWS_LAMBDA_FUNCTION_NAME".to_owned(), name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION".to_owned(), "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(), "256".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME".to_owned(), format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME".to_owned(), "local".to_owned()),
        ("FUNCTION_TIMEOUT_SECONDS".to_owned(), function.timeout.as_secs().to_string()),
    ]);
    environment
}

async fn watch(slots: Arc<Mutex<Vec<Slot>>>) {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    loop {
        ticks.tick().await;
        for slot in slots.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if let Err(error) = slot.revive() {
                eprintln!("  {} cannot be started again: {error:#}", slot.function);
            }
        }
    }
}
