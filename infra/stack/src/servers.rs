//! What the functions and their tests use: PostgreSQL, a pooler in front of it, DynamoDB.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::ministack::Ministack;
use crate::options::Options;
use crate::paths;
use crate::pgbouncer::PgBouncer;
use crate::postgres::{Postgres, PostgresPrograms};
use crate::run::Run;
use crate::seed::DATABASE;
use crate::tools::{self, Emulators};

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
    /// Starts them; `prepare` makes the databases before anybody else connects.
    pub(crate) async fn start<T>(
        run: &Run,
        programs: &Programs,
        options: &Options,
        prepare: impl AsyncFnOnce(&Postgres) -> Result<T>,
    ) -> Result<(Self, T)> {
        let database = async {
            let postgres = Postgres::start(run, &programs.postgres, options.database_port).await?;
            let prepared = prepare(&postgres).await?;
            let pooler = PgBouncer::start(run, &programs.pgbouncer, &postgres, options.pooler_port).await?;
            anyhow::Ok((postgres, pooler, prepared))
        };
        let guard = async {
            match &programs.emulators.ministack {
                Some(program) => Ministack::start(run, program, options.aws_port).await.map(Some),
                None => Ok(None),
            }
        };
        let ((postgres, pooler, prepared), ministack) = tokio::try_join!(database, guard)?;
        Ok((Self { ministack, pooler, postgres }, prepared))
    }

    /// Starts them with nothing in them but an empty database. Functions that are deployed find `environment` in theirs,
    /// and there the authority of the database's certificate: ministack does not unpack layers for programs, so the
    /// template's layer of certificates cannot bring it.
    pub(crate) async fn empty(
        run: &Run,
        programs: &Programs,
        environment: &[(&str, String)],
    ) -> Result<Self> {
        let postgres = Postgres::start(run, &programs.postgres, None).await?;
        postgres.create_database(DATABASE).await?;
        let pooler = PgBouncer::start(run, &programs.pgbouncer, &postgres, None).await?;
        let authority = ("DATABASE_CA_FILE", postgres.endpoint.authority.display().to_string());
        let environment: Vec<(&str, String)> = environment.iter().cloned().chain([authority]).collect();
        // Not among those of the functions, which are held to what they may say.
        let log = paths::local().join("ministack.log");
        fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        let ministack = match &programs.emulators.ministack {
            Some(program) => Some(Ministack::empty(run, program, None, &environment, &log).await?),
            None => None,
        };
        Ok(Self { ministack, pooler, postgres })
    }
}
