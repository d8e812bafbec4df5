//! Receives events from Stripe.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("stripe_webhook", Needs::WEBHOOK).await?;
        boot::serve_http(app, handler::handle).await
    })
    .await
}
