//! Compares with Stripe what is known here, every hour.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("reconcile_payments", Needs::SCHEDULE_AND_STRIPE).await?;
        boot::serve_events(app, handler::handle).await
    })
    .await
}
