//! What the functions use: a migrated and seeded database, a pooler, DynamoDB.

use std::path::PathBuf;

use anyhow::Result;

use crate::local_stack::Options;
use crate::ministack::Ministack;
use crate::pgbouncer::PgBouncer;
use crate::postgres::{Postgres, PostgresPrograms};
use crate::run::Run;
use crate::seed::{Seed, seed};
use crate::tools::{self, Emulators};

/// The database of the stack.
pub(crate) const DATABASE: &str = "kitloop";

/// The programs of the servers, and of the Lambda runtime API.
pub(crate) struct Programs {
    postgres: PostgresPrograms,
    pgbouncer: PathBuf,
    pub(crate) emulators: Emulators,
}

impl Programs {
    /// Installs what is missing.
    pub(crate) async fn install() -> Result<Self> {
        Ok(Self {
            postgres: tools::postgres().await?,
            pgbouncer: tools::pgbouncer().await?,
            emulators: tools::emulators().await?,
        })
    }
}

/// Running servers; they stop when this is dropped.
pub(crate) struct Servers {
    /// Not without Python.
    pub(crate) ministack: Option<Ministack>,
    pub(crate) pooler: PgBouncer,
    pub(crate) postgres: Postgres,
}

impl Servers {
    /// Starts them and fills the database.
    pub(crate) async fn start(run: &Run, programs: &Programs, options: &Options) -> Result<(Self, Seed)> {
        let database = async {
            let postgres = Postgres::start(run, &programs.postgres, options.database_port).await?;
            postgres.create_database(DATABASE).await?;
            postgres.migrate(DATABASE).await?;
            let seed = seed(&postgres, DATABASE).await?;
            let pooler = PgBouncer::start(run, &programs.pgbouncer, &postgres, options.pooler_port).await?;
            anyhow::Ok((postgres, pooler, seed))
        };
        let guard = async {
            match &programs.emulators.ministack {
                Some(program) => Ministack::start(run, program, options.aws_port).await.map(Some),
                None => Ok(None),
            }
        };
        let ((postgres, pooler, seed), ministack) = tokio::try_join!(database, guard)?;
        Ok((Self { ministack, pooler, postgres }, seed))
    }
}
