//! The figures of the product, started every minute by schedule.

use kitloop::app::gauges;
use kitloop::boot::App;
use kitloop::error::Error;
use lambda_http::LambdaEvent;
use serde_json::{Value, json};

/// Handles one event, whatever it says.
pub(crate) async fn handle(app: &App, _event: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(json!(gauges::publish(&app.db).await?))
}

#[cfg(test)]
mod tests;
