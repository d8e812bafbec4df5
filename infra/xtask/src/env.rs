//! `cargo xtask env`.

use std::process::ExitCode;

use kitloop::config::{BadSetting, Config, ConfigErrors, Needs};
use kitloop::network::Network;

use crate::cli::EnvAction;

pub(crate) async fn run(action: &EnvAction) -> ExitCode {
    match action {
        EnvAction::Check => check().await,
    }
}

/// Reads the environment as the functions do when they start, with everything that any of them needs.
async fn check() -> ExitCode {
    match Config::load_with_parameters(Needs::ALL, &Network::default()).await {
        Ok(config) => {
            let rest = [("email", config.email.is_some()), ("alerts", config.alerts.is_some())];
            for (part, is_configured) in config.configured().into_iter().chain(rest) {
                println!("{part:<16}{}", if is_configured { "configured" } else { "not configured" });
            }
            println!("nothing is missing or malformed");
            ExitCode::SUCCESS
        }
        Err(ConfigErrors(problems)) => {
            for BadSetting { setting, problem } in &problems {
                println!("{setting:<24}{problem}");
            }
            println!("{} settings are missing or malformed", problems.len());
            ExitCode::FAILURE
        }
    }
}
