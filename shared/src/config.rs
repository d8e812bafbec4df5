//! The only reader of the environment. Every missing or malformed setting is reported at once.

mod alerts;
mod aws;
mod database;
mod email;
mod origins;
mod reader;
mod rotating;
mod secret;
mod sentry;
mod ssm;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use secrecy::SecretString;

pub use self::alerts::AlertConfig;
pub use self::aws::{AwsConfig, GuardConfig};
pub use self::database::DatabaseConfig;
pub use self::email::EmailConfig;
pub use self::origins::OriginConfig;
use self::reader::Reader;
pub use self::reader::{BadSetting, ConfigErrors};
pub use self::secret::Secret;
pub use self::sentry::{SentryConfig, sentry};
use crate::domain::{Currency, Money};
use crate::network::Network;

/// Where a setting's text comes from: its name in, its value out.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Which settings a function cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The database is called.
    pub database: bool,
    /// Customers' and staff's tokens are verified.
    pub tokens: bool,
    /// Stripe is called.
    pub stripe_api: bool,
    /// Stripe's webhooks are verified.
    pub stripe_webhook: bool,
    /// The schedule may also be run over HTTP by whoever knows `CRON_SECRET`.
    pub cron: bool,
    /// Operators call, who know `ADMIN_TOKEN`.
    pub admin: bool,
    /// E-mail is sent, where it is set up.
    pub email: bool,
    /// Alarms are passed on, where it is set up to whom.
    pub alerts: bool,
}

impl Needs {
    /// Only the database.
    pub const DATABASE: Self = Self {
        database: true,
        tokens: false,
        stripe_api: false,
        stripe_webhook: false,
        cron: false,
        admin: false,
        email: false,
        alerts: false,
    };
    /// A caller with a token.
    pub const CALLER: Self = Self { tokens: true, ..Self::DATABASE };
    /// A caller with a token, and Stripe.
    pub const CALLER_AND_STRIPE: Self = Self { stripe_api: true, ..Self::CALLER };
    /// Stripe's webhooks.
    pub const WEBHOOK: Self = Self { stripe_webhook: true, ..Self::DATABASE };
    /// A schedule. It runs without `CRON_SECRET`, too: over HTTP it is then closed.
    pub const SCHEDULE: Self = Self::DATABASE;
    /// A schedule that calls Stripe.
    pub const SCHEDULE_AND_STRIPE: Self = Self { stripe_api: true, ..Self::SCHEDULE };
    /// A worker that calls Stripe, sends e-mail and that nobody calls over HTTP.
    pub const WORKER: Self = Self { stripe_api: true, email: true, ..Self::DATABASE };
    /// What operators call. It starts without `ADMIN_TOKEN`, too, and is closed then.
    pub const OPERATIONS: Self = Self::DATABASE;
    /// Passing alarms on, which has to work without all the rest. It starts without anybody to tell, too.
    pub const ALERTS: Self = Self { database: false, alerts: true, ..Self::DATABASE };
    /// What the whole product needs.
    pub const ALL: Self = Self {
        database: true,
        tokens: true,
        stripe_api: true,
        stripe_webhook: true,
        cron: true,
        admin: true,
        email: true,
        alerts: true,
    };
}

/// All settings of a function.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ENVIRONMENT`: local, dev, staging or production, shown in logs and by /health.
    pub environment: String,
    /// `FUNCTION_TIMEOUT_SECONDS`: the deadline where the event brings none.
    pub function_timeout: Duration,
    /// `RUN_JOBS_BEAT_MS`: how often the worker looks for work, and says that it lives, in milliseconds.
    pub beat_interval: Duration,
    /// `JOB_RUNNING_STALE_SECONDS`: a job that has been running for so long has lost its worker, and is done again.
    pub job_stale_after: Duration,
    /// The database, where it is called.
    pub database: Option<DatabaseConfig>,
    /// How callers' tokens are verified, where they are.
    pub tokens: Option<TokenConfig>,
    /// Stripe's API, where it is called.
    pub stripe: Option<StripeConfig>,
    /// `STRIPE_CREDIT_PRICE_CENTS` and `STRIPE_CURRENCY`: what one credit costs, in minor units.
    pub credit_price: Money,
    /// How e-mail is sent, where it is. None: it is off.
    pub email: Option<EmailConfig>,
    /// Whom alarms are passed on to, where they are. None: nobody.
    pub alerts: Option<AlertConfig>,
    /// `STRIPE_WEBHOOK_SECRET`: the live signing secrets.
    pub webhook_secrets: Secret<Vec<SecretString>>,
    /// `CRON_SECRET`: the live secrets of scheduled endpoints. None: closed over HTTP.
    pub cron_secrets: Secret<Vec<SecretString>>,
    /// `ADMIN_TOKEN`: the live tokens of operators. None: closed.
    pub admin_tokens: Secret<Vec<SecretString>>,
    /// Rate limits and claims.
    pub guard: GuardConfig,
    /// The browser origins that may call.
    pub origins: OriginConfig,
}

/// How callers' tokens are verified: by shared secret, by published keys, or by either.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// `SUPABASE_JWT_SECRET`: the live HS256 secrets, the current one first.
    pub secrets: Secret<Vec<SecretString>>,
    /// `SUPABASE_JWKS_URL`: where the RS256 and ES256 keys are published.
    pub jwks_url: Option<String>,
    /// `JWT_ISSUER`: the `iss` a token must have.
    pub issuer: String,
    /// `JWT_AUDIENCE`: the `aud` a token must have.
    pub audience: String,
}

/// How Stripe's API is called.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// `STRIPE_API_BASE`: `https://api.stripe.com`, or the address of a stand-in.
    pub api_base: String,
    /// `STRIPE_SECRET_KEY`: `sk_live_…`, `sk_test_…` or a restricted key.
    pub secret_key: Secret,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

const ENVIRONMENT: &str = "ENVIRONMENT";
const DEFAULT_ENVIRONMENT: &str = "local";
/// One Stripe attempt may take this long (the deadline of the invocation bounds all attempts together).
const STRIPE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// In bytes; what is shorter can be guessed over the network.
const SHORTEST_SHARED_SECRET: usize = 16;
/// In seconds: claiming a job, doing it and recording that take less, also when the database is slow.
const SHORTEST_JOB_LEASE: u64 = 30;
/// In bytes; RFC 7518 §3.2: a key as long as the hash. What is shorter can be guessed from a single token.
const SHORTEST_HS256_SECRET: usize = 32;

impl Config {
    /// The settings in the environment, those of the form `ssm:/path/name` read from the Parameter Store: what a
    /// deployed function does in its init phase, so that secrets never stand in plain environment.
    ///
    /// # Errors
    /// Names every setting that is missing or malformed, or whose parameter cannot be read.
    pub async fn load_with_parameters(needs: Needs, network: &Network) -> Result<Self, ConfigErrors> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::from_variables(needs, &variables.collect(), network).await
    }

    /// As [`Config::load_with_parameters`], from these variables.
    ///
    /// # Errors
    /// As there.
    pub async fn from_variables(
        needs: Needs,
        variables: &HashMap<String, String>,
        network: &Network,
    ) -> Result<Self, ConfigErrors> {
        let parameters = ssm::resolve(variables, network).await?;
        let lookup = |name: &str| parameters.value(name).or_else(|| variables.get(name)).cloned();
        Self::read(needs, Reader::with_parameters(&lookup, &parameters))
    }

    /// The settings that `lookup` knows; for tests, and for secrets that come from elsewhere.
    ///
    /// # Errors
    /// Names every setting that is missing or malformed.
    pub fn from_lookup(needs: Needs, lookup: Lookup<'_>) -> Result<Self, ConfigErrors> {
        Self::read(needs, Reader::new(lookup))
    }

    fn read(needs: Needs, mut reader: Reader<'_>) -> Result<Self, ConfigErrors> {
        let config = Self {
            environment: reader.text_or(ENVIRONMENT, DEFAULT_ENVIRONMENT),
            function_timeout: Duration::from_secs(reader.integer_or("FUNCTION_TIMEOUT_SECONDS", 1..=900, 15)),
            beat_interval: Duration::from_millis(reader.integer_or("RUN_JOBS_BEAT_MS", 100..=30_000, 10_000)),
            job_stale_after: Duration::from_secs(reader.integer_or(
                "JOB_RUNNING_STALE_SECONDS",
                SHORTEST_JOB_LEASE..=3600,
                300,
            )),
            database: needs.database.then(|| database::database(&mut reader)).flatten(),
            tokens: tokens(&mut reader, needs.tokens),
            stripe: stripe(&mut reader, needs.stripe_api),
            credit_price: credit_price(&mut reader),
            email: needs.email.then(|| email::email(&mut reader)).flatten(),
            alerts: needs.alerts.then(|| alerts::alerts(&mut reader)).flatten(),
            webhook_secrets: reader.rotating("STRIPE_WEBHOOK_SECRET", needs.stripe_webhook, 1),
            cron_secrets: reader.rotating("CRON_SECRET", needs.cron, SHORTEST_SHARED_SECRET),
            admin_tokens: reader.rotating("ADMIN_TOKEN", needs.admin, SHORTEST_SHARED_SECRET),
            guard: aws::guard(&mut reader),
            origins: origins::origins(&mut reader),
        };
        sentry::check(&mut reader);
        reader.finish(config)
    }

    /// Which optional parts that several functions use are configured, by name; never a value. What one function alone
    /// is given, such as the webhook's secret, no other can tell of.
    #[must_use]
    pub fn configured(&self) -> [(&'static str, bool); 2] {
        [("stripe_api", self.stripe.is_some()), ("guard", self.guard.table.is_some())]
    }
}

/// `ENVIRONMENT`, for lines and reports about a bad configuration; read before all else.
#[must_use]
pub fn environment() -> String {
    let value = std::env::var(ENVIRONMENT).ok().filter(|value| !value.trim().is_empty());
    value.unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned())
}

/// What to log (`RUST_LOG`, else `LOG_LEVEL`); read before all else, so that a bad configuration can be logged.
#[must_use]
pub fn log_filter() -> Option<String> {
    ["RUST_LOG", "LOG_LEVEL"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn tokens(reader: &mut Reader<'_>, required: bool) -> Option<TokenConfig> {
    let secrets = reader.rotating("SUPABASE_JWT_SECRET", false, SHORTEST_HS256_SECRET);
    let jwks_url = reader.url("SUPABASE_JWKS_URL");
    let configured = !secrets.current().is_empty() || jwks_url.is_some();
    if required && !configured {
        reader
            .reject("SUPABASE_JWT_SECRET", "is missing, and so is SUPABASE_JWKS_URL: one of them is needed");
    }
    let issuer = reader.required_if("JWT_ISSUER", required || configured);
    let audience = reader.text_or("JWT_AUDIENCE", "authenticated");
    configured.then(|| TokenConfig { secrets, jwks_url, issuer: issuer.unwrap_or_default(), audience })
}

fn credit_price(reader: &mut Reader<'_>) -> Money {
    let text = reader.text_or("STRIPE_CURRENCY", "EUR");
    let currency = Currency::parse(&text).unwrap_or_else(|| {
        reader.reject("STRIPE_CURRENCY", "must be a currency's three capital letters");
        Currency::EUR
    });
    Money { amount_minor: reader.integer_or("STRIPE_CREDIT_PRICE_CENTS", 1..=9_999, 100), currency }
}

fn stripe(reader: &mut Reader<'_>, required: bool) -> Option<StripeConfig> {
    let secret_key = reader.key("STRIPE_SECRET_KEY", required);
    let api_base = reader.url("STRIPE_API_BASE").unwrap_or_else(|| "https://api.stripe.com".to_owned());
    secret_key.map(|secret_key| StripeConfig {
        api_base,
        secret_key,
        attempt_timeout: STRIPE_ATTEMPT_TIMEOUT,
    })
}
