//! The real parts that tests run against: one cluster, pooler and DynamoDB for the whole run.

use anyhow::{Context, Result};

use crate::ministack::{GUARD_TABLE, Ministack};
use crate::net::LOOPBACK_HOSTS;
use crate::pgbouncer::PgBouncer;
use crate::postgres::Postgres;
use crate::progress::Step;
use crate::run::Run;
use crate::tools;

/// The database that each test's own is copied from: migrated, without connections.
const TEMPLATE_DATABASE: &str = "kitloop_template";

/// Running servers; they stop when this is dropped.
pub struct TestServers {
    ministack: Ministack,
    pooler: PgBouncer,
    postgres: Postgres,
}

impl TestServers {
    /// Installs what is missing and starts everything on free ports.
    pub async fn start(run: &Run) -> Result<Self> {
        let programs = tools::postgres().await?;
        let pgbouncer = tools::pgbouncer().await?;
        let emulators = tools::emulators().await?;
        let ministack = emulators.ministack.context("the tests need DynamoDB, which needs Python")?;
        let step = Step::begin("Starting PostgreSQL, PgBouncer and DynamoDB");
        let database = async {
            let postgres = Postgres::start(run, &programs, None).await?;
            make_template(&postgres).await?;
            let pooler = PgBouncer::start(run, &pgbouncer, &postgres, None).await?;
            anyhow::Ok((postgres, pooler))
        };
        let ((postgres, pooler), ministack) =
            tokio::try_join!(database, Ministack::start(run, &ministack, None))?;
        step.done();
        Ok(Self { ministack, pooler, postgres })
    }

    /// What tests read from the environment. `{database}` stands literally where the name of a test's database goes.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let Postgres { endpoint, admin, owner, app, .. } = &self.postgres;
        vec![
            ("KITLOOP_TEST_ADMIN_URL", endpoint.url(admin, "postgres")),
            ("KITLOOP_TEST_OWNER_URL", endpoint.url(owner, "{database}")),
            ("KITLOOP_TEST_APP_URL", endpoint.url(app, "{database}")),
            ("KITLOOP_TEST_POOLER_URL", self.pooler.endpoint.url(app, "{database}")),
            ("KITLOOP_TEST_CA_FILE", endpoint.authority.display().to_string()),
            // One certificate to load instead of the system's bundle, for each of hundreds of connections.
            ("SSL_CERT_FILE", endpoint.authority.display().to_string()),
            ("KITLOOP_TEST_DYNAMODB_URL", self.ministack.url.clone()),
            ("KITLOOP_TEST_GUARD_TABLE", GUARD_TABLE.to_owned()),
            // What is under test obeys a proxy, as it should; the servers of the tests are not behind one.
            ("NO_PROXY", LOOPBACK_HOSTS.to_owned()),
            ("no_proxy", LOOPBACK_HOSTS.to_owned()),
        ]
    }
}

async fn make_template(postgres: &Postgres) -> Result<()> {
    postgres.create_database(TEMPLATE_DATABASE).await?;
    postgres.migrate(TEMPLATE_DATABASE).await?;
    let close = format!("alter database {TEMPLATE_DATABASE} with is_template true allow_connections false");
    postgres.run_as_admin("postgres", &close).await
}
