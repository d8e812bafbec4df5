//! An alarm is passed on to whoever looks after the product.

use tokio::time::Instant;

use crate::alerts::Alerts;
use crate::domain::Alarm;
use crate::error::Error;

/// Tells of the alarms, one after the other, also after one that nobody took. None of them is kept: what fails is tried
/// again with all of them, because to be told twice is better than not at all.
///
/// # Errors
/// [`Error::AlertUndelivered`] for the first that nobody took.
pub async fn forward(
    alerts: &Alerts,
    environment: &str,
    alarms: &[Alarm],
    deadline: Instant,
) -> Result<usize, Error> {
    let mut failure = None;
    for alarm in alarms {
        match alerts.tell(environment, alarm, deadline).await {
            Ok(()) => tracing::info!(alarm = alarm.name, state = alarm.state, "alarm.forwarded"),
            Err(error) => {
                tracing::warn!(alarm = alarm.name, state = alarm.state, %error, "alarm.undelivered");
                failure = failure.or(Some(Error::AlertUndelivered(error.to_string())));
            }
        }
    }
    failure.map_or(Ok(alarms.len()), Err)
}
