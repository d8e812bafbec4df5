//! Taking the cluster away from its clients, and giving it back.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::Postgres;

/// A cluster that neither answers nor refuses, as behind a dead network; it goes on when this is dropped.
pub struct Frozen {
    processes: Vec<Pid>,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.processes {
            // One that ended meanwhile needs no waking.
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

impl Postgres {
    /// Stops the server; its clients lose their connections, and new ones are refused.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Starts the server again at the same address, over the same data.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop();
        self.serve().await
    }

    /// Freezes every process of the server. Connections stay, and the system still accepts new ones.
    pub fn freeze(&self) -> Result<Frozen> {
        let server = self.daemon.as_ref().context("the server is stopped")?.pid();
        // The server first: frozen, it starts no further children. Each of them is in a process group of its own.
        let mut frozen = Frozen { processes: Vec::new() };
        frozen.add(server)?;
        for child in children(server)? {
            frozen.add(child)?;
        }
        Ok(frozen)
    }
}

impl Frozen {
    fn add(&mut self, pid: u32) -> Result<()> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")?;
        kill_process(pid, Signal::STOP)?;
        self.processes.push(pid);
        Ok(())
    }
}

/// The children of a process, as the system lists them.
fn children(pid: u32) -> Result<Vec<u32>> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(list.split_whitespace().filter_map(|child| child.parse().ok()).collect())
}
