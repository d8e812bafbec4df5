//! Migrations up and down.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use stack::migrations::{self, MigrationState};
use test_support::TestDatabase;

use super::cluster::{Cluster, SUPABASE, ensure_same};

#[tokio::test]
async fn undoing_everything_leaves_what_was_there_before_and_running_it_again_makes_the_same() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    let empty = cluster.dump("shop").await?;
    let mut owner = cluster.owner("shop").await?;
    ensure!(migrations::up(&mut owner).await? > 0, "there are no migrations");
    let whole = cluster.dump("shop").await?;
    ensure!(whole != empty, "the migrations made nothing");
    migrations::down(&mut owner, Some(0)).await?;
    ensure_same(&cluster.dump("shop").await?, &empty, "left behind")?;
    migrations::up(&mut owner).await?;
    ensure_same(&cluster.dump("shop").await?, &whole, "made anew")
}

#[tokio::test]
async fn undoing_any_migration_leaves_what_was_before_it() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    let mut owner = cluster.owner("shop").await?;
    let versions: Vec<i64> = migrations::status(&mut owner).await?.iter().map(|it| it.version).collect();
    let (mut before, mut version_before) = (cluster.dump("shop").await?, 0);
    for version in versions {
        assert_eq!(migrations::up_to(&mut owner, Some(version)).await?, 1, "{version}");
        let after = cluster.dump("shop").await?;
        migrations::down(&mut owner, Some(version_before))
            .await
            .with_context(|| format!("down from {version}"))?;
        ensure_same(&cluster.dump("shop").await?, &before, &format!("left behind by {version}"))?;
        migrations::up_to(&mut owner, Some(version)).await.with_context(|| format!("{version} again"))?;
        ensure_same(&cluster.dump("shop").await?, &after, &format!("made anew by {version}"))?;
        (before, version_before) = (after, version);
    }
    Ok(())
}

#[tokio::test]
async fn two_who_migrate_one_database_at_once_take_turns() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    let (mut one, mut other) = (cluster.owner("shop").await?, cluster.owner("shop").await?);
    let all = migrations::status(&mut one).await?.len();
    let (by_one, by_other) = tokio::try_join!(migrations::up(&mut one), migrations::up(&mut other))?;
    assert_eq!([by_one.min(by_other), by_one.max(by_other)], [0, all]);
    tokio::try_join!(migrations::down(&mut one, Some(0)), migrations::down(&mut other, Some(0)))?;
    assert_eq!(migrations::up(&mut one).await?, all);
    Ok(())
}

/// The newest migration, as the migrator noted it.
const NEWEST: &str = "where version = (select max(version) from public._sqlx_migrations)";

#[tokio::test]
async fn a_migration_that_was_changed_after_it_ran_is_refused_by_its_name() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    let mut owner = cluster.owner("shop").await?;
    migrations::up(&mut owner).await?;
    let change = format!("update public._sqlx_migrations set checksum = 'another' {NEWEST}");
    cluster.sql("shop", &change).await?;
    let newest = migrations::status(&mut owner).await?.pop().context("there are no migrations")?;
    assert_eq!(newest.state, MigrationState::Changed);
    for refused in [migrations::up(&mut owner).await.err(), migrations::down(&mut owner, Some(0)).await.err()]
    {
        let message = format!("{:#}", refused.context("it ran")?);
        assert!(message.contains(&format!("migrations/{} was changed", newest.file())), "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_ahead_of_the_project_is_refused() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.database("shop").await?;
    let mut owner = cluster.owner("shop").await?;
    migrations::up(&mut owner).await?;
    let ahead = format!(
        "update public._sqlx_migrations set version = 99990101000000, description = 'ahead' {NEWEST}"
    );
    cluster.sql("shop", &ahead).await?;
    let states = migrations::status(&mut owner).await?.into_iter().rev().map(|it| it.state);
    assert_eq!(states.take(2).collect::<Vec<_>>(), [MigrationState::Missing, MigrationState::Pending]);
    let message = format!("{:#}", migrations::up(&mut owner).await.err().context("it ran")?);
    assert!(message.contains("99990101000000_ahead.up.sql, which is not in migrations/"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_transaction_pooler_is_refused() -> Result<()> {
    let database = TestDatabase::create().await?;
    let authority = PathBuf::from(std::env::var("KITLOOP_TEST_CA_FILE")?);
    let refused = migrations::connect(&database.pooler_url()?, Some(&authority)).await.err();
    let message = format!("{:#}", refused.context("it was let through")?);
    assert!(message.contains("transaction pooler"), "{message}");
    migrations::connect(&database.direct_url()?, Some(&authority)).await.map(drop)
}

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
