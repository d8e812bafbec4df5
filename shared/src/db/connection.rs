//! The one connection of a sandbox: made in the init phase, checked after a pause, replaced when it is gone.

use std::sync::Arc;
use std::time::Duration;

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::error::from_postgres;
use crate::config::{DatabaseConfig, Secret};
use crate::error::Error;
use crate::telemetry::meter;

/// A connection unused for this long may be gone without our knowing: the sandbox was frozen.
const IDLE_BEFORE_CHECK: Duration = Duration::from_secs(30);
/// How long the check of an idle connection may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// The role's statement_timeout is 3 s; past this the server does not even say so.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// The database, for as long as the sandbox lives. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    postgres: Secret<tokio_postgres::Config>,
    tls: MakeTlsConnector,
    connect_timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    client: Arc<Client>,
    last_used: Instant,
}

impl Db {
    /// Prepares the connection (TLS is set up once) without making it.
    ///
    /// # Errors
    /// [`Error::Internal`] if the CA file cannot be read.
    pub fn new(config: &DatabaseConfig) -> Result<Self, Error> {
        let internal =
            |what: &str, error: &dyn std::fmt::Display| Error::Internal(format!("{what}: {error}"));
        let mut tls = TlsConnector::builder();
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).map_err(|error| internal("DATABASE_CA_FILE", &error))?;
            let ca = Certificate::from_pem(&pem).map_err(|error| internal("DATABASE_CA_FILE", &error))?;
            tls.disable_built_in_roots(true).add_root_certificate(ca);
        }
        let tls = tls.build().map_err(|error| internal("TLS", &error))?;
        let inner = Inner {
            postgres: config.url.clone(),
            tls: MakeTlsConnector::new(tls),
            connect_timeout: config.connect_timeout,
            connection: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Connects ahead of the first invocation. A database that is away does not fail the start: the functions answer
    /// 503 until it is back.
    pub async fn connect_in_init(&self) {
        if let Err(error) = self.client().await {
            tracing::warn!(error = %error, "database.away");
        }
    }

    /// The rows of one typed statement: one round trip.
    pub(super) async fn rows(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let client = self.client().await?;
        let _call = meter::database();
        match timeout(ANSWER_TIMEOUT, client.query_typed(sql, parameters)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(from_postgres(&error)),
            Err(_) => {
                self.discard(&client).await;
                Err(Error::DatabaseUnavailable("no answer in time".to_owned()))
            }
        }
    }

    /// The one row of one typed statement.
    pub(super) async fn row(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Row, Error> {
        let rows = self.rows(sql, parameters).await?;
        rows.into_iter().next().ok_or_else(|| Error::Database("no row".to_owned()))
    }

    /// The client, connected: the one there is, or a new one. Callers at the same time wait for the same connection.
    async fn client(&self) -> Result<Arc<Client>, Error> {
        let mut connection = self.inner.connection.lock().await;
        if let Some(live) = connection.as_mut()
            && live.is_usable().await
        {
            live.last_used = Instant::now();
            return Ok(Arc::clone(&live.client));
        }
        *connection = None;
        let client = Arc::new(self.connect().await?);
        *connection = Some(Connection { client: Arc::clone(&client), last_used: Instant::now() });
        Ok(client)
    }

    /// Connects, if need be by an address and password that took the place of those known so far.
    async fn connect(&self) -> Result<Client, Error> {
        self.inner.postgres.try_with(|postgres| self.connect_to(postgres), |_| true).await
    }

    /// Connects, with TLS and log-in under one timeout, and lets the connection run by itself.
    async fn connect_to(&self, postgres: Arc<tokio_postgres::Config>) -> Result<Client, Error> {
        let (client, connection) =
            timeout(self.inner.connect_timeout, postgres.connect(self.inner.tls.clone()))
                .await
                .map_err(|_| Error::DatabaseUnavailable("could not connect in time".to_owned()))?
                .map_err(|error| from_postgres(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %from_postgres(&error), "database.connection_ended");
            }
        });
        Ok(client)
    }

    /// Forgets a client that does not answer, unless it was replaced already.
    async fn discard(&self, client: &Arc<Client>) {
        let mut connection = self.inner.connection.lock().await;
        if connection.as_ref().is_some_and(|live| Arc::ptr_eq(&live.client, client)) {
            *connection = None;
        }
    }
}

impl Connection {
    async fn is_usable(&self) -> bool {
        if self.client.is_closed() {
            return false;
        }
        self.last_used.elapsed() < IDLE_BEFORE_CHECK
            || matches!(timeout(CHECK_TIMEOUT, self.client.check_connection()).await, Ok(Ok(())))
    }
}
