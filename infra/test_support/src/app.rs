//! An application over a database, a Stripe and a Resend of its own.

use std::collections::BTreeMap;

use anyhow::Result;
use kitloop::boot::App;
use kitloop::config::{Config, Needs};
use resend_stand_in::ResendStandIn;
use stripe_stand_in::StandIn;

use crate::database::variable;
use crate::{ISSUER, JWT_SECRET, TestDatabase, WEBHOOK_SECRET};

/// What schedules over HTTP present to test applications.
pub const CRON_SECRET: &str = "test-cron-secret";
/// What operators present to them.
pub const ADMIN_TOKEN: &str = "test-admin-token";

/// What a handler test needs.
pub struct TestApp {
    /// The application, as a function's sandbox has it.
    pub app: App,
    /// Its database.
    pub database: TestDatabase,
    /// Its Stripe.
    pub stripe: StandIn,
    /// Its e-mail.
    pub resend: ResendStandIn,
}

/// The settings of a function, without the guard and without e-mail.
///
/// # Errors
/// If the environment does not say where the servers are.
pub fn settings(database: &TestDatabase, stripe: &StandIn) -> Result<BTreeMap<&'static str, String>> {
    Ok(BTreeMap::from([
        ("ENVIRONMENT", "test".to_owned()),
        ("DATABASE_URL", database.url()?),
        ("DATABASE_CA_FILE", variable("KITLOOP_TEST_CA_FILE")?),
        ("SUPABASE_JWT_SECRET", format!("{JWT_SECRET},previous-{JWT_SECRET}")),
        ("JWT_ISSUER", ISSUER.to_owned()),
        ("STRIPE_SECRET_KEY", "sk_test_kitloop".to_owned()),
        ("STRIPE_API_BASE", stripe.base_url().to_owned()),
        ("STRIPE_WEBHOOK_SECRET", format!("{WEBHOOK_SECRET},previous_{WEBHOOK_SECRET}")),
        ("CRON_SECRET", format!("{CRON_SECRET},previous-{CRON_SECRET}")),
        ("ADMIN_TOKEN", format!("{ADMIN_TOKEN},previous-{ADMIN_TOKEN}")),
        ("AUTH_ORIGIN_ALLOWLIST", "https://shop.example,http://localhost:5173".to_owned()),
        ("RUN_JOBS_BEAT_MS", "100".to_owned()),
        ("FUNCTION_TIMEOUT_SECONDS", "15".to_owned()),
    ]))
}

/// The settings with which a function sends e-mail.
#[must_use]
pub fn email_settings(resend: &ResendStandIn) -> [(&'static str, String); 3] {
    [
        ("RESEND_API_KEY", "re_test_kitloop".to_owned()),
        ("RESEND_API_BASE", resend.base_url().to_owned()),
        ("EMAIL_FROM", "Kitloop <bookings@kitloop.example>".to_owned()),
    ]
}

impl TestApp {
    /// Everything on, but no guard.
    ///
    /// # Errors
    /// If a server is not there.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// With the guard's table on, and these limits per minute by caller and by address.
    ///
    /// # Errors
    /// If a server is not there.
    pub async fn start_guarded(per_caller: u32, per_address: u32) -> Result<Self> {
        Self::start_with(&[
            ("GUARD_TABLE", variable("KITLOOP_TEST_GUARD_TABLE")?),
            ("AWS_ENDPOINT_URL", variable("KITLOOP_TEST_DYNAMODB_URL")?),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("RATE_LIMIT_PER_CALLER", per_caller.to_string()),
            ("RATE_LIMIT_PER_ADDRESS", per_address.to_string()),
        ])
        .await
    }

    /// With some settings changed.
    ///
    /// # Errors
    /// If a server is not there, or a setting is malformed.
    pub async fn start_with(changes: &[(&'static str, String)]) -> Result<Self> {
        let database = TestDatabase::create().await?;
        let stripe = StandIn::start(None).await?;
        let resend = ResendStandIn::start(None).await?;
        let mut settings = settings(&database, &stripe)?;
        settings.extend(email_settings(&resend));
        settings.extend(changes.iter().cloned());
        let app = App::new(Config::from_lookup(Needs::ALL, &|name| settings.get(name).cloned())?)?;
        Ok(Self { app, database, stripe, resend })
    }
}

/// The setting of a database that nobody answers for, with a password that must not show anywhere.
#[must_use]
pub fn database_away() -> (&'static str, String) {
    ("DATABASE_URL", "postgresql://kitloop_app:hunter2@127.0.0.1:1/kitloop".to_owned())
}
