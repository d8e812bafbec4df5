//! The function that passes alarms on is an application of its own: it has to work when the database does not.

use std::sync::Arc;
use std::time::Duration;

use super::{BootError, launch, load};
use crate::alerts::Alerts;
use crate::config::{Config, Needs};
use crate::error::{Code, Error, Refusal};
use crate::network::Network;

/// What passing an alarm on takes.
pub struct Forwarder {
    /// `ENVIRONMENT`.
    pub environment: String,
    /// `FUNCTION_TIMEOUT_SECONDS`.
    pub function_timeout: Duration,
    alerts: Option<Alerts>,
}

impl Forwarder {
    /// A forwarder with these settings. Connects to nothing yet.
    #[must_use]
    pub fn new(config: Config, network: &Network) -> Self {
        Self {
            environment: config.environment,
            function_timeout: config.function_timeout,
            alerts: config.alerts.map(|alerts| Alerts::new(alerts, network)),
        }
    }

    /// Whom alarms are passed on to.
    ///
    /// # Errors
    /// `not_configured` where there is nobody.
    pub fn alerts(&self) -> Result<&Alerts, Error> {
        self.alerts
            .as_ref()
            .ok_or_else(|| Refusal::new(Code::NotConfigured, "Nobody is set up to be told of alarms.").into())
    }
}

/// Starts `function` as [`super::start`] does, without any connection.
///
/// # Errors
/// [`BootError`], already logged.
pub async fn start_forwarder(function: &'static str) -> Result<Arc<Forwarder>, BootError> {
    launch(function, async |network: &Network| {
        let config = load(function, Needs::ALERTS, network).await?;
        let forwarder = Forwarder::new(config, network);
        if forwarder.alerts.is_none() {
            tracing::warn!(function, reason = "MONITOR_ALERT_WEBHOOK_URL is not set", "alerts.off");
        }
        Ok(forwarder)
    })
    .await
}
