//! The settings of the functions, as template.yaml gives them in the cloud.

use std::collections::HashMap;

use test_support::ISSUER;

use crate::ministack::{GUARD_TABLE, REGION};
use crate::net::LOOPBACK_HOSTS;
use crate::options::Options;
use crate::resend::Resend;
use crate::secret::random_secret;
use crate::seed::DATABASE;
use crate::servers::Servers;
use crate::stripe::Stripe;

/// A page of a frontend under development may call the functions.
const FRONTEND_ORIGIN: &str = "http://localhost:5173";
/// So high that nobody meets it.
const NO_RATE_LIMIT: &str = "100000";
/// Jobs are looked for so often that nobody has to wait for a refund to appear.
const JOBS_BEAT_MS: &str = "500";
/// Whom customers get e-mail from.
pub(crate) const EMAIL_FROM: &str = "Kitloop <bookings@kitloop.example>";

/// Secrets that live as long as the stack.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) jwt: String,
    pub(crate) cron: String,
    pub(crate) admin: String,
}

impl Secrets {
    pub(crate) fn random() -> Self {
        Self { jwt: random_secret(), cron: random_secret(), admin: random_secret() }
    }
}

/// What every function process finds in its environment.
pub(crate) fn settings(
    options: &Options,
    servers: &Servers,
    stripe: &Stripe,
    resend: &Resend,
    secrets: &Secrets,
) -> HashMap<String, String> {
    let Servers { postgres, pooler, ministack } = servers;
    let database = if options.through_pooler { &pooler.endpoint } else { &postgres.endpoint };
    let log_filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let mut settings = HashMap::from([
        ("ENVIRONMENT", "local".to_owned()),
        ("RUST_LOG", log_filter),
        ("DATABASE_URL", database.url(&postgres.app, DATABASE)),
        ("DATABASE_CA_FILE", database.authority.display().to_string()),
        ("SUPABASE_JWT_SECRET", secrets.jwt.clone()),
        ("JWT_ISSUER", ISSUER.to_owned()),
        ("JWT_AUDIENCE", "authenticated".to_owned()),
        ("STRIPE_API_BASE", stripe.api_base.clone()),
        ("STRIPE_SECRET_KEY", stripe.secret_key.clone()),
        ("STRIPE_WEBHOOK_SECRET", stripe.webhook_secret.clone()),
        ("RESEND_API_BASE", resend.api_base.clone()),
        ("RESEND_API_KEY", resend.api_key.clone()),
        ("EMAIL_FROM", EMAIL_FROM.to_owned()),
        ("CRON_SECRET", secrets.cron.clone()),
        ("ADMIN_TOKEN", secrets.admin.clone()),
        ("CORS_ALLOW_ORIGINS", FRONTEND_ORIGIN.to_owned()),
        ("RUN_JOBS_BEAT_MS", JOBS_BEAT_MS.to_owned()),
    ]);
    if let Some(ministack) = ministack {
        settings.extend([
            ("GUARD_TABLE", GUARD_TABLE.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL", ministack.url.clone()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ]);
    }
    if !options.rate_limits {
        settings.extend(
            ["RATE_LIMIT_PER_CALLER", "RATE_LIMIT_PER_ADDRESS"].map(|name| (name, NO_RATE_LIMIT.to_owned())),
        );
    }
    settings.extend(proxy());
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The settings whose values are secret; of an address with a password, the password.
pub(crate) fn secret_settings(settings: &HashMap<String, String>) -> Vec<(&'static str, String)> {
    const SECRETS: [&str; 7] = [
        "DATABASE_URL",
        "SUPABASE_JWT_SECRET",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "RESEND_API_KEY",
        "CRON_SECRET",
        "ADMIN_TOKEN",
    ];
    let secret = |value: &str| {
        let credentials =
            value.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':'));
        credentials.map_or_else(|| value.to_owned(), |(_, password)| password.to_owned())
    };
    SECRETS.into_iter().filter_map(|name| Some((name, secret(settings.get(name)?)))).collect()
}

/// The developer's proxy, if there is one, for Stripe itself; everything else is on this machine.
fn proxy() -> impl Iterator<Item = (&'static str, String)> {
    let proxy = ["HTTPS_PROXY", "https_proxy"].into_iter().find_map(|name| std::env::var(name).ok());
    let proxy = proxy.into_iter().map(|proxy| ("HTTPS_PROXY", proxy));
    proxy.chain([("NO_PROXY", LOOPBACK_HOSTS.to_owned())])
}
