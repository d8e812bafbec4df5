//! A terminal in which an operator types: what one block of commands sets, the next one finds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stack::paths;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::runbook::Block;

/// No block takes longer, unless it hangs: what clocks start may last five minutes.
const PATIENCE: Duration = Duration::from_secs(400);
/// Runs the commands in file 2 as one goes on in a terminal, whose variables, functions and options are kept in file 1.
/// As in a terminal, a command that fails does not keep the next one from running; here it is not forgotten.
const ONE_BLOCK: &str = r#"
    if [[ -e $1 ]]; then . "$1"; fi
    set -a
    failure=0
    trap 'failure=$?' ERR
    . "$2"
    trap - ERR
    { export -p; declare -f; set +o; } >"$1"
    exit "$failure"
"#;

/// The operator's terminal.
pub(super) struct Terminal {
    folder: PathBuf,
    environment: BTreeMap<String, OsString>,
}

impl Terminal {
    /// One at the top of the repository; it keeps its state in `folder`, which is there.
    pub(super) const fn open(folder: PathBuf, environment: BTreeMap<String, OsString>) -> Self {
        Self { folder, environment }
    }

    /// A file that the operator writes.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Sets a variable, as the operator does who reads what the next block needs.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<()> {
        let mut state = OpenOptions::new().create(true).append(true).open(self.state())?;
        Ok(writeln!(state, "export {name}='{}'", value.replace('\'', r"'\''"))?)
    }

    /// Runs a block, of which every command must succeed, with `typed` as its standard input; returns what it printed.
    ///
    /// # Errors
    /// When a command fails, when the block hangs, or when it does not print what the runbook says.
    pub(super) async fn run(&self, block: &Block, typed: &str) -> Result<String> {
        let script = self.file("block.sh");
        fs::write(&script, &block.script)?;
        let mut bash = Command::new("bash");
        // A profile or an endpoint of the developer's would lead to another account.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            bash.env_remove(name);
        }
        bash.args(["--noprofile", "--norc", "-c", ONE_BLOCK, "bash"])
            .arg(self.state())
            .arg(&script)
            .envs(&self.environment)
            .current_dir(paths::root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = bash.spawn().context("cannot run bash")?;
        let mut input = child.stdin.take().context("bash has no input")?;
        // A block that reads nothing may have ended before this is written.
        let _ = input.write_all(typed.as_bytes()).await;
        drop(input);
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{} hangs", block.name))??;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("{} failed ({}):\n{printed}{complaints}", block.name, output.status);
        }
        if let Some(line) = block.missing_in(&printed) {
            bail!("{} does not print `{line}`, but:\n{printed}{complaints}", block.name);
        }
        Ok(printed)
    }

    /// The variables and functions that are set.
    fn state(&self) -> PathBuf {
        self.file("state.sh")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(script: &str, printed: &[&str]) -> Block {
        let printed = printed.iter().map(|&line| line.to_owned()).collect();
        Block { name: "look".to_owned(), script: script.to_owned(), printed }
    }

    fn terminal(name: &str) -> Terminal {
        let folder = std::env::temp_dir().join(format!("kitloop-terminal-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Terminal::open(folder, BTreeMap::new())
    }

    #[tokio::test]
    async fn what_a_block_sets_the_next_one_finds() {
        let terminal = terminal("session");
        terminal.set("WHO", "Ada").unwrap();
        let first = block("greet() { echo \"$greeting, $WHO ${1:-}\"; }\ngreeting=Hello\n", &[]);
        terminal.run(&first, "").await.unwrap();
        assert_eq!(terminal.run(&block("greet Lovelace\n", &[]), "").await.unwrap(), "Hello, Ada Lovelace\n");
        terminal.set("WHO", "it's \"Grace\"").unwrap();
        assert_eq!(terminal.run(&block("greet\n", &[]), "").await.unwrap(), "Hello, it's \"Grace\" \n");
        let typed = block("read -rsp 'who? ' who\necho \"$who, $greeting\"\n", &["typed, …"]);
        assert_eq!(terminal.run(&typed, "typed\n").await.unwrap(), "typed, Hello\n");
        fs::remove_dir_all(&terminal.folder).unwrap();
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_with_what_it_said() {
        let terminal = terminal("failure");
        let in_a_loop = "for one in 1 2; do (exit $((2 - one))); done\n";
        for script in ["false\ntrue\n", "set -o pipefail\nfalse | true\n", "false | true\n", in_a_loop] {
            let error = terminal.run(&block(script, &[]), "").await.unwrap_err().to_string();
            assert!(error.starts_with("look failed (exit status: 1):\n"), "{script}: {error}");
        }
        let error = terminal.run(&block("echo said >&2; exit 3\n", &[]), "").await.unwrap_err();
        assert_eq!(error.to_string(), "look failed (exit status: 3):\nsaid\n");
        let error = terminal.run(&block("echo no\n", &["yes"]), "").await.unwrap_err();
        assert_eq!(error.to_string(), "look does not print `yes`, but:\nno\n");
        fs::remove_dir_all(&terminal.folder).unwrap();
    }
}
