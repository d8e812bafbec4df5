//! Servers that refuse to run as root run as the `postgres` user.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use rustix::process::geteuid;

/// The user that servers run as, when it is not the one who started us.
#[derive(Clone, Copy)]
pub(crate) struct SystemUser {
    ids: Option<(u32, u32)>,
}

impl SystemUser {
    /// The `postgres` user when we are root, else whoever we are.
    pub(crate) fn for_servers() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { ids: None });
        }
        let users = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let ids = users.lines().find_map(|line| ids_of(line, "postgres"));
        let ids = ids.ok_or_else(|| anyhow!("there is no user `postgres` to run servers as"))?;
        Ok(Self { ids: Some(ids) })
    }

    /// A command that runs as this user.
    pub(crate) fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
        command
    }

    /// Gives a file or folder to this user.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.ids else { return Ok(()) };
        chown(path, Some(user), Some(group))
            .with_context(|| format!("cannot give {} to the servers' user", path.display()))
    }
}

/// User and group id in a line of passwd(5), if it is the user's.
fn ids_of(line: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = line.split(':');
    if fields.next() != Some(name) {
        return None;
    }
    let user = fields.nth(1)?.parse().ok()?;
    Some((user, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::ids_of;

    #[test]
    fn ids_are_read_from_the_line_of_the_user_alone() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(ids_of(line, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(line, "post"), None);
    }
}
