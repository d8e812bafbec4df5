//! The worker, started every minute by schedule.

use kitloop::app::jobs::Worker;
use kitloop::boot::App;
use kitloop::error::Error;
use kitloop::http::deadline;
use lambda_http::LambdaEvent;
use serde_json::{Value, json};

/// Handles one event: works until shortly before the invocation ends.
pub(crate) async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = deadline::of(Some(&event.context), app.config.function_timeout);
    let worker = Worker {
        db: &app.db,
        stripe: app.stripe()?,
        email: app.email(),
        name: &event.context.request_id,
        lease: app.config.job_stale_after,
    };
    Ok(json!(worker.work(app.config.beat_interval, deadline).await?))
}

#[cfg(test)]
mod tests;
