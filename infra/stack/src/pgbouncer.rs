//! PgBouncer in transaction mode in front of the cluster, strict about what does not survive it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{on_path, run_to_end};
use crate::daemon::Daemon;
use crate::net::port_or_free;
use crate::postgres::{Endpoint, Postgres};
use crate::private_file::write_private;
use crate::run::Run;
use crate::system_user::SystemUser;

/// A running pooler.
pub(crate) struct PgBouncer {
    /// Where it answers, under the same logins and database names as the cluster.
    pub endpoint: Endpoint,
    _daemon: Daemon,
}

impl PgBouncer {
    /// Where the program is, if it is installed.
    pub(crate) fn program() -> Option<PathBuf> {
        // Debian installs it with the daemons, which are not on every user's PATH.
        on_path("pgbouncer").or_else(|| Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|it| it.exists()))
    }

    /// Starts it in front of the cluster.
    pub(crate) async fn start(
        run: &Run,
        program: &Path,
        postgres: &Postgres,
        port: Option<u16>,
    ) -> Result<Self> {
        let user = SystemUser::for_servers()?;
        let folder = run.subfolder("pgbouncer")?;
        user.own(&folder)?;
        let port = port_or_free(port)?;
        let users = folder.join("users.txt");
        write_private(&users, &format!("\"{}\" \"{}\"\n", postgres.admin.role, postgres.admin.password))?;
        user.own(&users)?;
        let settings = folder.join("pgbouncer.ini");
        fs::write(
            &settings,
            self::settings(port, postgres, &users, tracks_prepared_statements(program).await?),
        )?;

        let mut command = user.command(program);
        command.arg("--quiet").arg(&settings).current_dir(&folder);
        let mut daemon = Daemon::start(run, "pgbouncer", &mut command, &run.folder().join("pgbouncer.log"))?;
        daemon.ready_at(port).await?;
        let endpoint = Endpoint { port, authority: postgres.endpoint.authority.clone() };
        Ok(Self { endpoint, _daemon: daemon })
    }
}

/// Who logs in is looked up in the cluster by `auth_user`, so that a password that changes there is known here at once.
fn settings(port: u16, postgres: &Postgres, users: &Path, tracks_prepared: bool) -> String {
    // Prepared statements are switched off where the pooler could carry them, so that code that needs them fails.
    let prepared = if tracks_prepared { "max_prepared_statements = 0\n" } else { "" };
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={server_port}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         pool_mode = transaction\n\
         auth_type = scram-sha-256\n\
         auth_file = {users}\n\
         auth_user = {admin}\n\
         default_pool_size = 20\n\
         max_client_conn = 2000\n\
         server_idle_timeout = 10\n\
         server_tls_sslmode = verify-full\n\
         server_tls_ca_file = {authority}\n\
         client_tls_sslmode = prefer\n\
         client_tls_key_file = {key}\n\
         client_tls_cert_file = {certificate}\n\
         {prepared}",
        server_port = postgres.endpoint.port,
        users = users.display(),
        admin = postgres.admin.role,
        authority = postgres.certificates.authority.display(),
        key = postgres.certificates.key.display(),
        certificate = postgres.certificates.certificate.display(),
    )
}

/// Whether this version knows `max_prepared_statements` (since 1.21) and would refuse to start without knowing it.
async fn tracks_prepared_statements(program: &Path) -> Result<bool> {
    let mut version = Command::new(program);
    version.arg("--version");
    let text = run_to_end(version).await?;
    Ok(minor_version(&text).is_some_and(|minor| minor >= 21))
}

/// The 21 of "PgBouncer 1.21.0".
fn minor_version(text: &str) -> Option<u32> {
    text.lines().next()?.split_whitespace().nth(1)?.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::minor_version;

    #[test]
    fn the_minor_version_is_read_from_the_first_line() {
        assert_eq!(minor_version("PgBouncer 1.18.0\nlibevent 2.1.12-stable"), Some(18));
        assert_eq!(minor_version("nonsense"), None);
    }
}
