//! Once per sandbox: telemetry, settings, connections; then the runtime.

mod forwarder;

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::request::LambdaRequest;
use lambda_http::{Body, LambdaEvent, Request, Response, service_fn};
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

pub use self::forwarder::{Forwarder, start_forwarder};
use crate::config::{self, BadSetting, Config, ConfigErrors, Needs};
use crate::db::Db;
use crate::email::Email;
use crate::error::{Code, Error, Refusal};
use crate::guard::Guard;
use crate::http::response::Problem;
use crate::http::{self, TokenVerifier};
use crate::network::Network;
use crate::stripe::Stripe;
use crate::telemetry::meter::{self, Spent};
use crate::telemetry::{self, ANSWERED, Ending, Outcome, caught};

/// How long an answer waits for errors to be reported; after it Lambda stops the sandbox until the next event.
const TIME_TO_REPORT: Duration = Duration::from_millis(50);
/// As much for a start that failed: nobody waits for an answer, and the process ends.
const TIME_TO_REPORT_FAILED_START: Duration = Duration::from_secs(2);

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

/// Starts `function`: logging first, then the settings, of which all problems are logged at once, then the
/// connections, which the init phase makes so that no request waits for them. A start without a database succeeds.
///
/// # Errors
/// [`BootError`], already logged and reported.
pub async fn start(function: &'static str, needs: Needs) -> Result<Arc<App>, BootError> {
    launch(function, async |network: &Network| ready(function, needs, network).await).await
}

/// Starts what `ready` makes, with all that is said about a start, good or bad.
async fn launch<A>(
    function: &'static str,
    ready: impl AsyncFnOnce(&Network) -> Result<A, BootError>,
) -> Result<Arc<A>, BootError> {
    let started = Instant::now();
    telemetry::init(config::log_filter().as_deref());
    telemetry::set_sandbox(function, &config::environment());
    let network = Network::default();
    let sentry = config::sentry();
    let is_reporting = sentry.is_some();
    if let Some(sentry) = sentry {
        telemetry::sentry::start(sentry, &network);
    }
    match ready(&network).await {
        Ok(app) => {
            if is_reporting {
                network.warm();
            }
            telemetry::metrics::cold_start(started.elapsed());
            Ok(Arc::new(app))
        }
        Err(error) => {
            telemetry::sentry::flush(TIME_TO_REPORT_FAILED_START).await;
            Err(error)
        }
    }
}

async fn ready(function: &'static str, needs: Needs, network: &Network) -> Result<App, BootError> {
    let config = load(function, needs, network).await?;
    let app = App::with_network(config, network)
        .inspect_err(|error| tracing::error!(function, %error, "boot.failed"))?;
    tokio::join!(app.db.connect_in_init(), app.tokens.warm());
    if app.guard.is_configured() || app.stripe.is_some() || app.email.is_some() {
        // Last, so that it does not compete with the connection for the processor: the init phase need not wait for
        // it, and it is done by the time the first event has been fetched and parsed.
        network.warm();
    }
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

/// Answers HTTP events, one at a time, until the sandbox ends.
///
/// # Errors
/// [`BootError::Runtime`] if the runtime API fails.
pub async fn serve_http(
    app: Arc<App>,
    handler: impl AsyncFn(&App, Request) -> Response<Body>,
) -> Result<(), BootError> {
    let serve = async |event: LambdaEvent<LambdaRequest>| {
        let response = handler(&app, http::from_payload(event)).await;
        telemetry::sentry::flush(TIME_TO_REPORT).await;
        Ok::<Value, Infallible>(http::into_event(response))
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(BootError::Runtime)
}

/// Handles events of any shape, one at a time, until the sandbox ends. The invocation's id is the correlation id, unless
/// the event is HTTP and brings one. An error is logged and handed to the runtime,
/// so that retries and alarms see it.
///
/// # Errors
/// [`BootError::Runtime`] if the runtime API fails.
pub async fn serve_events<A>(
    app: Arc<A>,
    handler: impl AsyncFn(&A, LambdaEvent<Value>) -> Result<Value, Error>,
) -> Result<(), BootError> {
    let serve = async |event: LambdaEvent<Value>| {
        let function = telemetry::sandbox().function;
        let span = tracing::error_span!("event", function, correlation_id = event.context.request_id);
        let outcome = handle_event(app.as_ref(), event, &handler).instrument(span).await;
        telemetry::sentry::flush(TIME_TO_REPORT).await;
        outcome
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(BootError::Runtime)
}

async fn handle_event<A>(
    app: &A,
    event: LambdaEvent<Value>,
    handler: &impl AsyncFn(&A, LambdaEvent<Value>) -> Result<Value, Error>,
) -> Result<Value, Diagnostic> {
    let started = Instant::now();
    let is_http = http::is_http(&event);
    let (outcome, spent) = meter::measured(caught(handler(app, event))).await;
    let outcome = outcome.unwrap_or_else(panicked);
    // A request that was answered has its line already, from the door.
    if !is_http || outcome.is_err() {
        conclude(&outcome, started.elapsed(), spent);
    }
    outcome.map_err(|error| Diagnostic {
        error_type: "kitloop::Error".to_owned(),
        error_message: error.to_string(),
    })
}

/// What work comes to that panicked; the panic itself is in the log.
pub(crate) fn panicked<T>() -> Result<T, Error> {
    Err(Error::Internal("panic".to_owned()))
}

/// Says once how an event ended. Nobody reads a refusal here: it is as good as a failure.
fn conclude(outcome: &Result<Value, Error>, duration: Duration, spent: Spent) {
    let function = telemetry::sandbox().function;
    let error = outcome.as_ref().err();
    let code = error.map_or(ANSWERED, |error| Problem::of(error).code);
    let sorted = if error.is_some() { Outcome::Failed } else { Outcome::Ok };
    let error = error.map(|error| error as &dyn Display);
    Ending { function, outcome: sorted, code, error, duration, spent }.tell_event();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::testing::{Recorder, capture};

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

    /// The lines of an event with this payload and outcome.
    async fn told(payload: Value, outcome: Result<Value, Error>) -> Vec<Value> {
        let (recorder, _guard) = Recorder::start();
        let settings = [("DATABASE_URL", "postgres://kitloop_app@127.0.0.1/kitloop")];
        let value = |name: &str| Some(settings.iter().find(|(known, _)| *known == name)?.1.to_owned());
        let app = App::new(Config::from_lookup(Needs::DATABASE, &value).unwrap()).unwrap();
        let outcome = std::cell::RefCell::new(Some(outcome));
        let handler = async |_: &App, _| outcome.borrow_mut().take().unwrap();
        let event = LambdaEvent::new(payload, lambda_http::Context::default());
        let _ = handle_event(&app, event, &handler).await;
        recorder.lines()
    }

    #[tokio::test]
    async fn an_event_ends_with_one_line_unless_the_door_has_written_it() {
        let lines = told(json!({}), Ok(json!({}))).await;
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["message"], &lines[0]["Outcome"]), (&json!("event.handled"), &json!("ok")));
        assert!(told(json!({"requestContext": {}}), Ok(json!({}))).await.is_empty());
    }

    #[tokio::test]
    async fn an_event_that_panics_ends_with_its_line_too() {
        let (recorder, _guard) = Recorder::start();
        let handler = async |(): &(), _| panic!("a mistake");
        let event = LambdaEvent::new(json!({}), lambda_http::Context::default());
        let failure = handle_event(&(), event, &handler).await.unwrap_err();
        assert_eq!(failure.error_message, "internal: panic");
        assert_eq!(recorder.lines().last().unwrap()["message"], "event.failed");
    }

    #[tokio::test]
    async fn a_refusal_that_nobody_reads_is_a_failure() {
        let refusal = || Err(Refusal::of(Code::AlreadyRunning).into());
        for payload in [json!({}), json!({"requestContext": {}})] {
            let lines = told(payload, refusal()).await;
            assert_eq!(lines.len(), 1);
            assert_eq!((&lines[0]["level"], &lines[0]["message"]), (&json!("ERROR"), &json!("event.failed")));
            assert_eq!(
                (&lines[0]["Outcome"], &lines[0]["Code"]),
                (&json!("failed"), &json!("already_running"))
            );
        }
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
