//! The whole product on this machine: servers, functions, seeded data, one address in front.

use anyhow::Result;

use crate::daemon::START_DEADLINE;
use crate::front::Front;
use crate::functions;
use crate::log_check::LogCheck;
use crate::net::http_client;
use crate::options::Options;
use crate::processes::Processes;
use crate::progress::Step;
use crate::resend::Resend;
use crate::run::Run;
use crate::runtime::Runtime;
use crate::schedules::Schedules;
use crate::seed::seeded_database;
use crate::servers::{Programs, Servers};
use crate::settings::{Secrets, secret_settings, settings};
use crate::stack_file::{StackFile, StackUsers};
use crate::stripe::Stripe;
use crate::template::{self, TemplateFunction};
use crate::wait::wait_for;

/// A running stack; it stops when this is dropped, the callers before what they call.
pub struct LocalStack {
    /// What is written to stack.json.
    pub file: StackFile,
    /// The secrets in the functions' environment, by the settings' names.
    secrets: Vec<(&'static str, String)>,
    functions: Vec<TemplateFunction>,
    schedules: Schedules,
    _front: Front,
    _processes: Processes,
    runtime: Runtime,
    _stripe: Stripe,
    _resend: Resend,
    _servers: Servers,
    _run: Run,
}

impl LocalStack {
    /// Installs what is missing, builds the functions and starts everything.
    pub async fn start(options: &Options) -> Result<Self> {
        let programs = Programs::install().await?;
        functions::build().await?;
        let step = Step::begin("Starting the stack");
        let run = Run::start()?;
        let template = template::functions()?;
        let ((servers, seed), runtime) = tokio::try_join!(
            Servers::start(&run, &programs, options, seeded_database),
            Runtime::start(&run, &programs.emulators.cargo_lambda, options.functions_port),
        )?;
        let front = Front::start(&runtime, &template, options.port).await?;
        let stripe = Stripe::start(options, &front.function_url("stripe_webhook")).await?;
        let resend = Resend::start(options).await?;
        let secrets = Secrets::random();
        let settings = settings(options, &servers, &stripe, &resend, &secrets);
        let processes = Processes::start(&run, &runtime, &template, &settings, options.processes)?;
        let health = format!("{}/health", front.url);
        let client = http_client()?;
        let healthy = async || Ok(client.get(&health).send().await?.error_for_status().map(drop)?);
        wait_for("the functions", START_DEADLINE, healthy, || Ok(())).await?;
        let functions =
            template.iter().map(|function| (function.name.clone(), front.function_url(&function.name)));
        let (url, functions_by_name) = (front.url.clone(), functions.collect());
        let file = StackFile::describe(url, functions_by_name, &servers, &stripe, &resend, secrets, seed)?;
        step.done();
        Ok(Self {
            file,
            secrets: secret_settings(&settings),
            functions: template,
            schedules: Schedules::new()?,
            _front: front,
            _processes: processes,
            runtime,
            _stripe: stripe,
            _resend: resend,
            _servers: servers,
            _run: run,
        })
    }

    /// A look through the functions' logs for the secrets and tokens of this stack; whoever knows of people adds them.
    #[must_use]
    pub fn log_check(&self) -> LogCheck {
        let mut check = LogCheck::default();
        for (name, value) in &self.secrets {
            check.forbid(name, value);
        }
        let StackUsers { customer, other_customer, staff, owner, other_provider_owner } = &self.file.users;
        for user in [customer, other_customer, staff, owner, other_provider_owner] {
            check.forbid("a token", &user.token);
        }
        check
    }

    /// Lets the schedules of all functions fire.
    pub fn start_schedules(&mut self) {
        self.start_schedules_of(|_| true);
    }

    /// Lets the schedules fire of the functions whose name is wanted.
    pub fn start_schedules_of(&mut self, is_wanted: impl Fn(&str) -> bool) {
        for function in self.functions.iter().filter(|function| is_wanted(&function.name)) {
            for interval in &function.schedules {
                self.schedules.add(&self.runtime, function, *interval);
            }
        }
    }
}
