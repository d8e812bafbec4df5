//! Compares with Stripe what is known here, every hour.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("reconcile_payments", Needs::SCHEDULE_AND_STRIPE).await?;
    boot::serve_events(app, handler::handle).await
}
