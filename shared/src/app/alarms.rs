//! An alarm is passed on to whoever looks after the product.

use tokio::time::Instant;

use crate::alerts::Alerts;
use crate::domain::Alarm;
use crate::error::Error;

/// Tells of the alarms, one after the other. None of them is kept: what fails is tried again with all of them, because to be
/// told twice is better than not at all.
///
/// # Errors
/// [`Error::AlertUndelivered`] for the first that nobody took.
pub async fn forward(
    alerts: &Alerts,
    environment: &str,
    alarms: &[Alarm],
    deadline: Instant,
) -> Result<usize, Error> {
    for alarm in alarms {
        alerts
            .tell(environment, alarm, deadline)
            .await
            .map_err(|error| Error::AlertUndelivered(error.to_string()))?;
        tracing::info!(alarm = alarm.name, state = alarm.state, "alarm.forwarded");
    }
    Ok(alarms.len())
}
