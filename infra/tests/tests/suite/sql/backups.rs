//! Backups: of one moment, faithful, restored whole or not at all, into a database that works at once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kitloop::domain::ConfirmationAction;
use stack::backup::{self, Address, Existing, Manifest};
use stack::migrations;
use tempfile::TempDir;
use test_support::{Gear, Provider, TestDatabase, booking, reserve};
use uuid::Uuid;

use super::cluster::{Cluster, SUPABASE, ensure_same};
use super::shop::Shop;

/// A shop with bookings, money and receipts, and where its backup is to be.
struct Scene {
    shop: Shop,
    folder: TempDir,
}

impl Scene {
    async fn open() -> Result<Self> {
        let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
        shop.confirmed("pi_paid").await?;
        shop.hold().await?;
        shop.database.execute("insert into public.audit_logs (actor, action) values ('x', 'y')", &[]).await?;
        Ok(Self { shop, folder: tempfile::tempdir()? })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shop.dump")
    }

    async fn dump(&self) -> Result<Manifest> {
        backup::dump(&address(&self.shop.database)?, &self.file()).await
    }

    /// Changes what the manifest says.
    fn forge(&self, from: &str, to: &str) -> Result<()> {
        let path = Manifest::path(&self.file());
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains(from), "no {from} in {text}");
        Ok(fs::write(path, text.replacen(from, to, 1))?)
    }
}

/// Where the owner finds a database.
fn address(database: &TestDatabase) -> Result<Address> {
    let authority = PathBuf::from(std::env::var("KITLOOP_TEST_CA_FILE")?);
    Ok(Address { url: database.owner_url()?, authority: Some(authority) })
}

async fn refusal(file: &Path, target: &TestDatabase, existing: Existing) -> Result<String> {
    let outcome = backup::restore(file, &address(target)?, existing).await;
    Ok(format!("{:#}", outcome.err().context("it was restored")?))
}

#[tokio::test]
async fn a_restored_database_works_at_once_for_the_functions() -> Result<()> {
    let scene = Scene::open().await?;
    let manifest = scene.dump().await?;
    assert!(manifest.rows() > 10, "{manifest:?}");
    let database = TestDatabase::create().await?;
    backup::restore(&scene.file(), &address(&database)?, Existing::Refuse).await?;

    // The same shop, as the functions' role reaches it in the restored database.
    let shop = Shop { db: database.db()?, database, ..scene.shop };
    reserve(&shop.db, Uuid::new_v4(), &booking(shop.provider, shop.gear, 1)?).await?;
    let hold = shop.hold().await?;
    shop.answer(shop.staff, &hold, ConfirmationAction::Confirm, None).await?;
    let numbers = "select array_agg(number order by number) from public.orders";
    let numbers: Vec<i64> = shop.database.value(numbers, &[]).await?;
    assert_eq!(numbers, [1, 2], "deferred triggers write receipts, and go on where the numbers were");
    shop.database.assert_consistent().await?;

    for table in ["audit_logs", "orders"] {
        let change = shop.database.execute(&format!("delete from public.{table}"), &[]).await;
        assert!(format!("{:#}", change.err().context("it was changed")?).contains("db error"), "{table}");
    }
    let unrestricted = "select count(*) from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity";
    assert_eq!(shop.database.value::<i64>(unrestricted, &[]).await?, 0, "row level security is on");
    Ok(())
}

#[tokio::test]
async fn a_new_cluster_gets_the_same_schema_and_the_roles() -> Result<()> {
    let (from, to) = (Cluster::start().await?, Cluster::start().await?);
    for cluster in [&from, &to] {
        cluster.database("shop").await?;
    }
    migrations::up(&mut from.owner("shop").await?).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shop.dump");
    backup::dump(&from.address("shop"), &file).await?;
    backup::restore(&file, &to.address("shop"), Existing::Refuse).await?;
    ensure_same(&to.dump("shop").await?, &from.dump("shop").await?, "restored")?;
    let role = "select rolcanlogin, rolconfig from pg_roles where rolname = 'kitloop_app'";
    assert_eq!(to.sql("shop", role).await?, from.sql("shop", role).await?);
    assert_eq!(migrations::up(&mut to.owner("shop").await?).await?, 0, "there is nothing left to migrate");
    Ok(())
}

#[tokio::test]
async fn what_supabase_grants_by_default_does_not_open_what_is_restored() -> Result<()> {
    let cluster = Cluster::start().await?;
    for name in ["shop", "restored"] {
        cluster.database(name).await?;
    }
    migrations::up(&mut cluster.owner("shop").await?).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shop.dump");
    backup::dump(&cluster.address("shop"), &file).await?;
    let grants = SUPABASE.lines().filter(|line| !line.starts_with("create role")).collect::<Vec<_>>();
    cluster.sql("restored", &grants.join("\n")).await?;
    backup::restore(&file, &cluster.address("restored"), Existing::Refuse).await?;
    let granted = "select relname, a.grantee::regrole, a.privilege_type
        from pg_class cross join aclexplode(relacl) a
        where relnamespace = 'public'::regnamespace and a.grantee <> relowner order by 1, 2, 3";
    ensure_same(&cluster.sql("restored", granted).await?, &cluster.sql("shop", granted).await?, "grants")
}

#[tokio::test]
async fn data_are_replaced_only_by_force() -> Result<()> {
    let scene = Scene::open().await?;
    let database = &scene.shop.database;
    scene.dump().await?;
    let late = Provider::default().insert(database).await?;
    let providers = "select count(*) from public.providers";
    let message = refusal(&scene.file(), database, Existing::Refuse).await?;
    assert!(message.contains("holds data") && message.contains("--force"), "{message}");
    assert_eq!(database.value::<i64>(providers, &[]).await?, 2, "{late} is still there");

    backup::restore(&scene.file(), &address(database)?, Existing::Replace).await?;
    assert_eq!(database.value::<i64>(providers, &[]).await?, 1, "{late} came after the backup");
    scene.shop.hold().await?;
    Ok(())
}

#[tokio::test]
async fn a_restore_that_breaks_off_changes_nothing() -> Result<()> {
    let scene = Scene::open().await?;
    let database = &scene.shop.database;
    let manifest = scene.dump().await?;
    let whole = fs::read(scene.file())?;
    // The list at the beginning is whole, some of the data are not.
    let part = whole.get(..whole.len() - 1_000).context("a small dump")?;
    fs::write(scene.file(), part)?;
    let message = refusal(&scene.file(), database, Existing::Replace).await?;
    assert!(message.contains("is damaged"), "{message}");

    scene.forge(&manifest.dump_sha256, &kitloop::digest::sha256_hex(part))?;
    let late = Provider::default().insert(database).await?;
    let message = refusal(&scene.file(), database, Existing::Replace).await?;
    assert!(message.contains("the backup cannot be read"), "{message}");
    let kept = "select exists (select from public.providers where id = $1)";
    assert!(database.value::<bool>(kept, &[&late]).await?);
    Ok(())
}

#[tokio::test]
async fn a_statement_that_fails_is_told_and_changes_nothing() -> Result<()> {
    let scene = Scene::open().await?;
    scene.dump().await?;
    let database = TestDatabase::create().await?;
    // Somebody else's, in the way of ours.
    database
        .admin
        .batch_execute("drop table public.worker_heartbeats; create table public.worker_heartbeats ()")
        .await?;
    let message = refusal(&scene.file(), &database, Existing::Refuse).await?;
    assert!(message.contains("nothing was changed") && message.contains("worker_heartbeats"), "{message}");
    assert_eq!(database.value::<i64>("select count(*) from public.providers", &[]).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_backup_is_of_one_moment_whatever_is_written_meanwhile() -> Result<()> {
    let scene = Scene::open().await?;
    let session = scene.shop.database.session().await?;
    let insert = "insert into public.audit_logs (actor, action) values ('x', 'y')";
    let writing = async {
        loop {
            session.execute(insert, &[]).await?;
        }
    };
    tokio::select! {
        failed = writing => return failed,
        dumped = scene.dump() => drop(dumped?),
    }
    let database = TestDatabase::create().await?;
    backup::restore(&scene.file(), &address(&database)?, Existing::Refuse).await.map(drop)
}

#[tokio::test]
async fn verifying_finds_rows_that_differ_and_promises_that_are_broken() -> Result<()> {
    let scene = Scene::open().await?;
    let manifest = scene.dump().await?;
    backup::verify(&scene.file()).await?;

    let checksum = &manifest.tables.get("public.payments").context("no payments")?.checksum;
    scene.forge(checksum, "1")?;
    let message = format!("{:#}", backup::verify(&scene.file()).await.err().context("it was found good")?);
    assert!(message.contains("public.payments has other contents in its 1 rows"), "{message}");

    let plant = "begin; set local session_replication_role = replica;
        update public.payments set captured_minor = captured_minor + 1; commit";
    scene.shop.database.admin.batch_execute(plant).await?;
    let broken = scene.folder.path().join("broken.dump");
    backup::dump(&address(&scene.shop.database)?, &broken).await?;
    let message = format!("{:#}", backup::verify(&broken).await.err().context("it was found good")?);
    assert!(message.contains("break promises") && message.contains("wrong_receipt"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_backup_is_private_and_never_written_over() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::open().await?;
    scene.dump().await?;
    for path in [scene.file(), Manifest::path(&scene.file())] {
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let message = format!("{:#}", scene.dump().await.err().context("it was written over")?);
    assert!(message.contains("is there already"), "{message}");
    assert_eq!(fs::read_dir(scene.folder.path())?.count(), 2, "nothing else is left behind");
    Ok(())
}

#[tokio::test]
async fn no_password_shows_when_the_database_is_away() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let away = Address { url: test_support::database_away().1, authority: None };
    let outcome = backup::dump(&away, &folder.path().join("shop.dump")).await;
    let message = format!("{:?}", outcome.err().context("it was dumped")?);
    assert!(message.contains("cannot connect") && !message.contains("hunter2"), "{message}");
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}
