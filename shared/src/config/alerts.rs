//! Where alarms are told beside e-mail.

use std::time::Duration;

use super::reader::{Reader, is_http_url};
use super::secret::Secret;

/// How a chat or another monitor is told of alarms.
#[derive(Debug, Clone)]
pub struct AlertConfig {
    /// `MONITOR_ALERT_WEBHOOK_URL`: an incoming webhook. A secret, because whoever knows it may write there.
    pub url: Secret,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Nothing where there is no address.
pub(super) fn alerts(reader: &mut Reader<'_>) -> Option<AlertConfig> {
    let url = reader.secret("MONITOR_ALERT_WEBHOOK_URL", false, |url| {
        if is_http_url(url) {
            Ok(url.into())
        } else {
            Err("must be an http:// or https:// address".to_owned())
        }
    });
    Some(AlertConfig { url: url?, attempt_timeout: ATTEMPT_TIMEOUT })
}
