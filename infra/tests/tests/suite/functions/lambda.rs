//! The functions' real programs, run as Lambda runs them: a runtime for each test, any number of processes of each
//! function, calls over HTTP.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stack::{Run, Runtime, http_client, paths, tools};
use test_support::{HttpCall, Reply, wait_until};

/// What a function finds in its environment.
pub(crate) type Settings = BTreeMap<&'static str, String>;

/// A Lambda of the test's own, so that tests can run side by side.
pub(crate) struct Lambda {
    runtime: Runtime,
    /// The folder of everything that is started here.
    pub(crate) run: Run,
}

impl Lambda {
    pub(crate) async fn start() -> Result<Self> {
        let run = Run::start()?;
        let runtime = Runtime::start(&run, &tools::emulators().await?.cargo_lambda, None).await?;
        Ok(Self { runtime, run })
    }

    /// Starts so many processes of a function, and waits until each of them asks for events.
    pub(crate) async fn run_function(
        &self,
        name: &str,
        count: usize,
        settings: &Settings,
    ) -> Result<Function> {
        let mut processes = Vec::new();
        for _ in 0..count {
            processes.push(self.spawn(name, settings)?);
        }
        let port = self.runtime.url.rsplit(':').next().context("the runtime has no port")?.parse()?;
        wait_until(&format!("{name} asks for events"), async || {
            processes.iter().try_fold(true, |all, process| Ok(all && is_connected(process.child.id(), port)?))
        })
        .await?;
        Ok(Function { address: self.address(name)?, processes })
    }

    /// Where a function is called, whether or not anything runs there.
    fn address(&self, name: &str) -> Result<Address> {
        let url = self.runtime.function_url(name).trim_end_matches('/').to_owned();
        Ok(Address { client: http_client()?, url, invocation_url: self.runtime.invocation_url(name) })
    }

    fn spawn(&self, name: &str, settings: &Settings) -> Result<Process> {
        let (_, output) = tempfile::Builder::new().prefix(name).tempfile_in(self.run.folder())?.keep()?;
        let stdout = File::options().append(true).open(&output)?;
        let child = Command::new(paths::programs().join(name))
            .env_clear()
            .envs(settings)
            .env("AWS_LAMBDA_RUNTIME_API", self.runtime.api(name))
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .stdin(Stdio::null())
            .stderr(stdout.try_clone()?)
            .stdout(stdout)
            .spawn()
            .with_context(|| format!("cannot start {name}; is it built?"))?;
        Ok(Process { child, output })
    }
}

/// A function with its processes, which end when this is dropped.
pub(crate) struct Function {
    /// Where it is called.
    pub(crate) address: Address,
    processes: Vec<Process>,
}

impl Function {
    /// Calls it over HTTP.
    pub(crate) async fn call(&self, call: &HttpCall) -> Result<Reply> {
        self.address.call(call).await
    }

    /// Everything its processes have written so far.
    pub(crate) fn output(&self) -> Result<String> {
        let outputs = self.processes.iter().map(|process| Ok(std::fs::read_to_string(&process.output)?));
        outputs.collect()
    }

    /// Kills it, as a machine that fails does: without a word, whatever is under way.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Stops its processes for so long, as Lambda does between invocations: the clock goes on.
    pub(crate) async fn freeze(&self, pause: Duration) -> Result<()> {
        let signal = |signal| self.processes.iter().try_for_each(|process| process.send(signal));
        signal(Signal::STOP)?;
        tokio::time::sleep(pause).await;
        signal(Signal::CONT)
    }

    /// Fails unless the same processes as at first are still running.
    pub(crate) fn assert_alive(&mut self) -> Result<()> {
        for process in &mut self.processes {
            let ended = process.child.try_wait()?;
            ensure!(ended.is_none(), "a process ended: {ended:?}");
        }
        Ok(())
    }
}

/// One process, and the file of what it writes.
struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    fn send(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("not a process id")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The test runner shows this for tests that fail.
        println!("{}", std::fs::read_to_string(&self.output).unwrap_or_default());
    }
}

/// Where a function is called: cheap to clone, for callers at the same time.
#[derive(Clone)]
pub(crate) struct Address {
    client: reqwest::Client,
    /// The function's URL, to which paths are added.
    pub(crate) url: String,
    invocation_url: String,
}

impl Address {
    /// Calls the function over HTTP.
    pub(crate) async fn call(&self, call: &HttpCall) -> Result<Reply> {
        let text = |pointer| call.event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let method: Method = text("/requestContext/http/method").parse()?;
        let url = format!("{}{}?{}", self.url, text("/rawPath"), text("/rawQueryString"));
        let mut request = self.client.request(method, url.trim_end_matches('?'));
        for (name, value) in call.event.get("headers").and_then(Value::as_object).into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        let response = request.body(text("/body").to_owned()).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).context(body)? };
        Ok(Reply { status, body, headers })
    }

    /// Sends the function an event that is not HTTP, as EventBridge does, and returns its answer.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Value> {
        Ok(self.client.post(&self.invocation_url).json(event).send().await?.json().await?)
    }
}

/// Whether the process has a connection to this local port, which for a function means that it asks for events.
fn is_connected(pid: u32, port: u16) -> Result<bool> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("net/tcp"))?;
    let remote = format!(":{port:04X}");
    // Fields of proc(5)'s net/tcp: number, local address, remote address, state, and as the tenth the socket's inode.
    let sockets = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_to_port = fields.get(2)?.ends_with(&remote) && *fields.get(3)? == ESTABLISHED;
        is_to_port.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
    });
    let sockets: Vec<String> = sockets.collect();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
    Ok(files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|link| sockets.iter().any(|socket| link == Path::new(socket))))
}
