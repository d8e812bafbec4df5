//! A server process that lives as long as the value that stands for it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::run::{MARKER, Run};
use crate::wait::wait_for;

/// How long a server may take to answer for the first time.
pub(crate) const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long a server may take to stop when asked, before it is killed.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A child process in a group of its own, stopped with its descendants on drop.
pub(crate) struct Daemon {
    name: String,
    child: Child,
    stop_signal: Signal,
    log: PathBuf,
}

impl Daemon {
    /// Starts the command, with its output appended to the log.
    pub(crate) fn start(run: &Run, name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .env(MARKER, run.folder())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        let daemon = Self { name: name.to_owned(), child, stop_signal: Signal::TERM, log: log.to_owned() };
        run.note(daemon.child.id())?;
        Ok(daemon)
    }

    /// Stops with this signal instead of SIGTERM.
    pub(crate) fn stop_with(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until `ready` says yes.
    ///
    /// # Errors
    /// When the process ends instead, with the end of its log; after a minute, with what `ready` said last.
    pub(crate) async fn ready_when(&mut self, ready: impl AsyncFnMut() -> Result<()>) -> Result<()> {
        let name = self.name.clone();
        wait_for(&name, START_DEADLINE, ready, || self.check_running()).await
    }

    /// Waits until it accepts connections at the port.
    pub(crate) async fn ready_at(&mut self, port: u16) -> Result<()> {
        self.ready_when(async || {
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            Ok(())
        })
        .await
    }

    fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended ({status}); its log ends:\n{}", self.name, tail(&self.log)?);
        }
        Ok(())
    }

    fn signal_group(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // The group may be gone already, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal_group(self.stop_signal);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < STOP_DEADLINE {
            std::thread::sleep(POLL_INTERVAL);
        }
        self.signal_group(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The last two kilobytes of a log.
fn tail(log: &Path) -> Result<String> {
    const LENGTH: u64 = 2048;
    let mut file = File::open(log)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(LENGTH)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
