//! One run of the stack: its private folder, and the list of its processes that the next run can clean up by.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::daemon::STOP_DEADLINE;
use crate::paths;

/// Every process of a run carries its folder in this environment variable: that is how we know them for ours.
pub(crate) const MARKER: &str = "KITLOOP_STACK_RUN";

/// A run of the stack. Its folder and its list go when the last clone is dropped.
#[derive(Clone)]
pub struct Run(Arc<Inner>);

struct Inner {
    folder: TempDir,
    list: PathBuf,
    file: Mutex<File>,
}

impl Run {
    /// Removes what dead runs left behind and starts a new one.
    pub fn start() -> Result<Self> {
        let lists = paths::local().join("runs");
        fs::create_dir_all(&lists).with_context(|| format!("cannot make {}", lists.display()))?;
        sweep(&lists)?;
        let folder = tempfile::Builder::new().prefix("kitloop-").tempdir()?;
        // Servers that refuse to run as root run as another user, who has to get in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let own = std::process::id();
        let list = lists.join(format!("{own}.pids"));
        let mut file = File::create(&list)?;
        writeln!(file, "{}", folder.path().display())?;
        writeln!(file, "{own} {}", start_time(own).unwrap_or_default())?;
        Ok(Self(Arc::new(Inner { folder, list, file: Mutex::new(file) })))
    }

    /// The private folder of the run, which other users may traverse.
    pub fn folder(&self) -> &Path {
        self.0.folder.path()
    }

    /// Makes a folder inside the private folder.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder().join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// Notes a child process, for the run after this one if this one dies.
    pub(crate) fn note(&self, pid: u32) -> Result<()> {
        let mut file = self.0.file.lock().map_err(|_| anyhow!("the list of processes is poisoned"))?;
        writeln!(file, "{pid}")?;
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A list that stays behind is harmless: the next run finds its processes gone.
        let _ = fs::remove_file(&self.list);
    }
}

/// Ends the processes of runs whose owner is gone, and removes their folders.
fn sweep(lists: &Path) -> Result<()> {
    for entry in fs::read_dir(lists)? {
        let list = entry?.path();
        // Another run may have ended, or swept it up, since the folder was read.
        let Ok(text) = fs::read_to_string(&list) else { continue };
        let mut lines = text.lines();
        let (Some(folder), Some(owner)) = (lines.next(), lines.next()) else { continue };
        if is_alive(owner) {
            continue;
        }
        end_all(&lines.filter_map(|line| line.parse().ok()).collect::<Vec<i32>>(), folder);
        let folder = Path::new(folder);
        if folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kitloop-")) {
            let _ = fs::remove_dir_all(folder);
        }
        let _ = fs::remove_file(&list);
    }
    Ok(())
}

/// Asks the processes of the run with this folder to stop, and kills what does not.
fn end_all(pids: &[i32], folder: &str) {
    let running = || pids.iter().copied().filter(|pid| is_ours(*pid, folder)).filter_map(Pid::from_raw);
    for pid in running() {
        // It may end on its own meanwhile, which is what is wanted.
        let _ = kill_process_group(pid, Signal::TERM);
    }
    let asked = Instant::now();
    while running().next().is_some() && asked.elapsed() < STOP_DEADLINE {
        std::thread::sleep(Duration::from_millis(20));
    }
    for pid in running() {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Whether the process of an `owner` line ("pid start-time") still runs: a pid alone may belong to another by now.
fn is_alive(owner: &str) -> bool {
    let Some((pid, started)) = owner.split_once(' ') else { return false };
    pid.parse().ok().and_then(start_time).is_some_and(|time| time == started)
}

/// Whether the process carries the marker of the run with this folder.
fn is_ours(pid: i32, folder: &str) -> bool {
    let marker = format!("{MARKER}={folder}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes()))
}

/// When a process started, in clock ticks since boot, unless it has ended and only waits to be collected: fields 22
/// and 3 of proc(5)'s stat, counted after the command's name, which may hold anything.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    fields.nth(18).filter(|_| state != "Z").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn this_process_is_alive_and_one_that_reused_a_pid_is_not() {
        let own = std::process::id();
        let owner = format!("{own} {}", start_time(own).unwrap());
        assert!(is_alive(&owner));
        assert!(!is_alive(&format!("{own} 1")));
    }

    /// A run with one process, whose list names this owner.
    fn run_of(owner: &str) -> (TempDir, TempDir, std::process::Child) {
        let (lists, folder) =
            (tempfile::tempdir().unwrap(), tempfile::Builder::new().prefix("kitloop-").tempdir());
        let folder = folder.unwrap();
        let child =
            Command::new("sleep").arg("600").env(MARKER, folder.path()).process_group(0).spawn().unwrap();
        // The system shows a process's environment only a moment after it has been started.
        let started = Instant::now();
        while !is_ours(child.id() as i32, folder.path().to_str().unwrap()) {
            assert!(started.elapsed() < Duration::from_secs(10), "the process shows no environment");
            std::thread::yield_now();
        }
        let list = format!("{}\n{owner}\n{}\n", folder.path().display(), child.id());
        fs::write(lists.path().join("1.pids"), list).unwrap();
        (lists, folder, child)
    }

    #[test]
    fn what_a_dead_run_left_behind_is_ended_and_removed() {
        let (lists, folder, mut child) = run_of("1 never");
        sweep(lists.path()).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(!folder.path().exists());
        assert_eq!(fs::read_dir(lists.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_that_still_runs_is_left_alone() {
        let own = std::process::id();
        let (lists, folder, mut child) = run_of(&format!("{own} {}", start_time(own).unwrap()));
        sweep(lists.path()).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        assert!(folder.path().exists());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_without_the_marker_is_not_ours() {
        assert!(!is_ours(std::process::id() as i32, "/tmp/kitloop-elsewhere"));
    }
}
