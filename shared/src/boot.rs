//! Once per sandbox: telemetry, settings, connections; then the runtime.

mod forwarder;
mod serve;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use self::forwarder::{Forwarder, start_forwarder};
pub use self::serve::{serve_events, serve_http};
use crate::config::{self, BadSetting, Config, ConfigErrors, Needs};
use crate::db::Db;
use crate::email::Email;
use crate::error::{Code, Error, Refusal};
use crate::guard::Guard;
use crate::http::TokenVerifier;
use crate::network::Network;
use crate::stripe::Stripe;
use crate::telemetry::{self, caught};

/// How long the end of a process that failed waits for errors to be reported: nobody waits for an answer.
const TIME_TO_REPORT_FAILURE: Duration = Duration::from_secs(2);

/// Everything a use case works with; one per sandbox, shared by all its invocations.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// Rate limits and claims.
    pub guard: Guard,
    /// Who callers are.
    pub tokens: TokenVerifier,
    stripe: Option<Stripe>,
    email: Option<Email>,
}

impl App {
    /// An application with these settings. Connects to nothing yet.
    ///
    /// # Errors
    /// [`Error`] if a client cannot be made, for example because a certificate file does not parse.
    pub fn new(config: Config) -> Result<Self, Error> {
        let network = Network::default();
        Self::with_network(config, &network)
    }

    fn with_network(config: Config, network: &Network) -> Result<Self, Error> {
        Ok(Self {
            db: Db::new(config.database.as_ref().ok_or_else(no_database)?)?,
            stripe: config.stripe.clone().map(|stripe| Stripe::new(stripe, network)).transpose()?,
            email: config.email.clone().map(|email| Email::new(email, network)).transpose()?,
            guard: Guard::new(&config.guard, network),
            tokens: TokenVerifier::new(config.tokens.as_ref(), network),
            config,
        })
    }

    /// The Stripe client.
    ///
    /// # Errors
    /// `not_configured` where this function has no Stripe key.
    pub fn stripe(&self) -> Result<&Stripe, Error> {
        self.stripe
            .as_ref()
            .ok_or_else(|| Refusal::new(Code::NotConfigured, "Payments are not set up.").into())
    }

    /// The client for e-mail; `None` where it is off.
    #[must_use]
    pub const fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }
}

/// Why a sandbox did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Settings are missing or malformed.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// A client could not be made.
    #[error("{0}")]
    App(#[from] Error),
    /// The Lambda runtime API failed.
    #[error("runtime: {0}")]
    Runtime(lambda_http::Error),
}

/// Runs a function until its sandbox ends; what stops it before is logged and reported, because what `main` fails with Rust
/// prints in a form of its own.
pub async fn run(function: impl Future<Output = Result<(), BootError>>) -> ExitCode {
    let error = match caught(function).await {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => Some(error),
        None => None,
    };
    if let Some(BootError::Runtime(error)) = error {
        tracing::error!(%error, "runtime.failed");
    }
    telemetry::sentry::flush(TIME_TO_REPORT_FAILURE).await;
    ExitCode::FAILURE
}

/// Starts `function`: logging first, then the settings, of which all problems are logged at once, then the
/// connections, which the init phase makes so that no request waits for them. A start without a database succeeds.
///
/// # Errors
/// [`BootError`], already logged.
pub async fn start(function: &'static str, needs: Needs) -> Result<Arc<App>, BootError> {
    launch(function, async |network: &Network| ready(function, needs, network).await).await
}

/// Starts what `ready` makes, with all that is said about a start, good or bad.
async fn launch<A>(
    function: &'static str,
    ready: impl AsyncFnOnce(&Network) -> Result<A, BootError>,
) -> Result<Arc<A>, BootError> {
    let started = Instant::now();
    // First, because whose lines are ours is asked for but once.
    telemetry::set_sandbox(function, &config::environment());
    telemetry::init(config::log_filter().as_deref());
    let network = Network::default();
    if let Some(sentry) = config::sentry() {
        telemetry::sentry::start(sentry, &network);
    }
    let app = ready(&network).await?;
    // Last, so that it does not compete with the database's connection for the processor: the init phase need not wait
    // for it, and it is done by the time the first event has been fetched and parsed.
    network.warm();
    telemetry::metrics::cold_start(started.elapsed());
    Ok(Arc::new(app))
}

async fn ready(function: &'static str, needs: Needs, network: &Network) -> Result<App, BootError> {
    let config = load(function, needs, network).await?;
    let app = App::with_network(config, network)
        .inspect_err(|error| tracing::error!(function, %error, "boot.failed"))?;
    tokio::join!(app.db.connect_in_init(), app.tokens.warm());
    say_what_is_off(function, needs, &app);
    Ok(app)
}

async fn load(function: &'static str, needs: Needs, network: &Network) -> Result<Config, ConfigErrors> {
    Config::load_with_parameters(needs, network).await.inspect_err(|ConfigErrors(problems)| {
        for BadSetting { setting, problem } in problems {
            tracing::error!(function, %setting, problem, "boot.bad_setting");
        }
    })
}

fn no_database() -> Error {
    Error::Internal("an application without a database".to_owned())
}

/// Once per start, because a part that nobody misses is never looked for.
fn say_what_is_off(function: &'static str, needs: Needs, app: &App) {
    if !app.guard.is_configured() {
        tracing::warn!(function, reason = "GUARD_TABLE is not set", "guard.off");
        telemetry::metrics::guard_open(function);
    }
    if needs.email && app.email.is_none() {
        tracing::warn!(function, reason = "RESEND_API_KEY is not set", "email.off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::capture;

    /// The messages of a start with these needs and settings.
    fn said(needs: Needs, settings: &[(&str, &str)]) -> Vec<String> {
        let always = [
            ("DATABASE_URL", "postgres://kitloop_app@127.0.0.1/kitloop"),
            ("STRIPE_SECRET_KEY", "sk_test_x"),
        ];
        let settings = [&always, settings].concat();
        let value = |name: &str| settings.iter().find(|(known, _)| *known == name);
        let config = Config::from_lookup(needs, &|name| Some(value(name)?.1.to_owned())).unwrap();
        let app = App::new(config).unwrap();
        let lines = capture(|| say_what_is_off("run_jobs", needs, &app));
        lines.iter().filter_map(|line| Some(line["message"].as_str()?.to_owned())).collect()
    }

    #[test]
    fn a_worker_without_a_key_for_email_says_so_once() {
        let count = |said: Vec<String>| said.iter().filter(|message| *message == "email.off").count();
        assert_eq!(count(said(Needs::WORKER, &[])), 1);
        let on = [("RESEND_API_KEY", "re_x"), ("EMAIL_FROM", "shop@example.com")];
        assert_eq!(count(said(Needs::WORKER, &on)), 0);
        assert_eq!(count(said(Needs::DATABASE, &[])), 0);
    }
}
