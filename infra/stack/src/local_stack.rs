//! The whole product on this machine: servers, functions, seeded data, one address in front.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::daemon::START_DEADLINE;
use crate::front::Front;
use crate::functions;
use crate::ministack::Ministack;
use crate::pgbouncer::PgBouncer;
use crate::postgres::{Postgres, PostgresPrograms};
use crate::processes::Processes;
use crate::progress::Step;
use crate::run::Run;
use crate::runtime::Runtime;
use crate::schedules::{Schedules, fire};
use crate::seed::{Seed, seed};
use crate::settings::{Secrets, settings};
use crate::stack_file::StackFile;
use crate::stripe::Stripe;
use crate::template::{self, TemplateFunction};
use crate::tools::{self, Emulators};
use crate::wait::wait_for;

/// The database of the stack.
pub(crate) const DATABASE: &str = "kitloop";

/// How to start the stack. Ports that are not given are free ones.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The front.
    pub port: Option<u16>,
    /// PostgreSQL.
    pub database_port: Option<u16>,
    /// PgBouncer.
    pub pooler_port: Option<u16>,
    /// The Lambda runtime API and function URLs.
    pub functions_port: Option<u16>,
    /// DynamoDB.
    pub aws_port: Option<u16>,
    /// The Stripe stand-in.
    pub stripe_port: Option<u16>,
    /// How many processes of each function.
    pub processes: usize,
    /// Whether callers are limited as in production.
    pub rate_limits: bool,
    /// Whether the functions reach the database through PgBouncer.
    pub through_pooler: bool,
    /// Whether Stripe itself is left alone even if the developer's key is set.
    pub stand_in_only: bool,
}

/// A running stack; it stops when this is dropped, the callers before what they call.
pub struct LocalStack {
    /// What is written to stack.json.
    pub file: StackFile,
    functions: Vec<TemplateFunction>,
    schedules: Schedules,
    _front: Front,
    _processes: Processes,
    runtime: Runtime,
    _stripe: Stripe,
    _servers: Servers,
    _run: Run,
}

/// What the functions use.
pub(crate) struct Servers {
    pub(crate) ministack: Option<Ministack>,
    pub(crate) pooler: PgBouncer,
    pub(crate) postgres: Postgres,
}

impl LocalStack {
    /// Installs what is missing, builds the functions and starts everything.
    pub async fn start(options: &Options) -> Result<Self> {
        let tools = Tools::install().await?;
        functions::build().await?;
        let step = Step::begin("Starting the stack");
        let run = Run::start()?;
        let template = template::functions()?;
        let ((servers, seed), runtime) = tokio::try_join!(
            start_servers(&run, &tools, options),
            Runtime::start(&run, &tools.emulators.cargo_lambda, options.functions_port),
        )?;
        let stripe = Stripe::start(options, &runtime.function_url("stripe_webhook")).await?;
        let secrets = Secrets::random();
        let settings = settings(options, &servers, &stripe, &secrets);
        let processes = Processes::start(&run, &runtime, &template, &settings, options.processes)?;
        let front = Front::start(&template, &runtime, options.port).await?;
        let health = format!("{}/health", front.url);
        let healthy = async || Ok(reqwest::get(&health).await?.error_for_status().map(drop)?);
        wait_for("the functions", START_DEADLINE, healthy, || Ok(())).await?;
        let file = StackFile {
            base_url: front.url.clone(),
            functions: template
                .iter()
                .map(|function| (function.name.clone(), runtime.function_url(&function.name)))
                .collect(),
            ..StackFile::describe(&servers, &stripe, secrets, seed)?
        };
        step.done();
        Ok(Self {
            file,
            functions: template,
            schedules: Schedules::default(),
            _front: front,
            _processes: processes,
            runtime,
            _stripe: stripe,
            _servers: servers,
            _run: run,
        })
    }

    /// Lets the schedules of all functions fire.
    pub fn start_schedules(&mut self) {
        for function in &self.functions {
            for interval in &function.schedules {
                self.schedules.add(&self.runtime, &function.name, *interval);
            }
        }
    }

    /// Lets the schedule of one function fire.
    pub fn start_schedule(&mut self, name: &str) -> Result<()> {
        let function = self.functions.iter().find(|function| function.name == name);
        let function = function.with_context(|| format!("the template has no function {name}"))?;
        for interval in &function.schedules {
            self.schedules.add(&self.runtime, name, *interval);
        }
        Ok(())
    }

    /// Sends the function one scheduled event, outside its schedule, and returns its answer.
    pub async fn run_scheduled(&self, name: &str) -> Result<Value> {
        fire(&self.runtime.invocation_url(name)).await.with_context(|| format!("the run of {name} failed"))
    }
}

/// The programs of the stack.
pub(crate) struct Tools {
    postgres: PostgresPrograms,
    pgbouncer: PathBuf,
    emulators: Emulators,
}

impl Tools {
    pub(crate) async fn install() -> Result<Self> {
        Ok(Self {
            postgres: tools::postgres().await?,
            pgbouncer: tools::pgbouncer().await?,
            emulators: tools::emulators().await?,
        })
    }
}

pub(crate) async fn start_servers(run: &Run, tools: &Tools, options: &Options) -> Result<(Servers, Seed)> {
    let database = async {
        let postgres = Postgres::start(run, &tools.postgres, options.database_port).await?;
        postgres.create_database(DATABASE).await?;
        postgres.migrate(DATABASE).await?;
        let seed = seed(&postgres, DATABASE).await?;
        let pooler = PgBouncer::start(run, &tools.pgbouncer, &postgres, options.pooler_port).await?;
        anyhow::Ok((postgres, pooler, seed))
    };
    let guard = async {
        match &tools.emulators.ministack {
            Some(program) => Ministack::start(run, program, options.aws_port).await.map(Some),
            None => Ok(None),
        }
    };
    let ((postgres, pooler, seed), ministack) = tokio::try_join!(database, guard)?;
    Ok((Servers { ministack, pooler, postgres }, seed))
}
