//! How long a function takes to start in a new sandbox, by AWS's own runtime interface emulator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::daemon::Daemon;
use crate::ministack::{GUARD_TABLE, Ministack, REGION};
use crate::net::port_or_free;
use crate::postgres::Postgres;
use crate::progress::Step;
use crate::run::Run;
use crate::secret::random_secret;
use crate::tokens::ISSUER;
use crate::tools;

const DATABASE: &str = "kitloop";
/// The line of the emulator's log that ends the init phase.
const INIT_REPORT: &str = "INIT REPORT(durationMs: ";

/// A migrated database behind TLS and a guard table, for functions to connect to while they start.
pub struct ColdStarts {
    emulator: PathBuf,
    settings: Vec<(&'static str, String)>,
    run: Run,
    _ministack: Ministack,
    _postgres: Postgres,
}

impl ColdStarts {
    /// Installs what is missing and starts the database and the guard.
    pub async fn prepare() -> Result<Self> {
        let programs = tools::postgres().await?;
        let emulators = tools::emulators().await?;
        let emulator = tools::checkers().await?.runtime_emulator()?;
        let step = Step::begin("Starting PostgreSQL and DynamoDB");
        let run = Run::start()?;
        let postgres = Postgres::start(&run, &programs, None).await?;
        postgres.create_database(DATABASE).await?;
        postgres.migrate(DATABASE).await?;
        let ministack = Ministack::start(&run, &emulators.ministack, None).await?;
        let settings = settings(&postgres, &ministack);
        step.done();
        Ok(Self { emulator, settings, run, _ministack: ministack, _postgres: postgres })
    }

    /// Starts the program in a sandbox of its own and returns the length of its init phase.
    pub async fn init_duration(&self, program: &Path) -> Result<Duration> {
        let (sandbox, runtime_api) = (port_or_free(None)?, port_or_free(None)?);
        let log = self.run.folder().join("emulator.log");
        fs::write(&log, "")?;
        let mut command = Command::new(&self.emulator);
        command
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{sandbox}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{runtime_api}")])
            .arg(program)
            .current_dir(self.run.folder());
        let mut daemon = Daemon::start(&self.run, "the runtime interface emulator", &mut command, &log)?;
        daemon.ready_at(sandbox).await?;
        // The first event makes the sandbox; what the function answers to it does not matter here.
        let event = reqwest::Client::new()
            .post(format!("http://127.0.0.1:{sandbox}/2015-03-31/functions/function/invocations"))
            .body("{}")
            .send();
        let invocation = tokio::spawn(event);
        let mut duration = None;
        let reported = daemon
            .ready_when(|| {
                let found = fs::read_to_string(&log).ok().as_deref().and_then(reported_duration);
                duration = found;
                async move { found.map(drop).ok_or_else(|| anyhow!("no init phase was reported")) }
            })
            .await;
        invocation.abort();
        reported?;
        duration.context("no init phase was reported")
    }
}

/// All that any function needs to start; Stripe is not called before the first request.
fn settings(postgres: &Postgres, ministack: &Ministack) -> Vec<(&'static str, String)> {
    let Postgres { endpoint, app, .. } = postgres;
    vec![
        ("DATABASE_URL", endpoint.url(app, DATABASE)),
        ("DATABASE_CA_FILE", endpoint.authority.display().to_string()),
        ("SUPABASE_JWT_SECRET", random_secret()),
        ("JWT_ISSUER", ISSUER.to_owned()),
        ("STRIPE_SECRET_KEY", format!("sk_test_{}", random_secret())),
        ("STRIPE_WEBHOOK_SECRET", random_secret()),
        ("CRON_SECRET", random_secret()),
        ("GUARD_TABLE", GUARD_TABLE.to_owned()),
        ("AWS_ENDPOINT_URL", ministack.url.clone()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]
}

/// Reads `INIT REPORT(durationMs: 10.731000)` out of the emulator's log.
fn reported_duration(log: &str) -> Option<Duration> {
    let (_, rest) = log.split_once(INIT_REPORT)?;
    let (text, _) = rest.split_once(')')?;
    let (milliseconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(Duration::from_millis(milliseconds.parse().ok()?) + Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_init_report_is_read_to_the_nanosecond() {
        let log = "INIT RTDONE(status: success)\n… (rapid) INIT REPORT(durationMs: 10.731000)\nSTART";
        assert_eq!(reported_duration(log), Some(Duration::from_nanos(10_731_000)));
        assert_eq!(reported_duration("INIT REPORT(durationMs: 7)"), Some(Duration::from_millis(7)));
    }

    #[test]
    fn a_log_without_a_whole_report_has_no_duration() {
        assert_eq!(reported_duration("INIT START(type: on-demand)"), None);
        assert_eq!(reported_duration("INIT REPORT(durationMs: 10.7"), None);
    }
}
