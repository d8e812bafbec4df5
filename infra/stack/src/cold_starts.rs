//! How long a function takes to start in a new sandbox, by AWS's own runtime interface emulator.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::daemon::Daemon;
use crate::net::{http_client, port_or_free};
use crate::options::Options;
use crate::progress::Step;
use crate::resend::Resend;
use crate::run::Run;
use crate::seed::seeded_database;
use crate::servers::{Programs, Servers};
use crate::settings::{Secrets, settings};
use crate::stripe::Stripe;
use crate::tools;
use crate::wait::wait_for;

/// The line of the emulator's log that ends the init phase.
const INIT_REPORT: &str = "INIT REPORT(durationMs: ";
/// How long the emulator may take to report an init phase; Lambda itself gives a function ten seconds.
const REPORT_DEADLINE: Duration = Duration::from_secs(10);

/// The authorities that a function loads for what it talks to beside the database.
#[derive(Clone, Copy, Debug)]
pub enum Authorities {
    /// Those few that it needs, as the template's certificate layer has them.
    Few,
    /// All that the system trusts.
    System,
}

/// What functions connect to while they start: a database behind TLS, a guard table and the stand-ins.
pub struct ColdStarts {
    emulator: PathBuf,
    settings: HashMap<String, String>,
    _stripe: Stripe,
    _resend: Resend,
    servers: Servers,
    run: Run,
}

impl ColdStarts {
    /// Installs what is missing and starts the servers.
    pub async fn prepare() -> Result<Self> {
        let installed = Programs::install().await?;
        let emulator = tools::checkers().await?.runtime_emulator()?;
        let step = Step::begin("Starting what functions connect to");
        let run = Run::start()?;
        let options = Options { rate_limits: true, ..Options::default() };
        let (servers, _seed) = Servers::start(&run, &installed, &options, seeded_database).await?;
        // No function calls Stripe before its first request, so nobody receives webhooks here.
        let stripe = Stripe::stand_in(None, "http://127.0.0.1:9/").await?;
        let resend = Resend::start(&options).await?;
        let settings = settings(&options, &servers, &stripe, &resend, &Secrets::random());
        step.done();
        Ok(Self { emulator, settings, _stripe: stripe, _resend: resend, servers, run })
    }

    /// Starts the program in a sandbox of its own and returns the length of its init phase.
    pub async fn init_duration(&self, program: &Path, authorities: Authorities) -> Result<Duration> {
        let (sandbox, runtime_api) = (port_or_free(None)?, port_or_free(None)?);
        let log = self.run.folder().join("runtime_emulator.log");
        fs::write(&log, "")?;
        let mut command = Command::new(&self.emulator);
        command
            .env_clear()
            .envs(&self.settings)
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{sandbox}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{runtime_api}")])
            .arg(program)
            .current_dir(self.run.folder());
        if let Authorities::Few = authorities {
            command.env("SSL_CERT_FILE", &self.servers.postgres.endpoint.authority);
        }
        let mut daemon = Daemon::start(&self.run, "the runtime interface emulator", &mut command, &log)?;
        daemon.ready_at(sandbox).await?;
        // The first event makes the sandbox; what the function answers to it does not matter here.
        let url = format!("http://127.0.0.1:{sandbox}/2015-03-31/functions/function/invocations");
        let invocation = tokio::spawn(http_client()?.post(url).body("{}").send());
        let reported = wait_for(
            "the report of the init phase",
            REPORT_DEADLINE,
            || async { reported_duration(&fs::read_to_string(&log)?).context("nothing reported") },
            || Ok(()),
        );
        let duration = reported.await;
        invocation.abort();
        duration
    }
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
