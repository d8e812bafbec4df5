//! A database of its own for each test, copied from a migrated template.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kitloop::config::{Config, Needs};
use kitloop::db::Db;
use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// A migrated, empty database, and a superuser's connection to it for looking and for moving time.
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// The superuser's connection.
    pub admin: Client,
}

/// Where `cargo xtask test` says that something is.
pub(crate) fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set; run the tests with `cargo xtask test`"))
}

impl TestDatabase {
    /// Makes one. It goes with its cluster, when the run ends.
    ///
    /// # Errors
    /// If the cluster is not there.
    pub async fn create() -> Result<Self> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let admin_url = variable("KITLOOP_TEST_ADMIN_URL")?;
        let authority = authority()?;
        let cluster = connect(&admin_url, &authority).await?;
        let sql = format!("create database {name} template kitloop_template owner kitloop_owner");
        cluster.batch_execute(&sql).await.context("cannot copy the template database")?;
        let server = admin_url.trim_end_matches("/postgres");
        Ok(Self { admin: connect(&format!("{server}/{name}"), &authority).await?, name })
    }

    /// A migrated database of a cluster of the test's own: the superuser's URL, and the authority of its certificate.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn of_own_cluster(admin_url: &str, authority: &Path) -> Result<Self> {
        let (_, name) = admin_url.rsplit_once('/').context("no database in the URL")?;
        Ok(Self { admin: connect(admin_url, authority).await?, name: name.to_owned() })
    }

    /// One more connection of the superuser's, for what has to happen at the same time.
    ///
    /// # Errors
    /// If the cluster is not there.
    pub async fn session(&self) -> Result<Client> {
        let admin_url = variable("KITLOOP_TEST_ADMIN_URL")?;
        connect(&format!("{}/{}", admin_url.trim_end_matches("/postgres"), self.name), &authority()?).await
    }

    /// The URL of the functions' login role: directly, or through PgBouncer when `KITLOOP_TEST_VIA` says so.
    ///
    /// # Errors
    /// If the environment does not say where.
    pub fn url(&self) -> Result<String> {
        let is_pooled = env::var("KITLOOP_TEST_VIA").is_ok_and(|via| via == "pooler");
        if is_pooled { self.pooler_url() } else { self.direct_url() }
    }

    /// The URL of the functions' login role without a pooler, whatever the run is about.
    ///
    /// # Errors
    /// If the environment does not say where.
    pub fn direct_url(&self) -> Result<String> {
        Ok(variable("KITLOOP_TEST_APP_URL")?.replace("{database}", &self.name))
    }

    /// The URL of the functions' login role through PgBouncer, whatever the run is about.
    ///
    /// # Errors
    /// If the environment does not say where.
    pub fn pooler_url(&self) -> Result<String> {
        Ok(variable("KITLOOP_TEST_POOLER_URL")?.replace("{database}", &self.name))
    }

    /// The URL of the owner of tables and functions, who runs migrations.
    ///
    /// # Errors
    /// If the environment does not say where.
    pub fn owner_url(&self) -> Result<String> {
        Ok(variable("KITLOOP_TEST_OWNER_URL")?.replace("{database}", &self.name))
    }

    /// One more connection of the functions' role, as one more sandbox has it.
    ///
    /// # Errors
    /// If the environment does not say where.
    pub fn db(&self) -> Result<Db> {
        let (url, authority) = (self.url()?, authority()?.display().to_string());
        let setting = |name: &str| match name {
            "DATABASE_URL" => Some(url.clone()),
            "DATABASE_CA_FILE" => Some(authority.clone()),
            _ => None,
        };
        let config = Config::from_lookup(Needs::DATABASE, &setting)?;
        Ok(Db::new(&config.database.context("no database")?)?)
    }

    /// The one value that a query of the superuser's finds.
    ///
    /// # Errors
    /// If it fails or finds no row.
    pub async fn value<T: FromSqlOwned>(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<T> {
        let row: Row = self.admin.query_one(sql, parameters).await.with_context(|| sql.to_owned())?;
        Ok(row.try_get(0)?)
    }

    /// Changes rows as the superuser: how tests move time.
    ///
    /// # Errors
    /// If it fails.
    pub async fn execute(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.admin.execute(sql, parameters).await.with_context(|| sql.to_owned())
    }

    /// Lets a hold lapse, without touching anything else.
    ///
    /// # Errors
    /// If it fails.
    pub async fn lapse(&self, reservation_id: Uuid) -> Result<()> {
        let sql = "update public.reservations set reserved_until = clock_timestamp() - interval '1 second' where id = $1";
        self.execute(sql, &[&reservation_id]).await.map(drop)
    }

    /// The state of a reservation.
    ///
    /// # Errors
    /// If there is none.
    pub async fn status(&self, reservation_id: Uuid) -> Result<String> {
        self.value("select status from public.reservations where id = $1", &[&reservation_id]).await
    }

    /// The promises that do not hold, as `violation: details`; empty when all of them do.
    ///
    /// # Errors
    /// If they cannot be computed.
    pub async fn violations(&self) -> Result<Vec<String>> {
        let sql = "select violation || ': ' || details from kitloop.check_consistency()";
        let rows = self.admin.query(sql, &[]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Fails unless every promise holds.
    ///
    /// # Errors
    /// Naming those that do not.
    pub async fn assert_consistent(&self) -> Result<()> {
        let violations = self.violations().await?;
        anyhow::ensure!(violations.is_empty(), "promises broken: {violations:#?}");
        Ok(())
    }
}

/// The authority that issued the certificate of the run's cluster.
fn authority() -> Result<PathBuf> {
    Ok(PathBuf::from(variable("KITLOOP_TEST_CA_FILE")?))
}

/// A connection that runs by itself until it is dropped.
async fn connect(url: &str, authority: &Path) -> Result<Client> {
    let pem = std::fs::read(authority)?;
    let tls = TlsConnector::builder().add_root_certificate(Certificate::from_pem(&pem)?).build()?;
    let (client, connection) =
        tokio_postgres::connect(&format!("{url}?sslmode=require"), MakeTlsConnector::new(tls))
            .await
            .context("cannot connect to the test cluster")?;
    tokio::spawn(connection);
    Ok(client)
}
