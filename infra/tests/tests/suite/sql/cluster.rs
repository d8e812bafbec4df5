//! A cluster of a test's own: roles belong to the whole cluster, so what makes or misses them would be felt by every other
//! test.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};
use stack::backup::Address;
use stack::{Login, Postgres, PostgresPrograms, Run, migrations};
use tokio::process::Command;

/// A cluster without our roles, and the programs to look at it with.
pub(super) struct Cluster {
    pub(super) postgres: Postgres,
    programs: PostgresPrograms,
}

impl Cluster {
    pub(super) async fn start() -> Result<Self> {
        let programs = stack::tools::postgres().await?;
        let postgres = Postgres::start(&Run::start()?, &programs, None).await?;
        Ok(Self { postgres, programs })
    }

    /// Makes a database that is owned by who will migrate it.
    pub(super) async fn database(&self, name: &str) -> Result<()> {
        self.postgres.create_database(name).await
    }

    /// Where the owner finds a database.
    pub(super) fn address(&self, database: &str) -> Address {
        let Postgres { endpoint, owner, .. } = &self.postgres;
        Address { url: endpoint.url(owner, database), authority: Some(endpoint.authority.clone()) }
    }

    /// A connection of the owner, over which migrations run.
    pub(super) async fn owner(&self, database: &str) -> Result<migrations::Connection> {
        let Postgres { endpoint, owner, .. } = &self.postgres;
        migrations::connect(&endpoint.url(owner, database), Some(&endpoint.authority)).await
    }

    /// Runs SQL as the superuser and returns what it prints: a line per row.
    pub(super) async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
        self.run("psql", &self.postgres.admin, database, &[&arguments[..], &["--command", sql]].concat())
            .await
    }

    /// The schema as SQL, without the list of migrations that were run.
    pub(super) async fn dump(&self, database: &str) -> Result<String> {
        let arguments = ["--schema-only", "--exclude-table=public._sqlx_migrations"];
        let dump = self.run("pg_dump", &self.postgres.admin, database, &arguments).await?;
        // Newer releases write a random key around the dump.
        Ok(dump.lines().filter(|line| !line.starts_with('\\')).map(|line| format!("{line}\n")).collect())
    }

    async fn run(&self, program: &str, login: &Login, database: &str, arguments: &[&str]) -> Result<String> {
        let url = self.postgres.endpoint.url(login, database);
        let program: &Path = &self.programs.program(program);
        let output = Command::new(program).args(arguments).arg(url).output().await?;
        ensure!(
            output.status.success(),
            "{}: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}

/// The lines that only one of two dumps has, since the whole of both is too much to read.
pub(super) fn ensure_same(found: &str, wanted: &str, what: &str) -> Result<()> {
    let lines = |dump: &str| dump.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let differences: Vec<_> = lines(found).symmetric_difference(&lines(wanted)).cloned().collect();
    ensure!(found == wanted, "{what}:\n{}", differences.join("\n"));
    Ok(())
}

/// What Supabase has in a database before anything of ours comes: roles, a schema, and grants on whatever will be made.
pub(super) const SUPABASE: &str = "
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create schema auth;
create table auth.users (id uuid primary key);
create function auth.uid() returns uuid language sql stable as
    $$ select (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid $$;
grant usage on schema public, auth to anon, authenticated, service_role;
alter default privileges for role kitloop_owner in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role kitloop_owner in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges for role kitloop_owner in schema public
    grant all on sequences to anon, authenticated, service_role;";
