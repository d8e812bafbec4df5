//! The worker: cancels, captures and refunds at Stripe.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("run_jobs", Needs::WORKER).await?;
    boot::serve_events(app, handler::handle).await
}
