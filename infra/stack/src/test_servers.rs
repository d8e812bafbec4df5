//! The real parts that tests run against: one cluster, pooler and DynamoDB for the whole run.

use anyhow::{Context, Result};

use crate::ministack::GUARD_TABLE;
use crate::net::LOOPBACK_HOSTS;
use crate::options::Options;
use crate::postgres::Postgres;
use crate::progress::Step;
use crate::run::Run;
use crate::servers::{Programs, Servers};

/// The database that each test's own is copied from: migrated, without connections.
const TEMPLATE_DATABASE: &str = "kitloop_template";

/// Running servers; they stop when this is dropped.
pub struct TestServers {
    servers: Servers,
    dynamodb_url: String,
}

impl TestServers {
    /// Installs what is missing and starts everything on free ports.
    pub async fn start(run: &Run) -> Result<Self> {
        let programs = Programs::install().await?;
        let step = Step::begin("Starting PostgreSQL, PgBouncer and DynamoDB");
        let options = Options::default();
        let (servers, ()) = Servers::start(run, &programs, &options, template_database).await?;
        let ministack = servers.ministack.as_ref();
        let ministack = ministack.context("the tests need DynamoDB, which needs Python")?;
        let dynamodb_url = ministack.url.clone();
        step.done();
        Ok(Self { servers, dynamodb_url })
    }

    /// What tests read from the environment. `{database}` stands literally where the name of a test's database goes.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let Servers { postgres, pooler, .. } = &self.servers;
        let Postgres { endpoint, admin, owner, app, .. } = postgres;
        vec![
            ("KITLOOP_TEST_ADMIN_URL", endpoint.url(admin, "postgres")),
            ("KITLOOP_TEST_OWNER_URL", endpoint.url(owner, "{database}")),
            ("KITLOOP_TEST_APP_URL", endpoint.url(app, "{database}")),
            ("KITLOOP_TEST_POOLER_URL", pooler.endpoint.url(app, "{database}")),
            ("KITLOOP_TEST_CA_FILE", endpoint.authority.display().to_string()),
            // One certificate to load instead of the system's bundle, for each of hundreds of connections.
            ("SSL_CERT_FILE", endpoint.authority.display().to_string()),
            ("KITLOOP_TEST_DYNAMODB_URL", self.dynamodb_url.clone()),
            ("KITLOOP_TEST_GUARD_TABLE", GUARD_TABLE.to_owned()),
            // What is under test obeys a proxy, as it should; the servers of the tests are not behind one.
            ("NO_PROXY", LOOPBACK_HOSTS.to_owned()),
            ("no_proxy", LOOPBACK_HOSTS.to_owned()),
        ]
    }
}

async fn template_database(postgres: &Postgres) -> Result<()> {
    postgres.create_database(TEMPLATE_DATABASE).await?;
    postgres.migrate(TEMPLATE_DATABASE).await?;
    let close = format!("alter database {TEMPLATE_DATABASE} with is_template true allow_connections false");
    postgres.run_as_admin("postgres", &close).await
}
