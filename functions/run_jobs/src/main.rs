//! The worker: cancels, captures and refunds at Stripe.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("run_jobs", Needs::WORKER).await?;
        boot::serve_events(app, handler::handle).await
    })
    .await
}
