//! Making and running the cluster.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection};

use super::{Endpoint, Login, PostgresPrograms};
use crate::certificates::Certificates;
use crate::command::run_to_end;
use crate::daemon::Daemon;
use crate::migrations;
use crate::net::port_or_free;
use crate::private_file::write_private;
use crate::run::Run;
use crate::secret::random_secret;
use crate::system_user::SystemUser;

/// Every test has its own database and its own connections to it.
const MAX_CONNECTIONS: u16 = 300;
/// One statement counts once for each database, and a run of all tests makes over a thousand of them.
/// With the default of 5,000 a test that counts statements would see its own forgotten.
const MAX_COUNTED_STATEMENTS: u32 = 500_000;

/// A running cluster with the roles `postgres` and `kitloop_owner`.
pub struct Postgres {
    /// Where it answers.
    pub endpoint: Endpoint,
    /// The superuser.
    pub admin: Login,
    /// The owner of databases and migrations: may make roles and databases, is no superuser.
    pub owner: Login,
    /// The login of the functions, let in by [`Postgres::migrate`].
    pub app: Login,
    /// What the server and the pooler show to their clients.
    pub(crate) certificates: Certificates,
    files: Files,
    /// The server, unless it was stopped.
    pub(super) daemon: Option<Daemon>,
}

/// What a server is started from, the first time and again.
struct Files {
    run: Run,
    program: PathBuf,
    data: PathBuf,
    user: SystemUser,
}

impl Postgres {
    /// Makes a cluster in the folder of the run and starts it, on a free port unless told which.
    pub async fn start(run: &Run, programs: &PostgresPrograms, port: Option<u16>) -> Result<Self> {
        let user = SystemUser::for_servers()?;
        let login = |role| Login { role, password: random_secret() };
        let (admin, owner, app) = (login("postgres"), login("kitloop_owner"), login("kitloop_app"));
        let certificates = Certificates::issue(&run.subfolder("tls")?, user)?;
        let data = initialise(run, programs, user, &admin).await?;
        let port = port_or_free(port)?;
        let socket = run.subfolder("socket")?;
        user.own(&socket)?;
        fs::write(data.join("pg_hba.conf"), HOST_BASED_ACCESS)?;
        let preload = programs.has_library("pg_stat_statements");
        let settings = settings(port, &socket, &certificates, preload);
        append(&data.join("postgresql.conf"), &settings)?;

        let files = Files { run: run.clone(), program: programs.program("postgres"), data, user };
        let endpoint = Endpoint { port, authority: certificates.authority.clone() };
        let mut postgres = Self { endpoint, admin, owner, app, certificates, files, daemon: None };
        postgres.serve().await?;
        postgres.create_owner().await?;
        Ok(postgres)
    }

    /// Starts the server over the data that are there, and waits until it answers.
    pub(super) async fn serve(&mut self) -> Result<()> {
        let Files { run, program, data, user } = &self.files;
        let mut command = user.command(program);
        command.arg("-D").arg(data).current_dir(run.folder());
        // SIGINT is PostgreSQL's fast shutdown, which does not wait for clients to leave.
        let mut daemon = Daemon::start(run, "postgres", &mut command, &run.folder().join("postgres.log"))?
            .stop_with(Signal::INT);
        let (endpoint, admin) = (&self.endpoint, &self.admin);
        daemon.ready_when(async || Ok(endpoint.connect(admin, "postgres").await?.close().await?)).await?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Makes a database that `kitloop_owner` owns.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let create = format!("create database {name} owner {}", self.owner.role);
        self.run_as_admin("postgres", &create).await
    }

    /// Runs the migrations as the owner and lets the role of the functions, which they make, log in.
    pub async fn migrate(&self, database: &str) -> Result<()> {
        let mut connection = self.endpoint.connect(&self.owner, database).await?;
        migrations::up(&mut connection).await?;
        connection.close().await?;
        self.let_functions_in().await
    }

    /// Gives the role of the functions, which the migrations made, its password.
    pub(crate) async fn let_functions_in(&self) -> Result<()> {
        let Login { role, password } = &self.app;
        self.run_as_admin("postgres", &format!("alter role {role} password '{password}'")).await
    }

    /// Runs statements that have no result as the superuser.
    pub(crate) async fn run_as_admin(&self, database: &str, statements: &str) -> Result<()> {
        let mut connection = self.endpoint.connect(&self.admin, database).await?;
        // The text is ours: the names and passwords in it are constants and hexadecimal digits.
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    async fn create_owner(&self) -> Result<()> {
        let Login { role, password } = &self.owner;
        let create = format!("create role {role} login createrole createdb password '{password}'");
        self.run_as_admin("postgres", &create).await
    }
}

/// Only passwords, and only over the loopback interface or the socket in our own folder.
const HOST_BASED_ACCESS: &str = "\
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
";

/// Runs initdb and returns the data folder.
async fn initialise(
    run: &Run,
    programs: &PostgresPrograms,
    user: SystemUser,
    admin: &Login,
) -> Result<PathBuf> {
    let data = run.subfolder("data")?;
    user.own(&data)?;
    let password_file = run.folder().join("admin_password");
    write_private(&password_file, &admin.password)?;
    user.own(&password_file)?;
    let mut command = user.command(programs.program("initdb"));
    command
        .args(["--no-sync", "--username", admin.role, "--encoding=UTF8", "--locale=C"])
        .args(["--auth=scram-sha-256", "--pwfile"])
        .arg(&password_file)
        .arg("--pgdata")
        .arg(&data)
        .current_dir(run.folder());
    run_to_end(command).await.context("cannot make a database cluster")?;
    fs::remove_file(&password_file)?;
    Ok(data)
}

fn settings(port: u16, socket: &Path, certificates: &Certificates, preload: bool) -> String {
    let preloaded = if preload { "pg_stat_statements" } else { "" };
    format!(
        "listen_addresses = '127.0.0.1'\n\
         port = {port}\n\
         unix_socket_directories = '{socket}'\n\
         max_connections = {MAX_CONNECTIONS}\n\
         shared_preload_libraries = '{preloaded}'\n\
         pg_stat_statements.max = {MAX_COUNTED_STATEMENTS}\n\
         timezone = 'UTC'\n\
         ssl = on\n\
         ssl_cert_file = '{certificate}'\n\
         ssl_key_file = '{key}'\n",
        socket = socket.display(),
        certificate = certificates.certificate.display(),
        key = certificates.key.display(),
    )
}

fn append(file: &Path, text: &str) -> Result<()> {
    let before = fs::read_to_string(file)?;
    fs::write(file, format!("{before}\n{text}")).with_context(|| format!("cannot write {}", file.display()))
}
