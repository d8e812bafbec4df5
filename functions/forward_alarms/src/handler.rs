//! Alarms, as their topic hands them over.

use kitloop::app::alarms;
use kitloop::boot::Forwarder;
use kitloop::error::Error;
use kitloop::http::deadline;
use lambda_http::LambdaEvent;
use serde_json::{Value, json};

use crate::notification;

/// Handles one event. What nobody takes fails, so that Lambda tries again, and at last keeps it in the queue of
/// undelivered events.
pub(crate) async fn handle(forwarder: &Forwarder, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = deadline::of(Some(&event.context), forwarder.function_timeout);
    let alarms = notification::alarms(event.payload)?;
    let count = alarms::forward(forwarder.alerts()?, &forwarder.environment, &alarms, deadline).await?;
    Ok(json!({ "forwarded_count": count }))
}

#[cfg(test)]
mod tests;
