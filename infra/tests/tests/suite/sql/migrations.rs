//! Migrations up and down, in clusters of their own: roles belong to the whole cluster, so undoing there would be felt
//! by every other test.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use stack::{Login, Postgres, PostgresPrograms, Run, migrations};
use tokio::process::Command;

/// A cluster without our roles, and the programs to look at it with.
struct Cluster {
    postgres: Postgres,
    programs: PostgresPrograms,
}

impl Cluster {
    async fn start() -> Result<Self> {
        let programs = stack::tools::postgres().await?;
        let postgres = Postgres::start(&Run::start()?, &programs, None).await?;
        Ok(Self { postgres, programs })
    }

    /// Makes a database that is owned by who will migrate it.
    async fn database(&self, name: &str) -> Result<()> {
        self.postgres.create_database(name).await
    }

    /// A connection of the owner, over which migrations run.
    async fn owner(&self, database: &str) -> Result<migrations::Connection> {
        let Postgres { endpoint, owner, .. } = &self.postgres;
        migrations::connect(&endpoint.url(owner, database), Some(&endpoint.authority)).await
    }

    /// Runs SQL as the superuser and returns what it prints: a line per row.
    async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
        self.run("psql", &self.postgres.admin, database, &[&arguments[..], &["--command", sql]].concat())
            .await
    }

    /// The schema as SQL, without the list of migrations that were run.
    async fn dump(&self, database: &str) -> Result<String> {
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
fn ensure_same(found: &str, wanted: &str, what: &str) -> Result<()> {
    let lines = |dump: &str| dump.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let differences: Vec<_> = lines(found).symmetric_difference(&lines(wanted)).cloned().collect();
    ensure!(found == wanted, "{what}:\n{}", differences.join("\n"));
    Ok(())
}

#[tokio::test]
async fn undoing_everything_leaves_what_was_there_before() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    let empty = cluster.dump("shop").await?;
    let mut owner = cluster.owner("shop").await?;
    ensure!(migrations::up(&mut owner).await? > 0, "there are no migrations");
    ensure!(cluster.dump("shop").await? != empty, "the migrations made nothing");
    migrations::down(&mut owner, Some(0)).await?;
    ensure_same(&cluster.dump("shop").await?, &empty, "left behind")
}

#[tokio::test]
async fn undoing_down_to_any_version_and_running_again_makes_the_same_schema() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    let mut owner = cluster.owner("shop").await?;
    migrations::up(&mut owner).await?;
    let whole = cluster.dump("shop").await?;
    let versions: Vec<i64> = migrations::status(&mut owner).await?.iter().map(|it| it.version).collect();
    for version in versions.into_iter().rev().skip(1).chain([0]) {
        migrations::down(&mut owner, Some(version)).await.with_context(|| format!("down to {version}"))?;
        migrations::up(&mut owner).await.with_context(|| format!("up again from {version}"))?;
        ensure_same(&cluster.dump("shop").await?, &whole, &format!("after {version}"))?;
    }
    Ok(())
}

/// What Supabase has in a database before anything of ours comes: roles, a schema, and grants on whatever will be made.
const SUPABASE: &str = "
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

#[tokio::test]
async fn migrations_run_beside_what_supabase_has_and_leave_it_alone() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    cluster.sql("shop", SUPABASE).await?;
    let before = cluster.dump("shop").await?;
    let mut owner = cluster.owner("shop").await?;
    migrations::up(&mut owner).await?;

    let writable = "select r.rolname || ' ' || c.relname from pg_class c, pg_roles r
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and r.rolname in ('anon', 'authenticated')
            and c.relname <> '_sqlx_migrations'
            and has_table_privilege(r.oid, c.oid, 'insert, update, delete, truncate, references, trigger')";
    assert_eq!(cluster.sql("shop", writable).await?, "", "its grants do not open our tables");
    let open = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
        and not relrowsecurity";
    assert_eq!(cluster.sql("shop", open).await?, "", "nor the list of migrations");
    let bypass = "select rolbypassrls from pg_roles where rolname = 'service_role'";
    assert_eq!(cluster.sql("shop", bypass).await?, "t", "its roles are kept as they are");

    migrations::down(&mut owner, Some(0)).await?;
    ensure_same(&cluster.dump("shop").await?, &before, "left behind or taken away")
}

#[tokio::test]
async fn databases_of_one_cluster_may_migrate_at_once() -> Result<()> {
    let cluster = Cluster::start().await?;
    let names = ["one", "two", "three"];
    for name in names {
        cluster.database(name).await?;
    }
    let [mut one, mut two, mut three] =
        [cluster.owner(names[0]).await?, cluster.owner(names[1]).await?, cluster.owner(names[2]).await?];
    tokio::try_join!(migrations::up(&mut one), migrations::up(&mut two), migrations::up(&mut three))?;
    let whole = cluster.dump("one").await?;
    for name in names {
        ensure_same(&cluster.dump(name).await?, &whole, name)?;
    }
    Ok(())
}

#[tokio::test]
async fn undoing_in_one_database_does_not_disarm_another() -> Result<()> {
    let cluster = Cluster::start().await?;
    let settings = "select unnest(setconfig) from pg_db_role_setting where setrole = 'kitloop_app'::regrole";
    for name in ["kept", "undone"] {
        cluster.database(name).await?;
        migrations::up(&mut cluster.owner(name).await?).await?;
    }
    let before = cluster.sql("kept", settings).await?;
    ensure!(before.contains("lock_timeout"), "no timeouts: {before}");
    migrations::down(&mut cluster.owner("undone").await?, Some(0)).await?;
    assert_eq!(cluster.sql("kept", settings).await?, before);
    Ok(())
}
